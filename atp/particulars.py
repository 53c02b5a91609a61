"""What the fields of one class of events must be, beyond those that all events share."""

from collections.abc import Callable
from typing import Any, get_args

from atp import events as e
from atp.book import BUCKETS
from atp.calendar import is_cut_off, is_zone
from atp.duties import DUTIES
from atp.events import DAY, Envelope
from atp.limits import (
    ID_MAX,
    NUMBER_MAX,
    QUANTITY_MAX,
    check_day,
    check_marks,
    check_number,
    check_ref,
    check_text,
    check_time,
    check_word,
    is_id,
    is_name,
    refuse,
    refuse_name,
    refuse_text,
    refuse_value,
)

DISPOSITIONS = ("sellable", "damaged", "quarantine", "vendor_return", "scrap")
SCOPES = ("on_hand", *BUCKETS)
STATES = ("soft", "firm")
DECISIONS = ("accepted", "partly", "rejected")
ANSWERS = ("approved", "rejected", "executed")
KINDS = tuple(sorted(DUTIES))
MOMENTS = ("cart", "payment", "release")
AHEAD = ("backorder", "preorder", "never")
COMPONENTS_MAX = 200
"""Of one kit: a bill with more is a catalogue."""
SUBSTITUTES_MAX = 20
"""Of one SKU: nobody reads further."""
BASES = ("physical", "sellable", "net-of-reservations", "claims")

FACTS = tuple(kind.__name__ for kind in get_args(e.Fact))
REVERSIBLE: dict[type, tuple[str, ...]] = {
    e.SaleVoided: ("SaleRecorded",),
    e.ShipmentReversed: ("ShipmentConfirmed", "PickupConfirmed", "TransferShipped"),
    e.Correction: FACTS,
}
"""What a reversal may name."""


def _other_place(event: e.TransferShipped | e.TransferRequested | e.TransferApproved) -> None:
    if not is_name(event.to_location):
        refuse_name("to_location", event.to_location)
    if event.to_location == event.location:
        refuse("invalid", "to_location", f"must be another than location, {event.location}")


def _from_place(event: e.TransferReceived | e.OrderAllocated) -> None:
    if event.from_location and not is_name(event.from_location):
        refuse_name("from_location", event.from_location)


def _disposition(event: e.ReturnDispositioned) -> None:
    check_word("disposition", event.disposition, DISPOSITIONS)
    _refs(event)


def _received(event: e.GoodsReceived) -> None:
    check_word("to_status", event.to_status, BUCKETS)
    _refs(event)


def _shipped(event: e.TransferShipped | e.TransferRequested | e.TransferApproved) -> None:
    _other_place(event)
    _refs(event)


def _arrived(event: e.TransferReceived | e.OrderAllocated) -> None:
    _from_place(event)
    _refs(event)


def _adjusted(event: e.StockAdjusted) -> None:
    check_word("status", event.status, BUCKETS)


def _status(event: e.StatusChanged) -> None:
    check_word("from_status", event.from_status, BUCKETS)
    check_word("to_status", event.to_status, BUCKETS)
    if event.from_status == event.to_status:
        refuse("invalid", "to_status", f"must be another than from_status, {event.from_status}")


def _count(event: e.CountRecorded | e.SnapshotReceived) -> None:
    check_word("scope", event.scope, SCOPES)
    check_time("as_of", event.as_of)
    # A count swallows what it covers: one with a year mistyped would hide every movement until then.
    if event.as_of is not None and event.as_of > event.event_time + DAY:
        refuse("out_of_range", "as_of", "must not be over a day after event_time")
    check_marks(event.through_seq)
    if isinstance(event, e.SnapshotReceived):
        check_word("basis", event.basis, BASES)
        if not event.location and event.basis != "claims":
            refuse("missing", "location", f"is missing: a snapshot of basis {event.basis} needs one")
    else:
        check_text("excludes", event.excludes)


def _as_of(event: e.CountClosed | e.ChannelReported) -> None:
    check_time("as_of", event.as_of)
    if event.as_of is not None and event.as_of > event.event_time + DAY:
        refuse("out_of_range", "as_of", "must not be over a day after event_time")
    if isinstance(event, e.ChannelReported):
        _of_channel(event)
        if event.version is not None:
            check_number("version", event.version)


def _of_channel(event: e.ChannelAck | e.ChannelReported) -> None:
    if not event.channel:
        refuse("missing", "channel", f"is missing: {type(event).__name__} says what a channel shows")


def _ack(event: e.ChannelAck) -> None:
    _of_channel(event)
    check_number("version", event.version)
    check_number("epoch", event.epoch)


