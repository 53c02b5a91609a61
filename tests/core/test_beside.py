"""The book beside others: snapshots, copies of channels, closed counts, master data, missing messages."""

import math
from dataclasses import replace
from fractions import Fraction
from itertools import permutations
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from atp.availability import withheld
from atp.book import Advice, Copy, Feed, copy_key
from atp.confidence import confidence, haircut
from atp.effects import ErpLine, RiskChanged, VarianceChanged
from atp.events import (
    DAY,
    HOUR,
    MINUTE,
    AsnShipped,
    ChannelAck,
    ChannelReported,
    CountClosed,
    CountRecorded,
    Document,
    GoodsReceived,
    MasterChanged,
    PickConfirmed,
    PickFailed,
    PolicyChanged,
    PolicyFields,
    Ref,
    ReservationPlaced,
    SaleRecorded,
    SequenceGapClosed,
    SequenceGapOpened,
    ShipmentConfirmed,
    SnapshotReceived,
    SourceMark,
    TimeTicked,
    TransferReceived,
    TransferShipped,
)
from tests.core.rig import Folded
from tests.core.strategies import EIGHT

numbers = iter(range(1, 1_000_000))


def make(kind: type, at: int, **given: Any) -> Any:
    """An event of its own document, at a time in hours after eight."""
    base: dict[str, Any] = {"source": "wms", "event_time": EIGHT + at, "sku": "A", "location": "S1"}
    base["document"] = Document("doc", f"D-{next(numbers)}", 1)
    return kind(**{**base, **given})


def received(at: int, units: int, **given: Any) -> Any:
    return make(GoodsReceived, at, quantity=units, **given)


def sold(at: int, units: int, **given: Any) -> Any:
    return make(SaleRecorded, at, quantity=units, source="pos:1", **given)


def snapshot(at: int, units: int, **given: Any) -> Any:
    return make(SnapshotReceived, at, **{"quantity": units, "basis": "physical", "source": "erp", **given})


def tick(at: int) -> TimeTicked:
    return TimeTicked(source="clock", document=Document("tick", str(at), 1), event_time=EIGHT + at)


def policy(**fields: Any) -> Any:
    scope = {name: fields.pop(name, "") for name in ("sku", "location", "channel")}
    return make(PolicyChanged, -HOUR, source="mdm", policy=PolicyFields(**fields), **scope)


def standing(folded: Folded) -> dict[str, tuple[int, int]]:
    """Expected and observed of the variances that stand, by kind."""
    return {v.kind: (v.expected, v.observed) for v in folded.variances.values() if v.status == "open"}


# Snapshots ------------------------------------------------------------------------------------------------


def test_a_snapshot_is_compared_at_its_watermark_and_changes_no_figure() -> None:
    folded = Folded([received(0, 10), sold(HOUR, 3), sold(3 * HOUR, 2)])
    before = dict(folded.positions())
    folded.send(snapshot(4 * HOUR, 7, as_of=EIGHT + 2 * HOUR))
    assert standing(folded) == {}
    assert folded.positions() == before
    folded.send(snapshot(5 * HOUR, 9, as_of=EIGHT + 2 * HOUR))
    assert standing(folded) == {"ERP": (7, 9)}
    assert folded.positions() == before


def test_a_late_event_restates_what_was_expected() -> None:
    folded = Folded([received(0, 10), sold(HOUR, 3), snapshot(4 * HOUR, 5, as_of=EIGHT + 2 * HOUR)])
    assert standing(folded) == {"ERP": (7, 5)}
    folded.send(sold(3 * HOUR, 1))  # after the watermark: none of its business
    assert standing(folded) == {"ERP": (7, 5)}
    folded.send(sold(2 * HOUR, 2))  # came late: the ERP knew of it
    assert standing(folded) == {}
    assert [v.restatement for v in folded.effects if isinstance(v, VarianceChanged)] == [0, 1]


def test_the_next_snapshot_closes_the_difference() -> None:
    folded = Folded([received(0, 10), snapshot(HOUR, 8), snapshot(2 * HOUR, 10)])
    assert standing(folded) == {}
    assert len({v.id for v in folded.variances.values()}) == 1


def test_an_older_snapshot_that_comes_later_is_superseded() -> None:
    folded = Folded([received(0, 10), snapshot(2 * HOUR, 10), snapshot(HOUR, 3)])
    assert folded.verdicts[-1] == "superseded"
    assert standing(folded) == {}


