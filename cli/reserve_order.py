"""`atp reserve-order`: an order of several SKUs, all of it or nothing."""

import json
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any

import typer

from atp.book import claim_key, escape
from atp.effects import RequestDecided
from atp.errors import FatalError, PoisonError
from atp.orders import Order, cancellations, requests
from avro_schemas.public_json import to_json
from cli.counted import counted
from cli.why_not import did_you_mean, heard_of
from streams.answer import Answer
from streams.asker import Asker, Heard
from streams.broker import resolve_brokers
from streams.ledger import publish
from streams.order_file import Pinned, asked, forget, mark_cancelled, pin
from streams.promised import open_lines
from streams.reader import look_up
from streams.saga import Ask, OrderSaga, Reserved
from streams.settings import Settings
from streams.sku_rows import read_sku_rows
from streams.topics_admin import ensure_topics


class UnheardOfError(Exception):
    """An order asks for a SKU that nothing is known of."""


SLACK_US = 60_000_000
"""How far this machine's clock may be ahead of the brokers'."""


def reserve_order(
    file: Annotated[Path, typer.Argument(metavar="ORDER.json", help="The order, one JSON object.")],
    cancel: Annotated[bool, typer.Option("--cancel", help="End the order for good; give back what it holds.")] = False,
    start_over: Annotated[
        bool, typer.Option("--start-over", help="Forget earlier runs, whose topics are gone: an order of new topics.")
    ] = False,
    timeout: Annotated[float, typer.Option(min=0, help="Seconds to wait for the answers.")] = 10.0,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Print the events; send and write nothing. Kits must name components.")
    ] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object.")] = False,
) -> None:
    """Reserve every line of an order, or none of it: kits by their components, added up before they are asked for.

    Whatever stops it, run it again: it asks the same, hears the same and takes nothing twice. What was decided is
    never decided anew; an order that was refused is asked for again with a higher "attempt" in its file. What it asked
    for lies beside the file, as ORDER.json.pinned, and that it was given up as ORDER.json.cancelled; where the topics
    were deleted since, --start-over forgets both.

    Exits 0 if all is held, 1 if nothing is, 3 if answers did not come in time: then it is unknown.

    An order: {"order": "O-1", "channel": "web", "location": "DC1", "hold": "15m",
    "lines": [{"sku": "CHAIR", "quantity": 2}, {"sku": "BED-SET", "quantity": 1}]}

    Examples:

        atp reserve-order O-1.json

        atp reserve-order O-1.json --json --timeout 30

        atp reserve-order O-1.json --cancel
    """
    if start_over and (cancel or dry_run):
        raise typer.BadParameter(
            f"--start-over reserves. Leave the other option out: atp reserve-order {file} --start-over"
        )
    settings = Settings()
    now = time.time_ns() // 1000
    try:
        if dry_run:
            _show(pin(file, lambda _: None, now, write=False), cancel=cancel)
            return
        brokers = resolve_brokers(settings)
        ensure_topics(brokers, settings)
        before = asked(file)
        if start_over:
            new = pin(file, lambda sku: _bill_of(settings, brokers, sku), now, write=False, anew=True)
            _forget(settings, file, [one.order for one in (new, *before)])
        elif before and not cancel and not pin(file, lambda _: None, now, write=False).again:
            with Asker(settings, brokers) as asker:
                _must_hold_nothing(settings, asker, file, before)
        pinned = pin(file, lambda sku: _bill_of(settings, brokers, sku), now)
    except UnheardOfError as error:
        typer.echo(str(error), err=True)
        raise typer.Exit(1) from error
    except PoisonError as error:
        raise typer.BadParameter(f"{file}: {error}. See an order with: atp reserve-order --help") from error
    if pinned.cancelled and not cancel:
        typer.echo(
            f"rejected: order {pinned.order.id} was cancelled, as {file}.cancelled says. "
            "Give a new order another id, in a file of its own, then: atp reserve-order FILE\n"
            f"If the topics were deleted since, start over in the new ones: atp reserve-order {file} --start-over",
            err=True,
        )
        raise typer.Exit(1)
    with Asker(settings, brokers) as asker:
        saga = OrderSaga(_asking(asker, pinned, timeout), lambda events: publish(events, settings, brokers))
        if cancel:
            mark_cancelled(file)
            ended = {line.sku for one in asked(file) for line in saga.cancel(one.order)}
            _tell_end(pinned, len(ended), as_json=as_json)
            return
        reserved = saga.reserve(pinned.order)
    _tell(pinned, reserved, timeout, file, as_json=as_json)


def _must_hold_nothing(settings: Settings, asker: Asker, file: Path, before: Sequence[Pinned]) -> None:
    """Leave with 1 where an attempt before this one holds something, or may come to: the order would hold both."""
    for one in before:
        order, since = one.order, _since(one)
        for request in requests(order):
            if asker.find(request.sku, request.request_id, since) is None:
                typer.echo(
                    f"rejected: attempt {order.attempt} of order {order.id} has no answer yet for {request.sku}, "
                    f"and may hold it: put {file} back as it was for it, and go on with: atp reserve-order {file}",
                    err=True,
                )
                raise typer.Exit(1)
            rows = read_sku_rows(settings, request.sku, lambda *_: None).rows
            if any(name == order.id for name, *_ in open_lines(rows, request.sku)):
                typer.echo(
                    f"rejected: order {order.id} holds {request.sku} by an earlier attempt, and would hold both. "
                    f"Give it up: atp reserve-order {file} --cancel\nThen give the new one another id, in its own file",
                    err=True,
                )
                raise typer.Exit(1)


