"""Variances: expected against observed, absolute, restated under one id. Source: docs/domain.md section 8."""

from collections.abc import Sequence
from dataclasses import replace
from hashlib import sha256

from atp.book import Count, Transfer, unescape
from atp.claims import day_number
from atp.counts import Delta, of_scope
from atp.draft import Draft
from atp.effects import VarianceChanged
from atp.events import DAY, HOUR
from atp.policy import policies_of

NO_DAY_NAMED = 6 * DAY
"""How long a transfer without a day may be on its way, before its grace begins."""


def variance_id(kind: str, sku: str, what: str) -> str:
    return sha256(f"{kind}|{sku}|{what}".encode("utf-8", "surrogatepass")).hexdigest()[:32]


def count_variance(
    draft: Draft,
    sku: str,
    location: str,
    known: Count | None,
    count: Count | None,
    expected: int,
    deltas: Sequence[Delta],
) -> Count:
    """Publish what a count found, restated or, without `count`, withdrawn; return the count as it now stands."""
    standing = count or known
    assert standing is not None  # a variance is of a count, old or new
    restatement = known.restatement + 1 if known else 0
    observed = count.quantity if count else expected
    draft.effects.append(
        VarianceChanged(
            id=variance_id("COUNT", sku, standing.key),
            kind="COUNT",
            sku=sku,
            location=location,
            document=standing.document,
            transfer="",
            expected=expected,
            observed=observed,
            diff=observed - expected,
            basis=standing.scope,
            as_of=standing.as_of,
            status="open" if observed != expected else "closed",
            restatement=restatement,
            cause_hint=_hint(standing, observed - expected, deltas) if count else "withdrawn",
            cause=draft.cause,
        )
    )
    return replace(standing, expected=expected, restatement=restatement)


def transfer_variance(draft: Draft, sku: str, line: str, after: Transfer, clock: int) -> Transfer:
    """Publish the variance of a transfer that lost units or brought too many, or its end; return the row to keep."""
    shipped = after.shipped
    overdue = transfer_overdue(draft, sku, after)
    stands = after.lost > 0 or after.received > shipped or overdue
    now = (shipped, after.received) if stands and shipped != after.received else None
    if now == after.variance:
        return after
    restatement = after.restatement + 1 if after.restatement or after.variance else 0
    # While nothing stands, what has not come is on its way: no more than what came was expected so far.
    expected = shipped if now else after.received
    draft.effects.append(
        VarianceChanged(
            id=variance_id("TRANSFER", sku, line),
            kind="TRANSFER",
            sku=sku,
            location=after.destination,
            document="",
            transfer=unescape(line.rsplit("|", 1)[0]),
            expected=expected,
            observed=after.received,
            diff=after.received - expected,
            basis="shipped",
            as_of=clock,
            status="open" if now else "closed",
            restatement=restatement,
            cause_hint=_transfer_hint(after) if now else "",
            cause=draft.cause,
        )
    )
    return Transfer(
        shipped_to=after.shipped_to,
        received=after.received,
        lost=after.lost,
        destination=after.destination,
        last_time=after.last_time,
        variance=now,
        restatement=restatement,
        etas=after.etas,
    )


def transfer_overdue(draft: Draft, sku: str, transfer: Transfer) -> bool:
    """Say whether units are on their way past the grace that a policy gives them; never, where none does."""
    if draft.tick is None or transfer.open <= 0 or transfer_due(transfer) > draft.tick:
        return False
    grace = policies_of(draft, sku).value("grace_hours", transfer.destination, "")
    return grace is not None and transfer_due(transfer) + grace * HOUR <= draft.tick


def transfer_due(transfer: Transfer) -> int:
    """When all of it should be there: the end of its last day, or days after its last event where none is named."""
    return (day_number(transfer.eta) + 1) * DAY if transfer.eta else transfer.last_time + NO_DAY_NAMED


def _transfer_hint(after: Transfer) -> str:
    if after.lost:
        return "lost on the way"
    return "more received than shipped" if after.received > after.shipped else "not received when its grace was over"


def _hint(count: Count, diff: int, deltas: Sequence[Delta]) -> str:
    """Name the event whose quantity explains the difference best, if one does: the nearest to the count."""
    if not diff:
        return ""
    moved = [(abs(delta.event_time - count.as_of), delta, of_scope(delta.vector, count.scope)) for delta in deltas]
    for times, words in ((1, "counted but not booked, or booked but not counted"), (2, "booked with the wrong sign")):
        fits = [(distance, delta) for distance, delta, units in moved if units and abs(diff) == times * abs(units)]
        if fits:
            nearest = min(fits, key=lambda pair: (pair[0], pair[1].key))[1]
            return f"equals {times} x {nearest.key}: {words}"
    return "not explained by any one document"
