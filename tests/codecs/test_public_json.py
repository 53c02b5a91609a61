"""The public JSON form: what is read, what is refused, and in which words."""

import json
from dataclasses import fields, replace
from fractions import Fraction
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from atp import events
from atp.events import Document, EventRef, PolicyFields, Ref
from atp.intake import read_units
from atp.limits import QUANTITY_MAX
from avro_schemas import codec
from avro_schemas.errors import UndecodableError
from avro_schemas.json_lines import read_lines
from avro_schemas.public_json import LINE_MAX, RefusedLineError, parse_line, to_json
from tests.codecs.strategies import EVENTS, any_event

DOCS = Path(__file__).resolve().parents[2] / "docs" / "events.md"
UNITS = read_units({"*": {"case": 12, "dozen": 12}, "CABLE-1": {"m": 1000, "ft": "1524/5"}})

SALE: dict[str, Any] = {
    "type": "SaleRecorded",
    "source": "pos:S1-R2",
    "document": {"type": "receipt", "id": "T-1", "line": 1},
    "sku": "A",
    "location": "S1",
    "quantity": 2,
    "event_time": "2026-11-20T09:05:00Z",
}
NOON = 1_795_176_000_000_000  # 2026-11-20T12:00:00Z


def sale(**changes: Any) -> dict[str, Any]:
    """A sale with some fields changed, and left out where they are `...`."""
    return {name: value for name, value in {**SALE, **changes}.items() if value is not ...}


def one(line: Any, **more: Any) -> Any:
    (event,) = parse_line(line, **more)
    return event


def problems(line: Any) -> list[str]:
    with pytest.raises(RefusedLineError) as caught:
        parse_line(line)
    return [str(one) for one in caught.value.problems]


def cause(line: Any) -> str:
    with pytest.raises(RefusedLineError) as caught:
        parse_line(line)
    return caught.value.cause


def documented() -> list[tuple[str, bool]]:
    """Return the lines of every example in the docs, and whether they need units."""
    found, within, with_units = [], False, False
    for line in DOCS.read_text().splitlines():
        if line.startswith("```"):
            within, with_units = line.startswith("```json"), "with-units" in line
        elif within:
            found.append((line, with_units))
    return found


# Both ways --------------------------------------------------------------------------------------------------


def told(event: Any) -> Any:
    """The event as reading tells it: a count says when it was so, where it was left to be understood."""
    if isinstance(event, events.CountRecorded) and event.as_of is None:
        return replace(event, as_of=event.event_time)
    if isinstance(event, events.Correction):
        return replace(event, replacement=told(event.replacement))
    return event


@given(any_event)
def test_what_is_told_in_json_is_understood(event: events.Event) -> None:
    assert parse_line(json.dumps(to_json(event))) == [told(event)]


@pytest.mark.parametrize(("line", "with_units"), documented())
def test_every_example_of_the_docs_can_be_published(line: str, with_units: bool) -> None:
    for event in parse_line(line, UNITS if with_units else {}):
        assert codec.decode_event(codec.encode(event)) == event
        assert parse_line(to_json(event)) == [event]


def test_the_docs_have_an_example_of_every_type() -> None:
    shown = {type(event).__name__ for line, _ in documented() for event in parse_line(line, UNITS)}
    assert shown == {kind.__name__ for kind in EVENTS}


def test_the_docs_name_every_field() -> None:
    text = DOCS.read_text()
    named = {field.name for kind in (*EVENTS, PolicyFields) for field in fields(kind)} - {"return_ref"}
    assert {name for name in named if f"`{name}`" not in text} == set()
    assert "`return`" in text


def test_the_docs_say_what_each_inbound_topic_takes() -> None:
    from topologies.intake import INBOUND  # noqa: PLC0415

    for inbound in INBOUND:
        taken = ", ".join(f"`{kind.__name__}`" for kind in inbound.takes)
        assert f"| `{inbound.topic.name}` | {taken} |" in DOCS.read_text()


# What is understood -----------------------------------------------------------------------------------------


def test_times_have_offsets_and_become_microseconds() -> None:
    assert one(sale(event_time="2026-11-20T12:00:00Z")).event_time == NOON
    assert one(sale(event_time="2026-11-20T14:00:00+02:00")).event_time == NOON
    assert one(sale(event_time="2026-11-20T07:30:00.000001-04:30")).event_time == NOON + 1


