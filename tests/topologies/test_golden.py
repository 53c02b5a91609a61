"""The golden vectors on the in-memory host: as given, and in any order with resends where that is promised."""

from collections.abc import Iterable

import pytest

from streams.driver import TopologyDriver
from tests.topologies.golden import Answers, Json, Vector, differences, vectors

SHUFFLES = 25
MAIN = vectors("main")


def run(vector: Vector, events: Iterable[Json], *, partitions: int = 1, batch_size: int = 1) -> TopologyDriver:
    driver = TopologyDriver(partitions=partitions, batch_size=batch_size)
    for event in events:
        driver.send_json(event)
    if (end := vector.end()) is not None:
        driver.tick(end)
    driver.flush()
    return driver


def answers(driver: TopologyDriver) -> Answers:
    return Answers(
        positions=driver.positions(),
        availability=[{"sku": a.sku, "channel": a.channel, "atp": a.atp} for a in driver.availability()],
        variances=[
            {
                "kind": v.kind,
                "sku": v.sku,
                **({"location": v.location, "document": v.document} if v.kind == "COUNT" else {"transfer": v.transfer}),
                "expected": v.expected,
                "observed": v.observed,
                "diff": v.diff,
            }
            for v in driver.variances()
        ],
        risks=[
            {
                "kind": r.kind,
                "sku": r.sku,
                "location" if r.kind == "negative_stock" else "channel": r.scope,
                "quantity": r.quantity,
            }
            for r in driver.risks()
        ],
    )


def test_there_are_vectors() -> None:
    assert len(MAIN) == 13
    assert {v.order for v in MAIN} == {"any", "fixed"}


@pytest.mark.parametrize("vector", MAIN, ids=lambda v: v.name)
@pytest.mark.parametrize(("partitions", "batch_size"), [(1, 1), (12, 1000)])
def test_in_the_order_given(vector: Vector, partitions: int, batch_size: int) -> None:
    driver = run(vector, vector.events, partitions=partitions, batch_size=batch_size)
    assert differences(vector.expect, answers(driver)) == []
    conflicts = [letter.cause for letter in driver.dead_letters()]
    assert conflicts == (["conflict"] if vector.name == "same-key-other-payload" else [])


@pytest.mark.parametrize("vector", [v for v in MAIN if v.order == "any"], ids=lambda v: v.name)
def test_in_any_order_and_sent_again(vector: Vector) -> None:
    for seed in range(SHUFFLES):
        events = vector.shuffled(seed)
        driver = run(vector, events, batch_size=1 + seed % 4)
        assert differences(vector.expect, answers(driver)) == [], f"seed {seed}"
        assert driver.dead_letters() == [], f"seed {seed}"
