"""A partition in memory, and its kits, whose rows and effects go to the judge as the bytes that topics would hold."""

from collections.abc import Sequence
from dataclasses import dataclass, field

import duckdb

from atp import kits
from atp.effects import (
    AvailabilityChanged,
    DeadLetter,
    Effect,
    ErpLine,
    ExceptionChanged,
    KitComponentChanged,
    RequestDecided,
    RiskChanged,
    VarianceChanged,
)
from atp.errors import PoisonError
from atp.events import Event
from atp.fold import Frame, fold
from avro_schemas import codec
from oracle.compare import Comparison, compare
from oracle.recompute import Ledger, connect, recompute
from oracle.tables import (
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
from oracle.wire import Reader
from streams.memory import MemoryRows

Pair = tuple[bytes | None, bytes | None]
READER = Reader()


@dataclass
class Topics:
    """Records of one partition, by topic."""

    ledger: list[Pair] = field(default_factory=list)
    rows: dict[bytes, bytes] = field(default_factory=dict)
    availability: list[Pair] = field(default_factory=list)
    erp_lines: list[Pair] = field(default_factory=list)
    variances: list[Pair] = field(default_factory=list)
    answers: list[Pair] = field(default_factory=list)
    risks: list[Pair] = field(default_factory=list)
    exceptions: list[Pair] = field(default_factory=list)
    dead_letters: list[Pair] = field(default_factory=list)
    kits: dict[bytes, bytes] = field(default_factory=dict)
    """Rows of the kits topology."""


def folded(events: Sequence[Event], window: int, *, damaged: dict[int, bytes] | None = None) -> Topics:
    """Fold the events in the order given; `damaged` are other bytes for the records at these offsets."""
    topics, rows, of_kits, frame = Topics(), MemoryRows(), MemoryRows(), Frame(window=window)
    for offset, event in enumerate(events):
        key, value = event.sku.encode() or None, (damaged or {}).get(offset) or codec.encode(event)
        topics.ledger.append((key, value))
        try:
            outcome = fold(rows, codec.decode_event(value), frame)
        except PoisonError as error:
            topics.dead_letters.append((None, letter(offset, error.cause)))
            continue
        for name, row in outcome.changes.items():
            rows.put(name, row)
        if outcome.refusal is not None:
            topics.dead_letters.append((None, letter(offset, outcome.refusal.cause)))
        for effect in outcome.effects:
            if isinstance(effect, KitComponentChanged):
                told = kits.fold(of_kits, effect, frame)
                for name, row in told.changes.items():
                    of_kits.put(name, row)
                for answer in told.effects:
                    publish(topics, answer)
            else:
                publish(topics, effect)
    topics.rows = {key.encode(): codec.encode_row(row) for key, row in rows.scan("")}
    topics.kits = {key.encode(): codec.encode_row(row) for key, row in of_kits.scan("")}
    return topics


def publish(topics: Topics, effect: Effect) -> None:
    """Write an effect where it belongs; what the judge does not read goes nowhere."""
    match effect:
        case AvailabilityChanged():
            topics.availability.append((effect.key.encode(), codec.encode(effect)))
        case ErpLine():
            topics.erp_lines.append((effect.posting_key.encode(), codec.encode(effect)))
        case RequestDecided():
            topics.answers.append((effect.request_id.encode(), codec.encode(effect)))
        case VarianceChanged():
            topics.variances.append((effect.id.encode(), codec.encode(effect)))
        case RiskChanged():
            topics.risks.append((effect.id.encode(), codec.encode(effect)))
        case ExceptionChanged():
            topics.exceptions.append((effect.id.encode(), codec.encode(effect)))
        case _:
            pass


def letter(offset: int, cause: str) -> bytes:
    return codec.encode(
        DeadLetter(
            cause=cause,
            detail="",
            suggestion="",
            topic="stock-events",
            partition=0,
            offset=offset,
            timestamp=0,
            key=None,
            value=None,
            headers={},
        )
    )


def filled(topics: Topics) -> duckdb.DuckDBPyConnection:
    """Return a database that holds what was told and what was answered."""
    db = connect()
    ledger = Ledger(db)
    for offset, (key, value) in enumerate(topics.ledger):
        add_ledger_record(ledger, READER, 0, offset, key, value, 1)
    ledger.flush()
    fill_rows(db, ((0, key, value) for key, value in topics.rows.items()), READER)
    fill_availability(db, topics.availability, READER)
    fill_erp_lines(db, topics.erp_lines, READER)
    fill_variances(db, topics.variances, READER)
    fill_answers(db, topics.answers, READER)
    fill_risks(db, topics.risks, READER)
    fill_exceptions(db, topics.exceptions, READER)
    fill_heard(db, topics.kits.items(), READER)
    fill_dead_letters(db, topics.dead_letters, READER)
    return db


def judged(topics: Topics, window: int) -> tuple[duckdb.DuckDBPyConnection, Comparison]:
    """Let the judge recompute from the ledger and compare with the rest."""
    db = filled(topics)
    recompute(db, window)
    return db, compare(db)
