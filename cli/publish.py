"""`atp publish`: events in the public JSON form, validated line by line, into the pipeline."""

import json
import math
import sys
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from pathlib import Path
from typing import Annotated, Any, BinaryIO, Literal

import typer
from rich.console import Console
from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn, TimeRemainingColumn

from atp.errors import FatalError
from atp.events import DAY, SECOND, TimeTicked
from avro_schemas import codec
from avro_schemas.json_lines import Line, read_lines
from avro_schemas.public_json import Problem
from cli.counted import counted
from streams.broker import resolve_brokers
from streams.ledger import LedgerWriter
from streams.settings import Settings
from streams.spool import Spool
from streams.topics_admin import ensure_topics
from streams.units import units_of
from topologies.intake import INBOUND, inbound_for

SHOWN = 20
"""Refused lines that are shown to people; programs get up to fifty times as many."""
TELL_EVERY = 2_000

Target = Literal["ledger", "intake"]

AHEAD = Problem(
    "event_time",
    "of a tick is over a day ahead of the clock, and today's events would be late; for a replay set ATP_TICKS=off",
)


class Tally:
    """What became of the lines."""

    def __init__(self) -> None:
        self.lines = 0
        self.types: Counter[str] = Counter()
        self.refused = 0
        self.problems: list[tuple[int, Problem]] = []
        self.records = 0
        self.seconds = 0.0
        self.published = False

    def refuse(self, number: int, problems: list[Problem], *, quiet: bool) -> None:
        self.refused += 1
        if self.refused <= SHOWN * 50:
            self.problems += [(number, one) for one in problems]
        if self.refused <= SHOWN and not quiet:
            for one in problems:
                typer.echo(f"line {number}: {one}", err=True)

    def as_json(self) -> dict[str, Any]:
        return {
            "published": self.published,
            "lines": self.lines,
            "events": self.types.total(),
            "types": dict(sorted(self.types.items())),
            "records": self.records,
            "refused_lines": self.refused,
            "problems": [
                {"line": number, "field": one.field, "cause": one.cause, "problem": str(one)}
                for number, one in self.problems
            ],
            "seconds": round(self.seconds, 3),
        }


def publish(
    file: Annotated[
        Path, typer.Argument(metavar="FILE.jsonl|-", help="One JSON object per line; - is standard input.")
    ],
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only validate; needs no broker.")] = False,
    keep_going: Annotated[
        bool, typer.Option("--keep-going", help="Publish the good lines of a file that has bad ones too.")
    ] = False,
    units: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help='Units other than the base unit: {"*": {"case": 12}}. Or ATP_UNITS.'),
    ] = None,
    topic: Annotated[
        Target, typer.Option(help="Straight into the ledger, or to the inbound topics, as source systems send.")
    ] = "ledger",
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object.")] = False,
) -> None:
    """Validate events in the public JSON form and publish them. Exits 1 if any line is refused.

    Nothing is published unless every line is good, or --keep-going says otherwise. Publishing a file again does
    no harm: the same event under the same document line counts once, and what is older than ATP_WINDOW is refused
    as late. docs/events.md has every field.

    Examples:

        atp publish day.jsonl --dry-run

        atp publish day.jsonl

        zcat year.jsonl.gz | atp publish - --keep-going --units units.json
    """
    settings = Settings()
    known = units_of(units or settings.units)
    tally = Tally()
    tick_max = time.time() * SECOND + DAY if settings.ticks == "wall" else math.inf
    with _opened(file) as stream, _progress(file, stream) as tell:
        lines = _told(read_lines(stream, known), tally, tell)
        if dry_run:
            for _ in _good(lines, tally, topic, tick_max, quiet=as_json):
                pass
        elif keep_going:
            _publish(_good(lines, tally, topic, tick_max, quiet=as_json), settings, tally)
        else:
            with Spool() as spool:
                for place, key, value in _good(lines, tally, topic, tick_max, quiet=as_json):
                    spool.add(place, key, value)
                if tally.refused == 0:
                    _publish(iter(spool), settings, tally)
    _report(tally, dry_run=dry_run, as_json=as_json)
    if not tally.lines:
        typer.echo(f"{file} is empty: there was nothing to publish. See how a line looks: docs/events.md", err=True)
    if tally.refused:
        raise typer.Exit(1)


