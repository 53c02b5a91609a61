"""Workers as processes on a real broker, and a judge that counts by itself."""

import contextlib
import os
import signal
import subprocess
import sys
import time
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from random import Random

from confluent_kafka import OFFSET_BEGINNING, Consumer, KafkaError, Message, TopicPartition

from atp.book import Position
from atp.effects import AvailabilityChanged, DeadLetter, ErpLine
from atp.events import SECOND, Document, Event, GoodsReceived, SaleRecorded
from avro_schemas import codec
from streams.checkpoint import MARKER_KEY, Marker, decode_marker
from streams.ledger import publish
from streams.settings import Settings
from streams.topics_admin import ensure_topics

START = 1_763_000_000 * SECOND
END_S = 60.0
"""A worker of these tests ends within seconds; one that does not hangs."""


@dataclass
class Worker:
    """A worker of its own process."""

    process: subprocess.Popen[bytes]
    log: Path

    def end(self, within_s: float = END_S) -> int:
        """Wait for it; return its exit code."""
        try:
            return self.process.wait(within_s)
        except subprocess.TimeoutExpired:
            self.process.send_signal(signal.SIGABRT)  # Python writes where each thread stands.
            self.process.wait()
            raise AssertionError(f"the worker hangs:\n{self.text()[-10_000:]}") from None

    def signal(self, number: int) -> None:
        self.process.send_signal(number)

    def kill(self) -> None:
        self.process.kill()
        self.process.wait()

    def text(self) -> str:
        return self.log.read_text()

    def wait_for(self, words: str, within_s: float = END_S) -> None:
        """Wait until its log says something."""
        deadline = time.monotonic() + within_s
        while words not in self.text():
            assert self.process.poll() is None, f"ended with {self.process.returncode}:\n{self.text()[-4000:]}"
            assert time.monotonic() < deadline, f"never said {words!r}:\n{self.text()[-4000:]}"
            time.sleep(0.05)


@dataclass
class Rig:
    """A pipeline: settings, workers, and what was published to it."""

    settings: Settings
    brokers: str
    expected: Counter[tuple[str, str]] = field(default_factory=Counter)
    """Units by (SKU, location), as simple addition has them."""
    moves: int = 0
    """Events that moved goods."""
    workers: list[Worker] = field(default_factory=list)

    def worker(
        self,
        *options: str,
        topology: str | None = "inventory",
        until_idle: float | None = 1.5,
        environ: dict[str, str] | None = None,
    ) -> Worker:
        """Start a worker of one topology, or of all with None."""
        log = self.settings.home / f"worker-{len(self.workers)}.log"
        log.parent.mkdir(parents=True, exist_ok=True)
        command = [sys.executable, "-m", "cli", "worker", *options]
        if topology is not None:
            command += ["--topology", topology]
        if until_idle is not None:
            command += ["--until-idle", str(until_idle)]
        with log.open("wb") as output:
            process = subprocess.Popen(
                command,
                stdout=output,
                stderr=subprocess.STDOUT,
                env={**os.environ, "PYTHONFAULTHANDLER": "1", **self.settings.environ(), **(environ or {})},
            )
        self.workers.append(Worker(process, log))
        return self.workers[-1]

    def drain(self) -> None:
        """Run a worker until it has folded everything."""
        worker = self.worker()
        assert worker.end() == 0, worker.text()[-4000:]

    def publish(self, events: Iterable[Event]) -> None:
        """Publish goods movements and add them up."""
        moved = list(events)
        publish(moved, self.settings, self.brokers)
        for event in moved:
            if isinstance(event, GoodsReceived | SaleRecorded):
                sign = 1 if isinstance(event, GoodsReceived) else -1
                self.expected[event.sku, event.location] += sign * event.quantity
                self.moves += 1

    def stop_all(self) -> None:
        for worker in self.workers:
            if worker.process.poll() is None:
                with contextlib.suppress(ProcessLookupError):
                    worker.process.send_signal(signal.SIGCONT)
                worker.kill()

    # Judging ---------------------------------------------------------------------------------------------------

    def records(self, topic: str) -> list[Message]:
        """Return the committed records of a topic, in order within each partition."""
        return list(committed(self.brokers, self.settings.topic_prefix + topic, self.settings.partitions))

    def positions(self) -> dict[tuple[str, str], int]:
        """Return sellable units by (SKU, location), as the changelog has them last."""
        found: dict[tuple[str, str], int] = {}
        for record in self.records("inventory-changelog"):
            key, value = record.key() or b"", record.value()
            if key.startswith(b"p|") and value is not None:
                row = codec.decode_row(key.decode(), value)
                assert isinstance(row, Position)
                _, sku, location = key.decode().split("|")
                found[sku, location] = row.sellable
        return found

    def markers(self) -> dict[int, list[Marker]]:
        found: dict[int, list[Marker]] = defaultdict(list)
        for record in self.records("inventory-changelog"):
            value = record.value()
            if record.key() == MARKER_KEY and value is not None:
                found[record.partition() or 0].append(decode_marker(value))
        return found

    def dead_letters(self) -> list[DeadLetter]:
        letters = [codec.decode(record.value() or b"") for record in self.records("dead-letters")]
        assert all(isinstance(letter, DeadLetter) for letter in letters)
        return letters  # type: ignore[return-value]

    def check(self) -> None:
        """Compare everything with what was published: each event counted, each exactly once."""
        assert self.positions() == dict(self.expected)
        self._check_availability()
        self._check_postings()
        for partition, markers in self.markers().items():
            numbers = [marker.batch for marker in markers]
            assert numbers == list(range(1, len(numbers) + 1)), f"batches of partition {partition}: {numbers}"
            positions = [marker.position for marker in markers]
            assert positions == sorted(set(positions)), f"positions of partition {partition} fall"

    def _check_availability(self) -> None:
        versions: Counter[str] = Counter()
        totals: Counter[str] = Counter()
        nodes: dict[str, int] = {}
        for record in self.records("availability"):
            effect = codec.decode(record.value() or b"")
            assert isinstance(effect, AvailabilityChanged)
            assert effect.version > versions[effect.key], f"{effect.key} fell to version {effect.version}"
            versions[effect.key] = effect.version
            nodes[effect.key] = effect.atp
        for (sku, location), units in self.expected.items():
            assert nodes.get(f"node|{sku}|{location}", 0) == max(0, units)
            totals[sku] += max(0, units)
        for sku, units in totals.items():
            assert nodes.get(f"all|{sku}", 0) == units

    def _check_postings(self) -> None:
        lines = [codec.decode(record.value() or b"") for record in self.records("erp-lines")]
        keys = Counter(line.posting_key for line in lines if isinstance(line, ErpLine))
        assert len(keys) == self.moves
        assert set(keys.values()) <= {1}, "a posting came twice"


