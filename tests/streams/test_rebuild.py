"""Folding the ledger anew: everything stays as it was, whatever is lost before and whoever is killed meanwhile."""

import json
import os
import subprocess
import sys
import time
from collections import Counter, defaultdict
from collections.abc import Iterator
from dataclasses import replace
from fractions import Fraction
from pathlib import Path
from typing import Any

import pytest
from confluent_kafka import OFFSET_BEGINNING, Message, Producer, TopicPartition
from confluent_kafka.admin import AdminClient

from atp.effects import AvailabilityChanged, RequestDecided, RiskChanged
from atp.errors import FatalError
from atp.events import (
    HOUR,
    MINUTE,
    ChannelAck,
    Document,
    Event,
    GoodsReceived,
    MasterChanged,
    ReservationRequested,
    SaleRecorded,
    TimeTicked,
)
from avro_schemas import codec
from avro_schemas.public_json import parse_line
from sinks.channel import AvailabilityView
from sinks.erp_batches import ErpBatches, ErpSettings
from sinks.erp_folder import check
from streams.checkpoint import BATCH_HEADER, MARKER_KEY, Marker, decode_marker
from streams.cluster import members
from streams.rebuild import Progress, Rebuild, Rebuilt
from streams.restore import reader, to_end
from streams.settings import Settings
from streams.topics_admin import ensure_topics
from tests.streams.rig import START, Rig, movements, pipeline
from topologies.inventory import INVENTORY

pytestmark = pytest.mark.timeout(150)

WRITTEN = (INVENTORY.changelog, INVENTORY.evidence, *INVENTORY.outputs)
LEFT_ALONE = ("erp-lines", "oversell-risk", "variances", "dead-letters", "reservation-decisions")


class KilledError(Exception):
    """Ends a rebuild where a kill would: nothing is cleaned up on the brokers."""


@pytest.fixture
def rig(broker_settings: Settings) -> Iterator[Rig]:
    with pipeline(broker_settings.model_copy(update={"partitions": 2, "batch_max": 100})) as one:
        one.publish(_day())
        one.drain()
        yield one


def test_everything_comes_out_as_it_was(rig: Rig, tmp_path: Path) -> None:
    before, ends = _picture(rig), _lengths(rig)
    assert before["risks"]
    assert len(before["decisions"]) > 60
    assert len(before["kits"]) > 1
    view = _view(rig)
    _batches(rig, tmp_path / "erp")
    posted = check(tmp_path / "erp")
    results = _rebuild(rig)
    assert _picture(rig) == before
    assert {result.epoch for result in results} == {1}
    assert [sum(result.rows_written for result in results), sum(result.rows_deleted for result in results)] == [0, 0]
    # What was told is not told again; only the answers are, and whoever applies them by the rule takes every one.
    assert _lengths(rig) == ends
    again = [answer for answer in _answers(rig) if answer.epoch == 1]
    assert len(again) == len(view)
    assert sum(result.answers for result in results) == len(again) + len(before["kits"])
    assert all(view.apply(answer) for answer in again)
    assert {answer.key: answer.atp for answer in view} == before["availability"]
    _batches(rig, tmp_path / "erp")
    assert check(tmp_path / "erp") == posted
    # And a worker goes on from there, under the new epoch.
    rig.publish(movements(200, seed=7))
    rig.drain()
    assert {markers[-1].epoch for markers in _markers(rig).values()} == {1}
    assert all(view.apply(answer) for answer in _answers(rig)[-5:])
    # What channels acknowledge is of an epoch; folded once more, each is taken for what it was.
    shown = [answer for answer in view if answer.channel == "web"]
    rig.publish([_ack(answer) for answer in (*again, *shown) if answer.channel == "web"])
    rig.drain()
    before = _picture(rig)
    assert {result.epoch for result in _rebuild(rig)} == {2}
    assert _picture(rig) == before
    assert [len(markers[-1].epochs) for markers in _markers(rig).values()] == [2, 2]


def test_time_that_passed_since_the_last_event_is_no_difference(rig: Rig) -> None:
    later = max(event.event_time for event in _day()) + MINUTE
    rig.publish([TimeTicked(source="clock", document=Document("tick", "last", 1), event_time=later)])
    rig.drain()
    results = _rebuild(rig)
    assert [(result.rows_written, result.rows_deleted) for result in results] == [(0, 0), (0, 0)]


