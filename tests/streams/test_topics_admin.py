"""Topics on a real broker: created once, as the table says, and never with another partition count."""

import pytest
from confluent_kafka.admin import AdminClient
from confluent_kafka.admin._config import ConfigResource
from confluent_kafka.admin._resource import ResourceType

from atp.errors import FatalError
from streams import topics_admin
from streams.settings import Settings
from streams.topics_admin import ensure_topics, find_topics, topic_name
from tests.streams.test_broker import atp
from topologies import topics as table
from topologies.topics import ALL

SOME = (table.LEDGER, table.CHANGELOG, table.RISKS)


def test_names_carry_the_prefix(settings: Settings) -> None:
    assert topic_name(settings, table.LEDGER) == f"{settings.topic_prefix}stock-events"


def test_missing_topics_are_created_once(broker_settings: Settings, brokers: str) -> None:
    assert {one.partitions for one in find_topics(brokers, broker_settings, SOME)} == {0}
    assert [one.topic for one in ensure_topics(brokers, broker_settings, SOME)] == list(SOME)
    assert ensure_topics(brokers, broker_settings, SOME) == []
    assert {one.partitions for one in find_topics(brokers, broker_settings, SOME)} == {broker_settings.partitions}


def test_a_changed_partition_count_is_refused(broker_settings: Settings, brokers: str) -> None:
    ensure_topics(brokers, broker_settings, (table.LEDGER,))
    other = broker_settings.model_copy(update={"partitions": 5})
    with pytest.raises(FatalError, match="ATP_PARTITIONS=3"):
        ensure_topics(brokers, other, SOME)
    assert {one.partitions for one in find_topics(brokers, other, SOME)} == {0, 3}, "and nothing was created"


def test_readers_refuse_another_count_too(broker_settings: Settings, brokers: str) -> None:
    ensure_topics(brokers, broker_settings)
    other = broker_settings.model_copy(update={"partitions": 5})
    for words in (("show", "A"), ("explain", "A"), ("explain", "A", "--at", "2026-11-20T09:00:00Z"), ("dead-letters",)):
        shown = atp(other, *words)
        assert shown.returncode == 3, words
        assert shown.stderr.rstrip().endswith("Keep the count: ATP_PARTITIONS=3"), words


def test_the_list_is_whole_where_it_is_no_terminal(broker_settings: Settings, brokers: str) -> None:
    ensure_topics(brokers, broker_settings)
    lines = atp(broker_settings, "topics").stdout.splitlines()
    assert len(lines) == 1 + len(ALL)
    for line, topic in zip(lines[1:], ALL, strict=True):
        assert line.startswith(topic_name(broker_settings, topic))
        assert topic.holds in line


def test_topics_are_configured_as_the_table_says(broker_settings: Settings, brokers: str) -> None:
    ensure_topics(brokers, broker_settings, SOME)
    for topic in SOME:
        found = described(brokers, topic_name(broker_settings, topic))
        assert {name: found[name] for name in topic.config()} == topic.config()


def test_brokers_that_do_not_answer_are_named(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(topics_admin, "ASK_S", 0.5)
    with pytest.raises(FatalError, match=r"127\.0\.0\.1:9 do not answer"):
        find_topics("127.0.0.1:9", settings, SOME)


def described(brokers: str, name: str) -> dict[str, str]:
    wanted = ConfigResource(ResourceType.TOPIC, name)
    admin = AdminClient({"bootstrap.servers": brokers})  # Named: its answers come as long as it lives.
    (answer,) = admin.describe_configs([wanted]).values()
    return {entry.name: entry.value for entry in answer.result(timeout=10).values()}
