"""`atp bench`."""

import importlib.util
import json
import sys
from pathlib import Path
from typing import Annotated

import typer

from atp.errors import FatalError
from streams import broker
from streams.settings import Settings

PARTS = ("tables", "whole", "latency", "decisions")


def bench(
    events: Annotated[int, typer.Option(min=10_000, help="Sales of the whole load.")] = 1_000_000,
    rounds: Annotated[int, typer.Option(min=1, help="Runs of each system in the tables; their median counts.")] = 2,
    only: Annotated[
        list[str] | None, typer.Option(metavar="PART", help=f"Run this part alone: {', '.join(PARTS)}.")
    ] = None,
    quix: Annotated[
        Path | None, typer.Option(metavar="PYTHON", help="A Python that has Quix Streams; without it, it is left out.")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Measure events a second beside plain Faust and Quix Streams, latency of answers and decisions, restore.

    It starts a broker if none runs, and deletes its topics in the end. Nothing else should run on the machine;
    it takes about a quarter of an hour. `make bench` sets up Quix Streams beside our own dependencies first.

    Examples:

        make bench

        atp bench --only tables --rounds 1

        atp bench --events 100000 --json
    """
    if importlib.util.find_spec("bench") is None:
        raise FatalError("the benchmark is not part of an installed atp. In a checkout of it: make bench")
    from bench.report import text  # noqa: PLC0415  (not part of an installed atp)
    from bench.suite import run  # noqa: PLC0415

    parts = set(only or PARTS)
    if unknown := parts - set(PARTS):
        raise FatalError(f"there is no part {', '.join(sorted(unknown))}. Try: {', '.join(PARTS)}")
    settings = Settings()
    ran_before = broker.status(settings).running
    found = broker.up(settings)

    def say(line: str) -> None:
        if sys.stderr.isatty():
            typer.echo(line, err=True)

    mine = settings.model_copy(update={"home": settings.home / "bench"})
    report = run(found.brokers, mine, events, rounds, parts, quix, say)
    typer.echo(json.dumps(report.encode(), indent=2) if as_json else text(report))
    if not ran_before:
        broker.down(settings)
