"""What is known of a SKU, shaped once for `atp show`, the worker's HTTP answer and the changelog reader."""

from collections.abc import Iterator
from typing import Any, TypeVar

from atp.availability import atp_raw, available, channel_raw, channel_status, exposed, next_shown, status, terms_of
from atp.book import (
    CLOCK_KEY,
    POLICIES_KEY,
    Bills,
    Clock,
    Lots,
    Part,
    Policies,
    PolicyEntry,
    Position,
    Risk,
    Rows,
    Summary,
    Transfer,
    bills_key,
    masters_key,
    part_key,
    summary_key,
)
from atp.claims import day_text, today_of
from atp.events import PolicyFields
from atp.lots import left
from atp.planning import substitutes_of
from avro_schemas.instants import instant, instant_or_none
from avro_schemas.plain import plain
from streams.promised import promised

Answer = dict[str, Any]
"""Plain values, ready for JSON."""
ALONE = "snou"
"""First letters of the rows that an answer is made of, one of each for a SKU: `letter|sku`."""
MANY = "pLtrcbl"
"""And of those that there may be many of: `letter|sku|...`. To these come the partition's clock and policies."""
R = TypeVar("R")


def answer(rows: Rows, sku: str) -> Answer:
    """Say what the rows hold of a SKU: positions, availability, promises, supply, risks, transfers, policies, kits.

    Quantities in base units, instants as ISO 8601 in UTC. `known` is false where nothing names the SKU;
    the lists are empty then. Raises: nothing.
    """
    summary = rows.get(summary_key(sku))
    clock = rows.get(CLOCK_KEY)
    wide = rows.get(POLICIES_KEY)
    bills, part = rows.get(bills_key(sku)), rows.get(part_key(sku))
    entries = summary.policies if isinstance(summary, Summary) else ()
    today = today_of(clock.tick) if isinstance(clock, Clock) else None
    lots = {rest[0]: row for rest, row in _of(rows, f"L|{sku}|", Lots)}
    positions = [
        _position(sku, rest[0], row, lots.get(rest[0]), today) for rest, row in _of(rows, f"p|{sku}|", Position)
    ]
    return {
        "sku": sku,
        "known": bool(positions) or isinstance(summary, Summary),
        "as_of": instant(summary.clock) if isinstance(summary, Summary) and summary.clock else None,
        "tick": instant(clock.tick) if isinstance(clock, Clock) else None,
        "positions": positions,
        "availability": _availability(sku, summary) if isinstance(summary, Summary) else [],
        **promised(rows, sku),
        "risks": [_risk(rest, row) for rest, row in _of(rows, f"r|{sku}|", Risk)],
        "transfers": [_transfer(rest, row) for rest, row in _of(rows, f"t|{sku}|", Transfer)],
        "components": dict(bills.in_force) if isinstance(bills, Bills) else None,
        "part_of": [kit for kit in part.kits if kit != sku] if isinstance(part, Part) else [],
        "substitutes": list(
            substitutes_of(rows.get(masters_key(sku, "")), clock.tick if isinstance(clock, Clock) else None)
        ),
        "policies": [_policy(entry, sku) for entry in entries]
        + [_policy(entry, "") for entry in (wide.entries if isinstance(wide, Policies) else ())],
    }


def _of(rows: Rows, prefix: str, kind: type[R]) -> Iterator[tuple[list[str], R]]:
    """Yield the rows of one kind under a prefix, each with what stands behind the prefix."""
    for key, row in rows.scan(prefix):
        if isinstance(row, kind):
            yield key[len(prefix) :].split("|"), row


def lots_at(row: Position, lots: Lots | None, today: int | None) -> list[Answer]:
    """The lots that are left at a position, earliest expiry first; before the first tick nobody knows how long."""
    return [
        {
            "lot": one.lot,
            "expiry": None if one.expiry is None else day_text(one.expiry),
            "units": one.units,
            "days_left": None if one.expiry is None or today is None else one.expiry - today,
        }
        for one in (left(lots, available(row) + row.expired) if lots else ())
    ]


