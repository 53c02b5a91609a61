"""What channels show: their copy of our answers, as far as they acknowledge and report it.

An acknowledgement says which version a channel has applied; what that version said is remembered for a while, so the
acknowledgement need not repeat it. From that follow two things: the risk `exposure`, while the copy shows more than may
be promised now, and the variance CHANNEL, where the channel reports another figure than that of the version it applied.
Source: docs/domain.md, sections "Oversell risk" and "Variances".
"""

from dataclasses import replace

from atp.availability import terms_of
from atp.book import (
    ChannelState,
    Copy,
    Rows,
    Snapshot,
    Summary,
    Timer,
    Variance,
    copy_key,
    due_second,
    key_of,
    review_key,
    summary_key,
    variance_key,
)
from atp.differences import Figures, compare, tolerance
from atp.draft import Draft
from atp.effects import AvailabilityChanged, Cause
from atp.events import SECOND, ChannelAck, ChannelReported, SnapshotReceived
from atp.outcome import NOTHING_YET, Frame, Outcome
from atp.risk import exposure

REMEMBERED = 64
"""Answers of a channel whose figure is remembered: an acknowledgement of an older one does not say how much it was."""
NO_COPY = Copy(epoch=0, version=0, quantity=None, acked_at=0, published=())


def acknowledge(rows: Rows, event: ChannelAck, frame: Frame, tick: int | None) -> Outcome:
    """Note which version a channel has applied; the greatest (epoch, version) stands."""
    key = key_of(event)
    draft = Draft(rows, Cause(type=type(event).__name__, key=key), frame.epoch, tick)
    summary = _summary(draft, event.sku)
    known = _copy(draft, event.sku, event.channel)
    if known is not None and known.version and (event.epoch, event.version) <= (known.epoch, known.version):
        same = (event.epoch, event.version) == (known.epoch, known.version)
        return Outcome(verdict="duplicate" if same else "superseded", changes={}, effects=())
    _apply(draft, summary, event.sku, event.channel, known, event.epoch, event.version, event.event_time)
    return Outcome(verdict="folded", changes=draft.changes, effects=tuple(draft.effects))


def report(rows: Rows, event: ChannelReported | SnapshotReceived, frame: Frame, tick: int | None) -> Outcome:
    """Compare what a channel shows with the version that it says, or is known, to have applied; the latest stands."""
    sku, channel = event.sku, event.channel
    key = key_of(event)
    draft = Draft(rows, Cause(type=type(event).__name__, key=key), frame.epoch, tick)
    as_of = event.event_time if event.as_of is None else event.as_of
    mark = Snapshot(
        key=key,
        rank=f"{event.rev:010d}",
        source=event.source,
        document=event.document.id,
        as_of=as_of,
        event_time=event.event_time,
        scope="",
        quantity=event.quantity,
        through_seq=None,
    )
    told = draft.get(variance_key(sku, "CHANNEL", channel))
    before = told.snapshot if isinstance(told, Variance) else None
    if before is not None and _order(before) >= _order(mark):
        return Outcome(verdict="duplicate" if before == mark else "superseded", changes={}, effects=())
    summary = _summary(draft, sku)
    copy = _copy(draft, sku, channel)
    version = event.version if isinstance(event, ChannelReported) else None
    if version is not None and (copy is None or version > copy.version):
        # What it shows it has applied, whether or not it acknowledged that.
        copy = _apply(draft, summary, sku, channel, copy, frame.epoch, version, event.event_time)
    elif copy is None:
        copy = _apply(draft, summary, sku, channel, None, frame.epoch, 0, event.event_time)
    shown = copy.version if version is None else version
    quantity = copy.quantity if shown == copy.version else dict(copy.published).get(shown)
    if quantity is not None:
        compare(
            draft,
            sku,
            "CHANNEL",
            channel,
            Figures(
                expected=quantity,
                observed=event.quantity,
                basis=f"version {shown}",
                as_of=as_of,
                channel=channel,
                source=event.source,
                document=event.document.id,
                hint="the channel shows another figure than that of the version it applied: send it a snapshot",
                snapshot=mark,
            ),
        )
    return Outcome(verdict="folded", changes=draft.changes, effects=tuple(draft.effects))


