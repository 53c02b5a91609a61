"""The reference model, fifth part: purchase order lines, and what will come when.

Source: docs/domain.md section 6, "Time-phased".
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from atp.events import (
    AsnShipped,
    Envelope,
    GoodsReceived,
    PurchaseOrderCancelled,
    PurchaseOrderChanged,
    PurchaseOrderPlaced,
    SupplierConfirmed,
)
from tests.core.claims_model import day_named
from tests.core.log_model import key_of, text_of

ORDERS = (PurchaseOrderPlaced, PurchaseOrderChanged, PurchaseOrderCancelled)


@dataclass(frozen=True)
class Rules:
    """What policies say of goods that come to a location."""

    dock_days: int = 0
    late_days: int = 1
    """By how many days a supplier who is late is expected to be late."""
    max_slip_days: int = 30
    count_ordered: bool = False


@dataclass(frozen=True)
class Part:
    """Units of a supply line that are in one state, and the day that was stated for them."""

    state: str
    location: str
    eta: str | None
    units: int


@dataclass(frozen=True)
class Arrival:
    """Units that will be there from `day` on, counted in days since 1970."""

    location: str
    day: int
    units: int
    past_due: bool = False


@dataclass(frozen=True)
class SupplyAnswer:
    """A purchase order line; all figures in units."""

    ordered: int
    confirmed: int
    shipped: int
    received: int
    final: bool
    parts: tuple[Part, ...]
    """What is to come, in whichever state; ordered units are among them, whether or not they count."""


def purchase_order_of(event: Envelope) -> tuple[str, int] | None:
    """The purchase order line that an event speaks of."""
    if not isinstance(event, (*ORDERS, SupplierConfirmed, AsnShipped, GoodsReceived)):
        return None
    if event.purchase_order is not None:
        return (event.purchase_order.id, event.purchase_order.line)
    return (event.document.id, event.document.line) if isinstance(event, ORDERS) else None


def supply_answers(stated: Sequence[Envelope], facts: Sequence[Envelope]) -> dict[tuple[str, int], SupplyAnswer]:
    """The supply lines of one SKU."""
    by_line: dict[tuple[str, int], list[Envelope]] = {}
    for event in (*stated, *facts):
        if (line := purchase_order_of(event)) is not None:
            by_line.setdefault(line, []).append(event)
    return {line: _supply(by_line[line]) for line in sorted(by_line)}


def _last(events: Sequence[Envelope]) -> Envelope | None:
    return max(events, key=lambda e: (e.rev, e.event_time, text_of(key_of(e))), default=None)


def _supply(events: Sequence[Envelope]) -> SupplyAnswer:
    order = _last([e for e in events if isinstance(e, ORDERS)])
    confirmation = _last([e for e in events if isinstance(e, SupplierConfirmed)])
    asns = [e for e in events if isinstance(e, AsnShipped) and e.quantity]
    receipts = [e for e in events if isinstance(e, GoodsReceived) and e.quantity]
    ordered = order.quantity if order is not None and not isinstance(order, PurchaseOrderCancelled) else 0
    confirmed = confirmation.quantity if confirmation is not None else 0
    shipped, received = sum(e.quantity for e in asns), sum(e.quantity for e in receipts)
    closed = any(e.final for e in receipts)
    no_more = closed or any(e.final for e in asns)

    papers = [*sorted(asns, key=lambda e: text_of(key_of(e))), confirmation, order]
    named = [e.location for e in papers if e is not None and e.location] + sorted(e.location for e in receipts)
    usual = named[0] if named else ""
    parts: list[Part] = []
    eaten = received
    for asn in sorted(asns, key=lambda e: (e.eta is None, e.eta or "", text_of(key_of(e)))):
        left = max(0, asn.quantity - eaten)
        eaten = max(0, eaten - asn.quantity)
        parts.append(Part("shipped", asn.location or usual, asn.eta, 0 if closed else left))
    cancelled = order is not None and not ordered  # What is on its way comes all the same.
    if isinstance(confirmation, SupplierConfirmed):
        left = 0 if no_more or cancelled else max(0, confirmed - max(shipped, received))
        parts.append(Part("confirmed", confirmation.location or usual, confirmation.eta, left))
    if isinstance(order, PurchaseOrderPlaced | PurchaseOrderChanged):
        left = 0 if no_more else max(0, ordered - max(confirmed, shipped, received))
        parts.append(Part("ordered", order.location or usual, order.eta, left))
    return SupplyAnswer(ordered, confirmed, shipped, received, closed, tuple(p for p in parts if p.units))


def arrival(part: Part, today: int, rules: Callable[[str], Rules]) -> Arrival | None:
    """When the units of a part will be there; None where they do not count."""
    mine = rules(part.location)
    if part.eta is None or (part.state == "ordered" and not mine.count_ordered):
        return None
    day = day_named(part.eta) + mine.dock_days
    if day >= today:
        return Arrival(part.location, day, part.units)
    if today - day > mine.max_slip_days:
        return None
    return Arrival(part.location, today + max(1, mine.late_days), part.units, past_due=True)
