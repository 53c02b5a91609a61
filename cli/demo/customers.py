"""Customers: at the till, online, on marketplaces in a flash promotion, and back with what did not please."""

from atp.events import (
    HOUR,
    MINUTE,
    SECOND,
    PickupConfirmed,
    Ref,
    ReturnDispositioned,
    ReturnReceived,
    SaleRecorded,
    ShipmentConfirmed,
)
from cli.demo.goods import receipt
from cli.demo.retailer import DCS, MARKETPLACES, OFFLINE, ONLINE, STORE, Product
from cli.demo.telling import CLOSE, END, MIDNIGHT, OPEN, PROMO_END, PROMO_START, RESTOCK, Step, Telling

BY_HOUR = (5, 7, 9, 10, 11, 9, 8, 8, 9, 11, 12, 10, 7, 4)
"""How sales spread over the hours from 8 to 22."""


def shops(day: Telling) -> None:
    """Spread the sales of the stores over the day; every thirtieth comes back."""
    total = sum(BY_HOUR)
    products = day.retailer.products
    weights = [one.weight for one in products]
    for hour, share in enumerate(BY_HOUR):
        for product in day.chance.choices(products, weights, k=day.store_sales * share // total):
            store = day.chance.choice(product.stores)
            day.at(OPEN + hour * 60 + day.chance.randrange(60), sale(day, product, store))


def sale(day: Telling, product: Product, store: str, units: int = 0) -> Step:
    def step(minute: int) -> None:
        wanted = units or day.chance.choice((1, 1, 1, 2, 2, 3))
        if day.free(product, store) < wanted or (product is day.recalled and minute >= 15 * 60):
            return
        event = SaleRecorded(
            source=f"pos:{store}-R{day.chance.randrange(1, 4)}",
            document=day.paper("receipt", store),
            event_time=day.moment(minute),
            sku=product.sku,
            location=store,
            quantity=wanted,
            channel=STORE,
        )
        day.move(event, after=travel(day, event, product))
        if day.chance.random() < 1 / 30 and product is not day.recalled:
            day.at(minute + day.chance.randrange(30, 240), bring_back(day, event))

    return step


def travel(day: Telling, event: SaleRecorded, product: Product) -> int | None:
    """How long a sale takes to arrive: one store was offline from 10 to 12, and one message in 100 is slow."""
    if event.location == OFFLINE and 10 * HOUR <= event.event_time - MIDNIGHT < 12 * HOUR:
        return MIDNIGHT + 12 * HOUR + 5 * MINUTE + day.chance.randrange(30 * SECOND) - event.event_time
    if day.chance.random() < 0.01 and product is not day.recalled:
        slow = day.chance.randrange(5 * MINUTE, 3 * HOUR)
        return min(slow, MIDNIGHT + END * MINUTE - event.event_time)  # Nothing comes after the day is told.
    return None


def bring_back(day: Telling, sale: SaleRecorded) -> Step:
    line = Ref(sale.document.id, sale.document.line)

    def bring(minute: int) -> None:
        event = ReturnReceived(
            source=sale.source,
            document=day.paper("return", sale.location),
            event_time=day.moment(minute),
            sku=sale.sku,
            location=sale.location,
            quantity=sale.quantity,
            return_ref=line,
        )
        day.move(event)
        day.at(minute + day.chance.randrange(5, 30), inspect)

    def inspect(minute: int) -> None:
        disposition = day.chance.choice(("sellable",) * 16 + ("damaged", "damaged", "vendor_return", "scrap"))
        day.move(
            ReturnDispositioned(
                source=sale.source,
                document=day.paper("inspection", sale.location),
                event_time=day.moment(minute),
                sku=sale.sku,
                location=sale.location,
                quantity=sale.quantity,
                disposition=disposition,
                return_ref=line,
            )
        )

    return bring


def orders(day: Telling) -> None:
    """Orders of the online shop and, out of the promotion, of the marketplaces; some are picked up in a store."""
    products = [one for one in day.retailer.products if one not in day.thin]
    weights = [one.weight for one in products]
    for product in day.chance.choices(products, weights, k=day.events // 12):
        minute = day.chance.randrange(OPEN, CLOSE)
        channel = day.chance.choice((ONLINE, ONLINE, ONLINE, *MARKETPLACES))
        if product.promoted and PROMO_START <= minute < RESTOCK:
            continue
        day.at(minute, order(day, product, channel))
    for product in day.thin:
        for _ in range(8):
            day.at(day.chance.randrange(11 * 60, 12 * 60), order(day, product, ONLINE))


def order(day: Telling, product: Product, channel: str) -> Step:
    def step(minute: int) -> None:
        here = "DC1" if channel == MARKETPLACES[1] else day.chance.choice(DCS)
        reserve = 3 if not product.promoted else int(day.burst * 0.85) if minute < PROMO_START else 3
        if day.free(product, here) < reserve or product is day.recalled:
            return
        day.papers += 1
        order = Ref(f"O-{day.papers}", 1)
        kind = day.chance.random()
        store = day.chance.choice(product.stores)
        if channel == ONLINE and kind < 0.2 and day.free(product, store) > 3:
            day.move(
                PickupConfirmed(
                    source=f"store:{store}",
                    document=day.paper("pickup", store),
                    event_time=day.moment(minute),
                    sku=product.sku,
                    location=store,
                    quantity=1,
                    order=order,
                    channel=ONLINE,
                )
            )
            # The till takes the money of an order; its goods have left by the hand-over.
            day.move(
                SaleRecorded(
                    source=f"pos:{store}-R1",
                    document=day.paper("receipt", store),
                    event_time=day.moment(minute),
                    sku=product.sku,
                    location=store,
                    quantity=1,
                    order=order,
                    channel=ONLINE,
                )
            )
            return
        ship(day, product, here, channel, order, 1 + (kind > 0.8), minute)

    return step


def ship(day: Telling, product: Product, dc: str, channel: str, order: Ref, units: int, minute: int) -> None:
    day.move(
        ShipmentConfirmed(
            source=f"wms:{dc}",
            document=day.paper("package", dc),
            event_time=day.moment(minute),
            sku=product.sku,
            location=dc,
            quantity=units,
            order=order,
            channel=channel,
        )
    )


def promotion(day: Telling) -> None:
    """Two marketplaces sell the promoted SKUs for 40 minutes, faster than their copies follow."""
    one, two = MARKETPLACES
    for product in day.retailer.promoted:
        for number in range(day.burst):
            dc = "DC2" if number % 10 >= 7 else "DC1"
            channel = two if dc == "DC1" and number % 3 == 0 else one
            minute = PROMO_START + number * (PROMO_END - PROMO_START) // day.burst
            day.at(minute, burst_order(day, product, dc, channel))
        for dc in DCS:
            day.at(RESTOCK, receipt(day, product, dc, day.burst, day.burst + 50))


def burst_order(day: Telling, product: Product, dc: str, channel: str) -> Step:
    def step(minute: int) -> None:
        day.papers += 1
        ship(day, product, dc, channel, Ref(f"O-{day.papers}", 1), 1, minute)

    return step
