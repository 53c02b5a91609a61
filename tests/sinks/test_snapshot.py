"""Snapshots of a real changelog: a consistent cut, readable by DuckDB and Polars, old or new and never half."""

import json
from dataclasses import asdict, replace
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

import duckdb
import polars as pl
import pytest

from atp.book import ChannelState, Count, Lots, Risk, Row, Summary, Transfer
from atp.errors import FatalError
from sinks import snapshot
from sinks.snapshot import Progress, SnapshotSettings, TooSlowError, take_snapshot, verify_files
from streams.checkpoint import encode_marker
from streams.reader import MARKER
from streams.settings import Settings
from streams.topics_admin import ensure_topics, topic_name
from tests.sinks.rig import NOON, Sender, marker, position
from topologies.topics import CHANGELOG

SUMMARY = Summary(
    clock=NOON,
    channels=(
        ChannelState(channel="all", terms=None, pool=7, atp=7, version=3),
        ChannelState(channel="unsaid", terms=None, pool=0, atp=0, version=0),
    ),
    policies=(),
    accounts={},
    minutes=(),
    hours=(),
    look_at=0,
    swept=0,
)
COUNT = Count(
    key="k",
    as_of=NOON,
    event_time=NOON,
    scope="on_hand",
    quantity=7,
    through_seq=None,
    expected=9,
    restatement=1,
    document="C-1",
    rank="0",
)


@pytest.fixture
def sender(broker_settings: Settings, brokers: str) -> Sender:
    ensure_topics(brokers, broker_settings, (CHANGELOG,))
    return Sender(broker_settings)


def take(settings: Settings, out: Path, *, name: str | None = None, lag_s: float = 3600) -> dict[str, Any]:
    assert settings.brokers is not None
    wanted = SnapshotSettings(
        brokers=settings.brokers, topic=topic_name(settings, CHANGELOG), out=out, name=name, lag_s=lag_s
    )
    seen: list[Progress] = []
    manifest = take_snapshot(wanted, MARKER, lambda state: seen.append(state.model_copy()))
    assert seen[-1].done <= seen[-1].total
    return manifest


def on_hand(out: Path) -> dict[tuple[str, str], int]:
    found = duckdb.execute(f"SELECT sku, location, on_hand FROM '{out}/positions.parquet'").fetchall()
    return {(sku, location): quantity for sku, location, quantity in found}


def test_a_snapshot_is_the_state_at_the_last_markers(broker_settings: Settings, sender: Sender, tmp_path: Path) -> None:
    sender.rows(CHANGELOG, 0, {"p|A|S1": position(5), "p|A|S2": position(8)}, marker(10, 1))
    sender.rows(CHANGELOG, 0, {"p|A|S1": position(4), "p|A|S2": None}, marker(20, 2))
    sender.rows(CHANGELOG, 2, {"p|B|S1": position(1)}, marker(7, 1))
    sender.rows(CHANGELOG, 2, {"p|B|S1": position(99)}, None)  # Nothing sealed it.
    sender.send(CHANGELOG, 0, [("p|A|S1", b"garbage")], commit=False)
    Sender(broker_settings).leave_open(CHANGELOG, 2, [("p|B|S1", b"garbage")])
    manifest = take(broker_settings, tmp_path, name="first")
    assert on_hand(tmp_path) == {("A", "S1"): 4, ("B", "S1"): 1}
    assert manifest["name"] == "first"
    parts = manifest["partitions"]
    assert parts["0"] == {
        "ledger_position": 20,
        "batch": 2,
        "epoch": 0,
        "changelog_offset": 7,
        "rows": 1,
        "records_behind_marker": 0,
    }
    assert (parts["1"]["ledger_position"], parts["1"]["rows"]) == (None, 0)
    assert (parts["2"]["ledger_position"], parts["2"]["records_behind_marker"]) == (7, 1)
    assert verify_files(tmp_path / "first") == []


