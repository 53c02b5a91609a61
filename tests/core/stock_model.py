"""The reference model, second part: goods that moved, counts, transfers, postings.

Source: docs/domain.md sections 2 to 4 and 9.
"""

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from atp.events import (
    Converted,
    CountRecorded,
    Envelope,
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
from tests.core.claims_model import picked
from tests.core.log_model import HandedOverAtTill, count_time, key_of, text_of

BUCKETS = ("sellable", "returned", "quarantine", "damaged")
SCRAPPED = ("damaged", "expired", "destroyed")


# What happened, as movements ------------------------------------------------------------------------------


@dataclass(frozen=True)
class Move:
    """Units from one account to another; an account is a boundary's name, (location, bucket) or ("", transfer)."""

    source: object
    target: object
    quantity: int


def transfer_of(event: TransferShipped | TransferReceived | TransferLost) -> tuple[str, int]:
    ref = event.transfer if event.transfer is not None else Ref(event.document.id, event.document.line)
    return (ref.id, ref.line)


def account_for(reason: str | None, quantity: int) -> str:
    if reason == "opening":
        return "OPENING"
    if reason in SCRAPPED:
        return "SCRAP"
    if reason == "vendor_return":
        return "VENDOR_RETURN"
    return "SHRINK" if quantity < 0 else "FOUND"


def moves(event: Envelope) -> list[Move]:
    """The physical movement that a fact is."""
    q, at = event.quantity, event.location
    match event:
        case SaleRecorded() if event.order is not None and not isinstance(event, HandedOverAtTill):
            return []  # the hand-over moves the goods
        case SaleRecorded() | ShipmentConfirmed() | PickupConfirmed():
            return [Move((at, "sellable"), "CUSTOMER", q)]
        case ReturnReceived():
            return [Move("CUSTOMER", (at, "returned"), q)]
        case ReturnDispositioned():
            ends = {"vendor_return": "VENDOR_RETURN", "scrap": "SCRAP"}
            return [Move((at, "returned"), ends.get(event.disposition, (at, event.disposition)), q)]
        case GoodsReceived():
            return [Move("SUPPLIER", (at, event.to_status), q)]
        case TransferShipped():
            return [Move((at, "sellable"), ("", transfer_of(event)), q)]
        case TransferReceived():
            return [Move(("", transfer_of(event)), (at, "sellable"), q)]
        case TransferLost():
            return [Move(("", transfer_of(event)), "SHRINK", q)]
        case StockAdjusted():
            bucket, account = (at, event.status), account_for(event.reason, q)
            return [Move(bucket, account, -q)] if q < 0 else [Move(account, bucket, q)]
        case Converted():
            bucket = (at, "sellable")
            return [Move(bucket, "CONVERSION", -q)] if q < 0 else [Move("CONVERSION", bucket, q)]
        case StatusChanged():
            return [Move((at, event.from_status), (at, event.to_status), q)]
        case _:
            return []


def net(some: Iterable[Move], location: str, scope: str) -> int:
    """What movements add to a scope (on_hand or a bucket) at a location."""
    accounts = {(location, b) for b in BUCKETS} if scope == "on_hand" else {(location, scope)}
    return sum(m.quantity * ((m.target in accounts) - (m.source in accounts)) for m in some)


# Counts ---------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class CountAnswer:
    """A count in force, against the book of its time."""

    sku: str
    location: str
    document: str
    scope: str
    as_of: int
    expected: int
    observed: int

    @property
    def diff(self) -> int:
        return self.observed - self.expected

    @property
    def bucket(self) -> str:
        return "sellable" if self.scope == "on_hand" else self.scope


def sees(count: CountRecorded, delta: Envelope) -> bool:
    """Say whether the people who counted saw the effect of the delta."""
    through = (count.through_seq or {}).get(delta.source)
    if through is not None and delta.source_seq is not None:
        return delta.source_seq <= through
    return delta.event_time <= count_time(count)


def count_answers(facts: Sequence[Envelope]) -> list[CountAnswer]:
    """Compare each count of one SKU with the book over what it covers, oldest count first."""
    found = []
    for location in sorted({f.location for f in facts if isinstance(f, CountRecorded)}):
        counts = [f for f in facts if isinstance(f, CountRecorded) and f.location == location]
        counts.sort(key=lambda c: (count_time(c), c.event_time, text_of(key_of(c))))
        variances: list[Move] = []
        for n, count in enumerate(counts):
            covered = [f for f in facts if any(sees(c, f) for c in counts[: n + 1])]
            book = [m for f in covered for m in moves(f)] + variances
            expected, as_of = net(book, location, count.scope), count_time(count)
            away = picked(facts, location, as_of) if count.excludes == "picked" else 0
            observed = count.quantity + away
            answer = CountAnswer(count.sku, location, count.document.id, count.scope, as_of, expected, observed)
            variances.append(Move("COUNT_VAR", (location, answer.bucket), answer.diff))
            found.append(answer)
    return found


# Transfers and postings -----------------------------------------------------------------------------------


@dataclass(frozen=True)
class TransferAnswer:
    """A line of a transfer."""

    shipped: int
    received: int
    lost: int
    destination: str

    @property
    def open(self) -> int:
        return self.shipped - self.received - self.lost

    @property
    def stands(self) -> bool:
        return (self.lost > 0 or self.received > self.shipped) and self.received != self.shipped


ERP_TYPES = {
    "ShipmentConfirmed": "GI_SHIP",
    "PickupConfirmed": "GI_SHIP",
    "GoodsReceived": "GR",
    "ReturnReceived": "RETURN",
    "TransferShipped": "TRF_OUT",
    "TransferReceived": "TRF_IN",
    "TransferLost": "ADJ",
    "StatusChanged": "RECLASS",
    "Converted": "ADJ",
}


def erp_type(event: Envelope) -> str:
    if isinstance(event, ReturnDispositioned):
        return {"vendor_return": "RTV", "scrap": "ADJ"}.get(event.disposition, "RECLASS")
    if isinstance(event, StockAdjusted):
        return "RTV" if event.reason == "vendor_return" else "ADJ"
    return "GI_SALE" if isinstance(event, SaleRecorded) else ERP_TYPES[type(event).__name__]


def transfer_answers(facts: Sequence[Envelope]) -> dict[tuple[str, int], TransferAnswer]:
    """Sum up the transfers of one SKU."""
    found = {}
    papers = [f for f in facts if isinstance(f, TransferShipped | TransferReceived | TransferLost) and f.quantity]
    for id_ in {transfer_of(f) for f in papers}:
        mine = [f for f in papers if transfer_of(f) == id_]
        bound: Counter[str] = Counter()
        for f in mine:
            if isinstance(f, TransferShipped):
                bound[f.to_location] += f.quantity
        found[id_] = TransferAnswer(
            shipped=sum(f.quantity for f in mine if isinstance(f, TransferShipped)),
            received=sum(f.quantity for f in mine if isinstance(f, TransferReceived)),
            lost=sum(f.quantity for f in mine if isinstance(f, TransferLost)),
            destination=min(bound, key=lambda name: (-bound[name], name)) if bound else "",
        )
    return found
