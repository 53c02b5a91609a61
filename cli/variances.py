"""`atp variances`: where what was expected is not what was observed."""

from typing import Annotated

import typer

from atp.effects import VarianceChanged
from avro_schemas.instants import instant
from cli.open_items import Listing, show_open
from sinks.open_items import Item
from topologies.topics import VARIANCES


def variances(
    sku: Annotated[str, typer.Option(help="One SKU only.")] = "",
    kind: Annotated[str, typer.Option(help="One kind only, such as COUNT.")] = "",
    follow: Annotated[bool, typer.Option("--follow", "-f", help="Go on with each change, until Ctrl-C.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object per line.")] = False,
) -> None:
    """List open variances, the greatest first: expected, observed, and what it looks like.

    Examples:

        atp variances

        atp variances --kind COUNT --json

        atp variances --sku CHAIR --follow
    """
    show_open(LISTING, sku=sku, kind=kind.upper(), follow=follow, as_json=as_json)


def _cells(item: Item) -> tuple[str, ...]:
    assert isinstance(item, VarianceChanged)
    about = item.document or item.transfer or item.channel or item.source or "-"
    figures = str(item.expected), str(item.observed), f"{item.diff:+d}"
    return item.kind, item.sku or "-", item.location or "-", about, *figures, item.basis, instant(item.as_of)


def _more(item: Item) -> str:
    assert isinstance(item, VarianceChanged)
    aged = f"{item.age_days} days old" if item.age_days else ""
    return "; ".join(words for words in (item.cause_hint, aged) if words)


def _news(item: Item) -> str:
    assert isinstance(item, VarianceChanged)
    return "closed" if item.status != "open" else "restated" if item.restatement else "opened"


LISTING = Listing(
    topic=VARIANCES,
    command="variances",
    name="variances",
    columns=("kind", "sku", "location", "about", "expected", "observed", "diff", "basis", "as of"),
    cells=_cells,
    more=_more,
    news=_news,
)
