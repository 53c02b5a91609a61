"""Seeded days on the driver that crashes between any two steps of a checkpoint, against the reference model.

Each seed is a test of its own and prints itself when it fails. ATP_SIMULATIONS sets how many there are,
ATP_SIMULATION_SEED where they begin.
"""

import os
import random
from collections import Counter

import pytest

from atp.effects import (
    AdviceChanged,
    AvailabilityChanged,
    ErpLine,
    ExceptionChanged,
    RiskChanged,
    VarianceChanged,
)
from atp.events import DAY, HOUR, Event
from avro_schemas import codec
from streams.driver import STEPS, TopologyDriver
from tests.core.model import Answer, answer
from tests.simulation.world import OPENING, SKUS, Sent, Shop, tick
from topologies.partitioning import partition_of

SEEDS = int(os.environ.get("ATP_SIMULATIONS", "120"))
FIRST = int(os.environ.get("ATP_SIMULATION_SEED", "0"))
WINDOW = 7 * DAY
SIZE = 150
CRASHES = 0.03
"""Chance of a crash at each step of each checkpoint."""


class CrashError(Exception):
    """The process is gone."""


class Weather:
    """Decides when the process dies."""

    def __init__(self, seed: int) -> None:
        self.chance = random.Random(f"weather {seed}")
        self.crashes: Counter[str] = Counter()
        self.fair = False

    def step(self, name: str) -> None:
        if not self.fair and self.chance.random() < CRASHES:
            self.crashes[name] += 1
            raise CrashError(name)


def play(seed: int, sent: list[Sent], *, partitions: int, crashing: bool = True) -> tuple[TopologyDriver, Weather]:
    weather = Weather(seed)
    weather.fair = not crashing
    driver = TopologyDriver(
        partitions=partitions, window=WINDOW, batch_size=weather.chance.randint(1, 30), on_step=weather.step
    )
    for one in sent:
        survive(driver, weather, one)
    weather.fair = True
    driver.flush()
    return driver, weather


def put(driver: TopologyDriver, one: Sent) -> None:
    if isinstance(one, bytes):
        driver.send_bytes(SKUS[0].encode(), one)
    else:
        driver.send(one)


def survive(driver: TopologyDriver, weather: Weather, one: Sent) -> None:
    """Put a record; after each crash start again, now and then with an empty disk, until it holds."""
    try:
        put(driver, one)
    except CrashError:
        while True:
            try:
                driver.restart(keep_cache=weather.chance.random() < 0.5)
            except CrashError:
                continue
            return


def of_partition(sent: list[Sent], partition: int, partitions: int) -> list[Event]:
    """What a partition's ledger holds that can be read."""
    events = [one for one in sent if not isinstance(one, bytes)]
    return [e for e in events if not e.sku or partition_of(e.sku.encode(), partitions) == partition]


def merged(sent: list[Sent], partitions: int) -> tuple[Answer, Counter[str]]:
    """The model's answer over all partitions, and how many events came to which verdict."""
    whole = Answer([], {}, {}, {}, [], {}, {}, Counter())
    verdicts: Counter[str] = Counter()
    for partition in range(partitions):
        one = answer(of_partition(sent, partition, partitions), WINDOW)
        verdicts.update(one.verdicts)
        whole.positions.update(one.positions)
        whole.transfers.update(one.transfers)
        whole.counts.extend(one.counts)
        whole.availability.update(one.availability)
        whole.risks.update(one.risks)
        whole.erp.update(one.erp)
    return whole, verdicts


@pytest.mark.parametrize("seed", range(FIRST, FIRST + SEEDS))
def test_a_day_with_crashes_comes_to_what_the_model_says(seed: int) -> None:
    partitions = 1 + seed % 3
    sent = [*Shop(seed).day(SIZE, conflicts=seed % 2 == 0), tick(OPENING + 15 * HOUR)]
    driver, _ = play(seed, sent, partitions=partitions)
    model, verdicts = merged(sent, partitions)

    garbage = sum(isinstance(one, bytes) for one in sent)
    refused = sum(verdicts[v] for v in ("late", "future", "conflict"))
    assert sum(driver.verdicts.values()) == sum(verdicts.values()) + garbage
    assert {v: n for v, n in driver.verdicts.items() if v in verdicts} == dict(verdicts)
    assert len(driver.dead_letters()) == refused + garbage

    positions = {(p["sku"], p["location"]): p for p in driver.positions()}
    for key in positions.keys() | model.positions.keys():
        mine, reference = positions.get(key, {}), model.positions.get(key)
        for name in ("sellable", "returned", "quarantine", "damaged", "in_transit_in"):
            assert mine.get(name, 0) == getattr(reference, name, 0), (key, name)
        if mine and reference:
            assert (mine["atp_raw"], mine["atp"]) == (reference.atp_raw, reference.atp), key
    assert {(a.sku, a.channel): a.atp for a in driver.availability()} == model.availability
    standing = [
        (v.kind, v.sku, v.location if v.kind == "COUNT" else "", v.document or v.transfer, v.expected, v.observed)
        for v in driver.variances()
    ]
    assert sorted(standing) == model.variances()
    assert {(r.sku, r.scope): r.quantity for r in driver.risks() if r.kind == "negative_stock"} == model.risks
    posted: Counter[tuple[str, str, str]] = Counter()
    for line in driver.effects:
        if isinstance(line, ErpLine):
            posted[line.document_type, line.sku, line.location] += line.quantity
    assert {k: v for k, v in posted.items() if v} == {k: v for k, v in model.erp.items() if v}
    keys = [line.posting_key for line in driver.effects if isinstance(line, ErpLine)]
    assert len(keys) == len(set(keys))


@pytest.mark.parametrize("seed", range(FIRST, FIRST + max(1, SEEDS // 4)))
def test_crashes_and_batches_leave_no_trace(seed: int) -> None:
    """The same ledger, folded without a crash in other batches, comes to the same rows, versions, ids and postings."""
    sent = Shop(1000 + seed).day(SIZE, conflicts=True)
    stormy, _ = play(seed, sent, partitions=2)
    calm, _ = play(seed + 1, sent, partitions=2, crashing=False)
    assert stormy.snapshot() == calm.snapshot()
    assert told(stormy) == told(calm)
    calm.restart()
    assert calm.snapshot() == stormy.snapshot()


def told(driver: TopologyDriver) -> dict[str, object]:
    """What readers of the topics end up with."""
    last = {e.key: codec.encode(e) for e in driver.effects if isinstance(e, AvailabilityChanged)}
    versions: dict[str, int] = {}
    for e in driver.effects:
        if isinstance(e, AvailabilityChanged):
            assert e.version > versions.get(e.key, 0), e
            versions[e.key] = e.version
    return {
        "availability": {key: codec.decode(value).atp for key, value in last.items()},  # type: ignore[union-attr]
        "versions": versions,
        "postings": Counter(codec.encode(e) for e in driver.effects if isinstance(e, ErpLine)),
        "risks": Counter(codec.encode(e) for e in driver.effects if isinstance(e, RiskChanged)),
        "variances": Counter(codec.encode(e) for e in driver.effects if isinstance(e, VarianceChanged)),
        "attention": Counter(
            codec.encode(e) for e in driver.effects if isinstance(e, ExceptionChanged | AdviceChanged)
        ),
    }


def test_every_step_is_one_where_it_crashes() -> None:
    steps: Counter[str] = Counter()
    for seed in range(20):
        steps += play(seed, Shop(seed).day(60, conflicts=False), partitions=1)[1].crashes
    assert set(steps) == set(STEPS)
