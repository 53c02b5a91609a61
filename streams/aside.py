"""A partition folded aside: from the beginning of its ledger into a store on local disk, and nothing to Kafka."""

import time
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

from confluent_kafka import OFFSET_BEGINNING, Consumer, Message, TopicPartition
from rocksdict import WriteBatch

from atp.book import CLOCK_KEY, Clock
from atp.fold import Frame
from streams.batch import Batch, Place, RowOut
from streams.checkpoint import MARKER_KEY
from streams.decided import Decided
from streams.rebuild_plan import Standing
from streams.restore import to_end
from streams.said import Said
from streams.settings import Settings
from streams.table import Reflects, Shared, Table
from streams.topics_admin import topic_name
from topologies import topics
from topologies.partitioning import partition_of
from topologies.topics import Topic
from topologies.topology import Topology

ASK_S = 30.0
NOWHERE = Reflects(0, 0, [], 0.0)
"""No changelog holds the rows of such a store."""


@dataclass(frozen=True, slots=True)
class Sources:
    """What all partitions of a rebuild share."""

    settings: Settings
    consumer: Consumer
    """Of committed records; connecting takes longer than reading a small partition."""
    topology: Topology
    folder: Path
    shared: Shared

    def name(self, topic: Topic) -> str:
        """Return a topic's name on the brokers."""
        return topic_name(self.settings, topic)


class Aside:
    """One partition: what it comes to, and how that differs from what Kafka holds. Close it after use."""

    def __init__(self, sources: Sources, standing: Standing) -> None:
        self.standing = standing
        self.records = 0
        """Of the ledger that were folded."""
        self.position = standing.low
        """The offset behind them."""
        self.rows = 0
        """Rows of the state, once `changed` has gone through them."""
        self._sources = sources
        self._folder = sources.folder / str(standing.partition)
        self._table = Table(self._folder / "rows", sources.shared)
        self.said = Said(self._folder / "said", sources.shared, sources.topology.outputs)

    def close(self) -> None:
        self.said.close()
        self._table.close()

    def fold(self) -> Iterator[int]:
        """Fold the ledger to where it ended; yield an offset now and then. Raises: FatalError."""
        sources, standing = self._sources, self.standing
        decided = Decided(self._folder / "decided", sources.shared)
        self._listen(decided)
        # Under the epochs of their time, since events name them: an acknowledgement is of what was said then.
        epochs = [(0, 0), *standing.epochs] if standing.marker is not None else [(self.said.last_epoch(), 0)]
        frame = Frame(window=sources.settings.window, epoch=epochs.pop(0)[0], decided=decided)
        place = Place(sources.name(sources.topology.source), standing.partition, sources.settings.partitions)
        boundaries = self.said.boundaries
        batch = Batch(sources.topology, place, self._table, frame)
        oldest_ms = 0
        for message in self._read([sources.topology.source]):
            offset, came_ms = int(message.offset() or 0), message.timestamp()[1]
            if offset >= standing.high:
                break
            crossed = (boundaries and came_ms >= boundaries[0]) or (epochs and offset >= epochs[0][1])
            if batch and (crossed or len(batch) >= sources.settings.batch_max):
                self._take(batch, oldest_ms)
                yield offset
                batch = Batch(sources.topology, place, self._table, frame)
            if not batch:
                while boundaries and came_ms >= boundaries[0]:
                    boundaries.pop(0)
                while epochs and offset >= epochs[0][1]:
                    frame = replace(frame, epoch=epochs.pop(0)[0])
                batch = Batch(sources.topology, place, self._table, frame)
                oldest_ms = came_ms
            headers = message.headers()
            batch.fold(offset, came_ms, message.key(), message.value(), headers)  # type: ignore[arg-type]  # a list
        if batch:
            self._take(batch, oldest_ms)
        clock = self._table.get(CLOCK_KEY)
        self.said.last_words(standing.epoch, clock.tick if isinstance(clock, Clock) else 0)
        decided.close()

    def changed(self) -> Iterator[RowOut]:
        """Yield the rows in which the changelogs differ from what was folded, in key order. Raises: FatalError."""
        topology = self._sources.topology
        before = self._logged()
        try:
            for raw, was, now in _merged(before.raw(), self._table.raw()):
                self.rows += now is not None
                if was != now:
                    topic = topology.evidence if raw.startswith(b"e") else topology.changelog
                    yield RowOut(topic, raw.decode(), now)
        finally:
            before.delete()

    def _take(self, batch: Batch, oldest_ms: int) -> None:
        sealed = batch.seal()
        self.said.take(sealed.effects, oldest_ms)
        self._table.write({row.key: row.value for row in sealed.rows}, sealed.changes, b"{}", NOWHERE)
        self.position = sealed.next_offset
        self.records += sealed.records

    def _listen(self, decided: Decided) -> None:
        """Read what the outputs of the partition hold."""
        sources, partition = self._sources, self.standing.partition
        by_name = {sources.name(topic): topic for topic in sources.topology.outputs}
        for name, topic in by_name.items():
            low, _ = sources.consumer.get_watermark_offsets(TopicPartition(name, partition), timeout=ASK_S)
            if low:  # Until its first record tells: what it may have held by its age.
                self.said.begins(topic, int(time.time() * 1000) - (topic.retention_ms or 0))
        first = set(by_name)
        for message in self._read(list(by_name.values())):
            name = str(message.topic())
            topic = by_name[name]
            if name in first:
                first.discard(name)
                if self.said.begins_late(topic):
                    self.said.begins(topic, message.timestamp()[1])
            key, value = message.key(), message.value()
            if not isinstance(key, bytes) or not self._ours(topic, key):
                continue
            self.said.hear(topic, key, value)
            if topic is topics.DECISIONS and value is not None:
                decided.hear(value)

    def _ours(self, topic: Topic, key: bytes) -> bool:
        """Say whether this partition said it: what crosses is keyed by who hears it, and then of whom it tells."""
        partitions = self._sources.settings.partitions
        return not topic.crosses or partition_of(key.rpartition(b"|")[2], partitions) == self.standing.partition

    def _logged(self) -> Table:
        """Read the rows that the changelogs hold, torn ones too."""
        table = Table(self._folder / "before", self._sources.shared)
        rows = WriteBatch(raw_mode=True)
        for record in self._read([self._sources.topology.changelog, self._sources.topology.evidence]):
            key, value = record.key(), record.value()
            if not isinstance(key, bytes) or key == MARKER_KEY:
                continue
            if value is None:
                rows.delete(key)
            else:
                rows.put(key, value)
            if len(rows) >= self._sources.settings.batch_max:
                table.put(rows, None)
                rows = WriteBatch(raw_mode=True)
        table.put(rows, None)
        return table

    def _read(self, wanted: list[Topic]) -> Iterator[Message]:
        """Yield the committed records of the partition, each topic in its order, to the ends. Raises: FatalError."""
        mine, all_of_them = (self.standing.partition,), range(self._sources.settings.partitions)
        starts = [
            TopicPartition(self._sources.name(topic), number, OFFSET_BEGINNING)
            for topic in wanted
            for number in (all_of_them if topic.crosses else mine)
        ]
        for records in to_end(self._sources.consumer, starts):
            yield from records


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
