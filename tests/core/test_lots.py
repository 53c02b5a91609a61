"""Lots: what is left of them, and what that leaves channels which ask for remaining life.

Source: docs/domain.md, section "Lots".
"""

from dataclasses import replace
from typing import Any

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from atp.events import (
    Document,
    Event,
    GoodsReceived,
    Ref,
    SaleRecorded,
)
from atp.lots import Lot, expired_of, left
from tests.core import strategies
from tests.core.lots_model import FOR_EVER, last_days
from tests.core.model import answer, limit
from tests.core.papers import more, request
from tests.core.rig import FRAME, Folded, differences
from tests.core.shelves import MIXED, TODAY, day, passed, shelves

SHELVES = settings(
    max_examples=120,
    deadline=None,
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


def lot(name: str, days: int | None, units: int) -> Lot:
    return Lot(lot=name, expiry=None if days is None else TODAY + days, units=units)


def test_what_left_without_naming_a_lot_left_the_earliest() -> None:
    tally = {f"{day(9)}|B": 10, f"{day(2)}|A": 10, "|C": 5}
    assert left(tally, 25) == [lot("A", 2, 10), lot("B", 9, 10), lot("C", None, 5)]
    assert left(tally, 12) == [lot("B", 9, 7), lot("C", None, 5)]
    assert left(tally, 40) == left(tally, 25)  # Fifteen more, of no lot.
    assert left(tally, -3) == []


def test_what_left_of_a_lot_without_its_last_day_left_the_earliest_of_that_lot() -> None:
    tally = {f"{day(2)}|A": 4, f"{day(5)}|A": 4, "|A": -6, f"{day(1)}|B": 3}
    assert left(tally, 5) == [lot("B", 1, 3), lot("A", 5, 2)]


def test_what_a_lot_owes_beyond_what_came_of_it_left_the_others() -> None:
    tally = {f"{day(2)}|A": -3, f"{day(5)}|B": 10}
    assert left(tally, 7) == [lot("B", 5, 7)]


def test_a_lot_may_be_sold_on_its_last_day() -> None:
    tally = {f"{day(0)}|A": 4}
    assert expired_of(tally, 4, TODAY) == 0
    assert expired_of(tally, 4, TODAY + 1) == 4
    assert expired_of(tally, 4, None) == 0


@given(
    st.dictionaries(
        st.tuples(st.sampled_from(("", "A", "B")), st.none() | st.integers(0, 4)), st.integers(-5, 9), max_size=6
    ),
    st.integers(-5, 30),
)
def test_units_one_by_one_come_to_the_same(said: dict[tuple[str, int | None], int], stock: int) -> None:
    tally = {f"{day(days) if days is not None else ''}|{name}": n for (name, days), n in said.items() if n}
    facts: list[Any] = []
    for n, ((name, days), units) in enumerate(said.items()):
        kind = GoodsReceived if units > 0 else SaleRecorded
        paper = {
            "lot": name or None,
            "expiry": None if days is None else day(days),
            "document": Document("d", str(n), 1),
        }
        if units and (name or days is not None):
            facts.append(more(kind, abs(units), location="S1", **paper))
        elif units:
            tally.pop("|")
    units_left = [
        one.expiry if one.expiry is not None else FOR_EVER for one in left(tally, stock) for _ in range(one.units)
    ]
    assert units_left == last_days(facts, "S1", stock)
