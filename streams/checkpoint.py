"""The step that makes folded input durable: one Kafka transaction per batch of a partition.

1. begin;
2. produce the changed rows, each under a header with the batch's number;
3. produce the effects;
4. produce the marker, last of all: the next position of the ledger and the batch's number;
5. commit: rows, effects and position become visible together, or not at all.

Everything goes to one partition of its topic: the ledger's, whatever the key; but what kits are told, which goes to
the kit's. Only Kafka can fail between 1 and 5. What librdkafka calls retriable is retried by the same call for 60 s;
anything else ends the worker, and the next owner of the partition finds what was committed. Nothing is aborted or
rolled back.
"""

import json
import logging
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Protocol

from confluent_kafka import KafkaError, KafkaException, Message, Producer

from atp.errors import FatalError
from streams.batch import RowOut
from streams.kafka_log import KAFKA
from topologies.partitioning import place_of
from topologies.topics import Topic
from topologies.topology import Topology

MARKER_KEY = b"!marker"
"""Key of the marker in the changelog; `!` sorts before every row's key and starts none."""
BATCH_HEADER = "batch"
"""Header of every row and marker: the number of the batch that wrote it, in decimal digits."""
PATIENCE_S = 60.0
"""How long a broker that is away is waited for: `transaction.timeout.ms`, after which the broker itself aborts."""
_FORMAT = 1

Header = list[tuple[str, str | bytes | None]]

log = logging.getLogger(__name__)


class FencedError(FatalError):
    """Another owner of the partition has taken over, or the transaction timed out, which reads the same."""


@dataclass(frozen=True, slots=True)
class Marker:
    """Where a partition stands: the last record of each of its transactions."""

    position: int
    """Offset of the first record of the ledger that is not in the state."""
    batch: int
    """Number of the batch, from 1; rises by one with each commit."""
    epoch: int
    """Of the published versions; rises by a rebuild only."""
    partitions: int
    """How many there were."""
    ledger: str
    """Topic ids: a topic that was deleted and made again has another."""
    changelog: str
    evidence: str
    rebuilding: tuple[int, ...] = ()
    """The partitions of a rebuild that began to write here and did not end: until it has, the rows are no state."""
    epochs: tuple[tuple[int, int], ...] = ()
    """Every epoch but the first, with the first offset that was folded under it: what channels said is of its time."""


class Commit(Protocol):
    """What a transaction holds beside its marker: a sealed batch, or a piece of a rebuild."""

    @property
    def rows(self) -> Sequence[RowOut]: ...
    @property
    def effects(self) -> Sequence[tuple[Topic, bytes, bytes | None]]: ...


def encode_marker(marker: Marker) -> bytes:
    """Return the marker as JSON in UTF-8."""
    # Versions that know of no rebuild read a marker without these, and must not read another.
    fields = {name: value for name, value in asdict(marker).items() if value != ()}
    return json.dumps({"format": _FORMAT, **fields}, separators=(",", ":")).encode()


def decode_marker(value: bytes) -> Marker:
    """Read a marker. Raises: FatalError on a format that this version does not know."""
    fields = json.loads(value)
    if fields.pop("format", None) != _FORMAT:
        raise FatalError(f"the marker {value!r} was written by another version of atp. Run that version.")
    fields["rebuilding"] = tuple(fields.get("rebuilding", ()))
    fields["epochs"] = tuple((epoch, first) for epoch, first in fields.get("epochs", ()))
    return Marker(**fields)


def batch_number(message: Message) -> int | None:
    """Return the number of the batch that wrote a row, None where the record carries none."""
    headers = message.headers()
    for name, value in headers if isinstance(headers, list) else ():
        if name == BATCH_HEADER and isinstance(value, bytes):
            return int(value)
    return None


