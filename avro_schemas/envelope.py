"""Most events, read by hand: they open with the same fields, and end in nulls.

A general reader costs twice as much as everything else that is done to read an event. This one knows the one layout
that all events share, takes what is usual (texts under 64 bytes, times of our days), and leaves whatever is not,
everything that is wrong included, to the general reader.
"""

from collections.abc import Callable
from typing import Any

from atp.events import Document, Ref
from avro_schemas.schemas import BODY, Schema

Quick = Callable[[bytes], Any]
"""Returns the event, or None for a body that the general reader must have."""

OPENING = ["source", "document", "event_time", "rev", "sku", "location", "channel", "quantity"]

# An eight-byte number: the top bit of its first seven bytes says that it goes on.
_TOPS = 0x80808080_80808080
_GO_ON = 0x00808080_80808080
_UNUSUAL_LENGTH = 0x81
"""Bits of a length's first byte: it goes on, or it is negative."""


class _UnusualError(Exception):
    """Not for this reader."""


def quick(kind: type, schema: Schema) -> Quick | None:
    """Return the quick reader of an event class; None where its schema has another layout."""
    fields = schema["fields"]
    if [field["name"] for field in fields[: len(OPENING)]] != OPENING:
        return None
    rest = fields[len(OPENING) :]
    nullable = [field for field in rest if isinstance(field["type"], list)]
    special = rest[: len(rest) - len(nullable)]
    own = [(field["name"], _reader(field["type"])) for field in special]
    if any(one is _unusual for _, one in own):
        return None
    tail = [(field["name"], _reader(field["type"][1])) for field in nullable]
    nulls = [b"\x00" * length for length in range(len(tail) + 1)]
    cls: Any = kind

    def read(data: bytes) -> Any:
        try:
            return event(data)
        except (IndexError, UnicodeDecodeError, _UnusualError):
            return None

    def event(data: bytes) -> Any:
        # Written out, one field after the other: a call for each would cost as much again.
        length = data[BODY]
        at = BODY + 1 + (length >> 1)
        unusual = length
        source = data[BODY + 1 : at].decode()
        length = data[at]
        unusual |= length
        end = at + 1 + (length >> 1)
        document_type = data[at + 1 : end].decode()
        length = data[end]
        unusual |= length
        at = end + 1 + (length >> 1)
        document_id = data[end + 1 : at].decode()
        if unusual & _UNUSUAL_LENGTH:
            return None
        line = data[at]
        if line & 0x80:
            line, at = _varint(data, at)
        else:
            at += 1
        eight = int.from_bytes(data[at : at + 8], "little")
        if eight & _TOPS != _GO_ON:
            return None
        time = (
            (eight & 0x7F)
            | (eight >> 1 & 0x3F80)
            | (eight >> 2 & 0x1FC000)
            | (eight >> 3 & 0xFE00000)
            | (eight >> 4 & 0x7F0000000)
            | (eight >> 5 & 0x3F800000000)
            | (eight >> 6 & 0x1FC0000000000)
            | (eight >> 7 & 0xFE000000000000)
        )
        at += 8
        rev = data[at]
        if rev & 0x80:
            rev, at = _varint(data, at)
        else:
            at += 1
        length = unusual = data[at]
        end = at + 1 + (length >> 1)
        sku = data[at + 1 : end].decode()
        length = data[end]
        unusual |= length
        at = end + 1 + (length >> 1)
        location = data[end + 1 : at].decode()
        length = data[at]
        unusual |= length
        end = at + 1 + (length >> 1)
        channel = data[at + 1 : end].decode()
        quantity = data[end]
        if unusual & _UNUSUAL_LENGTH or (time | line | rev) & 1:
            return None
        if quantity & 0x80:
            quantity, at = _varint(data, end)
        else:
            at = end + 1
        found = cls_arguments(data, at) if own or data[at:] != nulls[-1] else None
        document = Document(document_type, document_id, line >> 1)
        if found is None:
            return cls(
                source=source,
                document=document,
                event_time=time >> 1,
                rev=rev >> 1,
                sku=sku,
                location=location,
                channel=channel,
                quantity=quantity >> 1 ^ -(quantity & 1),
            )
        return cls(
            source=source,
            document=document,
            event_time=time >> 1,
            rev=rev >> 1,
            sku=sku,
            location=location,
            channel=channel,
            quantity=quantity >> 1 ^ -(quantity & 1),
            **found,
        )

    def cls_arguments(data: bytes, at: int) -> dict[str, Any]:
        found: dict[str, Any] = {}
        for name, one in own:
            found[name], at = one(data, at)
        left = len(tail)
        for name, one in tail:
            if data[at:] == nulls[left]:
                return found
            branch = data[at]
            if branch == 2:
                found[name], at = one(data, at + 1)
            elif branch == 0:
                at += 1
            else:
                raise _UnusualError
            left -= 1
        if at != len(data):
            raise _UnusualError
        return found

    return read


def _varint(data: bytes, at: int) -> tuple[int, int]:
    """Read the bits of a number of up to five bytes, before its sign is folded out."""
    bits = 0
    for shift in (0, 7, 14, 21, 28):
        byte = data[at]
        at += 1
        bits |= (byte & 0x7F) << shift
        if byte < 0x80:
            return bits, at
    raise _UnusualError


def _long(data: bytes, at: int) -> tuple[int, int]:
    bits, at = _varint(data, at)
    return bits >> 1 ^ -(bits & 1), at


def _text(data: bytes, at: int) -> tuple[str, int]:
    length = data[at]
    if length & _UNUSUAL_LENGTH:
        raise _UnusualError
    end = at + 1 + (length >> 1)
    return data[at + 1 : end].decode(), end


def _boolean(data: bytes, at: int) -> tuple[bool, int]:
    if data[at] > 1:
        raise _UnusualError
    return data[at] == 1, at + 1


def _ref(data: bytes, at: int) -> tuple[Ref, int]:
    name, at = _text(data, at)
    line, at = _long(data, at)
    return Ref(name, line), at


def _unusual(_: bytes, __: int) -> Any:
    raise _UnusualError


_READ: dict[Any, Callable[[bytes, int], tuple[Any, int]]] = {"string": _text, "long": _long, "boolean": _boolean}


def _reader(schema: Schema) -> Callable[[bytes, int], tuple[Any, int]]:
    if isinstance(schema, str):
        return _ref if schema.endswith(".Ref") else _READ.get(schema, _unusual)
    return _ref if schema.get("name") == "Ref" else _unusual
