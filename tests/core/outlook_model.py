"""The reference model, sixth part: what may be promised of a SKU, through each channel, now and day by day.

Source: docs/domain.md sections 6 and 7.
"""

from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

from atp.events import AllocationGranted, AllocationReturned, Envelope, PolicyChanged, TransferShipped
from tests.core.claims_model import LineAnswer, day_of
from tests.core.log_model import Judged, key_of, number, parameter, text_of
from tests.core.lots_model import lasting
from tests.core.network_model import Promise, flow, takeable, unserved
from tests.core.rates_model import Drawn, buffer, rate
from tests.core.stock_model import TransferAnswer, moves, transfer_of
from tests.core.supply_model import Arrival, Part, Rules, SupplyAnswer, arrival

HORIZON = 180
"""Days after today."""
SOON = 2
"""Days after today within which a projected shortage is a risk."""
NOWHERE = "(elsewhere)"
"""A place that no policy names."""


@dataclass(frozen=True)
class Node:
    """A SKU at a location, as promises see it."""

    available: int
    claims: int
    safety: int
    eligible: bool
    last_days: Sequence[int] = ()
    """Of each unit of a lot."""

    @property
    def exposed(self) -> int:
        return max(0, self.available - self.claims - self.safety) if self.eligible else 0

    @property
    def free(self) -> int:
        return max(0, self.available - self.claims) if self.eligible else 0

    @property
    def uncovered(self) -> int:
        return max(0, self.claims - max(0, self.available))


@dataclass(frozen=True)
class Ring:
    """A channel's ring-fence."""

    granted: int
    """Less what was given back."""
    taken: int
    priority: int

    @property
    def open(self) -> int:
        return max(0, self.granted - self.taken)


