"""Writes events to the ledger: keyed by SKU under murmur2; what has no SKU goes to every partition, once each.

`publish` serves import, demo and tests; `LedgerWriter` whoever has bytes already.
"""

import time
from collections import Counter
from collections.abc import Iterable
from types import TracebackType
from typing import Self

from confluent_kafka import KafkaError, KafkaException, Message, Producer

from atp.checks import check
from atp.errors import FatalError
from atp.events import Event
from avro_schemas import codec
from sinks.silent import SILENT
from streams.broker import resolve_brokers
from streams.settings import Settings
from streams.topics_admin import topic_name
from topologies import topics
from topologies.partitioning import partition_of
from topologies.topics import Topic

PATIENCE_S = 60.0
"""How long brokers may be away before writing is given up."""
LOOK_S = 0.5
WAITING_MAX = 200_000
"""Records that wait in memory at most, about 50 MB."""

__all__ = ["LedgerWriter", "partition_of_sku", "publish"]


def partition_of_sku(sku: str, partitions: int) -> int:
    """Return the ledger partition of a SKU."""
    return partition_of(sku.encode(), partitions)


def publish(events: Iterable[Event], settings: Settings, brokers: str | None = None) -> Counter[str]:
    """Check, encode and write events to the ledger; return how many of each type, once all are acknowledged.

    Raises: PoisonError for an event that cannot mean anything (those before it are written); FatalError where
    the brokers do not take them.
    """
    counts: Counter[str] = Counter()
    with LedgerWriter(settings, brokers) as writer:
        for event in events:
            check(event)
            writer.write(event.sku.encode(), codec.encode(event))
            counts[type(event).__name__] += 1
    return counts


class LedgerWriter:
    """An idempotent producer. Leaving its context waits until everything is acknowledged."""

    def __init__(self, settings: Settings, brokers: str | None = None) -> None:
        self._settings = settings
        self._brokers = brokers or resolve_brokers(settings)
        self._ledger = topic_name(settings, topics.LEDGER)
        self._failed: KafkaError | None = None
        self.records = 0
        """Records handed over: an event without a SKU is one per partition."""
        self._producer = Producer(
            {
                "bootstrap.servers": self._brokers,
                "client.id": "ledger-writer",
                "log_level": 0,
                "enable.idempotence": True,
                "acks": "all",
                "partitioner": "murmur2_random",
                "compression.type": "lz4",
                "linger.ms": 20,
                "queue.buffering.max.messages": WAITING_MAX,
                "topic.metadata.propagation.max.ms": 5_000,  # Topics are created, and wait for their leaders, before.
                "message.timeout.ms": int(PATIENCE_S * 1000),
                "delivery.report.only.error": True,
                "on_delivery": self._on_failure,
            },
            logger=SILENT,
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, _: BaseException | None, __: TracebackType | None) -> None:
        if kind is not None and issubclass(kind, FatalError | KeyboardInterrupt):
            self._producer.purge()
            return
        self.flush()

    def write(self, key: bytes, value: bytes) -> None:
        """Hand over a line of the ledger; an empty key is an event without a SKU. Raises: FatalError."""
        if key:
            self._produce(self._ledger, value, key)
            return
        for partition in range(self._settings.partitions):
            self._produce(self._ledger, value, None, partition)

    def send(self, topic: Topic, key: bytes, value: bytes, partition: int | None = None) -> None:
        """Hand over a record of another topic. Raises: FatalError."""
        self._produce(topic_name(self._settings, topic), value, key, partition)

    def flush(self) -> None:
        """Wait until everything is acknowledged. Raises: FatalError."""
        deadline = time.monotonic() + PATIENCE_S + LOOK_S
        while self._producer.flush(LOOK_S) and self._failed is None:
            if time.monotonic() > deadline:
                raise FatalError(f"the brokers {self._brokers} do not take what is written. See what runs: atp status")
        self._raise_failure()

    def _produce(self, topic: str, value: bytes, key: bytes | None, partition: int | None = None) -> None:
        self.records += 1
        deadline = None
        while True:
            try:
                if partition is None:
                    self._producer.produce(topic, value, key)
                else:
                    self._producer.produce(topic, value, key, partition)
            except BufferError:
                # As much waits as memory may hold: let the brokers take some.
                deadline = deadline or time.monotonic() + PATIENCE_S + LOOK_S
                self._producer.poll(LOOK_S)
                self._raise_failure()
                if time.monotonic() > deadline:
                    self.flush()
            except KafkaException as error:
                raise self._fatal(error.args[0]) from error
            else:
                break
        if self.records % 1000 == 0:
            self._producer.poll(0)
            self._raise_failure()

    def _on_failure(self, error: KafkaError | None, _: Message) -> None:
        self._failed = self._failed or error

    def _raise_failure(self) -> None:
        if self._failed is not None:
            self._producer.purge()
            raise self._fatal(self._failed)

    def _fatal(self, error: KafkaError) -> FatalError:
        if error.code() == KafkaError._UNKNOWN_TOPIC or error.code() == KafkaError.UNKNOWN_TOPIC_OR_PART:  # noqa: SLF001
            return FatalError(f"the topics do not exist at {self._brokers}. Create them with: atp topics --create")
        return FatalError(f"the brokers {self._brokers} do not take what is written: {error.str()}. See: atp status")
