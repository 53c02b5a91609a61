"""Which events can mean anything at all: one check for every edge, at publishing as at reading.

`check` looks at one event by itself, never at what the book holds. What it lets through, the fold can fold.
"""

from collections.abc import Callable
from typing import Any, Literal, NoReturn

from atp import events as e
from atp.events import Envelope, Event
from atp.limits import (
    ID_MAX,
    NUMBER_MAX,
    QUANTITY_MAX,
    SEQUENCE_MAX,
    TIME_MAX,
    TIME_MIN,
    CheckError,
    check_day,
    check_number,
    check_ref,
    check_text,
    check_time,
    is_id,
    is_name,
    may_be_id,
    refuse,
    refuse_name,
    refuse_text,
    refuse_value,
)
from atp.particulars import PARTICULARS, check_reversal

__all__ = ["CheckError", "check", "needs_quantity"]

Sign = Literal["positive", "signed", "count", "any", "maybe", "none"]
"""What a quantity may be: above 0; not 0; 0 or more; anything; left out, or 0 or more; left out."""

# What quantity may be; whether a SKU is named, and a location: yes, no, or either.
_NEEDS: dict[type, tuple[Sign, str, str]] = {
    e.SaleRecorded: ("positive", "yes", "yes"),
    e.SaleVoided: ("none", "yes", ""),
    e.ShipmentConfirmed: ("positive", "yes", "yes"),
    e.PickupConfirmed: ("positive", "yes", "yes"),
    e.ShipmentReversed: ("none", "yes", ""),
    e.ReturnReceived: ("positive", "yes", "yes"),
    e.ReturnDispositioned: ("positive", "yes", "yes"),
    e.GoodsReceived: ("positive", "yes", "yes"),
    e.TransferShipped: ("positive", "yes", "yes"),
    e.TransferReceived: ("positive", "yes", "yes"),
    e.TransferLost: ("positive", "yes", "yes"),
    e.StockAdjusted: ("signed", "yes", "yes"),
    e.StatusChanged: ("positive", "yes", "yes"),
    e.Converted: ("signed", "yes", "yes"),
    e.CountRecorded: ("count", "yes", "yes"),
    e.CountClosed: ("none", "", "yes"),
    e.SnapshotReceived: ("any", "yes", ""),
    e.ReservationRequested: ("positive", "yes", ""),
    e.ReservationPlaced: ("positive", "yes", ""),
    e.ReservationDecided: ("maybe", "yes", ""),
    e.ReservationConfirmed: ("maybe", "yes", ""),
    e.ReservationReleased: ("positive", "yes", ""),
    e.ReservationExpired: ("maybe", "yes", ""),
    e.OrderCancelled: ("maybe", "yes", ""),
    e.OrderAllocated: ("positive", "yes", "yes"),
    e.PickConfirmed: ("positive", "yes", "yes"),
    e.PickFailed: ("positive", "yes", "yes"),
    e.PurchaseOrderPlaced: ("count", "yes", ""),
    e.PurchaseOrderChanged: ("count", "yes", ""),
    e.PurchaseOrderCancelled: ("none", "yes", ""),
    e.SupplierConfirmed: ("count", "yes", ""),
    e.AsnShipped: ("positive", "yes", ""),
    e.TransferRequested: ("positive", "yes", ""),
    e.TransferApproved: ("positive", "yes", "yes"),
    e.TransferRejected: ("maybe", "yes", ""),
    e.ReturnAuthorised: ("positive", "yes", ""),
    e.PolicyChanged: ("none", "", ""),
    e.MasterChanged: ("none", "", ""),
    e.AllocationGranted: ("positive", "yes", ""),
    e.AllocationReturned: ("positive", "yes", ""),
    e.ChannelAck: ("maybe", "yes", ""),
    e.ChannelReported: ("count", "yes", ""),
    e.SourceMark: ("none", "no", ""),
    e.SequenceGapOpened: ("none", "no", ""),
    e.SequenceGapClosed: ("none", "no", ""),
    e.ExceptionAcknowledged: ("none", "", ""),
    e.AdviceDecided: ("maybe", "yes", ""),
    e.FinancialOnly: ("maybe", "yes", ""),
    e.Correction: ("none", "yes", ""),
    e.TimeTicked: ("none", "no", "no"),
}


