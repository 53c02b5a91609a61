"""The derivation of a SKU's figures: its steps add up, and each names the event that moved it last."""

import json
from random import Random
from typing import Any

import pytest
from typer.testing import CliRunner

from atp.effects import AvailabilityChanged
from cli.explain import told
from cli.main import app
from cli.show import explain_position
from streams.driver import TopologyDriver
from streams.explain import explain
from streams.memory import MemoryRows
from streams.sku_rows import concerns

Json = dict[str, Any]
WHERE = {"source": "changelog", "partition": 0, "position": 9, "moment": None}


def line(type_: str, number: int, **fields: Any) -> Json:
    return {
        "type": type_, "source": "test", "document": {"type": "paper", "id": f"{type_}-{number}", "line": 1},
        "sku": "CHAIR", "event_time": f"2026-11-20T09:{number:02}:00Z", **fields,
    }  # fmt: skip


def policy(number: int, **fields: Any) -> Json:
    made = {**line("PolicyChanged", number), "event_time": "2026-11-20T00:00:00Z", **fields}
    del made["sku"]
    return made


def order(id_: str) -> Json:
    return {"id": id_, "line": 1}


EVENTS = [
    policy(1, location="S1", policy={"safety_stock": 2}),
    policy(2, channel="web", policy={"locations": ["S1", "S2"], "share_percent": 50, "buffer": 1}),
    policy(3, channel="mall", policy={"cap": 9}),
    line("GoodsReceived", 1, location="S1", quantity=20),
    line("GoodsReceived", 2, location="S2", quantity=6),
    line("GoodsReceived", 3, location="S3", quantity=4),
    line("StatusChanged", 4, location="S1", quantity=2, from_status="returned", to_status="sellable"),
    line("ReservationPlaced", 5, location="S1", quantity=3, channel="web", order=order("O-1"), state="firm"),
    line("ReservationPlaced", 6, quantity=2, channel="mall", order=order("O-2"), state="firm"),
    line("AllocationGranted", 7, channel="mall", quantity=5, priority=1),
    line("ReservationRequested", 8, quantity=1, channel="mall", order=order("O-3"), request_id="R-1"),
    line("SaleRecorded", 9, location="S1", quantity=1, channel="web"),
]


def rows_of(driver: TopologyDriver) -> MemoryRows:
    rows = MemoryRows()
    for key, row in driver.snapshot().items():
        name = key.split("/")[-1] if key[0].isdigit() else key
        if concerns(name, "CHAIR"):
            rows.put(name, row)
    return rows


def played(*lines: Json, tick: str = "2026-11-20T10:00:00Z") -> TopologyDriver:
    driver = TopologyDriver()
    for one in lines:
        driver.send_json(one)
    driver.tick(tick)
    assert driver.dead_letters() == []
    return driver


def steps(found: Json) -> dict[str, Json]:
    return {step["what"]: step for step in found["steps"]}


def add_up(found: Json) -> None:
    """Add the steps of a location or a channel up, and compare with every sum among them."""
    total = 0
    for step in found["steps"]:
        if step["what"] in ("= raw", "= pool"):
            assert total == step["units"], found
        elif step["what"] == "= exposed":
            assert step["units"] in (max(0, total), 0)
            assert step["units"] == found["exposed"]
        elif step["what"] in ("share percent", "buffer", "buffer by rate", "cap", "ring-fence that stock can serve"):
            continue
        else:
            total += step["units"] or 0


def test_a_location_is_derived_from_its_buckets_claims_and_rules() -> None:
    found = explain(rows_of(played(*EVENTS)), "CHAIR", location="S1")
    (place,) = found["locations"]
    add_up(place)
    by_name = steps(place)
    assert [(step["what"], step["units"]) for step in place["steps"]] == [
        ("sellable", 21), ("owed by returned", -2), ("reserved firm", -3), ("safety stock", -2), ("= raw", 14),
        ("= exposed", 14),
    ]  # fmt: skip
    assert by_name["sellable"]["last"]["type"] == "SaleRecorded"
    assert by_name["owed by returned"]["last"]["key"] == "test|paper|StatusChanged-4|1|StatusChanged|CHAIR"
    assert by_name["reserved firm"]["last"]["event_time"] == "2026-11-20T09:05:00Z"
    assert by_name["safety stock"]["last"]["key"] == "test|paper|PolicyChanged-1|1|PolicyChanged|"
    assert [(one["order"], one["units"], one["how"]) for one in place["claims"]] == [("O-1", 3, "reserved_firm")]


