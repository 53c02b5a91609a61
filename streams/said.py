"""What a partition's outputs say already, and what a fold from the beginning has to add to them.

Three kinds of outputs, three rules, so that nothing is told twice and no answer of the past is told as news:

- *once* (posting lines, decisions, dead letters): a key that is there is never written again;
- *statements* (risks, variances, exceptions): each statement that is there is left alone, and where the last one
  on an id is not the last that the fold comes to, that one is said (again);
- *absolute* (compacted topics): only the last one of each key, once everything is folded.

It lies on disk, for a partition's outputs are as long as its history, and dies with the rebuild:

| key                      | value                                                                    |
|--------------------------|--------------------------------------------------------------------------|
| `o|topic|key`            | nothing: the output of this key is there                                 |
| `s|topic|digest`         | how often this statement is there and the fold has not come to it yet    |
| `l|topic|key`            | the last record of this key that is there, or will be                    |
| `n|topic|key`            | the last record of this key that the fold came to                        |
| `m|number`               | an output to be written: topic, key, value                               |
"""

import struct
from collections.abc import Iterator, Sequence
from dataclasses import MISSING, Field, fields, replace
from functools import lru_cache
from hashlib import blake2b
from pathlib import Path
from typing import Any

from rocksdict import Rdict, WriteOptions

from atp.effects import (
    AdviceChanged,
    AvailabilityChanged,
    Cause,
    ExceptionChanged,
    RequestDecided,
    RiskChanged,
    VarianceChanged,
)
from avro_schemas import codec
from streams.batch import EffectOut
from streams.table import Shared, store_options
from topologies import topics
from topologies.topics import Topic

ONCE = (topics.ERP_LINES, topics.DECISIONS, topics.DEAD_LETTERS)
WORDING = frozenset({"cause", "evidence", "action", "cause_hint"})
"""Fields that explain a statement: another wording says nothing new."""

Output = tuple[Topic, bytes, bytes | None]
"""Topic, key, and value; no value deletes the key of a compacted topic."""