def test_names_are_composed() -> None:
    assert one(sale(sku="Cafe\u0301")).sku == "Caf\u00e9"


def test_a_count_says_when_it_was_so() -> None:
    count = sale(type="CountRecorded", quantity=0)
    assert one(count).as_of == one(count).event_time
    assert one({**count, "as_of": "2026-11-20T12:00:00Z"}).as_of == NOON


def test_a_tick_needs_no_document() -> None:
    tick = one({"type": "TimeTicked", "source": "clock", "event_time": "2026-11-20T12:00:00Z"})
    assert tick.document == Document("tick", "2026-11-20T12:00:00Z", 1)


def test_a_request_needs_no_document() -> None:
    request = sale(type="ReservationRequested", document=..., request_id="R-1", location=...)
    assert one(request).document == Document("request", "R-1", 1)
    assert one(to_json(one(request))) == one(request)
    assert one({**request, "document": SALE["document"]}).document == Document("receipt", "T-1", 1)
    assert problems({**request, "request_id": ...}) != []


def test_parameters_of_a_policy_are_read() -> None:
    terms = {"count_ordered": True, "till_is_handover": False, "reserves_at": "payment", "hold_s": 900}
    policy = one(sale(type="PolicyChanged", quantity=..., policy=terms)).policy
    assert policy == PolicyFields(count_ordered=True, till_is_handover=False, reserves_at="payment", hold_s=900)


def test_a_void_names_the_obvious() -> None:
    void = sale(type="SaleVoided", quantity=..., reverses={"document": SALE["document"]})
    assert one(void).reverses == EventRef("SaleRecorded", "pos:S1-R2", Document("receipt", "T-1", 1))


def test_a_replacement_leaves_out_what_it_shares() -> None:
    fixed = one(
        {
            "type": "Correction", "source": "office", "sku": "A", "event_time": "2026-11-20T13:00:00Z",
            "document": {"type": "correction", "id": "K", "line": 1},
            "reverses": {"type": "SaleRecorded", "source": "pos:S1-R2", "document": SALE["document"]},
            "replacement": {"location": "S2", "quantity": 1, "event_time": "2026-11-20T12:00:00Z"},
        }
    )  # fmt: skip
    assert fixed.replacement == one(sale(location="S2", quantity=1, event_time="2026-11-20T12:00:00Z"))


def test_a_document_of_many_lines() -> None:
    paper = {"type": "receipt", "id": "T-1"}
    lines = [{"sku": "A", "quantity": 1}, {"sku": "B", "quantity": 2, "location": "S2"}, {"line": 7, "sku": "C"}]
    first, second, third = parse_line(sale(document=paper, sku=..., lines=lines))
    assert [event.document.line for event in (first, second, third)] == [1, 2, 7]
    assert [(event.sku, event.quantity, event.location) for event in (first, second, third)] == [
        ("A", 1, "S1"), ("B", 2, "S2"), ("C", 2, "S1"),
    ]  # fmt: skip


# Units ------------------------------------------------------------------------------------------------------


def test_a_case_is_converted_and_its_figures_stay() -> None:
    event = one(sale(quantity=2, uom="case"), units=UNITS)
    assert (event.quantity, event.uom, event.uom_quantity) == (24, "case", "2")
    assert one(to_json(event)) == event


@pytest.mark.parametrize("base", ["each", "EA", "Each", "pcs"])
def test_the_base_unit_has_many_names(base: str) -> None:
    event = one(sale(uom=base))
    assert (event.quantity, event.uom) == (2, None)


def test_decimals_and_fractions_are_exact() -> None:
    assert one(json.dumps(sale(sku="CABLE-1", uom="m")).replace(" 2,", " 0.1,"), units=UNITS).quantity == 100
    assert one(sale(sku="CABLE-1", quantity="2.5", uom="ft"), units=UNITS).quantity == 762
    assert UNITS["CABLE-1"]["ft"] == Fraction(1524, 5)


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"uom": "pallet"}, "uom must be a base unit, or one with a known factor: 'pallet' has none for 'A'"),
        ({"uom": "case", "quantity": "0.7"}, "quantity must come to whole base units: 0.7 case are 42/5"),
        ({"uom": "case", "quantity": "1e999999999"}, "quantity must be a number, not '1e999999999'"),
        ({"uom": "case", "quantity": True}, "quantity must be a number, not 'True'"),
        ({"uom": "case", "quantity": None}, "quantity must be a number, not 'None'"),
        ({"uom": 12}, "uom must be a text"),
    ],
)
def test_units_that_do_not_come_out_are_refused(changes: dict[str, Any], said: str) -> None:
    with pytest.raises(RefusedLineError) as caught:
        parse_line(sale(**changes), UNITS)
    assert str(caught.value.problems[0]).startswith(said)


