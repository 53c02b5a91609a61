"""The in-memory host: the production folds and codecs over partitions that are lists and dicts.

    driver = TopologyDriver()
    driver.send_json('{"type":"GoodsReceived", ...}')
    driver.tick("2026-11-20T09:00:00Z")
    driver.positions("CHAIR"), driver.availability("CHAIR"), driver.variances(), driver.risks()

For tests (yours too), what-if questions, and where no Kafka can be had. It batches, coalesces, dead-letters and
restarts as the worker does, since both run `streams.batch`.

What it cannot show: a rebalance, for it owns all partitions; transactions, for its commit is one append that
nothing can tear; the disk, for its cache is a dict; time, for nothing here takes any.
"""

from collections import defaultdict
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

from atp.book import Row, Summary
from atp.checks import check
from atp.effects import (
    AdviceChanged,
    AvailabilityChanged,
    DeadLetter,
    Effect,
    ExceptionChanged,
    RiskChanged,
    VarianceChanged,
)
from atp.events import DAY, Document, Event, TimeTicked
from atp.fold import Frame
from atp.limits import TIME_MIN
from atp.sequences import Sequences, event_of
from avro_schemas import codec
from avro_schemas.instants import instant, read_instant
from avro_schemas.public_json import NO_UNITS, parse_line
from streams.answer import answer
from streams.batch import Batch, Place
from streams.dead_letter import Headers
from streams.intake import Received, intake_batch
from streams.memory import MemoryRows
from topologies.intake import INBOUND
from topologies.inventory import INVENTORY
from topologies.partitioning import partition_of
from topologies.topics import DEAD_LETTERS
from topologies.topology import Topology

STEPS = ("seal", "begin", "rows", "effects", "marker", "commit", "cache", "follow")
"""The steps of a checkpoint; `on_step` is called before each of them."""


class Output(NamedTuple):
    """A record of an output topic."""

    partition: int
    key: bytes
    value: bytes


class _Record(NamedTuple):
    timestamp_ms: int
    key: bytes | None
    value: bytes | None
    headers: Headers | None


class _Partition:
    """What outlives a crash: the ledger, the changelog and the marker; and the cache, which may lag behind."""

    def __init__(self) -> None:
        self.ledger: list[_Record] = []
        self.changelog: list[tuple[str, bytes | None]] = []
        self.marker = 0
        """The next offset of the ledger, committed with the rows."""
        self.cache = MemoryRows()
        self.reflects = 0
        """The records of the changelog that the cache has seen."""
        self.batch: Batch | None = None


