"""Rows of one partition in RocksDB: a cache of their changelog, behind it and never ahead.

Written after the commit, in one write batch with the offsets that it reflects and the marker; without a log of
its own, so that what a crash leaves is an earlier state, whole. Any doubt about it means: delete and restore.

| key        | value                                                                                |
|------------|--------------------------------------------------------------------------------------|
| row key    | the row as its changelog holds it                                                    |
| `!marker`  | the last marker that the rows reflect, as the changelog holds it                     |
| `!reflects`| JSON: {"changelog", "evidence": offsets to read on from; "ids": topic ids; "at": unix time} |
"""

import json
import shutil
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from itertools import islice
from pathlib import Path

from rocksdict import (
    BlockBasedOptions,
    Cache,
    DBCompressionType,
    Options,
    Rdict,
    RdictIter,
    WriteBatch,
    WriteBufferManager,
    WriteOptions,
)

from atp.book import Row
from atp.errors import FatalError, PoisonError
from avro_schemas import codec
from streams.checkpoint import MARKER_KEY

REFLECTS_KEY = b"!reflects"
CACHE_BYTES = 128 * 1024 * 1024
"""Block cache of all partitions of a worker together."""
BUFFER_BYTES = 256 * 1024 * 1024
"""Write buffers of all partitions of a worker together."""
BUFFER_PARTITION_BYTES = 16 * 1024 * 1024
"""Write buffer of one partition: what a crash leaves to be read again from the changelog, at most twice this."""
DECODED_ROWS = 20_000
"""Decoded rows of a partition kept at least, twice that at most: about 1 kB each, so 480,000 at 12 partitions."""


class DamagedError(FatalError):
    """The local store cannot be read; its changelog can restore it."""


@dataclass(frozen=True, slots=True)
class Reflects:
    """How far a local store reflects its changelogs."""

    changelog: int
    evidence: int
    ids: list[str]
    """Topic ids of ledger, changelog and evidence."""
    at: float
    """When it was written, in unix seconds."""


class Shared:
    """Memory that all tables of a worker share, so that its bound does not grow with the partitions."""

    def __init__(self) -> None:
        self.cache = Cache(CACHE_BYTES)
        self.buffers = WriteBufferManager(BUFFER_BYTES, allow_stall=False)


class Table:
    """`Rows` of a partition as committed; one thread reads and writes, any other may take a `view`."""

    def __init__(self, folder: Path, shared: Shared) -> None:
        """Open or create the store in `folder`. Raises: DamagedError."""
        self.folder = folder
        folder.parent.mkdir(parents=True, exist_ok=True)
        try:
            self._db = Rdict(str(folder), store_options(shared))
            reflects = self._db.get(REFLECTS_KEY)
            self.marker: bytes | None = self._db.get(MARKER_KEY)
        except Exception as error:
            raise DamagedError(f"the store {folder} cannot be opened: {error}") from error
        self.reflects = Reflects(**json.loads(reflects)) if reflects is not None else None
        self._options = WriteOptions()
        self._options.disable_wal = True  # type: ignore[assignment,method-assign]  # a property; the stub says method
        self._young: dict[str, Row | None] = {}
        self._old: dict[str, Row | None] = {}
        self._closing = threading.Lock()
        self._closed = False

    def get(self, key: str) -> Row | None:
        """Return the row, None where there is none. Raises: DamagedError."""
        young = self._young
        if key in young:
            return young[key]
        if key in self._old:
            row = self._old[key]
        else:
            try:
                value = self._db.get(key.encode())
            except Exception as error:
                raise DamagedError(f"the store {self.folder} cannot be read at {key}: {error}") from error
            row = None if value is None else _decoded(key, value)
            if key[0] == "e":
                return row  # Looked up once in most cases, when its event comes; the others are rows to keep.
        self._remember(key, row)
        return row

    def scan(self, prefix: str) -> Iterator[tuple[str, Row]]:
        """Yield the rows whose key starts with `prefix`, in key order. Raises: DamagedError.

        What lies in the cache is what lies in the store, so the store alone is read.
        """
        iterator = self._db.iter()
        for key, value in _walk(iterator, prefix.encode(), self.folder):
            if key.startswith(b"!"):
                continue  # The store's own.
            name = key.decode()
            row = self._young.get(name) or self._old.get(name)
            yield name, row if row is not None else _decoded(name, value)

    def raw(self) -> Iterator[tuple[bytes, bytes]]:
        """Yield every row as bytes, in key order, and nothing of the store's own. Raises: DamagedError."""
        for key, value in _walk(self._db.iter(), b"", self.folder):
            if not key.startswith(b"!"):
                yield key, value

    def write(
        self, rows: Mapping[str, bytes | None], decoded: Mapping[str, Row | None], marker: bytes, reflects: Reflects
    ) -> None:
        """Take over what was committed. Raises: DamagedError."""
        batch = WriteBatch(raw_mode=True)
        for key, value in rows.items():
            if value is None:
                batch.delete(key.encode())
            else:
                batch.put(key.encode(), value)
        self.marker = marker
        self.put(batch, reflects)
        for key, row in decoded.items():
            if key[0] != "e":
                self._remember(key, row)

    def put(self, batch: WriteBatch, reflects: Reflects | None) -> None:
        """Write rows as bytes, with the marker; for a restore, whose rows nobody has decoded.

        `reflects` is None amid a restore: what is there is no state yet. Raises: DamagedError.
        """
        if self.marker is not None:
            batch.put(MARKER_KEY, self.marker)
        if reflects is None:
            batch.delete(REFLECTS_KEY)
        else:
            batch.put(REFLECTS_KEY, json.dumps(asdict(reflects)).encode())
        try:
            self._db.write(batch, self._options)
        except Exception as error:
            raise DamagedError(f"the store {self.folder} cannot be written: {error}") from error
        self.reflects = reflects

    def view(self, exact: Sequence[str], prefixes: Sequence[str]) -> "View | None":
        """Return some rows, all of one commit; None once closed. For any thread."""
        found = self.raw_view(exact, prefixes)
        if found is None:
            return None
        raw, marker = found
        return View({key.decode(): _decoded(key.decode(), value) for key, value in raw.items()}, marker)

    def raw_view(
        self, exact: Sequence[str], prefixes: Sequence[str], wanted: Callable[[str], bool] = lambda _: True
    ) -> tuple[dict[bytes, bytes], bytes | None] | None:
        """Return some rows as bytes and the marker, all of one commit; None once closed. For any thread.

        `wanted` picks among what lies under the prefixes.
        """
        with self._closing:
            if self._closed:
                return None
            # An iterator shows the moment of its making. (A `Snapshot` of rocksdict 0.3.29 does so for `get` alone.)
            iterator = self._db.iter()
            found: dict[bytes, bytes] = {}
            for key in map(str.encode, exact):
                for name, value in islice(_walk(iterator, key, self.folder), 1):
                    if name == key:
                        found[key] = value
            for prefix in prefixes:
                under = _walk(iterator, prefix.encode(), self.folder)
                found.update((name, value) for name, value in under if wanted(name.decode()))
            return found, dict(islice(_walk(iterator, MARKER_KEY, self.folder), 1)).get(MARKER_KEY)

    def close(self) -> None:
        """Flush and close, so that the next owner on this machine reads on from here."""
        with self._closing:
            if not self._closed:
                self._closed = True
                self._db.flush()
                self._db.close()

    def delete(self) -> None:
        """Close, and remove it from the disk."""
        with self._closing:
            if not self._closed:
                self._closed = True
                self._db.close()
        destroy(self.folder)

    def _remember(self, key: str, row: Row | None) -> None:
        if len(self._young) >= DECODED_ROWS:
            self._old = self._young
            self._young = {}
        self._young[key] = row