def _position(sku: str, location: str, row: Position, lots: Lots | None, today: int | None) -> Answer:
    return {
        "sku": sku,
        "location": location,
        "on_hand": row.on_hand,
        "sellable": row.sellable,
        "returned": row.returned,
        "quarantine": row.quarantine,
        "damaged": row.damaged,
        "in_transit_in": row.in_transit_in,
        "reserved_soft": row.reserved_soft,
        "reserved_firm": row.reserved_firm,
        "allocated": row.allocated,
        "safety_stock": row.safety_stock,
        "expired": row.expired,
        "eligible": row.eligible,
        "atp_raw": atp_raw(row),
        "atp": row.atp,
        "status": status(row.atp, row.low_at),
        "confidence": row.confidence,
        "reasons": list(row.reasons),
        "haircut": max(0, atp_raw(row)) - exposed(row) if row.eligible else 0,
        "version": row.version,
        "as_of": instant(row.as_of),
        "lots": lots_at(row, lots, today),
        "counts": [
            {
                "document": count.document,
                "as_of": instant(count.as_of),
                "scope": count.scope,
                "quantity": count.quantity,
                "expected": count.expected,
                "variance": count.variance,
                "restatement": count.restatement,
            }
            for count in row.counts
        ],
        "last_events": [
            {
                "type": touch.type,
                "key": touch.key,
                "event_time": instant(touch.event_time),
                "on_hand": touch.on_hand,
                "sellable": touch.sellable,
            }
            for touch in sorted(row.touches, key=lambda touch: touch.event_time, reverse=True)
        ],
    }


def _availability(sku: str, summary: Summary) -> list[Answer]:
    answers = []
    for state in summary.channels:
        terms = terms_of(state)
        following = next_shown(state.atp, terms, state.horizon)
        answers.append(
            {
                "channel": state.channel,
                "sku": sku,
                "atp": state.atp,
                "atp_raw": channel_raw(state.pool, terms, state.ring),
                "status": channel_status(state.atp, terms, state.horizon),
                "version": state.version,
                "ring": state.ring,
                "pool": state.pool,
                "share_percent": terms.share_percent,
                "buffer": terms.buffer,
                "cap": terms.cap,
                "min_life_days": terms.min_life_days,
                "locations": None if terms.locations is None else list(terms.locations),
                "excluded": list(terms.excluded),
                "lag_s": terms.lag_s,
                "buffer_rate": None if terms.rate is None else plain(terms.rate),
                "next_available": None if following is None else _dated(*following),
                "horizon": [_dated(day, max(0, units)) for day, units in state.horizon],
                "orders_seen_through": instant_or_none(state.orders_seen or None),
            }
        )
    return answers


def _dated(day: int, units: int) -> Answer:
    return {"date": day_text(day), "quantity": units}


def _risk(rest: list[str], row: Risk) -> Answer:
    return {
        "id": row.id,
        "kind": rest[0],
        "scope": "|".join(rest[1:]),
        "severity": row.severity,
        "opened_at": instant(row.opened_at),
        "calm_since": instant_or_none(row.calm_since),
        "quantity": row.quantity,
    }


def _transfer(rest: list[str], row: Transfer) -> Answer:
    shipped = sum(row.shipped_to.values())
    return {
        "transfer": "|".join(rest),
        "destination": row.destination,
        "shipped": shipped,
        "received": row.received,
        "lost": row.lost,
        "open": shipped - row.received - row.lost,
        "last_time": instant(row.last_time),
    }


def _policy(entry: PolicyEntry, sku: str) -> Answer:
    """Name the scope by what is filled in, and only the parameters that the policy sets."""
    fields = {name: getattr(entry.policy, name) for name in PolicyFields.__annotations__}
    return {
        "sku": sku,
        "location": entry.location,
        "channel": entry.channel,
        "effective": instant(entry.effective),
        "key": entry.key,
        "policy": {
            name: list(value) if isinstance(value, tuple) else value
            for name, value in fields.items()
            if value is not None
        },
    }
