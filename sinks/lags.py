"""How far channels are behind: from the moment that an answer was told to an acknowledgement of it, or of a later one.

Both moments are of the broker's clock, those of the records in `availability` and in the ledger: what a channel does
between them is its lag. An answer that was told again counts from its first telling, as far as the topic still holds
it: compaction removes what was replaced over an hour ago, and what is removed is not measured.
"""

import math
from bisect import bisect_left
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass, field

from confluent_kafka import Message

from atp.effects import AvailabilityChanged
from atp.errors import PoisonError
from atp.events import ChannelAck, Document, PolicyChanged, PolicyFields
from avro_schemas import codec
from avro_schemas.schemas import MAGIC
from sinks.committed import CommittedReader

TAKE = 10_000
SOURCE = "atp-lags"
REVISIONS_SINCE_S = 946_684_800
"""2000-01-01 UTC, in seconds since 1970: revisions are seconds since then, and fit into 31 bits until 2068."""
DAY_MS = 86_400_000

Version = tuple[int, int]
"""(epoch, version)"""


@dataclass(frozen=True, slots=True)
class ChannelLag:
    """How far a channel was behind."""

    channel: str
    acks: int
    """Acknowledgements that were read."""
    waiting: int
    """Answers that nothing acknowledged, themselves or by a later one."""
    lags_ms: tuple[int, ...]
    """Of every answer that was acknowledged, in milliseconds, sorted."""
    last_ack_ms: int
    """When the channel was last heard, by the broker's clock."""

    def percentile_ms(self, percent: int) -> int:
        """The least lag that so many percent of the answers do not exceed."""
        return self.lags_ms[max(0, -(-len(self.lags_ms) * percent // 100) - 1)]

    @property
    def lag_s(self) -> int:
        """What a policy says of it: the 95th percentile in seconds, rounded up."""
        return math.ceil(self.percentile_ms(95) / 1000)


@dataclass(slots=True)
class Lags:
    """What was told and acknowledged, by `channel|sku`."""

    told: dict[str, dict[Version, int]] = field(default_factory=lambda: defaultdict(dict))
    """When each version was first told, in milliseconds of the broker's clock."""
    acked: dict[str, list[tuple[int, Version]]] = field(default_factory=lambda: defaultdict(list))

    def tell(self, key: str, version: Version, at_ms: int) -> None:
        """Note that an answer was told."""
        known = self.told[key]
        known[version] = min(at_ms, known.get(version, at_ms))

    def ack(self, key: str, version: Version, at_ms: int) -> None:
        """Note that a channel acknowledged a version."""
        self.acked[key].append((at_ms, version))

    def channels(self) -> list[ChannelLag]:
        """Measure every channel that acknowledged anything, by name."""
        acks: dict[str, int] = defaultdict(int)
        last: dict[str, int] = defaultdict(int)
        for key, acked in self.acked.items():
            channel = key.partition("|")[0]
            acks[channel] += len(acked)
            last[channel] = max(last[channel], *(at_ms for at_ms, _ in acked))
        lags: dict[str, list[int]] = defaultdict(list)
        waiting: dict[str, int] = defaultdict(int)
        for key, told in self.told.items():
            channel = key.partition("|")[0]
            times, marks = _progress(self.acked.get(key, []), max(told))
            for version, at_ms in told.items():
                first = bisect_left(marks, version)
                if first == len(marks):
                    waiting[channel] += 1
                elif times[first] >= at_ms:  # else what is left of the answer is a later telling of it
                    lags[channel].append(times[first] - at_ms)
        return [
            ChannelLag(
                channel=channel, acks=acks[channel], waiting=waiting[channel],
                lags_ms=tuple(sorted(lags[channel])), last_ack_ms=last[channel],
            )
            for channel in sorted(acks)
        ]  # fmt: skip

    def silent(self) -> list[str]:
        """The channels that were told something and acknowledged nothing, by name."""
        heard = {key.partition("|")[0] for key in self.acked}
        return sorted({key.partition("|")[0] for key in self.told} - heard)


def _progress(acked: list[tuple[int, Version]], greatest: Version) -> tuple[list[int], list[Version]]:
    """When a channel got further, and how far; what was never told is no progress."""
    times: list[int] = []
    marks: list[Version] = []
    for at_ms, version in sorted(acked):
        if version <= greatest and (not marks or version > marks[-1]):
            times.append(at_ms)
            marks.append(version)
    return times, marks


def read_lags(availability: CommittedReader, ledger: CommittedReader, since_ms: int) -> Lags:
    """Read what was told and acknowledged since a moment of the broker's clock. Raises: FatalError."""
    lags = Lags()
    for key, message in _records(availability, since_ms):
        if key.count("|") == 1 and (value := message.value()) is not None:
            answer = _decoded(value)
            if isinstance(answer, AvailabilityChanged):
                lags.tell(key, (answer.epoch, answer.version), message.timestamp()[1])
    acknowledges = MAGIC + codec.fingerprint_of(ChannelAck)
    for _, message in _records(ledger, since_ms):
        value = message.value()
        if isinstance(value, bytes) and value.startswith(acknowledges):
            ack = _decoded(value)
            if isinstance(ack, ChannelAck):
                lags.ack(f"{ack.channel}|{ack.sku}", (ack.epoch, ack.version), message.timestamp()[1])
    return lags


def policy(lag: ChannelLag, now_s: int) -> PolicyChanged:
    """Say a channel's lag to the pipeline: a revision of what was measured of it before.

    It holds from the day on which the channel was last heard, so that there is no moment without any.
    """
    return PolicyChanged(
        source=SOURCE,
        document=Document("lag", lag.channel, 1),
        event_time=lag.last_ack_ms // DAY_MS * DAY_MS * 1000,
        rev=now_s - REVISIONS_SINCE_S,
        channel=lag.channel,
        policy=PolicyFields(lag_s=lag.lag_s),
    )


def _records(reader: CommittedReader, since_ms: int) -> Iterator[tuple[str, Message]]:
    reader.assign({partition: reader.since(partition, since_ms) for partition in reader.partitions})
    while not reader.caught_up:
        for message in reader.take(TAKE, 0.2):
            key = message.key()
            yield key.decode() if isinstance(key, bytes) else "", message


def _decoded(value: object) -> object:
    try:
        return codec.decode(value) if isinstance(value, bytes) else None
    except PoisonError:
        return None
