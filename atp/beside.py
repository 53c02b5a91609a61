"""The book beside others: snapshots, channels' copies, full counts, master data, sources as a whole.

`receive` folds the events that say what others hold; `compared` looks at what any other event changed that others were
compared with.
"""

from dataclasses import replace

from atp.book import (
    Row,
    Rows,
    Summary,
    Supply,
    Transfer,
)
from atp.closings import Fold, close, listed_after_all
from atp.confidence import is_asked, review_later
from atp.copies import acknowledge, follow, report
from atp.differences import forget
from atp.draft import Draft
from atp.effects import Cause
from atp.events import (
    Beside,
    ChannelAck,
    ChannelReported,
    CountClosed,
    CountRecorded,
    Event,
    MasterChanged,
    PolicyChanged,
    SequenceGapClosed,
    SequenceGapOpened,
    SnapshotReceived,
    SourceMark,
    TimeTicked,
)
from atp.feeds import gap, mark
from atp.masters import change
from atp.outcome import Frame, Outcome, cause_of, oldest_of, resumed
from atp.overdue import watch
from atp.reviews import review
from atp.snapshots import as_count, recall, receive, restate

LOOKING = frozenset((CountRecorded, TimeTicked, PolicyChanged))
"""Events that are looked at whatever they change."""


def tell_beside(rows: Rows, event: Beside, frame: Frame, tick: int | None, fold: Fold) -> Outcome:
    """Fold an event that says what others hold; `fold` folds a count that it comes to."""
    match event:
        case SnapshotReceived() if event.channel:
            return report(rows, event, frame, tick)
        case SnapshotReceived():
            asked = Draft(rows, Cause(type="", key=""), frame.epoch, tick)
            count = as_count(asked, event, frame.window)
            return receive(rows, event, frame, tick) if count is None else fold(rows, count, frame)
        case ChannelAck():
            return acknowledge(rows, event, frame, tick)
        case ChannelReported():
            return report(rows, event, frame, tick)
        case CountClosed():
            return close(rows, event, frame, tick, fold)
        case MasterChanged():
            return change(rows, event, frame, tick)
        case SourceMark():
            return mark(rows, event, frame, tick)
        case SequenceGapOpened() | SequenceGapClosed():
            return gap(rows, event, frame, tick)


def compared(rows: Rows, event: Event, frame: Frame, outcome: Outcome, fold: Fold) -> Outcome:
    """Look at what the event changed that others were compared with, or show; `fold` as before."""
    if outcome.verdict != "folded":
        return outcome
    if type(event) not in LOOKING and not any(map(_concerns, outcome.changes, outcome.changes.values())):
        return outcome
    draft = resumed(rows, frame, outcome, cause_of(event))
    if isinstance(event, CountRecorded) and (withdrawal := listed_after_all(draft, event)) is not None:
        more = fold(draft, withdrawal, frame)
        draft.changes.update(more.changes)
        draft.effects.extend(more.effects)
    for key, summary in list(draft.changes.items()):
        if isinstance(summary, Supply | Transfer):
            watch(draft, key)
        if not isinstance(summary, Summary):
            continue
        sku, before = key[2:], rows.get(key)
        if (isinstance(event, PolicyChanged) or before is None) and is_asked(draft, sku):
            review_later(draft, sku, max(draft.tick or 0, event.event_time))
        if before is None and (known := recall(draft, sku, summary)) is not summary:
            summary = known  # noqa: PLW2901 - from here on with what others said before
            draft.put(key, summary)
        if not _is_compared(summary):
            continue
        oldest = oldest_of(summary.clock, draft.tick, frame)
        follow(draft, sku, summary)
        restate(draft, summary, sku, oldest)
        if isinstance(before, Summary) and before.swept != summary.swept:
            forget(draft, sku, oldest)
    if isinstance(event, TimeTicked):
        told = len(draft.effects)
        review(draft, event.event_time)
        for key, row in list(draft.changes.items()):
            if isinstance(row, Summary) and row.copied:
                follow(draft, key[2:], row, told)  # Less may be promised of what is trusted less.
    return replace(outcome, changes=draft.changes, effects=tuple(draft.effects))


def _concerns(key: str, row: Row | None) -> bool:
    """Say whether a changed row is of supply or transfers, or of a SKU that is compared or may be new."""
    letter = key[0]
    if letter == "s":
        return isinstance(row, Summary) and bool(row.copied or row.compared or row.swept == row.clock)
    return letter in "bt"


def _is_compared(row: Row | None) -> bool:
    return isinstance(row, Summary) and bool(row.copied or row.compared)
