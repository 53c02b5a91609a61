"""`atp verify` on a real broker: equal, different, nothing to verify, not folded yet."""

import json
import os
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import duckdb
from confluent_kafka import Producer

from atp.book import Position
from atp.events import (
    DAY,
    MINUTE,
    ChannelAck,
    Document,
    GoodsReceived,
    PolicyChanged,
    PolicyFields,
    SaleRecorded,
    TimeTicked,
)
from avro_schemas import codec
from streams.ledger import publish
from streams.settings import Settings
from streams.topics_admin import topic_name
from tests.oracle.wild import Wild
from tests.oracle.wild_kits import WildKits
from tests.oracle.wild_promises import WildPromises
from tests.oracle.wild_requests import WildRequests
from tests.streams.rig import Rig, pipeline
from topologies import topics


def verify(settings: Settings, *options: str) -> tuple[int, dict[str, Any]]:
    """Run it; return its exit code and what it says."""
    done = atp(settings, "verify", "--json", *options)
    return done.returncode, json.loads(done.stdout) if done.stdout else {"why": done.stderr}


def atp(settings: Settings, *words: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "cli", *words]
    environ = {**os.environ, **settings.environ()}
    done = subprocess.run(command, env=environ, capture_output=True, text=True, timeout=120, check=False)
    assert "Traceback" not in done.stderr, done.stderr
    return done


def forge_a_row(rig: Rig) -> tuple[int, int]:
    """Write a row that no worker wrote; return its units for sale before and after."""
    rows = {m.key(): m for m in rig.records(topics.CHANGELOG.name)}
    key = min(key for key in rows if isinstance(key, bytes) and key.startswith(b"p|"))
    value, partition = rows[key].value(), rows[key].partition()
    assert isinstance(value, bytes)
    assert partition is not None
    row = codec.decode_row(key.decode(), value)
    assert isinstance(row, Position)
    forged = replace(row, sellable=row.sellable + 1)
    producer = Producer({"bootstrap.servers": rig.brokers})
    producer.produce(topic_name(rig.settings, topics.CHANGELOG), codec.encode_row(forged), key, partition)
    assert producer.flush(30) == 0
    return row.sellable, forged.sellable


def test_what_the_worker_says_is_true_and_a_forged_row_is_not(broker_settings: Settings, tmp_path: Path) -> None:
    with pipeline(broker_settings) as rig:
        publish(Wild(1, 800, ticks=False).log(), broker_settings, rig.brokers)
        rig.drain()
        code, found = verify(broker_settings, "--keep", str(tmp_path))
        assert (code, found["verdict"], found["differences"]) == (0, "equal", 0), found
        assert found["positions"] == 9
        assert found["events"] > 800
        assert {"counts", "duplicate", "superseded", "conflict", "late"} <= set(found["verdicts"])
        with duckdb.connect(str(tmp_path / "verify.duckdb"), read_only=True) as db:
            assert db.execute("SELECT count(*) FROM held").fetchall() == [(9,)]
            assert db.execute("SELECT count(*) FROM differences").fetchall() == [(0,)]

        # Judged by another window than the workers', others are late.
        code, found = verify(broker_settings.model_copy(update={"window": DAY}))
        assert (code, found["verdict"]) == (1, "different")
        assert "dead letter" in {one["what"] for one in found["first_differences"]}

        # A tick that changes nothing is committed with the next event only; it is not waited for.
        later = 1_763_000_000_000_000 + 90 * DAY
        tick = TimeTicked(source="clock", document=Document("tick", "x", 1), event_time=later)
        publish([tick], broker_settings, rig.brokers)
        code, found = verify(broker_settings, "--wait", "0")
        assert (code, found["verdict"], found["waiting"]) == (0, "equal", 0), found

        before, after = forge_a_row(rig)
        code, found = verify(broker_settings)
        assert (code, found["verdict"], found["differences"]) == (1, "different", 1)
        (only,) = found["first_differences"]
        assert only["what"] == "position"
        assert f"sellable {before}," in only["expected"]
        assert f"sellable {after}," in only["found"]


def test_promises_and_decisions_are_true(broker_settings: Settings) -> None:
    with pipeline(broker_settings) as rig:
        publish(WildPromises(1, 600, ticks=False).log(), broker_settings, rig.brokers)
        rig.drain()
        code, found = verify(broker_settings)
        assert (code, found["verdict"], found["differences"]) == (0, "equal", 0), found
        assert found["claims"] > 0
        assert found["decisions"] > 0


