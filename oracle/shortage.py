"""Units promised that no stock can serve, safety stock included: what a maximum flow leaves of what is owed."""

from collections import defaultdict
from itertools import groupby

import duckdb

from oracle.batches import Table
from oracle.network import ANY_NODE, Cell, Promise, served

SHORTAGES = {"sku": "VARCHAR", "units": "BIGINT"}


def fill_shortages(db: duckdb.DuckDBPyConnection) -> None:
    """Fill the table `shortages`: by SKU, units owed that no eligible location has beyond its claims."""
    table = Table(db, "shortages", SHORTAGES)
    rows = db.execute(
        """
        WITH owed AS (
            SELECT sku, channel, units FROM pending
            UNION ALL
            SELECT sku, '', sum(uncovered)::BIGINT FROM nodes WHERE uncovered > 0 GROUP BY sku
        )
        SELECT sku, 'owed' AS what, channel, units, NULL::VARCHAR[] AS channels FROM owed
        UNION ALL
        SELECT y.sku, 'room', '', y.free, s.channels
        FROM layers y SEMI JOIN owed USING (sku) LEFT JOIN layers_serve s USING (sku, location, life)
        WHERE y.free > 0
        ORDER BY sku, what, channel
        """
    ).fetchall()
    for name, lines in groupby(rows, key=lambda row: str(row[0])):
        room: dict[Cell, int] = defaultdict(int)
        owed: list[Promise] = []
        for _, what, channel, units, channels in lines:
            if what == "owed":
                owed.append(Promise(units, channel))
            else:
                room[frozenset((ANY_NODE, *(channels or ())))] += units
        missing = sum(one.units for one in owed) - served(room, owed)
        if missing > 0:
            table.add((name, missing))
    table.flush()
