"""What another system lets run out ends as if its own end had come. Source: docs/domain.md section "Claims"."""

from itertools import permutations
from typing import Any

import pytest

from atp.book import Claim
from atp.claims import standing
from atp.events import (
    HOUR,
    Correction,
    Document,
    Event,
    EventRef,
    OrderAllocated,
    Ref,
    ReservationConfirmed,
    ReservationExpired,
    ReservationPlaced,
    ShipmentConfirmed,
)
from tests.core.model import answer
from tests.core.papers import O1, more, request, stocked
from tests.core.rig import FRAME, Folded, differences
from tests.core.strategies import EIGHT, tick

NINE, TEN = EIGHT + HOUR, EIGHT + 2 * HOUR
RAN_OUT = Document("expiry", "EX-1", 1)


def at(time: int, kind: Any, quantity: int = 0, **fields: Any) -> Any:
    document = Document(kind.__name__, str(time), 1)
    return more(kind, quantity, **{"document": document, "event_time": time, "order": O1, **fields})


def soft(quantity: int = 4, time: int = EIGHT, **fields: Any) -> Event:
    placed: Event = at(time, ReservationPlaced, quantity, state="soft", location="S1", **fields)
    return placed


def ran_out(time: int = NINE) -> Event:
    told: Event = at(time, ReservationExpired, document=RAN_OUT)
    return told


def folded(*events: Event, until: int = TEN) -> Folded:
    """Fold the events in every order before a tick, which agree with one another and with the model."""
    stock: list[Event] = [more(type(one), one.quantity, location="S1", event_time=EIGHT) for one in stocked(S1=9)]
    first: Folded | None = None
    for order in permutations(events):
        log = [*stock, *order, tick(until)]
        one = Folded(log)
        assert differences(one, answer(log, FRAME.window)) == []
        first = first or one
    assert first is not None
    return first


def claims(one: Folded) -> tuple[int, int, int]:
    position = one.positions()["A", "S1"]
    return position.reserved_soft, position.reserved_firm, position.allocated


def test_a_soft_line_ends_when_the_other_system_says_so() -> None:
    assert claims(folded(soft(), ran_out())) == (0, 0, 0)
    assert claims(folded(soft(), ran_out(), until=NINE - 1)) == (4, 0, 0)  # it is dated after the last tick
    assert claims(folded(soft(expires_at=TEN + HOUR), ran_out())) == (0, 0, 0)  # sooner than it would itself


def test_a_firm_line_ignores_it() -> None:
    assert claims(folded(soft(), ran_out(), at(EIGHT + 1, ReservationConfirmed))) == (0, 4, 0)
    assert claims(folded(soft(), ran_out(), at(EIGHT, ReservationPlaced, 1, location="S1", document=RAN_OUT))) == (
        0,
        5,
        0,
    )
    assert claims(folded(soft(), ran_out(), at(EIGHT + 1, OrderAllocated, 4, location="S1"))) == (0, 0, 4)


def test_what_left_has_left() -> None:
    one = folded(soft(), ran_out(), at(EIGHT + 1, ShipmentConfirmed, 1, location="S1"))
    assert claims(one) == (0, 0, 0)
    assert one.positions()["A", "S1"].on_hand == 8
    line = one.rows.get("c|A|O-1|1")
    assert isinstance(line, Claim)
    assert (standing(line, TEN).taken, standing(line, TEN).expired) == (1, True)


def test_what_is_taken_later_holds_the_line_again() -> None:
    assert claims(folded(soft(), ran_out(), soft(2, NINE + 1))) == (6, 0, 0)
    assert claims(folded(soft(), ran_out(), soft(2, NINE + 1, expires_at=NINE + HOUR // 2))) == (0, 0, 0)


def test_it_may_be_taken_back_or_moved() -> None:
    named = EventRef("ReservationExpired", "more", RAN_OUT)
    assert claims(folded(soft(), ran_out(), at(NINE, Correction, order=None, reverses=named))) == (4, 0, 0)
    moved = at(NINE, Correction, order=None, reverses=named, replacement=ran_out(TEN + HOUR))
    assert claims(folded(soft(), ran_out(), moved)) == (4, 0, 0)
    assert claims(folded(soft(), ran_out(), moved, until=TEN + 2 * HOUR)) == (0, 0, 0)


@pytest.mark.parametrize("order", [Ref("O-9", 1), None])
def test_of_nothing_it_ends_nothing(order: Ref | None) -> None:
    assert claims(folded(soft(), at(NINE, ReservationExpired, order=order))) == (4, 0, 0)


def test_it_gives_back_at_once_where_its_time_has_come_and_at_the_tick_where_not() -> None:
    one = Folded([*stocked(S1=4), tick(TEN), soft(4, TEN)])
    one.send(request(1))
    assert one.decided["R-1"].quantity == 0
    one.send(ran_out(TEN + HOUR))
    one.send(request(2))
    assert one.decided["R-2"].quantity == 0
    one.send(tick(TEN + HOUR))
    one.send(request(3))
    assert one.decided["R-3"].quantity == 1