def committed(brokers: str, topic: str, partitions: int) -> Iterator[Message]:
    """Yield the committed records of a topic, up to its ends."""
    consumer = Consumer(
        {
            "bootstrap.servers": brokers,
            "group.id": "judge",
            "isolation.level": "read_committed",
            "enable.auto.commit": False,
            "enable.partition.eof": True,
            "fetch.wait.max.ms": 20,
        }
    )
    try:
        consumer.assign([TopicPartition(topic, partition, OFFSET_BEGINNING) for partition in range(partitions)])
        open_ = set(range(partitions))
        while open_:
            for message in consumer.consume(1000, 0.2):
                error = message.error()
                if error is None:
                    yield message
                elif error.code() == KafkaError._PARTITION_EOF:
                    open_.discard(message.partition() or 0)
                else:
                    raise AssertionError(str(error))
    finally:
        consumer.close()


def movements(count: int, seed: int, skus: int = 40, locations: int = 4) -> list[Event]:
    """Receipts and sales, a few SKUs far busier than the others; business keys differ between seeds."""
    random = Random(seed)
    events: list[Event] = []
    for number in range(count):
        sku = f"SKU-{min(int(random.paretovariate(1.0)), skus)}"
        location = f"S{random.randrange(locations)}"
        document = Document("paper", f"{seed}-{number}", 1)
        time_ = START + number * SECOND
        if random.random() < 0.4:
            events.append(
                GoodsReceived(
                    source="wms", document=document, event_time=time_, sku=sku, location=location,
                    quantity=random.randint(1, 30),
                )
            )  # fmt: skip
        else:
            events.append(
                SaleRecorded(
                    source="pos", document=document, event_time=time_, sku=sku, location=location, channel="store",
                    quantity=random.randint(1, 3),
                )
            )  # fmt: skip
    return events


@contextlib.contextmanager
def pipeline(settings: Settings) -> Iterator[Rig]:
    """Yield a rig with its topics; its workers end with it."""
    assert settings.brokers is not None
    ensure_topics(settings.brokers, settings)
    rig = Rig(settings, settings.brokers)
    try:
        yield rig
    finally:
        rig.stop_all()
