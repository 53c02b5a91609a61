"""Asks for units and hears the answers: one request or many, each answered once under its request id.

The answers are listened for from before the requests are sent, so that none can be missed. Where no answer comes in
time the outcome is *unknown*, never *no*: the request lies in the ledger and will be answered. Asking again with the
same request id is safe: an answer that was given is found again, and nothing is taken twice.
"""

import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from types import TracebackType
from typing import Self

from confluent_kafka import Message

from atp.checks import check
from atp.effects import DeadLetter, RequestDecided
from atp.errors import PoisonError
from atp.events import ReservationRequested
from avro_schemas import codec
from sinks.committed import CommittedReader
from streams.ledger import LedgerWriter
from streams.settings import Settings
from streams.topics_admin import topic_name
from topologies import topics
from topologies.partitioning import partition_of

TAKE = 5_000
WAIT_S = 0.02
"""How long one look for answers waits: the client hands them over as they come."""


@dataclass(slots=True)
class Heard:
    """What became of requests, by request id. One that is in neither mapping is unanswered."""

    decided: dict[str, RequestDecided] = field(default_factory=dict)
    refused: dict[str, DeadLetter] = field(default_factory=dict)
    """Requests that were not decided, since they could not be folded: late, future, a conflict."""

    def __contains__(self, request_id: str) -> bool:
        return request_id in self.decided or request_id in self.refused


class Asker:
    """Sends reservation requests and waits for their decisions. Not safe for use by several threads."""

    def __init__(self, settings: Settings, brokers: str) -> None:
        """Raises: FatalError where the brokers do not answer or the topics are not there."""
        self._settings = settings
        self._brokers = brokers
        self._answers = CommittedReader(brokers, topic_name(settings, topics.DECISIONS))
        try:
            self._letters = CommittedReader(brokers, topic_name(settings, topics.DEAD_LETTERS))
        except BaseException:
            self._answers.close()
            raise

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, _: BaseException | None, __: TracebackType | None) -> None:
        self._answers.close()
        self._letters.close()

    def find(self, sku: str, request_id: str, since_us: int) -> RequestDecided | None:
        """Return the answer that was given to a request before, None where there is none.

        Looks at what was written at `since_us` (the broker's time, microseconds since 1970-01-01 UTC) or later.
        Raises: FatalError.
        """
        partition = self._partition(sku)
        return self._look(partition, self._answers.since(partition, since_us // 1000), {request_id}).get(request_id)

    def ask(self, requests: Sequence[ReservationRequested], timeout_s: float) -> Heard:
        """Send requests and return what was heard of them within `timeout_s` seconds of sending.

        Raises: PoisonError for a request that cannot mean anything, before any is sent; FatalError where the brokers
        do not answer.
        """
        sent: dict[bytes, ReservationRequested] = {}
        for request in requests:
            check(request)
            sent[codec.encode(request)] = request
        wanted = {request.request_id for request in requests}
        partitions = {self._partition(request.sku) for request in requests}
        starts = {partition: self._answers.bounds(partition)[1] for partition in partitions}
        self._answers.assign(starts)
        self._letters.assign({partition: self._letters.bounds(partition)[1] for partition in partitions})
        with LedgerWriter(self._settings, self._brokers) as writer:
            for value, request in sent.items():
                writer.write(request.sku.encode(), value)
        return self._listen(wanted, sent, starts, time.monotonic() + timeout_s)

    def _listen(
        self, wanted: set[str], sent: Mapping[bytes, ReservationRequested], starts: dict[int, int], deadline: float
    ) -> Heard:
        heard = Heard()
        while len(heard.decided) + len(heard.refused) < len(wanted) and time.monotonic() < deadline:
            heard.decided |= {one.request_id: one for one in answers(self._answers.take(TAKE, WAIT_S), wanted)}
            for letter in _letters(self._letters.take(TAKE, 0)):
                request = sent.get(letter.value or b"")
                if request is None or request.request_id in heard:
                    continue
                # An earlier request of the same id was answered, or it would be no conflict: perhaps just now.
                partition = self._partition(request.sku)
                late = self._look(partition, starts[partition], {request.request_id})
                if late:
                    heard.decided |= late
                else:
                    heard.refused[request.request_id] = letter
        return heard

    def _look(self, partition: int, start: int, wanted: set[str]) -> dict[str, RequestDecided]:
        """Return the answers from an offset to the end."""
        found: dict[str, RequestDecided] = {}
        reader = CommittedReader(self._brokers, self._answers.topic)
        try:
            reader.assign({partition: start})
            while not reader.caught_up:
                for one in answers(reader.take(TAKE, 0.2), wanted):
                    found.setdefault(one.request_id, one)
        finally:
            reader.close()
        return found

    def _partition(self, sku: str) -> int:
        return partition_of(sku.encode(), len(self._answers.partitions))


def answers(messages: Iterable[Message], wanted: set[str]) -> Iterator[RequestDecided]:
    """Yield the decisions among records whose request id is wanted."""
    for message in messages:
        key, value = message.key(), message.value()
        if isinstance(key, bytes) and isinstance(value, bytes) and key.decode(errors="replace") in wanted:
            effect = codec.decode(value)
            if isinstance(effect, RequestDecided):
                yield effect


def _letters(messages: Iterable[Message]) -> Iterator[DeadLetter]:
    for message in messages:
        try:
            letter = codec.decode(message.value() or b"")
        except PoisonError:
            continue  # Somebody else writes to the topic; it is no letter about a request of ours.
        if isinstance(letter, DeadLetter):
            yield letter
