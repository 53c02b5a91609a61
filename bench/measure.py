"""How fast a host was, as the broker saw it: by the times at which its outputs were appended.

The broker stamps every record (`LogAppendTime`), so all hosts are measured by one clock, outside of them.
"""

from confluent_kafka import OFFSET_BEGINNING, TopicPartition

from atp.errors import FatalError
from streams.restore import reader, to_end

WARM_UP = 0.1
"""Share of a run at its begin that is not counted: start, joining the group, first rows."""


def rate(brokers: str, topic: str, partitions: int, events: int) -> float:
    """Return events a second, from a topic that every event has published to.

    A host that coalesces publishes fewer records than events; they stand for the events all the same.
    Raises: FatalError.
    """
    with reader(brokers, "bench-measure") as consumer:
        starts = [TopicPartition(topic, partition, OFFSET_BEGINNING) for partition in range(partitions)]
        moments = sorted(record.timestamp()[1] for records in to_end(consumer, starts) for record in records)
    begin = int(len(moments) * WARM_UP)
    seconds = (moments[-1] - moments[begin]) / 1000 if moments else 0
    if not seconds:
        raise FatalError(f"a host wrote {len(moments)} records to {topic} and ended; no rate can be told from that")
    return events * (1 - WARM_UP) / seconds
