"""Records of topics as tables: what the pipeline holds, published, posted and refused."""

import json
from collections.abc import Iterable, Iterator, Mapping
from datetime import date
from typing import Any
from zlib import crc32

import duckdb

from oracle.batches import Row, Table
from oracle.recompute import Ledger
from oracle.records import EPOCH
from oracle.wire import Reader, UnreadableError, partition_of

MARKER = b"!marker"
"""Key of the changelog's record that says which position of the ledger the rows have come to."""

RECORD_MAX = 1_000_000
"""Bytes of a record of the ledger at most."""

HELD = {
    "sku": "VARCHAR", "location": "VARCHAR", "sellable": "BIGINT", "returned": "BIGINT", "quarantine": "BIGINT",
    "damaged": "BIGINT", "in_transit_in": "BIGINT", "safety_stock": "BIGINT", "eligible": "BOOLEAN", "atp": "BIGINT",
    "reserved_soft": "BIGINT", "reserved_firm": "BIGINT", "allocated": "BIGINT",
    "haircut": "BIGINT", "expired": "BIGINT",
}  # fmt: skip
HELD_LOTS = {
    "sku": "VARCHAR", "location": "VARCHAR", "lot": "VARCHAR", "expiry_day": "INTEGER", "units": "BIGINT",
}  # fmt: skip
HELD_CHANNELS = {
    "sku": "VARCHAR", "channel": "VARCHAR", "atp": "BIGINT", "ring": "BIGINT", "pool": "BIGINT", "buffer": "BIGINT",
    "horizon": "VARCHAR",
}  # fmt: skip
HELD_PENDING = {"sku": "VARCHAR", "channel": "VARCHAR", "units": "BIGINT"}
HELD_DATED = {"sku": "VARCHAR", "day": "INTEGER", "channel": "VARCHAR", "location": "VARCHAR", "units": "BIGINT"}
HELD_INBOUND = {
    "sku": "VARCHAR", "day": "INTEGER", "location": "VARCHAR", "units": "BIGINT", "state": "VARCHAR",
    "overdue": "BOOLEAN",
}  # fmt: skip
HELD_RINGS = {
    "sku": "VARCHAR", "channel": "VARCHAR", "granted": "BIGINT", "taken": "BIGINT", "priority": "BIGINT",
}  # fmt: skip
HELD_PARTS = {"sku": "VARCHAR", "version": "BIGINT"}
"""What kits were told last of their parts."""
HELD_VERSIONS = {"sku": "VARCHAR", "channel": "VARCHAR", "version": "BIGINT"}
HEARD = {"kit": "VARCHAR", "sku": "VARCHAR", "version": "BIGINT"}
"""What kits heard last of their parts, their own SKU among them."""
HELD_BACK = {"key": "VARCHAR", "atp": "BIGINT", "horizon": "VARCHAR", "next_available": "VARCHAR"}
"""Answers newer than the one that was published last, by the policy of their channel."""
PUBLISHED = {
    "key": "VARCHAR", "atp": "BIGINT", "horizon": "VARCHAR", "next_available": "VARCHAR", "of_kit": "BOOLEAN",
    "status": "VARCHAR", "version": "BIGINT",
}  # fmt: skip
"""A horizon reads `day:units day:units`, days since 1970."""
POSTED = {
    "posting_key": "VARCHAR", "document_type": "VARCHAR", "sku": "VARCHAR", "location": "VARCHAR",
    "quantity": "BIGINT", "accounts": "VARCHAR[]", "units": "BIGINT[]", "content": "BIGINT",
}  # fmt: skip
TOLD = {
    "kind": "VARCHAR", "sku": "VARCHAR", "location": "VARCHAR", "document": "VARCHAR", "transfer": "VARCHAR",
    "expected": "BIGINT", "observed": "BIGINT", "status": "VARCHAR",
}  # fmt: skip
ANSWERS = {
    "request_id": "VARCHAR", "sku": "VARCHAR", "channel": "VARCHAR", "location": "VARCHAR", "order_id": "VARCHAR",
    "order_line": "BIGINT", "decision": "VARCHAR", "requested": "BIGINT", "quantity": "BIGINT", "atp": "BIGINT",
    "state": "VARCHAR", "expires_at": "BIGINT", "event_key": "VARCHAR", "epoch": "BIGINT",
}  # fmt: skip
TOLD_RISKS = {
    "id": "VARCHAR", "kind": "VARCHAR", "sku": "VARCHAR", "scope": "VARCHAR", "transition": "VARCHAR",
    "severity": "VARCHAR", "opened_at": "BIGINT", "quantity": "BIGINT",
}  # fmt: skip
HELD_RISKS = {
    "sku": "VARCHAR", "kind": "VARCHAR", "scope": "VARCHAR", "id": "VARCHAR", "severity": "VARCHAR",
    "opened_at": "BIGINT", "calm_since": "BIGINT", "quantity": "BIGINT",
}  # fmt: skip
HELD_COPIES = {"sku": "VARCHAR", "channel": "VARCHAR", "quantity": "BIGINT", "behind_since": "BIGINT"}
"""What channels show, and since when that is more than may be promised."""
TOLD_EXCEPTIONS = {
    "id": "VARCHAR", "kind": "VARCHAR", "sku": "VARCHAR", "scope": "VARCHAR", "transition": "VARCHAR",
}  # fmt: skip
EPOCHS = {"part": "INTEGER", "epoch": "BIGINT"}
"""Rises by a rebuild."""
LETTERS = {"part": "INTEGER", "off": "BIGINT", "cause": "VARCHAR"}

