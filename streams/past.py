"""What was known of a SKU at a moment of the past, folded from the ledger in memory by the production fold.

    past = read_past(settings, "CHAIR", at, progress)
    past.rows      # as a worker held them then

A moment is meant by the broker's clock: the state is that of the ledger's records which had been appended by then,
in their order, so it is what a worker that kept up knew, said and promised. By event time instead
(`by_event_time`) it is what we know today about then: records that came later count where they are dated by then.

Only the SKU's records, and those without a SKU (ticks, policies), are folded. What was decided on requests is read
from `reservation-decisions` and not decided anew. Memory holds the SKU's rows: one window of its events at most.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import chain

from confluent_kafka import OFFSET_BEGINNING, Message

from atp.book import TIMED
from atp.effects import RequestDecided
from atp.errors import FatalError, PoisonError
from atp.events import SECOND, TimeTicked
from atp.fold import Frame
from avro_schemas import codec
from avro_schemas.schemas import MAGIC
from sinks.committed import CommittedReader
from streams.batch import Batch, Place, Record
from streams.broker import resolve_brokers
from streams.checkpoint import MARKER_KEY, decode_marker
from streams.memory import MemoryRows
from streams.reader import Progress, home_of, normal
from streams.settings import Settings
from streams.topics_admin import topic_name
from topologies.inventory import INVENTORY
from topologies.topics import CHANGELOG, DECISIONS, LEDGER

TAKE = 20_000
BATCH = 1_000
"""Records folded before their rows are sealed: what could not be written then is refused here as it was there."""
TAIL = 64
"""Offsets from the end of a changelog in which the last marker is looked for."""
MILLISECOND = 1_000
NEVER = 10**10
"""A second after all that timers name."""
TICK = MAGIC + codec.fingerprint_of(TimeTicked)
"""How the bytes of a tick begin."""


@dataclass(frozen=True, slots=True)
class Past:
    """A SKU as it was."""

    rows: MemoryRows
    partition: int
    position: int
    """The offset behind the last record that counts."""
    records: int
    """Records of the SKU, or without one, that were folded."""
    last_ms: int | None
    """When the last of them was appended, by the broker's clock in unix milliseconds."""


class PastFold:
    """Folds one SKU's records of a partition, in their order."""

    def __init__(
        self,
        sku: str,
        place: Place,
        window: int,
        decided: Mapping[str, RequestDecided],
        event_time_max: int | None,
        epochs: Sequence[tuple[int, int]] = (),
    ) -> None:
        """`event_time_max`, in microseconds, passes over what is dated later; None folds everything.

        `epochs` are those after the first, each with the first offset that was folded under it.
        """
        self._key = sku.encode()
        self._place = place
        self._frame = Frame(window=window, decided=decided)
        self._event_time_max = event_time_max
        self._epochs = list(epochs)
        self._waiting: Record | None = None
        """The last tick, where nothing waited for it and nothing came since."""
        self._due: int | None = None
        self.rows = MemoryRows()
        self.records = 0
        self.last_ms: int | None = None
        self._batch = self._new()

    def take(self, record: Record) -> None:
        """Fold a record if it concerns the SKU."""
        if record.key and record.key != self._key:
            return
        if self._event_time_max is not None and _dated_after(record, self._event_time_max):
            return
        self.records += 1
        self.last_ms = record.timestamp_ms
        time = _tick_time(record)
        if time is not None and time < self._due_at():
            # Nothing waits for this tick: what it changes is the clock, which the next record finds where it should be.
            if self._waiting is None or time > (_tick_time(self._waiting) or 0):
                self._waiting = record
            return
        self._catch_up()
        self._fold(record)
        if len(self._batch) >= BATCH:
            self._seal()

    def flush(self) -> None:
        """Bring `rows` up to what was folded. Raises: FatalError where the fold made stock out of nothing."""
        self._catch_up()
        self._seal()

    def _catch_up(self) -> None:
        if self._waiting is not None:
            record, self._waiting = self._waiting, None
            self._fold(record)

    def _fold(self, record: Record) -> None:
        while self._epochs and record.offset >= self._epochs[0][1]:
            # Events name epochs: what a channel acknowledged is of what was said at its time.
            self._seal()
            self._frame = replace(self._frame, epoch=self._epochs.pop(0)[0])
            self._batch = self._new()
        self._batch.fold(*record)
        self._due = None

    def _seal(self) -> None:
        if len(self._batch):
            for key, row in self._batch.seal().changes.items():
                self.rows.put(key, row)
            self._batch = self._new()

    def _due_at(self) -> int:
        """The time of the first timer: whatever depends on the passing of time has one."""
        if self._due is None:
            firsts = (next(self._batch.rows.scan(f"{letter}|"), None) for letter in TIMED)
            seconds = [int(first[0].split("|", 2)[1]) for first in firsts if first is not None]
            self._due = min(seconds, default=NEVER) * SECOND
        return self._due

    def _new(self) -> Batch:
        return Batch(INVENTORY, self._place, self.rows, self._frame)


