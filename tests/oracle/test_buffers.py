"""Buffers that follow the rates: the judge finds what was drawn when they were judged last, and a wrong figure."""

from dataclasses import replace

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from atp.book import Summary
from atp.events import DAY, Event
from avro_schemas import codec
from oracle.compare import differences
from tests.core.strategies import tick
from tests.core.test_buffers import BY_RATE, STOCK, at, bustle, policy, sale, ticking, with_ticks
from tests.oracle.pipeline import folded, judged

WINDOW = 7 * DAY


def test_what_was_drawn_before_the_minute_was_judged() -> None:
    """100 by others in 5 minutes are 200 in 10; 5 of its own are 2 in 2. What came after the minute began waits."""
    log = [policy(), STOCK, sale(1, 100, "store"), sale(1, 5, "market"), tick(at(2)), sale(2.5, 50, "store")]
    db, _ = judged(folded([*log, tick(at(2.9))], WINDOW), WINDOW)
    assert list(differences(db, 10)) == []
    assert db.execute("SELECT buffer, atp FROM channels WHERE channel = 'market'").fetchall() == [(202, 643)]


@settings(max_examples=25, suppress_health_check=[HealthCheck.too_slow])
@given(bustle(), ticking, st.booleans())
def test_pipeline_and_judge_agree_of_a_busy_hour(pieces: list[list[Event]], steps: list[float], late: bool) -> None:
    db, _ = judged(folded(with_ticks(pieces, steps, late=late), WINDOW), WINDOW)
    assert list(differences(db, 10)) == []


@pytest.mark.parametrize("more", [-1, 1])
def test_a_wrong_buffer_does_not_pass(more: int) -> None:
    topics = folded([policy(replace(BY_RATE, cap=1)), STOCK, sale(1, 100, "store"), tick(at(2))], WINDOW)
    row = codec.decode_row("s|A", topics.rows[b"s|A"])
    assert isinstance(row, Summary)
    states = []
    for state in row.channels:
        terms = state.terms
        states.append(replace(state, terms=replace(terms, buffer=terms.buffer + more)) if terms else state)
    topics.rows[b"s|A"] = codec.encode_row(replace(row, channels=tuple(states)))
    db, _ = judged(topics, WINDOW)
    assert [one.what for one in differences(db, 10)] == ["terms of a channel"]
