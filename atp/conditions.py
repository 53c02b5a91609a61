"""What stands in a row that somebody must look at: functions of the row alone, whatever led to it.

A condition has a kind, a scope, a location, the time since when it stands (0 where the row does not say: since now)
and its evidence. Source: docs/domain.md, section "Exceptions".
"""

from collections.abc import Iterable, Mapping

from atp.book import Claim, Feed, Position, Risk, Row, Supply, Transfer, claim_key
from atp.claims import day_number, standing
from atp.draft import Draft
from atp.events import DAY, SECOND
from atp.outcome import text_of
from atp.outlook import ORDERS, earliest_first, latest, line
from atp.risk import EXPOSURE, NEGATIVE_STOCK, OVERSOLD, PROJECTED

NO_DAY_NAMED = 6 * DAY
"""How long a transfer without an eta may be on its way, before its grace begins."""
LINES_TOLD = 10
"""Order lines that are named as at risk, at most."""

Condition = tuple[str, str, str, int, dict[str, str]]
"""Kind, scope, location, since when, and evidence of what stands."""


def owes(row: Row | None) -> bool:
    """Say whether another bucket than sellable is below 0, or goods have expired."""
    return type(row) is Position and (row.returned < 0 or row.quarantine < 0 or row.damaged < 0 or row.expired > 0)


def in_order(row: Row | None) -> bool:
    """Say at a glance that an order line cannot be the cause of anything: it was reserved, and nothing went wrong."""
    if type(row) is not Claim:
        return row is None
    letters = {word[0] for word in row.tally}
    return letters.isdisjoint("fpb") and ("t" in letters or "o" not in letters)


def conditions(rest: str, row: Row | None, tick: int | None) -> dict[tuple[str, str], tuple[str, int, dict[str, str]]]:
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
    if row.expired:
        yield "expired_stock", location, location, 0, {"expired": str(row.expired)}


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
    order = latest(row.said, *ORDERS)
    confirmation = latest(row.said, "SupplierConfirmed")
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
    for one in earliest_first(notices):
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
    for key, row in draft.scan(claim_key(sku, "")):
        if isinstance(row, Claim) and (pending := standing(row, draft.tick).pending):
            waiting.append((-pending, key.split("|", 2)[2]))
    return {"lines": ", ".join(f"{name} ({-units})" for units, name in sorted(waiting)[:LINES_TOLD])} if waiting else {}
