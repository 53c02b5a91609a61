"""`atp rebuild --from-logs`: the state of partitions, folded anew from the beginning of the ledger.

1. Plan, and shut out earlier owners of the partitions (their transactional ids).
2. Fold each partition aside, on this machine's disk: requests are answered by their logged decisions, and outputs
   are compared with what their topics hold. Nothing is written to Kafka; whatever fails, all is as it was.
3. Mark all of the partitions as being rebuilt: from here on workers refuse them, and a rebuild finishes them.
4. Write each partition, in transactions that end with that mark: rows that differ from the changelog's, outputs that
   are missing, the last answer of every key under the new epoch; at last a marker without the mark.

Killed before 3, nothing happened. Killed later, the next rebuild folds what is unfinished again, compares with what
is there by now, and writes the rest.
"""

import contextlib
import fcntl
import gc
import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from itertools import islice
from pathlib import Path
from typing import Self, TypeVar

from confluent_kafka import OFFSET_BEGINNING, TopicPartition
from rocksdict import WriteBatch

from atp.book import CLOCK_KEY, Clock
from atp.errors import FatalError
from atp.fold import Frame
from streams.batch import Batch, Place, RowOut
from streams.checkpoint import MARKER_KEY, Checkpoint, FencedError, Marker, encode_marker
from streams.cluster import TopicIds
from streams.rebuild_plan import Plan, Standing, make_plan, refuse_workers
from streams.restore import reader, to_end
from streams.said import Decided, Output, Said
from streams.settings import Settings
from streams.table import Reflects, Shared, Table, destroy
from streams.topics_admin import ensure_topics, topic_name
from topologies import topics
from topologies.partitioning import partition_of
from topologies.topics import Topic
from topologies.topology import Topology

ASK_S = 30.0
GC_THRESHOLD = 500_000
"""As in a worker: rows and events hold no cycles."""

Progress = Callable[[int, int], None]
"""Hears (done, total)."""
T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Piece:
    """What one transaction writes."""

    rows: Sequence[RowOut] = ()
    effects: Sequence[Output] = ()


@dataclass(slots=True)
class Rebuilt:
    """What became of a partition."""

    partition: int
    epoch: int
    records: int = 0
    """Of the ledger that were folded."""
    position: int = 0
    """The offset of the ledger behind them."""
    rows: int = 0
    """Rows of the new state."""
    rows_written: int = 0
    rows_deleted: int = 0
    outputs_added: Counter[str] = field(default_factory=Counter)
    """By topic: outputs that were missing."""
    answers: int = 0
    """Answers published under the new epoch."""


@dataclass(slots=True)
class _Aside:
    """A partition folded aside."""

    standing: Standing
    checkpoint: Checkpoint
    table: Table
    said: Said
    result: Rebuilt
    tick: int = 0
    batch: int = 0


