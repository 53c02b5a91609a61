"""Random lists of events about lots of a few days, for the model and for the judge."""

from dataclasses import replace

from hypothesis import strategies as st

from atp.claims import day_text
from atp.events import (
    DAY,
    HOUR,
    MINUTE,
    AllocationGranted,
    Document,
    Event,
    GoodsReceived,
    PolicyChanged,
    PolicyFields,
    Ref,
    ReservationPlaced,
    SaleRecorded,
)
from tests.core import strategies
from tests.core.papers import more
from tests.core.strategies import EIGHT, World, tick

TODAY = EIGHT // DAY
OFTEN = (GoodsReceived, GoodsReceived, GoodsReceived, SaleRecorded, ReservationPlaced, ReservationPlaced)
MIXED = World(kinds=(*OFTEN, *strategies.ALL_KINDS), promises=True, lots=True, step=20 * HOUR)


@st.composite
def shelves(draw: st.DrawFn) -> list[Event]:
    """Lots of a few days at every place, channels that ask for some, and whatever else may happen."""
    events: list[Event] = []
    for place in MIXED.places:
        for n in range(draw(st.integers(1, 2))):
            receipt = draw(strategies.facts(MIXED, Document("grn", f"{place} {n}", 1), GoodsReceived))
            days = draw(st.integers(0, 5))
            receipt = replace(receipt, location=place, lot=f"L-{n}", expiry=day(days), quantity=draw(st.integers(1, 9)))
            events.append(receipt)
    for channel, days in (("web", draw(st.integers(0, 4))), ("store", draw(st.sampled_from((0, 0, 2))))):
        policy = PolicyFields(min_life_days=days, locations=draw(st.sampled_from((None, None, MIXED.places[:1]))))
        paper = Document("policy", channel, 1)
        events.append(more(PolicyChanged, 0, event_time=EIGHT, sku="", channel=channel, document=paper, policy=policy))
    for n in range(draw(st.integers(0, 2))):
        channel, place = draw(st.sampled_from(("web", "web", "store"))), draw(st.sampled_from(MIXED.places))
        order, units = Ref(f"C-{n}", 1), draw(st.integers(1, 6))
        paper = Document("reservation", f"C-{n}", 1)
        events.append(more(ReservationPlaced, units, document=paper, order=order, channel=channel, location=place))
    for n in range(draw(st.integers(0, 6))):
        events.append(draw(strategies.facts(MIXED, Document("paper", f"D-{n}", 1))))
        if draw(st.integers(0, 4)) == 0:
            events.append(draw(strategies.reversals(MIXED, events[-1], Document("paper", f"V-{n}", 1))))  # type: ignore[arg-type]
    if draw(st.booleans()):
        events.append(draw(strategies.statements(MIXED, Document("paper", "grant", 1), AllocationGranted)))
    return events


def day(days: int) -> str:
    return day_text(TODAY + days)


def passed(events: list[Event], days: list[int]) -> list[Event]:
    """The list with ticks behind it, two at its end and two after each of some days: the second closes what is calm."""
    end = strategies.end(events).event_time
    return [*events, *(tick(end + n * DAY + minutes * MINUTE) for n in [0, *sorted(days)] for minutes in (n, n + 10))]