@dataclass(frozen=True, slots=True)
class View:
    """`Rows` as they stood at one commit."""

    rows: dict[str, Row]
    """In key order under each prefix."""
    marker: bytes | None

    def get(self, key: str) -> Row | None:
        return self.rows.get(key)

    def scan(self, prefix: str) -> Iterator[tuple[str, Row]]:
        return (item for item in self.rows.items() if item[0].startswith(prefix))


def destroy(folder: Path) -> None:
    """Remove a store that is not open."""
    shutil.rmtree(folder, ignore_errors=True)


def now() -> float:
    """Return the time that `Reflects.at` means; nothing but a store's age depends on it."""
    return time.time()


def _decoded(key: str, value: bytes) -> Row:
    try:
        return codec.decode_row(key, value)
    except PoisonError as error:  # Of a row, not of the event that asks for it: no dead letter can mend that.
        raise DamagedError(f"the row {key} cannot be read: {error}. Run the version of atp that wrote it") from error


def _walk(iterator: RdictIter, prefix: bytes, folder: Path) -> Iterator[tuple[bytes, bytes]]:
    # An iterator that met damage ends as if it were at its end; only its status tells the two apart.
    try:
        iterator.seek(prefix)
        while iterator.valid():
            key = iterator.key()
            if not key.startswith(prefix):
                break
            yield key, iterator.value()
            iterator.next()
        iterator.status()
    except Exception as error:
        raise DamagedError(f"the store {folder} cannot be scanned at {prefix!r}: {error}") from error


def store_options(shared: Shared) -> Options:
    """Return how a store lies on the disk: keys and values as bytes, its memory a share of `shared`."""
    blocks = BlockBasedOptions()
    blocks.set_block_cache(shared.cache)
    blocks.set_bloom_filter(10, block_based=False)
    blocks.set_cache_index_and_filter_blocks(v=True)
    blocks.set_pin_l0_filter_and_index_blocks_in_cache(v=True)
    options = Options(raw_mode=True)
    options.create_if_missing(create_if_missing=True)
    options.set_block_based_table_factory(blocks)
    options.set_write_buffer_manager(shared.buffers)
    options.set_write_buffer_size(BUFFER_PARTITION_BYTES)
    options.set_max_write_buffer_number(2)
    options.set_compression_type(DBCompressionType.lz4())
    options.set_max_background_jobs(2)
    options.set_keep_log_file_num(2)
    options.set_max_open_files(256)
    return options
