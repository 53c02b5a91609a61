"""`atp dead-letters`: what was refused, why, where it lies, and what would put it right."""

import json
from typing import Annotated

import typer

from atp.effects import DeadLetter
from avro_schemas.instants import instant
from sinks.committed import CommittedReader
from sinks.dead_letters import Latest, as_plain, read_dead_letters
from streams.broker import resolve_brokers
from streams.settings import Settings
from streams.topics_admin import refuse_other_count, topic_name
from topologies.topics import DEAD_LETTERS

SHOWN = 20
DETAIL_SHOWN = 300
"""Characters of a detail that are shown to people: a fold error holds a traceback."""


def dead_letters(
    cause: Annotated[str, typer.Option(help="Only those of one cause, such as late or conflict.")] = "",
    limit: Annotated[
        int | None, typer.Option(help="The latest so many; 0 counts only. By default 20, and all with --json.", min=0)
    ] = None,
    suggestions: Annotated[
        bool, typer.Option("--suggestions", help="Print only the events that would put the stock right, one per line.")
    ] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object per letter.")] = False,
) -> None:
    """List dead letters: cause, coordinates of the record, and a suggested correction where there is one.

    Examples:

        atp dead-letters

        atp dead-letters --cause late --json

        atp dead-letters --cause late --suggestions > corrections.jsonl
    """
    settings = Settings()
    everything = as_json or suggestions
    latest = Latest(limit if limit is not None or everything else SHOWN, lambda letter: cause in ("", letter.cause))
    reader = CommittedReader(resolve_brokers(settings), topic_name(settings, DEAD_LETTERS))
    try:
        refuse_other_count(reader.topic, len(reader.partitions), settings)
        for letter in read_dead_letters(reader):
            latest.add(letter)
    finally:
        reader.close()
    for letter in latest:
        if suggestions:
            if letter.suggestion:
                typer.echo(letter.suggestion)
        elif as_json:
            typer.echo(json.dumps(as_plain(letter), ensure_ascii=False))
        else:
            _print(letter)
    if suggestions:
        typer.echo(
            "Publish only what was never counted. What the pipeline holds: atp show SKU, atp explain SKU", err=True
        )
    if not everything:
        _sum_up(latest, cause)


def _print(letter: DeadLetter) -> None:
    where = f"{letter.topic} partition {letter.partition} offset {letter.offset}"
    key = "" if letter.key is None else f", key {letter.key[:80].decode(errors='replace')!r}"
    detail = letter.detail if len(letter.detail) <= DETAIL_SHOWN else f"... {letter.detail[-DETAIL_SHOWN:]}"
    typer.echo(f"{instant(letter.timestamp)}  {letter.cause}: {detail}\n  {where}{key}")
    if letter.suggestion:
        typer.echo(f"  suggested: {letter.suggestion}")


def _sum_up(latest: Latest, cause: str) -> None:
    total = latest.causes.total()
    if not total:
        typer.echo("no dead letters")
        return
    counts = ", ".join(f"{name} {count}" for name, count in latest.causes.most_common())
    typer.echo(f"{total} dead letter{'s' if total > 1 else ''}: {counts}")
    if cause and not latest.matching:
        typer.echo(f"none of cause {cause}. See all: atp dead-letters")
    elif total:
        typer.echo("See them whole with: atp dead-letters --json")