def test_the_same_snapshot_is_a_duplicate_and_another_figure_a_conflict() -> None:
    one = snapshot(HOUR, 8)
    folded = Folded([received(0, 10), one, one, replace(one, quantity=9), replace(one, quantity=10, rev=1)])
    assert folded.verdicts[-3:] == ["duplicate", "conflict", "folded"]
    assert standing(folded) == {}


def test_a_snapshot_from_before_the_window_is_late_and_one_from_the_future_is_refused() -> None:
    folded = Folded([received(0, 10), tick(0), snapshot(0, 10, as_of=EIGHT - 8 * DAY), snapshot(3 * DAY, 10)])
    assert folded.verdicts[-2:] == ["late", "future"]


def test_sequences_decide_where_the_snapshot_names_a_source() -> None:
    events = [received(0, 10), sold(HOUR, 3, source_seq=7), sold(HOUR, 2, source_seq=8)]
    folded = Folded([*events, snapshot(2 * HOUR, 7, through_seq={"pos:1": 7})])
    assert standing(folded) == {}
    folded.send(snapshot(3 * HOUR, 7, through_seq={"pos:1": 8}))
    assert standing(folded) == {"ERP": (5, 7)}


def test_net_of_reservations_takes_claims_off_once() -> None:
    taken = make(ReservationPlaced, HOUR, quantity=4, order=Ref("O-1", 1))
    folded = Folded([received(0, 10), taken, snapshot(2 * HOUR, 6, basis="net-of-reservations", source="wms")])
    assert standing(folded) == {}
    folded.send(snapshot(3 * HOUR, 2, basis="net-of-reservations", source="wms"))
    assert standing(folded) == {"WMS": (6, 2)}


def test_claims_are_compared_as_they_were_at_the_watermark() -> None:
    taken = make(ReservationPlaced, HOUR, quantity=4, order=Ref("O-1", 1), location="")
    shipped = make(ShipmentConfirmed, 3 * HOUR, quantity=1, order=Ref("O-1", 1))
    folded = Folded([received(0, 10), taken, shipped])
    folded.send(snapshot(4 * HOUR, 4, as_of=EIGHT + 2 * HOUR, basis="claims", source="oms", location=""))
    assert standing(folded) == {}
    folded.send(snapshot(5 * HOUR, 4, basis="claims", source="oms", location=""))
    assert standing(folded) == {"CLAIMS": (3, 4)}


def test_a_count_that_the_snapshot_has_heard_of_is_in_what_is_expected() -> None:
    count = make(CountRecorded, 2 * HOUR, quantity=8, source="store")
    folded = Folded([received(0, 10), count, snapshot(HOUR, 10), snapshot(3 * HOUR, 8)])
    assert "ERP" not in standing(folded)
    folded = Folded([received(0, 10), snapshot(3 * HOUR, 10)])
    assert "ERP" not in standing(folded)
    folded.send(count)
    assert standing(folded) == {"COUNT": (10, 8), "ERP": (8, 10)}


def test_a_policy_makes_a_snapshot_an_anchor() -> None:
    taken = make(ReservationPlaced, HOUR, quantity=4, order=Ref("O-1", 1))
    events = [policy(snapshot_is_count=True, location="S1"), received(0, 10), taken, sold(3 * HOUR, 1)]
    folded = Folded([*events, snapshot(4 * HOUR, 7, as_of=EIGHT + 2 * HOUR)])
    assert folded.positions()["A", "S1"].on_hand == 6
    folded = Folded([*events, snapshot(4 * HOUR, 5, as_of=EIGHT + 2 * HOUR, basis="net-of-reservations")])
    assert folded.positions()["A", "S1"].sellable == 8


def test_what_may_differ_is_the_greater_of_units_and_percent() -> None:
    events = [policy(tolerance_units=1, tolerance_percent=20), received(0, 10)]
    assert standing(Folded([*events, snapshot(HOUR, 8)])) == {}
    assert standing(Folded([*events, snapshot(HOUR, 7)])) == {"ERP": (10, 7)}


