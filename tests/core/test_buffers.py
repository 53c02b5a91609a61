"""Buffers that follow the rates: figures by hand, and the fold against the definitions, minute by minute."""

from dataclasses import replace
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from atp.availability import terms_of
from atp.book import ChannelState, Summary, Timer
from atp.effects import AvailabilityChanged, BufferRate
from atp.events import (
    MINUTE,
    Document,
    Event,
    GoodsReceived,
    OrderCancelled,
    PolicyChanged,
    PolicyFields,
    Ref,
    ReservationPlaced,
    SaleRecorded,
    SaleVoided,
    ShipmentConfirmed,
    TransferApproved,
)
from atp.events import EventRef as Named
from tests.core import strategies
from tests.core.model import answer
from tests.core.rig import FRAME, Folded, differences
from tests.core.strategies import EIGHT, tick

many = settings(
    max_examples=300, print_blob=True, suppress_health_check=[HealthCheck.too_slow]
)  # fmt: skip
BY_RATE = PolicyFields(buffer_by_rate=True, lag_s=600, order_lag_s=120)


def at(minutes: float) -> int:
    return EIGHT + int(minutes * MINUTE)


def paper(kind: Any, minutes: float, quantity: int = 1, channel: str = "", **more: Any) -> Any:
    name = f"{minutes} {quantity} {channel} {sorted(more.items())!r}"[:60]
    usual = {"source": "pos:1", "document": Document(kind.__name__, name, 1), "event_time": at(minutes), "sku": "A"}
    return kind(**{**usual, "location": "S1", "quantity": quantity, "channel": channel, **more})


def sale(minutes: float, quantity: int, channel: str = "") -> Any:
    return paper(SaleRecorded, minutes, quantity, channel)


def policy(fields: PolicyFields = BY_RATE, *, rev: int = 0, minutes: float = -60, sku: str = "A", **more: Any) -> Any:
    document = Document("policy", more.pop("id", "P"), 1)
    channel = more.pop("channel", "market")
    return PolicyChanged(
        source="mdm",
        document=document,
        event_time=at(minutes),
        sku=sku,
        channel=channel,
        rev=rev,
        policy=fields,
        **more,
    )


STOCK = paper(GoodsReceived, -30, 1000)


def state(folded: Folded, channel: str = "market") -> ChannelState:
    return folded.states()["A", channel]


def told(folded: Folded, channel: str = "market") -> list[tuple[int, int]]:
    """(buffer, atp) of the answers that the channel was told."""
    answers = [e for e in folded.effects if isinstance(e, AvailabilityChanged) and e.channel == channel]
    return [(e.figures.buffer, e.atp) for e in answers if e.figures is not None]


# By hand --------------------------------------------------------------------------------------------------


def test_what_others_draw_while_the_copy_is_stale() -> None:
    """100 units in five minutes are 20 a minute; in the 10 minutes of the lag 200, and half of them are shared."""
    folded = Folded(
        [policy(replace(BY_RATE, share_percent=50)), STOCK, tick(at(0)), sale(1, 100, "store"), tick(at(2))]
    )
    assert told(folded)[-1] == (100, 350)
    figures = folded.answers["market|A"].figures
    assert figures is not None
    assert figures.buffer_rate == BufferRate(least=0, lag_s=600, order_lag_s=120, own_per_day=0, others_per_day=28_800)


def test_what_the_channel_sold_unseen_itself() -> None:
    """10 units in five minutes are 4 in the 2 minutes until its orders come; others draw nothing."""
    folded = Folded([policy(), STOCK, sale(1, 10, "market"), tick(at(2))])
    assert told(folded)[-1] == (4, 986)


def test_calm_brings_the_buffer_back_and_the_last_day_still_counts() -> None:
    """30 units: 60 in ten minutes at first, then 30 in 24 hours, which is 1 in ten minutes, then nothing."""
    folded = Folded([policy(), STOCK, sale(1, 30, "store"), *(tick(at(m)) for m in range(2, 26 * 60))])
    assert told(folded)[-4:] == [(0, 970), (60, 910), (1, 969), (0, 970)]


