"""`atp explain`: how a SKU's figures come about, step by step, now or at a moment of the past."""

import json
from collections.abc import Iterator, Sequence
from typing import Annotated, Any

import typer

from avro_schemas.instants import instant, read_instant
from cli.counted import counted
from cli.kit import is_nothing_but_parts, kit_lines
from cli.progress import bar
from cli.show import paper
from streams.explain import explain as derive
from streams.kit_answer import look_up_kit
from streams.past import read_past
from streams.reader import normal
from streams.settings import Settings
from streams.sku_rows import read_sku_rows

Plain = dict[str, Any]
LINES = 20
"""Lines of orders that are listed under a step; `--json` has all."""


def explain(
    sku: Annotated[str, typer.Argument(help="The SKU.")],
    channel: Annotated[str, typer.Option(help="One channel only, and the locations that serve it.")] = "",
    location: Annotated[str, typer.Option(help="One location only.")] = "",
    at: Annotated[
        str, typer.Option(metavar="TIME", help="As it was known at this moment, such as 2026-11-20T09:00:00Z.")
    ] = "",
    by_event_time: Annotated[
        bool, typer.Option("--event-time", help="With --at: as it is known now of that moment, by event time.")
    ] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object.")] = False,
) -> None:
    """Derive a SKU's ATP step by step: buckets, debts, claims, ring-fences, share, buffer, cap, and what moved each.

    Asks the worker that owns the SKU, or reads the changelogs. With --at the SKU's records are folded anew from the
    ledger: those that had been appended by then, by the broker's clock, so the answer is what the pipeline knew and
    said then, requests decided as they were. With --event-time those that are dated by then, whenever they came. Of
    a kit that is what was assembled; its parts lie in their own records, and it names the command for each.
    Exits 1 where nothing was known of the SKU, the channel or the location.

    Examples:

        atp explain CHAIR

        atp explain CHAIR --channel marketplace-1

        atp explain CHAIR --location S1 --at 2026-11-20T09:00:00Z --json
    """
    settings, sku = Settings(), normal(sku)
    if by_event_time and not at:
        raise typer.BadParameter("says how --at is meant. Give both: --at TIME --event-time")
    found = _past(settings, sku, at, channel, location, by_event_time=by_event_time) if at else None
    if found is None:
        with bar("reading the rows") as progress:
            now = read_sku_rows(settings, sku, progress)
        where = {**now.source, "partition": now.partition, "position": now.position, "moment": None}
        found = {**derive(now.rows, sku, channel, location), **where}
        if found["components"] is not None:
            with bar("reading what is known of the kit") as progress:
                answered = look_up_kit(settings, sku, progress)["channels"]
            found["kit"] = [one for one in answered if channel in ("", one["channel"])]
    if as_json:
        typer.echo(json.dumps(found, ensure_ascii=False))
    _refuse_unknown(found, channel, location)
    if not as_json:
        for text in told(found):
            typer.echo(text)


def told(found: Plain) -> Iterator[str]:
    """Say the derivation in lines."""
    yield f"{found['sku']}, events heard up to {found['as_of'] or 'none'} ({_source(found)})"
    for one in found["locations"]:
        yield f"\nlocation {one['location']}"
        if one["confidence"] != 100:
            yield f"  confidence {one['confidence']} of 100: {', '.join(one['reasons'])}"
        for step in one["steps"]:
            yield _step(step)
            lines = [line for line in one["claims"] if line["how"].replace("_", " ") == step["what"]]
            yield from _lines(lines)
    if found["promises"]:
        yield "\npromised beside what lies at a location"
    for step in found["promises"]:
        yield _step(step)
        yield from _lines(step["lines"])
    for one in () if is_nothing_but_parts(found, found["locations"]) else found["channels"]:
        yield f"\nchannel {one['channel']}"
        for step in one["steps"]:
            yield _step(step)
        yield f"          {one['arithmetic']} {one['status']}"
        for coming in one["inbound"]:
            late = ", past due" if coming["overdue"] else ""
            yield f"          {coming['date']}: +{coming['units']} {coming['state']}, {_paper(coming)}{late}"
        for due in one["demand"]:
            where = f" at {due['location']}" if due["location"] else ""
            yield f"          {due['date']}: -{due['units']} promised through {due['channel']}{where}"
        for day in one["horizon"]:
            yield f"          from {day['date']}: {day['quantity']}"
    if found["components"]:
        parts = ", ".join(f"{units} {part}" for part, units in found["components"].items())
        above = (
            "nothing is assembled" if is_nothing_but_parts(found, found["locations"]) else "above is what is assembled"
        )
        yield f"\na kit of {parts}: {above}"
        if found.get("kit"):
            yield "with what its parts leave"
            for text in kit_lines(found):
                yield f"  {text}"
        elif found["moment"] is None:
            yield f"what its parts leave is added in: atp availability --channel all --sku {found['sku']}"
        else:
            yield "what its parts left at that moment lies in their own records, and is derived part by part"
        then = "" if found["moment"] is None else f" --at {found['moment']['at']}"
        for part in found["components"]:
            yield f"  atp explain {part}{then}"


