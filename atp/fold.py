"""The product: `fold(rows, event, frame) -> Outcome`, pure and deterministic.

Admit, look up, post, answer, publish, in this order. What is published is absolute, so the state is a function
of the set of facts, not of their order or number. Source: docs/domain.md.
"""

from dataclasses import replace
from itertools import dropwhile
from typing import Literal, get_args

from atp.admission import compare, digest, rank_of, reversal_rank
from atp.advice import reminded
from atp.answering import SkuPolicies, look, look_later, reassess, reassess_all, settle
from atp.attention import answer
from atp.availability import available
from atp.beside import LOOKING, compared, tell_beside
from atp.bills import fold_bill, is_of_a_kits_copy, tell_kits
from atp.book import (
    CLOCK_KEY,
    POLICIES_KEY,
    Claim,
    Clock,
    Count,
    Decision,
    Evidence,
    Lots,
    Network,
    Policies,
    PolicyEntry,
    Position,
    Rows,
    Summary,
    Supply,
    Timer,
    Transfer,
    claim_key,
    decision_key,
    due_second,
    evidence_key,
    key_of,
    lots_key,
    network_key,
    position_key,
    reference_key,
    risk_key,
    summary_key,
    supply_key,
    timer_key,
    transfer_key,
)
from atp.catalogue import legs_of
from atp.causes import TELLING, attend, heard, refused, run_out, take_in
from atp.claims import marks_of, picked_at, standing, today_of
from atp.counts import in_order
from atp.draft import Draft
from atp.effects import Cause
from atp.events import (
    DAY,
    SECOND,
    Attention,
    Beside,
    Correction,
    CountRecorded,
    Event,
    Fact,
    Grant,
    MasterChanged,
    PolicyChanged,
    PolicyFields,
    ReservationConfirmed,
    ReservationRequested,
    Reversal,
    SaleRecorded,
    TimeTicked,
)
from atp.events import Supply as SupplyEvent
from atp.exceptions import deadlines
from atp.ledger import Ledger
from atp.lots import forget, lot_marks
from atp.outcome import NOTHING_YET, REVERSALS, Frame, Outcome, Verdict, late, oldest_of, refuse, text_of
from atp.outlook import line
from atp.planning import plan
from atp.policy import declared, without_covered
from atp.promises import confirmed_late, grant, request, supply
from atp.quiet import is_quiet
from atp.risk import NEGATIVE_STOCK
from atp.room import adds, if_room, names_a_lot
from atp.telling import hold_back

__all__ = ["Frame", "Outcome", "Verdict", "fold"]

POSTED = (*get_args(Fact), *REVERSALS)
SUPPLY = get_args(SupplyEvent)
GRANTS = get_args(Grant)
ATTENTION = get_args(Attention)
BESIDE = get_args(Beside)
SUPPLY_KEPT = 180 * DAY
"""A closed line of supply is known this long beyond the window: sources send their purchase orders again."""


def fold(rows: Rows, event: Event, frame: Frame) -> Outcome:
    """Fold one event into the rows of its partition.

    Reads `rows`, changes nothing. An event without a SKU is folded for everything in its scope that the
    partition holds. Raises: nothing that data can cause.
    """
    outcome = _fold(rows, event, frame)
    if type(event) not in LOOKING and is_quiet(rows, outcome.changes):
        return outcome
    outcome = heard(rows, event, frame, compared(rows, event, frame, outcome, _fold))
    return hold_back(rows, frame, tell_kits(rows, event, frame, outcome))


def _fold(rows: Rows, event: Event, frame: Frame) -> Outcome:
    clock = rows.get(CLOCK_KEY)
    tick = clock.tick if isinstance(clock, Clock) else None
    outcome = _folded(rows, event, frame, tick)
    return outcome if outcome.refusal is None else refused(rows, event, frame, tick, outcome)


def _folded(rows: Rows, event: Event, frame: Frame, tick: int | None) -> Outcome:
    if isinstance(event, POSTED):
        return _fact(rows, event, frame, tick)
    if isinstance(event, TimeTicked):
        return _tick(rows, event, frame, tick)
    return if_room(rows, event, _said(rows, event, frame, tick))


