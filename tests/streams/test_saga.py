"""Orders of several SKUs: all or nothing, whatever stops the one who asks."""

import json
from collections.abc import Sequence
from pathlib import Path
from random import Random
from typing import Any

import pytest

from atp.effects import DeadLetter, RequestDecided
from atp.errors import FatalError, PoisonError
from atp.events import Document, Event, GoodsReceived, MasterChanged, ReservationRequested
from atp.limits import QUANTITY_MAX
from atp.orders import Order, OrderLine, demands, requests
from streams.asker import Heard
from streams.order_file import mark_cancelled, pin
from streams.pipeline_driver import PipelineDriver
from streams.saga import OrderSaga, Reserved

T = 1_795_165_500_000_000  # 2026-11-20T09:05:00Z
BED = {"FRAME": 1, "SLAT": 14}
COT = {"SLAT": 10}


class StoppedError(Exception):
    """The one who asks is gone."""


class Desk:
    """Asks a pipeline in memory, until it is stopped: after so many events written, or answers heard."""

    def __init__(self, driver: PipelineDriver, steps: int | None = None, deaf: str = "") -> None:
        """`deaf`: the SKU whose answers do not come in time."""
        self._driver = driver
        self._steps = steps
        self._deaf = deaf

    def ask(self, wanted: Sequence[ReservationRequested]) -> Heard:
        heard = Heard()
        for request in wanted:
            for effect in self._write(request):
                if isinstance(effect, RequestDecided) and request.sku != self._deaf:
                    heard.decided[effect.request_id] = effect
                elif isinstance(effect, DeadLetter):
                    heard.refused[request.request_id] = effect
        self._step()
        return heard

    def publish(self, events: Sequence[Event]) -> None:
        for event in events:
            self._write(event)

    def _write(self, event: Event) -> list[Any]:
        effects = self._driver.send(event)
        self._step()  # It lies in the ledger, and nobody knows.
        return effects

    def _step(self) -> None:
        if self._steps is not None:
            self._steps -= 1
            if self._steps < 0:
                raise StoppedError


def saga(driver: PipelineDriver, steps: int | None = None, deaf: str = "") -> OrderSaga:
    desk = Desk(driver, steps, deaf)
    return OrderSaga(desk.ask, desk.publish)


def pipeline(**stock: int) -> PipelineDriver:
    driver = PipelineDriver(partitions=3)
    driver.tick(T)
    for kit, components in (("BED", BED), ("COT", COT)):
        document = Document("bill", kit, 1)
        driver.send(MasterChanged(source="pim", document=document, event_time=T - 1, kit=kit, components=components))
    for sku, units in stock.items():
        document = Document("grn", sku, 1)
        driver.send(
            GoodsReceived(source="wms", document=document, event_time=T, sku=sku, location="DC1", quantity=units)
        )
    return driver


def order(*lines: tuple[str, int], number: str = "O-1", attempt: int = 1) -> Order:
    bills = {"BED": BED, "COT": COT}
    made = [
        OrderLine(line=place, sku=sku, quantity=units, location="DC1", components=bills.get(sku))
        for place, (sku, units) in enumerate(lines, start=1)
    ]
    return Order(id=number, channel="web", event_time=T, lines=tuple(made), attempt=attempt)


def left(driver: PipelineDriver) -> dict[str, int]:
    """What may be promised, by SKU."""
    return {one.sku: one.atp for one in driver.availability() if one.channel == "all" and one.kit is None}


# What is asked for ------------------------------------------------------------------------------------------


def test_lines_are_exploded_and_added_up_before_anything_is_asked() -> None:
    wanted = requests(order(("BED", 2), ("CHAIR", 1), ("COT", 1), ("SLAT", 3), ("CHAIR", 4)))
    assert [(one.sku, one.quantity, one.location) for one in wanted] == [
        ("CHAIR", 5, "DC1"),
        ("FRAME", 2, "DC1"),
        ("SLAT", 2 * 14 + 10 + 3, "DC1"),
    ]
    assert [one.request_id for one in wanted] == ["O-1|CHAIR|at DC1", "O-1|FRAME|at DC1", "O-1|SLAT|at DC1"]
    assert [one.order.line for one in wanted if one.order] == [2, 1, 1]


def test_other_orders_and_attempts_ask_under_other_names() -> None:
    names = {
        one.request_id
        for number in ("O-1", "O|1", "O%7C1")
        for attempt in (1, 2)
        for one in requests(order(("CHAIR", 1), number=number, attempt=attempt))
    }
    assert len(names) == 6


