"""What follows from an event: what the pipeline tells the world; `Effect` is the closed union.

Every effect is absolute or carries a deterministic id, so that reading it twice changes nothing.
Source: docs/domain.md sections 4, 7, 8, 9 and 10.
"""

from atp.events import immutable


@immutable
class Cause:
    """The event that made the difference: its type and business key."""

    type: str
    key: str


@immutable
class NodeFigures:
    """What a node's answer is made of: `sellable - owed - expired - claims - safety_stock` is its raw ATP."""

    sellable: int
    owed: int
    """Units that other buckets of the node owe."""
    claims: int
    safety_stock: int
    eligible: bool
    haircut: int = 0
    """Units held back because the position is not to be trusted."""
    expired: int = 0
    """Units of lots whose last day is over."""


@immutable
class BufferRate:
    """What a buffer by rate is made of.

    max(least, ceil((share_percent / 100 * others_per_day * lag_s + own_per_day * order_lag_s) / 86400))
    """

    least: int
    """The policy's `buffer`: no less is held back."""
    lag_s: int
    """Seconds until the channel shows what it is told."""
    order_lag_s: int
    """Seconds until orders of the channel reach us."""
    own_per_day: int
    """Units a day that the channel draws, at the rate of the last full minute that was judged."""
    others_per_day: int
    """Units a day that all channels draw together that could promise from one place with it, itself apart."""


@immutable
class ChannelFigures:
    """What a channel's answer is made of: min(cap, max(0, ring + share_percent * pool / 100 - buffer))."""

    ring: int
    """Units of its ring-fence that stock can serve."""
    pool: int
    """Units that its nodes expose beside everything promised, its own ring-fence included."""
    share_percent: int
    buffer: int
    cap: int | None
    min_life_days: int = 0
    """Days that goods must still last to be in its pool; in a node's answer goods of any life count."""
    buffer_rate: BufferRate | None = None
    """How `buffer` came about, where a policy lets it follow the rates."""


@immutable
class KitPart:
    """A component of a kit, as the kit's answer saw it."""

    sku: str
    needed: int
    """Units that one kit takes."""
    atp: int
    """What the channel may promise of it."""
    exposed: int
    """Units of it at the locations that serve the channel."""


@immutable
class KitFigures:
    """What the answer for a kit is made of: min(cap, assembled + min(at_nodes, by_parts))."""

    assembled: int
    """What the channel may promise of kits that are assembled already."""
    at_nodes: int
    """Kits that can be put together from components that lie at one location, over all locations."""
    by_parts: int
    """Kits for which the channel may promise every component."""
    cap: int | None
    parts: tuple[KitPart, ...]


@immutable
class DatedQuantity:
    """Units that may be promised for a day, as YYYY-MM-DD."""

    date: str
    quantity: int


@immutable
class AvailabilityChanged:
    """The absolute answer for `channel|sku`, or for `node|sku|location`.

    Apply it where `(epoch, version)` is greater than what was applied before; never add it.
    """

    key: str
    sku: str
    channel: str
    """Empty for a node."""
    location: str
    """Empty for a channel."""
    atp: int
    """What may be promised, never below 0."""
    atp_raw: int
    """For a node sellable less debts, claims and safety stock; for a channel its ring-fence and share of the pool
    less the buffer."""
    previous_atp: int | None
    """The answer of the version before, None for the first."""
    status: str
    """OUT, BACKORDER, PREORDER, LOW or IN_STOCK."""
    epoch: int
    version: int
    as_of: int
    """The SKU's clock: event time up to which the answer has heard."""
    computed_at: int | None
    """The last tick before the answer."""
    cause: Cause
    node: NodeFigures | None = None
    """Of a node's answer."""
    figures: ChannelFigures | None = None
    """Of a channel's answer."""
    kit: KitFigures | None = None
    """Of a channel's answer for a kit, in the place of `figures`."""
    next_available: DatedQuantity | None = None
    """Where nothing may be promised now: the first day for which something may."""
    horizon: tuple[DatedQuantity, ...] = ()
    """What may be promised for a day and until the next day listed, today first; empty where no date matters."""
    orders_seen_through: int | None = None
    """Greatest event time of the channel's own orders and sales that the answer has heard of."""
    confidence: int = 100
    """Of a node: how far its figures are to be trusted, in hundredths."""
    reasons: tuple[str, ...] = ()
    """Why not wholly."""


