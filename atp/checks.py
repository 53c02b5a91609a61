"""Which events can mean anything at all: one check for every edge, at publishing as at reading.

`check` looks at one event by itself, never at what the book holds. What it lets through, the fold can fold.
"""

import re
import unicodedata
from collections.abc import Callable
from datetime import date, datetime
from functools import lru_cache
from typing import Any, Literal, NoReturn, get_args

from atp import events as e
from atp.book import BUCKETS
from atp.errors import PoisonError
from atp.events import Envelope, Event

QUANTITY_MAX = 1_000_000_000
"""Units a line may move: more is a wrong unit or a barcode in the quantity field."""
TIME_MIN = 946_684_800_000_000
"""2000-01-01: before it lie zeros and clocks that were never set."""
TIME_MAX = 4_102_444_800_000_000
"""2100-01-01, not included: after it lie the years 9999 that stand for `never`."""
NUMBER_MAX = 2**31 - 1
"""Greatest revision and line number."""
SEQUENCE_MAX = 2**63 - 1
NAME_MAX = 64
ID_MAX = 200
TEXT_MAX = 1_000

DISPOSITIONS = ("sellable", "damaged", "quarantine", "vendor_return", "scrap")
SCOPES = ("on_hand", *BUCKETS)
STATES = ("soft", "firm")
DECISIONS = ("accepted", "rejected")
BASES = ("physical", "sellable", "net-of-reservations")

Sign = Literal["positive", "signed", "count", "any", "maybe", "none"]
"""What a quantity may be: above 0; not 0; 0 or more; anything; left out, or 0 or more; left out."""

# What quantity may be; whether a SKU is named, and a location: yes, no, or either.
_NEEDS: dict[type, tuple[Sign, str, str]] = {
    e.SaleRecorded: ("positive", "yes", "yes"),
    e.SaleVoided: ("none", "yes", ""),
    e.ShipmentConfirmed: ("positive", "yes", "yes"),
    e.PickupConfirmed: ("positive", "yes", "yes"),
    e.ShipmentReversed: ("none", "yes", ""),
    e.ReturnReceived: ("positive", "yes", "yes"),
    e.ReturnDispositioned: ("positive", "yes", "yes"),
    e.GoodsReceived: ("positive", "yes", "yes"),
    e.TransferShipped: ("positive", "yes", "yes"),
    e.TransferReceived: ("positive", "yes", "yes"),
    e.TransferLost: ("positive", "yes", "yes"),
    e.StockAdjusted: ("signed", "yes", "yes"),
    e.StatusChanged: ("positive", "yes", "yes"),
    e.Converted: ("signed", "yes", "yes"),
    e.CountRecorded: ("count", "yes", "yes"),
    e.CountClosed: ("none", "", "yes"),
    e.SnapshotReceived: ("any", "yes", "yes"),
    e.ReservationRequested: ("positive", "yes", ""),
    e.ReservationPlaced: ("positive", "yes", ""),
    e.ReservationDecided: ("maybe", "yes", ""),
    e.ReservationConfirmed: ("maybe", "yes", ""),
    e.ReservationReleased: ("positive", "yes", ""),
    e.ReservationExpired: ("maybe", "yes", ""),
    e.OrderCancelled: ("maybe", "yes", ""),
    e.OrderAllocated: ("positive", "yes", "yes"),
    e.PickConfirmed: ("positive", "yes", "yes"),
    e.PickFailed: ("positive", "yes", "yes"),
    e.PurchaseOrderPlaced: ("count", "yes", ""),
    e.PurchaseOrderChanged: ("count", "yes", ""),
    e.PurchaseOrderCancelled: ("none", "yes", ""),
    e.SupplierConfirmed: ("count", "yes", ""),
    e.AsnShipped: ("positive", "yes", ""),
    e.TransferRequested: ("positive", "yes", ""),
    e.TransferApproved: ("positive", "yes", "yes"),
    e.TransferRejected: ("maybe", "yes", ""),
    e.ReturnAuthorised: ("positive", "yes", ""),
    e.PolicyChanged: ("none", "", ""),
    e.MasterChanged: ("none", "", ""),
    e.AllocationGranted: ("positive", "yes", ""),
    e.AllocationReturned: ("positive", "yes", ""),
    e.ChannelAck: ("maybe", "", ""),
    e.ChannelReported: ("count", "", ""),
    e.SourceMark: ("none", "no", ""),
    e.SequenceGapOpened: ("none", "no", ""),
    e.SequenceGapClosed: ("none", "no", ""),
    e.FinancialOnly: ("maybe", "yes", ""),
    e.Correction: ("none", "yes", ""),
    e.TimeTicked: ("none", "no", "no"),
}

