"""What folding one event comes to, and how it is refused."""

import json
from collections.abc import Callable, Mapping
from dataclasses import field
from datetime import UTC, datetime
from typing import Literal

from atp.book import CLOCK_KEY, Clock, Row, Rows, Summary, key_of
from atp.catalogue import legs_of
from atp.draft import Draft
from atp.effects import Cause, Effect, Refusal, RequestDecided
from atp.events import (
    Correction,
    Event,
    Fact,
    ReservationRequested,
    Reversal,
    SaleVoided,
    ShipmentReversed,
    TimeTicked,
    immutable,
)

Verdict = Literal[
    "folded",  # it is in force, whether or not it moved anything
    "duplicate",  # known already, to the digest
    "superseded",  # an older version of what is in force
    "kept",  # valid, kept in the ledger, and compared with nothing: what a channel says of a kit
    "conflict",  # known already, with other business fields: refused
    "late",  # over the window behind its SKU's clock: refused
    "future",  # over a day after the last tick: refused
    "invalid",  # cannot mean anything: refused
    "row_full",  # what it would add to has no room left: refused
]

NOTHING_YET = Summary(clock=0, channels=(), policies=(), accounts={}, minutes=(), hours=(), look_at=0, swept=0)
REVERSALS = (SaleVoided, ShipmentReversed, Correction)


@immutable
class Frame:
    """What a fold knows beside rows and event."""

    window: int
    """`W`, in microseconds."""
    epoch: int = 0
    """Rises by a rebuild only."""
    decided: Mapping[str, RequestDecided] = field(default_factory=dict)
    """During a rebuild: the logged answers, by request id and by `event_key`; what is in it is not decided anew."""
    owns: Callable[[str], bool] = bool
    """Whether a SKU belongs to this partition; unless told otherwise every one does."""


@immutable
class Outcome:
    """What folding one event comes to."""

    verdict: Verdict
    changes: dict[str, Row | None]
    """Rows to write, None to delete; the host applies them before the next fold."""
    effects: tuple[Effect, ...]
    refusal: Refusal | None = None
    """Present with the verdicts that refuse: the host dead-letters the record."""


def oldest_of(clock: int, tick: int | None, frame: Frame) -> int:
    """The begin of the window: behind the SKU's clock, which is at most the last tick."""
    return (clock if tick is None else min(clock, tick)) - frame.window


def refuse(verdict: Verdict, detail: str, suggestion: str = "") -> Outcome:
    refusal = Refusal(cause=verdict, detail=detail, suggestion=suggestion)
    return Outcome(verdict=verdict, changes={}, effects=(), refusal=refusal)


def late(
    event: Fact | Reversal | ReservationRequested, dated: int, oldest: int, summary: Summary, tick: int | None
) -> Outcome:
    detail = f"dated {text_of(dated)}, before {text_of(oldest)}: what came so long ago may have been counted already"
    change = 0
    if not isinstance(event, (*REVERSALS, ReservationRequested)):
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
            "event_time": text_of(max(summary.clock, tick or 0)),
        }
        suggestion = json.dumps(line, ensure_ascii=False)
    return refuse("late", detail, suggestion)


def cause_of(event: Event) -> Cause:
    """What an event is called where it made a difference: by its business key, a tick by its time."""
    key = text_of(event.event_time) if isinstance(event, TimeTicked) else key_of(event)
    return Cause(type=type(event).__name__, key=key)


def resumed(rows: Rows, frame: Frame, outcome: Outcome, cause: Cause) -> Draft:
    """The draft of an outcome, to go on where its fold ended; `rows` are as they were before."""
    clock = outcome.changes.get(CLOCK_KEY) or rows.get(CLOCK_KEY)
    draft = Draft(rows, cause, frame.epoch, clock.tick if isinstance(clock, Clock) else None)
    draft.changes.update(outcome.changes)
    draft.effects.extend(outcome.effects)
    return draft


def text_of(time: int) -> str:
    return datetime.fromtimestamp(time / 1_000_000, UTC).isoformat().replace("+00:00", "Z")
