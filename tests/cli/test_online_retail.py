"""The mapping of the public data set, line by line."""

import gzip
import json
from collections import Counter
from datetime import UTC, datetime
from pathlib import Path

import pytest
from typer.testing import CliRunner

from atp.errors import PoisonError
from atp.events import (
    SECOND,
    Document,
    Event,
    FinancialOnly,
    ReturnDispositioned,
    ReturnReceived,
    SaleRecorded,
    StockAdjusted,
)
from avro_schemas.public_json import parse_line
from cli.import_ import import_app
from cli.online_retail import open_file, read_lines, shuffled, told

FILE = Path(__file__).with_name("online_retail.csv")


def read(**options: int) -> list[Event]:
    raw, text = open_file(FILE)
    with raw:
        return [event for group in told(read_lines(text), **options) for event in group]


def at(text: str) -> int:
    return int(datetime.fromisoformat(text).replace(tzinfo=UTC).timestamp()) * SECOND


def of(events: list[Event], kind: type) -> list[Event]:
    return [event for event in events if type(event) is kind]


def test_every_line_is_told_under_its_invoice_and_position() -> None:
    events = read()
    told_lines = {(event.document.id, event.document.line) for event in events}
    assert len(told_lines) == 12
    assert ("536365", 1) in told_lines
    assert ("536365", 3) in told_lines
    assert ("C536379", 2) in told_lines
    keys = Counter((event.source, event.document, type(event), event.sku) for event in events)
    assert set(keys.values()) == {1}


def test_a_line_of_stock_is_a_sale_through_the_channel_online() -> None:
    assert of(read(), SaleRecorded) == [
        SaleRecorded(
            source="online-retail",
            document=Document("invoice", invoice, line),
            event_time=at(time),
            sku=sku,
            location=location,
            channel="online",
            quantity=quantity,
        )
        for invoice, line, time, sku, location, quantity in (
            ("536365", 1, "2010-12-01T08:26:00", "85123A", "United Kingdom", 6),
            ("536365", 2, "2010-12-01T08:26:00", "71053", "United Kingdom", 6),
            ("536366", 1, "2010-12-01T08:28:00", "85123A", "France", 2),
            ("536366", 2, "2010-12-01T08:28:00", "15056BL", "France", 3),
        )
    ]


def test_an_invoice_that_begins_with_c_is_a_return_sellable_at_once() -> None:
    received, inspected = of(read(), ReturnReceived), of(read(), ReturnDispositioned)
    assert [(e.sku, e.location, e.quantity, e.document) for e in received] == [
        ("85123A", "United Kingdom", 1, Document("return", "C536379", 1))
    ]
    (found,) = inspected
    assert isinstance(found, ReturnDispositioned)
    assert (found.disposition, found.quantity, found.document) == (
        "sellable",
        1,
        Document("inspection", "C536379", 1),
    )
    assert found.event_time == received[0].event_time == at("2010-12-01T09:41:00")


def test_a_negative_quantity_elsewhere_is_an_adjustment_with_its_reason() -> None:
    assert [(e.sku, e.quantity, e.reason) for e in of(read(), StockAdjusted)] == [
        ("71053", -10, "unspecified"),
        ("71053", -2, "damaged"),
    ]


def test_what_is_no_stock_moves_money_only() -> None:
    found = {(e.sku, e.quantity) for e in of(read(), FinancialOnly)}
    assert found == {("POST", 1), ("D", 1), ("B", 1), ("GIFT_0001_20", 1), ("22139A1", 4)}


def test_opening_stock_comes_once_a_position_just_before_its_first_event() -> None:
    events = read(opening_stock=100)
    openings = {(e.sku, e.location): (n, e) for n, e in enumerate(events) if e.reason == "opening"}
    assert set(openings) == {
        ("85123A", "United Kingdom"),
        ("71053", "United Kingdom"),
        ("85123A", "France"),
        ("15056BL", "France"),
    }
    for place, (n, opening) in openings.items():
        others = [e for e in events if (e.sku, e.location) == place and e is not opening]
        assert opening.quantity == 100
        assert opening.event_time == min(e.event_time for e in others) - SECOND
        assert events[n + 1] is others[0]


def test_every_nth_line_comes_twice() -> None:
    once, twice = read(), read(duplicate_every=3)
    assert len(of(twice, SaleRecorded)) == len(of(once, SaleRecorded))
    again = [key for key, n in Counter((e.document, type(e)) for e in twice).items() if n == 2]
    # Lines 3, 6, 9 and 12; line 6 is a return, which is two events.
    assert sorted((document.id, document.line, kind.__name__) for document, kind in again) == [
        ("536365", 3, "FinancialOnly"),
        ("536996", 1, "StockAdjusted"),
        ("536998", 1, "FinancialOnly"),
        ("C536379", 1, "ReturnDispositioned"),
        ("C536379", 1, "ReturnReceived"),
    ]


def test_a_shuffle_stays_in_its_window_and_comes_again_by_its_seed() -> None:
    groups = [(event,) for event in read()]
    one, same, other = (list(shuffled(groups, 4, seed)) for seed in (1, 1, 2))
    assert one == same != other
    plain = [event for (event,) in groups]
    for start in range(0, len(plain), 4):
        window = {id(event) for event in plain[start : start + 4]}
        assert {id(event) for event in one[start : start + 4]} == window
    assert list(shuffled(groups, 0, 1)) == plain


def test_gzipped_or_plain_is_the_same(tmp_path: Path) -> None:
    packed = tmp_path / "online-retail.csv.gz"
    packed.write_bytes(gzip.compress(FILE.read_bytes()))
    raw, text = open_file(packed)
    with raw:
        assert [e for group in told(read_lines(text)) for e in group] == read()


def test_what_is_written_as_json_can_be_published(tmp_path: Path) -> None:
    out = tmp_path / "events.jsonl"
    result = CliRunner().invoke(
        import_app, ["online-retail", str(FILE), "--to", str(out), "--opening-stock", "5", "--json"]
    )
    assert result.exit_code == 0, result.output
    lines = out.read_text().splitlines()
    assert [event for line in lines for event in parse_line(line)] == read(opening_stock=5)
    report = json.loads(result.stdout)
    assert report["events"] == len(lines) == 17
    assert report["types"] == {
        "FinancialOnly": 5,
        "ReturnDispositioned": 1,
        "ReturnReceived": 1,
        "SaleRecorded": 4,
        "StockAdjusted": 6,
    }


@pytest.mark.parametrize("options", [[], ["--to", "x.jsonl", "--publish"]])
def test_the_events_go_to_one_place(options: list[str]) -> None:
    result = CliRunner().invoke(import_app, ["online-retail", str(FILE), *options])
    assert result.exit_code == 2
    assert "--to FILE.jsonl, --publish" in result.output


def test_a_bad_line_is_named() -> None:
    text = [*FILE.read_text().splitlines()[:2], "536365,22752,SET 7,two,2010-12-01T08:26:00,7.65,17850,France"]
    with pytest.raises(PoisonError, match="line 3 of the file"):
        list(read_lines(text))
    with pytest.raises(PoisonError, match="lacks the columns StockCode"):
        list(read_lines(["InvoiceNo,Description,Quantity,InvoiceDate,Country"]))
