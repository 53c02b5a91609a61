"""All tasks of a worker for one topology: opened when partitions come, closed when they go."""

import logging
import time
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor

from streams.cluster import topic_ids, wait_readable
from streams.poller import Chunk, Place
from streams.task import Surroundings, Task
from topologies.partitioning import partition_of

log = logging.getLogger(__name__)


class Tasks:
    """The owner that the poller works for."""

    def __init__(self, around: Surroundings) -> None:
        self._around = around
        self.name = around.topology.name
        self.group = around.group
        """The consumer group."""
        self._topic = around.name(around.topology.source.name)
        self.topics = [self._topic]
        self._tasks: dict[int, Task] = {}
        self._left: dict[int, int] = {}
        """Positions of tasks that closed since the last assignment: their group offsets have yet to follow."""
        self._assigned_at: float | None = None

    def assigned(self, number: int, places: Sequence[Place]) -> Mapping[Place, int]:
        """Open a task per partition, all at once; return where to read from. Raises: FatalError."""
        del number
        moment = time.monotonic()
        around = self._around
        starts: dict[Place, int] = {}
        self._left = {}
        if places:
            ids = topic_ids(
                around.brokers,
                self._topic,
                around.name(around.topology.changelog.name),
                around.name(around.topology.evidence.name),
            )
            tasks = [Task(around, partition, ids) for _, partition in places]
            with ThreadPoolExecutor(len(tasks), thread_name_prefix="open") as pool:
                positions = list(pool.map(lambda task: task.open(moment), tasks))
            starts = dict(zip(places, positions, strict=True))
            self._tasks = {task.partition: task for task in tasks}
        around.metrics.partitions.labels(around.topology.name).set(len(places))
        self._assigned_at = time.monotonic()
        return starts

    def revoked(self, *, lost: bool) -> None:
        """Close all tasks: the next assignment names those to come back."""
        tasks = self.all
        self._assigned_at = None
        for task in tasks:
            task.ask_to_close(drop=lost)
        for task in tasks:
            task.wait_closed()
        self._left = {task.partition: task.position for task in tasks}
        self._tasks = {}
        self._around.metrics.partitions.labels(self._around.topology.name).set(0)

    def wait_readable(self) -> None:
        """Wait until others can read what was committed; called once the tasks are closed, before the worker ends."""
        topology = self._around.topology
        written = (topology.changelog, topology.evidence, *topology.outputs)
        names = [self._around.name(topic.name) for topic in written]
        wait_readable(self._around.brokers, names, sorted(self._left))

    def backlog(self, place: Place) -> int:
        task = self._tasks.get(place[1])
        return 0 if task is None else task.backlog

    def committed(self) -> Mapping[Place, int]:
        positions = self._left | {task.partition: task.position for task in self.all}
        return {(self._topic, partition): position for partition, position in positions.items() if position}

    def ends(self, ends: Mapping[Place, int]) -> None:
        """Tell the lag of each partition."""
        metrics, topology = self._around.metrics, self._around.topology.name
        moment = time.time()
        for (_, partition), end in ends.items():
            task = self._tasks.get(partition)
            if task is not None:
                records, seconds = max(0, end - task.position), moment - task.up_to
                metrics.lag_records.labels(topology, partition).set(0 if task.at_rest else records)
                metrics.lag_seconds.labels(topology, partition).set(0 if task.at_rest else seconds)

    def hand_over(self, chunk: Chunk) -> None:
        """Give a chunk to its task. One that is gone has no use for it."""
        task = self._tasks.get(chunk.partition)
        if task is not None:
            task.put(chunk)

    def owner_of(self, sku: str) -> Task | None:
        """Return the task that holds a SKU, None where it is another worker's."""
        return self._tasks.get(partition_of(sku.encode(), self._around.settings.partitions))

    @property
    def all(self) -> list[Task]:
        """The tasks that are open."""
        return list(self._tasks.values())

    @property
    def ready(self) -> bool:
        """Partitions were assigned, be it none, and their tasks are open."""
        return self._assigned_at is not None

    def idle_since(self) -> float | None:
        """Return since when there was nothing to do, by the monotonic clock; None while there is."""
        if self._assigned_at is None:
            return None
        tasks = self.all
        if not all(task.at_rest for task in tasks):
            return None
        return max([self._assigned_at, *(task.last_event for task in tasks)])
