"""State: one class per kind of row, their keys, and the view of them that a fold reads.

| row       | key                        | changelog           |
|-----------|----------------------------|---------------------|
| Clock     | `g|clock`                  | inventory-changelog |
| Policies  | `g|policies`               | inventory-changelog |
| Masters   | `l|sku|location`           | inventory-changelog |
| Feed      | `g|feed|source`            | inventory-changelog |
| Summary   | `s|sku`                    | inventory-changelog |
| Position  | `p|sku|location`           | inventory-changelog |
| Lots      | `L|sku|location`           | inventory-changelog |
| Transfer  | `t|sku|id|line`            | inventory-changelog |
| Claim     | `c|sku|order|line`         | inventory-changelog |
| Supply    | `b|sku|purchase order|line`| inventory-changelog |
| Ring      | `k|sku`                    | inventory-changelog |
| Network   | `n|sku`                    | inventory-changelog |
| Decision  | `a|sku|request id`         | inventory-changelog |
| Timer     | `d|second|sku|what`        | inventory-changelog |
| Risk      | `r|sku|kind|scope`         | inventory-changelog |
| Copy      | `h|sku|channel`            | inventory-changelog |
| Variance  | `v|sku|kind|what`          | inventory-changelog |
| Told      | `f|sku|channel`            | inventory-changelog |
| Case      | `x|sku|kind|scope`         | inventory-changelog |
| Advice    | `w|sku|kind|location`      | inventory-changelog |
| Bills     | `o|kit`                    | inventory-changelog |
| Timer     | `z|second|kit`             | inventory-changelog |
| Part      | `u|sku`                    | inventory-changelog |
| Heard     | `j|kit|sku`                | kits-changelog      |
| KitState  | `y|kit`                    | kits-changelog      |
| Timer     | `q|second|sku|kind|scope`  | inventory-changelog |
| Timer     | `m|second|sku|kind|location`| inventory-changelog |
| Timer     | `i|second|sku|what`        | inventory-changelog |
| Evidence  | `e|sku|event key`          | inventory-evidence  |

No SKU, location or channel contains `|` (the edges refuse it), so a key has one reading. Keys sort as their
UTF-8 bytes do; `second` is written with 10 digits, so that timers sort by time. A timer's `what` is a claim's
`order|line`, empty where the SKU as a whole wants to be looked at. `q|` are the deadlines of cases,
`i|` when a difference, an overdue line or a channel is looked at again.
"""

from collections.abc import Iterator
from typing import Protocol

from atp.effects import AvailabilityChanged, BufferRate, ChannelExposure, RequestDecided
from atp.events import SECOND, Document, Envelope, EventRef, PolicyFields, immutable

BUCKETS = ("sellable", "returned", "quarantine", "damaged")
ALL_CHANNEL = "all"


@immutable
class Clock:
    """The partition's time: its last tick."""

    tick: int


@immutable
class PolicyEntry:
    """One PolicyChanged in force, of the scope that its location and channel name."""

    key: str
    rev: int
    effective: int
    location: str
    channel: str
    policy: PolicyFields


@immutable
class Policies:
    """The policies that name no SKU, and the channels that any policy declared."""

    entries: tuple[PolicyEntry, ...]


@immutable
class ChannelTerms:
    """What policies say of a channel of a SKU, resolved."""

    locations: tuple[str, ...] | None = None
    """None: every location."""
    excluded: tuple[str, ...] = ()
    """Locations whose `eligible` is false for this channel."""
    share_percent: int = 100
    buffer: int = 0
    """Units held back: by policy, or by `rate`."""
    cap: int | None = None
    lag_s: int = 0
    low_at: int = 0
    publish_units: int = 0
    publish_percent: int = 0
    ttl_s: int = 0
    min_life_days: int = 0
    """Days that goods must still last to be promised through it."""
    rate: BufferRate | None = None
    """What its buffer is made of where it follows the rates; None where it does not."""
    sells_ahead: str = "never"
    """What it says where nothing is left and a later day can be promised: backorder, preorder or never."""

    @property
    def telling(self) -> tuple[int, int, int]:
        """What holds answers back, or lets them age; zeros where every answer is told once."""
        return self.publish_units, self.publish_percent, self.ttl_s

    def serves(self, location: str) -> bool:
        """Say whether the channel may promise what lies at the location."""
        return (self.locations is None or location in self.locations) and location not in self.excluded


