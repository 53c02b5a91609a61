"""`atp show` and `atp advice` say what there is now of what may be offered instead, whichever partition it lies in."""

import json
from collections.abc import Iterator
from typing import Any

import pytest
from typer.testing import CliRunner

from avro_schemas.public_json import parse_line
from cli.main import app
from streams.settings import Settings
from tests.streams.rig import Rig, pipeline

pytestmark = pytest.mark.timeout(150)

HOUR = "2026-11-20T{:02d}:00:00Z"
PAPER = {"type": "paper", "line": 1}


@pytest.fixture
def rig(settings: Settings, broker_settings: Settings, brokers: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[Rig]:
    for name, value in settings.environ().items():
        monkeypatch.setenv(name, value)
    monkeypatch.setenv("ATP_BROKERS", brokers)
    with pipeline(broker_settings.model_copy(update={"commit_interval_ms": 10})) as one:
        yield one


def said(rig: Rig) -> None:
    """A chair is sold out; of its substitutes there are 4 benches, and nobody has heard of a stool."""
    lines: list[dict[str, Any]] = [
        {"type": "MasterChanged", "sku": "CHAIR", "substitutes": ["STOOL", "BENCH"], "event_time": HOUR.format(7)},
        {"type": "GoodsReceived", "sku": "CHAIR", "location": "S1", "quantity": 1, "event_time": HOUR.format(8)},
        {"type": "GoodsReceived", "sku": "BENCH", "location": "S1", "quantity": 4, "event_time": HOUR.format(8)},
        {"type": "SaleRecorded", "sku": "CHAIR", "location": "S1", "quantity": 1, "event_time": HOUR.format(9)},
        *({"type": "TimeTicked", "event_time": HOUR.format(hour)} for hour in (10, 11)),
    ]
    for number, line in enumerate(lines):
        paper = {} if line["type"] == "TimeTicked" else {"document": {**PAPER, "id": f"D-{number}"}}
        rig.publish(parse_line({"source": "s", **paper, **line}))
    rig.drain()


def test_what_there_is_instead_is_looked_up_when_it_is_read(rig: Rig) -> None:
    said(rig)
    shown = CliRunner().invoke(app, ["show", "CHAIR", "--json"])
    assert json.loads(shown.stdout)["substitutes"] == [
        {"sku": "STOOL", "atp": None, "status": None, "next_available": None},
        {"sku": "BENCH", "atp": 4, "status": "IN_STOCK", "next_available": None},
    ]
    words = CliRunner().invoke(app, ["show", "CHAIR"]).stdout
    assert "may be offered instead\n  STOOL: nothing is known of it\n  BENCH: ATP 4 IN_STOCK" in words
    listed = CliRunner().invoke(app, ["advice", "--kind", "substitute"]).stdout
    assert "proposed  substitute  CHAIR" in listed
    assert "STOOL: nothing is known of it, BENCH: ATP 4 IN_STOCK; out all" in listed
    told = CliRunner().invoke(app, ["advice", "--json"]).stdout
    assert json.loads(told.splitlines()[0])["substitutes"] == ["STOOL", "BENCH"]


def test_of_a_kit_there_is_what_its_parts_leave(rig: Rig) -> None:
    lines: list[dict[str, Any]] = [
        {"type": "MasterChanged", "sku": "CHAIR", "substitutes": ["BENCH-SET"], "event_time": HOUR.format(7)},
        {"type": "MasterChanged", "kit": "BENCH-SET", "components": {"BENCH": 2}, "event_time": HOUR.format(7)},
        {"type": "GoodsReceived", "sku": "BENCH", "location": "S1", "quantity": 4, "event_time": HOUR.format(8)},
        {"type": "GoodsReceived", "sku": "CHAIR", "location": "S1", "quantity": 1, "event_time": HOUR.format(8)},
    ]
    for number, line in enumerate(lines):
        rig.publish(parse_line({"source": "s", "document": {**PAPER, "id": f"D-{number}"}, **line}))
    worker = rig.worker(topology=None)
    assert worker.end() == 0, worker.text()[-4000:]
    shown = CliRunner().invoke(app, ["show", "CHAIR", "--json"])
    assert json.loads(shown.stdout)["substitutes"] == [
        {"sku": "BENCH-SET", "atp": 2, "status": "IN_STOCK", "next_available": None}
    ]
