"""What happened: one immutable class per kind of event; `Event` is their closed union.

Quantities are integers in base units of the SKU. Times are integers, microseconds since 1970-01-01 UTC.
An empty string in `sku`, `location` or `channel` means "not named": such an event holds for everything in
the scope that it does name. Source: docs/domain.md section 3.
"""

from dataclasses import dataclass, field
from typing import NamedTuple, TypeVar, dataclass_transform

C = TypeVar("C")

SECOND = 1_000_000
MINUTE = 60 * SECOND
HOUR = 60 * MINUTE
DAY = 24 * HOUR


@dataclass_transform(frozen_default=True, kw_only_default=True)
def immutable(cls: type[C]) -> type[C]:
    """Make a dataclass that the type checker holds to be frozen.

    At run time it is a plain slotted dataclass: a frozen one sets each field through `object.__setattr__`,
    which costs about 0.2 microseconds a field on a path that builds several of these for each event.
    """
    return dataclass(slots=True, kw_only=True)(cls)


class Document(NamedTuple):
    """The paper that an event is a line of, as its source names it."""

    type: str
    id: str
    line: int


class Ref(NamedTuple):
    """A line of an order, a transfer, a purchase order, an ASN or a return that an event refers to."""

    id: str
    line: int


class EventRef(NamedTuple):
    """Another event of the same SKU, by its business key."""

    type: str
    source: str
    document: Document


@immutable
class Envelope:
    """What every event carries; identity is the business key, never `event_id`."""

    source: str
    document: Document
    event_time: int
    rev: int = 0
    sku: str = ""
    location: str = ""
    channel: str = ""
    quantity: int = 0
    source_seq: int | None = None
    order: Ref | None = None
    reason: str | None = None
    lot: str | None = None
    expiry: str | None = None
    uom: str | None = None
    """The unit that the source used, where it was not the base unit; `uom_quantity` is its raw figure."""
    uom_quantity: str | None = None
    event_id: str | None = None
    recorded_time: int | None = None
    actor: str | None = None
    trace_id: str | None = None


# Goods move -----------------------------------------------------------------------------------------------


@immutable
class SaleRecorded(Envelope):
    """Goods left over the counter; with an `order` it is only the money of a hand-over."""


@immutable
class SaleVoided(Envelope):
    """The named sale never happened."""

    reverses: EventRef


@immutable
class ShipmentConfirmed(Envelope):
    """Goods left in a package."""


@immutable
class PickupConfirmed(Envelope):
    """A customer took an order from the store."""


@immutable
class ShipmentReversed(Envelope):
    """The named shipment, pick-up or transfer shipment never happened."""

    reverses: EventRef


@immutable
class ReturnReceived(Envelope):
    """A customer's goods came back and await inspection."""

    return_ref: Ref | None = None


@immutable
class ReturnDispositioned(Envelope):
    """Inspected: `disposition` is sellable, damaged, quarantine, vendor_return or scrap."""

    disposition: str
    return_ref: Ref | None = None


@immutable
class GoodsReceived(Envelope):
    """A supplier's goods arrived."""

    to_status: str = "sellable"
    purchase_order: Ref | None = None
    asn: Ref | None = None
    final: bool = False


@immutable
class TransferShipped(Envelope):
    """Goods left `location` for `to_location`; without `transfer` the document is the transfer."""

    to_location: str
    transfer: Ref | None = None
    eta: str | None = None


@immutable
class TransferReceived(Envelope):
    """Goods of a transfer arrived at `location`."""

    from_location: str = ""
    transfer: Ref | None = None


@immutable
class TransferLost(Envelope):
    """Goods of a transfer are given up as lost on the way."""

    transfer: Ref | None = None


@immutable
class StockAdjusted(Envelope):
    """Stock corrected by a signed `quantity` in bucket `status`; `reason` picks the counter-account."""

    status: str = "sellable"


@immutable
class StatusChanged(Envelope):
    """Goods moved between buckets of one location: hold, recall, release."""

    from_status: str
    to_status: str


@immutable
class Converted(Envelope):
    """Units of a SKU became, or came from, another SKU: a signed quantity per SKU under one document."""


@immutable
class CountRecorded(Envelope):
    """`quantity` units of `scope` (on_hand or a bucket) were there at `as_of`."""

    as_of: int | None = None
    scope: str = "on_hand"
    through_seq: dict[str, int] | None = None
    excludes: str | None = None


@immutable
class CountClosed(Envelope):
    """A full count of the location is complete: what it did not list is zero."""

    as_of: int | None = None


@immutable
class SnapshotReceived(Envelope):
    """Another system's absolute figure, to compare with: `basis` says of what.

    physical: of `scope`; sellable: of that bucket; net-of-reservations: of sellable goods less what is reserved;
    claims: of its open order lines, at a location or of the SKU as a whole.
    """

    basis: str
    as_of: int | None = None
    scope: str = "on_hand"
    through_seq: dict[str, int] | None = None


# Demand ---------------------------------------------------------------------------------------------------