def _said(rows: Rows, event: Event, frame: Frame, tick: int | None) -> Outcome:
    """Fold what somebody says, asks or wants, rather than what happened to goods and orders."""
    if isinstance(event, PolicyChanged):
        return _policy(rows, event, frame, tick)
    if isinstance(event, ReservationRequested):
        return request(rows, event, frame, tick)
    if isinstance(event, SUPPLY):
        return supply(rows, event, frame, tick)
    if isinstance(event, GRANTS):
        return grant(rows, event, frame, tick)
    if isinstance(event, ATTENTION):
        return answer(rows, event, frame, tick)
    if isinstance(event, MasterChanged) and event.kit:
        return fold_bill(rows, event, frame)
    if isinstance(event, BESIDE) and not is_of_a_kits_copy(rows, event):
        return tell_beside(rows, event, frame, tick, _fold)
    return Outcome(verdict="kept", changes={}, effects=())


def _fact(rows: Rows, event: Fact | Reversal, frame: Frame, tick: int | None) -> Outcome:
    # Admit: the clock first, then what is known of the key.
    sku = event.sku
    if not sku:
        return refuse("invalid", f"a {type(event).__name__} names the SKU that it is about")
    row = rows.get(summary_key(sku))
    summary = row if isinstance(row, Summary) else NOTHING_YET
    oldest = oldest_of(summary.clock, tick, frame)
    if tick is not None and event.event_time > tick + DAY:
        return refuse("future", f"dated {text_of(event.event_time)}, over a day after the last tick {text_of(tick)}")
    if (dated := _dated(event)) < oldest:
        return late(event, dated, oldest, summary, tick)
    key = key_of(event)
    known = _evidence(rows, sku, key, oldest)
    mine = digest(event)
    rank = rank_of(event)
    verdict = compare(known, rank, mine)
    if verdict == "duplicate":
        return Outcome(verdict="duplicate", changes={}, effects=())
    if verdict == "conflict":
        return refuse("conflict", f"{key} is known in version {rank} with other business fields; the first stands")

    # Look up and post.
    draft = Draft(rows, Cause(type=type(event).__name__, key=key), frame.epoch, tick)
    now = max(summary.clock, event.event_time)
    policies = SkuPolicies(draft, sku, summary, now)
    ledger = Ledger(draft, sku, now, oldest, policies)
    if isinstance(event, REVERSALS):
        verdict = _reverse(draft, ledger, policies, event, key, mine, oldest)
    elif verdict == "new":
        after = _version(event, rank, mine, policies)
        if isinstance(event, ReservationConfirmed) and not confirmed_late(draft, summary, event, key, frame, policies):
            after = replace(after, marks=())
        ledger.replace(key, known, _remember(after, known, event), _count(event, key, rank), event.reason or "")
    elif known is not None and event.event_time > known.last_time:
        draft.put(evidence_key(sku, key), _remember(known, known, event))

    # Answer and publish.
    known_channels = len(summary.channels)
    channel = event.replacement.channel if isinstance(event, Correction) and event.replacement else event.channel
    summary = settle(draft, ledger, summary, now, channel or event.channel, policies, event.event_time)
    if verdict == "new" and (known is not None or isinstance(event, TELLING)):
        take_in(draft, event, key, known is not None, now)
    attend(draft, max(now, tick or 0))
    if now - summary.swept > frame.window:
        summary = _sweep(draft, sku, summary, now, oldest_of(now, tick, frame), frame.window)
    draft.put(summary_key(sku), summary)
    outcome = Outcome(
        verdict="superseded" if verdict == "superseded" else "folded",
        changes=draft.changes,
        effects=tuple(draft.effects),
    )
    if adds(event, named=len(summary.channels) > known_channels):
        return if_room(rows, event, outcome)
    return outcome


