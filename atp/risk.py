"""Oversell risk: what may be promised beyond what is there, while there is time to act.

Rates are judged at ticks, all else at every event. A risk stays open until it has been calm for
minutes, so that a figure which swings around a threshold opens one risk, not many.
Source: docs/domain.md section 7.
"""

import math
from hashlib import sha256
from typing import Literal

from atp.availability import terms_of
from atp.book import ChannelState, Risk, Summary, risk_key
from atp.draft import Draft
from atp.effects import RiskChanged
from atp.events import HOUR, MINUTE, immutable

NEGATIVE_STOCK = "negative_stock"
IMMINENT = "imminent"
OVERSOLD = "oversold"
RING_SHORT = "ring_short"
PROJECTED = "projected"
EXPOSURE = "exposure"
JUDGED_AT_EVENTS = (NEGATIVE_STOCK, OVERSOLD, RING_SHORT, PROJECTED)
PROJECTED_DAYS = 2
"""A dated figure below 0 within this many days is a risk."""
Severity = Literal["", "MEDIUM", "HIGH"]

NEGATIVE_CALM = 2 * MINUTE
HIGH_CALM = 2 * MINUTE
MEDIUM_CALM = 5 * MINUTE
MEDIUM_MINUTES = 30
MEDIUM_CALM_MINUTES = 45
FAST_MINUTES = 5
FAST_UNITS = 3
SLOW_HOURS = 24

ACTIONS = {
    NEGATIVE_STOCK: "count this location; until then its channels are shown nothing from it",
    IMMINENT: "replenish, transfer, or raise the buffer of this channel",
    OVERSOLD: "find stock for these orders by transfer or purchase, or tell the customers now; accept no more",
    RING_SHORT: "move stock to this channel's locations, or return part of its ring-fence",
    PROJECTED: "bring supply forward, or move demand to a later day",
    EXPOSURE: "send this channel its availability again, and see why it does not apply it",
}


def negative_stock(draft: Draft, sku: str, location: str, quantity: int, clock: int) -> bool:
    """Judge the risk of a location; say whether it waits for its calm to pass.

    `quantity` is the lower of on hand and sellable.
    """
    return judge(draft, sku, NEGATIVE_STOCK, location, "HIGH", quantity, clock, bad=quantity < 0)


def judge(
    draft: Draft,
    sku: str,
    kind: str,
    scope: str,
    severity: str,
    quantity: int,
    clock: int,
    *,
    bad: bool,
    evidence: dict[str, str] | None = None,
) -> bool:
    """Open, restate or calm a risk that is judged at every event; say whether it waits for its calm to pass."""
    key = risk_key(sku, kind, scope)
    known = draft.get(key)
    now = max(clock, draft.tick or 0)
    told = evidence or {}
    if not bad:
        if not isinstance(known, Risk):
            return False
        if known.calm_since is None:
            draft.put(key, _risk(known, calm_since=now, quantity=quantity))
        return True
    if not isinstance(known, Risk):
        _open(draft, sku, kind, scope, severity, quantity, now, told)
    elif known.quantity != quantity or known.calm_since is not None:
        draft.put(key, _risk(known, calm_since=None, quantity=quantity))
        if known.quantity != quantity:
            _tell(draft, sku, kind, scope, known, "restated", known.severity, quantity, now, told)
    return False


def exposure(draft: Draft, sku: str, channel: str, over: int, now: int, evidence: dict[str, str]) -> None:
    """Open, restate or close the risk that a channel shows `over` units more than may be promised.

    It closes at once: the copy has caught up, or the stock came.
    """
    key = risk_key(sku, EXPOSURE, channel)
    known = draft.get(key)
    if over <= 0:
        if isinstance(known, Risk):
            draft.put(key, None)
            _tell(draft, sku, EXPOSURE, channel, known, "closed", known.severity, known.quantity, now, evidence)
    elif not isinstance(known, Risk):
        _open(draft, sku, EXPOSURE, channel, "HIGH", over, now, evidence)
    elif known.quantity != over:
        draft.put(key, _risk(known, calm_since=None, quantity=over))
        _tell(draft, sku, EXPOSURE, channel, known, "restated", known.severity, over, now, evidence)


