"""Counts: absolute figures against deltas in flight.

A count states what was there at `as_of`; what it covers is already in it. Everything is recomputed from the
position's own history inside the window, so a late delta, a late count and a revised count need no rules of
their own. A count from before the window is carried on from what it expected. Source: docs/domain.md section 4.
"""

from collections.abc import Iterator, Sequence

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


def book_of_each(counts: Sequence[Count], deltas: Sequence[Delta]) -> Iterator[tuple[Count, Vector]]:
    """Yield the counts in their order, each with what moved that it covers: what one covers, all later ones do."""
    covered = [0, 0, 0, 0]
    waiting = list(deltas)
    for count in in_order(counts):
        still = []
        for delta in waiting:
            if covers(count, delta.event_time, delta.source, delta.source_seq):
                covered = [have + more for have, more in zip(covered, delta.vector, strict=True)]
            else:
                still.append(delta)
        waiting = still
        yield count, covered


def expect_of_old(
    known: Sequence[Count], wanted: Sequence[Count], were: Sequence[Delta], are: Sequence[Delta]
) -> tuple[list[tuple[Count, int]], Vector]:
    """What each count from before the window should have found, and what their variances change in each bucket.

    The window forgot most of what they cover. So each expects what it did, and what the deltas that are known come
    to more than they were, in the figures of those that it covers. A count that is not wanted any more gives its
    variance back.
    """
    were_covered = {count.key: book for count, book in book_of_each(known, were)}
    are_covered = {count.key: book for count, book in book_of_each(wanted, are)}
    now = {count.key: count for count in wanted}
    result = []
    varied = [0, 0, 0, 0]
    for count in in_order(known):
        bucket = BUCKETS.index(count.bucket)
        if count.key not in now:
            varied[bucket] -= count.variance
            continue
        more = [are - was for are, was in zip(are_covered[count.key], were_covered[count.key], strict=True)]
        expected = count.expected + of_scope(more, count.scope) + of_scope(varied, count.scope)
        varied[bucket] += now[count.key].quantity - expected - count.variance
        result.append((now[count.key], expected))
    return result, varied


def expect(
    counts: Sequence[Count], old: Sequence[Count], deltas: Sequence[Delta], base: Sequence[int]
) -> list[tuple[Count, int]]:
    """What each count of the window should have found, in the order of counts.

    `base` is what the buckets hold of events that the window forgot, and of the `old` counts from before it. Once a
    count covers a delta, all later counts do.
    """
    result = []
    found = list(base)
    before = {count.key for count in old}
    for count, covered in book_of_each([*old, *counts], deltas):
        if count.key in before:
            continue
        expected = of_scope([have + more for have, more in zip(found, covered, strict=True)], count.scope)
        found[BUCKETS.index(count.bucket)] += count.quantity - expected
        result.append((count, expected))
    return result
