"""Single events of SKU A, each on a paper of its own, for tests that say exactly what happens."""

from dataclasses import replace
from typing import Any

from atp.events import (
    DAY,
    AsnShipped,
    Document,
    Event,
    GoodsReceived,
    PolicyChanged,
    PolicyFields,
    Ref,
    ReservationPlaced,
    ReservationRequested,
)
from tests.core.strategies import EIGHT, tick

O1 = Ref("O-1", 1)
NOON = tick(EIGHT + DAY // 2)
"""Half a day after the begin: when all of these events have happened."""


def more(kind: Any, quantity: int, **fields: Any) -> Any:
    """One more event of SKU A, on a document of its own."""
    usual = {"source": "more", "document": Document("more", "more", 1), "event_time": EIGHT + DAY // 2, "sku": "A"}
    return kind(**{**usual, "quantity": quantity, **fields})


def request(n: int, quantity: int = 1, channel: str = "web") -> ReservationRequested:
    document = Document("request", f"R-{n}", 1)
    asked: ReservationRequested = more(
        ReservationRequested, quantity, document=document, request_id=f"R-{n}", channel=channel
    )
    return asked


def stocked(**units: int) -> list[Event]:
    return [
        more(GoodsReceived, quantity, location=place, document=Document("grn", place, 1))
        for place, quantity in units.items()
        if quantity
    ]


def reserved(quantity: int, order: Ref = O1, **fields: Any) -> ReservationPlaced:
    placed: ReservationPlaced = more(
        ReservationPlaced, quantity, order=order, document=Document("reservation", *order), **fields
    )
    return placed


def locations(channel: str, *places: str) -> PolicyChanged:
    policy: PolicyChanged = more(
        PolicyChanged,
        0,
        document=Document("policy", channel, 1),
        channel=channel,
        policy=PolicyFields(locations=places),
    )
    return replace(policy, sku="")


def coming(place: str, quantity: int, day: str, line: int = 1) -> AsnShipped:
    asn: AsnShipped = more(AsnShipped, quantity, document=Document("asn", "ASN", line), location=place, eta=day)
    return replace(asn, purchase_order=Ref("PO-1", line))
