"""What channels are told: never a version with two contents, never too little, the same however batches are cut."""

from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from atp.effects import AvailabilityChanged, RiskChanged
from streams.driver import Output, TopologyDriver

Json = dict[str, Any]


def line(type_: str, number: int, minute: int, **fields: Any) -> Json:
    return {
        "type": type_, "source": "test", "document": {"type": "paper", "id": f"{type_}-{number}", "line": 1},
        "event_time": f"2026-11-20T{9 + minute // 60:02}:{minute % 60:02}:00Z", **fields,
    }  # fmt: skip


def policy(number: int, **fields: Any) -> Json:
    return line("PolicyChanged", number, 0, channel="web", policy=fields)


def stock(quantity: int = 100) -> Json:
    return line("GoodsReceived", 1, 0, sku="CHAIR", location="S1", quantity=quantity)


def sale(number: int, quantity: int, minute: int = 1) -> Json:
    return line("SaleRecorded", number, minute, sku="CHAIR", location="S1", channel="web", quantity=quantity)


def told(driver: TopologyDriver, channel: str = "web") -> list[tuple[int, int]]:
    """(version, units) of every record that the channel got."""
    return [
        (one.version, one.atp)
        for one in driver.effects
        if isinstance(one, AvailabilityChanged) and one.channel == channel
    ]


def play(*lines: Json) -> TopologyDriver:
    driver = TopologyDriver()
    for one in lines:
        driver.send_json(one)
    return driver


def test_small_changes_are_held_back_until_they_add_up() -> None:
    driver = play(policy(1, publish_units=5, low_at=10), stock(), *(sale(n, 2) for n in range(1, 8)))
    assert told(driver) == [(1, 100), (4, 94), (7, 88)]
    # The other channel, of which no policy speaks, hears everything.
    assert [units for _, units in told(driver, "all")] == [100, 98, 96, 94, 92, 90, 88, 86]
    assert driver.show("CHAIR")["availability"][1]["atp"] == 86


def test_the_greater_of_units_and_percent_holds() -> None:
    driver = play(policy(1, publish_units=2, publish_percent=10), stock(), *(sale(n, 3) for n in range(1, 9)))
    assert [units for _, units in told(driver)] == [100, 88, 79]


def test_what_a_channel_must_know_is_told_at_once() -> None:
    driver = play(policy(1, publish_units=50, low_at=10), stock(), sale(1, 89), sale(2, 1), sale(3, 9), sale(4, 1))
    assert [units for _, units in told(driver)] == [100, 11, 10, 0]
    driver.send_json(line("GoodsReceived", 2, 2, sku="CHAIR", location="S1", quantity=1))
    assert told(driver)[-1][1] == 1


def test_a_risk_that_opens_brings_out_what_was_held_back() -> None:
    driver = play(policy(1, publish_units=50, lag_s=3600), stock(30), *(sale(n, 2, n) for n in range(1, 7)))
    assert [units for _, units in told(driver)] == [30]
    driver.tick("2026-11-20T09:07:00Z")
    assert any(isinstance(one, RiskChanged) and one.kind == "imminent" for one in driver.effects)
    assert told(driver) == [(1, 30), (7, 18)]


def test_a_policy_that_ends_brings_out_what_was_held_back() -> None:
    driver = play(policy(1, publish_units=50), stock(), sale(1, 1))
    assert told(driver) == [(1, 100)]
    driver.send_json({**policy(1, buffer=0), "rev": 1})
    assert told(driver)[-1][1] == 99
    assert not any(key.startswith("f|") for key in driver.snapshot())


def test_the_last_answer_is_told_again_before_it_is_too_old() -> None:
    driver = play(policy(1, ttl_s=60), stock())
    driver.tick("2026-11-20T09:00:00Z")
    before = records(driver)
    assert len(before) == 1
    for second in (29, 30, 31, 59, 60, 61):
        driver.tick(f"2026-11-20T09:{second // 60:02}:{second % 60:02}Z")
    assert len(records(driver)) == 3
    assert {one.value for one in records(driver)} == {before[0].value}
    driver.send_json(sale(1, 1, 3))
    assert told(driver)[-1] == (2, 99)


def test_what_was_held_back_is_told_when_the_last_answer_grows_old() -> None:
    driver = play(policy(1, ttl_s=60, publish_units=50), stock())
    driver.tick("2026-11-20T09:00:00Z")
    driver.send_json(sale(1, 1))
    assert told(driver) == [(1, 100)]
    driver.tick("2026-11-20T09:01:00Z")
    driver.tick("2026-11-20T09:02:00Z")
    assert told(driver) == [(1, 100), (2, 99), (2, 99)]
    assert len({one.value for one in records(driver)}) == 2


