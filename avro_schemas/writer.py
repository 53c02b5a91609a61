"""Objects to Avro bodies, by functions from a value to its bytes that are put together once per class.

A general writer asks the schema at every value; here the schema has been asked beforehand, and most of a
record is looked up in tables. What it writes is plain Avro: tests compare it with fastavro's bytes.
"""

from collections.abc import Callable
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
MANY_NULLS = 3
INSTANTS = 4_096
"""Times whose bytes are kept at most."""
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
_TEXTS = _Texts()
_text: Write = _TEXTS.__getitem__
_BOOLEAN = {False: b"\x00", True: b"\x01"}


def _bytes(raw: bytes) -> bytes:
    return _long(len(raw)) + raw


class _Instants(dict[int, bytes]):
    """Times: that of an event goes into most of what follows from it, so the last ones are remembered."""

    def __missing__(self, number: int) -> bytes:
        if not 1 << 48 <= number < 1 << 55:
            return _long(number)
        # The times of our days take 49 to 55 bits: no loop is needed.
        z = number << 1
        made = _GO_ON[z & 16383] + _GO_ON[z >> 14 & 16383] + _GO_ON[z >> 28 & 16383] + _TWO[z >> 42]
        if len(self) >= INSTANTS:
            self.clear()
        self[number] = made
        return made


_INSTANTS = _Instants()
_instant: Write = _INSTANTS.__getitem__


KNOWN: dict[str, Any] = {
    "LONG": _LONGS,
    "TEXT": _TEXTS,
    "TRUTH": _BOOLEAN,
    "TIME": _INSTANTS,
    "NULL": NULL,
    "SOME": _SOME,
}
"""What the expressions below call by name."""


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
    """Write the fields of a record one after another, in one expression; many nulls at its end in one stroke.

    The expression is put together as text: a call for each field would cost as much again as what it writes.
    """
    fields = schema["fields"]
    known = dict(KNOWN)
    terms = []
    for number, field in enumerate(fields):
        name = f"value[{number}]" if schema["name"] == "Pair" else f"value.{field['name']}"
        if (by_hand := special.get(field["name"])) is not None:
            known[f"write_{number}"] = by_hand
            terms.append(f"write_{number}({name})")
        else:
            terms.append(_term(field["type"], name, f"write_{number}", known, named))
    tail = 0
    while tail < len(fields) and _nullable(fields[-tail - 1]["type"]):
        tail += 1
    whole = _all_of(terms)
    if tail >= MANY_NULLS:
        front, nulls = terms[: len(terms) - tail], NULL * tail
        none = " is ".join((*(f"value.{field['name']}" for field in fields[-tail:]), "None"))
        whole = f"{_all_of([*front, repr(nulls)])} if {none} else {whole}"
    made: Write = eval(f"lambda value: {whole}", known)  # noqa: S307 - of names in schemas of this package alone
    named[f"{schema.get('namespace', '')}.{schema['name']}"] = made
    return made


def _all_of(terms: list[str]) -> str:
    return f"b''.join(({', '.join(terms)},))" if len(terms) > 1 else "".join(terms) or "b''"


def _nullable(schema: Schema) -> bool:
    return isinstance(schema, list) and schema[0] == "null"


def _term(schema: Schema, value: str, own: str, known: dict[str, Any], named: dict[str, Write]) -> str:
    """Return the expression that writes `value`; what it calls lies in `known`, under the name `own`."""
    if isinstance(schema, list):
        return f"NULL if (own := {value}) is None else SOME + {_term(schema[1], 'own', own, known, named)}"
    simple = {"long": f"LONG[{value}]", "string": f"TEXT[{value}]", "boolean": f"TRUTH[{value}]"}
    if isinstance(schema, str) and schema in simple:
        return simple[schema]
    if isinstance(schema, dict) and schema.get("logicalType") == "timestamp-micros":
        return f"TIME[{value}]"
    known[own] = _writer(schema, named)
    return f"{own}({value})"


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
