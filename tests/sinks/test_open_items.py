"""What is open, as the commands list it: the last statement on each id, and nothing that is settled."""

import json
from dataclasses import replace

import pytest
from typer.testing import CliRunner

from atp.effects import AdviceChanged, Cause, ExceptionChanged, RiskChanged, VarianceChanged
from atp.events import HOUR
from cli.main import app
from streams.settings import Settings
from streams.topics_admin import ensure_topics
from tests.sinks.rig import NOON, Sender
from topologies.topics import ADVICE, EXCEPTIONS, RISKS, VARIANCES, Topic

RUNNER = CliRunner()
COMMANDS = ("exceptions", "risks", "variances", "advice")
CAUSE = Cause(type="SaleRecorded", key="pos|receipt|T|1|SaleRecorded|A")

SHORT = ExceptionChanged(
    id="x1", kind="short_receipt", sku="A", location="S1", scope="PO-1|1", severity="MEDIUM", transition="opened",
    owner="receiving", opened_at=NOON, at=NOON, deadline=NOON + 48 * HOUR, evidence={"short": "3"},
    action="claim the missing units", cause=CAUSE,
)  # fmt: skip
SILENT = replace(SHORT, id="x2", kind="silent_feed", sku="", location="", scope="pos:S1", severity="HIGH")
RISK = RiskChanged(
    id="r1", kind="negative_stock", sku="A", scope="S1", transition="opened", severity="HIGH", opened_at=NOON,
    at=NOON, quantity=-2, evidence={}, action="count this location", cause=CAUSE,
)  # fmt: skip
COUNT = VarianceChanged(
    id="v1", kind="COUNT", sku="A", location="S1", document="C-1", transfer="", expected=10, observed=7, diff=-3,
    basis="on_hand", as_of=NOON, status="open", restatement=0, cause_hint="not explained", cause=CAUSE,
)  # fmt: skip
ORDER = AdviceChanged(
    id="w1", kind="replenish", sku="A", location="S1", from_location="", day="2026-11-20", status="proposed",
    quantity=24, proposed_at=NOON, at=NOON, expires_at=NOON + HOUR, decided_by="", evidence={"free": "2"},
    action="order these units", cause=CAUSE,
)  # fmt: skip


def run(*words: str) -> str:
    done = RUNNER.invoke(app, list(words))
    assert done.exit_code == 0, done.output
    return done.stdout


def ids(*words: str) -> list[str]:
    return [json.loads(text)["id"] for text in run(*words, "--json").splitlines()]


@pytest.fixture
def pipeline(broker_settings: Settings, brokers: str, monkeypatch: pytest.MonkeyPatch) -> Sender:
    topics: tuple[Topic, ...] = (EXCEPTIONS, RISKS, VARIANCES, ADVICE)
    ensure_topics(brokers, broker_settings, topics)
    for name, value in broker_settings.environ().items():
        monkeypatch.setenv(name, value)
    return Sender(broker_settings)


def test_what_is_open_is_listed_the_most_urgent_first(pipeline: Sender) -> None:
    for command in COMMANDS:
        assert "so far. They follow from events" in run(command)
        assert ids(command) == []
    pipeline.effects(EXCEPTIONS, 0, [SHORT, replace(SHORT, id="x3"), replace(SHORT, id="x3", transition="closed")])
    pipeline.effects(EXCEPTIONS, 1, [SILENT])
    pipeline.effects(EXCEPTIONS, 2, [SILENT])
    pipeline.effects(RISKS, 0, [RISK, replace(RISK, id="r2", transition="closed")])
    pipeline.effects(VARIANCES, 0, [COUNT, replace(COUNT, diff=-4, restatement=1)])
    pipeline.effects(ADVICE, 0, [ORDER, replace(ORDER, id="w2"), replace(ORDER, id="w2", status="rejected")])

    assert ids("exceptions") == ["x2", "x1"]
    assert ids("exceptions", "--kind", "short_receipt") == ids("exceptions", "--sku", "A") == ["x1"]
    assert (ids("risks"), ids("variances"), ids("advice")) == (["r1"], ["v1"], ["w1"])
    shown = run("exceptions")
    assert "short_receipt" in shown
    assert "PO-1|1 S1" in shown
    assert "claim the missing units; short 3" in shown
    assert "negative_stock" in run("risks")
    assert "-4" in run("variances", "--kind", "count")
    assert "order these units; free 2" in run("advice", "--kind", "replenish")
    assert "no open exceptions for SKU B; open are:" in run("exceptions", "--sku", "B")

    # A silent source is open as long as any partition says so.
    pipeline.effects(EXCEPTIONS, 1, [replace(SILENT, transition="closed")])
    assert ids("exceptions") == ["x2", "x1"]
    pipeline.effects(EXCEPTIONS, 2, [replace(SILENT, transition="closed")])
    pipeline.effects(EXCEPTIONS, 0, [replace(SHORT, transition="closed")])
    pipeline.effects(RISKS, 0, [replace(RISK, transition="closed")])
    pipeline.effects(VARIANCES, 0, [replace(COUNT, status="closed", restatement=2)])
    pipeline.effects(ADVICE, 0, [replace(ORDER, status="executed")])
    assert "no open exceptions; 3 were, and are settled" in run("exceptions")
    for command in COMMANDS:
        assert ids(command) == []
        assert "settled" in run(command)
