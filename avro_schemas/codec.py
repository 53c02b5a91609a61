"""Bytes to events, effects and rows, and back: Avro's single-object encoding.

    0xC3 0x01 | CRC-64-AVRO of the schema, 8 bytes, little-endian | body

Only the schemas of this package are read, those in force and those released before; every byte must be used up.
What is read as an event has passed `atp.checks`. A Correction's replacement is an event within bytes, once.
"""

from collections.abc import Callable, Mapping
from typing import Any, get_args

from atp import book, effects, events
from atp.book import Row
from atp.checks import check
from atp.effects import DeadLetter, Effect
from atp.errors import PoisonError
from atp.events import Event
from avro_schemas.envelope import quick
from avro_schemas.errors import UndecodableError
from avro_schemas.generate import ROOMS
from avro_schemas.reader import Read, reader
from avro_schemas.schemas import BODY, MAGIC, Schema, fingerprint, load, released
from avro_schemas.writer import Write, optional_bytes, writer

REGISTRY_MAGIC = 0
REGISTRY_BODY = 5

EVENTS = frozenset[type](get_args(Event))
EFFECTS = frozenset[type]((*get_args(Effect), DeadLetter))
ROWS = {
    "g|clock": book.Clock,
    "g|policies": book.Policies,
    "g|feed": book.Feed,
    "s|": book.Summary,
    "p|": book.Position,
    "L|": book.Lots,
    "t|": book.Transfer,
    "c|": book.Claim,
    "b|": book.Supply,
    "k|": book.Ring,
    "n|": book.Network,
    "a|": book.Decision,
    "d|": book.Timer,
    "r|": book.Risk,
    "x|": book.Case,
    "w|": book.Advice,
    "q|": book.Timer,
    "m|": book.Timer,
    "o|": book.Bills,
    "z|": book.Timer,
    "u|": book.Part,
    "j|": book.Heard,
    "y|": book.KitState,
    "l|": book.Masters,
    "i|": book.Timer,
    "h|": book.Copy,
    "v|": book.Variance,
    "f|": book.Told,
    "e|": book.Evidence,
}
"""The class of a row, by how its key begins."""

_PARTS: dict[str, type] = {
    one.__name__: one
    for one in (
        events.Document, events.Ref, events.EventRef, events.PolicyFields, effects.Cause, effects.ErpLeg,
        effects.NodeFigures, effects.BufferRate, effects.ChannelFigures, effects.DatedQuantity, effects.RequestDecided,
        effects.KitFigures, effects.KitPart, effects.ChannelExposure, effects.AvailabilityChanged, book.Bill,
        book.KitAnswer,
        book.PolicyEntry, book.ChannelTerms, book.ChannelState, book.Draws, book.Count, book.Touch, book.Leg, book.Mark,
        book.Statement, book.Fence, book.Cell, book.Dated, book.Inbound, book.MasterEntry, book.Snapshot,
    )
}  # fmt: skip
"""The classes of records within records."""

_WRITE: dict[type, tuple[bytes, Write]] = {}
_READ: dict[bytes, tuple[type, Read]] = {}


def encode(value: Event | Effect | DeadLetter) -> bytes:
    """Return the bytes of an event or an effect."""
    head, write = _WRITE[type(value)]
    return head + write(value)


encode_row: Callable[[Row], bytes] = encode  # type: ignore[assignment]


def decode_event(data: bytes) -> Event:
    """Return the event that the bytes are. Raises UndecodableError."""
    event = _decode(data, EVENTS)
    try:
        check(event)
    except PoisonError as error:
        raise UndecodableError(error.cause, error.detail) from None
    return event  # type: ignore[no-any-return]


def decode(data: bytes) -> Event | Effect | DeadLetter:
    """Return the event or the effect that the bytes are. Raises UndecodableError."""
    found = _READ.get(data[:BODY])
    return decode_event(data) if found is not None and found[0] in EVENTS else _decode(data, EFFECTS)


