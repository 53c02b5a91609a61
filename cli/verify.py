"""`atp verify`: is what the pipeline says true? A judge who shares no code with it recomputes everything."""

import json
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer
from confluent_kafka import KafkaException
from rich.console import Console
from rich.progress import Progress, SpinnerColumn, TextColumn, TimeElapsedColumn

from atp.errors import FatalError
from atp.events import DAY
from oracle.compare import Comparison, Difference, compare, differences
from oracle.dump import HalfRebuiltError, NothingFoldedError, dump, kits_waiting, positions, waiting
from oracle.recompute import connect, recompute
from oracle.topics import MissingTopicError, MovingError, Topics
from streams.broker import resolve_brokers
from streams.settings import Settings

SHOWN = 20
ASK_AGAIN_S = 0.5
STILL_PATIENCE_S = 30.0
DIFFERENT = 1
NOT_VERIFIED = 2
WORTH = {"counts": "folded"}
"""What the judge calls an event that counts would read as a count of stock."""


def verify(
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object.")] = False,
    keep: Annotated[
        Path | None,
        typer.Option(metavar="DIR", help="Keep the dumped events and all figures there, as verify.duckdb."),
    ] = None,
    wait: Annotated[
        float, typer.Option(metavar="SECONDS", help="Wait so long for workers to fold what is published.")
    ] = 10.0,
) -> None:
    """Recompute every figure from the ledger, in SQL that shares no code with the pipeline, and compare.

    Compared are all positions and claims, the last availability of every key with its days to come, kits, answers
    to reservation requests, risks, exceptions that follow from the book, variances, ERP totals and accounts, and the
    dead letters. Workers may go on running. The window must be the workers': ATP_WINDOW.

    Exits 0 where all figures agree, 1 where any differs, 2 where there is nothing to verify, or where events of
    the ledger are not folded yet.

    Examples:

        atp verify

        atp verify --json --wait 60

        atp verify --keep out && duckdb out/verify.duckdb "FROM differences"
    """
    settings = Settings()
    started = time.monotonic()
    topics = Topics(resolve_brokers(settings), settings.topic_prefix)
    with _database(keep) as path, _steps() as step:
        try:
            step("waiting for workers")
            _wait(topics, wait)
            db = connect(path)
            read: dict[str, int] = {}

            def progress(topic: str, more: int) -> None:
                read[topic] = read.get(topic, 0) + more
                step(f"reading {topic}: {read[topic]:,}")

            dumped = dump(db, topics, STILL_PATIENCE_S, progress)
        except MissingTopicError as error:
            raise _nothing(f"there is no topic {error}. Create the topics with: atp topics --create") from error
        except NothingFoldedError as error:
            raise _nothing("nothing is folded yet. Publish events, then start a worker with: atp worker") from error
        except HalfRebuiltError as error:
            raise _nothing(f"partition {error} is half rebuilt. Finish it with: atp rebuild --from-logs") from error
        except MovingError as error:
            raise _nothing(f"workers commit all the time ({error}). Pause what publishes, then: atp verify") from error
        except KafkaException as error:
            raise FatalError(
                f"the brokers do not answer ({error.args[0].str()}). Is ATP_BROKERS right? See what runs: atp status"
            ) from error
        step("recomputing")
        recompute(db, settings.window)
        step("comparing")
        found = compare(db)
        first = list(differences(db, SHOWN))
        db.close()
    seconds = time.monotonic() - started
    if as_json:
        report = {
            "verdict": _verdict(found, dumped.waiting),
            **asdict(found),
            "waiting": dumped.waiting,
            "folded_to": {str(part): position for part, position in sorted(dumped.positions.items())},
            "seconds": round(seconds, 1),
            "first_differences": [asdict(one) for one in first],
        }
        typer.echo(json.dumps(report, ensure_ascii=False))
    else:
        _print(found, first, dumped.waiting, seconds, keep)
    if found.differences:
        raise typer.Exit(DIFFERENT)
    if dumped.waiting or not found.events:
        raise typer.Exit(NOT_VERIFIED)


