"""A consistent cut of the tables as Parquet, taken from committed data while the workers go on.

    <out>/20261120T080000Z/positions.parquet ... manifest.json     one snapshot, complete or absent
    <out>/latest -> 20261120T080000Z                               the last one
    <out>/positions.parquet -> latest/positions.parquet            for those who want no date in their path

1. Note the committed end of each partition of the changelog.
2. Read each from its beginning; the state at its last marker before that end is its part of the cut.
3. Write under a temporary name, fsync, rename, then point `latest` to it.

A row that is replaced meanwhile stays readable for `min.compaction.lag.ms` after its replacement, so a cut that took
longer than that may lack rows: it is thrown away and taken again.
"""

import json
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from hashlib import file_digest
from pathlib import Path
from typing import Any, Self

import pyarrow.parquet as pq
from pydantic import BaseModel, ConfigDict, Field

from atp.book import CLOCK_KEY
from atp.errors import FatalError
from avro_schemas import codec
from sinks.committed import CommittedReader, topic_id
from sinks.cut import MarkerFormat, PartitionCut, read_cut
from sinks.durable import fresh_folder, locked, publish_folder, sync_folder, write_file
from sinks.tables import SCHEMAS, Tables

SCHEMA = "snapshot/1"
TRIES = 3
"""A second try meets warm caches; a third that is too slow says that the lag is too short for this state."""
SHOWN = (b"p|", b"s|", b"t|", b"r|", b"c|", b"b|", b"n|", b"g|", b"L|")


class SnapshotSettings(BaseModel):
    """What a snapshot needs to know."""

    model_config = ConfigDict(frozen=True)

    brokers: str
    topic: str
    """The changelog, as the brokers name it."""
    out: Path
    name: str | None = Field(default=None, pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]*$")
    """Of the snapshot's folder; None: the time at which it began."""
    lag_s: float
    """`min.compaction.lag.ms` of the changelog, in seconds."""


class Progress(BaseModel):
    """How far a snapshot is: records read of those that there are, about (holes count)."""

    done: int
    total: int


class TooSlowError(FatalError):
    """The cut took longer than compaction leaves replaced rows alone."""


def take_snapshot(
    settings: SnapshotSettings, marker: MarkerFormat, progress: Callable[[Progress], None]
) -> dict[str, Any]:
    """Write a snapshot and return its manifest. Raises: FatalError."""
    began = datetime.now(UTC)
    path = settings.out / (settings.name or began.strftime("%Y%m%dT%H%M%S.%fZ"))
    with locked(settings.out):
        if path.exists():
            raise FatalError(
                f"{path} is there already. Give another name: atp snapshot --out {settings.out} --name NAME"
            )
        for attempt in range(1, TRIES + 1):
            try:
                manifest = _try(settings, marker, path, began, progress)
            except TooSlowError:
                if attempt == TRIES:
                    raise
            else:
                _point(settings.out, path.name, [*manifest["files"], "manifest.json"])
                return manifest
    raise AssertionError


def _try(
    settings: SnapshotSettings,
    marker: MarkerFormat,
    path: Path,
    began: datetime,
    progress: Callable[[Progress], None],
) -> dict[str, Any]:
    deadline = time.monotonic() + settings.lag_s
    reader = CommittedReader(settings.brokers, settings.topic)
    try:
        identity = topic_id(settings.brokers, settings.topic)
        fresh = fresh_folder(path)
        partitions: dict[str, Any] = {}
        with _Files(fresh) as files:
            for cut in _cuts(reader, marker, deadline, settings.lag_s, progress):
                partitions[str(cut.partition)] = _described(cut)
                files.write(cut)
    finally:
        reader.close()
    manifest = {
        "schema": SCHEMA,
        "name": path.name,
        "taken_at": began.isoformat(timespec="microseconds").replace("+00:00", "Z"),
        "topic": settings.topic,
        "topic_id": identity,
        "partitions": partitions,
        "files": {name: _measured(fresh / name, rows) for name, rows in files.rows.items()},
    }
    write_file(fresh / "manifest.json", (json.dumps(manifest, indent=2) + "\n").encode())
    publish_folder(fresh, path)
    return manifest


