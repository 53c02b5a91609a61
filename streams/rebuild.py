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
from collections import Counter
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from itertools import islice
from pathlib import Path
from typing import Self, TypeVar

from atp.book import CLOCK_KEY
from atp.errors import FatalError
from streams.aside import Aside, Sources
from streams.batch import RowOut
from streams.checkpoint import Checkpoint, FencedError, Marker
from streams.cluster import TopicIds
from streams.rebuild_plan import HALF_REBUILT, Plan, Standing, make_plan, refuse_workers
from streams.restore import reader
from streams.said import Output
from streams.settings import Settings
from streams.table import Shared, destroy
from streams.topics_admin import ensure_topics
from topologies.topology import Topology

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
    records: int
    """Of the ledger that were folded."""
    position: int
    """The offset of the ledger behind them."""
    rows: int = 0
    """Rows of the new state."""
    rows_written: int = 0
    """Those that differ from what there was, the partition's clock apart."""
    rows_deleted: int = 0
    outputs_added: Counter[str] = field(default_factory=Counter)
    """By topic: outputs that were missing."""
    answers: int = 0
    """Answers published under the new epoch."""


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
        refuse_workers(settings, brokers, topology)
        plan = make_plan(settings, brokers, topology, partitions, despite_gaps=despite_gaps)
        if plan.missing:
            ensure_topics(brokers, settings)
        with contextlib.ExitStack() as held:
            folder = held.enter_context(_own_folder(settings.home / "rebuild"))
            self._writers = {one.partition: self._writer(one.partition, held) for one in plan.chosen}
            _shut_out_others(self._writers.values())
            # What was planned may have moved until everybody was shut out.
            self.plan = make_plan(settings, brokers, topology, partitions, despite_gaps=despite_gaps)
            self._ids = _settled(self.plan, plan)
            self._batches = {one.partition: one.batch for one in self.plan.chosen}
            consumer = held.enter_context(reader(brokers, "rebuild"))
            sources = Sources(settings, consumer, topology, folder, Shared())
            self._asides = [Aside(sources, standing) for standing in self.plan.chosen]
            for aside in self._asides:
                held.callback(aside.close)
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
                standing = aside.standing
                for offset in aside.fold():
                    progress(done + offset - standing.low, total)
                done += standing.high - standing.low
                progress(done, total)
        finally:
            gc.set_threshold(*thresholds)

    # Writing ----------------------------------------------------------------------------------------------------

    def write(self, progress: Progress) -> list[Rebuilt]:
        """Write what was folded; return what became of each partition. Raises: FatalError."""
        refuse_workers(self._settings, self._brokers, self._topology)
        mark = tuple(sorted(one.partition for one in self.plan.chosen))
        if self.plan.finishes:
            half = [one.marker.rebuilding for one in self.plan.standings if one.marker is not None]
            mark = tuple(sorted({*mark, *(number for numbers in half for number in numbers)}))
        for aside in self._asides:
            self._commit(aside.standing, Piece(), self._mark(aside.standing, mark))
        done: list[Rebuilt] = []
        for aside in self._asides:
            result = Rebuilt(aside.standing.partition, aside.standing.epoch, aside.records, aside.position)
            marked = self._mark(aside.standing, mark)
            for piece in self._pieces(aside, result):
                self._commit(aside.standing, piece, marked)
                progress(len(done), len(self._asides))
            epochs = (*marked.epochs, (result.epoch, aside.position))
            whole = replace(marked, position=aside.position, epoch=result.epoch, rebuilding=(), epochs=epochs)
            self._commit(aside.standing, Piece(), whole)
            done.append(result)
            progress(len(done), len(self._asides))
        return done

    def _pieces(self, aside: Aside, result: Rebuilt) -> Iterator[Piece]:
        """Yield what each transaction writes, and count it."""
        standing, most = aside.standing, self._settings.batch_max
        for rows in _chunks(aside.changed(), most):
            result.rows_deleted += sum(row.value is None for row in rows)
            # The clock stands at the last tick of the ledger; a worker commits it with the next event only.
            result.rows_written += sum(row.value is not None and row.key != CLOCK_KEY for row in rows)
            yield Piece(rows=rows)
        result.rows = aside.rows
        for effects in _chunks(aside.said.missing(), most):
            result.outputs_added.update(topic.name for topic, _, _ in effects)
            yield Piece(effects=effects)
        result.epoch = aside.said.epoch_for(standing.epoch, begun=standing.state == HALF_REBUILT)
        for effects in _chunks(aside.said.answers(result.epoch), most):
            result.answers += len(effects)
            yield Piece(effects=effects)

    def _mark(self, standing: Standing, partitions: tuple[int, ...]) -> Marker:
        """Return the marker of a partition that is being written, whose rows are no state until it is done."""
        ids = self._ids
        return Marker(
            position=0,
            batch=0,
            epoch=standing.epoch,
            partitions=self._settings.partitions,
            ledger=ids.ledger,
            changelog=ids.changelog,
            evidence=ids.evidence,
            rebuilding=partitions,
            epochs=standing.epochs,
        )

    def _commit(self, standing: Standing, piece: Piece, marker: Marker) -> None:
        partition = standing.partition
        self._batches[partition] += 1
        try:
            self._writers[partition].commit(piece, replace(marker, batch=self._batches[partition]))
        except FencedError as error:
            raise FatalError(
                f"somebody took partition {partition} over amid the rebuild: {error}. "
                "Stop all workers (atp down --workers), then finish it with: atp rebuild --from-logs"
            ) from error

    def _writer(self, partition: int, held: contextlib.ExitStack) -> Checkpoint:
        name = self._settings.topic_prefix.__add__
        checkpoint = Checkpoint(
            self._brokers, self._settings.group(self._topology.name), self._topology, name, partition
        )
        held.callback(checkpoint.close)
        return checkpoint


def _shut_out_others(writers: Collection[Checkpoint]) -> None:
    """Fence earlier owners: from here on only workers that start anew could write."""
    if writers:
        with ThreadPoolExecutor(len(writers), thread_name_prefix="fence") as pool:
            list(pool.map(Checkpoint.fence, writers))


def _settled(plan: Plan, before: Plan) -> TopicIds:
    """Return the topics' ids once nobody else can write. Raises: FatalError where a plan was overtaken."""
    if plan.ids is None or [one.partition for one in plan.chosen] != [one.partition for one in before.chosen]:
        raise FatalError("the partitions changed while they were looked at. Try again: atp rebuild --from-logs")
    return plan.ids


def _chunks(items: Iterable[T], most: int) -> Iterator[list[T]]:
    iterator = iter(items)
    while chunk := list(islice(iterator, most)):
        yield chunk


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
