"""Avro messages as dictionaries: any schema of the house, found by its fingerprint and read generically.

The `.avsc` files are read as data. Times stay microseconds since 1970-01-01 UTC.
"""

import io
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

from fastavro import parse_schema, schemaless_reader
from fastavro.schema import fingerprint, to_parsing_canonical_form

SCHEMAS = Path(__file__).parent.parent / "avro_schemas"
MAGIC = b"\xc3\x01"
HEAD = 10
"""Bytes before the body: magic and fingerprint."""


class UnreadableError(Exception):
    """Bytes that are no message of ours."""


class Reader:
    """Reads messages of the schemas below a folder."""

    def __init__(self, folder: Path = SCHEMAS) -> None:
        self._schemas: dict[bytes, tuple[str, Any]] = {}
        for path in sorted(folder.rglob("*.avsc")):
            schema = json.loads(path.read_text("utf-8"))
            mark = bytes.fromhex(fingerprint(to_parsing_canonical_form(schema), "CRC-64-AVRO"))
            self._schemas[MAGIC + mark] = schema["name"], parse_schema(_without_logical_types(schema))

    def read(self, data: bytes | None) -> tuple[str, dict[str, Any]]:
        """Return the name of the record and its fields. Raises UnreadableError."""
        name, schema = self._schemas.get((data or b"")[:HEAD], ("", None))
        if schema is None or data is None:
            raise UnreadableError("no schema of ours")
        stream = io.BytesIO(data)
        stream.seek(HEAD)
        try:
            fields = schemaless_reader(stream, schema, None)
        except Exception as error:  # the reader raises whatever its own code runs into
            raise UnreadableError(repr(error)) from error
        if stream.tell() != len(data):
            raise UnreadableError("bytes are left over")
        if not isinstance(fields, dict):
            raise UnreadableError("no record")
        return name, fields

    def is_a(self, data: bytes | None, name: str) -> bool:
        """Say whether a message is of the record `name`, by its head alone."""
        return self._schemas.get((data or b"")[:HEAD], ("", None))[0] == name

    def read_event(self, data: bytes | None) -> tuple[str, dict[str, Any]]:
        """Return the type and the fields of an event; a replacement within it is read too."""
        name, fields = self.read(data)
        if isinstance(nested := fields.get("replacement"), bytes):
            kind, replacement = self.read(nested)
            fields["replacement"] = {"type": kind, **replacement}
        return name, fields


def partition_of(key: bytes, partitions: int) -> int:
    """Return the partition that Kafka's own clients choose for a key: murmur2, its sign bit dropped."""
    return (_murmur2(key) & 0x7FFFFFFF) % partitions


def _murmur2(data: bytes) -> int:
    mask, factor = 0xFFFFFFFF, 0x5BD1E995
    value = 0x9747B28C ^ len(data)
    whole = len(data) & ~3
    for at in range(0, whole, 4):
        word = int.from_bytes(data[at : at + 4], "little") * factor & mask
        word = (word ^ word >> 24) * factor & mask
        value = value * factor & mask ^ word
    if whole < len(data):
        value = (value ^ int.from_bytes(data[whole:], "little")) * factor & mask
    value = (value ^ value >> 13) * factor & mask
    return value ^ value >> 15


def _without_logical_types(schema: Any) -> Any:  # noqa: ANN401 - JSON
    walk: Callable[[Any], Any] = _without_logical_types
    if isinstance(schema, list):
        return [walk(one) for one in schema]
    if not isinstance(schema, dict):
        return schema
    return {
        key: value if key in ("default", "doc") else walk(value)
        for key, value in schema.items()
        if key != "logicalType"
    }