def test_a_difference_that_stands_is_told_as_it_ages() -> None:
    folded = Folded([received(0, 10), tick(0), snapshot(HOUR, 8)])
    for hours in range(2, 24 * 9, 6):
        folded.send(tick(hours * HOUR))
    assert [v.age_days for v in folded.effects if isinstance(v, VarianceChanged)] == [0, 1, 3, 7]
    folded.send(snapshot(24 * 9 * HOUR, 10))
    assert standing(folded) == {}
    folded.send(tick(24 * 40 * HOUR))
    assert [v.age_days for v in folded.effects if isinstance(v, VarianceChanged)][-1] == 0


def test_a_difference_of_timing_is_settled_by_its_first_day() -> None:
    folded = Folded([received(0, 10), sold(2 * HOUR, 3), tick(2 * HOUR), snapshot(3 * HOUR, 7, as_of=EIGHT + HOUR)])
    assert standing(folded) == {"ERP": (10, 7)}
    folded.send(tick(25 * HOUR - MINUTE))
    assert standing(folded) == {"ERP": (10, 7)}
    folded.send(tick(25 * HOUR))
    assert standing(folded) == {}
    folded.send(snapshot(26 * HOUR, 3, as_of=EIGHT + 25 * HOUR))  # that was not it
    assert standing(folded) == {"ERP": (7, 3)}


@pytest.mark.parametrize(
    ("observed", "hint"),
    [
        (7, "equals 1 x"),
        (11, "timing: equals"),
        (4, "equals 2 x"),
        (0, "not explained"),
    ],
)
def test_a_hint_names_what_explains_the_difference(observed: int, hint: str) -> None:
    folded = Folded([received(0, 13), sold(HOUR, 3), sold(3 * HOUR, 1), received(5 * HOUR, 1)])
    folded.send(snapshot(4 * HOUR, observed, as_of=EIGHT + 2 * HOUR))
    (variance,) = [v for v in folded.variances.values() if v.kind == "ERP"]
    assert variance.cause_hint.startswith(hint), variance


def test_a_pack_factor_and_a_wrong_location_are_hints() -> None:
    master = make(MasterChanged, 0, location="", attributes={"pack.case": "12"})
    folded = Folded([master, received(0, 30), snapshot(HOUR, 54)])
    assert "pack factor 12 of case" in next(iter(folded.variances.values())).cause_hint
    folded = Folded(
        [received(0, 30), received(0, 31, location="S2"), snapshot(HOUR, 23), snapshot(HOUR, 38, location="S2")]
    )
    assert any("goods scanned at the wrong location" in v.cause_hint for v in folded.variances.values())


# Channels -------------------------------------------------------------------------------------------------


def ack(at: int, version: int, **given: Any) -> Any:
    return make(ChannelAck, at, source="web", location="", channel="web", version=version, **given)


def shown(at: int, units: int, **given: Any) -> Any:
    return make(ChannelReported, at, source="web", location="", channel="web", quantity=units, **given)


def exposure(folded: Folded) -> list[tuple[str, int]]:
    return [(r.transition, r.quantity) for r in folded.effects if isinstance(r, RiskChanged) and r.kind == "exposure"]


def test_a_copy_that_is_behind_is_an_exposure_until_it_catches_up() -> None:
    folded = Folded([received(0, 10, channel="web"), ack(HOUR, 1), sold(2 * HOUR, 4)])
    assert exposure(folded) == [("opened", 4)]
    folded.send(sold(2 * HOUR, 1))
    folded.send(ack(2 * HOUR + 1, 2))
    assert exposure(folded) == [("opened", 4), ("restated", 5), ("restated", 1)]
    folded.send(ack(2 * HOUR + 2, 3))
    assert exposure(folded)[-1] == ("closed", 1)
    assert folded.rows.get("r|A|exposure|web") is None


def test_an_exposure_waits_for_the_lag_of_its_channel() -> None:
    events = [policy(lag_s=300, channel="web"), received(0, 10), tick(0), ack(0, 1)]
    folded = Folded([*events, sold(MINUTE, 4), tick(2 * MINUTE)])
    assert exposure(folded) == []
    folded.send(tick(6 * MINUTE))
    assert exposure(folded) == [("opened", 4)]
    folded = Folded([*events, sold(MINUTE, 4), ack(2 * MINUTE, 2), tick(6 * MINUTE)])
    assert exposure(folded) == []