FACTS = tuple(kind.__name__ for kind in get_args(e.Fact))
REVERSIBLE: dict[type, tuple[str, ...]] = {
    e.SaleVoided: ("SaleRecorded",),
    e.ShipmentReversed: ("ShipmentConfirmed", "PickupConfirmed", "TransferShipped"),
    e.Correction: FACTS,
}
"""What a reversal may name."""

_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029\ud800-\udfff]")


class CheckError(PoisonError):
    """An event that cannot mean anything, and the field at fault."""

    def __init__(self, cause: str, field: str, expected: str) -> None:
        """`field` as the public JSON form calls it; `expected` goes on from there."""
        super().__init__(cause, f"{field} {expected}")
        self.field = field


def check(event: Event) -> None:
    """Raise CheckError if the event cannot mean anything.

    Causes: `out_of_range` (quantities, times, numbers), `bad_name` (SKUs, locations, channels, sources, ids),
    `unknown_word` (buckets, dispositions, states), `missing`, `invalid`.
    """
    sign, sku, location = _NEEDS[type(event)]
    if not (_is_id(event.source) and _is_id(event.document.type) and _is_id(event.document.id)):
        _refuse_id(event)
    if not TIME_MIN <= event.event_time < TIME_MAX:
        _out("event_time", "a time from 2000 to 2099", event.event_time)
    if not (0 <= event.rev <= NUMBER_MAX and 0 <= event.document.line <= NUMBER_MAX):
        _number("rev", event.rev, NUMBER_MAX)
        _number("document.line", event.document.line, NUMBER_MAX)
    _names(event, sku, location)
    quantity = event.quantity
    if sign == "positive":
        if not 0 < quantity <= QUANTITY_MAX and (quantity or not event.rev):
            _refuse_quantity(event, f"from 1 to {QUANTITY_MAX}, or 0 in a revision that takes the line back")
    else:
        _quantity(event, sign)
    if (numbers := event.source_seq) is not None and not 0 <= numbers <= SEQUENCE_MAX:
        _out("source_seq", "a number from 0", numbers)
    if event.order is not None:
        _ref("order", event.order)
    if (special := _SPECIAL.get(type(event))) is not None:
        special(event)
    if _rest(event) != _NOTHING:
        _check_rest(event)


def needs_quantity(kind: type) -> bool:
    """Say whether events of this class say nothing without a quantity."""
    return _NEEDS[kind][0] in {"positive", "signed", "count", "any"}


def _rest(event: Envelope) -> tuple[Any, ...]:
    return (
        event.reason, event.lot, event.expiry, event.uom, event.uom_quantity, event.event_id, event.recorded_time,
        event.actor, event.trace_id,
    )  # fmt: skip


_NOTHING = (None,) * 9


@lru_cache(maxsize=1 << 17)
def is_name(name: str) -> bool:
    """Say whether a SKU, a location or a channel may be called so."""
    return (
        1 <= len(name) <= NAME_MAX
        and "|" not in name
        and name == name.strip()
        and _CONTROL.search(name) is None
        and unicodedata.is_normalized("NFC", name)
    )


@lru_cache(maxsize=1 << 16)
def _is_id(text: str) -> bool:
    return 1 <= len(text) <= ID_MAX and _CONTROL.search(text) is None


