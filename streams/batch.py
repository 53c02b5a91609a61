"""The records of one transaction, folded: decode, fold, coalesce, encode. Pure of Kafka; every host runs it.

    batch = Batch(topology, place, rows, frame)
    for ...: batch.fold(offset, timestamp_ms, key, value, headers)
    sealed = batch.seal()     # encoded rows and effects, ready to be committed together

What one record does wrong ends as its dead letter and leaves the others alone. What must hold for all of them
together (stock is neither made nor lost) raises `FatalError`.
"""

import traceback
from collections import Counter
from dataclasses import dataclass, field, replace
from typing import NamedTuple

import atp.fold
from atp.book import CLOCK_KEY, Row, Rows, sku_of
from atp.effects import AvailabilityChanged, DeadLetter, Effect, KitComponentChanged
from atp.errors import FatalError, PoisonError
from atp.events import Event
from atp.fold import Frame, Outcome
from avro_schemas import codec
from streams.dead_letter import HEADERS_MAX, RECORD_MAX, Headers, dead_letter
from streams.overlay import Overlay
from topologies import topics
from topologies.partitioning import partition_of
from topologies.topics import Topic
from topologies.topology import Topology

FOLD = "interpreted" if (atp.fold.__file__ or "").endswith(".py") else "compiled"
"""How this process folds: from the sources, or as `make compiled` made them into machine code."""
OUTPUT_MAX = 900_000
"""Bytes of a row or an effect at most, so that with key and headers it fits a message of 1,000,000."""
KNOWN_KEYS_MAX = 200_000
"""Record keys whose partition was checked and is remembered: 6 microseconds each saved, 100 bytes each held."""
TRACEBACK_MAX = 4_000
"""Characters of a traceback that a dead letter keeps: its end, where the error is."""


@dataclass(slots=True)
class Place:
    """Where a task stands: its partition, how many there are, and which keys are known to belong here."""

    topic: str
    partition: int
    partitions: int
    known: set[bytes] = field(default_factory=set)

    def owns(self, key: bytes) -> bool:
        """Say whether records under `key` lie in this partition."""
        if key in self.known:
            return True
        if partition_of(key, self.partitions) != self.partition:
            return False
        if len(self.known) >= KNOWN_KEYS_MAX:
            self.known.clear()
        self.known.add(key)
        return True


class Record(NamedTuple):
    """A record of the ledger as a host got it."""

    offset: int
    timestamp_ms: int
    key: bytes | None
    value: bytes | None
    headers: Headers | None


class RowOut(NamedTuple):
    """A changed row: `value` is None where it was deleted."""

    topic: Topic
    key: str
    value: bytes | None


class EffectOut(NamedTuple):
    """An effect, encoded."""

    topic: Topic
    key: bytes
    value: bytes


@dataclass(frozen=True, slots=True)
class Sealed:
    """A batch that can be committed."""

    rows: list[RowOut]
    effects: list[EffectOut]
    changes: dict[str, Row | None]
    """The rows again, decoded, for the host's cache."""
    counts: Counter[tuple[str, str]]
    """Records by (type, verdict)."""
    causes: Counter[str]
    """Dead letters by cause."""
    ages: list[tuple[int, int]]
    """(broker timestamp in ms, records) of the events, ticks apart, in log order."""
    next_offset: int
    """The first offset that is not folded."""
    records: int
    events: int
    """Records that were no ticks."""


class OversizedError(PoisonError):
    """A row or an effect is too large for a message."""

    def __init__(self, what: str, size: int) -> None:
        """`size` in bytes."""
        super().__init__("oversized_output", f"{what} would take {size} bytes, over {OUTPUT_MAX}")


