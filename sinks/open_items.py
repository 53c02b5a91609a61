"""What is open on a topic of lives: exceptions, risks, variances, advice. The last statement on each id stands."""

from collections import Counter
from collections.abc import Callable, Iterator

from atp.effects import AdviceChanged, ExceptionChanged, RiskChanged, VarianceChanged
from avro_schemas import codec
from sinks.committed import CommittedReader

TAKE = 10_000
SEVERITIES = ("CRITICAL", "HIGH", "MEDIUM", "LOW")
"""Most urgent first."""

Item = ExceptionChanged | RiskChanged | VarianceChanged | AdviceChanged


def is_open(item: Item) -> bool:
    """Say whether somebody still has to do something about it."""
    match item:
        case ExceptionChanged() | RiskChanged():
            return item.transition != "closed"
        case VarianceChanged():
            return item.status == "open"
        case AdviceChanged():
            return item.status in ("proposed", "approved")


class OpenItems:
    """The open items of one topic, from its beginning to its ends, then on. Close it after use."""

    def __init__(self, brokers: str, topic: str, wanted: Callable[[Item], bool]) -> None:
        """What is not `wanted` is only counted. Raises: FatalError."""
        self.seen: set[str] = set()
        """Ids of everything that the topic tells of."""
        self._wanted = wanted
        # An item of no SKU is told in every partition, under one id: it is open as long as it is in any of them.
        self._open: dict[tuple[str, int], Item] = {}
        self._reader = CommittedReader(brokers, topic)
        self._reader.from_beginning()

    def close(self) -> None:
        self._reader.close()

    def load(self) -> None:
        """Read to the ends. Raises: FatalError."""
        while not self._reader.caught_up:
            for _ in self.changes(0.2):
                pass

    def changes(self, wait_s: float) -> Iterator[Item]:
        """Yield what is said of wanted items, in the order of each partition. Raises: FatalError, PoisonError."""
        for message in self._reader.take(TAKE, wait_s):
            value = message.value()
            if not isinstance(value, bytes):
                continue
            item = codec.decode(value)
            if isinstance(item, Item) and self._apply(item, message.partition() or 0):
                yield item

    def kinds(self) -> Counter[str]:
        """Count all that is open by kind, wanted or not."""
        return Counter(item.kind for item in self._distinct())

    def __iter__(self) -> Iterator[Item]:
        """Yield the wanted open items, the most urgent first."""
        return iter(sorted((item for item in self._distinct() if self._wanted(item)), key=_urgency))

    def _distinct(self) -> list[Item]:
        return list({item.id: item for item in self._open.values()}.values())

    def _apply(self, item: Item, partition: int) -> bool:
        self.seen.add(item.id)
        known = self._open.get((item.id, partition))
        # Restated under one id: the record with the greatest restatement replaces all before it.
        match item, known:
            case VarianceChanged(restatement=new), VarianceChanged(restatement=had) if new < had:
                return False
        if is_open(item):
            self._open[item.id, partition] = item
        else:
            self._open.pop((item.id, partition), None)
        return self._wanted(item)


def _urgency(item: Item) -> tuple[object, ...]:
    match item:
        case ExceptionChanged():
            return SEVERITIES.index(item.severity), item.deadline or 1 << 62, item.opened_at, item.id
        case RiskChanged():
            return SEVERITIES.index(item.severity), item.opened_at, item.id
        case VarianceChanged():
            return -abs(item.diff), item.as_of, item.id
        case AdviceChanged():
            return item.status != "proposed", item.kind, item.sku, item.location, item.id
