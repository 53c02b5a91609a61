"""What intake knows of the numbers of its sources, in a compacted topic: so that a restart finds no gaps of its own.

Sources are keyed by their name in the inbound topics, so one source lies in one partition number, whichever topics it
writes to; its state lies there too.
"""

import json
from collections.abc import Iterable

from confluent_kafka import OFFSET_BEGINNING

from atp.sequences import Gap, Sequences, Told, Track
from sinks.committed import CommittedReader
from streams.settings import Settings
from streams.topics_admin import topic_name
from topologies.topics import SEQUENCES

TAKE = 10_000


def restore(sequences: Sequences, settings: Settings, brokers: str, partitions: Iterable[int]) -> dict[str, int]:
    """Read the states of the sources of some partitions; return where each lies.

    Raises: FatalError where the brokers do not answer, or the topic is not there.
    """
    reader = CommittedReader(brokers, topic_name(settings, SEQUENCES))
    try:
        latest: dict[str, tuple[bytes, int]] = {}
        reader.assign(dict.fromkeys(sorted(set(partitions)), OFFSET_BEGINNING))
        while not reader.caught_up:
            for message in reader.take(TAKE, 0.2):
                key, value, partition = message.key(), message.value(), message.partition()
                if isinstance(key, bytes) and isinstance(value, bytes) and partition is not None:
                    latest[key.decode()] = value, partition
    finally:
        reader.close()
    for source, (value, _) in latest.items():
        sequences.restore(source, decode(source, value))
    return {source: partition for source, (_, partition) in latest.items()}


def encode(track: Track) -> bytes:
    """Write a state as JSON."""
    gaps = [[gap.begin, gap.end, gap.since, gap.told] for gap in track.gaps]
    saying = [[told.begin, told.end, told.opened] for told in track.saying]
    return json.dumps({"last": track.last, "gaps": gaps, "saying": saying}).encode()


def decode(source: str, value: bytes) -> Track:
    """Read what `encode` wrote."""
    found = json.loads(value)
    gaps = [Gap(begin, end, since, told) for begin, end, since, told in found["gaps"]]
    saying = [Told(source, begin, end, opened) for begin, end, opened in found["saying"]]
    return Track(last=found["last"], gaps=gaps, saying=saying)