@immutable
class ChannelState:
    """One channel of a SKU: its terms, and its last answer."""

    channel: str
    terms: ChannelTerms | None
    """None where no policy speaks of it: the defaults."""
    pool: int
    """Units that its locations expose beside everything promised."""
    atp: int
    version: int
    """0 before the first answer."""
    ring: int = 0
    """Units of its ring-fence that stock can serve."""
    orders_seen: int = 0
    """Greatest event time of its own orders and sales; 0 before the first."""
    horizon: tuple[tuple[int, int], ...] = ()
    """(day, units) where the dated figure changes, today first; empty where no date matters."""


@immutable
class Draws:
    """What a channel drew lately of a SKU whose buffers follow the rates: units when first taken, by event time."""

    channel: str
    minutes: tuple[tuple[int, int], ...]
    """(minute, units) of the last minutes."""
    hours: tuple[tuple[int, int], ...]
    """(hour, units) of the last hours."""
    fast: int
    """Units of the last minutes when the rates were judged last."""
    slow: int
    """Units of the last day when the rates were judged last."""


@immutable
class Summary:
    """What is known of a SKU as a whole."""

    clock: int
    """Greatest event time folded; 0 before the first."""
    channels: tuple[ChannelState, ...]
    """Sorted by name; `all` is always among them once the SKU has a position or a channel."""
    policies: tuple[PolicyEntry, ...]
    """The policies that name this SKU."""
    accounts: dict[str, int]
    """Boundary accounts: units that SUPPLIER, CUSTOMER and the others received from this SKU's book."""
    minutes: tuple[tuple[int, int], ...]
    """(minute, units taken) of the last minutes, by event time."""
    hours: tuple[tuple[int, int], ...]
    """(hour, units taken) of the last hours, by event time."""
    look_at: int
    """The second of the timer that waits for this SKU; 0 where none does."""
    swept: int
    """The clock when forgotten evidence was last deleted."""
    promised: bool = False
    """Whether a Network row says what is promised and coming; without one nothing is."""
    part: bool = False
    """Whether a Part row says that kits hear of it."""
    copied: tuple[str, ...] = ()
    """Channels that acknowledge or report what they show: each has a Copy row."""
    compared: int = 0
    """The latest time that a snapshot kept as a Variance speaks of: what is dated up to it may change what was
    expected of it."""
    advise_at: int = 0
    """The second of the last reminder to work its advice out; 0 where no policy asks for any."""
    draws: tuple[Draws, ...] | None = None
    """By channel, those that drew or did when the rates were judged; None where no policy asks for a
    buffer by rate, and before the first tick."""


@immutable
class Count:
    """A count in force at a position, as long as something may restate it or take it back."""

    key: str
    as_of: int
    event_time: int
    scope: str
    quantity: int
    through_seq: dict[str, int] | None
    expected: int
    """Book of the scope over what the count covers, earlier counts' variances included."""
    restatement: int
    document: str
    rank: str
    """The version of the count event in force."""
    excludes: str = ""
    """`picked` where goods picked for orders lay apart and were not counted."""
    away: int = 0
    """Units of them, which `quantity` includes."""

    @property
    def bucket(self) -> str:
        """Where its variance goes."""
        return "sellable" if self.scope == "on_hand" else self.scope

    @property
    def variance(self) -> int:
        """Units found beyond what was expected."""
        return self.quantity - self.expected


@immutable
class Touch:
    """An event that moved a position, newest first, for `atp show`."""

    type: str
    key: str
    event_time: int
    on_hand: int
    """What it added to on hand."""
    sellable: int
    """What it added to sellable."""


@immutable
class Position:
    """Stock of one SKU at one location."""

    sellable: int
    returned: int
    quarantine: int
    damaged: int
    in_transit_in: int
    safety_stock: int
    eligible: bool
    low_at: int
    counts: tuple[Count, ...]
    touches: tuple[Touch, ...]
    """The last eight, newest first."""
    atp: int
    """The last answer for the node."""
    version: int
    """Version of the last answer for the node; 0 before the first."""
    as_of: int
    """Greatest event time that moved it."""
    reserved_soft: int = 0
    reserved_firm: int = 0
    allocated: int = 0
    """Units of claims placed here that are due, by what holds them here."""
    verified_at: int = 0
    """When stock was last seen to be there: a count, a receipt, a pick."""
    confidence: int = 100
    """How far its figures are to be trusted, in hundredths: worked out at ticks, where a policy asks for it."""
    reasons: tuple[str, ...] = ()
    """Why not wholly."""
    haircut: int = 0
    """Percent of what it exposes that is held back, because it is not trusted; 100 hides it."""
    lotted: bool = False
    """Whether a Lots row says what lots lie here; without one nothing is known of any."""
    expired: int = 0
    """Units of lots whose last day is over: on hand, and for sale no more."""

    @property
    def claims(self) -> int:
        """Units promised from here."""
        return self.reserved_soft + self.reserved_firm + self.allocated

    @property
    def on_hand(self) -> int:
        """Units physically there."""
        return self.sellable + self.returned + self.quarantine + self.damaged