class Batch:
    """Records of one partition between two commits."""

    def __init__(self, topology: Topology, place: Place, rows: Rows, frame: Frame, *, careful: bool = False) -> None:
        """`rows` holds what is committed. A `careful` batch encodes after each event, to find one that cannot be."""
        self._topology = topology
        self._place = place
        self._base = rows
        self._frame = replace(frame, owns=lambda sku: place.owns(sku.encode()))
        self._careful = careful
        self._fold = topology.fold
        self.rows = Overlay(rows)
        self._records: list[Record] = []
        self._effects: list[Effect] = []
        self._latest: dict[str, AvailabilityChanged] = {}
        self._known: dict[str, int | None] = {}
        """What may be promised before the batch, by the key of an answer; None where there was no answer."""
        self._kits: dict[str, KitComponentChanged] = {}
        self._letters: list[DeadLetter] = []
        self._counts: Counter[tuple[str, str]] = Counter()
        self._ages: list[tuple[int, int]] = []
        self.events = 0
        """Records that were no ticks."""

    def __len__(self) -> int:
        return len(self._records)

    @property
    def next_offset(self) -> int:
        """The first offset that is not folded; asked of a batch that has records."""
        return self._records[-1].offset + 1

    @property
    def idle(self) -> bool:
        """Only time passed: ticks that changed nothing but the partition's clock."""
        silent = not (self.events or self._effects or self._latest or self._kits or self._letters)
        return silent and self.rows.changes.keys() <= {CLOCK_KEY}

    def fold(
        self, offset: int, timestamp_ms: int, key: bytes | None, value: bytes | None, headers: Headers | None
    ) -> None:
        """Fold one record. Raises: FatalError where rows cannot be read."""
        record = Record(offset, timestamp_ms, key, value, headers)
        self._records.append(record)
        name = "unknown"
        try:
            event = self._admit(record)
            name = type(event).__name__
            outcome = self._fold(self.rows, event, self._frame)
            if self._careful:
                outcome = self._try_out(record, event, outcome)
        except FatalError:
            raise
        except PoisonError as error:
            self._event(name, error.cause, timestamp_ms)
            self._refuse(record, error.cause, error.detail)
            return
        except Exception:  # noqa: BLE001  (the fold is pure: whatever it raises, this event alone is to blame)
            self._event(name, "fold_error", timestamp_ms)
            self._refuse(record, "fold_error", traceback.format_exc()[-TRACEBACK_MAX:])
            return
        if name == "TimeTicked":
            self._counts[name, outcome.verdict] += 1
        else:
            self._event(name, outcome.verdict, timestamp_ms)
        self.rows.apply(outcome.changes)
        for effect in outcome.effects:
            if type(effect) is AvailabilityChanged:
                self._known.setdefault(effect.key, effect.previous_atp)
                self._latest[effect.key] = effect
            elif type(effect) is KitComponentChanged:
                self._kits[effect.key] = effect
            else:
                self._effects.append(effect)
        if outcome.refusal is not None:
            refusal = outcome.refusal
            self._refuse(record, refusal.cause, refusal.detail, refusal.suggestion)

    def seal(self) -> Sealed:
        """Encode what is to be committed. Raises: FatalError where stock was made or lost."""
        self._conserve()
        changelog, evidence = self._topology.changelog, self._topology.evidence
        try:
            rows = [
                RowOut(evidence if key[0] == "e" else changelog, key, None if row is None else _row_bytes(key, row))
                for key, row in self.rows.changes.items()
            ]
            effects = [self._effect_out(effect) for effect in self._effects]
            effects += [self._effect_out(effect) for effect in sorted(self._latest.values(), key=self._grows)]
            effects += [self._effect_out(effect) for effect in self._kits.values()]
        except Exception:
            # One of the events led to something that cannot be written. Fold again and find out which.
            if self._careful:
                raise
            return self._carefully().seal()
        effects += [_letter_out(letter) for letter in self._letters]
        return Sealed(
            rows=rows,
            effects=effects,
            changes=self.rows.changes,
            counts=self._counts,
            causes=Counter(letter.cause for letter in self._letters),
            ages=self._ages,
            next_offset=self.next_offset,
            records=len(self._records),
            events=self.events,
        )

    def _grows(self, answer: AvailabilityChanged) -> bool:
        """Sort what takes stock off sale first: who reads slowly should not sell what moved to another channel."""
        known = self._known[answer.key]
        return answer.atp > 0 and (known is None or answer.atp >= known)

    def _admit(self, record: Record) -> Event | KitComponentChanged:
        value = record.value
        if value is None:
            raise PoisonError("undecodable", "the record has no value")
        if len(value) > RECORD_MAX:
            raise PoisonError("oversized", f"{len(value)} bytes, over {RECORD_MAX}")
        if record.headers and len(record.headers) > HEADERS_MAX:
            raise PoisonError("oversized", f"{len(record.headers)} headers, over {HEADERS_MAX}")
        if self._topology.source is not topics.LEDGER:
            return self._told(record, value)
        event = codec.decode_event(value)
        if event.sku:
            key = event.sku.encode()
            if record.key != key:
                raise PoisonError("misrouted", f"the key is {record.key!r} and the SKU {event.sku!r}")
            if not self._place.owns(key):
                right = partition_of(key, self._place.partitions)
                raise PoisonError("misrouted", f"SKU {event.sku!r} belongs to partition {right}; use murmur2")
        return event

    def _told(self, record: Record, value: bytes) -> KitComponentChanged:
        told = codec.decode(value)
        if not isinstance(told, KitComponentChanged):
            raise PoisonError("undecodable", f"a {type(told).__name__} does not belong into {self._place.topic}")
        if record.key != told.key.encode() or not self._place.owns(told.kit.encode()):
            raise PoisonError("misrouted", f"the key is {record.key!r}, and it is told to {told.kit!r}")
        return told

    def _event(self, name: str, verdict: str, timestamp_ms: int) -> None:
        self.events += 1
        self._counts[name, verdict] += 1
        ages = self._ages
        if ages and ages[-1][0] == timestamp_ms:
            ages[-1] = (timestamp_ms, ages[-1][1] + 1)
        else:
            ages.append((timestamp_ms, 1))

    def _refuse(self, record: Record, cause: str, detail: str, suggestion: str = "") -> None:
        self._letters.append(
            dead_letter(
                cause,
                detail,
                topic=self._place.topic,
                partition=self._place.partition,
                offset=record.offset,
                timestamp_ms=record.timestamp_ms,
                key=record.key,
                value=record.value,
                headers=record.headers,
                suggestion=suggestion,
            )
        )

    def _effect_out(self, effect: Effect) -> EffectOut:
        topic, key = self._topology.route(effect)
        value = codec.encode(effect)
        if len(value) > OUTPUT_MAX:
            raise OversizedError(f"an effect {type(effect).__name__}", len(value))
        return EffectOut(topic, key.encode(), value)

    def _try_out(self, record: Record, event: Event | KitComponentChanged, outcome: Outcome) -> Outcome:
        """Encode what an event led to. Raises: PoisonError where it is the fault of the event.

        What is of no SKU, as a tick is, concerns them all: a SKU of which something cannot be written is left out of
        it, and told of by a dead letter of its own.
        """
        left_out: dict[str, str] = {}
        for written in (*outcome.changes.items(), *outcome.effects):
            try:
                if isinstance(written, tuple):
                    key, row = written
                    sku = sku_of(key)
                    if row is not None:
                        _row_bytes(key, row)
                else:
                    sku = written.sku
                    self._effect_out(written)
            except OversizedError as error:
                if event.sku or not sku:
                    raise
                left_out.setdefault(sku, error.detail)
        if not left_out:
            return outcome
        for sku, detail in left_out.items():
            self._refuse(
                record, "oversized_output", f"{sku} alone is left out of it, until it can be written: {detail}"
            )
        return replace(
            outcome,
            changes={key: row for key, row in outcome.changes.items() if sku_of(key) not in left_out},
            effects=tuple(effect for effect in outcome.effects if effect.sku not in left_out),
        )

    def _carefully(self) -> "Batch":
        again = Batch(self._topology, self._place, self._base, self._frame, careful=True)
        for record in self._records:
            again.fold(*record)
        return again

    def _conserve(self) -> None:
        held = self._topology.held
        before = self._base.get
        made = 0
        for key, row in self.rows.changes.items():
            if key[0] in "pst":
                made += held(row) - held(before(key))
        if made:
            first, last = self._records[0].offset, self._records[-1].offset
            raise FatalError(
                f"the fold made {made} units out of nothing between offsets {first} and {last} of "
                f"{self._place.topic} partition {self._place.partition}; nothing of it was committed. "
                "Keep the log and report it; the state is as it was."
            )


def _row_bytes(key: str, row: Row) -> bytes:
    value = codec.encode_row(row)
    if len(value) > OUTPUT_MAX:
        raise OversizedError(f"the row {key}", len(value))
    return value


def _letter_out(letter: DeadLetter) -> EffectOut:
    key = f"{letter.topic}|{letter.partition}|{letter.offset}".encode()
    return EffectOut(topics.DEAD_LETTERS, key, codec.encode(letter))
