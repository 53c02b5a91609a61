"""Encoded lines on disk, between the last line read and the first one written: any file, in bounded memory."""

import struct
import tempfile
from collections.abc import Iterator
from types import TracebackType
from typing import Self

_SIZES = struct.Struct("<BHI")
IN_MEMORY = 16 * 1024 * 1024


class Spool:
    """Records of (place, key, value): what is added can be read back in order."""

    def __init__(self) -> None:
        self._file = tempfile.SpooledTemporaryFile(max_size=IN_MEMORY)  # noqa: SIM115  (closed by the context)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, _: type[BaseException] | None, __: BaseException | None, ___: TracebackType | None) -> None:
        self._file.close()

    def add(self, place: int, key: bytes, value: bytes) -> None:
        """Keep a record; `place` is a small number of the caller's."""
        self._file.write(_SIZES.pack(place, len(key), len(value)) + key + value)

    def __iter__(self) -> Iterator[tuple[int, bytes, bytes]]:
        self._file.seek(0)
        while sizes := self._file.read(_SIZES.size):
            place, key, value = _SIZES.unpack(sizes)
            yield place, self._file.read(key), self._file.read(value)
