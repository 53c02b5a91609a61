"""The schema files: those in force, beside the classes they describe, and those released before.

`<room>/<class>.avsc` is in force; `released/<room>/<class>.<fingerprint>.avsc` were once, and are still read.
"""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from fastavro.schema import fingerprint as fastavro_fingerprint
from fastavro.schema import to_parsing_canonical_form

from avro_schemas.generate import HERE, file_name

Schema = Any
"""A schema as JSON has it: a name, an object or a union's list."""

MAGIC = b"\xc3\x01"
"""Opens Avro's single-object encoding; eight bytes of fingerprint follow, then the body."""
BODY = 10
"""Where the body begins."""


def load(cls: type, room: str) -> Schema:
    """Read the schema in force of a class."""
    return json.loads((HERE / room / file_name(cls)).read_text())


def released(cls: type, room: str, folder: Path = HERE / "released") -> Iterator[Schema]:
    """Yield the schemas of a class that were in force once."""
    for path in sorted((folder / room).glob(f"{file_name(cls).removesuffix('.avsc')}.*.avsc")):
        yield json.loads(path.read_text())


def fingerprint(schema: Schema) -> bytes:
    """Return CRC-64-AVRO over the schema's canonical form, as eight little-endian bytes."""
    return bytes.fromhex(fastavro_fingerprint(to_parsing_canonical_form(schema), "CRC-64-AVRO"))


def plain(schema: Schema) -> Schema:
    """Return the schema without its logical types: times stay integers."""
    if isinstance(schema, list):
        return [plain(one) for one in schema]
    if not isinstance(schema, dict):
        return schema
    if "logicalType" in schema:
        return schema["type"]
    return {
        key: plain(value) if key in {"type", "items", "values", "fields"} else value for key, value in schema.items()
    }
