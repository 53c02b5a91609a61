"""The reference model itself, against figures worked out by hand."""

from collections import Counter
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from atp.events import (
    DAY,
    HOUR,
    SECOND,
    AllocationGranted,
    AllocationReturned,
    AsnShipped,
    CountRecorded,
    Document,
    Envelope,
    Event,
    GoodsReceived,
    OrderAllocated,
    OrderCancelled,
    PickConfirmed,
    PickFailed,
    PolicyChanged,
    PolicyFields,
    PurchaseOrderCancelled,
    PurchaseOrderPlaced,
    Ref,
    ReservationConfirmed,
    ReservationPlaced,
    ReservationReleased,
    ReservationRequested,
    SaleRecorded,
    ShipmentConfirmed,
    StockAdjusted,
    SupplierConfirmed,
    TransferApproved,
    TransferRejected,
    TransferShipped,
)
from avro_schemas.public_json import parse_line
from tests.core.claims_model import Decided
from tests.core.model import Answer, answer, limit
from tests.core.network_model import Promise, flow, takeable, unserved
from tests.core.outlook_model import discrete
from tests.core.strategies import EIGHT, tick
from tests.topologies.golden import Vector, vectors

WINDOW = 7 * DAY
O1, O2, O3 = Ref("O-1", 1), Ref("O-2", 1), Ref("O-3", 1)


class Day:
    """A log in the making: every event has a document of its own, and comes a second after the one before."""

    def __init__(self) -> None:
        self.log: list[Event] = []

    def add(self, kind: Any, **more: Any) -> "Day":
        n = len(self.log) + 1
        usual: dict[str, Any] = {
            "source": "test",
            "document": Document("paper", f"D-{n}", 1),
            "event_time": EIGHT + n * SECOND,
        }
        if kind is not PolicyChanged:
            usual["sku"] = "A"
        self.log.append(kind(**{**usual, **more}))
        return self

    def stock(self, **units: int) -> "Day":
        for place, quantity in units.items():
            self.add(GoodsReceived, location=place, quantity=quantity)
        return self

    def reserved(self, quantity: int, order: Ref = O1, **more: Any) -> "Day":
        return self.add(ReservationPlaced, quantity=quantity, order=order, **more)

    def policy(self, channel: str = "", location: str = "", **some: Any) -> "Day":
        return self.add(PolicyChanged, channel=channel, location=location, policy=PolicyFields(**some))

    def tick(self, days: int = 0) -> "Day":
        self.log.append(tick(EIGHT + HOUR + days * DAY))
        return self

    def answer(self, **accepted: int) -> Answer:
        return answer(self.log, WINDOW, {id_: Decided(units) for id_, units in accepted.items()})

    def atp(self, channel: str = "all") -> int:
        return self.answer().availability["A", channel]

    def limit(self, channel: str, location: str = "") -> int:
        return limit(self.log, WINDOW, {}, sku="A", channel=channel, location=location)

    def claims(self, place: str) -> tuple[int, int, int]:
        p = self.answer().positions["A", place]
        return (p.reserved_soft, p.reserved_firm, p.allocated)

    def line(self, order: str = "O-1") -> Any:
        return self.answer().lines["A", order, 1]


# The golden vectors ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("vector", vectors("promise"), ids=lambda v: v.name)
def test_golden_vectors(vector: Vector) -> None:
    events = [event for line in vector.events for event in parse_line(line)]
    if (end := vector.end()) is not None:
        events.append(tick(end))
    told = answer(events, WINDOW)
    for wanted in vector.expect["positions"]:
        position = told.positions[wanted.pop("sku"), wanted.pop("location")]
        assert {name: getattr(position, name) for name in wanted} == wanted
    for wanted in vector.expect["availability"]:
        channel = told.channels[wanted["sku"], wanted["channel"]]
        assert channel.atp == wanted["atp"]
        horizon = wanted.get("horizon", [])
        assert [max(0, units) for units in channel.levels[: len(horizon)]] == horizon
    assert told.risks == {}
    assert told.promises == set()


# Lines ----------------------------------------------------------------------------------------------------


def test_a_line_without_a_node_lowers_the_network_and_no_position() -> None:
    day = Day().stock(S1=5).reserved(3, channel="web")
    assert day.line().pending == 3
    assert day.answer().positions["A", "S1"].atp == 5
    assert day.atp("web") == 2


