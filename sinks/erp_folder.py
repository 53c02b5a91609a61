"""A folder of ERP batches: what it says of itself, its cuts, its batches, and whether they still hold together.

    sink.json                 which topic the folder belongs to, and its format
    cuts/000001.json          offsets of batch 1: written, and on the disk, before its data
    batch-000001/data.ndjson  or data.csv
    batch-000001/manifest.json

A cut without its batch is what a crash leaves (or somebody who deleted a file): the batch is made again from the
topic, to the same bytes.
"""

import json
from collections import Counter
from hashlib import sha256
from pathlib import Path
from typing import Any, NamedTuple

from atp.errors import FatalError
from sinks.durable import write_file, write_folder
from sinks.erp_format import FIRST, SCHEMA, Batch, Cut, Format, Previous, Span, cut_of, handed_on, read_rows

_BATCH = "batch-"


class Origin(NamedTuple):
    """Where a folder's batches come from; never changes."""

    topic: str
    topic_id: str
    form: Format


class ErpFolder:
    """The folder as it lies on disk; the caller holds its lock."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def adopt(self, origin: Origin) -> None:
        """Record the origin of a new folder. Raises: FatalError where the folder has another."""
        known = self.origin()
        if known is None:
            if self.cuts():
                raise FatalError(f"{self._sink} is missing from a folder with batches. Name another folder with --out")
            content = {"schema": SCHEMA, "topic": origin.topic, "topic_id": origin.topic_id, "format": origin.form}
            write_file(self._sink, (json.dumps(content, indent=2) + "\n").encode())
        elif known.form != origin.form:
            raise FatalError(f"{self.path} holds {known.form} batches. Go on with --format {known.form}")
        elif known != origin:
            raise FatalError(
                f"{self.path} holds batches of another topic ({known.topic}, id {known.topic_id}), whose offsets mean "
                f"nothing in {origin.topic} (id {origin.topic_id}). Name another folder with --out"
            )

    def origin(self) -> Origin | None:
        """Return where the batches come from, None for a folder that is new. Raises: FatalError."""
        if not self._sink.exists():
            return None
        fields = _read(self._sink)
        return Origin(str(fields.get("topic")), str(fields.get("topic_id")), fields.get("format", "ndjson"))

    def cuts(self) -> list[Cut]:
        """Return every cut, gapless from 1. Raises: FatalError where one is missing."""
        found = {cut.batch_id: cut for cut in (cut_of(_read(path)) for path in self._manifests())}
        for path in self._cuts.glob("*.json"):
            cut = cut_of(_read(path))
            if found.setdefault(cut.batch_id, cut) != cut:
                raise FatalError(f"{path} and the manifest of its batch differ. Look with: atp erp-batches --check DIR")
        for number in range(1, len(found) + 1):
            if number not in found:
                raise FatalError(
                    f"neither cut nor manifest of batch {number} is in {self.path}, though later ones are. "
                    "Restore it from a copy, or start over in another folder with --out"
                )
        return [found[number] for number in range(1, len(found) + 1)]

    def keep_cut(self, cut: Cut) -> None:
        """Write a cut durably: from now on its batch has this extent, whatever happens."""
        self._cuts.mkdir(exist_ok=True)
        write_file(self._cuts / f"{cut.batch_id:06d}.json", (json.dumps(cut.as_json()) + "\n").encode())

    def complete(self, batch_id: int) -> Previous | None:
        """Return what a batch hands on if manifest and data are there with their sizes, else None."""
        content = self._manifest_bytes(batch_id)
        if content is None:
            return None
        manifest = json.loads(content)
        data = self.batch(batch_id) / manifest["data"]
        if not data.exists() or data.stat().st_size != manifest["bytes"]:
            return None
        return handed_on(manifest, content)

    def write(self, batch: Batch) -> None:
        """Write a batch: the folder whole, or the files that are missing from it.

        Raises: FatalError where a manifest is there already and says something else.
        """
        batch_id = batch.manifest["batch_id"]
        path = self.batch(batch_id)
        data = batch.manifest["data"]
        known = self._manifest_bytes(batch_id)
        if known is not None and known != batch.manifest_bytes:
            raise FatalError(
                f"{path / 'manifest.json'} says something else than its lines in the topic do. Keep both and look: "
                f"atp erp-batches --check {self.path}"
            )
        if path.exists():
            write_file(path / data, batch.data)
            write_file(path / "manifest.json", batch.manifest_bytes)
        else:
            write_folder(path, {data: batch.data, "manifest.json": batch.manifest_bytes})

    def batch(self, batch_id: int) -> Path:
        """Return the folder of a batch."""
        return self.path / f"{_BATCH}{batch_id:06d}"

    @property
    def _sink(self) -> Path:
        return self.path / "sink.json"

    @property
    def _cuts(self) -> Path:
        return self.path / "cuts"

    def _manifests(self) -> list[Path]:
        return sorted(self.path.glob(f"{_BATCH}*/manifest.json"))

    def _manifest_bytes(self, batch_id: int) -> bytes | None:
        try:
            return (self.batch(batch_id) / "manifest.json").read_bytes()
        except FileNotFoundError:
            return None


class Checked(NamedTuple):
    """What a check of a folder found."""

    batches: int
    lines: int
    quantity_by_type: dict[str, int]
    problems: list[str]


def check(path: Path) -> Checked:
    """Read everything again: numbers, chain, digests, totals, balance, keys. Raises: FatalError on another folder."""
    folder = ErpFolder(path)
    if folder.origin() is None:
        raise FatalError(f"{path} is no folder of ERP batches. Write one with: atp erp-batches --out {path}")
    problems: list[str] = []
    totals: Counter[str] = Counter()
    keys: dict[str, int] = {}
    spans: dict[int, Span] = {}
    previous, lines = FIRST, 0
    cuts = folder.cuts()
    for cut in cuts:
        where = folder.batch(cut.batch_id).name
        for partition, span in cut.spans.items():
            before = spans.get(partition)
            if before is not None and span.first != before.through + 1:
                problems.append(f"{where}: partition {partition} starts at {span.first}, not {before.through + 1}")
        spans.update(cut.spans)
        content = folder._manifest_bytes(cut.batch_id)  # noqa: SLF001  (the same module)
        if content is None:
            problems.append(f"{where}: no manifest; run atp erp-batches --out {path} to make it again")
            previous = previous._replace(batch_id=cut.batch_id, digest=None, manifest_digest=None)
            continue
        manifest = json.loads(content)
        problems += [f"{where}: {what}" for what in _chained(manifest, previous)]
        try:
            data = (folder.batch(cut.batch_id) / manifest["data"]).read_bytes()
            found, rows = _counted(manifest, data)
        except OSError:
            problems.append(f"{where}: no data; run atp erp-batches --out {path} to make it again")
        except (ValueError, KeyError, TypeError) as error:
            problems.append(f"{where}: data that cannot be read: {error}")
        else:
            problems += [f"{where}: {what}" for what in found]
            for row in rows:
                totals[row["document_type"]] += row["quantity"]
                first = keys.setdefault(row["posting_key"], cut.batch_id)
                if first != cut.batch_id:
                    problems.append(f"{where}: posting key {row['posting_key']} was in batch {first} already")
            lines += len(rows)
        previous = handed_on(manifest, content)
    return Checked(len(cuts), lines, dict(sorted(totals.items())), problems)


def _chained(manifest: dict[str, Any], previous: Previous) -> list[str]:
    expected = {
        "previous_batch_id": previous.batch_id,
        "previous_digest": previous.digest,
        "previous_manifest_digest": previous.manifest_digest,
    }
    return [
        f"{name} is {manifest[name]}, expected {value}" for name, value in expected.items() if manifest[name] != value
    ]


def _counted(manifest: dict[str, Any], data: bytes) -> tuple[list[str], list[dict[str, Any]]]:
    problems = []
    if sha256(data).hexdigest() != manifest["digest"]:
        problems.append(f"{manifest['data']} was changed: its digest is not the manifest's")
    rows = read_rows(data, "csv" if manifest["data"].endswith(".csv") else "ndjson")
    by_type: Counter[str] = Counter()
    for row in rows:
        by_type[row["document_type"]] += row["quantity"]
        if sum(leg["quantity"] for leg in row["legs"]):
            problems.append(f"posting key {row['posting_key']} does not balance")
    found = {
        "lines": len(rows),
        "docs": len({row["document"] for row in rows}),
        "quantity_by_type": dict(sorted(by_type.items())),
        "absolute_quantity": sum(abs(row["quantity"]) for row in rows),
    }
    problems += [
        f"{name} is {value}, the manifest says {manifest[name]}"
        for name, value in found.items()
        if value != manifest[name]
    ]
    if len({row["posting_key"] for row in rows}) != len(rows):
        problems.append("a posting key stands in it twice")
    return problems, rows


def _read(path: Path) -> dict[str, Any]:
    try:
        fields: dict[str, Any] = json.loads(path.read_bytes())
    except (OSError, ValueError) as error:
        raise FatalError(
            f"{path} cannot be read ({error}). Restore it from a copy, or start over with --out"
        ) from error
    return fields