def _names(event: Envelope, sku: str, location: str) -> None:
    if event.sku:
        if not is_name(event.sku):
            refuse_name("sku", event.sku)
        if sku == "no":
            _fail("invalid", "sku", f"must be left out: {type(event).__name__} holds for all of them")
    elif sku == "yes":
        _fail("missing", "sku", f"is missing: {type(event).__name__} needs one")
    if event.location:
        if not is_name(event.location):
            refuse_name("location", event.location)
        if location == "no":
            _fail("invalid", "location", f"must be left out: {type(event).__name__} holds for all of them")
    elif location == "yes":
        _fail("missing", "location", f"is missing: {type(event).__name__} needs one")
    if event.channel and not is_name(event.channel):
        refuse_name("channel", event.channel)


def refuse_name(field: str, name: str) -> NoReturn:
    """Raise the PoisonError that says what a name must be."""
    _fail(
        "bad_name",
        field,
        f"must be 1 to {NAME_MAX} characters in NFC, without control characters, without | and without spaces "
        f"around it, not {_shown(name)}",
    )


def _quantity(event: Envelope, sign: Sign) -> None:
    quantity = event.quantity
    if sign == "none":
        if quantity:
            _refuse_quantity(event, "left out: it takes none")
    elif abs(quantity) > QUANTITY_MAX:
        _refuse_quantity(event, f"at most {QUANTITY_MAX}")
    elif sign in {"count", "maybe"} and quantity < 0:
        _refuse_quantity(event, "0 or more")
    elif sign == "signed" and not quantity and not event.rev:
        _refuse_quantity(event, "positive or negative, or 0 in a revision that takes the line back")


def _refuse_quantity(event: Envelope, expected: str) -> NoReturn:
    _fail("out_of_range", "quantity", f"of {type(event).__name__} must be {expected}, not {event.quantity}")


def _refuse_id(event: Envelope) -> NoReturn:
    parts = {"source": event.source, "document.type": event.document.type, "document.id": event.document.id}
    field, text = next((field, text) for field, text in parts.items() if not _is_id(text))
    _refuse_text(field, text, ID_MAX)


def _ref(field: str, ref: e.Ref) -> None:
    if not _is_id(ref.id):
        _refuse_text(f"{field}.id", ref.id, ID_MAX)
    if not 0 <= ref.line <= NUMBER_MAX:
        _out(f"{field}.line", f"a number from 0 to {NUMBER_MAX}", ref.line)


def _check_rest(event: Envelope) -> None:
    for field in ("reason", "lot", "uom", "uom_quantity", "event_id", "actor", "trace_id"):
        _text(field, getattr(event, field))
    if (event.uom is None) != (event.uom_quantity is None):
        _fail("missing", "uom and uom_quantity", "must come together: the source's unit, and its figure in it")
    if event.expiry is not None:
        _day("expiry", event.expiry)
    if event.recorded_time is not None:
        _time("recorded_time", event.recorded_time)


def _text(field: str, text: str | None) -> None:
    if text is not None and not (1 <= len(text) <= TEXT_MAX and _CONTROL.search(text) is None):
        _refuse_text(field, text, TEXT_MAX)


def _time(field: str, time: int | None) -> None:
    if time is not None and not TIME_MIN <= time < TIME_MAX:
        _out(field, "a time from 2000 to 2099", time)


def _day(field: str, text: str | None) -> None:
    """A date, or a date with a time."""
    if text is None:
        return
    try:
        if len(text) == len("2026-11-20"):
            date.fromisoformat(text)
        else:
            datetime.fromisoformat(text)
    except ValueError:
        _fail("invalid", field, f"must be a day like 2026-11-20, not {_shown(text)}")


def _word(field: str, word: str, words: tuple[str, ...]) -> None:
    if word not in words:
        _fail("unknown_word", field, f"must be one of {', '.join(words)}, not {_shown(word)}")


