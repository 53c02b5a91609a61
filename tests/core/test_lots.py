"""Lots: what is left of them, and what that leaves channels which ask for remaining life.

Source: docs/domain.md, section "Lots".
"""

from dataclasses import replace
from typing import Any

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from atp.book import Lots
from atp.events import (
    DAY,
    Event,
    GoodsReceived,
    Ref,
    SaleRecorded,
)
from atp.lots import Lot, expired_of, forget, left
from tests.core import strategies
from tests.core.lots_model import FOR_EVER, last_days
from tests.core.model import answer, limit
from tests.core.papers import more, request
from tests.core.rig import FRAME, Folded, differences
from tests.core.shelves import MIXED, TODAY, day, passed, shelves
from tests.core.strategies import EIGHT

SHELVES = settings(
    max_examples=120,
    print_blob=True,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
)


@SHELVES
@given(shelves(), st.data())
def test_lots_grow_old_as_the_definitions_say(events: list[Event], data: st.DataObject) -> None:
    """In any order, resent, and however many midnights pass between two ticks."""
    days = data.draw(st.lists(st.integers(0, 6), max_size=4))
    log = passed(events, days)
    model = answer(log, FRAME.window)
    for order in (events, data.draw(strategies.shuffled(events))):
        found = differences(Folded(passed(order, days)), model)
        assert not found, found


@SHELVES
@given(shelves(), st.data())
def test_a_request_gets_what_lasts_long_enough(events: list[Event], data: st.DataObject) -> None:
    log = passed(events, data.draw(st.lists(st.integers(0, 3), max_size=1)))
    folded = Folded(log)
    for n in range(2):
        channel = data.draw(st.sampled_from(("web", "store", "all")))
        place = data.draw(st.sampled_from(("", *MIXED.places)))
        asked = replace(request(n, data.draw(st.integers(1, 6)), channel=channel), location=place)
        asked = replace(asked, event_time=log[-1].event_time, order=Ref(f"N-{n}", 1))
        left_ = limit(log, FRAME.window, folded.decisions(), sku="A", channel=channel, location=place)
        log.append(asked)
        folded.send(asked)
        told = folded.decided[asked.request_id]
        assert (told.atp, told.quantity) == (left_, asked.quantity if asked.quantity <= left_ else 0)
        assert differences(folded, answer(log, FRAME.window, folded.decisions())) == []


# What is left of lots -------------------------------------------------------------------------------------


def held(tally: dict[str, int]) -> Lots:
    return Lots(units=tally, unnamed={})


def lot(name: str, days: int | None, units: int) -> Lot:
    return Lot(lot=name, expiry=None if days is None else TODAY + days, units=units)


def test_what_left_without_naming_a_lot_left_the_earliest() -> None:
    tally = {f"{day(9)}|B": 10, f"{day(2)}|A": 10, "|C": 5}
    assert left(held(tally), 25) == [lot("A", 2, 10), lot("B", 9, 10), lot("C", None, 5)]
    assert left(held(tally), 12) == [lot("B", 9, 7), lot("C", None, 5)]
    assert left(held(tally), 40) == left(held(tally), 25)  # Fifteen more, of no lot.
    assert left(held(tally), -3) == []


def test_what_left_of_a_lot_without_its_last_day_left_the_earliest_of_that_lot() -> None:
    tally = {f"{day(2)}|A": 4, f"{day(5)}|A": 4, "|A": -6, f"{day(1)}|B": 3}
    assert left(held(tally), 5) == [lot("B", 1, 3), lot("A", 5, 2)]


def test_what_a_lot_owes_beyond_what_came_of_it_left_the_others() -> None:
    tally = {f"{day(2)}|A": -3, f"{day(5)}|B": 10}
    assert left(held(tally), 7) == [lot("B", 5, 7)]


def test_a_lot_may_be_sold_on_its_last_day() -> None:
    tally = {f"{day(0)}|A": 4}
    assert expired_of(held(tally), 4, TODAY) == 0
    assert expired_of(held(tally), 4, TODAY + 1) == 4
    assert expired_of(held(tally), 4, None) == 0


def test_what_left_after_the_last_day_of_a_lot_left_another() -> None:
    """Four of ten were left when A expired; seven were sold since, one came back."""
    units = {f"{day(2)}|A": 10, f"{day(9)}|B": 20}
    lots = Lots(units=units, unnamed={day(1): -4, day(2): -2, day(3): -7, day(4): 1})
    assert left(lots, 18) == [lot("A", 2, 4), lot("B", 9, 14)]
    assert left(lots, 3) == [lot("B", 9, 3)]  # There are no others left that they could have been.


def test_what_no_event_can_change_is_forgotten() -> None:
    units = {f"{day(-60)}|A": 10, f"{day(-50)}|B": 3, f"{day(9)}|C": 20}
    lots = Lots(units=units, unnamed={day(-70): -11, day(-40): -8, day(1): -2})
    assert left(lots, 12) == [lot("B", -50, 2), lot("C", 9, 10)]
    shorter = forget(lots, 12, TODAY)
    assert shorter == Lots(units={f"{day(-50)}|B": 2, f"{day(9)}|C": 20}, unnamed={day(-40): -8, day(1): -2})
    assert left(shorter, 12) == left(lots, 12)
    assert left(shorter, 9) == left(lots, 9)


@SHELVES
@given(
    st.dictionaries(
        st.tuples(st.sampled_from(("", "A", "B")), st.none() | st.integers(0, 4)), st.integers(-5, 9), max_size=6
    ),
    st.dictionaries(st.integers(0, 5), st.integers(-6, 4), max_size=4),
    st.integers(-5, 30),
)
def test_units_one_by_one_come_to_the_same(
    said: dict[tuple[str, int | None], int], by_day: dict[int, int], stock: int
) -> None:
    named = {key: units for key, units in said.items() if units and key != ("", None)}
    tally = {f"{day(days) if days is not None else ''}|{name}": n for (name, days), n in named.items()}
    facts: list[Any] = []
    for (name, days), units in named.items():
        kind = GoodsReceived if units > 0 else SaleRecorded
        last = None if days is None else day(days)
        facts.append(more(kind, abs(units), location="S1", lot=name or None, expiry=last))
    for days, units in by_day.items():
        kind = GoodsReceived if units > 0 else SaleRecorded
        facts.append(more(kind, abs(units), location="S1", event_time=EIGHT + days * DAY))
    found = left(Lots(units=tally, unnamed={day(days): units for days, units in by_day.items()}), stock)
    assert [one.expiry or FOR_EVER for one in found for _ in range(one.units)] == last_days(facts, "S1", stock)