def test_kits_risks_and_moments_are_true_and_a_kit_that_was_not_heard_is_not_judged(broker_settings: Settings) -> None:
    with pipeline(broker_settings) as rig:
        publish(WildKits(1, 300, ticks=True).log(), broker_settings, rig.brokers)
        rig.drain()
        code, found = verify(broker_settings, "--wait", "0")
        assert (code, found["verdict"], found["differences"]) == (2, "incomplete", 0), found
        assert found["kits"] == 0
        assert found["waiting"] > 0

        kits = rig.worker(topology="kits")
        assert kits.end() == 0, kits.text()[-4000:]
        publish(WildRequests(2, 300, ticks=True).log(), broker_settings, rig.brokers)
        rig.drain()
        kits = rig.worker(topology="kits")
        assert kits.end() == 0, kits.text()[-4000:]
        code, found = verify(broker_settings)
        assert (code, found["verdict"], found["differences"]) == (0, "equal", 0), found
        assert found["kits"] > 0
        assert found["risks"] > 0
        assert found["exceptions"] > 0


def test_what_could_be_taken_at_each_moment_is_true(broker_settings: Settings) -> None:
    with pipeline(broker_settings) as rig:
        publish(WildRequests(2, 400, ticks=True).log(), broker_settings, rig.brokers)
        rig.drain()
        code, found = verify(broker_settings)
        assert (code, found["verdict"], found["differences"]) == (0, "equal", 0), found
        assert found["moments"] > 0.8 * found["decisions"] > 0

        # What was answered before a rebuild was answered by the fold of that time.
        rebuilt = atp(broker_settings, "rebuild", "--from-logs")
        assert rebuilt.returncode == 0, rebuilt.stderr
        code, found = verify(broker_settings)
        assert (code, found["verdict"], found["moments"]) == (0, "equal", 0), found


def test_a_measured_lag_holds_units_back_and_the_judge_finds_them(broker_settings: Settings, tmp_path: Path) -> None:
    """3,000 sold in five minutes are 10 a second: 10 units for each second that the market was late to acknowledge."""
    now = time.time_ns() // 1000
    market = policy(now, channel="market", fields=PolicyFields(buffer_by_rate=True))
    with pipeline(broker_settings) as rig:
        stock = line(GoodsReceived, now - 2 * MINUTE, quantity=100_000, source="wms:DC1")
        publish([market, stock, line(SaleRecorded, now - MINUTE, quantity=3_000, channel="store")], broker_settings)
        rig.drain()
        ack = line(ChannelAck, now, channel="market", version=2, source="market")
        publish([ack], broker_settings)
        command = [sys.executable, "-m", "cli", "lags", "--publish", "--json"]
        environ = {**os.environ, **broker_settings.environ()}
        done = subprocess.run(command, env=environ, capture_output=True, text=True, timeout=120, check=True)
        (lag,) = [json.loads(text) for text in done.stdout.splitlines()]
        assert lag["lag_s"] >= 1
        publish([tick(now)], broker_settings)
        rig.drain()
        code, found = verify(broker_settings, "--keep", str(tmp_path))
        assert (code, found["verdict"], found["differences"]) == (0, "equal", 0), found
        with duckdb.connect(str(tmp_path / "verify.duckdb"), read_only=True) as db:
            held = "SELECT buffer, atp FROM channels WHERE channel = 'market'"
            assert db.execute(held).fetchall() == [(10 * lag["lag_s"], 97_000 - 10 * lag["lag_s"])]


def line(kind: Any, time_us: int, **fields: Any) -> Any:
    paper = Document("paper", kind.__name__, 1)
    return kind(
        **{"source": "pos:1", "document": paper, "event_time": time_us, "sku": "A", "location": "DC1", **fields}
    )


def policy(time_us: int, channel: str, fields: PolicyFields) -> PolicyChanged:
    return PolicyChanged(
        source="mdm", document=Document("policy", channel, 1), event_time=time_us - DAY, channel=channel, policy=fields
    )


def tick(time_us: int) -> TimeTicked:
    return TimeTicked(source="clock", document=Document("tick", str(time_us), 1), event_time=time_us)


def test_nothing_to_verify_and_not_folded_yet(broker_settings: Settings) -> None:
    code, found = verify(broker_settings, "--wait", "0")
    assert code == 2
    assert "atp topics --create" in found["why"]
    with pipeline(broker_settings) as rig:
        publish(Wild(1, 50, ticks=False).log(), broker_settings, rig.brokers)
        code, found = verify(broker_settings, "--wait", "0")
        assert code == 2
        assert "atp worker" in found["why"]
        rig.drain()
        late = Wild(2, 40, ticks=False).log()
        publish(late, broker_settings, rig.brokers)
        code, found = verify(broker_settings, "--wait", "0")
        assert (code, found["verdict"]) == (2, "incomplete")
        assert found["waiting"] == sum(1 if event.sku else broker_settings.partitions for event in late)
        assert found["differences"] == 0


def test_it_agrees_while_workers_run(broker_settings: Settings) -> None:
    with pipeline(broker_settings) as rig:
        worker = rig.worker(until_idle=None)
        publish(Wild(3, 600, ticks=False).log(), broker_settings, rig.brokers)
        code, found = verify(broker_settings, "--wait", "60")
        assert (code, found["verdict"]) == (0, "equal"), found
        assert worker.process.poll() is None