def test_a_shipment_elsewhere_serves_what_waits_and_not_what_is_placed() -> None:
    """5 reserved at S1, 2 of them left from S2: 3 stay claimed at S1."""
    day = Day().stock(S1=5, S2=5).reserved(5, location="S1")
    day.add(ShipmentConfirmed, location="S2", quantity=2, order=O1)
    assert day.claims("S1") == (0, 3, 0)
    assert day.claims("S2") == (0, 0, 0)


def test_a_move_of_an_allocation_takes_the_claim_along() -> None:
    day = Day().stock(S1=5, S2=5).reserved(4)
    day.add(OrderAllocated, location="S1", quantity=4, order=O1)
    day.add(OrderAllocated, location="S2", from_location="S1", quantity=1, order=O1)
    assert day.claims("S1") == (0, 0, 3)
    assert day.claims("S2") == (0, 0, 1)


def test_a_failed_pick_makes_the_demand_wait_again() -> None:
    day = Day().stock(S1=5).reserved(4).add(OrderAllocated, location="S1", quantity=4, order=O1)
    day.add(PickFailed, location="S1", quantity=1, order=O1)
    assert day.claims("S1") == (0, 0, 3)
    assert day.line().pending == 1


def test_allocated_first_then_where_it_was_reserved() -> None:
    """4 reserved at S1, 3 given to S2: 3 are placed there, and 1 stays at S1."""
    day = Day().stock(S1=5, S2=5).reserved(4, location="S1")
    day.add(OrderAllocated, location="S2", quantity=3, order=O1)
    assert day.claims("S2") == (0, 0, 3)
    assert day.claims("S1") == (0, 1, 0)


def test_soft_claims_run_out_and_firm_ones_do_not() -> None:
    ends = EIGHT + HOUR - SECOND // 2
    soft = Day().stock(S1=5).reserved(4, location="S1", state="soft", expires_at=ends)
    assert soft.claims("S1") == (4, 0, 0)
    soft.tick()
    assert soft.line().expired
    assert soft.claims("S1") == (0, 0, 0)
    soft.add(ReservationConfirmed, order=O1)
    assert soft.claims("S1") == (0, 4, 0)


def test_expiry_waits_for_the_second_after_it() -> None:
    ends = EIGHT + HOUR + 1
    assert not Day().reserved(1, state="soft", expires_at=ends).tick().line().expired


def test_without_a_tick_nothing_runs_out_and_nothing_is_due_later() -> None:
    day = Day().stock(S1=5).reserved(2, state="soft", expires_at=EIGHT).reserved(2, O2, need_date="2027-01-01")
    assert day.atp() == 1
    assert day.answer().channels["A", "all"].levels == ()


def test_releases_cancellations_and_what_was_taken() -> None:
    day = Day().stock(S1=9).reserved(5).add(ReservationReleased, quantity=2, order=O1)
    assert (day.line().open, day.line().taken) == (3, 3)
    day.add(ShipmentConfirmed, location="S1", quantity=1, order=O1)
    assert (day.line().open, day.line().taken) == (2, 3)
    day.add(OrderCancelled, quantity=1, order=O1)
    assert (day.line().open, day.line().taken) == (1, 2)
    day.add(OrderCancelled, order=O1)
    assert (day.line().open, day.line().taken) == (0, 1)


def test_an_approved_transfer_holds_units_until_it_leaves_or_is_rejected() -> None:
    day = Day().stock(S1=9).add(TransferApproved, location="S1", to_location="S2", quantity=5, transfer=Ref("X", 1))
    assert day.claims("S1") == (0, 5, 0)
    shipped = Day()
    shipped.log = list(day.log)
    shipped.add(TransferShipped, location="S1", to_location="S2", quantity=3, transfer=Ref("X", 1))
    assert shipped.claims("S1") == (0, 2, 0)
    assert shipped.answer().positions["A", "S1"].atp == 4
    day.add(TransferRejected, transfer=Ref("X", 1))
    assert day.claims("S1") == (0, 0, 0)


