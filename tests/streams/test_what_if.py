"""What events would change: the same as if they came, and nothing of it is kept."""

import json
from typing import Any

import pytest

from atp.book import bills_key, claim_key, evidence_key, lots_key, network_key, position_key, summary_key
from atp.errors import FatalError
from atp.events import DAY
from atp.fold import Frame
from avro_schemas.public_json import parse_line
from cli.what_if import as_plain, told
from streams.driver import TopologyDriver
from streams.memory import MemoryRows
from streams.sku_rows import SkuRows, concerns, exact_keys, prefixes
from streams.what_if import changes, suppose

FRAME = Frame(window=7 * DAY)
Json = dict[str, Any]


def line(type_: str, number: int, **fields: Any) -> Json:
    return {
        "type": type_, "source": "test", "document": {"type": "paper", "id": f"{type_}-{number}", "line": 1},
        "sku": "CHAIR", "event_time": f"2026-11-20T09:{number:02}:00Z", **fields,
    }  # fmt: skip


STOCK = line("GoodsReceived", 1, location="S1", quantity=10)
SALE = line("SaleRecorded", 2, location="S1", quantity=3, channel="web")
ORDER = line("ReservationPlaced", 3, quantity=5, channel="web", order={"id": "O-1", "line": 1}, state="firm")
POLICY = {**line("PolicyChanged", 4, location="S1", policy={"safety_stock": 4}), "sku": ""}
REQUEST = {
    **line("ReservationRequested", 5, quantity=4, channel="web", request_id="R-1", order={"id": "O-2", "line": 1}),
}
OVERSALE = line("SaleRecorded", 6, location="S1", quantity=30, channel="web")
del POLICY["sku"]


def rows_of(driver: TopologyDriver) -> MemoryRows:
    """The rows of the SKU alone, as a worker hands them out."""
    rows = MemoryRows()
    for key, row in driver.snapshot().items():
        name = key.split("/")[-1] if key[0].isdigit() else key
        if concerns(name, "CHAIR"):
            rows.put(name, row)
    return rows


def parsed(*lines: Json) -> list[Any]:
    return [event for one in lines for event in parse_line(one)]


@pytest.mark.parametrize(
    "lines",
    [[SALE], [ORDER], [POLICY], [REQUEST], [OVERSALE], [ORDER, REQUEST, SALE], [SALE, POLICY, OVERSALE]],
    ids=lambda lines: "+".join(str(one["type"]) for one in lines),
)
def test_it_is_as_if_they_had_come(lines: list[Json]) -> None:
    driver = TopologyDriver()
    driver.send_json(STOCK)
    driver.send_json({**STOCK, "sku": "TABLE"})
    rows = rows_of(driver)
    before = dict(rows.scan(""))
    supposed = suppose(rows, "CHAIR", parsed(*lines), FRAME)
    assert dict(rows.scan("")) == before
    assert supposed.before == driver.show("CHAIR")
    effects = [effect for one in lines for effect in driver.send_json(one)]
    assert supposed.after == driver.show("CHAIR")
    mine = [one for one in effects if "TABLE" not in repr(one)]
    assert sorted(supposed.effects, key=repr) == sorted(mine, key=repr)
    assert {step.verdict for step in supposed.steps} == {"folded"}


def test_what_is_known_already_changes_nothing() -> None:
    driver = TopologyDriver()
    driver.send_json(STOCK)
    supposed = suppose(rows_of(driver), "CHAIR", parsed(STOCK), FRAME)
    assert [step.verdict for step in supposed.steps] == ["duplicate"]
    assert not any(changes(supposed).values())
    found = SkuRows(rows_of(driver), 0, 1, 0, {"source": "worker"})
    assert "nothing would change" in "\n".join(told("CHAIR", found, supposed))


def test_what_would_be_refused_says_why() -> None:
    driver = TopologyDriver()
    driver.send_json(STOCK)
    supposed = suppose(rows_of(driver), "CHAIR", parsed({**STOCK, "quantity": 11}), FRAME)
    assert supposed.steps[0].verdict == "conflict"
    assert "first stands" in supposed.steps[0].detail


def test_another_skus_event_is_no_answer() -> None:
    with pytest.raises(FatalError, match="atp what-if TABLE"):
        suppose(MemoryRows(), "CHAIR", parsed({**SALE, "sku": "TABLE"}), FRAME)


def test_differences_are_told_in_figures() -> None:
    driver = TopologyDriver()
    driver.send_json(STOCK)
    rows = rows_of(driver)
    supposed = suppose(rows, "CHAIR", parsed(SALE, REQUEST, OVERSALE), FRAME)
    found = changes(supposed)
    assert found["positions"][0]["location"] == "S1"
    assert found["positions"][0]["changes"]["sellable"] == [10, -23]
    assert found["positions"][0]["changes"]["status"] == ["IN_STOCK", "OUT"]
    web = next(one for one in found["availability"] if one["channel"] == "web")
    assert web["changes"]["atp"] == [None, 0]
    where = SkuRows(rows, 0, 1, 0, {"source": "worker"})
    plain = json.loads(json.dumps(as_plain("CHAIR", where, supposed)))
    assert [one["decision"] for one in plain["effects"]["decisions"]] == ["accepted"]
    assert plain["effects"]["decisions"][0]["as_of"] == "2026-11-20T09:05:00Z"
    assert {one["kind"] for one in plain["effects"]["risks"]} >= {"negative_stock"}
    text = "\n".join(told("CHAIR", where, supposed))
    for words in (
        "S1: on hand 10 -> -23",
        "R-1: accepted 4 of 4; could take 7",
        "opened HIGH negative_stock S1: -23",
        "opened HIGH negative_stock S1: count this location",
        "proposed count at S1: count this SKU",
        "opened CRITICAL oversold: ",
        "web: new, atp 0, status OUT",
    ):
        assert words in text
    assert "none ->" not in text
    assert (text.count("\nrisks\n"), text.count("\nrisks told\n")) == (0, 1)


def test_what_waits_for_its_time_says_so() -> None:
    driver = TopologyDriver()
    driver.send_json(STOCK)
    driver.tick("2026-11-20T09:03:00Z")
    rows = rows_of(driver)
    for minute, waits in ((3, False), (4, True)):
        policy = {**line("PolicyChanged", minute, channel="web", policy={"cap": 3})}
        supposed = suppose(rows, "CHAIR", parsed(policy), FRAME)
        said = "\n".join(told("CHAIR", SkuRows(rows, 0, 2, 0, {"source": "worker"}), supposed))
        assert ("counts from 2026-11-20T09:04:00Z on, and the clock stands at 2026-11-20T09:03:00Z" in said) == waits


def test_a_worker_is_asked_for_every_row_of_the_sku() -> None:
    alone = {summary_key("A"), network_key("A"), bills_key("A")}
    assert alone <= set(exact_keys("A"))
    for key in (position_key("A", "S1"), lots_key("A", "S1"), claim_key("A", "O-1|1"), evidence_key("A", "x")):
        assert key.startswith(tuple(prefixes("A"))), key
        assert concerns(key, "A")
