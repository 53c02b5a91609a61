"""What was announced against what came: the variance ASN, and transfers past their grace.

A line of supply is judged against its shipments as soon as more came than was shipped, or a receipt said that nothing
else comes; and, where a policy names `grace_hours`, once its last day and that grace are over. Until then what has not
come is on its way, and is no variance.
"""

from atp.book import (
    Supply,
    Timer,
    Transfer,
    Variance,
    due_second,
    review_key,
    supply_key,
    transfer_key,
    unescape,
    variance_key,
)
from atp.claims import day_number
from atp.differences import Figures, compare
from atp.draft import Draft
from atp.events import DAY, HOUR
from atp.outlook import line
from atp.policy import policies_of
from atp.variance import transfer_due, transfer_variance


def watch(draft: Draft, key: str) -> None:
    """Look at a line of supply or a transfer that has changed; and again when it should have come."""
    sku, rest = key.split("|", 2)[1:]
    row = draft.get(key)
    if isinstance(row, Supply):
        judge_asn(draft, sku, rest)
    elif isinstance(row, Transfer) and row.open > 0:
        grace = policies_of(draft, sku).value("grace_hours", row.destination, "")
        if grace is not None:
            _again(draft, sku, f"transfer|{rest}", transfer_due(row) + grace * HOUR)


def judge_asn(draft: Draft, sku: str, what: str) -> None:
    """Compare what came of a line of supply with what the supplier said was shipped."""
    row = draft.get(supply_key(sku, what))
    if not isinstance(row, Supply):
        return
    figures = line(row)
    known = isinstance(draft.get(variance_key(sku, "ASN", what)), Variance)
    if not figures.shipped and not known:
        return
    short = figures.received < figures.shipped
    over = figures.received > figures.shipped > 0
    days = [day_number(one.eta) for one in row.said if one.type == "AsnShipped" and one.eta]
    grace = policies_of(draft, sku).value("grace_hours", figures.location, "") if short and days else None
    due = (max(days) + 1) * DAY + grace * HOUR if grace is not None else None
    late = due is not None and draft.tick is not None and due <= draft.tick
    if due is not None and not late and not figures.final:
        _again(draft, sku, f"asn|{what}", due)
    stands = over or (short and (figures.final or late))
    if not stands and not known:
        return
    compare(
        draft,
        sku,
        "ASN",
        what,
        Figures(
            expected=figures.shipped if stands else figures.received,
            observed=figures.received,
            basis="shipped",
            as_of=row.last_time,
            location=figures.location,
            document=unescape(what.rsplit("|", 1)[0]),
            hint=_hint(over=over, final=figures.final),
        ),
    )


def judge_transfer(draft: Draft, sku: str, what: str) -> None:
    """Look whether a transfer is past its grace."""
    key = transfer_key(sku, what)
    row = draft.get(key)
    if isinstance(row, Transfer):
        draft.put(key, transfer_variance(draft, sku, what, row, row.last_time))


def _again(draft: Draft, sku: str, what: str, time: int) -> None:
    if draft.tick is None or time > draft.tick:
        draft.put(review_key(due_second(time), sku, what), Timer())


def _hint(*, over: bool, final: bool) -> str:
    if over:
        return "over: more came than the supplier shipped"
    return "short: less came than the supplier shipped" if final else "late: not received when its grace was over"
