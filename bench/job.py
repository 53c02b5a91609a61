"""What a host is told: which load to fold, with which fold, and where its state may lie."""

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass

from bench.toy import TOY
from topologies.inventory import INVENTORY
from topologies.topology import Topology

FOLDS = {"work": INVENTORY, "toy": TOY}


@dataclass(frozen=True, slots=True)
class Job:
    """One run of one host; travels as JSON on its command line."""

    fold: str
    """`work` or `toy`."""
    events: int
    """Events to fold, from the load's begin."""
    brokers: str
    prefix: str
    """Of all topics."""
    run: str
    """Names this run: consumer group, application and transactional ids."""
    folder: str
    """For local state; empty at the start."""

    @property
    def topology(self) -> Topology:
        """The fold and its topics."""
        return FOLDS[self.fold]

    @property
    def ledger(self) -> str:
        """The topic of the load."""
        return self.prefix + self.topology.source.name

    @property
    def outputs(self) -> tuple[str, ...]:
        """Topics that the fold publishes to, without prefix."""
        return tuple(topic.name for topic in self.topology.outputs)

    def encode(self) -> str:
        """Return the job as JSON."""
        return json.dumps(asdict(self))


def from_arguments(arguments: Sequence[str]) -> Job:
    """Read the job from a host's command line."""
    return Job(**json.loads(arguments[1]))
