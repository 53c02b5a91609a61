"""The judge: every figure again, in SQL, from the records of the ledger alone."""

from importlib.resources import files
from pathlib import Path

import duckdb
import pyarrow as pa

from oracle.records import (
    COLUMNS,
    POLICIES,
    SEEN,
    Fields,
    Row,
    flatten,
    policy_row,
    replacement_of,
    seen_rows,
)

MEMORY_LIMIT = "2GB"
ROWS_AT_ONCE = 50_000
ROUNDS_MAX = 100

TABLES = {"ledger": COLUMNS, "replacements": COLUMNS, "seen": SEEN, "policies": POLICIES}
ARROW = {
    "INTEGER": pa.int32(),
    "BIGINT": pa.int64(),
    "BOOLEAN": pa.bool_(),
    "VARCHAR": pa.string(),
    "VARCHAR[]": pa.list_(pa.string()),
    "BIGINT[]": pa.list_(pa.int64()),
    "BLOB": pa.binary(),
}


class Table:
    """Rows on their way into a table, in batches."""

    def __init__(self, db: duckdb.DuckDBPyConnection, name: str, columns: dict[str, str]) -> None:
        self.db = db
        self.name = name
        self.schema = pa.schema([(column, ARROW[kind]) for column, kind in columns.items()])
        self.rows: list[Row] = []
        db.execute(f"CREATE TABLE {name} ({', '.join(f'{column} {kind}' for column, kind in columns.items())})")

    def add(self, row: Row) -> None:
        self.rows.append(row)
        if len(self.rows) >= ROWS_AT_ONCE:
            self.flush()

    def flush(self) -> None:
        """Write what waits."""
        if not self.rows:
            return
        columns = zip(*self.rows, strict=True)
        arrays = [pa.array(column, field.type) for column, field in zip(columns, self.schema, strict=True)]
        self.db.register("incoming", pa.Table.from_arrays(arrays, schema=self.schema))
        self.db.execute(f"INSERT INTO {self.name} SELECT * FROM incoming")  # noqa: S608 - our own table's name
        self.db.unregister("incoming")
        self.rows.clear()


class Ledger:
    """The tables that the judge starts from."""

    def __init__(self, db: duckdb.DuckDBPyConnection) -> None:
        self.ledger, self.replacements, self.seen, self.policies = (
            Table(db, name, columns) for name, columns in TABLES.items()
        )

    def add(self, part: int, off: int, kind: str, event: Fields, *, malformed: bool = False) -> None:
        """Add the event at offset `off` of partition `part`."""
        self.ledger.add(flatten(part, off, kind, event, malformed=malformed))
        if kind == "CountRecorded":
            for row in seen_rows(part, off, event):
                self.seen.add(row)
        elif kind == "PolicyChanged":
            self.policies.add(policy_row(part, off, event["policy"]))
        elif kind == "Correction" and (replacement := replacement_of(event)) is not None:
            new_kind, fields = replacement
            self.replacements.add(flatten(part, off, new_kind, fields))
            for row in seen_rows(part, off, fields):
                self.seen.add(row)

    def flush(self) -> None:
        for table in (self.ledger, self.replacements, self.seen, self.policies):
            table.flush()


def connect(path: Path | None = None) -> duckdb.DuckDBPyConnection:
    """Open a database, in memory without a path."""
    db = duckdb.connect(str(path) if path else ":memory:")
    db.execute(f"SET memory_limit = '{MEMORY_LIMIT}'")
    db.execute("SET preserve_insertion_order = false")
    return db


def recompute(db: duckdb.DuckDBPyConnection, window_us: int) -> None:
    """Fill the tables facts, in_force, moves, counted, stock, variances, erp_totals, nodes and channels.

    `window_us` is the window `W` in microseconds. Reads the tables of `Ledger`.
    """
    db.execute("SET VARIABLE window_us = ?::BIGINT", [window_us])
    _run(db, "validity", "admission")
    for _ in range(ROUNDS_MAX):
        _run(db, "judge")
        (changed,) = _one(
            db,
            "SELECT count(*) FROM facts f JOIN judged j USING (part, off) "
            "WHERE f.verdict <> j.verdict OR f.life <> j.life",
        )
        if not changed:
            break
        db.execute(
            "UPDATE facts SET verdict = j.verdict, life = j.life FROM judged j "
            "WHERE facts.part = j.part AND facts.off = j.off "
            "AND (facts.verdict <> j.verdict OR facts.life <> j.life)"
        )
    else:
        raise RuntimeError(f"the verdicts did not settle in {ROUNDS_MAX} rounds")
    _run(db, "stock", "counts", "positions", "policies")


def _one(db: duckdb.DuckDBPyConnection, query: str) -> Row:
    (row,) = db.execute(query).fetchall()
    return tuple(row)


def _run(db: duckdb.DuckDBPyConnection, *names: str) -> None:
    for name in names:
        db.execute(files("oracle").joinpath(f"{name}.sql").read_text("utf-8"))
