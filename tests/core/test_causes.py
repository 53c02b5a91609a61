"""Exceptions and advice as they follow from events: in any order, however often told, however seldom ticks come."""

import random
from collections.abc import Callable, Iterable
from typing import Any

import pytest

from atp.duties import DUTIES
from atp.effects import AdviceChanged, ExceptionChanged
from avro_schemas.instants import instant
from streams.driver import TopologyDriver

EIGHT = 1_795_161_600_000_000  # 2026-11-20T08:00:00Z
MINUTE = 60_000_000
DAY = 24 * 60 * MINUTE
Json = dict[str, Any]


def at(minutes: int) -> str:
    return instant(EIGHT + minutes * MINUTE)


def event(type_: str, id_: str, minutes: int, quantity: int | None = None, **fields: Any) -> Json:
    made = {
        "type": type_,
        "source": "wms",
        "document": {"type": "paper", "id": id_, "line": 1},
        "sku": "A",
        "event_time": at(minutes),
        **fields,
    }
    return made if quantity is None else {**made, "quantity": quantity}


def order(number: int) -> Json:
    return {"id": f"O-{number}", "line": 1}


def a_day(chance: random.Random) -> list[Json]:
    """Orders, returns, transfers and purchase orders, many of which miss something."""
    told = [event("GoodsReceived", "G", 0, 500, location="S1"), event("GoodsReceived", "H", 0, 500, location="S2")]
    for n in range(12):
        minute = chance.randrange(1, 600)
        units = chance.randint(1, 5)
        if chance.random() < 0.6:
            told.append(event("ReservationPlaced", f"R{n}", minute, units, location="S1", order=order(n)))
        if chance.random() < 0.7:
            told.append(event("ShipmentConfirmed", f"P{n}", minute + 5, units, location="S1", order=order(n)))
        if chance.random() < 0.4:
            told.append(event("ReturnReceived", f"B{n}", minute + 9, 1, location="S1", order=order(n)))
    for n in range(4):
        sent, came = chance.randint(1, 5), chance.randint(0, 6)
        line = {"id": f"X-{n}", "line": 1}
        eta = chance.choice([{}, {"eta": "2026-11-20"}, {"eta": "2026-11-22"}])
        told.append(event("TransferShipped", f"T{n}", 60, sent, location="S1", to_location="S2", transfer=line, **eta))
        if came:
            told.append(event("TransferReceived", f"U{n}", 90, came, location="S2", transfer=line))
    for n in range(5):
        po = {"purchase_order": {"id": f"PO-{n}", "line": 1}, "location": "S2"}
        told.append(event("PurchaseOrderPlaced", f"PO{n}", 10, 10, eta="2026-11-21", **po))
        if chance.random() < 0.6:
            told.append(event("SupplierConfirmed", f"SC{n}", 20, chance.choice([8, 10]), eta="2026-11-22", **po))
        if chance.random() < 0.6:
            final = chance.random() < 0.5
            told.append(event("AsnShipped", f"AS{n}", 30, chance.choice([4, 10]), eta="2026-11-21", final=final, **po))
        if chance.random() < 0.6:
            final = chance.random() < 0.5
            told.append(event("GoodsReceived", f"GR{n}", 40, chance.choice([4, 10, 12]), final=final, **po))
    return told


def fold(lines: Iterable[Json], ticks: Iterable[int]) -> TopologyDriver:
    driver = TopologyDriver()
    for line in lines:
        driver.send_json(line)
    for tick in ticks:
        driver.tick(EIGHT + tick * MINUTE)
    return driver


def lives(driver: TopologyDriver) -> set[tuple[Any, ...]]:
    """What is open in the end, under its id where its cause has waited: what opens at once does when it is seen."""
    return {
        (e.id, e.kind, e.scope, e.opened_at, e.severity, e.deadline) if DUTIES[e.kind].grace else (e.kind, e.scope)
        for e in driver.exceptions()
    }


END = 5 * 24 * 60


@pytest.mark.parametrize("seed", range(12))
def test_what_is_open_does_not_depend_on_order_or_resends(seed: int) -> None:
    chance = random.Random(seed)
    told = a_day(chance)
    straight = fold(told, [END])
    assert {e.kind for e in straight.exceptions()} >= {"unmatched_shipment"}
    for _ in range(4):
        mixed = [line for line in told for _ in range(chance.randint(1, 2))]
        chance.shuffle(mixed)
        assert lives(fold(mixed, [END])) == lives(straight)


