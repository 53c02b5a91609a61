"""Which rows and events are the cause of an exception, and which take it away.

`attend` compares the rows that an event changed with what they were: a case follows from what stands in a row, so
it opens and closes whatever the order in which facts come. It looks at changed rows only, and at a position no
longer than to see that it owes nothing: a sale of a SKU in order costs nothing more. `refused` tells what the fold
would not take. Source: docs/domain.md, section "Exceptions".
"""

from collections.abc import Iterable, Mapping
from dataclasses import replace

from atp import events as e
from atp.advice import COUNT, REPLENISH, TRANSFER, carried_out, propose
from atp.book import (
    CLOCK_KEY,
    Case,
    Claim,
    Clock,
    Evidence,
    Feed,
    Position,
    Risk,
    Row,
    Rows,
    Statement,
    Summary,
    Supply,
    Transfer,
    business_key,
    case_key,
    evidence_key,
    feed_key,
    reference_key,
    summary_key,
)
from atp.claims import day_number, standing
from atp.draft import Draft
from atp.effects import Cause
from atp.events import DAY, SECOND, Event
from atp.exceptions import close_exception, open_exception
from atp.outcome import REVERSALS, Frame, Outcome, text_of
from atp.outlook import line
from atp.risk import EXPOSURE, NEGATIVE_STOCK, OVERSOLD, PROJECTED

NO_DAY_NAMED = 6 * DAY
"""How long a transfer without an eta may be on its way, before its grace begins."""
LINES_TOLD = 10
"""Order lines that are named as at risk, at most."""
WATCHED = "tcbr"
"""First letters of the keys of rows that may be the cause of a case, positions apart."""
BESIDE = "rg"
"""The same, of rows that `heard` looks at: risks of channels' copies, and sources as a whole."""
FEEDS = feed_key("")

Condition = tuple[str, str, str, int, dict[str, str]]
"""Kind, scope, location, since when, and evidence of what stands."""


def attend(draft: Draft, now: int, watched: str = WATCHED) -> None:
    """Open the cases whose causes stand in the rows that changed, and close those whose causes are gone.

    `now` is the SKU's clock or the last tick, whichever is later. To be asked before old rows are forgotten.
    """
    changed = []
    for key, after in draft.changes.items():
        letter = key[0]
        if letter == "p":
            if not _owes(after) and not _owes(draft.rows.get(key)):
                continue
        elif letter not in watched or (letter == "c" and _in_order(after) and _in_order(draft.rows.get(key))):
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
        stood = _conditions(rest, before, draft.tick)
        stands = _conditions(rest, after, draft.tick)
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


def heard(rows: Rows, event: Event, frame: Frame, outcome: Outcome) -> Outcome:
    """Go on with an outcome: what it says of sources as a whole, and of what channels show."""
    for changed in outcome.changes:
        if changed[0] in BESIDE:
            break
    else:
        return outcome
    key = business_key(event.source, event.document, type(event).__name__, event.sku)
    if isinstance(event, e.TimeTicked):
        key = text_of(event.event_time)
    draft = Draft(rows, Cause(type=type(event).__name__, key=key), frame.epoch, None)
    draft.changes.update(outcome.changes)
    draft.effects.extend(outcome.effects)
    clock, summary = draft.get(CLOCK_KEY), draft.get(summary_key(event.sku))
    draft.tick = clock.tick if isinstance(clock, Clock) else None
    told = summary.clock if isinstance(summary, Summary) else event.event_time
    attend(draft, max(told, draft.tick or 0), BESIDE)
    return replace(outcome, changes=draft.changes, effects=tuple(draft.effects))


def refused(rows: Rows, event: Event, frame: Frame, tick: int | None, outcome: Outcome) -> Outcome:
    """Tell of an event that was refused as a conflict or as late, beside its refusal."""
    if outcome.verdict not in ("conflict", "late"):
        return outcome
    sku, where = event.sku, event.location
    key = business_key(event.source, event.document, type(event).__name__, sku)
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


# What stands in a row -------------------------------------------------------------------------------------


def _owes(row: Row | None) -> bool:
    return type(row) is Position and (row.returned < 0 or row.quarantine < 0 or row.damaged < 0)


def _in_order(row: Row | None) -> bool:
    """Say at a glance that an order line cannot be the cause of anything: it was reserved, and nothing went wrong."""
    if type(row) is not Claim:
        return row is None
    letters = {word[0] for word in row.tally}
    return letters.isdisjoint("fpb") and ("t" in letters or "o" not in letters)


def _conditions(rest: str, row: Row | None, tick: int | None) -> dict[tuple[str, str], tuple[str, int, dict[str, str]]]:
    """Return what stands: (location, since, evidence) by kind and scope; since 0 means now."""
    match row:
        case Position():
            found: Iterable[Condition] = _of_position(rest, row)
        case Transfer():
            found = _of_transfer(rest, row)
        case Claim():
            found = _of_claim(rest, row, tick)
        case Supply():
            found = _of_supply(rest, row)
        case Risk():
            found = _of_risk(rest, row)
        case Feed():
            found = _of_feed(rest, row)
        case _:
            found = ()
    return {(kind, scope): (location, since, evidence) for kind, scope, location, since, evidence in found}


def _of_position(location: str, row: Position) -> Iterable[Condition]:
    owed = {b: -getattr(row, b) for b in ("returned", "quarantine", "damaged") if getattr(row, b) < 0}
    if owed:
        yield "debt", location, location, 0, {f"owed_by_{bucket}": str(units) for bucket, units in owed.items()}


