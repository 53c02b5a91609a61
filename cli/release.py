"""`atp release`: units of an order line given back."""

import json
import time
from dataclasses import asdict
from typing import Annotated
from uuid import uuid4

import typer

from atp.errors import FatalError, PoisonError
from atp.events import Document, OrderCancelled, Ref, ReservationReleased
from avro_schemas.public_json import parse_line, to_json
from cli.reserve import SOURCE
from streams.broker import resolve_brokers
from streams.release import GivenBack, OtherReleaseError, Released, give_back
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
    release_id: Annotated[
        str, typer.Option(metavar="ID", help="Name of the release: the same again gives nothing back twice.")
    ] = "",
    timeout: Annotated[float, typer.Option(min=0, help="Seconds to wait until it is folded.")] = 10.0,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Print the event; send nothing, need no broker.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object.")] = False,
) -> None:
    """Give back units of an order line: so many of them, or cancel the line. Never more than the line holds.

    Exits 0 if all that was asked for is given back, 1 if the line held less, 3 if nobody folded it in time: then it is
    unknown, and the same command with the same --release-id asks again without giving anything back twice.

    Examples:

        atp release CHAIR 1 --order O-7

        atp release CHAIR --order O-7 --line 2

        atp release CHAIR --request-id R-77

        atp release CHAIR 1 --order O-7 --release-id RL-7   # again, after a time-out
    """
    if bool(order) == bool(request_id):
        raise typer.BadParameter(
            f"name what is given back: either --order O [--line N] or --request-id ID. See what is held: atp show {sku}"
        )
    name = release_id or f"RL-{uuid4()}"
    wanted = _wanted(sku, quantity, Ref(order, line) if order else Ref(f"request:{request_id}", 1), name)
    if dry_run:
        typer.echo(json.dumps(to_json(wanted), ensure_ascii=False))
        return
    settings = Settings()
    brokers = resolve_brokers(settings)
    ensure_topics(brokers, settings)
    try:
        given = give_back(settings, brokers, wanted, timeout)
    except OtherReleaseError as error:
        raise typer.BadParameter(
            f"the release id {name} was used before, for {error}. "
            f"Give back with another --release-id, or without one. See: atp show {wanted.sku}"
        ) from error
    if as_json:
        of = {"release_id": name, "sku": wanted.sku, "order": _of(wanted).id, "order_line": _of(wanted).line}
        typer.echo(json.dumps({**of, "asked": quantity, **asdict(given)}, ensure_ascii=False))
    _tell(wanted, given, timeout, as_json=as_json)


def _wanted(sku: str, quantity: int | None, of: Ref, name: str) -> Released:
    """Return the release as the public form reads it: names composed, everything checked."""
    paper, moment = Document("release", name, 1), time.time_ns() // 1000
    made: Released
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
    assert isinstance(event, ReservationReleased | OrderCancelled)
    return event


def _tell(wanted: Released, given: GivenBack, timeout: float, *, as_json: bool) -> None:
    """Print the outcome and leave with its exit code."""
    of, sku, name = _of(wanted), wanted.sku, wanted.document.id
    where = f"order {of.id} line {of.line}"
    if given.outcome == "unknown":
        raise FatalError(_unknown(wanted, given, timeout))
    if given.outcome == "nothing":
        if not as_json:
            typer.echo(f"released 0: nothing of {sku} is held under {where}: {given.why}", err=True)
            for other in given.other_lines:
                typer.echo(f"Its line {other} holds some: atp release {sku} --order {of.id} --line {other}", err=True)
            typer.echo(f"See what is held: atp show {sku}", err=True)
        raise typer.Exit(1)
    short = isinstance(wanted, ReservationReleased) and given.units < wanted.quantity
    if not as_json:
        typer.echo(f"{_released(wanted, given)}\n  release {name}{' (released before)' if given.again else ''}")
        typer.echo(f"See what is held: atp show {sku}")
    raise typer.Exit(1 if short else 0)


def _released(wanted: Released, given: GivenBack) -> str:
    of = _of(wanted)
    where = f"{wanted.sku}, order {of.id} line {of.line}"
    if isinstance(wanted, OrderCancelled):
        if given.again:
            return f"released all that was left of {where}: the line is cancelled"
        return f"released {given.units} of {where}: all that it held, and the line is cancelled"
    left = given.held if given.again else given.held - given.units
    if given.units < wanted.quantity:
        return f"released {given.units} of {where}, not {wanted.quantity}: it held no more"
    return f"released {given.units} of {where}: it holds {left} still"


def _unknown(wanted: Released, given: GivenBack, timeout: float) -> str:
    again = f"the same command with --release-id {wanted.document.id}"
    if not given.published:
        return (
            f"nothing is released: events of {wanted.sku} were not folded within {timeout:g} s, "
            f"so nobody can say what the line holds.\n"
            f"Ask again once a worker runs: {again}\nSee whether one runs: atp status"
        )
    return (
        f"not folded within {timeout:g} s: how much is released is unknown. It counts as soon as a worker folds it.\n"
        f"Ask again, which gives nothing back twice: {again}\nSee whether a worker runs: atp status"
    )


def _of(wanted: Released) -> Ref:
    assert wanted.order is not None
    return wanted.order
