"""One partition's state and its life: open, fold, commit, close; on a thread of its own.

Opening, in this order: the assignment is still current; every earlier owner is fenced (only then is the changelog
quiet); topic ids are compared; the local store is brought to the changelog's end; the marker says where to read on.
"""

import logging
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from queue import Empty, SimpleQueue

from confluent_kafka import Consumer, TopicPartition

from atp.book import CLOCK_KEY, Clock
from atp.errors import FatalError
from atp.fold import Frame
from streams.batch import Batch, Place
from streams.checkpoint import Checkpoint, FencedError, Marker, encode_marker
from streams.cluster import TopicIds
from streams.kafka_log import KAFKA
from streams.metrics import Metrics
from streams.poller import SESSION_S, Chunk
from streams.restore import Changelogs, is_empty, reader, restore
from streams.settings import Settings
from streams.table import Reflects, Shared, Table, now
from streams.topics_admin import topic_name
from topologies.topology import Topology

STRETCH = 4
"""While more records wait, a batch may take this many commit intervals: fewer transactions when it matters."""
LOOK_UP = 200
"""Records folded before the task looks whether it shall close: a few milliseconds."""
IDLE_TICKS = 60
"""Ticks that changed nothing are committed with the next event, or after this many: an hour's."""
FENCED_WAIT_S = 3.0
"""A fenced task waits this long for the news that its partition was taken away, before it ends the worker."""

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Surroundings:
    """What all tasks of a worker share."""

    settings: Settings
    brokers: str
    topology: Topology
    folder: Path
    """Of the topology, within the worker's slot."""
    shared: Shared
    metrics: Metrics
    crash: Callable[[BaseException], None]

    def name(self, topic: str) -> str:
        """Return a topic's name on the brokers."""
        return self.settings.topic_prefix + topic

    @property
    def group(self) -> str:
        """The consumer group."""
        return self.settings.group(self.topology.name)