def test_a_channel_is_derived_from_locations_promises_and_rules() -> None:
    driver = played(*EVENTS)
    found = explain(rows_of(driver), "CHAIR")
    assert [step["what"] for step in found["promises"]] == ["pending for mall", "ring-fence of mall"]
    pending, fence = found["promises"]
    assert (pending["units"], [one["order"] for one in pending["lines"]]) == (3, ["O-2", "O-3"])
    assert pending["last"]["type"] == "ReservationRequested"
    assert (fence["units"], fence["last"]["type"]) == (4, "AllocationGranted")
    by_channel = {one["channel"]: one for one in found["channels"]}
    answers = {one["channel"]: one["atp"] for one in driver.show("CHAIR")["availability"]}
    for name, one in by_channel.items():
        add_up(one)
        assert one["atp"] == answers[name]
        assert one["arithmetic"].endswith(f"ATP {one['atp']}")
    web = by_channel["web"]
    assert [(step["what"], step["units"]) for step in web["steps"]] == [
        ("exposed at its locations", 20), ("promised beside", -3), ("= pool", 17), ("share percent", 50), ("buffer", 1),
    ]  # fmt: skip
    assert web["arithmetic"] == "50 % of 17 - 1 = 7; ATP 7"
    assert steps(web)["buffer"]["last"]["key"] == "test|paper|PolicyChanged-2|1|PolicyChanged|"
    mall = by_channel["mall"]
    assert steps(mall)["ring-fence that stock can serve"]["units"] == 4
    assert mall["arithmetic"].endswith("at most 9; ATP 9")


def test_a_buffer_by_rate_names_the_rates_that_it_follows() -> None:
    """6 in five minutes by others are 12 in ten; half of them are the channel's."""
    by_rate = policy(1, channel="web", policy={"buffer_by_rate": True, "lag_s": 600, "share_percent": 50})
    sold = line("SaleRecorded", 3, location="S1", quantity=6, channel="store")
    driver = played(by_rate, line("GoodsReceived", 2, location="S1", quantity=40), sold, tick="2026-11-20T09:05:30Z")
    (web,) = [one for one in explain(rows_of(driver), "CHAIR")["channels"] if one["channel"] == "web"]
    add_up(web)
    step = steps(web)["buffer by rate"]
    assert step["units"] == 6
    assert step["note"] == "50 % of others 1728 a day for 600 s + own 0 a day for 0 s, rounded up; at least 0"
    assert step["last"]["key"] == "test|paper|PolicyChanged-1|1|PolicyChanged|"
    assert web["arithmetic"] == "50 % of 34 - 6 = 11; ATP 11"
    (shown,) = [one for one in driver.show("CHAIR")["availability"] if one["channel"] == "web"]
    assert (shown["buffer"], shown["buffer_rate"]["others_per_day"]) == (6, 1_728)


def test_what_is_not_to_be_trusted_is_held_back() -> None:
    trust = policy(1, policy={"verify_days": 1, "haircuts": True})
    driver = played(trust, line("GoodsReceived", 2, location="S1", quantity=40), tick="2026-11-21T10:00:00Z")
    driver.tick("2026-11-22T10:00:00Z")
    rows = rows_of(driver)
    (place,) = explain(rows, "CHAIR")["locations"]
    add_up(place)
    held_back = steps(place)["held back"]["units"]
    assert held_back < 0
    assert place["exposed"] == 40 + held_back
    (position,) = driver.positions("CHAIR")
    assert (position["haircut"], position["atp"]) == (-held_back, place["exposed"])
    node = [one for one in driver.effects if isinstance(one, AvailabilityChanged) and one.location == "S1"][-1]
    assert node.node is not None
    assert (node.node.haircut, node.atp) == (-held_back, place["exposed"])
    assert "held back at a confidence" in explain_position(position)