def follow(draft: Draft, sku: str, summary: Summary, since: int = 0) -> None:
    """Remember the answers that the event just folded led to, and judge the copies that may be behind them.

    `since` is how many of the draft's effects were looked at before.
    """
    said: dict[str, list[tuple[int, int]]] = {}
    for effect in draft.effects[since:] if summary.copied else ():
        if isinstance(effect, AvailabilityChanged) and effect.sku == sku and effect.channel in summary.copied:
            said.setdefault(effect.channel, []).append((effect.version, effect.atp))
    for state in summary.channels:
        if state.channel in said:
            known = _copy(draft, sku, state.channel) or NO_COPY
            last = known.published[-1][0] if known.published else 0
            newer = [one for one in said[state.channel] if one[0] > last]  # the rest is told again
            published = (*known.published, *newer)[-REMEMBERED:]
            _judge(draft, sku, state, replace(known, published=published), summary.clock)


def judge_later(draft: Draft, sku: str, channel: str) -> None:
    """Judge a copy whose lag has passed."""
    summary = draft.get(summary_key(sku))
    copy = _copy(draft, sku, channel)
    if not isinstance(summary, Summary) or copy is None:
        return
    for state in summary.channels:
        if state.channel == channel:
            _judge(draft, sku, state, copy, summary.clock)


def _apply(
    draft: Draft, summary: Summary, sku: str, channel: str, known: Copy | None, epoch: int, version: int, time: int
) -> Copy:
    """Note that the channel shows a version; from its first word on, its answers are remembered."""
    state = next((state for state in summary.channels if state.channel == channel), None)
    was = known or NO_COPY
    published = was.published
    if known is None and state is not None and state.version:
        published = ((state.version, state.atp),)
    # Versions of another epoch are those of another book: what they said is not known here.
    quantity = dict(published).get(version) if epoch == draft.epoch else None
    after = replace(was, epoch=epoch, version=version, quantity=quantity, acked_at=time, published=published)
    if channel not in summary.copied and isinstance(draft.get(summary_key(sku)), Summary):
        summary = replace(summary, copied=tuple(sorted((*summary.copied, channel))))
        draft.put(summary_key(sku), summary)
    if state is None:
        draft.put(copy_key(sku, channel), after)
        return after
    return _judge(draft, sku, state, after, max(summary.clock, time))


def _judge(draft: Draft, sku: str, state: ChannelState, copy: Copy, clock: int) -> Copy:
    """Open, restate or close the risk that the copy shows more than may be promised."""
    now = max(clock, draft.tick or 0)
    over = 0 if copy.quantity is None else copy.quantity - state.atp
    if over <= tolerance(draft, sku, "", state.channel, state.atp):
        over, since = 0, None
    else:
        since = now if copy.behind_since is None else copy.behind_since
        ripe = since + terms_of(state).lag_s * SECOND
        if ripe > now:
            # It is told of this answer, and has the time that it takes to apply it.
            draft.put(review_key(due_second(ripe), sku, f"copy|{state.channel}"), Timer())
            over = 0
    copy = replace(copy, behind_since=since)
    draft.put(copy_key(sku, state.channel), copy)
    evidence = {
        "acked_version": str(copy.version),
        "acked_quantity": "" if copy.quantity is None else str(copy.quantity),
        "version": str(state.version),
        "atp": str(state.atp),
    }
    exposure(draft, sku, state.channel, over, now, evidence)
    return copy


def _summary(draft: Draft, sku: str) -> Summary:
    row = draft.get(summary_key(sku))
    return row if isinstance(row, Summary) else NOTHING_YET


def _copy(draft: Draft, sku: str, channel: str) -> Copy | None:
    row = draft.get(copy_key(sku, channel))
    return row if isinstance(row, Copy) else None


def _order(snapshot: Snapshot) -> tuple[int, int, str, str]:
    return snapshot.as_of, snapshot.event_time, snapshot.key, snapshot.rank
