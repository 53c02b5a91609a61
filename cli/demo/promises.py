"""What is promised in the day: races for last units, a ring-fence, supply that comes short or not at all, a kit.

Each is about SKUs of its own, so that what must come of it can be said before anything runs.
"""

from typing import Any

from atp.events import (
    HOUR,
    MINUTE,
    AllocationGranted,
    AsnShipped,
    Document,
    GoodsReceived,
    MasterChanged,
    PurchaseOrderPlaced,
    Ref,
    ReservationRequested,
    StockAdjusted,
    SupplierConfirmed,
)
from cli.demo.retailer import MARKETPLACES, ONLINE
from cli.demo.telling import MIDNIGHT, OPENING, PROMO_START, Telling

RACES, LAST_UNITS, ASKED = 8, 7, 45
"""SKUs of which so many units are left, and requests for one unit of each, of three channels, in one minute."""
FENCED, FENCE, STOCK = "FENCED-LAMP", 5, 20
"""The ring-fence of the online shop, and what may be promised in all."""
SHORT, LATE, ANNOUNCED, CAME = "SHORT-SOFA", "LATE-BED", 40, 36
"""Both were to come yesterday: one comes short in the afternoon, the other not at all."""
KIT, TOP, LEG = "KIT-DESK", "KIT-DESK-TOP", "KIT-DESK-LEG"
TOPS, LEGS, LEGS_EACH = 10, 30, 4
SAFETY = 2
"""Units that policy keeps back at a DC."""
PLACE = "DC1"
TODAY, YESTERDAY, TOMORROW = "2026-11-27", "2026-11-26", "2026-11-28"


def promises(day: Telling) -> None:
    """Tell of what is asked for and promised."""
    for number in range(1, RACES + 1):
        _race(day, f"LAST-UNITS-{number}")
    _ring_fence(day)
    _late_supply(day)
    _kit(day)


def _race(day: Telling, sku: str) -> None:
    _stock(day, sku, LAST_UNITS)
    for number in range(ASKED):
        # In the minute in which a worker is killed: whoever takes over must know what was promised.
        _ask(day, sku, (ONLINE, *MARKETPLACES)[number % 3], number, PROMO_START + 5)
    day.plan.granted[sku] = LAST_UNITS


def _ring_fence(day: Telling) -> None:
    _stock(day, FENCED, STOCK)
    grant = AllocationGranted(
        source="erp",
        document=day.paper("allocation", "A"),
        event_time=day.moment(OPENING + 5),
        sku=FENCED,
        channel=ONLINE,
        quantity=FENCE,
        priority=1,
    )
    day.send(grant)
    for number in range(STOCK):
        _ask(day, FENCED, MARKETPLACES[0], number, PROMO_START + 1)
    for number in range(FENCE):
        _ask(day, FENCED, ONLINE, STOCK + number, PROMO_START + 30)
    day.plan.granted[FENCED] = STOCK
    day.plan.fenced[FENCED, ONLINE] = FENCE


def _late_supply(day: Telling) -> None:
    _announce(day, LATE)
    day.plan.expected[LATE] = TOMORROW
    line = _announce(day, SHORT)

    def arrive(minute: int) -> None:
        came = GoodsReceived(
            source=f"wms:{PLACE}",
            document=day.paper("grn", PLACE),
            event_time=day.moment(minute),
            sku=SHORT,
            location=PLACE,
            quantity=CAME,
            purchase_order=line,
            final=True,
        )
        day.move(came)

    day.at(15 * 60, arrive)
    day.plan.variances["ASN", SHORT, PLACE] = (CAME - ANNOUNCED, "short")


def _announce(day: Telling, sku: str) -> Ref:
    """Order, confirm and ship for yesterday: news of the night, read in the morning."""
    line = Ref(f"PO-{sku}", 1)
    early: dict[str, Any] = {
        "source": "erp",
        "sku": sku,
        "location": PLACE,
        "event_time": MIDNIGHT + 5 * HOUR,
        "quantity": ANNOUNCED,
        "eta": YESTERDAY,
    }
    order = PurchaseOrderPlaced(**early, document=Document("purchase_order", line.id, 1))
    confirmation = SupplierConfirmed(**early, document=day.paper("confirmation", "K"), purchase_order=line)
    notice = AsnShipped(**early, document=day.paper("asn", "ASN"), purchase_order=line, final=True)
    for event in (order, confirmation, notice):
        day.send(event, after=MINUTE * (OPENING - 5 * 60))
        day.plan.delayed -= 1
    return line


def _kit(day: Telling) -> None:
    bill = MasterChanged(
        source="mdm",
        document=Document("bill", KIT, 1),
        event_time=MIDNIGHT + 5 * HOUR,
        kit=KIT,
        components={TOP: 1, LEG: LEGS_EACH},
    )
    day.send(bill, after=MINUTE * (OPENING - 5 * 60), once=True)
    day.plan.delayed -= 1
    _stock(day, TOP, TOPS)
    _stock(day, LEG, LEGS)
    day.plan.kits[KIT] = min(TOPS, LEGS // LEGS_EACH)


def _stock(day: Telling, sku: str, units: int) -> None:
    opening = StockAdjusted(
        source=f"wms:{PLACE}",
        document=Document("opening", PLACE, 1),
        event_time=day.moment(OPENING),
        sku=sku,
        location=PLACE,
        quantity=units + SAFETY,
        reason="opening",
    )
    day.move(opening, once=True)


def _ask(day: Telling, sku: str, channel: str, number: int, minute: int) -> None:
    name = f"{sku}-{number}"
    request = ReservationRequested(
        source="oms",
        document=Document("request", name, 1),
        event_time=day.moment(minute),
        sku=sku,
        channel=channel,
        quantity=1,
        request_id=name,
        order=Ref(name, 1),
    )
    day.send(request)
    day.plan.requests += 1
