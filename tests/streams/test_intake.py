"""The intake: documents of sources into lines of the ledger, each once in the end, and what is refused."""

import json
import time
from collections.abc import Iterator
from typing import Any

import pytest
from confluent_kafka import Producer

from atp.events import (
    Correction,
    PolicyChanged,
    SaleRecorded,
    SequenceGapClosed,
    SequenceGapOpened,
    SourceMark,
    TimeTicked,
)
from avro_schemas import codec
from avro_schemas.public_json import parse_line
from streams.driver import TopologyDriver
from streams.intake import Received, Taken, intake_batch
from streams.intake_tasks import GAP_GRACE_S
from streams.settings import Settings
from tests.codecs.strategies import EVENTS
from tests.streams.rig import Rig, pipeline
from topologies.intake import INBOUND, INTAKE, OURS, inbound_for
from topologies.partitioning import partition_of

POS = INBOUND[0]
TICKET = {
    "type": "SaleRecorded",
    "source": "pos:S1-R2",
    "document": {"type": "receipt", "id": "T-1"},
    "location": "S1",
    "event_time": "2026-11-20T09:05:00Z",
    "lines": [{"sku": "A", "quantity": 2}, {"sku": "B", "quantity": 1}],
}


def take(*values: Any, headers: list[tuple[str, bytes]] | None = None) -> Taken:
    raw = [value if isinstance(value, bytes | None) else json.dumps(value).encode() for value in values]
    records = [Received(3, offset, 1_000, b"pos:S1-R2", value, headers) for offset, value in enumerate(raw)]
    return intake_batch(POS, "pos-sales", records, {})


def causes(taken: Taken) -> list[str]:
    return [letter.cause for letter in taken.letters]


def test_a_ticket_becomes_a_line_per_sku() -> None:
    taken = take(TICKET)
    assert [line.key for line in taken.lines] == [b"A", b"B"]
    first, second = (codec.decode_event(line.value) for line in taken.lines)
    assert (first.sku, first.quantity, first.document) == ("A", 2, ("receipt", "T-1", 1))
    assert (second.sku, second.quantity, second.document) == ("B", 1, ("receipt", "T-1", 2))
    assert taken.counts == {("SaleRecorded", "taken"): 2}


def test_a_canonical_line_goes_through_as_it_is() -> None:
    (line,) = take(TICKET).lines[:1]
    assert take(line.value).lines == [line]


def test_a_ticket_with_one_bad_line_is_refused_whole_with_its_coordinates() -> None:
    bad = {**TICKET, "lines": [*TICKET["lines"], {"sku": "C", "quantity": 0}]}
    taken = take(TICKET, bad)
    assert len(taken.lines) == 2
    (letter,) = taken.letters
    assert (letter.topic, letter.partition, letter.offset, letter.key) == ("pos-sales", 3, 1, b"pos:S1-R2")
    assert letter.value == json.dumps(bad).encode()
    assert letter.cause == "out_of_range"
    assert letter.detail.startswith("lines[2].quantity of SaleRecorded must be")
    assert codec.decode(codec.encode(letter)) == letter


def test_what_is_no_line_is_refused_and_the_rest_goes_on() -> None:
    canonical = take(TICKET).lines[0].value
    taken = take(
        b"garbage", b"\xff\xfe\x00", canonical[:-3], b'{"type":', b"[]", None, b"", b"x" * 2_000_000, b"{" * 500_000,
        TICKET,
    )  # fmt: skip
    assert causes(taken) == [
        "garbage", "garbage", "truncated", "garbage", "garbage", "undecodable", "garbage", "oversized", "garbage",
    ]  # fmt: skip
    assert len(taken.lines) == 2


def test_too_many_headers_are_refused() -> None:
    assert causes(take(TICKET, headers=[("h", b"")] * 65)) == ["oversized"]


def test_who_may_write_sales_may_not_write_policies() -> None:
    policy = {
        "type": "PolicyChanged", "source": "pos:S1-R2", "document": {"type": "policy", "id": "P", "line": 1},
        "channel": "web", "policy": {"cap": 0}, "event_time": "2026-11-20T09:05:00Z",
    }  # fmt: skip
    assert causes(take(policy)) == ["not_admitted"]
    assert causes(take({"type": "TimeTicked", "source": "c", "event_time": "2026-11-20T09:05:00Z"})) == ["not_admitted"]


def test_every_event_has_a_way_in_except_our_own() -> None:
    ways = {kind for inbound in INBOUND for kind in inbound.takes}
    assert ways == set(EVENTS) - set(OURS) - {SourceMark, Correction}


def test_a_correction_comes_the_way_of_what_it_corrects() -> None:
    paper = {"type": "c", "id": "1", "line": 1}
    line = {"type": "Correction", "source": "s", "sku": "A", "document": paper, "event_time": "2026-11-20T09:05:00Z"}
    for name, topic in (("SaleRecorded", "pos-sales"), ("GoodsReceived", "receipts"), ("CountRecorded", "counts")):
        (event,) = parse_line({**line, "reverses": {"type": name, "document": paper}, "replacement": None})
        inbound = inbound_for(event)
        assert inbound is not None
        assert inbound.topic.name == topic


