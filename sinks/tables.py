"""Rows of a partition as columns: the Parquet tables of a snapshot.

Quantities in base units; instants in UTC, microseconds.
"""

from collections.abc import Iterator, Sequence
from typing import Any

import pyarrow as pa

from atp.availability import atp_raw, status, terms_of
from atp.book import Position, Risk, Row, Summary, Transfer

INSTANT = pa.timestamp("us", tz="UTC")
TEXT, UNITS = pa.string(), pa.int64()

POSITIONS = pa.schema(
    [
        ("sku", TEXT),
        ("location", TEXT),
        ("on_hand", UNITS),
        ("sellable", UNITS),
        ("returned", UNITS),
        ("quarantine", UNITS),
        ("damaged", UNITS),
        ("in_transit_in", UNITS),
        ("safety_stock", UNITS),
        ("eligible", pa.bool_()),
        ("atp_raw", UNITS),
        ("atp", UNITS),
        ("version", UNITS),
        ("as_of", INSTANT),
    ]
)
AVAILABILITY = pa.schema(
    [
        ("channel", TEXT),
        ("sku", TEXT),
        ("atp", UNITS),
        ("status", TEXT),
        ("pool", UNITS),
        ("version", UNITS),
        ("as_of", INSTANT),
    ]
)
TRANSFERS = pa.schema(
    [
        ("sku", TEXT),
        ("transfer", TEXT),
        ("destination", TEXT),
        ("shipped", UNITS),
        ("received", UNITS),
        ("lost", UNITS),
        ("open", UNITS),
        ("last_time", INSTANT),
    ]
)
RISKS = pa.schema(
    [
        ("sku", TEXT),
        ("kind", TEXT),
        ("scope", TEXT),
        ("id", TEXT),
        ("severity", TEXT),
        ("opened_at", INSTANT),
        ("quantity", UNITS),
    ]
)
COUNTS = pa.schema(
    [
        ("sku", TEXT),
        ("location", TEXT),
        ("document", TEXT),
        ("as_of", INSTANT),
        ("scope", TEXT),
        ("expected", UNITS),
        ("observed", UNITS),
        ("diff", UNITS),
        ("restatement", UNITS),
    ]
)
SCHEMAS = {
    "positions": POSITIONS,
    "availability": AVAILABILITY,
    "transfers": TRANSFERS,
    "risks": RISKS,
    "counts": COUNTS,
}


class Tables:
    """Rows gathered as columns, a partition at a time."""

    def __init__(self) -> None:
        self._lines: dict[str, list[tuple[Any, ...]]] = {name: [] for name in SCHEMAS}

    def add(self, key: str, row: Row) -> None:
        """Take in one row; those of kinds that no table shows are left out."""
        match row:
            case Position():
                _, sku, location = key.split("|")
                self._lines["positions"].append(_position(sku, location, row))
                self._lines["counts"].extend(_counts(sku, location, row))
            case Summary():
                self._lines["availability"].extend(_availability(key[2:], row))
            case Transfer():
                _, sku, transfer = key.split("|", 2)
                shipped = sum(row.shipped_to.values())
                self._lines["transfers"].append(
                    (
                        sku,
                        transfer,
                        row.destination,
                        shipped,
                        row.received,
                        row.lost,
                        shipped - row.received - row.lost,
                        row.last_time,
                    )
                )
            case Risk():
                _, sku, kind, scope = key.split("|", 3)
                self._lines["risks"].append((sku, kind, scope, row.id, row.severity, row.opened_at, row.quantity))
            case _:
                pass

    def batches(self) -> Iterator[tuple[str, pa.RecordBatch]]:
        """Yield what was gathered since the last call, one batch per table that has rows, and forget it."""
        for name, lines in self._lines.items():
            if lines:
                yield name, _columns(lines, SCHEMAS[name])
                self._lines[name] = []


def _columns(lines: Sequence[tuple[Any, ...]], schema: pa.Schema) -> pa.RecordBatch:
    arrays = [pa.array(column, field.type) for column, field in zip(zip(*lines, strict=True), schema, strict=True)]
    return pa.RecordBatch.from_arrays(arrays, schema=schema)


def _position(sku: str, location: str, row: Position) -> tuple[Any, ...]:
    return (
        sku,
        location,
        row.on_hand,
        row.sellable,
        row.returned,
        row.quarantine,
        row.damaged,
        row.in_transit_in,
        row.safety_stock,
        row.eligible,
        atp_raw(row),
        row.atp,
        row.version,
        row.as_of,
    )


def _counts(sku: str, location: str, row: Position) -> Iterator[tuple[Any, ...]]:
    for count in row.counts:
        yield (
            sku,
            location,
            count.document,
            count.as_of,
            count.scope,
            count.expected,
            count.quantity,
            count.variance,
            count.restatement,
        )


def _availability(sku: str, row: Summary) -> Iterator[tuple[Any, ...]]:
    for state in row.channels:
        if state.version:
            reading = status(state.atp, terms_of(state).low_at)
            yield (state.channel, sku, state.atp, reading, state.pool, state.version, row.clock)
