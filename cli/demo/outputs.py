"""The outputs of the pipeline as Kafka holds them, read into a scene."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import cast

from atp.effects import DeadLetter, Effect
from avro_schemas import codec
from cli.demo.scene import Scene
from sinks.committed import CommittedReader
from streams.settings import Settings
from streams.topics_admin import topic_name
from topologies import topics

WATCHED = (
    topics.AVAILABILITY, topics.DECISIONS, topics.RISKS, topics.VARIANCES, topics.DEAD_LETTERS, topics.ERP_LINES,
)  # fmt: skip
TAKE = 2_000


class Outputs:
    """Committed records of every output, as they come."""

    def __init__(self, brokers: str, settings: Settings, scene: Scene) -> None:
        self._scene = scene
        self._readers: list[CommittedReader] = []
        for topic in WATCHED:
            reader = CommittedReader(brokers, topic_name(settings, topic))
            reader.from_beginning()
            self._readers.append(reader)

    def take(self) -> int:
        """Take in what is there, without waiting; return how many records. Raises: FatalError."""
        taken = 0
        for reader in self._readers:
            for message in reader.take(TAKE, 0):
                value, partition = message.value(), message.partition()
                assert isinstance(value, bytes)  # these outputs have no tombstones here
                assert partition is not None
                self._scene.take(cast("Effect | DeadLetter", codec.decode(value)), partition)
                taken += 1
        return taken

    @property
    def caught_up(self) -> bool:
        return all(reader.caught_up for reader in self._readers)

    def close(self) -> None:
        for reader in self._readers:
            reader.close()


@contextmanager
def watching(brokers: str, settings: Settings, scene: Scene) -> Iterator[Outputs]:
    """Read the outputs into `scene` while the context lasts."""
    outputs = Outputs(brokers, settings, scene)
    try:
        yield outputs
    finally:
        outputs.close()