def close_when_calm(draft: Draft, sku: str, kind: str, scope: str, tick: int, calm: int) -> bool:
    """Close a risk that has been calm for long enough; say whether it still waits for that."""
    known = draft.get(risk_key(sku, kind, scope))
    if not isinstance(known, Risk) or known.calm_since is None:
        return False
    if tick - known.calm_since < calm:
        return True
    draft.put(risk_key(sku, kind, scope), None)
    _tell(draft, sku, kind, scope, known, "closed", known.severity, known.quantity, tick, {})
    return False


# Velocity -------------------------------------------------------------------------------------------------


def take(buckets: tuple[tuple[int, int], ...], bucket: int, units: int, oldest: int) -> tuple[tuple[int, int], ...]:
    """Add units taken to a bucket of time and forget buckets before `oldest`."""
    if bucket < oldest or not units:
        return buckets if not buckets or buckets[0][0] >= oldest else tuple(b for b in buckets if b[0] >= oldest)
    if buckets and buckets[-1][0] == bucket and buckets[0][0] >= oldest:
        last = buckets[-1][1] + units
        return (*buckets[:-1], (bucket, last)) if last else buckets[:-1]
    sums = {number: had for number, had in buckets if number >= oldest}
    sums[bucket] = sums.get(bucket, 0) + units
    return tuple(sorted((number, had) for number, had in sums.items() if had))


def per_minute(summary: Summary, now: int) -> float:
    """Units that leave in a minute at `now`: the faster of the last minutes and the last day."""
    minute, hour = now // MINUTE, now // HOUR
    fast = sum(units for number, units in summary.minutes if minute - FAST_MINUTES <= number <= minute)
    slow = sum(units for number, units in summary.hours if hour - SLOW_HOURS <= number <= hour)
    return max(fast / FAST_MINUTES if fast >= FAST_UNITS else 0.0, slow / (SLOW_HOURS * 60), 0.0)


def fastest(summary: Summary) -> float:
    """The most units a minute that any tick from now could find: rates only fall without events."""
    return max(
        sum([units for _, units in summary.minutes]) / FAST_MINUTES,
        sum([units for _, units in summary.hours]) / (SLOW_HOURS * 60),
    )


def cover(state: ChannelState) -> int:
    """Units that a channel can draw on before it sells what is not there."""
    return state.ring + state.pool


def may_run_short(rate: float, state: ChannelState) -> bool:
    """Say whether a risk could open at `rate` units a minute; never wrongly no."""
    # A Poisson tail of 5 % above `cover` needs a mean of at least a sixth of it.
    lag_minutes = state.terms.lag_s / 60 if state.terms is not None else 0
    return state.atp > 0 and rate * max(MEDIUM_MINUTES, lag_minutes * 6) >= cover(state)


@immutable
class Pressure:
    """How close a channel is to selling what is not there."""

    minutes_left: float
    oversold: float
    """The chance that more is sold within the channel's lag than there is."""
    lag_minutes: float

    @property
    def severity(self) -> Severity:
        if self.oversold >= 0.20 or self.minutes_left <= self.lag_minutes:
            return "HIGH"
        return "MEDIUM" if self.oversold >= 0.05 or self.minutes_left <= MEDIUM_MINUTES else ""

    def calm_for(self, severity: str) -> bool:
        if severity == "HIGH":
            return self.oversold < 0.05 and self.minutes_left > 2 * self.lag_minutes
        return self.oversold < 0.02 and self.minutes_left > MEDIUM_CALM_MINUTES


def pressure(rate: float, state: ChannelState) -> Pressure:
    """Judge a channel whose goods leave at `rate` units a minute."""
    lag = terms_of(state).lag_s / 60
    return Pressure(
        minutes_left=cover(state) / rate if rate else math.inf,
        oversold=poisson_above(rate * lag, cover(state)),
        lag_minutes=lag,
    )


