"""The heart: the ledger by SKU into positions, availability, decisions, risks, variances and posting lines."""

from typing import assert_never

from atp.book import Position, Row, Summary, Transfer
from atp.effects import (
    AdviceChanged,
    AvailabilityChanged,
    Effect,
    ErpLine,
    ExceptionChanged,
    KitComponentChanged,
    RequestDecided,
    RiskChanged,
    VarianceChanged,
)
from atp.fold import fold
from topologies import topics
from topologies.topics import Topic
from topologies.topology import Topology


def route(effect: Effect) -> tuple[Topic, str]:
    """Return the topic of an effect and its record key."""
    match effect:
        case AvailabilityChanged():
            return topics.AVAILABILITY, effect.key
        case RequestDecided():
            return topics.DECISIONS, effect.request_id
        case ErpLine():
            return topics.ERP_LINES, effect.posting_key
        case RiskChanged():
            return topics.RISKS, effect.id
        case VarianceChanged():
            return topics.VARIANCES, effect.id
        case ExceptionChanged():
            return topics.EXCEPTIONS, effect.id
        case AdviceChanged():
            return topics.ADVICE, effect.id
        case KitComponentChanged():
            return topics.KIT_COMPONENTS, effect.key
        case _:
            assert_never(effect)


def held(row: Row | None) -> int:
    """Units in a row's accounts: buckets, transit and boundaries of a SKU add up to 0 (docs/domain.md, I2)."""
    match row:
        case Position():
            return row.sellable + row.returned + row.quarantine + row.damaged
        case Summary():
            return sum(row.accounts.values())
        case Transfer():
            return sum(row.shipped_to.values()) - row.received - row.lost
        case _:
            return 0


INVENTORY = Topology(
    name="inventory",
    source=topics.LEDGER,
    key="SKU",
    fold=fold,
    changelog=topics.CHANGELOG,
    evidence=topics.EVIDENCE,
    route=route,
    outputs=(
        topics.AVAILABILITY,
        topics.DECISIONS,
        topics.RISKS,
        topics.VARIANCES,
        topics.EXCEPTIONS,
        topics.ADVICE,
        topics.ERP_LINES,
        topics.KIT_COMPONENTS,
        topics.DEAD_LETTERS,
    ),
    held=held,
)
