"""The race for the last units: however many ask at once and whoever dies, no unit is promised twice."""

import threading
import time
from collections import Counter, defaultdict
from collections.abc import Iterator
from itertools import count, islice
from random import Random

import pytest

from atp.book import Position
from atp.effects import AvailabilityChanged, RequestDecided
from atp.events import SECOND, Document, GoodsReceived, ReservationRequested
from avro_schemas import codec
from streams.ledger import LedgerWriter, publish
from streams.settings import Settings
from tests.streams.rig import START, Rig, pipeline
from topologies.partitioning import partition_of

pytestmark = pytest.mark.timeout(300)

PARTITIONS = 6
SKUS = 24
UNITS = 7
ASKED = 500
"""Requests for each SKU, of one unit each."""
CROWD = 4
"""Who ask at once, each by a connection of its own."""


def skus() -> list[str]:
    """Four SKUs in each partition."""
    by_partition: dict[int, list[str]] = defaultdict(list)
    for sku in (f"LAST-{number}" for number in count()):
        mine = by_partition[partition_of(sku.encode(), PARTITIONS)]
        if len(mine) < SKUS // PARTITIONS:
            mine.append(sku)
        if sum(map(len, by_partition.values())) == SKUS:
            return sorted(sku for mine in by_partition.values() for sku in mine)
    raise AssertionError


def request(sku: str, number: int) -> ReservationRequested:
    name = f"{sku}-{number}"
    return ReservationRequested(
        source="web", document=Document("request", name, 1), request_id=name, event_time=START + number * SECOND,
        sku=sku, quantity=1, channel=("web", "store")[number % 2], state=("soft", "firm")[number % 3 == 0],
        location=("", "S1")[number % 5 == 0],
    )  # fmt: skip


@pytest.fixture
def rig(broker_settings: Settings) -> Iterator[Rig]:
    changes = {"partitions": PARTITIONS, "batch_max": 100, "commit_interval_ms": 5}
    with pipeline(broker_settings.model_copy(update=changes)) as one:
        yield one


def decided(rig: Rig) -> list[tuple[int, RequestDecided]]:
    """The committed decisions, each with its partition."""
    found = []
    for record in rig.records("reservation-decisions"):
        one = codec.decode(record.value() or b"")
        assert isinstance(one, RequestDecided)
        assert record.key() == one.request_id.encode()
        found.append((record.partition() or 0, one))
    return found


def ask_at_once(rig: Rig, requests: list[ReservationRequested], per_s: int) -> list[threading.Thread]:
    """Let the crowd ask: each a share of the requests, in an order of its own."""

    def ask(number: int) -> None:
        share = requests[number::CROWD]
        Random(number).shuffle(share)
        with LedgerWriter(rig.settings, rig.brokers) as writer:
            for start in range(0, len(share), 50):
                for one in share[start : start + 50]:
                    writer.write(one.sku.encode(), codec.encode(one))
                writer.flush()
                time.sleep(50 * CROWD / per_s)

    threads = [threading.Thread(target=ask, args=(number,), daemon=True) for number in range(CROWD)]
    for thread in threads:
        thread.start()
    return threads


def test_each_sku_accepts_what_there_is_and_each_request_has_one_answer(rig: Rig) -> None:
    names = skus()
    assert {partition_of(name.encode(), PARTITIONS) for name in names} == set(range(PARTITIONS))
    stock = [
        GoodsReceived(
            source="wms", document=Document("grn", f"G-{name}-{place}", 1), event_time=START, sku=name,
            location=place, quantity=units,
        )
        for name in names
        for place, units in (("S1", 4), ("S2", UNITS - 4))
    ]  # fmt: skip
    publish(stock, rig.settings, rig.brokers)
    requests = [request(name, number) for number in range(ASKED) for name in names]

    first = rig.worker(until_idle=None)
    first.wait_for("opened")
    second = rig.worker(until_idle=None)
    second.wait_for("opened")
    crowd = ask_at_once(rig, requests, per_s=1_500)
    # Some of what was asked was never heard of again, so it is asked again: it must change nothing.
    resent = list(islice(requests, 0, None, 7))

    # Killed amid its answers: its partitions have some, and not all.
    deadline = time.monotonic() + 60
    while len([one for partition, one in decided(rig) if partition in _partitions(second.text())]) < 200:
        assert time.monotonic() < deadline, second.text()[-3000:]
        time.sleep(0.2)
    second.kill()
    lost = _partitions(second.text())
    assert 0 < len(lost) < PARTITIONS
    before = decided(rig)
    for thread in crowd:
        thread.join()
    for thread in ask_at_once(rig, resent, per_s=3_000):
        thread.join()
    _until_answered(rig, len(requests))
    first.signal(15)
    assert first.end() == 0, first.text()[-3000:]
    rig.drain()

    found = decided(rig)
    answers: dict[str, list[RequestDecided]] = defaultdict(list)
    for _, one in found:
        answers[one.request_id].append(one)
    assert set(answers) == {one.request_id for one in requests}
    assert sum(map(len, answers.values())) == len(requests) + len(resent)  # Asked again, answered again: the same.
    differing = {name: them for name, them in answers.items() if any(one != them[0] for one in them)}
    assert differing == {}
    accepted = Counter(dict.fromkeys(names, 0))
    for them in answers.values():
        assert them[0].decision == ("accepted" if them[0].quantity else "rejected")
        assert them[0].quantity in (0, 1)
        assert bool(them[0].reason) == (them[0].quantity == 0)
        accepted[them[0].sku] += them[0].quantity
    assert accepted == Counter(dict.fromkeys(names, UNITS))

    # It was killed amid its answers, and another went on with its partitions.
    for partition in lost:
        done = {one.request_id for where, one in before if where == partition}
        every = {one.request_id for where, one in found if where == partition}
        assert 0 < len(done) < len(every)
    assert rig.dead_letters() == []
    _check_book(rig, names)


def _partitions(log: str) -> set[int]:
    """The partitions that a worker opened, as its log says."""
    return {int(line.split("partition=")[1].split()[0]) for line in log.splitlines() if "opened" in line}


def _until_answered(rig: Rig, requests: int) -> None:
    deadline = time.monotonic() + 120
    while len({one.request_id for _, one in decided(rig)}) < requests:
        assert time.monotonic() < deadline, "requests without an answer"
        time.sleep(1)


def _check_book(rig: Rig, names: list[str]) -> None:
    """Nothing is left to promise, and nothing moved."""
    last: dict[str, AvailabilityChanged] = {}
    for record in rig.records("availability"):
        one = codec.decode(record.value() or b"")
        assert isinstance(one, AvailabilityChanged)
        last[one.key] = one
    for name in names:
        assert {last[f"{channel}|{name}"].atp for channel in ("all", "web", "store")} == {0}
    units = Counter[str]()
    for record in rig.records("inventory-changelog"):
        key, value = record.key() or b"", record.value()
        if key.startswith(b"p|") and value is not None:
            row = codec.decode_row(key.decode(), value)
            assert isinstance(row, Position)
            units[key.decode()] = row.sellable
    assert sum(units.values()) == UNITS * len(names)
