"""Decisions: from a request's hand-over to the producer to its answer being readable by a committed reader.

Requests come beside other events of the same SKUs, as they would in a day's rush: who asks for the last unit of a SKU
competes with the tills that sell it.
"""

import itertools
import random
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from confluent_kafka import OFFSET_BEGINNING, TopicPartition

from atp.effects import RequestDecided
from atp.errors import FatalError
from atp.events import MINUTE, Document, Event, GoodsReceived, Ref, ReservationRequested
from avro_schemas import codec
from bench import broker, load
from bench.latency import DRAIN_S, OPEN_S, PACE_S, STEP, WARM_UP_S, working
from streams.restore import reader
from streams.settings import Settings
from topologies import topics

HELD = 15 * MINUTE
"""How long a shopper's basket holds what was reserved."""
LIVELY = 5_000
"""SKUs that requests ask for: the first ones of the load, each as often as it is sold."""


@dataclass(frozen=True, slots=True)
class Decisions:
    """Latencies of the decisions of one run, in milliseconds."""

    requests_per_s: int
    others_per_s: int
    """Sales and receipts beside them."""
    workers: int
    partitions: int
    requests: int
    p50_ms: float
    p99_ms: float
    max_ms: float
    outcomes: dict[str, int]
    """Requests by decision."""
    unanswered: int
    """Requests whose decision did not come within seconds."""


class Watch:
    """Requests that wait for their answer."""

    def __init__(self) -> None:
        self._waiting: dict[str, float] = {}
        self.took: list[tuple[float, float]] = []
        """(when it was sent, seconds until the answer was readable)."""
        self.outcomes: Counter[str] = Counter()

    def sent(self, request_id: str, moment: float) -> None:
        """Remember a request. Called by the sender, before it sends."""
        self._waiting[request_id] = moment

    def answered(self, answer: RequestDecided, moment: float) -> None:
        """Take note of an answer. Called by the reader."""
        began = self._waiting.pop(answer.request_id, None)
        if began is not None:
            self.took.append((began, moment - began))
            self.outcomes[answer.decision] += 1

    @property
    def unanswered(self) -> int:
        """Requests that still wait."""
        return len(self._waiting)


def requests(begin: int, step: int, run: str) -> Iterator[ReservationRequested]:
    """Yield requests without end, `step` microseconds of event time apart, for one or two units of a lively SKU each.

    Two of three name no location, so that the whole network answers.
    """
    chance = random.Random(load.SEED)  # noqa: S311  (the same requests each time is the point)
    weights = list(itertools.accumulate(1 / (rank + 10) for rank in range(LIVELY)))
    for number in itertools.count():
        moment = begin + number * step
        rank = chance.choices(range(LIVELY), cum_weights=weights)[0]
        yield ReservationRequested(
            source="web",
            document=Document("request", f"{run}-{number}", 1),
            request_id=f"{run}-{number}",
            event_time=moment,
            expires_at=moment + HELD,
            sku=f"SKU-{rank:05d}",
            location=place(rank) if number % 3 == 0 else "",
            channel="online",
            quantity=1 + number % 2,
            order=Ref(f"{run}-O-{number}", 1),
            state="soft",
        )


def place(rank: int) -> str:
    """Return the location that requests for a SKU name, where they name one."""
    return f"S{rank % 7:03d}"


def stock(begin: int) -> Iterator[GoodsReceived]:
    """Yield goods of every SKU that requests ask for, at the place that they name."""
    for rank in range(LIVELY):
        yield GoodsReceived(
            source="wms:DC1",
            document=Document("grn", f"D-{rank}", 1),
            event_time=begin,
            sku=f"SKU-{rank:05d}",
            location=place(rank),
            quantity=load.OPENING,
        )


def measure(
    requests_per_s: int, others_per_s: int, seconds: float, workers: int, brokers: str, settings: Settings
) -> Decisions:
    """Measure for some seconds, with workers with default settings and their ticks. Raises: FatalError."""
    broker.fresh_ledger(brokers, settings)
    broker.fresh_outputs(brokers, settings)
    with working(brokers, settings, workers):
        watch, stop = Watch(), threading.Event()
        watcher = threading.Thread(target=_read, args=(watch, stop, brokers, settings), daemon=True)
        watcher.start()
        try:
            began = _send(watch, requests_per_s, others_per_s, seconds, brokers, settings)
        finally:
            stop.set()
            watcher.join()
    took = sorted(late * 1000 for moment, late in watch.took if moment >= began + WARM_UP_S)
    return Decisions(
        requests_per_s,
        others_per_s,
        workers,
        settings.partitions,
        len(took),
        took[len(took) // 2],
        took[len(took) * 99 // 100],
        took[-1],
        dict(watch.outcomes),
        watch.unanswered,
    )


def _send(
    watch: Watch, requests_per_s: int, others_per_s: int, seconds: float, brokers: str, settings: Settings
) -> float:
    """Send both streams at their pace, and wait for the answers; return when the pace began."""
    ledger = settings.topic_prefix + topics.LEDGER.name
    writer = load.producer(brokers, linger_ms=5)
    begin = time.time_ns() // 1000
    asked = requests(begin, STEP, f"R-{begin}")
    others = load.events(int(others_per_s * (seconds + WARM_UP_S)) + 1, begin, STEP)

    def send(event: Event) -> None:
        writer.produce(ledger, codec.encode(event), event.sku.encode())

    def ask() -> None:
        request = next(asked)
        watch.sent(request.request_id, time.monotonic())
        send(request)

    for received in stock(begin):
        send(received)
    # The first request waits for the worker to be there, and for it to have folded the stock.
    ask()
    _await(watch, OPEN_S, lambda: writer.poll(0.05))
    if watch.unanswered:
        raise FatalError(f"the worker decided nothing within {OPEN_S:.0f} s. See how workers run: atp status")
    began, sent, told = time.monotonic(), 0, 0
    while (now := time.monotonic()) < began + WARM_UP_S + seconds:
        for _ in range(int((now - began) * requests_per_s) - sent):
            ask()
            sent += 1
        for event in itertools.islice(others, int((now - began) * others_per_s) - told):
            send(event)
            told += 1
        writer.poll(0)
        time.sleep(PACE_S)
    writer.flush()
    _await(watch, DRAIN_S, lambda: time.sleep(0.05))
    return began


def _await(watch: Watch, within_s: float, rest: Callable[[], object]) -> None:
    deadline = time.monotonic() + within_s
    while watch.unanswered and time.monotonic() < deadline:
        rest()


def _read(watch: Watch, stop: threading.Event, brokers: str, settings: Settings) -> None:
    topic = settings.topic_prefix + topics.DECISIONS.name
    with reader(brokers, "bench-decisions") as consumer:
        consumer.assign(
            [TopicPartition(topic, partition, OFFSET_BEGINNING) for partition in range(settings.partitions)]
        )
        while not stop.is_set():
            first = consumer.poll(0.1)
            if first is None:
                continue
            for message in [first, *consumer.consume(1000, 0)]:
                value = message.value()
                if message.error() is None and value is not None:
                    answer = codec.decode(value)
                    assert isinstance(answer, RequestDecided)
                    watch.answered(answer, time.monotonic())
