"""`atp exceptions`: what somebody must look at, who, and until when."""

from typing import Annotated

import typer

from atp.effects import ExceptionChanged
from avro_schemas.instants import instant
from cli.open_items import Listing, show_open, told
from sinks.open_items import Item
from topologies.topics import EXCEPTIONS


def exceptions(
    sku: Annotated[str, typer.Option(help="One SKU only.")] = "",
    kind: Annotated[str, typer.Option(help="One kind only, such as overdue_transfer.")] = "",
    follow: Annotated[bool, typer.Option("--follow", "-f", help="Go on with each change, until Ctrl-C.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object per line.")] = False,
) -> None:
    """List open exceptions, the most severe first: what is wrong, who has it, until when, and what to do.

    To take one on, publish an `ExceptionAcknowledged` with its id (docs/events.md); it closes when a fact resolves it.

    Examples:

        atp exceptions

        atp exceptions --kind short_receipt --json

        atp exceptions --sku CHAIR --follow
    """
    show_open(LISTING, sku=sku, kind=kind, follow=follow, as_json=as_json)


def _cells(item: Item) -> tuple[str, ...]:
    assert isinstance(item, ExceptionChanged)
    about = item.scope if item.scope in ("", item.location) else f"{item.scope} {item.location}".strip()
    until = instant(item.deadline) if item.deadline else "-"
    return item.severity, item.kind, item.sku or "-", about or "-", item.owner, instant(item.opened_at), until, item.id


def _more(item: Item) -> str:
    assert isinstance(item, ExceptionChanged)
    return "; ".join(words for words in (item.action, told(item.evidence)) if words)


def _news(item: Item) -> str:
    assert isinstance(item, ExceptionChanged)
    return item.transition


LISTING = Listing(
    topic=EXCEPTIONS,
    command="exceptions",
    name="exceptions",
    columns=("severity", "kind", "sku", "about", "owner", "since", "escalates", "id"),
    cells=_cells,
    more=_more,
    news=_news,
)
