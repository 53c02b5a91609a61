"""The judge's own figures of claims, supply and the network, against figures worked out by hand."""

from collections.abc import Sequence
from datetime import date
from typing import Any

import duckdb
import pytest

from atp.effects import RequestDecided
from atp.events import DAY, Document, TimeTicked
from avro_schemas import codec
from avro_schemas.public_json import parse_line
from oracle.network import Sku, shares_of
from oracle.recompute import recompute
from tests.oracle.pipeline import Topics, filled
from tests.topologies.golden import Vector, vectors

Json = dict[str, Any]
COUNTERS = ("reserved_soft", "reserved_firm", "allocated", "atp_raw", "atp")
EPOCH = date(1970, 1, 1).toordinal()


def told(lines: Sequence[Json], *, answers: Sequence[RequestDecided] = (), end: int | None = None) -> Topics:
    """A ledger of these lines in the public form, ended by a tick where a time is given."""
    events = [event for line in lines for event in parse_line(line)]
    if end is not None:
        events.append(TimeTicked(source="clock", document=Document("tick", str(end), 1), event_time=end))
    return Topics(
        ledger=[(event.sku.encode() or None, codec.encode(event)) for event in events],
        answers=[(answer.request_id.encode(), codec.encode(answer)) for answer in answers],
    )


def recomputed(topics: Topics) -> duckdb.DuckDBPyConnection:
    db = filled(topics)
    recompute(db, 7 * DAY)
    return db


def line(kind: str, number: int, at: str, quantity: int = 0, **rest: Any) -> Json:
    """A line of the public form about SKU A, on 2026-11-20 at the time `at`."""
    document = {"type": "paper", "id": f"{kind} {number}", "line": 1}
    time = at if "T" in at else f"2026-11-20T{at}:00Z"
    return {
        "type": kind, "source": "s", "document": document, "sku": "A", "event_time": time,
        **({"quantity": quantity} if quantity else {}),
        **rest,
    }  # fmt: skip


def tick(at: str) -> Json:
    return {"type": "TimeTicked", "source": "clock", "event_time": at if "T" in at else f"2026-11-20T{at}:00Z"}


def order(number: int) -> Json:
    return {"id": f"O-{number}", "line": 1}


def claims(db: duckdb.DuckDBPyConnection) -> dict[str, tuple[int, ...]]:
    rows = db.execute("SELECT location, reserved_soft, reserved_firm, allocated FROM claims").fetchall()
    return {location: tuple(figures) for location, *figures in rows}


def atp(db: duckdb.DuckDBPyConnection) -> dict[str, int]:
    return dict(db.execute("SELECT channel, atp FROM channels").fetchall())


def days(db: duckdb.DuckDBPyConnection, channel: str, first: str, number: int) -> list[int]:
    """What may be promised on each of some days, by the steps of the horizon."""
    ((steps,),) = db.execute("SELECT horizon FROM channels WHERE channel = ?", [channel]).fetchall()
    begin = date.fromisoformat(first).toordinal() - EPOCH
    return [[s["units"] for s in steps if s["day"] <= begin + d][-1] for d in range(number)]


STOCK = line("GoodsReceived", 1, "08:00", 10, location="DC1")
MORE = line("GoodsReceived", 2, "08:00", 4, location="S1")


@pytest.mark.parametrize("seed", [None, 1, 2])
@pytest.mark.parametrize("vector", vectors("promise"), ids=lambda vector: vector.name)
def test_the_golden_figures(vector: Vector, seed: int | None) -> None:
    lines = vector.events if seed is None or vector.order == "fixed" else vector.shuffled(seed)
    db = recomputed(told(lines, end=vector.end()))
    for position in vector.expect["positions"]:
        wanted = {name: position.get(name, 0) for name in COUNTERS}
        found = db.execute(f"SELECT {', '.join(COUNTERS)} FROM nodes WHERE location = ?", [position["location"]])
        assert dict(zip(COUNTERS, found.fetchall()[0], strict=True)) == wanted
    for answer in vector.expect["availability"]:
        assert atp(db)[answer["channel"]] == answer["atp"]
        if "horizon" in answer:
            assert days(db, answer["channel"], "2026-11-20", len(answer["horizon"])) == answer["horizon"]