@immutable
class ReservationRequested(Envelope):
    """A channel asks for units and waits for the answer under `request_id`, which is its identity."""

    request_id: str
    state: str | None = None
    """soft or firm; None: as the channel's policy `reserves_at` says, soft without one."""
    expires_at: int | None = None
    need_date: str | None = None
    partial: bool = False


@immutable
class ReservationPlaced(Envelope):
    """Units promised elsewhere; `state` is soft or firm."""

    state: str = "firm"
    expires_at: int | None = None
    need_date: str | None = None


@immutable
class ReservationDecided(Envelope):
    """An answer to a request, as another engine gave it; our own lie in `reservation-decisions`."""

    request_id: str
    decision: str
    state: str = "soft"
    expires_at: int | None = None
    need_date: str | None = None


@immutable
class ReservationConfirmed(Envelope):
    """A soft claim became firm."""


@immutable
class ReservationReleased(Envelope):
    """Units of a claim were given back."""


@immutable
class ReservationExpired(Envelope):
    """Another system let a soft claim run out; our own run out by `expires_at` and the ticks, without an event."""


@immutable
class OrderCancelled(Envelope):
    """An order line was cancelled: `quantity` units of it, or the rest where it is 0."""


@immutable
class OrderAllocated(Envelope):
    """Units of an order line were given to `location`, or moved from `from_location`."""

    from_location: str = ""


@immutable
class PickConfirmed(Envelope):
    """Units were picked."""


@immutable
class PickFailed(Envelope):
    """Units could not be found at `location`."""


# Supply ---------------------------------------------------------------------------------------------------


@immutable
class PurchaseOrderPlaced(Envelope):
    """A purchase order line, absolute."""

    purchase_order: Ref | None = None
    eta: str | None = None


@immutable
class PurchaseOrderChanged(Envelope):
    """A purchase order line restated, absolute."""

    purchase_order: Ref | None = None
    eta: str | None = None


@immutable
class PurchaseOrderCancelled(Envelope):
    """A purchase order line will not come."""

    purchase_order: Ref | None = None


@immutable
class SupplierConfirmed(Envelope):
    """The supplier confirmed a quantity and a day."""

    purchase_order: Ref | None = None
    eta: str | None = None


@immutable
class AsnShipped(Envelope):
    """The supplier shipped units."""

    purchase_order: Ref | None = None
    asn: Ref | None = None
    eta: str | None = None
    final: bool = False


@immutable
class TransferRequested(Envelope):
    """Somebody asked for a transfer."""

    to_location: str
    transfer: Ref | None = None


@immutable
class TransferApproved(Envelope):
    """A transfer holds units at its origin."""

    to_location: str
    transfer: Ref | None = None
    eta: str | None = None


@immutable
class TransferRejected(Envelope):
    """A transfer will not be made."""

    transfer: Ref | None = None


@immutable
class ReturnAuthorised(Envelope):
    """A customer may send goods back."""

    return_ref: Ref | None = None


# Rules, masters, channels, time ---------------------------------------------------------------------------


@immutable
class PolicyFields:
    """Policy parameters; None leaves a parameter to the next wider scope."""

    safety_stock: int | None = None
    eligible: bool | None = None
    buffer: int | None = None
    share_percent: int | None = None
    cap: int | None = None
    locations: tuple[str, ...] | None = None
    lag_s: int | None = None
    low_at: int | None = None
    dock_days: int | None = None
    max_slip_days: int | None = None
    supplier_late_p90_days: int | None = None
    count_ordered: bool | None = None
    """Whether what is ordered counts as coming before the supplier confirms it."""
    till_is_handover: bool | None = None
    """Whether the till's line of an order moves the goods: where no hand-over is ever reported."""
    reserves_at: str | None = None
    """When the channel reserves: cart (soft), payment or release (firm)."""
    hold_s: int | None = None
    """Seconds after which a soft reservation of the channel expires, where the request names no time."""
    exception_watch: dict[str, bool] | None = None
    """By kind of exception: whether it is watched."""
    exception_grace_s: dict[str, int] | None = None
    """By kind of exception: seconds that its cause must stand before it opens."""
    exception_deadline_s: dict[str, int] | None = None
    """By kind of exception: seconds until it escalates; 0 never."""
    exception_owner: dict[str, str] | None = None
    """By kind of exception: who looks after it."""
    lead_time_days: int | None = None
    """Days from ordering to shelf: with `order_up_to`, what makes a location's replenishment advised."""
    order_up_to: int | None = None
    """Units that a replenishment fills a location up to."""
    moq: int | None = None
    """Units ordered at least."""
    pack: int | None = None
    """Units ordered come in multiples of this."""
    high_water_days: int | None = None
    """Days of its own demand beyond which a location may give stock away."""
    approve_above: int | None = None
    """Units above which an advice waits for an approval; what is at or below it is approved as it is proposed."""
    snapshot_is_count: bool | None = None
    """Whether another system's snapshot of the location is an anchor, as a count is."""
    tolerance_units: int | None = None
    """Units that a figure of another system may differ by before the difference stands."""
    tolerance_percent: int | None = None
    """Percent of what was expected that it may differ by; the greater of the two holds."""
    grace_hours: int | None = None
    """Hours after its day until what has not come is a variance: an ASN's line, a transfer."""
    verify_days: int | None = None
    """Days in which trust in an unverified position falls to 37 %: lets confidence be worked out."""
    haircuts: bool | None = None
    """Whether low confidence takes units off what a position shows, or all of them."""
    publish_units: int | None = None
    """Units by which a channel's answer must differ from the last one told, to be told."""
    publish_percent: int | None = None
    """Percent of the last one told that it must differ by; the greater of the two holds."""
    ttl_s: int | None = None
    """Seconds for which a channel's answer is good: it is told again before."""
    min_life_days: int | None = None
    """Days that goods must still last to be promised through a channel."""
    buffer_by_rate: bool | None = None
    """Whether a channel's buffer covers what is drawn within its lags, at the rates of the SKU."""
    order_lag_s: int | None = None
    """Seconds until orders of the channel reach us."""
    sells_ahead: str | None = None
    """What a channel with nothing left says where there is a day to promise for: backorder, preorder or never (OUT)."""


