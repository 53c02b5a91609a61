"""Orders of several SKUs: what to ask for, what to give back. Pure; whoever asks is `streams/saga.py`.

A request is decided by the writer of its SKU, so an order of several SKUs is a saga: ask for each, and where one is not
had, give the others back. Every id and every time is derived from the order, so that doing any step again, after a
crash or a time-out, is the same step: requests have the same answers, and what is given back is given back once.
Source: docs/domain.md, Orders of several SKUs.
"""

from collections.abc import Mapping
from dataclasses import replace

from atp.book import escape
from atp.effects import RequestDecided
from atp.events import Document, OrderCancelled, Ref, ReservationReleased, ReservationRequested, immutable


@immutable
class OrderLine:
    """A line of an order; with `components` it is a kit that is put together for it."""

    line: int
    sku: str
    quantity: int
    location: str = ""
    """Empty: wherever the channel may promise from."""
    components: dict[str, int] | None = None
    """Units of each that one kit takes."""


@immutable
class Order:
    """An order whose units are wanted all or not at all."""

    id: str
    channel: str
    event_time: int
    lines: tuple[OrderLine, ...]
    source: str = "orders"
    state: str | None = None
    """soft or firm; None: as the channel's policy says."""
    expires_at: int | None = None
    attempt: int = 1
    """An order that was refused is asked for anew under the next number: an attempt has one outcome for ever."""


@immutable
class Demand:
    """Units of a SKU that all lines of an order need together, at one location or wherever."""

    sku: str
    location: str
    quantity: int
    line: int
    """The first line that needs them: the units are held under it."""


def demands(order: Order) -> list[Demand]:
    """Explode kits and add up by SKU and location; sorted, whatever the order of the lines.

    Two lines that are checked one by one would find the same units twice.
    """
    found: dict[tuple[str, str], Demand] = {}
    for line in order.lines:
        needed = {line.sku: 1} if line.components is None else line.components
        for sku, units in needed.items():
            key, more = (sku, line.location), units * line.quantity
            known = found.get(key) or Demand(sku=sku, location=line.location, quantity=0, line=line.line)
            found[key] = replace(known, quantity=known.quantity + more, line=min(known.line, line.line))
    return [found[key] for key in sorted(found)]


def request_id(order: Order, demand: Demand) -> str:
    """Name the request for a demand: the same however often it is asked."""
    named = [escape(order.id), demand.sku]
    if demand.location:
        named.append(f"at {demand.location}")
    if order.attempt > 1:
        named.append(f"attempt {order.attempt}")
    return "|".join(named)


def requests(order: Order) -> list[ReservationRequested]:
    """What to ask for, one request per demand."""
    return [
        ReservationRequested(
            source=order.source,
            document=Document("request", request_id(order, one), 1),
            request_id=request_id(order, one),
            event_time=order.event_time,
            sku=one.sku,
            location=one.location,
            channel=order.channel,
            quantity=one.quantity,
            order=Ref(order.id, one.line),
            state=order.state,
            expires_at=order.expires_at,
        )
        for one in demands(order)
    ]


def releases(order: Order, decided: Mapping[str, RequestDecided]) -> list[ReservationReleased]:
    """What gives back every unit that was accepted, by the answers to the order's requests.

    Exactly these units and no mark on the line: another attempt may hold units under it.
    """
    return [
        ReservationReleased(
            source=order.source,
            document=Document("release", answer.request_id, 1),
            event_time=order.event_time,
            sku=one.sku,
            channel=order.channel,
            quantity=answer.quantity,
            order=Ref(order.id, one.line),
        )
        for one in demands(order)
        if (answer := decided.get(request_id(order, one))) is not None and answer.quantity
    ]


def cancellations(order: Order) -> list[OrderCancelled]:
    """What ends an order for good, whatever became of its requests or will."""
    return [
        OrderCancelled(
            source=order.source,
            document=Document("cancellation", request_id(order, one), 1),
            event_time=order.event_time,
            sku=one.sku,
            channel=order.channel,
            order=Ref(order.id, one.line),
        )
        for one in demands(order)
    ]
