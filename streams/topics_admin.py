"""Topics as the table in `topologies/topics.py` wants them: created once, never quietly different."""

from collections.abc import Iterable
from dataclasses import dataclass

from confluent_kafka import KafkaError, KafkaException
from confluent_kafka.admin import AdminClient
from confluent_kafka.admin._metadata import ClusterMetadata
from confluent_kafka.cimpl import NewTopic

from atp.errors import FatalError
from sinks.silent import SILENT
from streams import processes
from streams.settings import Settings
from topologies import topics as table
from topologies.topics import Topic

REPLICAS = 3
"""Copies of every partition where there are brokers enough: one may be away for repair and one may fail."""
ASK_S = 10.0
VISIBLE_S = 30.0
"""A broker of this machine shows a new topic within a second."""


@dataclass(frozen=True, slots=True)
class Found:
    """A topic of the table and what the brokers have of it."""

    topic: Topic
    name: str
    """With the prefix."""
    partitions: int
    """0: it does not exist."""


def topic_name(settings: Settings, topic: Topic) -> str:
    """Return the name of `topic` on the brokers."""
    return settings.topic_prefix + topic.name


def ensure_topics(brokers: str, settings: Settings, topics: Iterable[Topic] = table.ALL) -> list[Found]:
    """Create the topics that are missing and return those that were.

    Waits until every partition has a leader. Raises: FatalError on a changed partition count, or on
    brokers that do not answer or refuse.
    """
    admin = _admin(brokers)
    found = _find(admin, brokers, settings, topics)
    for one in found:
        if one.partitions:
            refuse_other_count(one.name, one.partitions, settings)
    missing = [one for one in found if one.partitions == 0]
    if missing:
        _create(admin, brokers, settings, missing)
        names = {one.name for one in missing}
        if not processes.wait_until(lambda: _visible(_metadata(admin, brokers), names, settings), VISIBLE_S):
            raise FatalError(f"new topics have no leaders after {VISIBLE_S:.0f} s. Look at the brokers: atp status")
    return missing


def refuse_other_count(name: str, partitions: int, settings: Settings) -> None:
    """Raises: FatalError where a topic has other partitions than the settings say."""
    if partitions != settings.partitions:
        raise FatalError(
            f"topic {name} has {partitions} partitions and the settings say {settings.partitions}; a "
            "changed count would give SKUs to other partitions than those that hold their state. "
            f"Keep the count: ATP_PARTITIONS={partitions}"
        )


def find_topics(brokers: str, settings: Settings, topics: Iterable[Topic] = table.ALL) -> list[Found]:
    """Return what the brokers have of the table. Raises: FatalError where they do not answer."""
    return _find(_admin(brokers), brokers, settings, topics)


def _admin(brokers: str) -> AdminClient:
    return AdminClient({"bootstrap.servers": brokers, "client.id": "atp-topics", "log_level": 0}, logger=SILENT)


def _metadata(admin: AdminClient, brokers: str) -> ClusterMetadata:
    try:
        return admin.list_topics(timeout=ASK_S)
    except KafkaException as error:
        why = error.args[0].str()
        raise FatalError(
            f"the brokers {brokers} do not answer ({why}). Is ATP_BROKERS right? See what runs: atp status"
        ) from error


def _find(admin: AdminClient, brokers: str, settings: Settings, topics: Iterable[Topic]) -> list[Found]:
    known = _metadata(admin, brokers).topics
    named = [(topic, topic_name(settings, topic)) for topic in topics]
    return [Found(topic, name, len(known[name].partitions) if name in known else 0) for topic, name in named]


def _create(admin: AdminClient, brokers: str, settings: Settings, missing: list[Found]) -> None:
    replicas = min(REPLICAS, len(_metadata(admin, brokers).brokers))
    wanted = [
        NewTopic(one.name, settings.partitions, replication_factor=replicas, config=one.topic.config())
        for one in missing
    ]
    for name, future in admin.create_topics(wanted, operation_timeout=VISIBLE_S).items():
        try:
            future.result()
        except KafkaException as error:
            # Two workers that start at once both find it missing; one creates it.
            if error.args[0].code() != KafkaError.TOPIC_ALREADY_EXISTS:
                raise FatalError(f"cannot create topic {name}: {error}. See what runs: atp status") from error


def _visible(metadata: ClusterMetadata, names: set[str], settings: Settings) -> bool:
    for name in names:
        topic = metadata.topics.get(name)
        if topic is None or len(topic.partitions) != settings.partitions:
            return False
        if any(partition.leader < 0 for partition in topic.partitions.values()):
            return False
    return True
