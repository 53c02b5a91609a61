"""Requests, supply and ring-fences: what is promised and what will come, as it is asked for and told.

A request is decided once, here, by the one writer of its SKU: two channels are never granted the same unit. What supply
and grants say moves no clock and is never late; the last revision stands, in whichever order they come.
Source: docs/domain.md sections "Claims", "Dated supply and demand" and "Ring-fences".
"""

from collections.abc import Sequence
from dataclasses import replace

from atp.admission import digest
from atp.answering import SkuPolicies, limit, look_later, reassess, settle, survey, unpromised, with_channels
from atp.book import (
    ALL_CHANNEL,
    Claim,
    Decision,
    Evidence,
    Mark,
    Network,
    Ring,
    Rows,
    Statement,
    Summary,
    Supply,
    business_key,
    claim_key,
    decision_key,
    key_of,
    line_of,
    network_key,
    ring_key,
    summary_key,
    supply_key,
)
from atp.causes import attend
from atp.claims import Standing, claim_line, day_number, day_text, standing, take_mark
from atp.draft import Draft
from atp.effects import Cause, RequestDecided
from atp.events import (
    DAY,
    SECOND,
    AllocationGranted,
    AllocationReturned,
    AsnShipped,
    Grant,
    PurchaseOrderCancelled,
    PurchaseOrderChanged,
    PurchaseOrderPlaced,
    Ref,
    ReservationConfirmed,
    ReservationRequested,
    SupplierConfirmed,
)
from atp.events import Supply as SupplyEvent
from atp.ledger import Ledger
from atp.network import NOW
from atp.outcome import NOTHING_YET, Frame, Outcome, late, oldest_of, refuse, text_of
from atp.outlook import HORIZON

STATES = {"cart": "soft", "payment": "firm", "release": "firm"}
"""What a channel's requests become, by the moment at which it reserves."""


# Requests -------------------------------------------------------------------------------------------------


def request(rows: Rows, event: ReservationRequested, frame: Frame, tick: int | None) -> Outcome:
    """Answer a request: accept it whole, in part if that was asked for, or reject it with the figure seen."""
    sku = event.sku
    row = rows.get(summary_key(sku))
    summary = row if isinstance(row, Summary) else NOTHING_YET
    oldest = oldest_of(summary.clock, tick, frame)
    if tick is not None and event.event_time > tick + DAY:
        return refuse("future", f"dated {text_of(event.event_time)}, over a day after the last tick {text_of(tick)}")
    if event.event_time < oldest:
        return late(event, event.event_time, oldest, summary, tick)
    known = rows.get(decision_key(sku, event.request_id))
    mine = digest(event)
    if isinstance(known, Decision) and known.event_time >= oldest:
        if known.digest == mine:
            return Outcome(verdict="duplicate", changes={}, effects=(known.answer,))
        detail = f"request {event.request_id} was answered with other fields; that answer stands: use another id"
        return refuse("conflict", detail)

    key = business_key("", event.document._replace(type="request", id=event.request_id, line=1), "Request", sku)
    draft = Draft(rows, Cause(type=type(event).__name__, key=key), frame.epoch, tick)
    now = max(summary.clock, event.event_time)
    policies = SkuPolicies(draft, sku, summary, now)
    ledger = Ledger(draft, sku, now, oldest, policies)
    before = _line(rows, event, tick)
    # Who names no channel asks for the line's: its units are all of one channel.
    channel = event.channel or (before.channel if before.requested else ALL_CHANNEL)
    logged = frame.decided.get(key)
    need = _later(day_number(event.need_date) if event.need_date else None, tick)
    seen = logged.atp if logged else _limit(draft, summary, channel, event.location, policies, need)
    wanted = event.quantity
    units = logged.quantity if logged else _accepted(before, event, channel, seen)
    state, expires_at = (logged.state, logged.expires_at) if logged else _terms(event, channel, policies)
    if units:
        mark = take_mark(replace(event, channel=channel), state, expires_at, units)
        ledger.replace(key, None, _take(event, channel, mark), None, "", remembered=False)
    summary = settle(draft, ledger, summary, now, channel, policies, event.event_time)
    attend(draft, max(now, tick or 0))
    draft.put(summary_key(sku), summary)
    order, line = claim_line(event)
    answer = RequestDecided(
        request_id=event.request_id,
        sku=sku,
        channel=channel,
        location=event.location,
        order=order,
        order_line=line,
        decision="accepted" if units == wanted else "partly" if units else "rejected",
        requested=wanted,
        quantity=units,
        atp=seen,
        reason="" if units == wanted else _why(before, event, channel, seen, need),
        state=state,
        expires_at=expires_at,
        decided_at=tick,
        as_of=now,
        epoch=frame.epoch,
        event_key=key,
    )
    answer = logged or answer
    draft.put(decision_key(sku, event.request_id), Decision(digest=mine, event_time=event.event_time, answer=answer))
    draft.effects.append(answer)
    return Outcome(verdict="folded", changes=draft.changes, effects=tuple(draft.effects))


