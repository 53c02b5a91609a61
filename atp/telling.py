"""Which answers a channel is told: every one, unless a policy holds small changes back; and again, before they age.

`publish_units` and `publish_percent` hold back an answer that differs from the last one told by less than the greater
of the two. What a channel must know is never held back: nothing left or something again, another status, another day,
a risk that opened, closed or changed its severity. An answer that was held back is told as it was given, in its own
version: the fold decides, event by event, so it does not matter where batches are cut. With `ttl_s` the last answer is
told again when half of that time has passed without one: the same version, the same content.
Source: docs/domain.md section "What channels are told".
"""

from collections.abc import Sequence
from dataclasses import replace

from atp.availability import terms_of
from atp.book import (
    CLOCK_KEY,
    ChannelState,
    ChannelTerms,
    Clock,
    Part,
    Row,
    Rows,
    Summary,
    Timer,
    Told,
    due_second,
    part_key,
    review_key,
    summary_key,
    told_key,
)
from atp.draft import Draft
from atp.effects import AvailabilityChanged, DatedQuantity, Effect, RiskChanged
from atp.events import SECOND
from atp.outcome import Frame, Outcome


def hold_back(rows: Rows, frame: Frame, outcome: Outcome) -> Outcome:
    """Leave out of an outcome the answers that need not be told, and remember them."""
    telling: _Telling | None = None
    for key, row in outcome.changes.items():
        if key[0] != "s" or not isinstance(row, Summary):
            continue
        before = rows.get(key)
        if _asks(row.channels) or (isinstance(before, Summary) and _asks(before.channels)):
            telling = telling or _Telling(rows, frame, outcome)
            for state in row.channels:
                telling.judge(key[2:], state, row.clock)
    return outcome if telling is None else telling.outcome()


def _asks(channels: Sequence[ChannelState]) -> bool:
    """Say whether a policy of some channel speaks of telling."""
    for state in channels:
        terms = state.terms
        if terms is not None and (terms.publish_units or terms.publish_percent or terms.ttl_s):
            return True
    return False


def tell_again(draft: Draft, sku: str, channel: str) -> None:
    """Tell a channel its last answer once more, unless it heard one lately."""
    summary, row = draft.get(summary_key(sku)), draft.get(told_key(sku, channel))
    if not isinstance(summary, Summary) or not isinstance(row, Told) or draft.tick is None:
        return
    state = next((state for state in summary.channels if state.channel == channel), None)
    half = _half(terms_of(state)) if state and not _is_kit(draft.get(part_key(sku)), sku) else 0
    answer = row.held or row.last
    if not half or draft.tick < row.at + half or state is None or state.version > answer.version:
        return  # Not asked for, not yet, or a new one comes with this very tick.
    draft.effects.append(replace(answer, epoch=draft.epoch))
    draft.put(told_key(sku, channel), Told(last=answer, at=draft.tick))
    draft.put(_timer(sku, channel, draft.tick + half), Timer())


class _Telling:
    """What an outcome tells, while it is judged."""

    def __init__(self, rows: Rows, frame: Frame, outcome: Outcome) -> None:
        self._rows, self._epoch, self._outcome = rows, frame.epoch, outcome
        self._changes: dict[str, Row | None] = dict(outcome.changes)
        self._answers: dict[str, list[AvailabilityChanged]] = {}
        self._risks: dict[str, list[RiskChanged]] = {}
        for effect in outcome.effects:
            if isinstance(effect, AvailabilityChanged):
                self._answers.setdefault(effect.key, []).append(effect)
            elif isinstance(effect, RiskChanged) and effect.transition != "restated":
                self._risks.setdefault(effect.sku, []).append(effect)
        self._left_out: set[int] = set()
        self._added: list[Effect] = []
        clock = self._changes.get(CLOCK_KEY) or rows.get(CLOCK_KEY)
        self._tick = clock.tick if isinstance(clock, Clock) else None

    def judge(self, sku: str, state: ChannelState, clock: int) -> None:
        """Hold a channel's new answer back, or let it go; or tell one that need be held back no more."""
        key = told_key(sku, state.channel)
        row = self._changes[key] if key in self._changes else self._rows.get(key)
        known = row if isinstance(row, Told) else None
        fresh = self._answers.get(f"{state.channel}|{sku}", [])
        new = replace(fresh[-1], epoch=0) if fresh else None
        if new is not None and known is not None and new.version <= known.last.version:
            return  # Told again just now.
        terms = terms_of(state)
        part = part_key(sku)
        if _is_kit(self._changes[part] if part in self._changes else self._rows.get(part), sku):
            if known is not None:  # The topology of kits answers for it from now on.
                self._changes[key] = None
            return
        if not any(terms.telling):
            if known is not None:  # Its policy asks for nothing any more.
                self._changes[key] = None
                self._tell(None if new else known.held)
            return
        waiting = new or (known.held if known else None)
        if waiting is None:
            return
        self._left_out.update(map(id, fresh))
        now = clock if self._tick is None else self._tick
        if known is not None and not _must(known, new, terms, now) and not self._risky(sku, state.channel):
            self._changes[key] = replace(known, held=waiting)
            return
        self._changes[key] = Told(last=waiting, at=now)
        if half := _half(terms):
            self._changes[_timer(sku, state.channel, now + half)] = Timer()
        self._tell(waiting)

    def outcome(self) -> Outcome:
        """Return what is left, and what was added."""
        kept = [effect for effect in self._outcome.effects if id(effect) not in self._left_out]
        return replace(self._outcome, changes=self._changes, effects=(*kept, *self._added))

    def _tell(self, answer: AvailabilityChanged | None) -> None:
        if answer is not None:
            self._added.append(replace(answer, epoch=self._epoch))

    def _risky(self, sku: str, channel: str) -> bool:
        """Say whether a risk of the channel, or of the SKU, became another one; its figures alone make it no other."""
        return any(
            one.scope == channel or one.kind in ("oversold", "negative_stock") for one in self._risks.get(sku, ())
        )


def _must(known: Told, new: AvailabilityChanged | None, terms: ChannelTerms, now: int) -> bool:
    """Say whether a new answer has to be told, by what it says or because the last one is old."""
    if new is None:
        return False
    half = _half(terms)
    last = known.last
    if new.status != last.status or (half and now >= known.at + half):
        return True
    if _days(new) != _days(last):
        return True
    least = max(terms.publish_units, -(-terms.publish_percent * last.atp // 100))
    pairs = ((new.atp, last.atp), *((a.quantity, b.quantity) for a, b in zip(new.horizon, last.horizon, strict=True)))
    return any(abs(mine - theirs) >= least for mine, theirs in pairs)


def _days(answer: AvailabilityChanged) -> tuple[str, list[str]]:
    first: DatedQuantity | None = answer.next_available
    return first.date if first else "", [one.date for one in answer.horizon]


def _is_kit(part: Row | None, sku: str) -> bool:
    """Say whether the topology of kits answers for the SKU."""
    return isinstance(part, Part) and sku in part.kits


def _half(terms: ChannelTerms) -> int:
    """Half the time for which an answer is good, in microseconds; 0 where it does not age."""
    return max(SECOND, terms.ttl_s * SECOND // 2) if terms.ttl_s else 0


def _timer(sku: str, channel: str, time: int) -> str:
    return review_key(due_second(time), sku, f"told|{channel}")