def read_past(settings: Settings, sku: str, at: int, progress: Progress, *, by_event_time: bool = False) -> Past:
    """Fold the SKU's records up to `at`, microseconds since 1970-01-01 UTC. Raises: FatalError.

    `progress` hears (records read, records that there are) of the partition.
    """
    sku = normal(sku)
    brokers = resolve_brokers(settings)
    ledger = CommittedReader(brokers, topic_name(settings, LEDGER))
    try:
        partition = home_of(sku, ledger, settings)
        low, high = ledger.bounds(partition)
        if low:
            raise FatalError(
                f"partition {partition} of {ledger.topic} begins at offset {low}: what was before cannot be folded. "
                f"Ask for what is known now: atp explain {sku}"
            )
        decided = _decisions(brokers, settings, sku, partition)
        place = Place(ledger.topic, partition, len(ledger.partitions))
        epochs = _epochs(brokers, settings, partition)
        folding = PastFold(sku, place, settings.window, decided, at if by_event_time else None, epochs)
        position, done = 0, 0
        for messages in _chunks(ledger, partition, high):
            for message in messages:
                record = _record(message)
                if not by_event_time and record.timestamp_ms * MILLISECOND > at:
                    break
                folding.take(record)
                position = record.offset + 1
            else:
                done += len(messages)
                progress(done, high)
                continue
            break
        folding.flush()
    finally:
        ledger.close()
    return Past(folding.rows, partition, position, folding.records, folding.last_ms)


def _epochs(brokers: str, settings: Settings, partition: int) -> Sequence[tuple[int, int]]:
    """Return the epochs that the partition's last marker names: it ends a transaction, so it lies at the end."""
    reader = CommittedReader(brokers, topic_name(settings, CHANGELOG))
    try:
        low, high = reader.bounds(partition)
        reader.assign({partition: max(low, high - TAIL)})
        epochs: Sequence[tuple[int, int]] = ()
        while high > low and not reader.caught_up:
            for message in reader.take(TAKE, 0.2):
                value = message.value()
                if message.key() == MARKER_KEY and isinstance(value, bytes):
                    epochs = decode_marker(value).epochs
        return epochs
    finally:
        reader.close()


def _decisions(brokers: str, settings: Settings, sku: str, partition: int) -> dict[str, RequestDecided]:
    """Return the logged answers about a SKU, by request id and by key; the first on a request stands."""
    found: dict[str, RequestDecided] = {}
    reader = CommittedReader(brokers, topic_name(settings, DECISIONS))
    try:
        _, high = reader.bounds(partition)
        for message in chain.from_iterable(_chunks(reader, partition, high)):
            value = message.value()
            said = codec.decode(value) if isinstance(value, bytes) else None
            if isinstance(said, RequestDecided) and said.sku == sku:
                for name in (said.request_id, said.event_key):
                    found.setdefault(name, said)
    finally:
        reader.close()
    return found


def _chunks(reader: CommittedReader, partition: int, high: int) -> Iterable[list[Message]]:
    """Yield the records of a partition up to offset `high`, in order."""
    reader.assign({partition: OFFSET_BEGINNING})
    reached = high == 0
    while not reached:
        messages = reader.take(TAKE, 0.2)
        before = [message for message in messages if (message.offset() or 0) < high]
        if before:
            yield before
        reached = len(before) < len(messages) or reader.caught_up


def _record(message: Message) -> Record:
    offset = message.offset()
    assert offset is not None
    key, value = message.key(), message.value()
    return Record(
        offset,
        message.timestamp()[1],
        key if isinstance(key, bytes) else None,
        value if isinstance(value, bytes) else None,
        message.headers(),  # type: ignore[arg-type]  # a list, where there are any
    )


def _tick_time(record: Record) -> int | None:
    """Return the time of a tick, None where the record is none."""
    value = record.value
    if value is None or not value.startswith(TICK):
        return None
    try:
        return codec.decode_event(value).event_time
    except PoisonError:
        return None


def _dated_after(record: Record, time: int) -> bool:
    """Say whether a record is an event dated later; what is no event is left to the fold to refuse."""
    try:
        return record.value is not None and codec.decode_event(record.value).event_time > time
    except PoisonError:
        return False