def test_for_a_kit_the_topology_of_kits_answers_alone() -> None:
    driver = play(policy(1, ttl_s=60, publish_units=50), stock(), sale(1, 1))
    driver.send_json(line("MasterChanged", 1, 2, kit="CHAIR", components={"LEG": 4}))
    driver.tick("2026-11-20T09:05:00Z")
    before = told(driver)
    driver.send_json(sale(2, 60, 6))
    for minute in range(7, 12):
        driver.tick(f"2026-11-20T09:{minute:02}:00Z")
    assert told(driver) == before
    assert not any(key.startswith("f|") for key in driver.snapshot())


def test_a_policy_that_begins_is_answered_with_a_version_of_its_own() -> None:
    driver = play(stock(), sale(1, 1), policy(1, ttl_s=60))
    driver.tick("2026-11-20T09:01:00Z")
    driver.tick("2026-11-20T09:02:00Z")
    versions = [version for version, _ in told(driver)]
    assert versions == sorted(versions)
    assert versions[-1] == versions[-2] > versions[0]
    assert_one_content_each(driver)


def records(driver: TopologyDriver, channel: str = "web") -> list[Output]:
    return [one for one in driver.outputs["availability"] if one.key.startswith(f"{channel}|".encode())]


def assert_one_content_each(driver: TopologyDriver) -> None:
    contents: dict[tuple[str, int], str] = {}
    for one in driver.effects:
        if isinstance(one, AvailabilityChanged):
            assert contents.setdefault((one.key, one.version), repr(one)) == repr(one)


SENT = st.lists(
    st.one_of(
        st.integers(1, 12).map(lambda units: ("sale", units)),
        st.integers(1, 20).map(lambda units: ("receipt", units)),
        st.integers(1, 40).map(lambda seconds: ("tick", seconds)),
        st.sampled_from([("policy", {"publish_units": 7}), ("policy", {"ttl_s": 30}), ("policy", {"buffer": 1})]),
    ),
    max_size=40,
)


@settings(max_examples=60)
@given(SENT, st.integers(1, 7))
def test_batches_change_nothing_and_nobody_is_told_too_little(sent: list[tuple[str, Any]], size: int) -> None:
    one, other = TopologyDriver(), TopologyDriver(batch_size=size)
    for driver in (one, other):
        second = 0
        driver.send_json(policy(0, publish_units=5, publish_percent=10, ttl_s=60))
        driver.send_json(stock())
        for number, (what, value) in enumerate(sent, 10):
            second += value if what == "tick" else 0
            if what == "tick":
                driver.tick(f"2026-11-20T09:{second // 60:02}:{second % 60:02}Z")
            elif what == "policy":
                driver.send_json(policy(number, **value))
            elif what == "sale":
                driver.send_json(sale(number, value))
            else:
                driver.send_json(line("GoodsReceived", number, 1, sku="CHAIR", location="S1", quantity=value))
        driver.flush()
        assert_one_content_each(driver)
    assert one.snapshot() == other.snapshot()
    if told(one):
        assert told(one)[-1] == told(other)[-1]
    state = next(c for c in one.show("CHAIR")["availability"] if c["channel"] == "web")
    last = [e for e in one.effects if isinstance(e, AvailabilityChanged) and e.channel == "web"][-1]
    assert last.status == state["status"]
    assert (last.atp == 0) == (state["atp"] == 0)
    assert abs(last.atp - state["atp"]) < max(7, -(-last.atp // 10)) or last.atp == state["atp"]


def test_what_takes_stock_off_sale_is_published_first() -> None:
    driver = TopologyDriver(batch_size=100)
    web, shop = (
        line("PolicyChanged", number, 0, channel=name, policy={"locations": [place]})
        for number, name, place in ((1, "web", "S1"), (2, "a-shop", "S2"))
    )
    for one in (web, shop, stock(10)):
        driver.send_json(one)
    driver.flush()
    before = len(driver.outputs["availability"])
    driver.send_json(line("GoodsReceived", 2, 1, sku="CHAIR", location="S2", quantity=10))
    driver.send_json(sale(1, 10))
    driver.flush()
    said = [one.key for one in driver.outputs["availability"][before:]]
    assert said.index(b"web|CHAIR") < said.index(b"a-shop|CHAIR")
    assert said.index(b"node|CHAIR|S1") < said.index(b"node|CHAIR|S2")
