"""ATP: what may be promised of a position, and of a SKU through a channel.

Source: docs/domain.md section 6.
"""

from collections.abc import Sequence

from atp.book import ChannelState, ChannelTerms, Position
from atp.policy import DEFAULT_TERMS

TIERS = ((95, 0), (80, 5), (60, 15), (0, 100))
"""From which confidence on which percent is held back; below the last but one all of it is."""
LEAST_WITHHELD = {5: 1, 15: 2}
"""Units held back at least, by percent."""


def available(position: Position) -> int:
    """Sellable units that have not expired, less what other buckets owe, in base units; may be negative."""
    units = position.sellable - position.expired
    if position.returned < 0:
        units += position.returned
    if position.quarantine < 0:
        units += position.quarantine
    if position.damaged < 0:
        units += position.damaged
    return units


def atp_raw(position: Position) -> int:
    """Available units less claims and less safety stock, in base units; may be negative."""
    return available(position) - position.claims - position.safety_stock


def exposed(position: Position) -> int:
    """Units that channels may promise from the position: never below 0, none where it is not eligible."""
    units = max(0, atp_raw(position)) if position.eligible else 0
    return units - withheld(units, position.haircut) if position.haircut else units


def withheld(units: int, percent: int) -> int:
    """Units that are held back at a haircut of so many percent: rounded up, and a few at least."""
    return min(units, max(LEAST_WITHHELD.get(percent, 0), -(-units * percent // 100)))


def free(position: Position) -> int:
    """Available units beyond claims, safety stock included: what can serve what is promised already."""
    return max(0, available(position) - position.claims) if position.eligible else 0


def uncovered(position: Position) -> int:
    """Units of claims at the position that its stock does not cover."""
    claims = position.claims
    return max(0, claims - max(0, available(position))) if claims else 0


def channel_raw(pool: int, terms: ChannelTerms, ring: int = 0) -> int:
    """A channel's ring-fence and its share of the pool, less its buffer, in base units; may be negative."""
    return ring + pool * terms.share_percent // 100 - terms.buffer


def capped(raw: int, terms: ChannelTerms) -> int:
    """Units that a channel may promise, in [0, cap]."""
    atp = max(0, raw)
    return atp if terms.cap is None else min(terms.cap, atp)


def terms_of(state: ChannelState) -> ChannelTerms:
    return state.terms or DEFAULT_TERMS


def next_shown(atp: int, terms: ChannelTerms, horizon: Sequence[tuple[int, int]]) -> tuple[int, int] | None:
    """The first day of which a channel that shows nothing now would show something, and how many units.

    Its share, buffer and cap are those of now, so that one that sells nothing ever names no day.
    """
    if atp == 0:
        for day, units in horizon:
            if (shown := capped(channel_raw(units, terms), terms)) > 0:
                return day, shown
    return None


def channel_status(atp: int, terms: ChannelTerms, horizon: Sequence[tuple[int, int]]) -> str:
    """BACKORDER or PREORDER at 0 where it is sold ahead and some day has something to show; else as everywhere."""
    if atp == 0 and terms.sells_ahead != "never" and next_shown(atp, terms, horizon):
        return terms.sells_ahead.upper()
    return status(atp, terms.low_at)


def status(atp: int, low_at: int) -> str:
    """OUT at 0, LOW at or below `low_at`, else IN_STOCK."""
    if atp == 0:
        return "OUT"
    return "LOW" if atp <= low_at else "IN_STOCK"
