"""Long random logs with orders, requests, supply and ring-fences among the rest, from a seed."""

from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

from atp.events import (
    DAY,
    HOUR,
    AllocationGranted,
    AllocationReturned,
    AsnShipped,
    Converted,
    CountRecorded,
    Document,
    Event,
    Fact,
    GoodsReceived,
    OrderAllocated,
    OrderCancelled,
    PickConfirmed,
    PickFailed,
    PickupConfirmed,
    PolicyChanged,
    PurchaseOrderCancelled,
    PurchaseOrderChanged,
    PurchaseOrderPlaced,
    Ref,
    ReservationConfirmed,
    ReservationDecided,
    ReservationExpired,
    ReservationPlaced,
    ReservationReleased,
    ReservationRequested,
    SaleRecorded,
    ShipmentConfirmed,
    StockAdjusted,
    SupplierConfirmed,
    TimeTicked,
    TransferApproved,
    TransferRejected,
    TransferRequested,
    TransferShipped,
)
from tests.oracle.wild import BEGIN, CHANNELS, PLACES, Wild

LINE_LIFE = 2 * DAY
"""Orders are numbered by their days: what is said of one is said within the window."""


OFTEN: tuple[type[Fact], ...] = (ReservationPlaced, ReservationPlaced, ReservationConfirmed, ReservationConfirmed)


