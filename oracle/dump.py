"""What the pipeline was told and what it answered, as tables of one database.

The ledger is read up to the position that each partition's marker names, everything else up to one cut; what is said
of kits up to a later one, at which kits had heard all that was told up to the first.
"""

import json
import time
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
    fill_exceptions,
    fill_heard,
    fill_risks,
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
RISKS = "oversell-risk"
EXCEPTIONS = "exceptions"
DEAD_LETTERS = "dead-letters"
KIT_COMPONENTS = "kit-components"
KITS_CHANGELOG = "kits-changelog"
OUTPUTS = {
    AVAILABILITY: fill_availability,
    ERP_LINES: fill_erp_lines,
    VARIANCES: fill_variances,
    DECISIONS: fill_answers,
    RISKS: fill_risks,
    EXCEPTIONS: fill_exceptions,
    DEAD_LETTERS: fill_dead_letters,
}

TAIL = 16
"""Offsets from the end of the changelog in which the last marker lies: it ends its transaction."""

HEARING_S = 0.2
"""Kits hear of a commit within milliseconds, while a worker runs."""

Progress = Callable[[str, int], None]
"""Told the topic and how many records more were read of it."""


@dataclass(frozen=True, slots=True)
class Dumped:
    """How far the dump reaches."""

    positions: dict[int, int]
    """By partition: the offset of the ledger behind the last record that the pipeline has folded."""
    waiting: int
    """Events of the ledger behind it, and what kits were told and have not heard yet."""


class NothingFoldedError(Exception):
    """No marker says how far the ledger is folded."""


class HalfRebuiltError(Exception):
    """A partition's rows are of two folds: its rebuild was begun and not ended."""


def positions(topics: Topics, changelog: str = CHANGELOG) -> dict[int, int]:
    """Read the last marker of each partition: the offset of its source behind the last record folded.

    Raises HalfRebuiltError.
    """
    ends = topics.ends(changelog)[changelog]
    tails = {part: max(0, end - TAIL) for part, end in ends.items()}
    found: dict[int, int] = {}
    half: set[int] = set()
    for part, key, value in _placed(topics, changelog, ends, lambda *_: None, tails):
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


def kits_waiting(topics: Topics) -> list[str]:
    """Return the kits that were told something which they have not heard yet, once for each thing told."""
    folded = positions(topics, KITS_CHANGELOG)
    told = topics.ends(KIT_COMPONENTS)[KIT_COMPONENTS]
    keys = [key or b"" for _, key, _ in _placed(topics, KIT_COMPONENTS, told, lambda *_: None, folded)]
    return [key.decode(errors="replace").partition("|")[0] for key in keys]


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
        if topic != AVAILABILITY:
            fill(db, ((key, value) for _, key, value in _placed(topics, topic, ends[topic], progress)), reader)
    deaf = _wait_for_kits(topics, patience_s)
    later = topics.cut(KITS_CHANGELOG, (AVAILABILITY,), patience_s)
    heard = _placed(topics, KITS_CHANGELOG, later[KITS_CHANGELOG], progress)
    fill_heard(db, ((key, value) for _, key, value in heard), reader, deaf)
    fill_availability(db, _answers(topics, ends[AVAILABILITY], later[AVAILABILITY], progress, reader), reader)
    return Dumped(positions=folded, waiting=waiting(topics, folded) + len(deaf))


def _wait_for_kits(topics: Topics, patience_s: float) -> list[str]:
    """Wait until kits have heard everything, while they go on hearing; return what they have not heard."""
    deadline = time.monotonic() + patience_s
    left = kits_waiting(topics)
    while left and time.monotonic() < deadline:
        time.sleep(HEARING_S)
        before, left = left, kits_waiting(topics)
        if len(left) >= len(before):  # nobody folds them, or more is told than that
            break
    return left


def _answers(
    topics: Topics, ends: Ends, later: Ends, progress: Progress, reader: Reader
) -> Iterator[tuple[bytes | None, bytes | None]]:
    """Yield answers up to `ends`, and those for kits up to `later`."""
    for m in topics.read(AVAILABILITY, later, lambda n: progress(AVAILABILITY, n)):
        part, off, value = m.partition(), m.offset(), _bytes(m.value())
        assert part is not None
        assert off is not None  # a record that was read has its place
        if off < ends[part] or (value is not None and reader.read(value)[1].get("kit") is not None):
            yield _bytes(m.key()), value


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