def test_a_request_is_worth_what_was_decided() -> None:
    day = Day().stock(S1=9).add(ReservationRequested, request_id="R-1", quantity=5, order=O1)
    assert day.answer(**{"R-1": 5}).availability["A", "all"] == 4
    assert day.answer(**{"R-1": 2}).availability["A", "all"] == 7
    assert day.answer().availability["A", "all"] == 9


# The network ----------------------------------------------------------------------------------------------


def promise(units: int, *nodes: str) -> Promise:
    return Promise(units, frozenset(nodes))


def test_a_flow_finds_the_way_round() -> None:
    """Served greedily the first promise would take what only the second can use."""
    stock = {"a": 1, "b": 1}
    assert flow(stock, [promise(1, "a", "b"), promise(1, "a")]) == 2
    assert flow(stock, [promise(1, "a", "b"), promise(2, "a")]) == 2
    assert unserved(stock, [promise(1, "a", "b"), promise(2, "a")]) == 1


def test_a_chain_of_promises() -> None:
    stock = {"a": 2, "b": 2, "c": 2}
    chain = [promise(3, "a", "b"), promise(3, "b", "c")]
    assert flow(stock, chain) == 6
    assert takeable(stock, chain[:1], {"b"}) == 1
    assert takeable(stock, chain[:1], {"c"}) == 2
    assert takeable(stock, chain[:1], {"b", "c"}) == 3
    assert takeable(stock, [promise(9, "a")], {"a"}) == 0
    assert takeable(stock, [promise(9, "a")], {"b"}) == 2
    assert flow({}, [promise(1, "a")]) == 0
    assert flow(stock, [promise(4, "nowhere")]) == 0


def test_two_channels_that_share_a_node() -> None:
    """Web sells from DC1 and S1, store from S1. 3 of web's wait: 2 of them find place at DC1, 1 is taken from S1."""
    day = Day().stock(DC1=2, S1=5).policy("web", locations=("DC1", "S1")).policy("store", locations=("S1",))
    day.reserved(3, channel="web")
    assert (day.atp("web"), day.atp("store"), day.atp("all")) == (4, 4, 4)
    assert (day.limit("web"), day.limit("store"), day.limit("web", "DC1"), day.limit("web", "S1")) == (4, 4, 2, 4)
    assert day.limit("store", "DC1") == 0


def test_what_waits_for_a_channel_takes_nothing_from_nodes_it_cannot_use() -> None:
    """Trap 50: store's 9 wait for S1 alone, with 5; web keeps DC1's 2."""
    day = Day().stock(DC1=2, S1=5).policy("store", locations=("S1",)).reserved(9, channel="store")
    told = day.answer()
    assert (told.availability["A", "all"], told.availability["A", "store"]) == (2, 0)
    assert told.shortages == {"A": 4}
    assert ("oversold", "A", "") in told.promises


def test_stock_lost_under_a_claim_is_owed_by_the_others() -> None:
    """Trap 46: 4 allocated at S1, where 3 broke: the 3 are owed by S2."""
    day = Day().stock(S1=4, S2=5).reserved(4).add(OrderAllocated, location="S1", quantity=4, order=O1)
    day.add(StockAdjusted, location="S1", quantity=-3, reason="damaged")
    assert day.answer().positions["A", "S1"].atp_raw == -3
    assert day.atp() == 2
    assert day.answer().shortages == {}


def test_safety_stock_is_no_shortage() -> None:
    """Trap 47: 4 of 5 are safety stock, 3 wait: nothing left to promise, but nothing oversold."""
    day = Day().stock(S1=5).policy(safety_stock=4).reserved(3)
    assert day.atp() == 0
    assert day.answer().shortages == {}
    assert day.reserved(3, O2).answer().shortages == {"A": 1}


# Ring-fences ----------------------------------------------------------------------------------------------


def test_a_ring_is_kept_from_the_others() -> None:
    day = Day().stock(S1=10).add(AllocationGranted, channel="web", quantity=4).reserved(0, channel="store")
    told = day.answer()
    assert (told.channels["A", "web"].ring, told.channels["A", "web"].pool) == (4, 6)
    assert (told.availability["A", "web"], told.availability["A", "store"]) == (10, 6)
    assert (day.limit("web"), day.limit("store")) == (10, 6)


