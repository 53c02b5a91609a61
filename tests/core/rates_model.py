"""The reference model: how fast channels draw on a SKU, and the buffer that follows from it.

Rates are those of the first tick of the last minute that has one: the log is judged anew up to there.
Source: docs/domain.md section "Buffers by rate".
"""

from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from math import ceil

from atp.events import HOUR, MINUTE, Envelope, Event, PolicyChanged, TimeTicked
from tests.core.claims_model import Decisions, line_answers
from tests.core.log_model import judge
from tests.core.stock_model import moves

Rate = Fraction
"""Units a second."""


@dataclass(frozen=True)
class Drawn:
    """Units that a channel drew."""

    minutes: int = 0
    """In the last five minutes and this one."""
    hours: int = 0
    """In the last 24 hours and this one."""


def rate(drawn: Sequence[Drawn]) -> Rate:
    """The faster of the last minutes, from 3 units on, and the last day."""
    fast, slow = sum(one.minutes for one in drawn), sum(one.hours for one in drawn)
    return max(Fraction(fast, 5 * 60) if fast >= 3 else Fraction(0), Fraction(slow, 24 * 3600), Fraction(0))


def buffer(least: int, share: int, others: Rate, lag_s: int, own: Rate, order_lag_s: int) -> int:
    return max(least, ceil(Fraction(share, 100) * others * lag_s + own * order_lag_s))


def drawn_at_last_minute(log: Sequence[Event], window: int, decisions: Decisions) -> Mapping[str, Mapping[str, Drawn]]:
    """By SKU and channel; nothing of SKUs of which no policy asked for it by then."""
    if not any(isinstance(e, PolicyChanged) and e.policy.buffer_by_rate is not None for e in log):
        return {}
    ticks: list[tuple[int, int]] = []
    for n, event in enumerate(log):
        if isinstance(event, TimeTicked) and (not ticks or event.event_time > ticks[-1][1]):
            ticks.append((n, event.event_time))
    if not ticks:
        return {}
    n, tick = next((n, time) for n, time in ticks if time // MINUTE == ticks[-1][1] // MINUTE)
    j = judge(log[: n + 1], window)
    asking = [p for p in j.statements.values() if isinstance(p, PolicyChanged) and p.policy.buffer_by_rate]
    found: dict[str, Mapping[str, Drawn]] = {}
    for sku in j.skus():
        if not any(p.sku in ("", sku) for p in asking):
            continue
        minutes, hours = Counter[str](), Counter[str]()
        for channel, time, units in _taken(j.facts(sku), decisions, j.tick):
            if tick // MINUTE - 5 <= time // MINUTE <= tick // MINUTE:
                minutes[channel] += units
            if tick // HOUR - 24 <= time // HOUR <= tick // HOUR:
                hours[channel] += units
        found[sku] = {name: Drawn(minutes[name], hours[name]) for name in minutes.keys() | hours.keys()}
    return defaultdict(dict, found)


def _taken(facts: Sequence[Envelope], decisions: Decisions, tick: int | None) -> list[tuple[str, int, int]]:
    """(channel, time, units): lines of orders when they began, what customers took without one when they did."""
    lines = line_answers(facts, decisions, tick)
    found = [
        (line.channel, line.began, line.taken)
        for (order, _), line in lines.items()
        if line.began is not None and not order.startswith("transfer:")
    ]
    for fact in facts:
        if fact.order is None:
            units = sum(m.quantity for m in moves(fact) if m.target == "CUSTOMER")
            found.append((fact.channel or "all", fact.event_time, units))
    return found
