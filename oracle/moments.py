"""Was what a request was answered right at its moment? The ledger up to it says what could be taken then.

The present is worked out by files that read tables without caring which: so the ledgers of many moments lie side by
side in a schema of their own, and the same files work all of them out at once.
"""

from collections import defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import duckdb

from oracle.batches import Table
from oracle.network import ANY_NODE, Cell, Promise, Sku, fill_shares, skus, takeable

EVENTS_MAX = 250_000
"""Events that the ledgers of all moments may hold together. Requests are judged from those on with the fewest events
of their SKU before them, as many as that allows: each costs all of these."""

LIMITS = {"name": "VARCHAR", "units": "BIGINT"}

THERE = "|"
"""Who takes from the one location that a request names; no channel is called so."""

FILES = (
    "in_force", "stock", "closings", "counts", "positions", "clocks", "claims", "supply", "policies", "lots", "network",
    "layers",
)  # fmt: skip

Run = Callable[..., None]
"""Runs SQL files by their names."""


@dataclass(frozen=True, slots=True)
class Place:
    """A layer of the location that a request names, where it serves the channel."""

    units: int
    cell: Cell


def fill_limits(db: duckdb.DuckDBPyConnection, run: Run, events_max: int) -> None:
    """Fill `moments`, and in the schema `moment` the table `limits`: what each request could take."""
    db.execute("SET VARIABLE moment_events = ?::BIGINT", [events_max])
    run("moments")
    table = Table(db, "moment.limits", LIMITS)
    if not db.execute("FROM moments LIMIT 1").fetchall():
        db.execute("CREATE TABLE moment.lines AS FROM lines LIMIT 0")
        return
    db.execute("SET search_path = 'moment'")
    run(*FILES)
    fill_shares(db)
    run("buffers", "outlook")
    asked = {
        name: (channel, location)
        for name, channel, location in db.execute("SELECT name, answered_for, location FROM main.moments").fetchall()
    }
    places = _places(db)
    rings = {
        (sku, channel): units
        for sku, channel, units in db.execute("SELECT sku, channel, ring FROM shares WHERE ring > 0").fetchall()
    }
    days = _days(db)
    for name, sku in skus(db):
        channel, location = asked[name]
        kept = {one: rings.get((name, one), 0) for one in sku.channels}
        units = limit(sku, kept, channel, places.get(name, []) if location else None)
        if (today := days.get(name)) is not None:
            units = min(units, kept.get(channel, 0) + max(0, today))
        table.add((name, units))
    table.flush()
    db.execute("SET search_path = 'main'")


def limit(sku: Sku, rings: dict[str, int], channel: str, here: Sequence[Place] | None) -> int:
    """Units that a request of a channel may take, of all its places or, where it names one, of that one's layers.

    `rings` are what of each ring-fence stock can serve; its own is not in its way.
    """
    promises = [*sku.owed, *(Promise(units, other) for other, units in rings.items() if other != channel and units)]
    if here is None:
        return takeable(sku.room, promises, channel)
    # The one place becomes cells of its own.
    room = dict(sku.room)
    for place in here:
        room[place.cell] = room.get(place.cell, 0) - place.units
        alone = place.cell | {THERE}
        room[alone] = room.get(alone, 0) + place.units
    return takeable(room, promises, THERE)


def _places(db: duckdb.DuckDBPyConnection) -> dict[str, list[Place]]:
    rows = db.execute(
        """
        SELECT m.name, y.units, list(s.channel)
        FROM main.moments m JOIN layers y ON y.sku = m.name AND y.location = m.location
        JOIN served s ON s.sku = m.name AND s.location = m.location
        JOIN lives v ON v.sku = m.name AND v.channel = s.channel AND v.life <= y.life
        WHERE y.units > 0
        GROUP BY m.name, y.life, y.units, m.answered_for
        HAVING list_contains(list(s.channel), m.answered_for)
        """
    ).fetchall()
    found: dict[str, list[Place]] = defaultdict(list)
    for name, units, channels in rows:
        found[name].append(Place(units, frozenset((ANY_NODE, *channels))))
    return found


def _days(db: duckdb.DuckDBPyConnection) -> dict[str, int]:
    """What days to come leave today, of SKUs with demand of later days."""
    rows = db.execute(
        """
        SELECT m.name, l.level FROM main.moments m JOIN skus k ON k.sku = m.name
        JOIN levels l ON l.sku = m.name AND l.channel = m.answered_for AND l.day = k.today
        WHERE m.name IN (SELECT sku FROM dated)
        """
    ).fetchall()
    return dict(rows)
