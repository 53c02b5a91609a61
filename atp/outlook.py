"""What comes and what is due, day by day: supply lines, dated claims, and what may be promised for a day.

A day is a day of the UTC calendar, counted since 1970. Source: docs/domain.md section "Dated supply and demand".
"""

from collections.abc import Callable, Iterable, Sequence

from atp.book import Dated, Inbound, Statement, Supply, Transfer
from atp.claims import day_number
from atp.events import immutable

HORIZON = 180
"""Days that a figure looks ahead."""
SLIP = 30
"""Days after which supply that is past due counts no more, where no policy says otherwise."""
ORDERS = ("PurchaseOrderPlaced", "PurchaseOrderChanged", "PurchaseOrderCancelled")
"""Events that say what is ordered: the last revision over all of them stands."""
FINAL = "|final"
"""Under this word a supply line counts the receipts that said that nothing else comes."""

TRANSFER = "transfer"
"""The state of what comes by a transfer."""


@immutable
class SupplyTerms:
    """What policies say of supply to a location."""

    dock_days: int = 0
    max_slip_days: int = SLIP
    late_days: int = 0
    """Days by which nine of ten of the supplier's deliveries have come."""
    count_ordered: bool = False


@immutable
class Line:
    """The figures of a supply line that follow from what was said of it."""

    ordered: int
    confirmed: int
    shipped: int
    received: int
    final: bool
    location: str
    open: int
    """Units still to come of what was ordered, confirmed or shipped."""
    over: int
    """Units received beyond what was ordered."""


def line(supply: Supply) -> Line:
    """Derive the figures of a supply line."""
    order = latest(supply.said, *ORDERS)
    confirmation = latest(supply.said, "SupplierConfirmed")
    notices = [one for one in supply.said if one.type == "AsnShipped"]
    ordered = 0 if order is None or order.type == "PurchaseOrderCancelled" else order.quantity
    confirmed = confirmation.quantity if confirmation else 0
    shipped = sum(one.quantity for one in notices)
    received = sum(units for place, units in supply.received.items() if place != FINAL)
    final = supply.received.get(FINAL, 0) > 0
    named = [one.location for one in (*notices, confirmation, order) if one is not None and one.location]
    received_at = sorted(place for place in supply.received if place != FINAL)
    expected = shipped if any(one.final for one in notices) else max(ordered, confirmed, shipped)
    return Line(
        ordered=ordered,
        confirmed=confirmed,
        shipped=shipped,
        received=received,
        final=final,
        location=(named or received_at or [""])[0],
        open=0 if final else max(0, expected - received),
        over=max(0, received - ordered) if ordered else 0,
    )


def inbound_of(what: str, supply: Supply, terms: Callable[[str], SupplyTerms], today: int) -> list[Inbound]:
    """Say when the units of a supply line come: each counts once, as what it is furthest.

    `terms` says what policies say of supply to a location.
    """
    order = latest(supply.said, *ORDERS)
    confirmation = latest(supply.said, "SupplierConfirmed")
    notices = earliest_first(one for one in supply.said if one.type == "AsnShipped")
    figures = line(supply)
    if figures.final:
        return []
    found = []
    received = figures.received
    for notice in notices:
        units = max(0, notice.quantity - received)
        received -= notice.quantity - units
        found.append((units, notice.eta, notice.location or figures.location, "shipped"))
    ahead = max(figures.shipped, figures.received)
    if not any(notice.final for notice in notices) and not _cancelled(order):
        if confirmation is not None:
            where = confirmation.location or figures.location
            found.append((max(0, confirmation.quantity - ahead), confirmation.eta, where, "confirmed"))
            ahead = max(ahead, confirmation.quantity)
        if order is not None and terms(where := order.location or figures.location).count_ordered:
            found.append((max(0, order.quantity - ahead), order.eta, where, "ordered"))
    dated = [
        _dated(what, units, eta, where, state, terms(where), today)
        for units, eta, where, state in found
        if units and eta
    ]
    return [one for one in dated if one is not None]


def in_transit(what: str, transfer: Transfer, terms: SupplyTerms, today: int) -> list[Inbound]:
    """Say when the open units of a transfer come, where a day was named."""
    if transfer.open <= 0 or not transfer.eta:
        return []
    one = _dated(what, transfer.open, transfer.eta, transfer.destination, TRANSFER, terms, today)
    return [] if one is None else [one]


def by_place(inbound: Iterable[Inbound]) -> tuple[Inbound, ...]:
    """Sum what comes to a location on a day, for whoever asks when and where alone; what counts nowhere is left out."""
    sums: dict[tuple[int, str], int] = {}
    for coming in inbound:
        if coming.location and not coming.closed:
            place = coming.day, coming.location
            sums[place] = sums.get(place, 0) + coming.units
    return tuple(
        Inbound(day=day, location=location, units=units, state="", overdue=False, what="")
        for (day, location), units in sums.items()
    )


def horizon(
    start: int,
    inbound: Iterable[Inbound],
    dated: Iterable[Dated],
    today: int,
    arrives: Callable[[Inbound], bool],
    draws: Callable[[Dated], bool],
) -> list[tuple[int, int]]:
    """Return (day, units) from today on where the figure changes: the least that any later day leaves.

    `start` is what is there before today's supply and demand, below 0 where promises wait for stock. `arrives` says
    which supply counts, `draws` which dated claims. Empty where nothing is dated. Units may be below 0.
    """
    change: dict[int, int] = {}
    for coming in inbound:
        if arrives(coming) and coming.day <= today + HORIZON:
            change[coming.day] = change.get(coming.day, 0) + coming.units
    for claim in dated:
        if draws(claim):  # what is due beyond the horizon must be left at its end
            day = min(claim.day, today + HORIZON)
            change[day] = change.get(day, 0) - claim.units
    if not change:
        return []
    change.setdefault(today, 0)
    levels = []
    level = start
    for day in sorted(change):
        level += change[day]
        levels.append((day, level))
    found: list[tuple[int, int]] = []
    least = levels[-1][1]
    for day, level in reversed(levels):
        least = min(least, level)
        if found and found[-1][1] == least:
            found.pop()
        found.append((day, least))
    return found[::-1]


def earliest_first(notices: Iterable[Statement]) -> list[Statement]:
    """Sort shipments by the day that they come, those without one last: receipts are taken off in this order."""
    return sorted(notices, key=lambda one: (not one.eta, day_number(one.eta) if one.eta else 0, one.eta or "", one.key))


def latest(said: Sequence[Statement], *types: str) -> Statement | None:
    """The statement in force of some types: the last revision over all of them."""
    return max(
        (one for one in said if one.type in types), key=lambda one: (one.rev, one.event_time, one.key), default=None
    )


def _cancelled(order: Statement | None) -> bool:
    return order is not None and (order.type == "PurchaseOrderCancelled" or not order.quantity)


def _dated(
    what: str, units: int, eta: str, location: str, state: str, terms: SupplyTerms, today: int
) -> Inbound | None:
    """Put units on their day; what is past due is expected anew, and given up once it slipped too far."""
    day = day_number(eta) + terms.dock_days
    overdue = day < today
    if overdue:
        if today - day > terms.max_slip_days:
            return None
        day = today + max(1, terms.late_days)
    return Inbound(day=day, location=location, units=units, state=state, overdue=overdue, what=what)
