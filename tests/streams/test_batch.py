"""A batch free of Kafka: what one record does wrong leaves the others alone."""

from collections.abc import Callable
from dataclasses import replace

import pytest

from atp.book import PolicyEntry, Position, Row, Rows, Summary, Timer, position_key, summary_key
from atp.effects import AvailabilityChanged, Cause, DeadLetter, VarianceChanged
from atp.errors import FatalError
from atp.events import (
    DAY,
    MINUTE,
    Document,
    Event,
    GoodsReceived,
    PolicyFields,
    ReservationPlaced,
    SaleRecorded,
    TimeTicked,
)
from atp.fold import Frame, Outcome
from avro_schemas import codec
from streams.batch import OUTPUT_MAX, Batch, Place, Sealed
from streams.dead_letter import KEPT_MAX, RECORD_MAX
from streams.memory import MemoryRows
from streams.table import View
from topologies import topics
from topologies.inventory import INVENTORY

HERE = 1_763_000_000_000_000
FRAME = Frame(window=1)
EMPTY = View({}, None)


def event(number: int, quantity: int = 1) -> GoodsReceived:
    return GoodsReceived(
        source="wms",
        document=Document("grn", f"G{number}", 1),
        event_time=HERE,
        sku="A",
        location="S1",
        quantity=quantity,
    )


def fold_all(fold: Callable[[Rows, Event, Frame], Outcome], count: int, rows: Rows = EMPTY) -> Sealed:
    batch = Batch(replace(INVENTORY, fold=fold, held=lambda _: 0), Place("stock-events", 0, 1), rows, FRAME)
    for number in range(count):
        batch.fold(number, 1000, b"A", codec.encode(event(number)), None)
    return batch.seal()


def letters(sealed: Sealed) -> list[DeadLetter]:
    decoded = [codec.decode(one.value) for one in sealed.effects if one.topic is topics.DEAD_LETTERS]
    return [one for one in decoded if isinstance(one, DeadLetter)]


def plain(changes: dict[str, Row | None]) -> Outcome:
    return Outcome(verdict="folded", changes=changes, effects=())


def test_an_exception_of_the_fold_becomes_a_dead_letter_with_its_traceback() -> None:
    def fold(_: Rows, one: Event, __: Frame) -> Outcome:
        if one.document.id == "G1":
            raise ZeroDivisionError("of all things")
        return plain({f"d|{one.document.id}|A": Timer()})

    sealed = fold_all(fold, 3)
    assert [row.key for row in sealed.rows] == ["d|G0|A", "d|G2|A"]
    (letter,) = letters(sealed)
    assert (letter.cause, letter.offset) == ("fold_error", 1)
    assert "ZeroDivisionError: of all things" in letter.detail
    assert sealed.counts["GoodsReceived", "fold_error"] == 1
    assert sealed.next_offset == 3


def test_rows_that_cannot_be_read_end_the_worker_and_blame_no_event() -> None:
    def fold(_: Rows, __: Event, ___: Frame) -> Outcome:
        raise FatalError("the disk is gone")

    with pytest.raises(FatalError, match="the disk is gone"):
        fold_all(fold, 1)


def test_each_event_sees_what_the_one_before_it_left() -> None:
    def fold(rows: Rows, _: Event, __: Frame) -> Outcome:
        row = rows.get("t|A|n")
        seen = sum(1 for _ in rows.scan("d|"))
        assert (row is None) == (seen == 0)
        return plain({"t|A|n": Timer(), f"d|{seen}|A": Timer()})

    sealed = fold_all(fold, 4)
    assert sorted(row.key for row in sealed.rows) == ["d|0|A", "d|1|A", "d|2|A", "d|3|A", "t|A|n"]


def test_an_effect_too_large_for_a_message_is_the_fault_of_its_event_alone() -> None:
    def fold(_: Rows, one: Event, __: Frame) -> Outcome:
        document = "x" * (OUTPUT_MAX + 1) if one.document.id == "G1" else "x"
        effect = VarianceChanged(
            id=one.document.id, kind="COUNT", sku="A", location="S1", document=document, transfer="", expected=0,
            observed=0, diff=0, basis="on_hand", as_of=one.event_time, status="closed", restatement=0, cause_hint="",
            cause=Cause(type="GoodsReceived", key="k"),
        )  # fmt: skip
        return Outcome(verdict="folded", changes={f"d|{one.document.id}|A": Timer()}, effects=(effect,))

    sealed = fold_all(fold, 3)
    assert [row.key for row in sealed.rows] == ["d|G0|A", "d|G2|A"]
    assert [one.key for one in sealed.effects if one.topic is topics.VARIANCES] == [b"G0", b"G2"]
    (letter,) = letters(sealed)
    assert (letter.cause, letter.offset) == ("oversized_output", 1)


