"""The reference model, eighth part: how long the units of a position last, one by one.

Source: docs/domain.md, section "Lots".
"""

from collections import Counter
from collections.abc import Sequence

from atp.events import Envelope
from tests.core.claims_model import day_named, day_of
from tests.core.stock_model import moves, net

FOR_EVER = 10**9
"""Behind every day: of a lot whose last day nobody named."""


def last_days(facts: Sequence[Envelope], location: str, stock: int) -> list[int]:
    """The last day, since 1970, of each unit of a lot that is there, where `stock` units are there in all."""
    said = Counter[tuple[str, int]]()
    for fact in facts:
        if fact.lot is not None or fact.expiry is not None:
            day = FOR_EVER if fact.expiry is None else day_named(fact.expiry)
            for move in moves(fact):
                said[fact.lot or "", day] += move.quantity * (move.target == (location, "sellable"))
                said[fact.lot or "", day] -= move.quantity * (move.source == (location, "sellable"))
    there: list[int] = []
    for lot in {lot for lot, _ in said}:
        units = sorted(day for (of, day), n in said.items() if of == lot for _ in range(n))
        owed = sum(-n for (of, _), n in said.items() if of == lot and n < 0)
        there += units[owed:]
    return taken(sorted(there), unnamed(facts, location), stock)


def unnamed(facts: Sequence[Envelope], location: str) -> Counter[int]:
    """By day: sellable units that came, less those that left, without a word of any lot."""
    found = Counter[int]()
    for fact in facts:
        if fact.lot is None and fact.expiry is None:
            found[day_of(fact.event_time)] += net(moves(fact), location, "sellable")
    return found


def taken(there: Sequence[int], by_day: Counter[int], stock: int) -> list[int]:
    """What is left of units where there are only so many: the earliest were taken, but none after its last day."""
    too_many = max(0, len(there) - max(0, stock))
    kept: list[int] = []
    gone = most = 0
    for day in there:
        later = -sum(units for of, units in by_day.items() if of > day)
        most = max(most, too_many - max(0, later))
        if gone < most:
            gone += 1
        else:
            kept.append(day)
    return kept[max(0, len(kept) - max(0, stock)) :]


def expired(days: Sequence[int], today: int | None) -> int:
    """Units whose last day is over."""
    return 0 if today is None else sum(day < today for day in days)


def lasting(days: Sequence[int], today: int, life: int) -> int:
    """Units that last for so many days more."""
    return sum(today + life <= day < FOR_EVER for day in days)
