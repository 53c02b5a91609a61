"""Committed records of a topic, read in bulk from given offsets, with no consumer group's state.

What an open or aborted transaction holds is never seen. That a partition is at its end is told by the
partition-EOF event, never by comparing offsets: control records leave holes.
"""

import logging
import time
from collections.abc import Mapping

from confluent_kafka import (
    OFFSET_BEGINNING,
    Consumer,
    KafkaError,
    KafkaException,
    Message,
    TopicCollection,
    TopicPartition,
)
from confluent_kafka.admin import AdminClient

from atp.errors import FatalError
from sinks.silent import SILENT

ASK_S = 15.0
"""How long a question to the brokers may take."""
SILENCE_S = 5.0
"""After so long without a record or an end, brokers are asked whether they are there."""
AWAY_S = 60.0
"""How long brokers that do not answer are waited for."""

log = logging.getLogger(__name__)


class CommittedReader:
    """A consumer of some partitions of one topic. Not safe for use by several threads."""

    def __init__(self, brokers: str, topic: str) -> None:
        """Raises: FatalError where the brokers do not answer or the topic is not there."""
        self.topic = topic
        self._brokers = brokers
        self._consumer = Consumer(
            {
                "bootstrap.servers": brokers,
                "group.id": "atp-reader",  # The client asks for a name; nothing is ever stored under it.
                "log_level": 0,
                "isolation.level": "read_committed",
                "enable.auto.commit": False,
                "enable.auto.offset.store": False,
                "auto.offset.reset": "error",
                "enable.partition.eof": True,
                "fetch.queue.backoff.ms": 5,
                # An end is only told by an answer, and for an answer without records the broker takes this long.
                "fetch.wait.max.ms": 50,
                "queued.min.messages": 200_000,
                "fetch.message.max.bytes": 4_194_304,
            },
            logger=SILENT,
        )
        self.at_end: set[int] = set()
        """The partitions whose end was reached and where nothing came since."""
        self._assigned: set[int] = set()
        self._heard = time.monotonic()
        self._away = False
        try:
            self.partitions = self._find_partitions()
        except BaseException:
            self._consumer.close()
            raise

    def close(self) -> None:
        self._consumer.close()

    @property
    def away(self) -> bool:
        """Whether the brokers did not answer when they were last asked: silence means nothing then."""
        return self._away

    @property
    def caught_up(self) -> bool:
        """Whether every assigned partition is at its end."""
        return self.at_end >= self._assigned

    def assign(self, starts: Mapping[int, int]) -> None:
        """Read the named partitions from the given offsets, or from `OFFSET_BEGINNING`, and no others."""
        self.at_end = set()
        self._assigned = set(starts)
        self._heard = time.monotonic()
        self._consumer.assign([TopicPartition(self.topic, p, offset) for p, offset in sorted(starts.items())])

    def from_beginning(self) -> None:
        """Read every partition from its beginning."""
        self.assign(dict.fromkeys(self.partitions, OFFSET_BEGINNING))

    def bounds(self, partition: int) -> tuple[int, int]:
        """Return the first offset that is kept and the one after the last that is committed. Raises: FatalError."""
        try:
            low, high = self._consumer.get_watermark_offsets(TopicPartition(self.topic, partition), timeout=ASK_S)
        except KafkaException as error:
            raise self._unanswered(error.args[0]) from error
        return low, high

    def since(self, partition: int, moment_ms: int) -> int:
        """Return the first offset written at a moment of the broker's clock or later, else the end. Raises: FatalError.

        `moment_ms` in milliseconds since 1970-01-01 UTC.
        """
        try:
            (found,) = self._consumer.offsets_for_times([TopicPartition(self.topic, partition, moment_ms)], ASK_S)
        except KafkaException as error:
            raise self._unanswered(error.args[0]) from error
        return found.offset if found.offset >= 0 else self.bounds(partition)[1]

    def take(self, most: int, wait_s: float) -> list[Message]:
        """Return up to `most` records that are there; wait up to `wait_s` seconds for the first.

        Raises: FatalError where the offsets are gone or the brokers stay away for 60 s.
        """
        first = self._consumer.poll(wait_s)
        if first is None:
            self._listen()
            return []
        return [message for message in (first, *self._consumer.consume(most - 1, 0)) if self._is_record(message)]

    def answers(self) -> None:
        """Make sure that silence means nothing new. Raises: FatalError where the brokers do not answer."""
        try:
            self._consumer.list_topics(self.topic, timeout=ASK_S)
        except KafkaException as error:
            raise self._unanswered(error.args[0]) from error

    def _listen(self) -> None:
        """Tell silence from absence: ask, after a while of it. Raises: FatalError after 60 s of absence."""
        if time.monotonic() - self._heard < SILENCE_S:
            return
        try:
            self._consumer.list_topics(self.topic, timeout=SILENCE_S)
        except KafkaException as error:
            if not self._away:
                self._away = True
                log.warning("away brokers=%s error=%s", self._brokers, error.args[0])
            if time.monotonic() - self._heard > AWAY_S:
                raise self._unanswered(error.args[0]) from error
        else:
            self._heard, self._away = time.monotonic(), False

    def _is_record(self, message: Message) -> bool:
        error = message.error()
        partition = message.partition()
        assert partition is not None or error is not None
        if error is None:
            self._heard, self._away = time.monotonic(), False
            if partition in self.at_end:
                self.at_end.discard(partition)
            return True
        match error.code():
            case KafkaError._PARTITION_EOF:  # noqa: SLF001  (the client's own name for it)
                self._heard, self._away = time.monotonic(), False
                assert partition is not None
                self.at_end.add(partition)
            case KafkaError._AUTO_OFFSET_RESET | KafkaError.OFFSET_OUT_OF_RANGE:  # noqa: SLF001
                raise FatalError(
                    f"the records that were asked for are no longer in {self.topic} ({error.str()}). "
                    "See what the topic keeps: atp topics"
                )
            case _ if error.retriable() or error.code() in _AWAY:
                log.info("retried by the client topic=%s error=%s", self.topic, error)
            case _:
                raise self._unanswered(error)
        return False

    def _find_partitions(self) -> list[int]:
        try:
            found = self._consumer.list_topics(self.topic, timeout=ASK_S).topics[self.topic]
        except KafkaException as error:
            raise self._unanswered(error.args[0]) from error
        if found.error is not None or not found.partitions:
            raise FatalError(f"there is no topic {self.topic}. Create what is missing with: atp topics --create")
        return sorted(found.partitions)

    def _unanswered(self, error: object) -> FatalError:
        reason = error.str() if isinstance(error, KafkaError) else error
        return FatalError(f"the brokers {self._brokers} do not answer ({reason}). See what runs: atp status")


_AWAY = {
    KafkaError._ALL_BROKERS_DOWN,  # noqa: SLF001
    KafkaError._TRANSPORT,  # noqa: SLF001
    KafkaError._RESOLVE,  # noqa: SLF001
    KafkaError._TIMED_OUT,  # noqa: SLF001
    KafkaError.UNKNOWN_TOPIC_OR_PART,
}


def topic_id(brokers: str, topic: str) -> str:
    """Return the id of a topic: one that was deleted and made again has another. Raises: FatalError."""
    admin = AdminClient({"bootstrap.servers": brokers, "log_level": 0}, logger=SILENT)
    try:
        described = admin.describe_topics(TopicCollection([topic]), request_timeout=ASK_S)[topic].result()
    except KafkaException as error:
        raise FatalError(f"cannot describe topic {topic}: {error.args[0].str()}. See what runs: atp status") from error
    return str(described.topic_id)
