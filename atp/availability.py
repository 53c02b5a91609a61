"""ATP: what may be promised of a position, and of a SKU through a channel.

Source: docs/domain.md section 6.
"""

from atp.book import ChannelState, ChannelTerms, Position
from atp.policy import DEFAULT_TERMS


def atp_raw(position: Position) -> int:
    """Sellable units less what other buckets owe and less safety stock, in base units; may be negative."""
    raw = position.sellable - position.safety_stock
    if position.returned < 0:
        raw += position.returned
    if position.quarantine < 0:
        raw += position.quarantine
    if position.damaged < 0:
        raw += position.damaged
    return raw


def exposed(position: Position) -> int:
    """Units that channels may promise from the position: never below 0, none where it is not eligible."""
    return max(0, atp_raw(position)) if position.eligible else 0


def channel_raw(pool: int, terms: ChannelTerms) -> int:
    """A channel's share of its pool less its buffer, in base units; may be negative."""
    return pool * terms.share_percent // 100 - terms.buffer


def capped(raw: int, terms: ChannelTerms) -> int:
    """Units that a channel may promise, in [0, cap]."""
    atp = max(0, raw)
    return atp if terms.cap is None else min(terms.cap, atp)


def terms_of(state: ChannelState) -> ChannelTerms:
    return state.terms or DEFAULT_TERMS


def status(atp: int, low_at: int) -> str:
    """OUT at 0, LOW at or below `low_at`, else IN_STOCK."""
    if atp == 0:
        return "OUT"
    return "LOW" if atp <= low_at else "IN_STOCK"
