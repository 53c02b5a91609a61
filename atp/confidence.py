"""Confidence: how far a position's figures are to be trusted, in hundredths, with the reasons why not wholly.

A product of what casts doubt on a position, each factor in [0, 1] and rounded to a hundredth. It is worked out at
ticks, once an hour and SKU, and only where the policy `verify_days` asks for it; a count or a receipt restores it at
once. With the policy `haircuts` what is not trusted is held back: a little of it, more, or all. A position that is held
back wholly is advised to be counted.
Source: docs/domain.md, section "Confidence".
"""

import math
from collections.abc import Iterator
from zlib import crc32

from atp.advice import COUNT, propose, withdraw
from atp.answering import positions, reassess
from atp.availability import TIERS
from atp.book import (
    POLICIES_KEY,
    Claim,
    Feed,
    Policies,
    Position,
    Summary,
    Timer,
    Variance,
    claim_key,
    feed_key,
    review_key,
    risk_key,
    summary_key,
    unescape,
    variance_key,
)
from atp.draft import Draft
from atp.events import DAY, HOUR, SECOND
from atp.masters import hours_open
from atp.policy import NodeTerms, policies_of
from atp.publication import Trust, held, settle_position
from atp.risk import NEGATIVE_STOCK

NEVER_VERIFIED = 50
LATE_FEED = 50
OPEN_GAP = 80
NEGATIVE = 50
STANDING_VARIANCE = 70
SALES_NEEDED = 4
"""Sales among the last events from which on silence means something."""
GONE = 0.02
"""How likely goods are gone of which nothing else is known."""
PICKS_ASSUMED = 20
"""Picks that are taken for done before the first is known: one failure among few says little."""

Doubt = tuple[int, str]
"""A factor in hundredths, and why it is not 100."""


def confidence(doubts: list[Doubt]) -> tuple[int, tuple[str, ...]]:
    """The product of all doubts in hundredths, rounded once, and the reasons; 100 without any."""
    product = 1
    for factor, _ in doubts:
        product *= factor
    scale = 100 ** len(doubts)
    # Halves are rounded up, in integers: the same on every machine.
    return (200 * product + scale) // (2 * scale), tuple(f"{why} ({factor} %)" for factor, why in doubts)


def haircut(level: int) -> int:
    """Percent that is held back of a position at a level of confidence."""
    return next(percent for least, percent in TIERS if level >= least)


def review_trust(draft: Draft, sku: str) -> None:
    """Work out the confidence of every position of a SKU, answer for what that changes, and look again in an hour."""
    row = draft.get(summary_key(sku))
    tick = draft.tick
    if not isinstance(row, Summary) or tick is None:
        return
    book = policies_of(draft, sku)
    changed = False
    for location, position in list(positions(draft, sku)):
        days = book.value("verify_days", location, "")
        level, reasons = confidence(doubts_of(draft, sku, location, position, days, tick)) if days else (100, ())
        percent = haircut(level) if days and book.value("haircuts", location, "") else 0
        if (level, reasons, percent) == (position.confidence, position.reasons, position.haircut):
            continue
        terms = NodeTerms(safety_stock=position.safety_stock, eligible=position.eligible, low_at=position.low_at)
        trust = Trust(confidence=level, reasons=reasons, haircut=percent)
        settle_position(draft, sku, location, position, held(position), terms, row.clock, trust)
        changed = changed or percent != position.haircut
        if percent == TIERS[-1][1]:
            propose(draft, sku, COUNT, location, 0, {"confidence": str(level), "why": "; ".join(reasons)}, tick)
        elif position.haircut == TIERS[-1][1]:
            withdraw(draft, sku, COUNT, location, tick)
    if changed:
        draft.put(summary_key(sku), reassess(draft, sku, row, tick))
    if is_asked(draft, sku):
        review_later(draft, sku, tick)


