"""A SKU's positions as its channels see them: cut into layers by how long their goods last."""

from collections.abc import Mapping, Sequence

from atp.availability import terms_of
from atp.book import ChannelState, Claim, Lots, Position, claim_key, lots_key, position_key
from atp.claims import standing, today_of
from atp.draft import Draft
from atp.lots import Layer, ages_on, asks_for_life, layers_of, lives_of
from atp.network import Exposed, serves_at


class Shelves:
    """The lots of a SKU's positions, as its channels see them."""

    def __init__(self, draft: Draft, sku: str, channels: Sequence[ChannelState]) -> None:
        self._draft, self._sku, self._channels = draft, sku, channels
        self._lives = lives_of(channels)
        self._asked = {state.channel: terms_of(state).min_life_days for state in channels}
        self._today = today_of(draft.tick)
        self._seen: list[Lots] = []

    def layers(self, location: str, position: Position, claimed: Mapping[str, int]) -> list[Layer]:
        """Cut what a position exposes; `claimed` are units of due claims placed there, by channel."""
        row = self._draft.get(lots_key(self._sku, location)) if position.lotted else None
        lots = row if isinstance(row, Lots) else None
        if lots is not None:
            self._seen.append(lots)
        claims: dict[int, int] = {}
        for channel, units in claimed.items():
            claims[self._asked[channel]] = claims.get(self._asked[channel], 0) + units
        return layers_of(position, lots, self._lives, claims, self._today)

    def ages_on(self) -> int:
        """The next day on which a lot that was looked at gets too old for somebody."""
        return ages_on(self._seen, self._lives, self._today)


def layers_at(draft: Draft, sku: str, channels: Sequence[ChannelState], location: str) -> list[Layer]:
    """What one location exposes, by how long it lasts; nothing where the SKU was never there."""
    position = draft.get(position_key(sku, location))
    if not isinstance(position, Position):
        return []
    claimed: dict[str, int] = {}
    if asks_for_life(channels):
        for _, row in draft.scan(claim_key(sku, "")):
            one = standing(row if isinstance(row, Claim) else None, draft.tick)
            for placed in one.placed if one.due else ():
                if placed.location == location:
                    claimed[one.channel] = claimed.get(one.channel, 0) + placed.units
    return Shelves(draft, sku, channels).layers(location, position, claimed)


def exposed_at(draft: Draft, sku: str, channels: Sequence[ChannelState]) -> Exposed:
    """Return what says of a location how much it exposes, and to whom."""

    def of(location: str) -> list[tuple[int, int]]:
        layers = layers_at(draft, sku, channels, location)
        return [(layer.exposed, serves_at(channels, location, layer.life)) for layer in layers]

    return of
