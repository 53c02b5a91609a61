"""Ways to make one record say something else than the pipeline said."""

from collections.abc import Callable
from typing import TypeVar

from avro_schemas import codec
from tests.oracle.pipeline import Pair

T = TypeVar("T")


def change_row(rows: dict[bytes, bytes], prefix: bytes, kind: type[T], change: Callable[[T], T | None]) -> bytes:
    """Change the first row that `change` makes something else of; return its key."""
    for key in sorted(rows):
        row = codec.decode_row(key.decode(), rows[key]) if key.startswith(prefix) else None
        if isinstance(row, kind) and (after := change(row)) is not None:
            rows[key] = codec.encode_row(after)  # type: ignore[arg-type]
            return key
    raise AssertionError("no row to change")


def change_last(records: list[Pair], kind: type[T], change: Callable[[T], T | None]) -> bytes | None:
    """Write the last record that `change` makes something else of once more, changed; return its key."""
    for key, value in reversed(list(dict(records).items())):
        effect = codec.decode(value or b"")
        assert isinstance(effect, kind)
        if (after := change(effect)) is not None:
            records.append((key, codec.encode(after)))  # type: ignore[arg-type]
            return key
    raise AssertionError("no record to change")