def test_an_older_or_a_repeated_acknowledgement_changes_nothing() -> None:
    folded = Folded([received(0, 10, channel="web"), sold(HOUR, 1), ack(HOUR, 2), ack(HOUR, 1), ack(HOUR, 2)])
    assert folded.verdicts[-2:] == ["superseded", "duplicate"]
    row = folded.rows.get(copy_key("A", "web"))
    assert isinstance(row, Copy)
    assert (row.version, row.quantity) == (2, 9)


def test_what_a_channel_shows_is_compared_with_the_version_it_applied() -> None:
    folded = Folded([received(0, 10, channel="web"), ack(0, 1), sold(HOUR, 4), shown(HOUR, 10)])
    assert standing(folded) == {}
    folded.send(ack(HOUR + 1, 2))
    folded.send(shown(2 * HOUR, 10))
    assert standing(folded) == {"CHANNEL": (6, 10)}
    folded.send(shown(3 * HOUR, 6))
    assert standing(folded) == {}


def test_a_report_that_names_its_version_acknowledges_it() -> None:
    folded = Folded([received(0, 10, channel="web"), ack(0, 1), sold(HOUR, 4), shown(HOUR, 5, version=2)])
    assert standing(folded) == {"CHANNEL": (6, 5)}
    assert exposure(folded)[-1][0] == "closed"
    assert folded.send(shown(HOUR - 1, 7)).verdict == "superseded"


def test_answers_are_remembered_up_to_a_bound() -> None:
    folded = Folded([received(0, 500, channel="web"), ack(0, 1)])
    for n in range(100):
        folded.send(sold(HOUR + n, 1))
    row = folded.rows.get(copy_key("A", "web"))
    assert isinstance(row, Copy)
    assert len(row.published) == 64
    folded.send(ack(2 * HOUR, 3))
    assert exposure(folded)[-1] == ("closed", 100)  # how much version 3 was, nobody knows any more


def test_an_acknowledgement_of_another_epoch_says_no_figure() -> None:
    folded = Folded([received(0, 10, channel="web"), ack(0, 1, epoch=4), sold(HOUR, 4)])
    row = folded.rows.get(copy_key("A", "web"))
    assert isinstance(row, Copy)
    assert row.quantity is None
    assert exposure(folded) == []


# Closed counts --------------------------------------------------------------------------------------------


def counted(at: int, units: int, sku: str) -> Any:
    paper = Document("count", "C-1", {"A": 1, "B": 2, "C": 3}[sku])
    return make(CountRecorded, at, quantity=units, sku=sku, source="store", document=paper, as_of=EIGHT + HOUR)


def closing(at: int) -> Any:
    paper = Document("count", "C-1", 99)
    return make(CountClosed, at, sku="", source="store", document=paper, as_of=EIGHT + HOUR)


def on_hand(folded: Folded) -> dict[str, int]:
    return {f"{sku}@{place}": row.on_hand for (sku, place), row in folded.positions().items()}


STOCK = [
    received(0, 5, sku="A"),
    received(0, 6, sku="B"),
    received(0, 7, sku="C"),
    received(0, 8, sku="C", location="S2"),
]
LATER = sold(2 * HOUR, 1, sku="B")


def test_what_a_full_count_did_not_list_is_not_there() -> None:
    folded = Folded([*STOCK, LATER, counted(HOUR, 4, "A"), counted(HOUR, 7, "C"), closing(3 * HOUR)])
    assert on_hand(folded) == {"A@S1": 4, "B@S1": -1, "C@S1": 7, "C@S2": 8}
    assert folded.send(closing(3 * HOUR)).verdict == "duplicate"


def test_a_line_that_comes_after_the_closing_withdraws_its_zero() -> None:
    before = Folded([*STOCK, LATER, counted(HOUR, 4, "A"), counted(HOUR, 6, "B"), counted(HOUR, 7, "C"), closing(HOUR)])
    after = Folded([*STOCK, LATER, counted(HOUR, 4, "A"), closing(HOUR), counted(HOUR, 6, "B"), counted(HOUR, 7, "C")])
    assert on_hand(after) == on_hand(before) == {"A@S1": 4, "B@S1": 5, "C@S1": 7, "C@S2": 8}
    assert standing(after) == standing(before) == {"COUNT": (5, 4)}
    assert +after.erp == +before.erp


# Master data ----------------------------------------------------------------------------------------------


def dates(folded: Folded) -> list[str]:
    return [line.business_date for line in folded.effects if isinstance(line, ErpLine)]