def confirmed_late(
    draft: Draft, summary: Summary, event: ReservationConfirmed, key: str, frame: Frame, policies: SkuPolicies
) -> bool:
    """Say whether a confirmation counts: one of a line that has expired by then is decided like a request."""
    order, line = claim_line(event)
    row = draft.get(claim_key(event.sku, line_of(order, line)))
    claim = row if isinstance(row, Claim) else None
    one = standing(claim, draft.tick)
    if not one.expired or one.expires is None or event.event_time < one.expires * SECOND:
        return True
    wanted = max(0, one.requested - one.released - one.consumed)
    places = {text.split("|")[1] for text in claim.tally if text.startswith("take|")} if claim else set()
    location = places.pop() if len(places) == 1 else ""
    name = f"{key}@{event.rev}" if event.rev else key  # each revision is decided by itself
    logged = frame.decided.get(name)
    seen = (
        logged.atp if logged else _limit(draft, summary, one.channel, location, policies, _later(one.need, draft.tick))
    )
    units = logged.quantity if logged else wanted if wanted <= seen else 0
    draft.effects.append(
        logged
        or RequestDecided(
            request_id=name,
            sku=event.sku,
            channel=one.channel,
            location=location,
            order=order,
            order_line=line,
            decision="accepted" if units == wanted else "rejected",
            requested=wanted,
            quantity=units,
            atp=seen,
            reason="" if units == wanted else f"expired, and only {seen} can be promised now",
            state="firm",
            expires_at=None,
            decided_at=draft.tick,
            as_of=summary.clock,
            epoch=frame.epoch,
            event_key=key,
        )
    )
    return units == wanted


def _later(need: int | None, tick: int | None) -> int | None:
    """The day that units are needed, where that is one to come."""
    return need if need is not None and tick is not None and need > tick // DAY else None


def _limit(draft: Draft, summary: Summary, channel: str, location: str, policies: SkuPolicies, need: int | None) -> int:
    """Units that a request of the channel may take: now, or by the day `need`."""
    channels = with_channels(draft, policies.sku, summary, channel, policies, None)
    row = draft.get(network_key(policies.sku)) if summary.promised else None
    if not summary.promised:
        network = unpromised(draft, policies.sku, channels)
    elif isinstance(row, Network) and channels is summary.channels:
        network = row
    else:
        network = survey(draft, policies.sku, channels, policies, row if isinstance(row, Network) else None)
    day = NOW if need is None else min(need, network.today + HORIZON)
    return limit(draft, policies.sku, network, channels, channel, location, day)


def _terms(event: ReservationRequested, channel: str, policies: SkuPolicies) -> tuple[str, int | None]:
    """How the units are held, and until when: as the request says, else as the channel's policy does."""
    moment = policies.book.value("reserves_at", event.location, channel)
    state = event.state or STATES.get(moment or "cart", "soft")
    if state == "firm" or event.expires_at is not None:
        return state, event.expires_at
    hold = policies.book.value("hold_s", event.location, channel)
    return state, None if hold is None else event.event_time + hold * SECOND


