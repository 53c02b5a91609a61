"""`atp publish`: what it accepts, what it refuses and in which words, and what reaches the topics."""

import json
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner, Result

from atp.errors import FatalError
from atp.events import PolicyChanged
from avro_schemas import codec
from cli.main import app
from streams.settings import Settings
from tests.streams.rig import committed

SALE = {
    "type": "SaleRecorded",
    "source": "pos:S1-R2",
    "document": {"type": "receipt", "id": "T-1", "line": 1},
    "sku": "A",
    "location": "S1",
    "quantity": 2,
    "event_time": "2026-11-20T09:05:00Z",
}
POLICY = {
    "type": "PolicyChanged",
    "source": "mdm",
    "document": {"type": "policy", "id": "P-1", "line": 1},
    "channel": "web",
    "policy": {"buffer": 2},
    "event_time": "2026-11-20T00:00:00Z",
}
TICK = {"type": "TimeTicked", "source": "clock", "event_time": "2026-11-20T18:30:00Z"}


@pytest.fixture(autouse=True)
def _home(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    """Commands read the settings of the test, and no broker unless the test names one."""
    monkeypatch.delenv("ATP_BROKERS", raising=False)
    for name, value in settings.environ().items():
        monkeypatch.setenv(name, value)


def publish(*options: str, given: str | None = None) -> Result:
    found = CliRunner().invoke(app, ["publish", *options], input=given)
    if found.exception is not None and not isinstance(found.exception, SystemExit):
        raise found.exception
    return found


def file_of(folder: Path, *lines: Any) -> str:
    path = folder / "day.jsonl"
    path.write_text("".join(json.dumps(line) + "\n" if isinstance(line, dict) else f"{line}\n" for line in lines))
    return str(path)


def test_a_dry_run_needs_no_broker_and_counts_what_it_read(tmp_path: Path) -> None:
    found = publish(file_of(tmp_path, SALE, POLICY, TICK), "--dry-run")
    assert found.exit_code == 0
    assert "3  good events in 3 lines; nothing was published (--dry-run)" in found.stdout
    assert "1  SaleRecorded" in found.stdout


def test_standard_input_is_a_file_too() -> None:
    found = publish("-", "--dry-run", "--json", given=json.dumps(SALE))
    assert json.loads(found.stdout)["types"] == {"SaleRecorded": 1}


def test_what_is_wrong_is_said_with_line_and_field(tmp_path: Path) -> None:
    file = file_of(tmp_path, SALE, {**SALE, "quantity": 1.5}, "", {**SALE, "quantitty": 2}, "nonsense")
    found = publish(file)
    assert found.exit_code == 1
    assert found.stderr.splitlines()[:3] == [
        "line 2: quantity must be an integer, not 1.5",
        "line 4: quantitty is unknown; did you mean quantity?",
        "line 5: a line must be one JSON object: Expecting value: line 1 column 1 (char 0)",
    ]
    assert "Nothing was published. Correct these lines, or publish the rest: the same command with --keep-going" in (
        found.stderr
    )


def test_what_a_dry_run_finds_ends_with_what_to_do(tmp_path: Path) -> None:
    found = publish(file_of(tmp_path, SALE, {**SALE, "quantity": 0}), "--dry-run")
    assert "1  good event in 2 lines" in found.stdout
    assert "1  of 2 lines refused" in found.stderr
    assert found.stderr.strip().endswith(
        "Correct these lines, and try again: the same command. Every field is in docs/events.md"
    )


def test_a_program_gets_line_field_and_cause(tmp_path: Path) -> None:
    found = publish(file_of(tmp_path, SALE, {**SALE, "quantity": 0}), "--dry-run", "--json")
    assert found.exit_code == 1
    told = json.loads(found.stdout)
    assert told["refused_lines"] == 1
    assert told["published"] is False
    (problem,) = told["problems"]
    assert (problem["line"], problem["field"], problem["cause"]) == (2, "quantity", "out_of_range")


def test_many_bad_lines_are_counted_and_the_first_are_shown(tmp_path: Path) -> None:
    found = publish(file_of(tmp_path, *["{}"] * 100), "--dry-run")
    assert found.stderr.count("type is missing") == 20
    assert "... and 80 more lines" in found.stderr
    assert "100  of 100 lines refused" in found.stderr


def test_units_come_from_a_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = file_of(tmp_path, {**SALE, "uom": "case"})
    assert publish(str(file), "--dry-run").exit_code == 1
    units = tmp_path / "units.json"
    units.write_text('{"*": {"case": 12}}')
    assert publish(file, "--dry-run", "--units", str(units)).exit_code == 0
    monkeypatch.setenv("ATP_UNITS", str(units))
    assert publish(str(file), "--dry-run").exit_code == 0


@pytest.mark.parametrize(
    ("text", "said"),
    [("{}x", "one JSON object"), ('{"*": 12}', "must be an object"), ('{"*": {"case": 0}}', "greater than 0")],
)
def test_units_that_are_none_are_refused(tmp_path: Path, text: str, said: str) -> None:
    units = tmp_path / "units.json"
    units.write_text(text)
    with pytest.raises(FatalError, match=said):
        publish(file_of(tmp_path, SALE), "--dry-run", "--units", str(units))


def test_a_file_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(FatalError, match="cannot read"):
        publish(str(tmp_path / "none.jsonl"), "--dry-run")


def test_without_a_broker_it_says_how_to_get_one(tmp_path: Path) -> None:
    with pytest.raises(FatalError, match="atp up"):
        publish(file_of(tmp_path, SALE))


# On a real broker -------------------------------------------------------------------------------------------


@pytest.fixture
def topics(brokers: str, settings: Settings, monkeypatch: pytest.MonkeyPatch) -> Any:
    """Return what reads a topic of this test."""
    monkeypatch.setenv("ATP_BROKERS", brokers)
    return lambda name: list(committed(brokers, settings.topic_prefix + name, settings.partitions))


def test_all_lines_reach_the_ledger(topics: Any, tmp_path: Path) -> None:
    lines = [{**SALE, "sku": f"SKU-{number}"} for number in range(500)]
    found = publish(file_of(tmp_path, *lines, POLICY, TICK), "--json")
    told = json.loads(found.stdout)
    assert (told["published"], told["events"], told["records"]) == (True, 502, 506)
    events = [codec.decode_event(record.value()) for record in topics("stock-events")]
    assert sorted(event.sku for event in events if event.sku) == sorted(str(line["sku"]) for line in lines)
    assert sum(isinstance(event, PolicyChanged) for event in events) == 3


def test_nothing_or_the_good_lines_of_a_bad_file(topics: Any, tmp_path: Path) -> None:
    file = file_of(tmp_path, SALE, "nonsense", {**SALE, "sku": "B"})
    assert publish(file_of(tmp_path, POLICY)).exit_code == 0  # So that there are topics.
    file = file_of(tmp_path, SALE, "nonsense", {**SALE, "sku": "B"})
    before = len(topics("stock-events"))
    assert publish(file).exit_code == 1
    assert len(topics("stock-events")) == before
    assert publish(file, "--keep-going").exit_code == 1
    assert len(topics("stock-events")) == before + 2


def test_the_inbound_topics_get_the_lines_as_they_are(topics: Any, tmp_path: Path) -> None:
    file = file_of(tmp_path, SALE, POLICY)
    assert publish(file, "--topic", "intake").exit_code == 0
    (sale,) = topics("pos-sales")
    assert (sale.key(), json.loads(sale.value())) == (b"pos:S1-R2", SALE)
    (policy,) = topics("masters")
    assert json.loads(policy.value()) == POLICY
    assert topics("stock-events") == []
    assert publish(file_of(tmp_path, TICK), "--topic", "intake").exit_code == 1


def test_a_tick_of_next_century_is_refused_unless_it_is_a_replay(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "ticks.jsonl"
    file.write_text('{"type":"TimeTicked","source":"clock","event_time":"2099-01-01T00:00:00Z"}\n')
    monkeypatch.setenv("ATP_TICKS", "wall")
    refused = publish(str(file), "--dry-run")
    assert refused.exit_code == 1
    assert "today's events would be late" in refused.stderr
    monkeypatch.setenv("ATP_TICKS", "off")
    assert publish(str(file), "--dry-run").exit_code == 0


@pytest.mark.parametrize("given", ["", "\n \n"])
def test_a_file_without_a_line_is_told(given: str) -> None:
    found = publish("-", "--dry-run", given=given)
    assert found.exit_code == 0
    assert "- is empty: there was nothing to publish" in found.stderr
    assert "is empty" not in publish("-", "--dry-run", given=json.dumps(SALE)).stderr