def _since(pinned: Pinned) -> int:
    """The moment, in microseconds, from which on answers to a pinned order may lie in the topics."""
    return int(pinned.path.stat().st_mtime * 1_000_000) - SLACK_US


def _forget(settings: Settings, file: Path, orders: Sequence[Order]) -> None:
    """Forget the earlier runs of an order that these topics know nothing of; leave with 1 where they do."""
    for id_, sku in sorted({(order.id, one.sku) for order in orders for one in requests(order)}):
        found = read_sku_rows(settings, sku, lambda *_: None)
        if any(found.rows.scan(claim_key(sku, f"{escape(id_)}|"))):
            typer.echo(
                f"rejected: these topics know order {id_} already, by its claims of {sku}: nothing is forgotten. "
                "Give a new order another id, in a file of its own, then: atp reserve-order FILE",
                err=True,
            )
            raise typer.Exit(1)
    forget(file)


def _bill_of(settings: Settings, brokers: str, sku: str) -> Mapping[str, int] | None:
    """Return what a SKU is made of, None where it is no kit. Raises: UnheardOfError of the SKU, or of a part of it."""
    bill: Mapping[str, int] | None = _heard_of(settings, brokers, sku)["components"]
    for part in bill or ():
        _heard_of(settings, brokers, part)
    return bill


def _heard_of(settings: Settings, brokers: str, sku: str) -> Answer:
    found = look_up(settings, sku, lambda *_: None)
    if not heard_of(found):
        raise UnheardOfError(
            f"rejected: SKU {sku} has never been heard of: no stock, no supply, no order and no kit names it. "
            f"Nothing was asked for. {did_you_mean(settings, brokers, sku)}"
        )
    return found


def _asking(asker: Asker, pinned: Pinned, timeout: float) -> Ask:
    """Ask, once it is known what was answered to an earlier run, however long ago that was."""

    def ask(wanted: Any) -> Heard:  # noqa: ANN401
        heard = Heard()
        if pinned.again:
            for one in wanted:
                if (answer := asker.find(one.sku, one.request_id, _since(pinned))) is not None:
                    heard.decided[one.request_id] = answer
        rest = [one for one in wanted if one.request_id not in heard]
        if rest:
            new = asker.ask(rest, timeout)
            heard.decided |= new.decided
            heard.refused |= new.refused
        return heard

    return ask


def _show(pinned: Pinned, *, cancel: bool) -> None:
    for event in cancellations(pinned.order) if cancel else requests(pinned.order):
        typer.echo(json.dumps(to_json(event), ensure_ascii=False))


def _tell(pinned: Pinned, reserved: Reserved, timeout: float, file: Path, *, as_json: bool) -> None:
    """Print the outcome and leave with its exit code."""
    order = pinned.order
    if as_json:
        lines = [_plain(one.sku, one.request_id, one.quantity, reserved) for one in reserved.requests]
        found = {"order": order.id, "attempt": order.attempt, "verdict": reserved.verdict, "requests": lines}
        typer.echo(json.dumps(found, ensure_ascii=False))
    else:
        typer.echo(f"{reserved.verdict}: order {order.id}" + (f", attempt {order.attempt}" * (order.attempt > 1)))
        for one in reserved.requests:
            typer.echo(f"  {one.quantity:>6,} {one.sku}  {_words(one.request_id, reserved)}")
    if reserved.verdict == "unknown":
        raise FatalError(
            f"not everything was answered within {timeout:g} s; what was is held.\n"
            f"Ask again, which takes nothing twice: atp reserve-order {file}\n"
            f"Or give the order up: atp reserve-order {file} --cancel\n"
            "See whether a worker runs: atp status"
        )
    if reserved.verdict == "rejected":
        if not as_json:
            typer.echo(f'Nothing is held. Ask anew later: "attempt": {order.attempt + 1} in {file}')
        raise typer.Exit(1)


def _tell_end(pinned: Pinned, skus: int, *, as_json: bool) -> None:
    order = pinned.order
    if as_json:
        typer.echo(json.dumps({"order": order.id, "verdict": "cancelled", "cancelled": skus}, ensure_ascii=False))
    else:
        typer.echo(f"cancelled: order {order.id}, {counted(skus, 'SKU')}; folded as soon as a worker runs")


def _plain(sku: str, name: str, quantity: int, reserved: Reserved) -> dict[str, Any]:
    answer = reserved.decided.get(name)
    held = answer.quantity if answer is not None and reserved.verdict != "rejected" else 0
    return {
        "request_id": name,
        "sku": sku,
        "quantity": quantity,
        "held": held,
        "decision": _decision(answer, name, reserved),
        "reason": "" if answer is None else answer.reason,
        "order_line": None if answer is None else answer.order_line,
    }


def _decision(answer: RequestDecided | None, name: str, reserved: Reserved) -> str:
    return "refused" if name in reserved.refused else "unknown" if answer is None else answer.decision


def _words(name: str, reserved: Reserved) -> str:
    answer, refused = reserved.decided.get(name), reserved.refused.get(name)
    if refused is not None:
        return f"refused, undecided: {refused.cause}: {refused.detail}"
    if answer is None:
        return "no answer yet"
    given_back = ", given back" if answer.quantity and reserved.verdict == "rejected" else ""
    why = f": {answer.reason}" if answer.reason else ""
    return f"{answer.decision}{given_back}{why}; line {answer.order_line}"
