"""What the commands that list open items share: reading, filtering, following, and what to say of nothing."""

import json
from collections.abc import Callable
from dataclasses import dataclass

import typer

from avro_schemas.plain import plain
from sinks.open_items import Item, OpenItems
from streams.broker import resolve_brokers
from streams.settings import Settings
from streams.topics_admin import topic_name
from topologies.topics import Topic

WAIT_S = 0.5


@dataclass(frozen=True, slots=True)
class Listing:
    """A command that lists what is open on one topic."""

    topic: Topic
    command: str
    name: str
    """What its items are called, of many."""
    columns: tuple[str, ...]
    cells: Callable[[Item], tuple[str, ...]]
    more: Callable[[Item], str]
    """What a second line says; empty where there is none."""
    news: Callable[[Item], str]
    """What happened to an item, in a word."""


def show_open(listing: Listing, *, sku: str, kind: str, follow: bool, as_json: bool) -> None:
    """List what is open, then follow it if asked to. Raises: FatalError where the brokers do not answer."""
    settings = Settings()
    items = OpenItems(
        resolve_brokers(settings),
        topic_name(settings, listing.topic),
        lambda item: sku in ("", item.sku) and kind in ("", item.kind),
    )
    try:
        items.load()
        found = list(items)
        if as_json:
            for item in found:
                typer.echo(json.dumps(plain(item), ensure_ascii=False))
        elif found:
            _print(listing, found)
        else:
            typer.echo(_nothing(listing, items, sku, kind))
        if follow:
            _follow(listing, items, as_json=as_json)
    finally:
        items.close()


def _print(listing: Listing, found: list[Item]) -> None:
    lines = columns([listing.columns, *(listing.cells(item) for item in found)])
    typer.echo(lines[0])
    for text, item in zip(lines[1:], found, strict=True):
        typer.echo(text)
        if more := listing.more(item):
            typer.echo(f"  {more}")


def _nothing(listing: Listing, items: OpenItems, sku: str, kind: str) -> str:
    """Say that nothing is open, and what else there is."""
    kinds = items.kinds()
    what = " ".join(word for word in (f"of kind {kind}" if kind else "", f"for SKU {sku}" if sku else "") if word)
    if kinds:
        counts = ", ".join(f"{name} {count}" for name, count in kinds.most_common())
        return f"no open {listing.name} {what}; open are: {counts}. See all: atp {listing.command}"
    if items.seen:
        settled = "1 was, and is settled" if len(items.seen) == 1 else f"{len(items.seen)} were, and are settled"
        return f"no open {listing.name}; {settled}"
    return f"no {listing.name} so far. They follow from events: publish some with atp publish, and run: atp worker"


def _follow(listing: Listing, items: OpenItems, *, as_json: bool) -> None:
    try:
        while True:
            for item in items.changes(WAIT_S):
                if as_json:
                    typer.echo(json.dumps(plain(item), ensure_ascii=False))
                else:
                    typer.echo(f"{listing.news(item)}: {'  '.join(cell for cell in listing.cells(item) if cell)}")
    except KeyboardInterrupt:
        return


def told(evidence: dict[str, str]) -> str:
    """Write evidence in one line."""
    return ", ".join(f"{name.replace('_', ' ')} {figure}" for name, figure in evidence.items())


def columns(rows: list[tuple[str, ...]]) -> list[str]:
    """Lay rows out in columns, whole, however narrow the terminal."""
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    return ["  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in rows]
