"""What is called quiet is heard by nobody beside the book."""

from hypothesis import given, settings
from hypothesis import strategies as st

from atp.beside import LOOKING, compared
from atp.bills import tell_kits
from atp.causes import heard
from atp.events import ChannelAck, Document, Event, MasterChanged, PolicyChanged, PolicyFields, SnapshotReceived
from atp.fold import _fold, fold
from atp.quiet import is_quiet
from atp.telling import hold_back
from streams.memory import MemoryRows
from tests.core import strategies
from tests.core.rig import FRAME
from tests.core.strategies import hours, units


@st.composite
def listeners(draw: st.DrawFn) -> list[Event]:
    """Some of those that hear of the SKU: a snapshot, a channel that acknowledges, a kit, a policy of telling."""
    paper = Document("beside", "1", 1)
    every: list[Event] = [
        SnapshotReceived(
            source="erp", document=paper, event_time=draw(hours), sku="A", location="S1", quantity=draw(units),
            basis="physical", scope="on_hand",
        ),
        ChannelAck(source="web", document=paper, event_time=draw(hours), sku="A", channel="all", version=1, epoch=0),
        MasterChanged(
            source="pim", document=paper, event_time=draw(hours), sku="A", kit="K", components={"A": 1, "B": 2}
        ),
        PolicyChanged(
            source="planner", document=paper, event_time=draw(hours), channel="all",
            policy=PolicyFields(publish_units=2),
        ),
    ]  # fmt: skip
    return [one for one in every if draw(st.booleans())]


@settings(max_examples=150)
@given(st.data())
def test_nobody_goes_on_with_an_outcome_that_is_quiet(data: st.DataObject) -> None:
    facts = data.draw(strategies.wild(10, promises=data.draw(st.booleans())))
    rows = MemoryRows()
    for event in data.draw(st.permutations([*facts, *data.draw(listeners())])):
        outcome = _fold(rows, event, FRAME)
        if type(event) not in LOOKING and is_quiet(rows, outcome.changes):
            went_on = heard(rows, event, FRAME, compared(rows, event, FRAME, outcome, _fold))
            assert hold_back(rows, FRAME, tell_kits(rows, event, FRAME, went_on)) == outcome
        for key, row in fold(rows, event, FRAME).changes.items():
            rows.put(key, row)
