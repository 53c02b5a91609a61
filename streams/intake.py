"""Records of the inbound topics, into lines of the ledger and dead letters. Pure of Kafka.

A value is a line or a document of the public JSON form in UTF-8, or a canonical line in Avro. A document goes
whole or not at all: half a ticket would be worse than a refused one.
"""

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from typing import NamedTuple

from atp.effects import DeadLetter
from atp.errors import PoisonError
from atp.events import Event
from atp.intake import Units
from avro_schemas import codec
from avro_schemas.public_json import parse_line
from avro_schemas.schemas import MAGIC
from streams.dead_letter import HEADERS_MAX, RECORD_MAX, Headers, dead_letter
from topologies.intake import Inbound

JSON_OPENS = b"{ \t\r\n\xef"
"""How the public JSON form may begin, the byte order mark of some programs included."""


class Received(NamedTuple):
    """A record of an inbound topic."""

    partition: int
    offset: int
    timestamp_ms: int
    key: bytes | None
    value: bytes | None
    headers: Headers | None


class LedgerLine(NamedTuple):
    """A line of the ledger; an empty key is an event without a SKU, for every partition."""

    key: bytes
    value: bytes


@dataclass(frozen=True, slots=True)
class Taken:
    """What became of a batch."""

    lines: list[LedgerLine]
    letters: list[DeadLetter]
    counts: Counter[tuple[str, str]]
    """Lines by (type, `taken`), and records by (`unknown`, cause) where they were refused."""
    heard: list[tuple[str, int]]
    """(source, number) of the messages that were taken and are numbered, in their order."""


def intake_batch(inbound: Inbound, topic: str, records: Iterable[Received], units: Units) -> Taken:
    """Turn records into lines; `topic` is the inbound topic as the brokers name it.

    Raises: nothing that data can cause.
    """
    taken = Taken([], [], Counter(), [])
    for record in records:
        try:
            events = _events(inbound, record, units)
        except PoisonError as error:
            taken.counts["unknown", error.cause] += 1
            taken.letters.append(_letter(topic, record, error))
            continue
        for event in events:
            taken.counts[type(event).__name__, "taken"] += 1
            taken.lines.append(LedgerLine(event.sku.encode(), codec.encode(event)))
            if event.source_seq is not None:
                taken.heard.append((event.source, event.source_seq))
    return taken


def _events(inbound: Inbound, record: Received, units: Units) -> list[Event]:
    value = record.value
    if value is None:
        raise PoisonError("undecodable", "the record has no value")
    if len(value) > RECORD_MAX:
        raise PoisonError("oversized", f"{len(value)} bytes, over {RECORD_MAX}")
    if record.headers and len(record.headers) > HEADERS_MAX:
        raise PoisonError("oversized", f"{len(record.headers)} headers, over {HEADERS_MAX}")
    if value.startswith(MAGIC) or value[:1] not in JSON_OPENS:
        events = [codec.decode_event(value)]
    else:
        events = parse_line(value, units)
    for event in events:
        if not inbound.admits(event):
            raise PoisonError("not_admitted", f"{type(event).__name__} may not come by {inbound.topic.name}")
    return events


def _letter(topic: str, record: Received, error: PoisonError) -> DeadLetter:
    return dead_letter(
        error.cause,
        error.detail,
        topic=topic,
        partition=record.partition,
        offset=record.offset,
        timestamp_ms=record.timestamp_ms,
        key=record.key,
        value=record.value,
        headers=record.headers,
    )
