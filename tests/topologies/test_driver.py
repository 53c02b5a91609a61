"""The in-memory host itself: what a user's own tests may count on."""

import json

import pytest

from atp.effects import AvailabilityChanged, DeadLetter, ErpLine
from atp.errors import PoisonError
from avro_schemas import codec
from avro_schemas.public_json import parse_line
from streams.driver import TopologyDriver

RECEIPT = {
    "type": "GoodsReceived", "source": "wms:DC1", "document": {"type": "grn", "id": "G-1", "line": 1},
    "sku": "CHAIR", "location": "DC1", "quantity": 20, "event_time": "2026-11-20T08:00:00Z",
}  # fmt: skip
SALE = {
    "type": "SaleRecorded", "source": "pos:1", "document": {"type": "receipt", "id": "T-1", "line": 1},
    "sku": "CHAIR", "location": "DC1", "quantity": 3, "channel": "web", "event_time": "2026-11-20T09:00:00Z",
}  # fmt: skip


def test_tells_what_follows_from_an_event() -> None:
    driver = TopologyDriver(partitions=3)
    driver.send_json(RECEIPT)
    effects = driver.send_json(json.dumps(SALE))
    assert {e.key: e.atp for e in effects if isinstance(e, AvailabilityChanged)} == {
        "node|CHAIR|DC1": 17, "all|CHAIR": 17, "web|CHAIR": 17,
    }  # fmt: skip
    assert [(e.document_type, e.quantity) for e in effects if isinstance(e, ErpLine)] == [("GI_SALE", -3)]
    assert [(p["sku"], p["location"], p["on_hand"]) for p in driver.positions()] == [("CHAIR", "DC1", 17)]
    assert {a.channel: a.atp for a in driver.availability("CHAIR")} == {"all": 17, "web": 17}
    assert driver.availability("TABLE") == []
    assert driver.show("TABLE")["known"] is False


def test_outputs_are_the_bytes_that_readers_get() -> None:
    driver = TopologyDriver()
    driver.send_json(RECEIPT)
    assert [codec.decode(one.value) for topic in driver.outputs.values() for one in topic] == driver.effects
    assert {one.key for one in driver.outputs["availability"]} == {b"node|CHAIR|DC1", b"all|CHAIR"}


def test_what_can_mean_nothing_is_refused_before_the_ledger() -> None:
    driver = TopologyDriver()
    with pytest.raises(PoisonError, match="quantity"):
        driver.send_json({**SALE, "quantity": 0})
    assert driver.effects == []


def test_bad_records_become_dead_letters_and_the_rest_goes_on() -> None:
    driver = TopologyDriver(partitions=2, batch_size=3)
    here = driver.owner("CHAIR")
    driver.send_bytes(b"CHAIR", b"rubbish")
    driver.send_bytes(b"CHAIR", codec.encode(parse_line(RECEIPT)[0]), partition=1 - here)
    driver.send_bytes(b"TABLE", codec.encode(parse_line(RECEIPT)[0]))
    driver.send_json(RECEIPT)
    driver.flush()
    assert sorted(letter.cause for letter in driver.dead_letters()) == ["garbage", "misrouted", "misrouted"]
    assert driver.positions()[0]["on_hand"] == 20


def test_batches_coalesce_answers_and_keep_versions() -> None:
    one_by_one, at_once = TopologyDriver(), TopologyDriver(batch_size=100)
    for driver in (one_by_one, at_once):
        driver.send_json(RECEIPT)
        driver.send_json(SALE)
        driver.flush()
    assert [a.version for a in at_once.availability()] == [a.version for a in one_by_one.availability()] == [2, 1]
    assert len(at_once.outputs["availability"]) < len(one_by_one.outputs["availability"])
    assert at_once.snapshot() == one_by_one.snapshot()


@pytest.mark.parametrize("keep_cache", [True, False])
def test_a_restart_loses_nothing(keep_cache: bool) -> None:
    driver = TopologyDriver(batch_size=2)
    driver.send_json(RECEIPT)
    driver.tick("2026-11-20T08:30:00Z")
    driver.send_json(SALE)  # not committed yet
    assert driver.positions()[0]["on_hand"] == 20
    driver.restart(keep_cache=keep_cache)
    driver.flush()
    driver.send_json(SALE)
    driver.flush()
    assert driver.positions()[0]["on_hand"] == 17
    assert driver.verdicts == {"folded": 3, "duplicate": 1}
    assert {a.channel: a.version for a in driver.availability()} == {"all": 2, "web": 1}


def test_source_systems_send_documents() -> None:
    driver = TopologyDriver(partitions=2)
    ticket = {
        "type": "SaleRecorded", "source": "pos:1", "document": {"type": "receipt", "id": "T-9"}, "location": "S1",
        "event_time": "2026-11-20T09:00:00Z",
        "lines": [{"sku": "CHAIR", "quantity": 1}, {"sku": "TABLE", "quantity": 2}],
    }  # fmt: skip
    driver.receive("pos-sales", json.dumps(ticket).encode())
    assert {p["sku"]: p["on_hand"] for p in driver.positions()} == {"CHAIR": -1, "TABLE": -2}
    effects = driver.receive("pos-sales", json.dumps(RECEIPT).encode())
    assert [type(effect) for effect in effects] == [DeadLetter], "who may write sales may not write receipts"


def test_a_time_is_a_time() -> None:
    with pytest.raises(ValueError, match="2026-11-20T09:00:00Z"):
        TopologyDriver().tick("nine o'clock")


def test_what_is_refused_as_late_comes_with_a_line_that_puts_it_right() -> None:
    driver = TopologyDriver()
    driver.send_json(RECEIPT)
    driver.send_json({**SALE, "event_time": "2026-11-12T09:00:00Z"})
    (letter,) = driver.dead_letters()
    assert letter.cause == "late"
    assert driver.positions()[0]["on_hand"] == 20
    driver.send_json(letter.suggestion)
    driver.send_json(letter.suggestion)
    assert driver.positions()[0]["on_hand"] == 17
