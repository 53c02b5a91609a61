"""What each event means: the legs that it moves, and the words by which the ERP knows it.

A leg moves units from one account to another; the opposite legs take an event back. Source: docs/domain.md
sections 3 and 9.
"""

from functools import lru_cache

from atp.book import Leg, escape
from atp.events import (
    Converted,
    Fact,
    GoodsReceived,
    PickupConfirmed,
    Ref,
    ReturnDispositioned,
    ReturnReceived,
    SaleRecorded,
    ShipmentConfirmed,
    StatusChanged,
    StockAdjusted,
    TransferLost,
    TransferReceived,
    TransferShipped,
)

SUPPLIER = "SUPPLIER"
CUSTOMER = "CUSTOMER"
VENDOR_RETURN = "VENDOR_RETURN"
SCRAP = "SCRAP"
SHRINK = "SHRINK"
FOUND = "FOUND"
COUNT_VAR = "COUNT_VAR"
OPENING = "OPENING"
CONVERSION = "CONVERSION"

LEAVING_DISPOSITIONS = {"vendor_return": VENDOR_RETURN, "scrap": SCRAP}
REASON_ACCOUNTS = {
    "opening": OPENING,
    "damaged": SCRAP,
    "expired": SCRAP,
    "destroyed": SCRAP,
    "vendor_return": VENDOR_RETURN,
}

DOCUMENT_TYPES = {
    "SaleRecorded": "GI_SALE",
    "ShipmentConfirmed": "GI_SHIP",
    "PickupConfirmed": "GI_SHIP",
    "GoodsReceived": "GR",
    "ReturnReceived": "RETURN",
    "TransferShipped": "TRF_OUT",
    "TransferReceived": "TRF_IN",
    "TransferLost": "ADJ",
    "StatusChanged": "RECLASS",
    "CountRecorded": "COUNT",
}


@lru_cache(maxsize=8192)
def words(account: str) -> tuple[str, ...]:
    """Split an account: a bucket and its location; a transit's four; a boundary alone. The same ones come again."""
    return tuple(account.split("|"))


def transit(event: TransferShipped | TransferReceived | TransferLost, destination: str) -> str:
    """The account of a transfer line on its way; without `transfer` the document is the transfer."""
    ref = event.transfer or Ref(event.document.id, event.document.line)
    return f"transit|{escape(ref.id)}|{ref.line}|{destination}"


def legs_of(event: Fact, *, till: bool = False) -> tuple[Leg, ...]:
    """The legs of an event, none where no goods move.

    Quantity 0 (a revision that takes its line back) moves nothing. `till` says that a sale of an order is its
    hand-over.
    """
    here = event.location
    units = event.quantity
    if units == 0:
        return ()
    match event:
        case SaleRecorded():
            # The goods of an order leave by its hand-over; the till only takes the money.
            return () if event.order is not None and not till else (_leg(f"sellable|{here}", CUSTOMER, units),)
        case ShipmentConfirmed() | PickupConfirmed():
            return (_leg(f"sellable|{here}", CUSTOMER, units),)
        case ReturnReceived():
            return (_leg(CUSTOMER, f"returned|{here}", units),)
        case ReturnDispositioned():
            target = LEAVING_DISPOSITIONS.get(event.disposition) or f"{event.disposition}|{here}"
            return (_leg(f"returned|{here}", target, units),)
        case GoodsReceived():
            return (_leg(SUPPLIER, f"{event.to_status}|{here}", units),)
        case TransferShipped():
            return (_leg(f"sellable|{here}", transit(event, event.to_location), units),)
        case TransferReceived():
            return (_leg(transit(event, here), f"sellable|{here}", units),)
        case TransferLost():
            return (_leg(transit(event, here), SHRINK, units),)
        case StockAdjusted():
            account = REASON_ACCOUNTS.get(event.reason or "") or (FOUND if units > 0 else SHRINK)
            bucket = f"{event.status}|{here}"
            return (_leg(account, bucket, units) if units > 0 else _leg(bucket, account, -units),)
        case StatusChanged():
            return (_leg(f"{event.from_status}|{here}", f"{event.to_status}|{here}", units),)
        case Converted():
            bucket = f"sellable|{here}"
            return (_leg(CONVERSION, bucket, units) if units > 0 else _leg(bucket, CONVERSION, -units),)
        case _:
            return ()


def document_type(event_type: str, leg: Leg) -> str:
    """The posting type of a leg of an event."""
    if VENDOR_RETURN in (leg.source, leg.target):
        return "RTV"
    if event_type == "ReturnDispositioned":
        return "ADJ" if leg.target == SCRAP else "RECLASS"
    return DOCUMENT_TYPES.get(event_type, "ADJ")


def _leg(source: str, target: str, quantity: int) -> Leg:
    return Leg(source=source, target=target, quantity=quantity)