# What is refused --------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("line", "said"),
    [
        (sale(quantity=1.5), "quantity must be an integer, not 1.5"),
        (sale(quantity=True), "quantity must be an integer, not true"),
        (sale(quantity="2"), "quantity must be an integer, not the text '2'"),
        (sale(quantity=...), "quantity is missing"),
        (sale(type="CountRecorded", quantity=...), "quantity is missing"),
        (sale(sku=12), "sku must be a text, not 12"),
        (sale(sku=None), "sku must be a text, not null"),
        (sale(sku=""), "sku must not be empty"),
        (sale(sku=...), "sku is missing: SaleRecorded needs one"),
        (sale(location=...), "location is missing: SaleRecorded needs one"),
        (sale(document=...), "document is missing"),
        (sale(document={"type": "receipt", "id": "T-1"}), "document.line is missing"),
        (sale(document=["receipt", "T-1", 1]), "document must be an object, not a list"),
        (sale(type=...), "type is missing: it says what happened, like SaleRecorded"),
        (sale(type="SaleRecorderd"), "type must be a known event, not 'SaleRecorderd'; did you mean SaleRecorded?"),
        (sale(quantitty=2), "quantitty is unknown; did you mean quantity?"),
        (sale(order={"id": "O", "lin": 1}), "order.line is missing"),
        (sale(event_time="2026-11-20T09:05:00"), "event_time must be a time like 2026-11-20T09:05:00Z"),
        (sale(event_time=1795000000), "event_time must be a time like 2026-11-20T09:05:00Z"),
        (sale(event_time="2026-02-30T09:05:00Z"), "event_time must be a time like 2026-11-20T09:05:00Z"),
        (sale(rev=-1), "rev must be a number from 0"),
        (sale(type="SaleVoided", quantity=..., rev=1, reverses={"document": SALE["document"]}), "rev must be left out"),
        (sale(type="PolicyChanged", quantity=..., policy={"saftey_stock": 1}), "policy.saftey_stock is unknown; did"),
        (sale(type="PolicyChanged", quantity=..., policy={}), "policy must set at least one parameter"),
        (sale(type="PolicyChanged", quantity=..., policy={"share_percent": 101}), "policy.share_percent must be a"),
        (sale(type="MasterChanged", quantity=..., location=..., substitutes=["A"]),
         "substitutes must not name the SKU itself, A"),
        (sale(type="MasterChanged", quantity=..., location=..., substitutes=["B", "B"]),
         "substitutes must name each SKU once"),
        (sale(type="MasterChanged", quantity=..., substitutes=["B"]),
         "location must be left out beside substitutes: they stand in everywhere"),
        (sale(type="PolicyChanged", quantity=..., policy={"sells_ahead": "always"}),
         "policy.sells_ahead must be one of backorder, preorder, never, not 'always'"),
        (sale(type="PolicyChanged", quantity=..., policy={"reserves_at": "never"}),
         "policy.reserves_at must be one of cart, payment, release, not 'never'"),
        (sale(type="PolicyChanged", quantity=..., policy={"hold_s": -1}), "policy.hold_s must be a number from 0"),
        (sale(type="PolicyChanged", quantity=..., policy={"count_ordered": "no"}),
         "policy.count_ordered must be true or false, not the text 'no'"),
        (sale(type="ReservationRequested"), "request_id is missing"),
        (sale(type="ReservationRequested", document=...), "request_id is missing"),
        (sale(type="ReservationRequested", request_id=7, document=...), "request_id must be a text, not 7"),
        (sale(type="ReservationRequested", request_id="R", quantity=0), "quantity of ReservationRequested must be"),
        (sale(type="ReservationRequested", request_id="R", state="hard"), "state must be one of soft, firm, not"),
        (sale(type="ReservationRequested", request_id="R", partial="yes"), "partial must be true or false, not the"),
        (sale(type="ReservationRequested", request_id="R", expires_at="15m"), "expires_at must be a time like"),
        (sale(type="ReservationRequested", request_id="R", need_date="soon"), "need_date must be a day like"),
        (sale(type="ReservationRequested", request_id="R", need_date="2026-11-22|09:00"), "need_date must be a day"),
        (sale(type="ReservationDecided", request_id="R", decision="yes"),
         "decision must be one of accepted, partly, rejected, not 'yes'"),
        (sale(type="ReservationReleased"),
         'order is missing: ReservationReleased needs the line of the order that it is about, like {"id": "O-1"'),
        (sale(type="OrderCancelled", quantity=...), "order is missing: OrderCancelled needs the line of the order"),
        (sale(type="PickFailed", order={"id": "O-1"}), "order.line is missing"),
        (sale(type="OrderAllocated", order={"id": "O-1", "line": 1}, location=...), "location is missing: Order"),
        (sale(type="AllocationGranted"), "channel is missing: AllocationGranted needs the channel that it is about"),
        (sale(type="ChannelAck", channel="web"), "version is missing"),
        (sale(type="TransferApproved", to_location="S1"), "to_location must be another than location, S1"),
        (sale(type="PurchaseOrderPlaced", eta="31.12."), "eta must be a day like 2026-11-20, not '31.12.'"),
        (sale(type="PurchaseOrderPlaced", quantity=...), "quantity is missing"),
        (sale(lines=[]), "lines must be a list of 1 to"),
        (sale(lines=[{}]), "document.line must be left out beside lines"),
        (sale(document={"type": "r", "id": "1"}, lines=[{}, {"quantity": 0}]), "lines[1].quantity of SaleRecorded"),
        ("[]", "a line must be one JSON object, not a list"),
        ('{"type":', "a line must be one JSON object: "),
        ('{"type":"A","type":"B"}', "a line must be one JSON object: the field type is there twice"),
        ('{"quantity":NaN}', "a line must be one JSON object: NaN is no JSON"),
        (b"\xff\xfe", "a line must be UTF-8"),
        ("[" * 100_000, "a line must be one JSON object: nested too deeply"),
        ("1" * 10_000, "a line must be one JSON object: "),
    ],
)  # fmt: skip
def test_what_is_wrong_is_said(line: Any, said: str) -> None:
    assert [found for found in problems(line) if found.startswith(said)], problems(line)