def test_the_topology_describes_itself() -> None:
    text = INTAKE.describe()
    assert "reads      pos-sales: SaleRecorded, SaleVoided" in text
    assert "publishes  stock-events: the ledger" in text


def numbered(number: int) -> bytes:
    paper = {"type": "receipt", "id": f"N-{number}"}
    return json.dumps({**TICKET, "document": paper, "source_seq": number}).encode()


def test_missing_numbers_are_told_to_every_partition_until_they_come() -> None:
    driver = TopologyDriver(partitions=3)
    for number in (1, 2, 5):
        driver.receive("pos-sales", numbered(number))
    (variance,) = driver.variances()
    assert (variance.kind, variance.source, variance.expected, variance.observed) == ("COMPLETENESS", "pos:S1-R2", 2, 0)
    assert driver.verdicts["folded"] == 3 * 2 + 3
    driver.receive("pos-sales", numbered(4))
    assert [one.expected for one in driver.variances()] == [1]
    driver.receive("pos-sales", numbered(3))
    assert driver.variances() == []


# On a real broker -------------------------------------------------------------------------------------------


@pytest.fixture
def rig(broker_settings: Settings) -> Iterator[Rig]:
    with pipeline(broker_settings) as one:
        yield one


def send(rig: Rig, topic: str, *values: bytes) -> None:
    producer = Producer({"bootstrap.servers": rig.brokers, "partitioner": "murmur2_random"})
    for value in values:
        producer.produce(rig.settings.topic_prefix + topic, value, b"pos:S1-R2")
    assert producer.flush(30) == 0


@pytest.mark.timeout(120)
def test_inbound_records_reach_the_ledger_and_a_worker_goes_on_where_the_last_one_ended(rig: Rig) -> None:
    ticket = json.dumps(TICKET).encode()
    policy = (
        b'{"type":"PolicyChanged","source":"mdm","document":{"type":"policy","id":"P","line":1},"channel":"web",'
        b'"policy":{"cap":5},"event_time":"2026-11-20T09:00:00Z"}'
    )
    send(rig, "pos-sales", ticket, b"garbage")
    send(rig, "masters", policy)
    first = rig.worker(topology="intake")
    assert first.end() == 0, first.text()[-4000:]
    later = json.dumps({**TICKET, "document": {"type": "receipt", "id": "T-2"}}).encode()
    send(rig, "pos-sales", later)
    second = rig.worker(topology="intake")
    assert second.end() == 0, second.text()[-4000:]

    ledger = rig.records("stock-events")
    events = [codec.decode_event(record.value() or b"") for record in ledger]
    sales = [event for event in events if isinstance(event, SaleRecorded)]
    assert sorted((sale.document.id, sale.sku) for sale in sales) == [
        ("T-1", "A"), ("T-1", "B"), ("T-2", "A"), ("T-2", "B"),
    ]  # fmt: skip
    places = [
        record.partition() or 0
        for record, event in zip(ledger, events, strict=True)
        if isinstance(event, PolicyChanged)
    ]
    assert sorted(places) == [0, 1, 2]
    for record, event in zip(ledger, events, strict=True):
        if event.sku:
            assert (record.key(), record.partition()) == (event.sku.encode(), partition_of(event.sku.encode(), 3))
    (letter,) = rig.dead_letters()
    assert (letter.cause, letter.value, letter.topic) == (
        "garbage",
        b"garbage",
        rig.settings.topic_prefix + "pos-sales",
    )
    assert not any(isinstance(event, TimeTicked) for event in events)


@pytest.mark.timeout(120)
def test_a_killed_intake_loses_nothing_and_what_comes_twice_counts_once(rig: Rig) -> None:
    tickets = [json.dumps({**TICKET, "document": {"type": "receipt", "id": f"T-{n}"}}).encode() for n in range(3_000)]
    send(rig, "pos-sales", *tickets)
    worker = rig.worker(topology="intake", until_idle=None)
    worker.wait_for("assigned number=1")
    worker.kill()
    last = rig.worker(topology="intake")
    assert last.end() == 0, last.text()[-4000:]
    rig.drain()
    assert rig.positions() == {("A", "S1"): -6_000, ("B", "S1"): -3_000}


@pytest.mark.timeout(120)
def test_a_restart_finds_no_gaps_of_its_own_and_tells_those_that_stand(rig: Rig) -> None:
    def gaps() -> set[tuple[str, int, int]]:
        events = [codec.decode_event(record.value() or b"") for record in rig.records("stock-events")]
        kinds = (SequenceGapOpened, SequenceGapClosed)
        return {(type(one).__name__, one.from_seq, one.to_seq) for one in events if isinstance(one, kinds)}

    send(rig, "pos-sales", numbered(1), numbered(2), numbered(4))
    first = rig.worker(topology="intake")
    assert first.end() == 0, first.text()[-4000:]
    assert gaps() == set()
    time.sleep(GAP_GRACE_S)
    send(rig, "pos-sales", numbered(5))
    second = rig.worker(topology="intake")
    assert second.end() == 0, second.text()[-4000:]
    assert gaps() == {("SequenceGapOpened", 3, 3)}
    send(rig, "pos-sales", numbered(3))
    third = rig.worker(topology="intake")
    assert third.end() == 0, third.text()[-4000:]
    assert gaps() == {("SequenceGapOpened", 3, 3), ("SequenceGapClosed", 3, 3)}