@immutable
class ChannelExposure:
    """What a channel may promise of a SKU, and from where."""

    channel: str
    atp: int
    version: int
    """Of the SKU's own answer for the channel."""
    locations: tuple[str, ...] | None
    """None: every location."""
    excluded: tuple[str, ...]
    cap: int | None
    low_at: int


@immutable
class KitComponentChanged:
    """What there is of a component of a kit, absolute; or, where `sku` is the kit, what is assembled of it.

    Take it where `(epoch, version)` is greater than what was taken before; never add it.
    """

    kit: str
    sku: str
    epoch: int
    version: int
    nodes: dict[str, int]
    """Units exposed by location; a location that is not named exposes none."""
    channels: tuple[ChannelExposure, ...]
    components: dict[str, int] | None
    """Of the kit itself: the units of each component that one kit needs, as in force. None for a component."""
    as_of: int
    """The SKU's clock."""
    computed_at: int | None
    """The last tick before it."""
    cause: Cause

    @property
    def key(self) -> str:
        """The kit first: its partition is where the record goes."""
        return f"{self.kit}|{self.sku}"


@immutable
class RequestDecided:
    """The one answer to a reservation request: given once, repeated as it is for a resend."""

    request_id: str
    sku: str
    channel: str
    location: str
    """Empty where the request named none."""
    order: str
    """Id of the claim's order, and its line."""
    order_line: int
    decision: str
    """accepted, partly (some of what was asked for) or rejected."""
    requested: int
    quantity: int
    """Units accepted."""
    atp: int
    """What a request of this channel could take at that moment, in base units."""
    reason: str
    """Why not, or not all: empty where it was accepted whole."""
    state: str
    """soft or firm."""
    expires_at: int | None
    decided_at: int | None
    """The last tick before the decision."""
    as_of: int
    """The SKU's clock."""
    epoch: int
    event_key: str


@immutable
class RiskChanged:
    """A risk of overselling opened, changed its severity, or closed."""

    id: str
    kind: str
    """oversold (scope: empty), negative_stock (a location); imminent, exposure, ring_short or projected (a channel)."""
    sku: str
    scope: str
    transition: str
    """opened, restated (another quantity), escalated, deescalated or closed."""
    severity: str
    """CRITICAL, HIGH or MEDIUM."""
    opened_at: int
    at: int
    quantity: int
    """oversold: units promised that no stock can serve. negative_stock: the lower of on hand and sellable.
    imminent: units left to sell. exposure: units that the channel shows beyond what may be promised. ring_short: units
    of the ring-fence that stock cannot serve. projected: the lowest dated figure, below 0."""
    evidence: dict[str, str]
    action: str
    """What to do about it; empty once it is closed."""
    cause: Cause


@immutable
class VarianceChanged:
    """Expected against observed, absolute, restated under one id."""

    id: str
    kind: str
    """COUNT, TRANSFER, ERP, WMS, CLAIMS, CHANNEL, ASN or COMPLETENESS."""
    sku: str
    """Empty for COMPLETENESS, which is of a source."""
    location: str
    document: str
    """The id of the document that states what was observed: the count, the snapshot, the report; for ASN the purchase
    order. Empty for TRANSFER and COMPLETENESS."""
    transfer: str
    """TRANSFER: the id of the transfer; else empty."""
    expected: int
    observed: int
    diff: int
    """observed - expected."""
    basis: str
    """What was counted (on_hand or a bucket), `shipped`, the basis of a snapshot, `version 7` of a channel's answer,
    or a range of sequence numbers."""
    as_of: int
    status: str
    """open while diff is beyond the tolerance, else closed."""
    restatement: int
    """0 at first; how often the figures changed, or it aged, since."""
    cause_hint: str
    cause: Cause
    channel: str = ""
    """CHANNEL: the channel."""
    source: str = ""
    """Who states what was observed; for COMPLETENESS, whose messages are missing."""
    tolerance: int = 0
    """Units that it may differ by, by policy."""
    opened_at: int | None = None
    """Since when it stands; None where it does not, or where nobody keeps its age."""
    age_days: int = 0
    """Full days that it has stood: told at 1, 3, 7 and 30."""
    through_seq: dict[str, int] | None = None
    """The watermark beside `as_of`: by source, the last message that the observed figure has heard."""