def test_later_days_are_a_step_of_their_own() -> None:
    driver = played(
        line("GoodsReceived", 1, location="S1", quantity=20),
        line("ReservationPlaced", 2, quantity=15, channel="web", order=order("O-1"), need_date="2026-11-23"),
        line("AsnShipped", 3, location="S1", quantity=7, purchase_order=order("PO-1"), eta="2026-11-25"),
    )
    web = next(one for one in explain(rows_of(driver), "CHAIR")["channels"] if one["channel"] == "web")
    add_up(web)
    assert (steps(web)["due later"]["units"], web["atp"]) == (-15, 5)
    assert web["horizon"] == [{"date": "2026-11-20", "quantity": 5}, {"date": "2026-11-25", "quantity": 12}]
    assert [(one["date"], one["units"], one["document"]) for one in web["inbound"]] == [("2026-11-25", 7, "PO-1")]
    assert web["demand"] == [{"date": "2026-11-23", "units": 15, "channel": "web", "location": ""}]
    assert "2026-11-23: -15 promised through web" in "\n".join(told({**explain(rows_of(driver), "CHAIR"), **WHERE}))


@pytest.mark.parametrize("seed", range(12))
def test_whatever_happened_the_steps_add_up(seed: int) -> None:
    random = Random(seed)
    lines = [*EVENTS[:3]]
    for number in range(1, 50):
        place, name = random.choice(("S1", "S2", "S3")), random.choice(("web", "mall", "shop"))
        claim = {"order": order(f"O-{random.randrange(12)}"), "channel": name, "quantity": random.randint(1, 6)}
        lines.append(
            random.choice(
                (
                    line("GoodsReceived", number, location=place, quantity=random.randint(1, 12)),
                    line("SaleRecorded", number, location=place, quantity=random.randint(1, 8), channel=name),
                    line("ReservationPlaced", number, **claim, **random.choice(({}, {"location": place}))),
                    line("ReservationPlaced", number, **claim, need_date=f"2026-11-{random.randint(20, 25)}"),
                    line("OrderAllocated", number, **claim, location=place),
                    line("AllocationGranted", number, channel=name, quantity=4, priority=number),
                    line("AsnShipped", number, location=place, quantity=5, purchase_order=order(f"PO-{number}"),
                         eta=f"2026-11-{random.randint(20, 28)}"),
                )
            )
        )  # fmt: skip
    driver = played(*lines)
    found = explain(rows_of(driver), "CHAIR")
    for one in (*found["locations"], *found["channels"]):
        add_up(one)
    for one in found["channels"]:
        assert one["arithmetic"].endswith(f"ATP {one['atp']}")
    for place in found["locations"]:
        for hold in ("reserved_soft", "reserved_firm", "allocated"):
            held = -(steps(place).get(hold.replace("_", " "), {"units": 0})["units"])
            assert held == sum(one["units"] for one in place["claims"] if one["how"] == hold)
    json.dumps(found)
    assert "\n".join(told({**found, **WHERE}))


def test_it_reads_as_a_table() -> None:
    text = "\n".join(told({**explain(rows_of(played(*EVENTS)), "CHAIR"), **WHERE}))
    for words in (
        "      21  sellable                       SaleRecorded 2026-11-20T09:09:00Z paper SaleRecorded-9 line 1",
        "      -3  reserved firm",
        "3 for O-1 line 1 of web; ReservationPlaced 2026-11-20T09:05:00Z",
        "      -2  safety stock                   PolicyChanged",
        "50 % of 17 - 1 = 7; ATP 7 IN_STOCK",
    ):
        assert words in text


def test_what_is_not_known_is_said() -> None:
    assert explain(MemoryRows(), "CHAIR")["known"] is False
    assert explain(rows_of(played(*EVENTS)), "CHAIR", channel="nowhere")["channels"] == []
    wrong = CliRunner().invoke(app, ["explain", "CHAIR", "--at", "yesterday"])
    assert (wrong.exit_code, "2026-11-20T09:00:00Z" in wrong.stderr) == (2, True)
    alone = CliRunner().invoke(app, ["explain", "CHAIR", "--event-time"])
    assert alone.exit_code == 2
