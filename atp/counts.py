"""Counts: absolute figures against deltas in flight.

A count states what was there at `as_of`; what it covers is already in it. Everything is recomputed from the
position's own history inside the window, so a late delta, a late count and a revised count need no rules of
their own. Source: docs/domain.md section 4.
"""

from collections.abc import Sequence

from atp.book import BUCKETS, Count, Snapshot
from atp.events import immutable

Vector = list[int]
"""Units by bucket, in the order of `BUCKETS`."""
Watermark = Count | Snapshot
"""What says up to where it has heard: by time, and by the sequence of the sources that it names."""


@immutable
class Delta:
    """What one event in force moved at the position."""

    key: str
    event_time: int
    source: str
    source_seq: int | None
    vector: Vector


def covers(count: Watermark, event_time: int, source: str, source_seq: int | None) -> bool:
    """Say whether the count saw the delta: by sequence for a source that it names, by time otherwise."""
    if count.through_seq and source_seq is not None and source in count.through_seq:
        return source_seq <= count.through_seq[source]
    return event_time <= count.as_of


def in_order(counts: Sequence[Count]) -> list[Count]:
    return sorted(counts, key=lambda count: (count.as_of, count.event_time, count.key))


def of_scope(vector: Sequence[int], scope: str) -> int:
    return sum(vector) if scope == "on_hand" else vector[BUCKETS.index(scope)]


def variances(counts: Sequence[Count]) -> Vector:
    """What the variances of the counts put into each bucket."""
    total = [0, 0, 0, 0]
    for count in counts:
        total[BUCKETS.index(count.bucket)] += count.variance
    return total


def expect(counts: Sequence[Count], deltas: Sequence[Delta], base: Sequence[int]) -> list[tuple[Count, int]]:
    """What each count should have found, in the order of counts.

    `base` is what the buckets hold of events that the window forgot. Once a count covers a delta, all later
    counts do.
    """
    result = []
    covered = list(base)
    waiting = list(deltas)
    for count in in_order(counts):
        still = []
        for delta in waiting:
            if covers(count, delta.event_time, delta.source, delta.source_seq):
                covered = [have + more for have, more in zip(covered, delta.vector, strict=True)]
            else:
                still.append(delta)
        waiting = still
        expected = of_scope(covered, count.scope)
        covered[BUCKETS.index(count.bucket)] += count.quantity - expected
        result.append((count, expected))
    return result