class Rebuild:
    """One run: `fold`, then `write`. Use it as a context; it holds the partitions' transactional ids."""

    def __init__(
        self,
        settings: Settings,
        brokers: str,
        topology: Topology,
        partitions: Sequence[int] = (),
        *,
        despite_gaps: bool = False,
    ) -> None:
        """Plan and shut out earlier owners. Raises: FatalError, while workers run among others."""
        self._settings, self._brokers, self._topology = settings, brokers, topology
        self._shared = Shared()
        self._asides: list[_Aside] = []
        refuse_workers(settings, brokers, topology)
        plan = make_plan(settings, brokers, topology, partitions, despite_gaps=despite_gaps)
        if plan.missing:
            ensure_topics(brokers, settings)
        with contextlib.ExitStack() as held:
            self._folder = held.enter_context(_own_folder(settings.home / "rebuild"))
            owners = self._fence(plan.chosen, held)
            # What was planned may have moved until everybody was shut out.
            self.plan = make_plan(settings, brokers, topology, partitions, despite_gaps=despite_gaps)
            self._ids = _settled(self.plan, plan)
            for standing in self.plan.chosen:
                self._asides.append(self._open(standing, owners[standing.partition], held))
            self._held = held.pop_all()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._held.close()

    # Folding ----------------------------------------------------------------------------------------------------

    def fold(self, progress: Progress) -> None:
        """Fold the ledger aside, from its beginning to where it ended when this began. Raises: FatalError."""
        total = sum(one.standing.high - one.standing.low for one in self._asides)
        thresholds = gc.get_threshold()
        gc.set_threshold(GC_THRESHOLD)
        done = 0
        try:
            for aside in self._asides:
                for offset in self._fold(aside):
                    progress(done + offset - aside.standing.low, total)
                done += aside.standing.high - aside.standing.low
                progress(done, total)
        finally:
            gc.set_threshold(*thresholds)

    def _fold(self, aside: _Aside) -> Iterator[int]:
        """Yield how far it has come, now and then."""
        standing, partition = aside.standing, aside.standing.partition
        decided = Decided(self._folder / str(partition) / "decided", self._shared)
        self._listen(aside, decided)
        # Under the epochs of their time, since events name them: an acknowledgement is of what was said then.
        epochs = [(0, 0), *standing.epochs] if standing.marker is not None else [(aside.said.last_epoch(), 0)]
        frame = Frame(window=self._settings.window, epoch=epochs.pop(0)[0], decided=decided)
        source = self._name(self._topology.source)
        place = Place(source, partition, self._settings.partitions)
        boundaries = aside.said.boundaries
        batch = Batch(self._topology, place, aside.table, frame)
        oldest_ms = 0
        with reader(self._brokers, f"rebuild-{partition}") as consumer:
            for message in _records(to_end(consumer, [TopicPartition(source, partition, OFFSET_BEGINNING)])):
                offset, came_ms = int(message.offset() or 0), message.timestamp()[1]
                if offset >= standing.high:
                    break
                crossed = (boundaries and came_ms >= boundaries[0]) or (epochs and offset >= epochs[0][1])
                if batch and (crossed or len(batch) >= self._settings.batch_max):
                    self._take(aside, batch, oldest_ms)
                    batch = Batch(self._topology, place, aside.table, frame)
                    yield offset
                if not batch:
                    while boundaries and came_ms >= boundaries[0]:
                        boundaries.pop(0)
                    while epochs and offset >= epochs[0][1]:
                        frame = replace(frame, epoch=epochs.pop(0)[0])
                    batch = Batch(self._topology, place, aside.table, frame)
                    oldest_ms = came_ms
                batch.fold(
                    offset,
                    came_ms,
                    message.key(),
                    message.value(),
                    message.headers(),  # type: ignore[arg-type]  # a list, where there are any
                )
        if batch:
            self._take(aside, batch, oldest_ms)
        aside.said.last_words(standing.epoch, aside.tick)
        aside.result.position = max(aside.result.position, standing.low)
        decided.close()

    def _take(self, aside: _Aside, batch: Batch, oldest_ms: int) -> None:
        sealed = batch.seal()
        aside.said.take(sealed.effects, oldest_ms)
        marker = self._marker(aside, position=sealed.next_offset)
        nowhere = Reflects(0, 0, [], 0.0)  # No changelog holds these rows.
        aside.table.write({row.key: row.value for row in sealed.rows}, sealed.changes, encode_marker(marker), nowhere)
        aside.result.position = sealed.next_offset
        aside.result.records += sealed.records
        clock = sealed.changes.get(CLOCK_KEY)
        if isinstance(clock, Clock):
            aside.tick = clock.tick

    def _listen(self, aside: _Aside, decided: Decided) -> None:
        """Read what the outputs of a partition hold."""
        partition, partitions = aside.standing.partition, self._settings.partitions
        by_name = {self._name(topic): topic for topic in self._topology.outputs}
        with reader(self._brokers, f"rebuild-{partition}") as consumer:
            for name, topic in by_name.items():
                low, _ = consumer.get_watermark_offsets(TopicPartition(name, partition), timeout=ASK_S)
                if low:  # Until its first record tells: what it may have held by its age.
                    aside.said.begins(topic, int(time.time() * 1000) - (topic.retention_ms or 0))
            first = set(by_name)
            starts = [
                TopicPartition(name, number, OFFSET_BEGINNING)
                for name, topic in by_name.items()
                for number in (range(partitions) if topic.crosses else (partition,))
            ]
            for message in _records(to_end(consumer, starts)):
                name = str(message.topic())
                topic = by_name[name]
                if name in first:
                    first.discard(name)
                    if aside.said.begins_late(topic):
                        aside.said.begins(topic, message.timestamp()[1])
                key, value = message.key(), message.value()
                if not isinstance(key, bytes):
                    continue
                # What crosses is keyed by the one who hears it and the one of whom it tells, whose partition said it.
                if topic.crosses and partition_of(key.rpartition(b"|")[2], partitions) != partition:
                    continue
                aside.said.hear(topic, key, value)
                if topic is topics.DECISIONS and value is not None:
                    decided.hear(value)

    # Writing ----------------------------------------------------------------------------------------------------

    def write(self, progress: Progress) -> list[Rebuilt]:
        """Write what was folded; return what became of each partition. Raises: FatalError."""
        refuse_workers(self._settings, self._brokers, self._topology)
        mark = tuple(sorted(one.partition for one in self.plan.chosen))
        if self.plan.finishes:
            half = [one.marker.rebuilding for one in self.plan.standings if one.marker is not None]
            mark = tuple(sorted({*mark, *(number for numbers in half for number in numbers)}))
        for aside in self._asides:
            self._commit(aside, Piece(), self._marker(aside, position=0, rebuilding=mark))
        for number, aside in enumerate(self._asides):
            marked = self._marker(aside, position=0, rebuilding=mark)
            for piece in self._pieces(aside):
                self._commit(aside, piece, marked)
                progress(number, len(self._asides))
            self._commit(aside, Piece(), self._marker(aside, position=aside.result.position))
            progress(number + 1, len(self._asides))
        return [aside.result for aside in self._asides]

    def _pieces(self, aside: _Aside) -> Iterator[Piece]:
        result, most = aside.result, self._settings.batch_max
        for rows in _chunks(self._changed(aside), most):
            result.rows_deleted += sum(row.value is None for row in rows)
            result.rows_written += sum(row.value is not None for row in rows)
            yield Piece(rows=rows)
        for effects in _chunks(aside.said.missing(), most):
            result.outputs_added.update(topic.name for topic, _, _ in effects)
            yield Piece(effects=effects)
        result.epoch = aside.said.epoch_for(aside.standing.epoch, begun=aside.standing.state == "half rebuilt")
        for effects in _chunks(aside.said.answers(result.epoch), most):
            result.answers += len(effects)
            yield Piece(effects=effects)

    def _changed(self, aside: _Aside) -> Iterator[RowOut]:
        """Yield the rows in which the changelog differs from what was folded, in key order."""
        before = self._logged(aside.standing.partition)
        changelog, evidence = self._topology.changelog, self._topology.evidence
        try:
            for raw, was, now in _merged(before.raw(), aside.table.raw()):
                aside.result.rows += now is not None
                if was != now:
                    yield RowOut(evidence if raw.startswith(b"e") else changelog, raw.decode(), now)
        finally:
            before.delete()

    def _logged(self, partition: int) -> Table:
        """Read the rows that the changelogs hold, torn ones too."""
        table = Table(self._folder / str(partition) / "before", self._shared)
        logs = [self._name(self._topology.changelog), self._name(self._topology.evidence)]
        with reader(self._brokers, f"rebuild-{partition}") as consumer:
            for records in to_end(consumer, [TopicPartition(log, partition, OFFSET_BEGINNING) for log in logs]):
                rows = WriteBatch(raw_mode=True)
                for record in records:
                    key, value = record.key(), record.value()
                    if not isinstance(key, bytes) or key == MARKER_KEY:
                        continue
                    if value is None:
                        rows.delete(key)
                    else:
                        rows.put(key, value)
                table.put(rows, None)
        return table

    def _commit(self, aside: _Aside, piece: Piece, marker: Marker) -> None:
        aside.batch += 1
        try:
            aside.checkpoint.commit(piece, replace(marker, batch=aside.batch))
        except FencedError as error:
            raise FatalError(
                f"somebody took partition {aside.standing.partition} over amid the rebuild: {error}. "
                "Stop all workers (atp down --workers), then finish it with: atp rebuild --from-logs"
            ) from error

    # What both need ---------------------------------------------------------------------------------------------

    def _fence(self, standings: Sequence[Standing], held: contextlib.ExitStack) -> dict[int, Checkpoint]:
        """Shut out earlier owners: from here on only workers that start anew could write."""
        owners = {}
        for standing in standings:
            checkpoint = Checkpoint(
                self._brokers, self._settings.app, self._topology, self._settings.topic_prefix.__add__,
                standing.partition,
            )  # fmt: skip
            held.callback(checkpoint.close)
            owners[standing.partition] = checkpoint
        if owners:
            with ThreadPoolExecutor(len(owners), thread_name_prefix="fence") as pool:
                list(pool.map(lambda one: one.fence(), owners.values()))
        return owners

    def _open(self, standing: Standing, checkpoint: Checkpoint, held: contextlib.ExitStack) -> _Aside:
        folder = self._folder / str(standing.partition)
        table = Table(folder / "rows", self._shared)
        held.callback(table.close)
        said = Said(folder / "said", self._shared, self._topology.outputs)
        held.callback(said.close)
        result = Rebuilt(standing.partition, standing.epoch)
        return _Aside(standing, checkpoint, table, said, result, batch=standing.batch)

    def _marker(self, aside: _Aside, *, position: int, rebuilding: tuple[int, ...] = ()) -> Marker:
        ids, epochs = self._ids, aside.standing.epochs
        if not rebuilding:
            epochs = (*epochs, (aside.result.epoch, position))
        return Marker(
            position=position,
            batch=aside.batch,
            epoch=aside.result.epoch,
            partitions=self._settings.partitions,
            ledger=ids.ledger,
            changelog=ids.changelog,
            evidence=ids.evidence,
            rebuilding=rebuilding,
            epochs=epochs,
        )

    def _name(self, topic: Topic) -> str:
        return topic_name(self._settings, topic)


