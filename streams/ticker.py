"""Writes the logged ticks: the only clock that the fold knows.

The owner of a partition writes `TimeTicked` into it from the wall clock: as soon as a timer of the partition is due,
which is fine to the second, and at least once a minute. A tick that comes twice, or from an owner that no
longer is one, does no harm: a clock only moves forward.
"""

import logging
import threading
import time
from datetime import UTC, datetime

from confluent_kafka import KafkaException, Producer

from atp.events import MINUTE, SECOND, Document, TimeTicked
from avro_schemas import codec
from streams.kafka_log import KAFKA
from streams.tasks import Tasks

LOOK_S = 0.5
"""How often the ticker looks which partitions are due."""

log = logging.getLogger(__name__)


class Ticker:
    """A thread that writes ticks for the partitions of a worker."""

    def __init__(self, brokers: str, topic: str, tasks: Tasks) -> None:
        """`topic` is the ledger, as the brokers name it."""
        self._topic = topic
        self._tasks = tasks
        self._written: dict[int, int] = {}
        self._stopping = threading.Event()
        self._producer = Producer(
            {"bootstrap.servers": brokers, "client.id": "ticker", "enable.idempotence": True, "linger.ms": 5},
            logger=KAFKA,
        )
        self._thread = threading.Thread(target=self._run, name="ticker", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        self._stopping.set()
        self._thread.join()
        self._producer.flush(1.0)

    def _run(self) -> None:
        while not self._stopping.wait(LOOK_S):
            moment = time.time_ns() // 1000 // SECOND * SECOND
            for task in self._tasks.all:
                last = max(task.last_tick, self._written.get(task.partition, 0))
                due = task.next_due is not None and last < task.next_due * SECOND <= moment
                if due or moment - last >= MINUTE:
                    self._write(task.partition, moment)
            self._producer.poll(0)

    def _write(self, partition: int, moment: int) -> None:
        try:
            self._producer.produce(self._topic, codec.encode(tick(partition, moment)), None, partition)
        except (BufferError, KafkaException) as error:
            log.warning("tick not written partition=%d error=%s", partition, error)  # The next look tries again.
        else:
            self._written[partition] = moment


def tick(partition: int, moment: int) -> TimeTicked:
    """Return the tick of a partition at `moment`, microseconds since 1970-01-01 UTC."""
    name = datetime.fromtimestamp(moment / SECOND, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    return TimeTicked(source="ticker", document=Document("tick", name, partition + 1), event_time=moment)