def test_the_trading_day_is_that_of_the_location() -> None:
    late = 15 * HOUR + 30 * MINUTE  # 23:30 in UTC
    berlin = make(MasterChanged, 0, sku="", attributes={"zone": "Europe/Berlin"})
    night = make(MasterChanged, 0, sku="", location="BAR", attributes={"zone": "Europe/Berlin", "cut_off": "04:00"})
    folded = Folded([berlin, night, sold(late, 1), sold(late, 1, location="BAR"), sold(late, 1, location="S2")])
    assert dates(folded) == ["2026-11-21", "2026-11-20", "2026-11-20"]


def test_master_data_of_all_locations_holds_where_a_location_states_nothing() -> None:
    every = make(MasterChanged, 0, sku="", location="", attributes={"zone": "Asia/Tokyo"})
    folded = Folded([every, sold(8 * HOUR, 1)])
    assert dates(folded) == ["2026-11-21"]


def test_master_data_has_versions() -> None:
    one = make(MasterChanged, 0, sku="", attributes={"zone": "Asia/Tokyo"})
    two = replace(one, rev=1, attributes={"zone": "UTC"})
    folded = Folded([two, one, two, replace(two, attributes={"zone": "Asia/Tokyo"}), sold(8 * HOUR, 1)])
    assert folded.verdicts == ["folded", "superseded", "duplicate", "conflict", "folded"]
    assert dates(folded) == ["2026-11-20"]


# Sources --------------------------------------------------------------------------------------------------


def gap(kind: type, at: int, begin: int, end: int) -> Any:
    return make(kind, at, sku="", location="", source="pos:1", from_seq=begin, to_seq=end)


def test_missing_messages_are_a_variance_until_they_come() -> None:
    folded = Folded([gap(SequenceGapOpened, 0, 5, 9), gap(SequenceGapOpened, 0, 5, 9)])
    assert folded.verdicts == ["folded", "duplicate"]
    assert standing(folded) == {"COMPLETENESS": (5, 0)}
    folded.send(gap(SequenceGapClosed, HOUR, 6, 7))
    assert sorted(v.expected for v in folded.variances.values() if v.status == "open") == [1, 2]
    folded.send(gap(SequenceGapClosed, HOUR, 1, 20))
    assert standing(folded) == {}


def test_a_mark_never_goes_back() -> None:
    def mark(at: int, seq: int) -> Any:
        return make(SourceMark, at, sku="", location="", source="pos:1", through_seq={"pos:1": seq})

    folded = Folded([mark(0, 7), mark(HOUR, 5), mark(HOUR, 5)])
    assert folded.verdicts == ["folded", "folded", "duplicate"]
    ((_, row),) = folded.rows_of("g|feed|pos:1")
    assert isinstance(row, Feed)
    assert (row.through, row.interval) == ({"pos:1": 7}, HOUR)


# Counts that left picked goods out ------------------------------------------------------------------------


def counted_without_picks(at: int, units: int) -> Any:
    return make(CountRecorded, at, quantity=units, source="store", excludes="picked")


def picked(at: int, units: int, order: str = "O-1") -> Any:
    return make(PickConfirmed, at, quantity=units, order=Ref(order, 1))


def test_goods_picked_and_not_counted_are_not_lost() -> None:
    taken = make(ReservationPlaced, 0, quantity=4, order=Ref("O-1", 1))
    shipped = make(ShipmentConfirmed, 3 * HOUR, quantity=1, order=Ref("O-1", 1))
    gone = make(ShipmentConfirmed, 2 * HOUR, quantity=1, order=Ref("O-1", 1))
    events = [received(0, 10), taken, picked(HOUR, 3), gone, counted_without_picks(2 * HOUR + MINUTE, 7), shipped]
    for order in permutations(range(1, 6)):
        folded = Folded([events[0], *(events[n] for n in order)])
        assert standing(folded) == {}, order
        assert on_hand(folded) == {"A@S1": 8}, order


def test_a_pick_that_comes_late_or_is_corrected_restates_the_count() -> None:
    pick = picked(HOUR, 3)
    folded = Folded([received(0, 10), counted_without_picks(2 * HOUR, 7)])
    assert standing(folded) == {"COUNT": (10, 7)}
    folded.send(pick)
    assert standing(folded) == {}
    folded.send(replace(pick, rev=1, quantity=1))
    assert standing(folded) == {"COUNT": (10, 8)}
    assert on_hand(folded) == {"A@S1": 8}