def test_using_the_ring_changes_no_other_figure() -> None:
    day = Day().stock(S1=10).add(AllocationGranted, channel="web", quantity=4).tick()
    before = day.atp("all")
    day.reserved(3, channel="web", location="S1")
    assert (day.answer().channels["A", "web"].ring, day.atp("web"), day.atp("all")) == (1, 7, before)
    day.add(SaleRecorded, channel="web", location="S1", quantity=1)
    assert (day.answer().channels["A", "web"].ring, day.atp("web"), day.atp("all")) == (0, 6, before)


def test_what_was_taken_before_the_grant_does_not_use_it() -> None:
    day = Day().stock(S1=10).reserved(3, channel="web").add(AllocationGranted, channel="web", quantity=4).tick()
    assert day.answer().channels["A", "web"].ring == 4
    assert day.atp() == 3


def test_rings_shrink_by_priority() -> None:
    """7 units for two rings of 5: the lower number is served first."""
    day = Day().stock(S1=7)
    day.add(AllocationGranted, channel="a", quantity=5, priority=2)
    day.add(AllocationGranted, channel="b", quantity=5, priority=1).tick()
    told = day.answer()
    assert (told.channels["A", "a"].ring, told.channels["A", "b"].ring) == (2, 5)
    assert told.promises == {("ring_short", "A", "a")}
    assert (told.availability["A", "a"], told.availability["A", "b"], told.availability["A", "all"]) == (2, 5, 0)
    day.add(AllocationReturned, channel="b", quantity=4)
    assert day.answer().channels["A", "a"].ring == 5


def test_a_grant_waits_for_its_date() -> None:
    day = Day().stock(S1=7).tick().add(AllocationGranted, channel="web", quantity=5, event_time=EIGHT + DAY)
    assert day.answer().channels["A", "web"].ring == 0
    assert day.tick(1).answer().channels["A", "web"].ring == 5


def test_a_grant_of_more_than_there_is() -> None:
    day = Day().stock(S1=7).reserved(5, channel="store").add(AllocationGranted, channel="web", quantity=4).tick()
    told = day.answer()
    assert (told.channels["A", "web"].ring, told.channels["A", "web"].ring_open) == (2, 4)
    assert (told.availability["A", "web"], told.availability["A", "store"]) == (2, 0)
    assert told.shortages == {}


# Days to come ---------------------------------------------------------------------------------------------

TODAY = "2026-11-20"


def ordered(day: Day, quantity: int, eta: str | None, **more: Any) -> Day:
    return day.add(PurchaseOrderPlaced, location="S1", quantity=quantity, eta=eta, purchase_order=Ref("PO", 1), **more)


def confirmed(day: Day, quantity: int, eta: str | None) -> Day:
    return day.add(SupplierConfirmed, location="S1", quantity=quantity, eta=eta, purchase_order=Ref("PO", 1))


def shipped(day: Day, quantity: int, eta: str | None, **more: Any) -> Day:
    return day.add(AsnShipped, location="S1", quantity=quantity, eta=eta, purchase_order=Ref("PO", 1), **more)


def received(day: Day, quantity: int, **more: Any) -> Day:
    return day.add(GoodsReceived, location="S1", quantity=quantity, purchase_order=Ref("PO", 1), **more)


def levels(day: Day, days: int = 7) -> list[int]:
    return list(day.answer().channels["A", "all"].levels[:days])


def test_ordered_units_count_by_policy_only() -> None:
    day = ordered(Day(), 10, "2026-11-22").tick()
    assert levels(day, 4) == [0, 0, 0, 0]
    assert levels(day.policy(count_ordered=True).tick(1), 3) == [0, 10, 10]


def test_a_unit_counts_once_in_whichever_state() -> None:
    """Trap 48: 10 ordered, 9 confirmed for the 23rd, 6 shipped for the 22nd, 2 received."""
    day = received(shipped(confirmed(ordered(Day(), 10, "2026-11-25"), 9, "2026-11-23"), 6, "2026-11-22"), 2).tick()
    assert levels(day, 6) == [2, 2, 6, 9, 9, 9]
    day = day.policy(count_ordered=True)
    assert levels(day.tick(1), 5) == [2, 6, 9, 9, 10]
    assert [(p.state, p.units) for p in day.answer().supply["A", "PO", 1].parts] == [
        ("shipped", 4), ("confirmed", 3), ("ordered", 1),
    ]  # fmt: skip


