"""The same events without the pipeline: every channel sells from its own copy of what one system knows.

A story says how that goes, after `without:`

| word              | what it means                                                                      |
|-------------------|------------------------------------------------------------------------------------|
| `refresh=15`      | channels copy the system's stock every 15 minutes; without it, once, before the first order |
| `twice`           | a message that comes twice counts twice                                            |
| `asn_is_receipt`  | what an ASN announces is booked as received                                        |
| `returns_wait`    | what came back and was inspected is not booked within the story                    |
| `returns_at_once` | what came back is sold before anybody looked at it                                 |
| `refund_is_stock` | a refund is booked as goods that came back                                         |
| `holds_wait`      | a recall or a loss is not told to the channels within the story                    |
| `transfers_wait`  | what left on a transfer stays in the stock of the place that it left               |
| `posting_waits`   | sales and hand-overs are posted after the story                                    |
| `cancels_wait`    | a cancelled order keeps its units within the story                                 |
| `confirmed_is_stock` | what a supplier confirms is sold as if it were there                            |
| `till_counts_too` | the till takes an order's goods from the stock once more                           |
| `unwarned`        | nobody looks before the shelf is empty                                             |
| `count_replaces`  | a count replaces the stock, whatever happened since                                |
"""

from collections import Counter
from dataclasses import dataclass, field

from atp import events as e
from atp.events import MINUTE, Event
from cli.counted import counted


@dataclass
class Without:
    """What comes of it, of all SKUs of the story together; quantities in units."""

    words: dict[str, str]
    system: int = 0
    """What the system believes."""
    there: int = 0
    """What is there to sell."""
    copies: dict[str, int] = field(default_factory=dict)
    copied_at: int = -1
    asked: Counter[str] = field(default_factory=Counter)
    accepted: Counter[str] = field(default_factory=Counter)
    promises: dict[str, int] = field(default_factory=dict)
    """Units by order that are promised and not handed over."""
    seen: set[object] = field(default_factory=set)
    places: dict[str, tuple[str, ...]] = field(default_factory=dict)
    """By channel: the locations that may serve it, where not all may."""
    there_at: Counter[str] = field(default_factory=Counter)

    def hear(self, event: Event) -> None:
        """Let one event happen."""
        paper = (type(event), event.source, event.document)
        again = paper in self.seen
        self.seen.add(paper)
        if again and "twice" not in self.words:
            return
        moved, believed = self._moves(event)
        self.there += 0 if again else moved
        self.there_at[event.location] += 0 if again else moved
        if isinstance(event, e.PolicyChanged) and event.policy.locations:
            self.places[event.channel] = event.policy.locations
        self.system += believed
        if isinstance(event, e.ReservationRequested | e.ReservationPlaced):
            self._ask(event)
        elif isinstance(event, e.OrderCancelled) and event.order is not None and "cancels_wait" not in self.words:
            self.promises.pop(event.order.id, None)
        elif isinstance(event, e.ShipmentConfirmed | e.PickupConfirmed) and event.order is not None and not again:
            left = self.promises.get(event.order.id, 0) - event.quantity
            self.promises[event.order.id] = max(0, left)

    def _ask(self, event: e.ReservationRequested | e.ReservationPlaced) -> None:
        every = int(self.words.get("refresh", "0")) * MINUTE
        now = event.event_time // every if every else 0
        if now != self.copied_at:
            self.copied_at, self.copies = now, {}
        channel = event.channel or "all"
        mine = self.copies.setdefault(channel, self.system)
        self.asked[channel] += event.quantity
        if mine >= event.quantity:
            self.copies[channel] = mine - event.quantity
            self.accepted[channel] += event.quantity
            order = event.order.id if event.order else event.document.id
            self.promises[order] = self.promises.get(order, 0) + event.quantity

    def _moves(self, event: Event) -> tuple[int, int]:
        """Units that an event adds to what is there, and to what the system believes."""
        units, words = event.quantity, self.words
        match event:
            case e.GoodsReceived():
                return units, 0 if "asn_is_receipt" in words and event.purchase_order else units
            case e.AsnShipped():
                return 0, units if "asn_is_receipt" in words else 0
            case e.SupplierConfirmed():
                return 0, units if "confirmed_is_stock" in words and not event.rev else 0
            case e.SaleRecorded() if event.order is not None:
                return 0, -units if "till_counts_too" in words else 0
            case e.SaleRecorded():
                return -units, 0 if "posting_waits" in words else -units
            case e.ShipmentConfirmed() | e.PickupConfirmed():
                return -units, 0 if "posting_waits" in words else -units
            case e.ReturnReceived():
                return 0, units if "returns_at_once" in words else 0
            case e.FinancialOnly():
                return 0, units if "refund_is_stock" in words else 0
            case e.ReturnDispositioned():
                sold_on = units if event.disposition == "sellable" else 0
                return sold_on, 0 if {"returns_wait", "returns_at_once"} & words.keys() else sold_on
            case e.TransferShipped():
                return -units, 0 if "transfers_wait" in words else -units
            case e.TransferReceived():
                return units, 0 if "transfers_wait" in words else units
            case e.StockAdjusted():
                return units, 0 if "holds_wait" in words and units < 0 else units
            case e.StatusChanged():
                gone = -units if event.from_status == "sellable" else units if event.to_status == "sellable" else 0
                return gone, 0 if "holds_wait" in words else gone
            case e.CountRecorded() if "count_replaces" in words:
                return 0, units - self.system
            case e.CountRecorded() | _:
                return 0, 0

    def tell(self) -> list[str]:
        """Say what came of it."""
        told = [
            f"{channel} accepts {self.accepted[channel]} of the {counted(units, 'unit')} that it is asked for"
            for channel, units in sorted(self.asked.items())
        ]
        owed = sum(self.promises.values())
        if owed > max(0, self.there):
            short = counted(self.oversold, "unit")
            told.append(f"promised: {counted(owed, 'unit')}; there: {max(0, self.there)}; oversold: {short}")
        for channel, places in sorted(self.places.items()):
            reach = sum(self.there_at[place] for place in places)
            if self.accepted[channel] > reach and not self.oversold:
                told.append(f"{channel} can be served with {reach} of them: the rest lies where it cannot ship from")
        idle = min(self.there - owed, sum(self.asked.values()) - sum(self.accepted.values()))
        if idle > 0:
            told.append(f"refused to customers although there: {counted(idle, 'unit')}")
        if self.system != self.there:
            told.append(f"to sell, as the system believes: {counted(self.system, 'unit')}; there: {self.there}")
        if "unwarned" in self.words:
            told.append(f"left: {counted(self.there, 'unit')}, and nobody is told how fast they go")
        return told or ["nothing goes wrong"]

    @property
    def oversold(self) -> int:
        """Units promised that are not there."""
        return max(0, sum(self.promises.values()) - max(0, self.there))


def without(words: list[str]) -> Without:
    """Begin a story without the pipeline."""
    return Without({name: value for name, _, value in (word.partition("=") for word in words)})
