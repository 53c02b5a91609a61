"""Lots: how long the units of a position still last, and what that leaves channels which ask for remaining life.

A position's lots are a tally of what the versions in force of its events say, by lot and last day. What left without
naming a lot is netted here, when it is read, earliest expiry first: so the order in which events are told does not
matter. A lot may be promised up to and including its last day. Source: docs/domain.md section "Lots".
"""

from collections.abc import Iterable, Mapping, Sequence

from atp.availability import available, exposed, free, terms_of
from atp.book import ChannelState, Leg, Lots, Mark, Position, escape, lots_key, unescape
from atp.claims import day_number, day_text
from atp.events import Fact, immutable

NEVER = -1
"""No day."""
AT_THE_FIRST_TICK = 0
KEPT_DAYS = 30
"""Days behind the window for which it is known what an expired lot was, and not only what is left of it."""


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


def left(row: Lots, stock: int) -> list[Lot]:
    """The lots that are still there, earliest expiry first, where `stock` units are there in all.

    What left of a lot beyond what came with that last day, or without naming one, left its earliest units. What the
    lots have beyond the stock left without naming a lot: the earliest units of all, but none of a lot whose last day
    was over when it left.
    """
    lots = _of_each(row)
    beyond = max(0, sum(one.units for one in lots) - max(0, stock))
    gone = [0] * len(lots)
    taken = most = 0
    for number, one in enumerate(lots):
        late = 0 if one.expiry is None else max(0, -_after(row, one.expiry))
        most = max(most, beyond - late)
        gone[number] = min(one.units, most - taken)
        taken += gone[number]
    # What cannot have left any other lot left these after all.
    for number, one in enumerate(lots):
        more = min(one.units - gone[number], beyond - taken)
        gone[number] += more
        taken += more
    return [
        Lot(lot=one.lot, expiry=one.expiry, units=one.units - units)
        for one, units in zip(lots, gone, strict=True)
        if one.units > units
    ]


def _of_each(row: Lots) -> list[Lot]:
    """What is left of each lot by what named it."""
    lots = of_words(row.units)
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
    return found


def _after(row: Lots, day: int) -> int:
    """Units that came, less those that left, after a day without naming a lot."""
    last = day_text(day)
    return sum(units for text, units in row.unnamed.items() if text > last)


def forget(row: Lots, stock: int, oldest: int) -> Lots:
    """Leave out what no event can change any more, `oldest` being the day from which on events may still come.

    Of a lot that expired long before it only what is left stays, and of the days only those after a last day.
    """
    still = {(one.lot, one.expiry): one.units for one in left(row, stock)}
    owing = {one.lot for one in of_words(row.units) if one.units < 0}
    units = {}
    for word, came in row.units.items():
        (one,) = of_words({word: came})
        old = one.expiry is not None and one.expiry < oldest - KEPT_DAYS and one.lot not in owing
        if here := still.get((one.lot, one.expiry), 0) if old else came:
            units[word] = here
    first = min([oldest, *(one.expiry for one in of_words(units) if one.expiry is not None)])
    return Lots(units=units, unnamed={text: n for text, n in row.unnamed.items() if day_number(text) > first})


def expired_of(row: Lots, stock: int, today: int | None) -> int:
    """Units whose last day is over; none while no tick says what day it is."""
    if today is None:
        return 0
    return sum(one.units for one in left(row, stock) if one.expiry is not None and one.expiry < today)


def asks_for_life(channels: Sequence[ChannelState]) -> bool:
    """Say whether a channel takes only goods that last for some days more."""
    return any(state.terms is not None and state.terms.min_life_days for state in channels)


def lives_of(channels: Sequence[ChannelState]) -> tuple[int, ...]:
    """The remaining lives that channels ask for, in days, none at all first."""
    return tuple(sorted({0, *(terms_of(state).min_life_days for state in channels)}))


def layers_of(
    position: Position,
    row: Lots | None,
    lives: Sequence[int],
    claims: Mapping[int, int],
    today: int | None,
) -> list[Layer]:
    """Cut what a position exposes into layers; `claims` are its units of due claims by the life that they ask for.

    For a life of `m` days it exposes the least, over all lives up to `m`, of what lasts as long less the claims on it.
    """
    if today is None:
        return [Layer(life=lives[-1], exposed=exposed(position), free=free(position))]
    lots = left(row, available(position) + position.expired) if row else []
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


def ages_on(rows: Iterable[Lots], lives: Sequence[int], today: int | None) -> int:
    """The next day on which some lot gets too old for somebody."""
    if today is None:
        return AT_THE_FIRST_TICK
    last_days = {one.expiry for row in rows for one in of_words(row.units) if one.expiry is not None}
    days = [day - life + 1 for day in last_days for life in lives]
    return min((day for day in days if day > today), default=NEVER)


def _earliest_first(one: Lot) -> tuple[bool, int, str]:
    return one.expiry is None, one.expiry or 0, one.lot
