"""Records of the ledger as rows of tables: one flat row an event, whatever its type.

Two forms are read: what the ledger's Avro schemas decode to, and the public JSON form, one event a line.
Times are microseconds since 1970-01-01 UTC.
"""

import json
from collections.abc import Iterator, Mapping
from datetime import UTC, date, datetime
from typing import Any

Fields = Mapping[str, Any]


COLUMNS = {
    "part": "INTEGER", "off": "BIGINT", "malformed": "BOOLEAN", "type": "VARCHAR", "source": "VARCHAR",
    "doc_type": "VARCHAR", "doc_id": "VARCHAR", "doc_line": "BIGINT", "rev": "BIGINT", "sku": "VARCHAR",
    "location": "VARCHAR", "channel": "VARCHAR", "quantity": "BIGINT", "event_time": "BIGINT",
    "source_seq": "BIGINT", "order_id": "VARCHAR", "order_line": "BIGINT", "reason": "VARCHAR",
    "disposition": "VARCHAR", "status": "VARCHAR", "from_status": "VARCHAR", "to_status": "VARCHAR",
    "to_location": "VARCHAR", "transfer_id": "VARCHAR", "transfer_line": "BIGINT", "as_of": "BIGINT",
    "scope": "VARCHAR", "ref_type": "VARCHAR", "ref_source": "VARCHAR", "ref_doc_type": "VARCHAR",
    "ref_doc_id": "VARCHAR", "ref_doc_line": "BIGINT", "rest": "VARCHAR",
}  # fmt: skip
"""Of `ledger` and of `replacements`; `rest` is the business that has no column of its own, as JSON."""

SEEN = {"part": "INTEGER", "off": "BIGINT", "source": "VARCHAR", "seq": "BIGINT"}
"""Of `seen`: up to which sequence number of a source a count saw everything."""

POLICIES = {
    "part": "INTEGER", "off": "BIGINT", "safety_stock": "BIGINT", "eligible": "BOOLEAN", "buffer": "BIGINT",
    "share_percent": "BIGINT", "cap": "BIGINT", "dock_days": "BIGINT", "max_slip_days": "BIGINT",
    "supplier_late_p90_days": "BIGINT", "count_ordered": "BOOLEAN", "till_is_handover": "BOOLEAN",
    "snapshot_is_count": "BOOLEAN", "low_at": "BIGINT", "lag_s": "BIGINT", "order_lag_s": "BIGINT",
    "buffer_by_rate": "BOOLEAN", "tolerance_units": "BIGINT", "tolerance_percent": "BIGINT", "haircuts": "BOOLEAN",
    "min_life_days": "BIGINT", "locations": "VARCHAR[]",
}  # fmt: skip
"""Of `policies`: the parameters that a policy sets."""

PARTICULARS = {
    "part": "INTEGER", "off": "BIGINT", "request_id": "VARCHAR", "decision": "VARCHAR", "state": "VARCHAR",
    "expires_at": "BIGINT", "need_day": "INTEGER", "partial": "BOOLEAN", "from_location": "VARCHAR",
    "eta_day": "INTEGER", "po_id": "VARCHAR", "po_line": "BIGINT", "final": "BOOLEAN", "priority": "BIGINT",
    "excludes": "VARCHAR", "basis": "VARCHAR", "lot": "VARCHAR", "expiry_day": "INTEGER",
}  # fmt: skip
"""Of `particulars`: what events of demand, supply and lots say besides; days since 1970. Most ledgers hold few."""

BILLS = {
    "part": "INTEGER", "off": "BIGINT", "home": "INTEGER", "kit": "VARCHAR", "components": "VARCHAR[]",
    "needed": "BIGINT[]",
}  # fmt: skip
"""Of `bills`: what a kit is said to be made of. A bill goes to every partition; `home` is that of the kit's own SKU."""

COUNTING = {"CountRecorded", "SnapshotReceived"}
"""Types of events that may say up to which sequence numbers they saw everything."""

PARTICULAR = {
    "ReservationRequested", "ReservationPlaced", "ReservationDecided", "OrderAllocated", "PurchaseOrderPlaced",
    "PurchaseOrderChanged", "PurchaseOrderCancelled", "SupplierConfirmed", "AsnShipped", "AllocationGranted",
    "AllocationReturned", "TransferApproved", "TransferShipped", "TransferRequested", "GoodsReceived",
    "CountRecorded", "SnapshotReceived",
}  # fmt: skip
"""Types of events that may have particulars."""

# Where it came from and how it travelled: no business, so no part of what makes two records the same.
TRAVEL = {"source_seq", "event_id", "recorded_time", "actor", "trace_id", "uom", "uom_quantity"}
PLAIN = {
    "type", "source", "document", "rev", "sku", "location", "channel", "quantity", "event_time", "order", "reason",
    "disposition", "status", "from_status", "to_status", "to_location", "transfer", "as_of", "scope", "reverses",
}  # fmt: skip
NOT_REST = TRAVEL | PLAIN

