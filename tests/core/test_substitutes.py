"""What is offered instead of a SKU that cannot be served: named where it helps, withdrawn where it does not.

Source: docs/domain.md section "Advice".
"""

from dataclasses import replace
from itertools import permutations
from typing import Any

import pytest

from atp.admission import digest
from atp.book import Masters, masters_key
from atp.effects import AdviceChanged
from atp.events import (
    DAY,
    HOUR,
    AdviceDecided,
    Document,
    Event,
    GoodsReceived,
    MasterChanged,
    PolicyChanged,
    PolicyFields,
    SaleRecorded,
)
from atp.planning import substitutes_of
from tests.core.papers import coming, locations, more, reserved
from tests.core.rig import Folded
from tests.core.strategies import EIGHT, tick


def instead(*skus: str, rev: int = 0, **fields: Any) -> MasterChanged:
    document = Document("substitutes", "A", 1)
    named: MasterChanged = more(
        MasterChanged, 0, **{"document": document, "event_time": EIGHT, "substitutes": skus, "rev": rev, **fields}
    )
    return named


def web() -> Event:
    """A channel that sells from S2, where nothing ever comes."""
    return replace(locations("web", "S2"), event_time=EIGHT)


def there(units: int) -> Event:
    received: Event = more(GoodsReceived, units, location="S1", event_time=EIGHT)
    return received


def told(folded: Folded) -> list[tuple[str, tuple[str, ...]]]:
    """Status and names of each word about it; every one is of the SKU as a whole and of the day's one id."""
    found = [one for one in folded.effects if isinstance(one, AdviceChanged) and one.kind == "substitute"]
    assert all((one.location, one.quantity, one.from_location) == ("", 0, "") for one in found)
    return [(one.status, one.substitutes) for one in found]


def hours(first: int, last: int) -> list[Event]:
    return [tick(EIGHT + n * HOUR + 60_000_000) for n in range(first, last + 1)]


def test_they_are_named_where_nothing_is_left_and_withdrawn_when_it_is_back() -> None:
    sold: Event = more(SaleRecorded, 1, location="S1", event_time=EIGHT + HOUR)
    folded = Folded([instead("B", "C"), there(1), *hours(0, 1), sold, *hours(2, 5)])
    assert told(folded) == [("proposed", ("B", "C"))]
    (one,) = [one for one in folded.effects if isinstance(one, AdviceChanged)]
    assert one.evidence == {"out": "all"}
    assert "offer one of the substitutes" in one.action
    back: Event = more(GoodsReceived, 3, location="S1", event_time=EIGHT + 5 * HOUR, document=Document("grn", "2", 1))
    for event in [back, *hours(6, 6)]:
        folded.send(event)
    assert told(folded)[1:] == [("expired", ("B", "C"))]


@pytest.mark.parametrize("order", list(permutations(range(3))))
def test_it_does_not_matter_what_is_heard_first(order: tuple[int, ...]) -> None:
    said = [instead("B"), web(), there(3)]
    assert told(Folded([*(said[n] for n in order), *hours(5, 6)])) == [("proposed", ("B",))]


def test_orders_at_risk_name_them_too() -> None:
    """3 are ordered for the day after tomorrow, 2 are there and none comes in time; a few come later."""
    later = reserved(3, need_date="2026-11-22", event_time=EIGHT)
    folded = Folded([*hours(0, 0), instead("B"), there(2), later, coming("S1", 9, "2026-11-25"), *hours(1, 2)])
    (one,) = [one for one in folded.effects if isinstance(one, AdviceChanged)]
    assert (one.kind, one.evidence) == ("substitute", {"orders_at_risk": "projected"})


def test_what_only_terms_keep_back_is_not_missing() -> None:
    none: Event = more(PolicyChanged, 0, channel="mall", policy=PolicyFields(cap=0), event_time=EIGHT)
    folded = Folded([instead("B"), none, there(2), *hours(0, 2)])
    assert (folded.states()["A", "mall"].atp, told(folded)) == (0, [])
    folded = Folded([instead("B"), coming("S1", 2, "2026-11-25"), *hours(0, 2)])
    assert (folded.states()["A", "all"].atp, told(folded)) == (0, [])


def test_without_names_nothing_is_advised_and_names_hold_from_their_time() -> None:
    assert told(Folded([there(1), web(), *hours(0, 3)])) == []
    folded = Folded([there(1), web(), *hours(0, 0), instead("B", event_time=EIGHT + 2 * HOUR + HOUR // 2)])
    for event in hours(1, 2):
        folded.send(event)
    assert told(folded) == []
    folded.send(tick(EIGHT + 3 * HOUR))
    assert told(folded) == [("proposed", ("B",))]
    row = folded.rows.get(masters_key("A", ""))
    assert isinstance(row, Masters)
    assert (substitutes_of(row, EIGHT), substitutes_of(row, EIGHT + 3 * HOUR)) == ((), ("B",))


def test_other_names_restate_it_and_none_end_it() -> None:
    folded = Folded([instead("B"), there(1), web(), *hours(0, 2), instead("C", "B", rev=1), *hours(3, 3)])
    assert told(folded) == [("proposed", ("B",)), ("proposed", ("C", "B"))]
    ids = {one.id for one in folded.effects if isinstance(one, AdviceChanged)}
    assert len(ids) == 1
    for event in (instead(rev=2), *hours(4, 4)):
        folded.send(event)
    assert told(folded)[2:] == [("expired", ("C", "B"))]


def test_somebody_decides_whatever_policy_lets_pass() -> None:
    passes: Event = more(PolicyChanged, 0, policy=PolicyFields(approve_above=1_000), event_time=EIGHT)
    folded = Folded([passes, instead("B"), there(1), web(), *hours(0, 2)])
    assert told(folded) == [("proposed", ("B",))]
    (one,) = [one for one in folded.effects if isinstance(one, AdviceChanged)]
    folded.send(more(AdviceDecided, 0, advice=one.id, answer="rejected", event_time=EIGHT + 2 * HOUR, actor="ann"))
    for event in hours(3, 12):
        folded.send(event)
    assert told(folded)[1:] == [("rejected", ("B",))]
    folded.send(tick(EIGHT - 8 * HOUR + DAY))  # the next day it still helps, and is proposed anew
    folded.send(tick(EIGHT + DAY))
    assert told(folded)[2:] == [("proposed", ("B",))]


class Unchecked(Folded):
    """Of a kit, whose channels another topology answers for."""

    def check(self) -> None:
        return


def test_a_kit_is_not_sold_out_because_none_is_assembled() -> None:
    bill: Event = more(MasterChanged, 0, sku="", kit="A", components={"X": 1}, document=Document("bill", "A", 1))
    folded = Unchecked([bill, instead("B"), *hours(0, 2)])
    assert "A" in folded.summaries()
    assert told(folded) == []


def test_what_was_stated_before_there_were_substitutes_is_known_when_it_is_sent_again() -> None:
    old = MasterChanged(
        source="mdm", document=Document("item", "A", 1), event_time=EIGHT - 8 * HOUR, sku="A",
        attributes={"colour": "red"},
    )  # fmt: skip
    assert digest(old).hex() == "64adcb2cca1bce67"
    assert digest(instead("B")) != digest(instead("C")) != digest(instead())
    folded = Folded([instead("B"), instead("B"), instead("C"), more(GoodsReceived, 1, location="S1")])
    assert folded.verdicts == ["folded", "duplicate", "conflict", "folded"]