def _take(event: ReservationRequested, channel: str, mark: Mark) -> Evidence:
    return Evidence(
        type=type(event).__name__,
        rank="",
        digest=b"",
        event_time=event.event_time,
        last_time=event.event_time,
        source=event.source,
        source_seq=event.source_seq,
        location=event.location,
        legs=(),
        count_at="",
        marks=(mark,),
        channel=channel,
    )


def _accepted(before: Standing, event: ReservationRequested, channel: str, seen: int) -> int:
    """Units of a request that may be accepted where `seen` units can be taken, and its line stood at `before`."""
    if before.cancelled or _of_another(before, channel) or _overdrawn(before):
        return 0
    left = seen - _revived(before)
    if event.quantity <= left:
        return event.quantity
    return max(0, left) if event.partial else 0


def _revived(before: Standing) -> int:
    """Units of an expired line that a new request for it would hold again."""
    return max(0, before.requested - before.released - before.consumed) if before.expired else 0


def _of_another(before: Standing, channel: str) -> bool:
    """Say whether a line is another channel's: what is asked for here would wait for the locations of that one."""
    return before.requested > 0 and before.channel != channel


def _overdrawn(before: Standing) -> bool:
    """Say whether more of a line was given back than it had left: units accepted for it would be gone at once."""
    return before.released > 0 and before.released + before.consumed > before.requested


def _line(rows: Rows, event: ReservationRequested, tick: int | None) -> Standing:
    """Where the line of a request stands before it."""
    row = rows.get(claim_key(event.sku, line_of(*claim_line(event))))
    return standing(row if isinstance(row, Claim) else None, tick)


def _why(before: Standing, event: ReservationRequested, channel: str, seen: int, day: int | None) -> str:
    """`day` is that of a request for a later one."""
    if before.cancelled:
        return "the order line was cancelled: request it under another line"
    if _of_another(before, channel):
        return f"the order line is one of channel {before.channel}: request it there, or under another line"
    if _overdrawn(before):
        return "more of the order line was given back than it had left: request it under another line"
    where = f" at {event.location}" if event.location else ""
    again = f", of which {_revived(before)} would go to units of this line that had expired" if _revived(before) else ""
    when = "" if day is None else f" for {day_text(day)}"
    return f"{event.quantity} asked for, {max(0, seen)} can be promised{where}{when}{again}"


# Supply ---------------------------------------------------------------------------------------------------


def supply(rows: Rows, event: SupplyEvent, frame: Frame, tick: int | None) -> Outcome:
    """Note what a supplier or a buyer says of a purchase order line."""
    sku = event.sku
    ref = event.purchase_order or Ref(event.document.id, event.document.line)
    key = key_of(event)
    where = supply_key(sku, line_of(*ref))
    row = rows.get(where)
    known = row if isinstance(row, Supply) else Supply(said=(), received={}, last_time=0)
    match event:
        case PurchaseOrderPlaced() | PurchaseOrderChanged() | SupplierConfirmed():
            eta, final = event.eta, False
        case AsnShipped():
            eta, final = event.eta, event.final
        case PurchaseOrderCancelled():
            eta, final = None, False
    statement = Statement(
        key=key,
        type=type(event).__name__,
        rev=event.rev,
        digest=digest(event),
        event_time=event.event_time,
        quantity=event.quantity,
        location=event.location,
        eta=eta,
        final=final,
    )
    # A revision may name another purchase order line: what the one before said is then taken from there.
    holder = where
    if not _says(known, key):
        holder = next((k for k, row in rows.scan(supply_key(sku, "")) if _says(row, key)), where)
    held = rows.get(holder)
    told = _said(held.said if isinstance(held, Supply) else (), statement)
    summary_row = rows.get(summary_key(sku))
    summary = summary_row if isinstance(summary_row, Summary) else NOTHING_YET
    draft = Draft(rows, Cause(type=type(event).__name__, key=key), frame.epoch, tick)
    policies = SkuPolicies(draft, sku, summary, summary.clock)
    ledger = Ledger(draft, sku, summary.clock, oldest_of(summary.clock, tick, frame), policies)
    if isinstance(told, Outcome):
        known_channel = not event.channel or any(state.channel == event.channel for state in summary.channels)
        if told.verdict != "superseded" or known_channel:
            return told
        # Out of force, but it names a channel, as a grant may.
        draft.put(summary_key(sku), settle(draft, ledger, summary, summary.clock, event.channel, policies))
        return replace(told, changes=draft.changes, effects=tuple(draft.effects))
    said = told
    if holder != where and isinstance(held, Supply):
        draft.put(holder, replace(held, said=tuple(one for one in held.said if one.key != key)))
        said = tuple(sorted([*known.said, statement], key=lambda one: one.key))
    draft.put(where, Supply(said=said, received=known.received, last_time=max(known.last_time, event.event_time)))
    ledger.demand.supply |= {where, holder}
    settled = settle(draft, ledger, summary, summary.clock, event.channel, policies)
    attend(draft, max(summary.clock, tick or 0))
    draft.put(summary_key(sku), settled)
    return Outcome(verdict="folded", changes=draft.changes, effects=tuple(draft.effects))


