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

SHARES = {"sku": "VARCHAR", "channel": "VARCHAR", "ring": "BIGINT", "units": "BIGINT", "waiting": "BIGINT"}
"""Of `shares`: units of the ring-fence that stock can serve; units left beside all promises; units owed that wait
for stock where the channel sells."""

Cell = frozenset[str]
"""Places, or layers of them, that serve the same channels, by those; ANY_NODE among them: what is eligible at all."""
ANY_NODE = ""
"""No channel is called so."""


@dataclass(frozen=True, slots=True)
class Promise:
    """Units that any place may serve which serves `channel`."""

    units: int
    channel: str


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


def fill_shares(db: duckdb.DuckDBPyConnection) -> None:
    """Fill the table `shares`, for the SKUs of `promised`."""
    table = Table(db, "shares", SHARES)
    for name, sku in skus(db):
        for share in shares_of(sku):
            table.add((name, *share))
    table.flush()


def shares_of(sku: Sku) -> Iterator[tuple[str, int, int, int]]:
    """Yield channel, ring, units and waiting of each channel of a SKU."""
    promises = list(sku.owed)
    kept: dict[str, int] = {}
    for _, channel, wanted in sorted(sku.rings):
        kept[channel] = min(wanted, takeable(sku.room, promises, channel))
        promises.append(Promise(kept[channel], channel))
    for channel in sku.channels:
        yield channel, kept.get(channel, 0), takeable(sku.room, promises, channel), waiting(sku, channel)


def waiting(sku: Sku, channel: str) -> int:
    """Units owed that goods would serve first which came to where the channel sells."""
    others = [one for one in sku.owed if one.channel != ANY_NODE and (channel, one.channel) not in sku.meets]
    mine = sum(one.units for one in sku.owed) - sum(one.units for one in others)
    return mine + served(sku.room, others) - served(sku.room, sku.owed) if mine else 0


def takeable(room: Mapping[Cell, int], promises: Sequence[Promise], channel: str) -> int:
    """Units that can go from the places of a channel while as much of the promises is served as before."""
    mine = sum(units for cell, units in room.items() if channel in cell)
    others = {cell: units for cell, units in room.items() if channel not in cell}
    return mine + served(others, promises) - served(room, promises)


def served(room: Mapping[Cell, int], promises: Iterable[Promise]) -> int:
    """Units of the promises that stock can serve at once: a maximum flow, by augmenting paths."""
    left = dict(room)
    given: list[dict[Cell, int]] = []
    channels: list[str] = []
    total = 0
    for promise in promises:
        given.append({})
        channels.append(promise.channel)
        wanted = promise.units
        while wanted and (path := _path(len(given) - 1, channels, given, left)):
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
    start: int, channels: Sequence[str], given: Sequence[Mapping[Cell, int]], left: Mapping[Cell, int]
) -> list[tuple[int, Cell]]:
    """Find the shortest way from a promise to a cell with room: (who takes, the cell that it takes) in turn."""
    ways: dict[int, list[tuple[int, Cell]]] = {start: []}
    waiting = deque([start])
    while waiting:
        who = waiting.popleft()
        for cell in left:
            if channels[who] not in cell:
                continue
            way = [*ways[who], (who, cell)]
            if left[cell]:
                return way
            for holder, cells in enumerate(given):
                if holder not in ways and cells.get(cell):
                    ways[holder] = way
                    waiting.append(holder)
    return []


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
        SELECT y.sku, 'room', '', y.units, 0, s.channels
        FROM layers y LEFT JOIN (
            SELECT y.sku, y.location, y.life, list(s.channel) AS channels
            FROM layers y JOIN served s USING (sku, location)
            JOIN lives v ON v.sku = s.sku AND v.channel = s.channel AND v.life <= y.life
            GROUP BY ALL
        ) s USING (sku, location, life)
        WHERE y.units > 0
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
            else:
                sku.room[frozenset((ANY_NODE, *(others or ())))] += units
        yield name, sku
