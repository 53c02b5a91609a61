"""What a rebuild would do: where each partition stands, which of them it folds anew, and what forbids it."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from confluent_kafka import Consumer, TopicPartition

from atp.errors import FatalError
from streams import runner
from streams.checkpoint import MARKER_KEY, Marker, batch_number, decode_marker
from streams.cluster import TopicIds, members, refuse_old, topic_ids
from streams.poller import SESSION_S
from streams.restore import reader, to_end
from streams.settings import Settings
from streams.topics_admin import find_topics, topic_name
from topologies import topics
from topologies.topology import Topology

TAIL = 64
"""Offsets from the end of a changelog in which the last marker is looked for first: it ends its transaction."""
ASK_S = 30.0
HALF_REBUILT = "half rebuilt"
DESPITE = "go on all the same with: atp rebuild --from-logs --despite-gaps"


@dataclass(frozen=True, slots=True)
class Standing:
    """A partition before its rebuild."""

    partition: int
    low: int
    """First offset of the ledger that is kept."""
    high: int
    """The offset behind the ledger's last record."""
    marker: Marker | None
    batch: int
    """The greatest number of a batch that wrote rows, torn ones too; 0 where nothing did."""
    state: str
    """whole, torn, gone, half rebuilt, of other topics, or nothing."""
    epoch: int
    """The epoch that the rebuild gives it; the one it has where it is left alone."""
    chosen: bool
    """Whether the rebuild folds it anew."""

    @property
    def epochs(self) -> tuple[tuple[int, int], ...]:
        """The epochs after the first that the ledger was folded under, each with its first offset, as far as known."""
        return self.marker.epochs if self.marker is not None else ()


@dataclass(frozen=True, slots=True)
class Plan:
    """All partitions, those that are left alone too."""

    standings: list[Standing]
    ids: TopicIds | None
    """None where topics are missing, that a rebuild would create."""
    missing: list[str]
    finishes: bool
    """Whether it finishes a rebuild that was begun."""

    @property
    def chosen(self) -> list[Standing]:
        return [one for one in self.standings if one.chosen]


def refuse_workers(settings: Settings, brokers: str, topology: Topology) -> None:
    """Raises: FatalError while anyone works on the topology."""
    # One that crashed and waits to be started again is in no group just now.
    running = [one.name for one in runner.running(settings)]
    if running:
        raise FatalError(f"workers run: {', '.join(running)}. Stop them: atp down --workers")
    group = settings.group(topology.name)
    found = members(brokers, group)
    if found:
        raise FatalError(
            f"workers run: {', '.join(found)}, in the group {group}. Stop them where they run (atp down "
            f"--workers, or systemctl stop); one that was killed is forgotten {SESSION_S:.0f} s later"
        )


def make_plan(
    settings: Settings, brokers: str, topology: Topology, partitions: Sequence[int], *, despite_gaps: bool
) -> Plan:
    """Look at every partition; `partitions` are those that are asked for, none means all. Raises: FatalError."""
    refuse_old(brokers)
    wrong = [number for number in partitions if number >= settings.partitions]
    if wrong:
        raise FatalError(f"there is no partition {wrong[0]}: they are 0 to {settings.partitions - 1}. See: atp topics")
    wanted = [topology.source, topology.changelog, topology.evidence, *topology.outputs]
    missing = [found.name for found in find_topics(brokers, settings, wanted) if not found.partitions]
    names = [topic_name(settings, one) for one in (topology.source, topology.changelog, topology.evidence)]
    if names[0] in missing:
        raise FatalError(f"there is no ledger, {names[0]}, to fold. Create the topics with: atp topics --create")
    ids = None if set(names) & set(missing) else topic_ids(brokers, *names)
    looks = []
    with reader(brokers, "rebuild-look") as consumer:
        for partition in range(settings.partitions):
            marker, batch = None, 0
            if names[1] not in missing:
                marker, batch = _last(consumer, names[1], partition, marked=True)
            if names[2] not in missing:
                batch = max(batch, _last(consumer, names[2], partition, marked=False)[1])
            looks.append((_bounds(consumer, names[0], partition), marker, batch))
    for partition, (_, marker, _) in enumerate(looks):
        if marker is not None and marker.partitions != settings.partitions:
            raise FatalError(
                f"partition {partition} was folded as one of {marker.partitions}, and now there are "
                f"{settings.partitions}. Keep the count: ATP_PARTITIONS={marker.partitions}"
            )
    standings = _standings(looks, ids, set(partitions))
    if not despite_gaps:
        _refuse_gaps(settings, brokers, topology, standings, missing)
    finishes = any(one.state == HALF_REBUILT for one in standings)
    return Plan(standings, ids, missing, finishes)


