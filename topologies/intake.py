"""What source systems send, into canonical lines of the ledger: the fold knows a line that comes twice.

Each kind of source has a topic of its own, so that whoever may write sales cannot write policies.
"""

from dataclasses import dataclass

from atp import events as e
from atp.events import Event
from topologies import topics
from topologies.topics import Topic

OURS = (e.TimeTicked, e.ReservationDecided, e.SequenceGapOpened, e.SequenceGapClosed)
"""Events that no source may send: they are our own."""


@dataclass(frozen=True, slots=True)
class Inbound:
    """An inbound topic and the events that it may bring; of these it also takes marks and corrections."""

    topic: Topic
    takes: tuple[type, ...]

    def admits(self, event: Event) -> bool:
        """Say whether the event may come by this topic."""
        match event:
            case e.SourceMark():
                return True
            case e.Correction():
                return event.reverses.type in {kind.__name__ for kind in self.takes}
            case _:
                return type(event) in self.takes


_TAKES: dict[str, tuple[type, ...]] = {
    "pos-sales": (e.SaleRecorded, e.SaleVoided, e.ReturnReceived, e.PickupConfirmed, e.FinancialOnly),
    "shipments": (e.ShipmentConfirmed, e.ShipmentReversed, e.PickupConfirmed),
    "receipts": (e.GoodsReceived,),
    "returns": (e.ReturnReceived, e.ReturnDispositioned, e.ReturnAuthorised),
    "adjustments": (e.StockAdjusted, e.StatusChanged, e.Converted, e.FinancialOnly),
    "orders": (
        e.ReservationRequested, e.ReservationPlaced, e.ReservationConfirmed, e.ReservationReleased,
        e.ReservationExpired, e.OrderCancelled, e.OrderAllocated, e.PickConfirmed, e.PickFailed,
    ),
    "transfers": (
        e.TransferShipped, e.TransferReceived, e.TransferLost, e.TransferRequested, e.TransferApproved,
        e.TransferRejected, e.ShipmentReversed,
    ),
    "counts": (e.CountRecorded, e.CountClosed, e.SnapshotReceived),
    "supply": (
        e.PurchaseOrderPlaced, e.PurchaseOrderChanged, e.PurchaseOrderCancelled, e.SupplierConfirmed, e.AsnShipped,
    ),
    "masters": (e.PolicyChanged, e.MasterChanged, e.AllocationGranted, e.AllocationReturned),
    "channel-reports": (e.ChannelAck, e.ChannelReported),
    "approvals": (e.ExceptionAcknowledged, e.AdviceDecided),
}  # fmt: skip

INBOUND = tuple(Inbound(topic, _TAKES[topic.name]) for topic in topics.INBOUND)


def inbound_for(event: Event) -> Inbound | None:
    """Return the first topic that takes the event; None for events that no source may send."""
    return next((one for one in INBOUND if one.admits(event)), None)


@dataclass(frozen=True, slots=True)
class Intake:
    """An agent per inbound topic, at least once. Its only state are the numbers of its sources' messages."""

    name: str
    """Part of consumer groups: renaming it is a migration."""
    sources: tuple[Inbound, ...]
    outputs: tuple[Topic, ...]

    def describe(self) -> str:
        """Say in a few lines what flows where."""
        lines = [f"topology {self.name}, by source"]
        for one in self.sources:
            taken = ", ".join(kind.__name__ for kind in one.takes)
            lines.append(f"  reads      {one.topic.name}: {taken}")
        lines += [f"  publishes  {topic.name}: {topic.holds}" for topic in self.outputs]
        return "\n".join(lines)


INTAKE = Intake("intake", INBOUND, (topics.LEDGER, topics.SEQUENCES, topics.DEAD_LETTERS))
