"""A small shop, from a seed: a day of lines, some revised, corrected, counted, sent again, out of order or in vain."""

import random
from dataclasses import replace
from typing import Any

from atp.events import (
    DAY,
    HOUR,
    MINUTE,
    SECOND,
    Correction,
    CountRecorded,
    Document,
    Event,
    EventRef,
    Fact,
    FinancialOnly,
    GoodsReceived,
    PickupConfirmed,
    PolicyChanged,
    PolicyFields,
    Ref,
    ReturnDispositioned,
    ReturnReceived,
    SaleRecorded,
    SaleVoided,
    ShipmentConfirmed,
    ShipmentReversed,
    StatusChanged,
    StockAdjusted,
    TimeTicked,
    TransferLost,
    TransferReceived,
    TransferShipped,
)

OPENING = 1_795_132_800 * SECOND + 8 * HOUR
"""2026-11-20 08:00 UTC."""
SKUS = ("SKU-1", "SKU-2", "SKU-3", "SKU-4", "Ä/ö %")
PLACES = ("DC1", "S1", "S2", "S3")
CHANNELS = ("", "store", "web", "marketplace")
BUCKETS = ("sellable", "returned", "quarantine", "damaged")
GARBAGE = (b"", b"\x00\x00", b"\xc3\x01" + b"\x07" * 30, b"nonsense" * 20)

Sent = Event | bytes
"""An event, or bytes that are none."""


