"""Kits: the judge works out what their parts leave, and a wrong answer does not pass."""

from collections.abc import Callable
from dataclasses import replace

import pytest

from atp.book import Heard
from atp.effects import AvailabilityChanged, DatedQuantity
from atp.events import DAY
from avro_schemas import codec
from avro_schemas.public_json import parse_line
from oracle.compare import differences
from oracle.recompute import recompute
from tests.oracle.damage import change_last, change_row
from tests.oracle.pipeline import Topics, filled, folded, judged
from tests.oracle.wild_kits import WildKits
from tests.topologies.test_kits import APART, NEEDED, TOGETHER, Stock, bill, event

WINDOW = 7 * DAY


@pytest.mark.parametrize("seed", [0, 1, 3, 5, 23])
def test_pipeline_and_judge_agree(seed: int) -> None:
    db, found = judged(folded(WildKits(seed, 300, ticks=seed % 2 == 0).log(), WINDOW), WINDOW)
    assert list(differences(db, 10)) == []
    assert found.kits
    # Parts that are there together, and kits that say so.
    assert db.execute("FROM kit_answers WHERE least(at_nodes, by_parts) > 0 LIMIT 1").fetchall()
    assert db.execute("FROM kit_answers WHERE assembled > 0 LIMIT 1").fetchall()


@pytest.mark.parametrize(("stock", "kits"), [(APART, 0), (TOGETHER, 2)])
def test_parts_make_a_kit_where_they_lie_together(stock: Stock, kits: int) -> None:
    lots = [(sku, place, units) for sku, places in stock.items() for place, units in places.items()]
    lines = [
        bill(1, "BED", NEEDED),
        *(event(n, "GoodsReceived", sku=sku, location=place, quantity=u) for n, (sku, place, u) in enumerate(lots)),
    ]
    db = filled(Topics(ledger=[(e.sku.encode() or None, codec.encode(e)) for one in lines for e in parse_line(one)]))
    recompute(db, WINDOW)
    assert db.execute("SELECT channel, atp FROM kit_answers").fetchall() == [("all", kits)]


# Each damage, and the kind of difference that must be among those reported ------------------------------------


def change_kit(topics: Topics, change: Callable[[AvailabilityChanged], AvailabilityChanged]) -> None:
    change_last(topics.availability, AvailabilityChanged, lambda one: change(one) if one.kit is not None else None)


def a_kit_too_many(topics: Topics) -> None:
    change_kit(topics, lambda one: replace(one, atp=one.atp + 1))


def another_status(topics: Topics) -> None:
    change_kit(topics, lambda one: replace(one, status="LOW" if one.status == "OUT" else "OUT"))


def what_is_assembled_alone(topics: Topics) -> None:
    change_kit(topics, lambda one: replace(one, kit=None))


def a_version_of_the_future(topics: Topics) -> None:
    change_kit(topics, lambda one: replace(one, version=one.version + 100_000))


def a_day_to_come(topics: Topics) -> None:
    change_kit(topics, lambda one: replace(one, horizon=(DatedQuantity(date="2025-12-01", quantity=1),)))


def no_answer(topics: Topics) -> None:
    lost = change_last(topics.availability, AvailabilityChanged, lambda one: one if one.kit is not None else None)
    topics.availability = [pair for pair in topics.availability if pair[0] != lost]


def a_part_that_was_not_heard(topics: Topics) -> None:
    change_row(topics.kits, b"j|", Heard, lambda row: replace(row, version=row.version - 1))


@pytest.mark.parametrize(
    ("damage", "kind"),
    [
        (a_kit_too_many, "kit"),
        (another_status, "kit"),
        (what_is_assembled_alone, "kit"),
        (a_version_of_the_future, "version of a kit"),
        (a_day_to_come, "days of a kit"),
        (no_answer, "kit"),
        (a_part_that_was_not_heard, "kit that was not told"),
    ],
)
def test_a_wrong_answer_is_found(damage: Callable[[Topics], None], kind: str) -> None:
    topics = folded(WildKits(0, 200, ticks=True).log(), WINDOW)
    damage(topics)
    db, _ = judged(topics, WINDOW)
    found = {one.what for one in differences(db, 100)}
    # The last answer for a kit that missed a word counts that word in.
    assert found - {"version of a kit"} == {kind} - {"version of a kit"}
    assert kind in found
