"""Snapshots among any facts: what is expected of them follows from the set of events, and they change no figure."""

from dataclasses import replace
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from atp.events import DAY, Document, Event, SnapshotReceived
from tests.core import strategies
from tests.core.model import answer
from tests.core.rig import FRAME, Folded, differences
from tests.core.strategies import SOURCES, hours, units

BASES = ("physical", "physical", "sellable", "net-of-reservations", "claims")


@st.composite
def snapshots(draw: st.DrawFn) -> list[SnapshotReceived]:
    found = []
    for number in range(draw(st.integers(1, 4))):
        basis = draw(st.sampled_from(BASES))
        time = draw(hours)
        seen = draw(st.none() | hours)
        given: dict[str, Any] = {
            "source": draw(st.sampled_from(("erp", "wms:1"))),
            "document": Document("snapshot", f"S-{number}", 1),
            "event_time": time,
            "as_of": None if seen is None else min(seen, time + DAY),
            "sku": "A",
            "location": draw(st.sampled_from(("S1", "S2"))) if basis != "claims" else draw(st.sampled_from(("", "S1"))),
            "quantity": draw(units),
            "basis": basis,
            "scope": draw(st.sampled_from(("on_hand", "on_hand", "sellable", "damaged"))),
            "through_seq": draw(st.none() | st.dictionaries(st.sampled_from(SOURCES), st.integers(0, 9), max_size=2)),
        }
        found.append(SnapshotReceived(**given))
    return found


def untimed(folded: Folded) -> Folded:
    """With the differences of timing that a day has settled: the model knows of no time that passes."""
    folded.variances = {id_: replace(v, status="open" if v.diff else "closed") for id_, v in folded.variances.items()}
    return folded


def ended(events: list[Event]) -> list[Event]:
    return [*events, strategies.end(events)]


def answers(folded: Folded) -> dict[str, int]:
    return {key: one.atp for key, one in folded.answers.items()}


@settings(max_examples=40)
@given(st.data())
def test_what_is_expected_of_a_snapshot_is_a_function_of_the_set_of_events(data: st.DataObject) -> None:
    facts = data.draw(strategies.calm(10))
    events: list[Event] = [*facts, *data.draw(snapshots())]
    model = answer(ended(events), FRAME.window)
    for log in (events, data.draw(st.permutations(events)), [*data.draw(st.permutations(events)), *events]):
        found = differences(untimed(Folded(ended(log))), model)
        assert not found, found


@settings(max_examples=25)
@given(st.data())
def test_claims_are_taken_off_as_they_were_at_the_watermark(data: st.DataObject) -> None:
    facts = data.draw(strategies.calm(10, promises=True))
    seen = data.draw(snapshots())
    events: list[Event] = [*facts, *seen]
    folded = untimed(Folded(ended(data.draw(st.permutations(events)))))
    mine = {(v.kind, v.document): (v.expected, v.observed) for v in folded.variances.values() if v.status == "open"}
    model = answer(ended(events), FRAME.window)
    expected = {(s.kind, s.document): (s.expected, s.observed) for s in model.snapshots if s.diff}
    assert {key: figures for key, figures in mine.items() if key[0] in ("ERP", "WMS", "CLAIMS")} == expected


@settings(max_examples=25)
@given(st.data())
def test_a_snapshot_changes_no_figure(data: st.DataObject) -> None:
    facts = data.draw(strategies.calm(10, promises=True))
    events: list[Event] = [*facts, *data.draw(snapshots())]
    last = strategies.end(events)
    with_them, without = Folded([*events, last]), Folded([*facts, last])
    assert with_them.positions() == without.positions()
    assert answers(with_them) == answers(without)
    assert with_them.postings == without.postings