@pytest.mark.parametrize("seed", range(6))
def test_what_is_told_does_not_depend_on_how_often_ticks_come(seed: int) -> None:
    told = a_day(random.Random(seed))

    def said(ticks: Iterable[int]) -> set[tuple[Any, ...]]:
        effects = fold(told, ticks).effects
        return {(e.id, e.transition, e.at, e.severity) for e in effects if isinstance(e, ExceptionChanged)}

    assert said([END]) == said(range(601, END + 1, 60)) == said([*range(700, END, 1000), END])


@pytest.mark.parametrize("seed", range(6))
def test_what_is_replayed_says_the_same(seed: int) -> None:
    told = a_day(random.Random(seed))
    first, second = fold(told, [700, END]), fold(told, [700, END])
    assert first.effects == second.effects
    second.restart()
    second.tick(EIGHT + (END + 1) * MINUTE)
    first.tick(EIGHT + (END + 1) * MINUTE)
    assert first.snapshot() == second.snapshot()


@pytest.mark.parametrize("seed", range(6))
def test_openings_are_bounded_while_stock_swings_around_zero(seed: int) -> None:
    """Calm is two minutes: a shelf that swings faster has one exception, and one advice a day."""
    chance = random.Random(seed)
    driver = TopologyDriver()
    driver.send_json(event("GoodsReceived", "G", 0, 1, location="S1"))
    minutes = 600
    for minute in range(1, minutes):
        driver.tick(EIGHT + minute * MINUTE)
        for n in range(3):
            kind, units = chance.choice([("SaleRecorded", 1), ("GoodsReceived", 1)])
            driver.send_json(event(kind, f"{minute} {n}", minute, units, location="S1"))
    told = [e for e in driver.effects if isinstance(e, ExceptionChanged) and e.kind == "negative_stock"]
    openings = [e for e in told if e.transition == "opened"]
    assert openings
    assert len(openings) <= minutes // 2
    assert len(openings) == len({e.id for e in told})
    closings = {e.id: e.at for e in told if e.transition == "closed"}
    assert all(at - e.opened_at >= 2 * MINUTE for e in openings if (at := closings.get(e.id)) is not None)
    advised = [e for e in driver.effects if isinstance(e, AdviceChanged)]
    assert {e.kind for e in advised} == {"count"}
    assert len({e.id for e in advised}) == 1


def test_late_events_of_a_place_share_one_exception_until_they_are_adjusted() -> None:
    driver = TopologyDriver()
    driver.send_json(event("GoodsReceived", "G", 0, 10, location="S1"))
    for n in range(3):
        driver.send_json(event("SaleRecorded", f"L{n}", -30 * 24 * 60, 1, location="S1"))
    (one,) = driver.exceptions()
    assert (one.kind, one.scope) == ("late_event", "S1")
    for letter in driver.dead_letters():
        assert driver.exceptions()
        driver.send_json(letter.suggestion)
    assert driver.exceptions() == []


def test_a_master_s_silence_needs_no_sku() -> None:
    driver = TopologyDriver(partitions=3)
    for n, minute in enumerate((0, 10)):
        driver.send_json({k: v for k, v in event("SourceMark", f"M{n}", minute).items() if k != "sku"})
    driver.tick(EIGHT + 60 * MINUTE)
    told = [e for e in driver.effects if isinstance(e, ExceptionChanged)]
    assert [(e.kind, e.sku, e.scope, e.transition) for e in told] == [("silent_feed", "", "wms", "opened")] * 3
    assert len({e.id for e in told}) == 1
    driver.send_json(
        {
            "type": "ExceptionAcknowledged", "source": "desk", "document": {"type": "note", "id": "N", "line": 1},
            "exception": told[0].id, "owner": "mia", "event_time": at(60),
        }
    )  # fmt: skip
    assert {e.owner for e in driver.exceptions()} == {"mia"}


# Advice -----------------------------------------------------------------------------------------------------


def policy(id_: str, location: str, **fields: Any) -> Json:
    made = event("PolicyChanged", id_, 0, location=location, policy=fields)
    return {key: one for key, one in made.items() if key != "sku"}


def short(**fields: Any) -> TopologyDriver:
    """Ten units at S1, of which nine are sold on the first morning."""
    driver = TopologyDriver()
    driver.tick(EIGHT)
    driver.send_json(policy("P", "S1", lead_time_days=1, order_up_to=20, **fields))
    driver.send_json(event("GoodsReceived", "G", 1, 10, location="S1"))
    driver.send_json(event("SaleRecorded", "S", 2, 9, location="S1"))
    return driver


def standing(driver: TopologyDriver) -> list[tuple[str, str, int, str]]:
    return sorted((a.kind, a.location, a.quantity, a.status) for a in driver.advice())