class WildPromises(Wild):
    """Draws events of goods as `Wild` does, and as many of demand and supply."""

    def __init__(self, seed: int, length: int, *, ticks: bool) -> None:
        super().__init__(seed, length, ticks=ticks)
        self.requests: list[ReservationRequested] = []

    def log(self) -> list[Event]:
        """Begin with stock to promise."""
        openings = [
            StockAdjusted(
                source="s1", document=Document("opening", place, 1), event_time=BEGIN, sku=f"A{n}", location=place,
                quantity=20 * n + 10,
            )
            for n in range(3) for place in PLACES
        ]  # fmt: skip
        return [*openings, *super().log()]

    def _one(self, number: int) -> list[Event]:
        draw = self.chance.random()
        if self.ticks and number % 10 == 0:
            return [TimeTicked(source="clock", document=Document("tick", str(number), 1), event_time=self.now)]
        if draw < 0.12:
            return [self._request(number)]
        if draw < 0.14 and self.requests:
            return [self._again(number)]
        if draw < 0.26:
            return [self._statement(number)]
        return super()._one(number)

    def _order(self, time: int) -> Ref:
        return Ref(f"O|{(time - BEGIN) // LINE_LIFE}-{self.chance.randrange(4)}", 1)

    def _day(self, time: int, *days: int) -> str:
        return datetime.fromtimestamp((time + self.chance.randrange(*days) * DAY) / 1_000_000, UTC).date().isoformat()

    def _fact(self, base: dict[str, Any], kind: type[Fact] | None = None) -> Fact:
        chance, time = self.chance, base["event_time"]
        if kind is None and chance.random() < 0.35:
            fact = super()._fact(base, kind)
        elif kind is None or kind in self._demand(base):
            kinds = self._demand(base)
            fact = kinds[kind or chance.choice((*kinds, *OFTEN))]()
        else:
            fact = super()._fact(base, kind)
        if isinstance(fact, SaleRecorded | ShipmentConfirmed | PickupConfirmed) and chance.random() < 0.6:
            fact = replace(fact, order=self._order(time))
        if isinstance(fact, TransferShipped) and chance.random() < 0.5:
            fact = replace(fact, eta=self._day(time, -3, 6))
        if isinstance(fact, GoodsReceived) and chance.random() < 0.5:
            fact = replace(fact, purchase_order=self._purchase(), final=chance.random() < 0.1)
        # What was picked for a line is forgotten with it.
        if isinstance(fact, CountRecorded) and time < BEGIN + 6 * DAY and chance.random() < 0.5:
            fact = replace(fact, excludes="picked")
        return fact

    def _demand(self, base: dict[str, Any]) -> dict[type[Fact], Callable[[], Fact]]:
        chance, time, place = self.chance, base["event_time"], base["location"]
        elsewhere = [one for one in PLACES if one != place]
        line = {**base, "order": self._order(time)}
        anywhere = {**line, "location": chance.choice(("", "", place))}
        marked = {**anywhere, "quantity": 0}
        take = {
            **anywhere,
            "order": chance.choice((line["order"], line["order"], line["order"], None)),
            "state": chance.choice(("soft", "soft", "firm")),
            "expires_at": chance.choice((None, time + chance.randrange(DAY))),
            "need_date": chance.choice((None, self._day(time, 0, 12))),
        }
        transfer = Ref(f"T|{(time - BEGIN) // LINE_LIFE}-{chance.randrange(2)}", 1)
        return {
            ReservationPlaced: lambda: ReservationPlaced(**take),
            ReservationDecided: lambda: ReservationDecided(
                **take,
                request_id=f"E-{base['document'].id}",
                decision=chance.choice(("accepted", "partly", "rejected")),
            ),
            ReservationConfirmed: lambda: ReservationConfirmed(**marked),
            ReservationReleased: lambda: ReservationReleased(**anywhere),
            ReservationExpired: lambda: ReservationExpired(**marked),
            OrderCancelled: lambda: OrderCancelled(**{**anywhere, "quantity": chance.choice((0, 1, 2, 3))}),
            OrderAllocated: lambda: OrderAllocated(**line, from_location=chance.choice(("", "", *elsewhere))),
            PickConfirmed: lambda: PickConfirmed(**line),
            PickFailed: lambda: PickFailed(**line),
            PickupConfirmed: lambda: PickupConfirmed(**line),
            ShipmentConfirmed: lambda: ShipmentConfirmed(**line),
            TransferApproved: lambda: TransferApproved(
                **base, to_location=chance.choice(elsewhere), transfer=transfer, eta=self._day(time, 0, 5)
            ),
            TransferShipped: lambda: TransferShipped(
                **base, to_location=chance.choice(elsewhere), transfer=transfer, eta=self._day(time, 0, 5)
            ),
            TransferRejected: lambda: TransferRejected(**{**base, "quantity": 0}, transfer=transfer),
            TransferRequested: lambda: TransferRequested(**base, to_location=chance.choice(elsewhere)),
            Converted: lambda: Converted(**{**base, "quantity": chance.choice((-1, 1)) * base["quantity"]}),
        }

    def _request(self, number: int) -> ReservationRequested:
        chance = self.chance
        base = {**self._base(number), "rev": 0}
        time = base["event_time"]
        request = ReservationRequested(
            **{**base, "location": chance.choice(("", "", base["location"]))},
            order=chance.choice((self._order(time), self._order(time), None)),
            request_id=f"R|{number}",
            state=chance.choice((None, "soft", "firm")),
            expires_at=chance.choice((None, time + chance.randrange(DAY))),
            need_date=chance.choice((None, None, self._day(time, 0, 12))),
            partial=chance.random() < 0.5,
        )
        self.requests.append(request)
        return request

    def _again(self, number: int) -> ReservationRequested:
        """The same request on other paper, or another one under its id."""
        request = self.chance.choice(self.requests[-10:])
        if self.chance.random() < 0.3:
            return replace(request, quantity=request.quantity + 1)
        return replace(request, document=request.document._replace(id=f"again {number}"), trace_id="other")

    def _purchase(self) -> Ref:
        return Ref(f"PO|{self.chance.randrange(self.length // 25)}", 1)

    def _statement(self, number: int) -> Event:
        chance = self.chance
        base = self._base(number)
        time = self.now + chance.randrange(-DAY, HOUR)
        base |= {"event_time": time, "location": chance.choice(("", *PLACES)), "rev": chance.choice((0, 0, 0, 1))}
        if chance.random() < 0.25:
            base |= {"location": "", "channel": chance.choice(CHANNELS)}
            if chance.random() < 0.3:
                return AllocationReturned(**base)
            return AllocationGranted(**base, priority=chance.randrange(3))
        base |= {"channel": "", "purchase_order": self._purchase()}
        due = {**base, "eta": chance.choice((None, *(self._day(time, -6, 9) for _ in range(4))))}
        kinds: tuple[Callable[[], Event], ...] = (
            lambda: PurchaseOrderPlaced(**due),
            lambda: PurchaseOrderChanged(**due),
            lambda: PurchaseOrderCancelled(**{**base, "quantity": 0}),
            lambda: SupplierConfirmed(**due),
            lambda: AsnShipped(**due, final=chance.random() < 0.1),
        )
        return chance.choice(kinds)()

    def _policy(self) -> PolicyChanged:
        chance = self.chance
        policy = super()._policy()
        if chance.random() < 0.5:
            return policy
        return replace(
            policy,
            policy=replace(
                policy.policy,
                dock_days=chance.choice((None, 0, 1)),
                max_slip_days=chance.choice((None, 2, 5)),
                supplier_late_p90_days=chance.choice((None, 0, 3)),
                count_ordered=chance.choice((None, True, False)),
                till_is_handover=chance.choice((None, None, True, False)),
                reserves_at=chance.choice((None, "cart", "payment")),
                hold_s=chance.choice((None, 3600, 90_000)),
                verify_days=chance.choice((None, None, 1, 60)),
                haircuts=chance.choice((None, True)),
            ),
        )
