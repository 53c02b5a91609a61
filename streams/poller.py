"""The consumer on a thread of its own: whole polls out, one chunk per partition.

`poll` takes the first record and `consume` what else has come, because `consume` alone waits its time out. From
`assign` on what comes is contiguous until the next `assign`, which raises the assignment's number: holes are
control records, aborted data and compaction, so nothing concludes from offsets alone that records are missing.
"""

import logging
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from typing import NamedTuple, Protocol

from confluent_kafka import Consumer, KafkaError, KafkaException, Message, TopicPartition

from atp.errors import FatalError
from streams.cluster import lagging
from streams.kafka_log import KAFKA

POLL_S = 0.1
PACE_S = 0.005
"""Between polls, so that what trickles in is handed over together: each hand-over costs as much as folding an event."""
POLL_MAX = 5_000
"""Records of one poll at most, so that no partition waits long for its share."""
SESSION_S = 10.0
"""A worker that is not heard of for this long has lost its partitions."""
LEAVE_S = 3.0
"""A group whose members changed amid a rebalance is settled this long after the last session was over."""
RESTORE_MAX_S = 3600.0
"""The longest restore: the group waits this long for a member that opens its tasks and sends heartbeats."""
FOLLOW_S = 1.0
"""How often group offsets follow the markers; only lag tools read them."""
PATIENCE_S = 60.0
"""How long brokers may be away before the worker ends and is started again."""
PROBE_S = 2.0

log = logging.getLogger(__name__)

Place = tuple[str, int]
"""A topic, as the brokers name it, and a partition."""


class Chunk(NamedTuple):
    """What one poll brought of one partition."""

    topic: str
    partition: int
    assignment: int
    """Number of the assignment under which it was fetched; an older one is dropped."""
    number: int
    """1, 2, 3 for the partition under this assignment: whoever misses one has lost records on the way."""
    records: list[Message]
    at_end: bool
    """The partition's end came after the last record."""


class Owner(Protocol):
    """Who works on the partitions. Every call comes from the poller's thread."""

    def assigned(self, number: int, places: Sequence[Place]) -> Mapping[Place, int]:
        """Open and return where to read from; may take as long as a restore. Raises: FatalError."""
        ...

    def revoked(self, *, lost: bool) -> None:
        """Finish what is in flight, or drop it where the partitions are `lost`, and let go."""
        ...

    def backlog(self, place: Place) -> int:
        """Return the records handed over that are not worked on yet."""
        ...

    def committed(self) -> Mapping[Place, int]:
        """Return the positions that are committed."""
        ...

    def ends(self, ends: Mapping[Place, int]) -> None:
        """Hear where the partitions end, once a second: for telling the lag."""
        ...


