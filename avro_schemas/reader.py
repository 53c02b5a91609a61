"""Avro bodies to objects: fastavro reads a dictionary, functions put together once per class make the object."""

from collections.abc import Callable
from io import BytesIO
from typing import Any

from fastavro import parse_schema, schemaless_reader

from avro_schemas.errors import UndecodableError
from avro_schemas.schemas import BODY, Schema, plain

Make = Callable[[Any], Any]
Read = Callable[[bytes], Any]
"""Takes a whole message; its body begins at `BODY`."""

MANY_NULLS = 3


def reader(schema: Schema, classes: dict[str, type], older: Schema | None = None) -> Read:
    """Return the function that reads a body of the record `schema`, or of its `older` version.

    `classes` are those of the record and of the records in it, by name. The function raises UndecodableError.
    """
    make = _record(schema, classes, {})
    mine = parse_schema(plain(schema))
    if older is not None:
        theirs = parse_schema(plain(older))
        return lambda data: make(_read(data, theirs, mine))
    shortcuts = _shortcuts(schema)
    if not shortcuts:
        return lambda data: make(_read(data, mine, None))

    def read(data: bytes) -> Any:
        for nulls, front, length in shortcuts:
            # A body that ends in so many zero bytes may end in so many nulls. It does if, and only if, the fields
            # before them end right there.
            if data.endswith(nulls):
                stream = BytesIO(data)
                stream.seek(BODY)
                try:
                    found = schemaless_reader(stream, front, None)
                except Exception:  # noqa: BLE001 - whatever went wrong, reading it in full says it better
                    break
                if stream.tell() + length == len(data):
                    return make(found)
        return make(_read(data, mine, None))

    return read


def _shortcuts(schema: Schema) -> list[tuple[bytes, Schema, int]]:
    """Cut the schema before its last nullable fields: all of them, or all but the first three."""
    fields = schema["fields"]
    tail = 0
    while tail < len(fields) and fields[-tail - 1].get("default", ...) is None:
        tail += 1
    made = []
    for length in (tail, tail - MANY_NULLS):
        if length >= MANY_NULLS:
            front = parse_schema({**plain(schema), "fields": plain(fields[: len(fields) - length])})
            made.append((b"\x00" * length, front, length))
    return made


def _read(data: bytes, theirs: Schema, mine: Schema | None) -> Any:
    stream = BytesIO(data)
    stream.seek(BODY)
    try:
        found = schemaless_reader(stream, theirs, mine)
    except Exception as error:  # The reader raises whatever its own code runs into.
        if isinstance(error, EOFError) or stream.tell() == len(data):
            detail = f"the body ends within a field ({len(data)} bytes in all)"
            raise UndecodableError("truncated", detail) from error
        raise UndecodableError("invalid", f"the body does not fit its schema: {error!r}"[:300]) from error
    if stream.tell() != len(data):
        raise UndecodableError("trailing_bytes", f"{len(data) - stream.tell()} bytes are left after the last field")
    return found


def _record(schema: Schema, classes: dict[str, type], named: dict[str, Make]) -> Make:
    cls: Any = classes[schema["name"]]
    steps = [(field["name"], step) for field in schema["fields"] if (step := _make(field["type"], classes, named))]

    def make(found: dict[str, Any]) -> Any:
        for name, step in steps:
            # Where the tail of nulls was cut off, the class's own default, None, stands for it.
            if found.get(name) is not None:
                found[name] = step(found[name])
        return cls(**found)

    named[f"{schema.get('namespace', '')}.{schema['name']}"] = make
    return make


def _make(schema: Schema, classes: dict[str, type], named: dict[str, Make]) -> Make | None:
    """Return what turns the value that fastavro reads into ours; None where it is the same."""
    if isinstance(schema, list):
        return _make(schema[1], classes, named)
    if isinstance(schema, str):
        return named.get(schema)
    match schema["type"]:
        case "record" if schema["name"] == "Pair":
            made: Make = lambda pair: (pair["first"], pair["second"])  # noqa: E731
            named[f"{schema['namespace']}.Pair"] = made
            return made
        case "record":
            return _record(schema, classes, named)
        case "array":
            item = _make(schema["items"], classes, named)
            return tuple if item is None else lambda found: tuple(map(item, found))
        case "map":
            # Its values are numbers, texts or bytes, which stay as they are.
            assert _make(schema["values"], classes, named) is None
    return None
