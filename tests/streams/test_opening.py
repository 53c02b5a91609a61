"""What a task finds when it opens, and what it refuses to build upon."""

import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from confluent_kafka import Producer, TopicPartition
from confluent_kafka.admin import AdminClient, NewPartitions  # type: ignore[attr-defined]  # exported in fact

from atp.fold import Frame
from streams.batch import Batch, Place
from streams.checkpoint import BATCH_HEADER, Checkpoint, FencedError, Marker
from streams.cluster import topic_ids
from streams.restore import Changelogs, TornError, restore
from streams.settings import Settings
from streams.table import Shared, View
from streams.topics_admin import ensure_topics
from tests.streams.rig import Rig, movements, pipeline
from topologies.inventory import INVENTORY

pytestmark = pytest.mark.timeout(120)


@pytest.fixture
def rig(broker_settings: Settings) -> Iterator[Rig]:
    with pipeline(broker_settings.model_copy(update={"partitions": 1})) as one:
        yield one


def test_a_changelog_that_vanished_is_not_taken_for_a_new_installation(rig: Rig) -> None:
    rig.publish(movements(50, seed=1))
    rig.drain()
    _make_anew(rig, "inventory-changelog")
    worker = rig.worker()
    assert worker.end() == 3
    assert "the state of partition 0 is gone" in worker.text()
    assert "atp rebuild --from-logs" in worker.text()


def test_a_ledger_made_anew_is_refused(rig: Rig) -> None:
    rig.publish(movements(50, seed=1))
    rig.drain()
    _make_anew(rig, "stock-events")
    worker = rig.worker()
    assert worker.end() == 3
    assert "was deleted and made again since offset 50" in worker.text()


def test_a_ledger_cut_before_it_was_folded_names_the_range(rig: Rig) -> None:
    rig.publish(movements(50, seed=1))
    rig.drain()
    rig.publish(movements(50, seed=2))
    topic = rig.settings.topic_prefix + "stock-events"
    admin = AdminClient({"bootstrap.servers": rig.brokers})
    for future in admin.delete_records([TopicPartition(topic, 0, 70)]).values():
        future.result(10)
    worker = rig.worker()
    assert worker.end() == 3
    assert "offsets 50 to 69 were deleted before they were folded" in worker.text()


def test_partitions_added_behind_its_back_are_refused(rig: Rig) -> None:
    rig.publish(movements(50, seed=1))
    rig.drain()
    admin = AdminClient({"bootstrap.servers": rig.brokers})
    names = [name for name in admin.list_topics(timeout=10).topics if name.startswith(rig.settings.topic_prefix)]
    for future in admin.create_partitions([NewPartitions(name, 2) for name in names]).values():
        future.result(10)
    time.sleep(1)
    worker = rig.worker(environ={"ATP_PARTITIONS": "2"})
    assert worker.end() == 3
    assert "was folded as one of 1" in worker.text()


def test_a_torn_transaction_is_noticed(rig: Rig) -> None:
    rig.publish(movements(50, seed=1))
    rig.drain()
    producer = Producer({"bootstrap.servers": rig.brokers})
    producer.produce(
        rig.settings.topic_prefix + "inventory-evidence", b"x", b"e|A|k", 0, headers=[(BATCH_HEADER, b"99")]
    )
    producer.flush()
    worker = rig.worker()
    assert worker.end() == 3
    assert "holds rows of batch 99" in worker.text()


def test_the_changelog_alone_restores_every_row(rig: Rig, tmp_path: Path) -> None:
    rig.publish(movements(500, seed=1))
    rig.drain()
    settings, name = rig.settings, rig.settings.topic_prefix.__add__
    ids = topic_ids(rig.brokers, name("stock-events"), name("inventory-changelog"), name("inventory-evidence"))
    logs = Changelogs(
        name("inventory-changelog"), name("inventory-evidence"), [ids.ledger, ids.changelog, ids.evidence]
    )
    shared = Shared()
    seen: list[int] = []
    first = restore(rig.brokers, logs, 0, tmp_path / "store", shared, seen.append)
    rows = dict(first.table.scan(""))
    assert sum(seen) == first.rows > 500
    assert {key.split("|")[0] for key in rows} >= {"p", "s", "e"}
    assert sum(key.startswith("e|") for key in rows) == 500
    assert first.marker is not None
    assert first.marker.position == 500
    first.table.close()
    warm = restore(rig.brokers, logs, 0, tmp_path / "store", shared, seen.append)
    assert warm.rows == 0
    assert dict(warm.table.scan("")) == rows
    warm.table.close()
    other = Changelogs(logs.changelog, logs.evidence, ["other", ids.changelog, ids.evidence])
    assert restore(rig.brokers, other, 0, tmp_path / "store", shared, seen.append).rows == first.rows
    assert settings.partitions == 1


def test_who_opens_later_fences_who_came_before(broker_settings: Settings) -> None:
    settings = broker_settings.model_copy(update={"partitions": 1})
    brokers = str(settings.brokers)
    ensure_topics(brokers, settings)
    batch = Batch(INVENTORY, Place("stock-events", 0, 1), View({}, None), _frame())
    batch.fold(0, 0, None, b"garbage", None)
    sealed, marker = batch.seal(), Marker(1, 1, 0, 1, "a", "b", "c")
    name = settings.topic_prefix.__add__
    early, late = (Checkpoint(brokers, settings.group(INVENTORY.name), INVENTORY, name, 0) for _ in range(2))
    early.fence()
    ends = early.commit(sealed, marker)
    assert ends == {name("inventory-changelog"): 1}
    late.fence()
    with pytest.raises(FencedError):
        early.commit(sealed, marker)
    late.commit(sealed, marker)
    late.close()


def test_a_torn_error_leaves_no_store_behind(broker_settings: Settings, tmp_path: Path) -> None:
    settings = broker_settings.model_copy(update={"partitions": 1})
    brokers, name = str(settings.brokers), settings.topic_prefix.__add__
    ensure_topics(brokers, settings)
    producer = Producer({"bootstrap.servers": brokers})
    producer.produce(name("inventory-changelog"), b"x", b"p|A|S1", 0, headers=[(BATCH_HEADER, b"1")])
    producer.flush()
    logs = Changelogs(name("inventory-changelog"), name("inventory-evidence"), ["a", "b", "c"])
    with pytest.raises(TornError, match="atp rebuild --from-logs"):
        restore(brokers, logs, 0, tmp_path / "store", Shared(), lambda _: None)
    assert not (tmp_path / "store").exists()


def _frame() -> Frame:
    return Frame(window=1)


def _make_anew(rig: Rig, topic: str) -> None:
    name = rig.settings.topic_prefix + topic
    admin = AdminClient({"bootstrap.servers": rig.brokers})
    admin.delete_topics([name])[name].result(10)
    deadline = time.monotonic() + 20
    while name in admin.list_topics(timeout=10).topics:
        assert time.monotonic() < deadline
        time.sleep(0.1)
    ensure_topics(rig.brokers, rig.settings)
