"""State: one class per kind of row, their keys, and the view of them that a fold reads.

| row       | key                        | changelog           |
|-----------|----------------------------|---------------------|
| Clock     | `g|clock`                  | inventory-changelog |
| Policies  | `g|policies`               | inventory-changelog |
| Summary   | `s|sku`                    | inventory-changelog |
| Position  | `p|sku|location`           | inventory-changelog |
| Transfer  | `t|sku|id|line`            | inventory-changelog |
| Timer     | `d|minute|sku`             | inventory-changelog |
| Risk      | `r|sku|kind|scope`         | inventory-changelog |
| Evidence  | `e|sku|event key`          | inventory-evidence  |

No SKU, location or channel contains `|` (the edges refuse it), so a key has one reading. Keys sort as their
UTF-8 bytes do; `minute` is written with 10 digits, so that timers sort by time.
"""

from collections.abc import Iterator
from typing import Protocol

from atp.events import Document, EventRef, PolicyFields, immutable

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
    cap: int | None = None
    lag_s: int = 0
    low_at: int = 0

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
    """Sum of what its locations expose."""
    atp: int
    version: int
    """0 before the first answer."""


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
    """The minute of the timer that waits for this SKU; 0 where none does."""
    swept: int
    """The clock when forgotten evidence was last deleted."""


@immutable
class Count:
    """A count in force at a position, inside the window."""

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

    @property
    def on_hand(self) -> int:
        """Units physically there."""
        return self.sellable + self.returned + self.quarantine + self.damaged


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

    @property
    def shipped(self) -> int:
        return sum(self.shipped_to.values())

    @property
    def open(self) -> int:
        """Units on their way; below 0 where more came than left."""
        return self.shipped - self.received - self.lost


@immutable
class Timer:
    """A SKU wants to be looked at when its minute has come."""


@immutable
class Risk:
    """An open risk."""

    id: str
    severity: str
    opened_at: int
    calm_since: int | None
    quantity: int


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


Row = Clock | Policies | Summary | Position | Transfer | Timer | Risk | Evidence


class Rows(Protocol):
    """The rows of one partition, as a fold reads them."""

    def get(self, key: str) -> Row | None:
        """Return the row, None where there is none."""
        ...

    def scan(self, prefix: str) -> Iterator[tuple[str, Row]]:
        """Yield the rows whose key starts with `prefix`, in key order."""
        ...


CLOCK_KEY = "g|clock"
POLICIES_KEY = "g|policies"


def summary_key(sku: str) -> str:
    return f"s|{sku}"


def position_key(sku: str, location: str) -> str:
    return f"p|{sku}|{location}"


def transfer_key(sku: str, transfer: str) -> str:
    """`transfer` is `id|line` as `transfer_id` writes it."""
    return f"t|{sku}|{transfer}"


def timer_key(minute: int, sku: str) -> str:
    """An empty `sku` looks at every SKU of the partition."""
    return f"d|{minute:010d}|{sku}"


def risk_key(sku: str, kind: str, scope: str) -> str:
    return f"r|{sku}|{kind}|{scope}"


def evidence_key(sku: str, event_key: str) -> str:
    return f"e|{sku}|{event_key}"


def changelog_of(key: str) -> str:
    """The topic that can rebuild the row."""
    return "inventory-evidence" if key.startswith("e|") else "inventory-changelog"


def escape(part: str) -> str:
    """Make a part of a business key unambiguous."""
    return part.replace("%", "%25").replace("|", "%7C") if "|" in part or "%" in part else part


def business_key(source: str, document: Document, type_: str, sku: str) -> str:
    """`source|document.type|document.id|document.line|type|sku`: always the identity of an event."""
    return f"{escape(source)}|{escape(document.type)}|{escape(document.id)}|{document.line}|{type_}|{sku}"


def reference_key(ref: EventRef, sku: str) -> str:
    """The business key of the event that a reversal names."""
    return business_key(ref.source, ref.document, ref.type, sku)