def check(event: Event) -> None:
    """Raise CheckError if the event cannot mean anything.

    Causes: `out_of_range` (quantities, times, numbers), `bad_name` (SKUs, locations, channels, sources, ids),
    `unknown_word` (buckets, dispositions, states), `missing`, `invalid`.
    """
    sign, sku, location = _NEEDS[type(event)]
    if not (is_id(event.source) and is_id(event.document.type) and may_be_id(event.document.id)):
        _refuse_id(event)
    if not TIME_MIN <= event.event_time < TIME_MAX:
        refuse_value("event_time", "a time from 2000 to 2099", event.event_time)
    if not (0 <= event.rev <= NUMBER_MAX and 0 <= event.document.line <= NUMBER_MAX):
        check_number("rev", event.rev, NUMBER_MAX)
        check_number("document.line", event.document.line, NUMBER_MAX)
    _names(event, sku, location)
    quantity = event.quantity
    if sign == "positive":
        if not 0 < quantity <= QUANTITY_MAX and (quantity or not event.rev):
            _refuse_quantity(event, f"from 1 to {QUANTITY_MAX}, or 0 in a revision that takes the line back")
    else:
        _quantity(event, sign)
    if (numbers := event.source_seq) is not None and not 0 <= numbers <= SEQUENCE_MAX:
        refuse_value("source_seq", "a number from 0", numbers)
    if event.order is not None:
        check_ref("order", event.order)
    if (special := _SPECIAL.get(type(event))) is not None:
        special(event)
    if _rest(event) != _NOTHING:
        _check_rest(event)


def needs_quantity(kind: type) -> bool:
    """Say whether events of this class say nothing without a quantity."""
    return _NEEDS[kind][0] in {"positive", "signed", "count", "any"}


def _rest(event: Envelope) -> tuple[Any, ...]:
    return (
        event.reason, event.lot, event.expiry, event.uom, event.uom_quantity, event.event_id, event.recorded_time,
        event.actor, event.trace_id,
    )  # fmt: skip


_NOTHING = (None,) * 9


def _names(event: Envelope, sku: str, location: str) -> None:
    if event.sku:
        if not is_name(event.sku):
            refuse_name("sku", event.sku)
        if sku == "no":
            refuse("invalid", "sku", f"must be left out: {type(event).__name__} holds for all of them")
    elif sku == "yes":
        refuse("missing", "sku", f"is missing: {type(event).__name__} needs one")
    if event.location:
        if not is_name(event.location):
            refuse_name("location", event.location)
        if location == "no":
            refuse("invalid", "location", f"must be left out: {type(event).__name__} holds for all of them")
    elif location == "yes":
        refuse("missing", "location", f"is missing: {type(event).__name__} needs one")
    if event.channel and not is_name(event.channel):
        refuse_name("channel", event.channel)


def _quantity(event: Envelope, sign: Sign) -> None:
    quantity = event.quantity
    if sign == "none":
        if quantity:
            _refuse_quantity(event, "left out: it takes none")
    elif abs(quantity) > QUANTITY_MAX:
        _refuse_quantity(event, f"at most {QUANTITY_MAX}")
    elif sign in {"count", "maybe"} and quantity < 0:
        _refuse_quantity(event, "0 or more")
    elif sign == "signed" and not quantity and not event.rev:
        _refuse_quantity(event, "positive or negative, or 0 in a revision that takes the line back")


def _refuse_quantity(event: Envelope, expected: str) -> NoReturn:
    refuse("out_of_range", "quantity", f"of {type(event).__name__} must be {expected}, not {event.quantity}")


def _refuse_id(event: Envelope) -> NoReturn:
    parts = {"source": event.source, "document.type": event.document.type, "document.id": event.document.id}
    field, text = next((field, text) for field, text in parts.items() if not is_id(text))
    refuse_text(field, text, ID_MAX)


def _check_rest(event: Envelope) -> None:
    for field in ("reason", "lot", "uom", "uom_quantity", "event_id", "actor", "trace_id"):
        check_text(field, getattr(event, field))
    if (event.uom is None) != (event.uom_quantity is None):
        refuse("missing", "uom and uom_quantity", "must come together: the source's unit, and its figure in it")
    if event.expiry is not None:
        check_day("expiry", event.expiry)
    if event.recorded_time is not None:
        check_time("recorded_time", event.recorded_time)


def _correction(event: e.Correction) -> None:
    check_reversal(event)
    new, ref = event.replacement, event.reverses
    if new is None:
        return
    check(new)
    if new.event_time > event.event_time + e.DAY:
        refuse("out_of_range", "replacement.event_time", "must not be over a day after the correction's own")
    mine = (type(new).__name__, new.source, new.document, new.sku)
    if mine != (ref.type, ref.source, ref.document, event.sku):
        refuse("invalid", "replacement", "must have the type, source, document and sku of the event that it replaces")


_SPECIAL: dict[type, Callable[[Any], None]] = {**PARTICULARS, e.Correction: _correction}
