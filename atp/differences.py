"""Differences between our book and another's: told absolute, restated under one id, aged by ticks.

A difference stands while it is beyond its tolerance. One Variance row is kept for each (kind, SKU, what), as long as
what it compares may still change. Source: docs/domain.md, section "Variances".
"""

from dataclasses import replace

from atp.book import Snapshot, Timer, Variance, due_second, review_key, variance_key
from atp.draft import Draft
from atp.effects import VarianceChanged
from atp.events import DAY, immutable
from atp.policy import policies_of
from atp.variance import variance_id

UNTOLD = -1
"""The restatement of a difference that was never told: it agreed from the first."""
TIMING = "timing"
"""How the hint of a difference begins that the next batch of events explains."""
AGES = (1, 3, 7, 30)
"""Full days at which a difference that stands is told again."""


@immutable
class Figures:
    """What is compared, before it is known whether the difference stands."""

    expected: int
    observed: int
    basis: str
    as_of: int
    location: str = ""
    channel: str = ""
    source: str = ""
    document: str = ""
    hint: str = ""
    snapshot: Snapshot | None = None


def tolerance(draft: Draft, sku: str, location: str, channel: str, expected: int) -> int:
    """Units that a figure may differ by: the greater of the units and the percent that policies allow."""
    book = policies_of(draft, sku)
    units = book.value("tolerance_units", location, channel) or 0
    percent = book.value("tolerance_percent", location, channel) or 0
    return max(units, abs(expected) * percent // 100)


def compare(draft: Draft, sku: str, kind: str, what: str, now: Figures) -> Variance:
    """State a difference, new or restated, and tell it where something about it changed that somebody was told."""
    key = variance_key(sku, kind, what)
    row = draft.get(key)
    known = row if isinstance(row, Variance) else None
    was_open = known is not None and known.opened_at is not None
    allowed = tolerance(draft, sku, now.location, now.channel, now.expected)
    stands = abs(now.observed - now.expected) > allowed
    after = Variance(
        location=now.location,
        channel=now.channel,
        source=now.source,
        document=now.document,
        expected=now.expected,
        observed=now.observed,
        basis=now.basis,
        as_of=now.as_of,
        tolerance=allowed,
        restatement=known.restatement if known else UNTOLD,
        opened_at=(known.opened_at if known and was_open else now.as_of) if stands else None,
        age_days=known.age_days if known and was_open and stands else 0,
        hint=now.hint if stands else "",
        snapshot=now.snapshot,
    )
    if after == known:
        return after
    if stands or was_open:
        after = replace(after, restatement=after.restatement + 1)
        tell(draft, sku, kind, what, after)
    draft.put(key, after)
    if stands and not was_open:
        _wait(draft, sku, kind, what, after)
    return after


def age(draft: Draft, sku: str, kind: str, what: str) -> None:
    """Tell a difference that still stands how old it is, where it has come of age; and look again later.

    One that is a matter of timing is settled by its first day: the other's batch has come by then, or the next
    snapshot says that it has not.
    """
    key = variance_key(sku, kind, what)
    row = draft.get(key)
    if not isinstance(row, Variance) or row.opened_at is None or draft.tick is None:
        return
    days = max((days for days in AGES if row.opened_at + days * DAY <= draft.tick), default=0)
    if days and row.hint.startswith(TIMING):
        row = replace(row, opened_at=None, tolerance=abs(row.observed - row.expected), restatement=row.restatement + 1)
        tell(draft, sku, kind, what, row)
        draft.put(key, row)
        return
    if days > row.age_days:
        row = replace(row, age_days=days, restatement=row.restatement + 1)
        tell(draft, sku, kind, what, row)
        draft.put(key, row)
    _wait(draft, sku, kind, what, row)


def forget(draft: Draft, sku: str, oldest: int) -> None:
    """Drop the differences that are settled, and that nothing inside the window can change any more."""
    for key, row in list(draft.scan(variance_key(sku, "", "")[:-1])):
        if isinstance(row, Variance) and row.opened_at is None and row.as_of < oldest:
            draft.put(key, None)


def tell(draft: Draft, sku: str, kind: str, what: str, variance: Variance) -> None:
    draft.effects.append(
        VarianceChanged(
            id=variance_id(kind, sku, what),
            kind=kind,
            sku=sku,
            location=variance.location,
            document=variance.document,
            transfer="",
            expected=variance.expected,
            observed=variance.observed,
            diff=variance.observed - variance.expected,
            basis=variance.basis,
            as_of=variance.as_of,
            status="closed" if variance.opened_at is None else "open",
            restatement=variance.restatement,
            cause_hint=variance.hint,
            cause=draft.cause,
            channel=variance.channel,
            source=variance.source,
            tolerance=variance.tolerance,
            opened_at=variance.opened_at,
            age_days=variance.age_days,
            through_seq=variance.snapshot.through_seq if variance.snapshot else None,
        )
    )


def _wait(draft: Draft, sku: str, kind: str, what: str, variance: Variance) -> None:
    """Set the timer for the next age at which it is told."""
    opened = variance.opened_at
    days = next((days for days in AGES if days > variance.age_days), None)
    if opened is not None and days is not None:
        draft.put(review_key(due_second(opened + days * DAY), sku, f"age|{kind}|{what}"), Timer())
