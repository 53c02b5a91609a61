"""What channels may promise of SKUs that have promised units which no node holds: what a maximum flow leaves.

A promise is served by any unit that lies where the promise may be served from. What may still be taken from some
places is the greatest number of their units that can go while every promise that can be served still is.
"""

from collections import defaultdict, deque
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import groupby, pairwise

import duckdb

from oracle.batches import Table

SHARES = {
    "sku": "VARCHAR", "channel": "VARCHAR", "ring": "BIGINT", "units": "BIGINT", "waiting": "BIGINT",
    "in_time": "BIGINT", "lacks": "BIGINT",
}  # fmt: skip
"""Of `shares`: units of the ring-fence that stock can serve; units left beside all promises that are due; units owed
that wait for stock where the channel sells; units left beside promises of later days too, which count on what comes in
time; units of the SKU that neither stock nor what comes in time can serve."""
IN_TIME = {"sku": "VARCHAR", "channel": "VARCHAR", "day": "INTEGER", "units": "BIGINT"}
"""Of `in_time`: units left beside all promises for a day on which something comes, where a later day is promised."""

Cell = frozenset[str]
"""Places, or layers of them, that serve the same channels, by those channels; ANY_NODE among them: what is eligible at
all. What comes has its day among them, and a place that later demand names its own name."""
ANY_NODE = ""
"""No channel is called so."""
NOW = 0
"""The day of what is due."""


@dataclass(frozen=True, slots=True)
class Promise:
    """Units that any place may serve which serves `channel`, and that has them by `day`."""

    units: int
    channel: str
    day: int = NOW


@dataclass(slots=True)
class Sku:
    """One SKU's stock and promises, as the flow sees them."""

    room: dict[Cell, int] = field(default_factory=lambda: defaultdict(int))
    channels: list[str] = field(default_factory=list)
    owed: list[Promise] = field(default_factory=list)
    """Pending lines, and claims that lost their stock."""
    rings: list[tuple[int, str, int]] = field(default_factory=list)
    """(priority, channel, units not taken yet) of each ring-fence."""
    meets: set[tuple[str, str]] = field(default_factory=set)
    """Channels that could sell from one place."""
    comes: list[tuple[int, Cell, int]] = field(default_factory=list)
    """(day, where, units) of what will come."""
    later: list[Promise] = field(default_factory=list)
    """Demand of later days."""

    def by(self, day: int) -> dict[Cell, int]:
        """What there is by a day, each lot apart: what comes is marked with when."""
        lots = dict(self.room)
        for when, cell, units in self.comes:
            if when <= day:
                lot = cell | {coming(when)}
                lots[lot] = lots.get(lot, 0) + units
        return lots


def fill_shares(db: duckdb.DuckDBPyConnection) -> None:
    """Fill the tables `shares` and `in_time`, for the SKUs of `promised`."""
    shares, in_time = Table(db, "shares", SHARES), Table(db, "in_time", IN_TIME)
    for name, sku in skus(db):
        for share in shares_of(sku):
            shares.add((name, *share))
        for left in left_in_time(sku):
            in_time.add((name, *left))
    shares.flush()
    in_time.flush()


def shares_of(sku: Sku) -> Iterator[tuple[str, int, int, int, int, int]]:
    """Yield channel, ring, units, waiting, in_time and lacks of each channel of a SKU."""
    rings = rings_of(sku)
    due, promises = sku.owed + rings, sku.owed + sku.later + rings
    kept = {ring.channel: ring.units for ring in rings}
    stock = sku.by(ALL_DAYS)
    lacks = sum(one.units for one in promises) - served(stock, promises)
    for channel in sku.channels:
        left = takeable(sku.room, due, channel)
        now = takeable(stock, promises, channel) if sku.later else left
        yield channel, kept.get(channel, 0), left, waiting(sku, channel), now, lacks


def left_in_time(sku: Sku) -> Iterator[tuple[str, int, int]]:
    """Yield channel, day and the units left for it, for each day on which something comes."""
    if not sku.later:
        return
    promises, stock = sku.owed + sku.later + rings_of(sku), sku.by(ALL_DAYS)
    for channel in sku.channels:
        for day in sorted({when for when, cell, _ in sku.comes if channel in cell}):
            yield channel, day, takeable(stock, promises, channel, day)


def rings_of(sku: Sku) -> list[Promise]:
    """What the ring-fences keep: each takes what promises of later days leave, too."""
    promises, stock = sku.owed + sku.later, sku.by(ALL_DAYS)
    kept: list[Promise] = []
    for _, channel, wanted in sorted(sku.rings):
        kept.append(Promise(min(wanted, takeable(stock, promises + kept, channel)), channel))
    return kept


def waiting(sku: Sku, channel: str) -> int:
    """Units owed that goods would serve first which came to where the channel sells."""
    others = [one for one in sku.owed if one.channel != ANY_NODE and (channel, one.channel) not in sku.meets]
    mine = sum(one.units for one in sku.owed) - sum(one.units for one in others)
    return mine + served(sku.room, others) - served(sku.room, sku.owed) if mine else 0


