"""A SKU at a moment of the past, folded from the ledger: as it was known then, or as it is known now of then."""

from collections.abc import Iterator

import pytest
from confluent_kafka import TopicPartition
from confluent_kafka.admin import AdminClient

from atp.book import Copy, Position
from atp.errors import FatalError
from atp.events import (
    DAY,
    SECOND,
    ChannelAck,
    Document,
    Event,
    GoodsReceived,
    PolicyChanged,
    PolicyFields,
    Ref,
    ReservationPlaced,
    SaleRecorded,
    TimeTicked,
)
from avro_schemas import codec
from streams.answer import answer
from streams.batch import Place, Record
from streams.driver import TopologyDriver
from streams.past import PastFold, read_past
from streams.settings import Settings
from streams.sku_rows import concerns
from tests.streams.rig import START, Rig, movements, pipeline
from topologies.partitioning import partition_of

WINDOW = 7 * DAY


def records(events: list[Event]) -> list[Record]:
    """What a partition holds: a record per event, appended a second after it happened, and one that is rubbish."""
    made = [Record(0, START // 1000, b"SKU-1", b"rubbish", None)]
    for offset, event in enumerate(events, 1):
        key = event.sku.encode() or None
        made.append(Record(offset, (event.event_time + SECOND) // 1000, key, codec.encode(event), None))
    return made


def day() -> list[Event]:
    """Movements of many SKUs, with ticks and a policy of a location amid them."""
    events: list[Event] = []
    for number, event in enumerate(movements(600, seed=5, skus=5)):
        events.append(event)
        if number % 50 == 0:
            tick = Document("tick", str(number), 1)
            events.append(TimeTicked(source="clock", document=tick, event_time=event.event_time))
        if number == 300:
            policy, fields = Document("policy", "P-1", 1), PolicyFields(safety_stock=3)
            events.append(
                PolicyChanged(
                    source="mdm", document=policy, event_time=event.event_time, location="S1", policy=fields
                )
            )  # fmt: skip
    return events


def test_the_rows_are_those_that_a_worker_had_after_every_record() -> None:
    driver = TopologyDriver()
    past = PastFold("SKU-1", Place("stock-events", 0, 1), WINDOW, {}, None)
    compared = 0
    for record in records(day()):
        driver.send_bytes(record.key, record.value)
        past.take(record)
        if record.offset % 25 == 0:
            past.flush()
            held = {k.split("/")[-1] if k[1] == "/" else k: row for k, row in driver.snapshot().items()}
            assert dict(past.rows.scan("")) == {k: row for k, row in held.items() if concerns(k, "SKU-1")}
            compared += 1
    assert compared > 20
    assert 0 < past.records < 600


def test_ticks_that_nothing_waits_for_are_passed_over_and_change_nothing() -> None:
    events: list[Event] = []
    for number, event in enumerate(movements(120, seed=6, skus=2)):
        claim = Ref(f"O-{number}", 1)
        events.append(event)
        for second in range(5):
            tick = Document("tick", f"{number}-{second}", 1)
            events.append(TimeTicked(source="clock", document=tick, event_time=event.event_time + second * 200_000))
        if number % 10 == 0:
            events.append(
                ReservationPlaced(
                    source="web", document=Document("hold", str(number), 1), event_time=event.event_time, sku="SKU-1",
                    order=claim, channel="web", quantity=1, state="soft", expires_at=event.event_time + 7 * SECOND,
                )
            )  # fmt: skip
    driver = TopologyDriver()
    past = PastFold("SKU-1", Place("stock-events", 0, 1), WINDOW, {}, None)
    folded = 0
    for record in records(events):
        driver.send_bytes(record.key, record.value)
        past.take(record)
        folded += past._waiting is None
    past.flush()
    held = {k.split("/")[-1] if k[1] == "/" else k: row for k, row in driver.snapshot().items()}
    mine = {k: row for k, row in held.items() if concerns(k, "SKU-1")}
    assert dict(past.rows.scan("")) == mine
    assert any(key.startswith("c|") for key in mine)
    assert folded < len(events) / 2


def test_by_event_time_what_came_later_counts_where_it_is_dated() -> None:
    events = day()
    middle = events[len(events) // 2].event_time
    late = [one for one in events if one.event_time <= middle and isinstance(one, SaleRecorded)][-20:]
    arrived = [one for one in events if one not in late] + late
    by_event = PastFold("SKU-1", Place("stock-events", 0, 1), WINDOW, {}, middle)
    everything = PastFold("SKU-1", Place("stock-events", 0, 1), WINDOW, {}, None)
    for record in records(arrived):
        by_event.take(record)
    for record in records([one for one in events if one.event_time <= middle]):
        everything.take(record)
    by_event.flush()
    everything.flush()
    assert _stock(by_event) == _stock(everything)
    assert by_event.rows.get("g|clock") == everything.rows.get("g|clock")


def test_what_a_channel_applied_is_of_the_epoch_of_its_time() -> None:
    """After a rebuild answers have another epoch; what was acknowledged before it keeps its figure."""

    def told(number: int, minute: int, epoch: int, version: int) -> ChannelAck:
        ack = Document("ack", str(number), 1)
        time = START + minute * 60 * SECOND
        return ChannelAck(
            source="web", document=ack, event_time=time, sku="SKU-1", channel="web", version=version, epoch=epoch
        )

    def sold(number: int, minute: int) -> SaleRecorded:
        paper, time = Document("receipt", str(number), 1), START + minute * 60 * SECOND
        return SaleRecorded(
            source="pos", document=paper, event_time=time, sku="SKU-1", location="S1", channel="web", quantity=1
        )

    stock = Document("grn", "G", 1)
    received = GoodsReceived(source="wms", document=stock, event_time=START, sku="SKU-1", location="S1", quantity=9)
    events: list[Event] = [received, sold(1, 1), told(1, 2, 0, 1), sold(2, 3), told(2, 4, 2, 2)]
    shown = {}
    for name, epochs in (("with", [(2, 5)]), ("without", [])):
        past = PastFold("SKU-1", Place("stock-events", 0, 1), WINDOW, {}, None, epochs)
        for record in records(events):
            past.take(record)
        past.flush()
        copy = past.rows.get("h|SKU-1|web")
        assert isinstance(copy, Copy)
        shown[name] = copy.quantity
    assert shown == {"with": 7, "without": None}


def _stock(past: PastFold) -> dict[str, int]:
    return {key: row.sellable for key, row in past.rows.scan("p|") if isinstance(row, Position)}


@pytest.fixture
def rig(broker_settings: Settings) -> Iterator[Rig]:
    with pipeline(broker_settings) as one:
        yield one


@pytest.mark.timeout(120)
def test_the_ledger_answers_for_any_moment(rig: Rig) -> None:
    rig.publish(movements(300, seed=1))
    rig.drain()
    before = {message.timestamp()[1] for message in rig.records("stock-events")}
    known = dict(rig.expected)
    rig.publish(movements(300, seed=2))
    after = [message.timestamp()[1] for message in rig.records("stock-events")]
    seen: list[tuple[int, int]] = []

    def heard(done: int, total: int) -> None:
        seen.append((done, total))

    then = read_past(rig.settings, "SKU-1", max(before) * 1000 + 999, heard)
    now = read_past(rig.settings, "SKU-1", max(after) * 1000 + 999, heard)
    assert {one["location"]: one["sellable"] for one in answer(then.rows, "SKU-1")["positions"]} == {
        location: units for (sku, location), units in known.items() if sku == "SKU-1"
    }
    assert {one["location"]: one["sellable"] for one in answer(now.rows, "SKU-1")["positions"]} == {
        location: units for (sku, location), units in rig.expected.items() if sku == "SKU-1"
    }
    assert (then.position < now.position, then.records < now.records) == (True, True)
    assert seen
    assert all(0 <= done <= total for done, total in seen)
    nothing = read_past(rig.settings, "SKU-1", min(before) * 1000 - DAY, heard)
    assert (nothing.records, nothing.last_ms, len(nothing.rows)) == (0, None, 0)


def test_a_ledger_that_lost_its_beginning_is_not_folded(rig: Rig) -> None:
    document = Document("grn", "G-1", 1)
    rig.publish(
        [GoodsReceived(source="wms", document=document, event_time=START, sku="SKU-1", location="S1", quantity=1)]
    )
    ledger = f"{rig.settings.topic_prefix}stock-events"
    cut = TopicPartition(ledger, partition_of(b"SKU-1", rig.settings.partitions), 1)
    admin = AdminClient({"bootstrap.servers": rig.brokers})
    admin.delete_records([cut])[cut].result(30)
    with pytest.raises(FatalError, match="begins at offset 1"):
        read_past(rig.settings, "SKU-1", START * 2, lambda _done, _total: None)
