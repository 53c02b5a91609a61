"""`atp advice`: what to order, to move between locations, or to count."""

from typing import Annotated

import typer

from atp.effects import AdviceChanged
from avro_schemas.instants import instant
from cli.open_items import Listing, show_open, told
from sinks.open_items import Item
from topologies.topics import ADVICE


def advice(
    sku: Annotated[str, typer.Option(help="One SKU only.")] = "",
    kind: Annotated[str, typer.Option(help="One kind only: replenish, transfer or count.")] = "",
    follow: Annotated[bool, typer.Option("--follow", "-f", help="Go on with each change, until Ctrl-C.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object per line.")] = False,
) -> None:
    """List the advice that stands: what waits for an approval first. Nothing follows from it by itself.

    Replenishments and transfers are advised where policies name `lead_time_days` and `order_up_to`, or
    `high_water_days`; a count after negative stock. To answer, publish an `AdviceDecided` (docs/events.md).

    Examples:

        atp advice

        atp advice --kind replenish --json

        atp advice --sku CHAIR --follow
    """
    show_open(LISTING, sku=sku, kind=kind, follow=follow, as_json=as_json)


def _cells(item: Item) -> tuple[str, ...]:
    assert isinstance(item, AdviceChanged)
    units = str(item.quantity) if item.quantity else "-"
    until = instant(item.expires_at) if item.expires_at else "-"
    return item.status, item.kind, item.sku, item.location, item.from_location or "-", units, until, item.id


def _more(item: Item) -> str:
    assert isinstance(item, AdviceChanged)
    return "; ".join(words for words in (item.action, told(item.evidence)) if words)


def _news(item: Item) -> str:
    assert isinstance(item, AdviceChanged)
    return item.status


LISTING = Listing(
    topic=ADVICE,
    command="advice",
    name="advice",
    columns=("status", "kind", "sku", "location", "from", "units", "lapses", "id"),
    cells=_cells,
    more=_more,
    news=_news,
)
