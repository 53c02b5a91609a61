"""Kits in memory: what their components leave of them, beside a reckoning of its own and two naive ones."""

from collections.abc import Callable
from random import Random
from typing import Any

import pytest

from atp.effects import AvailabilityChanged, KitComponentChanged
from atp.errors import PoisonError
from cli.kit import kit_lines
from streams.driver import TopologyDriver
from streams.kit_answer import kit_answer
from streams.pipeline_driver import PipelineDriver
from streams.reader import MappingRows
from topologies.kits import KITS
from topologies.topics import KIT_COMPONENTS

Stock = dict[str, dict[str, int]]
"""Exposed units by SKU and location."""
Bill = dict[str, int]
NINE = "2026-11-20T09:00:00Z"


def event(number: int, kind: str, at: str = NINE, **fields: Any) -> dict[str, Any]:
    document = {"type": kind, "id": f"{kind} {number}", "line": 1}
    return {"type": kind, "source": "test", "document": document, "event_time": at, **fields}


def bill(number: int, kit: str, components: Bill, at: str = NINE, **fields: Any) -> dict[str, Any]:
    return event(number, "MasterChanged", at, kit=kit, components=components, **fields)


def stocked(driver: PipelineDriver, stock: Stock) -> None:
    for sku, places in stock.items():
        for place, units in places.items():
            if units:
                driver.send_json(event(len(driver.effects), "GoodsReceived", sku=sku, location=place, quantity=units))


def answers(driver: TopologyDriver, kit: str) -> dict[str, int]:
    return {one.channel: one.atp for one in driver.availability(kit)}


def last(driver: TopologyDriver, kit: str, channel: str = "all") -> AvailabilityChanged:
    return next(one for one in driver.availability(kit) if one.channel == channel)


# Trap 22 ----------------------------------------------------------------------------------------------------


