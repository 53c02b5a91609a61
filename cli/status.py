"""`atp status`: which broker is in use, and what runs."""

import json
import os
from dataclasses import asdict
from typing import Annotated

import typer

from streams import broker, runner
from streams.runner import Runner
from streams.settings import Settings
from streams.slot import Address, addresses


def status(as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object.")] = False) -> None:
    """Show the broker in use and the workers of this home. Exits 1 if no broker answers.

    These are the runners that `atp up` started, each of which starts its worker again, and every worker that is up,
    whoever started it. Workers of other machines are not seen from here.

    Examples:

        atp status

        atp status --json
    """
    settings = Settings()
    found = broker.status(settings)
    workers = runner.running(settings)
    up = addresses(settings)
    if as_json:
        answering = [{**asdict(one), "runner": _runner_of(one, workers)} for one in up]
        typer.echo(json.dumps({**asdict(found), "workers": [asdict(one) for one in workers], "answering": answering}))
    elif found.brokers is None:
        typer.echo(f"no broker in {found.home}. Start one with: atp up")
    else:
        typer.echo(f"broker: {found.brokers} ({found.kind}), {'answers' if found.running else 'does not answer'}")
        for one in workers:
            typer.echo(f"runner: {one.name}, process {one.pid}, log in {one.log}")
        for address in up:
            typer.echo(f"worker: {_worker(address, workers, found.brokers)}")
        if found.running and not up:
            typer.echo("no worker is up in this home. Start one with: atp worker")
        if not found.running:
            typer.echo("Start it again with: atp up" if found.kind != "given" else "Correct ATP_BROKERS, then: atp up")
    if not found.running:
        raise typer.Exit(1)


def _worker(one: Address, runners: list[Runner], brokers: str) -> str:
    name = _runner_of(one, runners)
    words = [f"process {one.pid}", f"answers at {one.url}", "started by hand" if name is None else f"run by {name}"]
    words += [f"of the brokers {one.brokers}"] if one.brokers != brokers else []
    words += [f"topics {one.topic_prefix}..."] if one.topic_prefix else []
    return ", ".join(words)


def _runner_of(one: Address, runners: list[Runner]) -> str | None:
    """Return the name of the runner whose session a worker belongs to, None where it was started by hand."""
    try:
        session = os.getsid(one.pid)
    except ProcessLookupError:
        return None  # It ends just now.
    return next((each.name for each in runners if each.pid == session), None)