def test_two_units_in_five_minutes_are_no_rush() -> None:
    folded = Folded([policy(), STOCK, sale(1, 2, "store"), tick(at(2))])
    assert state(folded).atp == 997
    assert terms_of(state(folded)).buffer == 1


def test_a_buffer_that_was_set_is_the_least() -> None:
    folded = Folded([policy(replace(BY_RATE, buffer=7)), STOCK, tick(at(0)), sale(1, 1, "store"), tick(at(2))])
    assert told(folded)[-1] == (7, 992)


def test_an_order_counts_once_when_it_is_placed() -> None:
    """10 reserved on the web at 08:01 are 20 in the lag; their shipment an hour later draws nothing more."""
    order = Ref("O-1", 1)
    folded = Folded([policy(), STOCK, paper(ReservationPlaced, 1, 10, "web", order=order), tick(at(2))])
    assert terms_of(state(folded)).buffer == 20
    shipped = paper(ShipmentConfirmed, 61, 10, "web", order=order)
    for event in (shipped, *(tick(at(m)) for m in range(62, 64))):
        folded.send(event)
    assert terms_of(state(folded)).buffer == 1


def test_a_cancelled_order_drew_nothing() -> None:
    order = Ref("O-1", 1)
    placed = paper(ReservationPlaced, 1, 10, "web", order=order)
    folded = Folded(
        [policy(), STOCK, placed, tick(at(2)), paper(OrderCancelled, 2, 0, "web", order=order), tick(at(3))]
    )
    assert terms_of(state(folded)).buffer == 0


def test_what_runs_out_at_a_tick_draws_nothing_from_that_tick_on() -> None:
    """Hours later no rate is due to be judged but for the units that nobody waits for any more."""
    placed = paper(ReservationPlaced, 1, 10, "web", order=Ref("O-1", 1), state="soft", expires_at=at(300), location="")
    folded = Folded([policy(), STOCK, placed, *(tick(at(m)) for m in (2, 7, 8, 240))])
    assert terms_of(state(folded)).buffer == 1
    folded.send(tick(at(301)))
    assert terms_of(state(folded)).buffer == 0


def test_a_sale_that_names_a_lot_draws_like_any_other() -> None:
    """Also where the policy comes after it, and what was drawn is found in what the window remembers."""
    of_a_lot = paper(SaleRecorded, 1, 10, "store", lot="L-1")
    for log in ([policy(), STOCK, tick(at(0)), of_a_lot], [STOCK, tick(at(0)), of_a_lot, policy(minutes=1)]):
        assert terms_of(state(Folded([*log, tick(at(2))]))).buffer == 20


def test_a_transfer_is_nobodys_demand() -> None:
    folded = Folded(
        [policy(), STOCK, paper(TransferApproved, 1, 500, to_location="S2", transfer=Ref("X", 1)), tick(at(2))]
    )
    assert terms_of(state(folded)).buffer == 0


def test_channels_that_sell_from_other_places_draw_on_nothing() -> None:
    places = [
        policy(PolicyFields(locations=(place,)), id=name, channel=name)
        for name, place in (("market", "S1"), ("mall", "S2"))
    ]
    folded = Folded([policy(id="Q"), *places, STOCK, sale(1, 10, "mall"), sale(1, 5, "store"), tick(at(2))])
    assert terms_of(state(folded)).buffer == 10  # the store's 5, twice


def test_other_parameters_alone_leave_a_channel_as_it_is() -> None:
    """`lag_s` is for risks, unless a policy says that the buffer follows it."""
    folded = Folded([policy(replace(BY_RATE, buffer_by_rate=None)), STOCK, sale(1, 100, "store"), tick(at(2))])
    assert told(folded)[-1] == (0, 900)
    (summary,) = folded.summaries().values()
    assert summary.draws is None


def test_rates_wait_for_a_full_minute() -> None:
    """Once in a minute they are judged: at its first tick."""
    folded = Folded([policy(), STOCK, tick(at(1)), sale(1, 10, "store"), tick(at(1.2)), tick(at(1.9))])
    assert terms_of(state(folded)).buffer == 0
    folded.send(tick(at(2.3)))
    assert terms_of(state(folded)).buffer == 20
    folded.send(sale(2.4, 10, "store"))
    folded.send(tick(at(2.9)))
    assert terms_of(state(folded)).buffer == 20