def _reverse(
    draft: Draft, ledger: Ledger, policies: SkuPolicies, event: Reversal, key: str, mine: bytes, oldest: int
) -> Literal["new", "superseded"]:
    """Put the reversal of the named event in force, unless a later one is: the target may still be to come."""
    sku = event.sku
    own = Evidence(
        type=type(event).__name__,
        rank=rank_of(event),
        digest=mine,
        event_time=event.event_time,
        last_time=event.event_time,
        source=event.source,
        source_seq=None,
        location=event.location,
        legs=(),
        count_at="",
    )
    draft.put(evidence_key(sku, key), own)
    target = reference_key(event.reverses, sku)
    known = _evidence(draft, sku, target, oldest)
    rank = reversal_rank(event, key)
    if known is not None and known.rank >= rank:
        if event.event_time > known.last_time:
            draft.put(evidence_key(sku, target), _remember(known, known, event))
        return "superseded"
    replacement = event.replacement if isinstance(event, Correction) else None
    if replacement is not None:
        after = _remember(_version(replacement, rank, b"", policies), known, event)
        ledger.replace(target, known, after, _count(replacement, target, rank), event.reason or "correction")
        return "new"
    # Nothing happened: the version in force has no legs, and stands at the time of what it takes back.
    after = Evidence(
        type=known.type if known else event.reverses.type,
        rank=rank,
        digest=b"",
        event_time=known.event_time if known else event.event_time,
        last_time=event.event_time,
        source=known.source if known else event.reverses.source,
        source_seq=known.source_seq if known else None,
        location=known.location if known else event.location,
        legs=(),
        count_at="",
    )
    ledger.replace(target, known, _remember(after, known, event), None, "")
    return "new"


def _remember(version: Evidence, known: Evidence | None, event: Fact | Reversal) -> Evidence:
    """Keep the key as long as a resend of any of its versions, this event included, could still be folded."""
    last = max(version.last_time, event.event_time, known.last_time if known else event.event_time)
    return version if last == version.last_time else replace(version, last_time=last)


def _version(event: Fact, rank: str, mine: bytes, policies: SkuPolicies) -> Evidence:
    # The goods of an order leave by its hand-over, unless a policy says that only the till reports it.
    till = (
        isinstance(event, SaleRecorded)
        and event.order is not None
        and bool(policies.book.value("till_is_handover", event.location, event.channel))
    )
    silent = isinstance(event, SaleRecorded) and not till
    legs = legs_of(event, till=till)
    marks = () if silent else tuple(mark for mark in marks_of(event) if mark.units)
    if names_a_lot(event):
        marks += lot_marks(event, legs)
    return Evidence(
        type=type(event).__name__,
        rank=rank,
        digest=mine,
        event_time=event.event_time,
        last_time=event.event_time,
        source=event.source,
        source_seq=event.source_seq,
        location=event.location,
        legs=legs,
        count_at=event.location if isinstance(event, CountRecorded) else "",
        marks=marks,
        channel=event.channel,
    )


def _count(event: Fact, key: str, rank: str) -> Count | None:
    if not isinstance(event, CountRecorded):
        return None
    return Count(
        key=key,
        as_of=event.event_time if event.as_of is None else event.as_of,
        event_time=event.event_time,
        scope=event.scope,
        quantity=event.quantity,
        through_seq=event.through_seq,
        expected=event.quantity,
        restatement=0,
        document=event.document.id,
        rank=rank,
        excludes="picked" if event.excludes == "picked" else "",
    )


# Policies -------------------------------------------------------------------------------------------------