def each_line_alone(driver: PipelineDriver, wanted: Order) -> bool:
    """Naive: an order is had where each of its lines is."""
    shown = {one.sku: one.atp for one in driver.availability() if one.channel == "all"}
    return all(shown[line.sku] >= line.quantity for line in wanted.lines)


def test_two_kit_lines_do_not_find_the_same_part_twice() -> None:
    """Trap 22: each line alone could be had."""
    driver = pipeline(FRAME=1, SLAT=20)
    wanted = order(("BED", 1), ("COT", 1))
    assert each_line_alone(driver, wanted), "the naive build would not be caught"
    before = left(driver)
    reserved = saga(driver).reserve(wanted)
    assert reserved.verdict == "rejected"
    assert {one.sku: one.decision for one in reserved.decided.values()} == {"FRAME": "accepted", "SLAT": "rejected"}
    assert left(driver) == before
    assert saga(driver).reserve(order(("BED", 1), number="O-2")).verdict == "accepted"
    assert left(driver) == {"FRAME": 0, "SLAT": 6}


# Crashes ----------------------------------------------------------------------------------------------------


def outcome(reserved: Reserved) -> tuple[str, list[tuple[str, str, int]], list[str]]:
    answers = sorted((name, one.decision, one.quantity) for name, one in reserved.decided.items())
    return reserved.verdict, answers, sorted(one.document.id for one in reserved.released)


@pytest.mark.parametrize("seed", range(20))
def test_stopped_at_any_step_and_run_again_it_ends_the_same(seed: int) -> None:
    chance = Random(seed)
    stock = {sku: chance.randint(1, 40) for sku in ("CHAIR", "FRAME", "SLAT", "LAMP")}
    names = [*stock, "BED", "COT"]
    lines = [(chance.choice(names), chance.randint(1, 3)) for _ in range(chance.randint(1, 5))]
    whole = pipeline(**stock)
    wanted = order(*lines)
    expected = outcome(saga(whole).reserve(wanted))
    steps = 2 * len(demands(wanted)) + 2
    for stop in range(steps):
        driver = pipeline(**stock)
        try:
            saga(driver, stop).reserve(wanted)
        except StoppedError:
            if seed % 2:  # Somebody else comes in between: what was decided stands all the same.
                saga(driver).reserve(order(*lines, number="O-2"))
        again = saga(driver).reserve(wanted)
        assert again.verdict in ("accepted", "rejected")
        assert seed % 2 or outcome(again) == expected
        assert outcome(saga(driver).reserve(wanted)) == outcome(again)
        if again.verdict == "rejected":
            _holds_nothing(driver, wanted)
    assert outcome(saga(whole).reserve(wanted)) == expected
    assert not whole.dead_letters()


def _holds_nothing(driver: PipelineDriver, wanted: Order) -> None:
    for one in demands(wanted):
        claims = driver.show(one.sku)["claims"]
        assert not [claim for claim in claims if claim["order"] == wanted.id and claim["open"]], one.sku


def test_refused_it_gives_back_exactly_what_was_had_and_another_attempt_may_succeed() -> None:
    driver = pipeline(CHAIR=2, LAMP=5)
    reserved = saga(driver).reserve(order(("CHAIR", 3), ("LAMP", 5)))
    assert reserved.verdict == "rejected"
    assert [(one.sku, one.quantity) for one in reserved.released] == [("LAMP", 5)]
    assert left(driver) == {"CHAIR": 2, "LAMP": 5}
    more = GoodsReceived(
        source="wms", document=Document("grn", "more", 1), event_time=T, sku="CHAIR", location="DC1", quantity=1
    )
    driver.send(more)
    # What was decided stays decided; the next attempt is another question.
    assert saga(driver).reserve(order(("CHAIR", 3), ("LAMP", 5))).verdict == "rejected"
    assert saga(driver).reserve(order(("CHAIR", 3), ("LAMP", 5), attempt=2)).verdict == "accepted"
    assert left(driver) == {"CHAIR": 0, "LAMP": 0}


def test_what_is_not_answered_is_unknown_and_nothing_is_given_back() -> None:
    driver = pipeline(CHAIR=2, LAMP=1)
    reserved = saga(driver, deaf="CHAIR").reserve(order(("CHAIR", 1), ("LAMP", 3)))
    assert (reserved.verdict, reserved.released) == ("unknown", [])
    assert saga(driver).reserve(order(("CHAIR", 1), ("LAMP", 3))).verdict == "rejected"
    assert left(driver)["CHAIR"] == 2