def test_a_look_in_the_middle_of_a_minute_judges_no_rate() -> None:
    """A policy that begins then is applied; what was sold in between waits for the full minute all the same."""
    begins = policy(PolicyFields(cap=500), id="cap", channel="web", minutes=1.5)
    folded = Folded([policy(), begins, STOCK, tick(at(1)), sale(1.2, 10, "store"), tick(at(1.6))])
    assert state(folded, "web").atp == 500
    assert terms_of(state(folded)).buffer == 0
    folded.send(tick(at(2)))
    assert terms_of(state(folded)).buffer == 20


def test_the_answer_changes_only_with_the_buffer() -> None:
    """Ticks that find the same rates, or rates that come to the same buffer, say nothing."""
    folded = Folded([policy(), STOCK, sale(1, 30, "store"), tick(at(2))])
    version = state(folded).version
    for m in range(3, 6):
        assert folded.send(tick(at(m))).effects == ()
    assert state(folded).version == version


def test_nobody_looks_where_nothing_is_drawn() -> None:
    """A SKU that sells nothing has no timer, whatever policies ask of it."""
    folded = Folded([policy(), STOCK, tick(at(0)), tick(at(1)), tick(at(2))])
    assert [key for key, row in folded.rows.scan("d|") if isinstance(row, Timer)] == []


@pytest.mark.parametrize("late", [False, True])
def test_a_policy_may_come_after_the_sales(late: bool) -> None:
    """What was drawn before it counts all the same; so does a void, and a policy that is replaced in between."""
    first = sale(1, 30, "store")
    void = paper(SaleVoided, 1, 0, reverses=Named("SaleRecorded", "pos:1", first.document), location="")
    facts = [STOCK, first, sale(1.5, 6, "web"), sale(1.5, 3, "market"), void]
    policies = [policy(rev=1), policy(replace(BY_RATE, buffer_by_rate=False))]
    folded = Folded([*facts, *policies] if late else [*policies, *facts])
    folded.send(tick(at(2)))
    assert terms_of(state(folded)).buffer == 14  # 6 * 2 by others, 3 * 2 / 5 of its own


def test_a_policy_that_ends_and_begins_within_a_minute_loses_no_rate() -> None:
    one, off, on = policy(), policy(replace(BY_RATE, buffer_by_rate=False), rev=1), policy(rev=2)
    facts = [one, STOCK, sale(1, 10, "store"), tick(at(2))]
    for order in ([off, on], [on, off]):
        folded = Folded([*facts, *order])
        assert state(folded).atp == 970, order


def test_a_policy_that_ends_takes_the_buffer_along() -> None:
    folded = Folded([policy(), STOCK, sale(1, 10, "store"), tick(at(2)), policy(PolicyFields(lag_s=600), rev=1)])
    assert state(folded).atp == 990
    folded.send(tick(at(3)))
    (summary,) = folded.summaries().values()
    assert summary.draws is None


def test_an_event_that_is_dated_ahead_hides_no_rush() -> None:
    """A register whose clock is wrong by hours moves the SKU's clock; the sales of these minutes count all the same."""
    folded = Folded([policy(), STOCK, tick(at(0)), sale(1, 10, "store"), sale(600, 1, "web"), tick(at(2))])
    assert terms_of(state(folded)).buffer == 20


def test_a_wide_policy_holds_for_skus_that_come_later() -> None:
    folded = Folded([policy(sku=""), STOCK, sale(1, 10, "store"), tick(at(2))])
    assert terms_of(state(folded)).buffer == 20


# Against the definitions ----------------------------------------------------------------------------------