def _good(
    lines: Iterator[Line], tally: Tally, target: Target, tick_max: float, *, quiet: bool
) -> Iterator[tuple[int, bytes, bytes]]:
    """Yield (place, key, value) of what can be published; place 0 is the ledger, n the n-th inbound topic.

    Ticks after `tick_max` are refused: they would make everything that comes today late.
    """
    for line in lines:
        tally.lines += 1
        if line.problems:
            tally.refuse(line.number, line.problems, quiet=quiet)
        elif target == "ledger":
            if any(isinstance(event, TimeTicked) and event.event_time > tick_max for event in line.events):
                tally.refuse(line.number, [AHEAD], quiet=quiet)
                continue
            for event in line.events:
                tally.types[type(event).__name__] += 1
                yield 0, event.sku.encode(), codec.encode(event)
        elif (inbound := inbound_for(line.events[0])) is None or not all(map(inbound.admits, line.events)):
            names = ", ".join(sorted({type(event).__name__ for event in line.events}))
            tally.refuse(
                line.number, [Problem("type", f"must be what one inbound topic takes, not {names}")], quiet=quiet
            )
        else:
            tally.types.update(type(event).__name__ for event in line.events)
            yield INBOUND.index(inbound) + 1, line.events[0].source.encode(), line.raw


def _publish(records: Iterator[tuple[int, bytes, bytes]], settings: Settings, tally: Tally) -> None:
    started = time.monotonic()
    brokers = resolve_brokers(settings)
    ensure_topics(brokers, settings)
    with LedgerWriter(settings, brokers) as writer:
        for place, key, value in records:
            if place == 0:
                writer.write(key, value)
            else:
                writer.send(INBOUND[place - 1].topic, key, value)
    tally.published = True
    tally.records = writer.records
    tally.seconds = time.monotonic() - started


def _report(tally: Tally, *, dry_run: bool, as_json: bool) -> None:
    if as_json:
        typer.echo(json.dumps(tally.as_json()))
        return
    if tally.refused > SHOWN:
        typer.echo(f"... and {counted(tally.refused - SHOWN, 'more line')}", err=True)
    for name, count in tally.types.most_common():
        typer.echo(f"{count:>12,}  {name}")
    events = tally.types.total()
    if tally.published:
        rate = f", {tally.records / tally.seconds:,.0f} records/s" if tally.seconds else ""
        typer.echo(f"{events:>12,}  {'event' if events == 1 else 'events'} published in {tally.seconds:.1f} s{rate}")
    elif dry_run:
        where = f"in {counted(tally.lines, 'line')}; nothing was published (--dry-run)"
        typer.echo(f"{events:>12,}  good {'event' if events == 1 else 'events'} {where}")
    if tally.refused:
        typer.echo(f"{tally.refused:>12,}  of {counted(tally.lines, 'line')} refused", err=True)
        if dry_run:
            typer.echo(
                "Correct these lines, and try again: the same command. Every field is in docs/events.md", err=True
            )
        elif not tally.published:
            typer.echo(
                "Nothing was published. Correct these lines, or publish the rest: the same command with --keep-going",
                err=True,
            )


@contextmanager
def _opened(file: Path) -> Iterator[BinaryIO]:
    if str(file) == "-":
        yield sys.stdin.buffer
        return
    try:
        stream = file.open("rb")
    except OSError as error:
        raise FatalError(
            f"cannot read {file}: {error.strerror}. Try: atp publish FILE.jsonl, or - for standard input"
        ) from error
    with stream:
        yield stream


class _Teller:
    """Moves the bar to where the stream is."""

    def __init__(self, progress: Progress, file: Path, stream: BinaryIO) -> None:
        self._progress = progress
        self._stream = stream if stream.seekable() and str(file) != "-" else None
        total = file.stat().st_size if self._stream is not None else None
        self._task = progress.add_task("reading", total=total)

    def __call__(self) -> None:
        if self._stream is not None:
            self._progress.update(self._task, completed=self._stream.tell())


@contextmanager
def _progress(file: Path, stream: BinaryIO) -> Iterator[_Teller]:
    console = Console(stderr=True)
    columns = (TextColumn("{task.description}"), BarColumn(), TaskProgressColumn(), TimeRemainingColumn())
    progress = Progress(*columns, console=console, transient=True, disable=not console.is_terminal)
    with progress if console.is_terminal else nullcontext():
        yield _Teller(progress, file, stream)


def _told(lines: Iterator[Line], tally: Tally, tell: _Teller) -> Iterator[Line]:
    for line in lines:
        if tally.lines % TELL_EVERY == 0:
            tell()
        yield line
