"""`atp availability`: what a channel may promise, as the channel itself would know it."""

import json
from typing import Annotated

import typer
from rich.console import Console
from rich.table import Table

from atp.effects import AvailabilityChanged
from avro_schemas.instants import instant
from avro_schemas.plain import plain
from sinks.channel import AvailabilityFeed, AvailabilityView
from streams.broker import resolve_brokers
from streams.settings import Settings
from streams.topics_admin import topic_name
from topologies.topics import AVAILABILITY

WAIT_S = 0.5
OF_NODES = {"key", "location", "node", "confidence", "reasons"}


def availability(
    channel: Annotated[str, typer.Option(help="The channel; `all` is every location together.")],
    sku: Annotated[str, typer.Option(help="One SKU only.")] = "",
    follow: Annotated[bool, typer.Option("--follow", "-f", help="Go on with each change, until Ctrl-C.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object per line.")] = False,
) -> None:
    """Show what a channel may promise, and follow it. Exits 1 where the channel, or the SKU in it, is unknown.

    Applies an answer only if its (epoch, version) is greater than the one known: quantities are absolute.

    Examples:

        atp availability --channel marketplace-1

        atp availability --channel all --sku A --json

        atp availability --channel marketplace-1 --follow
    """
    settings = Settings()
    feed = AvailabilityFeed(resolve_brokers(settings), topic_name(settings, AVAILABILITY), channel, sku)
    try:
        view = feed.load()
        if as_json:
            for answer in view:
                typer.echo(json.dumps(as_plain(answer)))
        elif len(view):
            _print(view)
        if follow:
            _follow(feed, as_json=as_json)
        elif not len(view):
            _explain(channel, sku, feed.channels)
            raise typer.Exit(1)
    finally:
        feed.close()


def as_plain(answer: AvailabilityChanged) -> dict[str, object]:
    """Shape an answer for JSON: every field but those of nodes; instants as ISO 8601 in UTC."""
    return {name: value for name, value in plain(answer).items() if name not in OF_NODES}


def _print(view: AvailabilityView) -> None:
    table = Table("sku", "atp", "status", "more", "version", "as of", "cause", box=None, pad_edge=False)
    table.columns[1].justify = table.columns[4].justify = "right"
    for answer in view:
        table.add_row(
            answer.sku,
            str(answer.atp),
            answer.status,
            _more(answer),
            str(answer.version),
            instant(answer.as_of),
            answer.cause.type,
        )
    Console(soft_wrap=True).print(table)


def _more(answer: AvailabilityChanged) -> str:
    """Say when there will be more than now, where that is known."""
    later = answer.next_available or next((one for one in answer.horizon if one.quantity > answer.atp), None)
    return "" if later is None else f"{later.quantity} on {later.date}"


def _follow(feed: AvailabilityFeed, *, as_json: bool) -> None:
    try:
        while True:
            for changed in feed.changes(WAIT_S):
                if isinstance(changed, str):
                    channel, sku = changed.split("|")
                    plain = {"channel": channel, "sku": sku, "delisted": True}
                    typer.echo(json.dumps(plain) if as_json else f"{sku}: delisted")
                elif as_json:
                    typer.echo(json.dumps(as_plain(changed)))
                else:
                    before = "new" if changed.previous_atp is None else f"{changed.atp - changed.previous_atp:+d}"
                    typer.echo(
                        f"{instant(changed.as_of)}  {changed.sku}  {changed.atp} ({before})  {changed.cause.type}"
                    )
    except KeyboardInterrupt:
        return


def _explain(channel: str, sku: str, channels: set[str]) -> None:
    if channel in channels:
        typer.echo(
            f"channel {channel} knows no SKU {sku}. List what it knows: atp availability --channel {channel}", err=True
        )
    elif channels:
        typer.echo(
            f"no answer for channel {channel} yet; there are: {', '.join(sorted(channels))}. "
            f"Try: atp availability --channel {min(channels)}",
            err=True,
        )
    else:
        typer.echo("nothing is published yet. Publish events with atp publish, and run: atp worker", err=True)