class Said:
    """The outputs of one partition, as they are and as they shall be."""

    def __init__(self, folder: Path, shared: Shared, outputs: Sequence[Topic]) -> None:
        self._db = Rdict(str(folder), store_options(shared))
        self._fast = WriteOptions()
        self._fast.disable_wal = True  # type: ignore[assignment,method-assign]  # a property; the stub says method
        self._topics = {topic.name: topic for topic in outputs}
        self._kept_from: dict[str, int] = {}
        self._added = 0

    def close(self) -> None:
        self._db.close()

    # What is there --------------------------------------------------------------------------------------------

    def begins(self, topic: Topic, moment_ms: int) -> None:
        """Hear that a topic has lost what it held before a moment, by the broker's clock in unix milliseconds.

        What followed from older records of the ledger was told and is forgotten: it is not told again.
        """
        if not topic.compacted:
            self._kept_from[topic.name] = moment_ms

    def begins_late(self, topic: Topic) -> bool:
        """Say whether a topic has lost what it held at first."""
        return topic.name in self._kept_from

    @property
    def boundaries(self) -> list[int]:
        """Moments between which a batch of the fold must be cut, in unix milliseconds, in order."""
        return sorted(set(self._kept_from.values()))

    def hear(self, topic: Topic, key: bytes, value: bytes | None) -> None:
        """Take in a record that a topic holds."""
        if topic in ONCE:
            self._put(_key(b"o", topic, _once(topic, key, value)), b"")
        elif value is None:
            self._db.delete(_key(b"l", topic, key), self._fast)
        else:
            self._put(_key(b"l", topic, key), value)
            if not topic.compacted:
                self._count(_key(b"s", topic, _digest(value)), 1)

    # What the fold comes to -------------------------------------------------------------------------------------

    def take(self, effects: Sequence[EffectOut], oldest_ms: int) -> None:
        """Take in what a batch led to, whose first record came at `oldest_ms` by the broker's clock."""
        for topic, key, value in effects:
            told = oldest_ms < self._kept_from.get(topic.name, 0)
            if topic in ONCE:
                known = _key(b"o", topic, _once(topic, key, value))
                if not told and self._db.get(known) is None:
                    self._put(known, b"")
                    self._add(topic, key, value)
                continue
            self._put(_key(b"n", topic, key), value)
            if topic.compacted:
                continue
            if self._count(_key(b"s", topic, _digest(value)), -1) < 0 and not told:
                self._put(_key(b"l", topic, key), value)
                self._add(topic, key, value)

    def last_words(self, epoch: int, at: int) -> None:
        """Set the last statement on every id right, once all is folded; `at` is the partition's time."""
        for topic in self._topics.values():
            if topic in ONCE or topic.compacted:
                continue
            for key, value in list(self._scan(b"l", topic)):
                said = self._db.get(_key(b"n", topic, key))
                if said is None:
                    taken_back = _withdrawn(value, epoch, at)
                    if taken_back is not None:
                        self._add(topic, key, taken_back)
                elif _digest(said) != _digest(value):
                    self._add(topic, key, said)

    # What is to be written --------------------------------------------------------------------------------------

    def missing(self) -> Iterator[Output]:
        """Yield the outputs that are to be added, in the order in which they follow."""
        for _, framed in walk(self._db, b"m|"):
            name, rest = framed.split(b"\0", 1)
            (length,) = struct.unpack_from(">I", rest)
            yield self._topics[name.decode()], rest[4 : 4 + length], rest[4 + length :]

    def last_epoch(self) -> int:
        """Return the greatest epoch of the answers that are there, but those for kits; 0 where there are none."""
        newest = 0
        for topic in self._topics.values():
            for _, value in self._scan(b"l", topic) if topic.compacted else ():
                answer = None if _of_kits(value) else _answer(value)
                newest = max(newest, 0 if answer is None else answer.epoch)
        return newest

    def epoch_for(self, epoch: int, *, begun: bool) -> int:
        """Return the epoch under which consumers take every answer: the given one, unless it was used already.

        That is so where the marker was lost that told the last epoch. Where this rebuild was begun before, the epoch
        is its own, unless another version of the fold had begun it, and said other things.
        """
        newest, taken = epoch, True
        for topic, key, value in self._absolute():
            said, new = _answer(self._db.get(_key(b"l", topic, key))), _answer(value)
            if said is None or new is None:
                continue
            newest = max(newest, said.epoch)
            if said.epoch > epoch or (said.epoch == epoch and not (begun and _follows(new, said))):
                taken = False
        return epoch if taken else newest + 1

    def answers(self, epoch: int) -> Iterator[Output]:
        """Yield the last answer of every key under `epoch`, but those that are there; and the end of stale keys."""
        for topic, key, value in self._absolute():
            answer = _answer(value)
            now = value if answer is None else codec.encode(replace(answer, epoch=epoch))
            if self._db.get(_key(b"l", topic, key)) != now:
                yield topic, key, now
        for topic in self._topics.values():
            if topic.compacted and not topic.crosses:  # What others wrote into this partition is theirs.
                for key, value in self._scan(b"l", topic):
                    if self._db.get(_key(b"n", topic, key)) is None and not _of_kits(value):
                        yield topic, key, None

    # The store --------------------------------------------------------------------------------------------------

    def _absolute(self) -> Iterator[tuple[Topic, bytes, bytes]]:
        for topic in self._topics.values():
            if topic.compacted:
                for key, value in self._scan(b"n", topic):
                    said = self._db.get(_key(b"l", topic, key))
                    if said is None or not _of_kits(said):
                        yield topic, key, value

    def _add(self, topic: Topic, key: bytes, value: bytes) -> None:
        self._added += 1
        framed = b"".join((topic.name.encode(), b"\0", struct.pack(">I", len(key)), key, value))
        self._put(b"m|" + struct.pack(">Q", self._added), framed)

    def _count(self, key: bytes, change: int) -> int:
        count = int(self._db.get(key) or 0) + change
        self._put(key, b"%d" % max(0, count))
        return count

    def _put(self, key: bytes, value: bytes) -> None:
        self._db.put(key, value, self._fast)

    def _scan(self, kind: bytes, topic: Topic) -> Iterator[tuple[bytes, bytes]]:
        return walk(self._db, _key(kind, topic, b""))