def test_all_that_is_wrong_is_said_at_once() -> None:
    assert len(problems(sale(quantity=1.5, event_time="today", sku=7, colour="red"))) == 4


@given(
    st.recursive(
        st.none() | st.booleans() | st.integers() | st.text(),
        lambda inner: (
            st.lists(inner)
            | st.dictionaries(
                st.sampled_from([*SALE, "lines", "policy", "reverses", "replacement", "uom", "line"]), inner
            )
        ),
        max_leaves=10,
    )
)
def test_no_json_is_too_odd_to_be_refused(found: Any) -> None:  # fmt: skip
    try:
        parse_line(json.dumps(found))
    except RefusedLineError:
        return
    raise AssertionError(found)


@given(
    st.sampled_from(sorted({field.name for kind in EVENTS for field in fields(kind)})),
    st.sampled_from(EVENTS),
    st.data(),
)
def test_odd_values_in_good_lines_are_refused_or_understood(name: str, kind: type, data: st.DataObject) -> None:
    from tests.codecs.strategies import event_of  # noqa: PLC0415

    line = to_json(data.draw(event_of(kind)))
    line[name] = data.draw(
        st.none() | st.booleans() | st.integers() | st.text() | st.lists(st.integers()) | st.just({})
    )
    try:
        found = parse_line(json.dumps(line))
    except RefusedLineError:
        return
    assert [codec.decode_event(codec.encode(event)) for event in found] == found


# Bad input, one by one: the same at the edge and on the wire --------------------------------------------------


def refused_on_both_edges(line: dict[str, Any], **fields_of_event: Any) -> str:
    """Refuse the line, and the same event made by hand and encoded without asking; return the cause."""
    event = one(sale())
    for name, value in fields_of_event.items():
        setattr(event, name, value)
    with pytest.raises(UndecodableError) as caught:
        codec.decode_event(codec.encode(event))
    assert cause(line) == caught.value.cause
    return caught.value.cause


def test_a_zero_quantity() -> None:
    assert refused_on_both_edges(sale(quantity=0), quantity=0) == "out_of_range"


def test_a_negative_sale() -> None:
    assert refused_on_both_edges(sale(quantity=-1), quantity=-1) == "out_of_range"


def test_a_zero_in_a_revision_takes_the_line_back() -> None:
    assert one(sale(quantity=0, rev=1)).quantity == 0


