"""All rows that concern one SKU, as they were committed: what questions beyond `atp show` are answered from.

Beside the SKU's own rows these are its timers, its evidence (the events of the window: without them a fold over
the rows would take a duplicate for news), and what is of no SKU: the partition's clock, policies, masters, feeds.
"""

from base64 import b64decode, b64encode
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from string import ascii_letters
from typing import Any

from confluent_kafka import OFFSET_BEGINNING

from atp.book import TIMED, sku_of
from avro_schemas import codec
from sinks.committed import CommittedReader
from sinks.cut import read_cut
from streams.broker import resolve_brokers
from streams.checkpoint import batch_number, decode_marker
from streams.memory import MemoryRows
from streams.reader import MARKER, Progress, ask_worker, home_of, normal
from streams.settings import Settings
from streams.topics_admin import topic_name
from topologies.topics import CHANGELOG, EVIDENCE

TAKE = 20_000


@dataclass(frozen=True, slots=True)
class SkuRows:
    """The rows, and where they were found."""

    rows: MemoryRows
    partition: int
    position: int
    """The offset of the ledger up to which they have heard."""
    epoch: int
    source: dict[str, Any]
    """`source` (worker, changelog or ledger), and what else says where that is."""


def exact_keys(sku: str) -> list[str]:
    """The rows that stand alone: `letter|sku`, whatever the letter."""
    return [f"{letter}|{sku}" for letter in ascii_letters]


def prefixes(sku: str) -> list[str]:
    """The rows that there may be many of: of the SKU, of none, of the partition, and all timers."""
    own = [f"{letter}|{one}|" for letter in ascii_letters for one in (sku, "") if letter not in f"g{TIMED}"]
    return ["g|", *own, *(f"{letter}|" for letter in TIMED)]


def concerns(key: str, sku: str) -> bool:
    """Say whether a row concerns the SKU: its own, one of no SKU, or one of the partition as a whole."""
    return sku_of(key) in ("", sku)


def as_json(raw: Mapping[bytes, bytes], partition: int, marker: bytes | None) -> dict[str, Any]:
    """Shape rows for a worker's answer to `/rows/<sku>`."""
    known = None if marker is None else decode_marker(marker)
    return {
        "partition": partition,
        "position": 0 if known is None else known.position,
        "epoch": 0 if known is None else known.epoch,
        "rows": {key.decode(): b64encode(value).decode() for key, value in raw.items()},
    }


def read_sku_rows(settings: Settings, sku: str, progress: Progress) -> SkuRows:
    """Return the rows of a SKU, from the worker that owns it, else from the changelogs. Raises: FatalError."""
    sku = normal(sku)
    found = ask_worker(settings, sku, "rows")
    if found is None:
        return _from_changelogs(settings, sku, progress)
    raw = {key.encode(): b64decode(value) for key, value in found["rows"].items()}
    source = {"source": "worker", "worker": found["worker"]}
    return SkuRows(_decoded(raw), found["partition"], found["position"], found["epoch"], source)


def _from_changelogs(settings: Settings, sku: str, progress: Progress) -> SkuRows:
    brokers = resolve_brokers(settings)
    done, total = 0, 0

    def advance(records: int) -> None:
        nonlocal done
        done += records
        progress(min(done, total), total)

    def wanted(key: bytes) -> bool:
        return concerns(key.decode(), sku)

    reader = CommittedReader(brokers, topic_name(settings, CHANGELOG))
    events = CommittedReader(brokers, topic_name(settings, EVIDENCE))
    try:
        partition = home_of(sku, reader, settings)
        low, high = reader.bounds(partition)
        first, last = events.bounds(partition)
        total = high - low + last - first
        cut = read_cut(reader, partition, high, MARKER, advance, wanted)
        batch = -1 if cut.marker is None else cut.marker["batch"]
        raw = cut.rows | _evidence(events, partition, batch, wanted, advance)
    finally:
        reader.close()
        events.close()
    position, epoch = (0, 0) if cut.marker is None else (cut.marker["position"], cut.marker["epoch"])
    return SkuRows(_decoded(raw), partition, position, epoch, {"source": "changelog"})


def _evidence(
    reader: CommittedReader,
    partition: int,
    batch: int,
    wanted: Callable[[bytes], bool],
    advance: Callable[[int], None],
) -> dict[bytes, bytes]:
    """Read the evidence as the marker's batch left it: what later batches wrote is passed over.

    A row that a later batch replaced stays readable for the topic's `min.compaction.lag.ms`.
    """
    raw: dict[bytes, bytes] = {}
    reader.assign({partition: OFFSET_BEGINNING})
    _, end = reader.bounds(partition)
    reached = end == 0
    while not reached:
        messages = reader.take(TAKE, 0.2)
        advance(len(messages))
        for message in messages:
            at: Any = message.offset()
            if at >= end:
                reached = True
                break
            key, value = message.key(), message.value()
            if not isinstance(key, bytes) or not wanted(key) or (batch_number(message) or 0) > batch:
                continue
            if isinstance(value, bytes):
                raw[key] = value
            else:
                raw.pop(key, None)
        reached = reached or reader.caught_up
    return raw


def _decoded(raw: Mapping[bytes, bytes]) -> MemoryRows:
    rows = MemoryRows()
    for name in sorted(raw):
        key = name.decode()
        rows.put(key, codec.decode_row(key, raw[name]))
    return rows
