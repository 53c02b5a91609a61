"""Naive builds, second part: classic mistakes with what is promised, and with what is to come.

As in naive.py, each misreads the log before the reference model answers, or the model's answer after.
Source: docs/domain.md section 13.
"""

from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import UTC, datetime

from atp.events import (
    DAY,
    AllocationGranted,
    AsnShipped,
    Document,
    Envelope,
    Event,
    GoodsReceived,
    OrderAllocated,
    OrderCancelled,
    PickFailed,
    PickupConfirmed,
    PolicyChanged,
    Ref,
    ReservationExpired,
    ReservationPlaced,
    ShipmentConfirmed,
    StockAdjusted,
    SupplierConfirmed,
    TimeTicked,
)
from tests.core.model import Answer, answer

WINDOW = 7 * DAY
Log = Sequence[Event | None]
Build = Callable[[Log], Answer]


def _readable(log: Log) -> list[Event]:
    return [event for event in log if event is not None]


def _each(misread: Callable[[Event, list[Event]], list[Event]]) -> Build:
    """Read each event as others, knowing those that came before it."""

    def build(log: Log) -> Answer:
        events = _readable(log)
        return answer([other for n, event in enumerate(events) for other in misread(event, events[:n])], WINDOW)

    return build


def _adjusted(event: Envelope, quantity: int, name: str) -> StockAdjusted:
    return StockAdjusted(
        source=event.source,
        document=Document(name, f"{name} {event.document.id}", event.document.line),
        event_time=event.event_time,
        sku=event.sku,
        location=event.location,
        quantity=quantity,
    )


def _cancel_of_nothing(event: Event, before: list[Event]) -> list[Event]:
    """Trap 8: a cancel that comes before its reservation is dropped, and leaves a phantom claim."""
    known = any(isinstance(one, ReservationPlaced) and one.order == event.order for one in before)
    return [] if isinstance(event, OrderCancelled) and not known else [event]


def expiry_after_shipment(log: Log) -> Answer:
    """Trap 9: the expiry gives back what the shipment had taken already."""
    events = _readable(log)
    whole = answer(events, WINDOW)
    for event in events:
        if isinstance(event, ShipmentConfirmed) and event.order is not None:
            line = whole.lines[event.sku, event.order.id, event.order.line]
            if line.expired:
                at = (event.sku, event.location)
                position = whole.positions[at]
                whole.positions[at] = replace(position, reserved_soft=position.reserved_soft - event.quantity)
    return whole


def _wall_clock(event: Event, _: list[Event]) -> list[Event]:
    """Trap 10: by the wall clock of whoever reads the log, every reservation in it has long expired."""
    return [] if isinstance(event, ReservationPlaced) and event.expires_at is not None else [event]


def _unplaced_ignored(event: Event, _: list[Event]) -> list[Event]:
    """Trap 11: an order that no location was chosen for is nobody's demand."""
    return [] if isinstance(event, ReservationPlaced) and not event.location else [event]


def _shipment_frees_the_rest(event: Event, _: list[Event]) -> list[Event]:
    """Trap 12: the first package of a line closes all of it."""
    if not isinstance(event, ShipmentConfirmed) or event.order is None:
        return [event]
    document = Document("closed", event.document.id, 1)
    closed = OrderCancelled(
        source=event.source, document=document, event_time=event.event_time, sku=event.sku, order=event.order
    )
    return [event, closed]


def over_receipt_is_owed(log: Log) -> Answer:
    """Trap 15: what came too much is taken from what still comes by other papers."""
    whole = answer(_readable(log), WINDOW)
    for (sku, _, _), line in whole.supply.items():
        over = max(0, line.received - max(line.ordered, line.confirmed, line.shipped))
        for (of, name), channel in whole.channels.items():
            if of == sku and over:
                later = tuple(units - over for units in channel.levels[1:])
                whole.channels[of, name] = replace(channel, levels=(*channel.levels[:1], *later))
    return whole


