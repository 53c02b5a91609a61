"""The retailer of the demo: 180 stores, two DCs, an online shop, two marketplaces, and what they sell.

Everything follows from the seed and the size of the day, so that two runs with the same figures are the same.
"""

import random
from dataclasses import dataclass

STORES = tuple(f"S{number:03d}" for number in range(1, 181))
COUNTED, OFFLINE = "S017", "S042"
"""One store counts at 14:00, while it sells; the other's registers are offline from 10 to 12."""
DCS = ("DC1", "DC2")
ONLINE = "online"
MARKETPLACES = ("marketplace-1", "marketplace-2")
STORE = "store"

GOODS = (
    "LAMP", "CHAIR", "DESK", "SOFA", "RUG", "VASE", "MIRROR", "SHELF", "STOOL", "CLOCK", "CANDLE", "CUSHION", "PLANT",
    "FRAME", "BASKET", "CURTAIN", "KETTLE", "TOASTER", "BLENDER", "MUG", "PLATE", "BOWL", "KNIFE", "PAN", "TOWEL",
    "PILLOW", "DUVET", "BLANKET", "TENT", "BACKPACK",
)  # fmt: skip
VARIANTS = ("OAK", "ASH", "PINE", "BLACK", "WHITE", "GREY", "RED", "BLUE", "GREEN", "SAND", "ROSE", "COPPER")

STORIES = 12
"""SKUs, the best sold ones, that the two stores with stories carry in any case."""
PROMOTED = 8
"""SKUs of the flash promotion."""


@dataclass(frozen=True, slots=True)
class Product:
    """A SKU: its share of what is sold, and the stores that carry it."""

    sku: str
    weight: float
    """Share of all store sales."""
    stores: tuple[str, ...]
    promoted: bool


@dataclass(frozen=True, slots=True)
class Retailer:
    """Who sells what where."""

    products: tuple[Product, ...]

    @property
    def promoted(self) -> tuple[Product, ...]:
        return tuple(one for one in self.products if one.promoted)


def retailer(events: int, chance: random.Random) -> Retailer:
    """Build the retailer for a day of about `events` events: few SKUs for a small day, 360 at most."""
    count = max(24, min(len(GOODS) * len(VARIANTS), events // 330))
    names = [f"{thing}-{variant}" for variant in VARIANTS for thing in GOODS][:count]
    carried = max(6, min(40, events // 3_000))
    # Popularity falls with rank as in real assortments, gently enough that no SKU is a third of the day.
    weights = [1 / (rank + 8) ** 0.8 for rank in range(count)]
    total = sum(weights)
    promoted = set(chance.sample(names[: max(PROMOTED, count // 3)], PROMOTED))
    return Retailer(
        tuple(
            Product(name, weight / total, _range(rank, carried, chance), promoted=name in promoted)
            for rank, (name, weight) in enumerate(zip(names, weights, strict=True))
        )
    )


def _range(rank: int, carried: int, chance: random.Random) -> tuple[str, ...]:
    """Stores that carry a SKU: one run of neighbours so that every store carries something, the rest anywhere."""
    first = rank * (carried // 2) % len(STORES)
    run = {STORES[(first + step) % len(STORES)] for step in range(carried // 2)}
    rest = chance.sample([store for store in STORES if store not in run], carried - len(run))
    stories = {COUNTED, OFFLINE} if rank < STORIES else set()
    return tuple(sorted(run | set(rest) | stories))