def test_lost_state_and_outputs_come_back(rig: Rig) -> None:
    before = _picture(rig)
    _delete(rig, "inventory-changelog", "inventory-evidence", "erp-lines", "oversell-risk")
    results = _rebuild(rig)
    assert _picture(rig) == before
    assert sum(result.outputs_added["erp-lines"] for result in results) == len(before["postings"]) > rig.moves
    rig.drain()


def test_killed_at_any_moment_it_can_be_started_again(rig: Rig) -> None:
    before = _picture(rig)
    # Nothing is touched before everything is folded.
    with pytest.raises(KilledError), _opened(rig) as one:
        one.fold(_killer(1))
    assert _picture(rig) == before
    slow = Rig(rig.settings.model_copy(update={"batch_max": 20}), rig.brokers)
    for steps in (0, 1, 3):
        with pytest.raises(KilledError):
            _rebuild(slow, writing=_killer(steps))
    worker = rig.worker()
    assert worker.end() == 3
    assert "is half rebuilt" in worker.text()
    assert "finish it with: atp rebuild --from-logs" in worker.text()
    _wait_for_no_worker(rig)
    _rebuild(rig)
    assert _picture(rig) == before
    assert {markers[-1].epoch for markers in _markers(rig).values()} == {1}
    for markers in _markers(rig).values():
        numbers = [marker.batch for marker in markers]
        assert numbers == list(range(1, len(numbers) + 1))
    keys = Counter(answer.key for answer in _answers(rig) if answer.epoch == 1)
    assert set(keys.values()) == {1}


def test_a_process_killed_amid_its_writing_is_finished_by_the_next(rig: Rig) -> None:
    before = _picture(rig)
    command = [sys.executable, "-m", "cli", "rebuild", "--from-logs"]
    environ = {**os.environ, **rig.settings.environ()}
    _delete(rig, "inventory-changelog", "inventory-evidence")
    process = subprocess.Popen(command, env={**environ, "ATP_BATCH_MAX": "1"}, stderr=subprocess.DEVNULL)
    deadline = time.monotonic() + 60
    while not any(len(markers) > 20 for markers in _markers(rig).values()):
        assert process.poll() is None
        assert time.monotonic() < deadline
    process.kill()
    process.wait()
    assert any(markers[-1].rebuilding for markers in _markers(rig).values())
    for reading, code in ((("show", "SKU-1"), 3), (("verify", "--wait", "0"), 2)):
        said = _atp(rig, *reading)
        assert said.returncode == code
        assert "half rebuilt. Finish it with: atp rebuild --from-logs" in said.stderr
    said = _run(rig, "--dry-run")
    assert "half rebuilt" in said.stdout
    assert "finishes a rebuild that was begun" in said.stdout
    told = json.loads(_run(rig, "--json").stdout)
    assert {result["epoch"] for result in told["rebuilt"]} == {1}
    assert _picture(rig) == before
    rig.drain()


def test_a_request_keeps_its_logged_decision(broker_settings: Settings) -> None:
    """As an older fold had given it: half of what there is, where this one would have given all."""
    asked = ReservationRequested(
        source="web", document=Document("request", "Q", 1), event_time=START, sku="SKU-1", request_id="Q", quantity=8,
        channel="web",
    )  # fmt: skip
    other = replace(asked, sku="SKU-2")  # Under the same id: each SKU has an answer of its own.
    with pipeline(broker_settings.model_copy(update={"partitions": 1})) as rig:
        stock = [
            GoodsReceived(
                source="wms", document=Document("grn", "G", 1), event_time=START, sku=sku, location="S1", quantity=9
            )
            for sku in ("SKU-1", "SKU-2")
        ]
        rig.publish([*stock, asked, other])
        rig.drain()
        given = [codec.decode(value) for value in _decisions(rig)]
        assert [(one.sku, one.quantity) for one in given if isinstance(one, RequestDecided)] == [
            ("SKU-1", 8),
            ("SKU-2", 8),
        ]
        _delete(rig, "inventory-changelog", "inventory-evidence", "reservation-decisions")
        logged = [
            codec.encode(replace(one, quantity=4, decision="partly", atp=4))
            for one in given
            if isinstance(one, RequestDecided)
        ]
        producer = Producer({"bootstrap.servers": rig.brokers})
        for value in logged:
            producer.produce(rig.settings.topic_prefix + "reservation-decisions", value, "Q", 0)
        producer.flush()
        _rebuild(rig)
        assert _decisions(rig) == logged
        answers = {answer.key: answer.atp for answer in _view(rig)}
        assert (answers["web|SKU-1"], answers["web|SKU-2"]) == (5, 5)
        # And the channel that asks again, of a worker now, hears the same.
        rig.publish([other])
        rig.drain()
        assert _decisions(rig) == [*logged, logged[1]]


