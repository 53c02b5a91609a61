"""Kits: what there is of their components, by kit, into the channels' answers for them."""

from atp.book import Row
from atp.effects import AvailabilityChanged, Effect
from atp.kits import fold
from topologies import topics
from topologies.topics import Topic
from topologies.topology import Topology


def route(effect: Effect) -> tuple[Topic, str]:
    """Return the topic of an effect and its record key."""
    assert isinstance(effect, AvailabilityChanged)  # A kit's fold says nothing else.
    return topics.AVAILABILITY, effect.key


def held(row: Row | None) -> int:
    """Kits hold no goods: those lie in the book of the components."""
    del row
    return 0


KITS = Topology(
    name="kits",
    source=topics.KIT_COMPONENTS,
    key="kit SKU",
    fold=fold,
    changelog=topics.KITS_CHANGELOG,
    evidence=topics.KITS_CHANGELOG,
    route=route,
    outputs=(topics.AVAILABILITY, topics.DEAD_LETTERS),
    held=held,
)
