"""Effects and rows as plain values, ready for JSON: instants in ISO 8601, bytes in hex."""

from dataclasses import fields, is_dataclass
from typing import Any

from avro_schemas.generate import TIMES
from avro_schemas.instants import instant


def plain(value: object, name: str = "") -> Any:
    """Return the value with every field, under its own name. `name` is that of the field which holds it."""
    if is_dataclass(value) and not isinstance(value, type):
        return {field.name: plain(getattr(value, field.name), field.name) for field in fields(value)}
    if isinstance(value, dict):
        return {key: plain(one) for key, one in value.items()}
    if isinstance(value, list | tuple):
        return [plain(one) for one in value]
    if isinstance(value, bytes):
        return value.hex()
    return instant(value) if type(value) is int and name in TIMES else value
