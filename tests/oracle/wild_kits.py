"""Long random logs with bills of materials among promises: kits that share parts, nest, end, and are assembled."""

from typing import Any

from atp.events import DAY, Document, Event, MasterChanged, PolicyChanged, StockAdjusted
from tests.oracle.wild import BEGIN, CHANNELS, PLACES
from tests.oracle.wild_promises import WildPromises

SKUS = ("A0", "A1", "A2")
KITS = ("K0", "K1", "A2")
"""The last is sold by itself before a bill names it, and is a part of others."""
NEVER_STOCKED = "X9"


class WildKits(WildPromises):
    """Draws bills, and policies for kits, among events of goods and promises."""

    def log(self) -> list[Event]:
        """Begin with something assembled of each kit, and parts for more."""
        stock = (("K0", "DC1", 2), ("K1", "S1", 1), *((sku, place, 60) for sku in SKUS for place in PLACES))
        openings = [
            StockAdjusted(
                source="s1", document=Document("opening of kits", f"{sku} {place}", 1), event_time=BEGIN, sku=sku,
                location=place, quantity=units,
            )
            for sku, place, units in stock
        ]  # fmt: skip
        return [*openings, *super().log()]

    def _one(self, number: int) -> list[Event]:
        draw = self.chance.random()
        if draw < 0.04:
            bill = self._bill()
            return [bill] * self.chance.choice((1, 1, 2))
        if draw < 0.06:
            return [self._policy_of_a_kit(number)]
        return super()._one(number)

    def _bill(self) -> MasterChanged:
        chance = self.chance
        kit = chance.choice(KITS)
        parts = [one for one in (*SKUS, "K0", NEVER_STOCKED) if one != kit]
        weights = [4 if one in SKUS else 1 for one in parts]
        chosen = set(chance.choices(parts, weights, k=chance.choice((0, 1, 2, 2, 2))))
        return MasterChanged(
            source="mdm",
            document=Document("bill", str(chance.randrange(30)), 1),
            event_time=self.now + chance.randrange(-2 * DAY, DAY),
            rev=chance.choice((0, 0, 0, 1)),
            kit=kit,
            components={one: chance.randrange(1, 4) for one in sorted(chosen)},
        )

    def _policy_of_a_kit(self, number: int) -> PolicyChanged:
        chance = self.chance
        policy = self._policy()
        terms: dict[str, Any] = {"low_at": chance.choice((0, 1, 4)), "eligible": chance.choice((None, None, False))}
        return policy.__class__(
            source="mdm",
            document=Document("kit policy", str(number), 1),
            event_time=policy.event_time,
            sku=chance.choice((*KITS, "")),
            location=policy.location,
            channel=chance.choice(("", *CHANNELS, "mall")),
            policy=policy.policy.__class__(
                **{
                    **{name: getattr(policy.policy, name) for name in ("cap", "locations", "share_percent", "buffer")},
                    **terms,
                }
            ),
        )
