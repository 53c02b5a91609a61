"""What the brokers say of themselves: their version, and the ids of topics."""

import logging
import re
import time
from dataclasses import dataclass
from typing import Protocol

from confluent_kafka import KafkaException, TopicCollection
from confluent_kafka.admin import (  # type: ignore[attr-defined]  # exported in fact, not by the stubs
    AdminClient,
    ConfigResource,
    ResourceType,
)

from atp.errors import FatalError


class Uuid(Protocol):
    """What the client's own stub leaves out."""

    def get_most_significant_bits(self) -> int: ...
    def get_least_significant_bits(self) -> int: ...


OLDEST = (3, 6)
"""Brokers before check nothing when a transaction ends late (KIP-890, part 1)."""
ASK_S = 30.0
PROBE_S = 2.0
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
    """Ask for the ids of three topics. Raises: FatalError."""
    names = [ledger, changelog, evidence]
    admin = _admin(brokers)
    try:
        answers = admin.describe_topics(TopicCollection(names), request_timeout=ASK_S)
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


def wait_for(brokers: str) -> None:
    """Wait for brokers that are away, a minute at most. Raises: FatalError."""
    admin, deadline, said = _admin(brokers), time.monotonic() + PATIENCE_S, False
    while True:
        try:
            admin.list_topics(timeout=PROBE_S)
        except KafkaException as error:
            if time.monotonic() > deadline:
                raise FatalError(f"the brokers {brokers} do not answer: {error}. See: atp status") from error
            if not said:
                log.warning("the brokers %s do not answer; trying for %.0f s. See: atp status", brokers, PATIENCE_S)
                said = True
        else:
            return


def _admin(brokers: str) -> AdminClient:
    return AdminClient({"bootstrap.servers": brokers}, logger=log)


def _text(uuid: "Uuid") -> str:
    most, least = uuid.get_most_significant_bits(), uuid.get_least_significant_bits()
    return f"{most & (2**64 - 1):016x}{least & (2**64 - 1):016x}"
