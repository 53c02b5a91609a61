"""Rows that are full: what would make one too large to be written is refused while there is still room in it.

A row is written as one message, and what grows with every paper that names it would outgrow that one day: then
nothing about its SKU could be written any more. So an event that makes a row larger than `ROW_MAX` is refused, and says
what to do instead. Ticks, reversals and whatever gives back or ends something are never refused: the other half of
the message is theirs. Source: docs/domain.md, section "Versions".
"""

from collections.abc import Sequence

from atp.book import (
    Bills,
    Claim,
    Lots,
    Masters,
    Network,
    Policies,
    PolicyEntry,
    Position,
    Ring,
    Row,
    Rows,
    Summary,
    Supply,
    Transfer,
    sku_of,
)
from atp.events import (
    CountRecorded,
    Event,
    Fact,
    GoodsReceived,
    MasterChanged,
    OrderCancelled,
    PurchaseOrderCancelled,
    ReservationConfirmed,
    ReservationDecided,
    ReservationPlaced,
    ReservationReleased,
    Reversal,
    TimeTicked,
    TransferApproved,
    TransferRejected,
    TransferShipped,
)
from atp.outcome import REVERSALS, Outcome, refuse

ROW_MAX = 450_000
"""Bytes of a row, about, from which on it grows no more: half of what a message takes (`OUTPUT_MAX` of the hosts)."""
FEW = 300
"""Texts of a row that are not measured: as long as keys and names can be, they stay below `ROW_MAX`."""
ENTRY = 60
"""Bytes of an entry beside its texts: figures, times, and a byte for each field that is left out."""
EVERY = 16
"""Rows with one short entry a paper are measured whenever so many have come: measuring takes as long as they are."""
NEVER_REFUSED = (
    *REVERSALS,
    TimeTicked,
    GoodsReceived,
    OrderCancelled,
    PurchaseOrderCancelled,
    ReservationConfirmed,
    ReservationReleased,
    TransferRejected,
)
"""They take away, end, or add to a row no more than a location."""
GROWING = (CountRecorded, ReservationDecided, ReservationPlaced, TransferApproved, TransferShipped)
"""Facts that add to rows although they name no order."""


TOO_MUCH: dict[type[Row], tuple[str, str]] = {
    Summary: (
        "policies and channels of the SKU",
        "Send a policy as a revision (`rev`) of the paper that it replaces, not under a new one each time",
    ),
    Policies: (
        "policies that name no SKU",
        "Send a policy as a revision (`rev`) of the paper that it replaces, not under a new one each time",
    ),
    Ring: (
        "ring-fences of the SKU",
        "Revise a grant (`rev`) where more or fewer units are set aside; with quantity 0 where it is over",
    ),
    Supply: ("a line of a purchase order", "Announce what still comes on another line of the purchase order"),
    Claim: ("a line of an order", "Use the id and line of the customer's own order; one for all orders is none"),
    Transfer: ("a line of a transfer", "Ship the rest under another transfer"),
    Masters: ("master data", "Send it as a revision (`rev`) of the paper that it replaces"),
    Bills: ("what a kit is made of", "Send a bill as a revision (`rev`) of the paper that it replaces"),
    Lots: (
        "lots of a position",
        "Name the lot of goods, not each unit's own number; book out, by its lot, what is gone",
    ),
    Position: ("counts of the window", "Count less often, or wait until the window has passed the counts before"),
    Network: (
        "supply and demand of days to come",
        "End lines of supply that will not come (a final receipt, a cancellation), and orders that nobody waits for",
    ),
}
"""Rows that grow with what is sent: what fills them, and what to do instead."""


def adds(event: Fact | Reversal, *, named: bool) -> bool:
    """Say whether a fact may add to a row that grows: a plain sale does not. `named` tells of a new channel."""
    return named or event.order is not None or isinstance(event, GROWING) or names_a_lot(event)


def if_room(rows: Rows, event: Event, outcome: Outcome) -> Outcome:
    """Return the outcome, or refuse the event where a row of its own would grow beyond `ROW_MAX`."""
    if not outcome.changes or (isinstance(event, NEVER_REFUSED) and not _brings_a_lot(event)):
        return outcome
    own = (event.sku, event.kit) if isinstance(event, MasterChanged) else (event.sku,)
    for key, row in outcome.changes.items():
        if row is None or sku_of(key) not in own:
            continue
        before = rows.get(key)
        if _lines(row) // EVERY == _lines(before) // EVERY and _lines(row):
            continue
        if (size := _size(row)) > ROW_MAX and (before is None or size > _size(before)):
            what, instead = TOO_MUCH[type(row)]
            return refuse("row_full", f"the row {key} ({what}) is full: {size} bytes, over {ROW_MAX}. {instead}")
    return outcome


def names_a_lot(event: Event) -> bool:
    """Say whether an event speaks of a lot, or of goods with a last day."""
    return event.lot is not None or event.expiry is not None


def _brings_a_lot(event: Event) -> bool:
    return isinstance(event, GoodsReceived) and names_a_lot(event)


def _lines(row: Row | None) -> int:
    """The entries of a row whose entries are short; 0 of another, and of an empty one."""
    match row:
        case Ring() | Supply():
            return len(row.said)
        case Claim():
            return len(row.tally)
        case Lots():
            return len(row.units)
        case Transfer():
            return len(row.etas)
        case Network():
            return len(row.inbound) + len(row.dated)
        case _:
            return 0


def _size(row: Row) -> int:
    """Bytes of a row, about, and rather too many; 0 for one that holds little or does not grow."""
    entries = _entries(row)
    if sum(map(len, entries)) <= FEW:
        return 0
    return sum(ENTRY + sum(len(one) if one.isascii() else 4 * len(one) for one in entry) for entry in entries)


def _entries(row: Row) -> Sequence[tuple[str, ...]]:
    """What fills a row, each entry as the texts in it."""
    match row:
        case Summary():
            terms = [(one.channel, one.terms) for one in row.channels]
            return _policies(row.policies) + [
                (name, *(its.locations or ()), *its.excluded) if its else (name,) for name, its in terms
            ]
        case Policies():
            return _policies(row.entries)
        case Ring() | Supply():
            return [(one.key, one.location, one.channel) for one in row.said]
        case Claim():
            return [(word,) for word in row.tally]
        case Lots():
            return [(word,) for word in row.units]
        case Transfer():
            return [(day,) for day in row.etas]
        case Masters():
            return [(one.key, *one.attributes, *one.attributes.values()) for one in row.entries]
        case Bills():
            return [(one.key, *one.components) for one in row.said]
        case Position():
            return [(one.key, one.document, *(one.through_seq or ())) for one in row.counts]
        case Network():
            return [(one.what, one.location) for one in row.inbound] + [(o.channel, o.location) for o in row.dated]
        case _:
            return []


def _policies(entries: Sequence[PolicyEntry]) -> list[tuple[str, ...]]:
    return [(one.key, one.location, one.channel, *(one.policy.locations or ())) for one in entries]
