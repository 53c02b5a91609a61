"""The benchmark's own topics: the load stays, what a host wrote is taken away before the next one runs."""

from collections.abc import Iterable

from confluent_kafka import KafkaException
from confluent_kafka.admin import AdminClient

from atp.errors import FatalError
from streams import processes
from streams.kafka_log import KAFKA
from streams.settings import Settings
from streams.topics_admin import ensure_topics, topic_name
from topologies import topics
from topologies.inventory import INVENTORY
from topologies.topics import Topic

WRITTEN = (INVENTORY.changelog, INVENTORY.evidence, *INVENTORY.outputs)
GONE_S = 60.0


def fresh_ledger(brokers: str, settings: Settings) -> str:
    """Make the load's topic anew and empty; return its name. Raises: FatalError."""
    _anew(brokers, settings, [topics.LEDGER])
    return topic_name(settings, topics.LEDGER)


def fresh_outputs(brokers: str, settings: Settings) -> None:
    """Make the topics that hosts write to anew and empty. Raises: FatalError."""
    _anew(brokers, settings, WRITTEN)


def clear(brokers: str, settings: Settings) -> None:
    """Delete everything under the benchmark's prefix, hosts' own topics too. Raises: FatalError."""
    _delete(brokers, settings.topic_prefix, None)


def _anew(brokers: str, settings: Settings, wanted: Iterable[Topic]) -> None:
    names = {topic_name(settings, topic) for topic in wanted}
    _delete(brokers, settings.topic_prefix, names)
    ensure_topics(brokers, settings, wanted)


def _delete(brokers: str, prefix: str, names: set[str] | None) -> None:
    admin = AdminClient({"bootstrap.servers": brokers}, logger=KAFKA)

    def there() -> list[str]:
        known = admin.list_topics(timeout=10).topics
        return [name for name in known if (name in names if names is not None else prefix in name)]

    try:
        for future in admin.delete_topics(there(), operation_timeout=GONE_S).values() if there() else ():
            future.result()
    except KafkaException as error:
        raise FatalError(f"cannot delete the benchmark's topics: {error}. See: atp status") from error
    if not processes.wait_until(lambda: not there(), GONE_S):
        raise FatalError(f"the brokers still list {there()}. Wait a little, then try again: atp bench")