def test_a_torn_partition_is_mended_alone(rig: Rig) -> None:
    before = _picture(rig)
    producer = Producer({"bootstrap.servers": rig.brokers})
    torn = rig.settings.topic_prefix + "inventory-changelog"
    producer.produce(torn, b"x", b"p|TORN|S1", 1, headers=[(BATCH_HEADER, b"999")])
    producer.flush()
    results = _rebuild(rig, 1)
    assert [(result.partition, result.rows_written, result.rows_deleted) for result in results] == [(1, 0, 1)]
    assert {partition: markers[-1].epoch for partition, markers in _markers(rig).items()} == {0: 0, 1: 1}
    assert _picture(rig) == before
    rig.drain()


def test_a_ledger_that_lacks_its_beginning_is_refused(rig: Rig) -> None:
    topic = rig.settings.topic_prefix + "stock-events"
    admin = AdminClient({"bootstrap.servers": rig.brokers})
    for future in admin.delete_records([TopicPartition(topic, 0, 10)]).values():
        future.result(10)
    with pytest.raises(FatalError, match=r"begins at offset 10: .* --despite-gaps"):
        _opened(rig)
    position = _markers(rig)[0][-1].position
    assert [result.position for result in _rebuild(rig, 0, despite_gaps=True)] == [position]


def test_it_refuses_while_workers_run(rig: Rig) -> None:
    worker = rig.worker(until_idle=None)
    worker.wait_for("opened partition=1")
    said = _run(rig)
    assert said.returncode == 3
    assert "workers run" in said.stderr
    assert "atp down --workers" in said.stderr
    plan = _run(rig, "--dry-run", "--json")
    assert [one["new_epoch"] for one in json.loads(plan.stdout)["partitions"]] == [1, 1]
    assert not any(marker.epoch for markers in _markers(rig).values() for marker in markers)


# What is compared -------------------------------------------------------------------------------------------------


def _picture(rig: Rig) -> dict[str, Any]:
    """What must come out of a rebuild as it went in."""
    logs = _logs(rig)
    rows: dict[bytes, bytes] = {}
    for record in (*logs["inventory-changelog"], *logs["inventory-evidence"]):
        key, value = record.key() or b"", record.value()
        if value is None:
            rows.pop(key, None)
        elif not key.startswith(b"!"):
            rows[key] = value
    risks = [codec.decode(record.value() or b"") for record in logs["oversell-risk"]]
    return {
        "rows": rows,
        "availability": {answer.key: answer.atp for answer in _view(rig)},
        "risks": sorted((r.id, r.transition, r.at) for r in risks if isinstance(r, RiskChanged)),
        "postings": Counter(record.key() for record in logs["erp-lines"]),
        "decisions": sorted(record.value() or b"" for record in logs["reservation-decisions"]),
        "kits": {record.key() for record in logs["kit-components"]},
    }


def _answers(rig: Rig) -> list[AvailabilityChanged]:
    found = [codec.decode(r.value() or b"") for r in _logs(rig)["availability"] if r.value() is not None]
    return [answer for answer in found if isinstance(answer, AvailabilityChanged)]


def _view(rig: Rig) -> AvailabilityView:
    view = AvailabilityView()
    for record in _logs(rig)["availability"]:
        value = record.value()
        if value is None:
            view.delist((record.key() or b"").decode())
            continue
        answer = codec.decode(value)
        assert isinstance(answer, AvailabilityChanged)
        view.apply(answer)
    return view


def _decisions(rig: Rig) -> list[bytes]:
    return [record.value() or b"" for record in _logs(rig)["reservation-decisions"]]


def _lengths(rig: Rig) -> dict[str, int]:
    return {name: len(records) for name, records in _logs(rig).items() if name in LEFT_ALONE}


def _markers(rig: Rig) -> dict[int, list[Marker]]:
    found: dict[int, list[Marker]] = defaultdict(list)
    for record in _logs(rig)["inventory-changelog"]:
        value = record.value()
        if record.key() == MARKER_KEY and value is not None:
            found[record.partition() or 0].append(decode_marker(value))
    return found


def _logs(rig: Rig) -> dict[str, list[Message]]:
    """Read the committed records of everything that workers write."""
    names = {rig.settings.topic_prefix + topic.name: topic.name for topic in WRITTEN}
    found: dict[str, list[Message]] = {name: [] for name in names.values()}
    with reader(rig.brokers, "judge") as consumer:
        starts = [TopicPartition(name, p, OFFSET_BEGINNING) for name in names for p in range(rig.settings.partitions)]
        for records in to_end(consumer, starts):
            for record in records:
                found[names[str(record.topic())]].append(record)
    return found


