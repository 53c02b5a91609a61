"""A partition's rows from its changelogs: in bulk, to their very end, from where the local store left off."""

import contextlib
import logging
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from confluent_kafka import OFFSET_BEGINNING, Consumer, KafkaError, Message, TopicPartition
from rocksdict import WriteBatch

from atp.errors import FatalError
from streams.checkpoint import MARKER_KEY, Marker, batch_number, decode_marker
from streams.kafka_log import KAFKA
from streams.table import DamagedError, Reflects, Shared, Table, destroy, now
from topologies.topics import DAY_MS

CHUNK = 10_000
"""Records that one write to the store takes at most: 2 MB of rows."""
SILENCE_S = 60.0
"""A restore that hears nothing for this long is over: whoever runs the worker starts it again."""
STORE_AGE_MAX_S = 3.5 * DAY_MS / 1000
"""Half of the changelog's `delete.retention.ms`: an older store may have missed tombstones that are gone by now."""

log = logging.getLogger(__name__)


class TornError(FatalError):
    """The changelog holds rows of a transaction without its marker."""


class GoneError(FatalError):
    """The changelog does not reach back to where the local store left off."""


@dataclass(frozen=True, slots=True)
class Changelogs:
    """The topics, as the brokers name them, and the ids of ledger, changelog and evidence."""

    changelog: str
    evidence: str
    ids: list[str]


@dataclass(frozen=True, slots=True)
class Restored:
    """A table that reflects its changelogs to their ends."""

    table: Table
    marker: Marker | None
    rows: int
    """Rows read, tombstones too."""
    seconds: float


def restore(
    brokers: str,
    changelogs: Changelogs,
    partition: int,
    folder: Path,
    shared: Shared,
    progress: Callable[[int], None],
) -> Restored:
    """Open the local store, or a new one where that is of no use, and read on to the end. Raises: FatalError.

    To be called once no other owner can write: after `init_transactions`. `progress` hears of rows as they come.
    """
    began = time.monotonic()
    table = _usable(folder, shared, changelogs.ids)
    with reader(brokers, f"restore-{partition}") as consumer:
        try:
            rows = _read(consumer, changelogs, partition, table, progress)
        except (GoneError, DamagedError) as error:
            log.warning("store dropped folder=%s reason=%s", folder, error)
            table.delete()
            table = Table(folder, shared)
            rows = _read(consumer, changelogs, partition, table, progress)
    marker = None if table.marker is None else decode_marker(table.marker)
    return Restored(table, marker, rows, time.monotonic() - began)


@contextlib.contextmanager
def reader(brokers: str, name: str) -> Iterator[Consumer]:
    """Yield a consumer of committed records that belongs to no group's work and tells of ends."""
    consumer = Consumer(
        {
            "bootstrap.servers": brokers,
            "client.id": name,
            "group.id": "atp-readers",  # The client asks for one; it is never joined and nothing is committed.
            "isolation.level": "read_committed",
            "auto.offset.reset": "error",
            "enable.auto.commit": False,
            "enable.auto.offset.store": False,
            "enable.partition.eof": True,
            "fetch.queue.backoff.ms": 5,
            "fetch.wait.max.ms": 10,  # The end of a partition is told by an answer without records: soon, please.
            "fetch.error.backoff.ms": 50,
            "fetch.message.max.bytes": 8 * 1024 * 1024,
        },
        logger=KAFKA,
    )
    try:
        yield consumer
    finally:
        consumer.close()