class Shop:
    """Makes up what happens; the same seed makes up the same."""

    def __init__(self, seed: int) -> None:
        self.chance = random.Random(seed)
        self.lines: list[Fact] = []
        self._number = 0
        self._sequence: dict[str, int] = {}

    def day(self, size: int, *, conflicts: bool) -> list[Sent]:
        """Events in the order of arrival: mostly that of time, with resends and stragglers, ticks in between."""
        events: list[Event] = [self._policy() for _ in range(6)]
        events += [event for _ in range(size) for event in self._one()]
        chance = self.chance
        sent: list[tuple[float, Sent]] = []
        for event in events:
            arrival = event.event_time + chance.expovariate(1 / (20 * MINUTE))
            sent.append((arrival, event))
            while chance.random() < 0.15:
                arrival += chance.expovariate(1 / HOUR)
                sent.append((arrival, replace(event, event_id=f"again-{chance.randrange(1000)}")))
            if conflicts and chance.random() < 0.03 and not isinstance(event, PolicyChanged):
                sent.append((arrival, replace(event, reason="otherwise")))
                old = replace(event, document=Document("old", "x", 1), event_time=OPENING - 9 * DAY)
                if isinstance(old, CountRecorded):
                    old = replace(old, as_of=old.event_time)
                elif isinstance(old, Correction):
                    old = replace(old, replacement=None)
                sent.append((arrival, old))
                sent.append((arrival, chance.choice(GARBAGE)))
        times = [OPENING + minute * MINUTE for minute in range(0, 14 * 60, 7)]
        sent += [(time, tick(time)) for time in times]
        sent.sort(key=lambda pair: pair[0])
        return [one for _, one in sent]

    def _one(self) -> list[Event]:
        chance = self.chance
        kind = chance.choices(
            (SaleRecorded, ShipmentConfirmed, PickupConfirmed, GoodsReceived, ReturnReceived, ReturnDispositioned,
             StockAdjusted, StatusChanged, TransferShipped, CountRecorded, FinancialOnly, "void", "revise"),
            (30, 10, 3, 12, 4, 4, 4, 4, 6, 8, 1, 6, 8),
        )[0]  # fmt: skip
        if isinstance(kind, str):
            if not self.lines:
                return []
            target = chance.choice(self.lines[-60:])
            return [self._void(target)] if kind == "void" else [self._revision(target)]
        line = self._fact(kind, chance.choice(SKUS), OPENING + chance.randrange(10 * 60) * MINUTE)
        self.lines.append(line)
        if isinstance(line, TransferShipped):
            return [line, *self._arrivals(line)]
        return [line]

    def _fact(self, kind: Any, sku: str, time: int, document: Document | None = None) -> Any:
        chance = self.chance
        source = chance.choice(("pos:1", "pos:2", "wms:1"))
        self._number += 1
        self._sequence[source] = self._sequence.get(source, 0) + 1
        common: dict[str, Any] = {
            "source": source,
            "document": document or Document("paper", f"D-{self._number}", 1),
            "event_time": time,
            "sku": sku,
            "location": chance.choice(PLACES),
            "channel": chance.choice(CHANNELS),
            "quantity": chance.randrange(1, 6),
            "source_seq": self._sequence[source] if chance.random() < 0.7 else None,
        }
        if kind is SaleRecorded and chance.random() < 0.1:
            common["order"] = Ref("O-1", 1)
        elif kind is GoodsReceived:
            common["quantity"] = chance.randrange(1, 30)
            common["to_status"] = chance.choice(("sellable", "sellable", "quarantine"))
        elif kind is ReturnDispositioned:
            common["disposition"] = chance.choice(("sellable", "damaged", "quarantine", "vendor_return", "scrap"))
        elif kind is StockAdjusted:
            common["quantity"] *= chance.choice((1, -1))
            common["reason"] = chance.choice(("found", "lost", "damaged", "vendor_return", "opening"))
        elif kind is StatusChanged:
            common["from_status"], common["to_status"] = chance.sample(BUCKETS, 2)
        elif kind is TransferShipped:
            common["to_location"] = chance.choice([p for p in PLACES if p != common["location"]])
            common["transfer"] = Ref(f"X-{self._number}", 1)
        elif kind is CountRecorded:
            common["quantity"] = chance.randrange(20)
            common["as_of"] = time - chance.randrange(60) * MINUTE
            common["scope"] = chance.choice(("on_hand", "on_hand", *BUCKETS))
            if chance.random() < 0.4:
                common["through_seq"] = {source: chance.randrange(1, 40)}
        return kind(**common)

    def _arrivals(self, shipped: TransferShipped) -> list[Event]:
        found: list[Event] = []
        left = shipped.quantity + self.chance.choice((0, 0, 0, 1))
        while left > 0 and self.chance.random() < 0.8:
            kind = self.chance.choice((TransferReceived, TransferReceived, TransferLost))
            arrival = self._fact(kind, shipped.sku, shipped.event_time + self.chance.randrange(-30, 200) * MINUTE)
            units = self.chance.randint(1, left)
            left -= units
            found.append(replace(arrival, transfer=shipped.transfer, location=shipped.to_location, quantity=units))
        return found

    def _revision(self, line: Fact) -> Event:
        time = line.event_time + self.chance.randrange(-60, 60) * MINUTE
        other = self._fact(type(line), line.sku, time, line.document)
        revised = replace(other, source=line.source, rev=line.rev + 1)
        self.lines.append(revised)
        return revised  # type: ignore[no-any-return]

    def _void(self, line: Fact) -> Event:
        self._number += 1
        common: dict[str, Any] = {
            "source": line.source,
            "document": Document("void", f"V-{self._number}", 1),
            "event_time": line.event_time + self.chance.randrange(1, 90) * MINUTE,
            "sku": line.sku,
            "reverses": EventRef(type(line).__name__, line.source, line.document),
        }
        if isinstance(line, SaleRecorded) and self.chance.random() < 0.5:
            return SaleVoided(**common)
        if isinstance(line, ShipmentConfirmed) and self.chance.random() < 0.5:
            return ShipmentReversed(**common)
        if self.chance.random() < 0.4:
            return Correction(**common)
        other = self._fact(type(line), line.sku, line.event_time, line.document)
        return Correction(**common, replacement=replace(other, source=line.source))

    def _policy(self) -> PolicyChanged:
        chance = self.chance
        self._number += 1
        return PolicyChanged(
            source="mdm",
            document=Document("policy", f"P-{self._number}", 1),
            event_time=OPENING + chance.randrange(-60, 600) * MINUTE,
            sku=chance.choice(("", "", *SKUS)),
            location=chance.choice(("", *PLACES)),
            channel=chance.choice(("", *CHANNELS)),
            policy=PolicyFields(
                safety_stock=chance.choice((None, 1, 3)),
                buffer=chance.choice((None, 0, 2)),
                share_percent=chance.choice((None, 50)),
                eligible=chance.choice((None, None, False, True)),
                locations=chance.choice((None, None, ("DC1", "S1"))),
                low_at=2,
                buffer_by_rate=(True, None)[self._number % 2],
                lag_s=(None, 600, 40_000)[self._number % 3],
                order_lag_s=(None, 9_000)[self._number // 2 % 2],
            ),
        )


def tick(time: int) -> TimeTicked:
    return TimeTicked(source="clock", document=Document("tick", str(time), 1), event_time=time)