def _batches(rig: Rig, out: Path) -> None:
    topic = rig.settings.topic_prefix + "erp-lines"
    ErpBatches(ErpSettings(brokers=rig.brokers, topic=topic, out=out, until_idle_s=0.3), lambda _: None).run()


# What is done -----------------------------------------------------------------------------------------------------


def _day() -> list[Event]:
    """Movements, a risk that opens and closes again, requests of two channels, one event of every kind, and ticks."""
    events = movements(400, seed=1)
    receipt = Document("receipt", "short", 1)
    events += [
        _tick(START + 5 * MINUTE),
        SaleRecorded(source="pos", document=receipt, event_time=START + HOUR, sku="SHORT", location="S1", quantity=2),
        _tick(START + 61 * MINUTE),
        _tick(START + 70 * MINUTE),
    ]
    for number in range(60):
        events.append(
            ReservationRequested(
                source="web", document=Document("request", f"Q-{number}", 1), event_time=START + 71 * MINUTE,
                sku=f"SKU-{1 + number % 5}", request_id=f"Q-{number}", quantity=40, partial=number % 2 == 0,
                channel="web" if number % 3 else "market",
            )
        )  # fmt: skip
    lines = (Path(__file__).parents[2] / "docs" / "events.md").read_text().splitlines()
    told = [
        event
        for line in lines
        if line.startswith('{"type"')
        for event in parse_line(line, {"*": {"case": Fraction(12)}})
    ]
    times = sorted(event.event_time for event in told)
    parts = [
        GoodsReceived(
            source="wms", document=Document("grn", sku, 1), event_time=times[-1], sku=sku, location="DC1", quantity=9
        )
        for event in told
        if isinstance(event, MasterChanged)
        for sku in event.components or ()
    ]
    return [*events, _tick(times[len(times) // 2]), *told, *parts, _tick(times[-1] + HOUR)]


def _ack(answer: AvailabilityChanged) -> ChannelAck:
    return ChannelAck(
        source="web", document=Document("ack", f"{answer.epoch}-{answer.version}", 1), event_time=answer.as_of + MINUTE,
        channel=answer.channel, sku=answer.sku, version=answer.version, epoch=answer.epoch,
    )  # fmt: skip


def _tick(time_: int) -> TimeTicked:
    return TimeTicked(source="clock", document=Document("tick", str(time_), 1), event_time=time_)


def _ignore(_done: int, _total: int) -> None:
    pass


def _killer(after: int) -> Any:
    calls = iter(range(1_000_000))

    def hear(_done: int, _total: int) -> None:
        if next(calls) >= after:
            raise KilledError

    return hear


def _opened(rig: Rig, *partitions: int, despite_gaps: bool = False) -> Rebuild:
    return Rebuild(rig.settings, rig.brokers, INVENTORY, partitions, despite_gaps=despite_gaps)


def _rebuild(rig: Rig, *partitions: int, despite_gaps: bool = False, writing: Progress = _ignore) -> list[Rebuilt]:
    with _opened(rig, *partitions, despite_gaps=despite_gaps) as one:
        one.fold(_ignore)
        return one.write(writing)


def _run(rig: Rig, *options: str) -> subprocess.CompletedProcess[str]:
    return _atp(rig, "rebuild", "--from-logs", *options)


def _atp(rig: Rig, *words: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "cli", *words]
    environ = {**os.environ, **rig.settings.environ()}
    return subprocess.run(command, env=environ, capture_output=True, text=True, timeout=60, check=False)


def _wait_for_no_worker(rig: Rig) -> None:
    """Who was killed or crashed is a member to the brokers until its session is over."""
    deadline = time.monotonic() + 20
    while members(rig.brokers, rig.settings.group("inventory")):
        assert time.monotonic() < deadline
        time.sleep(0.2)


def _delete(rig: Rig, *topics: str) -> None:
    names = [rig.settings.topic_prefix + topic for topic in topics]
    admin = AdminClient({"bootstrap.servers": rig.brokers})
    for future in admin.delete_topics(names).values():
        future.result(10)
    deadline = time.monotonic() + 20
    while set(names) & admin.list_topics(timeout=10).topics.keys():
        assert time.monotonic() < deadline
        time.sleep(0.1)
    ensure_topics(rig.brokers, rig.settings)
