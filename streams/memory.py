"""Rows in memory, in key order."""

from bisect import bisect_left, insort
from collections.abc import Iterator

from atp.book import Row


class MemoryRows:
    """`Rows` in a dict; keys sort as their UTF-8 bytes do, which for text is by code point."""

    def __init__(self) -> None:
        self._rows: dict[str, Row] = {}
        self._keys: list[str] = []

    def __len__(self) -> int:
        return len(self._rows)

    def get(self, key: str) -> Row | None:
        """Return the row, None where there is none."""
        return self._rows.get(key)

    def scan(self, prefix: str) -> Iterator[tuple[str, Row]]:
        """Yield the rows whose key starts with `prefix`, in key order."""
        for at in range(bisect_left(self._keys, prefix), len(self._keys)):
            key = self._keys[at]
            if not key.startswith(prefix):
                return
            yield key, self._rows[key]

    def put(self, key: str, row: Row | None) -> None:
        """Write a row, or delete it with None."""
        if row is None:
            if self._rows.pop(key, None) is not None:
                del self._keys[bisect_left(self._keys, key)]
            return
        if key not in self._rows:
            insort(self._keys, key)
        self._rows[key] = row
