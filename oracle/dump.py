"""What the pipeline was told and what it answered, as tables of one database.

The ledger is read up to the position that each partition's marker names, everything else up to one cut.
"""

import json
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass

import duckdb

from oracle.recompute import Ledger
from oracle.tables import (
    MARKER,
    add_ledger_record,
    fill_answers,
    fill_availability,
    fill_dead_letters,
    fill_erp_lines,
    fill_rows,
    fill_variances,
)
from oracle.topics import NOWHERE, Ends, Topics
from oracle.wire import Reader

LEDGER = "stock-events"
CHANGELOG = "inventory-changelog"
AVAILABILITY = "availability"
ERP_LINES = "erp-lines"
VARIANCES = "variances"
DECISIONS = "reservation-decisions"
DEAD_LETTERS = "dead-letters"
OUTPUTS = {
    AVAILABILITY: fill_availability,
    ERP_LINES: fill_erp_lines,
    VARIANCES: fill_variances,
    DECISIONS: fill_answers,
    DEAD_LETTERS: fill_dead_letters,
}

TAIL = 16
"""Offsets from the end of the changelog in which the last marker lies: it ends its transaction."""

Progress = Callable[[str, int], None]
"""Told the topic and how many records more were read of it."""


@dataclass(frozen=True, slots=True)
class Dumped:
    """How far the dump reaches."""

    positions: dict[int, int]
    """By partition: the offset of the ledger behind the last record that the pipeline has folded."""
    waiting: int
    """Events of the ledger behind it."""


class NothingFoldedError(Exception):
    """No marker says how far the ledger is folded."""


class HalfRebuiltError(Exception):
    """A partition's rows are of two folds: its rebuild was begun and not ended."""


def positions(topics: Topics) -> dict[int, int]:
    """Read the last marker of each partition: the offset of the ledger behind the last record folded.

    Raises HalfRebuiltError.
    """
    ends = topics.ends(CHANGELOG)[CHANGELOG]
    tails = {part: max(0, end - TAIL) for part, end in ends.items()}
    found: dict[int, int] = {}
    half: set[int] = set()
    for part, key, value in _placed(topics, CHANGELOG, ends, lambda *_: None, tails):
        if key == MARKER:
            marker = json.loads(value or b"")
            if marker.get("rebuilding"):
                half.add(part)
            else:
                half.discard(part)
            found[part] = marker["position"]
    if half:
        raise HalfRebuiltError(str(min(half)))
    return found


def waiting(topics: Topics, folded: Mapping[int, int]) -> int:
    """Count the events of the ledger that are not folded yet.

    Ticks do not count: one that changes nothing is committed with the next event only.
    """
    reader = Reader()
    told = topics.ends(LEDGER)[LEDGER]
    starts = {part: folded.get(part, 0) for part in told}
    return sum(
        not reader.is_a(value, "TimeTicked") for _, _, value in _placed(topics, LEDGER, told, lambda *_: None, starts)
    )


def dump(db: duckdb.DuckDBPyConnection, topics: Topics, patience_s: float, progress: Progress) -> Dumped:
    """Fill the tables of what was told and what was answered.

    Looks for up to `patience_s` seconds for a moment at which all topics agree. Raises MissingTopicError,
    MovingError, NothingFoldedError, KafkaException.
    """
    reader = Reader()
    ends = topics.cut(CHANGELOG, tuple(OUTPUTS), patience_s)
    marked = fill_rows(db, _placed(topics, CHANGELOG, ends[CHANGELOG], progress), reader)
    if not marked:
        raise NothingFoldedError("no partition has a marker")
    told = topics.ends(LEDGER)[LEDGER]
    folded = {part: marked.get(part, 0) for part in told}
    ledger = Ledger(db)
    for m in topics.read(LEDGER, folded, lambda n: progress(LEDGER, n)):
        part, off = m.partition(), m.offset()
        assert part is not None
        assert off is not None  # a record that was read has its place
        add_ledger_record(ledger, reader, part, off, _bytes(m.key()), _bytes(m.value()), len(told))
    ledger.flush()
    for topic, fill in OUTPUTS.items():
        fill(db, ((key, value) for _, key, value in _placed(topics, topic, ends[topic], progress)), reader)
    return Dumped(positions=folded, waiting=waiting(topics, folded))


def _placed(
    topics: Topics, topic: str, ends: Ends, progress: Progress, starts: Ends = NOWHERE
) -> Iterator[tuple[int, bytes | None, bytes | None]]:
    """Yield partition, key and value of the topic's records."""
    for m in topics.read(topic, ends, lambda n: progress(topic, n), starts):
        part = m.partition()
        assert part is not None  # a record that was read has its place
        yield part, _bytes(m.key()), _bytes(m.value())


def _bytes(data: str | bytes | None) -> bytes | None:
    return data.encode() if isinstance(data, str) else data
