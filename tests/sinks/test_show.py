"""`atp show`: the same answer from a worker and from the changelog, and why."""

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import unquote

import pytest
from typer.testing import CliRunner

from atp.book import (
    CLOCK_KEY,
    POLICIES_KEY,
    Bills,
    ChannelState,
    ChannelTerms,
    Clock,
    Policies,
    PolicyEntry,
    Risk,
    Row,
    Summary,
    Touch,
    Transfer,
    bills_key,
)
from atp.events import PolicyFields
from cli.main import app
from cli.show import explain_channel, explain_position, paper, print_answer
from streams import reader, slot
from streams.answer import answer
from streams.reader import MappingRows, ask_worker, look_up, read_changelog
from streams.settings import Settings
from streams.topics_admin import ensure_topics
from tests.sinks.rig import NOON, Sender, marker, position
from topologies.partitioning import partition_of
from topologies.topics import CHANGELOG

RUNNER = CliRunner()
SKU = "É/1 ?"
WIDE = PolicyEntry(
    key="mdm|policy|P-2|1|PolicyChanged|",
    rev=0,
    effective=NOON,
    location="",
    channel="web",
    policy=PolicyFields(locations=("S1",), share_percent=50, buffer=1),
)
MINE = PolicyEntry(
    key="mdm|policy|P-1|1|PolicyChanged|A",
    rev=0,
    effective=NOON,
    location="S1",
    channel="",
    policy=PolicyFields(safety_stock=1),
)
TERMS = ChannelTerms(locations=("S1",), share_percent=50, buffer=1)


def rows_of(sku: str) -> dict[str, Row]:
    return {
        f"p|{sku}|S1": position(5, returned=-2, safety_stock=1, atp=2, version=4),
        f"p|{sku}|S2": position(-3, atp=0),
        f"s|{sku}": Summary(
            clock=NOON,
            channels=(
                ChannelState(channel="all", terms=None, pool=2, atp=2, version=3),
                ChannelState(channel="web", terms=TERMS, pool=2, atp=0, version=1),
            ),
            policies=(MINE,),
            accounts={},
            minutes=(),
            hours=(),
            look_at=0,
            swept=0,
        ),
        f"t|{sku}|X-1|1": Transfer(
            shipped_to={"S1": 5}, received=3, lost=0, destination="S1", last_time=NOON, variance=None, restatement=0
        ),
        f"r|{sku}|negative_stock|S2": Risk(id="r", severity="HIGH", opened_at=NOON, calm_since=None, quantity=-3),
        CLOCK_KEY: Clock(tick=NOON),
        POLICIES_KEY: Policies(entries=(WIDE,)),
    }


def quiet(done: int, total: int) -> None:
    assert done <= total


def test_the_answer_holds_positions_channels_and_reasons() -> None:
    found = answer(MappingRows(rows_of("A") | {"p|AB|S1": position(9), "p|A|S0": position(1)}), "A")
    assert [(one["location"], one["on_hand"], one["atp_raw"], one["atp"]) for one in found["positions"]] == [
        ("S0", 1, 1, 1),
        ("S1", 3, 2, 2),
        ("S2", -3, -3, 0),
    ]
    assert [(one["channel"], one["atp"], one["atp_raw"], one["pool"]) for one in found["availability"]] == [
        ("all", 2, 2, 2),
        ("web", 0, 0, 2),
    ]
    assert [(one["kind"], one["scope"], one["quantity"]) for one in found["risks"]] == [("negative_stock", "S2", -3)]
    assert [(one["transfer"], one["open"]) for one in found["transfers"]] == [("X-1|1", 2)]
    assert [(one["sku"], one["policy"]) for one in found["policies"]] == [
        ("A", {"safety_stock": 1}),
        ("", {"buffer": 1, "share_percent": 50, "locations": ["S1"]}),
    ]
    assert found["positions"][1]["last_events"][0]["event_time"] == "2026-11-20T12:00:00Z"
    json.dumps(found)


