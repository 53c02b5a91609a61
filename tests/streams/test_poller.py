"""The poller on a real broker: what it fetches, whatever the group does meanwhile."""

import threading
import time
from collections import defaultdict
from collections.abc import Mapping, Sequence

import pytest
from confluent_kafka import Consumer, Producer

from streams.poller import Chunk, Place, Poller
from streams.settings import Settings
from streams.topics_admin import ensure_topics, topic_name
from topologies.topics import LEDGER

RECORDS = 400
"""In each partition."""
BACKLOG_MAX = 10
PATIENCE_S = 40.0

pytestmark = pytest.mark.timeout(150)


class Stuck:
    """An owner that works on nothing under its first assignment, and at once on everything later."""

    def __init__(self) -> None:
        self.number = 0
        self.taken: dict[tuple[int, Place], list[int]] = defaultdict(list)
        """Offsets by assignment and partition."""
        self.held: Sequence[Place] = ()
        self.changed = threading.Condition()

    def assigned(self, number: int, places: Sequence[Place]) -> Mapping[Place, int]:
        with self.changed:
            self.number, self.held = number, places
            self.changed.notify_all()
        return dict.fromkeys(places, 0)

    def revoked(self, *, lost: bool) -> None:
        del lost
        self.held = ()

    def backlog(self, place: Place) -> int:
        return len(self.taken[1, place]) if self.number == 1 else 0

    def committed(self) -> Mapping[Place, int]:
        return {}

    def ends(self, ends: Mapping[Place, int]) -> None:
        del ends

    def deliver(self, chunks: list[Chunk]) -> None:
        with self.changed:
            for chunk in chunks:
                offsets = [one.offset() or 0 for one in chunk.records]
                self.taken[chunk.assignment, (chunk.topic, chunk.partition)] += offsets
            self.changed.notify_all()

    def has_all(self, number: int) -> bool:
        """Everything of every partition came under this assignment."""
        return all(self.taken[number, place] == list(range(RECORDS)) for place in self.held)


def test_a_partition_that_was_paused_is_fetched_when_it_comes_back(broker_settings: Settings) -> None:
    brokers, topic = broker_settings.brokers, topic_name(broker_settings, LEDGER)
    assert brokers is not None
    ensure_topics(brokers, broker_settings)
    producer = Producer({"bootstrap.servers": brokers})
    for number in range(RECORDS * broker_settings.partitions):
        producer.produce(topic, b"record", partition=number % broker_settings.partitions)
    producer.flush()
    owner, crashes = Stuck(), list[BaseException]()
    poller = Poller(brokers, topic, owner, BACKLOG_MAX, crashes.append)
    poller.start([topic], owner.deliver, lambda _: None)
    try:
        with owner.changed:
            assert owner.changed.wait_for(
                lambda: (
                    len(owner.held) == broker_settings.partitions
                    and all(owner.backlog(one) > BACKLOG_MAX for one in owner.held)
                ),
                PATIENCE_S,
            )
        time.sleep(0.5)  # All are paused by now.
        other = Consumer({"bootstrap.servers": brokers, "group.id": topic, "partition.assignment.strategy": "range"})
        other.subscribe([topic])
        while not other.assignment():
            other.poll(0.1)
        other.close()
        with owner.changed:
            assert owner.changed.wait_for(
                lambda: len(owner.held) == broker_settings.partitions and owner.number > 1, PATIENCE_S
            )
            assert owner.changed.wait_for(lambda: owner.has_all(owner.number), PATIENCE_S), dict(owner.taken)
    finally:
        poller.stop()
    assert not crashes
