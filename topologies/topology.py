"""A topology as a value: what it reads, how it folds, where its effects go. Running it is a host's business."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from atp.book import Row, Rows
from atp.effects import Effect
from atp.fold import Frame, Outcome
from topologies.topics import Topic

Fold = Callable[[Rows, Any, Frame], Outcome]
"""From what the source holds: an event of the ledger, or what another topology publishes."""
Route = Callable[[Effect], tuple[Topic, str]]


@dataclass(frozen=True, slots=True)
class Topology:
    """A stateful topology: one ledger in, rows and effects out, partition p to partition p."""

    name: str
    """Part of consumer groups, transactional ids and state folders: renaming it is a migration."""
    source: Topic
    key: str
    """What the source is keyed by, in words."""
    fold: Fold
    changelog: Topic
    """Rows and, last in each transaction, the marker."""
    evidence: Topic
    """Rows of the window; the changelog again where there is no window."""
    route: Route
    """The topic and the record key of an effect."""
    outputs: tuple[Topic, ...]
    held: Callable[[Row | None], int]
    """Units that a row holds; no batch changes their sum over the rows `p|`, `s|` and `t|` that it touches."""

    @property
    def rereadable(self) -> bool:
        """The source holds all that the state derives from, absolute: it may be read again from its beginning."""
        return self.source.compacted

    def describe(self) -> str:
        """Say in a few lines what flows where."""
        lines = [
            f"topology {self.name}, one task per partition, by {self.key}",
            f"  reads      {self.source.name}: {self.source.holds}",
            f"  keeps      {self.changelog.name}: {self.changelog.holds}",
        ]
        if self.evidence is not self.changelog:
            lines.append(f"  keeps      {self.evidence.name}: {self.evidence.holds}")
        lines += [f"  publishes  {topic.name}: {topic.holds}" for topic in self.outputs]
        return "\n".join(lines)
