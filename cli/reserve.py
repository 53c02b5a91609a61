"""`atp reserve`: one request for units, and its answer."""

import json
import sys
import time
from dataclasses import asdict
from typing import Annotated, Any
from uuid import uuid4

import typer

from atp.effects import RequestDecided
from atp.errors import FatalError, PoisonError
from atp.events import SECOND, Document, Ref, ReservationRequested
from avro_schemas.instants import instant, instant_or_none, read_instant
from avro_schemas.public_json import parse_line, to_json
from cli.why_not import why_not
from streams.asker import Asker, Heard
from streams.broker import resolve_brokers
from streams.settings import Settings, duration
from streams.topics_admin import ensure_topics

SOURCE = "cli"


def reserve(
    sku: Annotated[str, typer.Argument(help="The SKU.")],
    quantity: Annotated[int, typer.Argument(min=1, help="Units, in base units.")],
    channel: Annotated[str, typer.Option(help="The channel that asks.")],
    order: Annotated[str, typer.Option(help="Order that the units are for; without it the request is its own.")] = "",
    line: Annotated[int, typer.Option(min=0, help="Line of the order.")] = 1,
    location: Annotated[str, typer.Option(help="Where the units shall be; else any place of the channel.")] = "",
    need: Annotated[
        str,
        typer.Option(metavar="DAY", help="The day they are wanted for, like 2026-11-23: what comes by then counts."),
    ] = "",
    partial: Annotated[bool, typer.Option("--partial", help="Take fewer where there are not as many.")] = False,
    firm: Annotated[
        bool | None,
        typer.Option(
            "--firm/--soft", help="A promise, or a hold; else as the channel's policy says.", show_default="policy"
        ),
    ] = None,
    hold: Annotated[str, typer.Option(metavar="15m", help="A soft one runs out after this: 90s, 15m, 2h, 1d.")] = "",
    request_id: Annotated[
        str, typer.Option(metavar="ID", help="Name of the request: the same again to ask again after a time-out.")
    ] = "",
    timeout: Annotated[float, typer.Option(min=0, help="Seconds to wait for the answer.")] = 10.0,
    at: Annotated[str, typer.Option(metavar="TIME", help="When it is asked, for replays; now without it.")] = "",
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Print the event; send nothing, need no broker.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object.")] = False,
) -> None:
    """Ask for units of a SKU, and wait for the answer: accepted, partly, or rejected with what could be had.

    Exits 0 if all are accepted, 1 if not or if they ran out since, 3 if no answer came in time: then it is unknown,
    and the same command with the same --request-id asks again without taking anything twice.

    Examples:

        atp reserve CHAIR 2 --channel web --order O-7 --hold 15m

        atp reserve CHAIR 30 --channel marketplace-1 --partial --json

        atp reserve CHAIR 5 --channel web --order O-8 --need 2026-11-23

        atp reserve CHAIR 2 --channel web --order O-7 --request-id R-77   # again, after a time-out

        atp reserve CHAIR 2 --channel store --location S1 --firm --dry-run
    """
    if hold and firm:
        raise typer.BadParameter("a firm reservation does not run out. Leave --hold out, or try: --soft --hold 15m")
    moment, name = _moment(at), request_id or f"R-{uuid4()}"
    request = _checked(
        ReservationRequested(
            source=SOURCE,
            document=Document("request", name, 1),
            request_id=name,
            event_time=moment,
            sku=sku,
            location=location,
            channel=channel,
            quantity=quantity,
            need_date=need or None,
            order=Ref(order, line) if order else None,
            state=None if firm is None else "firm" if firm else "soft",
            expires_at=moment + _hold(hold) if hold else None,
            partial=partial,
        )
    )
    if dry_run:
        typer.echo(json.dumps(to_json(request), ensure_ascii=False))
        return
    settings = Settings()
    brokers = resolve_brokers(settings)
    ensure_topics(brokers, settings)
    with Asker(settings, brokers) as asker:
        # Only a request that has a name can have been answered before.
        since = time.time_ns() // 1000 - settings.window
        before = asker.find(request.sku, request.request_id, since) if request_id else None
        if before is None and sys.stderr.isatty():
            typer.echo(f"asked as {request.request_id}; waiting for the answer ...", err=True)
        heard = Heard({before.request_id: before}) if before is not None else asker.ask([request], timeout)
    _tell(request, heard, timeout, again=before is not None, as_json=as_json)
    if (decided := heard.decided[request.request_id]).decision != "accepted":
        if not as_json:
            typer.echo(why_not(settings, brokers, request, decided))
        raise typer.Exit(1)
    if decided.expires_at is not None and decided.expires_at <= time.time_ns() // 1000:
        typer.echo(
            f"It has run out by now, and nothing is held any longer. Ask anew, under another id: "
            f"atp reserve {decided.sku} {decided.requested} --channel {decided.channel}",
            err=True,
        )
        raise typer.Exit(1)


