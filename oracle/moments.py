"""Was what a request was answered right at its moment? The ledger up to it says what could be taken then.

The present is worked out by files that read tables without caring which: so the ledgers of many moments lie side by
side in a schema of their own, and the same files work all of them out at once.
"""

from collections import defaultdict
from collections.abc import Callable

import duckdb

from oracle.batches import Table
from oracle.network import ALL_DAYS, ANY_NODE, NOW, Cell, Promise, Sku, coming, fill_shares, skus, takeable

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

Lots = list[tuple[Cell, int]]
"""What there is, each day's by itself, with its units."""

Run = Callable[..., None]
"""Runs SQL files by their names."""


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
    asked = {name: (channel, location, day) for name, channel, location, day in _asked(db)}
    places = _places(db)
    rings = {
        (sku, channel): units
        for sku, channel, units in db.execute("SELECT sku, channel, ring FROM shares WHERE ring > 0").fetchall()
    }
    levels = _levels(db)
    for name, sku in skus(db):
        channel, location, day = asked[name]
        kept = {one: rings.get((name, one), 0) for one in sku.channels}
        units = limit(sku, kept, channel, day, places[name] if location else None)
        if (level := levels.get(name)) is not None:
            units = min(units, kept.get(channel, 0) + max(0, level))
        table.add((name, units))
    table.flush()
    db.execute("SET search_path = 'main'")


def limit(sku: Sku, rings: dict[str, int], channel: str, day: int, here: Lots | None) -> int:
    """Units that a request of the channel may take for a day, of all its places or of the one that it names.

    `rings` are what of each ring-fence stock can serve; its own is not in its way. `here` is what the one place has.
    """
    others = [Promise(units, other) for other, units in rings.items() if other != channel and units]
    promises, stock = [*sku.owed, *sku.later, *others], sku.by(ALL_DAYS)
    if here is None:
        return takeable(stock, promises, channel, day)
    # What is at the one place, and comes there, becomes lots of its own.
    for lot, units in here:
        stock[lot] -= units
        mine = lot | {THERE}
        stock[mine] = stock.get(mine, 0) + units
    return takeable(stock, promises, THERE, day)


def _asked(db: duckdb.DuckDBPyConnection) -> list[tuple[str, str, str, int]]:
    """Return name, channel and location of each request, and the day that it is for: one to come, or NOW."""
    return db.execute(
        """
        SELECT m.name, m.answered_for, m.location, if(m.need_day > k.today, least(m.need_day, k.today + 180), ?)
        FROM main.moments m JOIN skus k ON k.sku = m.name
        """,
        [NOW],
    ).fetchall()


def _places(db: duckdb.DuckDBPyConnection) -> dict[str, Lots]:
    """Return by request what lies at the location that it names, and comes there, if that serves its channel."""
    rows = db.execute(
        """
        SELECT m.name, y.units, 0, list_concat(s.channels, o.own)
        FROM main.moments m JOIN layers y ON y.sku = m.name AND y.location = m.location
        JOIN layers_serve s ON s.sku = m.name AND s.location = m.location AND s.life = y.life
        LEFT JOIN own_lots o ON o.sku = m.name AND o.location = m.location
        WHERE y.units > 0 AND list_contains(s.channels, m.answered_for)
        UNION ALL
        SELECT m.name, i.units, i.day, list_concat(s.channels, o.own)
        FROM main.moments m JOIN inbound i ON i.sku = m.name AND i.location = m.location JOIN skus k ON k.sku = m.name
        JOIN (SELECT sku, location, list(channel) AS channels FROM served GROUP BY ALL) s
            ON s.sku = m.name AND s.location = m.location
        LEFT JOIN own_lots o ON o.sku = m.name AND o.location = m.location
        WHERE i.day <= k.today + 180 AND list_contains(s.channels, m.answered_for)
        """
    ).fetchall()
    found: dict[str, Lots] = defaultdict(list)
    for name, units, day, channels in rows:
        cell: Cell = frozenset((ANY_NODE, *channels))
        found[name].append((cell | {coming(day)} if day else cell, units))
    return found


def _levels(db: duckdb.DuckDBPyConnection) -> dict[str, int]:
    """What the day that is asked for leaves, of SKUs that cannot serve all that they promised for days to come."""
    rows = db.execute(
        """
        SELECT m.name, max_by(l.level, l.day) FROM main.moments m JOIN skus k ON k.sku = m.name
        JOIN levels l ON l.sku = m.name AND l.channel = m.answered_for
            AND l.day <= greatest(k.today, least(coalesce(m.need_day, 0), k.today + 180))
        WHERE m.name IN (SELECT sku FROM shares WHERE lacks > 0)
            AND (m.name IN (SELECT sku FROM dated) OR m.need_day > k.today)
        GROUP BY m.name
        """
    ).fetchall()
    return dict(rows)
