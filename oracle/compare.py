"""Where the pipeline and the judge differ, with both figures."""

from collections.abc import Iterator
from dataclasses import dataclass
from importlib.resources import files

import duckdb


@dataclass(frozen=True, slots=True)
class Difference:
    """One figure that is not what it should be."""

    what: str
    key: str
    expected: str
    """The judge's."""
    found: str
    """The pipeline's."""


@dataclass(frozen=True, slots=True)
class Comparison:
    """What was compared and how many figures differ."""

    events: int
    positions: int
    keys: int
    """Keys of availability, nodes and channels."""
    erp_lines: int
    erp_totals: int
    variances: int
    kits: int
    """Answers for kits, each a kit through a channel."""
    risks: int
    """Risks that follow from what stands."""
    exceptions: int
    """Open exceptions of the kinds that follow from the book."""
    claims: int
    """Order lines with open units."""
    decisions: int
    """Requests for reservations, each with its one answer."""
    moments: int
    """Requests whose answer was judged by what could be taken at its moment."""
    refused: int
    """Records that are refused, each with its dead letter."""
    verdicts: dict[str, int]
    """Records of the ledger by what they are worth."""
    differences: int


def compare(db: duckdb.DuckDBPyConnection) -> Comparison:
    """Fill the table `differences` and sum up."""
    for name in (
        "compare",
        "compare_promises",
        "compare_decisions",
        "compare_moments",
        "compare_kits",
        "compare_risks",
        "compare_exceptions",
    ):
        db.execute(files("oracle").joinpath(f"{name}.sql").read_text("utf-8"))
    return Comparison(
        events=_count(db, "FROM ledger WHERE type <> 'TimeTicked'"),
        positions=_count(db, "FROM nodes"),
        keys=_count(db, "FROM nodes") + _count(db, "FROM channels"),
        erp_lines=_count(db, "FROM posted"),
        erp_totals=_count(db, "FROM erp_totals"),
        variances=_count(db, "FROM variances"),
        kits=_count(db, "FROM kit_answers JOIN kits_in_step USING (kit)"),
        risks=_count(db, "FROM judged_risks") + _count(db, "FROM held_risks WHERE kind = 'exposure'"),
        exceptions=_count(db, "FROM open_exceptions"),
        claims=_count(db, "FROM lines WHERE open > 0"),
        decisions=_count(db, "FROM requests"),
        moments=_count(db, "FROM moments"),
        refused=_count(db, "FROM facts WHERE verdict IN ('late', 'future', 'conflict', 'malformed')"),
        verdicts=dict(db.execute("SELECT verdict, count(*) FROM facts GROUP BY ALL ORDER BY ALL").fetchall()),
        differences=_count(db, "FROM differences"),
    )


def differences(db: duckdb.DuckDBPyConnection, at_most: int) -> Iterator[Difference]:
    """Yield the first differences, some of every kind."""
    some = "FROM differences ORDER BY row_number() OVER (PARTITION BY what ORDER BY key), what LIMIT ?"
    for row in db.execute(some, [at_most]).fetchall():
        yield Difference(*row)


def _count(db: duckdb.DuckDBPyConnection, what: str) -> int:
    ((number,),) = db.execute(f"SELECT count(*) {what}").fetchall()
    return int(number)
