"""More channels than the bits of a number."""

from streams.driver import TopologyDriver

CHANNELS = 130


def test_a_sku_may_be_sold_through_more_channels_than_a_number_has_bits() -> None:
    driver = TopologyDriver()
    common = {"sku": "CHAIR", "event_time": "2026-11-20T08:00:00Z"}
    document = {"type": "paper", "id": "G-1", "line": 1}
    driver.send_json(
        {"type": "GoodsReceived", "source": "wms", "document": document, "location": "S1", "quantity": 200, **common}
    )
    for number in range(CHANNELS):
        name = f"store {number:03}"
        driver.send_json(
            {
                "type": "ReservationRequested",
                "source": "shop",
                "document": {"type": "request", "id": name, "line": 1},
                "request_id": name,
                "channel": name,
                "quantity": 1,
                **common,
            }
        )
    driver.restart()
    assert driver.dead_letters() == []
    answers = {one.channel: one.atp for one in driver.availability()}
    assert len(answers) == CHANNELS + 1
    assert set(answers.values()) == {200 - CHANNELS}