def _settled(plan: Plan, before: Plan) -> TopicIds:
    """Return the topics' ids once nobody else can write. Raises: FatalError where a plan was overtaken."""
    if plan.ids is None or [one.partition for one in plan.chosen] != [one.partition for one in before.chosen]:
        raise FatalError("the partitions changed while they were looked at. Try again: atp rebuild --from-logs")
    return plan.ids


def _merged(
    before: Iterator[tuple[bytes, bytes]], after: Iterator[tuple[bytes, bytes]]
) -> Iterator[tuple[bytes, bytes | None, bytes | None]]:
    """Yield every key of two sorted sequences with its value in each, None where it has none."""
    old, new = next(before, None), next(after, None)
    while old is not None or new is not None:
        if new is None or (old is not None and old[0] < new[0]):
            assert old is not None
            yield old[0], old[1], None
            old = next(before, None)
        elif old is None or new[0] < old[0]:
            yield new[0], None, new[1]
            new = next(after, None)
        else:
            yield new[0], old[1], new[1]
            old, new = next(before, None), next(after, None)


def _chunks(items: Iterable[T], most: int) -> Iterator[list[T]]:
    iterator = iter(items)
    while chunk := list(islice(iterator, most)):
        yield chunk


def _records(chunks: Iterator[list[T]]) -> Iterator[T]:
    for chunk in chunks:
        yield from chunk


@contextlib.contextmanager
def _own_folder(folder: Path) -> Iterator[Path]:
    """Yield an empty folder that nobody else uses, and remove what is in it. Raises: FatalError."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        lock = (folder / "lock").open("w")
    except OSError as error:
        raise FatalError(f"{folder} cannot be written: {error}. Make room, or name another home: ATP_HOME") from error
    with lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise FatalError(f"another rebuild works in {folder}. Wait for it to end") from error
        aside = folder / "aside"
        destroy(aside)
        try:
            yield aside
        finally:
            destroy(aside)