def _policy(rows: Rows, event: PolicyChanged, frame: Frame, tick: int | None) -> Outcome:
    sku = event.sku
    key = key_of(event)
    draft = Draft(rows, Cause(type=type(event).__name__, key=key), frame.epoch, tick)
    row = rows.get(summary_key(sku) if sku else POLICIES_KEY)
    if sku:
        summary = row if isinstance(row, Summary) else NOTHING_YET
        entries = summary.policies
    else:
        summary = NOTHING_YET
        entries = row.entries if isinstance(row, Policies) else ()
    entry = PolicyEntry(
        key=key,
        rev=event.rev,
        effective=event.event_time,
        location=event.location,
        channel=event.channel,
        policy=event.policy,
    )
    for known in entries:
        if known.key == key and known.rev >= event.rev:
            if known == entry:
                return Outcome(verdict="duplicate", changes={}, effects=())
            if known.rev == event.rev:
                return refuse("conflict", f"{key} is known in revision {event.rev} with other fields; the first stands")
    superseded = any(known.key == key and known.rev > event.rev for known in entries)
    now = tick if tick is not None else summary.clock
    kept = _kept(entries, entry, superseded=superseded)
    if tick is not None:
        kept = without_covered(kept, entry, tick - frame.window)
    if kept == entries:
        return Outcome(verdict="superseded" if superseded else "folded", changes={}, effects=())
    if sku:
        with_entry = replace(summary, policies=kept)
        if event.event_time > now:
            with_entry = look_later(draft, sku, with_entry, event.event_time)
        draft.put(summary_key(sku), reassess(draft, sku, with_entry, now))
    else:
        draft.put(POLICIES_KEY, Policies(entries=kept))
        if tick is None or event.event_time > tick:
            draft.put(timer_key(due_second(event.event_time), ""), Timer())
        reassess_all(draft, tick)
    attend(draft, tick if tick is not None else summary.clock)
    verdict: Verdict = "superseded" if superseded else "folded"
    return Outcome(verdict=verdict, changes=draft.changes, effects=tuple(draft.effects))


def _kept(entries: tuple[PolicyEntry, ...], entry: PolicyEntry, *, superseded: bool) -> tuple[PolicyEntry, ...]:
    """Put a version of a policy among the entries, unless a later one is there already.

    A channel exists once any version of a policy declared it, in whichever order the versions came: the one
    that is out of force leaves an entry that declares its channel and says nothing of it.
    """
    kept = [e for e in entries if superseded or e.key != entry.key]
    kept += [] if superseded else [entry]
    for gone in [entry] if superseded else [e for e in entries if e.key == entry.key]:
        if gone.channel and gone.channel not in declared(kept):
            name = f"{gone.key}|{gone.channel}"
            kept.append(replace(gone, key=name, effective=0, location="", policy=PolicyFields()))
    return tuple(sorted(kept, key=lambda e: (e.effective, e.key)))


# Time -----------------------------------------------------------------------------------------------------


def _tick(rows: Rows, event: TimeTicked, frame: Frame, last: int | None) -> Outcome:
    """Let time pass: timers that are due look at their SKUs."""
    tick = event.event_time
    if last is not None and tick <= last:
        return Outcome(verdict="duplicate", changes={}, effects=())
    draft = Draft(rows, Cause(type="TimeTicked", key=text_of(tick)), frame.epoch, tick)
    draft.put(CLOCK_KEY, Clock(tick=tick))
    # By SKU and line (empty for the SKU as a whole), the last tick that has looked at it: that lies before the timer
    # where a host has left the SKU out of the ticks since.
    due: dict[str, dict[str, int | None]] = {}
    for key, _ in list(draft.scan("d|")):
        second, sku, *what = key.split("|", 3)[1:]
        at = int(second) * SECOND
        if at > tick:
            break
        draft.put(key, None)
        seen = last if last is None or last < at else at - SECOND
        due.setdefault(sku, {}).setdefault(what[0] if what else "", seen)
    # What runs out is taken from what stood before the tick; only then is anything worked out anew.
    for sku, whats in sorted(due.items()):
        row = draft.get(summary_key(sku))
        if isinstance(row, Summary) and (lines := {line: seen for line, seen in whats.items() if line}):
            policies = SkuPolicies(draft, sku, row, tick)
            ledger = Ledger(draft, sku, row.clock, oldest_of(row.clock, tick, frame), policies)
            ledger.expire(lines)
            run_out(draft, sku, lines, tick)
            network = draft.get(network_key(sku))
            drawn = row.draws
            row = settle(draft, ledger, row, row.clock, "", policies)
            if row.draws != drawn and "" not in whats:
                # What ran out counts in the rates that this tick judges.
                draft.put(timer_key(row.look_at, sku), None)
                whats[""] = last
            if isinstance(network, Network) and network.today != today_of(tick):
                row = reassess(draft, sku, row, tick)
            draft.put(summary_key(sku), row)
    if "" in due:
        reassess_all(draft, tick)
    for sku, whats in sorted(due.items()):
        row = draft.get(summary_key(sku))
        if isinstance(row, Summary) and "" in whats:
            draft.put(summary_key(sku), look(draft, sku, row, tick, whats[""]))
    attend(draft, tick)
    deadlines(draft, tick)
    for sku in reminded(draft, tick):
        plan(draft, sku, tick)
    return Outcome(verdict="folded", changes=draft.changes, effects=tuple(draft.effects))


