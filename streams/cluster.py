"""What the brokers say of themselves: their version, and the ids of topics."""

import logging
import re
import socket
import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from confluent_kafka import (
    ConsumerGroupTopicPartitions,
    IsolationLevel,
    KafkaError,
    KafkaException,
    TopicCollection,
    TopicPartition,
)
from confluent_kafka.admin import (  # type: ignore[attr-defined]  # exported in fact, not by the stubs
    AdminClient,
    ConfigResource,
    OffsetSpec,
    ResourceType,
)

from atp.errors import FatalError
from streams.kafka_log import KAFKA


class Uuid(Protocol):
    """What the client's own stub leaves out."""

    def get_most_significant_bits(self) -> int: ...
    def get_least_significant_bits(self) -> int: ...


OLDEST = (3, 6)
"""Brokers before check nothing when a transaction ends late (KIP-890, part 1)."""
ASK_S = 30.0
PROBE_S = 1.0
LISTENS_S = 2.0
"""A host that is there takes a connection, or refuses it, within a second."""
LOOK_S = 0.2
SAY_S = 5.0
"""How often a worker that waits for brokers says so."""
READABLE_S = 10.0
_COORDINATOR_STARTS = {
    KafkaError.NOT_COORDINATOR,
    KafkaError.COORDINATOR_LOAD_IN_PROGRESS,
    KafkaError.COORDINATOR_NOT_AVAILABLE,
}
"""What brokers say for a while after their start."""
PATIENCE_S = 60.0
"""How long brokers may be away when a worker starts; whoever runs it starts it again."""

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class TopicIds:
    """Ids of a topology's topics: a topic that was deleted and made again has another."""

    ledger: str
    changelog: str
    evidence: str


def topic_ids(brokers: str, ledger: str, changelog: str, evidence: str) -> TopicIds:
    """Ask for the ids of three topics; evidence may be the changelog again. Raises: FatalError."""
    names = [ledger, changelog, evidence]
    admin = _admin(brokers)
    try:
        answers = admin.describe_topics(TopicCollection(sorted(set(names))), request_timeout=ASK_S)
        ids = [_text(answers[name].result().topic_id) for name in names]
    except KafkaException as error:
        raise FatalError(f"cannot ask for the ids of {names}: {error}. See: atp topics") from error
    return TopicIds(*ids)


def refuse_old(brokers: str) -> None:
    """Refuse brokers older than 3.6. Raises: FatalError."""
    admin = _admin(brokers)
    try:
        for number in admin.list_topics(timeout=ASK_S).brokers:
            resource = ConfigResource(ResourceType.BROKER, str(number))
            found = admin.describe_configs([resource], request_timeout=ASK_S)[resource].result()
            protocol = found.get("inter.broker.protocol.version")  # From 4.0 on there is none.
            version = re.match(r"(\d+)\.(\d+)", (protocol.value if protocol else None) or "")
            if version and (int(version[1]), int(version[2])) < OLDEST:
                raise FatalError(
                    f"broker {number} speaks Kafka {version[0]}; transactions are safe from "
                    f"{OLDEST[0]}.{OLDEST[1]} on. Upgrade it, or name others: ATP_BROKERS"
                )
    except KafkaException as error:
        raise FatalError(f"the brokers {brokers} do not answer: {error}. See: atp status") from error


def wait_readable(brokers: str, topics: Sequence[str], partitions: Sequence[int]) -> None:
    """Wait until what was committed to some partitions can be read, a few seconds at most.

    A commit is decided before its end is written to every partition, milliseconds later on a broker at ease.
    """
    admin, deadline = _admin(brokers), time.monotonic() + READABLE_S
    end = OffsetSpec.latest()  # type: ignore[no-untyped-call]
    places = {TopicPartition(topic, partition): end for topic in topics for partition in partitions}
    while places and time.monotonic() < deadline:
        try:
            ends = [
                [future.result().offset for future in admin.list_offsets(places, isolation_level=level).values()]
                for level in (IsolationLevel.READ_UNCOMMITTED, IsolationLevel.READ_COMMITTED)
            ]
        except KafkaException as error:
            log.warning("not known whether all can be read error=%s", error)
            return
        if ends[0] == ends[1]:
            return
        time.sleep(PROBE_S / 50)