def reckoned(stock: Stock, needed: Bill) -> int:
    """Kits that can be put together, each at one location, and no more than the network has parts for."""
    places = {place for sku in needed for place in stock.get(sku, {})}
    together = sum(min(stock.get(sku, {}).get(place, 0) // n for sku, n in needed.items()) for place in places)
    return min(together, *(sum(stock.get(sku, {}).values()) // n for sku, n in needed.items()))


def minimum_of_totals(stock: Stock, needed: Bill) -> int:
    """Naive: parts that lie in two cities are put together."""
    return min(sum(stock.get(sku, {}).values()) // n for sku, n in needed.items())


def needs_are_forgotten(stock: Stock, needed: Bill) -> int:
    """Naive: a kit takes one of each."""
    return reckoned(stock, dict.fromkeys(needed, 1))


APART: Stock = {"FRAME": {"S1": 5}, "SLAT": {"S2": 70}}
TOGETHER: Stock = {"FRAME": {"S1": 2, "S2": 3}, "SLAT": {"S1": 20, "S2": 14}}
NEEDED: Bill = {"FRAME": 1, "SLAT": 14}


@pytest.mark.parametrize(
    ("stock", "kits", "naive"), [(APART, 0, minimum_of_totals), (TOGETHER, 2, needs_are_forgotten)]
)
def test_parts_make_a_kit_where_they_lie_together(stock: Stock, kits: int, naive: Callable[[Stock, Bill], int]) -> None:
    driver = PipelineDriver(partitions=3)
    driver.send_json(bill(1, "BED", NEEDED))
    stocked(driver, stock)
    assert answers(driver, "BED") == {"all": kits}
    assert reckoned(stock, NEEDED) == kits
    assert naive(stock, NEEDED) != kits, "the naive build gets away with it"


@pytest.mark.parametrize("seed", range(12))
def test_any_network_any_order(seed: int) -> None:
    chance = Random(seed)
    needed = {sku: chance.randint(1, 4) for sku in chance.sample("ABCDE", chance.randint(1, 4))}
    stock = {sku: {f"S{n}": chance.randint(0, 12) for n in range(chance.randint(1, 5))} for sku in "ABCDE"}
    driver = PipelineDriver(partitions=chance.randint(1, 4), batch_size=chance.randint(1, 5))
    lines = [bill(1, "KIT", needed)] * chance.randint(1, 2)
    lots = [(sku, place, units) for sku, places in stock.items() for place, units in places.items() if units]
    lines += [
        event(n, "GoodsReceived", sku=sku, location=place, quantity=units) for n, (sku, place, units) in enumerate(lots)
    ]
    chance.shuffle(lines)
    for line in lines:
        driver.send_json(line)
    driver.flush()
    assert answers(driver, "KIT") == {"all": reckoned(stock, needed)}
    rising(driver, "KIT")


def rising(driver: TopologyDriver, kit: str) -> None:
    """Versions rise strictly, and what was said before is what is called so."""
    said: dict[str, AvailabilityChanged] = {}
    for one in driver.effects:
        if isinstance(one, AvailabilityChanged) and one.sku == kit and one.channel:
            before = said.get(one.key)
            assert before is None or (one.epoch, one.version) > (before.epoch, before.version)
            assert before is None or before.kit is None or one.previous_atp == before.atp
            said[one.key] = one


# What they hear, and when -----------------------------------------------------------------------------------


def test_a_part_that_runs_out_takes_the_kit_with_it_at_once() -> None:
    driver = PipelineDriver(partitions=5)
    driver.send_json(bill(1, "BED", NEEDED))
    stocked(driver, {"FRAME": {"S1": 1}, "SLAT": {"S1": 28}})
    assert last(driver, "BED").atp == 1
    effects = driver.send_json(event(9, "SaleRecorded", sku="FRAME", location="S1", quantity=1))
    (zero,) = [one for one in effects if isinstance(one, AvailabilityChanged) and one.sku == "BED"]
    assert (zero.atp, zero.previous_atp, zero.status, zero.cause.type) == (0, 1, "OUT", "SaleRecorded")
    assert zero.kit is not None
    assert [(part.sku, part.needed, part.atp, part.exposed) for part in zero.kit.parts] == [
        ("FRAME", 1, 0, 0),
        ("SLAT", 14, 28, 28),
    ]


def test_a_sku_that_is_no_part_is_told_to_nobody() -> None:
    driver = PipelineDriver()
    stocked(driver, {"CHAIR": {"S1": 5}})
    driver.send_json(bill(1, "BED", NEEDED))
    stocked(driver, {"CHAIR": {"S1": 6}})
    assert not [one for one in driver.effects if isinstance(one, KitComponentChanged) and one.sku == "CHAIR"]
    assert driver.show("CHAIR")["part_of"] == []
    assert driver.show("FRAME")["part_of"] == ["BED"]


def test_stock_that_was_there_before_the_bill_counts() -> None:
    driver = PipelineDriver(partitions=4)
    stocked(driver, TOGETHER)
    driver.send_json(bill(1, "BED", NEEDED))
    assert answers(driver, "BED") == {"all": 2}
    driver.send_json(bill(2, "COT", {"SLAT": 10}))  # A second kit that shares a part.
    assert answers(driver, "COT") == {"all": 3}


def test_what_is_promised_of_a_part_is_not_in_the_kit() -> None:
    driver = PipelineDriver(partitions=4)
    driver.send_json(bill(1, "BED", NEEDED))
    stocked(driver, TOGETHER)
    driver.send_json(
        event(1, "ReservationPlaced", sku="FRAME", quantity=4, order={"id": "O-1", "line": 1}, channel="web")
    )
    # One frame is left for the network, wherever it lies: no more than one kit can be promised.
    assert answers(driver, "BED") == {"all": 1, "web": 1}


# Channels, assembled stock ----------------------------------------------------------------------------------


def test_a_location_counts_where_it_serves_the_channel_for_the_kit_and_every_part() -> None:
    driver = PipelineDriver(partitions=4)
    driver.tick(NINE)
    driver.send_json(bill(1, "BED", NEEDED))
    stocked(driver, TOGETHER)
    driver.send_json(event(1, "PolicyChanged", channel="web", policy={"share_percent": 100}))
    driver.send_json(event(2, "PolicyChanged", channel="mall", sku="SLAT", policy={"locations": ["S2"]}))
    assert answers(driver, "BED") == {"all": 2, "web": 2, "mall": 1}
    driver.send_json(event(3, "PolicyChanged", channel="web", sku="BED", policy={"locations": ["S2"]}))
    assert answers(driver, "BED")["web"] == 1
    # The frames for the web lie at S1 from now on, and its beds are put together at S2.
    driver.send_json(event(4, "PolicyChanged", channel="web", sku="FRAME", policy={"locations": ["S1"]}))
    assert answers(driver, "BED") == {"all": 2, "web": 0, "mall": 1}


def test_assembled_stock_adds_up_and_a_cap_holds_for_both() -> None:
    driver = PipelineDriver(partitions=4)
    stocked(driver, {"BED": {"S3": 2}})
    before = last(driver, "BED")
    assert before.kit is None
    assert before.figures is not None
    driver.send_json(bill(1, "BED", NEEDED))
    stocked(driver, TOGETHER)
    assert last(driver, "BED").atp == 4
    assert last(driver, "BED").version > before.version
    driver.send_json(event(1, "PolicyChanged", channel="web", sku="BED", policy={"cap": 3}))
    assert answers(driver, "BED") == {"all": 4, "web": 3}
    effects = driver.send_json(event(2, "SaleRecorded", sku="BED", location="S3", quantity=1))
    said = [one for one in effects if isinstance(one, AvailabilityChanged)]
    assert {one.key: one.atp for one in said} == {"node|BED|S3": 1, "all|BED": 3}  # For the web nothing changed.
    rising(driver, "BED")


def test_what_a_channel_shows_of_a_kit_is_not_compared_with_what_is_assembled() -> None:
    driver = PipelineDriver()
    stocked(driver, {"BED": {"S3": 2}})
    driver.send_json(bill(1, "BED", NEEDED))
    stocked(driver, TOGETHER)
    shown = last(driver, "BED")
    told: list[tuple[str, dict[str, Any]]] = [
        ("ChannelAck", {"version": shown.version}),
        ("ChannelReported", {"version": shown.version, "quantity": shown.atp}),
    ]
    for name, fields in told:
        driver.send_json(event(1, name, channel="all", sku="BED", **fields))
    driver.send_json(event(2, "SaleRecorded", sku="BED", location="S3", quantity=1))
    assert (shown.atp, last(driver, "BED").atp) == (4, 3)
    assert not driver.risks()
    assert not driver.variances()


# Bills ------------------------------------------------------------------------------------------------------


def test_a_later_bill_takes_the_place_of_an_earlier_when_its_day_comes() -> None:
    driver = PipelineDriver(partitions=4)
    driver.tick("2026-11-20T08:00:00Z")
    driver.send_json(bill(1, "BED", {"FRAME": 1, "SLAT": 14}, at="2026-11-20T07:00:00Z"))
    driver.send_json(bill(2, "BED", {"FRAME": 1, "SLAT": 10}, at="2026-11-21T00:00:00Z"))
    stocked(driver, {"FRAME": {"S1": 9}, "SLAT": {"S1": 40}})
    assert last(driver, "BED").atp == 2
    driver.tick("2026-11-20T23:59:00Z")
    assert last(driver, "BED").atp == 2
    driver.tick("2026-11-21T00:00:00Z")
    assert last(driver, "BED").atp == 4
    driver.send_json(bill(3, "BED", {}, at="2026-11-21T00:00:00Z"))
    assert (last(driver, "BED").atp, last(driver, "BED").status) == (0, "OUT")
    rising(driver, "BED")


def test_with_no_tick_yet_the_latest_bill_holds_until_the_first_says_what_day_it_is() -> None:
    driver = PipelineDriver()
    driver.send_json(bill(1, "BED", {"FRAME": 2}, at="2026-11-19T00:00:00Z"))
    driver.send_json(bill(2, "BED", {"FRAME": 1}, at="2026-11-25T00:00:00Z"))
    stocked(driver, {"FRAME": {"S1": 4}})
    assert last(driver, "BED").atp == 4
    driver.tick(NINE)
    assert last(driver, "BED").atp == 2


def test_a_bill_comes_again_or_otherwise_or_in_another_revision() -> None:
    driver = PipelineDriver()
    stocked(driver, {"FRAME": {"S1": 6}})
    driver.send_json(bill(1, "BED", {"FRAME": 1}))
    driver.send_json(bill(1, "BED", {"FRAME": 1}))
    assert driver.verdicts["duplicate"] == 1
    driver.send_json(bill(1, "BED", {"FRAME": 3}))
    assert [letter.cause for letter in driver.dead_letters()] == ["conflict"]
    driver.send_json(bill(1, "BED", {"FRAME": 2}, rev=2))
    driver.send_json(bill(1, "BED", {"FRAME": 6}, rev=1))
    assert driver.verdicts["superseded"] == 1
    assert last(driver, "BED").atp == 3


@pytest.mark.parametrize(
    ("fields", "says"),
    [
        ({"components": {"A": 1}}, "kit is missing"),
        ({"kit": "K"}, "components is missing"),
        ({"kit": "K", "components": {"K": 1}}, "must not name the kit itself"),
        ({"kit": "K", "components": {"A": 0}}, "components.A must be a number from 1"),
        ({"kit": "K", "components": {"A": -1}}, "components.A must be a number from 1"),
        ({"kit": "K", "components": {"A|B": 1}}, "components must be 1 to 64 characters"),
        ({"kit": "K", "components": {"A": 1.5}}, "components.A must be an integer"),
        ({"kit": "K", "components": "A:2"}, "components must be an object"),
        ({"kit": "K", "components": {"A": 1}, "sku": "K"}, "sku must be left out beside kit"),
        ({"kit": "K", "components": {"A": 1}, "location": "S1"}, "location must be left out beside kit"),
        ({"kit": "K", "components": {"A": 1}, "attributes": {"pack": "6"}}, "attributes must be left out beside kit"),
    ],
)
def test_a_bill_that_means_nothing_is_refused_with_the_field(fields: dict[str, Any], says: str) -> None:
    with pytest.raises(PoisonError, match=says):
        PipelineDriver().send_json(event(1, "MasterChanged", **fields))


# Life -------------------------------------------------------------------------------------------------------


def test_what_is_told_twice_or_late_changes_nothing_and_can_be_told_again() -> None:
    driver = PipelineDriver(partitions=3)
    driver.send_json(bill(1, "BED", NEEDED))
    stocked(driver, TOGETHER)
    told = driver.outputs[KIT_COMPONENTS.name]
    # A kits topology that lost everything, and hears the newest of each in another order, says the same.
    newest = {one.key: one for one in told}
    again = TopologyDriver(KITS, partitions=3)
    for key in sorted(newest, reverse=True):
        again.send_bytes(key, newest[key].value, partition=driver.owner("BED"))
    end, now = last(driver, "BED"), last(again, "BED")
    assert (now.atp, now.epoch, now.version, now.kit) == (end.atp, end.epoch, end.version, end.kit)
    said = len(again.effects)
    for one in told:
        again.send_bytes(one.key, one.value, partition=driver.owner("BED"))
    assert len(again.effects) == said
    assert again.verdicts["duplicate"] == len(told)


def test_a_restart_goes_on_where_it_was() -> None:
    driver = PipelineDriver(partitions=2)
    driver.send_json(bill(1, "BED", NEEDED))
    stocked(driver, TOGETHER)
    driver.restart()
    driver.send_json(event(1, "SaleRecorded", sku="FRAME", location="S2", quantity=3))
    assert answers(driver, "BED") == {"all": 1}
    rising(driver, "BED")


def test_what_is_told_lies_where_the_kit_does_and_nothing_else_is_taken() -> None:
    driver = TopologyDriver(KITS, partitions=3)
    pipeline = PipelineDriver(partitions=3)
    pipeline.send_json(bill(1, "BED", NEEDED))
    stocked(pipeline, TOGETHER)
    one = pipeline.outputs[KIT_COMPONENTS.name][-1]
    other = (pipeline.owner("BED") + 1) % 3
    driver.send_bytes(one.key, one.value, partition=other)
    driver.send_bytes(b"BED|X", one.value, partition=pipeline.owner("BED"))
    driver.send_bytes(one.key, pipeline.outputs["availability"][0].value, partition=pipeline.owner("BED"))
    assert [letter.cause for letter in driver.dead_letters()] == ["misrouted", "misrouted", "undecodable"]
    assert not driver.availability()


def test_it_says_of_itself_what_it_does() -> None:
    assert KITS.describe().splitlines() == [
        "topology kits, one task per partition, by kit SKU",
        "  reads      kit-components: what there is of a kit's components, and of itself",
        "  keeps      kits-changelog: rows and markers of the kits topology",
        "  publishes  availability: absolute, versioned answers",
        "  publishes  dead-letters: raw records with cause and coordinates",
    ]


# How an answer comes about ----------------------------------------------------------------------------------


def derived(driver: PipelineDriver, kit: str = "BED") -> dict[str, dict[str, Any]]:
    """What the tables of kits say, by channel: the figures that were published, and why."""
    found = {one["channel"]: one for one in kit_answer(MappingRows(driver.kits.snapshot()), kit)["channels"]}
    published = {one.channel: (one.atp, one.status) for one in driver.availability(kit)}
    assert {name: (one["atp"], one["status"]) for name, one in found.items()} == published
    return found


def test_it_says_what_each_channel_has_of_a_kit_and_what_binds() -> None:
    driver = PipelineDriver(partitions=4)
    stocked(driver, {"BED": {"S3": 2}, **TOGETHER})
    driver.send_json(bill(1, "BED", NEEDED))
    every = derived(driver)["all"]
    assert (every["assembled"], every["at_nodes"], every["by_parts"], every["binds"]) == (2, 2, 2, ["SLAT"])
    assert every["parts"] == [
        {"sku": "FRAME", "needed": 1, "avail": 5, "kits": 5, "exposed": {"S1": 2, "S2": 3}},
        {"sku": "SLAT", "needed": 14, "avail": 34, "kits": 2, "exposed": {"S1": 20, "S2": 14}},
    ]
    assert list(kit_lines({"kit": [every]})) == [
        "all: ATP 4 IN_STOCK: 2 assembled + the less of 2 that lie together and 2 by the scarcest part; SLAT binds",
        "  FRAME: 1 needed, 5 avail: 5 kits; exposed at S1 2, S2 3",
        "  SLAT: 14 needed, 34 avail: 2 kits; exposed at S1 20, S2 14",
    ]
    driver.send_json(event(1, "PolicyChanged", channel="web", sku="BED", policy={"cap": 3}))
    found = derived(driver)
    assert (found["web"]["binds"], found["all"]["binds"]) == (["cap"], ["SLAT"])
    stocked(driver, {"SLAT": {"S9": 70}})
    assert derived(driver)["all"]["binds"] == ["together"]
    driver.send_json(bill(2, "BED", {}, at="2026-11-20T10:00:00Z"))
    assert derived(driver)["all"]["binds"] == ["assembled"]
    assert list(kit_lines({"kit": [derived(driver)["all"]]})) == ["all: ATP 2 IN_STOCK: 2 assembled; it has no parts"]
    assert derived(driver, "TABLE") == {}
