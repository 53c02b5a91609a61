"""A retail day as messages, in the order in which they reach the ledger, and what they must come to.

The day is told minute by minute in event time, so that goods are sold where they are; then each message
travels: most arrive within seconds, some hours late, some twice, some broken. Everything follows from the seed.
"""

import random
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import cast

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
    StatusChanged,
    StockAdjusted,
    TimeTicked,
    TransferLost,
    TransferReceived,
    TransferShipped,
)
from avro_schemas import codec
from avro_schemas.schemas import MAGIC
from cli.demo.plan import Plan, moves
from cli.demo.retailer import DCS, MARKETPLACES, ONLINE, STORE, STORES, Product, Retailer, retailer

MIDNIGHT = int(datetime(2026, 11, 27, tzinfo=UTC).timestamp()) * SECOND
"""The day: a Friday in November, when retailers have the most to promise."""

OPENING, FIRST_TICK, OPEN, CLOSE, END = 5 * 60 + 30, 5 * 60, 8 * 60, 22 * 60, 22 * 60 + 30
PROMO_START, PROMO_END, RESTOCK = 12 * 60, 12 * 60 + 40, 13 * 60 + 10
"""Minutes of the day."""

BY_HOUR = (5, 7, 9, 10, 11, 9, 8, 8, 9, 11, 12, 10, 7, 4)
"""How sales spread over the hours from 8 to 22."""

OPENED = 60
"""Units that a position with a story opens with: a figure of its own, so that hints find the right paper."""


@dataclass(frozen=True, slots=True)
class Raw:
    """Bytes that are no event of ours, under the key of some SKU."""

    key: bytes
    value: bytes


@dataclass(frozen=True, slots=True)
class Message:
    """What reaches the ledger: an event or bytes, and when (microseconds since 1970-01-01 UTC)."""

    arrival: int
    what: Event | Raw


@dataclass(frozen=True, slots=True)
class Told:
    """A day: its messages in order, ticks among them, and what they must come to."""

    messages: tuple[Message, ...]
    plan: Plan
    promoted: tuple[str, ...]
    """SKUs of the flash promotion."""
    counted: str
    """The store whose count finds differences."""
    story: str
    """A SKU with something to tell there: a receipt that was booked twice, and the count that found it."""


def tell_day(events: int, seed: int) -> Told:
    """Tell a day of about `events` messages. Raises: ValueError below 2,000, where the stories have no room."""
    if events < 2_000:
        raise ValueError("a day needs at least 2000 events")
    return _Day(events, random.Random(seed)).tell()  # noqa: S311 - a day that can be had again, no secret


