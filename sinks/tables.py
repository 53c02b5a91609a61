"""Rows of a partition as columns: the Parquet tables of a snapshot.

Quantities in base units; instants in UTC, microseconds.
"""

from collections.abc import Iterator, Sequence
from typing import Any

import pyarrow as pa

from atp.availability import atp_raw, available, channel_status, exposed, next_shown, terms_of
from atp.book import Claim, Clock, Lots, Network, Position, Risk, Row, Summary, Supply, Transfer, unescape
from atp.claims import standing, today_of
from atp.events import SECOND
from atp.lots import left
from atp.outlook import line

INSTANT = pa.timestamp("us", tz="UTC")
DAY = pa.date32()
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
        ("reserved_soft", UNITS),
        ("reserved_firm", UNITS),
        ("allocated", UNITS),
        ("safety_stock", UNITS),
        ("expired", UNITS),
        ("eligible", pa.bool_()),
        ("atp_raw", UNITS),
        ("haircut", UNITS),
        ("atp", UNITS),
        ("confidence", pa.int64()),
        ("version", UNITS),
        ("as_of", INSTANT),
    ]
)
LOTS = pa.schema(
    [
        ("sku", TEXT),
        ("location", TEXT),
        ("lot", TEXT),
        ("expiry", DAY),
        ("units", UNITS),
        ("days_left", UNITS),
    ]
)
AVAILABILITY = pa.schema(
    [
        ("channel", TEXT),
        ("sku", TEXT),
        ("atp", UNITS),
        ("status", TEXT),
        ("ring", UNITS),
        ("pool", UNITS),
        ("next_available", DAY),
        ("next_quantity", UNITS),
        ("orders_seen_through", INSTANT),
        ("version", UNITS),
        ("as_of", INSTANT),
    ]
)
CLAIMS = pa.schema(
    [
        ("sku", TEXT),
        ("order", TEXT),
        ("line", UNITS),
        ("channel", TEXT),
        ("state", TEXT),
        ("requested", UNITS),
        ("released", UNITS),
        ("consumed", UNITS),
        ("open", UNITS),
        ("pending", UNITS),
        ("need_date", DAY),
        ("due", pa.bool_()),
        ("expires_at", INSTANT),
        ("began", INSTANT),
        ("last_time", INSTANT),
    ]
)
PLACEMENTS = pa.schema(
    [
        ("sku", TEXT),
        ("order", TEXT),
        ("line", UNITS),
        ("location", TEXT),
        ("how", TEXT),
        ("units", UNITS),
    ]
)
SUPPLY = pa.schema(
    [
        ("sku", TEXT),
        ("purchase_order", TEXT),
        ("line", UNITS),
        ("location", TEXT),
        ("ordered", UNITS),
        ("confirmed", UNITS),
        ("shipped", UNITS),
        ("received", UNITS),
        ("open", UNITS),
        ("over", UNITS),
        ("final", pa.bool_()),
        ("last_time", INSTANT),
    ]
)
INBOUND = pa.schema(
    [
        ("sku", TEXT),
        ("date", DAY),
        ("location", TEXT),
        ("units", UNITS),
        ("state", TEXT),
        ("overdue", pa.bool_()),
        ("document", TEXT),
        ("line", UNITS),
    ]
)
RING_FENCES = pa.schema(
    [
        ("sku", TEXT),
        ("channel", TEXT),
        ("priority", UNITS),
        ("granted", UNITS),
        ("taken", UNITS),
        ("open", UNITS),
        ("since", INSTANT),
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
    "claims": CLAIMS,
    "placements": PLACEMENTS,
    "supply": SUPPLY,
    "inbound": INBOUND,
    "ring_fences": RING_FENCES,
    "lots": LOTS,
}


class Tables:
    """Rows gathered as columns, a partition at a time."""

    def __init__(self) -> None:
        self._lines: dict[str, list[tuple[Any, ...]]] = {name: [] for name in SCHEMAS}
        self._tick: int | None = None
        self._lots: dict[str, Lots] = {}
        self._lotted: dict[str, int] = {}
        """Stock of positions whose lots are still to come, and lots whose position is: by `sku|location`."""

    def set_clock(self, clock: Row | None) -> None:
        """Take the time of the partition whose rows come now: what has expired depends on it."""
        self._tick = clock.tick if isinstance(clock, Clock) else None

    def add(self, key: str, row: Row) -> None:
        """Take in one row; those of kinds that no table shows are left out."""
        match row:
            case Position():
                _, sku, location = key.split("|")
                self._lines["positions"].append(_position(sku, location, row))
                self._lines["counts"].extend(_counts(sku, location, row))
                if row.lotted:
                    self._lotted[key[2:]] = available(row) + row.expired
                    self._match(key[2:])
            case Lots():
                self._lots[key[2:]] = row
                self._match(key[2:])
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
            case Claim():
                self._claim(key, row)
            case Supply():
                _, sku, order, number = key.split("|", 3)
                self._lines["supply"].append(_supply(sku, unescape(order), int(number), row))
            case Network():
                sku = key.split("|")[1]
                self._lines["inbound"].extend(_inbound(sku, row))
                self._lines["ring_fences"].extend(
                    (sku, one.channel, one.priority, one.granted, one.taken, one.open, one.first) for one in row.fences
                )
            case Risk():
                _, sku, kind, scope = key.split("|", 3)
                self._lines["risks"].append((sku, kind, scope, row.id, row.severity, row.opened_at, row.quantity))
            case _:
                pass

    def _match(self, place: str) -> None:
        """Say what is left of the lots of a position once both its rows have come."""
        if place not in self._lots or place not in self._lotted:
            return
        sku, location = place.split("|")
        today = today_of(self._tick)
        self._lines["lots"].extend(
            (
                sku,
                location,
                one.lot,
                one.expiry,
                one.units,
                None if one.expiry is None or today is None else one.expiry - today,
            )
            for one in left(self._lots.pop(place), self._lotted.pop(place))
        )

    def _claim(self, key: str, row: Claim) -> None:
        _, sku, order, number = key.split("|", 3)
        one, line = standing(row, self._tick), (sku, unescape(order), int(number))
        self._lines["claims"].append(
            (
                *line,
                one.channel,
                "firm" if one.firm else "soft",
                one.requested,
                one.released,
                one.consumed,
                one.open,
                one.pending,
                one.need,
                one.due,
                None if one.expires is None else one.expires * SECOND,
                one.began,
                row.last_time,
            )
        )
        self._lines["placements"].extend((*line, placed.location, placed.how, placed.units) for placed in one.placed)

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
        row.reserved_soft,
        row.reserved_firm,
        row.allocated,
        row.safety_stock,
        row.expired,
        row.eligible,
        atp_raw(row),
        max(0, atp_raw(row)) - exposed(row) if row.eligible else 0,
        row.atp,
        row.confidence,
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
            reading = channel_status(state.atp, terms_of(state), state.horizon)
            day, units = next_shown(state.atp, terms_of(state), state.horizon) or (None, None)
            seen = state.orders_seen or None
            yield (
                state.channel, sku, state.atp, reading, state.ring, state.pool, day, units, seen, state.version,
                row.clock,
            )  # fmt: skip


def _supply(sku: str, order: str, number: int, row: Supply) -> tuple[Any, ...]:
    one = line(row)
    return (
        sku, order, number, one.location, one.ordered, one.confirmed, one.shipped, one.received, one.open, one.over,
        one.final, row.last_time,
    )  # fmt: skip


def _inbound(sku: str, row: Network) -> Iterator[tuple[Any, ...]]:
    for one in row.inbound:
        document, _, number = one.what.rpartition("|")
        yield sku, one.day, one.location, one.units, one.state, one.overdue, unescape(document), int(number)
