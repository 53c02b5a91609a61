"""Which partition a key belongs to: Kafka's own murmur2, as Java clients and `murmur2_random` compute it."""

from topologies.topics import Topic

_MIX = 0x5BD1E995
_SEED = 0x9747B28C
_MASK = 0xFFFFFFFF


def place_of(topic: Topic, key: bytes, mine: int, partitions: int) -> int:
    """Return where an output record lies that the owner of partition `mine` writes."""
    return partition_of(key.partition(b"|")[0], partitions) if topic.crosses else mine


def partition_of(key: bytes, partitions: int) -> int:
    """Return the partition of a key that is not null. Source: Kafka's `Utils.murmur2` and its default partitioner."""
    return (_murmur2(key) & 0x7FFFFFFF) % partitions


def _murmur2(data: bytes) -> int:
    length = len(data)
    h = _SEED ^ length
    whole = length & ~3
    for i in range(0, whole, 4):
        k = int.from_bytes(data[i : i + 4], "little") * _MIX & _MASK
        k = (k ^ k >> 24) * _MIX & _MASK
        h = h * _MIX & _MASK ^ k
    if length > whole:
        h = (h ^ int.from_bytes(data[whole:], "little")) * _MIX & _MASK
    h = (h ^ h >> 13) * _MIX & _MASK
    return h ^ h >> 15