def _claim(event: e.ReservationRequested | e.ReservationPlaced | e.ReservationDecided) -> None:
    if event.state is not None:
        check_word("state", event.state, STATES)
    check_time("expires_at", event.expires_at)
    check_day("need_date", event.need_date)
    if not isinstance(event, e.ReservationPlaced) and not is_id(event.request_id):
        refuse_text("request_id", event.request_id, ID_MAX)
    if isinstance(event, e.ReservationDecided):
        check_word("decision", event.decision, DECISIONS)


def _refs(event: Envelope) -> None:
    for field in ("transfer", "purchase_order", "asn", "return_ref"):
        if (ref := getattr(event, field, None)) is not None:
            check_ref("return" if field == "return_ref" else field, ref)
    check_day("eta", getattr(event, "eta", None))


def _gap(event: e.SequenceGapOpened | e.SequenceGapClosed) -> None:
    check_number("from_seq", event.from_seq)
    check_number("to_seq", event.to_seq)
    if event.from_seq > event.to_seq:
        refuse_value("to_seq", f"{event.from_seq} or more", event.to_seq)


def _mark(event: e.SourceMark) -> None:
    check_marks(event.through_seq)
    check_time("through_time", event.through_time)


def _master(event: e.MasterChanged) -> None:
    for field, text in event.attributes.items():
        check_text("name of an attribute", field)
        check_text(f"attributes.{field}", text)
    if event.kit or event.components is not None:
        _bill(event)
    if event.substitutes is not None:
        _substitutes(event, event.substitutes)


def _substitutes(event: e.MasterChanged, named: tuple[str, ...]) -> None:
    if not event.sku:
        refuse("missing", "sku", "is missing: substitutes stand in for one SKU")
    if event.location:
        refuse("invalid", "location", "must be left out beside substitutes: they stand in everywhere")
    if len(named) > SUBSTITUTES_MAX:
        refuse("out_of_range", "substitutes", f"must be at most {SUBSTITUTES_MAX}, not {len(named)}")
    for sku in named:
        if not is_name(sku):
            refuse_name("substitutes", sku)
        if sku == event.sku:
            refuse("invalid", "substitutes", f"must not name the SKU itself, {sku}")
    if len(set(named)) != len(named):
        refuse("invalid", "substitutes", "must name each SKU once")


def _bill(event: e.MasterChanged) -> None:
    if not event.kit:
        refuse("missing", "kit", "is missing: it names the SKU that the components make")
    if not is_name(event.kit):
        refuse_name("kit", event.kit)
    if event.components is None:
        refuse("missing", "components", 'is missing: what one kit takes, like {"A": 2, "B": 1}; {} ends a kit')
    for field in ("sku", "location", "channel", "attributes", "substitutes"):
        if getattr(event, field):
            refuse("invalid", field, "must be left out beside kit: a bill goes wherever its components are kept")
    if len(event.components) > COMPONENTS_MAX:
        refuse("out_of_range", "components", f"must be at most {COMPONENTS_MAX}, not {len(event.components)}")
    for component, units in event.components.items():
        if not is_name(component):
            refuse_name("components", component)
        if component == event.kit:
            refuse("invalid", "components", f"must not name the kit itself, {component}")
        if not 0 < units <= QUANTITY_MAX:
            refuse_value(f"components.{component}", f"a number from 1 to {QUANTITY_MAX}", units)
    if (zone := event.attributes.get("zone")) is not None and not is_zone(zone):
        refuse("unknown_word", "attributes.zone", f"must be a time zone like Europe/Berlin, not {zone!r}")
    for field in ("cut_off", "opens", "closes"):
        if (time := event.attributes.get(field)) is not None and not is_cut_off(time):
            refuse("invalid", f"attributes.{field}", f"must be a time of day like 04:00, not {time!r}")


def _granted(event: e.AllocationGranted) -> None:
    check_number("priority", event.priority, NUMBER_MAX)


def _acknowledged(event: e.ExceptionAcknowledged) -> None:
    if not event.exception and not event.kind:
        refuse("missing", "exception", "is missing: say the exception's id, or its kind and scope")
    for field in ("exception", "kind", "owner"):
        if (text := getattr(event, field)) and not is_id(text):
            refuse_text(field, text, ID_MAX)
    if event.scope:
        check_text("scope", event.scope)
    check_text("resolution", event.resolution)


def _decided(event: e.AdviceDecided) -> None:
    if not is_id(event.advice):
        refuse_text("advice", event.advice, ID_MAX)
    check_word("answer", event.answer, ANSWERS)


