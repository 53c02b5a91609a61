"""The product: `fold(rows, event, frame) -> Outcome`, pure and deterministic.

Admit, look up, post, answer, publish, in this order. What is published is absolute, so the state is a function
of the set of facts, not of their order or number. Source: docs/domain.md.
"""

import json
from collections.abc import Mapping
from dataclasses import field, replace
from datetime import UTC, datetime
from typing import Literal, get_args

from atp.admission import compare, digest, rank_of, reversal_rank
from atp.availability import exposed, terms_of
from atp.book import (
    ALL_CHANNEL,
    CLOCK_KEY,
    POLICIES_KEY,
    ChannelState,
    ChannelTerms,
    Clock,
    Count,
    Evidence,
    Policies,
    PolicyEntry,
    Position,
    Risk,
    Row,
    Rows,
    Summary,
    Timer,
    Transfer,
    business_key,
    evidence_key,
    position_key,
    reference_key,
    risk_key,
    summary_key,
    timer_key,
    transfer_key,
)
from atp.catalogue import legs_of
from atp.draft import Draft
from atp.effects import Cause, Effect, Refusal, RequestDecided
from atp.events import (
    DAY,
    HOUR,
    MINUTE,
    Correction,
    CountRecorded,
    Event,
    Fact,
    PolicyChanged,
    PolicyFields,
    Reversal,
    SaleVoided,
    ShipmentReversed,
    TimeTicked,
    immutable,
)
from atp.ledger import Ledger
from atp.policy import Book, NodeTerms, declared
from atp.publication import settle_channel, settle_position
from atp.risk import (
    FAST_MINUTES,
    IMMINENT,
    NEGATIVE_CALM,
    NEGATIVE_STOCK,
    SLOW_HOURS,
    close_when_calm,
    fastest,
    imminent,
    may_run_short,
    per_minute,
    take,
)

Verdict = Literal[
    "folded",  # it is in force, whether or not it moved anything
    "duplicate",  # known already, to the digest
    "superseded",  # an older version of what is in force
    "not_folded_yet",  # valid, kept in the ledger, without a fold so far
    "conflict",  # known already, with other business fields: refused
    "late",  # over the window behind its SKU's clock: refused
    "future",  # over a day after the last tick: refused
    "invalid",  # cannot mean anything: refused
]

NOTHING_YET = Summary(clock=0, channels=(), policies=(), accounts={}, minutes=(), hours=(), look_at=0, swept=0)
FACTS = get_args(Fact)
REVERSALS = (SaleVoided, ShipmentReversed, Correction)


@immutable
class Frame:
    """What a fold knows beside rows and event."""

    window: int
    """`W`, in microseconds."""
    epoch: int = 0
    """Rises by a rebuild only."""
    decided: Mapping[str, RequestDecided] = field(default_factory=dict)
    """During a rebuild: the logged answers by request id; what is in it is not decided anew."""


@immutable
class Outcome:
    """What folding one event comes to."""

    verdict: Verdict
    changes: dict[str, Row | None]
    """Rows to write, None to delete; the host applies them before the next fold."""
    effects: tuple[Effect, ...]
    refusal: Refusal | None = None
    """Present with the verdicts that refuse: the host dead-letters the record."""


def fold(rows: Rows, event: Event, frame: Frame) -> Outcome:
    """Fold one event into the rows of its partition.

    Reads `rows`, changes nothing. An event without a SKU is folded for everything in its scope that the
    partition holds. Raises: nothing that data can cause.
    """
    clock = rows.get(CLOCK_KEY)
    tick = clock.tick if isinstance(clock, Clock) else None
    if isinstance(event, TimeTicked):
        return _tick(rows, event, frame, tick)
    if isinstance(event, PolicyChanged):
        return _policy(rows, event, frame, tick)
    if isinstance(event, FACTS + REVERSALS):
        return _fact(rows, event, frame, tick)
    return Outcome(verdict="not_folded_yet", changes={}, effects=())