@st.composite
def bustle(draw: st.DrawFn) -> list[list[Event]]:
    """Two hours of sales and orders by the minute, in pieces between ticks; policies come whenever."""
    events: list[Event] = [paper(GoodsReceived, 0, draw(st.sampled_from((0, 9, 200))))]
    times = st.sampled_from((0, 0.5, 1, 2, 3, 4, 5, 6, 7, 59, 60, 61, 62, 300)) | st.integers(0, 90)
    for n in range(draw(st.integers(1, 9))):
        kind = draw(
            st.sampled_from((SaleRecorded, SaleRecorded, ReservationPlaced, ShipmentConfirmed, TransferApproved))
        )
        line = draw(strategies.facts(strategies.NARROW, Document("paper", f"D-{n}", 1), kind))
        line = replace(line, event_time=at(draw(times)), quantity=draw(st.integers(1, 3) | st.integers(1, 40)))
        if isinstance(line, ReservationPlaced) and draw(st.booleans()):
            line = replace(line, state="soft", expires_at=line.event_time + draw(st.integers(1, 9)) * MINUTE)
        events.append(line)
        if draw(st.integers(0, 3)) == 0:
            events.append(draw(strategies.reversals(strategies.NARROW, line, Document("void", f"V-{n}", 1))))
    for n in range(draw(st.integers(1, 4))):
        fields = PolicyFields(
            buffer_by_rate=draw(st.sampled_from((True, True, True, False, None))),
            lag_s=draw(st.sampled_from((60, 500, 7_000))),
            order_lag_s=draw(st.sampled_from((None, 100, 3_000))),
            share_percent=draw(st.sampled_from((None, None, 33))),
            buffer=draw(st.sampled_from((None, 3))),
            locations=draw(st.sampled_from((None, None, ("S1",), ("S2",)))),
        )
        id_, channel = draw(st.sampled_from((("P", ""), ("Q", "web"), ("R", "store"))))
        minutes = draw(st.sampled_from((-60, -60, 0.2, 1.4, 3, 65)))
        events.append(
            policy(fields, id=id_, rev=n, channel=channel, minutes=minutes, sku=draw(st.sampled_from(("", "A"))))
        )
    events = list(draw(st.permutations(events)))
    pieces: list[list[Event]] = [[]]
    for event in events:
        if draw(st.integers(0, 2)) == 0:
            pieces.append([])
        pieces[-1].append(event)
    return pieces


ticking = st.lists(st.sampled_from((0.1, 0.3, 0.8, 1, 2, 3, 59, 60)), min_size=10, max_size=12)


def with_ticks(pieces: list[list[Event]], steps: list[float], *, late: bool) -> list[Event]:
    """A tick after each piece; `late` ones begin after all that happened: nothing is dated ahead of the first."""
    now = 310.0 if late else -1.0
    log: list[Event] = [] if late else [tick(at(now))]
    for piece, step in zip(pieces, steps, strict=False):
        now += step
        log += [*piece, tick(at(now))]
    return log


@many
@given(bustle(), ticking, st.booleans())
def test_any_log_of_a_busy_hour(pieces: list[list[Event]], steps: list[float], late: bool) -> None:
    """Whatever is dated ahead of the ticks, or behind them, and whenever policies come."""
    log = with_ticks(pieces, steps, late=late)
    found = differences(Folded(log), answer(log, FRAME.window))
    # Risks wait for minutes of calm, which not every list ends with.
    assert [one for one in found if not one.startswith(("risks of promises", "negative stock"))] == []


@many
@given(st.data())
def test_between_two_ticks_order_means_nothing(data: st.DataObject) -> None:
    pieces, steps = data.draw(bustle()), data.draw(ticking)
    late = data.draw(st.booleans())
    others = [list(data.draw(st.permutations([*piece, *piece]))) for piece in pieces]
    one, other = (Folded(with_ticks(some, steps, late=late)) for some in (pieces, others))
    assert drawn(one) == drawn(other)
    assert {key: terms_of(s).buffer for key, s in one.states().items()} == {
        key: terms_of(s).buffer for key, s in other.states().items()
    }


def drawn(folded: Folded) -> object:
    """What is kept for a channel that asks; what a policy that ended left behind goes with the next minute."""
    return {
        sku: summary.draws
        for sku, summary in folded.summaries().items()
        if isinstance(summary, Summary) and any(terms_of(one).rate is not None for one in summary.channels)
    }
