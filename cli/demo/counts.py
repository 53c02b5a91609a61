"""Two stores count while they sell: one finds what was booked wrong, the other what its registers had not sent."""

from atp.events import MINUTE, CountRecorded, Document, GoodsReceived, StockAdjusted
from cli.demo.customers import sale
from cli.demo.retailer import COUNTED, OFFLINE, Product
from cli.demo.telling import MIDNIGHT, Step, Telling


def counts(day: Telling) -> None:
    """Count one store at 14:00 while it sells, and another at 11:30 while its registers are offline."""
    twice, sign, shrunk = day.count_skus[:3]
    for paper, minute in (("G-7701", 10 * 60), ("G-7701-COPY", 10 * 60 + 20)):
        day.at(minute, book_in(day, twice, paper))
    day.at(11 * 60, book_wrong(day, sign))
    differences = {
        twice.sku: (-17, "booked but not counted"),
        sign.sku: (-26, "booked with the wrong sign"),
        shrunk.sku: (-5, "not explained by any one document"),
    }
    for product in day.count_skus:
        difference, words = differences.get(product.sku, (0, ""))
        day.at(14 * 60, count(day, product, COUNTED, difference, words))
    for product in day.offline_skus:
        for minute in (10 * 60 + 10, 10 * 60 + 40, 11 * 60 + 5):
            day.at(minute, sale(day, product, OFFLINE, 2))
        day.at(11 * 60 + 30, count(day, product, OFFLINE, 0, ""))
        day.plan.restated += 1


def book_in(day: Telling, product: Product, paper: str) -> Step:
    def step(minute: int) -> None:
        day.move(
            GoodsReceived(
                source=f"store:{COUNTED}",
                document=Document("grn", paper, 1),
                event_time=day.moment(minute),
                sku=product.sku,
                location=COUNTED,
                quantity=17,
            ),
            once=True,
        )

    return step


def book_wrong(day: Telling, product: Product) -> Step:
    def step(minute: int) -> None:
        day.move(
            StockAdjusted(
                source=f"store:{COUNTED}",
                document=Document("adjustment", "J-13", 1),
                event_time=day.moment(minute),
                sku=product.sku,
                location=COUNTED,
                quantity=13,
                reason="damaged",
            ),
            once=True,
        )

    return step


def count(day: Telling, product: Product, store: str, difference: int, words: str) -> Step:
    def step(minute: int) -> None:
        here = product.sku, store
        event = CountRecorded(
            source=f"store:{store}",
            document=Document("count", f"C-{store}", 1),
            event_time=MIDNIGHT + (minute + 15) * MINUTE,
            as_of=MIDNIGHT + minute * MINUTE,
            sku=product.sku,
            location=store,
            quantity=day.on_hand[here] + difference,
        )
        day.send(event, once=True)
        day.plan.erp["COUNT"] += difference
        day.on_hand[here] += difference
        day.sellable[here] += difference
        if difference:
            day.plan.variances["COUNT", product.sku, store] = difference, words

    return step
