"""Topics read once, committed records only, up to a cut at which they agree with one another."""

import logging
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import TypeVar

from confluent_kafka import Consumer, IsolationLevel, KafkaError, KafkaException, Message, TopicPartition
from confluent_kafka.admin import AdminClient
from confluent_kafka.admin._listoffsets import OffsetSpec

Ends = Mapping[int, int]
"""By partition: the offset behind the last record that counts."""

NOWHERE: Ends = {}
Answer = TypeVar("Answer")
SILENT = logging.getLogger(__name__)
SILENT.addHandler(logging.NullHandler())
SILENT.propagate = False  # A client whose broker is away repeats itself; the command says it once.
ASK_S = 15.0
READ_AT_ONCE = 10_000
PATIENCE_S = 15.0
"""How long a broker that has just started may take until its partitions have leaders that all agree on."""
ASK_AGAIN_S = 0.2
SOON_OVER = {
    KafkaError.LEADER_NOT_AVAILABLE,
    KafkaError.NOT_LEADER_FOR_PARTITION,
    KafkaError.FENCED_LEADER_EPOCH,
    KafkaError.UNKNOWN_LEADER_EPOCH,
    KafkaError.OFFSET_NOT_AVAILABLE,
    KafkaError.REPLICA_NOT_AVAILABLE,
}
"""What brokers say while partitions find their leaders. The client calls few of them retriable, and none of these."""
STILL_S = 0.2
"""A commit reaches all topics of its transaction within milliseconds; nothing may move for so long."""


class MissingTopicError(Exception):
    """A topic is not there."""


class MovingError(Exception):
    """No moment was found in which no transaction ended."""


class Topics:
    """The topics of one broker, as a reader outside of any group sees them."""

    def __init__(self, brokers: str, prefix: str) -> None:
        """`prefix` is that of every topic's name on the brokers."""
        self._brokers = brokers
        self._prefix = prefix
        self._admin = AdminClient({"bootstrap.servers": brokers, "log_level": 0}, logger=SILENT)

    def partitions(self, topic: str) -> int:
        """Return the number of partitions. Raises MissingTopicError, KafkaException."""
        name = self._prefix + topic
        found = patiently(lambda: self._admin.list_topics(timeout=ASK_S)).topics.get(name)
        if found is None or found.error is not None:
            raise MissingTopicError(name)
        return len(found.partitions)

    def ends(self, *topics: str) -> dict[str, Ends]:
        """Return the ends of what is committed. Raises MissingTopicError, KafkaException."""
        return patiently(lambda: self._ends(topics))

    def _ends(self, topics: Sequence[str]) -> dict[str, Ends]:
        wanted = {
            TopicPartition(self._prefix + topic, part): OffsetSpec.latest()  # type: ignore[no-untyped-call]
            for topic in topics
            for part in range(self.partitions(topic))
        }
        isolation = IsolationLevel.READ_COMMITTED
        found = self._admin.list_offsets(wanted, isolation_level=isolation, request_timeout=ASK_S)
        result: dict[str, dict[int, int]] = {topic: {} for topic in topics}
        for place, future in found.items():
            result[place.topic.removeprefix(self._prefix)][place.partition] = future.result().offset
        return dict(result)

    def cut(self, first: str, others: Sequence[str], patience_s: float) -> dict[str, Ends]:
        """Return ends of all topics that show the same transactions, partition by partition.

        Every transaction of a partition writes to `first`. Raises MovingError after `patience_s`.
        """
        chosen: dict[str, dict[int, int]] = {topic: {} for topic in (first, *others)}
        deadline = time.monotonic() + patience_s
        before = self.ends(first)[first]
        while True:
            time.sleep(STILL_S)
            seen = self.ends(*others)
            time.sleep(STILL_S)
            after = self.ends(first)[first]
            for part in after.keys() - chosen[first].keys():
                if before[part] == after[part]:
                    chosen[first][part] = after[part]
                    for topic in others:
                        chosen[topic][part] = seen[topic][part]
            if len(chosen[first]) == len(after):
                return dict(chosen)
            if time.monotonic() > deadline:
                raise MovingError(f"{len(after) - len(chosen[first])} of {len(after)} partitions of {first}")
            before = after

    def read(
        self, topic: str, ends: Ends, progress: Callable[[int], None], starts: Ends = NOWHERE
    ) -> Iterator[Message]:
        """Yield the committed records from `starts`, else from the first, to below `ends`.

        Each partition comes in its order. `progress` is told of each batch.
        """
        quiet_since: float | None = None
        waiting = {part: end for part, end in ends.items() if end > starts.get(part, 0)}
        name = self._prefix + topic
        with _consumer(self._brokers) as consumer:
            consumer.assign([TopicPartition(name, part, starts.get(part, 0)) for part in waiting])
            while waiting:
                # A batch is waited for until it is full: take the first record, then what is there besides.
                first = consumer.poll(ASK_S)
                if first is None:
                    raise KafkaException(KafkaError(KafkaError._TIMED_OUT, f"nothing came of {name}"))  # noqa: SLF001
                batch = [first, *consumer.consume(READ_AT_ONCE, 0)]
                for message in batch:
                    part, off, error = message.partition(), message.offset(), message.error()
                    if error is not None and error.code() != KafkaError._PARTITION_EOF:  # noqa: SLF001
                        # The client goes on by itself once there is a leader.
                        quiet_since = quiet_since or time.monotonic()
                        if not is_soon_over(error) or time.monotonic() > quiet_since + PATIENCE_S:
                            raise KafkaException(error)
                        continue
                    quiet_since = None
                    if part is None or off is None or part not in waiting:
                        continue
                    if error is None and off < waiting[part]:
                        yield message
                    if error is not None or off >= waiting[part] - 1:
                        del waiting[part]
                progress(len(batch))


def is_soon_over(error: KafkaError) -> bool:
    """Say whether an error passes by itself: brokers answer, and will answer otherwise in a moment."""
    return error.retriable() or error.code() in SOON_OVER


def patiently(ask: Callable[[], Answer], patience_s: float = PATIENCE_S) -> Answer:
    """Return what `ask` returns, asking again for so long as its errors are soon over. Raises KafkaException."""
    deadline = time.monotonic() + patience_s
    while True:
        try:
            return ask()
        except KafkaException as error:
            if not is_soon_over(error.args[0]) or time.monotonic() > deadline:
                raise
        time.sleep(ASK_AGAIN_S)


@contextmanager
def _consumer(brokers: str) -> Iterator[Consumer]:
    consumer = Consumer(
        {
            "bootstrap.servers": brokers,
            "group.id": "atp-verify",  # asked for by the client, joined by nobody: partitions are assigned by hand
            "isolation.level": "read_committed",
            "enable.auto.commit": False,
            "enable.partition.eof": True,
            "auto.offset.reset": "earliest",
            "fetch.queue.backoff.ms": 5,
            "queued.max.messages.kbytes": 65536,
        },
        logger=SILENT,
    )
    try:
        yield consumer
    finally:
        consumer.close()
