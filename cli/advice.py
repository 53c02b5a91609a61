"""`atp advice`: what to order, to move between locations, to count, or to offer instead."""

from typing import Annotated

import typer

from atp.effects import AdviceChanged
from avro_schemas.instants import instant
from cli.open_items import Listing, show_open, told
from cli.progress import bar
from cli.show import stand_in
from sinks.open_items import Item
from streams.offered import offered
from streams.settings import Settings
from topologies.topics import ADVICE


def advice(
    sku: Annotated[str, typer.Option(help="One SKU only.")] = "",
    kind: Annotated[str, typer.Option(help="One kind only: replenish, transfer, count or substitute.")] = "",
    follow: Annotated[bool, typer.Option("--follow", "-f", help="Go on with each change, until Ctrl-C.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object per line.")] = False,
) -> None:
    """List the advice that stands: what waits for an approval first. Nothing follows from it by itself.

    Replenishments and transfers are advised where policies name `lead_time_days` and `order_up_to`, or
    `high_water_days`; a count after negative stock; a substitute where orders of a SKU cannot be served, or a channel
    has none of it, and its master data names others: beside each stands what there is of it now. To answer, publish an
    `AdviceDecided` (docs/events.md).

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
    return item.status, item.kind, item.sku, item.location or "-", item.from_location or "-", units, until, item.id


def _more(item: Item) -> str:
    assert isinstance(item, AdviceChanged)
    instead = ""
    if item.substitutes:
        with bar("reading what there is instead") as progress:
            instead = ", ".join(stand_in(one) for one in offered(Settings(), item.substitutes, progress))
    return "; ".join(words for words in (item.action, instead, told(item.evidence)) if words)


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
