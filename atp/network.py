"""The network of a SKU: what all its locations expose, what is promised beside it, and what that leaves a channel.

Promises that are tied to no stock compete for the locations that may serve them, those of a later day also for what
comes there by then. What a set of locations still has for one more channel is what a maximum flow of the other promises
leaves. Locations that serve the same channels are one cell, so a SKU at 300 locations is a network of a handful.
Source: docs/domain.md section "Availability".
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from itertools import pairwise

from atp.availability import exposed, free, terms_of, uncovered
from atp.book import CHANNEL_BITS, Cell, ChannelState, ChannelTerms, Network, Position
from atp.events import immutable
from atp.lots import Layer
from atp.outlook import HORIZON

ANY = -1
"""A promise that any eligible location may serve."""
NOW = 0
"""The day of what is on hand, and of what is due."""

Source = tuple[int, int, int]
"""Units, the channels that they may be promised through (bit i for channel i, bits beyond for single locations), and
the day since 1970 that they come; NOW where they are there."""
Exposed = Callable[[str], Sequence[tuple[int, int]]]
"""What a location exposes, layer by layer: units, and the channels that they may be promised through."""


@immutable
class Promise:
    """Units promised, and who may serve them: a channel's locations, by its place in the Summary; or ANY.

    A number beyond those of the channels is that of a single location.
    """

    units: int
    channel: int
    day: int = NOW
    """The day since 1970 that it is due: what comes by then may serve it."""


@immutable
class Share:
    """What a channel may draw on."""

    ring: int
    """Units of its ring-fence that stock can serve."""
    pool: int
    """Units beyond all promises, its own ring-fence and those of later days included."""
    left: int
    """Units beyond all promises but those of later days."""
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


class Stock:
    """What promises compete for, what they are, and what they leave: now, and in time for a later day."""

    __slots__ = ("_base", "_bits", "_channels", "_known", "_whole", "due", "now", "promises", "rings", "sources")

    def __init__(
        self, network: Network, channels: Sequence[ChannelState], at: Exposed, *, also: str = "", ahead: bool = False
    ) -> None:
        """`also` is a location that is asked about, `ahead` says that a later day is: else only demand asks for it."""
        places = sorted({claim.location for claim in network.dated if claim.location} | ({also} if also else set()))
        self._bits = {place: len(channels) + number for number, place in enumerate(places)}
        self._channels = channels
        owing = promises_of(network, channels)
        exposed_at = {place: at(place) for place in places}
        self.sources = _sources(network, channels, self._bits, exposed_at, ahead=ahead or bool(network.dated))
        later = _later(network, channels, self._bits, exposed_at) if network.dated else []
        self._base = owing + later
        self.rings = rings_of(network, channels, self.sources, self._base)
        self.promises = self._base + self._fenced()
        self.now = [source for source in self.sources if source[2] == NOW]
        self.due = owing + self._fenced()
        """What is promised beside demand of later days; it is served by what is there now."""
        self._known: dict[tuple[object, ...], int] = {}
        self._whole: bool | None = None

    @property
    def whole(self) -> bool:
        """Whether all that is promised can be served in time."""
        if self._whole is None:
            self._whole = flow(self.sources, self._base) == sum(promise.units for promise in self._base)
        return self._whole

    def shares(self) -> list[Share]:
        """Say for each channel what it may draw on."""
        found = []
        for number in range(len(self._channels)):
            pool = left = self.pool(number)
            if len(self.promises) != len(self.due):
                left = self._remembered(self.now, self.due, number, NOW)
            waiting = 0 if left else owed(self.now, self.due, self._channels, number)
            found.append(Share(ring=self.rings.get(number, 0), pool=pool, left=left, owed=waiting))
        return found

    def pool(self, channel: int, day: int = NOW) -> int:
        """Units that a channel may still promise for a day beside all promises."""
        return self._remembered(self.sources, self.promises, channel, day)

    def limit(self, channel: int, location: str, day: int) -> int:
        """Units that a request of a channel may take for a day, of all its locations or of one: its ring included."""
        others = self._base + self._fenced(but=channel)
        if not location:
            return takeable(self.sources, others, channel, day)
        if not terms_of(self._channels[channel]).serves(location):
            return 0
        # What the location has for the channel is marked by a bit beyond all others.
        here, mine = self._bits[location], len(self._channels) + len(self._bits)
        sources = [
            (units, mask | 1 << mine if mask >> here & 1 and mask >> channel & 1 else mask, at)
            for units, mask, at in self.sources
        ]
        return takeable(sources, others, mine, day)

    def _fenced(self, but: int | None = None) -> list[Promise]:
        kept = [(channel, units) for channel, units in self.rings.items() if units and channel != but]
        return [Promise(units=units, channel=channel) for channel, units in kept]

    def _remembered(self, sources: Sequence[Source], promises: Sequence[Promise], channel: int, day: int) -> int:
        """Channels that may sell the same are left the same."""
        key = (len(sources), len(promises), *(bool(mask >> channel & 1) and at <= day for _, mask, at in sources))
        if key not in self._known:
            whole = key[:2]
            if whole not in self._known:
                self._known[whole] = flow(sources, promises)
            self._known[key] = takeable(sources, promises, channel, day, self._known[whole])
        return self._known[key]


def rings_of(
    network: Network, channels: Sequence[ChannelState], sources: Sequence[Source], base: Sequence[Promise]
) -> dict[int, int]:
    """Units of each ring-fence that stock can serve, by channel: the more important take first.

    `base` is what is promised beside ring-fences, of later days too: a ring takes what that leaves.
    """
    place = {state.channel: number for number, state in enumerate(channels)}
    promises = list(base)
    rings: dict[int, int] = {}
    for fence in sorted(network.fences, key=lambda fence: (fence.priority, fence.channel)):
        channel = place[fence.channel]
        rings[channel] = min(fence.open, takeable(sources, promises, channel))
        promises.append(Promise(units=rings[channel], channel=channel))
    return rings


def _sources(
    network: Network,
    channels: Sequence[ChannelState],
    bits: Mapping[str, int],
    exposed_at: Mapping[str, Sequence[tuple[int, int]]],
    *,
    ahead: bool,
) -> list[Source]:
    """What is there and, where a later day is asked about, what comes: by who may promise it and the day."""
    sums = {(cell.mask, NOW): cell.exposed for cell in network.cells}
    marks = {place: serves(channels, place) | 1 << number for place, number in bits.items()}
    for place, layers in exposed_at.items():
        for units, mask in layers:
            if units:
                mine = mask | 1 << bits[place]
                sums[mask, NOW] -= units
                sums[mine, NOW] = sums.get((mine, NOW), 0) + units
    for coming in network.inbound if ahead else ():
        if coming.location and not coming.closed and coming.day <= network.today + HORIZON:
            mask = marks[coming.location] if coming.location in marks else serves(channels, coming.location)
            sums[mask, coming.day] = sums.get((mask, coming.day), 0) + coming.units
    return [(units, mask, day) for (mask, day), units in sums.items() if units]


def _later(
    network: Network,
    channels: Sequence[ChannelState],
    bits: Mapping[str, int],
    exposed_at: Mapping[str, Sequence[tuple[int, int]]],
) -> list[Promise]:
    """What is promised for later days: by its channel's locations, or by its own as far as that has the units by then.

    What its own location lacks is any location's, as it will be on the day that it is due.
    """
    place = {state.channel: number for number, state in enumerate(channels)}
    last = network.today + HORIZON
    left = {place: sum(units for units, _ in layers) for place, layers in exposed_at.items()}
    coming = [one for one in network.inbound if one.location in left and not one.closed and one.day <= last]
    found = []
    for claim in network.dated:  # by day
        day, here = min(claim.day, last), claim.location
        if not here:
            found.append(Promise(units=claim.units, channel=place[claim.channel], day=day))
            continue
        left[here] += sum(one.units for one in coming if one.location == here and one.day <= day)
        coming = [one for one in coming if one.location != here or one.day > day]
        sure = min(claim.units, left[here])
        left[here] -= sure
        parts = ((sure, bits[here]), (claim.units - sure, ANY))
        found += [Promise(units=units, channel=who, day=day) for units, who in parts if units]
    return found


def shortage(network: Network, channels: Sequence[ChannelState]) -> int:
    """Units promised that no stock can serve, safety stock included."""
    base = promises_of(network, channels)
    return sum(promise.units for promise in base) - flow([(cell.free, cell.mask, NOW) for cell in network.cells], base)


def takeable(
    sources: Sequence[Source], promises: Sequence[Promise], channel: int, day: int = NOW, served: int | None = None
) -> int:
    """Units that a channel has by a day beside the promises: what a maximum flow of those leaves of its sources.

    `served` is that flow, where it is known.
    """
    mine = sum(units for units, mask, at in sources if mask >> channel & 1 and at <= day)
    if not promises:
        return mine
    elsewhere = [(0 if mask >> channel & 1 and at <= day else units, mask, at) for units, mask, at in sources]
    return mine + flow(elsewhere, promises) - (flow(sources, promises) if served is None else served)


def owed(sources: Sequence[Source], promises: Sequence[Promise], channels: Sequence[ChannelState], channel: int) -> int:
    """Units of promises that are not served now, and that more stock where a channel sells would serve first.

    That stock may come to a location where nothing has been so far, so the terms say whose promises it would serve.
    """
    terms = terms_of(channels[channel])
    waiting = [p for p in promises if p.channel == ANY or meet(terms, terms_of(channels[p.channel]))]
    rest = [p for p in promises if p not in waiting]
    return sum(p.units for p in waiting) + flow(sources, rest) - flow(sources, promises)


def meet(one: ChannelTerms, other: ChannelTerms) -> bool:
    """Say whether two channels could promise from one location, whether or not anything lies there yet."""
    named = other.locations if one.locations is None else one.locations
    if named is None:  # each leaves out a few at most
        return True
    return any(one.serves(location) and other.serves(location) for location in named)


def flow(sources: Sequence[Source], promises: Sequence[Promise]) -> int:
    """The most units of promises that sources can serve together, in time."""
    wanted = sum(promise.units for promise in promises)
    groups = {(promise.channel, promise.day) for promise in promises}
    if len(groups) == 1:
        return min(wanted, sum(source[0] for source in sources if _may(source, promises[0])))
    left = [source[0] for source in sources]
    used = [[0] * len(sources) for _ in promises]
    served = 0
    for number, promise in enumerate(promises):
        rest = promise.units
        while rest and (path := _path(number, promises, sources, left, used)):
            # Along the path each promise gives up of one source what it gets of the next.
            given_up = [used[after][source] for (_, source), (after, _) in pairwise(path)]
            units = min(rest, left[path[-1][1]], *given_up)
            for at, (who, source) in enumerate(path):
                used[who][source] += units
                if at + 1 < len(path):
                    used[path[at + 1][0]][source] -= units
            left[path[-1][1]] -= units
            rest -= units
            served += units
    return served


def _path(
    start: int,
    promises: Sequence[Promise],
    sources: Sequence[Source],
    left: Sequence[int],
    used: Sequence[Sequence[int]],
) -> list[tuple[int, int]]:
    """Find (promise, source) steps from a promise to a source with units left, others making room; shortest first."""
    came: dict[int, tuple[int, int] | None] = {start: None}
    seen: set[int] = set()
    queue = [start]
    for who in queue:
        for number, source in enumerate(sources):
            if number in seen or not _may(source, promises[who]):
                continue
            seen.add(number)
            if left[number] > 0:
                path = [(who, number)]
                while (before := came[path[0][0]]) is not None:
                    path.insert(0, before)
                return path
            for other in range(len(promises)):
                if other not in came and used[other][number] > 0:
                    came[other] = (who, number)
                    queue.append(other)
    return []


def _may(source: Source, promise: Promise) -> bool:
    _, mask, day = source
    return day <= promise.day and (promise.channel == ANY or bool(mask >> promise.channel & 1))


def _cell(mask: int, exposed_: int, free_: int) -> Cell:
    first = (1 << CHANNEL_BITS) - 1
    beyond = []
    rest = mask >> CHANNEL_BITS
    while rest:
        beyond.append(rest & first)
        rest >>= CHANNEL_BITS
    return Cell(serves=mask & first, exposed=exposed_, free=free_, beyond=tuple(beyond))
