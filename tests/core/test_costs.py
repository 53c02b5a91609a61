"""What an event costs does not grow with what it has nothing to do with: told by the rows that its fold looks at."""

from collections import Counter
from collections.abc import Iterator
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from atp.book import Dated, Inbound, Row
from atp.events import DAY, CountRecorded, Document, Event, PickConfirmed, PurchaseOrderPlaced, Ref
from atp.fold import Frame, fold
from atp.outlook import by_place, horizon
from streams.memory import MemoryRows
from tests.core.papers import more, request, reserved, stocked
from tests.core.strategies import EIGHT, tick

FRAME = Frame(window=7 * DAY)
ORDERS = 50


class Watched(MemoryRows):
    """Rows that count what is looked through, by the first letter of the key."""

    def __init__(self, events: list[Event]) -> None:
        super().__init__()
        self.seen: Counter[str] = Counter()
        for event in events:
            self.tell(event)

    def scan(self, prefix: str) -> Iterator[tuple[str, Row]]:
        for key, row in super().scan(prefix):
            self.seen[key[0]] += 1
            yield key, row

    def tell(self, event: Event) -> Counter[str]:
        """Fold an event; return what was looked through for it."""
        self.seen = Counter()
        outcome = fold(self, event, FRAME)
        assert outcome.verdict == "folded"
        seen = self.seen
        for key, row in outcome.changes.items():
            self.put(key, row)
        return seen


def orders(location: str) -> list[Event]:
    return [reserved(1, Ref(f"O-{n}", 1), location=location, channel="web") for n in range(ORDERS)]


def paper(kind: type, n: int, quantity: int, **fields: Any) -> Any:
    return more(kind, quantity, document=Document("paper", f"{n}", 1), **fields)


def test_a_request_looks_through_no_orders_where_each_has_its_place() -> None:
    rows = Watched([*stocked(S1=100), *orders("S1")])
    asked = request(1, 200)
    assert rows.tell(asked)["c"] == 0


def test_counts_look_through_the_orders_once_for_what_was_picked() -> None:
    rows = Watched([tick(EIGHT), *stocked(S1=100), *orders("S1")])
    picked = [paper(PickConfirmed, n, 1, order=Ref(f"O-{n}", 1), location="S1") for n in range(9)]
    for one in picked:
        rows.tell(one)
    for n in range(4):
        rows.tell(paper(CountRecorded, n, 50, location="S1", as_of=EIGHT + DAY, scope="on_hand", excludes="picked"))
    last = paper(PickConfirmed, 9, 1, order=Ref("O-9", 1), location="S1")
    assert rows.tell(last)["c"] == ORDERS


def test_a_purchase_order_that_is_known_by_its_line_is_looked_for_nowhere_else() -> None:
    def placed(n: int, rev: int = 0) -> Any:
        return paper(PurchaseOrderPlaced, n, 5, purchase_order=Ref(f"PO-{n}", 1), eta="2026-11-25", rev=rev)

    rows = Watched([tick(EIGHT), *(placed(n) for n in range(30))])
    assert rows.tell(placed(20, rev=1))["b"] == 0


days, places = st.integers(0, 5), st.sampled_from(["", "S1", "S2"])
comings = st.lists(
    st.builds(
        Inbound, day=days, location=places, units=st.integers(1, 9), state=st.just("shipped"), overdue=st.just(False),
        what=st.text("abc", max_size=2), closed=st.booleans(),
    )
)  # fmt: skip


@given(comings, st.lists(st.builds(Dated, day=days, channel=st.just("web"), location=places, units=st.integers(1, 9))))
def test_summed_by_day_and_place_what_comes_leaves_the_same(inbound: list[Inbound], dated: list[Dated]) -> None:
    for place in ("S1", "S2"):

        def arrives(coming: Inbound, place: str = place) -> bool:
            return coming.location == place and not coming.closed

        before, after = (horizon(3, some, dated, 0, arrives, lambda _: True) for some in (inbound, by_place(inbound)))
        assert after == before
    assert len(by_place(inbound)) <= 12