@dataclass(frozen=True)
class ChannelAnswer:
    """What may be promised of a SKU through a channel."""

    ring_open: int
    ring: int
    takeable: int
    """Of its nodes, beside all promises."""
    pool: int
    """The same, and no more than what demand of later days leaves."""
    atp: int
    priority: int | None = None
    """Of its ring-fence, where it has one."""
    levels: tuple[int, ...] = ()
    """A_d for today and the days after it; empty before the first tick."""
    buffer: int = 0
    share: int = 100
    cap: int | None = None
    low_at: int = 0
    sells_ahead: str = "never"
    """What it says where it shows nothing now, but something on some day."""

    @property
    def next_available(self) -> tuple[int, int] | None:
        """(days from today, units) of the first day of which something would be shown, where nothing is now."""
        if self.atp:
            return None
        shown = [self.share * units // 100 - self.buffer for units in self.levels]
        most = max(shown, default=0) if self.cap is None else self.cap
        return next(((d, min(units, most)) for d, units in enumerate(shown) if min(units, most) > 0), None)

    @property
    def status(self) -> str:
        """How it reads."""
        if self.atp:
            return "LOW" if self.atp <= self.low_at else "IN_STOCK"
        return "OUT" if self.sells_ahead == "never" else self.sells_ahead.upper()

    def steps(self, today: int) -> list[tuple[int, int]]:
        """(day, units that may be promised from then on), where they change."""
        shown = [max(0, units) for units in self.levels]
        return [(today + d, units) for d, units in enumerate(shown) if not d or units != shown[d - 1]]


@dataclass
class Network:
    """One SKU at all its nodes, and what is promised of it."""

    j: Judged
    sku: str
    nodes: dict[str, Node]
    lines: Mapping[tuple[str, int], LineAnswer]
    facts: Sequence[Envelope]
    stated: Sequence[Envelope]
    supply: Mapping[tuple[str, int], SupplyAnswer]
    transfers: Mapping[tuple[str, int], TransferAnswer]
    drawn: Mapping[str, Drawn]
    """By channel, when the rates were judged last."""

    @property
    def today(self) -> int | None:
        return None if self.j.tick is None else day_of(self.j.tick)

    # Nodes and promises -----------------------------------------------------------------------------------

    @cached_property
    def places(self) -> set[str]:
        """All locations that are heard of."""
        due_later = {place for _, place, _, _ in self.dated if place}
        return {*self.nodes, *(one.location for one in self.arrivals if one.location), *due_later}

    def allows(self, channel: str, location: str) -> bool:
        """Say whether the channel sells from the location, while that is open."""
        chosen = parameter(self.j, "locations", sku=self.sku, location=None, channel=channel)
        if isinstance(chosen, tuple) and location not in chosen:
            return False
        return parameter(self.j, "eligible", sku=self.sku, location=location, channel=channel) is not False

    def serves(self, channel: str, location: str) -> bool:
        """Say whether goods at the location may be promised through the channel."""
        return self.allows(channel, location) and self.eligible(location)

    def meet(self, one: str, other: str) -> bool:
        """Say whether two channels could sell from one place: one that is named somewhere, or any other."""
        named = {NOWHERE}
        for statement in self.j.statements.values():
            if isinstance(statement, PolicyChanged):
                named |= {statement.location, *(statement.policy.locations or ())} - {""}
        return any(self.allows(one, place) and self.allows(other, place) for place in named)

    def eligible(self, location: str) -> bool:
        return parameter(self.j, "eligible", sku=self.sku, location=location, channel=None) is not False

    @cached_property
    def node_sets(self) -> dict[str, frozenset[str]]:
        """L(c) by channel."""
        names = self.j.names_of_channels(self.sku) | {line.channel for line in self.lines.values()}
        return {name: frozenset(place for place in self.places if self.serves(name, place)) for name in names}

    # How long goods last ---------------------------------------------------------------------------------

    def life(self, channel: str) -> int:
        """Days for which goods must last that the channel takes; while nobody knows the day it asks for none."""
        asked = parameter(self.j, "min_life_days", sku=self.sku, location=None, channel=channel)
        return 0 if self.today is None else number(asked, 0)

    @cached_property
    def lives(self) -> list[int]:
        return sorted({0, *(self.life(channel) for channel in self.node_sets)})

    def beyond(self, place: str, units: int, life: int) -> int:
        """Of `units` of a node those that a claim on goods of so long a life may still have, all others served."""
        wanting = [(self.life(line.channel), line) for line in self.lines.values() if line.need_day is None]
        room = [units]
        for least in self.lives:
            if 0 < least <= life and self.today is not None:
                claims = sum(n for of, line in wanting if of >= least for at, _, n in line.placed if at == place)
                room.append(lasting(self.nodes[place].last_days, self.today, least) - claims)
        return max(0, min(room))

    def shelved(self, units: Mapping[str, int]) -> dict[str, int]:
        """Put units of nodes on shelves: on each those that last as long as it says, and not as the next one does."""
        found = {}
        for place, n in units.items():
            room = [self.beyond(place, n, life) for life in self.lives]
            for life, here, longer in zip(self.lives, room, [*room[1:], 0], strict=True):
                found[shelf(place, life)] = here - longer
        return found

    def shelves(self, places: Collection[str], life: int = 0) -> frozenset[str]:
        return frozenset(shelf(place, one) for place in places for one in self.lives if one >= life)

    def sources(self, channel: str) -> frozenset[str]:
        """The shelves that a channel sells from."""
        return self.shelves(self.node_sets[channel], self.life(channel))

    @cached_property
    def exposed(self) -> dict[str, int]:
        return self.shelved({place: node.exposed for place, node in self.nodes.items()})

    def pending(self) -> list[Promise]:
        """Lines that wait for a node, those due later apart."""
        due = [line for line in self.lines.values() if line.pending and line.need_day is None]
        return [Promise(line.pending, self.sources(line.channel) | {more_for(line.channel)}) for line in due]

    def uncovered(self) -> list[Promise]:
        """Stock lost under claims: any node may stand in for it."""
        anywhere = self.shelves([place for place in self.places if self.eligible(place)])
        anywhere |= {more_for(channel) for channel in self.node_sets}
        return [Promise(node.uncovered, anywhere) for node in self.nodes.values() if node.uncovered]

    def owed(self) -> list[Promise]:
        return self.pending() + self.uncovered()

    @property
    def shortage(self) -> int:
        """Units owed that the stock without claims, safety stock included, cannot serve."""
        return unserved(self.shelved({place: node.free for place, node in self.nodes.items()}), self.owed())

    # What comes in time -----------------------------------------------------------------------------------

    @cached_property
    def in_time(self) -> dict[str, int]:
        """Units by when and where they are there, of open nodes: what is on hand, and what comes within the horizon."""
        found = Counter({when_at(0, place): units for place, units in self.exposed.items()})
        last = (self.today or 0) + HORIZON
        for one in self.arrivals:
            if one.location and self.eligible(one.location) and one.day <= last:
                found[when_at(one.day, shelf(one.location, self.lives[-1]))] += one.units  # fresh
        return dict(found)

    def reach(self, shelves: Collection[str], day: int) -> frozenset[str]:
        """Of the shelves what is there by a day; 0: now."""
        return frozenset(
            one for one in self.in_time if day_and_shelf(one)[0] <= day and day_and_shelf(one)[1] in shelves
        )

    @cached_property
    def promised(self) -> list[Promise]:
        """All promises but ring-fences, each with what may serve it in time."""
        found = [Promise(one.units, self.reach(one.nodes, 0)) for one in self.owed()]
        last = (self.today or 0) + HORIZON
        left = dict(self.in_time)
        for due, place, channel, units in sorted(self.dated):
            day = min(due, last)
            if not place:
                found.append(Promise(units, self.reach(self.sources(channel), day)))
                continue
            rest = units  # its own place first, as far as that has it
            for one in sorted(self.reach(self.shelves([place]), day), key=day_and_shelf):
                taken = min(rest, left[one])
                left[one] -= taken
                rest -= taken
            found.append(Promise(units - rest, self.reach(self.shelves([place]), day)))
            anywhere = self.shelves([p for p in self.places if self.eligible(p)])
            found.append(Promise(rest, self.reach(anywhere, day)))
        return found

    @property
    def fenced(self) -> list[Promise]:
        """The promises that ring-fences are."""
        return [Promise(units, self.reach(self.sources(name), 0)) for name, units in self.rings.items()]

    @property
    def lacks(self) -> int:
        """Units promised that neither stock nor what comes in time can serve."""
        return unserved(self.in_time, self.promised)

    def spare(self, shelves: Collection[str], promises: Sequence[Promise], day: int) -> int:
        """Units of the shelves that are left for a day beside promises; 0: now."""
        return takeable(self.in_time, promises, self.reach(shelves, day))

    # Ring-fences ------------------------------------------------------------------------------------------

    def ring_fence(self, channel: str) -> Ring:
        now = self.j.now(self.sku)
        mine = [e for e in self.stated if (e.channel or "all") == channel and e.event_time <= now and e.quantity]
        grants = [e for e in mine if isinstance(e, AllocationGranted)]
        if not grants:
            return Ring(0, 0, 0)
        first = min(e.event_time for e in grants)
        lines = [line for line in self.lines.values() if line.channel == channel and line.began is not None]
        taken = sum(line.taken for line in lines if line.began is not None and line.began >= first)
        last = max(grants, key=lambda e: (e.event_time, text_of(key_of(e))))
        return Ring(
            granted=sum(e.quantity for e in grants)
            - sum(e.quantity for e in mine if isinstance(e, AllocationReturned)),
            taken=taken + direct(self.facts, channel, first),
            priority=last.priority,
        )

    @cached_property
    def rings(self) -> dict[str, int]:
        """By channel, what stock can keep of its ring-fence: the lower priority number first, then by name."""
        fences = {channel: self.ring_fence(channel) for channel in self.j.names_of_channels(self.sku)}
        kept: dict[str, int] = {}
        before: list[Promise] = []
        for channel in sorted(fences, key=lambda name: (fences[name].priority, name)):
            left = self.spare(self.sources(channel), [*self.promised, *before], 0)
            kept[channel] = min(fences[channel].open, left)
            before.append(Promise(kept[channel], self.reach(self.sources(channel), 0)))
        return kept

    # Days to come -----------------------------------------------------------------------------------------

    def rules(self, location: str) -> Rules:
        def asked(name: str) -> object:
            return parameter(self.j, name, sku=self.sku, location=location, channel=None)

        return Rules(
            dock_days=number(asked("dock_days"), 0),
            late_days=number(asked("supplier_late_p90_days"), 1),
            max_slip_days=number(asked("max_slip_days"), 30),
            count_ordered=asked("count_ordered") is True,
        )

    @cached_property
    def arrivals(self) -> list[Arrival]:
        """What will come, by supply line and by transfer."""
        if self.today is None:
            return []
        parts = [part for line in self.supply.values() for part in line.parts]
        for id_, transfer in self.transfers.items():
            papers = [f for f in self.facts if isinstance(f, TransferShipped) and f.quantity]
            etas = [f.eta for f in papers if f.eta is not None and transfer_of(f) == id_]
            if transfer.open > 0 and etas:
                parts.append(Part("transfer", transfer.destination, max(etas), transfer.open))
        found = [arrival(part, self.today, self.rules) for part in parts]
        return [one for one in found if one is not None]

    @cached_property
    def dated(self) -> list[tuple[int, str, str, int]]:
        """Demand of later days: (day, location or "", channel, units)."""
        found = []
        for line in self.lines.values():
            if line.need_day is not None:
                found += [(line.need_day, place, line.channel, units) for place, _, units in line.placed]
                found.append((line.need_day, "", line.channel, line.pending))
        return [one for one in found if one[-1]]

    def flows(self, channel: str) -> tuple[Counter[int], Counter[int]]:
        """By day: units that come to the channel's nodes, and units due from them."""
        mine = self.node_sets[channel]
        supply, demand = Counter[int](), Counter[int]()
        for one in self.arrivals:
            if one.location in mine:
                supply[one.day] += one.units
        for day, place, of, units in self.dated:
            if self.allows(channel, place) if place else self.meet(channel, of):
                demand[min(day, (self.today or 0) + HORIZON)] += units
        return supply, demand

    def waiting(self, channel: str) -> int:
        """Units owed that more stock where the channel sells could serve, and would serve first."""
        owed = self.owed()
        meeting = frozenset(more_for(other) for other in self.node_sets if self.meet(channel, other))
        plenty = {place: sum(promise.units for promise in owed) for place in meeting}
        return flow({**self.exposed, **plenty}, owed) - flow(self.exposed, owed)

    def opening(self, channel: str, left: int) -> int:
        """What the days start with where `left` units are left beside all promises: less than 0 where some wait."""
        return left or -self.waiting(channel)

    def cumulative(self, channel: str, left: int) -> tuple[int, ...]:
        """For today and the days after it what every later day can spare, whoever is asked to serve what."""
        if self.today is None:
            return ()
        supply, demand = self.flows(channel)
        level, p = self.opening(channel, left), []
        for day in range(self.today, self.today + HORIZON + 1):
            level += supply[day] - demand[day]
            p.append(level)
        return tuple(min(p[d:]) for d in range(len(p)))

    def levels(self, channel: str, left: int) -> tuple[int, ...]:
        """A_d for today and the days after it: what is left beside all that is promised in time."""
        every_day = self.cumulative(channel, left)
        if not self.dated or self.today is None:
            return every_day
        changes = {0, *(day for day in map(first_of, self.in_time) if day)}
        found, spared = [], 0
        for d, level in enumerate(every_day):
            if not d or self.today + d in changes:
                spared = self.spare(self.sources(channel), self.promised + self.fenced, self.today + d)
            found.append(min(spared, level) if self.lacks else spared)
        return tuple(found)

    # Answers ----------------------------------------------------------------------------------------------

    def channel(self, channel: str) -> ChannelAnswer:
        rings, fence = self.rings, self.ring_fence(channel)
        promises = self.owed() + [Promise(units, self.sources(name)) for name, units in rings.items()]
        left = takeable(self.exposed, promises, self.sources(channel))
        levels = self.levels(channel, left)
        pool = self.spare(self.sources(channel), self.promised + self.fenced, 0)
        if self.dated and self.lacks and levels:
            pool = min(pool, max(0, levels[0]))
        share = number(parameter(self.j, "share_percent", sku=self.sku, location=None, channel=channel), 100)
        held = self.buffer(channel, share)
        cap = parameter(self.j, "cap", sku=self.sku, location=None, channel=channel)
        shown = max(0, rings[channel] + share * pool // 100 - held)
        coming = any(units > 0 and share * units // 100 > held for units in levels) and cap != 0
        ahead = parameter(self.j, "sells_ahead", sku=self.sku, location=None, channel=channel)
        return ChannelAnswer(
            ring_open=fence.open,
            ring=rings[channel],
            takeable=left,
            pool=pool,
            atp=min(cap, shown) if isinstance(cap, int) else shown,
            priority=fence.priority if fence.open else None,
            levels=levels,
            buffer=held,
            share=share,
            cap=cap if isinstance(cap, int) else None,
            low_at=number(parameter(self.j, "low_at", sku=self.sku, location=None, channel=channel), 0),
            sells_ahead=ahead if isinstance(ahead, str) and coming else "never",
        )

    def buffer(self, channel: str, share: int) -> int:
        """Units held back from the channel."""

        def asked(name: str) -> object:
            return parameter(self.j, name, sku=self.sku, location=None, channel=channel)

        least = number(asked("buffer"), 0)
        if not asked("buffer_by_rate"):
            return least
        own = [one for name, one in self.drawn.items() if name == channel]
        others = [one for name, one in self.drawn.items() if name != channel and self.meet(channel, name)]
        lag_s, order_lag_s = number(asked("lag_s"), 0), number(asked("order_lag_s"), 0)
        return buffer(least, share, rate(others), lag_s, rate(own), order_lag_s)

    def limit(self, channel: str, location: str = "", need: int | None = None) -> int:
        """What a request of the channel may take at most, at one location or anywhere that serves the channel.

        `need` is the day that it is for.
        """
        if location and not self.serves(channel, location):
            return 0
        later = None if need is None or self.today is None or need <= self.today else min(need - self.today, HORIZON)
        others = [
            Promise(units, self.reach(self.sources(name), 0)) for name, units in self.rings.items() if name != channel
        ]
        nodes = self.shelves([location], self.life(channel)) if location else self.sources(channel)
        left = self.spare(nodes, self.promised + others, 0 if later is None else (self.today or 0) + later)
        if self.lacks and (self.dated or later is not None):
            left = min(left, self.rings.get(channel, 0) + max(0, self.channel(channel).levels[later or 0]))
        return left

    def risks(self) -> set[tuple[str, str]]:
        """What stands: (kind, channel or "")."""
        found = {("oversold", "")} if self.shortage else set[tuple[str, str]]()
        for name in self.j.names_of_channels(self.sku):
            one = self.channel(name)
            if one.ring < one.ring_open:
                found.add(("ring_short", name))
            # Where nothing comes and nothing is due later, what waits for stock waits today.
            later = any(day <= (self.today or 0) + HORIZON for some in self.flows(name) for day in some)
            if not self.shortage and later and any(units < 0 for units in one.levels[: SOON + 1]):
                found.add(("projected", name))
        return found


def shelf(place: str, life: int) -> str:
    """Where the goods of a place lie that last for so many days."""
    return f"{place}, {life} days"


def when_at(day: int, where: str) -> str:
    """A name for what is on a shelf from a day on; 0: now."""
    return f"{day}|{where}"


def day_and_shelf(name: str) -> tuple[int, str]:
    day, _, place = name.partition("|")
    return int(day), place


def first_of(name: str) -> int:
    return day_and_shelf(name)[0]


def more_for(channel: str) -> str:
    """A place that nobody has heard of yet, and that would serve the channel."""
    return f"(more for {channel})"


def direct(facts: Sequence[Envelope], channel: str, since: int) -> int:
    """Units that left to customers of the channel without an order."""
    mine = [f for f in facts if f.order is None and (f.channel or "all") == channel and f.event_time >= since]
    return sum(m.quantity for f in mine for m in moves(f) if m.target == "CUSTOMER")


def discrete(opening: int, supply: Counter[int], demand: Counter[int], days: range) -> list[int]:
    """What each supply can spare by itself, added up from the first day to each day.

    A bucket opens with each day that brings supply, the first with what there is; it pays for demand until the next
    one. What it lacks is taken from the buckets before it, the nearest first.
    """
    starts = [day for day in days if day == days.start or supply[day]]
    buckets = []
    for n, start in enumerate(starts):
        until = starts[n + 1] if n + 1 < len(starts) else days.stop
        own = supply[start] - sum(demand[day] for day in range(start, until))
        buckets.append(own + (opening if not n else 0))
        for earlier in reversed(range(n)):
            moved = max(0, min(-buckets[n], buckets[earlier]))
            buckets[earlier] -= moved
            buckets[n] += moved
    return [sum(units for start, units in zip(starts, buckets, strict=True) if start <= day) for day in days]
