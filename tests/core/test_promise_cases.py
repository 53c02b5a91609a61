"""Mistakes that a fold of promises makes easily: each was made once, and found by comparing with the model."""

from dataclasses import replace

from atp.book import Claim
from atp.claims import standing
from atp.events import (
    DAY,
    MINUTE,
    Document,
    Event,
    GoodsReceived,
    PolicyChanged,
    PolicyFields,
    Ref,
    ReservationReleased,
    ShipmentConfirmed,
    TransferShipped,
)
from tests.core.claims_model import day_named
from tests.core.model import answer
from tests.core.papers import NOON, coming, locations, more, request, reserved, stocked
from tests.core.rig import FRAME, Folded, differences
from tests.core.strategies import EIGHT, tick


def agree(log: list[Event]) -> Folded:
    """Fold the log and ten more minutes, and compare it with the model."""
    log = [*log, tick(NOON.event_time + 10 * MINUTE)]
    folded = Folded(log)
    assert differences(folded, answer(log, FRAME.window, folded.decisions())) == []
    return folded


def test_a_claim_runs_out_once_at_the_tick_that_also_brings_a_policy() -> None:
    ends = EIGHT + DAY // 2 - MINUTE
    soft = reserved(1, location="S1", state="soft", expires_at=ends)
    policy = replace(locations("web", "S1"), event_time=ends)
    agree([*stocked(S1=3), tick(EIGHT + DAY // 2 - 2 * MINUTE), replace(soft, event_time=EIGHT), policy, NOON])


def test_a_claim_runs_out_at_the_first_tick_while_another_is_found_to_be_due_later() -> None:
    soft = reserved(1, state="soft", expires_at=EIGHT)
    agree([*stocked(S1=3), soft, reserved(1, Ref("O-2", 1), location="S1", need_date="2026-11-25"), NOON])


def test_a_transfer_comes_on_the_day_of_the_shipments_in_force() -> None:
    def shipped(day: str, rev: int) -> TransferShipped:
        left: TransferShipped = more(TransferShipped, 2, rev=rev, location="S1", to_location="S2", eta=day)
        return left

    log = [*stocked(S1=3), shipped("2026-11-29", 0), shipped("2026-11-22", 1), NOON]
    assert agree(log).states()["A", "all"].horizon[-1] == (day_named("2026-11-22"), 3)
    agree([*stocked(S1=3), shipped("2026-11-22", 1), shipped("2026-11-29", 0), NOON])


def test_a_receipt_that_is_taken_back_does_not_end_its_line() -> None:
    order = Ref("PO-1", 1)
    final = more(GoodsReceived, 2, location="S1", purchase_order=order, final=True)
    folded = agree([coming("S1", 5, "2026-11-22"), final, replace(final, rev=1, quantity=0), NOON])
    assert folded.states()["A", "all"].horizon[-1][1] == 5


def test_goods_bound_for_a_closed_place_are_nobodys() -> None:
    closed: PolicyChanged = more(PolicyChanged, 0, location="S2", policy=PolicyFields(eligible=False))
    folded = agree([*stocked(S1=1), closed, coming("S2", 5, "2026-11-22"), NOON])
    assert folded.states()["A", "all"].horizon == ()


def test_supply_keeps_to_the_rules_of_its_own_place() -> None:
    dock: PolicyChanged = more(PolicyChanged, 0, location="S2", policy=PolicyFields(dock_days=3))
    said = [coming("S1", 1, "2026-11-22"), replace(coming("S2", 1, "2026-11-22", 2), purchase_order=Ref("PO-1", 1))]
    folded = agree([dock, *said, NOON])
    days = [day - day_named("2026-11-20") for day, _ in folded.states()["A", "all"].horizon]
    assert days == [0, 2, 5]


def test_what_waits_for_one_place_leaves_the_other_place_to_the_channel() -> None:
    """Trap 50: store's 3 wait for S1, where nothing is; web sells S2's 5 too, and something is due later."""
    log = [*stocked(S2=5), locations("store", "S1"), locations("web", "S1", "S2"), reserved(3, channel="store")]
    folded = agree([*log, reserved(1, Ref("O-2", 1), channel="web", need_date="2026-11-25"), NOON])
    assert folded.states()["A", "web"].atp == 4


def test_channels_meet_where_nothing_lies_yet() -> None:
    """store's 4 due on the 25th will be served from S2, where 5 come on the 22nd: web may have 1 of them."""
    log: list[Event] = [locations("store", "S2"), locations("web", "S2"), coming("S2", 5, "2026-11-22")]
    folded = agree([*log, reserved(4, channel="store", need_date="2026-11-25"), NOON])
    assert folded.states()["A", "web"].horizon == ((day_named("2026-11-20"), 0), (day_named("2026-11-22"), 1))


def test_a_request_for_another_channels_line_is_refused() -> None:
    """Its unit would join web's line and wait for S2, which has nothing."""
    line = Ref("O-1", 1)
    log = [*stocked(S1=5), locations("web", "S2"), reserved(1, line, channel="web"), NOON]
    folded = agree(
        [*log, replace(request(1, channel="store"), order=line), replace(request(2, channel=""), order=line)]
    )
    assert [(d.decision, d.channel) for d in folded.decided.values()] == [("rejected", "store"), ("rejected", "web")]


def test_layers_of_a_place_that_serve_the_same_channels_are_added_up() -> None:
    """S2's lot lasts long enough for mp, which does not sell from there: its 4 and the other 3 serve web alike."""
    lasting = more(GoodsReceived, 4, location="S2", lot="L-1", expiry="2027-11-20")
    asks = more(PolicyChanged, 0, channel="mp", policy=PolicyFields(min_life_days=30, locations=("S1",)))
    log = [*stocked(S1=1, S2=3), lasting, asks, tick(EIGHT + DAY // 2)]
    later = reserved(2, Ref("O-2", 1), channel="web", location="S2", need_date="2026-11-25")
    folded = agree([*log, later, replace(request(1, 5, channel="web"), location="S2"), NOON])
    assert [one.atp for one in folded.decided.values()] == [5]


def test_what_is_taken_back_after_it_was_forgotten_is_no_demand() -> None:
    """A line handed over was swept with the window; a reversal of its shipment leaves a tally below 0."""
    left = standing(Claim(tally={"out|S2||1762948820005798": -4}, last_time=EIGHT), EIGHT)
    assert (left.consumed, left.open, left.pending, left.taken) == (0, 0, 0, 0)


def test_a_line_that_gave_back_more_than_it_took_is_asked_for_under_another() -> None:
    """Units accepted for it would be gone at once, and promised to the next one too."""
    line = Ref("O-1", 1)
    back = [more(ReservationReleased, 3, order=line, document=Document("release", f"B-{n}", 1)) for n in range(2)]
    asked = [replace(request(n, 3), order=line) for n in range(2)]
    folded = agree([*stocked(S1=3), NOON, asked[0], *back, asked[1], replace(request(2, 3), order=Ref("O-2", 1))])
    assert [one.decision for one in folded.decided.values()] == ["accepted", "rejected", "accepted"]


def test_what_was_given_back_and_handed_over_both_is_not_promised_by_the_line_again() -> None:
    """A release that crossed the shipment of the same units: what is accepted then would be held by nothing."""
    line = Ref("O-1", 1)
    shipped = more(ShipmentConfirmed, 3, location="S1", order=line)
    back = more(ReservationReleased, 3, order=line)
    asked = [replace(request(n, 3), order=line) for n in range(2)]
    folded = agree(
        [*stocked(S1=6), NOON, asked[0], shipped, back, asked[1], replace(request(2, 3), order=Ref("O-2", 1))]
    )
    assert [one.decision for one in folded.decided.values()] == ["accepted", "rejected", "accepted"]


def test_what_is_due_at_a_place_where_nothing_has_been_is_held_there_on_its_day() -> None:
    """S1's unit comes on the 22nd, for a request that names S1; on that day it is a claim of S1."""
    asked = replace(request(1), location="S1", need_date="2026-11-22")
    folded = agree([NOON, coming("S1", 1, "2026-11-22"), asked, tick(NOON.event_time + 2 * DAY)])
    assert folded.positions()["A", "S1"].reserved_soft == 1