@immutable
class Lots:
    """What the lots at a position hold of its sellable units, as far as events in force named them."""

    units: dict[str, int]
    """Units by `expiry|lot`, as lots.py writes it; no entry is 0, below 0 more left than came."""
    unnamed: dict[str, int]
    """Units by day, YYYY-MM-DD, that came into the sellable bucket without naming a lot, less those that left it."""


@immutable
class Transfer:
    """A transfer line; `shipped - received - lost` is on the way."""

    shipped_to: dict[str, int]
    """Units shipped, by destination."""
    received: int
    lost: int
    destination: str
    """Where most of it goes; where the receipts are while nothing is known to be shipped."""
    last_time: int
    variance: tuple[int, int] | None
    """(expected, observed) as last published, None where nothing was."""
    restatement: int
    etas: tuple[str, ...] = ()
    """The days that its shipments in force name, sorted: one for each that names one."""

    @property
    def eta(self) -> str:
        """The last day that any shipment of it names; empty where none does."""
        return self.etas[-1] if self.etas else ""

    @property
    def shipped(self) -> int:
        return sum(self.shipped_to.values())

    @property
    def open(self) -> int:
        """Units on their way; below 0 where more came than left."""
        return self.shipped - self.received - self.lost


@immutable
class Claim:
    """A line of an order: a tally of what the versions in force of its events say; all figures derive from it."""

    tally: dict[str, int]
    """Units, or how often, by what was said; the words are those of `claims.py`."""
    last_time: int
    """Greatest event time of its events."""


@immutable
class Statement:
    """What one event says of a purchase order line, or of a ring-fence."""

    key: str
    type: str
    rev: int
    digest: bytes
    event_time: int
    quantity: int
    location: str = ""
    eta: str | None = None
    final: bool = False
    channel: str = ""
    """Of a ring-fence."""
    priority: int = 0


@immutable
class Supply:
    """A purchase order line: what was said of it, and what came."""

    said: tuple[Statement, ...]
    """By event key."""
    received: dict[str, int]
    """Units received by location; under `final` how many receipts said that nothing else comes."""
    last_time: int


@immutable
class Ring:
    """The ring-fences of a SKU: what was granted to channels and returned."""

    said: tuple[Statement, ...]
    """By event key."""


@immutable
class Fence:
    """Where the ring-fence of a channel stands."""

    channel: str
    priority: int
    """The lowest is served first; of equal ones the first by name."""
    granted: int
    """Units granted less units returned, in force."""
    taken: int
    """Units that the channel took since its first grant."""
    first: int
    """Time of the first grant in force, from which `taken` is counted."""

    @property
    def open(self) -> int:
        """Units of it that are still to be taken."""
        return max(0, self.granted - self.taken)


CHANNEL_BITS = 62
"""Channels that one number of a Cell holds."""


@immutable
class Cell:
    """What the locations that serve the same channels hold together."""

    serves: int
    """Bit i is set where they serve channel i of the Summary; of the first 62 channels."""
    exposed: int
    free: int
    """Available units beyond claims, safety stock included, where eligible."""
    beyond: tuple[int, ...] = ()
    """The same for the channels after those, 62 by 62: a number holds no more."""

    @property
    def mask(self) -> int:
        """All bits of `serves` and `beyond`."""
        bits = self.serves
        for number, more in enumerate(self.beyond, 1):
            bits |= more << number * CHANNEL_BITS
        return bits


@immutable
class Dated:
    """Open units of claims that are due on a later day."""

    day: int
    channel: str
    location: str
    """Empty where no location is chosen."""
    units: int


