"""What people answer to exceptions and advice, folded.

An answer moves no clock and is never late. One that names nothing that is open changes nothing: what it speaks of
was resolved meanwhile. Source: docs/domain.md, sections "Exceptions" and "Advice".
"""

from atp.advice import decide
from atp.book import Rows, key_of
from atp.draft import Draft
from atp.effects import Cause
from atp.events import DAY, Attention, ExceptionAcknowledged
from atp.exceptions import acknowledge
from atp.outcome import Frame, Outcome, refuse, text_of


def answer(rows: Rows, event: Attention, frame: Frame, tick: int | None) -> Outcome:
    """Fold an answer; `superseded` where there is nothing (any more) that it could be about."""
    if tick is not None and event.event_time > tick + DAY:
        return refuse("future", f"dated {text_of(event.event_time)}, over a day after the last tick {text_of(tick)}")
    key = key_of(event)
    draft = Draft(rows, Cause(type=type(event).__name__, key=key), frame.epoch, tick)
    heard = acknowledge(draft, event) if isinstance(event, ExceptionAcknowledged) else decide(draft, event)
    return Outcome(verdict="folded" if heard else "superseded", changes=draft.changes, effects=tuple(draft.effects))
