"""Which messages of a source are missing: its numbers rise by one over all SKUs, so a number that is left out is a gap.

A gap is told once it has stood for a while, since a source that writes to several topics is read out of order; what
comes later closes it, number by number. What was told last is part of the state and is told again after a restart:
telling twice does no harm, and telling never would. A source that starts to count anew needs a new name.
"""

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import NamedTuple

from atp.events import Document, SequenceGapClosed, SequenceGapOpened

GAPS_MAX = 1_000
"""Gaps of a source that are followed; beyond them the lowest is given up."""


class Told(NamedTuple):
    """A gap that opened, or that closed."""

    source: str
    begin: int
    end: int
    opened: bool


@dataclass(slots=True)
class Gap:
    """Numbers that are missing, both ends included."""

    begin: int
    end: int
    since: int
    """When it was found, in microseconds."""
    told: bool = False


@dataclass(slots=True)
class Track:
    """What is known of a source: enough to go on after a restart."""

    last: int
    gaps: list[Gap] = field(default_factory=list)
    saying: list[Told] = field(default_factory=list)
    """What is told together with this state, and again if nobody knows whether it was heard."""


class Sequences:
    """Follows the numbers of some sources."""

    def __init__(self, grace: int) -> None:
        """`grace` is for how long a gap stands before it is told, in microseconds."""
        self.grace = grace
        self.tracks: dict[str, Track] = {}
        self._changed: set[str] = set()

    def restore(self, source: str, track: Track) -> None:
        """Go on from a state; what it was saying is said again."""
        self.tracks[source] = track
        if track.saying:
            self._changed.add(source)

    def saw(self, source: str, number: int, now: int) -> None:
        """Note a message; the first of a source says where its numbers begin."""
        track = self.tracks.get(source)
        if track is None:
            self.tracks[source] = Track(last=number)
            self._changed.add(source)
        elif number > track.last:
            if number > track.last + 1:
                track.gaps = [*track.gaps, Gap(track.last + 1, number - 1, now)][-GAPS_MAX:]
            track.last = number
            self._changed.add(source)
        elif gap := next((one for one in track.gaps if one.begin <= number <= one.end), None):
            rest = [Gap(*ends, gap.since, gap.told) for ends in ((gap.begin, number - 1), (number + 1, gap.end))]
            at = track.gaps.index(gap)
            track.gaps[at : at + 1] = [one for one in rest if one.begin <= one.end]
            if gap.told:
                track.saying.append(Told(source, number, number, opened=False))
            self._changed.add(source)

    def due(self, now: int) -> list[Told]:
        """What is to be told by now: to be written together with the states that `states` then gives."""
        for source, track in self.tracks.items():
            for gap in track.gaps:
                if not gap.told and gap.since + self.grace <= now:
                    gap.told = True
                    track.saying.append(Told(source, gap.begin, gap.end, opened=True))
                    self._changed.add(source)
        return [told for source in sorted(self._changed) for told in self.tracks[source].saying]

    def states(self) -> Iterable[tuple[str, Track]]:
        """The states that have changed since they were last written."""
        return [(source, self.tracks[source]) for source in sorted(self._changed)]

    def written(self) -> None:
        """All that was due, and all states, are where they cannot get lost."""
        for source in self._changed:
            self.tracks[source].saying = []
        self._changed = set()

    @property
    def waiting(self) -> bool:
        """Whether some gap waits to be told."""
        return any(not gap.told for track in self.tracks.values() for gap in track.gaps)


def event_of(told: Told, now: int) -> SequenceGapOpened | SequenceGapClosed:
    """The event that tells every partition of a gap; `now` in microseconds."""
    kind = SequenceGapOpened if told.opened else SequenceGapClosed
    return kind(
        source=told.source,
        document=Document("gap", f"{told.begin}-{told.end}", 1),
        event_time=now,
        from_seq=told.begin,
        to_seq=told.end,
    )
