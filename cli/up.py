"""`atp up`: a broker, its topics, and workers if wanted."""

from typing import Annotated

import typer
from rich.console import Console

from cli.counted import counted
from streams import broker, runner
from streams.settings import Settings
from streams.topics_admin import ensure_topics


def up(
    workers: Annotated[int, typer.Option(min=0, help="Also run this many workers, each restarted if it crashes.")] = 0,
    topics: Annotated[bool, typer.Option(help="Create the topics that are missing.")] = True,
) -> None:
    """Start a broker unless one runs: ATP_BROKERS, else Docker Compose, else a local Apache Kafka.

    Examples:

        atp up

        atp up --workers 2

        ATP_BROKERS=kafka-1:9092 atp up
    """
    settings = Settings()
    with Console(stderr=True).status("starting a broker (the first time fetches its jars) ..."):
        found = broker.up(settings)
        created = ensure_topics(found.brokers, settings) if topics else []
    typer.echo(
        f"broker: {found.brokers} ({found.kind})" + (f", {counted(len(created), 'topic')} created" if created else "")
    )
    if workers:
        for one in runner.start(settings, workers):
            typer.echo(f"worker: {one.name}, log in {one.log}")
    typer.echo("next: atp status, atp publish FILE.jsonl, atp down")