def _moment(at: str) -> int:
    """Return when it is asked, in microseconds."""
    if not at:
        return time.time_ns() // 1000
    moment = read_instant(at)
    if moment is None:
        raise typer.BadParameter(
            f"--at is a time like 2026-11-20T09:05:00Z, with Z or an offset, not {at!r}. See: atp reserve --help"
        )
    return moment


def _hold(hold: str) -> int:
    """Return how long a soft reservation holds, in microseconds."""
    try:
        length = duration(hold)
    except ValueError as error:
        raise typer.BadParameter(f"--hold: {error}. Try: --hold 15m") from error
    return length if isinstance(length, int) else int(hold) * SECOND


def _checked(request: ReservationRequested) -> ReservationRequested:
    """Return the request as the public form reads it: names composed, everything checked."""
    try:
        (event,) = parse_line(to_json(request))
    except PoisonError as error:
        raise typer.BadParameter(f"{error}. See the fields with: atp reserve --help") from error
    assert isinstance(event, ReservationRequested)
    return event


def _refuse_other(request: ReservationRequested, decided: RequestDecided) -> None:
    """Refuse to pass the answer to one request for that to another of the same id."""
    order = request.order or Ref(f"request:{request.request_id}", 1)
    asked = (request.quantity, request.channel, request.location, *order)
    told = (decided.requested, decided.channel, decided.location, decided.order, decided.order_line)
    if asked != told:
        place = f" at {decided.location}" if decided.location else ""
        typer.echo(
            f"error: the request id {request.request_id} was used before, for {decided.requested} of {decided.sku} by "
            f"{decided.channel}{place}, order {decided.order} line {decided.order_line}. "
            "Ask with another --request-id, or without one.",
            err=True,
        )
        raise typer.Exit(2)


def _tell(request: ReservationRequested, heard: Heard, timeout: float, *, again: bool, as_json: bool) -> None:
    """Print the answer, or leave with the exit code of what came instead of one."""
    name = request.request_id
    decided, refused = heard.decided.get(name), heard.refused.get(name)
    if decided is not None:
        _refuse_other(request, decided)
        typer.echo(json.dumps(_plain(decided, again=again), ensure_ascii=False) if as_json else _told(decided, again))
        return
    if refused is not None:
        if as_json:
            found = {"request_id": name, "decision": "refused", "cause": refused.cause, "reason": refused.detail}
            typer.echo(json.dumps(found, ensure_ascii=False))
        # An error of the fold comes with its traceback: the last line says what it was.
        why = refused.detail.strip().splitlines()[-1] if refused.detail.strip() else refused.cause
        typer.echo(f"refused, undecided: {refused.cause}: {why}\nNothing was taken. See: atp dead-letters", err=True)
        raise typer.Exit(1)
    if as_json:
        typer.echo(json.dumps({"request_id": name, "decision": "unknown"}))
    raise FatalError(
        f"no answer within {timeout:g} s: whether the units are reserved is unknown.\n"
        f"Ask again, which takes nothing twice: the same command with --request-id {name}\n"
        f"Or give them up: atp release {request.sku} {_line(request.order, name)}\n"
        "See whether a worker runs: atp status"
    )


def _line(order: Ref | None, request_id: str) -> str:
    return f"--request-id {request_id}" if order is None else f"--order {order.id} --line {order.line}"


def _told(decided: RequestDecided, again: bool) -> str:
    """Say an answer in words."""
    place = f" at {decided.location}" if decided.location else ""
    words = [
        f"{decided.decision}: {decided.quantity} of {decided.requested} {decided.sku} for {decided.channel}{place}"
    ]
    if decided.quantity:
        until = f" until {instant(decided.expires_at)}" if decided.expires_at is not None else ""
        words.append(f"{decided.state}{until}, order {decided.order} line {decided.order_line}")
    told = f"{'; '.join(words)}\n  {decided.atp} could be had at that moment"
    if decided.reason:
        told += f"\n  why: {decided.reason}"
    return f"{told}\n  request {decided.request_id}{' (answered before)' if again else ''}"


def _plain(decided: RequestDecided, *, again: bool) -> dict[str, Any]:
    """Shape an answer for JSON: times as instants."""
    times = ("expires_at", "decided_at", "as_of")
    return {**asdict(decided), **{name: instant_or_none(getattr(decided, name)) for name in times}, "again": again}