def poisson_above(mean: float, cover: int) -> float:
    """The chance that a Poisson count of this mean exceeds `cover`."""
    if mean <= 0:
        return 0.0
    if mean > 500:  # exp(-mean) would vanish; the normal approximation is good to 1 % here
        return 0.5 * math.erfc((cover + 0.5 - mean) / math.sqrt(2 * mean))
    term = below = math.exp(-mean)
    for count in range(1, cover + 1):
        term *= mean / count
        below += term
        if count > mean and term < 1e-12:
            break
    return max(0.0, 1.0 - below)


def imminent(draft: Draft, sku: str, state: ChannelState, rate: float, tick: int) -> bool:
    """Judge one channel at a tick; say whether it must be looked at again next minute."""
    key = risk_key(sku, IMMINENT, state.channel)
    known = draft.get(key)
    now = pressure(rate, state)
    severity: Severity = now.severity if state.atp > 0 else ""
    evidence = {
        "units_per_hour": f"{rate * 60:.1f}",
        "minutes_left": "" if math.isinf(now.minutes_left) else f"{now.minutes_left:.1f}",
        "chance_oversold": f"{now.oversold:.3f}",
        "atp": str(state.atp),
    }
    if not isinstance(known, Risk):
        if not severity:
            return False
        _open(draft, sku, IMMINENT, state.channel, severity, cover(state), tick, evidence)
        return True
    if severity == "HIGH" and known.severity == "MEDIUM":
        draft.put(key, _risk(known, severity="HIGH", calm_since=None, quantity=cover(state)))
        _tell(draft, sku, IMMINENT, state.channel, known, "escalated", "HIGH", cover(state), tick, evidence)
        return True
    if state.atp > 0 and not now.calm_for(known.severity):
        if known.calm_since is not None:
            draft.put(key, _risk(known, calm_since=None, quantity=known.quantity))
        return True
    if known.calm_since is None:
        draft.put(key, _risk(known, calm_since=tick, quantity=known.quantity))
        return True
    if tick - known.calm_since < (HIGH_CALM if known.severity == "HIGH" else MEDIUM_CALM):
        return True
    if known.severity == "HIGH" and severity == "MEDIUM":
        draft.put(key, _risk(known, severity="MEDIUM", calm_since=None, quantity=cover(state)))
        _tell(draft, sku, IMMINENT, state.channel, known, "deescalated", "MEDIUM", cover(state), tick, evidence)
        return True
    draft.put(key, None)
    _tell(draft, sku, IMMINENT, state.channel, known, "closed", known.severity, cover(state), tick, evidence)
    return False


# Telling --------------------------------------------------------------------------------------------------


def _open(
    draft: Draft, sku: str, kind: str, scope: str, severity: str, quantity: int, now: int, evidence: dict[str, str]
) -> None:
    identity = sha256(f"{kind}|{sku}|{scope}|{now}".encode()).hexdigest()[:32]
    risk = Risk(id=identity, severity=severity, opened_at=now, calm_since=None, quantity=quantity)
    draft.put(risk_key(sku, kind, scope), risk)
    _tell(draft, sku, kind, scope, risk, "opened", severity, quantity, now, evidence)


def _risk(known: Risk, *, calm_since: int | None, quantity: int, severity: str = "") -> Risk:
    return Risk(
        id=known.id,
        severity=severity or known.severity,
        opened_at=known.opened_at,
        calm_since=calm_since,
        quantity=quantity,
    )


def _tell(
    draft: Draft,
    sku: str,
    kind: str,
    scope: str,
    risk: Risk,
    transition: str,
    severity: str,
    quantity: int,
    now: int,
    evidence: dict[str, str],
) -> None:
    draft.effects.append(
        RiskChanged(
            id=risk.id,
            kind=kind,
            sku=sku,
            scope=scope,
            transition=transition,
            severity=severity,
            opened_at=risk.opened_at,
            at=now,
            quantity=quantity,
            evidence=evidence,
            action="" if transition == "closed" else ACTIONS[kind],
            cause=draft.cause,
        )
    )
