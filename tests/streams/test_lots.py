"""Lots as they are shown: in what is known of a SKU, in how its figures come about, and in a snapshot's tables."""

from typing import Any

import pytest

from atp.book import CLOCK_KEY
from atp.fold import Frame, fold
from avro_schemas.public_json import parse_line
from cli.show import print_answer
from sinks.tables import Tables
from streams.answer import answer
from streams.explain import explain
from streams.memory import MemoryRows

DAY = 86_400_000_000
PLACE: dict[str, Any] = {"sku": "CREAM", "location": "S1", "source": "wms"}


def paper(number: int, kind: str, hour: int, **fields: Any) -> dict[str, Any]:
    document = {"type": "paper", "id": f"P-{number}", "line": 1}
    return {"type": kind, "document": document, "event_time": f"2026-11-20T{hour:02}:00:00Z", **PLACE, **fields}


EVENTS = (
    paper(1, "GoodsReceived", 8, quantity=20, lot="L-1", expiry="2027-11-01"),
    paper(2, "GoodsReceived", 8, quantity=10, lot="L-2", expiry="2027-01-10"),
    paper(3, "GoodsReceived", 8, quantity=5, expiry="2026-11-19"),
    paper(4, "GoodsReceived", 8, quantity=2, lot="L-4"),
    paper(5, "ReservationPlaced", 9, quantity=4, channel="mall", order={"id": "O-1", "line": 1}),
    {
        "type": "PolicyChanged",
        "source": "mdm",
        "document": {"type": "policy", "id": "P-6", "line": 1},
        "event_time": "2026-11-20T00:00:00Z",
        "channel": "mall",
        "policy": {"min_life_days": 90},
    },
    {"type": "TimeTicked", "source": "clock", "event_time": "2026-11-20T10:00:00Z"},
)


@pytest.fixture
def rows() -> MemoryRows:
    held = MemoryRows()
    for line in EVENTS:
        for event in parse_line(line):
            for key, row in fold(held, event, Frame(window=7 * DAY)).changes.items():
                held.put(key, row)
    return held


def test_a_position_lists_its_lots(rows: MemoryRows, capsys: pytest.CaptureFixture[str]) -> None:
    found = answer(rows, "CREAM")
    (position,) = found["positions"]
    assert (position["expired"], position["atp"]) == (5, 28)
    assert position["lots"] == [
        {"lot": "", "expiry": "2026-11-19", "units": 5, "days_left": -1},
        {"lot": "L-2", "expiry": "2027-01-10", "units": 10, "days_left": 51},
        {"lot": "L-1", "expiry": "2027-11-01", "units": 20, "days_left": 346},
        {"lot": "L-4", "expiry": None, "units": 2, "days_left": None},
    ]
    print_answer({**found, "source": "changelog", "worker": "", "partition": 0, "position": 9})
    told = capsys.readouterr().out
    assert "S1: 37 sellable - 5 expired - 4 reserved firm = 28; ATP 28" in told
    assert "of no lot: 5 until 2026-11-19, expired" in told
    assert "lot L-2: 10 until 2027-01-10, 51 days left" in told
    assert "lot L-4: 2, nobody said until when" in told
    assert "mall: ATP 16 IN_STOCK: pool 16 of every location, of goods that last 90 days more" in told


def test_what_does_not_last_long_enough_is_a_step(rows: MemoryRows) -> None:
    found = explain(rows, "CREAM")
    (place,) = found["locations"]
    steps = {step["what"]: step["units"] for step in place["steps"]}
    assert (steps["sellable"], steps["expired"], steps["= exposed"]) == (37, -5, 28)
    (mall,) = (one for one in found["channels"] if one["channel"] == "mall")
    (step,) = (one for one in mall["steps"] if one["what"] == "do not last long enough")
    assert (step["units"], step["last"]["type"]) == (-12, "PolicyChanged")
    assert mall["atp"] == 16


def test_a_snapshot_has_a_table_of_lots(rows: MemoryRows) -> None:
    tables = Tables()
    tables.set_clock(rows.get(CLOCK_KEY))
    for key, row in rows.scan(""):
        tables.add(key, row)
    lots = {name: batch.to_pylist() for name, batch in tables.batches()}["lots"]
    assert [(one["lot"], str(one["expiry"]), one["units"], one["days_left"]) for one in lots] == [
        ("", "2026-11-19", 5, -1),
        ("L-2", "2027-01-10", 10, 51),
        ("L-1", "2027-11-01", 20, 346),
        ("L-4", "None", 2, None),
    ]
