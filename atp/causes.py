"""Which rows and events are the cause of an exception, and which take it away.

`attend` compares the rows that an event changed with what they were: a case follows from what stands in a row, so
it opens and closes whatever the order in which facts come. It looks at changed rows only, and at a position no
longer than to see that it owes nothing: a sale of a SKU in order costs nothing more. `refused` tells what the fold
would not take. Source: docs/domain.md, section "Exceptions".
"""

from collections.abc import Iterable
from dataclasses import replace

from atp import events as e
from atp.advice import COUNT, REPLENISH, TRANSFER, carried_out, propose
from atp.book import (
    Case,
    Evidence,
    Row,
    Rows,
    Summary,
    Supply,
    Transfer,
    case_key,
    claim_key,
    evidence_key,
    feed_key,
    key_of,
    reference_key,
    summary_key,
)
from atp.conditions import conditions, in_order, lines_at_risk, owes
from atp.draft import Draft
from atp.effects import Cause
from atp.events import Event
from atp.exceptions import close_exception, open_exception
from atp.outcome import REVERSALS, Frame, Outcome, cause_of, resumed, text_of
from atp.outlook import line

WATCHED = "tcbr"
"""First letters of the keys of rows that may be the cause of a case, positions apart."""
BESIDE = "rg"
"""The same, of rows that `heard` looks at: risks of channels' copies, and sources as a whole."""
FEEDS = feed_key("")


def attend(draft: Draft, now: int, watched: str = WATCHED) -> None:
    """Open the cases whose causes stand in the rows that changed, and close those whose causes are gone.

    `now` is the SKU's clock or the last tick, whichever is later. To be asked before old rows are forgotten.
    """
    changed = []
    for key, after in draft.changes.items():
        letter = key[0]
        if letter == "p":
            if not owes(after) and not owes(draft.rows.get(key)):
                continue
        elif letter not in watched or (letter == "c" and in_order(after) and in_order(draft.rows.get(key))):
            continue
        changed.append(key)
    for key in changed:
        before, after = draft.rows.get(key), draft.changes[key]
        if key[0] == "g":
            if not key.startswith(FEEDS):
                continue
            sku, rest = "", key[len(FEEDS) :]
        else:
            sku, rest = key.split("|", 2)[1:]
        stood = conditions(rest, before, draft.tick)
        stands = conditions(rest, after, draft.tick)
        for kind, scope in sorted(stood.keys() - stands.keys()):
            close_exception(draft, sku, kind, scope, now)
        for (kind, scope), (location, since, evidence) in stands.items():
            if stood.get((kind, scope)) == (location, since, evidence):
                continue
            if not since:
                known = draft.get(case_key(sku, kind, scope))
                since = known.since if isinstance(known, Case) else now  # noqa: PLW2901 - it stands since before
            if kind == "orders_at_risk" and (kind, scope) not in stood:
                evidence = {**evidence, **lines_at_risk(draft, sku)}  # noqa: PLW2901
            new = open_exception(draft, sku, kind, scope, evidence, since, location=location)
            if new and kind == "negative_stock":
                propose(draft, sku, COUNT, location, 0, {"negative_since": text_of(since)}, now)
        if after is not None and before is not after:
            _did_what_was_advised(draft, sku, before, after, now)


def run_out(draft: Draft, sku: str, lines: Iterable[str], tick: int) -> None:
    """Close what nobody waits for any more: a line runs out by a tick, and its row does not change by that."""
    for scope in dict.fromkeys(lines):
        stands = conditions(scope, draft.get(claim_key(sku, scope)), tick)
        for kind in ("pick_failed", "overdue_shipment"):
            if (kind, scope) not in stands:
                close_exception(draft, sku, kind, scope, tick)


def heard(rows: Rows, event: Event, frame: Frame, outcome: Outcome) -> Outcome:
    """Go on with an outcome: what it says of sources as a whole, and of what channels show."""
    for changed in outcome.changes:
        if changed[0] in BESIDE:
            break
    else:
        return outcome
    draft = resumed(rows, frame, outcome, cause_of(event))
    summary = draft.get(summary_key(event.sku))
    told = summary.clock if isinstance(summary, Summary) else event.event_time
    attend(draft, max(told, draft.tick or 0), BESIDE)
    return replace(outcome, changes=draft.changes, effects=tuple(draft.effects))