def _policy(event: e.PolicyChanged) -> None:
    policy = event.policy
    for field, most in _LIMITS.items():
        if (number := getattr(policy, field)) is not None and not 0 <= number <= most:
            refuse_value(f"policy.{field}", f"a number from 0 to {most}", number)
    for location in policy.locations or ():
        if not is_name(location):
            refuse_name("policy.locations", location)
    if policy.reserves_at is not None:
        check_word("policy.reserves_at", policy.reserves_at, MOMENTS)
    if policy.sells_ahead is not None:
        check_word("policy.sells_ahead", policy.sells_ahead, AHEAD)
    for field in ("exception_watch", "exception_grace_s", "exception_deadline_s", "exception_owner"):
        for kind in getattr(policy, field) or ():
            check_word(f"kind of exception in policy.{field}", kind, KINDS)
    for field in ("exception_grace_s", "exception_deadline_s"):
        for kind, number in (getattr(policy, field) or {}).items():
            if not 0 <= number <= _LIMITS["hold_s"]:
                refuse_value(f"policy.{field}.{kind}", f"a number from 0 to {_LIMITS['hold_s']}", number)
    for kind, owner in (policy.exception_owner or {}).items():
        check_text(f"policy.exception_owner.{kind}", owner)
    if policy == e.PolicyFields():
        refuse("missing", "policy", "must set at least one parameter")


_LIMITS = {
    "safety_stock": QUANTITY_MAX, "buffer": QUANTITY_MAX, "share_percent": 100, "cap": QUANTITY_MAX,
    "lag_s": 86_400 * 365, "low_at": QUANTITY_MAX, "dock_days": 365, "max_slip_days": 3_650,
    "supplier_late_p90_days": 365, "hold_s": 86_400 * 365, "lead_time_days": 365, "order_up_to": QUANTITY_MAX,
    "moq": QUANTITY_MAX, "pack": QUANTITY_MAX, "high_water_days": 3_650, "approve_above": QUANTITY_MAX,
    "tolerance_units": QUANTITY_MAX, "tolerance_percent": 100, "grace_hours": 24 * 365, "verify_days": 3_650,
    "publish_units": QUANTITY_MAX, "publish_percent": 100, "ttl_s": 86_400 * 365,
    "min_life_days": 3_650,
    "order_lag_s": 86_400 * 365,
}  # fmt: skip


def check_reversal(event: e.Reversal) -> None:
    ref = event.reverses
    check_word("reverses.type", ref.type, REVERSIBLE[type(event)])
    if not (is_id(ref.source) and is_id(ref.document.type) and is_id(ref.document.id)):
        refuse_text("reverses.source and reverses.document", str(tuple(ref)), ID_MAX)
    if not 0 <= ref.document.line <= NUMBER_MAX:
        refuse_value("reverses.document.line", f"a number from 0 to {NUMBER_MAX}", ref.document.line)
    if event.rev:
        refuse("invalid", "rev", f"must be left out: {type(event).__name__} has no revisions")


PARTICULARS: dict[type, Callable[[Any], None]] = {
    e.SaleVoided: check_reversal,
    e.ShipmentReversed: check_reversal,
    e.ReturnReceived: _refs,
    e.ReturnDispositioned: _disposition,
    e.GoodsReceived: _received,
    e.TransferShipped: _shipped,
    e.TransferReceived: _arrived,
    e.TransferLost: _refs,
    e.StockAdjusted: _adjusted,
    e.StatusChanged: _status,
    e.CountRecorded: _count,
    e.CountClosed: _as_of,
    e.SnapshotReceived: _count,
    e.ReservationRequested: _claim,
    e.ReservationPlaced: _claim,
    e.ReservationDecided: _claim,
    e.OrderAllocated: _arrived,
    e.PurchaseOrderPlaced: _refs,
    e.PurchaseOrderChanged: _refs,
    e.PurchaseOrderCancelled: _refs,
    e.SupplierConfirmed: _refs,
    e.AsnShipped: _refs,
    e.TransferRequested: _shipped,
    e.TransferApproved: _shipped,
    e.TransferRejected: _refs,
    e.ReturnAuthorised: _refs,
    e.PolicyChanged: _policy,
    e.MasterChanged: _master,
    e.AllocationGranted: _granted,
    e.ExceptionAcknowledged: _acknowledged,
    e.AdviceDecided: _decided,
    e.ChannelAck: _ack,
    e.ChannelReported: _as_of,
    e.SourceMark: _mark,
    e.SequenceGapOpened: _gap,
    e.SequenceGapClosed: _gap,
}