def _other_place(event: e.TransferShipped | e.TransferRequested | e.TransferApproved) -> None:
    if not is_name(event.to_location):
        refuse_name("to_location", event.to_location)
    if event.to_location == event.location:
        _fail("invalid", "to_location", f"must be another than location, {event.location}")


def _from_place(event: e.TransferReceived | e.OrderAllocated) -> None:
    if event.from_location and not is_name(event.from_location):
        refuse_name("from_location", event.from_location)


def _marks(marks: dict[str, int] | None) -> None:
    for source, seq in (marks or {}).items():
        if not _is_id(source):
            _refuse_text("source in through_seq", source, ID_MAX)
        if not 0 <= seq <= SEQUENCE_MAX:
            _out(f"through_seq of {source}", "a number from 0", seq)


def _disposition(event: e.ReturnDispositioned) -> None:
    _word("disposition", event.disposition, DISPOSITIONS)
    _refs(event)


def _received(event: e.GoodsReceived) -> None:
    _word("to_status", event.to_status, BUCKETS)
    _refs(event)


def _shipped(event: e.TransferShipped | e.TransferRequested | e.TransferApproved) -> None:
    _other_place(event)
    _refs(event)


def _arrived(event: e.TransferReceived | e.OrderAllocated) -> None:
    _from_place(event)
    _refs(event)


def _adjusted(event: e.StockAdjusted) -> None:
    _word("status", event.status, BUCKETS)


def _status(event: e.StatusChanged) -> None:
    _word("from_status", event.from_status, BUCKETS)
    _word("to_status", event.to_status, BUCKETS)
    if event.from_status == event.to_status:
        _fail("invalid", "to_status", f"must be another than from_status, {event.from_status}")


def _count(event: e.CountRecorded | e.SnapshotReceived) -> None:
    _word("scope", event.scope, SCOPES)
    _time("as_of", event.as_of)
    _marks(event.through_seq)
    if isinstance(event, e.SnapshotReceived):
        _word("basis", event.basis, BASES)
    else:
        _text("excludes", event.excludes)


def _as_of(event: e.CountClosed | e.ChannelReported) -> None:
    _time("as_of", event.as_of)
    if isinstance(event, e.ChannelReported) and event.version is not None:
        _number("version", event.version)


def _ack(event: e.ChannelAck) -> None:
    _number("version", event.version)
    _number("epoch", event.epoch)


def _number(field: str, number: int, most: int = SEQUENCE_MAX) -> None:
    if not 0 <= number <= most:
        _out(field, f"a number from 0 to {most}", number)


def _claim(event: e.ReservationRequested | e.ReservationPlaced | e.ReservationDecided) -> None:
    _word("state", event.state, STATES)
    _time("expires_at", event.expires_at)
    _day("need_date", event.need_date)
    if not isinstance(event, e.ReservationPlaced) and not _is_id(event.request_id):
        _refuse_text("request_id", event.request_id, ID_MAX)
    if isinstance(event, e.ReservationDecided):
        _word("decision", event.decision, DECISIONS)


def _refs(event: Envelope) -> None:
    for field in ("transfer", "purchase_order", "asn", "return_ref"):
        if (ref := getattr(event, field, None)) is not None:
            _ref("return" if field == "return_ref" else field, ref)
    _day("eta", getattr(event, "eta", None))


def _gap(event: e.SequenceGapOpened | e.SequenceGapClosed) -> None:
    _number("from_seq", event.from_seq)
    _number("to_seq", event.to_seq)
    if event.from_seq > event.to_seq:
        _out("to_seq", f"{event.from_seq} or more", event.to_seq)


def _mark(event: e.SourceMark) -> None:
    _marks(event.through_seq)
    _time("through_time", event.through_time)


def _master(event: e.MasterChanged) -> None:
    for field, text in event.attributes.items():
        _text("name of an attribute", field)
        _text(f"attributes.{field}", text)


def _granted(event: e.AllocationGranted) -> None:
    _number("priority", event.priority, NUMBER_MAX)


