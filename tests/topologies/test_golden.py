"""The golden vectors: as given, and in any order with resends where that is promised; in memory and on a worker."""

from collections.abc import Callable, Iterable, Iterator

import pytest

from avro_schemas import codec
from avro_schemas.public_json import parse_line
from streams.answer import answer
from streams.driver import TopologyDriver
from streams.memory import MemoryRows
from streams.settings import Settings
from tests.core import strategies
from tests.streams.rig import Rig, pipeline
from tests.topologies.golden import Answers, Json, Vector, answers, differences, vectors

SHUFFLES = 25
MAIN = vectors("main")
PROMISE = vectors("promise")
ALL = MAIN + PROMISE
UNTICKED = [vector for vector in ALL if vector.end() is not None]
"""They may share a ledger: what ends them is a tick after all of them."""


def run(vector: Vector, events: Iterable[Json], *, partitions: int = 1, batch_size: int = 1) -> TopologyDriver:
    driver = TopologyDriver(partitions=partitions, batch_size=batch_size)
    for event in events:
        driver.send_json(event)
    if (end := vector.end()) is not None:
        driver.tick(end)
    driver.flush()
    return driver


def said(driver: TopologyDriver) -> Answers:
    return answers(driver.positions(), driver.effects)


def test_there_are_vectors() -> None:
    assert len(MAIN) == 13
    assert len(PROMISE) == 2
    assert {v.order for v in ALL} == {"any", "fixed"}


@pytest.mark.parametrize("vector", ALL, ids=lambda v: v.name)
@pytest.mark.parametrize(("partitions", "batch_size"), [(1, 1), (12, 1000)])
def test_in_the_order_given(vector: Vector, partitions: int, batch_size: int) -> None:
    driver = run(vector, vector.events, partitions=partitions, batch_size=batch_size)
    assert differences(vector.expect, said(driver)) == []
    conflicts = [letter.cause for letter in driver.dead_letters()]
    assert conflicts == (["conflict"] if vector.name == "same-key-other-payload" else [])


@pytest.mark.parametrize("vector", [v for v in ALL if v.order == "any"], ids=lambda v: v.name)
def test_in_any_order_and_sent_again(vector: Vector) -> None:
    for seed in range(SHUFFLES):
        events = vector.shuffled(seed)
        driver = run(vector, events, batch_size=1 + seed % 4)
        assert differences(vector.expect, said(driver)) == [], f"seed {seed}"
        assert driver.dead_letters() == [], f"seed {seed}"


# One ledger with all of them, on either host --------------------------------------------------------------

Host = Callable[[list[Json], int], Answers]
"""Folds lines and then a tick; says what there is."""


def on_driver(lines: list[Json], tick: int) -> Answers:
    driver = TopologyDriver(partitions=3, batch_size=7)
    for line in lines:
        driver.send_json(line)
    driver.tick(tick)
    driver.flush()
    return said(driver)


def on_worker(rig: Rig, lines: list[Json], tick: int) -> Answers:
    rig.publish([event for line in lines for event in parse_line(line)])
    rig.publish([strategies.tick(tick)])
    rig.drain()
    rows = MemoryRows()
    for record in (*rig.records("inventory-changelog"), *rig.records("inventory-evidence")):
        key, value = (record.key() or b"").decode(), record.value()
        if "|" in key:  # All keys of rows have one, the marker's has none.
            rows.put(key, None if value is None else codec.decode_row(key, value))
    skus = [key.removeprefix("s|") for key, _ in rows.scan("s|")]
    topics = ("availability", "variances", "oversell-risk")
    effects = [codec.decode(record.value() or b"") for topic in topics for record in rig.records(topic)]
    return answers([position for sku in skus for position in answer(rows, sku)["positions"]], effects)


@pytest.fixture(params=["driver", pytest.param("worker", marks=[pytest.mark.broker, pytest.mark.timeout(150)])])
def host(request: pytest.FixtureRequest) -> Iterator[Host]:
    if request.param == "driver":
        yield on_driver
        return
    settings: Settings = request.getfixturevalue("broker_settings")
    with pipeline(settings) as rig:
        yield lambda lines, tick: on_worker(rig, lines, tick)


def test_all_in_one_ledger(host: Host) -> None:
    """Each vector under SKUs of its own: as given and, where that is promised, in other orders."""
    copies = {f"{v.name} {seed}": v.renamed(f"{v.name} {seed}", seed) for v in UNTICKED for seed in ORDERS[v.order]}
    ends = [end for v in UNTICKED if (end := v.end()) is not None]
    told = host([line for v in copies.values() for line in v.events], max(ends))
    assert {sku: found for sku, v in copies.items() if (found := differences(v.expect, told.of(sku)))} == {}


ORDERS: dict[str, tuple[int | None, ...]] = {"fixed": (None,), "any": (None, 1, 2, 3, 4, 5)}
"""Seeds to shuffle by; None: as given."""
