"""The decisions on requests that were logged: a rebuild answers by them, and takes none anew."""

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from rocksdict import Rdict

from atp.effects import RequestDecided
from avro_schemas import codec
from streams.said import walk
from streams.table import Shared, store_options


class Decided(Mapping[str, RequestDecided]):
    """The decisions that were logged, by request id and by the key of the request; read from disk when asked for."""

    def __init__(self, folder: Path, shared: Shared) -> None:
        self._db = Rdict(str(folder), store_options(shared))
        self._length = 0

    def hear(self, value: bytes) -> None:
        """Take in a logged decision; the first on a request stands, since a resend is answered by it again."""
        decision = codec.decode(value)
        if not isinstance(decision, RequestDecided):
            return
        for name in {decision.request_id.encode(), decision.event_key.encode()}:
            if self._db.get(name) is None:
                self._db.put(name, value)
                self._length += 1

    def __getitem__(self, request: str) -> RequestDecided:
        value: Any = self._db.get(request.encode())
        if value is None:
            raise KeyError(request)
        decision = codec.decode(value)
        assert isinstance(decision, RequestDecided)  # Nothing else was taken in.
        return decision

    def __iter__(self) -> Iterator[str]:
        return (key.decode() for key, _ in walk(self._db, b""))

    def __len__(self) -> int:
        return self._length

    def close(self) -> None:
        self._db.close()
