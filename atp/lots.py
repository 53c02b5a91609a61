"""Lots: how long the units of a position still last, and what that leaves channels which ask for remaining life.

A position's lots are a tally of what the versions in force of its events say, by lot and last day. What left without
naming a lot is netted here, when it is read, earliest expiry first: so the order in which events are told does not
matter. A lot may be promised up to and including its last day. Source: docs/domain.md section "Lots".
"""

from collections.abc import Iterable, Mapping, Sequence

from atp.availability import available, exposed, free, terms_of
from atp.book import ChannelState, Leg, Mark, Position, escape, lots_key, unescape
from atp.claims import day_number, day_text
from atp.events import Fact, immutable

NEVER = -1
"""No day."""
AT_THE_FIRST_TICK = 0


@immutable
class Lot:
    """Units of a position that last as long."""

    lot: str
    """Empty where only the last day is known."""
    expiry: int | None
    """The last day, since 1970, on which they may be sold; None where nobody said."""
    units: int


@immutable
class Layer:
    """Units of a position for channels that ask for no more than `life` days."""

    life: int
    exposed: int
    free: int
    """Beyond claims, safety stock included."""


def lot_marks(event: Fact, legs: Sequence[Leg]) -> tuple[Mark, ...]:
    """What an event that names a lot, or a last day, says of the lots of the sellable units that it moves."""
    word = f"{day_text(day_number(event.expiry)) if event.expiry else ''}|{escape(event.lot or '')}"
    found = []
    for leg in legs:
        for account, units in ((leg.source, -leg.quantity), (leg.target, leg.quantity)):
            bucket, _, location = account.partition("|")
            if bucket == "sellable":
                found.append(Mark(line=lots_key(event.sku, location), word=word, units=units))
    return tuple(found)


def of_words(tally: Mapping[str, int]) -> list[Lot]:
    """The lots that a tally names, earliest expiry first, those without a last day behind."""
    found = []
    for word, units in tally.items():
        day, _, lot = word.partition("|")
        found.append(Lot(lot=unescape(lot), expiry=day_number(day) if day else None, units=units))
    return sorted(found, key=_earliest_first)


def left(tally: Mapping[str, int], stock: int) -> list[Lot]:
    """The lots that are still there, earliest expiry first, where `stock` units are there in all.

    What left of a lot beyond what came with that last day, or without naming one, left its earliest units. What the
    lots have beyond the stock left without naming a lot: the earliest units of all.
    """
    lots = of_words(tally)
    debts: dict[str, int] = {}
    for one in lots:
        if one.units < 0:
            debts[one.lot] = debts.get(one.lot, 0) - one.units
    found = []
    for one in lots:
        units = max(0, one.units)
        if owed := min(units, debts.get(one.lot, 0)):
            debts[one.lot] -= owed
        if units > owed:
            found.append(Lot(lot=one.lot, expiry=one.expiry, units=units - owed))
    beyond = sum(one.units for one in found) - max(0, stock)
    kept = []
    for one in found:
        gone = min(one.units, max(0, beyond))
        beyond -= gone
        if one.units > gone:
            kept.append(Lot(lot=one.lot, expiry=one.expiry, units=one.units - gone))
    return kept


def expired_of(tally: Mapping[str, int], stock: int, today: int | None) -> int:
    """Units whose last day is over; none while no tick says what day it is."""
    if today is None:
        return 0
    return sum(one.units for one in left(tally, stock) if one.expiry is not None and one.expiry < today)


def asks_for_life(channels: Sequence[ChannelState]) -> bool:
    """Say whether a channel takes only goods that last for some days more."""
    return any(state.terms is not None and state.terms.min_life_days for state in channels)


def lives_of(channels: Sequence[ChannelState]) -> tuple[int, ...]:
    """The remaining lives that channels ask for, in days, none at all first."""
    return tuple(sorted({0, *(terms_of(state).min_life_days for state in channels)}))


def layers_of(
    position: Position,
    tally: Mapping[str, int],
    lives: Sequence[int],
    claims: Mapping[int, int],
    today: int | None,
) -> list[Layer]:
    """Cut what a position exposes into layers; `claims` are its units of due claims by the life that they ask for.

    For a life of `m` days it exposes the least, over all lives up to `m`, of what lasts as long less the claims on it.
    """
    if today is None:
        return [Layer(life=lives[-1], exposed=exposed(position), free=free(position))]
    lots = left(tally, available(position) + position.expired) if tally else []
    shown, spare = [exposed(position)], [free(position)]
    for life in lives[1:]:
        lasting = sum(one.units for one in lots if one.expiry is not None and one.expiry >= today + life)
        beyond = max(0, lasting - sum(units for asked, units in claims.items() if asked >= life))
        shown.append(min(shown[-1], beyond))
        spare.append(min(spare[-1], beyond))
    return [
        Layer(life=life, exposed=more - less, free=freer - scarcer)
        for life, more, less, freer, scarcer in zip(lives, shown, (*shown[1:], 0), spare, (*spare[1:], 0), strict=True)
    ]


def ages_on(tallies: Iterable[Mapping[str, int]], lives: Sequence[int], today: int | None) -> int:
    """The next day on which some lot gets too old for somebody."""
    if today is None:
        return AT_THE_FIRST_TICK
    last_days = {one.expiry for tally in tallies for one in of_words(tally) if one.expiry is not None}
    days = [day - life + 1 for day in last_days for life in lives]
    return min((day for day in days if day > today), default=NEVER)


def _earliest_first(one: Lot) -> tuple[bool, int, str]:
    return one.expiry is None, one.expiry or 0, one.lot