def _fact(rows: Rows, event: Fact | Reversal, frame: Frame, tick: int | None) -> Outcome:
    # Admit: the clock first, then what is known of the key.
    sku = event.sku
    if not sku:
        return _refuse("invalid", f"a {type(event).__name__} names the SKU that it is about")
    row = rows.get(summary_key(sku))
    summary = row if isinstance(row, Summary) else NOTHING_YET
    oldest = _oldest(summary.clock, tick, frame)
    if tick is not None and event.event_time > tick + DAY:
        return _refuse("future", f"dated {_text(event.event_time)}, over a day after the last tick {_text(tick)}")
    if (dated := _dated(event)) < oldest:
        return _late(event, dated, oldest, summary, tick)
    key = business_key(event.source, event.document, type(event).__name__, sku)
    known = _evidence(rows, sku, key, oldest)
    mine = digest(event)
    rank = rank_of(event)
    verdict = compare(known, rank, mine)
    if verdict == "duplicate":
        return Outcome(verdict="duplicate", changes={}, effects=())
    if verdict == "conflict":
        return _refuse("conflict", f"{key} is known in version {rank} with other business fields; the first stands")

    # Look up and post.
    draft = Draft(rows, Cause(type=type(event).__name__, key=key), frame.epoch, tick)
    now = max(summary.clock, event.event_time)
    policies = _Policies(draft, summary, now)
    ledger = Ledger(draft, sku, now, oldest, policies)
    if isinstance(event, REVERSALS):
        verdict = _reverse(draft, ledger, event, key, mine, oldest)
    elif verdict == "new":
        after = _version(event, rank, mine)
        ledger.replace(key, known, _remember(after, known, event), _count(event, key, rank), event.reason or "")
    elif known is not None and event.event_time > known.last_time:
        draft.put(evidence_key(sku, key), _remember(known, known, event))

    # Answer and publish.
    channel = event.replacement.channel if isinstance(event, Correction) and event.replacement else event.channel
    summary = _settle(draft, ledger, summary, now, channel or event.channel, policies)
    if now - summary.swept > frame.window:
        summary = _sweep(draft, sku, summary, now, _oldest(now, tick, frame))
    draft.put(summary_key(sku), summary)
    return Outcome(
        verdict="superseded" if verdict == "superseded" else "folded",
        changes=draft.changes,
        effects=tuple(draft.effects),
    )


