"""Buffers that follow the rates: what others draw while a channel's copy is stale, and what it sold unseen itself.

A SKU that a policy asks it of keeps what each channel drew lately: a unit counts once, when it is first taken, by event
time. Rates are judged at the first tick of a minute and hold until the next one, so that facts which come in between
change them in no order. All figures are whole units a day, so no rounding but the last one.
Source: docs/domain.md section "Buffers by rate".
"""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace

from atp.book import (
    ALL_CHANNEL,
    POLICIES_KEY,
    ChannelTerms,
    Claim,
    Draws,
    Evidence,
    Policies,
    Summary,
    claim_key,
    evidence_key,
)
from atp.catalogue import CUSTOMER
from atp.claims import is_transfer, standing
from atp.draft import Draft
from atp.events import DAY, HOUR, MINUTE, SECOND
from atp.ledger import claims_by
from atp.network import meet
from atp.policy import DEFAULT_TERMS
from atp.risk import FAST_MINUTES, FAST_UNITS, SLOW_HOURS, take

DAY_S = DAY // SECOND
FAST_PER_DAY = DAY // (FAST_MINUTES * MINUTE)
"""How often the minutes of the fast rate fit into a day."""

Taken = tuple[str, int, int]
"""(channel, event time, units)"""


def asked(draft: Draft, summary: Summary) -> bool:
    """Say whether a policy that may concern the SKU, in force or not yet, lets any buffer follow the rates."""
    wide = draft.get(POLICIES_KEY)
    entries = (*summary.policies, *(wide.entries if isinstance(wide, Policies) else ()))
    return any(entry.policy.buffer_by_rate for entry in entries)


# What was drawn -------------------------------------------------------------------------------------------


def gathered(draft: Draft, sku: str, clock: int) -> tuple[Draws, ...] | None:
    """What channels drew lately, as far as the window remembers; None as long as there is no tick to judge it at."""
    return None if draft.tick is None else moved((), _drawn(draft, sku), clock, draft.tick)


def _drawn(draft: Draft, sku: str) -> Iterable[Taken]:
    prefix = claim_key(sku, "")
    for key, row in draft.scan(prefix):
        if isinstance(row, Claim) and not is_transfer(key[len(prefix) :]):
            one = standing(row, draft.tick)
            yield one.channel, one.began, one.taken
    for _, row in draft.scan(evidence_key(sku, "")):
        if isinstance(row, Evidence) and not claims_by(row):
            for leg in row.legs:
                if leg.target == CUSTOMER:
                    yield row.channel or ALL_CHANNEL, row.event_time, leg.quantity


def moved(known: Sequence[Draws], drawn: Iterable[Taken], clock: int, tick: int | None) -> tuple[Draws, ...]:
    """Add what was drawn, and forget what no tick to come asks for, however far ahead an event is dated."""
    now = clock if tick is None else min(clock, tick)
    by_channel = {one.channel: one for one in known}
    more: dict[str, list[tuple[int, int]]] = {}
    for channel, event_time, units in drawn:
        if units:
            more.setdefault(channel, []).append((event_time, units))
    first_minute, first_hour = now // MINUTE - FAST_MINUTES, now // HOUR - SLOW_HOURS
    found = []
    for channel in sorted(by_channel.keys() | more.keys()):
        one = by_channel.get(channel) or Draws(channel=channel, minutes=(), hours=(), fast=0, slow=0)
        minutes, hours = take(one.minutes, 0, 0, first_minute), take(one.hours, 0, 0, first_hour)
        for event_time, units in more.get(channel, ()):
            minutes = take(minutes, event_time // MINUTE, units, first_minute)
            hours = take(hours, event_time // HOUR, units, first_hour)
        if minutes or hours or one.fast or one.slow:
            found.append(replace(one, minutes=minutes, hours=hours))
    return tuple(found)


# Rates ----------------------------------------------------------------------------------------------------


def judged(draws: Sequence[Draws], tick: int) -> tuple[Draws, ...]:
    """Count what each channel drew in the last minutes and the last day before a tick."""
    minute, hour = tick // MINUTE, tick // HOUR
    found = []
    for one in draws:
        fast = sum(units for number, units in one.minutes if minute - FAST_MINUTES <= number <= minute)
        slow = sum(units for number, units in one.hours if hour - SLOW_HOURS <= number <= hour)
        if one.minutes or one.hours or fast or slow:
            found.append(replace(one, fast=fast, slow=slow))
    return tuple(found)


def next_change(draws: Sequence[Draws], tick: int) -> int | None:
    """The first time after a tick at which rates change without events; None where they do not."""
    minute, hour = tick // MINUTE, tick // HOUR
    times = [
        (number if number > now else number + kept + 1) * length
        for one in draws
        for buckets, now, kept, length in (
            (one.minutes, minute, FAST_MINUTES, MINUTE),
            (one.hours, hour, SLOW_HOURS, HOUR),
        )
        for number, _ in buckets
    ]
    return min((time for time in times if time > tick), default=None)


def by_rate(
    terms: ChannelTerms, channel: str, draws: Sequence[Draws], terms_of: Callable[[str], ChannelTerms | None]
) -> ChannelTerms:
    """The terms with the buffer that the rates judged last ask for; `terms_of` says those of other channels."""
    rate = terms.rate
    if rate is None:
        return terms
    own = [one for one in draws if one.channel == channel]
    others = [one for one in draws if one.channel != channel and meet(terms, terms_of(one.channel) or DEFAULT_TERMS)]
    rate = replace(rate, own_per_day=_per_day(own), others_per_day=_per_day(others))
    # Hundredths of units over the seconds of a day, rounded up once.
    unseen = terms.share_percent * rate.others_per_day * rate.lag_s + 100 * rate.own_per_day * rate.order_lag_s
    return replace(terms, rate=rate, buffer=max(rate.least, -(-unseen // (100 * DAY_S))))


def _per_day(draws: Sequence[Draws]) -> int:
    """Units a day that leave through channels together: the faster of the last minutes and the last day."""
    fast, slow = sum(one.fast for one in draws), sum(one.slow for one in draws)
    return max(fast * FAST_PER_DAY if fast >= FAST_UNITS else 0, slow, 0)