# What was announced ---------------------------------------------------------------------------------------


def shipped(at: int, units: int, **given: Any) -> Any:
    return make(AsnShipped, at, quantity=units, source="vendor", purchase_order=Ref("PO-1", 1), **given)


def came(at: int, units: int, **given: Any) -> Any:
    return received(at, units, purchase_order=Ref("PO-1", 1), **given)


def test_what_has_not_come_yet_is_no_variance() -> None:
    folded = Folded([tick(0), shipped(0, 10, eta="2026-11-21"), came(HOUR, 4), tick(5 * DAY)])
    assert standing(folded) == {}


def test_a_final_receipt_below_what_was_shipped_is_short_and_one_above_it_over() -> None:
    folded = Folded([shipped(0, 10), came(HOUR, 4), came(2 * HOUR, 3, final=True)])
    assert standing(folded) == {"ASN": (10, 7)}
    assert next(iter(folded.variances.values())).cause_hint.startswith("short")
    folded.send(came(3 * HOUR, 3))
    assert standing(folded) == {}
    folded.send(came(3 * HOUR, 1))
    assert standing(folded) == {"ASN": (10, 11)}
    folded.send(shipped(4 * HOUR, 1))  # the notice came after the goods
    assert standing(folded) == {}


def test_a_shipment_past_its_grace_is_late() -> None:
    events = [policy(grace_hours=12), tick(0), shipped(0, 10, eta="2026-11-21"), came(HOUR, 4)]
    folded = Folded([*events, tick(52 * HOUR - MINUTE)])
    assert standing(folded) == {}
    folded.send(tick(52 * HOUR))
    assert standing(folded) == {"ASN": (10, 4)}
    assert next(iter(folded.variances.values())).cause_hint.startswith("late")
    folded.send(came(53 * HOUR, 6))
    assert standing(folded) == {}


def test_a_transfer_past_its_grace_is_a_variance_until_it_comes() -> None:
    out = make(TransferShipped, 0, quantity=5, to_location="S2", transfer=Ref("X-1", 1), eta="2026-11-21")
    got = make(TransferReceived, 60 * HOUR, quantity=3, location="S2", transfer=Ref("X-1", 1))
    folded = Folded([policy(grace_hours=12), received(0, 10), tick(0), out, tick(51 * HOUR)])
    assert standing(folded) == {}
    folded.send(tick(52 * HOUR))
    assert standing(folded) == {"TRANSFER": (5, 0)}
    folded.send(tick(60 * HOUR))
    folded.send(got)
    assert standing(folded) == {"TRANSFER": (5, 3)}
    folded.send(replace(got, document=Document("doc", "rest", 1), quantity=2))
    assert standing(folded) == {}


# Confidence -----------------------------------------------------------------------------------------------


def hourly(folded: Folded, first: int, hours: int) -> None:
    for hour in range(first, first + hours):
        folded.send(tick(hour * HOUR))


def trust(folded: Folded) -> tuple[int, int, int]:
    """Confidence and ATP of the node, and of the network."""
    node = folded.answers["node|A|S1"]
    return node.confidence, node.atp, folded.answers["all|A"].atp


def test_without_a_policy_every_position_is_trusted() -> None:
    folded = Folded([tick(0), received(0, 100), sold(HOUR, 101), snapshot(HOUR, 7)])
    hourly(folded, 2, 30)
    assert trust(folded) == (100, 0, 0)
    assert not any(key.startswith("i|") and "trust" in key for key, _ in folded.rows.scan("i|"))


def test_trust_fades_until_somebody_looks() -> None:
    folded = Folded([policy(verify_days=10), tick(0), received(0, 100)])
    hourly(folded, 1, 49)
    assert trust(folded) == (82, 100, 100)
    assert folded.answers["node|A|S1"].reasons == ("not verified for 2 days (82 %)",)
    folded.send(make(CountRecorded, 50 * HOUR, quantity=99, source="store"))
    assert trust(folded) == (100, 99, 99)


