"""Objects to Avro bodies, by functions from a value to its bytes that are put together once per class.

A general writer asks the schema at every value; here the schema has been asked beforehand, and most of a
record is looked up in tables. What it writes is plain Avro: tests compare it with fastavro's bytes.
"""

from collections.abc import Callable
from operator import attrgetter, call
from typing import Any

from avro_schemas.schemas import Schema

Write = Callable[[Any], bytes]

NULL = b"\x00"
_SOME = b"\x02"

# Seven bits of a number a byte, the lowest first, the top bit set on all but the last.
_ONE = [bytes([z]) for z in range(128)]
_TWO = [bytes([z & 127 | 128, z >> 7]) for z in range(1 << 14)]
_GO_ON = [bytes([z & 127 | 128, z >> 7 | 128]) for z in range(1 << 14)]

SHORT = 24
"""Texts up to this length are names, kinds and accounts, which come again; longer ones are keys, which do not."""
REMEMBERED = 50_000
"""Texts whose bytes are kept at most, about 10 MB."""


def _varint(z: int) -> bytes:
    if z < 128:
        return _ONE[z]
    if z < 1 << 14:
        return _TWO[z]
    if z >= 1 << 64:
        raise OverflowError("a number beyond 64 bits")
    return _GO_ON[z & 16383] + _varint(z >> 14)


class _Longs(dict[int, bytes]):
    """Numbers, zigzag; the small ones from a table."""

    def __missing__(self, number: int) -> bytes:
        return _varint(number << 1 if number >= 0 else (-number << 1) - 1)


class _Texts(dict[str, bytes]):
    """Texts with their length before them."""

    def __missing__(self, text: str) -> bytes:
        raw = text.encode()
        made = _long(len(raw)) + raw
        if len(text) <= SHORT:
            if len(self) >= REMEMBERED:
                self.clear()
            self[text] = made
        return made


_LONGS = _Longs()
_LONGS.update({n: _LONGS[n] for n in range(-1024, 1 << 13)})
_long: Write = _LONGS.__getitem__
_text: Write = _Texts().__getitem__
_BOOLEAN = {False: b"\x00", True: b"\x01"}


def _bytes(raw: bytes) -> bytes:
    return _long(len(raw)) + raw


def _instant(number: int) -> bytes:
    """Write a number that takes 43 to 56 bits, as the times of our days do, without a loop."""
    if not 1 << 42 <= number < 1 << 55:
        return _long(number)
    z = number << 1
    return _GO_ON[z & 16383] + _GO_ON[z >> 14 & 16383] + _GO_ON[z >> 28 & 16383] + _varint(z >> 42)


def optional_bytes(write: Write) -> Write:
    """Return what writes a value, or none, as bytes within the record."""
    return lambda value: NULL if value is None else _SOME + _bytes(write(value))


def writer(schema: Schema, special: dict[str, Write] | None = None) -> Write:
    """Return the function that writes an object of the record `schema`.

    `special` writes the values of the fields that it names. It raises TypeError, AttributeError, OverflowError
    or UnicodeEncodeError on objects that the type checker would refuse.
    """
    return _record(schema, {}, special or {})


def _record(schema: Schema, named: dict[str, Write], special: dict[str, Write]) -> Write:
    fields = schema["fields"]
    writers = [special.get(field["name"]) or _writer(field["type"], named) for field in fields]
    names = [field["name"] for field in fields]
    if not fields:
        made: Write = lambda _: b""  # noqa: E731
    elif schema["name"] == "Pair":
        first, second = writers
        made = lambda pair: first(pair[0]) + second(pair[1])  # noqa: E731
    else:
        made = _joined(names, writers, [_nullable(field["type"]) for field in fields])
    named[f"{schema.get('namespace', '')}.{schema['name']}"] = made
    return made


def _joined(names: list[str], writers: list[Write], nullable: list[bool]) -> Write:
    """Write the fields one after another; a tail of nulls, as most records have, in one stroke."""
    tail = 0
    while tail < len(names) and nullable[-tail - 1]:
        tail += 1
    if len(names) == 1:
        (name,), (only,) = names, writers
        return lambda value: only(getattr(value, name))
    whole, join = attrgetter(*names), b"".join
    if tail < 3:
        return lambda value: join(map(call, writers, whole(value)))
    cut = len(names) - tail
    nones, nulls, front = (None,) * tail, NULL * tail, writers[:cut]

    def write(value: Any) -> bytes:
        values = whole(value)
        if values[cut:] == nones:
            return join(map(call, front, values)) + nulls
        return join(map(call, writers, values))

    return write


def _nullable(schema: Schema) -> bool:
    return isinstance(schema, list) and schema[0] == "null"


def _writer(schema: Schema, named: dict[str, Write]) -> Write:
    if isinstance(schema, list):
        some = _writer(schema[1], named)
        return lambda value: NULL if value is None else _SOME + some(value)
    if isinstance(schema, str):
        simple: dict[str, Write] = {"long": _long, "string": _text, "bytes": _bytes, "boolean": _BOOLEAN.__getitem__}
        return simple.get(schema) or named[schema]
    match schema["type"]:
        case "record":
            return _record(schema, named, {})
        case "array":
            return _array(_writer(schema["items"], named))
        case "map":
            return _map(_writer(schema["values"], named))
        case _:
            return _instant if schema.get("logicalType") == "timestamp-micros" else _writer(schema["type"], named)


def _array(item: Write) -> Write:
    def write(values: tuple[Any, ...]) -> bytes:
        if not values:
            return NULL
        return b"".join((_long(len(values)), *map(item, values), NULL))

    return write


def _map(item: Write) -> Write:
    def write(values: dict[str, Any]) -> bytes:
        if not values:
            return NULL
        # Sorted, so that equal maps have equal bytes.
        entries = (_text(key) + item(value) for key, value in sorted(values.items()))
        return b"".join((_long(len(values)), *entries, NULL))

    return write
