"""What is known of a SKU, from whoever knows: the worker that owns it, else the changelog."""

import json
import unicodedata
from collections.abc import Callable, Iterator, Mapping
from dataclasses import asdict
from http import HTTPStatus
from time import sleep
from typing import Any
from urllib.error import HTTPError, URLError
from urllib.parse import quote
from urllib.request import urlopen

from atp.book import Row
from atp.errors import FatalError
from avro_schemas import codec
from sinks.committed import CommittedReader
from sinks.cut import MarkerFormat, read_cut
from streams.answer import ALONE, MANY, Answer, answer
from streams.broker import resolve_brokers
from streams.checkpoint import MARKER_KEY, decode_marker
from streams.settings import Settings
from streams.slot import addresses
from streams.topics_admin import refuse_other_count, topic_name
from topologies.partitioning import partition_of
from topologies.topics import CHANGELOG, Topic

ASK_S = 5.0
"""How long a worker of this machine may take for an answer; it needs milliseconds."""
HANDED_OVER_TRIES = 10
HANDED_OVER_WAIT_S = 0.3
"""A partition that changes hands is asked for again for 3 s: a handover takes about one."""


def _whole(value: bytes) -> dict[str, Any]:
    marker = decode_marker(value)
    if marker.rebuilding:
        raise FatalError("the state is half rebuilt. Finish it with: atp rebuild --from-logs")
    return {name: value for name, value in asdict(marker).items() if name != "rebuilding"}


MARKER = MarkerFormat(MARKER_KEY, _whole)
"""How the workers of the inventory topology mark where they stand."""

Progress = Callable[[int, int], None]
"""Hears (records read, records that there are), about."""


class MappingRows:
    """`Rows` over a mapping."""

    def __init__(self, rows: Mapping[str, Row]) -> None:
        self._rows = rows

    def get(self, key: str) -> Row | None:
        """Return the row, None where there is none."""
        return self._rows.get(key)

    def scan(self, prefix: str) -> Iterator[tuple[str, Row]]:
        """Yield the rows whose key starts with `prefix`, in the order of the keys' UTF-8 bytes."""
        for key in sorted((key for key in self._rows if key.startswith(prefix)), key=str.encode):
            yield key, self._rows[key]


def look_up(settings: Settings, sku: str, progress: Progress) -> Answer:
    """Return what `streams.answer` says of a SKU, with `source` (worker or changelog), `partition` and `position`.

    `position` is the offset of the ledger up to which the answer has heard. Raises: FatalError where no worker runs
    and the brokers do not answer.
    """
    sku = normal(sku)
    return ask_worker(settings, sku) or read_changelog(settings, sku, progress)


def normal(sku: str) -> str:
    """Return a SKU as the edges write it."""
    return unicodedata.normalize("NFC", sku)


def ask_worker(settings: Settings, sku: str, what: str = "sku") -> Answer | None:
    """Return what the worker of this home that owns the SKU answers to `/<what>/<sku>`, None where there is none."""
    for _ in range(HANDED_OVER_TRIES):
        moving = False
        for address in addresses(settings):
            if address.topic_prefix != settings.topic_prefix or settings.brokers not in (None, address.brokers):
                continue  # It works for another installation than the one that was named.
            status, found = _get(f"{address.url}/{what}/{quote(sku, safe='')}")
            if status == HTTPStatus.OK:
                return {"source": "worker", "worker": address.url, **found}
            moving = moving or status == HTTPStatus.SERVICE_UNAVAILABLE
        if not moving:
            break
        sleep(HANDED_OVER_WAIT_S)
    return None


def read_changelog(settings: Settings, sku: str, progress: Progress) -> Answer:
    """Return what the changelog says at the last marker of the SKU's partition. Raises: FatalError."""
    exact = tuple(f"{kind}|{sku}".encode() for kind in ALONE)
    begins = (*(f"{kind}|{sku}|".encode() for kind in MANY), b"g|")
    partition, rows, marker = committed_rows(
        settings, CHANGELOG, sku, lambda key: key.startswith(begins) or key in exact, progress
    )
    position = 0 if marker is None else marker["position"]
    return {"source": "changelog", **answer(rows, sku), "partition": partition, "position": position}


def committed_rows(
    settings: Settings, changelog: Topic, sku: str, wanted: Callable[[bytes], bool], progress: Progress
) -> tuple[int, MappingRows, Mapping[str, Any] | None]:
    """Return a SKU's partition, its wanted rows as of the last marker there, and that marker. Raises: FatalError."""
    reader = CommittedReader(resolve_brokers(settings), topic_name(settings, changelog))
    try:
        partition = home_of(sku, reader, settings)
        low, high = reader.bounds(partition)
        done = 0

        def advance(records: int) -> None:
            nonlocal done
            done += records
            progress(done, high - low)

        cut = read_cut(reader, partition, high, MARKER, advance, wanted)
    finally:
        reader.close()
    rows = {raw.decode(): codec.decode_row(raw.decode(), content) for raw, content in cut.rows.items()}
    return partition, MappingRows(rows), cut.marker


def home_of(sku: str, reader: CommittedReader, settings: Settings) -> int:
    """Return the partition that a SKU lies in. Raises: FatalError where another count of them is set."""
    refuse_other_count(reader.topic, len(reader.partitions), settings)
    return partition_of(sku.encode(), settings.partitions)


def _get(url: str) -> tuple[int, Any]:
    """Return status and body of a worker's answer; status 0 where it does not answer."""
    try:
        with urlopen(url, timeout=ASK_S) as response:  # noqa: S310  (an address that a worker of ours wrote down)
            return response.status, json.load(response)
    except HTTPError as error:
        error.close()
        return error.code, None
    except (URLError, OSError, ValueError):
        return 0, None