def is_asked(draft: Draft, sku: str) -> bool:
    """Say whether any policy, in force or not yet, asks for the confidence of a SKU's positions."""
    row, wide = draft.get(summary_key(sku)), draft.get(POLICIES_KEY)
    named = row.policies if isinstance(row, Summary) else ()
    return any(
        entry.policy.verify_days is not None
        for entry in (*named, *(wide.entries if isinstance(wide, Policies) else ()))
    )


def review_later(draft: Draft, sku: str, time: int) -> None:
    """Look at a SKU in its own second of the next hour: so that not all are looked at by one tick."""
    hour = HOUR // SECOND
    own = crc32(sku.encode("utf-8", "surrogatepass")) % hour
    second = (time // SECOND - own) // hour * hour + hour + own
    draft.put(review_key(second, sku, "trust|"), Timer())


def doubts_of(draft: Draft, sku: str, location: str, position: Position, days: int, tick: int) -> list[Doubt]:
    """What casts doubt on a position; `days` is the time in which trust in an unverified one falls to 37 %."""
    found = [_age(position, days, tick), _picks(draft, sku, location)]
    found += _sources(draft, position, tick)
    found.append(_silence(draft, location, position, tick))
    if draft.get(risk_key(sku, NEGATIVE_STOCK, location)) is not None:
        found.append((NEGATIVE, "stock was negative"))
    prefix = variance_key(sku, "", "")[:-1]
    kinds = {
        key[len(prefix) :].split("|", 1)[0]
        for key, row in draft.scan(prefix)
        if isinstance(row, Variance) and row.location == location and row.opened_at is not None
    }
    found += [(STANDING_VARIANCE, f"a difference of kind {kind} stands") for kind in sorted(kinds)]
    return [doubt for doubt in found if doubt[0] < 100]


def _age(position: Position, days: int, tick: int) -> Doubt:
    if not position.verified_at:
        return NEVER_VERIFIED, "never verified"
    age = max(0, tick - position.verified_at)
    return round(100 * math.exp(-age / (days * DAY))), f"not verified for {age // DAY} days"


def _picks(draft: Draft, sku: str, location: str) -> Doubt:
    done = failed = 0
    for _, row in draft.scan(claim_key(sku, "")):
        for text, units in row.tally.items() if isinstance(row, Claim) else ():
            word, place = (*text.split("|", 2), "")[:2]
            if place == location:
                done += units if word == "picked" else 0
                failed += units if word == "failed" else 0
    return round(100 * (done + PICKS_ASSUMED) / (done + failed + PICKS_ASSUMED)), f"{failed} units not found by picks"


def _silence(draft: Draft, location: str, position: Position, tick: int) -> Doubt:
    """How likely goods that used to sell, and do not any more, are still there: by Bayes, in opening hours."""
    sales = sorted(t.event_time for t in position.touches if t.type == "SaleRecorded" and t.on_hand < 0)
    if len(sales) < SALES_NEEDED or position.sellable <= 0:
        return 100, ""
    between = hours_open(draft, location, sales[0], sales[-1])
    silent = hours_open(draft, location, sales[-1], tick)
    if not between or not silent:
        return 100, ""
    # The silence is part of what the rate is measured over: a burst of sales promises no more of its kind.
    quiet = (1 - GONE) * math.exp(-(len(sales) - 1) * silent / (between + silent))
    return round(100 * quiet / (GONE + quiet)), f"no sale for {silent // HOUR} opening hours"


def _sources(draft: Draft, position: Position, tick: int) -> Iterator[Doubt]:
    """Doubts in those who told of the position lately: silent for twice their interval, or with messages missing."""
    for source in sorted({touch.key.split("|", 1)[0] for touch in position.touches}):
        feed = draft.get(feed_key(unescape(source)))
        if not isinstance(feed, Feed):
            continue
        if feed.interval and tick - feed.marked_at > 2 * feed.interval:
            yield LATE_FEED, f"{source} has been silent for longer than it is wont to"
        if feed.gaps:
            yield OPEN_GAP, f"{source} has messages missing"
