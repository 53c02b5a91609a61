"""What is promised: the fold against the reference model, and what must hold for every list of events.

Source: docs/domain.md sections 2, 6 and 14.
"""

from dataclasses import replace

from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st

from atp.events import (
    DAY,
    MINUTE,
    SECOND,
    AllocationGranted,
    Correction,
    Document,
    Event,
    GoodsReceived,
    OrderCancelled,
    PolicyChanged,
    PolicyFields,
    Ref,
    ReservationPlaced,
    ReservationRequested,
)
from tests.core import strategies
from tests.core.claims_model import LineAnswer, day_named, line_of
from tests.core.log_model import Judged, judge, said_of
from tests.core.model import Answer, answer, limit, network
from tests.core.network_model import Promise, flow
from tests.core.outlook_model import HORIZON, discrete
from tests.core.papers import coming, more, request, stocked
from tests.core.rig import FRAME, Folded, by_day, differences
from tests.core.strategies import EIGHT, tick

many = settings(
    max_examples=200,
    print_blob=True,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
)
some = settings(many, max_examples=80)


def promises(size: int = 14) -> st.SearchStrategy[list[Event]]:
    return strategies.calm(size, promises=True)


def ended(events: list[Event]) -> list[Event]:
    """The list with two ticks behind it: what runs out at the first has been calm at the second."""
    last = strategies.end(events)
    return [*events, last, tick(last.event_time + 10 * MINUTE)]


# The fold is what the definitions say ---------------------------------------------------------------------


@many
@given(st.data())
def test_promises_are_a_function_of_the_set_of_events(data: st.DataObject) -> None:
    """I8: order and number mean nothing, logged decisions among the events."""
    events = data.draw(promises())
    model = answer(ended(events), FRAME.window)
    for log in (events, data.draw(strategies.shuffled(events)), list(reversed(events))):
        found = differences(Folded(ended(log)), model)
        assert not found, found


@many
@given(strategies.wild(promises=True))
def test_any_log_of_promises_folds_as_the_definitions_say(log: list[Event]) -> None:
    """Requests, conflicts, late and future events, ticks in between: in the order given, verdicts included."""
    log = ended(log)
    folded = Folded(log)
    model = answer(log, FRAME.window, folded.decisions())
    assert folded.verdicts == model.verdicts
    found = differences(folded, model)
    assert not found, found


@some
@given(promises(), st.data())
def test_a_request_is_decided_by_what_the_definitions_leave(events: list[Event], data: st.DataObject) -> None:
    log = ended([*data.draw(strategies.customs()), *events])
    folded = Folded(log)
    for n in range(data.draw(st.integers(1, 4))):
        asked = data.draw(strategies.requests(Document("request", f"R-{n}", 1)))
        asked = replace(asked, event_time=log[-1].event_time)
        known = answer(log, FRAME.window, folded.decisions())
        line = known.lines.get(("A", *(line_of(asked) or ("", 0))))
        channel = asked.channel or (line.channel if line and line.requested else "all")
        need = day_named(asked.need_date) if asked.need_date else None
        left = limit(
            log, FRAME.window, folded.decisions(), sku="A", channel=channel, location=asked.location, need=need
        )
        log.append(asked)
        folded.send(asked)
        told = folded.decided[asked.request_id]
        expected = expected_of(asked, channel, line, left)
        assert told.channel == channel
        assert (told.state, told.expires_at) == terms_of(judge(log, FRAME.window), replace(asked, channel=channel))
        words = {asked.quantity: "accepted", 0: "rejected"}
        assert (told.quantity, told.decision, told.atp) == (expected, words.get(expected, "partly"), left)
        after: Answer = answer(log, FRAME.window, folded.decisions())
        assert differences(folded, after) == []
        assert after.shortages.get("A", 0) <= known.shortages.get("A", 0)


def terms_of(j: Judged, asked: ReservationRequested) -> tuple[str, int | None]:
    """How accepted units are held, and until when: as the request says, else as policies do."""
    moment, hold = said_of(j, "reserves_at", asked), said_of(j, "hold_s", asked)
    state = asked.state or ("firm" if moment in ("payment", "release") else "soft")
    if state == "soft" and asked.expires_at is None and isinstance(hold, int):
        return state, asked.event_time + hold * SECOND
    return state, asked.expires_at


def expected_of(asked: ReservationRequested, channel: str, line: LineAnswer | None, left: int) -> int:
    """Units that are accepted where `left` can be taken: what the line held before it expired comes back with it."""
    if line is not None and (line.cancelled or (line.requested and line.channel != channel)):
        return 0
    if line is not None and line.released > 0 and line.released + line.consumed > line.requested:
        return 0
    if line is not None and line.expired:
        left -= max(0, line.requested - line.released - line.consumed)
    if asked.quantity <= left:
        return asked.quantity
    return max(0, left) if asked.partial else 0


