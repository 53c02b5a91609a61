"""`atp status`: which broker is in use, and what runs."""

import json
from dataclasses import asdict
from typing import Annotated

import typer

from streams import broker, runner
from streams.settings import Settings


def status(as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object.")] = False) -> None:
    """Show the broker in use and the workers that `atp up` runs. Exits 1 if no broker answers.

    Examples:

        atp status

        atp status --json
    """
    settings = Settings()
    found = broker.status(settings)
    workers = runner.running(settings)
    if as_json:
        typer.echo(json.dumps({**asdict(found), "workers": [asdict(one) for one in workers]}))
    elif found.brokers is None:
        typer.echo(f"no broker in {found.home}. Start one with: atp up")
    else:
        typer.echo(f"broker: {found.brokers} ({found.kind}), {'answers' if found.running else 'does not answer'}")
        for one in workers:
            typer.echo(f"worker: {one.name}, runner {one.pid}, log in {one.log}")
        if not found.running:
            typer.echo("Start it again with: atp up" if found.kind != "given" else "Correct ATP_BROKERS, then: atp up")
    if not found.running:
        raise typer.Exit(1)