def test_cancelled_it_holds_nothing_though_an_answer_comes_later() -> None:
    driver = pipeline(CHAIR=2, LAMP=1)
    wanted = order(("CHAIR", 1), ("LAMP", 1))
    with pytest.raises(StoppedError):
        saga(driver, 0).reserve(wanted)
    saga(driver).cancel(wanted)
    driver.send(requests(wanted)[1])  # It was on its way.
    assert left(driver) == {"CHAIR": 2, "LAMP": 1}
    saga(driver).cancel(wanted)
    assert not driver.dead_letters()


# Files ------------------------------------------------------------------------------------------------------


def file_of(folder: Path, **fields: Any) -> Path:
    path = folder / "O-1.json"
    whole = {"order": "O-1", "channel": "web", "location": "DC1", "lines": [{"sku": "BED", "quantity": 2}], **fields}
    path.write_text(json.dumps(whole))
    return path


def test_bill_and_moment_are_those_of_the_first_time(tmp_path: Path) -> None:
    path = file_of(tmp_path, hold="15m")
    first = pin(path, {"BED": BED}.get, T)
    again = pin(path, {"BED": {"FRAME": 9}}.get, T + 1)
    assert (first.again, again.again) == (False, True)
    assert again.order == first.order
    assert first.order.event_time == T
    assert first.order.expires_at == T + 900_000_000
    assert [(one.sku, one.quantity) for one in demands(again.order)] == [("FRAME", 2), ("SLAT", 28)]


def test_a_file_that_changed_is_another_attempt(tmp_path: Path) -> None:
    pin(file_of(tmp_path), {"BED": BED}.get, T)
    with pytest.raises(FatalError, match='"attempt": 2'):
        pin(file_of(tmp_path, lines=[{"sku": "CHAIR", "quantity": 1}]), {"BED": BED}.get, T)
    second = pin(file_of(tmp_path, attempt=2), {"BED": COT}.get, T)
    assert not second.again
    assert not second.cancelled
    mark_cancelled(tmp_path / "O-1.json")
    assert pin(file_of(tmp_path, attempt=3), {"BED": COT}.get, T).cancelled


def test_nothing_is_written_where_nothing_shall_be(tmp_path: Path) -> None:
    pin(file_of(tmp_path), {"BED": BED}.get, T, write=False)
    assert [one.name for one in tmp_path.iterdir()] == ["O-1.json"]


@pytest.mark.parametrize(
    ("fields", "says"),
    [
        ({"location": None}, "location is missing: the components of BED must lie together"),
        ({"lines": []}, "lines: list should have at least 1 item"),
        ({"lines": [{"sku": "BED", "quantity": 0}]}, r"lines\[0\].quantity"),
        ({"lines": [{"sku": "BED", "quantity": "2"}]}, r"lines\[0\].quantity"),
        ({"lines": [{"sku": "BED"}]}, r"lines\[0\].quantity: field required"),
        ({"lines": [{"sku": "BED", "quantity": QUANTITY_MAX}]}, "quantity of ReservationRequested"),
        ({"lines": [{"sku": "BED", "quantity": 1, "components": BED, "assembled": True}]}, "not both"),
        ({"chanel": "web"}, "chanel: extra inputs"),
        ({"order": "x" * 250}, "request_id|document.id"),
        ({"event_time": "yesterday"}, "event_time"),
    ],
)
def test_an_order_that_means_nothing_is_refused(tmp_path: Path, fields: dict[str, Any], says: str) -> None:
    with pytest.raises(PoisonError, match=says):
        pin(file_of(tmp_path, **fields), {"BED": BED}.get, T)
    assert [one.name for one in tmp_path.iterdir()] == ["O-1.json"]


def test_components_may_come_apart_and_what_is_assembled_is_taken_as_it_is(tmp_path: Path) -> None:
    lines = [{"sku": "BED", "quantity": 1}, {"sku": "BED", "quantity": 2, "assembled": True}]
    found = pin(file_of(tmp_path, location=None, split_shipment=True, lines=lines), {"BED": BED}.get, T)
    assert [(one.sku, one.quantity, one.location) for one in demands(found.order)] == [
        ("BED", 2, ""),
        ("FRAME", 1, ""),
        ("SLAT", 14, ""),
    ]
