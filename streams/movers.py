"""Which event moved a figure last: read from the events that the window remembers, and from policies.

What moved before the window is told by the position's own memory of its last events, or not at all.
"""

from typing import Any, NamedTuple

from atp.book import (
    POLICIES_KEY,
    Claim,
    Count,
    Decision,
    Evidence,
    Policies,
    PolicyEntry,
    Position,
    Rows,
    Summary,
    claim_key,
    line_of,
)
from atp.policy import Book
from avro_schemas.instants import instant


class Mover(NamedTuple):
    """An event; they compare by time, then by key."""

    event_time: int
    key: str
    type: str

    def plain(self) -> dict[str, Any]:
        return {"type": self.type, "key": self.key, "event_time": instant(self.event_time)}


class Movers:
    """The last event of each account, `bucket|location`, and of each line of a claim or of supply."""

    def __init__(self, rows: Rows, sku: str) -> None:
        self._accounts: dict[str, Mover] = {}
        self._lines: dict[str, Mover] = {}
        prefix = f"e|{sku}|"
        for key, row in rows.scan(prefix):
            if isinstance(row, Evidence):
                mover = Mover(row.event_time, key[len(prefix) :], row.type)
                for leg in row.legs:
                    _later(self._accounts, leg.source, mover)
                    _later(self._accounts, leg.target, mover)
                for mark in row.marks:
                    _later(self._lines, mark.line, mover)
        for _, row in rows.scan(f"a|{sku}|"):
            if isinstance(row, Decision) and row.answer.quantity:
                mover = Mover(row.event_time, row.answer.event_key, "ReservationRequested")
                _later(self._lines, claim_key(sku, line_of(row.answer.order, row.answer.order_line)), mover)

    def account(self, bucket: str, location: str, position: Position) -> Mover | None:
        """Return the last event that moved a bucket: of sellable stock the last to come, of others the last dated."""
        if bucket == "sellable":
            for one in position.touches:
                if one.sellable:
                    return Mover(one.event_time, one.key, one.type)
        found = [self._accounts.get(f"{bucket}|{location}"), _counted(bucket, position.counts)]
        return max((one for one in found if one is not None), default=None)

    def line(self, key: str, row: Claim | None = None) -> Mover | None:
        """Return the last event that spoke of a line; of what the window forgot only the time is known."""
        found = self._lines.get(key)
        if found is None and row is not None:
            return Mover(row.last_time, "", "")
        return found


class Rules:
    """Which policy sets a parameter."""

    def __init__(self, summary: Summary, rows: Rows, now: int) -> None:
        wide = rows.get(POLICIES_KEY)
        self._entries = Book(summary, wide if isinstance(wide, Policies) else None, now).entries

    def node(self, field: str, location: str) -> Mover | None:
        return self._first(field, [e for e in self._entries if not e.channel and e.location in ("", location)])

    def channel(self, field: str, channel: str) -> Mover | None:
        return self._first(field, [e for e in self._entries if e.channel in ("", channel) and not e.location])

    def _first(self, field: str, entries: list[PolicyEntry]) -> Mover | None:
        for entry in entries:
            if getattr(entry.policy, field) is not None:
                return Mover(entry.effective, entry.key, "PolicyChanged")
        return None


def _later(found: dict[str, Mover], name: str, mover: Mover) -> None:
    if name not in found or mover > found[name]:
        found[name] = mover


def _counted(bucket: str, counts: tuple[Count, ...]) -> Mover | None:
    return max((Mover(c.event_time, c.key, "CountRecorded") for c in counts if c.bucket == bucket), default=None)
