"""Who looks at which kind of exception, by when, and what to do: a table, which policies amend.

Source: docs/domain.md, section "Exceptions".
"""

from collections.abc import Sequence
from typing import NamedTuple

from atp.book import PolicyEntry
from atp.events import HOUR, SECOND


class Duty(NamedTuple):
    """What is to be done about a kind of exception."""

    severity: str
    """With which it opens."""
    grace: int
    """Microseconds that its cause must stand before it opens."""
    deadline: int
    """Microseconds from its opening, its acknowledgement and each escalation to the next one; 0 never."""
    owner: str
    action: str
    watched: bool = True


DUTIES: dict[str, Duty] = {
    # Stock
    "negative_stock": Duty("HIGH", 0, 4 * HOUR, "store", "count this location: more left it than the book knew of"),
    "debt": Duty(
        "MEDIUM", 24 * HOUR, 48 * HOUR, "returns", "find the receipt behind what was inspected, released or scrapped"
    ),
    "expired_stock": Duty(
        "MEDIUM", 0, 24 * HOUR, "store", "take the units off the shelf, and book them out: the lot, reason expired"
    ),
    "late_event": Duty(
        "MEDIUM",
        0,
        72 * HOUR,
        "integration",
        "count the place; or where it was never counted, publish the suggested adjustment of the dead letter",
    ),
    "payload_conflict": Duty(
        "MEDIUM", 0, 48 * HOUR, "integration", "ask the source which figures hold, and send the event with a higher rev"
    ),
    # Orders
    "pick_failed": Duty(
        "MEDIUM", 0, 4 * HOUR, "fulfilment", "allocate the units elsewhere or cancel them, and count the place"
    ),
    "overdue_shipment": Duty(
        "MEDIUM", 24 * HOUR, 24 * HOUR, "fulfilment", "hand the picked goods over, or put them back", watched=False
    ),
    "unmatched_shipment": Duty(
        "MEDIUM", 24 * HOUR, 48 * HOUR, "orders", "find the order line that these goods left for"
    ),
    "unmatched_return": Duty(
        "MEDIUM", 24 * HOUR, 72 * HOUR, "returns", "find the sale or shipment that these goods came back from"
    ),
    "orders_at_risk": Duty(
        "HIGH", 0, 4 * HOUR, "orders", "move, substitute or re-promise the order lines that no stock will serve"
    ),
    # Supply and transfers
    "overdue_asn": Duty(
        "MEDIUM", 24 * HOUR, 48 * HOUR, "purchasing", "ask the carrier where the shipment is, and send a new eta"
    ),
    "past_due_supply": Duty(
        "MEDIUM", 24 * HOUR, 72 * HOUR, "purchasing", "ask the supplier for a new day, or buy elsewhere"
    ),
    "short_receipt": Duty("MEDIUM", 0, 48 * HOUR, "receiving", "claim the missing units, or correct the receipt"),
    "supplier_short": Duty(
        "MEDIUM", 0, 48 * HOUR, "purchasing", "buy the rest elsewhere, or change the order to what the supplier has"
    ),
    "over_receipt": Duty(
        "MEDIUM",
        24 * HOUR,
        48 * HOUR,
        "receiving",
        "return or accept the surplus, or correct the receipt or the shipment",
    ),
    "blind_receipt": Duty("LOW", 0, 48 * HOUR, "receiving", "name the purchase order of this receipt", watched=False),
    "overdue_transfer": Duty(
        "MEDIUM", 24 * HOUR, 48 * HOUR, "transport", "confirm the receipt, or report the units as lost"
    ),
    # Feeds and channels
    "failed_acknowledgement": Duty(
        "HIGH",
        0,
        HOUR,
        "channels",
        "see why the channel refuses or does not answer, and send it the availability again",
    ),
    "silent_feed": Duty("HIGH", 0, HOUR, "integration", "see whether the source runs, and have it send what it holds"),
    "sequence_gap": Duty(
        "MEDIUM", HOUR, 4 * HOUR, "integration", "have the source send the missing sequence numbers again"
    ),
}
"""By kind. A kind that is not here is watched like OTHER: the functions take any."""

DATED = frozenset({"overdue_transfer", "overdue_asn", "past_due_supply", "silent_feed"})
"""Kinds whose cause begins on a day that may still be ahead, when they are told of."""

OTHER = Duty("MEDIUM", 0, 48 * HOUR, "inventory", "look into it")


def duty(entries: Sequence[PolicyEntry], kind: str, location: str) -> Duty:
    """Return the duty of a kind at a location; `entries` are the policies in force, strongest first."""
    found = DUTIES.get(kind, OTHER)
    if not entries:
        return found
    here = [e.policy for e in entries if not e.channel and e.location in ("", location)]
    watch = next((p.exception_watch[kind] for p in here if p.exception_watch and kind in p.exception_watch), None)
    grace = next((p.exception_grace_s[kind] for p in here if p.exception_grace_s and kind in p.exception_grace_s), None)
    until = next(
        (p.exception_deadline_s[kind] for p in here if p.exception_deadline_s and kind in p.exception_deadline_s), None
    )
    owner = next((p.exception_owner[kind] for p in here if p.exception_owner and kind in p.exception_owner), None)
    return found._replace(
        watched=found.watched if watch is None else watch,
        grace=found.grace if grace is None else grace * SECOND,
        deadline=found.deadline if until is None else until * SECOND,
        owner=found.owner if owner is None else owner,
    )
