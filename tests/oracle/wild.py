"""Long random logs that hold everything a ledger may hold, from a seed."""

import random
from collections.abc import Callable
from dataclasses import replace
from typing import Any

from atp.claims import day_text
from atp.events import (
    DAY,
    Correction,
    CountRecorded,
    Document,
    Event,
    EventRef,
    Fact,
    FinancialOnly,
    GoodsReceived,
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

BEGIN = 1_763_000_000_000_000
PLACES = ("DC1", "S1", "S2")
CHANNELS = ("web", "store", "mp-1")
BUCKETS = ("sellable", "returned", "quarantine", "damaged")
SPAN = 12 * DAY
"""From the first event to the last: longer than the default window."""
NUMBERS_A_DAY = 100
"""A source's sequence numbers rise with time."""


class Wild:
    """Draws events one after another."""

    def __init__(self, seed: int, length: int, *, ticks: bool) -> None:
        self.chance = random.Random(seed)
        self.of_lots = random.Random(f"lots {seed}")
        self.rates = random.Random(f"rates of {seed}")
        """What is asked of buffers leaves the rest of a seed's log as it is."""
        self.length = length
        self.ticks = ticks
        self.now = BEGIN
        self.facts: list[Fact] = []

    def log(self) -> list[Event]:
        events: list[Event] = []
        for number in range(self.length):
            self.now += self.chance.randrange(2 * SPAN // self.length)
            events.extend(self._one(number))
        return events

    def _one(self, number: int) -> list[Event]:
        draw = self.chance.random()
        if self.ticks and draw < 0.05:
            return [TimeTicked(source="clock", document=Document("tick", str(number), 1), event_time=self.now)]
        if draw < 0.7 or not self.facts:
            fact = self._fact(self._base(number))
            self.facts.append(fact)
            return [fact]
        if draw < 0.8:
            return [self.chance.choice(self.facts[-60:])]
        if draw < 0.92:
            reversal = self._reversal(number)
            return [reversal] * self.chance.choice((1, 1, 1, 2))
        return [self._policy()]

    def _time(self) -> int:
        chance = self.chance
        behind = chance.randrange(2 * DAY) if chance.random() < 0.3 else 0
        return self.now - behind - (chance.randrange(15 * DAY) if chance.random() < 0.08 else 0)

    def _base(self, number: int) -> dict[str, Any]:
        chance, time = self.chance, self._time()
        return {
            "source": chance.choice(("s1", "s2")),
            # Now and then two papers have the same number.
            "document": Document("d", str(chance.randrange(self.length) if chance.random() < 0.5 else -number), 1),
            "event_time": time,
            "sku": f"A{chance.randrange(3)}",
            "location": chance.choice(PLACES),
            "channel": chance.choice(("", "", *CHANNELS)),
            "quantity": chance.randrange(1, 9),
            "rev": chance.choice((0, 0, 0, 0, 1, 2)),
            "source_seq": 1 + (time - BEGIN + SPAN * 2) * NUMBERS_A_DAY // DAY if chance.random() < 0.4 else None,
        }

    def _fact(self, base: dict[str, Any], kind: type[Fact] | None = None) -> Fact:
        chance = self.chance
        before, after = chance.sample(BUCKETS, 2)
        units, place, time = base["quantity"], base["location"], base["event_time"]
        elsewhere = [one for one in PLACES if one != place]
        transfer = Ref(f"X|{chance.randrange(1000)}", 1)
        last = self.facts[-1] if self.facts else None
        if isinstance(last, TransferShipped) and last.sku == base["sku"] and last.transfer:
            transfer = last.transfer
        made: dict[type[Fact], Callable[[], Fact]] = {
            SaleRecorded: lambda: SaleRecorded(**base, order=Ref("o", 1) if chance.random() < 0.1 else None),
            ShipmentConfirmed: lambda: ShipmentConfirmed(**base, order=Ref("o", 2)),
            GoodsReceived: lambda: GoodsReceived(**base, to_status=chance.choice(("sellable", *BUCKETS))),
            ReturnReceived: lambda: ReturnReceived(**base),
            ReturnDispositioned: lambda: ReturnDispositioned(
                **base, disposition=chance.choice(("sellable", "damaged", "quarantine", "vendor_return", "scrap"))
            ),
            StatusChanged: lambda: StatusChanged(**base, from_status=before, to_status=after),
            StockAdjusted: lambda: StockAdjusted(
                **{**base, "quantity": chance.choice((-1, 1)) * units},
                reason=chance.choice((None, "damaged", "found", "opening", "vendor_return")),
                status=chance.choice(("sellable", "sellable", *BUCKETS)),
            ),
            TransferShipped: lambda: TransferShipped(**base, to_location=chance.choice(elsewhere), transfer=transfer),
            TransferReceived: lambda: TransferReceived(**base, transfer=transfer),
            TransferLost: lambda: TransferLost(**base, transfer=transfer),
            CountRecorded: lambda: CountRecorded(
                **{**base, "quantity": chance.randrange(40)},
                as_of=time - chance.randrange(DAY) if chance.random() < 0.7 else None,
                scope=chance.choice(("on_hand", "on_hand", "on_hand", *BUCKETS)),
                through_seq={"s1": 1 + (time - BEGIN + SPAN * 2) * NUMBERS_A_DAY // DAY}
                if chance.random() < 0.3
                else None,
            ),
            FinancialOnly: lambda: FinancialOnly(**base),
        }
        return self._of_lot(made[kind or chance.choice(list(made))]())

    def _of_lot(self, fact: Fact) -> Fact:
        """Name a lot of some goods, or the day until which they last."""
        chance = self.of_lots
        if fact.sku == "A0" or chance.random() < 0.6:
            return fact
        lot = chance.choice((None, "L-1", "L|2", "L|2"))
        return replace(
            fact, lot=lot, expiry=chance.choice((None, day_text(BEGIN // DAY + chance.choice((5, 12, 20, 30)))))
        )

    def _reversal(self, number: int) -> Event:
        chance, time = self.chance, self._time()
        fact = chance.choice(self.facts[-80:])
        kind = type(fact)
        paper: dict[str, Any] = {
            "source": "desk",
            "document": Document("c", str(number) if chance.random() < 0.9 else "same", 1),
            "event_time": time,
            "sku": fact.sku,
            "reverses": EventRef(kind.__name__, fact.source, fact.document),
        }
        if kind is SaleRecorded and chance.random() < 0.5:
            return SaleVoided(**paper)
        if kind in (ShipmentConfirmed, TransferShipped) and chance.random() < 0.5:
            return ShipmentReversed(**paper)
        replacement = None
        if chance.random() < 0.7:
            base = {**self._base(number), "sku": fact.sku, "source": fact.source, "document": fact.document, "rev": 0}
            replacement = self._fact({**base, "event_time": time - chance.randrange(DAY)}, kind)
        return Correction(**paper, replacement=replacement)

    def _policy(self) -> PolicyChanged:
        chance = self.chance
        return PolicyChanged(
            source="mdm",
            document=Document("p", str(chance.randrange(40)), 1),
            event_time=self.now + chance.randrange(-3 * DAY, 2 * DAY),
            rev=chance.choice((0, 0, 1)),
            sku=chance.choice(("", f"A{chance.randrange(3)}")),
            location=chance.choice(("", *PLACES)),
            channel=chance.choice(("", *CHANNELS)),
            policy=PolicyFields(
                safety_stock=chance.choice((0, 2, 5)),
                eligible=chance.choice((None, None, None, True, False)),
                buffer=chance.choice((None, 1, 3)),
                share_percent=chance.choice((None, 50, 33)),
                cap=chance.choice((None, None, 7)),
                locations=chance.choice((None, None, ("DC1", "S1"))),
                min_life_days=self.of_lots.choice((None, None, 1, 3)),
                buffer_by_rate=self.rates.choice((None, True, True, False)),
                lag_s=self.rates.choice((None, 300, 40_000)),
                order_lag_s=self.rates.choice((None, None, 9_000)),
            ),
        )