def _cuts(
    reader: CommittedReader,
    marker: MarkerFormat,
    deadline: float,
    lag_s: float,
    progress: Callable[[Progress], None],
) -> Iterator[PartitionCut]:
    """Yield the cut of each partition. Raises: TooSlowError once compaction may have taken a row."""
    bounds = {partition: reader.bounds(partition) for partition in reader.partitions}
    state = Progress(done=0, total=sum(high - low for low, high in bounds.values()))

    def advance(records: int) -> None:
        state.done += records
        progress(state)
        if time.monotonic() > deadline:
            raise TooSlowError(
                f"reading the changelog took longer than compaction leaves replaced rows alone ({lag_s:.0f} s), "
                f"{TRIES} times. Raise min.compaction.lag.ms of the topic, then: atp snapshot"
            )

    for partition, (_, high) in bounds.items():
        advance(0)
        yield read_cut(reader, partition, high, marker, advance, lambda key: key[:2] in SHOWN)
    advance(0)


def _described(cut: PartitionCut) -> dict[str, Any]:
    marker = cut.marker or {}
    return {
        "ledger_position": marker.get("position"),
        "batch": marker.get("batch"),
        "epoch": marker.get("epoch"),
        "changelog_offset": cut.changelog_offset,
        "rows": len(cut.rows),
        "records_behind_marker": cut.beyond,
    }


class _Files:
    """The Parquet files of a snapshot, open for writing."""

    def __init__(self, folder: Path) -> None:
        self.rows: dict[str, int] = {f"{name}.parquet": 0 for name in SCHEMAS}
        self._tables = Tables()
        self._writers = {
            name: pq.ParquetWriter(folder / f"{name}.parquet", schema, compression="zstd")
            for name, schema in SCHEMAS.items()
        }

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        for writer in self._writers.values():
            writer.close()

    def write(self, cut: PartitionCut) -> None:
        """Add a partition's rows, in the order of their keys."""
        rows = cut.rows
        decode, add = codec.decode_row, self._tables.add
        clock = rows.get(CLOCK_KEY.encode())
        self._tables.set_clock(None if clock is None else decode(CLOCK_KEY, clock))
        for raw in sorted(rows):
            key = raw.decode()
            add(key, decode(key, rows[raw]))
        for name, batch in self._tables.batches():
            self._writers[name].write_batch(batch)
            self.rows[f"{name}.parquet"] += batch.num_rows


def _measured(path: Path, rows: int) -> dict[str, Any]:
    with path.open("rb") as content:
        return {"rows": rows, "bytes": path.stat().st_size, "sha256": file_digest(content, "sha256").hexdigest()}


def _point(out: Path, name: str, files: list[str]) -> None:
    """Let `latest`, and the short paths through it, lead to a snapshot: old or new, never half of each."""
    links = {"latest": name, **{file: f"latest/{file}" for file in files}}
    for link, target in links.items():
        path = out / link
        if path.exists() and not path.is_symlink():
            continue  # Somebody's own file or folder: theirs, and the snapshot is complete without this.
        fresh = out / f".{link}.tmp"
        fresh.unlink(missing_ok=True)
        fresh.symlink_to(target)
        fresh.replace(path)
    sync_folder(out)


def verify_files(folder: Path) -> list[str]:
    """Return what in a snapshot's folder is not as its manifest says."""
    manifest = json.loads((folder / "manifest.json").read_bytes())
    return [
        name
        for name, expected in manifest["files"].items()
        if _measured(folder / name, expected["rows"]) != expected
        or pq.ParquetFile(folder / name).metadata.num_rows != expected["rows"]
    ]
