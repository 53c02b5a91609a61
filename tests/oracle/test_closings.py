"""Counts that come of other events: of a full count that is closed, of snapshots where a policy says so."""

import random
from typing import Any

import pytest

from atp.events import DAY
from avro_schemas.public_json import parse_line
from oracle.compare import differences
from tests.oracle.pipeline import folded, judged

Json = dict[str, Any]


def line(kind: str, name: str, sku: str, at: str, location: str = "S1", **rest: Any) -> Json:
    document = {"type": "paper", "id": name, "line": 1}
    time = f"2026-11-20T{at}:00Z"
    event = {"type": kind, "source": "wms", "document": document, "location": location, "event_time": time, **rest}
    return event if not sku else {**event, "sku": sku}


LOG = [
    line("StockAdjusted", "o1", "A", "08:00", quantity=5, reason="opening"),
    line("StockAdjusted", "o2", "B", "08:00", quantity=6, reason="opening"),
    line("StockAdjusted", "o3", "C", "08:00", quantity=7, reason="opening"),
    line("StockAdjusted", "o4", "C", "08:00", location="S2", quantity=8, reason="opening"),
    line("SaleRecorded", "s1", "C", "08:30", quantity=1),
    line("CountRecorded", "full", "A", "09:00", quantity=4),
    line("CountClosed", "full", "", "09:10"),
    line("CountRecorded", "full", "B", "09:05", quantity=3),
    line("SaleRecorded", "s2", "C", "09:20", quantity=1),
    line("SaleRecorded", "s3", "C", "08:40", quantity=2),
    line("StockAdjusted", "o5", "D", "08:00", quantity=9, reason="opening"),
]


@pytest.mark.parametrize("seed", [None, 1, 2, 3, 4, 5])
def test_what_a_closed_count_did_not_list_is_not_there(seed: int | None) -> None:
    lines = list(LOG)
    if seed is not None:
        random.Random(seed).shuffle(lines)
    db, found = judged(folded([event for one in lines for event in parse_line(one)], 7 * DAY), 7 * DAY)
    assert list(differences(db, 10)) == []
    if seed is None:
        stock = db.execute("SELECT sku, location, sellable FROM stock ORDER BY sku, location").fetchall()
        # C was not listed at S1: nothing was there, and one was sold since. Of D nobody had heard.
        assert stock == [("A", "S1", 4), ("B", "S1", 3), ("C", "S1", -1), ("C", "S2", 8), ("D", "S1", 9)]
        assert found.variances == 3


@pytest.mark.parametrize("basis", ["physical", "sellable"])
def test_a_snapshot_is_a_count_while_a_policy_says_so(basis: str) -> None:
    policy = {
        "type": "PolicyChanged", "source": "mdm", "document": {"type": "policy", "id": "P", "line": 1},
        "location": "S1", "event_time": "2026-11-20T07:00:00Z", "policy": {"snapshot_is_count": True},
    }  # fmt: skip
    lines = [
        line("SnapshotReceived", "n0", "B", "08:00", quantity=70, basis=basis, source="wms"),
        line("StockAdjusted", "o1", "A", "08:00", quantity=5, reason="opening"),
        line("StockAdjusted", "o2", "A", "08:00", location="S2", quantity=5, reason="opening"),
        policy,
        line("SnapshotReceived", "n1", "A", "09:00", quantity=7, basis=basis),
        line("SnapshotReceived", "n2", "A", "09:00", location="S2", quantity=9, basis=basis),
        line("SaleRecorded", "s1", "A", "08:30", quantity=1),
        {**policy, "rev": 1, "policy": {"snapshot_is_count": False}},
        line("SnapshotReceived", "n3", "A", "10:00", quantity=1, basis=basis),
    ]
    db, _ = judged(folded([event for one in lines for event in parse_line(one)], 7 * DAY), 7 * DAY)
    assert list(differences(db, 10)) == []
    stock = db.execute("SELECT sku, location, sellable FROM stock ORDER BY sku, location").fetchall()
    assert stock == [("A", "S1", 7), ("A", "S2", 5)]