def to_end(consumer: Consumer, starts: list[TopicPartition]) -> Iterator[list[Message]]:
    """Yield committed records in chunks until every partition's end. Raises: GoneError, FatalError."""
    open_ = {(start.topic, start.partition) for start in starts}
    consumer.assign(starts)
    heard = time.monotonic()
    while open_:
        first = consumer.poll(0.1)
        if first is None:
            if time.monotonic() - heard > SILENCE_S:
                raise FatalError(f"nothing came from {sorted(open_)} for {SILENCE_S:.0f} s. See: atp status")
            continue
        heard = time.monotonic()
        records = []
        for message in [first, *consumer.consume(CHUNK - 1, 0)]:
            error = message.error()
            if error is None:
                records.append(message)
            elif error.code() == KafkaError._PARTITION_EOF:  # noqa: SLF001  (so it is spelled)
                open_.discard((str(message.topic()), int(message.partition() or 0)))
            elif error.code() in (KafkaError._AUTO_OFFSET_RESET, KafkaError.OFFSET_OUT_OF_RANGE):  # noqa: SLF001
                raise GoneError(f"{message.topic()} partition {message.partition()}: {error.str()}")
            elif not error.retriable():
                raise FatalError(f"cannot read {message.topic()}: {error}. See: atp status")
        if records:
            yield records
    consumer.unassign()


def is_empty(brokers: str, topic: str, partition: int) -> bool:
    """Say whether a partition holds no committed record."""
    with reader(brokers, f"look-{partition}") as consumer:
        return next(to_end(consumer, [TopicPartition(topic, partition, OFFSET_BEGINNING)]), None) is None


def _usable(folder: Path, shared: Shared, ids: list[str]) -> Table:
    try:
        table = Table(folder, shared)
    except DamagedError as error:
        log.warning("store dropped folder=%s reason=%s", folder, error)
        destroy(folder)
        return Table(folder, shared)
    reflects = table.reflects
    if reflects is None:
        reason = "" if table.marker is None else "it does not say what it reflects"
    elif reflects.ids != ids:
        reason = "its topics were made anew"
    elif now() - reflects.at > STORE_AGE_MAX_S:
        reason = "older than deletions are kept"
    else:
        reason = ""
    if not reason:
        return table
    log.warning("store dropped folder=%s reason=%s", folder, reason)
    table.delete()
    return Table(folder, shared)


def _read(
    consumer: Consumer, changelogs: Changelogs, partition: int, table: Table, progress: Callable[[int], None]
) -> int:
    reflects = table.reflects
    ends = {
        changelogs.changelog: OFFSET_BEGINNING if reflects is None else reflects.changelog,
        changelogs.evidence: OFFSET_BEGINNING if reflects is None else reflects.evidence,
    }
    for topic, start in ends.items():
        _, end = consumer.get_watermark_offsets(TopicPartition(topic, partition), timeout=SILENCE_S)
        if start > end:
            raise GoneError(f"{topic} partition {partition} ends at {end}, the store reflects {start}")
    newest = -1
    rows = 0
    starts = [TopicPartition(topic, partition, start) for topic, start in ends.items()]
    for records in to_end(consumer, starts):
        batch = WriteBatch(raw_mode=True)
        for record in records:
            key, value = record.key(), record.value()
            number = batch_number(record)
            if number is not None and number > newest:
                newest = number
            if key == MARKER_KEY:
                table.marker = value
            elif key is not None and value is None:
                batch.delete(key)
            elif key is not None:
                batch.put(key, value)
            ends[str(record.topic())] = int(record.offset() or 0) + 1
        rows += len(records)
        progress(len(records))
        # Before the end the marker may be behind the rows: then the store says nothing of what it reflects, so
        # that a restore which is interrupted starts anew and never takes half a changelog for a whole one.
        table.put(batch, None)
    known = -1 if table.marker is None else decode_marker(table.marker).batch
    if newest > known:
        table.delete()
        if known < 0:
            raise TornError(
                f"the state of partition {partition} is gone: {changelogs.changelog} and {changelogs.evidence} hold "
                f"rows of batch {newest} and no marker. The ledger still holds every event. "
                "Stop the workers, then: atp rebuild --from-logs"
            )
        raise TornError(
            f"partition {partition} of {changelogs.changelog} holds rows of batch {newest}, its marker is of batch "
            f"{known}: a transaction was torn. The ledger still holds every event. "
            f"Stop the workers, then: atp rebuild --from-logs --partition {partition}"
        )
    if table.marker is not None:
        table.put(
            WriteBatch(raw_mode=True),
            Reflects(max(0, ends[changelogs.changelog]), max(0, ends[changelogs.evidence]), changelogs.ids, now()),
        )
    return rows
