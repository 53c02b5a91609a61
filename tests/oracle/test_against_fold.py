"""Two computations that share no code come to the same figures, and a wrong one does not pass."""

from collections.abc import Callable
from dataclasses import replace
from typing import TypeVar

import pytest

from atp.book import Position, Summary
from atp.effects import AvailabilityChanged, ErpLine
from atp.events import DAY, Document, PolicyChanged, PolicyFields
from avro_schemas import codec
from oracle.compare import differences
from tests.oracle.pipeline import Topics, folded, judged, letter
from tests.oracle.wild import Wild

T = TypeVar("T")

WINDOW = 7 * DAY


@pytest.mark.parametrize("seed", range(6))
def test_pipeline_and_judge_agree(seed: int) -> None:
    log = Wild(seed, 500, ticks=seed % 2 == 0).log()
    db, found = judged(folded(log, WINDOW), WINDOW)
    assert list(differences(db, 10)) == []
    # The log holds something of everything that the judge must know about.
    assert {"counts", "duplicate", "superseded", "conflict", "late"} <= set(found.verdicts)
    assert found.variances
    assert found.erp_lines > found.erp_totals > 0
    assert found.refused == sum(found.verdicts.get(v, 0) for v in ("conflict", "late", "future", "malformed"))


def test_damaged_records_are_refused_and_counted() -> None:
    log = Wild(7, 200, ticks=False).log()
    damaged = {10: b"garbage", 20: codec.encode(log[20])[:-3], 30: codec.encode(log[30]) + b"\x00"}
    db, found = judged(folded(log, WINDOW, damaged=damaged), WINDOW)
    assert found.verdicts["malformed"] == 3
    assert list(differences(db, 10)) == []


def test_what_there_is_no_room_for_counts_for_nobody() -> None:
    log = Wild(9, 100, ticks=False).log()
    places = tuple(f"{n:064}" for n in range(2_000))
    papers = [
        PolicyChanged(
            source="mdm", document=Document("p", f"{n}", 1), event_time=log[0].event_time + n, sku="Z", channel="web",
            policy=PolicyFields(locations=places, buffer=n),
        )
        for n in range(5)
    ]  # fmt: skip
    topics = folded([*papers, *log], WINDOW)
    db, found = judged(topics, WINDOW)
    assert list(differences(db, 10)) == []
    assert db.execute("SELECT off FROM letters WHERE cause = 'row_full'").fetchall() == [(3,), (4,)]
    assert found.verdicts["malformed"] == 2


@pytest.mark.parametrize("first", [0, 1])
def test_a_channel_that_only_a_replaced_version_of_a_policy_named_is_known(first: int) -> None:
    log = Wild(9, 100, ticks=False).log()
    papers = [
        PolicyChanged(
            source="mdm", document=Document("p", "of two channels", 1), event_time=log[0].event_time, rev=rev,
            channel=f"channel {rev}", policy=PolicyFields(share_percent=50),
        )
        for rev in (first, 1 - first)
    ]  # fmt: skip
    db, _ = judged(folded([*papers, *log], WINDOW), WINDOW)
    assert list(differences(db, 10)) == []
    assert {("channel 0",), ("channel 1",)} <= set(db.execute("SELECT channel FROM known_channels").fetchall())


# Each damage, and the kinds of difference that must be among those reported ----------------------------------


def changed(value: bytes | None, kind: type[T], change: Callable[[T], T]) -> bytes:
    effect = codec.decode(value or b"")
    assert isinstance(effect, kind)
    return codec.encode(change(effect))  # type: ignore[arg-type]


def row_of(topics: Topics, prefix: bytes, kind: type[T]) -> tuple[bytes, T]:
    key = next(key for key in sorted(topics.rows) if key.startswith(prefix))
    row = codec.decode_row(key.decode(), topics.rows[key])
    assert isinstance(row, kind)
    return key, row


def one_unit_more_in_a_row(topics: Topics) -> None:
    key, row = row_of(topics, b"p|", Position)
    topics.rows[key] = codec.encode_row(replace(row, sellable=row.sellable + 1))


def a_row_lost(topics: Topics) -> None:
    del topics.rows[row_of(topics, b"p|", Position)[0]]


def a_channel_wrong_in_the_table(topics: Topics) -> None:
    key, row = row_of(topics, b"s|", Summary)
    first, *rest = row.channels
    topics.rows[key] = codec.encode_row(replace(row, channels=(replace(first, atp=first.atp + 1), *rest)))


def an_answer_lost(topics: Topics) -> None:
    lost = topics.availability[-1][0]
    topics.availability = [pair for pair in topics.availability if pair[0] != lost]


def an_answer_of_one_unit_more(topics: Topics) -> None:
    key, value = topics.availability[-1]
    more = changed(value, AvailabilityChanged, lambda answer: replace(answer, atp=answer.atp + 1))
    topics.availability.append((key, more))


def a_posting_lost(topics: Topics) -> None:
    topics.erp_lines.pop(0)


def a_posting_twice_under_another_key(topics: Topics) -> None:
    again = changed(topics.erp_lines[0][1], ErpLine, lambda line: replace(line, posting_key="other"))
    topics.erp_lines.append((b"other", again))


def a_posting_key_with_two_contents(topics: Topics) -> None:
    key, value = topics.erp_lines[0]
    other = changed(value, ErpLine, lambda line: replace(line, business_date="2026-01-01"))
    topics.erp_lines.append((key, other))


def a_posting_out_of_balance(topics: Topics) -> None:
    key, value = topics.erp_lines[0]

    def tipped(line: ErpLine) -> ErpLine:
        first, *rest = line.legs
        return replace(line, legs=(replace(first, quantity=first.quantity + 1), *rest))

    topics.erp_lines[0] = (key, changed(value, ErpLine, tipped))


def a_variance_lost(topics: Topics) -> None:
    last = dict(topics.variances)
    standing = [key for key, value in last.items() if b"open" in (value or b"")]
    topics.variances = [pair for pair in topics.variances if pair[0] != standing[0]]


def a_dead_letter_lost(topics: Topics) -> None:
    topics.dead_letters.pop()


def a_record_refused_that_should_count(topics: Topics) -> None:
    topics.dead_letters.append((None, letter(0, "late")))


@pytest.mark.parametrize(
    ("damage", "kinds"),
    [
        (one_unit_more_in_a_row, {"position"}),
        (a_row_lost, {"position"}),
        (a_channel_wrong_in_the_table, {"channel in the table"}),
        (an_answer_lost, {"availability"}),
        (an_answer_of_one_unit_more, {"availability"}),
        (a_posting_lost, {"ERP account", "ERP total"}),
        (a_posting_twice_under_another_key, {"ERP account", "ERP total"}),
        (a_posting_key_with_two_contents, {"posting key with several contents"}),
        (a_posting_out_of_balance, {"ERP line out of balance"}),
        (a_variance_lost, {"variance"}),
        (a_dead_letter_lost, {"dead letter"}),
        (a_record_refused_that_should_count, {"dead letter"}),
    ],
)
def test_a_wrong_figure_is_found(damage: Callable[[Topics], None], kinds: set[str]) -> None:
    topics = folded(Wild(2, 300, ticks=False).log(), WINDOW)
    damage(topics)
    db, found = judged(topics, WINDOW)
    assert found.differences > 0
    assert kinds <= {one.what for one in differences(db, 100)}
