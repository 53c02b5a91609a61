"""What each output costs: `python -m bench.outputs`, in microseconds of CPU per event, without a broker.

Each case folds the same kind of event for one SKU again and again, puts the changed rows back and encodes rows and
effects; what stands around it differs: locations, channels, claims, supply, a kit. The least of some runs counts.
"""

import gc
import sys
import time
from collections.abc import Iterator

from atp.book import Row
from atp.events import (
    DAY,
    SECOND,
    AsnShipped,
    Document,
    Event,
    GoodsReceived,
    MasterChanged,
    PolicyChanged,
    PolicyFields,
    Ref,
    ReservationPlaced,
    ReservationRequested,
    SaleRecorded,
    TimeTicked,
)
from atp.fold import Frame, fold
from avro_schemas import codec
from streams.memory import MemoryRows

BEGIN = 1_795_161_600 * SECOND
SKU = "SKU-1"
EVENTS = 400
RUNS = 3
CHANNELS = (1, 4, 8)
LOCATIONS = (1, 30, 300)
STOCK = 100_000


def stand(channels: int, locations: int) -> Iterator[Event]:
    """A tick, policies that declare channels beside the one that is always there, and goods at every location."""
    yield TimeTicked(source="clock", document=Document("tick", "1", 1), event_time=BEGIN)
    for number in range(1, channels):
        paper = Document("policy", f"C{number}", 1)
        policy = PolicyFields(share_percent=90)
        yield PolicyChanged(source="planner", document=paper, event_time=BEGIN, channel=f"C{number}", policy=policy)
    for number in range(locations):
        paper = Document("grn", f"G{number}", 1)
        place = f"S{number:03d}"
        yield GoodsReceived(
            source="wms", document=paper, event_time=BEGIN, sku=SKU, location=place, quantity=STOCK,
            purchase_order=Ref("P-1", number + 1),
        )  # fmt: skip


def promise() -> Iterator[Event]:
    """One order that waits for a location: from here on the network answers."""
    yield ReservationPlaced(
        source="web", document=Document("order", "O-1", 1), event_time=BEGIN, sku=SKU, channel="all", quantity=1,
        order=Ref("O-1", 1), state="firm",
    )  # fmt: skip


def supply(lines: int) -> Iterator[Event]:
    """Shipments that come on different days."""
    for number in range(lines):
        yield AsnShipped(
            source="supplier", document=Document("asn", f"A{number}", 1), event_time=BEGIN, sku=SKU, location="S000",
            quantity=10, purchase_order=Ref("P-2", number + 1), eta=f"2026-11-{22 + number:02d}",
        )  # fmt: skip


def kit() -> Iterator[Event]:
    """A bill that names the SKU."""
    paper = Document("bill", "K", 1)
    yield MasterChanged(source="pim", document=paper, event_time=BEGIN, sku=SKU, kit="KIT", components={SKU: 1, "X": 2})


def sales(channels: int, locations: int, place: str = "") -> Iterator[Event]:
    """Sales of single units through the last channel, location by location; or where nothing was received."""
    for number in range(EVENTS):
        yield SaleRecorded(
            source="pos", document=Document("receipt", f"T{number}", 1), event_time=BEGIN + number, sku=SKU,
            location=f"{place}{number}" if place else f"S{number % locations:03d}", channel=_last(channels), quantity=1,
        )  # fmt: skip


def requests(channels: int) -> Iterator[Event]:
    """Requests of one unit from anywhere, each for an order of its own, through the last channel."""
    for number in range(EVENTS):
        yield ReservationRequested(
            source="web", document=Document("request", f"R{number}", 1), request_id=f"R{number}",
            event_time=BEGIN + number, expires_at=BEGIN + DAY, sku=SKU, channel=_last(channels), quantity=1,
            order=Ref(f"O-{number}", 1), state="soft",
        )  # fmt: skip


def _last(channels: int) -> str:
    return f"C{channels - 1}" if channels > 1 else "all"


def cost(before: list[Event], events: list[Event]) -> tuple[float, float]:
    """Return microseconds of CPU and effects per event: folded, rows put back, rows and effects encoded."""
    best, effects = float("inf"), 0
    for _ in range(RUNS):
        rows, frame = MemoryRows(), Frame(window=7 * DAY)
        for event in before:
            _put(rows, fold(rows, event, frame).changes)
        effects = 0
        gc.collect()
        began = time.process_time()
        for event in events:
            outcome = fold(rows, event, frame)
            assert outcome.verdict == "folded", outcome
            for row in outcome.changes.values():
                if row is not None:
                    codec.encode_row(row)
            for effect in outcome.effects:
                codec.encode(effect)
            effects += len(outcome.effects)
            _put(rows, outcome.changes)
        best = min(best, time.process_time() - began)
    return best / len(events) * 1e6, effects / len(events)


def _put(rows: MemoryRows, changes: dict[str, Row | None]) -> None:
    for key, row in changes.items():
        rows.put(key, row)


def cases() -> Iterator[tuple[str, list[Event], list[Event]]]:
    """What is measured: its name, what stands before, and the events that are timed."""
    for channels in CHANNELS:
        for locations in LOCATIONS:
            where = f"{channels} channels, {locations} locations"
            standing = list(stand(channels, locations))
            sold = list(sales(channels, locations))
            yield f"sale, nothing promised, {where}", standing, sold
            yield f"sale, network answers, {where}", [*standing, *promise()], sold
            yield f"request decided, {where}", standing, list(requests(channels))
    standing, sold = list(stand(4, 30)), list(sales(4, 30))
    for lines in (1, 8):
        yield f"sale, horizon of {lines} shipments, 4 channels, 30 locations", [*standing, *supply(lines)], sold
    yield "sale of a kit's component, 4 channels, 30 locations", [*standing, *kit()], sold
    yield "sale that finds no stock: risk, exception", standing, list(sales(4, 30, "N"))


if __name__ == "__main__":
    for name, before, events in cases():
        microseconds, effects = cost(before, events)
        sys.stdout.write(f"{name:<62}{microseconds:8.0f} us {effects:6.1f} effects\n")
