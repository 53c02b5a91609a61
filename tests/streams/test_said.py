"""What a fold from the beginning adds to outputs that are there: what is missing, and nothing twice."""

from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path

import pytest

from atp.effects import AvailabilityChanged, Cause, DeadLetter, Effect, RequestDecided, RiskChanged
from avro_schemas import codec
from streams.batch import EffectOut
from streams.decided import Decided
from streams.said import Said
from streams.table import Shared
from topologies import topics
from topologies.inventory import INVENTORY
from topologies.topics import Topic

CAUSE = Cause(type="SaleRecorded", key="k")
OPENED = RiskChanged(
    id="r1", kind="negative_stock", sku="A", scope="S1", transition="opened", severity="HIGH", opened_at=1, at=1,
    quantity=-3, evidence={}, action="count", cause=CAUSE,
)  # fmt: skip
RESTATED = replace(OPENED, transition="restated", at=2, quantity=-2)
CLOSED = replace(OPENED, transition="closed", at=9, action="")
ANSWER = AvailabilityChanged(
    key="all|A", sku="A", channel="all", location="", atp=5, atp_raw=5, previous_atp=4, status="IN_STOCK", epoch=0,
    version=7, as_of=1, computed_at=None, cause=CAUSE,
)  # fmt: skip
DECISION = RequestDecided(
    request_id="q", sku="A", channel="web", location="", order="", order_line=1, decision="accepted", requested=2,
    quantity=2, atp=2, reason="", state="soft", expires_at=None, decided_at=None, as_of=1, epoch=0, event_key="q|A",
)  # fmt: skip
LETTER = DeadLetter(
    cause="garbage", detail="", suggestion="", topic="stock-events", partition=0, offset=5, timestamp=0, key=b"A",
    value=b"x", headers={},
)  # fmt: skip


@pytest.fixture
def said(tmp_path: Path) -> Iterator[Said]:
    one = Said(tmp_path / "said", Shared(), INVENTORY.outputs)
    yield one
    one.close()


def test_what_is_there_is_not_said_again(said: Said) -> None:
    both = [OPENED, RESTATED, OPENED, CLOSED]
    for effect in both:
        _hear(said, effect)
    _take(said, [replace(effect, cause=Cause(type="other", key="words")) for effect in both])
    said.last_words(1, 10)
    assert list(said.missing()) == []


def test_what_is_missing_is_added_as_often_as_it_is_missing(said: Said) -> None:
    _hear(said, OPENED)
    _take(said, [OPENED, RESTATED, OPENED, CLOSED])
    said.last_words(1, 10)
    assert _missing(said) == [RESTATED, OPENED, CLOSED]


def test_the_last_word_is_said_again_where_another_stands_last(said: Said) -> None:
    for effect in (OPENED, CLOSED, RESTATED):
        _hear(said, effect)
    _take(said, [OPENED, RESTATED, CLOSED])
    said.last_words(1, 10)
    assert _missing(said) == [CLOSED]


def test_a_risk_that_no_longer_follows_is_closed(said: Said) -> None:
    _hear(said, OPENED)
    _hear(said, replace(CLOSED, id="r2"))
    said.last_words(3, 10)
    (closed,) = _missing(said)
    assert closed == replace(CLOSED, at=10, cause=Cause(type="Rebuild", key="epoch 3"))


def test_a_key_that_is_written_once_stays_as_it_is(said: Said) -> None:
    _hear(said, DECISION)
    _hear(said, LETTER)
    other = replace(DECISION, sku="B", event_key="q|B")
    _take(said, [replace(DECISION, atp=9), DECISION, other, other])
    _take(said, [replace(LETTER, cause="truncated"), replace(LETTER, offset=6)])
    assert _missing(said) == [other, replace(LETTER, offset=6)]


def test_what_a_topic_has_lost_by_age_is_not_told_again(said: Said) -> None:
    said.begins(topics.RISKS, 1_000)
    said.begins(topics.AVAILABILITY, 1_000)
    _hear(said, RESTATED)
    assert said.boundaries == [1_000]
    _take(said, [OPENED, replace(OPENED, id="r3"), RESTATED], oldest_ms=999)
    _take(said, [CLOSED], oldest_ms=1_000)
    said.last_words(1, 10)
    assert _missing(said) == [CLOSED]


def test_of_answers_only_the_last_is_said_under_the_new_epoch(said: Said) -> None:
    _hear(said, ANSWER)
    _hear(said, replace(ANSWER, key="gone|A", channel="gone"))
    for version in (1, 2, 3):
        _take(said, [replace(ANSWER, epoch=1, version=version, atp=version)])
    assert said.epoch_for(1, begun=False) == 1
    assert [(key, value and codec.decode(value)) for _, key, value in said.answers(1)] == [
        (b"all|A", replace(ANSWER, epoch=1, version=3, atp=3)),
        (b"gone|A", None),
    ]


@pytest.mark.parametrize(
    ("there", "epoch"),
    [
        (replace(ANSWER, epoch=1, version=3, atp=3), 1),  # A rebuild that was killed had said just this.
        (replace(ANSWER, epoch=1, version=2, atp=9), 1),  # Ours is newer: it is taken.
        (replace(ANSWER, epoch=1, version=3, atp=9), 2),  # Another fold said something else.
        (replace(ANSWER, epoch=4, version=1), 5),
    ],
)
def test_an_epoch_that_was_used_for_other_answers_is_skipped(
    said: Said, there: AvailabilityChanged, epoch: int
) -> None:
    _hear(said, there)
    _take(said, [replace(ANSWER, epoch=1, version=3, atp=3)])
    assert said.epoch_for(1, begun=True) == epoch
    assert said.epoch_for(1, begun=False) == there.epoch + 1
    left = [value for _, _, value in said.answers(epoch)]
    assert len(left) == (there.version != 3 or there.atp != 3 or epoch > 1)


def test_a_logged_decision_is_found_by_either_name_and_the_first_stands(tmp_path: Path) -> None:
    decided = Decided(tmp_path / "decided", Shared())
    for one in (DECISION, replace(DECISION, atp=9), replace(DECISION, sku="B", event_key="q|B")):
        decided.hear(codec.encode(one))
    assert decided["q"] == decided["q|A"] == DECISION
    assert decided["q|B"].sku == "B"
    assert decided.get("other") is None
    assert (sorted(decided), len(decided)) == (["q", "q|A", "q|B"], 3)
    decided.close()


def _place(effect: Effect | DeadLetter) -> tuple[Topic, bytes]:
    if isinstance(effect, DeadLetter):
        return topics.DEAD_LETTERS, f"{effect.topic}|{effect.partition}|{effect.offset}".encode()
    topic, key = INVENTORY.route(effect)
    return topic, key.encode()


def _hear(said: Said, effect: Effect | DeadLetter) -> None:
    said.hear(*_place(effect), codec.encode(effect))


def _take(said: Said, effects: Sequence[Effect | DeadLetter], oldest_ms: int = 0) -> None:
    said.take([EffectOut(*_place(effect), codec.encode(effect)) for effect in effects], oldest_ms)


def _missing(said: Said) -> list[object]:
    return [codec.decode(value or b"") for _, _, value in said.missing()]
