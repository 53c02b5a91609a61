"""The network of a SKU: what all its locations expose, what is promised beside it, and what that leaves a channel.

Promises that are tied to no stock compete for the locations that may serve them. What a set of locations still has for
one more channel is what a maximum flow of the other promises leaves. Locations that serve the same channels are one
cell, so a SKU at 300 locations is a network of a handful. Source: docs/domain.md section "The network".
"""

from collections.abc import Iterable, Sequence
from itertools import pairwise

from atp.availability import exposed, free, terms_of, uncovered
from atp.book import CHANNEL_BITS, Cell, ChannelState, ChannelTerms, Network, Position
from atp.events import immutable
from atp.lots import Layer

ANY = -1
"""A promise that any eligible location may serve."""


@immutable
class Promise:
    """Units promised, and the channel whose locations may serve them, by its place in the Summary; or ANY."""

    units: int
    channel: int


@immutable
class Share:
    """What a channel may draw on."""

    ring: int
    """Units of its ring-fence that stock can serve."""
    pool: int
    """Units beyond all promises, its own ring-fence included."""
    owed: int
    """Units of promises that wait for stock where it sells, while it has none left: what comes serves them first."""


def serves(channels: Sequence[ChannelState], location: str) -> int:
    """The channels that a location serves: bit i for channel i."""
    return sum(1 << i for i, state in enumerate(channels) if terms_of(state).serves(location))


def serves_at(channels: Sequence[ChannelState], location: str, life: int) -> int:
    """The channels that a layer of a location serves: those that ask for no more than `life` days."""
    return sum(
        1 << i
        for i, state in enumerate(channels)
        if terms_of(state).min_life_days <= life and terms_of(state).serves(location)
    )


def cells_of(channels: Sequence[ChannelState], positions: Iterable[tuple[str, Position]]) -> tuple[Cell, ...]:
    """Sum positions into cells."""
    sums: dict[int, list[int]] = {}
    for location, position in positions:
        cell = sums.setdefault(serves(channels, location), [0, 0])
        cell[0] += exposed(position)
        cell[1] += free(position)
    return tuple(_cell(mask, e, f) for mask, (e, f) in sorted(sums.items()))


def layered_cells(channels: Sequence[ChannelState], layers: Iterable[tuple[str, Sequence[Layer]]]) -> tuple[Cell, ...]:
    """Sum the layers of positions into cells."""
    sums: dict[int, list[int]] = {}
    for location, cut in layers:
        for layer in cut:
            if layer.exposed or layer.free:
                cell = sums.setdefault(serves_at(channels, location, layer.life), [0, 0])
                cell[0] += layer.exposed
                cell[1] += layer.free
    return tuple(_cell(mask, e, f) for mask, (e, f) in sorted(sums.items()))


def move(
    network: Network, channels: Sequence[ChannelState], touched: Iterable[tuple[str, Position | None, Position]]
) -> tuple[tuple[Cell, ...], int]:
    """Return cells and uncovered units after positions changed."""
    sums = {cell.mask: [cell.exposed, cell.free] for cell in network.cells}
    missing = network.uncovered
    for location, before, after in touched:
        cell = sums.setdefault(serves(channels, location), [0, 0])
        cell[0] += exposed(after) - (exposed(before) if before else 0)
        cell[1] += free(after) - (free(before) if before else 0)
        missing += uncovered(after) - (uncovered(before) if before else 0)
    return tuple(_cell(mask, e, f) for mask, (e, f) in sorted(sums.items())), missing


def promises_of(network: Network, channels: Sequence[ChannelState]) -> list[Promise]:
    """What is promised beside ring-fences: pending lines, and stock lost under claims."""
    place = {state.channel: number for number, state in enumerate(channels)}
    found = [Promise(units=units, channel=place[name]) for name, units in sorted(network.pending.items()) if units > 0]
    if network.uncovered > 0:
        found.append(Promise(units=network.uncovered, channel=ANY))
    return found


def rings_of(network: Network, channels: Sequence[ChannelState], base: Sequence[Promise]) -> dict[int, int]:
    """Units of each ring-fence that stock can serve, by channel: the more important take first."""
    place = {state.channel: number for number, state in enumerate(channels)}
    cells = _exposed(network.cells)
    promises = list(base)
    rings: dict[int, int] = {}
    for fence in sorted(network.fences, key=lambda fence: (fence.priority, fence.channel)):
        channel = place[fence.channel]
        rings[channel] = min(fence.open, takeable(cells, promises, channel))
        promises.append(Promise(units=rings[channel], channel=channel))
    return rings


def shares(network: Network, channels: Sequence[ChannelState]) -> list[Share]:
    """Say for each channel what it may draw on."""
    base = promises_of(network, channels)
    rings = rings_of(network, channels, base)
    promises = base + [Promise(units=units, channel=channel) for channel, units in rings.items() if units]
    cells = _exposed(network.cells)
    known: dict[tuple[bool, ...], int] = {}
    found = []
    for number in range(len(channels)):
        served = tuple(bool(mask >> number & 1) for _, mask in cells)
        if served not in known:
            known[served] = takeable(cells, promises, number)
        pool = known[served]
        waiting = 0 if pool else owed(cells, promises, channels, number)
        found.append(Share(ring=rings.get(number, 0), pool=pool, owed=waiting))
    return found