# Lines ----------------------------------------------------------------------------------------------------


def test_allocated_units_lie_where_they_were_given_and_the_rest_waits() -> None:
    db = recomputed(told([
        STOCK, MORE,
        line("ReservationPlaced", 1, "09:00", 8, order=order(1), channel="web", state="soft"),
        line("OrderAllocated", 1, "09:10", 5, order=order(1), location="DC1"),
        line("OrderAllocated", 2, "09:20", 2, order=order(1), location="S1", from_location="DC1"),
        line("PickFailed", 1, "09:30", 1, order=order(1), location="S1"),
        line("ShipmentConfirmed", 1, "09:40", 1, order=order(1), location="DC1"),
    ]))  # fmt: skip
    # Of 8, 1 was shipped: 7 are open. DC1 still holds 3 - 1 = 2, S1 2 - 1 = 1; 4 wait for a node.
    assert claims(db) == {"DC1": (0, 0, 2), "S1": (0, 0, 1)}
    assert db.execute("SELECT * FROM pending").fetchall() == [("A", "web", 4)]
    # 9 - 2 at DC1, 4 - 1 at S1, less 4.
    assert atp(db)["web"] == 6


def test_a_soft_line_expires_with_the_last_of_its_takes_and_a_firm_one_never() -> None:
    lines = [
        STOCK,
        line("ReservationPlaced", 1, "09:00", 2, order=order(1), location="DC1", state="soft",
             expires_at="2026-11-20T10:00:00.5Z"),
        line("ReservationPlaced", 2, "09:00", 1, order=order(1), location="DC1", state="soft",
             expires_at="2026-11-20T09:30:00Z"),
        line("ReservationPlaced", 3, "09:00", 4, order=order(2), location="DC1", state="soft",
             expires_at="2026-11-20T09:30:00Z"),
        line("ReservationConfirmed", 1, "09:45", order=order(2)),
    ]  # fmt: skip
    assert claims(recomputed(told([*lines, tick("10:00")]))) == {"DC1": (3, 4, 0)}
    assert claims(recomputed(told([*lines, tick("2026-11-20T10:00:01Z")]))) == {"DC1": (0, 4, 0)}
    assert claims(recomputed(told(lines))) == {"DC1": (3, 4, 0)}


def test_what_was_released_and_cancelled_claims_nothing_whatever_came_first() -> None:
    db = recomputed(told([
        line("ReservationReleased", 1, "08:10", 2, order=order(1)),
        line("OrderCancelled", 1, "08:10", order=order(2)),
        STOCK,
        line("ReservationPlaced", 1, "09:00", 5, order=order(1), location="DC1", state="firm"),
        line("ReservationPlaced", 2, "09:00", 4, order=order(2), location="DC1", state="firm"),
    ]))  # fmt: skip
    assert claims(db) == {"DC1": (0, 3, 0)}
    assert atp(db)["all"] == 7


def test_an_approved_transfer_holds_its_units_until_they_leave() -> None:
    approved = line(
        "TransferApproved", 1, "09:00", 6, location="DC1", to_location="S1", transfer={"id": "X", "line": 1}
    )
    shipped = line("TransferShipped", 1, "09:30", 4, location="DC1", to_location="S1", transfer={"id": "X", "line": 1})
    rejected = line("TransferRejected", 1, "09:40", transfer={"id": "X", "line": 1})
    assert claims(recomputed(told([STOCK, approved]))) == {"DC1": (0, 6, 0)}
    assert claims(recomputed(told([STOCK, shipped, approved]))) == {"DC1": (0, 2, 0)}
    assert claims(recomputed(told([STOCK, shipped, approved, rejected]))) == {}


def test_a_count_without_picked_goods_is_raised_by_them() -> None:
    db = recomputed(told([
        STOCK,
        line("ReservationPlaced", 1, "09:00", 4, order=order(1), location="DC1"),
        line("PickConfirmed", 1, "09:10", 3, order=order(1), location="DC1"),
        line("ShipmentConfirmed", 1, "09:20", 1, order=order(1), location="DC1"),
        line("CountRecorded", 1, "09:30", 7, location="DC1", excludes="picked"),
        line("PickConfirmed", 2, "09:40", 1, order=order(1), location="DC1"),
    ]))  # fmt: skip
    assert db.execute("SELECT expected, quantity, diff FROM counted").fetchall() == [(9, 9, 0)]