@immutable
class ExceptionChanged:
    """Something that somebody must look at was opened, taken on, became more urgent, or was resolved."""

    id: str
    kind: str
    """One of the kinds of `atp/exceptions.py`."""
    sku: str
    """Empty where it is of no SKU, such as a source that fell silent."""
    location: str
    """Empty where it is of no one location."""
    scope: str
    """What it is about within kind and SKU: a location, a line of a paper, an event's key, a source."""
    severity: str
    """LOW, MEDIUM, HIGH or CRITICAL."""
    transition: str
    """opened, acknowledged, escalated or closed."""
    owner: str
    opened_at: int
    at: int
    deadline: int | None
    """When it escalates; None where it does not."""
    evidence: dict[str, str]
    action: str
    """What to do about it; what was done, once it is closed."""
    cause: Cause


@immutable
class AdviceChanged:
    """A recommendation, absolute: nothing is moved, ordered or counted by it."""

    id: str
    kind: str
    """replenish, transfer, count or substitute."""
    sku: str
    location: str
    """Where goods are needed, or counted; empty for a substitute, which is of the SKU as a whole."""
    from_location: str
    """transfer: where they would come from; else empty."""
    day: str
    """The day it was proposed on, as YYYY-MM-DD: part of its id."""
    status: str
    """proposed, approved, rejected, expired or executed."""
    quantity: int
    """Units to order or move; 0 for a count or a substitute."""
    proposed_at: int
    at: int
    expires_at: int | None
    """When it lapses; None once it is rejected, expired or executed."""
    decided_by: str
    """Who approved, rejected or carried it out: an actor, `policy`, or the key of the fact that did."""
    evidence: dict[str, str]
    action: str
    cause: Cause
    substitutes: tuple[str, ...] = ()
    """substitute: the SKUs that may be offered instead, most preferred first."""


@immutable
class ErpLeg:
    """Units moved into an account (positive) or out of it (negative)."""

    account: str
    quantity: int


@immutable
class ErpLine:
    """One balanced posting line: its legs add up to 0."""

    posting_key: str
    """sha256 over event key, leg and version in force: stable however lines are batched."""
    document_type: str
    """GR, GI_SALE, GI_SHIP, RETURN, TRF_OUT, TRF_IN, ADJ, RECLASS, COUNT or RTV."""
    sku: str
    location: str
    """The location whose stock moved."""
    business_date: str
    """The trading day at the location, in UTC where nothing is known of it, as YYYY-MM-DD."""
    quantity: int
    """What the line adds to the location's stock on hand; 0 for a move between its buckets."""
    legs: tuple[ErpLeg, ...]
    reason: str
    event_key: str
    event_time: int
    version: str
    """The version of the event in force that the line posts."""
    reverses: str
    """The posting key that this line takes back; empty for a first posting."""


Effect = (
    AvailabilityChanged
    | RequestDecided
    | RiskChanged
    | VarianceChanged
    | ExceptionChanged
    | AdviceChanged
    | ErpLine
    | KitComponentChanged
)


@immutable
class Refusal:
    """Why an event was not folded; the host adds its raw bytes and coordinates and dead-letters it."""

    cause: str
    detail: str
    suggestion: str = ""
    """A line of the public JSON form that would put the stock right today, where there is one."""


@immutable
class DeadLetter:
    """A record that could not be folded, as it came, with its cause and its coordinates."""

    cause: str
    detail: str
    suggestion: str
    topic: str
    partition: int
    offset: int
    timestamp: int
    """The broker's time of the record, microseconds since 1970-01-01 UTC."""
    key: bytes | None
    value: bytes | None
    headers: dict[str, bytes]
