"""Lots: the pipeline and the judge agree, and a wrong figure does not pass."""

from dataclasses import replace

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from atp.book import Lots, Position
from atp.events import DAY, Document, Event, GoodsReceived, PolicyChanged, PolicyFields, SaleRecorded
from avro_schemas import codec
from oracle.compare import differences
from tests.core.papers import more, reserved
from tests.core.shelves import day, passed, shelves
from tests.oracle.pipeline import Topics, folded, judged

WINDOW = 7 * DAY


@settings(max_examples=20, suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large])
@given(shelves(), st.lists(st.integers(0, 5), max_size=2))
def test_pipeline_and_judge_agree(events: list[Event], days: list[int]) -> None:
    db, _ = judged(folded(passed(events, days), WINDOW), WINDOW)
    assert list(differences(db, 10)) == []


def shelf() -> list[Event]:
    """Twelve that last for ten days and five for one; the marketplace asks for seven, and has two of them reserved."""
    mall = more(PolicyChanged, 0, channel="mall", policy=PolicyFields(min_life_days=7))
    return [
        more(GoodsReceived, 12, location="S1", lot="NEW", expiry=day(10), document=Document("grn", "G-1", 1)),
        more(GoodsReceived, 5, location="S1", lot="OLD|1", expiry=day(1), document=Document("grn", "G-2", 1)),
        more(SaleRecorded, 2, location="S1", document=Document("receipt", "T-1", 1)),
        reserved(2, location="S1", channel="mall"),
        replace(mall, document=Document("policy", "P-1", 1)),
    ]


def test_the_judge_knows_what_lasts_long_enough() -> None:
    db, _ = judged(folded(passed(shelf(), []), WINDOW), WINDOW)
    assert db.execute(
        "SELECT lot, expiry_day - today, units FROM lots JOIN skus USING (sku) ORDER BY 2"
    ).fetchall() == [
        ("OLD|1", 1, 3),
        ("NEW", 10, 12),
    ]
    assert db.execute("SELECT life, units FROM layers ORDER BY life").fetchall() == [(0, 3), (7, 10)]
    assert dict(db.execute("SELECT channel, atp FROM channels").fetchall()) == {"all": 13, "mall": 10}
    db, _ = judged(folded(passed(shelf(), [4]), WINDOW), WINDOW)
    assert db.execute("SELECT expired, atp FROM nodes").fetchall() == [(3, 10)]
    assert dict(db.execute("SELECT channel, atp FROM channels").fetchall()) == {"all": 10, "mall": 0}


def a_lot_of_one_more(topics: Topics) -> None:
    row = codec.decode_row("L|A|S1", topics.rows[b"L|A|S1"])
    assert isinstance(row, Lots)
    topics.rows[b"L|A|S1"] = codec.encode_row(
        replace(row, units={word: units + 1 for word, units in row.units.items()})
    )


def goods_that_never_expire(topics: Topics) -> None:
    row = codec.decode_row("p|A|S1", topics.rows[b"p|A|S1"])
    assert isinstance(row, Position)
    topics.rows[b"p|A|S1"] = codec.encode_row(replace(row, expired=0))


@pytest.mark.parametrize(("damage", "what"), [(a_lot_of_one_more, "lot"), (goods_that_never_expire, "expired")])
def test_a_wrong_figure_is_found(damage: object, what: str) -> None:
    topics = folded(passed(shelf(), [4]), WINDOW)
    assert callable(damage)
    damage(topics)
    db, found = judged(topics, WINDOW)
    assert found.differences > 0
    assert what in {one.what for one in differences(db, 100)}
