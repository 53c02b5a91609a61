"""`atp explain` and `atp what-if` on a real broker: the same from a worker, from the changelogs and from the ledger."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from avro_schemas.instants import instant
from avro_schemas.public_json import parse_line
from cli.main import app
from streams.ledger import publish
from streams.settings import Settings
from tests.streams.rig import Rig, pipeline
from tests.streams.test_explain import EVENTS, line, order

pytestmark = pytest.mark.timeout(150)
TICK = {**line("TimeTicked", 0), "source": "clock", "event_time": "2026-11-20T10:00:00Z"}
del TICK["sku"]
REQUEST = line("ReservationRequested", 20, quantity=50, channel="web", order=order("O-9"), request_id="R-9")
SALE = line("SaleRecorded", 21, location="S1", quantity=30, channel="web")


@pytest.fixture
def rig(broker_settings: Settings, monkeypatch: pytest.MonkeyPatch) -> Iterator[Rig]:
    with pipeline(broker_settings) as one:
        for name, value in one.settings.environ().items():
            monkeypatch.setenv(name, value)
        yield one


def send(rig: Rig, *lines: dict[str, Any]) -> None:
    publish([event for one in lines for event in parse_line(one)], rig.settings, rig.brokers)


def ask(*words: str) -> dict[str, Any]:
    found = CliRunner().invoke(app, [*words, "--json"])
    assert found.exit_code == 0, (found.stdout, found.stderr, found.exception)
    answer: dict[str, Any] = json.loads(found.stdout)
    return answer


def derived(answer: dict[str, Any]) -> dict[str, Any]:
    """What is derived, without where it was read."""
    return {name: answer[name] for name in ("sku", "as_of", "locations", "promises", "channels")}


def test_worker_changelogs_and_ledger_give_the_same_derivation(rig: Rig, tmp_path: Path) -> None:
    send(rig, *EVENTS, TICK)
    rig.drain()
    first = instant(max(message.timestamp()[1] for message in rig.records("stock-events")) * 1000)
    from_changelogs = ask("explain", "CHAIR")
    assert from_changelogs["source"] == "changelog"
    assert [one["atp"] for one in from_changelogs["channels"] if one["channel"] == "web"] == [7]

    worker = rig.worker(until_idle=None)
    worker.wait_for("opened partition=2")
    worker.wait_for("opened partition=0")
    worker.wait_for("opened partition=1")
    from_worker = ask("explain", "CHAIR")
    assert from_worker["source"] == "worker"
    assert derived(from_worker) == derived(from_changelogs)

    asked = tmp_path / "asked.jsonl"
    asked.write_text("".join(json.dumps(one) + "\n" for one in (REQUEST, SALE, EVENTS[3])))
    ends = {topic: len(rig.records(topic)) for topic in ("stock-events", "availability", "inventory-changelog")}
    what_if = ask("what-if", "CHAIR", "--event", str(asked))
    assert [one["verdict"] for one in what_if["events"]] == ["folded", "folded", "duplicate"]
    assert [(one["decision"], one["quantity"]) for one in what_if["effects"]["decisions"]] == [("rejected", 0)]
    assert "negative_stock" in {one["kind"] for one in what_if["effects"]["risks"]}
    assert {topic: len(rig.records(topic)) for topic in ends} == ends
    rig.stop_all()
    unasked = ask("what-if", "CHAIR", "--event", str(asked))
    assert unasked["source"] == "changelog"
    assert unasked["changes"] == what_if["changes"]
    assert unasked["effects"] == what_if["effects"]

    send(rig, SALE)
    rig.drain()
    assert [one["atp"] for one in ask("explain", "CHAIR")["channels"] if one["channel"] == "web"] == [0]
    past = ask("explain", "CHAIR", "--at", first)
    assert past["moment"]["by"] == "append_time"
    assert derived(past) == derived(from_changelogs)
    assert ask("explain", "CHAIR", "--at", "2026-11-20T09:20:00Z", "--event-time")["channels"][-1]["atp"] == 7
    nothing = CliRunner().invoke(app, ["explain", "CHAIR", "--at", "2020-01-01T00:00:00Z"])
    assert (nothing.exit_code, "--event-time" in nothing.stderr) == (1, True)


def test_the_past_is_not_decided_anew(rig: Rig) -> None:
    """Stock dated after a request had come before it: without that stock the request would be rejected now."""
    small = {**REQUEST, "quantity": 4}
    send(rig, line("GoodsReceived", 40, location="S1", quantity=10), small)
    rig.drain()
    found = ask("explain", "CHAIR", "--at", "2026-11-20T09:30:00Z", "--event-time")
    assert found["locations"] == []
    (promise,) = found["promises"]
    assert (promise["what"], promise["units"]) == ("pending for web", 4)
    assert [one["order"] for one in promise["lines"]] == ["O-9"]