def test_stock_that_appears_from_nowhere_ends_the_worker() -> None:
    from topologies.inventory import held  # noqa: PLC0415

    stock = Position(
        sellable=5, returned=0, quarantine=0, damaged=0, in_transit_in=0, safety_stock=0, eligible=True, low_at=0,
        counts=(), touches=(), atp=5, version=1, as_of=0,
    )  # fmt: skip

    def fold(_: Rows, __: Event, ___: Frame) -> Outcome:
        return plain({position_key("A", "S1"): stock})

    batch = Batch(replace(INVENTORY, fold=fold, held=held), Place("stock-events", 0, 1), EMPTY, FRAME)
    batch.fold(7, 1000, b"A", codec.encode(event(1)), None)
    with pytest.raises(FatalError, match="made 5 units out of nothing between offsets 7 and 7"):
        batch.seal()
    there = View({position_key("A", "S1"): stock}, None)
    batch = Batch(replace(INVENTORY, fold=fold, held=held), Place("stock-events", 0, 1), there, FRAME)
    batch.fold(7, 1000, b"A", codec.encode(event(1)), None)
    assert len(batch.seal().rows) == 1


def test_what_is_too_long_is_cut_in_its_dead_letter() -> None:
    batch = Batch(INVENTORY, Place("stock-events", 0, 1), EMPTY, FRAME)
    batch.fold(0, 1000, b"k" * 200_000, b"\xc3" * (RECORD_MAX + 1), [("h", b"x" * 100_000)])
    sealed = batch.seal()
    (letter,) = letters(sealed)
    assert letter.cause == "oversized"
    assert letter.value is not None
    assert letter.key is not None
    assert (len(letter.value), len(letter.key), letter.headers) == (KEPT_MAX, KEPT_MAX // 10, {})
    assert "value of 1000001 bytes cut" in letter.detail
    assert len(sealed.effects[0].value) < OUTPUT_MAX


def test_only_the_last_answer_of_a_key_is_published() -> None:
    batch = Batch(INVENTORY, Place("stock-events", 0, 1), EMPTY, FRAME)
    for number in range(10):
        batch.fold(number, 1000, b"A", codec.encode(event(number)), None)
    batch.fold(
        10,
        1000,
        b"A",
        codec.encode(
            SaleRecorded(
                source="pos",
                document=Document("receipt", "T", 1),
                event_time=HERE,
                sku="A",
                location="S1",
                channel="store",
                quantity=4,
            )
        ),
        None,
    )
    sealed = batch.seal()
    answers = [codec.decode(one.value) for one in sealed.effects if one.topic is topics.AVAILABILITY]
    assert {(one.key, one.atp) for one in answers} == {("node|A|S1", 6), ("all|A", 6), ("store|A", 6)}  # type: ignore[union-attr]
    assert sum(one.topic is topics.ERP_LINES for one in sealed.effects) == 11
    assert sealed.events == sealed.records == 11
    assert sealed.ages == [(1000, 11)]


def test_time_passes_for_the_others_where_one_sku_cannot_be_written() -> None:
    rows = MemoryRows()
    orders: list[Event] = [event(1, 5), *(replace(event(1, 5), sku=sku) for sku in ("B", "C"))]
    orders += [
        ReservationPlaced(
            source="oms", document=Document("cart", f"{sku} {line}", 1), event_time=HERE, sku=sku, location="S1",
            quantity=line, channel="web", state="soft", expires_at=HERE + line * MINUTE,
        )
        for sku in "ABC"
        for line in (1, 2)
    ]  # fmt: skip
    committed(rows, [tick(0), *orders])
    summary = rows.get(summary_key("A"))
    assert isinstance(summary, Summary)
    # What was kept before rows had a limit: policies on papers without number.
    policies = tuple(
        PolicyEntry(key=f"{n:0200}", rev=0, effective=0, location="", channel="", policy=PolicyFields())
        for n in range(5_000)
    )
    rows.put(summary_key("A"), replace(summary, policies=policies))
    sealed = committed(rows, [tick(1)])
    (letter,) = letters(sealed)
    assert letter.cause == "oversized_output"
    assert "A alone is left out" in letter.detail
    assert {key: held_at(rows, key) for key in "ABC"} == {"A": 3, "B": 2, "C": 2}
    told = [codec.decode(one.value) for one in sealed.effects if one.topic is topics.AVAILABILITY]
    assert {one.key for one in told if isinstance(one, AvailabilityChanged) and one.channel == "web"} == {
        "web|B", "web|C",
    }  # fmt: skip
    # Once it can be written again, the next tick makes up for those that left it out.
    committed(rows, [tick(3)])
    assert {key: held_at(rows, key) for key in "ABC"} == {"A": 3, "B": 0, "C": 0}
    rows.put(summary_key("A"), summary)
    assert letters(committed(rows, [tick(4)])) == []
    assert {key: held_at(rows, key) for key in "ABC"} == {"A": 0, "B": 0, "C": 0}


def tick(minutes: int) -> TimeTicked:
    return TimeTicked(source="clock", document=Document("tick", f"{minutes}", 1), event_time=HERE + minutes * MINUTE)


def committed(rows: MemoryRows, events: list[Event]) -> Sealed:
    batch = Batch(INVENTORY, Place("stock-events", 0, 1), rows, replace(FRAME, window=DAY))
    for number, one in enumerate(events):
        batch.fold(number, 1000, one.sku.encode() or None, codec.encode(one), None)
    sealed = batch.seal()
    for key, row in sealed.changes.items():
        rows.put(key, row)
    return sealed


def held_at(rows: MemoryRows, sku: str) -> int:
    """Units that carts hold of a SKU."""
    position = rows.get(position_key(sku, "S1"))
    assert isinstance(position, Position)
    return position.reserved_soft
