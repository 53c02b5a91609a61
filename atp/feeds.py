"""Sources as a whole: what they attest to be complete, and which of their messages are missing.

Sequence numbers run per source over all SKUs, so intake finds what is missing and tells every partition. A gap stands
until it is closed: as the variance COMPLETENESS, and as a doubt in what the source has said of any position.
"""

from dataclasses import replace

from atp.book import Feed, Rows, business_key, escape, feed_key
from atp.differences import Figures, compare
from atp.draft import Draft
from atp.effects import Cause
from atp.events import SequenceGapClosed, SequenceGapOpened, SourceMark
from atp.outcome import Frame, Outcome

NOTHING_HEARD = Feed(gaps=(), through={}, through_time=0, marked_at=0, interval=0)
GAPS_MAX = 1_000
"""Gaps of a source that are kept: beyond that it is broken, and the oldest say enough."""


def mark(rows: Rows, event: SourceMark, frame: Frame, tick: int | None) -> Outcome:
    """Note what a source attests; what is less than it attested before changes nothing."""
    draft, known = _open(rows, event, frame, tick)
    through = dict(known.through)
    for name, seq in (event.through_seq or {}).items():
        through[name] = max(seq, through.get(name, 0))
    later = event.event_time > known.marked_at
    after = Feed(
        gaps=known.gaps,
        through=through,
        through_time=max(known.through_time, event.through_time or 0),
        marked_at=max(known.marked_at, event.event_time),
        interval=event.event_time - known.marked_at if later and known.marked_at else known.interval,
    )
    if after == known:
        return Outcome(verdict="duplicate", changes={}, effects=())
    draft.put(feed_key(event.source), after)
    return Outcome(verdict="folded", changes=draft.changes, effects=())


def gap(rows: Rows, event: SequenceGapOpened | SequenceGapClosed, frame: Frame, tick: int | None) -> Outcome:
    """Open a gap, or close all of it that is open; what remains of it is a gap of its own."""
    draft, known = _open(rows, event, frame, tick)
    begin, end = event.from_seq, event.to_seq
    if isinstance(event, SequenceGapOpened):
        if any(start <= end and begin <= stop for start, stop in known.gaps) or len(known.gaps) >= GAPS_MAX:
            return Outcome(verdict="duplicate", changes={}, effects=())
        gaps = tuple(sorted((*known.gaps, (begin, end))))
    else:
        gaps = tuple(sorted(rest for one in known.gaps for rest in _without(one, begin, end)))
        if gaps == known.gaps:
            return Outcome(verdict="duplicate", changes={}, effects=())
    # A gap is known by its first number; what is left of it may begin with the same one.
    before, after = dict(known.gaps), dict(gaps)
    for start in sorted(before.keys() | after.keys()):
        if before.get(start) != after.get(start):
            one = start, after.get(start) or before[start]
            _tell(draft, event.source, one, event.event_time, missing=start in after)
    draft.put(feed_key(event.source), replace(known, gaps=gaps))
    return Outcome(verdict="folded", changes=draft.changes, effects=tuple(draft.effects))


def _open(
    rows: Rows, event: SourceMark | SequenceGapOpened | SequenceGapClosed, frame: Frame, tick: int | None
) -> tuple[Draft, Feed]:
    key = business_key(event.source, event.document, type(event).__name__, "")
    row = rows.get(feed_key(event.source))
    draft = Draft(rows, Cause(type=type(event).__name__, key=key), frame.epoch, tick)
    return draft, row if isinstance(row, Feed) else NOTHING_HEARD


def _without(one: tuple[int, int], begin: int, end: int) -> list[tuple[int, int]]:
    start, stop = one
    if stop < begin or end < start:
        return [one]
    return [(a, b) for a, b in ((start, begin - 1), (end + 1, stop)) if a <= b]


def _tell(draft: Draft, source: str, one: tuple[int, int], time: int, *, missing: bool) -> None:
    start, stop = one
    units = stop - start + 1
    compare(
        draft,
        "",
        "COMPLETENESS",
        f"{escape(source)}|{start}",
        Figures(
            expected=units,
            observed=0 if missing else units,
            basis=f"{start} to {stop}",
            as_of=time,
            source=source,
            hint="have the source send these messages again",
        ),
    )
