"""A batch of posting lines as bytes: the data file and its manifest. The same lines give the same bytes.

Source: docs/domain.md section 9, docs/outputs.md.
"""

import csv
import io
import json
from collections import Counter
from collections.abc import Sequence
from hashlib import sha256
from typing import Any, Literal, NamedTuple

from atp.effects import ErpLine
from atp.errors import FatalError
from avro_schemas.instants import instant

SCHEMA = "erp-batch/1"
Format = Literal["ndjson", "csv"]

COLUMNS = (
    "posting_key",
    "document",
    "document_type",
    "sku",
    "location",
    "business_date",
    "quantity",
    "legs",
    "reason",
    "event_key",
    "event_time",
    "version",
    "reverses",
    "partition",
    "offset",
)


class Posted(NamedTuple):
    """A posting line and where it lies in the topic."""

    partition: int
    offset: int
    timestamp_ms: int
    """The broker's time of the record."""
    line: ErpLine | None
    """None for a record that is no posting line: somebody else wrote it."""


class Span(NamedTuple):
    """Offsets of one partition, both ends included; `through` is `first - 1` where there are none."""

    first: int
    through: int


class Cut(NamedTuple):
    """What a batch holds, decided and written before its data."""

    batch_id: int
    spans: dict[int, Span]

    def as_json(self) -> dict[str, Any]:
        return {
            "batch_id": self.batch_id,
            "offsets": {str(p): {"from": s.first, "through": s.through} for p, s in sorted(self.spans.items())},
        }


def cut_of(fields: dict[str, Any]) -> Cut:
    """Read a cut from its own file or from a manifest."""
    spans = {int(p): Span(span["from"], span["through"]) for p, span in fields["offsets"].items()}
    return Cut(int(fields["batch_id"]), spans)


class Previous(NamedTuple):
    """What the batch before hands on: the chain that a batch extends."""

    batch_id: int | None
    digest: str | None
    manifest_digest: str | None
    created_at: str | None


FIRST = Previous(None, None, None, None)


class Batch(NamedTuple):
    """A batch as it will lie on disk."""

    manifest: dict[str, Any]
    manifest_bytes: bytes
    data: bytes

    @property
    def hands_on(self) -> Previous:
        return handed_on(self.manifest, self.manifest_bytes)


def handed_on(manifest: dict[str, Any], manifest_bytes: bytes) -> Previous:
    """Return what the next batch needs to know of this one."""
    return Previous(
        manifest["batch_id"], manifest["digest"], sha256(manifest_bytes).hexdigest(), manifest["created_at"]
    )


def build(cut: Cut, lines: Sequence[Posted], previous: Previous, *, form: Format, topic: str) -> Batch:
    """Build a batch from the lines of its cut. Raises: FatalError on two different lines under one posting key."""
    numbers: dict[tuple[str, ...], int] = {}
    seen: dict[str, ErpLine] = {}
    by_type: Counter[str] = Counter()
    rows = []
    foreign = []
    for posted in sorted(lines, key=lambda one: one[:2]):
        line = posted.line
        if line is None:
            foreign.append({"partition": posted.partition, "offset": posted.offset})
            continue
        known = seen.setdefault(line.posting_key, line)
        if known is not line:
            if known != line:
                raise FatalError(
                    f"two different lines under posting key {line.posting_key}, the second at {topic} partition "
                    f"{posted.partition} offset {posted.offset}; an ERP must get neither. Compare with: atp verify"
                )
            continue
        group = (line.location, line.business_date, line.document_type, line.reason, counter_account(line))
        number = numbers.setdefault(group, len(numbers) + 1)
        by_type[line.document_type] += line.quantity
        rows.append(_row(posted, line, f"{cut.batch_id:06d}-{number:04d}"))
    data = _ndjson(rows) if form == "ndjson" else _csv(rows)
    latest = max((posted.timestamp_ms for posted in lines), default=None)
    manifest = {
        "schema": SCHEMA,
        **cut.as_json(),
        "topic": topic,
        "previous_batch_id": previous.batch_id,
        "previous_digest": previous.digest,
        "previous_manifest_digest": previous.manifest_digest,
        "data": f"data.{form}",
        "bytes": len(data),
        "digest": sha256(data).hexdigest(),
        "lines": len(rows),
        "docs": len(numbers),
        "duplicates": len(lines) - len(rows) - len(foreign),
        "foreign": foreign,
        "quantity_by_type": dict(sorted(by_type.items())),
        "absolute_quantity": sum(abs(row["quantity"]) for row in rows),
        "created_at": previous.created_at if latest is None else instant(latest * 1000),
    }
    return Batch(manifest, manifest_bytes(manifest), data)


def manifest_bytes(manifest: dict[str, Any]) -> bytes:
    return (json.dumps(manifest, indent=2, ensure_ascii=False) + "\n").encode()


def counter_account(line: ErpLine) -> str:
    """The account on the other side of the stock: a boundary, TRANSIT, or nothing for a move between buckets."""
    for leg in line.legs:
        words = leg.account.split("|")
        if len(words) != 2:
            return "TRANSIT" if len(words) > 2 else leg.account
    return ""


def read_rows(data: bytes, form: Format) -> list[dict[str, Any]]:
    """Read a data file back: quantities and legs as numbers. Raises: ValueError, KeyError on what is none."""
    if form == "ndjson":
        # Not `splitlines`: names may hold characters that end lines for Unicode and not for NDJSON.
        return [json.loads(text) for text in data.decode().split("\n") if text]
    return [
        {**row, "quantity": int(row["quantity"]), "legs": json.loads(row["legs"])}
        for row in csv.DictReader(io.StringIO(data.decode(), newline=""))
    ]


def _row(posted: Posted, line: ErpLine, document: str) -> dict[str, Any]:
    return {
        "posting_key": line.posting_key,
        "document": document,
        "document_type": line.document_type,
        "sku": line.sku,
        "location": line.location,
        "business_date": line.business_date,
        "quantity": line.quantity,
        "legs": [{"account": leg.account, "quantity": leg.quantity} for leg in line.legs],
        "reason": line.reason,
        "event_key": line.event_key,
        "event_time": instant(line.event_time),
        "version": line.version,
        "reverses": line.reverses,
        "partition": posted.partition,
        "offset": posted.offset,
    }


def _ndjson(rows: Sequence[dict[str, Any]]) -> bytes:
    return "".join(json.dumps(row, ensure_ascii=False, separators=(",", ":")) + "\n" for row in rows).encode()


def _csv(rows: Sequence[dict[str, Any]]) -> bytes:
    out = io.StringIO()
    writer = csv.DictWriter(out, COLUMNS, lineterminator="\n")
    writer.writeheader()
    for row in rows:
        writer.writerow({**row, "legs": json.dumps(row["legs"], ensure_ascii=False, separators=(",", ":"))})
    return out.getvalue().encode()
