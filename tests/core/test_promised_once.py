"""No unit is promised twice: what is granted, requested and accepted finds stock, or supply in time, for all of it.

Nothing is lost here, nobody reserves without asking, and what is to come does come on its day; then whatever is asked
for in whichever order, ring-fences, what is due and what is due later can all be served together. That is checked with
a maximum flow of the tests' own. Source: docs/domain.md sections "Availability" and "Dated supply and demand".
"""

from collections.abc import Mapping
from dataclasses import replace

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from atp.book import Claim
from atp.claims import Standing, day_text, standing
from atp.effects import RiskChanged
from atp.events import (
    DAY,
    MINUTE,
    AllocationGranted,
    AllocationReturned,
    Document,
    Event,
    GoodsReceived,
    Ref,
    ReservationRequested,
)
from tests.core import strategies
from tests.core.network_model import Promise, unserved
from tests.core.papers import NOON, coming, locations, more, request, stocked
from tests.core.rig import Folded
from tests.core.strategies import EIGHT, PLACES, tick

CHANNELS = ("a", "b", "c")
DAYS = 4
TODAY = (EIGHT + DAY // 2) // DAY
many = settings(
    max_examples=200,
    print_blob=True,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
)


class Held:
    """What is there and comes, and all that is held of it, restated from the lines of the partition."""

    def __init__(
        self, folded: Folded, nodes: Mapping[str, set[str]], supply: Mapping[tuple[str, int], int], time: int
    ) -> None:
        """`supply` says what comes: by place and day since 1970. `time` is that of the last tick."""
        self.stock = {f"{place}|0": folded.positions()[key].on_hand for key in folded.positions() for place in key[1:]}
        self.stock |= {f"{place}|{day}": units for (place, day), units in supply.items()}
        self.promises: list[Promise] = []
        for _, row in folded.rows_of("c|A|"):
            one = standing(row if isinstance(row, Claim) else None, time)
            self._line(one, nodes[one.channel])
        for (_, channel), state in folded.states().items():
            if state.ring:
                self.promises.append(Promise(state.ring, self._within(nodes[channel], 0)))

    def _line(self, one: Standing, nodes: set[str]) -> None:
        day = 0 if one.due or one.need is None else one.need
        for placed in one.placed:
            self.promises.append(Promise(placed.units, self._within({placed.location}, day)))
        self.promises.append(Promise(one.pending, self._within(nodes, day)))

    def _within(self, places: set[str], day: int) -> frozenset[str]:
        names = [name.rpartition("|") for name in self.stock]
        return frozenset(f"{place}|{at}" for place, _, at in names if place in places and int(at) <= day)

    @property
    def missing(self) -> int:
        """Units held that nothing can serve in time."""
        return unserved(self.stock, self.promises)


@many
@given(st.data())
def test_no_unit_is_promised_twice(data: st.DataObject) -> None:
    nodes = {channel: data.draw(st.sets(st.sampled_from(PLACES), min_size=1)) for channel in CHANNELS}
    nodes["all"] = set(PLACES)
    stock = {place: data.draw(st.integers(0, 6)) for place in PLACES}
    supply = data.draw(
        st.dictionaries(
            st.tuples(st.sampled_from(PLACES), st.integers(TODAY, TODAY + DAYS)), strategies.units, max_size=4
        )
    )
    folded = Folded([*(locations(channel, *sorted(nodes[channel])) for channel in CHANNELS), *stocked(**stock), NOON])
    for n, ((place, day), units) in enumerate(supply.items(), 1):
        folded.send(coming(place, units, day_text(day), n))
    came: set[tuple[str, int]] = set()
    for n in range(data.draw(st.integers(1, 10))):
        channel = data.draw(st.sampled_from(CHANNELS))
        if data.draw(st.integers(0, 3)) == 0:
            document = Document("grant", f"G-{n}", 1)
            grant = more(AllocationGranted, data.draw(strategies.units), channel=channel, document=document)
            folded.send(replace(grant, priority=data.draw(st.integers(0, 2))))
        elif data.draw(st.integers(0, 5)) == 0:
            folded.send(more(AllocationReturned, 1, channel=channel, document=Document("return", f"B-{n}", 1)))
        else:
            folded.send(asking(data, n, channel))
            told = folded.decided[f"R-{n}"]
            assert told.quantity <= told.atp
        all_is_held(folded, nodes, supply, NOON.event_time)
    for later in range(DAYS + 2):  # and so it is kept, day by day
        time = NOON.event_time + later * DAY
        folded.send(tick(time))
        for n, ((place, day), units) in enumerate(list(supply.items()), 1):
            if day == TODAY + later:
                paper = {
                    "document": Document("grn", f"PO-{n}", 1),
                    "purchase_order": Ref("PO-1", n),
                    "event_time": time,
                }
                folded.send(more(GoodsReceived, units, location=place, final=True, **paper))
                came.add((place, day))
        folded.send(tick(time + 10 * MINUTE))  # what waited for the day's delivery is calm again
        rest = {key: units for key, units in supply.items() if key not in came}
        all_is_held(folded, nodes, rest, time)


def all_is_held(
    folded: Folded, nodes: Mapping[str, set[str]], supply: Mapping[tuple[str, int], int], time: int
) -> None:
    held = Held(folded, nodes, supply, time)
    assert held.missing == 0, (held.stock, held.promises)
    assert not [key for key, _ in folded.rows_of("r|") if key[1] in ("oversold", "projected")]


def asking(data: st.DataObject, n: int, channel: str) -> ReservationRequested:
    """A request for today or for a later day, of a channel's places or of one."""
    day = data.draw(st.none() | st.integers(TODAY - 1, TODAY + DAYS + 1))
    return replace(
        request(n, data.draw(strategies.units), channel=channel),
        order=Ref(f"O-{n}", 1),
        need_date=None if day is None else day_text(day),
        location=data.draw(st.sampled_from(("", "", *PLACES))),
        partial=data.draw(st.booleans()),
    )


# Said in figures ------------------------------------------------------------------------------------------


def later(n: int, quantity: int, days: int, channel: str = "web") -> ReservationRequested:
    return replace(request(n, quantity, channel), need_date=day_text(TODAY + days))


def test_a_ring_granted_after_later_demand_takes_what_that_leaves() -> None:
    """6 on hand are accepted for the day after tomorrow; 3 granted to the shop afterwards find nothing, and say so."""
    grant = more(AllocationGranted, 3, channel="shop", document=Document("grant", "G", 1))
    folded = Folded([*stocked(S1=6), NOON, later(1, 6, 2), grant])
    assert folded.decided["R-1"].decision == "accepted"
    assert {name: (state.ring, state.atp) for (_, name), state in folded.states().items()} == {
        "all": (0, 0), "shop": (0, 0), "web": (0, 0),
    }  # fmt: skip
    short = [one for one in folded.effects if isinstance(one, RiskChanged)]
    assert [(one.kind, one.scope, one.quantity) for one in short] == [("ring_short", "shop", 3)]
    folded.send(coming("S1", 2, day_text(TODAY + 2)))  # two of the six may wait for these
    assert folded.states()["A", "shop"].ring == 2


def test_a_ring_keeps_what_it_has_from_later_demand() -> None:
    grant = more(AllocationGranted, 3, channel="shop", document=Document("grant", "G", 1))
    folded = Folded([*stocked(S1=6), NOON, grant, later(1, 6, 2), later(2, 3, 2), later(3, 3, 2, "shop")])
    decided = {id_: (told.decision, told.atp) for id_, told in folded.decided.items()}
    assert decided == {"R-1": ("rejected", 3), "R-2": ("accepted", 3), "R-3": ("accepted", 3)}


def test_a_request_for_a_later_day_may_count_on_what_comes_by_then() -> None:
    """2 on hand, 5 come in two days: for today 2, for then 7; what is taken for then may be missing before."""
    log: list[Event] = [*stocked(S1=2), coming("S1", 5, day_text(TODAY + 2)), NOON]
    folded = Folded([*log, later(1, 7, 1), later(2, 6, 2), later(3, 1, 0), later(4, 1, 0), later(5, 1, 2)])
    decided = {id_: (told.decision, told.atp) for id_, told in folded.decided.items()}
    assert decided == {
        "R-1": ("rejected", 2), "R-2": ("accepted", 7), "R-3": ("accepted", 1), "R-4": ("rejected", 0),
        "R-5": ("rejected", 0),
    }  # fmt: skip


def test_a_request_for_one_place_counts_on_what_comes_there() -> None:
    """S2 has nothing and gets 3; web's claim there is served there, and S1 keeps its 2 for others."""
    log: list[Event] = [*stocked(S1=2), coming("S2", 3, day_text(TODAY + 1)), NOON]
    asked = [replace(later(n, 3, days), location="S2") for n, days in ((1, 0), (2, 1), (3, 2))]
    folded = Folded([*log, *asked, request(4, 2, "shop")])
    decided = {id_: (told.decision, told.atp) for id_, told in folded.decided.items()}
    assert decided == {"R-1": ("rejected", 0), "R-2": ("accepted", 3), "R-3": ("rejected", 0), "R-4": ("accepted", 2)}


@pytest.mark.parametrize("days", [181, 400])
def test_what_is_promised_beyond_the_horizon_is_promised_once(days: int) -> None:
    folded = Folded([*stocked(S1=2), NOON, later(1, 2, days), later(2, 1, days), later(3, 1, 0)])
    assert [told.decision for told in folded.decided.values()] == ["accepted", "rejected", "rejected"]
    folded.send(tick(NOON.event_time + DAY))
    assert folded.states()["A", "all"].atp == 0
