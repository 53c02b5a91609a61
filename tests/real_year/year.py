"""A retailer's year through the pipeline, and what it must come to by adding up the file itself."""

import json
import os
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import duckdb
import pytest

from oracle.dump import LEDGER, positions
from oracle.topics import Topics
from streams.settings import Settings
from tests.streams.rig import Worker

FILE = Path(os.environ.get("ATP_REAL_YEAR", Path(__file__).resolve().parents[3] / "shared/data/online-retail.csv.gz"))
SLICE = int(os.environ.get("ATP_REAL_YEAR_LINES", "60000"))
"""Lines of the variants that need not see the whole year; 0 is all. The first 60,000 reach over the silent New Year."""
OPENING = 1000
PATIENCE_S = 900.0

on_the_file = pytest.mark.skipif(
    not FILE.exists(), reason=f"there is no {FILE}. Name the data set Online Retail: ATP_REAL_YEAR=FILE.csv.gz"
)

# One row a line of stock: what it adds to stock on hand, and under which document type the ERP hears of it.
LINES = """
    SELECT upper(StockCode) AS sku, Country AS location,
        CASE WHEN starts_with(InvoiceNo, 'C') THEN 'RETURN' WHEN Quantity < 0 THEN 'ADJ' ELSE 'GI_SALE' END AS kind,
        CASE kind WHEN 'RETURN' THEN abs(Quantity) WHEN 'ADJ' THEN Quantity ELSE -Quantity END AS units
    FROM (
        FROM read_csv(?, header = true, types = {'InvoiceNo': 'VARCHAR', 'StockCode': 'VARCHAR', 'Quantity': 'BIGINT'})
        LIMIT ?
    )
    WHERE regexp_full_match(upper(StockCode), '[0-9]{5}[A-Z]{0,2}')
"""


@dataclass
class Year:
    """The file, told to one pipeline."""

    settings: Settings
    lines: int = 0
    """How many of the file; 0 is all."""

    def __post_init__(self) -> None:
        assert self.settings.brokers is not None
        self.topics = Topics(self.settings.brokers, self.settings.topic_prefix)
        self.started = time.monotonic()

    def publish(self, *options: str) -> dict[str, Any]:
        return self._atp(
            "import", "online-retail", str(FILE), "--publish", "--json", "--opening-stock", str(OPENING),
            "--limit", str(self.lines), *options,
        )  # fmt: skip

    def verify(self, keep: Path) -> dict[str, Any]:
        return self._atp("verify", "--json", "--keep", str(keep))

    def wait_until_folded(self, share: float, *workers: Worker) -> None:
        """Wait until the markers have come to a share of the ledger, while these workers run."""
        total = sum(self.topics.ends(LEDGER)[LEDGER].values())
        deadline = time.monotonic() + PATIENCE_S
        while sum(positions(self.topics).values()) < share * total:
            assert time.monotonic() < deadline, f"{positions(self.topics)} of {total}"
            for worker in workers:
                assert worker.process.poll() is None, worker.text()[-4000:]
            time.sleep(0.25)

    def say(self, what: str) -> None:
        """Write down how far it is, for `pytest -s`."""
        sys.stdout.write(f"\n{time.monotonic() - self.started:7.1f} s  {what}")

    def _atp(self, *words: str) -> dict[str, Any]:
        command = [sys.executable, "-m", "cli", *words]
        environ = {**os.environ, **self.settings.environ()}
        done = subprocess.run(command, env=environ, capture_output=True, text=True, timeout=PATIENCE_S, check=False)
        assert done.returncode == 0, f"{words} ended with {done.returncode}:\n{done.stdout}\n{done.stderr}"
        self.say(f"{' '.join(words[:2])}: {done.stdout.strip()[:700]}")
        found: dict[str, Any] = json.loads(done.stdout)
        return found


def on_hand(lines: int) -> dict[tuple[str, str], int]:
    """Opening + returns + adjustments - sales, by adding up the file."""
    summed = duckdb.execute(
        f"SELECT sku, location, ? + sum(units)::BIGINT FROM ({LINES}) GROUP BY ALL",
        [OPENING, str(FILE), lines or None],
    )
    return {(sku, location): units for sku, location, units in summed.fetchall()}


def erp_totals(lines: int) -> dict[tuple[str, str, str], int]:
    """By document type, SKU and location: what the ERP must hear, by adding up the file."""
    summed = duckdb.execute(
        f"SELECT kind, sku, location, sum(units)::BIGINT FROM ({LINES}) GROUP BY ALL", [str(FILE), lines or None]
    )
    totals = {(kind, sku, location): units for kind, sku, location, units in summed.fetchall()}
    for sku, location in on_hand(lines):
        totals["ADJ", sku, location] = totals.get(("ADJ", sku, location), 0) + OPENING
    return {place: units for place, units in totals.items() if units}


def held(kept: Path) -> dict[tuple[str, str], int]:
    """What the pipeline's own tables hold, as `atp verify --keep` dumped them; all of it must be sellable."""
    with duckdb.connect(str(kept / "verify.duckdb"), read_only=True) as db:
        rows = db.execute("SELECT sku, location, sellable, returned, quarantine, damaged FROM held").fetchall()
    assert all(row[3:] == (0, 0, 0) for row in rows)
    return {(row[0], row[1]): row[2] for row in rows}


def posted(kept: Path) -> dict[tuple[str, str, str], int]:
    """What the pipeline told the ERP, in total; only what is not 0."""
    with duckdb.connect(str(kept / "verify.duckdb"), read_only=True) as db:
        rows = db.execute(
            "SELECT document_type, sku, location, sum(quantity)::BIGINT AS units FROM posted "
            "GROUP BY ALL HAVING units <> 0"
        ).fetchall()
    return {(kind, sku, location): units for kind, sku, location, units in rows}


def refused(kept: Path) -> set[tuple[str, str, int, str]]:
    """The papers of the events that have a dead letter `late`."""
    with duckdb.connect(str(kept / "verify.duckdb"), read_only=True) as db:
        rows = db.execute(
            "SELECT doc_type, doc_id, doc_line, sku FROM letters JOIN ledger USING (part, off) WHERE cause = 'late'"
        ).fetchall()
    return set(rows)
