"""What is promised and what is coming of a SKU, line by line: the part of an answer that claims and supply are."""

from collections.abc import Iterator
from typing import Any

from atp.book import (
    CLOCK_KEY,
    Claim,
    Clock,
    Fence,
    Inbound,
    Network,
    Rows,
    Statement,
    Supply,
    claim_key,
    network_key,
    supply_key,
    unescape,
)
from atp.claims import Standing, day_text, standing
from atp.events import SECOND
from atp.outlook import line
from avro_schemas.instants import instant

Plain = dict[str, Any]


def promised(rows: Rows, sku: str) -> Plain:
    """Shape claims, supply, ring-fences and dated figures; lists are empty where nothing is promised or coming.

    `claims` holds the lines with open units; `supply` every line that is remembered.
    """
    network = network_of(rows, sku)
    return {
        "claims": [_claim(id_, number, row, one) for id_, number, row, one in open_lines(rows, sku)],
        "pending": dict(sorted(network.pending.items())) if network else {},
        "uncovered": network.uncovered if network else 0,
        "dated_demand": [
            {"date": day_text(one.day), "channel": one.channel, "location": one.location, "units": one.units}
            for one in (network.dated if network else ())
        ],
        "ring_fences": [fence(one) for one in (network.fences if network else ())],
        "supply": [_supply(id_, number, row) for id_, number, row in supply_lines(rows, sku)],
        "inbound": [inbound(one) for one in (network.inbound if network else ())],
    }


def network_of(rows: Rows, sku: str) -> Network | None:
    row = rows.get(network_key(sku))
    return row if isinstance(row, Network) else None


def tick_of(rows: Rows) -> int | None:
    clock = rows.get(CLOCK_KEY)
    return clock.tick if isinstance(clock, Clock) else None


def open_lines(rows: Rows, sku: str) -> Iterator[tuple[str, int, Claim, Standing]]:
    """Yield (order, line, row, its figures) of the lines that hold stock or wait for it."""
    prefix, tick = claim_key(sku, ""), tick_of(rows)
    for key, row in rows.scan(prefix):
        if isinstance(row, Claim) and (one := standing(row, tick)).open:
            yield *paper_line(key[len(prefix) :]), row, one


def supply_lines(rows: Rows, sku: str) -> Iterator[tuple[str, int, Supply]]:
    """Yield (purchase order, line, row)."""
    prefix = supply_key(sku, "")
    for key, row in rows.scan(prefix):
        if isinstance(row, Supply):
            yield *paper_line(key[len(prefix) :]), row


def paper_line(text: str) -> tuple[str, int]:
    """Read `id|line` as a key has it."""
    id_, _, number = text.rpartition("|")
    return unescape(id_), int(number)


def fence(one: Fence) -> Plain:
    """Shape a ring-fence; what stock can serve of it now is the channel's `ring`."""
    return {
        "channel": one.channel,
        "priority": one.priority,
        "granted": one.granted,
        "taken": one.taken,
        "open": one.open,
        "since": instant(one.first),
    }


def inbound(one: Inbound) -> Plain:
    id_, number = paper_line(one.what)
    return {
        "date": day_text(one.day),
        "location": one.location,
        "units": one.units,
        "state": one.state,
        "overdue": one.overdue,
        "document": id_,
        "line": number,
    }


def _claim(order: str, number: int, row: Claim, one: Standing) -> Plain:
    return {
        "order": order,
        "line": number,
        "channel": one.channel,
        "state": "firm" if one.firm else "soft",
        "requested": one.requested,
        "released": one.released,
        "consumed": one.consumed,
        "open": one.open,
        "placed": [{"location": p.location, "units": p.units, "how": p.how} for p in one.placed],
        "pending": one.pending,
        "need_date": None if one.need is None else day_text(one.need),
        "due": one.due,
        "expires_at": None if one.expires is None else instant(one.expires * SECOND),
        "began": instant(one.began),
        "last_time": instant(row.last_time),
    }


def _supply(order: str, number: int, row: Supply) -> Plain:
    figures = line(row)
    return {
        "purchase_order": order,
        "line": number,
        "location": figures.location,
        "ordered": figures.ordered,
        "confirmed": figures.confirmed,
        "shipped": figures.shipped,
        "received": figures.received,
        "open": figures.open,
        "over": figures.over,
        "final": figures.final,
        "said": [_statement(one) for one in row.said],
        "last_time": instant(row.last_time),
    }


def _statement(one: Statement) -> Plain:
    return {
        "type": one.type,
        "key": one.key,
        "rev": one.rev,
        "event_time": instant(one.event_time),
        "quantity": one.quantity,
        "location": one.location,
        "eta": one.eta,
        "final": one.final,
    }