def limit(
    network: Network, channels: Sequence[ChannelState], channel: int, location: str, here: Sequence[Layer]
) -> int:
    """Units that a request of a channel may take, of all its locations or of one: its own ring-fence included.

    `here` are the layers of the position at `location`, where one is named; no layer where there is no position.
    """
    base = promises_of(network, channels)
    rings = rings_of(network, channels, base)
    promises = base + [Promise(units=units, channel=other) for other, units in rings.items() if other != channel]
    cells = _exposed(network.cells)
    if not location:
        return takeable(cells, promises, channel)
    if not terms_of(channels[channel]).serves(location):
        return 0
    # What the one location has for the channel becomes cells of their own, marked by a bit beyond the channels'.
    alone = 1 << len(channels)
    for layer in here:
        mask = serves_at(channels, location, layer.life)
        if layer.exposed and mask >> channel & 1:
            cells = [(held - layer.exposed if of == mask else held, of) for held, of in cells]
            cells.append((layer.exposed, mask | alone))
    return takeable(cells, promises, len(channels))


def shortage(network: Network, channels: Sequence[ChannelState]) -> int:
    """Units promised that no stock can serve, safety stock included."""
    base = promises_of(network, channels)
    return sum(promise.units for promise in base) - flow([(cell.free, cell.mask) for cell in network.cells], base)


def takeable(cells: Sequence[tuple[int, int]], promises: Sequence[Promise], channel: int) -> int:
    """Units that the cells of a channel have beside the promises: what a maximum flow of those leaves them."""
    mine = sum(units for units, mask in cells if mask >> channel & 1)
    if not promises:
        return mine
    elsewhere = [(0 if mask >> channel & 1 else units, mask) for units, mask in cells]
    return mine + flow(elsewhere, promises) - flow(cells, promises)


def owed(
    cells: Sequence[tuple[int, int]], promises: Sequence[Promise], channels: Sequence[ChannelState], channel: int
) -> int:
    """Units of promises that are not served now, and that more stock where a channel sells would serve first.

    That stock may come to a location where nothing has been so far, so the terms say whose promises it would serve.
    """
    terms = terms_of(channels[channel])
    waiting = [p for p in promises if p.channel == ANY or meet(terms, terms_of(channels[p.channel]))]
    rest = [p for p in promises if p not in waiting]
    return sum(p.units for p in waiting) + flow(cells, rest) - flow(cells, promises)


def meet(one: ChannelTerms, other: ChannelTerms) -> bool:
    """Say whether two channels could promise from one location, whether or not anything lies there yet."""
    named = other.locations if one.locations is None else one.locations
    if named is None:  # each leaves out a few at most
        return True
    return any(one.serves(location) and other.serves(location) for location in named)


def flow(cells: Sequence[tuple[int, int]], promises: Sequence[Promise]) -> int:
    """The most units of promises that cells, of (units, channels served), can serve together."""
    wanted = sum(promise.units for promise in promises)
    groups = {promise.channel for promise in promises}
    if len(groups) == 1:
        (channel,) = groups
        return min(wanted, sum(units for units, mask in cells if _may(mask, channel)))
    left = [units for units, _ in cells]
    used = [[0] * len(cells) for _ in promises]
    served = 0
    for number, promise in enumerate(promises):
        rest = promise.units
        while rest and (path := _path(number, promises, cells, left, used)):
            # Along the path each promise gives up in one cell what it gets in the next.
            given_up = [used[after][cell] for (_, cell), (after, _) in pairwise(path)]
            units = min(rest, left[path[-1][1]], *given_up)
            for at, (who, cell) in enumerate(path):
                used[who][cell] += units
                if at + 1 < len(path):
                    used[path[at + 1][0]][cell] -= units
            left[path[-1][1]] -= units
            rest -= units
            served += units
    return served


def _path(
    start: int,
    promises: Sequence[Promise],
    cells: Sequence[tuple[int, int]],
    left: Sequence[int],
    used: Sequence[Sequence[int]],
) -> list[tuple[int, int]]:
    """Find (promise, cell) steps from a promise to a cell with units left, others making room; shortest first."""
    came: dict[int, tuple[int, int] | None] = {start: None}
    seen: set[int] = set()
    queue = [start]
    for who in queue:
        for cell, (_, mask) in enumerate(cells):
            if cell in seen or not _may(mask, promises[who].channel):
                continue
            seen.add(cell)
            if left[cell] > 0:
                path = [(who, cell)]
                while (before := came[path[0][0]]) is not None:
                    path.insert(0, before)
                return path
            for other in range(len(promises)):
                if other not in came and used[other][cell] > 0:
                    came[other] = (who, cell)
                    queue.append(other)
    return []


def _may(mask: int, channel: int) -> bool:
    return channel == ANY or bool(mask >> channel & 1)


def _cell(mask: int, exposed_: int, free_: int) -> Cell:
    first = (1 << CHANNEL_BITS) - 1
    beyond = []
    rest = mask >> CHANNEL_BITS
    while rest:
        beyond.append(rest & first)
        rest >>= CHANNEL_BITS
    return Cell(serves=mask & first, exposed=exposed_, free=free_, beyond=tuple(beyond))


def _exposed(cells: Sequence[Cell]) -> list[tuple[int, int]]:
    return [(cell.exposed, cell.mask) for cell in cells]