@immutable
class Inbound:
    """Units that come on a day."""

    day: int
    location: str
    """Empty where it is not known: for no channel's figure."""
    units: int
    state: str
    """shipped, confirmed, ordered or transfer."""
    overdue: bool
    what: str
    """The purchase order or transfer, `id|line`."""
    closed: bool = False
    """Its location is not eligible: for no channel's figure."""


@immutable
class Network:
    """What is promised and coming of a SKU as a whole; every figure is a sum over its lines and positions."""

    today: int
    """The day, since 1970, that it was worked out for; -1 before the first tick."""
    cells: tuple[Cell, ...]
    pending: dict[str, int]
    """Due units without a location, by channel."""
    uncovered: int
    """Units of claims at locations that stock there does not cover."""
    dated: tuple[Dated, ...]
    inbound: tuple[Inbound, ...]
    fences: tuple[Fence, ...]
    at_risk: tuple[str, ...] = ()
    """`kind|scope` of what stood when promises were last judged: only those have a calm to be told."""
    layered: bool = False
    """Whether lots lie anywhere, or a channel asks for remaining life: then a location is a cell for each life asked
    for, and only all of its lots and claims together tell how it is cut."""
    ages_on: int = -1
    """The day, since 1970, on which goods grow too old for somebody; 0 at the first tick, -1 on none."""


@immutable
class Decision:
    """The answer to a request, inside the window."""

    digest: bytes
    event_time: int
    answer: RequestDecided


@immutable
class Told:
    """What a channel was told last, where its policy holds answers back or lets them age. Epochs are 0."""

    last: AvailabilityChanged
    at: int
    """When: by the last tick, or the SKU's clock before the first."""
    held: AvailabilityChanged | None = None
    """The last answer, where that was held back."""


@immutable
class Timer:
    """A SKU, or a claim of it, wants to be looked at when its second has come."""


@immutable
class Risk:
    """An open risk."""

    id: str
    severity: str
    opened_at: int
    calm_since: int | None
    quantity: int


@immutable
class MasterEntry:
    """One MasterChanged."""

    key: str
    rev: int
    digest: bytes
    effective: int
    attributes: dict[str, str]
    substitutes: tuple[str, ...] | None = None
    """Of a SKU: those that may be offered instead, most preferred first; None where it says nothing of that."""


@immutable
class Masters:
    """Master data of a SKU, of a location, of a SKU at a location, or, where neither is named, of all."""

    entries: tuple[MasterEntry, ...]
    """By effective time, then key: of each attribute the last entry that has it stands."""


@immutable
class Feed:
    """What is known of a source's messages as a whole."""

    gaps: tuple[tuple[int, int], ...]
    """Sequence numbers that are missing: from, to."""
    through: dict[str, int]
    """What it attests to be complete up to: by name, a sequence number."""
    through_time: int
    """The time up to which it attests to be complete; 0 where it never did."""
    marked_at: int
    """Event time of its last mark."""
    interval: int
    """Microseconds between its last two marks; 0 before the second."""


@immutable
class Copy:
    """What a channel shows of a SKU, as far as it told."""

    epoch: int
    """Of the version that it applied last."""
    version: int
    """The version that it applied last; 0 before its first word."""
    quantity: int | None
    """Units of that version; None where it is no longer known."""
    acked_at: int
    """Event time of the word that said so."""
    published: tuple[tuple[int, int], ...]
    """(version, units) of the last answers, oldest first."""
    behind_since: int | None = None
    """Since when it shows more than may be promised."""


@immutable
class Snapshot:
    """A figure of another system, the last that it sent."""

    key: str
    rank: str
    source: str
    document: str
    as_of: int
    event_time: int
    scope: str
    quantity: int
    through_seq: dict[str, int] | None


@immutable
class Variance:
    """Our figure against another's, as last told."""

    location: str
    """Empty where it is of no one location."""
    channel: str
    source: str
    document: str
    expected: int
    observed: int
    basis: str
    as_of: int
    tolerance: int
    restatement: int
    opened_at: int | None
    """Since when it stands; None where it does not."""
    age_days: int
    """Its age as last told."""
    hint: str
    snapshot: Snapshot | None = None
    """What to compare with again, where a late event changes what was expected."""

    @property
    def open(self) -> bool:
        """Whether the difference is beyond what may be."""
        return abs(self.observed - self.expected) > self.tolerance