def takeable(room: Mapping[Cell, int], promises: Sequence[Promise], channel: str, day: int = NOW) -> int:
    """Units that can go by a day from the places of a channel while as much of the promises is served as before."""
    mine = sum(units for cell, units in room.items() if channel in cell and _when(cell) <= day)
    others = {cell: units for cell, units in room.items() if channel not in cell or _when(cell) > day}
    return mine + served(others, promises) - served(room, promises)


def served(room: Mapping[Cell, int], promises: Iterable[Promise]) -> int:
    """Units of the promises that stock can serve in time: a maximum flow, by augmenting paths."""
    left = dict(room)
    given: list[dict[Cell, int]] = []
    asked: list[Promise] = []
    total = 0
    for promise in promises:
        given.append({})
        asked.append(promise)
        wanted = promise.units
        while wanted and (path := _path(len(given) - 1, asked, given, left)):
            # The path goes from the promise to a cell, to another promise that lets go of it, to a cell, and so on.
            units = min(wanted, left[path[-1][1]], *(given[taker][cell] for (_, cell), (taker, _) in pairwise(path)))
            for who, cell in path:
                given[who][cell] = given[who].get(cell, 0) + units
            for (_, cell), (taker, _) in pairwise(path):
                given[taker][cell] -= units
            left[path[-1][1]] -= units
            wanted -= units
            total += units
    return total


def _path(
    start: int, asked: Sequence[Promise], given: Sequence[Mapping[Cell, int]], left: Mapping[Cell, int]
) -> list[tuple[int, Cell]]:
    """Find the shortest way from a promise to a cell with room: (who takes, the cell that it takes) in turn."""
    ways: dict[int, list[tuple[int, Cell]]] = {start: []}
    waiting = deque([start])
    while waiting:
        who = waiting.popleft()
        for cell in left:
            if asked[who].channel not in cell or _when(cell) > asked[who].day:
                continue
            way = [*ways[who], (who, cell)]
            if left[cell]:
                return way
            for holder, cells in enumerate(given):
                if holder not in ways and cells.get(cell):
                    ways[holder] = way
                    waiting.append(holder)
    return []


ALL_DAYS = 1_000_000
MARK, PLACE = "|day|", "|place|"
"""No channel is called so: `|` is in no name."""


def coming(day: int) -> str:
    return f"{MARK}{day}"


def _when(cell: Cell) -> int:
    """The day that a lot comes; NOW where it is there."""
    return next((int(name.removeprefix(MARK)) for name in cell if name.startswith(MARK)), NOW)


def _at(place: str) -> str:
    return f"{PLACE}{place}"


def skus(db: duckdb.DuckDBPyConnection) -> Iterator[tuple[str, Sku]]:
    """Yield the SKUs that have promised something."""
    lines = db.execute(
        """
        SELECT sku, 'channel' AS what, channel, 0 AS units, 0 AS priority, NULL::VARCHAR[] AS others
        FROM known_channels SEMI JOIN promised USING (sku)
        UNION ALL
        SELECT sku, 'owed', channel, units, 0, NULL FROM pending
        UNION ALL
        SELECT sku, 'owed', '', sum(uncovered)::BIGINT, 0, NULL FROM nodes WHERE uncovered > 0 GROUP BY sku
        UNION ALL
        SELECT sku, 'ring', channel, open, priority, NULL FROM rings WHERE open > 0
        UNION ALL
        SELECT sku, 'meets', channel, 0, 0, list(other) FROM meets SEMI JOIN promised USING (sku) GROUP BY ALL
        UNION ALL
        SELECT sku, 'later', channel, units, day, [location] FROM dated_in_time
        UNION ALL
        SELECT y.sku, 'room', '', y.units, 0, list_concat(s.channels, own)
        FROM layers y LEFT JOIN layers_serve s USING (sku, location, life) LEFT JOIN own_lots USING (sku, location)
        WHERE y.units > 0
        UNION ALL
        SELECT i.sku, 'comes', '', i.units, i.day, list_concat(s.channels, own)
        FROM inbound i JOIN places p USING (sku, location) JOIN skus k USING (sku)
        LEFT JOIN (
            SELECT sku, location, list(channel) AS channels FROM served GROUP BY ALL
        ) s USING (sku, location) LEFT JOIN own_lots USING (sku, location)
        WHERE p.eligible AND i.day <= k.today + 180
        ORDER BY sku, what, channel
        """
    ).fetchall()
    for name, rows in groupby(lines, key=lambda row: str(row[0])):
        sku = Sku()
        for _, what, channel, units, priority, others in rows:
            if what == "channel":
                sku.channels.append(channel)
            elif what == "owed":
                sku.owed.append(Promise(units, channel))
            elif what == "ring":
                sku.rings.append((priority, channel, units))
            elif what == "meets":
                sku.meets.update((channel, other) for other in others)
            elif what == "comes":
                sku.comes.append((priority, frozenset((ANY_NODE, *(others or ()))), units))
            elif what == "later":
                sku.later.append(Promise(units, _at(others[0]) if others[0] else channel, priority))
            else:
                sku.room[frozenset((ANY_NODE, *(others or ())))] += units
        yield name, sku
