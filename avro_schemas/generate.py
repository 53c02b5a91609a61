"""Write the `.avsc` files from the classes of `atp`: `python -m avro_schemas.generate`.

One file per class, self-contained, named like the class in snake_case. Fields that are always there come
first, those that may be null last: a record that ends in nulls, as most do, is then read in one stroke.
"""

import json
import re
import types
import typing
from collections.abc import Iterator
from dataclasses import MISSING, fields, is_dataclass
from pathlib import Path
from typing import Any

from atp import book, effects, events

HERE = Path(__file__).parent

ROOMS: dict[str, tuple[type, ...]] = {
    "events": typing.get_args(events.Event),
    "effects": (*typing.get_args(effects.Effect), effects.DeadLetter),
    "state": typing.get_args(book.Row),
}
"""The classes that travel or are kept, by folder."""

TIMES = {
    "event_time", "recorded_time", "as_of", "expires_at", "through_time", "opened_at", "at", "computed_at",
    "timestamp", "tick", "effective", "clock", "calm_since", "last_time", "swept", "decided_at",
    "orders_seen_through", "deadline", "proposed_at", "since", "due", "taken_at", "verified_at",
    "behind_since", "acked_at", "marked_at",
}  # fmt: skip
"""Integer fields that are microseconds since 1970-01-01 UTC."""

COMMON = ("source_seq", "order", "reason")
"""Nullable fields that many events do carry: first among the nullable ones."""


def file_name(cls: type) -> str:
    """Return the class's file name: snake_case of its name."""
    return re.sub(r"(?<!^)(?=[A-Z])", "_", cls.__name__).lower() + ".avsc"


def schema_of(cls: type, room: str) -> dict[str, Any]:
    """Return the Avro schema of a class."""
    return _record(cls, f"atp.{room}", set())


def written() -> Iterator[tuple[Path, str]]:
    """Yield each schema file's path and the text it should have."""
    for room, classes in ROOMS.items():
        for cls in classes:
            yield HERE / room / file_name(cls), json.dumps(schema_of(cls, room), indent=2) + "\n"


def _record(cls: type, namespace: str, named: set[str]) -> dict[str, Any]:
    named.add(cls.__name__)
    hints = typing.get_type_hints(cls)
    defaults = _defaults(cls)
    made = []
    for name, hint in sorted(hints.items(), key=lambda item: _rank(cls, *item)):
        field: dict[str, Any] = {"name": name, "type": _type(name, hint, namespace, named)}
        if name in defaults:
            field["default"] = defaults[name]
        made.append(field)
    doc = " ".join((cls.__doc__ or "").split("\n")[0].split())
    namespaced = {"type": "record", "name": cls.__name__, "namespace": namespace}
    return {**namespaced, **({} if doc.startswith(f"{cls.__name__}(") else {"doc": doc}), "fields": made}


def _rank(cls: type, name: str, hint: object) -> int:
    if not is_dataclass(cls):
        return 0
    if not _nullable(hint):
        return 0
    return 1 if name in COMMON else 2 if name not in events.Envelope.__annotations__ else 3


def _nullable(hint: object) -> bool:
    return isinstance(hint, types.UnionType) and type(None) in typing.get_args(hint)


def _defaults(cls: type) -> dict[str, Any]:
    if is_dataclass(cls):
        found = {field.name: field.default for field in fields(cls) if field.default is not MISSING}
        return {name: list(value) if isinstance(value, tuple) else value for name, value in found.items()}
    return {}


def _type(name: str, hint: Any, namespace: str, named: set[str]) -> Any:
    if _nullable(hint):
        rest = [one for one in typing.get_args(hint) if one is not type(None)]
        if len(rest) > 1:  # A union of events is nested in its own encoding, fingerprint included.
            return ["null", "bytes"]
        return ["null", _type(name, rest[0], namespace, named)]
    simple = {int: "long", str: "string", bytes: "bytes", bool: "boolean"}.get(hint)
    if simple is not None:
        return {"type": simple, "logicalType": "timestamp-micros"} if name in TIMES and hint is int else simple
    origin, args = typing.get_origin(hint), typing.get_args(hint)
    if origin is dict:
        return {"type": "map", "values": _type("", args[1], namespace, named)}
    if origin is tuple and args[-1] is Ellipsis:
        return {"type": "array", "items": _type("", args[0], namespace, named)}
    if origin is tuple:
        return _pair(namespace, named)
    if hint.__name__ in named:
        return f"{namespace}.{hint.__name__}"
    return _record(hint, namespace, named)


def _pair(namespace: str, named: set[str]) -> Any:
    if "Pair" in named:
        return f"{namespace}.Pair"
    named.add("Pair")
    both = [{"name": "first", "type": "long"}, {"name": "second", "type": "long"}]
    return {"type": "record", "name": "Pair", "namespace": namespace, "doc": "Two numbers.", "fields": both}


def main() -> None:
    """Write all schema files."""
    for path, text in written():
        path.parent.mkdir(exist_ok=True)
        path.write_text(text)


if __name__ == "__main__":
    main()