def decide(driver: TopologyDriver, id_: str, answer: str, minutes: int, **fields: Any) -> None:
    driver.send_json(event("AdviceDecided", f"{answer}{minutes}", minutes, advice=id_, answer=answer, **fields))


def test_an_order_is_advised_up_to_the_level_at_the_next_hour() -> None:
    driver = short()
    driver.tick(EIGHT + 59 * MINUTE)
    assert standing(driver) == []
    driver.tick(EIGHT + 60 * MINUTE)
    assert standing(driver) == [("replenish", "S1", 19, "proposed")]
    (one,) = driver.advice()
    assert one.evidence["free"] == "1"
    assert one.evidence["sold_in_a_day"] == "9"


@pytest.mark.parametrize(
    ("fields", "units", "status"),
    [
        ({"pack": 6}, 24, "proposed"),
        ({"moq": 40}, 40, "proposed"),
        ({"moq": 40, "pack": 12}, 48, "proposed"),
        ({"approve_above": 19}, 19, "approved"),
        ({"approve_above": 18}, 19, "proposed"),
    ],
)
def test_orders_come_in_packs_and_small_ones_need_no_approval(fields: Json, units: int, status: str) -> None:
    driver = short(**fields)
    driver.tick(EIGHT + 60 * MINUTE)
    assert standing(driver) == [("replenish", "S1", units, status)]


def test_what_is_coming_is_not_ordered_again() -> None:
    driver = short()
    driver.send_json(event("PurchaseOrderPlaced", "PO", 3, 10, location="S1"))
    driver.tick(EIGHT + 60 * MINUTE)
    assert standing(driver) == []


def test_an_advice_that_is_not_needed_any_more_expires() -> None:
    driver = short()
    driver.tick(EIGHT + 60 * MINUTE)
    driver.send_json(event("GoodsReceived", "H", 70, 30, location="S1"))
    driver.tick(EIGHT + 120 * MINUTE)
    assert standing(driver) == []
    assert [e.status for e in driver.effects if isinstance(e, AdviceChanged)] == ["proposed", "expired"]


def test_a_decision_stands_and_what_was_rejected_is_not_proposed_again_that_day() -> None:
    driver = short()
    driver.tick(EIGHT + 60 * MINUTE)
    (one,) = driver.advice()
    decide(driver, one.id, "rejected", 61, actor="mia")
    for hour in range(2, 15):
        driver.send_json(event("SaleRecorded", f"T{hour}", hour * 60, 1, location="S1"))
        driver.tick(EIGHT + hour * 60 * MINUTE)
    assert "replenish" not in {a.kind for a in driver.advice()}
    driver.send_json(event("SaleRecorded", "T", 16 * 60, 1, location="S1"))
    driver.tick(EIGHT + 17 * 60 * MINUTE)  # 01:00 of the next day
    (next_day,) = (a for a in driver.advice() if a.kind == "replenish")
    assert next_day.id != one.id


def test_an_approval_may_change_the_units_and_the_order_carries_it_out() -> None:
    driver = short()
    driver.tick(EIGHT + 60 * MINUTE)
    (one,) = driver.advice()
    decide(driver, one.id, "approved", 61, actor="mia", quantity=12)
    assert standing(driver) == [("replenish", "S1", 12, "approved")]
    decide(driver, one.id, "approved", 61, actor="mia", quantity=12)
    driver.send_json(event("PurchaseOrderPlaced", "PO", 70, 12, location="S1"))
    told = [(e.status, e.quantity) for e in driver.effects if isinstance(e, AdviceChanged)]
    assert told == [("proposed", 19), ("approved", 12), ("executed", 12)]
    driver.tick(EIGHT + 120 * MINUTE)
    assert standing(driver) == []


def test_what_nobody_answers_lapses_after_a_week() -> None:
    driver = short()
    driver.send_json(event("FinancialOnly", "F", 2, 1, location="S1"))
    driver.tick(EIGHT + 60 * MINUTE)
    (one,) = driver.advice()
    driver.tick(one.expires_at or 0)
    last = [e for e in driver.effects if isinstance(e, AdviceChanged) and e.id == one.id][-1]
    assert last.status == "expired"


def test_without_policies_nothing_is_advised(monkeypatch: pytest.MonkeyPatch) -> None:
    driver = TopologyDriver()
    worked_out: list[str] = []
    plan: Callable[..., None] = lambda _, sku, tick: worked_out.append(sku)  # noqa: ARG005, E731
    monkeypatch.setattr("atp.fold.plan", plan)
    driver.tick(EIGHT)
    for line in a_day(random.Random(1)):
        driver.send_json(line)
    driver.tick(EIGHT + END * MINUTE)
    assert driver.advice() == []
    assert worked_out == []