# What must hold for every list ----------------------------------------------------------------------------


@some
@given(st.data())
def test_more_supply_never_lowers_what_may_be_promised(data: st.DataObject) -> None:
    events = data.draw(promises())
    place = data.draw(st.sampled_from(strategies.PLACES))
    receipt = more(GoodsReceived, data.draw(strategies.units), location=place)
    last = strategies.end([*events, receipt])
    before, after = Folded([*events, last]), Folded([*events, receipt, last])
    assert {k: v for k, v in before.shown().items() if after.shown()[k] < v} == {}


@some
@given(st.data())
def test_more_to_come_never_lowers_what_may_be_promised_for_any_day(data: st.DataObject) -> None:
    events = data.draw(promises())
    asn = coming(
        data.draw(st.sampled_from(strategies.PLACES)), data.draw(strategies.units), data.draw(strategies.dates)
    )
    log, more_log = ended(events), ended([*events, replace(asn, purchase_order=Ref("PO-new", 1))])
    before, after = Folded(log), Folded(more_log)
    assert {k: v for k, v in before.shown().items() if after.shown()[k] < v} == {}
    model, more_model = answer(log, FRAME.window), answer(more_log, FRAME.window)
    for name, state in before.states().items():
        days = by_day(state, model.channels[name])
        more_days = by_day(after.states()[name], more_model.channels[name])
        assert [d for d, units in enumerate(days) if units > more_days[d]] == []


@some
@given(st.data())
def test_more_demand_never_raises_what_may_be_promised(data: st.DataObject) -> None:
    events = data.draw(promises())
    demand = more(
        ReservationPlaced,
        data.draw(strategies.units),
        order=Ref("O-new", 1),
        location=data.draw(st.sampled_from(("", *strategies.PLACES))),
        channel=data.draw(st.sampled_from(strategies.CHANNELS)),
        need_date=data.draw(st.none() | strategies.dates),
    )
    last = strategies.end([*events, demand])
    before, after = Folded([*events, last]), Folded([*events, demand, last])
    # Of a place where its channel does not sell it would be refused; a channel that got a unit there needs less fenced.
    where = network([*events, last], FRAME.window, before.decisions(), sku="A", channel=demand.channel)
    assume(not demand.location or where.serves(demand.channel, demand.location))
    assert {k: v for k, v in before.shown().items() if after.shown()[k] > v} == {}


@some
@given(promises())
def test_channels_are_equal(events: list[Event]) -> None:
    """What is said of one channel would be said of another in its place; priorities of ring-fences are distinct."""
    names = {"store": "web", "web": "store"}

    def swapped(event: Event) -> Event:
        other = replace(event, channel=names.get(event.channel, event.channel))
        if isinstance(other, Correction) and other.replacement is not None:
            new = replace(other.replacement, channel=names.get(other.replacement.channel, other.replacement.channel))
            return replace(other, replacement=new)
        return other

    last = strategies.end(events)
    channels = answer([*events, last], FRAME.window).channels
    priorities = [channel.priority for channel in channels.values() if channel.priority is not None]
    assume(len(set(priorities)) == len(priorities))
    # A line that several channels speak of belongs to the one with the greatest name: that is no symmetry.
    by_line: dict[object, set[str]] = {}
    for event in events:
        for each in (event, getattr(event, "replacement", None)):
            if each is not None and (line := line_of(each)) is not None:
                by_line.setdefault(line, set()).add(each.channel)
    assume(all(len(channels) == 1 for channels in by_line.values()))
    straight, mirrored = Folded([*events, last]).shown(), Folded([*map(swapped, events), last]).shown()
    assert {(names.get(channel, channel), place): v for (channel, place), v in straight.items()} == mirrored


@some
@given(promises(), st.data())
def test_using_a_ring_changes_no_other_figure(events: list[Event], data: st.DataObject) -> None:
    grant = more(AllocationGranted, data.draw(strategies.units), channel=data.draw(st.sampled_from(("store", "web"))))
    events = [*events, *stocked(S1=9), replace(grant, event_time=EIGHT)]
    last = strategies.end(events)
    before = answer([*events, last], FRAME.window)
    rings = {channel: c.ring for (_, channel), c in before.channels.items() if c.ring}
    assume(rings)
    channel = data.draw(st.sampled_from(sorted(rings)))
    units = data.draw(st.integers(1, rings[channel]))
    folded = Folded([*events, last])
    straight = folded.states()
    folded.send(more(ReservationPlaced, units, channel=channel, order=Ref("O-new", 1), event_time=last.event_time))
    used = folded.states()
    assert used.pop(("A", channel)).ring == straight.pop(("A", channel)).ring - units
    assert {k: (s.ring, s.pool, s.atp) for k, s in used.items()} == {
        k: (s.ring, s.pool, s.atp) for k, s in straight.items()
    }


