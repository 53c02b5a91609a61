"""The tables of a snapshot say what `atp show` says."""

from typing import Any

import pytest

from cli import show as shown
from sinks.tables import Tables
from streams.driver import TopologyDriver

Json = dict[str, Any]


def line(type_: str, number: int, **fields: Any) -> Json:
    return {
        "type": type_, "source": "test", "document": {"type": "paper", "id": f"{type_}-{number}", "line": 1},
        "sku": "CHAIR", "event_time": f"2026-11-20T09:{number:02}:00Z", **fields,
    }  # fmt: skip


EVENTS = [
    line("GoodsReceived", 1, location="S1", quantity=10),
    line("AllocationGranted", 2, channel="b2b", quantity=3, priority=1),
    line("ReservationPlaced", 3, quantity=2, channel="web", order={"id": "O|1", "line": 1}, state="firm"),
    line("ReservationPlaced", 4, quantity=4, channel="web", order={"id": "O-2", "line": 1}, location="S1",
         state="soft", expires_at="2026-11-20T11:00:00Z"),
    line("ReservationPlaced", 5, quantity=1, channel="web", order={"id": "O-3", "line": 1}, location="S1",
         state="soft", expires_at="2026-11-20T09:30:00Z"),
    line("ReservationPlaced", 6, quantity=2, channel="web", order={"id": "O-4", "line": 1}, state="firm",
         need_date="2026-11-22"),
    line("PurchaseOrderPlaced", 7, location="S1", quantity=20, purchase_order={"id": "PO-1", "line": 2},
         eta="2026-11-25"),
    line("AsnShipped", 8, location="S1", quantity=12, purchase_order={"id": "PO-1", "line": 2}, eta="2026-11-24"),
]  # fmt: skip


def told(driver: TopologyDriver) -> dict[str, list[Json]]:
    rows = {key.split("/")[-1] if key[0].isdigit() else key: row for key, row in driver.snapshot().items()}
    tables = Tables()
    tables.set_clock(rows.get("g|clock"))
    for key in sorted(rows):
        tables.add(key, rows[key])
    return {name: batch.to_pylist() for name, batch in tables.batches()}


def test_claims_supply_and_ring_fences_are_those_of_the_answer() -> None:
    driver = TopologyDriver()
    for one in EVENTS:
        driver.send_json(one)
    driver.tick("2026-11-20T10:00:00Z")
    found, shown = told(driver), driver.show("CHAIR")

    assert sorted((one["order"], one["open"], one["state"]) for one in found["claims"]) == [
        ("O-2", 4, "soft"),
        ("O-3", 0, "soft"),
        ("O-4", 2, "firm"),
        ("O|1", 2, "firm"),
    ]
    assert sorted(one["order"] for one in shown["claims"]) == ["O-2", "O-4", "O|1"]
    by_order = {one["order"]: one for one in shown["claims"]}
    for one in found["claims"]:
        if one["open"]:
            told_of = by_order[one["order"]]
            assert [one[n] for n in ("channel", "requested", "open", "pending", "due")] == [
                told_of[n] for n in ("channel", "requested", "open", "pending", "due")
            ]
            assert (one["need_date"] and one["need_date"].isoformat()) == told_of["need_date"]
    assert found["placements"] == [
        {"sku": "CHAIR", "order": "O-2", "line": 1, "location": "S1", "how": "reserved_soft", "units": 4}
    ]
    assert shown["pending"] == {"web": 2}
    assert [(one["date"], one["units"]) for one in shown["dated_demand"]] == [("2026-11-22", 2)]

    supply = found["supply"][0]
    assert (supply["purchase_order"], supply["line"], supply["ordered"], supply["shipped"], supply["open"]) == (
        "PO-1", 2, 20, 12, 20,
    )  # fmt: skip
    assert [one["type"] for one in shown["supply"][0]["said"]] == ["AsnShipped", "PurchaseOrderPlaced"]
    assert [(one["date"].isoformat(), one["units"], one["state"]) for one in found["inbound"]] == [
        ("2026-11-24", 12, "shipped")
    ]
    assert [(one["date"], one["document"], one["line"]) for one in shown["inbound"]] == [("2026-11-24", "PO-1", 2)]
    fence = {name: value for name, value in found["ring_fences"][0].items() if name != "since"}
    assert fence == {"sku": "CHAIR", "channel": "b2b", "priority": 1, "granted": 3, "taken": 0, "open": 3}
    assert shown["ring_fences"][0]["open"] == 3


def test_a_channel_says_what_it_is_made_of_and_when_there_is_more() -> None:
    driver = TopologyDriver()
    for one in EVENTS[:1] + EVENTS[6:]:
        driver.send_json(one)
    driver.send_json(line("ReservationPlaced", 9, quantity=10, channel="web", order={"id": "O-9", "line": 1}))
    driver.tick("2026-11-20T10:00:00Z")
    web = next(one for one in told(driver)["availability"] if one["channel"] == "web")
    assert (web["atp"], web["pool"], web["ring"], web["next_quantity"]) == (0, 0, 0, 12)
    assert web["next_available"].isoformat() == "2026-11-24"
    shown = next(one for one in driver.show("CHAIR")["availability"] if one["channel"] == "web")
    assert shown["next_available"] == {"date": "2026-11-24", "quantity": 12}
    assert shown["horizon"] == [{"date": "2026-11-20", "quantity": 0}, {"date": "2026-11-24", "quantity": 12}]
    assert shown["orders_seen_through"] == "2026-11-20T09:09:00Z"


def test_atp_show_says_it_in_words(capsys: pytest.CaptureFixture[str]) -> None:
    driver = TopologyDriver()
    for one in EVENTS:
        driver.send_json(one)
    driver.tick("2026-11-20T10:00:00Z")
    shown.print_answer({**driver.show("CHAIR"), "source": "changelog", "partition": 0, "position": 9})
    text = capsys.readouterr().out
    for words in (
        "S1: 10 sellable - 4 reserved soft = 6; ATP 6",
        "O-2 line 1 of web, soft: 4 reserved soft at S1, expires at 2026-11-20T11:00:00Z",
        "O|1 line 1 of web, firm: 2 pending",
        "O-4 line 1 of web, firm: 2 pending, due on 2026-11-22",
        "pending for web: 2 without a location",
        "b2b: 3 granted, 0 taken, 3 open; priority 1, since 2026-11-20T09:02:00Z",
        "2026-11-24: 12 at S1, shipped, PO-1 line 2",
        "PO-1 line 2: 20 ordered, 0 confirmed, 12 shipped, 0 received, 20 open",
        "from 2026-11-24: ",
    ):
        assert words in text