def _overdue(events: list[Event]) -> set[Ref]:
    days = [event.event_time // DAY for event in events if isinstance(event, TimeTicked)]
    today = max(days)
    late: set[Ref] = set()
    for event in events:
        if isinstance(event, SupplierConfirmed) and event.eta is not None:
            ref = event.purchase_order or Ref(event.document.id, event.document.line)
            if _day(event.eta) < today:
                late.add(ref)
    return late


def _day(text: str) -> int:
    return int(datetime.fromisoformat(text).replace(tzinfo=UTC).timestamp()) // 86_400


def overdue_is_dropped(log: Log) -> Answer:
    """Trap 16: what did not come on its day will not come."""
    events = _readable(log)
    late = _overdue(events)
    return answer([event for event in events if getattr(event, "purchase_order", None) not in late], WINDOW)


def _no_look_ahead(event: Event, _: list[Event]) -> list[Event]:
    """Trap 17: what is promised for a later day does not count before it."""
    return [] if isinstance(event, ReservationPlaced) and event.need_date is not None else [event]


def ring_counts_twice(log: Log) -> Answer:
    """Trap 30: units that are set aside for one channel stay in the pool of the others."""
    events = _readable(log)
    whole = answer(events, WINDOW)
    without = answer([event for event in events if not isinstance(event, AllocationGranted)], WINDOW)
    fenced = {(event.sku, event.channel) for event in events if isinstance(event, AllocationGranted)}
    for key in whole.availability.keys() & without.availability.keys():
        if key not in fenced:
            whole.availability[key] = without.availability[key]
    return whole


def a_pool_each(log: Log) -> Answer:
    """Trap 40: each channel keeps its own book of reservations over the same shelves."""
    events = _readable(log)
    whole = answer(events, WINDOW)
    for sku, channel in whole.availability:
        mine = [e for e in events if not isinstance(e, ReservationPlaced) or e.channel in ("", channel)]
        whole.availability[sku, channel] = answer(mine, WINDOW).availability[sku, channel]
    return whole


def _cancel_keeps_the_counter(event: Event, _: list[Event]) -> list[Event]:
    """Trap 41: the order is marked as cancelled, and the units reserved for it stay reserved."""
    return [] if isinstance(event, OrderCancelled) else [event]


def losses_cost_nobody(log: Log) -> Answer:
    """Trap 46: stock that was lost under an allocation is promised from other shelves once more."""
    whole = answer(_readable(log), WINDOW)
    for sku, channel in whole.availability:
        whole.availability[sku, channel] = sum(p.atp for (of, _), p in whole.positions.items() if of == sku)
    return whole


def _safety_is_claimed(event: Event, before: list[Event]) -> list[Event]:
    """Trap 47: safety stock is an order: what it lacks at one place is owed by the others."""
    if not isinstance(event, PolicyChanged) or event.policy.safety_stock is None or not event.sku:
        return [event]
    held = ReservationPlaced(
        source=event.source,
        document=Document("safety", event.document.id, len(before)),
        event_time=event.event_time,
        sku=event.sku,
        location=event.location,
        quantity=event.policy.safety_stock,
        order=Ref(f"safety {event.document.id}", 1),
    )
    return [held]


def _every_paper_counts(event: Event, _: list[Event]) -> list[Event]:
    """Trap 48: what is confirmed comes, and what is shipped comes, and what came was neither."""
    if isinstance(event, AsnShipped | GoodsReceived) and event.purchase_order is not None:
        ref = event.purchase_order
        return [replace(event, purchase_order=Ref(f"{ref.id} {type(event).__name__}", ref.line))]
    return [event]


def _pending_is_anybodys(event: Event, _: list[Event]) -> list[Event]:
    """Trap 50: an order without a location is taken from any location, its channel's or not."""
    return [replace(event, channel="")] if isinstance(event, ReservationPlaced) and not event.location else [event]


def _failed_pick_stays(event: Event, _: list[Event]) -> list[Event]:
    """S4: a pick that failed changes nothing; the order waits where its goods are not."""
    return [] if isinstance(event, PickFailed | OrderAllocated) else [event]


def _pick_up_and_reservation(event: Event, _: list[Event]) -> list[Event]:
    """S13: the hand-over takes the goods, and nobody tells the reservation."""
    return [replace(event, order=None)] if isinstance(event, PickupConfirmed | ShipmentConfirmed) else [event]


def _an_expiry_is_a_cancellation(event: Event, _: list[Event]) -> list[Event]:
    """What another system lets run out is over, paid for or not."""
    if not isinstance(event, ReservationExpired):
        return [event]
    document = Document("cancel", event.document.id, 1)
    return [
        OrderCancelled(
            source=event.source, document=document, event_time=event.event_time, sku=event.sku, order=event.order
        )
    ]


def _short_receipt_is_whole(event: Event, _: list[Event]) -> list[Event]:
    """S5: what the ASN said is booked as received."""
    if isinstance(event, AsnShipped) and event.location:
        return [event, _adjusted(event, event.quantity, "asn")]
    return [] if isinstance(event, GoodsReceived) and event.purchase_order is not None else [event]


PROMISES: dict[str, Build] = {
    "cancel_of_nothing_ignored": _each(_cancel_of_nothing),
    "expiry_gives_back_what_left": expiry_after_shipment,
    "expires_by_wall_clock": _each(_wall_clock),
    "unplaced_orders_ignored": _each(_unplaced_ignored),
    "shipment_frees_the_rest": _each(_shipment_frees_the_rest),
    "over_receipt_is_owed": over_receipt_is_owed,
    "overdue_is_dropped": overdue_is_dropped,
    "no_look_ahead": _each(_no_look_ahead),
    "ring_counts_twice": ring_counts_twice,
    "a_pool_each": a_pool_each,
    "cancel_keeps_the_counter": _each(_cancel_keeps_the_counter),
    "losses_cost_nobody": losses_cost_nobody,
    "safety_is_claimed": _each(_safety_is_claimed),
    "every_paper_counts": _each(_every_paper_counts),
    "pending_is_anybodys": _each(_pending_is_anybodys),
    "failed_pick_stays": _each(_failed_pick_stays),
    "hand_over_leaves_the_claim": _each(_pick_up_and_reservation),
    "expiry_is_a_cancellation": _each(_an_expiry_is_a_cancellation),
    "short_receipt_is_whole": _each(_short_receipt_is_whole),
}
"""By the name of the mistake."""