UNREADABLE: Mapping[str, Any] = {"source": "", "document": {"type": "", "id": "", "line": 0}, "event_time": 0}

Pairs = Iterable[tuple[bytes | None, bytes | None]]
"""Keys and values, each partition in its order."""


def add_ledger_record(
    ledger: Ledger, reader: Reader, part: int, off: int, key: bytes | None, value: bytes | None, partitions: int
) -> None:
    """Add a record of the ledger; one that cannot be read or lies where it does not belong is malformed."""
    try:
        kind, event = reader.read_event(value)
        sku = event["sku"].encode()
        misplaced = bool(sku) and (key != sku or partition_of(sku, partitions) != part)
        ledger.add(part, off, kind, event, malformed=misplaced or len(value or b"") > RECORD_MAX)
        if kit := event.get("kit"):
            ledger.add_bill(part, off, partition_of(kit.encode(), partitions), event)
    except (UnreadableError, KeyError, TypeError, ValueError):
        ledger.add(part, off, "", UNREADABLE, malformed=True)


def fill_rows(
    db: duckdb.DuckDBPyConnection, records: Iterable[tuple[int, bytes | None, bytes | None]], reader: Reader
) -> dict[int, int]:
    """Keep the latest rows that answers are made of; return each partition's position in the ledger."""
    rows: dict[bytes, bytes | None] = {}
    positions: dict[int, int] = {}
    epochs: dict[int, int] = {}
    for part, key, value in records:
        if key is None:
            continue
        if key == MARKER:
            marker = json.loads(value or b"")
            positions[part], epochs[part] = marker["position"], marker.get("epoch", 0)
        elif key.startswith((b"p|", b"s|", b"n|", b"f|", b"u|", b"r|", b"h|", b"L|")):
            rows[key] = value
    tables = {
        name: Table(db, name, columns)
        for name, columns in {
            "epochs": EPOCHS,
            "held": HELD,
            "held_lots": HELD_LOTS,
            "held_channels": HELD_CHANNELS,
            "held_pending": HELD_PENDING,
            "held_dated": HELD_DATED,
            "held_inbound": HELD_INBOUND,
            "held_rings": HELD_RINGS,
            "held_back": HELD_BACK,
            "held_parts": HELD_PARTS,
            "held_risks": HELD_RISKS,
            "held_copies": HELD_COPIES,
            "held_versions": HELD_VERSIONS,
        }.items()
    }
    for part, epoch in epochs.items():
        tables["epochs"].add((part, epoch))
    for key, value in rows.items():
        if value is not None:
            _, row = reader.read(value)
            for name, held in _held(key.decode(), row):
                tables[name].add(held)
    for table in tables.values():
        table.flush()
    return positions


def _held(key: str, row: Mapping[str, Any]) -> Iterator[tuple[str, Row]]:
    """Yield the rows of tables that a row of the changelog comes to; what older rows do not say yet is 0."""
    kind, sku, *rest = key.split("|")
    match kind:
        case "p":
            yield "held", (sku, rest[0], *(row.get(name, 0) for name in list(HELD)[2:]))
        case "s":
            for one in row["channels"]:
                horizon = _steps((step["first"], step["second"]) for step in one.get("horizon", ()))
                buffer = (one["terms"] or {}).get("buffer", 0)
                told = (one["atp"], one.get("ring", 0), one["pool"], buffer, horizon)
                yield "held_channels", (sku, one["channel"], *told)
                yield "held_versions", (sku, one["channel"], one["version"])
        case "r":
            yield "held_risks", (sku, *rest, *(row[name] for name in list(HELD_RISKS)[3:]))
        case "h":
            yield "held_copies", (sku, *rest, row["quantity"], row.get("behind_since"))
        case "u":
            yield "held_parts", (sku, row["version"])
        case "L":
            for name, units in row["units"].items():
                last_day, _, lot = name.partition("|")
                yield "held_lots", (sku, rest[0], _unescaped(lot), _number(last_day) if last_day else None, units)
        case "f":
            if row["held"] is not None:
                yield "held_back", (row["held"]["key"], *_answered(row["held"]))
        case _:
            for channel, units in row["pending"].items():
                yield "held_pending", (sku, channel, units)
            for one in row["dated"]:
                yield "held_dated", (sku, *(one[name] for name in list(HELD_DATED)[1:]))
            for one in row["inbound"]:
                yield "held_inbound", (sku, *(one[name] for name in list(HELD_INBOUND)[1:]))
            for one in row["fences"]:
                yield "held_rings", (sku, *(one[name] for name in list(HELD_RINGS)[1:]))


