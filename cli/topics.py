"""`atp topics`: the topics of the pipeline, as they are and as they should be."""

import json
import sys
from typing import Annotated

import typer
from rich.console import Console
from rich.table import Table

from streams.broker import resolve_brokers
from streams.settings import Settings
from streams.topics_admin import Found, ensure_topics, find_topics

WIDE = 200
"""Columns in which every line of the table has room."""


def topics(
    create: Annotated[bool, typer.Option("--create", help="Create the topics that are missing.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object per line.")] = False,
) -> None:
    """List the topics: what they hold, how long, and whether they exist.

    Examples:

        atp topics

        atp topics --create

        atp topics --json | grep stock-events
    """
    settings = Settings()
    brokers = resolve_brokers(settings)
    if create:
        ensure_topics(brokers, settings)
    found = find_topics(brokers, settings)
    if as_json:
        for one in found:
            typer.echo(json.dumps(_described(one)))
        return
    table = Table("topic", "partitions", "key", "holds", "kept", box=None, pad_edge=False)
    for one in found:
        table.add_row(one.name, str(one.partitions or "missing"), one.topic.key, one.topic.holds, _kept(one))
    # Whoever reads it from a file or a pipe gets the lines whole.
    Console(width=None if sys.stdout.isatty() else WIDE).print(table)
    if any(one.partitions == 0 for one in found):
        typer.echo("Create those that are missing with: atp topics --create", err=True)


def _described(one: Found) -> dict[str, object]:
    return {
        "name": one.name,
        "partitions": one.partitions,
        "key": one.topic.key,
        "holds": one.topic.holds,
        "config": one.topic.config(),
    }


def _kept(one: Found) -> str:
    if one.topic.compacted:
        return "compacted"
    return "for ever" if one.topic.retention_ms is None else f"{one.topic.retention_ms // 86_400_000} d"
