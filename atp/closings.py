"""Full counts: what a closed count of a location did not list is not there.

Closing a count makes a count of 0 of every position of the location that no line of its document counted. A line that
comes after the closing withdraws the 0 that was made for it. So the order of the two does not matter; a SKU that is
heard of at the location only after the closing is not counted by it.
"""

from collections.abc import Callable
from typing import get_args

from atp.book import (
    Evidence,
    Position,
    Rows,
    business_key,
    evidence_key,
    key_of,
    position_key,
)
from atp.draft import Draft
from atp.effects import Cause
from atp.events import Correction, CountClosed, CountRecorded, Document, Event, EventRef
from atp.outcome import Frame, Outcome, Verdict

Fold = Callable[[Rows, Event, Frame], Outcome]
CLOSED = "closed count"
"""Type of the document under which zero counts are made: a count's own lines cannot meet it."""
REFUSED = frozenset(get_args(Verdict)) - {"folded", "duplicate", "superseded", "kept"}


def close(rows: Rows, event: CountClosed, frame: Frame, tick: int | None, fold: Fold) -> Outcome:
    """Count 0 of what the count named by the event's document did not list at its location.

    `fold` folds one count, over the rows as the counts before it leave them.
    """
    key = key_of(event)
    draft = Draft(rows, Cause(type=type(event).__name__, key=key), frame.epoch, tick)
    prefix = position_key(event.sku, "") if event.sku else "p|"
    verdict: Verdict = "duplicate"
    for where, row in list(rows.scan(prefix)):
        sku, location = where.split("|")[1:]
        if location != event.location or not isinstance(row, Position):
            continue
        if any(count.document == event.document.id for count in row.counts):
            continue
        outcome = fold(draft, _zero(event, sku), frame)
        if outcome.verdict in REFUSED:
            continue  # That SKU's clock is a window ahead: what the count says of it is of no use any more.
        verdict = "folded" if outcome.verdict == "folded" else verdict
        for changed, after in outcome.changes.items():
            draft.put(changed, after)
        draft.effects.extend(outcome.effects)
    return Outcome(verdict=verdict, changes=draft.changes, effects=tuple(draft.effects))


def listed_after_all(draft: Draft, event: CountRecorded) -> Correction | None:
    """What withdraws the 0 that a closing made of a position whose line comes only now; None where none was made."""
    if event.document.type == CLOSED:
        return None
    paper = Document(CLOSED, event.document.id, 0)
    known = draft.get(evidence_key(event.sku, business_key(event.source, paper, "CountRecorded", event.sku)))
    if not isinstance(known, Evidence) or known.count_at != event.location:
        return None
    return Correction(
        source=event.source,
        document=Document(CLOSED, event.document.id, event.document.line + 1),
        event_time=event.event_time,
        sku=event.sku,
        reverses=EventRef("CountRecorded", event.source, paper),
        reason="listed after all",
    )


def _zero(event: CountClosed, sku: str) -> CountRecorded:
    return CountRecorded(
        source=event.source,
        document=Document(CLOSED, event.document.id, 0),
        event_time=event.event_time,
        rev=event.rev,
        sku=sku,
        location=event.location,
        quantity=0,
        as_of=event.event_time if event.as_of is None else event.as_of,
        actor=event.actor,
        reason=event.reason,
    )