# Requests -------------------------------------------------------------------------------------------------


def answer(number: int, decision: str, quantity: int, requested: int = 3, **rest: Any) -> RequestDecided:
    return RequestDecided(
        **{
            "request_id": f"R-{number}", "sku": "A", "channel": "web", "location": "", "order": f"O-{number}",
            "order_line": 1, "decision": decision, "requested": requested, "quantity": quantity, "atp": quantity,
            "reason": "", "state": "soft", "expires_at": None, "decided_at": None, "as_of": 0, "epoch": 0,
            "event_key": "",
            **rest,
        }
    )  # fmt: skip


def request(number: int, quantity: int = 3, **rest: Any) -> Json:
    return line(
        "ReservationRequested",
        number,
        "09:00",
        quantity,
        **{"request_id": f"R-{number}", "order": order(number), "channel": "web", **rest},
    )


def test_a_request_claims_what_its_answer_accepted() -> None:
    requests = [STOCK, request(1), request(2, partial=True, location="DC1"), request(3)]
    answers = [answer(1, "accepted", 3), answer(2, "partly", 2, location="DC1", state="firm"), answer(3, "rejected", 0)]
    db = recomputed(told(requests, answers=[*answers, answers[0]]))
    assert claims(db) == {"DC1": (0, 2, 0)}
    assert db.execute("SELECT * FROM pending").fetchall() == [("A", "web", 3)]


# Ring-fences and the network ------------------------------------------------------------------------------


def shop(channel: str, *locations: str, **rest: Any) -> Json:
    return {
        "type": "PolicyChanged", "source": "mdm", "document": {"type": "policy", "id": channel, "line": 1},
        "channel": channel, "event_time": "2026-11-01T00:00:00Z", "policy": {"locations": list(locations), **rest},
    }  # fmt: skip


def granted(number: int, channel: str, quantity: int, priority: int = 0) -> Json:
    return line("AllocationGranted", number, "07:30", quantity, channel=channel, priority=priority)


def test_a_ring_fence_is_in_no_other_channels_pool_and_shrinks_as_its_channel_takes() -> None:
    lines = [STOCK, granted(1, "web", 6)]
    assert atp(recomputed(told(lines))) == {"all": 4, "web": 10}
    sold = line("SaleRecorded", 1, "09:00", 2, location="DC1", channel="web")
    ordered = line("ReservationPlaced", 1, "09:00", 3, order=order(1), location="DC1", channel="web")
    assert atp(recomputed(told([*lines, sold]))) == {"all": 4, "web": 8}
    assert atp(recomputed(told([*lines, sold, ordered]))) == {"all": 4, "web": 5}
    before = line("SaleRecorded", 2, "07:29", 2, location="DC1", channel="web")
    assert atp(recomputed(told([*lines, before]))) == {"all": 2, "web": 8}


def test_the_lower_number_is_served_first_when_stock_is_short() -> None:
    lines = [MORE, granted(1, "web", 3, priority=2), granted(2, "mp", 3, priority=1)]
    db = recomputed(told(lines))
    assert dict(db.execute("SELECT channel, ring FROM channels").fetchall()) == {"all": 0, "mp": 3, "web": 1}


def test_pending_demand_takes_only_from_nodes_that_serve_it() -> None:
    waits = line("ReservationPlaced", 1, "09:00", 3, order=order(1), channel="store")
    lines = [STOCK, MORE, shop("store", "S1"), shop("web", "DC1"), shop("both", "DC1", "S1"), waits]
    assert atp(recomputed(told(lines))) == {"all": 11, "both": 11, "store": 1, "web": 10}