def test_what_is_not_trusted_is_held_back_by_tiers_and_counted() -> None:
    folded = Folded([policy(verify_days=10, haircuts=True), tick(0), received(0, 100, channel="web")])
    seen = {}
    for day in range(1, 7):
        hourly(folded, 24 * day, 3)
        level, atp, network = trust(folded)
        assert atp == network
        seen[day] = (level, atp)
    assert seen == {1: (90, 95), 2: (81, 95), 3: (73, 85), 4: (66, 85), 5: (60, 85), 6: (54, 0)}
    advice = folded.rows.get("w|A|count|S1")
    assert isinstance(advice, Advice)
    assert advice.status == "proposed"
    folded.send(make(CountRecorded, 147 * HOUR, quantity=100, source="store"))
    assert trust(folded) == (100, 100, 100)


def test_every_doubt_has_its_factor() -> None:
    events = [policy(verify_days=3650), tick(0), received(0, 5), sold(0, 1), snapshot(1, 9)]
    folded = Folded(events)
    hourly(folded, 1, 2)
    assert folded.answers["node|A|S1"].reasons == ("a difference of kind ERP stands (70 %)",)
    folded.send(gap(SequenceGapOpened, 2 * HOUR, 5, 9))
    folded.send(sold(2 * HOUR, 7))
    hourly(folded, 3, 2)
    assert folded.answers["node|A|S1"].confidence == 28  # 70 % of 80 % of 50 %
    assert len(folded.answers["node|A|S1"].reasons) == 3


def test_a_source_that_is_silent_for_longer_than_it_is_wont_to_is_doubted() -> None:
    marks = [make(SourceMark, hour * HOUR, sku="", location="", source="pos:1") for hour in (0, 1)]
    folded = Folded([policy(verify_days=3650), tick(0), received(0, 5), sold(0, 1), *marks])
    hourly(folded, 1, 2)
    assert folded.answers["node|A|S1"].confidence == 100
    hourly(folded, 3, 3)
    assert folded.answers["node|A|S1"].reasons == ("pos:1 has been silent for longer than it is wont to (50 %)",)


def test_goods_that_used_to_sell_and_do_not_any_more_may_be_gone() -> None:
    sales = [sold(n * 10 * MINUTE, 1) for n in range(8)]
    events = [policy(verify_days=3650), tick(0), received(-1, 50), *sales]
    closed = Folded(events)
    hourly(closed, 2, 30)
    assert closed.answers["node|A|S1"].confidence == 100  # nobody knows when the store is open
    hours = make(MasterChanged, 0, sku="", attributes={"zone": "UTC", "opens": "08:00", "closes": "20:00"})
    folded = Folded([hours, *events])
    hourly(folded, 2, 2)
    soon = folded.answers["node|A|S1"]
    hourly(folded, 4, 5)
    later = folded.answers["node|A|S1"]
    hourly(folded, 14, 9)  # the store is closed
    assert 30 < soon.confidence < 80
    assert 5 < later.confidence < 50
    assert later.reasons[0].startswith("no sale for")
    before = folded.answers["node|A|S1"].confidence
    hourly(folded, 13, 1)
    assert folded.answers["node|A|S1"].confidence == before
    folded.send(sold(25 * HOUR, 1))
    hourly(folded, 26, 2)
    assert folded.answers["node|A|S1"].confidence > later.confidence


def test_picks_that_fail_are_doubts() -> None:
    failed = make(PickFailed, 0, quantity=5, order=Ref("O-1", 1))
    folded = Folded([policy(verify_days=3650), tick(0), received(0, 50), picked(0, 5), failed])
    hourly(folded, 1, 2)
    assert folded.answers["node|A|S1"].reasons == ("5 units not found by picks (83 %)",)


@given(st.lists(st.integers(0, 100), max_size=6))
def test_confidence_is_a_product_rounded_once(factors: list[int]) -> None:
    level, reasons = confidence([(factor, "why") for factor in factors])
    exact = 100 * math.prod((Fraction(factor, 100) for factor in factors), start=Fraction(1))
    assert abs(level - exact) <= Fraction(1, 2)
    assert len(reasons) == len(factors)


def test_a_haircut_takes_a_few_units_at_least_and_never_more_than_there_are() -> None:
    assert [withheld(units, 5) for units in (0, 1, 10, 21, 100)] == [0, 1, 1, 2, 5]
    assert [withheld(units, 15) for units in (0, 1, 10, 21, 100)] == [0, 1, 2, 4, 15]
    assert [haircut(level) for level in (100, 95, 94, 80, 79, 60, 59, 0)] == [0, 0, 5, 5, 15, 15, 100, 100]