def fill_availability(db: duckdb.DuckDBPyConnection, records: Pairs, reader: Reader) -> None:
    """Keep the last answer of each key."""
    latest = dict(records)
    table = Table(db, "published", PUBLISHED)
    for key, value in latest.items():
        if key is not None and value is not None:
            _, answer = reader.read(value)
            told = answer.get("kit") is not None, answer["status"], answer["version"]
            table.add((key.decode(), *_answered(answer), *told))
    table.flush()


def fill_heard(db: duckdb.DuckDBPyConnection, records: Pairs, reader: Reader, waiting: Iterable[str] = ()) -> None:
    """Keep what kits heard last of each of their parts, from the changelog of kits; for `waiting` more is told."""
    table = Table(db, "heard", HEARD)
    for key, value in dict(records).items():
        if key is not None and value is not None and key.startswith(b"j|"):
            _, kit, sku = key.decode().split("|")
            table.add((kit, sku, reader.read(value)[1]["version"]))
    table.flush()
    deaf = Table(db, "deaf", {"kit": "VARCHAR"})
    for kit in waiting:
        deaf.add((kit,))
    deaf.flush()


def _answered(answer: Mapping[str, Any]) -> tuple[int, str, str | None]:
    first = answer.get("next_available")
    return answer["atp"], _steps(map(_dated, answer.get("horizon", ()))), _steps([_dated(first)]) if first else None


def _dated(step: Mapping[str, Any]) -> tuple[int, int]:
    return _number(step["date"]), step["quantity"]


def _number(day: str) -> int:
    return date.fromisoformat(day).toordinal() - EPOCH


def _unescaped(part: str) -> str:
    return part.replace("%7C", "|").replace("%25", "%")


def _steps(found: Iterable[tuple[int, int]]) -> str:
    """Write (day, units) as `day:units day:units`, each where the units change."""
    steps: list[tuple[int, int]] = []
    for day, units in found:
        if not steps or steps[-1][1] != units:
            steps.append((day, units))
    return " ".join(f"{day}:{units}" for day, units in steps)


def fill_erp_lines(db: duckdb.DuckDBPyConnection, records: Pairs, reader: Reader) -> None:
    """Keep every posting line."""
    table = Table(db, "posted", POSTED)
    for _, value in records:
        _, line = reader.read(value)
        legs = line["legs"]
        table.add(
            (
                line["posting_key"],
                line["document_type"],
                line["sku"],
                line["location"],
                line["quantity"],
                [leg["account"] for leg in legs],
                [leg["quantity"] for leg in legs],
                crc32(value or b""),
            )
        )
    table.flush()


def fill_variances(db: duckdb.DuckDBPyConnection, records: Pairs, reader: Reader) -> None:
    """Keep each variance as it was last restated."""
    latest = dict(records)
    table = Table(db, "told", TOLD)
    for value in latest.values():
        _, variance = reader.read(value)
        table.add(tuple(variance[name] for name in TOLD))
    table.flush()


def fill_answers(db: duckdb.DuckDBPyConnection, records: Pairs, reader: Reader) -> None:
    """Keep every answer to a reservation request, repetitions too."""
    table = Table(db, "answers", ANSWERS)
    for _, value in records:
        _, answer = reader.read(value)
        answer["order_id"] = answer["order"]
        table.add(tuple(answer[name] for name in ANSWERS))
    table.flush()


def fill_risks(db: duckdb.DuckDBPyConnection, records: Pairs, reader: Reader) -> None:
    """Keep each risk as it was last told."""
    table = Table(db, "told_risks", TOLD_RISKS)
    for value in dict(records).values():
        _, risk = reader.read(value)
        table.add(tuple(risk[name] for name in TOLD_RISKS))
    table.flush()


def fill_exceptions(db: duckdb.DuckDBPyConnection, records: Pairs, reader: Reader) -> None:
    """Keep each exception as it was last told."""
    table = Table(db, "told_exceptions", TOLD_EXCEPTIONS)
    for value in dict(records).values():
        _, told = reader.read(value)
        table.add(tuple(told[name] for name in TOLD_EXCEPTIONS))
    table.flush()


def fill_dead_letters(db: duckdb.DuckDBPyConnection, records: Pairs, reader: Reader) -> None:
    """Keep where the refused records of the ledger lie, and why they were refused."""
    table = Table(db, "letters", LETTERS)
    for _, value in records:
        _, letter = reader.read(value)
        if letter["topic"].endswith("stock-events"):  # what intake refused never came to the ledger
            table.add((letter["partition"], letter["offset"], letter["cause"]))
    table.flush()
