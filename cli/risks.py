"""`atp risks`: where more may be sold than is there."""

from typing import Annotated

import typer

from atp.effects import RiskChanged
from avro_schemas.instants import instant
from cli.open_items import Listing, show_open, told
from sinks.open_items import Item
from topologies.topics import RISKS


def risks(
    sku: Annotated[str, typer.Option(help="One SKU only.")] = "",
    kind: Annotated[str, typer.Option(help="One kind only, such as imminent.")] = "",
    follow: Annotated[bool, typer.Option("--follow", "-f", help="Go on with each change, until Ctrl-C.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object per line.")] = False,
) -> None:
    """List open risks of overselling, the most severe first, with what to do about them.

    Examples:

        atp risks

        atp risks --kind oversold --json

        atp risks --sku CHAIR --follow
    """
    show_open(LISTING, sku=sku, kind=kind, follow=follow, as_json=as_json)


def _cells(item: Item) -> tuple[str, ...]:
    assert isinstance(item, RiskChanged)
    return item.severity, item.kind, item.sku, item.scope or "-", str(item.quantity), instant(item.opened_at)


def _more(item: Item) -> str:
    assert isinstance(item, RiskChanged)
    return "; ".join(words for words in (item.action, told(item.evidence)) if words)


def _news(item: Item) -> str:
    assert isinstance(item, RiskChanged)
    return item.transition


LISTING = Listing(
    topic=RISKS,
    command="risks",
    name="risks",
    columns=("severity", "kind", "sku", "scope", "units", "since"),
    cells=_cells,
    more=_more,
    news=_news,
)