def _reverse(
    draft: Draft, ledger: Ledger, event: Reversal, key: str, mine: bytes, oldest: int
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
        after = _remember(_version(replacement, rank, b""), known, event)
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


def _version(event: Fact, rank: str, mine: bytes) -> Evidence:
    return Evidence(
        type=type(event).__name__,
        rank=rank,
        digest=mine,
        event_time=event.event_time,
        last_time=event.event_time,
        source=event.source,
        source_seq=event.source_seq,
        location=event.location,
        legs=legs_of(event),
        count_at=event.location if isinstance(event, CountRecorded) else "",
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
    )


def _settle(draft: Draft, ledger: Ledger, summary: Summary, now: int, channel: str, policies: "_Policies") -> Summary:
    """Answer for the SKU's channels, and keep its rates."""
    sku = ledger.sku
    channels = summary.channels
    if not channels or (channel and all(state.channel != channel for state in channels)):
        wide = draft.get(POLICIES_KEY)
        names = {
            ALL_CHANNEL,
            *declared(summary.policies),
            *(declared(wide.entries) if isinstance(wide, Policies) else ()),
        }
        names.update({channel} if channel else ())
        channels = _with_channels(draft, sku, channels, names, policies, ledger.exposures)
    matured = draft.tick is None and _matures(draft, summary, summary.clock, now)
    answered = []
    for state in channels:
        terms = state.terms
        pool = state.pool
        for place, units in ledger.exposures:
            if terms is None or terms.serves(place):
                pool += units
        if pool != state.pool or not state.version:
            answered.append(settle_channel(draft, sku, state, terms, pool, now))
        else:
            answered.append(state)
    minutes, hours = summary.minutes, summary.hours
    for event_time, units in ledger.taken:
        minutes = take(minutes, event_time // MINUTE, units, now // MINUTE - FAST_MINUTES)
        hours = take(hours, event_time // HOUR, units, now // HOUR - SLOW_HOURS)
    accounts = summary.accounts
    if ledger.accounts:
        accounts = dict(accounts)
        for account, units in ledger.accounts.items():
            accounts[account] = accounts.get(account, 0) + units
    settled = Summary(
        clock=now,
        channels=tuple(answered),
        policies=summary.policies,
        accounts=accounts,
        minutes=minutes,
        hours=hours,
        look_at=summary.look_at,
        swept=summary.swept or now,
    )
    if matured:
        settled = _reassess(draft, sku, settled, now)
    if ledger.waits_for_calm:
        settled = _look_later(draft, sku, settled, max(now, draft.tick or 0) + NEGATIVE_CALM)
    return _watch(draft, sku, settled) if hours else settled


def _with_channels(
    draft: Draft,
    sku: str,
    channels: tuple[ChannelState, ...],
    names: set[str],
    policies: "_Policies",
    exposures: list[tuple[str, int]],
) -> tuple[ChannelState, ...]:
    """Add the channels that are named for the first time, with the pool as it was before this event."""
    known = {state.channel: state for state in channels}
    for name in names - known.keys():
        terms = policies.channel(name)
        pool = 0
        every = known.get(ALL_CHANNEL)
        if channels:
            if terms is None and every is not None and every.terms is None:
                pool = every.pool
            else:
                pool = _pool(draft, sku, ChannelState(channel=name, terms=terms, pool=0, atp=0, version=0))
                pool -= sum(units for place, units in exposures if terms is None or terms.serves(place))
        known[name] = ChannelState(channel=name, terms=terms, pool=pool, atp=0, version=0)
    return tuple(known[name] for name in sorted(known))


def _pool(draft: Draft, sku: str, state: ChannelState) -> int:
    terms = terms_of(state)
    prefix = position_key(sku, "")
    return sum(
        exposed(row)
        for key, row in draft.scan(prefix)
        if isinstance(row, Position) and terms.serves(key[len(prefix) :])
    )


# Policies -------------------------------------------------------------------------------------------------


def _policy(rows: Rows, event: PolicyChanged, frame: Frame, tick: int | None) -> Outcome:
    sku = event.sku
    key = business_key(event.source, event.document, type(event).__name__, sku)
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
                return _refuse(
                    "conflict", f"{key} is known in revision {event.rev} with other fields; the first stands"
                )
    superseded = any(known.key == key and known.rev > event.rev for known in entries)
    kept = _kept(entries, entry, superseded=superseded)
    if kept == entries:
        return Outcome(verdict="superseded", changes={}, effects=())
    if sku:
        with_entry = replace(summary, policies=kept)
        now = tick if tick is not None else summary.clock
        if event.event_time > now:
            with_entry = _look_later(draft, sku, with_entry, event.event_time)
        draft.put(summary_key(sku), _reassess(draft, sku, with_entry, now))
    else:
        draft.put(POLICIES_KEY, Policies(entries=kept))
        if tick is None or event.event_time > tick:
            draft.put(timer_key(-(-event.event_time // MINUTE), ""), Timer())
        _reassess_all(draft, tick)
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


class _Policies:
    """The policies that concern a SKU, sorted out when first asked: most events ask nothing."""

    def __init__(self, draft: Draft, summary: Summary, now: int) -> None:
        self.draft = draft
        self.summary = summary
        self.now = draft.tick if draft.tick is not None else now
        self._book: Book | None = None

    def node(self, location: str) -> NodeTerms:
        return self._sorted().node(location)

    def channel(self, channel: str) -> ChannelTerms | None:
        return self._sorted().channel(channel)

    def _sorted(self) -> Book:
        if self._book is None:
            wide = self.draft.get(POLICIES_KEY)
            self._book = Book(self.summary, wide if isinstance(wide, Policies) else None, self.now)
        return self._book


def _matures(draft: Draft, summary: Summary, before: int, now: int) -> bool:
    """Say whether a policy's date comes between two times."""
    wide = draft.get(POLICIES_KEY)
    entries = (*summary.policies, *(wide.entries if isinstance(wide, Policies) else ()))
    return bool(entries) and any(before < entry.effective <= now for entry in entries)


def _reassess_all(draft: Draft, tick: int | None) -> None:
    prefix = summary_key("")
    for key, row in list(draft.scan(prefix)):
        assert isinstance(row, Summary)  # nothing else lies under this prefix
        draft.put(key, _reassess(draft, key[len(prefix) :], row, tick if tick is not None else row.clock))


def _reassess(draft: Draft, sku: str, summary: Summary, now: int) -> Summary:
    """Apply the policies in force at `now` to every position and channel of a SKU."""
    policies = _Policies(draft, summary, now)
    prefix = position_key(sku, "")
    exposures: dict[str, int] = {}
    for key, row in list(draft.scan(prefix)):
        assert isinstance(row, Position)  # nothing else lies under this prefix
        location = key[len(prefix) :]
        node = policies.node(location)
        if node != NodeTerms(safety_stock=row.safety_stock, eligible=row.eligible, low_at=row.low_at):
            settle_position(
                draft,
                sku,
                location,
                row,
                buckets=(row.sellable, row.returned, row.quarantine, row.damaged),
                in_transit_in=row.in_transit_in,
                terms=node,
                counts=row.counts,
                touches=row.touches,
                moved_at=row.as_of,
                clock=summary.clock,
            )
        settled = draft.get(key)
        assert isinstance(settled, Position)
        exposures[location] = exposed(settled)
    wide = draft.get(POLICIES_KEY)
    names = {
        ALL_CHANNEL,
        *(state.channel for state in summary.channels),
        *declared(summary.policies),
        *(declared(wide.entries) if isinstance(wide, Policies) else ()),
    }
    known = {state.channel: state for state in summary.channels}
    channels = []
    for name in sorted(names):
        terms = policies.channel(name)
        pool = sum(units for place, units in exposures.items() if terms is None or terms.serves(place))
        before = known.get(name) or ChannelState(channel=name, terms=None, pool=0, atp=0, version=0)
        channels.append(settle_channel(draft, sku, before, terms, pool, summary.clock))
    return _watch(draft, sku, replace(summary, channels=tuple(channels)))


# Time -----------------------------------------------------------------------------------------------------


def _tick(rows: Rows, event: TimeTicked, frame: Frame, last: int | None) -> Outcome:
    """Let time pass: timers that are due look at their SKUs."""
    tick = event.event_time
    if last is not None and tick <= last:
        return Outcome(verdict="duplicate", changes={}, effects=())
    draft = Draft(rows, Cause(type="TimeTicked", key=_text(tick)), frame.epoch, tick)
    draft.put(CLOCK_KEY, Clock(tick=tick))
    due = []
    for key, _ in draft.scan("d|"):
        minute, sku = key.split("|", 2)[1:]
        if int(minute) * MINUTE > tick:
            break
        due.append((key, sku))
    for key, sku in due:
        draft.put(key, None)
        if not sku:
            _reassess_all(draft, tick)
            continue
        row = draft.get(summary_key(sku))
        if isinstance(row, Summary):
            draft.put(summary_key(sku), _look(draft, sku, row, tick, last))
    return Outcome(verdict="folded", changes=draft.changes, effects=tuple(draft.effects))


def _look(draft: Draft, sku: str, summary: Summary, tick: int, last: int | None) -> Summary:
    """Look at a SKU whose timer is due: its policies, its calm risks, its rates."""
    summary = replace(summary, look_at=0)
    if any((last is None or last < entry.effective) and entry.effective <= tick for entry in summary.policies):
        summary = _reassess(draft, sku, summary, tick)
    next_look: list[int] = [entry.effective for entry in summary.policies if entry.effective > tick]
    prefix = risk_key(sku, NEGATIVE_STOCK, "")
    for key, row in list(draft.scan(prefix)):
        if close_when_calm(draft, sku, NEGATIVE_STOCK, key[len(prefix) :], tick, NEGATIVE_CALM):
            assert isinstance(row, Risk)
            next_look.append((row.calm_since or tick) + NEGATIVE_CALM)
    rate = per_minute(summary, tick)
    for state in summary.channels:
        near = rate > 0 and may_run_short(rate, state)
        if (
            (near or draft.get(risk_key(sku, IMMINENT, state.channel)) is not None)
            and imminent(draft, sku, state, rate, tick)
        ) or near:
            next_look.append(tick + 1)
    return _look_later(draft, sku, summary, min(next_look)) if next_look else summary


def _watch(draft: Draft, sku: str, summary: Summary) -> Summary:
    """Look at the SKU at the next minute if its goods may run out by then: rates are judged at ticks."""
    time = max(summary.clock, draft.tick or 0) + 1
    if not summary.hours or 0 < summary.look_at <= -(-time // MINUTE):
        return summary
    # A rate of long ago is no rate: old data on a worker with a wall clock would set timers for nothing.
    if draft.tick is not None and summary.clock <= draft.tick - (SLOW_HOURS + 1) * HOUR:
        return summary
    rate = fastest(summary)
    if any(may_run_short(rate, state) for state in summary.channels):
        return _look_later(draft, sku, summary, time)
    return summary


def _look_later(draft: Draft, sku: str, summary: Summary, time: int) -> Summary:
    """Set the SKU's timer to the first full minute at or after `time`, unless an earlier one waits."""
    minute = -(-time // MINUTE)
    if summary.look_at and summary.look_at <= minute:
        return summary
    if summary.look_at:
        draft.put(timer_key(summary.look_at, sku), None)
    draft.put(timer_key(minute, sku), Timer())
    return replace(summary, look_at=minute)


def _sweep(draft: Draft, sku: str, summary: Summary, now: int, oldest: int) -> Summary:
    """Forget evidence and closed transfers that the window has passed."""
    for key, row in list(draft.scan(evidence_key(sku, ""))):
        if isinstance(row, Evidence) and row.last_time < oldest:
            draft.put(key, None)
    for key, row in list(draft.scan(transfer_key(sku, ""))):
        if isinstance(row, Transfer) and row.open == 0 and row.last_time < oldest:
            draft.put(key, None)
    return replace(summary, swept=now)


# Refusals -------------------------------------------------------------------------------------------------


def _oldest(clock: int, tick: int | None, frame: Frame) -> int:
    """The begin of the window: behind the SKU's clock, which is at most the last tick."""
    return (clock if tick is None else min(clock, tick)) - frame.window


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


def _refuse(verdict: Verdict, detail: str, suggestion: str = "") -> Outcome:
    refusal = Refusal(cause=verdict, detail=detail, suggestion=suggestion)
    return Outcome(verdict=verdict, changes={}, effects=(), refusal=refusal)


def _late(event: Fact | Reversal, dated: int, oldest: int, summary: Summary, tick: int | None) -> Outcome:
    detail = f"dated {_text(dated)}, before {_text(oldest)}: what came so long ago may have been counted already"
    change = 0
    if not isinstance(event, REVERSALS):
        for leg in legs_of(event):
            change += leg.quantity if leg.target.count("|") == 1 else 0
            change -= leg.quantity if leg.source.count("|") == 1 else 0
    suggestion = ""
    if change:
        line = {
            "type": "StockAdjusted",
            "source": "late",
            "document": {"type": "late", "id": f"{event.source} {event.document.id}", "line": event.document.line},
            "sku": event.sku,
            "location": event.location,
            "quantity": change,
            "reason": "found" if change > 0 else "lost",
            "event_time": _text(max(summary.clock, tick or 0)),
        }
        suggestion = json.dumps(line, ensure_ascii=False)
    return _refuse("late", detail, suggestion)


def _text(time: int) -> str:
    return datetime.fromtimestamp(time / 1_000_000, UTC).isoformat().replace("+00:00", "Z")