def test_an_unknown_sku_is_told_apart_from_an_empty_one() -> None:
    assert not answer(MappingRows({}), "A")["known"]
    assert answer(MappingRows({"p|A|S1": position(0)}), "A")["known"]


def test_why_is_said_in_words() -> None:
    found = answer(MappingRows(rows_of("A")), "A")
    first, second = found["positions"]
    assert explain_position(first) == "5 sellable - 2 owed by returned - 1 safety stock = 2; ATP 2"
    assert explain_position(second) == "-3 sellable = -3, below zero; ATP 0"
    assert "not eligible" in explain_position({**first, "eligible": False})
    assert explain_channel(found["availability"][1]) == "ATP 0 OUT: pool 2 of S1, 50 % of it, less buffer 1"
    assert paper("pos:S1|receipt|T%7C1|2|SaleRecorded|A") == "receipt T|1 line 2 of pos:S1"


def test_a_kit_that_nobody_assembles_is_shown_by_its_parts_alone(capsys: pytest.CaptureFixture[str]) -> None:
    part = {"sku": "SLAT", "needed": 14, "avail": 20, "kits": 1, "exposed": {"S1": 20}}
    one = {"channel": "all", "atp": 1, "status": "IN_STOCK", "assembled": 0, "at_nodes": 1, "by_parts": 1, "cap": None}
    where = {"source": "changelog", "partition": 0, "position": 5, "substitutes": []}
    summary = rows_of("SET")["s|SET"]
    assert isinstance(summary, Summary)
    kit = {"kit": [{**one, "binds": ["SLAT"], "parts": [part]}]}
    rows: dict[str, Row] = {bills_key("SET"): Bills(said=(), in_force={"SLAT": 14}), "s|SET": replace(summary, clock=0)}
    print_answer({**answer(MappingRows(rows), "SET"), **where, **kit})
    said = capsys.readouterr().out
    assert said.splitlines()[0].startswith("SET, no event of its own heard (")
    assert (said.count("ATP"), "ATP 1 IN_STOCK" in said, "assembled)" in said, "on hand" in said) == (
        1,
        True,
        False,
        False,
    )
    assert "SLAT: 14 needed, 20 avail: 1 kit; exposed at S1 20" in said
    print_answer({**answer(MappingRows({**rows, "p|SET|S1": position(2)}), "SET"), **where, **kit})
    said = capsys.readouterr().out
    assert ("on hand" in said, "(those above are what is assembled)" in said) == (True, True)


def test_the_last_events_are_the_latest_first_whatever_came_when(capsys: pytest.CaptureFixture[str]) -> None:
    touches = tuple(
        Touch(
            type="SaleRecorded", key=f"pos|receipt|T-{n}|1|SaleRecorded|A", event_time=NOON + n, on_hand=-1, sellable=-1
        )
        for n in (2, 3, 1)
    )
    risk = Risk(id="r", severity="CRITICAL", opened_at=NOON, calm_since=None, quantity=4)
    found = answer(MappingRows({"p|A|S1": replace(position(1), touches=touches), "r|A|oversold|": risk}), "A")
    assert [one["key"].split("|")[2] for one in found["positions"][0]["last_events"]] == ["T-3", "T-2", "T-1"]
    print_answer({**found, "source": "changelog", "partition": 0, "position": 5, "substitutes": []})
    assert "CRITICAL oversold: 4, since" in capsys.readouterr().out


@pytest.fixture
def pipeline(broker_settings: Settings, brokers: str, monkeypatch: pytest.MonkeyPatch) -> Settings:
    """A changelog that holds one SKU, sealed by a marker, and a row that no marker seals."""
    ensure_topics(brokers, broker_settings, (CHANGELOG,))
    for name, value in broker_settings.environ().items():
        monkeypatch.setenv(name, value)
    sender = Sender(broker_settings)
    partition = partition_of(SKU.encode(), broker_settings.partitions)
    sender.rows(CHANGELOG, partition, {**rows_of(SKU), f"p|{SKU}|S9": position(1), "p|other|S1": position(1)}, None)
    sender.rows(CHANGELOG, partition, {f"p|{SKU}|S9": None}, marker(42, 1))
    sender.rows(CHANGELOG, partition, {f"p|{SKU}|S1": position(99)}, None)
    return broker_settings


