"""Dead letters for an operator: causes, coordinates, suggestions."""

import base64
import json

import pytest
from typer.testing import CliRunner

from atp.effects import DeadLetter
from cli.main import app
from sinks.dead_letters import Latest, as_plain
from streams.settings import Settings
from streams.topics_admin import ensure_topics
from tests.sinks.rig import NOON, Sender
from topologies.topics import DEAD_LETTERS

RUNNER = CliRunner()


def letter(offset: int, cause: str = "garbage", suggestion: str = "") -> DeadLetter:
    return DeadLetter(
        cause=cause,
        detail="x" * 1_000 + " no framing",
        suggestion=suggestion,
        topic="stock-events",
        partition=2,
        offset=offset,
        timestamp=NOON + offset,
        key=b"A\xff",
        value=None if offset == 0 else b"\x00\xff",
        headers={"h": b"\x01"},
    )


def test_the_latest_are_kept_and_all_are_counted() -> None:
    latest = Latest(2, lambda one: one.cause == "late")
    for offset, cause in [(5, "late"), (1, "late"), (9, "garbage"), (7, "late"), (6, "late")]:
        latest.add(letter(offset, cause))
    assert [one.offset for one in latest] == [6, 7]
    assert latest.causes == {"late": 4, "garbage": 1}
    assert latest.matching == 4
    none = Latest(0, lambda _: True)
    none.add(letter(1))
    assert list(none) == []
    assert none.matching == 1


def test_raw_bytes_survive_json() -> None:
    plain = json.loads(json.dumps(as_plain(letter(1))))
    assert base64.b64decode(plain["value_base64"]) == b"\x00\xff"
    assert base64.b64decode(plain["key_base64"]) == b"A\xff"
    assert as_plain(letter(0))["value_base64"] is None


@pytest.fixture
def pipeline(broker_settings: Settings, brokers: str, monkeypatch: pytest.MonkeyPatch) -> Sender:
    ensure_topics(brokers, broker_settings, (DEAD_LETTERS,))
    for name, value in broker_settings.environ().items():
        monkeypatch.setenv(name, value)
    return Sender(broker_settings)


def test_the_command_lists_causes_coordinates_and_suggestions(pipeline: Sender) -> None:
    assert "no dead letters" in RUNNER.invoke(app, ["dead-letters"]).stdout
    suggested = '{"type":"StockAdjusted"}'
    pipeline.effects(DEAD_LETTERS, 2, [letter(1), letter(2, "late", suggested), letter(3)])
    pipeline.send(DEAD_LETTERS, 0, [("x", b"garbage"), ("y", None)])
    shown = RUNNER.invoke(app, ["dead-letters"])
    assert shown.exit_code == 0
    assert "3 dead letters: garbage 2, late 1" in shown.stdout
    assert "stock-events partition 2 offset 2" in shown.stdout
    assert max(len(text) for text in shown.stdout.splitlines()) < 400
    rows = [json.loads(text) for text in RUNNER.invoke(app, ["dead-letters", "--json"]).stdout.splitlines()]
    assert [row["offset"] for row in rows] == [1, 2, 3]
    assert RUNNER.invoke(app, ["dead-letters", "--suggestions"]).stdout == f"{suggested}\n"
    late = RUNNER.invoke(app, ["dead-letters", "--cause", "late", "--json", "--limit", "5"]).stdout.splitlines()
    assert [json.loads(text)["cause"] for text in late] == ["late"]
    assert "none of cause nonsense" in RUNNER.invoke(app, ["dead-letters", "--cause", "nonsense"]).stdout