@immutable
class Case:
    """An exception, from the begin of its cause until it is resolved."""

    id: str
    """Empty while it waits."""
    state: str
    """waiting (its grace runs), open or acknowledged."""
    severity: str
    owner: str
    since: int
    """When its cause began."""
    opened_at: int
    """0 while it waits."""
    due: int
    """When it opens, while it waits; then when it escalates; 0 where it does not."""
    location: str
    evidence: dict[str, str]
    taken_at: int = 0
    """Time of the acknowledgement in force; 0 before the first."""


@immutable
class Advice:
    """A recommendation that stands: proposed or approved."""

    id: str
    day: int
    """Since 1970."""
    status: str
    quantity: int
    from_location: str
    proposed_at: int
    expires_at: int
    decided_by: str
    evidence: dict[str, str]
    substitutes: tuple[str, ...] = ()


@immutable
class Bill:
    """What one MasterChanged says that a kit is made of."""

    key: str
    rev: int
    effective: int
    components: dict[str, int]


@immutable
class Bills:
    """What was said of a kit's components; kept where the kit's own SKU lies."""

    said: tuple[Bill, ...]
    """By (effective, key)."""
    in_force: dict[str, int]
    """Components of one kit, as last told; empty while none is in force."""


@immutable
class Part:
    """What the kits that a SKU belongs to were last told of it."""

    kits: tuple[str, ...]
    """Those that any bill named it for; the SKU itself where it is a kit. Sorted."""
    nodes: dict[str, int]
    """Units exposed by location, none left out but those that expose none."""
    channels: tuple[ChannelExposure, ...]
    version: int
    """0 before the first."""


@immutable
class Heard:
    """What a kit last heard of a component, or of its own SKU."""

    epoch: int
    version: int
    nodes: dict[str, int]
    channels: tuple[ChannelExposure, ...]
    components: dict[str, int] | None
    as_of: int
    computed_at: int | None


@immutable
class KitAnswer:
    """What was last said of a kit through a channel."""

    channel: str
    atp: int
    status: str


@immutable
class KitState:
    """The last answers for a kit."""

    answers: tuple[KitAnswer, ...]
    """By channel."""


@immutable
class Leg:
    """`quantity` units from one account to another.

    Accounts: `sellable|S1` (a bucket at a location), `transit|X-1|1|S1` (line 1 of transfer X-1, bound for S1),
    `CUSTOMER` (a boundary). `|` and `%` in a transfer's id are escaped.
    """

    source: str
    target: str
    quantity: int


@immutable
class Mark:
    """What an event says of a line: `units` under a word of its tally."""

    line: str
    """Key of the row: a Claim, a Supply or a Transfer."""
    word: str
    units: int


@immutable
class Evidence:
    """The version in force of one event key: for refusing duplicates, for taking it back, for counts."""

    type: str
    rank: str
    """Orders versions; see admission.py."""
    digest: bytes
    """Of the business fields of the version in force."""
    event_time: int
    last_time: int
    """Greatest event time of any version seen: the key is remembered for a window after it."""
    source: str
    source_seq: int | None
    location: str
    legs: tuple[Leg, ...]
    count_at: str
    """The location whose count this is; empty where it is none."""
    marks: tuple[Mark, ...] = ()
    channel: str = ""


Row = (
    Clock
    | Policies
    | Summary
    | Position
    | Lots
    | Transfer
    | Claim
    | Supply
    | Ring
    | Network
    | Decision
    | Told
    | Timer
    | Risk
    | Masters
    | Feed
    | Copy
    | Variance
    | Case
    | Advice
    | Bills
    | Part
    | Heard
    | KitState
    | Evidence
)


class Rows(Protocol):
    """The rows of one partition, as a fold reads them."""

    def get(self, key: str) -> Row | None:
        """Return the row, None where there is none."""
        ...

    def scan(self, prefix: str) -> Iterator[tuple[str, Row]]:
        """Yield the rows whose key starts with `prefix`, in key order."""
        ...


TIMED = "dimqz"
"""First letters of the keys that go on with `|second|sku`."""
CLOCK_KEY = "g|clock"
POLICIES_KEY = "g|policies"


def sku_of(key: str) -> str:
    """The SKU, or the kit, that a row is about; empty for a row of no SKU."""
    words = key.split("|", 3)
    return "" if words[0] == "g" else words[2 if words[0] in TIMED else 1]


def summary_key(sku: str) -> str:
    return f"s|{sku}"