_Look = tuple[tuple[int, int], Marker | None, int]


def _standings(looks: list[_Look], ids: TopicIds | None, asked: set[int]) -> list[Standing]:
    half = [marker for _, marker, _ in looks if marker is not None and marker.rebuilding]
    next_epoch = 1 + max((marker.epoch for _, marker, _ in looks if marker is not None), default=0)
    begun = max((marker.epoch for marker in half), default=0)
    """The epoch of the rebuild that was begun; a partition that has it, and no mark, is done."""
    unfinished = {number for marker in half for number in marker.rebuilding}
    standings = []
    for partition, ((low, high), marker, batch) in enumerate(looks):
        state = _state(marker, batch, high, ids)
        done = marker is not None and not marker.rebuilding and marker.epoch >= begun
        left = partition in unfinished and not done
        epoch = next_epoch
        if marker is not None and marker.rebuilding:
            epoch = marker.epoch
        elif left:
            epoch = begun
        due = left if half else state != "nothing"
        chosen = partition in asked if asked else due
        if not chosen:
            epoch = marker.epoch if marker is not None else 0
        standings.append(Standing(partition, low, high, marker, batch, state, epoch, chosen))
    return standings


def _state(marker: Marker | None, batch: int, high: int, ids: TopicIds | None) -> str:
    if marker is None:
        return "gone" if batch or high else "nothing"
    if marker.rebuilding:
        return HALF_REBUILT
    if batch > marker.batch:
        return "torn"
    if ids is None or (marker.ledger, marker.changelog, marker.evidence) != (ids.ledger, ids.changelog, ids.evidence):
        return "of other topics"
    return "whole"


def _refuse_gaps(
    settings: Settings, brokers: str, topology: Topology, standings: list[Standing], missing: list[str]
) -> None:
    """A log that does not reach back to its beginning cannot bring back what was. Raises: FatalError."""
    ledger = topic_name(settings, topology.source)
    for one in standings:
        if not one.chosen:
            continue
        where = f"partition {one.partition} of {ledger}"
        if one.low:
            raise FatalError(
                f"{where} begins at offset {one.low}: what was before would be forgotten. "
                f"Restore it from a backup, or {DESPITE}"
            )
        if one.marker is not None and one.marker.position > one.high:
            raise FatalError(
                f"{where} ends at {one.high}, and offsets up to {one.marker.position - 1} were folded: what is not "
                f"there would be forgotten. Restore it from a backup, or {DESPITE}"
            )
    if topics.DECISIONS not in topology.outputs:
        return
    decisions = topic_name(settings, topics.DECISIONS)
    folded = any(one.state != "nothing" for one in standings)
    if decisions in missing and folded:
        raise FatalError(
            f"there is no topic {decisions}: requests that were answered would be decided anew. "
            f"Restore it from a backup, or {DESPITE}"
        )
    if decisions not in missing:
        with reader(brokers, "rebuild-look") as consumer:
            for one in standings:
                low, _ = _bounds(consumer, decisions, one.partition)
                if low and one.chosen:
                    raise FatalError(
                        f"partition {one.partition} of {decisions} begins at offset {low}: requests that were "
                        f"answered before would be decided anew. Restore it from a backup, or {DESPITE}"
                    )


def _bounds(consumer: Consumer, topic: str, partition: int) -> tuple[int, int]:
    low, high = consumer.get_watermark_offsets(TopicPartition(topic, partition), timeout=ASK_S)
    return low, high


def _last(consumer: Consumer, log: str, partition: int, *, marked: bool) -> tuple[Marker | None, int]:
    """Return the last marker in a log, and the greatest number of a batch that wrote to it; 0 where none did."""
    raw: Any = None
    newest = 0
    low, high = _bounds(consumer, log, partition)
    for start in {max(low, high - TAIL): None, low: None}:
        for records in to_end(consumer, [TopicPartition(log, partition, start)]):
            for record in records:
                newest = max(newest, batch_number(record) or 0)
                if record.key() == MARKER_KEY:
                    raw = record.value()
        if raw is not None or (newest and not marked):
            break  # Else whatever is at its end was aborted, or torn: look at all of it.
    return (None if raw is None else decode_marker(raw)), newest
