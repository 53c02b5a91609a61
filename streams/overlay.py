"""The rows of a batch that is not committed yet, laid over those that are."""

from bisect import bisect_left
from collections.abc import Iterator, Mapping
from itertools import islice

from atp.book import Row, Rows

_UNCHANGED = object()


class Overlay:
    """`Rows` that shows the changes of a batch before they are committed; what it lies over stays as it is."""

    def __init__(self, base: Rows) -> None:
        """Lie over `base`, the committed rows."""
        self._base = base
        self.changes: dict[str, Row | None] = {}
        """Last value per changed row, None where it was deleted."""
        self._sorted: list[str] = []

    def get(self, key: str) -> Row | None:
        """Return the row, None where there is none."""
        found = self.changes.get(key, _UNCHANGED)
        return self._base.get(key) if found is _UNCHANGED else found  # type: ignore[return-value]

    def scan(self, prefix: str) -> Iterator[tuple[str, Row]]:
        """Yield the rows whose key starts with `prefix`, in key order, as they stand when asked."""
        changed = self._changed(prefix)
        if not changed:
            yield from self._base.scan(prefix)
            return
        at, count = 0, len(changed)
        for key, row in self._base.scan(prefix):
            while at < count and changed[at] < key:
                new = self.changes[changed[at]]
                if new is not None:
                    yield changed[at], new
                at += 1
            if at < count and changed[at] == key:
                new = self.changes[key]
                if new is not None:
                    yield key, new
                at += 1
            else:
                yield key, row
        for key in changed[at:]:
            new = self.changes[key]
            if new is not None:
                yield key, new

    def apply(self, changes: Mapping[str, Row | None]) -> None:
        """Take in what a fold changed."""
        self.changes.update(changes)

    def _changed(self, prefix: str) -> list[str]:
        # Keys are never taken out of a dict that keeps their order: those beyond the length known are new, and
        # appended to what is sorted already they are merged in linear time.
        known = len(self._sorted)
        if known != len(self.changes):
            self._sorted += islice(self.changes, known, None)
            self._sorted.sort()
        start = bisect_left(self._sorted, prefix)
        end = start
        while end < len(self._sorted) and self._sorted[end].startswith(prefix):
            end += 1
        return self._sorted[start:end]