def test_stock_lost_under_a_claim_is_owed_by_every_node() -> None:
    lost = line("StockAdjusted", 1, "09:10", -8, location="DC1", reason="lost")
    reserved = line("ReservationPlaced", 1, "09:00", 5, order=order(1), location="DC1", channel="web")
    db = recomputed(told([STOCK, MORE, shop("web", "DC1"), shop("store", "S1"), reserved, lost]))
    # 2 are left at DC1 under 5: 3 of the 4 at S1 stand in.
    assert atp(db) == {"all": 1, "store": 1, "web": 0}


def test_a_flow_lets_one_promise_make_room_for_another() -> None:
    sku = Sku(channels=["a", "b", "c"], rings=[(0, "a", 5), (1, "b", 5)])
    sku.room = {frozenset(("", "a", "c")): 5, frozenset(("", "a", "b")): 5}
    # a takes the first cell only because b needs the second; c, who reaches the first alone, gets nothing.
    assert {channel: (ring, units) for channel, ring, units, *_ in shares_of(sku)} == {
        "a": (5, 0), "b": (5, 0), "c": (0, 0),
    }  # fmt: skip


# Days -----------------------------------------------------------------------------------------------------


def purchase(number: int, quantity: int, eta: str, **rest: Any) -> Json:
    return line(
        "SupplierConfirmed", number, "08:00", quantity,
        **{"purchase_order": {"id": f"PO-{number}", "line": 1}, "eta": eta, "location": "DC1", **rest},
    )  # fmt: skip


def to_come(db: duckdb.DuckDBPyConnection) -> list[tuple[str, str, int, bool]]:
    found = db.execute("SELECT state, day, units, overdue FROM inbound ORDER BY day, state, units").fetchall()
    return [(state, date.fromordinal(day + EPOCH).isoformat(), units, overdue) for state, day, units, overdue in found]


def test_each_unit_of_a_purchase_order_comes_once() -> None:
    order_line = {"id": "PO-1", "line": 1}
    db = recomputed(told([
        line("PurchaseOrderPlaced", 1, "08:00", 20, purchase_order=order_line, eta="2026-11-30", location="DC1"),
        purchase(1, 15, "2026-11-28"),
        line("AsnShipped", 1, "08:00", 4, purchase_order=order_line, eta="2026-11-25"),
        line("AsnShipped", 2, "08:00", 5, purchase_order=order_line, eta="2026-11-24"),
        line("GoodsReceived", 3, "08:00", 6, purchase_order=order_line, location="DC1"),
        tick("09:00"),
    ]))  # fmt: skip
    # 6 came of 9 shipped, first of those due first; 15 - 9 are confirmed; what is only ordered counts by policy.
    assert to_come(db) == [("shipped", "2026-11-25", 3, False), ("confirmed", "2026-11-28", 6, False)]
    final = line("GoodsReceived", 4, "08:30", 1, purchase_order=order_line, location="DC1", final=True)
    db = recomputed(told([purchase(1, 15, "2026-11-28"), final, tick("09:00")]))
    assert to_come(db) == []


def test_supply_that_is_past_due_is_expected_later_and_in_the_end_no_more() -> None:
    db = recomputed(told([purchase(1, 5, "2026-11-18"), purchase(2, 3, "2026-10-01"), tick("09:00")]))
    assert to_come(db) == [("confirmed", "2026-11-21", 5, True)]


def test_the_first_day_with_something_to_promise_is_named() -> None:
    lines = [
        purchase(1, 5, "2026-11-24"),
        line("ReservationPlaced", 1, "09:00", 2, order=order(1), channel="web", need_date="2026-11-26"),
        tick("10:00"),
    ]
    db = recomputed(told(lines))
    assert days(db, "web", "2026-11-20", 5) == [0, 0, 0, 0, 3]
    ((first,),) = db.execute("SELECT next_available FROM channels WHERE channel = 'web'").fetchall()
    assert first == {"day": date(2026, 11, 24).toordinal() - EPOCH, "units": 3}


def test_demand_of_a_later_day_binds_every_channel_that_shares_a_node() -> None:
    waits = line("ReservationPlaced", 1, "09:00", 6, order=order(1), channel="web", need_date="2026-11-26")
    db = recomputed(told([STOCK, MORE, shop("web", "DC1"), shop("store", "S1"), waits, tick("10:00")]))
    assert atp(db) == {"all": 8, "store": 4, "web": 4}