def _of_transfer(scope: str, row: Transfer) -> Iterable[Condition]:
    figures = {"shipped": str(row.shipped), "received": str(row.received), "lost": str(row.lost)}
    if row.open > 0:
        if row.eta:
            since, told = (day_number(row.eta) + 1) * DAY, {**figures, "open": str(row.open), "eta": row.eta}
        else:
            since, told = row.last_time + NO_DAY_NAMED, {**figures, "open": str(row.open)}
        yield "overdue_transfer", scope, row.destination, since, told
    elif row.open < 0:
        yield "over_receipt", scope, row.destination, row.last_time, {**figures, "over": str(-row.open)}


def _of_claim(scope: str, row: Claim, tick: int | None) -> Iterable[Condition]:
    taken = out = back = failed = picked = 0
    first = first_back = first_picked = 0
    where = came_to = missed_at = ""
    for text, units in row.tally.items():
        word, _, rest = text.partition("|")
        if word == "take":
            taken += units
        elif word == "out":
            out += units
            where, _, time = rest.partition("|")
            time = time.rpartition("|")[2]
            first = min(first or int(time), int(time))
        elif word == "back":
            back += units
            came_to, _, time = rest.partition("|")
            first_back = min(first_back or int(time), int(time))
        elif word == "picked":
            picked += units
            first_picked = min(first_picked or int(rest.partition("|")[2]), int(rest.partition("|")[2]))
        elif word == "failed":
            failed += units
            missed_at = max(missed_at, rest)
    if out > 0 and not taken and not scope.startswith("transfer:"):
        yield "unmatched_shipment", scope, where, first, {"units": str(out)}
    if back > 0 and out <= 0:
        yield "unmatched_return", scope, came_to, first_back, {"units": str(back)}
    if picked > out and standing(row, tick).open:
        yield "overdue_shipment", scope, "", first_picked, {"picked": str(picked), "handed_over": str(out)}
    if failed > 0 and (waits := standing(row, tick).pending):
        yield "pick_failed", scope, missed_at, row.last_time, {"failed": str(failed), "waiting": str(waits)}


def _of_supply(scope: str, row: Supply) -> Iterable[Condition]:
    figures = line(row)
    told = {
        name: str(units)
        for name, units in (
            ("ordered", figures.ordered),
            ("confirmed", figures.confirmed),
            ("shipped", figures.shipped),
            ("received", figures.received),
        )
        if units
    }
    where = figures.location
    order = _latest(row.said, "PurchaseOrder")
    confirmation = _latest(row.said, "SupplierConfirmed")
    notices = [one for one in row.said if one.type == "AsnShipped"]
    due = figures.shipped if notices else max(figures.ordered, figures.confirmed)
    if figures.final and figures.received < due:
        yield "short_receipt", scope, where, row.last_time, {**told, "short": str(due - figures.received)}
    if order is not None and figures.received > figures.ordered:
        yield "over_receipt", scope, where, row.last_time, {**told, "over": str(figures.received - figures.ordered)}
    if any(one.final for one in notices):
        asked, offered = max(figures.ordered, figures.confirmed), figures.shipped
    else:
        asked, offered = figures.ordered, figures.confirmed if confirmation else figures.ordered
    if offered < asked:
        yield "supplier_short", scope, where, row.last_time, {**told, "short": str(asked - offered)}
    received = figures.received
    for one in sorted(notices, key=lambda one: (one.eta or "9999", one.key)):
        late = max(0, one.quantity - received)
        received -= one.quantity - late
        if late and one.eta and not figures.final:
            since = (day_number(one.eta) + 1) * DAY
            yield "overdue_asn", scope, where, since, {**told, "eta": one.eta, "open": str(late)}
            break
    said = confirmation or order
    if said is not None and said.eta and figures.open and said.quantity > max(figures.shipped, figures.received):
        since = (day_number(said.eta) + 1) * DAY
        yield "past_due_supply", scope, where, since, {**told, "eta": said.eta, "open": str(figures.open)}


def _latest(said: Iterable[Statement], type_: str) -> Statement | None:
    some = (one for one in said if one.type.startswith(type_))
    return max(some, key=lambda one: (one.rev, one.event_time, one.key), default=None)


def _of_risk(rest: str, row: Risk) -> Iterable[Condition]:
    kind, _, scope = rest.partition("|")
    # The figures are those of its opening: the risk itself is restated as they move.
    if kind == NEGATIVE_STOCK:
        yield "negative_stock", scope, scope, row.opened_at, {"risk": row.id}
    elif kind == EXPOSURE:
        yield "failed_acknowledgement", scope, "", row.opened_at, {"risk": row.id}
    elif kind in (OVERSOLD, PROJECTED):
        yield "orders_at_risk", f"{kind}|{scope}" if scope else kind, "", row.opened_at, {"risk": row.id}


def _of_feed(scope: str, row: Feed) -> Iterable[Condition]:
    if row.gaps:
        missing = ", ".join(f"{begin}-{end}" for begin, end in row.gaps[:LINES_TOLD])
        yield "sequence_gap", scope, "", 0, {"missing": missing}
    if row.interval and row.marked_at:
        told = {"last_mark": text_of(row.marked_at), "interval_s": str(row.interval // SECOND)}
        yield "silent_feed", scope, "", row.marked_at + 2 * row.interval, told


def lines_at_risk(draft: Draft, sku: str) -> Mapping[str, str]:
    """Name the order lines that wait for stock, the greatest first: what a planner calls about."""
    waiting = []
    for key, row in draft.scan(f"c|{sku}|"):
        if isinstance(row, Claim) and (pending := standing(row, draft.tick).pending):
            waiting.append((-pending, key.split("|", 2)[2]))
    return {"lines": ", ".join(f"{name} ({-units})" for units, name in sorted(waiting)[:LINES_TOLD])} if waiting else {}