class _Day:
    def __init__(self, events: int, chance: random.Random) -> None:
        self.events = events
        self.chance = chance
        self.retailer: Retailer = retailer(events, chance)
        self.plan = Plan()
        self.on_hand: dict[tuple[str, str], int] = {}
        self.sellable: dict[tuple[str, str], int] = {}
        self.messages: list[Message] = []
        self.waiting: dict[int, list[Callable[[int], None]]] = {}
        self.papers = 0
        self.once: set[int] = set()
        """Places in `messages` that must not be sent again."""
        by_store = {store: [one for one in self.retailer.products if store in one.stores] for store in STORES}
        busiest = sorted(STORES, key=lambda store: (-len(by_store[store]), store))
        self.counted, self.offline = busiest[0], busiest[1]
        plain = [one for one in self.retailer.products if not one.promoted]
        self.recalled = plain[len(plain) // 2]
        self.count_skus = [one for one in by_store[self.counted] if one is not self.recalled][:12]
        self.offline_skus = [one for one in by_store[self.offline] if one is not self.recalled][:4]
        self.thin = [one for one in plain[:30] if one is not self.recalled][:: max(1, min(30, len(plain)) // 6)][:6]
        self.burst = max(40, events // 10 // len(self.retailer.promoted))
        """Units of each promoted SKU that the marketplaces sell in the flash promotion."""
        self.store_sales = int(events * 0.66)

    def tell(self) -> Told:
        self._policies()
        self._openings()
        self._counts()  # First of all steps of its minute: it counts what was there before that minute.
        self._recall()
        self._receipts()
        self._transfers()
        self._promotion()
        self._slips()
        self._orders()
        self._shops()
        for minute in range(OPENING, END):
            for step in self.waiting.pop(minute, ()):
                step(minute)
        self._resend()
        self._spoil()
        self._ticks()
        order = sorted(range(len(self.messages)), key=lambda n: (self.messages[n].arrival, n))
        told = tuple(self.messages[n] for n in order)
        plan = self.plan
        plan.messages = sum(not isinstance(one.what, TimeTicked) for one in told)
        plan.facts = plan.messages - plan.duplicates - plan.dead.total()
        plan.skus, plan.positions = len(self.retailer.products), len(self.on_hand)
        promoted = tuple(one.sku for one in self.retailer.promoted)
        return Told(told, plan, promoted, self.counted, self.count_skus[0].sku)

    # How things are told ----------------------------------------------------------------------------------

    def _at(self, minute: int, step: Callable[[int], None]) -> None:
        self.waiting.setdefault(max(OPENING, minute), []).append(step)

    def _paper(self, kind: str, where: str, line: int = 1) -> Document:
        self.papers += 1
        return Document(kind, f"{where}-{self.papers}", line)

    def _moment(self, minute: int) -> int:
        """A moment within the minute, never on its edge."""
        return MIDNIGHT + minute * MINUTE + self.chance.randrange(1, 60) * SECOND

    def _send(self, event: Event, *, after: int | None = None, once: bool = False) -> None:
        """Send an event; it arrives within two seconds, or `after` so many microseconds."""
        delay = self.chance.randrange(2 * SECOND) if after is None else after
        event.event_id = f"m-{len(self.messages):06d}"
        if once:
            self.once.add(len(self.messages))
        self.messages.append(Message(event.event_time + delay, event))
        self.plan.delayed += delay > MINUTE

    def _move(self, event: Fact, *, after: int | None = None, once: bool = False) -> None:
        """Send an event and move its goods."""
        self._book(event)
        self._send(event, after=after, once=once)

    def _book(self, event: Fact, times: int = 1) -> None:
        kind, on_hand, sellable = moves(event)
        if kind:
            here = event.sku, event.location
            self.plan.erp[kind] += times * on_hand
            self.on_hand[here] = self.on_hand.get(here, 0) + times * on_hand
            self.sellable[here] = self.sellable.get(here, 0) + times * sellable

    def _free(self, product: Product, location: str) -> int:
        return self.sellable.get((product.sku, location), 0)

    # What is there before the shops open --------------------------------------------------------------------

    def _policies(self) -> None:
        arrival = 5 * 60 * MINUTE + SECOND
        number = 0

        def say(fields: PolicyFields, *, sku: str = "", location: str = "", channel: str = "", at: int = 0) -> None:
            nonlocal number
            number += 1
            paper = Document("policy", f"POL-{number}", 1)
            event = PolicyChanged(
                source="mdm",
                document=paper,
                event_time=MIDNIGHT + at,
                sku=sku,
                location=location,
                channel=channel,
                policy=fields,
            )
            self._send(event, after=SECOND if at else arrival, once=True)

        one, two = MARKETPLACES
        say(PolicyFields(locations=DCS, lag_s=5, low_at=10), channel=ONLINE)
        say(PolicyFields(locations=DCS, share_percent=60, buffer=2, lag_s=300, low_at=10), channel=one)
        say(PolicyFields(locations=("DC1",), share_percent=40, buffer=3, lag_s=600, low_at=10), channel=two)
        for dc in DCS:
            say(PolicyFields(safety_stock=2), location=dc)
        for product in self.retailer.products[:40]:
            say(PolicyFields(safety_stock=1), sku=product.sku, location=product.stores[0])
        for product in self.retailer.promoted:
            say(PolicyFields(buffer=5), sku=product.sku, channel=one, at=(PROMO_START - 10) * MINUTE)
            say(PolicyFields(buffer=2), sku=product.sku, channel=one, at=14 * HOUR)
        self.plan.delayed -= number - 2 * len(self.retailer.promoted)  # Rules of the day before are not late.

    def _openings(self) -> None:
        per_minute = self.store_sales * 1.5 / (CLOSE - OPEN)
        stories = {(one.sku, self.counted) for one in self.count_skus}
        stories |= {(one.sku, self.offline) for one in self.offline_skus}
        for product in self.retailer.products:
            rate = per_minute * product.weight
            shelf = int(rate * (CLOSE - OPEN) / len(product.stores) * 1.6) + 6
            dc = int(60 + rate * 300)
            stock = dict.fromkeys(product.stores, shelf) | {"DC1": dc, "DC2": dc * 6 // 10}
            if product.promoted:
                stock |= {"DC1": int(self.burst * 0.7 * 1.12) + 20, "DC2": int(self.burst * 0.3 * 1.3) + 20}
            elif product in self.thin:
                stock |= {"DC1": 40 + int(rate * 45), "DC2": 20}
            for location, units in stock.items():
                self._opening(product, location, OPENED if (product.sku, location) in stories else units)
        # Three of the promoted are sold on stale copies: a little more than DC1 has.
        for product in self.retailer.promoted[:3]:
            self.plan.oversold.add((product.sku, "DC1"))

    def _opening(self, product: Product, location: str, units: int) -> None:
        if (product.sku, location) in ((one.sku, "DC1") for one in self.retailer.promoted[:3]):
            units = int(self.burst * 0.7) - 6
        event = StockAdjusted(
            source=f"wms:{location}" if location in DCS else f"store:{location}",
            document=Document("opening", location, 1),
            event_time=self._moment(OPENING),
            sku=product.sku,
            location=location,
            quantity=units,
            reason="opening",
        )
        self._move(event, once=True)

    # Goods come and go between places -----------------------------------------------------------------------

    def _receipts(self) -> None:
        plain = [one for one in self.retailer.products if not one.promoted and one is not self.recalled]
        for _ in range(self.events // 250):
            product, dc = self.chance.choice(plain), self.chance.choice(DCS)
            if product not in self.thin:
                self._at(self.chance.randrange(6 * 60, 18 * 60), self._receipt(product, dc, 12, 60))
        for product in self.thin:
            self._at(self.chance.randrange(15 * 60, 17 * 60), self._receipt(product, "DC1", 200, 300))

    def _receipt(self, product: Product, dc: str, least: int, most: int) -> Callable[[int], None]:
        def step(minute: int) -> None:
            units = self.chance.randrange(least, most + 1)
            self._move(
                GoodsReceived(
                    source=f"wms:{dc}",
                    document=self._paper("grn", dc),
                    event_time=self._moment(minute),
                    sku=product.sku,
                    location=dc,
                    quantity=units,
                    purchase_order=Ref(f"PO-{self.papers}", 1),
                )
            )

        return step

    def _transfers(self) -> None:
        plain = [one for one in self.retailer.products if not one.promoted and one not in (*self.thin, self.recalled)]
        for number in range(max(6, self.events // 500)):
            product = self.chance.choice(plain)
            store = self.chance.choice([one for one in product.stores if one != self.counted])
            dc = self.chance.choice(DCS)
            lost = 3 if number == 0 else 0
            self._at(self.chance.randrange(6 * 60, 11 * 60), self._transfer(product, dc, store, lost))

    def _transfer(self, product: Product, dc: str, store: str, lost: int) -> Callable[[int], None]:
        def ship(minute: int) -> None:
            units = min(24 if lost else self.chance.randrange(6, 16), self._free(product, dc) // 2)
            if units <= lost:
                return
            self.papers += 1
            line = Ref(f"X-{self.papers}", 1)
            self._move(
                TransferShipped(
                    source=f"wms:{dc}",
                    document=self._paper("transfer-shipment", dc),
                    event_time=self._moment(minute),
                    sku=product.sku,
                    location=dc,
                    to_location=store,
                    quantity=units,
                    transfer=line,
                )
            )
            self._at(minute + self.chance.randrange(120, 260), receive(line, dc, units - lost))
            if lost:
                self._at(17 * 60, lose(line))

        def receive(line: Ref, sender: str, units: int) -> Callable[[int], None]:
            def step(minute: int) -> None:
                self._move(
                    TransferReceived(
                        source=f"store:{store}",
                        document=self._paper("transfer-receipt", store),
                        event_time=self._moment(minute),
                        sku=product.sku,
                        location=store,
                        from_location=sender,
                        quantity=units,
                        transfer=line,
                    )
                )

            return step

        def lose(line: Ref) -> Callable[[int], None]:
            def step(minute: int) -> None:
                event = TransferLost(
                    source=f"store:{store}",
                    document=self._paper("transfer-loss", store),
                    event_time=self._moment(minute),
                    sku=product.sku,
                    location=store,
                    quantity=lost,
                    transfer=line,
                )
                self._move(event)
                self.plan.variances["TRANSFER", product.sku, store] = -lost, "lost on the way"

            return step

        return ship

    # Customers ------------------------------------------------------------------------------------------------

    def _shops(self) -> None:
        """Spread the sales of the stores over the day; every thirtieth comes back."""
        total = sum(BY_HOUR)
        products = self.retailer.products
        weights = [one.weight for one in products]
        for hour, share in enumerate(BY_HOUR):
            for product in self.chance.choices(products, weights, k=self.store_sales * share // total):
                store = self.chance.choice(product.stores)
                self._at(OPEN + hour * 60 + self.chance.randrange(60), self._sale(product, store))

    def _sale(self, product: Product, store: str, units: int = 0) -> Callable[[int], None]:
        def step(minute: int) -> None:
            wanted = units or self.chance.choice((1, 1, 1, 2, 2, 3))
            if self._free(product, store) < wanted or (product is self.recalled and minute >= 15 * 60):
                return
            event = SaleRecorded(
                source=f"pos:{store}-R{self.chance.randrange(1, 4)}",
                document=self._paper("receipt", store),
                event_time=self._moment(minute),
                sku=product.sku,
                location=store,
                quantity=wanted,
                channel=STORE,
            )
            self._move(event, after=self._travel(event, product))
            if self.chance.random() < 1 / 30 and product is not self.recalled:
                self._at(minute + self.chance.randrange(30, 240), self._return(event))

        return step

    def _travel(self, event: SaleRecorded, product: Product) -> int | None:
        """How long a sale takes to arrive: one store was offline from 10 to 12, and one message in 100 is slow."""
        if event.location == self.offline and 10 * HOUR <= event.event_time - MIDNIGHT < 12 * HOUR:
            return MIDNIGHT + 12 * HOUR + 5 * MINUTE + self.chance.randrange(30 * SECOND) - event.event_time
        if self.chance.random() < 0.01 and product is not self.recalled:
            return self.chance.randrange(5 * MINUTE, 3 * HOUR)
        return None

    def _return(self, sale: SaleRecorded) -> Callable[[int], None]:
        line = Ref(sale.document.id, sale.document.line)

        def bring(minute: int) -> None:
            event = ReturnReceived(
                source=sale.source,
                document=self._paper("return", sale.location),
                event_time=self._moment(minute),
                sku=sale.sku,
                location=sale.location,
                quantity=sale.quantity,
                return_ref=line,
            )
            self._move(event)
            self._at(minute + self.chance.randrange(5, 30), inspect)

        def inspect(minute: int) -> None:
            disposition = self.chance.choice(("sellable",) * 16 + ("damaged", "damaged", "vendor_return", "scrap"))
            self._move(
                ReturnDispositioned(
                    source=sale.source,
                    document=self._paper("inspection", sale.location),
                    event_time=self._moment(minute),
                    sku=sale.sku,
                    location=sale.location,
                    quantity=sale.quantity,
                    disposition=disposition,
                    return_ref=line,
                )
            )

        return bring

    def _orders(self) -> None:
        """Orders of the online shop and, out of the promotion, of the marketplaces; some are picked up in a store."""
        products = [one for one in self.retailer.products if one not in self.thin]
        weights = [one.weight for one in products]
        for product in self.chance.choices(products, weights, k=self.events // 12):
            minute = self.chance.randrange(OPEN, CLOSE)
            channel = self.chance.choice((ONLINE, ONLINE, ONLINE, *MARKETPLACES))
            if product.promoted and PROMO_START <= minute < RESTOCK:
                continue
            self._at(minute, self._order(product, channel))
        for product in self.thin:
            for _ in range(8):
                self._at(self.chance.randrange(11 * 60, 12 * 60), self._order(product, ONLINE))

    def _order(self, product: Product, channel: str) -> Callable[[int], None]:
        def step(minute: int) -> None:
            here = "DC1" if channel == MARKETPLACES[1] else self.chance.choice(DCS)
            reserve = 3 if not product.promoted else int(self.burst * 0.85) if minute < PROMO_START else 3
            if self._free(product, here) < reserve or product is self.recalled:
                return
            self.papers += 1
            order = Ref(f"O-{self.papers}", 1)
            kind = self.chance.random()
            store = self.chance.choice(product.stores)
            if channel == ONLINE and kind < 0.2 and self._free(product, store) > 3:
                self._move(
                    PickupConfirmed(
                        source=f"store:{store}",
                        document=self._paper("pickup", store),
                        event_time=self._moment(minute),
                        sku=product.sku,
                        location=store,
                        quantity=1,
                        order=order,
                        channel=ONLINE,
                    )
                )
                # The till takes the money of an order; its goods have left by the hand-over.
                self._move(
                    SaleRecorded(
                        source=f"pos:{store}-R1",
                        document=self._paper("receipt", store),
                        event_time=self._moment(minute),
                        sku=product.sku,
                        location=store,
                        quantity=1,
                        order=order,
                        channel=ONLINE,
                    )
                )
                return
            self._ship(product, here, channel, order, 1 + (kind > 0.8), minute)

        return step

    def _ship(self, product: Product, dc: str, channel: str, order: Ref, units: int, minute: int) -> None:
        self._move(
            ShipmentConfirmed(
                source=f"wms:{dc}",
                document=self._paper("package", dc),
                event_time=self._moment(minute),
                sku=product.sku,
                location=dc,
                quantity=units,
                order=order,
                channel=channel,
            )
        )

    def _promotion(self) -> None:
        """Two marketplaces sell the promoted SKUs for 40 minutes, faster than their copies follow."""
        one, two = MARKETPLACES
        for product in self.retailer.promoted:
            for number in range(self.burst):
                dc = "DC2" if number % 10 >= 7 else "DC1"
                channel = two if dc == "DC1" and number % 3 == 0 else one
                minute = PROMO_START + number * (PROMO_END - PROMO_START) // self.burst
                self._at(minute, self._burst_order(product, dc, channel))
            for dc in DCS:
                self._at(RESTOCK, self._receipt(product, dc, self.burst, self.burst + 50))

    def _burst_order(self, product: Product, dc: str, channel: str) -> Callable[[int], None]:
        def step(minute: int) -> None:
            self.papers += 1
            self._ship(product, dc, channel, Ref(f"O-{self.papers}", 1), 1, minute)

        return step

    # Counts -----------------------------------------------------------------------------------------------------

    def _counts(self) -> None:
        """Count one store at 14:00 while it sells, and another at 11:30 while its registers are offline."""
        twice, sign, shrunk = self.count_skus[:3]
        for paper, minute in (("G-7701", 10 * 60), ("G-7701-COPY", 10 * 60 + 20)):
            self._at(minute, self._book_in(twice, paper))
        self._at(11 * 60, self._book_wrong(sign))
        differences = {
            twice.sku: (-17, "booked but not counted"),
            sign.sku: (-26, "booked with the wrong sign"),
            shrunk.sku: (-5, "not explained by any one document"),
        }
        for product in self.count_skus:
            difference, words = differences.get(product.sku, (0, ""))
            self._at(14 * 60, self._count(product, self.counted, difference, words))
        for product in self.offline_skus:
            for minute in (10 * 60 + 10, 10 * 60 + 40, 11 * 60 + 5):
                self._at(minute, self._sale(product, self.offline, 2))
            self._at(11 * 60 + 30, self._count(product, self.offline, 0, ""))
            self.plan.restated += 1

    def _book_in(self, product: Product, paper: str) -> Callable[[int], None]:
        def step(minute: int) -> None:
            self._move(
                GoodsReceived(
                    source=f"store:{self.counted}",
                    document=Document("grn", paper, 1),
                    event_time=self._moment(minute),
                    sku=product.sku,
                    location=self.counted,
                    quantity=17,
                ),
                once=True,
            )

        return step

    def _book_wrong(self, product: Product) -> Callable[[int], None]:
        def step(minute: int) -> None:
            self._move(
                StockAdjusted(
                    source=f"store:{self.counted}",
                    document=Document("adjustment", "J-13", 1),
                    event_time=self._moment(minute),
                    sku=product.sku,
                    location=self.counted,
                    quantity=13,
                    reason="damaged",
                ),
                once=True,
            )

        return step

    def _count(self, product: Product, store: str, difference: int, words: str) -> Callable[[int], None]:
        def step(minute: int) -> None:
            here = product.sku, store
            event = CountRecorded(
                source=f"store:{store}",
                document=Document("count", f"C-{store}", 1),
                event_time=MIDNIGHT + (minute + 15) * MINUTE,
                as_of=MIDNIGHT + minute * MINUTE,
                sku=product.sku,
                location=store,
                quantity=self.on_hand[here] + difference,
            )
            self._send(event, once=True)
            self.plan.erp["COUNT"] += difference
            self.on_hand[here] += difference
            self.sellable[here] += difference
            if difference:
                self.plan.variances["COUNT", product.sku, store] = difference, words

        return step

    # Slips ------------------------------------------------------------------------------------------------------

    def _recall(self) -> None:
        def step(minute: int) -> None:
            for location in (*self.recalled.stores, *DCS):
                units = self._free(self.recalled, location)
                if units > 0:
                    self._move(
                        StatusChanged(
                            source="quality",
                            document=Document("status", f"RECALL-{location}", 1),
                            event_time=MIDNIGHT + minute * MINUTE,
                            sku=self.recalled.sku,
                            location=location,
                            quantity=units,
                            from_status="sellable",
                            to_status="quarantine",
                        ),
                        once=True,
                    )

        self._at(15 * 60, step)

    def _slips(self) -> None:
        """Voids, corrections, statements that contradict each other, and money without goods."""
        plain = [one for one in self.retailer.products if not one.promoted and one is not self.recalled]

        def somewhere() -> tuple[Product, str]:
            product = self.chance.choice(plain)
            return product, self.chance.choice([x for x in product.stores if x not in (self.counted, self.offline)])

        for _ in range(max(4, self.events // 3_000)):
            self._at(self.chance.randrange(9 * 60, 20 * 60), self._void(*somewhere()))
        for _ in range(max(2, self.events // 20_000)):
            self._at(self.chance.randrange(9 * 60, 20 * 60), self._correct(*somewhere()))
        for _ in range(3):
            self._at(self.chance.randrange(9 * 60, 20 * 60), self._contradict(*somewhere()))
        for _ in range(max(3, self.events // 4_000)):
            self._at(self.chance.randrange(9 * 60, 20 * 60), self._money(*somewhere()))

    def _plain_sale(self, product: Product, store: str, units: int, minute: int) -> SaleRecorded:
        return SaleRecorded(
            source=f"pos:{store}-R1",
            document=self._paper("receipt", store),
            event_time=self._moment(minute),
            sku=product.sku,
            location=store,
            quantity=units,
            channel=STORE,
        )

    def _void(self, product: Product, store: str) -> Callable[[int], None]:
        early = self.chance.random() < 0.3

        def step(minute: int) -> None:
            if self._free(product, store) < 3:
                return
            sale = self._plain_sale(product, store, 1, minute)
            # Some voids overtake the sale that they take back.
            self._send(sale, after=10 * MINUTE if early else None, once=True)
            void = SaleVoided(
                source=sale.source,
                document=self._paper("void", store),
                event_time=sale.event_time + 2 * MINUTE,
                sku=sale.sku,
                location=store,
                reverses=EventRef("SaleRecorded", sale.source, sale.document),
            )
            self._send(void, once=True)

        return step

    def _correct(self, product: Product, store: str) -> Callable[[int], None]:
        """Eleven typed for one, put right half an hour later."""

        def step(minute: int) -> None:
            if self._free(product, store) < 12:
                return
            sale = self._plain_sale(product, store, 11, minute)
            self._send(sale, once=True)
            right = replace(sale, quantity=1, event_id=None)
            self._book(right)
            correction = Correction(
                source=f"store:{store}",
                document=self._paper("correction", store),
                event_time=sale.event_time + 30 * MINUTE,
                sku=sale.sku,
                location=store,
                reason="typed 11 for 1",
                reverses=EventRef("SaleRecorded", sale.source, sale.document),
                replacement=right,
            )
            self._send(correction, once=True)

        return step

    def _contradict(self, product: Product, store: str) -> Callable[[int], None]:
        """The same line of the same receipt, told again with another quantity: the first stands."""

        def step(minute: int) -> None:
            if self._free(product, store) < 3:
                return
            sale = self._plain_sale(product, store, 1, minute)
            self._move(sale, after=SECOND, once=True)
            self._send(replace(sale, quantity=2), after=50 * SECOND, once=True)
            self.plan.dead["conflict"] += 1

        return step

    def _money(self, product: Product, store: str) -> Callable[[int], None]:
        def step(minute: int) -> None:
            self._send(
                FinancialOnly(
                    source=f"pos:{store}-R1",
                    document=self._paper("refund", store),
                    event_time=self._moment(minute),
                    sku=product.sku,
                    location=store,
                    quantity=1,
                    reason="price match",
                )
            )

        return step

    # How messages travel ------------------------------------------------------------------------------------------

    def _resend(self) -> None:
        """Send one message in 80 again, and an hour of one store in one go, each under another event id."""
        at = range(len(self.messages))
        chosen = {n for n in at if self.chance.random() < 1 / 80}
        store = STORES[len(STORES) // 2]
        hour = range(MIDNIGHT + 17 * HOUR, MIDNIGHT + 18 * HOUR)
        block = {n for n in at if self.messages[n].what.event_time in hour and self._of(n, store)}  # type: ignore[union-attr]
        for n in sorted(chosen | block):
            if n in self.once:
                continue
            message = self.messages[n]
            event = cast("Event", message.what)
            wait = self.chance.randrange(3 * SECOND, 10 * MINUTE)
            if n in block:
                wait += max(0, hour.stop - message.arrival)
            again = replace(event, event_id=f"{event.event_id}-again")
            self.messages.append(Message(message.arrival + wait, again))
            self.plan.duplicates += 1

    def _of(self, n: int, store: str) -> bool:
        event = self.messages[n].what
        return isinstance(event, SaleRecorded) and event.location == store

    def _spoil(self) -> None:
        """Add what must be refused: a forgotten register, clocks that are wrong, bytes that are no events."""
        plain = self.retailer.products
        for number in range(max(6, min(24, self.events // 5_000))):
            product = plain[number % len(plain)]
            sale = self._plain_sale(product, product.stores[0], 1, 12 * 60)
            sale.event_time -= 9 * DAY
            self._send(sale, after=9 * DAY + 4 * HOUR, once=True)
            self.plan.dead["late"] += 1
            self.plan.delayed -= 1
        for product in plain[:2]:
            sale = self._plain_sale(product, product.stores[0], 1, 13 * 60)
            sale.event_time += 365 * DAY
            self._send(sale, after=-365 * DAY, once=True)
            self.plan.dead["future"] += 1
        good = codec.encode(self._plain_sale(plain[0], plain[0].stores[0], 1, 600))
        noise = b"\x7f" + self.chance.randbytes(60)
        bad = (
            ("garbage", plain[0].sku, noise),
            ("garbage", plain[1].sku, b"receipt;S017;LAMP;2"),
            ("truncated", plain[0].sku, good[:-6]),
            ("truncated", plain[0].sku, good[: len(good) // 2]),
            ("unknown_schema", plain[2].sku, MAGIC + b"\x00" * 8 + good[10:]),
            ("misrouted", plain[3].sku, good),
        )
        for number, (cause, key, value) in enumerate(bad):
            arrival = MIDNIGHT + (9 * 60 + 97 * number) * MINUTE
            self.messages.append(Message(arrival, Raw(key.encode(), value)))
            self.plan.dead[cause] += 1

    def _ticks(self) -> None:
        """Let time pass: every quarter of an hour until the shops open, then every minute."""
        for minute in (*range(FIRST_TICK, OPEN, 15), *range(OPEN, END + 1)):
            time = MIDNIGHT + minute * MINUTE
            tick = TimeTicked(source="clock", document=Document("tick", str(minute), 1), event_time=time)
            self.messages.append(Message(time, tick))