class TopologyDriver:
    """Runs a topology in memory. Nothing blocks; `send` folds and commits before it returns."""

    def __init__(
        self,
        topology: Topology = INVENTORY,
        *,
        partitions: int = 1,
        window: int = 7 * DAY,
        batch_size: int = 1,
        on_step: Callable[[str], None] | None = None,
    ) -> None:
        """`window` is `W` in microseconds; a partition commits after `batch_size` records, or by `flush`."""
        self.topology = topology
        self.effects: list[Effect | DeadLetter] = []
        """What was published, decoded, in order."""
        self.outputs: dict[str, list[Output]] = defaultdict(list)
        """What was published, as bytes, by the topic's name."""
        self.inbound: dict[str, list[bytes]] = defaultdict(list)
        """What `receive` took, by the inbound topic's name."""
        self.verdicts: dict[str, int] = defaultdict(int)
        """Committed records by verdict."""
        self._answers: dict[str, AvailabilityChanged] = {}
        self._variances: dict[str, VarianceChanged] = {}
        self._risks: dict[str, RiskChanged] = {}
        self._exceptions: dict[str, ExceptionChanged] = {}
        self._advice: dict[str, AdviceChanged] = {}
        self._frame = Frame(window=window)
        self._sequences = Sequences(grace=0)
        self._batch_size = batch_size
        self._on_step = on_step or (lambda _: None)
        self._now = 0
        self._partitions = [_Partition() for _ in range(partitions)]
        self._places = [Place(topology.source.name, p, partitions) for p in range(partitions)]

    # In -----------------------------------------------------------------------------------------------------

    def send(self, event: Event) -> list[Effect | DeadLetter]:
        """Write an event to the ledger; return what it led to. Raises: PoisonError if it can mean nothing."""
        check(event)
        return self.send_bytes(event.sku.encode() or None, codec.encode(event))

    def send_json(self, line: str | bytes | dict[str, Any]) -> list[Effect | DeadLetter]:
        """Write a line of the public JSON form. Raises: PoisonError, naming the field that is wrong."""
        before = len(self.effects)
        for event in parse_line(line):
            self.send(event)
        return self.effects[before:]

    def send_bytes(
        self, key: bytes | None, value: bytes | None, headers: Headers | None = None, partition: int | None = None
    ) -> list[Effect | DeadLetter]:
        """Write a record as it is, good or bad; one without a key goes to every partition."""
        before = len(self.effects)
        if partition is None and key is not None:
            partition = partition_of(key, len(self._partitions))
        numbers = range(len(self._partitions)) if partition is None else (partition,)
        for number in numbers:
            self._partitions[number].ledger.append(_Record(self._now // 1000, key, value, headers))
        for number in numbers:
            self._read(number)
        return self.effects[before:]

    def receive(self, topic: str, value: bytes, key: bytes | None = None) -> list[Effect | DeadLetter]:
        """Take what a source system sends to an inbound topic, as intake does: a line, a document, or rubbish."""
        inbound = next(one for one in INBOUND if one.topic.name == topic)
        before = len(self.effects)
        record = Received(0, len(self.inbound[topic]), self._now // 1000, key, value, None)
        self.inbound[topic].append(value)
        taken = intake_batch(inbound, topic, [record], NO_UNITS)
        for letter in taken.letters:
            self._publish(DEAD_LETTERS.name, Output(0, key or b"", codec.encode(letter)))
        for line in taken.lines:
            self.send_bytes(line.key or None, line.value)
        for source, number in taken.heard:
            self._sequences.saw(source, number, self._now)
        for told in self._sequences.due(self._now):
            self.send(event_of(told, max(self._now, TIME_MIN)))
        self._sequences.written()
        return self.effects[before:]

    def tick(self, time: int | str) -> list[Effect | DeadLetter]:
        """Let time pass: microseconds since 1970-01-01 UTC, or text like 2026-11-20T09:00:00Z."""
        at = read_instant(time) if isinstance(time, str) else time
        if at is None:
            raise ValueError(f"{time!r} is no time like 2026-11-20T09:00:00Z")
        self._now = max(self._now, at)
        return self.send(TimeTicked(source="clock", document=Document("tick", instant(at), 1), event_time=at))

    def flush(self) -> None:
        """Commit what is folded."""
        for number in range(len(self._partitions)):
            self._commit(number)

    # Life ---------------------------------------------------------------------------------------------------

    def restart(self, *, keep_cache: bool = False) -> None:
        """Lose what was not committed; build the state anew from the changelog, and read on from the marker.

        With `keep_cache` the rows are brought forward from where they stood, as from a store on disk.
        """
        for number, partition in enumerate(self._partitions):
            partition.batch = None
            if not keep_cache:
                partition.cache, partition.reflects = MemoryRows(), 0
            self._catch_up(partition)
            self._read(number)

    def snapshot(self) -> dict[str, Row]:
        """Return every committed row by its key, the partition's own rows with its number before theirs."""
        found: dict[str, Row] = {}
        for number, partition in enumerate(self._partitions):
            found.update((f"{number}/{k}" if k[0] in "gd" else k, row) for k, row in partition.cache.scan(""))
        return found

    # Out ----------------------------------------------------------------------------------------------------

    def positions(self, sku: str | None = None) -> list[dict[str, Any]]:
        """Return the positions in the shape of `atp show --json`, of one SKU or of all."""
        return [position for of in self._skus(sku) for position in self.show(of)["positions"]]

    def show(self, sku: str) -> dict[str, Any]:
        """Return all that is known of a SKU in the shape of `atp show --json`."""
        return answer(self._partitions[self.owner(sku)].cache, sku)

    def availability(self, sku: str | None = None) -> list[AvailabilityChanged]:
        """Return the last published answer of every channel, of one SKU or of all."""
        return [e for e in self._answers.values() if e.channel and (sku is None or e.sku == sku)]

    def variances(self) -> list[VarianceChanged]:
        """Return the variances that stand."""
        return [e for e in self._variances.values() if e.status == "open"]

    def risks(self) -> list[RiskChanged]:
        """Return the risks that are open."""
        return [e for e in self._risks.values() if e.transition != "closed"]

    def exceptions(self) -> list[ExceptionChanged]:
        """Return the exceptions that are open."""
        return [e for e in self._exceptions.values() if e.transition != "closed"]

    def advice(self) -> list[AdviceChanged]:
        """Return the advice that stands: proposed or approved."""
        return [e for e in self._advice.values() if e.status in ("proposed", "approved")]

    def dead_letters(self) -> list[DeadLetter]:
        """Return what was refused."""
        return [e for e in self.effects if isinstance(e, DeadLetter)]

    def owner(self, sku: str) -> int:
        """Return the partition that the SKU belongs to."""
        return partition_of(sku.encode(), len(self._partitions))

    # Within -------------------------------------------------------------------------------------------------

    def _skus(self, sku: str | None) -> Iterator[str]:
        if sku is not None:
            yield sku
            return
        for partition in self._partitions:
            yield from (key[2:] for key, row in partition.cache.scan("s|") if isinstance(row, Summary))

    def _read(self, number: int) -> None:
        """Fold what the ledger holds beyond what is folded."""
        partition = self._partitions[number]
        while True:
            if partition.batch is None:
                partition.batch = Batch(self.topology, self._places[number], partition.cache, self._frame)
            batch = partition.batch
            at = partition.marker + len(batch)
            if at >= len(partition.ledger):
                return
            batch.fold(at, *partition.ledger[at])
            if len(batch) >= self._batch_size:
                self._commit(number)

    def _commit(self, number: int) -> None:
        partition = self._partitions[number]
        if partition.batch is None or not len(partition.batch):
            return
        self._on_step("seal")
        sealed = partition.batch.seal()
        self._on_step("begin")
        rows: list[tuple[str, bytes | None]] = []
        self._on_step("rows")
        rows.extend((row.key, row.value) for row in sealed.rows)
        self._on_step("effects")
        outputs = [(effect.topic.name, Output(number, effect.key, effect.value)) for effect in sealed.effects]
        self._on_step("marker")
        marker = sealed.next_offset
        self._on_step("commit")
        partition.changelog.extend(rows)
        partition.marker = marker
        for topic, output in outputs:
            self._publish(topic, output)
        for (_, verdict), records in sealed.counts.items():
            self.verdicts[verdict] += records
        self._on_step("cache")
        self._catch_up(partition)
        self._on_step("follow")
        partition.batch = None

    def _publish(self, topic: str, output: Output) -> None:
        self.outputs[topic].append(output)
        effect = codec.decode(output.value)
        assert isinstance(effect, Effect | DeadLetter)  # The topologies publish nothing else.
        self.effects.append(effect)
        match effect:
            case AvailabilityChanged():
                self._answers[effect.key] = effect
            case VarianceChanged():
                self._variances[effect.id] = effect
            case RiskChanged():
                self._risks[effect.id] = effect
            case ExceptionChanged():
                self._exceptions[effect.id] = effect
            case AdviceChanged():
                self._advice[effect.id] = effect

    def _catch_up(self, partition: _Partition) -> None:
        for key, value in partition.changelog[partition.reflects :]:
            partition.cache.put(key, None if value is None else codec.decode_row(key, value))
        partition.reflects = len(partition.changelog)
