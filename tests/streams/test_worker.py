"""Workers on a real broker: every event counts once, whatever happens to those who fold it."""

import json
import shutil
import signal
import threading
import time
import urllib.error
import urllib.request
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest
from confluent_kafka import Producer

from atp.events import Document, GoodsReceived, TimeTicked
from avro_schemas import codec
from streams.settings import Settings
from streams.slot import addresses
from tests.streams.rig import START, Rig, movements, pipeline
from topologies.partitioning import partition_of

pytestmark = pytest.mark.timeout(150)


@pytest.fixture
def rig(broker_settings: Settings) -> Iterator[Rig]:
    with pipeline(broker_settings.model_copy(update={"batch_max": 200, "commit_interval_ms": 10})) as one:
        yield one


def test_folds_everything_once_and_ends_when_idle(rig: Rig) -> None:
    rig.publish(movements(2_000, seed=1))
    rig.drain()
    rig.check()
    # Started again it has nothing to do, reads nothing back, and commits nothing.
    before = rig.markers()
    worker = rig.worker()
    assert worker.end() == 0
    assert worker.text().count("restored_rows=0 ") == 3
    assert rig.markers() == before


def test_killed_at_any_moment_counts_each_event_once(rig: Rig) -> None:
    rig.publish(movements(1_000, seed=1))
    feeder = _feed(rig, batches=12, size=700)
    for wait_s in (2.3, 3.1, 2.6):
        worker = rig.worker(until_idle=None)
        worker.wait_for("assigned number=1")
        time.sleep(wait_s - 1.5)
        worker.kill()
    feeder.join()
    rig.drain()
    rig.check()
    assert sum(len(markers) for markers in rig.markers().values()) > 20  # It was killed amid work, not before or after.


def test_a_wiped_state_is_restored_from_the_changelog(rig: Rig) -> None:
    rig.publish(movements(1_500, seed=1))
    rig.drain()
    shutil.rmtree(rig.settings.home / "state")
    rig.publish(movements(500, seed=2))
    rig.drain()
    rig.check()


def test_workers_come_and_go_under_load(rig: Rig) -> None:
    rig.publish(movements(500, seed=1))
    feeder = _feed(rig, batches=10, size=500)
    first = rig.worker(until_idle=None)
    first.wait_for("opened")
    second = rig.worker(until_idle=None)
    second.wait_for("opened")
    third = rig.worker(until_idle=None)
    third.wait_for("opened")
    time.sleep(1)
    first.signal(signal.SIGTERM)
    assert first.end() == 0, first.text()[-3000:]
    second.kill()
    feeder.join()
    assert third.process.poll() is None
    assert _finish(rig) == 0
    rig.check()
    assert {path.name for path in (rig.settings.home / "state").iterdir()} == {"0", "1", "2"}


def test_a_sleeper_is_fenced_and_nothing_of_it_counts(rig: Rig) -> None:
    rig.publish(movements(1_000, seed=1))
    sleeper = rig.worker(until_idle=None)
    sleeper.wait_for("opened")
    feeder = _feed(rig, batches=6, size=500)
    time.sleep(1)
    sleeper.signal(signal.SIGSTOP)
    successor = rig.worker(until_idle=None)
    successor.wait_for("opened")  # Once the sleeper's session is over.
    feeder.join()
    rig.publish(movements(500, seed=99))
    time.sleep(2)
    sleeper.signal(signal.SIGCONT)
    time.sleep(3)
    rig.publish(movements(500, seed=100))
    sleeper.signal(signal.SIGTERM)
    assert sleeper.end() in (0, 3), sleeper.text()[-3000:]
    assert successor.process.poll() is None
    assert _finish(rig) == 0
    rig.check()


def test_poison_does_not_stop_a_partition(rig: Rig) -> None:
    good = GoodsReceived(
        source="wms", document=Document("grn", "G", 1), event_time=START, sku="A", location="S1", quantity=5
    )
    body = codec.encode(good)
    right = partition_of(b"A", 3)
    topic = rig.settings.topic_prefix + "stock-events"
    producer = Producer({"bootstrap.servers": rig.brokers})
    cases: list[tuple[str, bytes | None, bytes | None, int, list[tuple[str, str | bytes | None]]]] = [
        ("garbage", b"A", b"\x07 no avro", right, []),
        ("truncated", b"A", body[:-3], right, []),
        ("trailing_bytes", b"A", body + b"!", right, []),
        ("unknown_schema", b"A", body[:2] + b"12345678" + body[10:], right, []),
        ("undecodable", b"A", None, right, []),
        ("misrouted", b"B", body, right, []),
        ("misrouted", None, body, right, []),
        ("misrouted", b"A", body, (right + 1) % 3, []),
        ("oversized", b"A", body, right, [(f"h{n}", b"x") for n in range(100)]),
    ]
    for _, key, value, partition, headers in cases:
        producer.produce(topic, value, key, partition, headers=headers)
    producer.flush()
    rig.publish([good])
    rig.drain()
    rig.check()
    letters = rig.dead_letters()
    assert Counter(letter.cause for letter in letters) == Counter(case[0] for case in cases)
    assert {letter.value for letter in letters if letter.cause == "garbage"} == {b"\x07 no avro"}
    assert all(letter.topic == topic and letter.timestamp > 0 for letter in letters)