def test_a_count_of_zero_is_good() -> None:
    assert one(sale(type="CountRecorded", quantity=0)).quantity == 0


def test_a_huge_quantity() -> None:
    assert refused_on_both_edges(sale(quantity=QUANTITY_MAX + 1), quantity=QUANTITY_MAX + 1) == "out_of_range"
    assert cause(sale(quantity=10**30)) == "out_of_range"


@pytest.mark.parametrize("time", ["1970-01-01T00:00:00Z", "9999-12-31T23:59:59Z", "0001-01-01T00:00:00+14:00"])
def test_times_that_stand_for_never(time: str) -> None:
    assert cause(sale(event_time=time)) == "out_of_range"


def test_times_that_stand_for_never_on_the_wire() -> None:
    assert refused_on_both_edges(sale(event_time="1970-01-01T00:00:00Z"), event_time=0) == "out_of_range"
    last = 253_402_300_799_000_000
    assert refused_on_both_edges(sale(event_time="9999-12-31T23:59:59Z"), event_time=last) == "out_of_range"


def test_an_unknown_disposition() -> None:
    line = sale(type="ReturnDispositioned", disposition="eaten")
    assert problems(line) == [
        "disposition must be one of sellable, damaged, quarantine, vendor_return, scrap, not 'eaten'"
    ]
    event = one({**line, "disposition": "scrap"})
    event.disposition = "eaten"
    with pytest.raises(UndecodableError, match="unknown_word"):
        codec.decode_event(codec.encode(event))


def test_a_sku_in_decomposed_form() -> None:
    """The edge composes it; whoever writes to the ledger directly must have done so."""
    event = one(sale())
    event.sku = "Cafe\u0301"
    with pytest.raises(UndecodableError, match="bad_name"):
        codec.decode_event(codec.encode(event))


def test_a_sku_from_right_to_left() -> None:
    event = one(sale(sku="\u05d7\u05d5\u05dc\u05e6\u05d4-1"))
    assert codec.decode_event(codec.encode(event)) == event


@pytest.mark.parametrize(
    "sku", ["A\x00B", "A\nB", "A|B", " A", "A ", "A" * 65, "A" * 10_000, "\x7f", "A\u2028B", "A\x85"]
)
def test_a_sku_that_is_none(sku: str) -> None:
    assert refused_on_both_edges(sale(sku=sku), sku=sku) == "bad_name"


def test_half_a_character() -> None:
    assert cause('{"type":"SaleRecorded","source":"s","sku":"\\ud800"}') in {"bad_name", "missing"}
    assert cause(json.dumps(sale(sku="\ud800"))) == "bad_name"
    assert cause(json.dumps(sale(reason="\udfff"))) == "bad_name"


def test_a_line_of_two_megabytes() -> None:
    assert cause(json.dumps(sale(reason="x" * 2_000_000))) == "too_large"


def test_a_correction_of_something_else() -> None:
    line = {
        "type": "Correction", "source": "office", "sku": "A", "event_time": "2026-11-20T13:00:00Z",
        "document": {"type": "correction", "id": "K", "line": 1},
        "reverses": {"type": "SaleRecorded", "document": SALE["document"]},
        "replacement": sale(sku="B"),
    }  # fmt: skip
    assert problems(line) == ["replacement must have the type, source, document and sku of the event that it replaces"]


# Streams of lines -------------------------------------------------------------------------------------------


def test_a_stream_is_read_line_by_line(tmp_path: Path) -> None:
    path = tmp_path / "day.jsonl"
    good = json.dumps(sale()).encode()
    path.write_bytes(b"\xef\xbb\xbf" + good + b"\r\n\n" + b"{}\n" + b"x" * (3 * LINE_MAX) + b"\n" + good)
    with path.open("rb") as stream:
        found = [(line.number, len(line.events), [one.cause for one in line.problems]) for line in read_lines(stream)]
    assert found == [(1, 1, []), (3, 0, ["missing"]), (4, 0, ["too_large"]), (5, 1, [])]


def test_references_are_read() -> None:
    event = one(sale(type="GoodsReceived", purchase_order={"id": "PO-1", "line": 2}, asn={"id": "N", "line": 0}))
    assert (event.purchase_order, event.asn) == (Ref("PO-1", 2), Ref("N", 0))
    assert one(sale(type="ReturnReceived", **{"return": {"id": "R", "line": 1}})).return_ref == Ref("R", 1)