class Checkpoint:
    """The transactional producer of one partition."""

    def __init__(
        self, brokers: str, group: str, topology: Topology, name: Callable[[str], str], partition: int
    ) -> None:
        """`name` gives a topic's name on the brokers."""
        self._topology = topology
        self._name = name
        self._partition = partition
        self._changelog = name(topology.changelog.name)
        self._evidence = name(topology.evidence.name)
        self._names: dict[str, str] = {}
        self.transactional_id = f"{group}-{partition}"
        self._producer = Producer(
            {
                "bootstrap.servers": brokers,
                "client.id": self.transactional_id,
                "transactional.id": self.transactional_id,
                "transaction.timeout.ms": int(PATIENCE_S * 1000),
                "acks": "all",
                "linger.ms": 5,
                "compression.type": "lz4",
                "queue.buffering.max.messages": 1_000_000,
                "queue.buffering.max.kbytes": 1_048_576,
            },
            logger=KAFKA,
        )
        self._ends: dict[str, int] = {}

    def fence(self) -> None:
        """Shut out every earlier owner and abort what it left open. Raises: FatalError."""
        self._patiently("init_transactions", self._producer.init_transactions)

    def commit(self, sealed: Commit, marker: Marker) -> Mapping[str, int]:
        """Commit a batch; return the ends of changelog and evidence that include it. Raises: FatalError."""
        self._ends = {}
        headers: Header = [(BATCH_HEADER, b"%d" % marker.batch)]
        try:
            self._producer.begin_transaction()
            self._rows(sealed, headers)
            for topic, key, value in sealed.effects:
                place = place_of(topic, key, self._partition, marker.partitions)
                self._produce(self._on_brokers(topic.name), key, value, [], partition=place)
            self._produce(self._changelog, MARKER_KEY, encode_marker(marker), headers, self._delivered)
        except KafkaException as error:
            raise _verdict("produce", error) from error
        self._patiently("commit_transaction", self._producer.commit_transaction)
        while self._changelog not in self._ends:  # Delivered it is; the report waits to be taken.
            self._producer.poll(0.1)
        return self._ends

    def close(self) -> None:
        """Let go of the connections. What was not committed is lost, as it should be."""
        self._producer.purge(in_queue=True, in_flight=True)
        self._producer.close()

    def _rows(self, sealed: Commit, headers: Header) -> None:
        # A partition keeps the order of its producer, so the delivery of the last row of the evidence tells the
        # end of that topic; the marker, which comes last, tells the changelog's.
        evidence = self._topology.evidence
        last = None
        for row in sealed.rows:
            if row.topic is evidence and evidence is not self._topology.changelog:
                if last is not None:
                    self._produce(self._evidence, last.key.encode(), last.value, headers)
                last = row
            else:
                self._produce(self._changelog, row.key.encode(), row.value, headers)
        if last is not None:
            self._produce(self._evidence, last.key.encode(), last.value, headers, self._delivered)

    def _produce(
        self,
        topic: str,
        key: bytes,
        value: bytes | None,
        headers: Header,
        on_delivery: Callable[[KafkaError | None, Message], None] | None = None,
        partition: int | None = None,
    ) -> None:
        place = self._partition if partition is None else partition
        while True:
            try:
                self._producer.produce(topic, value, key, place, on_delivery, None, 0, headers)
            except BufferError:
                self._producer.poll(0.1)  # The queue is full: let some of it leave.
            else:
                return

    def _on_brokers(self, topic: str) -> str:
        name = self._names.get(topic)
        if name is None:
            name = self._names[topic] = self._name(topic)
        return name

    def _delivered(self, error: KafkaError | None, message: Message) -> None:
        offset = message.offset()
        topic = message.topic()
        if error is None and offset is not None and topic is not None:
            self._ends[topic] = offset + 1

    def _patiently(self, what: str, call: Callable[[float], None]) -> None:
        deadline = time.monotonic() + PATIENCE_S
        while True:
            try:
                call(max(1.0, deadline - time.monotonic()))
            except KafkaException as error:
                if not error.args[0].retriable() or time.monotonic() >= deadline:
                    raise _verdict(what, error) from error
                log.warning("retry call=%s id=%s error=%s", what, self.transactional_id, error.args[0])
                time.sleep(0.2)
            else:
                return


def _verdict(what: str, error: KafkaException) -> FatalError:
    reason = error.args[0]
    if reason.code() in (KafkaError._FENCED, KafkaError.INVALID_PRODUCER_EPOCH, KafkaError.PRODUCER_FENCED):  # noqa: SLF001
        return FencedError(f"{what}: another worker owns the partition now ({reason})")
    return FatalError(
        f"{what} failed: {reason}. Nothing of the batch counts; the next start folds it again. "
        "See whether the brokers answer: atp status"
    )