def _says(row: object, key: str) -> bool:
    if isinstance(row, Supply):
        for one in row.said:
            if one.key == key:
                return True
    return False


def _said(said: Sequence[Statement], statement: Statement) -> tuple[Statement, ...] | Outcome:
    """Put a statement among the others, unless it is there already or a later revision of it is."""
    for one in said:
        if one.key != statement.key:
            continue
        if one.rev > statement.rev:
            return Outcome(verdict="superseded", changes={}, effects=())
        if one.rev == statement.rev:
            if one.digest == statement.digest:
                return Outcome(verdict="duplicate", changes={}, effects=())
            detail = f"{one.key} is known in revision {one.rev} with other fields; the first stands"
            return refuse("conflict", detail)
    kept = [one for one in said if one.key != statement.key]
    return tuple(sorted([*kept, statement], key=lambda one: one.key))


# Ring-fences ----------------------------------------------------------------------------------------------


def grant(rows: Rows, event: Grant, frame: Frame, tick: int | None) -> Outcome:
    """Note what a channel's ring-fence is given, or gives back."""
    sku, channel = event.sku, event.channel or ALL_CHANNEL
    key = key_of(event)
    row = rows.get(ring_key(sku))
    statement = Statement(
        key=key,
        type=type(event).__name__,
        rev=event.rev,
        digest=digest(event),
        event_time=event.event_time,
        quantity=event.quantity,
        channel=channel,
        priority=_priority(event),
    )
    said = _said(row.said if isinstance(row, Ring) else (), statement)
    summary_row = rows.get(summary_key(sku))
    summary = summary_row if isinstance(summary_row, Summary) else NOTHING_YET
    draft = Draft(rows, Cause(type=type(event).__name__, key=key), frame.epoch, tick)
    if isinstance(said, Outcome):
        if said.verdict != "superseded" or any(state.channel == channel for state in summary.channels):
            return said
        # Out of force, but it names a channel that is asked about from now on, in whichever order they came.
        now = tick if tick is not None else summary.clock
        draft.put(summary_key(sku), reassess(draft, sku, replace(summary, promised=True), now, naming=channel))
        return replace(said, changes=draft.changes, effects=tuple(draft.effects))
    draft.put(ring_key(sku), Ring(said=said))
    now = tick if tick is not None else summary.clock
    if event.event_time > now:
        summary = look_later(draft, sku, summary, event.event_time)
    settled = reassess(draft, sku, replace(summary, promised=True), now, naming=channel)
    attend(draft, now)
    draft.put(summary_key(sku), settled)
    return Outcome(verdict="folded", changes=draft.changes, effects=tuple(draft.effects))


def _priority(event: Grant) -> int:
    match event:
        case AllocationGranted():
            return event.priority
        case AllocationReturned():
            return 0