def _sweep(draft: Draft, sku: str, summary: Summary, now: int, oldest: int, window: int) -> Summary:
    """Forget evidence, counts and answers that the window has passed, and closed lines once it has passed them twice.

    What is dated at the begin of the window may be of a line of which the rest was said up to a window earlier.
    """
    first = oldest
    for key, row in list(draft.scan(evidence_key(sku, ""))):
        if isinstance(row, Evidence) and row.last_time < oldest:
            draft.put(key, None)
        elif isinstance(row, Evidence) and row.legs:
            first = min(first, row.event_time)
    picking = _forget_counts(draft, sku, first)
    for key, row in list(draft.scan(transfer_key(sku, ""))):
        if isinstance(row, Transfer) and row.open == 0 and row.last_time < oldest - window:
            draft.put(key, None)
    for key, row in list(draft.scan(claim_key(sku, ""))):
        if not isinstance(row, Claim) or row.last_time >= oldest - window or standing(row, draft.tick).open:
            continue
        if picking.isdisjoint(picked_at(row)):
            draft.put(key, None)
    for key, row in list(draft.scan(decision_key(sku, ""))):
        if isinstance(row, Decision) and row.event_time < oldest:
            draft.put(key, None)
    for key, row in list(draft.scan(supply_key(sku, ""))):
        if isinstance(row, Supply) and row.last_time < oldest - SUPPLY_KEPT and not line(row).open:
            draft.put(key, None)
    for key, row in list(draft.scan(lots_key(sku, ""))):
        position = draft.get(position_key(sku, key.split("|")[2]))
        if isinstance(row, Lots) and isinstance(position, Position):
            draft.put(key, forget(row, available(position) + position.expired, oldest // DAY))
    network = draft.get(network_key(sku))
    if isinstance(network, Network) and not (
        network.pending or network.uncovered or network.dated or network.inbound or network.fences or network.layered
    ):
        # Nothing is promised or coming any more: pools are sums again, and what risks there were have closed.
        risky = any(key.split("|")[2] != NEGATIVE_STOCK for key, _ in draft.scan(risk_key(sku, "", "")[:-1]))
        lines = any(True for _ in draft.scan(supply_key(sku, "")))
        if not risky and not lines:
            draft.put(network_key(sku), None)
            summary = replace(summary, promised=False)
    return replace(summary, swept=now)


def _forget_counts(draft: Draft, sku: str, first: int) -> set[str]:
    """Forget counts that nothing restates any more; return where some are left that picked goods are added to.

    `first` is the earliest time of a movement that may be taken back. A count that may be is known itself, and whatever
    changes restates all counts after it.
    """
    picking: set[str] = set()
    for key, row in list(draft.scan(position_key(sku, ""))):
        if not isinstance(row, Position) or not row.counts:
            continue
        kept = tuple(
            dropwhile(
                lambda count: (
                    max(count.as_of, count.event_time) < first and draft.get(evidence_key(sku, count.key)) is None
                ),
                in_order(row.counts),
            )
        )
        if len(kept) < len(row.counts):
            draft.put(key, replace(row, counts=kept))
        if any(count.excludes for count in kept):
            picking.add(key.rsplit("|", 1)[1])
    return picking


def _evidence(rows: Rows | Draft, sku: str, key: str, oldest: int) -> Evidence | None:
    """What is known of a key inside the window: older evidence may still lie there, and counts as forgotten."""
    row = rows.get(evidence_key(sku, key))
    return row if isinstance(row, Evidence) and row.last_time >= oldest else None


def _dated(event: Fact | Reversal) -> int:
    """The earliest time that the event speaks of."""
    if isinstance(event, CountRecorded) and event.as_of is not None:
        return min(event.as_of, event.event_time)
    if isinstance(event, Correction) and event.replacement is not None:
        return min(event.event_time, _dated(event.replacement))
    return event.event_time