def test_a_final_receipt_ends_the_rest_and_too_much_is_no_debt() -> None:
    day = confirmed(ordered(Day(), 10, "2026-11-22"), 10, "2026-11-22")
    assert levels(received(day, 4, final=True).tick(), 4) == [4, 4, 4, 4]
    day = received(confirmed(ordered(Day(), 10, "2026-11-22"), 10, "2026-11-22"), 13)
    assert levels(day.tick(), 4) == [13, 13, 13, 13]


def test_a_final_asn_ends_what_it_does_not_hold() -> None:
    day = shipped(confirmed(Day(), 10, "2026-11-23"), 6, "2026-11-22", final=True)
    assert levels(day.tick(), 5) == [0, 0, 6, 6, 6]


def test_receipts_eat_the_earliest_asn_first() -> None:
    day = received(shipped(shipped(Day(), 5, "2026-11-24"), 5, "2026-11-22"), 7)
    assert levels(day.tick(), 6) == [7, 7, 7, 7, 10, 10]


def test_of_a_cancelled_order_only_what_is_under_way_comes() -> None:
    day = ordered(Day().policy(count_ordered=True), 10, "2026-11-21")
    assert levels(day.tick(), 3) == [0, 10, 10]
    assert levels(confirmed(day, 9, "2026-11-22"), 3) == [0, 1, 10]
    assert levels(shipped(day, 2, "2026-11-22"), 3) == [0, 1, 10]
    day.add(PurchaseOrderCancelled, purchase_order=Ref("PO", 1))
    assert levels(day, 3) == [0, 0, 2]


def test_a_count_without_picked_goods_is_raised_by_them() -> None:
    """10 there, 4 picked of which 1 has left: 6 counted on the shelves are 9."""
    day = Day().stock(S1=10).reserved(4, location="S1").add(PickConfirmed, location="S1", quantity=4, order=O1)
    day.add(ShipmentConfirmed, location="S1", quantity=1, order=O1)
    day.add(CountRecorded, location="S1", quantity=6, excludes="picked")
    assert [(c.expected, c.observed) for c in day.answer().counts] == [(9, 9)]


def test_past_due_supply_is_expected_later_and_not_for_ever() -> None:
    day = shipped(Day(), 5, "2026-11-18").policy(supplier_late_p90_days=3, max_slip_days=4).tick()
    assert levels(day, 5) == [0, 0, 0, 5, 5]
    assert levels(day.tick(2), 5) == [0, 0, 0, 5, 5]
    assert levels(day.tick(3), 5) == [0, 0, 0, 0, 0]


def test_dock_days_and_no_date_at_all() -> None:
    day = shipped(shipped(Day(), 5, TODAY), 3, None).policy(dock_days=2).tick()
    assert levels(day, 4) == [0, 0, 5, 5]


def test_open_transfers_come_on_their_day() -> None:
    day = (
        Day()
        .stock(S2=5)
        .add(TransferShipped, location="S2", to_location="S1", quantity=4, eta="2026-11-22", transfer=Ref("X", 1))
    )
    assert levels(day.tick(), 4) == [1, 1, 5, 5]
    assert day.answer().channels["A", "all"].next_available is None


def test_later_demand_holds_back_what_is_there_now() -> None:
    """8 on hand, 10 due on the 23rd, 5 come on the 24th: 2 too few, so nothing now, and 3 from the 24th on."""
    day = shipped(Day().stock(S1=8).reserved(10, need_date="2026-11-23"), 5, "2026-11-24").tick()
    told = day.answer().channels["A", "all"]
    assert (told.takeable, told.pool, told.atp) == (8, 0, 0)
    assert told.levels[:6] == (-2, -2, -2, -2, 3, 3)
    assert told.next_available == (4, 3)
    assert [(d - told.steps(0)[0][0], units) for d, units in told.steps(0)] == [(0, 0), (4, 3)]
    assert day.answer().promises == {("projected", "A", "all")}
    assert day.limit("all") == 0
    assert day.tick(3).answer().positions["A", "S1"].atp == 8
    assert day.answer().shortages == {"A": 2}


def test_what_stock_cannot_serve_is_owed_to_the_days_after() -> None:
    day = shipped(Day().stock(S1=2).reserved(5), 4, "2026-11-21").tick()
    assert levels(day, 3) == [-3, 1, 1]
    assert day.answer().channels["A", "all"].next_available == (1, 1)


