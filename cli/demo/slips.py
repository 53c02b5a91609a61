"""What people get wrong: voids, corrections, statements that contradict each other, money without goods."""

from dataclasses import replace

from atp.events import MINUTE, SECOND, Correction, EventRef, FinancialOnly, SaleRecorded, SaleVoided
from cli.demo.retailer import COUNTED, OFFLINE, STORE, Product
from cli.demo.telling import Step, Telling


def slips(day: Telling) -> None:
    """Voids, corrections, statements that contradict each other, and money without goods."""
    plain = [one for one in day.retailer.products if not one.promoted and one is not day.recalled]

    def somewhere() -> tuple[Product, str]:
        product = day.chance.choice(plain)
        return product, day.chance.choice([x for x in product.stores if x not in (COUNTED, OFFLINE)])

    for _ in range(max(4, day.events // 3_000)):
        day.at(day.chance.randrange(9 * 60, 20 * 60), void(day, *somewhere()))
    for _ in range(max(2, day.events // 20_000)):
        day.at(day.chance.randrange(9 * 60, 20 * 60), correct(day, *somewhere()))
    for _ in range(3):
        day.at(day.chance.randrange(9 * 60, 20 * 60), contradict(day, *somewhere()))
    for _ in range(max(3, day.events // 4_000)):
        day.at(day.chance.randrange(9 * 60, 20 * 60), money(day, *somewhere()))


def plain_sale(day: Telling, product: Product, store: str, units: int, minute: int) -> SaleRecorded:
    return SaleRecorded(
        source=f"pos:{store}-R1",
        document=day.paper("receipt", store),
        event_time=day.moment(minute),
        sku=product.sku,
        location=store,
        quantity=units,
        channel=STORE,
    )


def void(day: Telling, product: Product, store: str) -> Step:
    early = day.chance.random() < 0.3

    def step(minute: int) -> None:
        if day.free(product, store) < 3:
            return
        sale = plain_sale(day, product, store, 1, minute)
        # Some voids overtake the sale that they take back.
        day.send(sale, after=10 * MINUTE if early else None, once=True)
        void = SaleVoided(
            source=sale.source,
            document=day.paper("void", store),
            event_time=sale.event_time + 2 * MINUTE,
            sku=sale.sku,
            location=store,
            reverses=EventRef("SaleRecorded", sale.source, sale.document),
        )
        day.send(void, once=True)

    return step


def correct(day: Telling, product: Product, store: str) -> Step:
    """Eleven typed for one, put right half an hour later."""

    def step(minute: int) -> None:
        if day.free(product, store) < 12:
            return
        sale = plain_sale(day, product, store, 11, minute)
        day.send(sale, once=True)
        right = replace(sale, quantity=1, event_id=None)
        day.book(right)
        correction = Correction(
            source=f"store:{store}",
            document=day.paper("correction", store),
            event_time=sale.event_time + 30 * MINUTE,
            sku=sale.sku,
            location=store,
            reason="typed 11 for 1",
            reverses=EventRef("SaleRecorded", sale.source, sale.document),
            replacement=right,
        )
        day.send(correction, once=True)

    return step


def contradict(day: Telling, product: Product, store: str) -> Step:
    """The same line of the same receipt, told again with another quantity: the first stands."""

    def step(minute: int) -> None:
        if day.free(product, store) < 3:
            return
        sale = plain_sale(day, product, store, 1, minute)
        day.move(sale, after=SECOND, once=True)
        day.send(replace(sale, quantity=2), after=50 * SECOND, once=True)
        day.plan.dead["conflict"] += 1

    return step


def money(day: Telling, product: Product, store: str) -> Step:
    def step(minute: int) -> None:
        day.send(
            FinancialOnly(
                source=f"pos:{store}-R1",
                document=day.paper("refund", store),
                event_time=day.moment(minute),
                sku=product.sku,
                location=store,
                quantity=1,
                reason="price match",
            )
        )

    return step