def decode_row(key: str, data: bytes) -> Row:
    """Return the row that is kept under `key`. Raises UndecodableError."""
    kind = ROWS.get(key[:2]) or ROWS.get(key) or ROWS.get(key[:6])
    if kind is None:
        raise UndecodableError("unknown_row", f"no row has a key like {key!r}")
    return _decode(data, frozenset((kind,)))  # type: ignore[no-any-return]


def fingerprint_of(kind: type) -> bytes:
    """Return the fingerprint of the schema in force of a class."""
    return _WRITE[kind][0][len(MAGIC) :]


def from_registry(data: bytes, ids: Mapping[int, bytes]) -> bytes:
    """Turn a message framed for a schema registry (0, four bytes of id, body) into a single object.

    `ids` are the fingerprints of the schemas that the registry knows under these ids. Raises UndecodableError.
    """
    if len(data) < REGISTRY_BODY or data[0] != REGISTRY_MAGIC:
        raise UndecodableError("garbage", _garbage(data))
    number = int.from_bytes(data[1:REGISTRY_BODY], "big")
    known = ids.get(number)
    if known is None:
        raise UndecodableError("unknown_schema", f"the registry's schema {number} is none of ours")
    return MAGIC + known + data[REGISTRY_BODY:]


def _decode(data: bytes, kinds: frozenset[type]) -> Any:
    found = _READ.get(data[:BODY])
    if found is None or found[0] not in kinds:
        raise _refusal(data)
    return found[1](data)


def _refusal(data: bytes) -> UndecodableError:
    if data[:2] == MAGIC:
        if len(data) < BODY:
            return UndecodableError("truncated", f"{len(data)} bytes are less than a fingerprint")
        known = _READ.get(data[:BODY])
        what = "not one of ours" if known is None else f"that of {known[0].__name__}, which does not belong here"
        return UndecodableError("unknown_schema", f"the schema with fingerprint {data[2:BODY].hex()} is {what}")
    if len(data) >= REGISTRY_BODY and data[0] == REGISTRY_MAGIC:
        number = int.from_bytes(data[1:REGISTRY_BODY], "big")
        return UndecodableError("unknown_schema", f"schema {number} of a registry, and no registry is configured")
    return UndecodableError("garbage", _garbage(data))


def _garbage(data: bytes) -> str:
    return f"{len(data)} bytes that begin with {data[:8].hex(' ') or 'nothing'} have no framing that is known"


def _nested(data: bytes) -> Event:
    """Read a replacement, which is no correction itself: this is as deep as it goes."""
    return _decode(data, REPLACEMENTS)  # type: ignore[no-any-return]


REPLACEMENTS = frozenset[type](get_args(events.Fact))


def _build() -> None:
    for room, kinds in ROOMS.items():
        for kind in kinds:
            schema, classes = load(kind, room), {**_PARTS, kind.__name__: kind}
            of_replacement = {"replacement": optional_bytes(encode)} if kind is events.Correction else {}
            head = MAGIC + fingerprint(schema)
            _WRITE[kind] = head, writer(schema, of_replacement)
            _READ[head] = kind, _quickly(kind, schema, _unpacked(kind, reader(schema, classes)))
            for older in released(kind, room):
                old_head = MAGIC + fingerprint(older)
                _READ.setdefault(old_head, (kind, _unpacked(kind, reader(schema, classes, older))))


def _quickly(kind: type, schema: Schema, read: Read) -> Read:
    """Try the quick reader of events first, where there is one."""
    by_hand = quick(kind, schema) if kind in EVENTS and kind is not events.Correction else None
    if by_hand is None:
        return read
    return lambda data: found if (found := by_hand(data)) is not None else read(data)


def _unpacked(kind: type, read: Read) -> Read:
    if kind is not events.Correction:
        return read

    def with_replacement(data: bytes) -> Any:
        found = read(data)
        if found.replacement is not None:
            found.replacement = _nested(found.replacement)
        return found

    return with_replacement


_build()
