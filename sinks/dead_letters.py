"""Dead letters as an operator reads them: cause, coordinates, and what would put it right."""

from base64 import b64encode
from collections import Counter
from collections.abc import Callable, Iterator
from heapq import heappush, heappushpop
from typing import Any

from atp.effects import DeadLetter
from atp.errors import PoisonError
from avro_schemas import codec
from avro_schemas.instants import instant
from sinks.committed import CommittedReader

TAKE = 2_000
"""Records that are taken at once: each may be half a megabyte."""


def read_dead_letters(reader: CommittedReader) -> Iterator[DeadLetter]:
    """Yield every dead letter from the topic's beginning to its ends. Raises: FatalError."""
    reader.from_beginning()
    while not reader.caught_up:
        for message in reader.take(TAKE, 0.2):
            value = message.value()
            try:
                letter = codec.decode(value) if isinstance(value, bytes) else None
            except PoisonError:
                letter = None
            if isinstance(letter, DeadLetter):
                yield letter


class Latest:
    """The latest letters of a stream, and how many there were by cause."""

    def __init__(self, limit: int | None, wanted: Callable[[DeadLetter], bool]) -> None:
        """`limit` letters at most are kept, None keeps all; those that are not `wanted` are only counted."""
        self.causes: Counter[str] = Counter()
        self.matching = 0
        self._limit = limit
        self._wanted = wanted
        self._kept: list[tuple[int, str, int, int, int, DeadLetter]] = []

    def add(self, letter: DeadLetter) -> None:
        """Count a letter, and keep it as long as there are not enough later ones."""
        self.causes[letter.cause] += 1
        if not self._wanted(letter):
            return
        self.matching += 1
        entry = (letter.timestamp, letter.topic, letter.partition, letter.offset, self.matching, letter)
        if self._limit is None or len(self._kept) < self._limit:
            heappush(self._kept, entry)
        elif self._limit:
            heappushpop(self._kept, entry)

    def __iter__(self) -> Iterator[DeadLetter]:
        """Yield the kept letters, oldest first."""
        return (entry[-1] for entry in sorted(self._kept))


def as_plain(letter: DeadLetter) -> dict[str, Any]:
    """Shape a letter for JSON: the raw record in base64, its key as text too where it is some."""
    return {
        "cause": letter.cause,
        "detail": letter.detail,
        "suggestion": letter.suggestion,
        "topic": letter.topic,
        "partition": letter.partition,
        "offset": letter.offset,
        "timestamp": instant(letter.timestamp),
        "key": None if letter.key is None else letter.key.decode(errors="replace"),
        "key_base64": _base64(letter.key),
        "value_base64": _base64(letter.value),
        "headers_base64": {name: _base64(content) for name, content in letter.headers.items()},
    }


def _base64(content: bytes | None) -> str | None:
    return None if content is None else b64encode(content).decode()
