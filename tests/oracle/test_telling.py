"""Answers that a policy holds back: the judge takes them for given, unless they say that nothing is left."""

from dataclasses import replace

from atp.book import Told
from atp.events import DAY, Event
from avro_schemas import codec
from avro_schemas.public_json import parse_line
from tests.core.test_telling import line, policy, sale, stock
from tests.oracle.pipeline import Topics, folded, judged

WINDOW = 7 * DAY


def log() -> list[Event]:
    told = [policy(1, publish_units=5), stock(), *(sale(n, 2) for n in range(1, 8))]
    coming = line("PurchaseOrderPlaced", 1, 2, sku="CHAIR", location="S1", quantity=9, eta="2026-11-22")
    return [event for one in (*told, coming) for event in parse_line(one)]


def held(topics: Topics) -> tuple[bytes, Told]:
    for key, value in topics.rows.items():
        if key.startswith(b"f|"):
            row = codec.decode_row(key.decode(), value)
            assert isinstance(row, Told)
            return key, row
    raise AssertionError("nothing was held back")


def differences(topics: Topics) -> set[str]:
    db, _ = judged(topics, WINDOW)
    return {what for (what,) in db.execute("SELECT DISTINCT what FROM differences").fetchall()}


def test_what_is_held_back_is_no_difference() -> None:
    topics = folded(log(), WINDOW)
    _, row = held(topics)
    assert row.held is not None
    assert row.held.atp != row.last.atp
    assert differences(topics) == set()


def test_what_must_not_be_held_back_is_found() -> None:
    topics = folded(log(), WINDOW)
    key, row = held(topics)
    assert row.held is not None
    topics.rows[key] = codec.encode_row(replace(row, held=replace(row.held, atp=0)))
    assert differences(topics) == {"held back", "availability"}


def test_a_wrong_figure_that_is_held_back_is_found() -> None:
    topics = folded(log(), WINDOW)
    key, row = held(topics)
    assert row.held is not None
    topics.rows[key] = codec.encode_row(replace(row, held=replace(row.held, atp=row.held.atp + 1)))
    assert differences(topics) == {"availability"}