def lagging(brokers: str, group: str, topics: Sequence[str]) -> set[tuple[str, int]]:
    """Return the partitions whose ends a group has not reached, as its offsets tell. Raises: KafkaException."""
    admin = _admin(brokers)
    known = admin.list_topics(timeout=ASK_S).topics
    places = [TopicPartition(topic, number) for topic in topics for number in known[topic].partitions]
    asked = ConsumerGroupTopicPartitions(group, places)
    offsets = admin.list_consumer_group_offsets([asked], request_timeout=ASK_S)[group].result().topic_partitions
    reached = {(one.topic, one.partition): one.offset for one in offsets}
    specs = (OffsetSpec.earliest(), OffsetSpec.latest())  # type: ignore[no-untyped-call]
    lows, highs = (
        {
            (place.topic, place.partition): future.result().offset
            for place, future in admin.list_offsets(dict.fromkeys(places, spec), request_timeout=ASK_S).items()
        }
        for spec in specs
    )
    return {place for place, high in highs.items() if max(reached.get(place, -1), lows[place]) < high}


def members(brokers: str, group: str) -> list[str]:
    """Return who is in a consumer group, as `client at host`; nobody where there is none. Raises: FatalError."""
    admin, deadline = _admin(brokers), time.monotonic() + PATIENCE_S  # It must live as long as an answer is awaited.
    while True:
        try:
            found = admin.describe_consumer_groups([group], request_timeout=ASK_S)[group].result()
        except KafkaException as error:
            if error.args[0].code() == KafkaError.GROUP_ID_NOT_FOUND:
                return []
            if error.args[0].code() not in _COORDINATOR_STARTS or time.monotonic() > deadline:
                raise FatalError(f"cannot ask who is in the group {group}: {error}. See: atp status") from error
            time.sleep(PROBE_S / 5)
        else:
            break
    return [f"{one.client_id} at {one.host.lstrip('/')}" for one in found.members]


def listens(brokers: str) -> bool:
    """Say whether anything listens at one of the addresses: at once where nothing does, soon where a host is away.

    Clients of Kafka go on trying, and do not tell.
    """
    for address in brokers.split(","):
        host, _, port = address.strip().rpartition("://")[2].rpartition(":")
        try:
            with socket.create_connection((host.strip("[]"), int(port)), LISTENS_S):
                return True
        except ValueError:
            return True  # No port that we can read: the client knows what it means.
        except OSError:
            continue
    return False


def wait_for(brokers: str) -> None:
    """Wait for brokers that are away, a minute at most. Raises: FatalError."""
    deadline, said_at = time.monotonic() + PATIENCE_S, 0.0
    while not answer_now(brokers):
        left = deadline - time.monotonic()
        if left <= 0:
            raise FatalError(f"no broker answered at {brokers} for {PATIENCE_S:.0f} s. Start one with: atp up")
        if time.monotonic() >= said_at + SAY_S:
            log.warning("no broker answers at %s: start one with `atp up`; trying for %.0f s", brokers, left)
            said_at = time.monotonic()
        time.sleep(LOOK_S)


def answer_now(brokers: str) -> bool:
    """Say whether Kafka answers, within seconds."""
    if not listens(brokers):
        return False
    try:
        return bool(_admin(brokers).list_topics(timeout=PROBE_S).brokers)
    except KafkaException:
        return False


def _admin(brokers: str) -> AdminClient:
    return AdminClient({"bootstrap.servers": brokers}, logger=KAFKA)


def _text(uuid: "Uuid") -> str:
    most, least = uuid.get_most_significant_bits(), uuid.get_least_significant_bits()
    return f"{most & (2**64 - 1):016x}{least & (2**64 - 1):016x}"