def _wait(topics: Topics, seconds: float) -> None:
    deadline = time.monotonic() + seconds
    while (waiting(topics, positions(topics)) or kits_waiting(topics)) and time.monotonic() < deadline:
        time.sleep(ASK_AGAIN_S)


def _verdict(found: Comparison, events_waiting: int) -> str:
    if found.differences:
        return "different"
    return "incomplete" if events_waiting or not found.events else "equal"


def _nothing(why: str) -> typer.Exit:
    typer.echo(f"nothing to verify: {why}", err=True)
    return typer.Exit(NOT_VERIFIED)


def _print(found: Comparison, first: list[Difference], events_waiting: int, seconds: float, keep: Path | None) -> None:
    console = Console(highlight=False, soft_wrap=True)
    worth = ", ".join(f"{number:,} {WORTH.get(verdict, verdict)}" for verdict, number in found.verdicts.items())
    if others := found.events - sum(found.verdicts.values()):
        # Bills, attributes, marks and answers of people, once in each partition that they were written to.
        worth += f"{', ' if worth else ''}{others:,} that move no stock"
    console.print(f"events            {found.events:>12,}  ({worth})")
    console.print(f"positions         {found.positions:>12,}  compared")
    console.print(f"availability      {found.keys:>12,}  keys compared")
    console.print(f"ERP totals        {found.erp_totals:>12,}  compared, over {found.erp_lines:,} lines")
    console.print(f"variances         {found.variances:>12,}  stand")
    console.print(f"kits              {found.kits:>12,}  answers compared")
    console.print(f"risks             {found.risks:>12,}  stand")
    console.print(f"exceptions        {found.exceptions:>12,}  open, of the kinds that follow from the book")
    console.print(f"claims            {found.claims:>12,}  lines with open units")
    judged = f"  compared, each with its request; {found.moments:,} with what there was at its moment"
    console.print(f"decisions         {found.decisions:>12,}{judged if found.decisions else '  compared'}")
    console.print(f"refused           {found.refused:>12,}  each with its dead letter")
    console.print(f"differences       {found.differences:>12,}")
    for one in first:
        console.print(f"  {one.what}: {one.key}", markup=False)
        console.print(f"    should be {one.expected}", markup=False)
        console.print(f"    is        {one.found}", markup=False)
    if any(one.what == "dead letter" for one in first):
        days = Settings().window / DAY
        console.print(
            f"  judged by a window of {days:g} days: if that is not the workers', set ATP_WINDOW as they have it"
        )
    if found.differences > len(first):
        console.print(f"  and {found.differences - len(first):,} more: atp verify --keep DIR keeps them all")
    if keep is not None:
        console.print(f"kept in {keep / 'verify.duckdb'}", markup=False)
    if events_waiting:
        console.print(
            f"{events_waiting:,} events are not folded yet: start a worker with `atp worker`, then verify again"
        )
    elif not found.events:
        console.print("The ledger holds no events yet: publish some with `atp publish FILE`")
    elif not found.differences:
        console.print(f"Every figure agrees ({seconds:.0f} s).")


@contextmanager
def _database(keep: Path | None) -> Iterator[Path]:
    """Yield where the database goes: below `keep`, or nowhere that lasts."""
    if keep is None:
        with tempfile.TemporaryDirectory(prefix="atp-verify-") as folder:
            yield Path(folder) / "verify.duckdb"
        return
    keep.mkdir(parents=True, exist_ok=True)
    path = keep / "verify.duckdb"
    path.unlink(missing_ok=True)
    yield path


class _Step:
    """What is being done, on stderr, where that is a terminal."""

    def __init__(self, progress: Progress) -> None:
        self._progress = progress
        self._task = progress.add_task("", total=None)

    def __call__(self, text: str) -> None:
        self._progress.update(self._task, description=text)


@contextmanager
def _steps() -> Iterator[_Step]:
    console = Console(stderr=True)
    columns = (SpinnerColumn(), TextColumn("{task.description}"), TimeElapsedColumn())
    with Progress(*columns, console=console, transient=True, disable=not console.is_terminal) as progress:
        yield _Step(progress)
