"""`atp show`: a SKU's positions, what may be promised of it, and why."""

import json
from typing import Annotated

import typer

from atp.book import unescape
from cli.counted import counted
from cli.kit import is_nothing_but_parts, kit_lines
from cli.progress import bar
from streams.answer import Answer
from streams.kit_answer import look_up_kit
from streams.offered import offered
from streams.reader import look_up
from streams.settings import Settings

SHOWN_EVENTS = 8
SHOWN_LINES = 20
"""Open lines of orders that are listed; `--json` has all."""
HOLDS = ("reserved_soft", "reserved_firm", "allocated")
BUCKETS = ("returned", "quarantine", "damaged")
COLUMNS = {
    "location": "location",
    "on hand": "on_hand",
    "sellable": "sellable",
    "returned": "returned",
    "quarantine": "quarantine",
    "damaged": "damaged",
    "coming": "in_transit_in",
    "claims": "claims",
    "safety": "safety_stock",
    "raw": "atp_raw",
    "ATP": "atp",
}


def show(
    sku: Annotated[str, typer.Argument(help="The SKU.")],
    location: Annotated[str, typer.Option(help="One location only.")] = "",
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object.")] = False,
) -> None:
    """Show a SKU's positions, its ATP per location and channel, and why: buckets, policies, last events, open risks.

    Asks the worker that owns the SKU; with no worker running, reads the SKU's partition of the changelog. Exits 1
    where the SKU, or the location of it, is unknown.

    Examples:

        atp show 85123A

        atp show A --location S1

        atp show A --json
    """
    settings = Settings()
    with bar("reading the changelog") as progress:
        found = look_up(settings, sku, progress)
        kit = look_up_kit(settings, sku, progress) if found["components"] is not None else None
        found["kit"] = kit["channels"] if kit is not None else None
        found["substitutes"] = offered(settings, found["substitutes"], progress)
    places = [one["location"] for one in found["positions"]]
    if location:
        found["positions"] = [one for one in found["positions"] if one["location"] == location]
    if as_json:
        typer.echo(json.dumps(found, ensure_ascii=False))
    if not found["known"] and found["components"] is None:
        _refuse(
            f"nothing is known of SKU {sku} ({_source(found)}). See which there are: atp availability --channel all"
        )
    if location and location not in places:
        known = f"it is known at: {', '.join(places)}" if places else "no location holds any"
        _refuse(f"SKU {sku} was never at {location}; {known}. See all of it: atp show {sku}")
    if not as_json:
        print_answer(found)


def _refuse(message: str) -> None:
    typer.echo(message, err=True)
    raise typer.Exit(1)


def print_answer(found: Answer) -> None:
    """Print what is known of a SKU, and where it was read."""
    heard = f"events heard up to {found['as_of']}" if found["as_of"] else "no event of its own heard"
    typer.echo(f"{found['sku']}, {heard} ({_source(found)})")
    parts_alone = is_nothing_but_parts(found, found["positions"])
    if not parts_alone:
        typer.echo()
        for text in aligned(
            [tuple(COLUMNS), *(tuple(str(_claimed(one)[n]) for n in COLUMNS.values()) for one in found["positions"])]
        ):
            typer.echo(text)
    for one in found["positions"]:
        typer.echo(f"\n{one['location']}: {explain_position(one)}")
        for event in one["last_events"][:SHOWN_EVENTS]:
            typer.echo(f"  {event['event_time']:<27}  {event['type']:<20} {_moved(event):<28} {paper(event['key'])}")
        for lot in one["lots"]:
            typer.echo(f"  {explain_lot(lot)}")
        for count in one["counts"]:
            typer.echo(
                f"  counted {count['quantity']} {count['scope']} at {count['as_of']} ({count['document']}): "
                f"expected {count['expected']}, variance {count['variance']:+d}"
            )
    if found["availability"] and not parts_alone:
        typer.echo("\nchannels")
        for one in found["availability"]:
            typer.echo(f"  {one['channel']}: {explain_channel(one)}")
            for day in one["horizon"]:
                typer.echo(f"    from {day['date']}: {day['quantity']}")
    _section("a kit of", _kit(found))
    _section("part of the kits", found["part_of"])
    _section("may be offered instead", [stand_in(one) for one in found["substitutes"]])
    _section("promised", _promises(found))
    _section("ring-fences", [_fence(one) for one in found["ring_fences"]])
    _section("coming", [_inbound(one) for one in found["inbound"]])
    _section("supply", [_supply(one) for one in found["supply"] if one["open"] or one["over"]])
    _section("open risks", [_risk(one) for one in found["risks"]])
    _section("transfers on the way", [_transfer(one) for one in found["transfers"] if one["open"]])
    _section("policies", [_policy(one) for one in found["policies"]])


