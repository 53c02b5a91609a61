"""Age: from an event's hand-over to the producer to its availability being readable by a committed reader."""

import re
import shutil
import subprocess
import threading
import time
from collections import defaultdict, deque
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from confluent_kafka import OFFSET_BEGINNING, TopicPartition

from atp.book import key_of
from atp.effects import AvailabilityChanged
from atp.errors import FatalError
from avro_schemas import codec
from bench import broker, load
from bench.hosts import environment, worker_command
from streams.processes import wait_until
from streams.restore import reader
from streams.settings import Settings
from topologies import topics

PACE_S = 0.005
WARM_UP_S = 5.0
OPEN_S = 60.0
DRAIN_S = 5.0
STEP = 200
"""Microseconds of event time between sales: a day in which thousands are sold each second."""


@dataclass(frozen=True, slots=True)
class Ages:
    """Ages of the events of one run, in milliseconds."""

    events_per_s: int
    events: int
    p50_ms: float
    p99_ms: float
    max_ms: float
    unanswered: int
    """Events whose availability did not come within seconds."""


class Watch:
    """Events that wait for their answer, by node.

    An answer that is coalesced stands for every earlier event of its node in the same transaction: those are
    answered with it.
    """

    def __init__(self) -> None:
        self._waiting: dict[str, deque[tuple[str, float]]] = defaultdict(deque)
        self.ages: list[tuple[float, float]] = []
        """(when it was sent, seconds until readable)."""

    def sent(self, event: load.Event, moment: float) -> None:
        """Remember an event. Called by the sender."""
        key = key_of(event)
        self._waiting[f"node|{event.sku}|{event.location}"].append((key, moment))

    def answered(self, answer: AvailabilityChanged, moment: float) -> None:
        """Take note of an answer. Called by the reader."""
        waiting = self._waiting[answer.key]
        while waiting:
            key, began = waiting.popleft()
            self.ages.append((began, moment - began))
            if key == answer.cause.key:
                break

    @property
    def unanswered(self) -> int:
        """Events that still wait."""
        return sum(map(len, self._waiting.values()))


def measure(rates: list[int], seconds: float, brokers: str, settings: Settings) -> list[Ages]:
    """Measure at each rate (events a second) for some seconds, by one worker with default settings and its ticks."""
    broker.fresh_ledger(brokers, settings)
    broker.fresh_outputs(brokers, settings)
    with working(brokers, settings):
        return [_at(rate, seconds, number, brokers, settings) for number, rate in enumerate(rates)]


@contextmanager
def working(brokers: str, settings: Settings, workers: int = 1) -> Iterator[None]:
    """Let workers with default settings fold the ledger, with their ticks, from nothing and until this is left.

    Several have shared the partitions by the time that this begins. Raises: FatalError.
    """
    app = f"{settings.topic_prefix}worker-{settings.app}-{workers}"
    home = settings.home.absolute() / app
    shutil.rmtree(home, ignore_errors=True)
    folders = [home / str(number) for number in range(workers)]
    running: list[subprocess.Popen[bytes]] = []
    try:
        for folder in folders:
            folder.mkdir(parents=True)
            env = {**environment(settings, brokers, app, folder), "ATP_TICKS": "wall"}
            with (folder / "host.log").open("wb") as log:
                running.append(subprocess.Popen(worker_command(), env=env, stdout=log, stderr=log))
        logs = [folder / "host.log" for folder in folders]
        if workers > 1 and not wait_until(lambda: _shared(logs, settings.partitions), OPEN_S):
            raise FatalError(f"{workers} workers did not share the partitions within {OPEN_S:.0f} s. See: atp status")
        yield
    finally:
        for worker in running:
            worker.terminate()
        for worker in running:
            worker.wait(30)
    shutil.rmtree(home)


def _shared(logs: list[Path], partitions: int) -> bool:
    """Say whether every worker has opened its part, by the last assignment that each tells of."""
    found: list[int] = []
    for log in logs:
        told = log.read_text(errors="replace").rpartition(" assigned number=")[2]
        mine = [int(number) for number in re.findall(r" opened partition=(\d+)", told)]
        if not mine:
            return False
        found += mine
    return sorted(found) == list(range(partitions))


def _at(rate: int, seconds: float, number: int, brokers: str, settings: Settings) -> Ages:
    watch, stop = Watch(), threading.Event()
    watcher = threading.Thread(target=_read, args=(watch, stop, brokers, settings), daemon=True)
    watcher.start()
    ledger = settings.topic_prefix + topics.LEDGER.name
    writer = load.producer(brokers, linger_ms=5)
    begin = time.time_ns() // 1000
    stream = load.events(int(rate * (seconds + WARM_UP_S)) + 1, begin, STEP, seed=load.SEED + number)

    def send() -> None:
        event = next(stream)
        watch.sent(event, time.monotonic())
        writer.produce(ledger, codec.encode(event), event.sku.encode())

    # The first event waits for the worker to be there.
    send()
    deadline = time.monotonic() + OPEN_S
    while watch.unanswered:
        if time.monotonic() > deadline:
            raise FatalError(f"the worker answered nothing within {OPEN_S:.0f} s")
        writer.poll(0.05)
    began, sent = time.monotonic(), 0
    while (now := time.monotonic()) < began + WARM_UP_S + seconds:
        for _ in range(int((now - began) * rate) - sent):
            send()
            sent += 1
        writer.poll(0)
        time.sleep(PACE_S)
    writer.flush()
    deadline = time.monotonic() + DRAIN_S
    while watch.unanswered and time.monotonic() < deadline:
        time.sleep(0.05)
    stop.set()
    watcher.join()
    ages = sorted(age * 1000 for moment, age in watch.ages if moment >= began + WARM_UP_S)
    return Ages(rate, len(ages), ages[len(ages) // 2], ages[len(ages) * 99 // 100], ages[-1], watch.unanswered)


def _read(watch: Watch, stop: threading.Event, brokers: str, settings: Settings) -> None:
    topic = settings.topic_prefix + topics.AVAILABILITY.name
    with reader(brokers, "bench-latency") as consumer:
        consumer.assign(
            [TopicPartition(topic, partition, OFFSET_BEGINNING) for partition in range(settings.partitions)]
        )
        while not stop.is_set():
            first = consumer.poll(0.1)
            if first is None:
                continue
            for message in [first, *consumer.consume(1000, 0)]:
                key, value = message.key(), message.value()
                if message.error() is None and key is not None and value is not None and key.startswith(b"node|"):
                    answer = codec.decode(value)
                    assert isinstance(answer, AvailabilityChanged)
                    watch.answered(answer, time.monotonic())
