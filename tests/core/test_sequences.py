"""Missing messages: found, told after a while, closed number by number, and told again where nobody knows."""

import copy

from hypothesis import given
from hypothesis import strategies as st

from atp.sequences import Sequences, Told

GRACE = 10


def seen(sequences: Sequences, numbers: list[int], now: int = 0) -> None:
    for number in numbers:
        sequences.saw("pos", number, now)


def told(sequences: Sequences, now: int) -> list[tuple[int, int, bool]]:
    found = [(one.begin, one.end, one.opened) for one in sequences.due(now)]
    sequences.written()
    return found


def test_the_first_message_says_where_numbers_begin_and_a_gap_waits_for_its_grace() -> None:
    one = Sequences(GRACE)
    seen(one, [7, 8, 8, 12])
    assert told(one, 9) == []
    assert told(one, 10) == [(9, 11, True)]
    assert told(one, 100) == []


def test_what_comes_within_the_grace_is_never_told() -> None:
    one = Sequences(GRACE)
    seen(one, [1, 4, 3, 2])
    assert told(one, 100) == []
    assert not one.waiting


def test_what_comes_later_closes_number_by_number() -> None:
    one = Sequences(GRACE)
    seen(one, [1, 5])
    assert told(one, 10) == [(2, 4, True)]
    seen(one, [3], 20)
    assert told(one, 20) == [(3, 3, False)]
    seen(one, [3, 2, 4], 30)
    assert told(one, 30) == [(2, 2, False), (4, 4, False)]


def test_what_was_not_written_is_told_again_after_a_restart() -> None:
    one = Sequences(GRACE)
    seen(one, [1, 5])
    one.due(10)
    ((source, state),) = one.states()
    again = Sequences(GRACE)
    again.restore(source, copy.deepcopy(state))
    assert again.due(0) == [Told("pos", 2, 4, opened=True)]
    again.written()
    assert again.due(100) == []


@given(st.permutations(range(1, 13)), st.integers(0, 11), st.data())
def test_whatever_the_order_what_is_told_to_be_missing_is_missing(
    numbers: list[int], upto: int, data: st.DataObject
) -> None:
    one = Sequences(0)
    missing: set[int] = set()
    one.saw("pos", 0, 0)
    for number in numbers[:upto]:
        one.saw("pos", number, 0)
        if data.draw(st.booleans()):
            for begin, end, opened in told(one, 0):
                missing = missing | {*range(begin, end + 1)} if opened else missing - {*range(begin, end + 1)}
    for begin, end, opened in told(one, 0):
        missing = missing | {*range(begin, end + 1)} if opened else missing - {*range(begin, end + 1)}
    heard = {0, *numbers[:upto]}
    assert missing == set(range(max(heard))) - heard