def _section(title: str, lines: list[str]) -> None:
    if lines:
        typer.echo(f"\n{title}")
        for text in lines:
            typer.echo(f"  {text}")


def _kit(found: Answer) -> list[str]:
    if found["components"] is None:
        return []
    parts = [f"{units} {sku}" for sku, units in found["components"].items()] or ["nothing any more"]
    if not found.get("kit"):
        return [*parts, "(nobody has answered for it yet: a worker of the topology kits does. See: atp status)"]
    above = "" if is_nothing_but_parts(found, found["positions"]) else " (those above are what is assembled)"
    return [*parts, "", f"channels, with what its parts leave{above}", *kit_lines(found)]


def stand_in(one: Answer) -> str:
    """Say what there is now of a SKU that may be offered instead of another."""
    if one["atp"] is None:
        return f"{one['sku']}: nothing is known of it"
    following = one["next_available"]
    more = f", {following['quantity']} from {following['date']}" if following else ""
    return f"{one['sku']}: ATP {one['atp']} {one['status']}{more}"


def aligned(rows: list[tuple[str, ...]]) -> list[str]:
    """Lay rows out in columns, the first to the left, the others to the right: whole, however narrow the terminal."""
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    return [
        "  ".join(
            cell.ljust(width) if number == 0 else cell.rjust(width)
            for number, (cell, width) in enumerate(zip(row, widths, strict=True))
        )
        for row in rows
    ]


def explain_position(one: Answer) -> str:
    """Say how a position's ATP comes about."""
    words = [f"{one['sellable']} sellable"]
    words += [f"- {-one[bucket]} owed by {bucket}" for bucket in BUCKETS if one[bucket] < 0]
    words += [f"- {one['expired']} expired"] if one["expired"] else []
    words += [f"- {one[hold]} {hold.replace('_', ' ')}" for hold in HOLDS if one[hold]]
    if one["safety_stock"]:
        words.append(f"- {one['safety_stock']} safety stock")
    total = f"{' '.join(words)} = {one['atp_raw']}"
    if one["haircut"]:
        total += f" - {one['haircut']} held back at a confidence of {one['confidence']} in 100"
    if not one["eligible"]:
        return f"{total}; not eligible by policy, ATP 0"
    return f"{total}; ATP {one['atp']}" if one["atp_raw"] >= 0 else f"{total}, below zero; ATP 0"


def explain_lot(one: Answer) -> str:
    """Say how many units of a lot are left, and how long they last."""
    name = f"lot {one['lot']}" if one["lot"] else "of no lot"
    if one["expiry"] is None:
        return f"{name}: {one['units']}, nobody said until when"
    days = one["days_left"]
    left = "" if days is None else ", expired" if days < 0 else f", {counted(days, 'day')} left"
    return f"{name}: {one['units']} until {one['expiry']}{left}"


