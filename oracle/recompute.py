"""The judge: every figure again, in SQL, from the records of the ledger alone."""

from importlib.resources import files
from pathlib import Path

import duckdb

from oracle.batches import Table
from oracle.moments import EVENTS_MAX, fill_limits
from oracle.network import fill_shares
from oracle.records import (
    BILLS,
    COLUMNS,
    COUNTING,
    PARTICULAR,
    PARTICULARS,
    POLICIES,
    SEEN,
    Fields,
    Row,
    bill_row,
    flatten,
    names_a_lot,
    particulars_row,
    policy_row,
    replacement_of,
    seen_rows,
)
from oracle.shortage import fill_shortages

MEMORY_LIMIT = "2GB"
ROUNDS_MAX = 100

TABLES = {
    "ledger": COLUMNS, "replacements": COLUMNS, "seen": SEEN, "policies": POLICIES, "particulars": PARTICULARS,
    "bills": BILLS,
}  # fmt: skip


class Ledger:
    """The tables that the judge starts from."""

    def __init__(self, db: duckdb.DuckDBPyConnection) -> None:
        self.ledger, self.replacements, self.seen, self.policies, self.particulars, self.bills = (
            Table(db, name, columns) for name, columns in TABLES.items()
        )

    def add(self, part: int, off: int, kind: str, event: Fields, *, malformed: bool = False) -> None:
        """Add the event at offset `off` of partition `part`. Raises ValueError where a day of it is none."""
        replacement = replacement_of(event) if kind == "Correction" else None
        stated, fields = replacement or (kind, event)
        if (stated in PARTICULAR or names_a_lot(fields)) and (row := particulars_row(part, off, fields)) is not None:
            self.particulars.add(row)
        self.ledger.add(flatten(part, off, kind, event, malformed=malformed))
        if stated in COUNTING:
            for seen in seen_rows(part, off, fields):
                self.seen.add(seen)
        elif kind == "PolicyChanged":
            self.policies.add(policy_row(part, off, event["policy"]))
        if replacement is not None:
            self.replacements.add(flatten(part, off, stated, fields))

    def add_bill(self, part: int, off: int, home: int, event: Fields) -> None:
        """Add what the event says of a kit, whose own SKU lies in partition `home`."""
        self.bills.add(bill_row(part, off, home, event))

    def flush(self) -> None:
        for table in (self.ledger, self.replacements, self.seen, self.policies, self.particulars, self.bills):
            table.flush()


def connect(path: Path | None = None) -> duckdb.DuckDBPyConnection:
    """Open a database, in memory without a path."""
    db = duckdb.connect(str(path) if path else ":memory:")
    db.execute(f"SET memory_limit = '{MEMORY_LIMIT}'")
    db.execute("SET preserve_insertion_order = false")
    return db


def recompute(db: duckdb.DuckDBPyConnection, window_us: int, moment_events: int = EVENTS_MAX) -> None:
    """Fill the tables of docs/verify.md, from facts to channels.

    `window_us` is the window `W` in microseconds. Requests are judged at their moments as long as the events before
    them come to no more than `moment_events` together. Reads the tables of `Ledger`, what was answered to requests
    (`answers`), and of `held` how far positions are to be trusted.
    """
    db.execute("SET VARIABLE window_us = ?::BIGINT", [window_us])
    _run(db, "snapshots", "validity")
    _run(db, "rates")
    if _one(db, "SELECT count(*) FROM rated_until") != (0,):
        _draw(db)
    _run(db, "admission")
    _settle_verdicts(db)
    _run(db, "in_force", "stock", "closings", "counts", "positions", "bills", "clocks", "claims", "supply", "policies")
    db.execute("CREATE OR REPLACE TABLE asked (sku VARCHAR)")
    _run(db, "lots", "network", "layers")
    fill_shares(db)
    fill_shortages(db)
    _run(db, "buffers", "outlook", "kits", "risks", "exceptions")
    fill_limits(db, lambda *names: _run(db, *names), moment_events)


def _draw(db: duckdb.DuckDBPyConnection) -> None:
    """Judge the ledger as it stood when the rates were judged last, in a schema of its own: what was drawn by then."""
    db.execute("CREATE OR REPLACE SCHEMA minute")
    for name in (*TABLES, "answers"):
        whole = db.table(f"main.{name}")
        known = whole if name == "answers" else whole.join(db.table("main.rated_until"), "part").filter("off <= until")
        known.select(", ".join(whole.columns)).create(f"minute.{name}")
    db.execute("SET search_path = 'minute'")
    _run(db, "admission")
    _settle_verdicts(db)
    _run(db, "in_force", "bills", "clocks", "claims")
    db.execute("SET search_path = 'main'")
    _run(db, "draws")
    db.execute("DROP SCHEMA minute CASCADE")


def _settle_verdicts(db: duckdb.DuckDBPyConnection) -> None:
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


def _one(db: duckdb.DuckDBPyConnection, query: str) -> Row:
    (row,) = db.execute(query).fetchall()
    return tuple(row)


def _run(db: duckdb.DuckDBPyConnection, *names: str) -> None:
    for name in names:
        db.execute(files("oracle").joinpath(f"{name}.sql").read_text("utf-8"))
