"""A retailer's year as events: the public Online Retail data set, line by line.

Every line of the file is told once, under its invoice number and its position within that invoice.
Source of the data: the UCI Machine Learning Repository, "Online Retail" (CC BY 4.0).
"""

import csv
import gzip
import random
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import BinaryIO

from atp.errors import PoisonError
from atp.events import (
    SECOND,
    Document,
    Event,
    FinancialOnly,
    Ref,
    ReturnDispositioned,
    ReturnReceived,
    SaleRecorded,
    StockAdjusted,
)

SOURCE = "online-retail"
CHANNEL = "online"
COLUMNS = ("InvoiceNo", "StockCode", "Description", "Quantity", "InvoiceDate", "Country")

# A stock line's code: five digits, then up to two letters of a variant. Everything else is postage, fees, gifts.
STOCK_CODE = re.compile(r"[0-9]{5}[A-Z]{0,2}")


@dataclass(frozen=True, slots=True)
class Line:
    """A line of the file; `position` counts from 1 within its invoice."""

    invoice: str
    position: int
    code: str
    description: str
    quantity: int
    time: int
    """Microseconds since 1970-01-01 UTC."""
    country: str

    @property
    def is_stock(self) -> bool:
        return STOCK_CODE.fullmatch(self.code) is not None


def open_file(path: Path) -> tuple[BinaryIO, Iterator[str]]:
    """Open a plain or gzipped CSV: the raw file, to tell progress by, and its lines of text."""
    raw = path.open("rb")
    compressed = raw.read(2) == b"\x1f\x8b"
    raw.seek(0)
    stream = gzip.GzipFile(fileobj=raw) if compressed else raw
    return raw, (line.decode("utf-8") for line in stream)


def read_lines(text: Iterable[str]) -> Iterator[Line]:
    """Read the lines in the order of the file. Raises PoisonError, naming line and column."""
    rows = csv.reader(text)
    header = next(rows, [])
    missing = [name for name in COLUMNS if name not in header]
    if missing:
        raise PoisonError(
            "header", f"the file lacks the columns {', '.join(missing)}: it does not look like Online Retail as CSV"
        )
    invoice_at, code_at, description_at, quantity_at, date_at, country_at = (header.index(name) for name in COLUMNS)
    positions: dict[str, int] = {}
    times: dict[str, int] = {}
    for row in rows:
        try:
            invoice, date = row[invoice_at], row[date_at]
            if (time := times.get(date)) is None:
                time = times[date] = _microseconds(date)
            positions[invoice] = position = positions.get(invoice, 0) + 1
            yield Line(
                invoice=invoice,
                position=position,
                code=row[code_at].upper(),
                description=row[description_at].strip(),
                quantity=int(row[quantity_at]),
                time=time,
                country=row[country_at],
            )
        except (ValueError, IndexError) as error:
            raise PoisonError("line", f"line {rows.line_num} of the file cannot be read: {error}") from error


def events_of(line: Line) -> tuple[Event, ...]:
    """Say what a line means: one event, or two for a return, which is back on sale at once."""
    paper = (line.invoice, line.position)
    ref = Ref(*paper)
    if not line.is_stock or line.quantity == 0:
        return (
            FinancialOnly(
                source=SOURCE,
                document=Document("invoice", *paper),
                event_time=line.time,
                sku=line.code,
                location=line.country,
                quantity=abs(line.quantity),
                reason=line.description or None,
            ),
        )
    if line.invoice.startswith("C"):
        return (
            ReturnReceived(
                source=SOURCE,
                document=Document("return", *paper),
                event_time=line.time,
                sku=line.code,
                location=line.country,
                quantity=abs(line.quantity),
                return_ref=ref,
            ),
            ReturnDispositioned(
                source=SOURCE,
                document=Document("inspection", *paper),
                event_time=line.time,
                sku=line.code,
                location=line.country,
                quantity=abs(line.quantity),
                disposition="sellable",
                return_ref=ref,
            ),
        )
    if line.quantity < 0:
        return (
            StockAdjusted(
                source=SOURCE,
                document=Document("adjustment", *paper),
                event_time=line.time,
                sku=line.code,
                location=line.country,
                quantity=line.quantity,
                reason=line.description or "unspecified",
            ),
        )
    return (
        SaleRecorded(
            source=SOURCE,
            document=Document("invoice", *paper),
            event_time=line.time,
            sku=line.code,
            location=line.country,
            channel=CHANNEL,
            quantity=line.quantity,
        ),
    )


def opening(line: Line, units: int) -> StockAdjusted:
    """Load the opening stock of the line's SKU-location, a second before the line.

    An adjustment with the reason `opening`, not a receipt: no supplier delivered it, so it balances against
    OPENING. Dated just before what it opens, it is no later than that is.
    """
    return StockAdjusted(
        source=SOURCE,
        document=Document("opening", line.country, 1),
        event_time=line.time - SECOND,
        sku=line.code,
        location=line.country,
        quantity=units,
        reason="opening",
    )


def told(lines: Iterable[Line], *, opening_stock: int = 0, duplicate_every: int = 0) -> Iterator[tuple[Event, ...]]:
    """Tell each line, after the opening stock of its SKU-location; every `duplicate_every`-th line twice."""
    opened: set[tuple[str, str]] = set()
    for number, line in enumerate(lines, start=1):
        events = events_of(line)
        if opening_stock and line.is_stock and (place := (line.code, line.country)) not in opened:
            opened.add(place)
            events = (opening(line, opening_stock), *events)
        yield events
        if duplicate_every and number % duplicate_every == 0:
            yield events


def shuffled(groups: Iterable[tuple[Event, ...]], within: int, seed: int) -> Iterator[Event]:
    """Yield the events of the groups, shuffled within windows of `within` groups; in order where it is 0."""
    chance = random.Random(seed)  # noqa: S311 - a shuffle that can be had again, no secret
    block: list[Event] = []
    for number, events in enumerate(groups, start=1):
        block.extend(events)
        if not within:
            yield from block
            block.clear()
        elif number % within == 0:
            chance.shuffle(block)
            yield from block
            block.clear()
    chance.shuffle(block)
    yield from block


def _microseconds(date: str) -> int:
    moment = datetime.fromisoformat(date)
    if moment.tzinfo is None:
        moment = moment.replace(tzinfo=UTC)
    return int(moment.timestamp()) * SECOND