@some
@given(promises())
def test_discrete_comes_to_the_same_as_cumulative(events: list[Event]) -> None:
    """What each supply can spare by itself, added up, is what is published for each day."""
    log = ended(events)
    folded, sku = Folded(log), network(log, FRAME.window, {}, sku="A")
    assert sku.today is not None
    days = range(sku.today, sku.today + HORIZON + 1)
    for (_, name), state in folded.states().items():
        if state.horizon:
            channel = sku.channel(name)
            added = discrete(sku.opening(name, channel.takeable), *sku.flows(name), days)
            spared = sku.cumulative(name, channel.takeable)
            assert [max(0, units) for units in added] == [max(0, units) for units in spared]
            if sku.lacks:
                assert all(units <= most for units, most in zip(by_day(state, channel), spared, strict=True))
            if len({nodes for nodes in sku.node_sets.values() if nodes}) == 1 and not any(
                p for _, p, _, _ in sku.dated
            ):
                assert by_day(state, channel) == spared  # where all sell from the same nodes it is one sum


# Races ----------------------------------------------------------------------------------------------------


@some
@given(asked=st.integers(1, 30), units=st.integers(0, 12), copies=st.integers(1, 2))
def test_a_race_for_the_last_units_has_as_many_winners_as_units(asked: int, units: int, copies: int) -> None:
    folded = Folded([*stocked(S1=units // 2, S2=units - units // 2), tick(EIGHT + DAY // 2)])
    for n in range(asked):
        for _ in range(copies):
            folded.send(request(n))
    assert sum(told.quantity for told in folded.decided.values()) == min(asked, units)
    assert len(folded.decided) == asked


def test_a_race_of_any_size() -> None:
    for units in range(7):
        for asked in range(10):
            folded = Folded([*stocked(S1=units), tick(EIGHT + DAY // 2), *map(request, range(asked))])
            assert [told.quantity for told in folded.decided.values()] == [1] * min(asked, units) + [0] * max(
                0, asked - units
            )


@some
@given(st.data())
def test_requests_over_channels_take_the_maximum_flow(data: st.DataObject) -> None:
    """Units one by one, over channels with nodes of their own, in any order: no more could be accepted in another."""
    stock = {place: data.draw(st.integers(0, 5)) for place in strategies.PLACES}
    nodes = {channel: data.draw(st.sets(st.sampled_from(strategies.PLACES), min_size=1)) for channel in ("a", "b", "c")}
    folded = Folded(
        [
            *(
                more(
                    PolicyChanged,
                    0,
                    channel=channel,
                    document=Document("policy", channel, 1),
                    policy=PolicyFields(locations=tuple(sorted(chosen))),
                )
                for channel, chosen in nodes.items()
            ),
            *stocked(**stock),
            tick(EIGHT + DAY // 2),
        ]
    )
    asked = data.draw(st.lists(st.sampled_from(sorted(nodes)), max_size=20))
    for n, channel in enumerate(asked):
        folded.send(request(n, channel=channel))
    demand = [Promise(asked.count(channel), frozenset(chosen)) for channel, chosen in nodes.items()]
    assert sum(told.quantity for told in folded.decided.values()) == flow(stock, demand)


@some
@given(st.data())
def test_what_was_given_back_may_be_promised_again(data: st.DataObject) -> None:
    """A request, its cancellation, and the race goes on: the claims never exceed the stock."""
    units = data.draw(st.integers(1, 6))
    folded = Folded([*stocked(S1=units), tick(EIGHT + DAY // 2)])
    held: dict[int, int] = {}
    gives_back = data.draw(st.lists(st.booleans(), min_size=1, max_size=12))
    for n, returned in enumerate(gives_back):
        if held and returned:
            gone = data.draw(st.sampled_from(sorted(held)))
            del held[gone]
            folded.send(more(OrderCancelled, 0, order=Ref(f"O-{gone}", 1), document=Document("cancel", str(gone), 1)))
        wanted = data.draw(st.integers(1, 3))
        folded.send(replace(request(n, wanted), order=Ref(f"O-{n}", 1)))
        left = units - sum(held.values())
        assert folded.decided[f"R-{n}"].quantity == (wanted if wanted <= left else 0)
        if wanted <= left:
            held[n] = wanted
