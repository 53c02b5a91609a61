"""Rows that grow: full ones refuse what would make them larger, and covered policies are forgotten."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from atp.book import ChannelState, Claim, Lots, PolicyEntry, Row, Summary, claim_key, lots_key, summary_key
from atp.events import (
    DAY,
    AllocationGranted,
    AsnShipped,
    Document,
    Event,
    EventRef,
    GoodsReceived,
    MasterChanged,
    OrderCancelled,
    PolicyChanged,
    PolicyFields,
    PurchaseOrderCancelled,
    ReservationPlaced,
    SaleRecorded,
    ShipmentConfirmed,
    ShipmentReversed,
)
from atp.fold import Frame, Outcome, fold
from atp.outcome import NOTHING_YET
from atp.policy import Book, without_covered
from atp.room import ROW_MAX
from avro_schemas import codec
from streams.batch import OUTPUT_MAX
from streams.memory import MemoryRows
from tests.core.papers import O1, more
from tests.core.strategies import EIGHT, tick

FRAME = Frame(window=7 * DAY)
LONG = "x" * 190
"""A text that is nearly as long as an id can be: few of them fill a row."""
PLACE = "y" * 64


class Told:
    """Rows, and what was told them."""

    def __init__(self) -> None:
        self.rows = MemoryRows()

    def tell(self, event: Event) -> Outcome:
        outcome = fold(self.rows, event, FRAME)
        for key, row in outcome.changes.items():
            self.rows.put(key, row)
        return outcome


def said(kind: type, n: int, quantity: int = 0, **fields: Any) -> Any:
    """Say something on the n-th paper."""
    paper = Document("more", f"{LONG}{n:05}", 1)
    return more(kind, quantity, source=LONG, document=paper, event_time=EIGHT + n, **fields)


GROWING: dict[str, Callable[[int], Event]] = {
    "policies": lambda n: said(PolicyChanged, n, policy=PolicyFields(safety_stock=n)),
    "policies of no SKU": lambda n: said(PolicyChanged, n, sku="", policy=PolicyFields(safety_stock=n)),
    "grants": lambda n: said(AllocationGranted, n, 1, channel="web"),
    "ASNs": lambda n: said(AsnShipped, n, 1, purchase_order=O1, eta="2026-11-25"),
    "master data": lambda n: said(MasterChanged, n, attributes={"pack": "6"}),
    "an order's shipments": lambda n: said(ShipmentConfirmed, n, 1, order=O1, location=PLACE, channel=PLACE),
    "lots": lambda n: said(GoodsReceived, n, 1, location="S1", lot=f"{LONG}{n:05}"),
    "channels": lambda n: said(SaleRecorded, n, 1, location="S1", channel=f"{n:064}"),
}


NEARLY_FULL: dict[str, tuple[str, Row]] = {
    "an order's shipments": (
        claim_key("A", "O-1|1"),
        Claim(tally={f"out|{PLACE}|{PLACE}|{EIGHT - n}": 1 for n in range(2_050)}, last_time=EIGHT),
    ),
    "lots": (lots_key("A", "S1"), Lots(units={f"|{LONG}0{n}": 1 for n in range(10_000, 11_745)}, unnamed={})),
    "channels": (
        summary_key("A"),
        replace(
            NOTHING_YET,
            channels=tuple(
                ChannelState(channel=name, terms=None, pool=0, atp=0, version=1)
                for name in sorted(["all", *(f"0{n:063}" for n in range(100_000, 103_600))])
            ),
        ),
    ),
}
"""What would take too long to tell event by event."""


@pytest.mark.parametrize("what", GROWING)
def test_a_full_row_refuses_what_would_make_it_larger(what: str) -> None:
    book, event = Told(), GROWING[what]
    if what in NEARLY_FULL:
        book.rows.put(*NEARLY_FULL[what])
    for n in range(2_000):
        outcome = book.tell(event(n))
        if outcome.refusal is not None:
            break
    assert outcome.verdict == "row_full"
    assert outcome.refusal is not None
    assert "is full" in outcome.refusal.detail
    assert outcome.changes == {}
    assert outcome.effects == ()
    # It holds a lot, and as much again would still fit into a message.
    largest = max(len(codec.encode_row(row)) for _, row in book.rows.scan(""))
    assert ROW_MAX / 3 < largest < OUTPUT_MAX * 0.6
    # Time goes on, and what a known paper says anew takes no more room.
    assert book.tell(tick(EIGHT + DAY)).verdict == "folded"
    assert book.tell(replace(event(n - 1), rev=1)).verdict == "folded"
    assert book.tell(event(n)).verdict == "row_full"


def test_what_gives_back_and_what_comes_is_never_refused() -> None:
    book = Told()
    book.rows.put(*NEARLY_FULL["an order's shipments"])
    ship = GROWING["an order's shipments"]
    number = next(n for n in range(2_000) if book.tell(ship(n)).refusal)
    assert book.tell(said(ReservationPlaced, number, 5, order=O1, location=PLACE, channel=PLACE)).verdict == "row_full"
    last = ship(number - 1)
    taken_back = EventRef("ShipmentConfirmed", last.source, last.document)
    assert book.tell(said(ShipmentReversed, number, reverses=taken_back)).verdict == "folded"
    assert book.tell(said(OrderCancelled, number, order=O1)).verdict == "folded"
    for n in range(2_000):
        if book.tell(GROWING["ASNs"](n)).refusal:
            break
    assert book.tell(said(GoodsReceived, n, 5, location=PLACE, purchase_order=O1)).verdict == "folded"
    assert book.tell(said(PurchaseOrderCancelled, n, purchase_order=O1)).verdict == "folded"


def test_another_skus_full_row_does_not_refuse_what_is_of_no_sku() -> None:
    book = Told()
    for n in range(2_000):
        if book.tell(GROWING["policies"](n)).refusal:
            break
    wide = said(PolicyChanged, 0, sku="", channel="web", policy=PolicyFields(buffer=1))
    assert book.tell(wide).verdict == "folded"
    summary = book.rows.get(summary_key("A"))
    assert isinstance(summary, Summary)
    assert [one.channel for one in summary.channels] == ["all", "web"]


# What is forgotten ------------------------------------------------------------------------------------------


def daily(day: int, **fields: Any) -> PolicyChanged:
    event: PolicyChanged = said(PolicyChanged, day, policy=PolicyFields(safety_stock=day), **fields)
    return replace(event, event_time=EIGHT + day * DAY)


def entries(book: Told) -> tuple[PolicyEntry, ...]:
    row = book.rows.get(summary_key("A"))
    assert isinstance(row, Summary)
    return row.policies


def test_policies_that_later_ones_cover_are_forgotten_after_the_window() -> None:
    book = Told()
    book.tell(said(PolicyChanged, 100, location="S1", policy=PolicyFields(safety_stock=3)))
    book.tell(said(PolicyChanged, 101, policy=PolicyFields(low_at=4)))
    for day in range(1, 60):
        book.tell(tick(EIGHT + day * DAY))
        assert book.tell(daily(day)).verdict == "folded"
    # One of another scope and one of another field, the one that began the window, and those within it.
    assert [one.policy.safety_stock for one in entries(book)] == [3, None, *range(52, 60)]
    # Sent again it is of no use, and what is not forgotten is known.
    assert book.tell(daily(20)).verdict == "folded"
    assert book.tell(daily(55)).verdict == "duplicate"
    assert len(entries(book)) == 10


PLACES = ("", "S1", "S2")
CHANNELS = ("", "web", "mall")
FIELDS = {
    "safety_stock": st.integers(0, 3),
    "eligible": st.booleans(),
    "buffer": st.integers(0, 3),
    "locations": st.sampled_from([("S1",), ("S1", "S2"), ()]),
}
scopes = st.tuples(st.sampled_from(PLACES), st.sampled_from(CHANNELS))
written = st.tuples(scopes, st.integers(0, 12), st.fixed_dictionaries({}, optional=FIELDS))


@given(st.lists(written, max_size=12), scopes)
def test_what_is_forgotten_never_had_a_say_again(papers: list[tuple[Any, int, dict[str, Any]]], scope: Any) -> None:
    known = tuple(
        PolicyEntry(
            key=f"{n}", rev=0, effective=day * DAY, location=place, channel=channel, policy=PolicyFields(**some)
        )
        for n, ((place, channel), day, some) in enumerate(papers)
    )
    asked = PolicyEntry(key="", rev=0, effective=0, location=scope[0], channel=scope[1], policy=PolicyFields())
    kept = without_covered(known, asked, 6 * DAY)
    assert [one for one in known if one in kept] == list(kept)
    assert {one.channel for one in kept} == {one.channel for one in known}
    for now in range(6, 14):
        before, after = (Book(replace(NOTHING_YET, policies=some), None, now * DAY) for some in (known, kept))
        for place in PLACES:
            assert after.node(place) == before.node(place)
            for channel in CHANNELS:
                assert after.channel(channel) == before.channel(channel)
                for field in FIELDS:
                    assert after.value(field, place, channel) == before.value(field, place, channel)
