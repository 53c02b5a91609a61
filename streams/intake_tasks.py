"""Runs the intake: one thread for all inbound partitions of a worker; produce, flush, then let the offset follow.

At least once: what was not flushed when a worker dies is read again, and the fold drops what came twice.
"""

import logging
import queue
import threading
import time
from collections.abc import Callable, Mapping, Sequence

from confluent_kafka import ConsumerGroupTopicPartitions, KafkaException, Message, TopicPartition
from confluent_kafka.admin import AdminClient, OffsetSpec  # type: ignore[attr-defined]  # exported in fact

from atp.errors import FatalError
from atp.events import SECOND
from atp.intake import Units
from atp.sequences import Sequences, event_of
from avro_schemas import codec
from streams import sequence_log
from streams.dead_letter import Headers
from streams.intake import Received, Taken, intake_batch
from streams.kafka_log import KAFKA
from streams.ledger import LedgerWriter
from streams.metrics import Metrics
from streams.poller import Chunk, Place
from streams.settings import Settings
from streams.topics_admin import topic_name
from topologies import topics
from topologies.intake import Inbound, Intake

ASK_S = 30.0
GAP_GRACE_S = 10
"""How long a number may be missing before that is told: a source's topics are read one beside the other."""
LOOK_S = 1.0
"""How often gaps that wait are looked at while nothing comes."""
STOP_S = 90.0
"""Longer than the writer waits for brokers that are away: it says so before."""

log = logging.getLogger(__name__)


