"""What a day must come to, by arithmetic of its own: what the demo's summary compares with.

It shares nothing with the fold: a sale takes its units away, a receipt adds them, and that is all there is to it.
"""

from collections import Counter
from dataclasses import dataclass, field

from atp.events import (
    Fact,
    GoodsReceived,
    PickupConfirmed,
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

LEAVES = {"scrap": "ADJ", "vendor_return": "RTV"}


@dataclass(slots=True)
class Plan:
    """Known before anything runs."""

    messages: int = 0
    """Sent in all, ticks apart; what goes to every partition counts once."""
    facts: int = 0
    """Different statements among them that are good."""
    duplicates: int = 0
    delayed: int = 0
    """Behind later news of the day, yet inside the window: folded."""
    dead: Counter[str] = field(default_factory=Counter)
    """Dead letters by cause."""
    variances: dict[tuple[str, str, str], tuple[int, str]] = field(default_factory=dict)
    """(kind, sku, location) -> (difference that stands in the end, words that its cause hint holds)."""
    restated: int = 0
    """Counts whose difference late sales explain away."""
    oversold: set[tuple[str, str]] = field(default_factory=set)
    """(sku, location) that sell what is not there, until a receipt comes."""
    erp: Counter[str] = field(default_factory=Counter)
    """Units on hand by ERP document type, signed."""
    requests: int = 0
    """Reservation requests."""
    granted: dict[str, int] = field(default_factory=dict)
    """By SKU of the races: units that are granted in all, whoever comes first."""
    fenced: dict[tuple[str, str], int] = field(default_factory=dict)
    """(sku, channel) -> units that its ring-fence holds for it."""
    expected: dict[str, str] = field(default_factory=dict)
    """By SKU whose supply is late: the day for which it can be promised."""
    kits: dict[str, int] = field(default_factory=dict)
    """By kit: how many can be put together."""
    skus: int = 0
    positions: int = 0

    @property
    def on_hand(self) -> int:
        """Units on hand in the end, everywhere."""
        return sum(self.erp.values())


def moves(event: Fact) -> tuple[str, int, int]:
    """Return the ERP document type of an event, and what it adds to on hand and to sellable at its location."""
    units = event.quantity
    match event:
        case SaleRecorded():
            return ("", 0, 0) if event.order else ("GI_SALE", -units, -units)
        case ShipmentConfirmed() | PickupConfirmed():
            return "GI_SHIP", -units, -units
        case GoodsReceived():
            return "GR", units, units
        case ReturnReceived():
            return "RETURN", units, 0
        case ReturnDispositioned():
            if event.disposition in LEAVES:
                return LEAVES[event.disposition], -units, 0
            return "RECLASS", 0, units if event.disposition == "sellable" else 0
        case TransferShipped():
            return "TRF_OUT", -units, -units
        case TransferReceived():
            return "TRF_IN", units, units
        case TransferLost():
            return "ADJ", 0, 0
        case StockAdjusted():
            return "ADJ", units, units
        case StatusChanged():
            return "RECLASS", 0, -units
    return "", 0, 0
