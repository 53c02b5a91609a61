"""Exceptions: the judge says whose causes stand, and one that is missing or stale does not pass."""

from collections.abc import Callable
from dataclasses import replace

import pytest

from atp.effects import ExceptionChanged
from atp.events import DAY, Document, Event, ExceptionAcknowledged, PolicyChanged, PolicyFields
from avro_schemas import codec
from oracle.compare import differences
from tests.oracle.damage import change_last
from tests.oracle.pipeline import Topics, folded, judged
from tests.oracle.wild_exceptions import WildExceptions

WINDOW = 7 * DAY
SEED = 124
"""Of a log that ends with causes of every kind."""
KINDS = (
    "short_receipt", "over_receipt", "overdue_transfer", "pick_failed", "unmatched_shipment", "unmatched_return",
)  # fmt: skip


def log(seed: int) -> list[Event]:
    return WildExceptions(seed, 300, ticks=seed % 3 != 2).log()


def test_pipeline_and_judge_agree() -> None:
    seen: set[str] = set()
    for seed in (0, 2, SEED, 39):
        db, found = judged(folded(log(seed), WINDOW), WINDOW)
        assert list(differences(db, 10)) == [], f"seed {seed}"
        assert found.exceptions
        seen |= {kind for (kind,) in db.execute("SELECT kind FROM open_exceptions").fetchall()}
    assert seen == set(KINDS)


def lose(topics: Topics, kind: str) -> None:
    """As if nothing of a kind had ever been told."""
    told = [(key, codec.decode(value or b"")) for key, value in topics.exceptions]
    lost = {key for key, one in told if isinstance(one, ExceptionChanged) and one.kind == kind}
    assert lost
    topics.exceptions = [pair for pair in topics.exceptions if pair[0] not in lost]


@pytest.mark.parametrize("kind", KINDS)
def test_one_that_was_never_told_is_missed(kind: str) -> None:
    topics = folded(log(SEED), WINDOW)
    lose(topics, kind)
    db, _ = judged(topics, WINDOW)
    wrong = list(differences(db, 100))
    assert wrong
    for one in wrong:
        assert (one.what, one.expected, one.found) == ("exception", "open", "none")
        assert one.key.startswith(kind)


def test_one_whose_cause_is_gone_is_not_open() -> None:
    topics = folded(log(SEED), WINDOW)

    def open_again(told: ExceptionChanged) -> ExceptionChanged | None:
        closed = told.transition == "closed" and told.kind in KINDS
        return replace(told, transition="opened", scope="of nothing") if closed else None

    change_last(topics.exceptions, ExceptionChanged, open_again)
    db, _ = judged(topics, WINDOW)
    assert [(one.what, one.expected, one.found) for one in differences(db, 10)] == [("exception", "closed", "open")]


def test_one_is_told_once() -> None:
    topics = folded(log(SEED), WINDOW)

    def another(told: ExceptionChanged) -> ExceptionChanged | None:
        return replace(told, id="another") if told.transition != "closed" and told.kind in KINDS else None

    change_last(topics.exceptions, ExceptionChanged, another)
    key, value = topics.exceptions.pop()
    topics.exceptions = [*topics.exceptions, (b"another", value)]
    assert key != b"another"
    db, _ = judged(topics, WINDOW)
    assert [(one.what, one.expected, one.found) for one in differences(db, 10)] == [
        ("exception", "one", "2 that are open")
    ]


PAPER = Document("word", "1", 1)


def unwatched(events: list[Event]) -> Event:
    policy = PolicyFields(exception_watch={"over_receipt": False})
    return PolicyChanged(source="mdm", document=PAPER, event_time=events[0].event_time, policy=policy)


def done_with(events: list[Event]) -> Event:
    return ExceptionAcknowledged(
        source="desk", document=PAPER, event_time=events[-1].event_time, exception="x", resolution="seen"
    )


@pytest.mark.parametrize("word", [unwatched, done_with])
def test_none_is_demanded_where_people_decided_otherwise(word: Callable[[list[Event]], Event]) -> None:
    events = log(SEED)
    topics = folded([*events, word(events)], WINDOW)
    lose(topics, "over_receipt")
    db, _ = judged(topics, WINDOW)
    assert list(differences(db, 10)) == []
