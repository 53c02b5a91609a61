"""What one event is about to change: rows as they will be, and effects in the order they follow."""

from collections.abc import Iterator

from atp.book import Row, Rows
from atp.effects import Cause, Effect


class Draft:
    """Rows read through what the event has changed so far; discarded whole if the fold fails."""

    __slots__ = ("cause", "changes", "effects", "epoch", "rows", "tick")

    def __init__(self, rows: Rows, cause: Cause, epoch: int, tick: int | None) -> None:
        """`tick` is the last tick of the partition, None before the first."""
        self.rows = rows
        self.cause = cause
        self.epoch = epoch
        self.tick = tick
        self.changes: dict[str, Row | None] = {}
        self.effects: list[Effect] = []

    def get(self, key: str) -> Row | None:
        """Return the row as this event leaves it so far."""
        if key in self.changes:
            return self.changes[key]
        return self.rows.get(key)

    def put(self, key: str, row: Row | None) -> None:
        """Write a row, or delete it with None."""
        self.changes[key] = row

    def scan(self, prefix: str) -> Iterator[tuple[str, Row]]:
        """Yield the rows under a prefix in key order, this event's changes included."""
        changed = sorted(key for key in self.changes if key.startswith(prefix))
        at = 0
        for key, row in self.rows.scan(prefix):
            while at < len(changed) and changed[at] < key:
                if (mine := self.changes[changed[at]]) is not None:
                    yield changed[at], mine
                at += 1
            if at < len(changed) and changed[at] == key:
                if (mine := self.changes[key]) is not None:
                    yield key, mine
                at += 1
            else:
                yield key, row
        for key in changed[at:]:
            if (mine := self.changes[key]) is not None:
                yield key, mine
