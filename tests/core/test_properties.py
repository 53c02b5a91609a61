"""The fold against the reference model, and the invariants after every event (docs/domain.md section 14)."""

from dataclasses import replace

from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st

from atp.events import (
    DAY,
    MINUTE,
    Correction,
    Document,
    Event,
    GoodsReceived,
    PolicyChanged,
    PolicyFields,
    SaleRecorded,
)
from tests.core import risk_model, strategies
from tests.core.model import answer
from tests.core.rig import FRAME, Folded, differences

many = settings(
    max_examples=300,
    print_blob=True,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
)


@many
@given(st.data())
def test_the_fold_is_a_function_of_the_set_of_events(data: st.DataObject) -> None:
    """I8: order and number mean nothing, and the outcome is the one of the definitions."""
    events = data.draw(strategies.calm())
    last = strategies.end(events)
    model = answer([*events, last], FRAME.window)
    for log in (events, data.draw(strategies.shuffled(events)), list(reversed(events))):
        folded = Folded([*log, last])
        assert differences(folded, model) == []


@many
@given(strategies.wild())
def test_any_log_folds_as_the_definitions_say(log: list[Event]) -> None:
    """Conflicts, late and future events, ticks in between: in the order given, verdicts included."""
    log = [*log, strategies.end(log)]
    folded, model = Folded(log), answer(log, FRAME.window)
    assert folded.verdicts == model.verdicts
    assert differences(folded, model) == []


@many
@given(strategies.weeks())
def test_what_leaves_the_window_is_restated_as_long_as_it_is_known(log: list[Event]) -> None:
    """Counts and what they cover pass the window, and are corrected still."""
    log = [*log, strategies.end(log)]
    folded, model = Folded(log), answer(log, FRAME.window)
    assert folded.verdicts == model.verdicts
    assert differences(folded, model) == []


@many
@given(st.data())
def test_more_supply_never_lowers_what_may_be_promised(data: st.DataObject) -> None:
    events = data.draw(strategies.calm())
    more = GoodsReceived(
        source="wms:1",
        document=Document("grn", "more", 1),
        event_time=data.draw(strategies.hours),
        sku="A",
        location=data.draw(st.sampled_from(strategies.PLACES)),
        quantity=data.draw(strategies.units),
    )
    last = strategies.end([*events, more])
    before, after = Folded([*events, last]), Folded([*events, more, last])
    for key, answered in before.answers.items():
        assert after.answers[key].atp >= answered.atp, key


@many
@given(strategies.calm())
def test_channels_are_equal(events: list[Event]) -> None:
    """What is said of one channel would be said of another in its place."""
    names = {"store": "web", "web": "store"}

    def swapped(event: Event) -> Event:
        other = replace(event, channel=names.get(event.channel, event.channel))
        if isinstance(other, Correction) and other.replacement is not None:
            new = replace(other.replacement, channel=names.get(other.replacement.channel, other.replacement.channel))
            return replace(other, replacement=new)
        return other

    last = strategies.end(events)
    straight, mirrored = Folded([*events, last]), Folded([*map(swapped, events), last])
    for key, answered in straight.answers.items():
        name = "|".join((names.get(answered.channel, answered.channel), answered.sku)) if answered.channel else key
        assert mirrored.answers[name].atp == answered.atp, key


@many
@given(st.data())
def test_imminent_risks_stand_where_goods_run_out(data: st.DataObject) -> None:
    """After ticks without events a risk is open where its opening rule holds, and closed where it has been calm."""
    events = data.draw(risk_model.busy())
    folded = Folded(events)
    end = strategies.end(events).event_time
    for step in range(6):
        folded.send(strategies.tick(end + 6 * step * MINUTE))
    log = [*events, strategies.tick(end + 30 * MINUTE)]
    assert risk_model.differences(folded, log) == []


@many
@given(st.data())
def test_a_document_number_may_be_used_again_after_the_window(data: st.DataObject) -> None:
    """The window forgot the first sale: the second is another, and the ERP is told so under another key."""
    days = data.draw(st.integers(8, 20))
    sale = data.draw(strategies.facts(strategies.NARROW, Document("receipt", "T-1", 1), SaleRecorded))
    assume(sale.order is None)
    between = replace(sale, document=Document("receipt", "T-2", 1), event_time=sale.event_time + days * DAY)
    again = replace(sale, event_time=sale.event_time + days * DAY)
    folded = Folded([sale, between, again])
    assert folded.verdicts == ["folded"] * 3
    assert folded.positions()[sale.sku, sale.location].on_hand == -3 * sale.quantity
    assert len(folded.postings) == 3


def test_policies_move_no_clock() -> None:
    """A policy of next year makes nothing late."""
    policy = PolicyChanged(
        source="mdm",
        document=Document("policy", "P", 1),
        event_time=strategies.EIGHT + 400 * DAY,
        sku="A",
        policy=PolicyFields(safety_stock=1),
    )
    sale = SaleRecorded(
        source="pos:1",
        document=Document("receipt", "T-1", 1),
        event_time=strategies.EIGHT,
        sku="A",
        location="S1",
        quantity=1,
    )
    assert Folded([policy, sale]).verdicts == ["folded", "folded"]


def sale(units: int, day: float, rev: int = 0) -> SaleRecorded:
    time = strategies.EIGHT + int(day * DAY)
    document = Document("receipt", "T-1", 1)
    return SaleRecorded(
        source="pos:1", document=document, event_time=time, rev=rev, sku="A", location="S1", quantity=units
    )


def other(day: float) -> SaleRecorded:
    """A sale of the SKU that moves its clock."""
    return replace(sale(1, day), document=Document("receipt", f"day {day}", 1))


def test_a_key_is_remembered_as_long_as_any_of_its_versions_may_come_again() -> None:
    """The version in force is dated before the one it replaced, and leaves the window first."""
    folded = Folded([sale(2, 6), sale(3, 0, rev=1), other(7.5), sale(2, 6), sale(3, 0, rev=1)])
    assert folded.verdicts == ["folded", "folded", "folded", "superseded", "late"]
    assert folded.positions()["A", "S1"].on_hand == -4


def test_a_superseded_version_keeps_its_key_in_memory_too() -> None:
    folded = Folded([sale(3, 0, rev=1), sale(2, 6), other(7.5), sale(2, 6)])
    assert folded.verdicts == ["folded", "superseded", "folded", "superseded"]
    assert folded.positions()["A", "S1"].on_hand == -4


def test_sweeping_forgets_no_sooner() -> None:
    """Days later, when old evidence was deleted, the key is known still."""
    folded = Folded([sale(2, 6), sale(3, 0, rev=1), *map(other, (7.1, 8, 9, 12.5)), sale(2, 6)])
    assert folded.verdicts[-1] == "superseded"
    assert folded.rows.get("e|A|pos:1|receipt|T-1|1|SaleRecorded|A") is not None
    folded = Folded([sale(2, 6), sale(3, 0, rev=1), *map(other, (7.1, 8, 13.5, 20.6)), sale(2, 6)])
    assert folded.verdicts[-1] == "late"
    assert folded.rows.get("e|A|pos:1|receipt|T-1|1|SaleRecorded|A") is None
