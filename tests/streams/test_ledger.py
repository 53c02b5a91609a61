"""Writing to the ledger: the right partition, everything acknowledged, clear words where it cannot be."""

import socket

import pytest

from atp.errors import FatalError, PoisonError
from atp.events import Document, Event, PolicyChanged, PolicyFields, SaleRecorded
from avro_schemas import codec
from streams.ledger import LedgerWriter, partition_of_sku, publish
from streams.settings import Settings
from streams.topics_admin import ensure_topics
from tests.streams.rig import committed
from topologies import topics

T = 1_795_165_500_000_000


def sale(sku: str, quantity: int = 1) -> Event:
    paper = Document("receipt", f"T-{sku}", 1)
    return SaleRecorded(source="pos", document=paper, event_time=T, sku=sku, location="S1", quantity=quantity)


@pytest.mark.parametrize(
    ("key", "murmur2"),
    [
        ("21", -973932308),
        ("foobar", -790332482),
        ("a-little-bit-long-string", -985981536),
        ("a-little-bit-longer-string", -1486304829),
        ("lkjh234lh9fiuh90y23oiuhsafujhadof229phr9h19h89h8", -58897971),
        ("abc", 479470107),
    ],
)
def test_the_hash_is_kafka_s_own(key: str, murmur2: int) -> None:
    """Vectors from Kafka's own tests of `Utils.murmur2`."""
    for partitions in (1, 3, 12, 97):
        assert partition_of_sku(key, partitions) == (murmur2 & 0x7FFFFFFF) % partitions


def test_partitions_are_those_that_the_client_chooses(broker_settings: Settings, brokers: str) -> None:
    ensure_topics(brokers, broker_settings, [topics.LEDGER])
    skus = [f"SKU-{number}" for number in range(300)] + ["Caf\u00e9", "\u05d7\u05d5\u05dc\u05e6\u05d4", "日本"]
    wide = PolicyChanged(
        source="mdm", document=Document("policy", "P", 1), event_time=T, policy=PolicyFields(cap=1), channel="web"
    )
    counts = publish([*map(sale, skus), wide], broker_settings, brokers)
    assert counts == {"SaleRecorded": 303, "PolicyChanged": 1}
    found = list(committed(brokers, broker_settings.topic_prefix + "stock-events", 3))
    assert len(found) == 303 + 3
    places = []
    for record in found:
        event = codec.decode_event(record.value() or b"")
        if event.sku:
            assert record.partition() == partition_of_sku(event.sku, 3)
        else:
            assert event == wide
            places.append(record.partition() or 0)
    assert sorted(places) == [0, 1, 2]


def test_a_bad_event_is_not_written(broker_settings: Settings, brokers: str) -> None:
    ensure_topics(brokers, broker_settings, [topics.LEDGER])
    with pytest.raises(PoisonError, match="quantity"):
        publish([sale("A"), sale("B", quantity=0)], broker_settings, brokers)
    assert len(list(committed(brokers, broker_settings.topic_prefix + "stock-events", 3))) == 1


def test_a_topic_that_is_not_there_is_named_with_what_to_do(broker_settings: Settings, brokers: str) -> None:
    with pytest.raises(FatalError, match="atp topics --create"):
        publish([sale("A")], broker_settings, brokers)


def test_brokers_that_are_away_are_named(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("streams.ledger.PATIENCE_S", 2.0)
    with socket.socket() as nobody:
        nobody.bind(("127.0.0.1", 0))
        address = f"127.0.0.1:{nobody.getsockname()[1]}"
        with pytest.raises(FatalError, match=f"{address} do not take"), LedgerWriter(settings, address) as writer:
            writer.write(b"A", b"x")