class Poller:
    """Owns the Kafka consumer of one group."""

    def __init__(
        self,
        brokers: str,
        group: str,
        owner: Owner,
        backlog_max: int,
        crash: Callable[[BaseException], None],
    ) -> None:
        """`crash` ends the process. A partition with more than `backlog_max` records waiting is paused."""
        self._brokers = brokers
        self._group = group
        self._owner = owner
        self._backlog_max = backlog_max
        self.crash = crash
        self._stopping = threading.Event()
        self._leave_by = 0.0
        self._thread: threading.Thread | None = None
        self._settled = threading.Event()
        """An assignment is in force: no rebalance is under way, as far as this member knows."""
        self._topics: list[str] = []
        self._deliver: Callable[[list[Chunk]], None] = lambda _: None
        self._assigned: Callable[[Sequence[Place]], None] = lambda _: None
        self._paused: set[Place] = set()
        self._followed: dict[Place, int] = {}
        self._chunks: dict[Place, int] = {}
        self._follow_at = 0.0
        self._away_since: float | None = None
        self._probe_at = 0.0
        self.number = 0
        """Number of the assignment in force; 0 before the first."""
        self.places: list[Place] = []
        self._consumer = Consumer(
            {
                "bootstrap.servers": brokers,
                "client.id": group,
                "group.id": group,
                "isolation.level": "read_committed",
                "auto.offset.reset": "error",
                "enable.auto.commit": False,
                "enable.auto.offset.store": False,
                "enable.partition.eof": True,
                "partition.assignment.strategy": "range",
                "session.timeout.ms": int(SESSION_S * 1000),
                "heartbeat.interval.ms": 3000,
                "max.poll.interval.ms": int(RESTORE_MAX_S * 1000),
                "fetch.queue.backoff.ms": 5,
                "fetch.wait.max.ms": 100,
                "queued.min.messages": 20_000,
                "queued.max.messages.kbytes": 65_536,
                "error_cb": self._on_error,
            },
            logger=KAFKA,
        )

    def start(
        self,
        topics: list[str],
        deliver: Callable[[list[Chunk]], None],
        assigned: Callable[[Sequence[Place]], None],
    ) -> None:
        """Join the group. `deliver` and `assigned` are called on the poller's thread and return soon.

        `deliver` is given what a poll brought, a chunk for each partition.
        """
        self._deliver = deliver
        self._assigned = assigned
        self._topics = topics
        self._thread = threading.Thread(target=self._run, args=(topics,), name="poller", daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """Leave the group: what is in flight is finished, the partitions go to others at once."""
        self._leave_by = time.monotonic() + SESSION_S + LEAVE_S
        self._stopping.set()
        if self._thread is not None:
            self._thread.join()

    def _run(self, topics: list[str]) -> None:
        try:
            self._consumer.subscribe(topics, on_assign=self._assign, on_revoke=self._revoke, on_lost=self._lose)
            while not self._may_leave():
                first = self._consumer.poll(POLL_S)
                if first is not None:
                    self._hand_over([first, *self._consumer.consume(POLL_MAX - 1, 0)])
                    self._stopping.wait(PACE_S)
                self._flow()
                now = time.monotonic()
                if now >= self._follow_at:
                    self._follow(asynchronous=True)
                    self._owner.ends(self._ends())
                    self._follow_at = now + FOLLOW_S
                if self._away_since is not None:
                    self._probe(now)
            self._consumer.close()
        except BaseException as error:  # noqa: BLE001  (a poller that ends leaves a worker that does nothing)
            self.crash(error)

    def others_done(self) -> bool:
        """Say whether what others hold is done to its ends, as the group's offsets tell. For any thread."""
        try:
            return lagging(self._brokers, self._group, self._topics) <= set(self.places)
        except KafkaException as error:
            log.warning("not known whether others are done error=%s", error)
            return False

    def _may_leave(self) -> bool:
        # Who leaves while it joins stays a member to the brokers until its session is over, and holds partitions.
        if not self._stopping.is_set():
            return False
        return self._settled.is_set() or time.monotonic() > self._leave_by

    def _hand_over(self, messages: list[Message]) -> None:
        groups: dict[Place, list[Message]] = {}
        ends: set[Place] = set()
        for message in messages:
            error = message.error()
            place: Place = (message.topic(), message.partition())  # type: ignore[assignment]  # it has both
            if error is None:
                if place in groups:
                    groups[place].append(message)
                else:
                    groups[place] = [message]
                ends.discard(place)
            elif error.code() == KafkaError._PARTITION_EOF:  # noqa: SLF001  (so it is spelled)
                ends.add(place)
                groups.setdefault(place, [])
            elif error.code() in (KafkaError._AUTO_OFFSET_RESET, KafkaError.OFFSET_OUT_OF_RANGE):  # noqa: SLF001
                raise FatalError(
                    f"{message.topic()} partition {message.partition()} was cut while it was read: {error.str()}. "
                    "Start the worker again; it says which offsets are gone."
                )
            elif error.fatal():
                raise FatalError(f"the consumer cannot go on: {error}. See: atp status")
            else:
                log.warning("consumer error=%s", error)
        self._away_since = None
        chunks = []
        for place, records in groups.items():
            self._chunks[place] = number = self._chunks.get(place, 0) + 1
            chunks.append(Chunk(place[0], place[1], self.number, number, records, place in ends))
        if chunks:
            self._deliver(chunks)

    def _flow(self) -> None:
        # What is paused is fetched again from where the last record was taken, so nothing is lost by it.
        for place in self.places:
            backlog = self._owner.backlog(place)
            if place in self._paused:
                if backlog < self._backlog_max // 4:
                    self._paused.discard(place)
                    self._consumer.resume([TopicPartition(*place)])
            elif backlog > self._backlog_max:
                self._paused.add(place)
                self._consumer.pause([TopicPartition(*place)])

    def _assign(self, consumer: Consumer, partitions: list[TopicPartition]) -> None:
        self.number += 1
        self.places = [(partition.topic, partition.partition) for partition in partitions]
        self._followed.clear()
        self._chunks.clear()
        mine = sorted({place[1] for place in self.places})
        log.info("assigned number=%d partitions=%s group=%s", self.number, mine, self._group)
        starts = self._owner.assigned(self.number, self.places)
        self._assigned(self.places)
        consumer.assign([TopicPartition(*place, starts[place]) for place in self.places])
        self._settled.set()

    def _revoke(self, _: Consumer, partitions: list[TopicPartition]) -> None:
        mine = sorted({one.partition for one in partitions})
        log.info("revoked number=%d partitions=%s group=%s", self.number, mine, self._group)
        self._settled.clear()
        self._owner.revoked(lost=False)
        self._follow(asynchronous=False)
        self._let_go()

    def _lose(self, _: Consumer, partitions: list[TopicPartition]) -> None:
        mine = sorted({one.partition for one in partitions})
        log.warning("lost number=%d partitions=%s group=%s", self.number, mine, self._group)
        self._settled.clear()
        self._owner.revoked(lost=True)
        self._let_go()

    def _let_go(self) -> None:
        # The client keeps a pause for as long as it runs: a partition that comes back would never be fetched again.
        self._consumer.resume([TopicPartition(*place) for place in self._paused])
        self._paused.clear()
        self.places = []

    def _follow(self, *, asynchronous: bool) -> None:
        news = {
            place: position
            for place, position in self._owner.committed().items()
            if self._followed.get(place) != position
        }
        if not news:
            return
        offsets = [TopicPartition(*place, position) for place, position in news.items()]
        try:
            if asynchronous:
                self._consumer.commit(offsets=offsets)
            else:
                self._consumer.commit(offsets=offsets, asynchronous=False)
        except KafkaException as error:
            log.warning("group offsets lag behind error=%s", error.args[0])  # The markers are the truth.
        else:
            self._followed.update(news)

    def _ends(self) -> dict[Place, int]:
        found = {}
        for place in self.places:
            answer = self._consumer.get_watermark_offsets(TopicPartition(*place), cached=True)
            if answer is not None and answer[1] >= 0:
                found[place] = answer[1]
        return found

    def _on_error(self, error: KafkaError) -> None:
        if error.code() == KafkaError._ALL_BROKERS_DOWN and self._away_since is None:  # noqa: SLF001
            self._away_since = time.monotonic()
            log.error("the brokers %s do not answer; trying for %.0f s. See: atp status", self._brokers, PATIENCE_S)

    def _probe(self, now: float) -> None:
        if now < self._probe_at or self._away_since is None:
            return
        self._probe_at = now + PROBE_S
        try:
            self._consumer.list_topics(timeout=1.0)
        except KafkaException as error:
            if now - self._away_since > PATIENCE_S:
                raise FatalError(
                    f"the brokers {self._brokers} have not answered for {PATIENCE_S:.0f} s. See: atp status"
                ) from error
        else:
            log.info("the brokers answer again")
            self._away_since = None