def explain_channel(one: Answer) -> str:
    """Say how a channel's ATP comes about."""
    where = "every location" if one["locations"] is None else ", ".join(one["locations"]) or "no location"
    if one["excluded"]:
        where += f" except {', '.join(one['excluded'])}"
    words = [f"ring-fence {one['ring']} and "] if one["ring"] else []
    words = [f"{''.join(words)}pool {one['pool']} of {where}"]
    if one["min_life_days"]:
        words.append(f"of goods that last {counted(one['min_life_days'], 'day')} more")
    if one["share_percent"] != 100:
        words.append(f"{one['share_percent']} % of it")
    if one["buffer"]:
        words.append(f"less buffer {one['buffer']}{' by rate' if one['buffer_rate'] else ''}")
    if one["cap"] is not None:
        words.append(f"at most {one['cap']}")
    return f"ATP {one['atp']} {one['status']}: {', '.join(words)}"


def _claimed(one: Answer) -> Answer:
    return {**one, "claims": sum(one[hold] for hold in HOLDS)}


def _promises(found: Answer) -> list[str]:
    lines = [_claim(one) for one in found["claims"][:SHOWN_LINES]]
    if len(found["claims"]) > SHOWN_LINES:
        lines.append(f"... and {counted(len(found['claims']) - SHOWN_LINES, 'line')} more: --json")
    lines += [f"pending for {channel}: {units} without a location" for channel, units in found["pending"].items()]
    if found["uncovered"]:
        lines.append(f"uncovered: {found['uncovered']} promised from locations that do not have them")
    return lines


def _claim(one: Answer) -> str:
    where = [f"{p['units']} {p['how'].replace('_', ' ')} at {p['location']}" for p in one["placed"]]
    if one["pending"]:
        where.append(f"{one['pending']} pending")
    words = [f"{one['order']} line {one['line']} of {one['channel']}, {one['state']}: {', '.join(where)}"]
    if not one["due"]:
        words.append(f"due on {one['need_date']}")
    if one["expires_at"]:
        words.append(f"expires at {one['expires_at']}")
    return ", ".join(words)


def _fence(one: Answer) -> str:
    return (
        f"{one['channel']}: {one['granted']} granted, {one['taken']} taken, {one['open']} open; "
        f"priority {one['priority']}, since {one['since']}"
    )


def _inbound(one: Answer) -> str:
    late = ", past due and expected anew" if one["overdue"] else ""
    return f"{one['date']}: {one['units']} at {one['location'] or 'no location'}, {one['state']}, {_line(one)}{late}"


def _line(one: Answer) -> str:
    return f"{one['document']} line {one['line']}"


def _supply(one: Answer) -> str:
    over = f", {one['over']} too many" if one["over"] else ""
    return (
        f"{one['purchase_order']} line {one['line']}: {one['ordered']} ordered, {one['confirmed']} confirmed, "
        f"{one['shipped']} shipped, {one['received']} received, {one['open']} open{over}"
    )


def paper(key: str) -> str:
    """Read a business key: the paper and line of the event, and its source."""
    words = [unescape(word) for word in key.split("|")]
    if len(words) < 4:
        return key
    return f"{words[1]} {words[2]} line {words[3]}{' of ' if words[0] else ''}{words[0]}"


def _moved(event: Answer) -> str:
    return f"on hand {event['on_hand']:+d}, sellable {event['sellable']:+d}"


def _risk(one: Answer) -> str:
    calm = f", calm since {one['calm_since']}" if one["calm_since"] else ""
    where = f" at {one['scope']}" if one["scope"] else ""
    return f"{one['severity']} {one['kind']}{where}: {one['quantity']}, since {one['opened_at']}{calm}"


def _transfer(one: Answer) -> str:
    return f"{one['transfer'].replace('|', ' line ')} to {one['destination']}: {one['open']} of {one['shipped']}"


def _policy(one: Answer) -> str:
    scope = [f"{name} {one[name]}" for name in ("sku", "location", "channel") if one[name]]
    terms = ", ".join(f"{name} {json.dumps(value)}" for name, value in one["policy"].items())
    return f"{', '.join(scope) or 'everything'} from {one['effective']}: {terms}"


def _source(found: Answer) -> str:
    at = f"partition {found['partition']}, ledger up to offset {found['position']}"
    if found["source"] == "worker":
        return f"asked the worker at {found['worker']}, {at}"
    return f"no worker answers here; read from the changelog, {at}"
