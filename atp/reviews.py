"""What is looked at again when its time has come: differences that age, lines that are overdue, copies that lag.

A timer that has lost its reason finds nothing to do: nobody takes it back. `what` of its key is

    age|kind|what        a difference that stands, to be told how old it is
    copy|channel         a channel's copy, whose lag has passed
    asn|line             a line of supply, whose shipments should have come
    transfer|line        a transfer that should have come
    trust|               a SKU whose positions' confidence is to be worked out
    told|channel         a channel's answer that grows old
"""

from atp.confidence import review_trust
from atp.copies import judge_later
from atp.differences import age
from atp.draft import Draft
from atp.events import SECOND
from atp.overdue import judge_asn, judge_transfer
from atp.telling import tell_again


def review(draft: Draft, tick: int) -> None:
    """Look at everything that is due at the tick."""
    due = []
    for key, _ in draft.scan("i|"):
        if int(key.split("|", 2)[1]) * SECOND > tick:
            break
        due.append(key)
    for key in due:
        draft.put(key, None)
        sku, why, rest = key.split("|", 4)[2:]
        if why == "age":
            kind, what = rest.split("|", 1)
            age(draft, sku, kind, what)
        elif why == "copy":
            judge_later(draft, sku, rest)
        elif why == "asn":
            judge_asn(draft, sku, rest)
        elif why == "transfer":
            judge_transfer(draft, sku, rest)
        elif why == "trust":
            review_trust(draft, sku)
        elif why == "told":
            tell_again(draft, sku, rest)
