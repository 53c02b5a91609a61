"""`atp down`: stop what `atp up` started."""

from typing import Annotated

import typer

from streams import broker, runner
from streams.settings import Settings
from streams.slot import addresses


def down(
    delete_data: Annotated[bool, typer.Option("--delete-data", help="Delete the broker's topics too.")] = False,
    workers: Annotated[bool, typer.Option("--workers", help="Stop the workers alone.")] = False,
) -> None:
    """Stop the workers and the broker that `atp up` started in this home. What they hold stays, unless told otherwise.

    Examples:

        atp down

        atp down --workers

        atp down --delete-data
    """
    if workers and delete_data:
        raise typer.BadParameter(
            "--workers leaves the broker and its data alone; leave out one of the two: atp down --workers"
        )
    settings = Settings()
    for one in runner.stop(settings):
        typer.echo(f"stopped {one.name}")
    for worker in addresses(settings):
        typer.echo(
            f"a worker was started by hand and goes on: stop it where it runs, or with: kill {worker.pid}", err=True
        )
    if workers:
        return
    if settings.brokers is not None:
        typer.echo(f"ATP_BROKERS names {settings.brokers}: not ours to stop. Unset it to stop the broker of this home")
        return
    stopped = broker.down(settings, delete_data=delete_data)
    typer.echo("no broker was started here" if stopped is None else f"stopped the broker {stopped.brokers}")
    if delete_data:
        typer.echo("deleted its data")