def _past(settings: Settings, sku: str, at: str, channel: str, location: str, *, by_event_time: bool) -> Plain:
    moment = read_instant(at)
    if moment is None:
        raise typer.BadParameter(f"--at {at!r} is no time. Try one with Z or an offset: --at 2026-11-20T09:00:00Z")
    with bar("folding the ledger") as progress:
        past = read_past(settings, sku, moment, progress, by_event_time=by_event_time)
    return {
        **derive(past.rows, sku, channel, location),
        "source": "ledger",
        "partition": past.partition,
        "position": past.position,
        "moment": {
            "at": instant(moment),
            "by": "event_time" if by_event_time else "append_time",
            "records": past.records,
            "last_appended": None if past.last_ms is None else instant(past.last_ms * 1000),
        },
    }


def _refuse_unknown(found: Plain, channel: str, location: str) -> None:
    sku = found["sku"]
    then = " at that moment" if found["moment"] else ""
    if not found["known"]:
        hint = "by event time: --event-time" if then else "atp availability --channel all"
        _refuse(f"nothing is known of SKU {sku}{then} ({_source(found)}). Try: {hint}")
    if channel and not found["channels"] and not found.get("kit"):
        _refuse(f"no channel {channel} is known for SKU {sku}{then}. See which there are: atp explain {sku}")
    if location and not found["locations"]:
        _refuse(f"SKU {sku} was never at {location}{then}, or it serves no such channel. See: atp explain {sku}")


def _refuse(message: str) -> None:
    typer.echo(message, err=True)
    raise typer.Exit(1)


def _step(step: Plain) -> str:
    units = "" if step["units"] is None else f"{step['units']}{' %' if step['what'] == 'share percent' else ''}"
    last = step["last"]
    moved = f"{last['type']} {last['event_time']} {paper(last['key'])}".strip() if last else ""
    return f"{units:>8}  {step['what']:<30} {'; '.join(word for word in (step['note'], moved) if word)}".rstrip()


def _lines(lines: Sequence[Plain]) -> Iterator[str]:
    for line in lines[:LINES]:
        last = line["last"]
        moved = f"; {last['type']} {last['event_time']}" if last else ""
        yield f"{'':>12}{line['units']} for {line['order']} line {line['line']} of {line['channel']}{moved}"
    if len(lines) > LINES:
        yield f"{'':>12}... and {counted(len(lines) - LINES, 'line')} more: --json"


def _paper(coming: Plain) -> str:
    return f"{coming['document']} line {coming['line']}"


def _source(found: Plain) -> str:
    at = f"partition {found['partition']}, ledger up to offset {found['position']}"
    moment = found["moment"]
    if moment is None:
        who = f"asked the worker at {found['worker']}" if found["source"] == "worker" else "read from the changelogs"
        return f"{who}, {at}"
    how = "as known now of" if moment["by"] == "event_time" else "as known at"
    last = f", the last appended at {moment['last_appended']}" if moment["last_appended"] else ""
    return f"{how} {moment['at']}, folded from {counted(moment['records'], 'record')}{last}, {at}"