# What a field means where a source leaves it out.
LEFT_OUT = {
    "GoodsReceived": {"to_status": "sellable"},
    "StockAdjusted": {"status": "sellable"},
    "CountRecorded": {"scope": "on_hand"},
}
VOIDS = {"SaleVoided": "SaleRecorded", "ShipmentReversed": "ShipmentConfirmed"}

Row = tuple[Any, ...]


def flatten(part: int, off: int, kind: str, event: Fields, *, malformed: bool = False) -> Row:
    """Return the row of an event in the order of `COLUMNS`."""
    get = event.get
    document = event["document"]
    order, transfer, reverses = get("order"), get("transfer"), get("reverses")
    left_out = LEFT_OUT.get(kind, {})
    rest = {
        name: value
        for name, value in event.items()
        if value is not None and name not in NOT_REST and value not in ("", False)
    }
    reversed_document = reverses["document"] if reverses else {}
    return (
        part,
        off,
        malformed,
        kind,
        event["source"],
        document["type"],
        document["id"],
        document["line"],
        get("rev") or 0,
        get("sku") or "",
        get("location") or "",
        get("channel") or "",
        get("quantity") or 0,
        event["event_time"],
        get("source_seq"),
        order["id"] if order else None,
        order["line"] if order else None,
        get("reason") or None,
        get("disposition"),
        get("status") or left_out.get("status"),
        get("from_status"),
        get("to_status") or left_out.get("to_status"),
        get("to_location"),
        transfer["id"] if transfer else None,
        transfer["line"] if transfer else None,
        get("as_of"),
        get("scope") or left_out.get("scope"),
        (reverses.get("type") or VOIDS.get(kind)) if reverses else None,
        (reverses.get("source") or event["source"]) if reverses else None,
        reversed_document.get("type"),
        reversed_document.get("id"),
        reversed_document.get("line"),
        json.dumps(rest, sort_keys=True, default=str) if rest else "",
    )


def seen_rows(part: int, off: int, event: Fields) -> Iterator[Row]:
    """Yield the rows of `seen` that a count, or a correction of one, states."""
    for source, seq in (event.get("through_seq") or {}).items():
        yield (part, off, source, seq)


def particulars_row(part: int, off: int, event: Fields) -> Row | None:
    """Return what an event of demand or supply says besides, None where that is nothing.

    Raises ValueError where a day is none.
    """
    get = event.get
    purchase_order = get("purchase_order")
    row = (
        get("request_id"),
        get("decision"),
        get("state"),
        get("expires_at"),
        _day(get("need_date")),
        get("partial") or None,
        get("from_location") or None,
        _day(get("eta")),
        purchase_order["id"] if purchase_order else None,
        purchase_order["line"] if purchase_order else None,
        get("final") or None,
        get("priority"),
        get("excludes") or None,
        get("basis"),
        get("lot"),
        _last_day(get("expiry")),
    )
    return (part, off, *row) if any(value is not None for value in row) else None


def names_a_lot(event: Fields) -> bool:
    """Say whether an event speaks of a lot, or of goods with a last day."""
    return event.get("lot") is not None or event.get("expiry") is not None


def _last_day(text: str | None) -> int | None:
    """The day of an expiry; one that stands for `long ago` or `never` is the nearest from 2000 to 2099."""
    day = _day(text)
    return None if day is None else min(max(day, CENTURY[0]), CENTURY[1])


def _day(text: str | None) -> int | None:
    """Count the days from 1970-01-01 to a day; one with a time is the day in UTC of that time."""
    if text is None:
        return None
    if len(text) == len("2026-11-20"):
        return date.fromisoformat(text).toordinal() - EPOCH
    time = datetime.fromisoformat(text)
    return (time.astimezone(UTC) if time.tzinfo else time).toordinal() - EPOCH


EPOCH = date(1970, 1, 1).toordinal()
CENTURY = (date(2000, 1, 1).toordinal() - EPOCH, date(2099, 12, 31).toordinal() - EPOCH)


def policy_row(part: int, off: int, policy: Fields) -> Row:
    locations = policy.get("locations")
    plain = list(POLICIES)[2:-1]
    return (part, off, *(policy.get(name) for name in plain), list(locations) if locations is not None else None)


def bill_row(part: int, off: int, home: int, event: Fields) -> Row:
    components = event.get("components") or {}
    return (part, off, home, event["kit"], list(components), list(components.values()))


def replacement_of(event: Fields) -> tuple[str, Fields] | None:
    """Return the type and the fields of what a correction puts in the place of what it names.

    What it leaves out it takes from the event that it names, or from the correction.
    """
    replacement = event.get("replacement")
    if replacement is None:
        return None
    reverses = event["reverses"]
    inherited = {
        "source": reverses.get("source") or event["source"],
        "document": reverses["document"],
        "sku": event.get("sku"),
        "location": event.get("location"),
        "event_time": event["event_time"],
    }
    return replacement.get("type") or reverses["type"], {**inherited, **replacement}