def test_the_changelog_answers_where_no_worker_runs(pipeline: Settings) -> None:
    found = look_up(pipeline, "E\u0301/1 ?", quiet)
    assert (found["source"], found["position"]) == ("changelog", 42)
    assert {name: found[name] for name in answer(MappingRows({}), SKU)} == answer(MappingRows(rows_of(SKU)), SKU)


def test_the_command_shows_why_and_says_who_answered(pipeline: Settings) -> None:
    shown = RUNNER.invoke(app, ["show", SKU])
    assert shown.exit_code == 0, shown.stderr
    for words in ("read from the changelog", "5 sellable - 2 owed by returned", "web: ATP 0", "HIGH negative_stock"):
        assert words in shown.stdout
    one = json.loads(RUNNER.invoke(app, ["show", SKU, "--location", "S2", "--json"]).stdout)
    assert [(row["location"], row["atp"]) for row in one["positions"]] == [("S2", 0)]
    assert one["availability"][0]["channel"] == "all"


def test_the_command_says_what_to_do_about_an_unknown_name(pipeline: Settings) -> None:
    sku = RUNNER.invoke(app, ["show", "nothing"])
    assert (sku.exit_code, "atp availability" in sku.stderr) == (1, True)
    place = RUNNER.invoke(app, ["show", SKU, "--location", "S7"])
    assert (place.exit_code, "S1, S2" in place.stderr) == (1, True)


@contextmanager
def worker(settings: Settings, replies: list[tuple[int, dict[str, Any]]]) -> Iterator[list[str]]:
    """A worker's HTTP server that gives the replies in turn, the last one for ever; yields the SKUs asked for."""
    asked: list[str] = []

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            asked.append(unquote(self.path.removeprefix("/sku/")))
            status, body = replies.pop(0) if len(replies) > 1 else replies[0]
            self.send_response(status)
            self.end_headers()
            self.wfile.write(json.dumps(body).encode())

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    held = slot.take(settings, None)
    held.announce(f"http://127.0.0.1:{server.server_address[1]}", settings.brokers or "", settings.topic_prefix)
    try:
        yield asked
    finally:
        held.release()
        server.shutdown()
        thread.join()
        server.server_close()


def test_the_worker_that_owns_the_sku_is_asked_first(settings: Settings) -> None:
    mine = {**answer(MappingRows(rows_of(SKU)), SKU), "partition": 1, "position": 7}
    with worker(settings, [(404, {})]) as first, worker(settings, [(200, mine)]) as second:
        found = look_up(settings, SKU, quiet)
    assert (found["source"], found["position"], len(found["positions"])) == ("worker", 7, 2)
    assert first == second == [SKU]


def test_a_sku_on_its_way_to_another_worker_is_asked_for_again(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(reader, "HANDED_OVER_WAIT_S", 0.01)
    mine = {**answer(MappingRows({}), SKU), "partition": 1, "position": 7}
    with worker(settings, [(503, {}), (503, {}), (200, mine)]) as asked:
        assert ask_worker(settings, SKU) is not None
    assert len(asked) == 3
    assert ask_worker(settings, SKU) is None


def test_a_worker_of_another_installation_is_not_asked(settings: Settings) -> None:
    elsewhere = settings.model_copy(update={"brokers": "elsewhere:9092"})
    prefixed = settings.model_copy(update={"topic_prefix": "another."})
    with worker(settings, [(200, {})]) as asked:
        assert ask_worker(elsewhere, SKU) is None
        assert ask_worker(prefixed, SKU) is None
    assert asked == []


def test_a_worker_that_died_is_not_asked(pipeline: Settings) -> None:
    with worker(pipeline, [(500, {})]):
        assert look_up(pipeline, SKU, quiet) == read_changelog(pipeline, SKU, quiet)