def _policy(event: e.PolicyChanged) -> None:
    policy = event.policy
    for field, most in _LIMITS.items():
        if (number := getattr(policy, field)) is not None and not 0 <= number <= most:
            _out(f"policy.{field}", f"a number from 0 to {most}", number)
    for location in policy.locations or ():
        if not is_name(location):
            refuse_name("policy.locations", location)
    if policy == e.PolicyFields():
        _fail("missing", "policy", "must set at least one parameter")


_LIMITS = {
    "safety_stock": QUANTITY_MAX, "buffer": QUANTITY_MAX, "share_percent": 100, "cap": QUANTITY_MAX,
    "lag_s": 86_400 * 365, "low_at": QUANTITY_MAX, "dock_days": 365, "max_slip_days": 3_650,
    "supplier_late_p90_days": 365,
}  # fmt: skip


def _reversal(event: e.Reversal) -> None:
    ref = event.reverses
    _word("reverses.type", ref.type, REVERSIBLE[type(event)])
    if not (_is_id(ref.source) and _is_id(ref.document.type) and _is_id(ref.document.id)):
        _refuse_text("reverses.source and reverses.document", str(tuple(ref)), ID_MAX)
    if not 0 <= ref.document.line <= NUMBER_MAX:
        _out("reverses.document.line", f"a number from 0 to {NUMBER_MAX}", ref.document.line)
    if event.rev:
        _fail("invalid", "rev", f"must be left out: {type(event).__name__} has no revisions")


def _correction(event: e.Correction) -> None:
    _reversal(event)
    new, ref = event.replacement, event.reverses
    if new is None:
        return
    check(new)
    mine = (type(new).__name__, new.source, new.document, new.sku)
    if mine != (ref.type, ref.source, ref.document, event.sku):
        _fail("invalid", "replacement", "must have the type, source, document and sku of the event that it replaces")


_SPECIAL: dict[type, Callable[[Any], None]] = {
    e.SaleVoided: _reversal,
    e.ShipmentReversed: _reversal,
    e.Correction: _correction,
    e.ReturnReceived: _refs,
    e.ReturnDispositioned: _disposition,
    e.GoodsReceived: _received,
    e.TransferShipped: _shipped,
    e.TransferReceived: _arrived,
    e.TransferLost: _refs,
    e.StockAdjusted: _adjusted,
    e.StatusChanged: _status,
    e.CountRecorded: _count,
    e.CountClosed: _as_of,
    e.SnapshotReceived: _count,
    e.ReservationRequested: _claim,
    e.ReservationPlaced: _claim,
    e.ReservationDecided: _claim,
    e.OrderAllocated: _arrived,
    e.PurchaseOrderPlaced: _refs,
    e.PurchaseOrderChanged: _refs,
    e.PurchaseOrderCancelled: _refs,
    e.SupplierConfirmed: _refs,
    e.AsnShipped: _refs,
    e.TransferRequested: _shipped,
    e.TransferApproved: _shipped,
    e.TransferRejected: _refs,
    e.ReturnAuthorised: _refs,
    e.PolicyChanged: _policy,
    e.MasterChanged: _master,
    e.AllocationGranted: _granted,
    e.ChannelAck: _ack,
    e.ChannelReported: _as_of,
    e.SourceMark: _mark,
    e.SequenceGapOpened: _gap,
    e.SequenceGapClosed: _gap,
}


def _refuse_text(field: str, text: str, most: int) -> NoReturn:
    _fail("bad_name", field, f"must be 1 to {most} characters without control characters, not {_shown(text)}")


def _out(field: str, expected: str, found: object) -> NoReturn:
    _fail("out_of_range", field, f"must be {expected}, not {found}")


def _fail(cause: str, field: str, expected: str) -> NoReturn:
    raise CheckError(cause, field, expected)


def _shown(text: str) -> str:
    return repr(text) if len(text) <= 80 else f"{text[:40]!r}... ({len(text)} characters)"