class IntakeTasks:
    """The owner of the inbound partitions, which the poller works for."""

    def __init__(
        self,
        settings: Settings,
        brokers: str,
        topology: Intake,
        units: Units,
        metrics: Metrics,
        crash: Callable[[BaseException], None],
    ) -> None:
        """`crash` ends the process."""
        self.group = settings.group(topology.name)
        """The consumer group."""
        self.topics = {topic_name(settings, one.topic): one for one in topology.sources}
        self._settings = settings
        self._brokers = brokers
        self._units = units
        self._metrics = metrics
        self._crash = crash
        self._chunks: queue.SimpleQueue[Chunk | None] = queue.SimpleQueue()
        self._lock = threading.Lock()
        self._waiting: dict[Place, int] = {}
        self._positions: dict[Place, int] = {}
        self._at_end: dict[Place, bool] = {}
        self._number = 0
        self._last_event = 0.0
        self._assigned_at: float | None = None
        self._thread: threading.Thread | None = None
        self._sequences = Sequences(GAP_GRACE_S * SECOND)
        self._homes: dict[str, int] = {}
        """By source: the partition number that its messages, and its state, lie in."""

    def assigned(self, number: int, places: Sequence[Place]) -> Mapping[Place, int]:
        """Start the thread; return where the group left off, or the beginning. Raises: FatalError."""
        starts = self._starts(places) if places else {}
        self._sequences = Sequences(GAP_GRACE_S * SECOND)
        mine = {partition for _, partition in places}
        self._homes = sequence_log.restore(self._sequences, self._settings, self._brokers, mine) if mine else {}
        with self._lock:
            self._number = number
            self._positions = {}
            self._waiting = dict.fromkeys(places, 0)
            self._at_end = dict.fromkeys(places, False)
            self._assigned_at = self._last_event = time.monotonic()
        self._thread = threading.Thread(target=self._run, name="intake", daemon=True)
        self._thread.start()
        return starts

    def revoked(self, *, lost: bool) -> None:
        """Finish what is in flight, so that whoever comes next need not read it again."""
        with self._lock:
            self._assigned_at = None
            if lost:
                self._number = 0  # What waits is dropped: it is another's by now.
        if self._thread is not None:
            self._chunks.put(None)
            self._thread.join(STOP_S)
            self._thread = None

    def backlog(self, place: Place) -> int:
        with self._lock:
            return self._waiting.get(place, 0)

    def committed(self) -> Mapping[Place, int]:
        with self._lock:
            return dict(self._positions)

    def ends(self, ends: Mapping[Place, int]) -> None:
        """Tell nothing: the lag that matters is the ledger's."""

    def hand_over(self, chunk: Chunk) -> None:
        """Queue a chunk of the current assignment."""
        place = (chunk.topic, chunk.partition)
        with self._lock:
            if chunk.assignment != self._number or place not in self._waiting:
                return
            self._waiting[place] += len(chunk.records)
            self._at_end[place] = chunk.at_end
            if chunk.records:
                self._last_event = time.monotonic()
        if chunk.records:
            self._chunks.put(chunk)

    def idle_since(self) -> float | None:
        """Return since when there was nothing to do, by the monotonic clock; None while there is."""
        with self._lock:
            if self._assigned_at is None or any(self._waiting.values()) or not all(self._at_end.values()):
                return None
            return max(self._assigned_at, self._last_event)

    def _run(self) -> None:
        try:
            with LedgerWriter(self._settings, self._brokers) as writer:
                while (chunk := self._next(writer)) is not None:
                    if chunk.assignment == self._number:
                        self._take(writer, chunk)
        except BaseException as error:  # noqa: BLE001  (an intake that ends leaves a worker that takes nothing in)
            self._crash(error)

    def _next(self, writer: LedgerWriter) -> Chunk | None:
        """Wait for a chunk; tell meanwhile of gaps that have stood for long enough."""
        while True:
            try:
                return self._chunks.get(timeout=LOOK_S if self._sequences.waiting else None)
            except queue.Empty:
                self._tell_gaps(writer)
                writer.flush()
                self._sequences.written()

    def _tell_gaps(self, writer: LedgerWriter) -> None:
        """Write what is told of gaps, with the states that say so: all is flushed together, or told again."""
        now = time.time_ns() // 1000
        for told in self._sequences.due(now):
            writer.write(b"", codec.encode(event_of(told, now)))
            log.warning("gap source=%s from=%d to=%d opened=%s", told.source, told.begin, told.end, told.opened)
        for source, track in self._sequences.states():
            writer.send(topics.SEQUENCES, source.encode(), sequence_log.encode(track), self._homes[source])

    def _take(self, writer: LedgerWriter, chunk: Chunk) -> None:
        place = (chunk.topic, chunk.partition)
        inbound: Inbound = self.topics[chunk.topic]
        records = [
            Received(chunk.partition, one.offset() or 0, one.timestamp()[1], one.key(), one.value(), _headers(one))
            for one in chunk.records
        ]
        taken = intake_batch(inbound, chunk.topic, records, self._units)
        for line in taken.lines:
            writer.write(line.key, line.value)
        for letter in taken.letters:
            key = f"{letter.topic}|{letter.partition}|{letter.offset}".encode()
            writer.send(topics.DEAD_LETTERS, key, codec.encode(letter), chunk.partition)
            log.error(
                "refused topic=%s partition=%d offset=%d cause=%s",
                letter.topic, letter.partition, letter.offset, letter.cause,
            )  # fmt: skip
        now = time.time_ns() // 1000
        for source, number in taken.heard:
            self._homes.setdefault(source, chunk.partition)
            self._sequences.saw(source, number, now)
        self._tell_gaps(writer)
        writer.flush()
        self._sequences.written()
        self._count(taken)
        with self._lock:
            self._positions[place] = records[-1].offset + 1
            self._waiting[place] -= len(records)
            self._last_event = time.monotonic()

    def _count(self, taken: Taken) -> None:
        for (kind, verdict), count in taken.counts.items():
            self._metrics.events.labels(kind, verdict).inc(count)
        for letter in taken.letters:
            self._metrics.dead_letters.labels(letter.cause).inc()

    def _starts(self, places: Sequence[Place]) -> dict[Place, int]:
        """Ask where the group left off; where it never was, the beginning."""
        admin = AdminClient({"bootstrap.servers": self._brokers, "client.id": "intake-start"}, logger=KAFKA)
        wanted = [TopicPartition(*place) for place in places]
        asked = ConsumerGroupTopicPartitions(self.group, wanted)
        start = OffsetSpec.earliest()  # type: ignore[no-untyped-call]
        try:
            left = admin.list_consumer_group_offsets([asked], request_timeout=ASK_S)[self.group].result()
            lows = admin.list_offsets(dict.fromkeys(wanted, start), request_timeout=ASK_S)
            low_of = {(one.topic, one.partition): future.result().offset for one, future in lows.items()}
        except KafkaException as error:
            raise FatalError(
                f"the brokers {self._brokers} do not say where the intake left off ({error}). See: atp status"
            ) from error
        starts = dict(low_of)
        for one in left.topic_partitions or ():
            place = (one.topic, one.partition)
            if one.offset >= low_of[place]:
                starts[place] = one.offset
            elif one.offset >= 0:
                log.error(
                    "gone topic=%s partition=%d from=%d to=%d reason=kept for less time than the intake was away",
                    one.topic, one.partition, one.offset, low_of[place],
                )  # fmt: skip
        return starts


def _headers(message: Message) -> Headers | None:
    found = message.headers()
    return list(found.items()) if isinstance(found, dict) else found