def test_ticks_that_change_nothing_are_not_committed_alone(rig: Rig) -> None:
    rig.publish([event for event in movements(100, seed=1) if isinstance(event, GoodsReceived)])
    rig.drain()
    before = rig.markers()
    rig.publish(
        [
            TimeTicked(source="clock", document=Document("tick", str(n), 1), event_time=START + n * 60_000_000)
            for n in range(1, 4)
        ]
    )
    rig.drain()
    assert rig.markers() == before
    rig.publish(movements(50, seed=2))
    rig.drain()
    rig.check()


def test_the_wall_clock_ticks_in_every_partition(rig: Rig) -> None:
    worker = rig.worker("--ticks", "wall", until_idle=3)
    assert worker.end() == 0
    ticks = [codec.decode_event(record.value() or b"") for record in rig.records("stock-events")]
    assert sorted(tick.document.line for tick in ticks) == [1, 2, 3]
    assert all(isinstance(tick, TimeTicked) and abs(tick.event_time / 1e6 - time.time()) < 60 for tick in ticks)


def test_answers_over_http_what_is_committed(rig: Rig) -> None:
    rig.publish(movements(300, seed=1))
    worker = rig.worker(until_idle=None)
    worker.wait_for("opened")
    (address,) = addresses(rig.settings)
    deadline = time.monotonic() + 20
    wanted = {location: units for (sku, location), units in rig.expected.items() if sku == "SKU-1"}
    while True:
        status, body = _get(f"{address.url}/sku/SKU-1")
        found = {one["location"]: one["on_hand"] for one in json.loads(body)["positions"]} if status == 200 else {}
        if found == wanted:
            break
        assert time.monotonic() < deadline, body
        time.sleep(0.1)
    # The partition of the SKU may have folded all of its events while others still fold theirs.
    while (folded := _folded(metrics := _get(f"{address.url}/metrics")[1].decode())) != 300:
        assert folded < 300, metrics
        assert time.monotonic() < deadline, metrics
        time.sleep(0.1)
    assert _get(f"{address.url}/health/ready")[0] == 200
    assert _get(f"{address.url}/nothing")[0] == 404
    assert "SKU-1" not in metrics
    assert 'verdict="folded"' in metrics
    worker.signal(signal.SIGTERM)
    assert worker.end(15) == 0
    assert addresses(rig.settings) == []


def test_two_workers_cannot_share_a_state_folder(rig: Rig, tmp_path: Path) -> None:
    first = rig.worker("--state", str(tmp_path / "mine"), until_idle=None)
    first.wait_for("serving")
    second = rig.worker("--state", str(tmp_path / "mine"))
    assert second.end() == 3
    assert "another worker uses the state folder" in second.text()


def test_an_unwritable_state_folder_is_a_clear_error(rig: Rig, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("no folder")
    worker = rig.worker("--state", str(tmp_path / "file" / "state"))
    assert worker.end() == 3
    assert "cannot be written" in worker.text()


def test_two_installations_share_brokers_and_no_more(rig: Rig, tmp_path: Path) -> None:
    prefix = f"{rig.settings.topic_prefix}other-"
    beside = rig.settings.model_copy(update={"topic_prefix": prefix, "home": tmp_path / "other"})
    rig.publish(movements(500, seed=1))
    first = rig.worker(until_idle=None)
    first.wait_for("opened")
    with pipeline(beside) as other:
        other.publish(movements(500, seed=2))
        other.drain()
        other.check()
    rig.publish(movements(500, seed=3))
    rig.drain()
    first.signal(signal.SIGTERM)
    assert first.end() == 0, first.text()[-3000:]
    rig.check()


def test_another_partition_count_is_refused(rig: Rig) -> None:
    worker = rig.worker(environ={"ATP_PARTITIONS": "4"})
    assert worker.end() == 3
    assert "ATP_PARTITIONS=3" in worker.text()


def _feed(rig: Rig, batches: int, size: int) -> threading.Thread:
    """Publish in the background, a batch every 0.7 s."""

    def run() -> None:
        for number in range(batches):
            rig.publish(movements(size, seed=1_000 + number))
            time.sleep(0.7)

    thread = threading.Thread(target=run, daemon=True)
    thread.start()
    return thread


def _finish(rig: Rig) -> int:
    """Tell all workers to leave, then let one more fold what they left.

    One that joined before might be done with its share and gone, on a busy machine, before the others are told.
    """
    for other in rig.workers:
        if other.process.poll() is None:
            other.signal(signal.SIGTERM)
            assert other.end() == 0, other.text()[-3000:]
    return rig.worker(until_idle=2).end()


def _folded(metrics: str) -> float:
    """The records that a worker says it has folded, of all types and verdicts."""
    lines = [line for line in metrics.splitlines() if line.startswith("atp_events_total{")]
    return sum(float(line.rsplit(" ", 1)[1]) for line in lines)


def _get(url: str) -> tuple[int, bytes]:
    try:
        with urllib.request.urlopen(url, timeout=5) as answer:
            return answer.status, answer.read()
    except urllib.error.HTTPError as error:
        return error.code, error.read()
