"""Which answers a channel is told: every one, unless a policy holds small changes back; and again, before they age.

`publish_units` and `publish_percent` hold back an answer that differs from the last one told by less than the greater
of the two. What a channel must know is never held back: nothing left or something again, another status, another day,
a risk that opened, closed or changed its severity. An answer that was held back is told as it was given, in its own
version: the fold decides, event by event, so it does not matter where batches are cut. With `ttl_s` the last answer is
told again when half of that time has passed without one: the same version, the same content.
Source: docs/domain.md section "What channels are told".
"""

from collections.abc import Mapping, Sequence
from dataclasses import replace

from atp.availability import terms_of
from atp.book import (
    CLOCK_KEY,
    ChannelState,
    ChannelTerms,
    Clock,
    Row,
    Rows,
    Summary,
    Timer,
    Told,
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
    changes, effects = outcome.changes, list(outcome.effects)
    told: dict[str, Row | None] = {}
    for key, row in outcome.changes.items():
        if not isinstance(row, Summary):
            continue
        before = rows.get(key)
        earlier = before.channels if isinstance(before, Summary) else ()
        if any(state.terms is not None and any(state.terms.telling) for state in (*earlier, *row.channels)):
            now = _now(rows, changes, row)
            for state in row.channels:
                effects = _tell(rows, changes, told, effects, key[2:], state, now, frame.epoch)
    return replace(outcome, changes={**changes, **told}, effects=tuple(effects)) if told else outcome


def tell_again(draft: Draft, sku: str, channel: str) -> None:
    """Tell a channel its last answer once more, unless it heard one lately."""
    summary, row = draft.get(summary_key(sku)), draft.get(told_key(sku, channel))
    if not isinstance(summary, Summary) or not isinstance(row, Told) or draft.tick is None:
        return
    state = next((state for state in summary.channels if state.channel == channel), None)
    half = _half(terms_of(state)) if state else 0
    if not half or draft.tick < row.at + half or _of(draft.effects, f"{channel}|{sku}"):
        return
    answer = row.held or row.last
    draft.effects.append(replace(answer, epoch=draft.epoch))
    draft.put(told_key(sku, channel), Told(last=answer, at=draft.tick))
    draft.put(_timer(sku, channel, draft.tick + half), Timer())


def _tell(
    rows: Rows,
    changes: Mapping[str, Row | None],
    told: dict[str, Row | None],
    effects: list[Effect],
    sku: str,
    state: ChannelState,
    now: int,
    epoch: int,
) -> list[Effect]:
    """Return the effects without the answers that are held back, and with one that need be held back no more."""
    channel = state.channel
    key = told_key(sku, channel)
    row = changes[key] if key in changes else rows.get(key)
    known = row if isinstance(row, Told) else None
    fresh = _of(effects, f"{channel}|{sku}")
    new = replace(fresh[-1], epoch=0) if fresh else None
    if new is not None and known is not None and new.version <= known.last.version:
        return effects  # Told again just now.
    if not any(terms_of(state).telling):
        if known is None:
            return effects
        told[key] = None  # Its policy asks for nothing any more.
        return effects if new or not known.held else [*effects, replace(known.held, epoch=epoch)]
    waiting = new or (known.held if known else None)
    if waiting is None:
        return effects
    others = [one for one in effects if all(one is not answer for answer in fresh)]
    if known is not None and not _must(known, new, state, now) and not _risky(effects, channel):
        told[key] = replace(known, held=waiting)
        return others
    told[key] = Told(last=waiting, at=now)
    if half := _half(terms_of(state)):
        told[_timer(sku, channel, now + half)] = Timer()
    return [*others, replace(waiting, epoch=epoch)]


def _must(known: Told, new: AvailabilityChanged | None, state: ChannelState, now: int) -> bool:
    """Say whether a new answer has to be told, by what it says or because the last one is old."""
    if new is None:
        return False
    units, percent, _ = terms_of(state).telling
    half = _half(terms_of(state))
    last = known.last
    if new.status != last.status or (half and now >= known.at + half):
        return True
    if _days(new) != _days(last):
        return True
    least = max(units, -(-percent * last.atp // 100))
    pairs = ((new.atp, last.atp), *((a.quantity, b.quantity) for a, b in zip(new.horizon, last.horizon, strict=True)))
    return any(abs(mine - theirs) >= least for mine, theirs in pairs)


def _days(answer: AvailabilityChanged) -> tuple[str, list[str]]:
    first: DatedQuantity | None = answer.next_available
    return first.date if first else "", [one.date for one in answer.horizon]


def _risky(effects: Sequence[Effect], channel: str) -> bool:
    """Say whether a risk of the channel, or of the SKU, became another one; its figures alone make it no other."""
    return any(
        isinstance(one, RiskChanged)
        and one.transition != "restated"
        and (one.scope == channel or one.kind in ("oversold", "negative_stock"))
        for one in effects
    )


def _of(effects: Sequence[Effect], key: str) -> list[AvailabilityChanged]:
    return [one for one in effects if isinstance(one, AvailabilityChanged) and one.key == key]


def _half(terms: ChannelTerms) -> int:
    """Half the time for which an answer is good, in microseconds; 0 where it does not age."""
    return max(SECOND, terms.ttl_s * SECOND // 2) if terms.ttl_s else 0


def _timer(sku: str, channel: str, time: int) -> str:
    return review_key(-(-time // SECOND), sku, f"told|{channel}")


def _now(rows: Rows, changes: Mapping[str, Row | None], summary: Summary) -> int:
    clock = changes.get(CLOCK_KEY) or rows.get(CLOCK_KEY)
    return clock.tick if isinstance(clock, Clock) else summary.clock
