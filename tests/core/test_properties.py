"""The fold against the reference model, and the invariants after every event (docs/domain.md section 14)."""

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from atp.events import Event
from tests.core import strategies
from tests.core.model import answer
from tests.core.rig import FRAME, Folded, differences

many = settings(
    max_examples=150,
    deadline=None,
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
