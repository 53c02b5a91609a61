"""Answers to requests: the judge says what could be taken at their moments, and an answer of more does not pass."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from atp.effects import RequestDecided
from atp.events import DAY
from oracle.compare import compare, differences
from oracle.recompute import recompute
from tests.oracle.damage import change_last
from tests.oracle.pipeline import Topics, filled, folded, judged
from tests.oracle.test_promises import STOCK, answer, granted, line, request, shop, tick, told
from tests.oracle.wild_requests import WildRequests

WINDOW = 7 * DAY
KIND = "answer at its moment"


@pytest.mark.parametrize("seed", [0, 1, 2, 5, 14])
def test_pipeline_and_judge_agree(seed: int) -> None:
    db, found = judged(folded(WildRequests(seed, 300, ticks=True).log(), WINDOW), WINDOW)
    assert list(differences(db, 10)) == []
    # Nearly all are judged, whole, in part, and refused, of one location and of all.
    assert found.moments > 0.8 * found.decisions
    for what in ("accepted = quantity", "accepted BETWEEN 1 AND quantity - 1", "accepted = 0", "location <> ''"):
        assert db.execute(f"FROM moments WHERE {what} LIMIT 1").fetchall(), what
    for table in ("rings WHERE open > 0", "dated", "pending"):
        assert db.execute(f"FROM moment.{table} LIMIT 1").fetchall(), table


def test_only_so_many_events_are_gone_through_again() -> None:
    db = filled(folded(WildRequests(0, 300, ticks=True).log(), WINDOW))
    recompute(db, WINDOW, moment_events=700)
    assert compare(db).moments in range(10, 40)
    ((most,),) = db.execute("SELECT count(*) FROM moment.facts").fetchall()
    assert most <= 700


# By hand ------------------------------------------------------------------------------------------------------


def found(answers: list[RequestDecided], *lines: dict[str, Any]) -> list[tuple[str, str]]:
    """What differs of answers to requests after these lines, by the judge and by the answers."""
    db = filled(told([tick("08:30"), STOCK, *lines], answers=answers))
    recompute(db, WINDOW)
    compare(db)
    return db.execute("SELECT expected, found FROM differences WHERE what = ?", [KIND]).fetchall()


def test_what_was_there_at_the_moment_counts_and_nothing_that_came_later() -> None:
    more = line("GoodsReceived", 9, "10:00", 50, location="DC1")
    first = answer(1, "accepted", 3, atp=10)
    assert found([first, answer(2, "accepted", 3, atp=7)], request(1), request(2), more) == []
    assert found([first, answer(2, "accepted", 3, atp=10)], request(1), request(2), more) == [("3 of 7", "3 of 10")]


def test_the_last_unit_is_promised_once() -> None:
    first, second = answer(1, "accepted", 8, 8, atp=10), answer(2, "accepted", 8, 8, atp=10)
    assert found([first, second], request(1, 8), request(2, 8)) == [("0 of 2", "8 of 10")]


def test_a_request_that_could_be_served_is_not_refused() -> None:
    assert found([answer(1, "rejected", 0, atp=10)], request(1)) == [("3 of 10", "0 of 10")]
    cancelled = line("OrderCancelled", 1, "08:45", order={"id": "O-1", "line": 1})
    assert found([answer(1, "rejected", 0, atp=10)], cancelled, request(1)) == []


def test_a_ring_fence_of_another_is_not_there_and_its_own_is() -> None:
    lines = [shop("web", "DC1"), shop("mall", "DC1"), granted(1, "mall", 6)]
    assert found([answer(1, "accepted", 3, atp=4)], *lines, request(1)) == []
    mine = answer(1, "accepted", 3, atp=10, channel="mall")
    assert found([mine], *lines, request(1, channel="mall")) == []


def test_one_location_has_what_promises_leave_it() -> None:
    more = line("GoodsReceived", 2, "08:00", 4, location="S1")
    waits = line("ReservationPlaced", 1, "08:40", 12, order={"id": "O-9", "line": 1}, channel="web")
    asked = request(1, location="S1")
    assert found([answer(1, "rejected", 0, atp=2, location="S1")], more, waits, asked) == []


# Each damage ----------------------------------------------------------------------------------------------------


def figure_of_one_more(one: RequestDecided) -> RequestDecided | None:
    return replace(one, atp=one.atp + 1) if one.decision == "accepted" else None


def one_more_than_there_was(one: RequestDecided) -> RequestDecided | None:
    if one.decision != "rejected" or one.requested <= one.atp:
        return None
    return replace(one, decision="accepted", quantity=one.requested, atp=one.requested)


def refused_for_nothing(one: RequestDecided) -> RequestDecided | None:
    return replace(one, decision="rejected", quantity=0, atp=0) if one.decision == "accepted" else None


@pytest.mark.parametrize("damage", [figure_of_one_more, one_more_than_there_was, refused_for_nothing])
def test_a_wrong_answer_is_found(damage: Callable[[RequestDecided], RequestDecided | None]) -> None:
    topics: Topics = folded(WildRequests(1, 300, ticks=True).log(), WINDOW)
    key = change_last(topics.answers, RequestDecided, damage)
    # As it was said the first time, and the only time.
    topics.answers = [pair for n, pair in enumerate(topics.answers) if pair[0] != key or n == len(topics.answers) - 1]
    db, _ = judged(topics, WINDOW)
    wrong = [one for one in differences(db, 100) if one.what == KIND]
    assert any(one.key.endswith((key or b"").decode()) for one in wrong)