def test_both_duckdb_and_polars_read_every_table(broker_settings: Settings, sender: Sender, tmp_path: Path) -> None:
    rich = position(5, returned=-2, damaged=3, in_transit_in=6, safety_stock=1, atp=2, version=9, counts=(COUNT,))
    rich = replace(rich, lotted=True)
    transfer = Transfer(
        shipped_to={"S1": 5, "S2": 1},
        received=3,
        lost=1,
        destination="S1",
        last_time=NOON,
        variance=None,
        restatement=0,
    )
    risk = Risk(id="r1", severity="HIGH", opened_at=NOON, calm_since=None, quantity=-2)
    rows: dict[str, Row | None] = {
        "p|A|S1": rich,
        "L|A|S1": Lots(units={"2026-12-01|L-1": 5}, unnamed={}),
        "s|A": SUMMARY,
        "t|A|X-1|1": transfer,
        "r|A|negative_stock|S1": risk,
    }
    sender.rows(CHANGELOG, 1, rows, marker(5, 1))
    take(broker_settings, tmp_path)
    noon = datetime(2026, 11, 20, 12, tzinfo=UTC)
    expected = {
        "positions": ("A", "S1", 6, 5, -2, 0, 3, 6, 0, 0, 0, 1, 0, True, 2, 0, 2, 100, 9, noon),
        "lots": ("A", "S1", "L-1", date(2026, 12, 1), 3, None),
        "availability": ("all", "A", 7, "IN_STOCK", 0, 7, None, None, None, 3, noon),
        "transfers": ("A", "X-1|1", "S1", 6, 3, 1, 2, noon),
        "risks": ("A", "negative_stock", "S1", "r1", "HIGH", noon, -2),
        "counts": ("A", "S1", "C-1", noon, "on_hand", 9, 7, -2, 1),
    }
    for table, row in expected.items():
        path = tmp_path / f"{table}.parquet"
        assert pl.read_parquet(path).rows() == [row]
        [from_duckdb] = duckdb.execute(f"SELECT * FROM '{path}'").fetchall()
        assert [x.astimezone(UTC) if isinstance(x, datetime) else x for x in from_duckdb] == list(row)
    names = pl.read_parquet(tmp_path / "positions.parquet").columns
    wanted = "sku location on_hand sellable returned quarantine damaged in_transit_in safety_stock atp_raw atp version"
    assert set(names) >= {*wanted.split(), "as_of"}


def test_an_empty_pipeline_gives_empty_tables(broker_settings: Settings, sender: Sender, tmp_path: Path) -> None:
    take(broker_settings, tmp_path)
    assert on_hand(tmp_path) == {}
    assert pl.read_parquet(tmp_path / "risks.parquet").rows() == []


def test_the_last_snapshot_is_found_and_the_one_before_stays(
    broker_settings: Settings, sender: Sender, tmp_path: Path
) -> None:
    sender.rows(CHANGELOG, 0, {"p|A|S1": position(5)}, marker(10, 1))
    take(broker_settings, tmp_path, name="one")
    sender.rows(CHANGELOG, 0, {"p|A|S1": position(6)}, marker(20, 2))
    take(broker_settings, tmp_path, name="two")
    assert on_hand(tmp_path) == on_hand(tmp_path / "latest") == on_hand(tmp_path / "two") == {("A", "S1"): 6}
    assert on_hand(tmp_path / "one") == {("A", "S1"): 5}
    assert json.loads((tmp_path / "manifest.json").read_bytes())["name"] == "two"
    with pytest.raises(FatalError, match="--name NAME"):
        take(broker_settings, tmp_path, name="two")


def test_a_death_while_writing_leaves_the_last_snapshot(
    broker_settings: Settings, sender: Sender, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    sender.rows(CHANGELOG, 0, {"p|A|S1": position(5)}, marker(10, 1))
    take(broker_settings, tmp_path, name="one")

    def dies(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(snapshot, "publish_folder", dies)
    with pytest.raises(KeyboardInterrupt):
        take(broker_settings, tmp_path, name="two")
    monkeypatch.undo()
    assert not (tmp_path / "two").exists()
    assert on_hand(tmp_path) == {("A", "S1"): 5}
    take(broker_settings, tmp_path, name="two")
    assert [path.name for path in tmp_path.glob(".*") if path.name != ".lock"] == []


def test_a_cut_slower_than_compaction_is_taken_again_and_then_given_up(
    broker_settings: Settings, sender: Sender, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    sender.rows(CHANGELOG, 0, {"p|A|S1": position(5)}, marker(10, 1))
    with pytest.raises(TooSlowError, match=r"min\.compaction\.lag\.ms"):
        take(broker_settings, tmp_path, lag_s=-1)
    assert not (tmp_path / "latest").exists()
    tries = []
    original = snapshot._try

    def slow_once(*args: Any) -> dict[str, Any]:
        tries.append(1)
        if len(tries) == 1:
            raise TooSlowError("slow")
        return original(*args)

    monkeypatch.setattr(snapshot, "_try", slow_once)
    take(broker_settings, tmp_path)
    assert len(tries) == 2
    assert on_hand(tmp_path) == {("A", "S1"): 5}


def test_the_marker_is_read_as_the_host_writes_it() -> None:
    known = {name: value for name, value in asdict(marker(10, 1)).items() if name != "rebuilding"}
    assert MARKER.read(encode_marker(marker(10, 1))) == known