def walk(store: Rdict, prefix: bytes) -> Iterator[tuple[bytes, bytes]]:
    """Yield what lies under a prefix, in key order, without the prefix."""
    iterator = store.iter()
    iterator.seek(prefix)
    while iterator.valid():
        key: Any = iterator.key()
        if not key.startswith(prefix):
            break
        value: Any = iterator.value()
        yield key[len(prefix) :], value
        iterator.next()
    iterator.status()


def _key(kind: bytes, topic: Topic, key: bytes) -> bytes:
    return b"|".join((kind, topic.name.encode(), key))


def _once(topic: Topic, key: bytes, value: bytes | None) -> bytes:
    """Name an output that is written once: a source may ask for several SKUs under one request id."""
    if topic is not topics.DECISIONS or value is None:
        return key
    decision = codec.decode(value)
    return key + b"|" + decision.sku.encode() if isinstance(decision, RequestDecided) else key


def _digest(value: bytes) -> bytes:
    """Name what a statement says, whatever its wording and the version of its schema.

    A field with a default is younger than the first version of its class: it makes no new statement of an old one.
    """
    said = codec.decode(value)
    kind: type = type(said)
    figures = [getattr(said, one.name) for one in _core(kind)]
    return blake2b(repr((kind.__name__, figures)).encode(), digest_size=16).digest()


@lru_cache
def _core(kind: type) -> list[Field[Any]]:
    return [
        one
        for one in fields(kind)
        if one.name not in WORDING and one.default is MISSING and one.default_factory is MISSING
    ]


def _answer(value: bytes | None) -> Any:  # noqa: ANN401  (whatever class carries an epoch and a version)
    """Return the answer that the bytes are; None for none, and for outputs without an epoch."""
    if value is None:
        return None
    answer = codec.decode(value)
    return answer if hasattr(answer, "epoch") and hasattr(answer, "version") else None


def _follows(new: Any, said: Any) -> bool:  # noqa: ANN401
    """Say whether who took `said`, of the same epoch, takes `new` too, or need not."""
    return bool(new.version > said.version or replace(new, epoch=said.epoch, cause=said.cause) == said)


def _of_kits(value: bytes) -> bool:
    """Say whether an answer is for a kit: another topology gives it, and takes it back."""
    answer = codec.decode(value)
    return isinstance(answer, AvailabilityChanged) and answer.kit is not None


def _withdrawn(value: bytes, epoch: int, at: int) -> bytes | None:
    """Return the end of a statement that the fold no longer comes to; None where it needs none."""
    said = codec.decode(value)
    cause = Cause(type="Rebuild", key=f"epoch {epoch}")
    match said:
        case RiskChanged() if said.transition != "closed":
            return codec.encode(replace(said, transition="closed", at=max(at, said.at), action="", cause=cause))
        case ExceptionChanged() if said.transition != "closed":
            gone = "no longer follows from the ledger"
            return codec.encode(replace(said, transition="closed", at=max(at, said.at), action=gone, cause=cause))
        case AdviceChanged() if said.status in ("proposed", "approved"):
            return codec.encode(
                replace(said, status="expired", at=max(at, said.at), expires_at=None, action="", cause=cause)
            )
        case VarianceChanged() if said.status == "open":
            return codec.encode(
                replace(
                    said, expected=said.observed, diff=0, status="closed", restatement=said.restatement + 1,
                    cause_hint="withdrawn", cause=cause,
                )
            )  # fmt: skip
        case _:
            return None
