"""The toy: six movements, one row, one output. What a host costs when its fold costs next to nothing."""

from atp.book import Position, Row, Rows, position_key
from atp.effects import AvailabilityChanged, Cause, Effect
from atp.events import (
    Event,
    GoodsReceived,
    ReturnReceived,
    SaleRecorded,
    ShipmentConfirmed,
    StockAdjusted,
    TransferShipped,
)
from atp.fold import Frame, Outcome
from topologies import topics
from topologies.topics import Topic
from topologies.topology import Topology


def fold(rows: Rows, event: Event, frame: Frame) -> Outcome:
    """Add a movement to its position and say what is left: no evidence, no policies, no legs."""
    match event:
        case SaleRecorded() | ShipmentConfirmed() | TransferShipped():
            change = -event.quantity
        case GoodsReceived() | ReturnReceived() | StockAdjusted():
            change = event.quantity
        case _:
            return Outcome(verdict="kept", changes={}, effects=())
    key = position_key(event.sku, event.location)
    row = rows.get(key)
    had, version = (row.sellable, row.version) if isinstance(row, Position) else (0, 0)
    left = had + change
    position = Position(
        sellable=left,
        returned=0,
        quarantine=0,
        damaged=0,
        in_transit_in=0,
        safety_stock=0,
        eligible=True,
        low_at=0,
        counts=(),
        touches=(),
        atp=max(0, left),
        version=version + 1,
        as_of=event.event_time,
    )
    answer = AvailabilityChanged(
        key=f"node|{event.sku}|{event.location}",
        sku=event.sku,
        channel="",
        location=event.location,
        atp=position.atp,
        atp_raw=left,
        previous_atp=max(0, had) if version else None,
        status="IN_STOCK" if left > 0 else "OUT",
        epoch=frame.epoch,
        version=version + 1,
        as_of=event.event_time,
        computed_at=None,
        cause=Cause(type=type(event).__name__, key=event.document.id),
    )
    return Outcome(verdict="folded", changes={key: position}, effects=(answer,))


def route(effect: Effect) -> tuple[Topic, str]:
    """Everything that the toy says is availability."""
    assert isinstance(effect, AvailabilityChanged)
    return topics.AVAILABILITY, effect.key


def held(_: Row | None) -> int:
    """The toy keeps no double entry, so there is nothing that must add up."""
    return 0


TOY = Topology(
    name="toy",
    source=topics.LEDGER,
    key="SKU",
    fold=fold,
    changelog=topics.CHANGELOG,
    evidence=topics.EVIDENCE,
    route=route,
    outputs=(topics.AVAILABILITY, topics.DEAD_LETTERS),
    held=held,
)