def position_key(sku: str, location: str) -> str:
    return f"p|{sku}|{location}"


def lots_key(sku: str, location: str) -> str:
    return f"L|{sku}|{location}"


def transfer_key(sku: str, transfer: str) -> str:
    """`transfer` is `id|line` as `transfer_id` writes it."""
    return f"t|{sku}|{transfer}"


def claim_key(sku: str, line: str) -> str:
    """`line` is `order|line` as `line_of` writes it."""
    return f"c|{sku}|{line}"


def supply_key(sku: str, line: str) -> str:
    """`line` is `purchase order|line` as `line_of` writes it."""
    return f"b|{sku}|{line}"


def ring_key(sku: str) -> str:
    return f"k|{sku}"


def network_key(sku: str) -> str:
    return f"n|{sku}"


def decision_key(sku: str, request_id: str) -> str:
    return f"a|{sku}|{escape(request_id)}"


def line_of(id_: str, line: int) -> str:
    """A line of a paper as part of a key."""
    return f"{escape(id_)}|{line}"


def due_second(time: int) -> int:
    """The first full second at or after a time: that of a timer that waits for it."""
    return -(-time // SECOND)


def timer_key(second: int, sku: str, what: str = "") -> str:
    """An empty `sku` looks at every SKU of the partition."""
    return f"d|{second:010d}|{sku}|{what}"


def risk_key(sku: str, kind: str, scope: str) -> str:
    return f"r|{sku}|{kind}|{scope}"


def masters_key(sku: str, location: str) -> str:
    """Either may be empty."""
    return f"l|{sku}|{location}"


def feed_key(source: str) -> str:
    return f"g|feed|{escape(source)}"


def copy_key(sku: str, channel: str) -> str:
    return f"h|{sku}|{channel}"


def told_key(sku: str, channel: str) -> str:
    return f"f|{sku}|{channel}"


def variance_key(sku: str, kind: str, what: str) -> str:
    """`sku` is empty for what is of no SKU."""
    return f"v|{sku}|{kind}|{what}"


def case_key(sku: str, kind: str, scope: str) -> str:
    """`sku` is empty for what is of no SKU."""
    return f"x|{sku}|{kind}|{scope}"


def review_key(second: int, sku: str, what: str) -> str:
    """`what` is `kind|rest`, as reviews.py reads it."""
    return f"i|{second:010d}|{sku}|{what}"


def deadline_key(second: int, sku: str, kind: str, scope: str) -> str:
    return f"q|{second:010d}|{sku}|{kind}|{scope}"


def reminder_key(second: int, sku: str, kind: str, location: str) -> str:
    """An empty `kind` has the SKU's advice worked out."""
    return f"m|{second:010d}|{sku}|{kind}|{location}"


def advice_key(sku: str, kind: str, location: str) -> str:
    return f"w|{sku}|{kind}|{location}"


def bills_key(kit: str) -> str:
    return f"o|{kit}"


def bill_timer_key(second: int, kit: str) -> str:
    """When another bill of the kit comes into force."""
    return f"z|{second:010d}|{kit}"


def part_key(sku: str) -> str:
    return f"u|{sku}"


def heard_key(kit: str, sku: str) -> str:
    """The SKU is a component, or the kit itself."""
    return f"j|{kit}|{sku}"


def kit_key(kit: str) -> str:
    return f"y|{kit}"


def evidence_key(sku: str, event_key: str) -> str:
    return f"e|{sku}|{event_key}"


def escape(part: str) -> str:
    """Make a part of a business key unambiguous."""
    return part.replace("%", "%25").replace("|", "%7C") if "|" in part or "%" in part else part


def unescape(part: str) -> str:
    """Read a part of a key as it was before `escape`."""
    return part.replace("%7C", "|").replace("%25", "%")


def business_key(source: str, document: Document, type_: str, sku: str) -> str:
    """`source|document.type|document.id|document.line|type|sku`: always the identity of an event."""
    return f"{escape(source)}|{escape(document.type)}|{escape(document.id)}|{document.line}|{type_}|{sku}"


def key_of(event: Envelope) -> str:
    """The business key of an event."""
    return business_key(event.source, event.document, type(event).__name__, event.sku)


def reference_key(ref: EventRef, sku: str) -> str:
    """The business key of the event that a reversal names."""
    return business_key(ref.source, ref.document, ref.type, sku)