class Task:
    """The single writer of one partition."""

    def __init__(self, around: Surroundings, partition: int, ids: TopicIds) -> None:
        self.partition = partition
        self._around = around
        self._ids = ids
        self._frame = Frame(window=around.settings.window)
        self._place = Place(topic_name(around.settings, around.topology.source), partition, around.settings.partitions)
        self._chunks: SimpleQueue[Chunk | None] = SimpleQueue()
        self._closing = threading.Event()
        self._drop = False
        self._thread = threading.Thread(target=self._run, name=f"task-{partition}", daemon=True)
        self._table: Table | None = None
        self._checkpoint: Checkpoint | None = None
        self._marker = Marker(0, 0, 0, around.settings.partitions, ids.ledger, ids.changelog, ids.evidence)
        self._chunk_number = 0
        self._handed = 0
        self._folded = 0
        self._committed_at = 0.0
        self._began_at = 0.0
        self._at_end = False
        self.position = 0
        """The next position of the ledger, as committed."""
        self.last_tick = 0
        """The partition's clock as committed, in microseconds; 0 before the first tick."""
        self.next_due: int | None = None
        """The second of the first timer that waits; None where none does."""
        self.up_to = time.time()
        """The broker's time, in unix seconds, of the newest event that is committed; at first, of the opening."""
        self.last_event = time.monotonic()
        """When an event other than a tick was last folded or committed, or the task opened."""

    # Life, as the owner of the tasks sees it ---------------------------------------------------------------

    def open(self, assigned_at: float) -> int:
        """Become the writer of the partition; return the offset to read from. Raises: FatalError.

        `assigned_at` is when the assignment came, by the monotonic clock.
        """
        around, ids = self._around, self._ids
        checkpoint = Checkpoint(around.brokers, around.group, around.topology, around.name, self.partition)
        if time.monotonic() - assigned_at > SESSION_S:
            # The last to initialise wins, not the newest assignment: who slept must not shut out who took over.
            raise FatalError(f"the assignment of partition {self.partition} is too old to act on; starting over")
        checkpoint.fence()
        self._checkpoint = checkpoint
        restored = restore(
            around.brokers,
            Changelogs(
                around.name(around.topology.changelog.name),
                around.name(around.topology.evidence.name),
                [ids.ledger, ids.changelog, ids.evidence],
            ),
            self.partition,
            around.folder / str(self.partition),
            around.shared,
            around.metrics.restored.inc,
        )
        self._table = restored.table
        if restored.marker is None:
            self._must_be_new()
        elif around.topology.rereadable and restored.marker.ledger != ids.ledger:
            log.warning("the source was made anew: reading it from its beginning partition=%d", self.partition)
            self._marker = replace(self._marker, batch=restored.marker.batch)
        else:
            self._marker = restored.marker
            self._must_fit(restored.marker)
            self._frame = replace(self._frame, epoch=restored.marker.epoch)
        clock = self._table.get(CLOCK_KEY)
        self.last_tick = clock.tick if isinstance(clock, Clock) else 0
        self.next_due = _first_timer(self._table)
        self.position = self._marker.position
        log.info(
            "opened partition=%d position=%d batch=%d restored_rows=%d seconds=%.2f topology=%s",
            self.partition, self.position, self._marker.batch, restored.rows, restored.seconds, around.topology.name,
        )  # fmt: skip
        self._batch = self._new_batch()
        self.last_event = time.monotonic()
        self._thread.start()
        return self.position

    def put(self, chunk: Chunk) -> None:
        """Take over records."""
        self._handed += len(chunk.records)
        self._chunks.put(chunk)

    @property
    def backlog(self) -> int:
        """Records handed over and not folded yet."""
        return self._handed - self._folded

    @property
    def at_rest(self) -> bool:
        """Everything there was is folded and committed, ticks that changed nothing apart."""
        return self._at_end and self.backlog == 0 and (not self._batch or self._batch.idle)

    @property
    def table(self) -> Table | None:
        """The committed rows; for other threads only `view`."""
        return self._table

    def ask_to_close(self, *, drop: bool) -> None:
        """Let the task end: it commits what it has folded, unless that is to be dropped."""
        self._drop = drop
        self._closing.set()
        self._chunks.put(None)

    def wait_closed(self) -> None:
        """Wait until nothing of the task runs."""
        if self._thread.ident is not None:
            self._thread.join()

    # Work, on the task's own thread ------------------------------------------------------------------------

    def _run(self) -> None:
        try:
            while not self._closing.is_set():
                self._turn()
            if self._batch and not self._batch.idle and not self._drop:
                self._commit()
        except BaseException as error:  # noqa: BLE001  (crash-only: whatever it is, the process ends or the task does)
            self._end(error)
            return
        assert self._table is not None
        assert self._checkpoint is not None
        self._table.close()
        self._checkpoint.close()

    def _end(self, error: BaseException) -> None:
        wait_s = FENCED_WAIT_S if isinstance(error, FencedError) else 0.0
        if not self._closing.wait(wait_s):
            self._around.crash(error)
            return
        log.warning("forgotten partition=%d reason=%s", self.partition, error)
        if self._table is not None:
            self._table.close()

    def _turn(self) -> None:
        try:
            chunk = self._chunks.get(timeout=self._patience())
        except Empty:
            chunk = None
        if chunk is not None:
            self._fold(chunk)
        if self._due():
            self._commit()

    def _fold(self, chunk: Chunk) -> None:
        self._chunk_number += 1
        if chunk.number != self._chunk_number:
            raise FatalError(
                f"partition {self.partition} got chunk {chunk.number} after {self._chunk_number - 1}: records were "
                "lost on their way through the worker. Report it; starting again reads from the marker"
            )
        if chunk.records:
            self._at_end = False
            first = chunk.records[0].offset()
            expected = self._batch.next_offset if self._batch else self.position
            if first is None or first < expected:
                raise FatalError(
                    f"partition {self.partition} got offset {first} and stands at {expected} already. "
                    "Report it; starting again reads from the marker"
                )
        most = self._around.settings.batch_max
        for number, message in enumerate(chunk.records):
            if number % LOOK_UP == 0 and self._closing.is_set():
                return
            if len(self._batch) >= most:
                self._commit()
            if not self._batch:
                self._began_at = time.monotonic()
            self._batch.fold(
                message.offset(),  # type: ignore[arg-type]  # a record that was read has one
                message.timestamp()[1],
                message.key(),
                message.value(),
                message.headers(),  # type: ignore[arg-type]  # a list, where there are any
            )
            self._folded += 1
        if self._batch.events:
            self.last_event = time.monotonic()
        if chunk.at_end:
            self._at_end = True

    def _patience(self) -> float:
        """Seconds until the batch is due; long where nothing waits."""
        if not self._batch or self._batch.idle:
            return 1.0
        return max(0.0, self._committed_at + self._around.settings.commit_interval_ms / 1000 - time.monotonic())

    def _due(self) -> bool:
        batch = self._batch
        if not batch or (batch.idle and len(batch) < IDLE_TICKS):
            return False
        moment = time.monotonic()
        interval_s = self._around.settings.commit_interval_ms / 1000
        if moment < self._committed_at + interval_s:
            return False
        return self._chunks.empty() or moment >= self._began_at + STRETCH * interval_s

    def _commit(self) -> None:
        assert self._table is not None
        assert self._checkpoint is not None
        sealed = self._batch.seal()
        began = time.monotonic()
        marker = replace(self._marker, position=sealed.next_offset, batch=self._marker.batch + 1)
        ends = self._checkpoint.commit(sealed, marker)
        self._marker = marker
        around, known = self._around, self._table.reflects
        changelog, evidence = around.topology.changelog.name, around.topology.evidence.name
        self._table.write(
            {row.key: row.value for row in sealed.rows},
            sealed.changes,
            encode_marker(marker),
            Reflects(
                ends.get(around.name(changelog), known.changelog if known else 0),
                ends.get(around.name(evidence), known.evidence if known else 0),
                [marker.ledger, marker.changelog, marker.evidence],
                now(),
            ),
        )
        self.position = marker.position
        clock = sealed.changes.get(CLOCK_KEY)
        if isinstance(clock, Clock):
            self.last_tick = clock.tick
        if any(key.startswith("d|") for key in sealed.changes):
            self.next_due = _first_timer(self._table)
        self._committed_at = time.monotonic()
        if sealed.events:
            self.last_event = self._committed_at
        self._batch = self._new_batch()
        if sealed.ages:
            self.up_to = sealed.ages[-1][0] / 1000
        around.metrics.committed(sealed, self._committed_at - began)

    def _new_batch(self) -> Batch:
        assert self._table is not None
        return Batch(self._around.topology, self._place, self._table, self._frame)

    # What must be so before the first record ---------------------------------------------------------------

    def _must_be_new(self) -> None:
        """Without a marker only an installation that never ran may start at 0, or one that may do so at any time."""
        around = self._around
        if around.topology.rereadable:
            return
        topic = topic_name(around.settings, around.topology.source)
        with_data = [
            name
            for name in (around.name(output.name) for output in around.topology.outputs[:1])
            if not is_empty(around.brokers, name, self.partition)
        ]
        consumer = Consumer({"bootstrap.servers": around.brokers, "group.id": around.group}, logger=KAFKA)
        try:
            offset = consumer.committed([TopicPartition(topic, self.partition)], timeout=SESSION_S)[0].offset
        finally:
            consumer.close()
        if offset >= 0:
            with_data.append(f"the offset {offset} of group {around.group}")
        if with_data:
            raise FatalError(
                f"the state of partition {self.partition} is gone: its changelog is empty, yet there is "
                f"{' and '.join(with_data)}. The ledger still holds every event. "
                "Stop the workers, then: atp rebuild --from-logs"
            )

    def _must_fit(self, marker: Marker) -> None:
        around, ids = self._around, self._ids
        where = f"partition {self.partition} of {topic_name(around.settings, around.topology.source)}"
        if marker.rebuilding:
            raise FatalError(
                f"{where} is half rebuilt: its rows are of two folds. "
                "Stop the workers, then finish it with: atp rebuild --from-logs"
            )
        if marker.partitions != around.settings.partitions:
            raise FatalError(
                f"{where} was folded as one of {marker.partitions}, and now there are {around.settings.partitions}: "
                f"SKUs would change their partition. Keep the count: ATP_PARTITIONS={marker.partitions}"
            )
        if marker.ledger != ids.ledger or marker.changelog != ids.changelog or marker.evidence != ids.evidence:
            raise FatalError(
                f"{where} or its changelog was deleted and made again since offset {marker.position}. "
                "Restore the topics from their backup; or where the ledger is whole: atp rebuild --from-logs"
            )
        with reader(around.brokers, f"look-{self.partition}") as consumer:
            low, high = consumer.get_watermark_offsets(
                TopicPartition(topic_name(around.settings, around.topology.source), self.partition), timeout=SESSION_S
            )
        if marker.position < low:
            raise FatalError(
                f"{where}: offsets {marker.position} to {low - 1} were deleted before they were folded. "
                "Restore them from a backup; or go on without them: atp rebuild --from-logs --despite-gaps"
            )
        if marker.position > high:
            raise FatalError(
                f"{where} ends at {high}, and its state reaches to {marker.position}: offsets {high} to "
                f"{marker.position - 1} were lost. Restore the ledger; or go on without them: "
                "atp rebuild --from-logs --despite-gaps"
            )


def _first_timer(rows: Table) -> int | None:
    """The second of the first timer that waits."""
    return next((int(key.split("|")[1]) for key, _ in rows.scan("d|")), None)