@immutable
class PolicyChanged(Envelope):
    """Parameters of the scope that sku, location and channel name, effective from `event_time`."""

    policy: PolicyFields


@immutable
class MasterChanged(Envelope):
    """Master data of a SKU or a location, or what a kit is made of.

    A bill of materials names its `kit` and no `sku`: it concerns the components too, whichever partition they lie in.
    """

    attributes: dict[str, str] = field(default_factory=dict)
    kit: str = ""
    components: dict[str, int] | None = None
    """Units of each component that one kit needs; empty where it is no longer made of others."""
    substitutes: tuple[str, ...] | None = None
    """SKUs that may be offered instead of this one, most preferred first; empty where none is any more."""


@immutable
class AllocationGranted(Envelope):
    """A ring-fence of units for `channel`."""

    priority: int = 0


@immutable
class AllocationReturned(Envelope):
    """Units of a ring-fence given back."""


@immutable
class ChannelAck(Envelope):
    """A channel applied a version of our availability."""

    version: int
    epoch: int = 0


@immutable
class ChannelReported(Envelope):
    """A channel says what it shows."""

    version: int | None = None
    as_of: int | None = None


@immutable
class SourceMark(Envelope):
    """A source attests that it is complete up to a sequence and a time."""

    through_seq: dict[str, int] | None = None
    through_time: int | None = None


@immutable
class SequenceGapOpened(Envelope):
    """Our intake misses sequence numbers of a source."""

    from_seq: int
    to_seq: int


@immutable
class SequenceGapClosed(Envelope):
    """The missing sequence numbers came."""

    from_seq: int
    to_seq: int


@immutable
class ExceptionAcknowledged(Envelope):
    """Somebody took an open exception on: by its id, or by kind and scope within `sku`."""

    exception: str = ""
    kind: str = ""
    scope: str = ""
    owner: str = ""
    """Who looks after it from now on; empty: who did so far."""
    resolution: str | None = None
    """What was done, where no fact can tell: it closes the exception."""


@immutable
class AdviceDecided(Envelope):
    """Somebody answered an advice: `answer` is approved, rejected or executed."""

    advice: str
    answer: str


@immutable
class FinancialOnly(Envelope):
    """Money moved, goods did not."""


@immutable
class Correction(Envelope):
    """Replaces the named event by `replacement`, or by nothing."""

    reverses: EventRef
    replacement: "Fact | None" = None


@immutable
class TimeTicked(Envelope):
    """Time passed: the only clock that the fold knows."""


Movement = (
    SaleRecorded
    | ShipmentConfirmed
    | PickupConfirmed
    | ReturnReceived
    | ReturnDispositioned
    | GoodsReceived
    | TransferShipped
    | TransferReceived
    | TransferLost
    | StockAdjusted
    | StatusChanged
    | Converted
    | CountRecorded
    | FinancialOnly
)
"""What happened to goods."""

Demand = (
    ReservationPlaced
    | ReservationDecided
    | ReservationConfirmed
    | ReservationReleased
    | OrderCancelled
    | OrderAllocated
    | PickConfirmed
    | PickFailed
    | TransferRequested
    | TransferApproved
    | TransferRejected
    | ReturnAuthorised
    | ReservationExpired
)
"""What happened to claims on goods."""

Fact = Movement | Demand
"""Folded events that a Correction may replace."""

Reversal = SaleVoided | ShipmentReversed | Correction

Supply = PurchaseOrderPlaced | PurchaseOrderChanged | PurchaseOrderCancelled | SupplierConfirmed | AsnShipped
"""What is to come: absolute or summed per purchase order line, in whatever order it is told."""

Grant = AllocationGranted | AllocationReturned

Attention = ExceptionAcknowledged | AdviceDecided
"""What people answer to exceptions and advice."""

Beside = (
    CountClosed
    | SnapshotReceived
    | ChannelAck
    | ChannelReported
    | MasterChanged
    | SourceMark
    | SequenceGapOpened
    | SequenceGapClosed
)
"""What others hold, and what is known of sources and places as a whole."""

Event = Fact | Reversal | ReservationRequested | Supply | Grant | Beside | Attention | PolicyChanged | TimeTicked
