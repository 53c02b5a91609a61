"""`atp release`: units of an order line given back."""

import json
import time
from typing import Annotated
from uuid import uuid4

import typer

from atp.errors import PoisonError
from atp.events import Document, Event, OrderCancelled, Ref, ReservationReleased
from avro_schemas.public_json import parse_line, to_json
from cli.reserve import SOURCE
from streams.broker import resolve_brokers
from streams.ledger import publish
from streams.settings import Settings
from streams.topics_admin import ensure_topics


def release(
    sku: Annotated[str, typer.Argument(help="The SKU.")],
    quantity: Annotated[int | None, typer.Argument(min=1, help="Units; all that is left without it.")] = None,
    order: Annotated[str, typer.Option(help="Order whose units are given back.")] = "",
    line: Annotated[int, typer.Option(min=0, help="Line of the order.")] = 1,
    request_id: Annotated[
        str, typer.Option(metavar="ID", help="Instead of an order: the request that named none.")
    ] = "",
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Print the event; send nothing, need no broker.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object.")] = False,
) -> None:
    """Give back units of an order line: so many of them, or cancel the line. It is folded as soon as a worker runs.

    Examples:

        atp release CHAIR 1 --order O-7

        atp release CHAIR --order O-7 --line 2

        atp release CHAIR --request-id R-77
    """
    if bool(order) == bool(request_id):
        raise typer.BadParameter("name what is given back: either --order O [--line N] or --request-id ID.")
    paper, moment = Document("release", f"RL-{uuid4()}", 1), time.time_ns() // 1000
    of = Ref(order, line) if order else Ref(f"request:{request_id}", 1)
    made: Event
    if quantity is None:
        made = OrderCancelled(source=SOURCE, document=paper, event_time=moment, sku=sku, order=of)
    else:
        made = ReservationReleased(
            source=SOURCE, document=paper, event_time=moment, sku=sku, order=of, quantity=quantity
        )
    try:
        (event,) = parse_line(to_json(made))
    except PoisonError as error:
        raise typer.BadParameter(f"{error}. See the fields with: atp release --help") from error
    if not dry_run:
        settings = Settings()
        brokers = resolve_brokers(settings)
        ensure_topics(brokers, settings)
        publish([event], settings, brokers)
    if dry_run or as_json:
        typer.echo(json.dumps(to_json(event), ensure_ascii=False))
    else:
        what = "all that is left" if quantity is None else str(quantity)
        typer.echo(f"released {what} of {sku}, order {of.id} line {of.line}. See: atp show {sku}")
