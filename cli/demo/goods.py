"""Goods on their way to the shelf: rules, opening stock, receipts, transfers, a recall."""

from atp.events import (
    HOUR,
    MINUTE,
    SECOND,
    Document,
    GoodsReceived,
    PolicyChanged,
    PolicyFields,
    Ref,
    StatusChanged,
    StockAdjusted,
    TransferLost,
    TransferReceived,
    TransferShipped,
)
from cli.demo.retailer import COUNTED, DCS, MARKETPLACES, OFFLINE, ONLINE, Product
from cli.demo.telling import CLOSE, MIDNIGHT, OPEN, OPENED, OPENING, PROMO_START, Step, Telling


def policies(day: Telling) -> None:
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
        day.send(event, after=SECOND if at else arrival, once=True)

    one, two = MARKETPLACES
    say(PolicyFields(locations=DCS, lag_s=5, low_at=10), channel=ONLINE)
    say(PolicyFields(locations=DCS, share_percent=60, buffer=2, lag_s=300, low_at=10), channel=one)
    say(PolicyFields(locations=("DC1",), share_percent=40, buffer=3, lag_s=600, low_at=10), channel=two)
    for dc in DCS:
        say(PolicyFields(safety_stock=2), location=dc)
    for product in day.retailer.products[:40]:
        say(PolicyFields(safety_stock=1), sku=product.sku, location=product.stores[0])
    for product in day.retailer.promoted:
        say(PolicyFields(buffer=5), sku=product.sku, channel=one, at=(PROMO_START - 10) * MINUTE)
        say(PolicyFields(buffer=2), sku=product.sku, channel=one, at=14 * HOUR)
    day.plan.delayed -= number - 2 * len(day.retailer.promoted)  # Rules of the day before are not late.


def openings(day: Telling) -> None:
    per_minute = day.store_sales * 1.5 / (CLOSE - OPEN)
    stories = {(one.sku, COUNTED) for one in day.count_skus}
    stories |= {(one.sku, OFFLINE) for one in day.offline_skus}
    for product in day.retailer.products:
        rate = per_minute * product.weight
        shelf = int(rate * (CLOSE - OPEN) / len(product.stores) * 1.6) + 6
        dc = int(60 + rate * 300)
        stock = dict.fromkeys(product.stores, shelf) | {"DC1": dc, "DC2": dc * 6 // 10}
        if product.promoted:
            stock |= {"DC1": int(day.burst * 0.7 * 1.12) + 20, "DC2": int(day.burst * 0.3 * 1.3) + 20}
        elif product in day.thin:
            stock |= {"DC1": 40 + int(rate * 45), "DC2": 20}
        for location, units in stock.items():
            opening(day, product, location, units + OPENED * ((product.sku, location) in stories))
    # Three of the promoted are sold on stale copies: a little more than DC1 has.
    for product in day.retailer.promoted[:3]:
        day.plan.oversold.add((product.sku, "DC1"))


def opening(day: Telling, product: Product, location: str, units: int) -> None:
    if (product.sku, location) in ((one.sku, "DC1") for one in day.retailer.promoted[:3]):
        units = int(day.burst * 0.7) - 6
    event = StockAdjusted(
        source=f"wms:{location}" if location in DCS else f"store:{location}",
        document=Document("opening", location, 1),
        event_time=day.moment(OPENING),
        sku=product.sku,
        location=location,
        quantity=units,
        reason="opening",
    )
    day.move(event, once=True)


def receipts(day: Telling) -> None:
    plain = [one for one in day.retailer.products if not one.promoted and one is not day.recalled]
    for _ in range(day.events // 250):
        product, dc = day.chance.choice(plain), day.chance.choice(DCS)
        if product not in day.thin:
            day.at(day.chance.randrange(6 * 60, 18 * 60), receipt(day, product, dc, 12, 60))
    for product in day.thin:
        day.at(day.chance.randrange(15 * 60, 17 * 60), receipt(day, product, "DC1", 200, 300))


def receipt(day: Telling, product: Product, dc: str, least: int, most: int) -> Step:
    def step(minute: int) -> None:
        units = day.chance.randrange(least, most + 1)
        day.move(
            GoodsReceived(
                source=f"wms:{dc}",
                document=day.paper("grn", dc),
                event_time=day.moment(minute),
                sku=product.sku,
                location=dc,
                quantity=units,
                purchase_order=Ref(f"PO-{day.papers}", 1),
            )
        )

    return step


def transfers(day: Telling) -> None:
    plain = [one for one in day.retailer.products if not one.promoted and one not in (*day.thin, day.recalled)]
    for number in range(max(6, day.events // 500)):
        product = day.chance.choice(plain)
        store = day.chance.choice([one for one in product.stores if one != COUNTED])
        dc = day.chance.choice(DCS)
        lost = 3 if number == 0 else 0
        day.at(day.chance.randrange(6 * 60, 11 * 60), transfer(day, product, dc, store, lost))


def transfer(day: Telling, product: Product, dc: str, store: str, lost: int) -> Step:
    def ship(minute: int) -> None:
        units = min(24 if lost else day.chance.randrange(6, 16), day.free(product, dc) // 2)
        if units <= lost:
            return
        day.papers += 1
        line = Ref(f"X-{day.papers}", 1)
        day.move(
            TransferShipped(
                source=f"wms:{dc}",
                document=day.paper("transfer-shipment", dc),
                event_time=day.moment(minute),
                sku=product.sku,
                location=dc,
                to_location=store,
                quantity=units,
                transfer=line,
            )
        )
        day.at(minute + day.chance.randrange(120, 260), receive(line, dc, units - lost))
        if lost:
            day.at(17 * 60, lose(line))

    def receive(line: Ref, sender: str, units: int) -> Step:
        def step(minute: int) -> None:
            day.move(
                TransferReceived(
                    source=f"store:{store}",
                    document=day.paper("transfer-receipt", store),
                    event_time=day.moment(minute),
                    sku=product.sku,
                    location=store,
                    from_location=sender,
                    quantity=units,
                    transfer=line,
                )
            )

        return step

    def lose(line: Ref) -> Step:
        def step(minute: int) -> None:
            event = TransferLost(
                source=f"store:{store}",
                document=day.paper("transfer-loss", store),
                event_time=day.moment(minute),
                sku=product.sku,
                location=store,
                quantity=lost,
                transfer=line,
            )
            day.move(event)
            day.plan.variances["TRANSFER", product.sku, store] = -lost, "lost on the way"

        return step

    return ship


def recall(day: Telling) -> None:
    def step(minute: int) -> None:
        for location in (*day.recalled.stores, *DCS):
            units = day.free(day.recalled, location)
            if units > 0:
                day.move(
                    StatusChanged(
                        source="quality",
                        document=Document("status", f"RECALL-{location}", 1),
                        event_time=MIDNIGHT + minute * MINUTE,
                        sku=day.recalled.sku,
                        location=location,
                        quantity=units,
                        from_status="sellable",
                        to_status="quarantine",
                    ),
                    once=True,
                )

    day.at(15 * 60, step)