def refused(rows: Rows, event: Event, frame: Frame, tick: int | None, outcome: Outcome) -> Outcome:
    """Tell of an event that was refused as a conflict or as late, beside its refusal."""
    if outcome.verdict not in ("conflict", "late"):
        return outcome
    sku, where = event.sku, event.location
    key = key_of(event)
    draft = Draft(rows, Cause(type=type(event).__name__, key=key), frame.epoch, tick)
    told = {"event": key, "type": type(event).__name__, "document": event.document.id}
    if outcome.verdict == "conflict":
        first = rows.get(evidence_key(sku, key))
        since = max(event.event_time, first.event_time if isinstance(first, Evidence) else 0)
        open_exception(draft, sku, "payload_conflict", key, told, since, location=where)
    elif not isinstance(event, e.ReservationRequested):  # Who asked too late got no goods, and asks again.
        summary = rows.get(summary_key(sku))
        now = max(summary.clock if isinstance(summary, Summary) else 0, tick or 0)
        # One case per place, however many events come late: a file sent again must not flood the queue.
        known = draft.get(case_key(sku, "late_event", where))
        count = int(known.evidence.get("events", "0")) if isinstance(known, Case) else 0
        open_exception(draft, sku, "late_event", where, {**told, "events": str(count + 1)}, now, location=where)
    return replace(outcome, changes=draft.changes, effects=tuple(draft.effects))


def take_in(draft: Draft, event: Event, key: str, revised: bool, now: int) -> None:
    """See what an event that is in force settles or opens by itself.

    `key` is its business key, `revised` says whether it replaced a version of its own before.
    """
    sku = event.sku
    replaced = key if revised else ""
    what: Event | None = event
    if isinstance(event, e.SaleVoided | e.ShipmentReversed | e.Correction):
        replaced = reference_key(event.reverses, sku)
        what = event.replacement if isinstance(event, e.Correction) else None
    if replaced:
        close_exception(draft, sku, "payload_conflict", replaced, now, evidence={"settled_by": key})
    if isinstance(what, e.GoodsReceived) and what.purchase_order is None and what.quantity:
        told = {"units": str(what.quantity), "document": what.document.id}
        scope = replaced or key
        open_exception(draft, sku, "blind_receipt", scope, told, what.event_time, location=what.location)
    elif replaced and (what is None or isinstance(what, e.GoodsReceived)):
        close_exception(draft, sku, "blind_receipt", replaced, now, evidence={"settled_by": key})
    elif isinstance(what, e.CountRecorded):
        # A count says what is there, whatever came too late to be booked.
        close_exception(draft, sku, "late_event", what.location, now, evidence={"counted_by": key})
        carried_out(draft, sku, COUNT, what.location, now)
    elif isinstance(what, e.StockAdjusted) and what.document.type == "late":
        _adjusted(draft, sku, what.location, key, now)


TELLING = (e.GoodsReceived, e.CountRecorded, e.StockAdjusted, *REVERSALS)
"""Events that `take_in` may have something to say about, even where they replace no version of their own."""


def _adjusted(draft: Draft, sku: str, location: str, key: str, now: int) -> None:
    known = draft.get(case_key(sku, "late_event", location))
    if not isinstance(known, Case):
        return
    left = int(known.evidence.get("events", "1")) - 1
    if left <= 0:
        close_exception(draft, sku, "late_event", location, now, evidence={"adjusted_by": key})
    else:
        draft.put(
            case_key(sku, "late_event", location), replace(known, evidence={**known.evidence, "events": str(left)})
        )


def _did_what_was_advised(draft: Draft, sku: str, before: Row | None, after: Row, now: int) -> None:
    if isinstance(after, Supply):
        ordered = line(before).ordered if isinstance(before, Supply) else 0
        if (figures := line(after)).ordered > ordered:
            carried_out(draft, sku, REPLENISH, figures.location, now)
    elif isinstance(after, Transfer):
        shipped = before.shipped if isinstance(before, Transfer) else 0
        if after.shipped > shipped:
            carried_out(draft, sku, TRANSFER, after.destination, now)