def test_demand_that_is_placed_belongs_to_the_channels_of_its_node() -> None:
    day = Day().stock(S1=5, S2=5).policy("web", locations=("S2",))
    day.reserved(4, channel="web", location="S1", need_date="2026-11-22").tick()
    told = day.answer()
    assert told.channels["A", "web"].atp == 5
    assert told.channels["A", "all"].atp == 6


def test_limits_hold_back_for_later_demand_but_not_ones_own_ring() -> None:
    day = Day().stock(S1=10).add(AllocationGranted, channel="web", quantity=3)
    day.reserved(7, O2, channel="store", need_date="2026-11-22").tick()
    assert (day.limit("web"), day.limit("store")) == (3, 0)


def test_a_ring_takes_what_later_demand_leaves() -> None:
    """6 on hand, of which 6 are due on the 22nd: 3 granted to web find nothing, until 2 more are to come in time."""
    day = Day().stock(S1=6).reserved(6, channel="store", need_date="2026-11-22")
    day.add(AllocationGranted, channel="web", quantity=3).tick()
    told = day.answer()
    assert (told.channels["A", "web"].ring, told.availability["A", "web"], day.limit("web")) == (0, 0, 0)
    assert told.promises == {("ring_short", "A", "web")}
    told = shipped(day, 2, "2026-11-22").answer()
    assert (told.channels["A", "web"].ring, told.availability["A", "web"], told.availability["A", "store"]) == (2, 2, 0)


def test_demand_of_a_later_day_takes_no_place_of_its_own_twice() -> None:
    """store's 5 wait for DC1 or S1, web's 5 for S1 on the 22nd: nothing is left for mall at DC1, or anywhere."""
    day = Day().stock(DC1=5, S1=5).policy("store", locations=("DC1", "S1")).policy("web", locations=("S1",))
    day.policy("mall", locations=("DC1",)).reserved(5, channel="store")
    day.reserved(5, O2, channel="web", need_date="2026-11-22").add(AllocationGranted, channel="mall", quantity=4).tick()
    told = day.answer()
    assert (told.channels["A", "mall"].ring, told.availability["A", "mall"], told.availability["A", "all"]) == (0, 0, 0)
    assert (day.limit("mall"), day.limit("all"), day.limit("all", "DC1")) == (0, 0, 0)
    assert told.promises == {("ring_short", "A", "mall")}


def test_events_of_the_model_are_the_real_ones() -> None:
    """Whatever these tests send passes the check at the edges."""
    from atp.checks import check  # noqa: PLC0415

    day = ordered(confirmed(shipped(received(Day().stock(S1=3), 2), 5, TODAY), 4, TODAY), 3, None).policy(
        safety_stock=1
    )
    day.reserved(2, location="S1").add(AllocationGranted, channel="web", quantity=1, priority=1)
    for event in day.log:
        assert isinstance(event, Envelope)
        check(event)


def counted(**units: int) -> Counter[int]:
    return Counter({int(day[1:]): n for day, n in units.items()})


def test_discrete_of_the_published_example() -> None:
    """What comes on day 2 does not pay for day 3: the first bucket pays the rest."""
    days = range(7)
    assert discrete(17, counted(d2=10, d4=1, d5=3), counted(d3=15), days) == [12, 12, 12, 12, 13, 16, 16]


def test_discrete_takes_from_the_nearest_bucket() -> None:
    found = discrete(5, counted(d1=4, d2=1), counted(d3=3), range(4))
    assert found == [5, 7, 7, 7]


@given(st.data())
def test_discrete_comes_to_the_same_as_cumulative(data: st.DataObject) -> None:
    days = range(9)
    by_day = st.dictionaries(st.sampled_from(days), st.integers(0, 9), max_size=4).map(Counter)
    opening, supply, demand = data.draw(st.integers(-5, 9)), data.draw(by_day), data.draw(by_day)
    level, p = opening, []
    for day in days:
        level += supply[day] - demand[day]
        p.append(level)
    a = [min(p[d:]) for d in range(len(p))]
    added = discrete(opening, supply, demand, days)
    assert [max(0, units) for units in added] == [max(0, units) for units in a]
    if min(a) >= 0:
        assert added == a
