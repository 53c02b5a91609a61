"""Promises, days to come and decisions: the pipeline and the judge agree, and a wrong figure does not pass."""

from collections.abc import Callable
from dataclasses import replace

import pytest

from atp.book import Network, Position, Summary
from atp.effects import AvailabilityChanged, DatedQuantity, RequestDecided
from atp.events import DAY
from oracle.compare import differences
from tests.oracle.damage import change_last, change_row
from tests.oracle.pipeline import Topics, folded, judged
from tests.oracle.wild_promises import WildPromises

WINDOW = 7 * DAY


@pytest.mark.parametrize("seed", [0, 1, 3, 14, 16])
def test_pipeline_and_judge_agree(seed: int) -> None:
    log = WildPromises(seed, 300, ticks=seed % 2 == 0).log()
    db, found = judged(folded(log, WINDOW), WINDOW)
    assert list(differences(db, 10)) == []
    # The log comes to something of everything that the judge must know about.
    assert found.claims
    assert found.decisions
    for table in ("claims", "pending", "lines WHERE taken > 0", "rings WHERE taken > 0"):
        assert db.execute(f"FROM {table} LIMIT 1").fetchall(), table
    if seed % 2 == 0:
        assert db.execute("FROM inbound LIMIT 1").fetchall()


# Each damage, and the kinds of difference that must be among those reported ----------------------------------


def a_unit_claimed_twice(topics: Topics) -> None:
    change_row(topics.rows, b"p|", Position, lambda row: replace(row, reserved_firm=row.reserved_firm + 1))


def demand_forgotten(topics: Topics) -> None:
    change_row(topics.rows, b"n|", Network, lambda row: replace(row, pending={}) if row.pending else None)


def dated_demand_a_day_late(topics: Topics) -> None:
    def later(row: Network) -> Network | None:
        if not row.dated:
            return None
        first, *rest = row.dated
        return replace(row, dated=(replace(first, day=first.day + 1), *rest))

    change_row(topics.rows, b"n|", Network, later)


def goods_that_come_twice(topics: Topics) -> None:
    def twice(row: Network) -> Network | None:
        known = [one for one in row.inbound if one.location]
        return replace(row, inbound=(*row.inbound, known[0])) if known else None

    change_row(topics.rows, b"n|", Network, twice)


def a_sale_that_drew_on_no_ring_fence(topics: Topics) -> None:
    def drew(row: Network) -> Network | None:
        if not row.fences:
            return None
        first, *rest = row.fences
        return replace(row, fences=(replace(first, taken=first.taken - 1), *rest))

    change_row(topics.rows, b"n|", Network, drew)


def a_pool_of_one_more(topics: Topics) -> None:
    def more(row: Summary) -> Summary:
        first, *rest = row.channels
        return replace(row, channels=(replace(first, pool=first.pool + 1), *rest))

    change_row(topics.rows, b"s|", Summary, more)


def a_day_of_one_more(topics: Topics) -> None:
    def more(answer: AvailabilityChanged) -> AvailabilityChanged | None:
        if not answer.horizon:
            return None
        *rest, last = answer.horizon
        return replace(answer, horizon=(*rest, DatedQuantity(date=last.date, quantity=last.quantity + 1)))

    change_last(topics.availability, AvailabilityChanged, more)


def sold_out_for_ever(topics: Topics) -> None:
    def never(answer: AvailabilityChanged) -> AvailabilityChanged | None:
        return replace(answer, next_available=None) if answer.next_available else None

    change_last(topics.availability, AvailabilityChanged, never)


def no_answer(topics: Topics) -> None:
    lost = topics.answers[0][0]
    topics.answers = [pair for pair in topics.answers if pair[0] != lost]


def two_answers(topics: Topics) -> None:
    change_last(topics.answers, RequestDecided, lambda one: replace(one, decision="partly", quantity=one.quantity + 1))


def more_than_asked_for(topics: Topics) -> None:
    def more(one: RequestDecided) -> RequestDecided | None:
        return replace(one, quantity=one.requested + 1) if one.decision == "accepted" else None

    change_last(topics.answers, RequestDecided, more)


def more_than_there_was(topics: Topics) -> None:
    def accepted(one: RequestDecided) -> RequestDecided | None:
        return replace(one, quantity=one.requested, decision="accepted") if one.decision == "rejected" else None

    change_last(topics.answers, RequestDecided, accepted)


def an_answer_that_nobody_asked_for(topics: Topics) -> None:
    change_last(topics.answers, RequestDecided, lambda one: replace(one, request_id="nobody's"))


@pytest.mark.parametrize(
    ("damage", "kinds"),
    [
        (a_unit_claimed_twice, {"claims"}),
        (demand_forgotten, {"pending demand"}),
        (dated_demand_a_day_late, {"demand of a later day"}),
        (goods_that_come_twice, {"to come"}),
        (a_sale_that_drew_on_no_ring_fence, {"ring-fence"}),
        (a_pool_of_one_more, {"terms of a channel"}),
        (a_day_of_one_more, {"days to come"}),
        (sold_out_for_ever, {"next available"}),
        (no_answer, {"request without an answer"}),
        (two_answers, {"answers of one request", "answer that does not fit"}),
        (more_than_asked_for, {"answers of one request", "answer that does not fit"}),
        (more_than_there_was, {"answers of one request", "answer that does not fit"}),
        (an_answer_that_nobody_asked_for, {"answer without a request"}),
    ],
)
def test_a_wrong_figure_is_found(damage: Callable[[Topics], None], kinds: set[str]) -> None:
    topics = folded(WildPromises(1, 300, ticks=True).log(), WINDOW)
    damage(topics)
    db, found = judged(topics, WINDOW)
    assert found.differences > 0
    assert kinds <= {one.what for one in differences(db, 100)}
