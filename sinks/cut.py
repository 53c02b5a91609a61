"""The rows of a partition as its last marker left them: the part of a changelog that a transaction sealed."""

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

from confluent_kafka import OFFSET_BEGINNING

from sinks.committed import CommittedReader

TAKE = 20_000
"""Records that are taken at once: about 5 MB."""

ReadMarker = Callable[[bytes], Mapping[str, Any]]
"""Turns a marker's value into its fields."""


class MarkerFormat(NamedTuple):
    """How the hosts of a topology write their markers."""

    key: bytes
    read: ReadMarker


class PartitionCut(NamedTuple):
    """A partition at its last marker."""

    partition: int
    marker: Mapping[str, Any] | None
    """None where nothing was ever committed."""
    changelog_offset: int
    """The first offset of the changelog behind the cut."""
    rows: dict[bytes, bytes]
    """Row key to encoded row."""
    beyond: int
    """Records behind the last marker: no transaction of ours sealed them."""


def read_cut(
    reader: CommittedReader,
    partition: int,
    end: int,
    marker: MarkerFormat,
    progress: Callable[[int], None],
    wanted: Callable[[bytes], bool] | None = None,
) -> PartitionCut:
    """Read a partition from its beginning up to the last marker before offset `end`.

    `progress` hears how many records came; `wanted` picks rows by their key, None takes all. Raises: FatalError.
    """
    rows: dict[bytes, bytes] = {}
    since: list[tuple[bytes, bytes | None]] = []
    latest, offset, beyond = None, 0, 0
    reader.assign({partition: OFFSET_BEGINNING})
    reached = end == 0
    while not reached:
        messages = reader.take(TAKE, 0.2)
        progress(len(messages))
        for message in messages:
            at: Any = message.offset()
            if at >= end:
                reached = True
                break
            key: Any = message.key()
            if key == marker.key:
                for name, content in since:
                    if content is None:
                        rows.pop(name, None)
                    else:
                        rows[name] = content
                since.clear()
                latest, offset, beyond = message.value(), at + 1, 0
            else:
                beyond += 1
                if wanted is None or wanted(key):
                    since.append((key, message.value()))
        reached = reached or reader.caught_up
    return PartitionCut(partition, None if latest is None else marker.read(latest), offset, rows, beyond)
