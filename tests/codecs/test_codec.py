"""Bytes and back: what is written is plain Avro, what is read is what was written, and nothing else is read at all."""

import io
import json
from dataclasses import fields, is_dataclass, replace
from pathlib import Path
from typing import Any, get_args

import fastavro
import pytest
from hypothesis import given
from hypothesis import strategies as st

from atp import book, effects, events
from atp.errors import PoisonError
from atp.events import Document, EventRef, Ref
from avro_schemas import codec
from avro_schemas.envelope import quick
from avro_schemas.errors import UndecodableError
from avro_schemas.generate import ROOMS, written
from avro_schemas.reader import reader
from avro_schemas.schemas import MAGIC, fingerprint, load, plain, released
from tests.codecs.strategies import EFFECTS, EVENTS, ROWS, any_effect, any_event, any_row

T = 1_795_165_500_000_000  # 2026-11-20T09:05:00Z

SALE = events.SaleRecorded(
    source="pos:S1-R2",
    document=Document("receipt", "T-1", 1),
    event_time=T,
    sku="A",
    location="S1",
    channel="store",
    quantity=2,
)
GOLDEN_SALE = (
    "12706f733a53312d5232 0e72656365697074 06542d31 02 809c869fb1acb006 00 0241 045331 0a73746f7265 04"
    " 00 00 00 00 00 00 00 00 00 00 00"
)
"""source; document type, id, line; event time; rev; sku; location; channel; quantity; eleven nulls."""
KEYS = {
    book.Clock: "g|clock", book.Policies: "g|policies", book.Summary: "s|A", book.Position: "p|A|S1",
    book.Transfer: "t|A|X-1|1", book.Timer: "d|0000000001|A|", book.Risk: "r|A|imminent|web", book.Evidence: "e|A|k",
    book.Claim: "c|A|O-1|1", book.Supply: "b|A|PO-1|1", book.Ring: "k|A|web", book.Network: "n|A",
    book.Bills: "o|K", book.Part: "u|A", book.Heard: "j|K|A", book.KitState: "y|K",
    book.Decision: "a|A|R-1", book.Told: "f|A|web",
    book.Masters: "l||S1", book.Feed: "g|feed|pos:1", book.Copy: "h|A|web", book.Variance: "v|A|ERP|S1",
    book.Case: "x|A|negative_stock|S1", book.Advice: "w|A|count|S1",
}  # fmt: skip


@given(any_event)
def test_an_event_is_read_as_it_was_written(event: events.Event) -> None:
    data = codec.encode(event)
    assert codec.decode_event(data) == event
    assert codec.decode(data) == event


@given(any_effect)
def test_an_effect_is_read_as_it_was_written(effect: effects.Effect) -> None:
    assert codec.decode(codec.encode(effect)) == effect


@given(any_row)
def test_a_row_is_read_as_it_was_written(row: book.Row) -> None:
    assert codec.decode_row(KEYS[type(row)], codec.encode_row(row)) == row


def as_avro(value: Any) -> Any:
    """What fastavro expects of a value."""
    match value:
        case events.Envelope() if isinstance(value, events.Correction):
            new = value.replacement
            plain_fields = {f.name: as_avro(getattr(value, f.name)) for f in fields(value) if f.name != "replacement"}
            return {**plain_fields, "replacement": None if new is None else codec.encode(new)}
        case Document() | Ref() | EventRef():
            return {name: as_avro(one) for name, one in value._asdict().items()}
        case book.Cell():  # whose numbers may be two, and yet no pair
            return {f.name: getattr(value, f.name) for f in fields(value)} | {"beyond": list(value.beyond)}
        case tuple() if len(value) == 2 and all(isinstance(one, int) for one in value):
            return {"first": value[0], "second": value[1]}
        case tuple():
            return [as_avro(one) for one in value]
        case _ if is_dataclass(value):
            return {f.name: as_avro(getattr(value, f.name)) for f in fields(value)}
        case _:
            return value


def room_of(value: object) -> str:
    return next(room for room, kinds in ROOMS.items() if type(value) in kinds)


@given(any_event | any_effect | any_row)
def test_what_is_written_is_what_fastavro_reads(value: Any) -> None:
    """The bodies are plain Avro: another implementation reads the same values, to the last byte."""
    schema = plain(load(type(value), room_of(value)))
    body = io.BytesIO(codec.encode(value)[10:])
    assert fastavro.schemaless_reader(body, schema, None) == as_avro(value)
    assert body.read() == b""


@pytest.mark.parametrize("kind", [*EVENTS, *EFFECTS, *ROWS], ids=lambda kind: kind.__name__)
def test_every_class_has_a_codec(kind: type) -> None:
    assert len(codec.fingerprint_of(kind)) == 8


def test_the_bytes_of_a_sale_are_these() -> None:
    """Stays true for ever: the ledger is kept for ever."""
    assert codec.encode(SALE) == bytes.fromhex("c301 4c5686c8fbfe8661" + GOLDEN_SALE)


def test_fingerprints_are_those_of_the_specification() -> None:
    """CRC-64-AVRO of "null", as the Avro specification's reference code gives it, is 0x63dd24e7cc258f8a."""
    assert fingerprint("null") == 0x63DD24E7CC258F8A.to_bytes(8, "little")


def test_the_schema_files_agree_with_the_classes() -> None:
    """If this fails: python -m avro_schemas.generate, and keep the old file under avro_schemas/released."""
    for path, text in written():
        assert path.read_text() == text, path.name


def test_no_two_schemas_share_a_fingerprint() -> None:
    kinds = [*EVENTS, *EFFECTS, *ROWS]
    assert len({codec.fingerprint_of(kind) for kind in kinds}) == len(kinds)


def test_times_are_documented_as_times() -> None:
    schema = load(events.SaleRecorded, "events")
    field = next(one for one in schema["fields"] if one["name"] == "event_time")
    assert field["type"] == {"type": "long", "logicalType": "timestamp-micros"}


# Two readers of events --------------------------------------------------------------------------------------

GENERAL = {kind: reader(load(kind, "events"), {**codec._PARTS, kind.__name__: kind}) for kind in EVENTS}
BY_HAND = {kind: quick(kind, load(kind, "events")) for kind in EVENTS}


def assert_readers_agree(kind: type, raw: bytes) -> None:
    by_hand = BY_HAND[kind]
    found = None if by_hand is None else by_hand(raw)
    if found is not None:
        assert GENERAL[kind](raw) == found


@given(any_event, st.data())
def test_the_reader_by_hand_reads_what_the_general_one_reads_or_nothing(event: Any, data: st.DataObject) -> None:
    raw = bytearray(codec.encode(event))
    assert_readers_agree(type(event), bytes(raw))
    at = data.draw(st.integers(10, len(raw) - 1))
    raw[at] ^= data.draw(st.integers(1, 255))
    assert_readers_agree(type(event), bytes(raw))
    assert_readers_agree(type(event), bytes(raw[:at]))


def test_the_usual_events_are_read_by_hand() -> None:
    order = replace(SALE, order=Ref("O-1", 2), source_seq=4_000, quantity=-700, rev=3)
    for event in (SALE, order, replace(order, reason="found", document=Document("receipt", "T-1", 5_000))):
        by_hand = BY_HAND[events.SaleRecorded]
        assert by_hand is not None
        assert by_hand(codec.encode(event)) == event
    with_hands = {kind.__name__ for kind, by_hand in BY_HAND.items() if by_hand is not None}
    moving = set(get_args(events.Fact))
    assert with_hands >= {kind.__name__ for kind in moving}


# What may not be read ---------------------------------------------------------------------------------------


def cause_of(data: bytes) -> str:
    with pytest.raises(UndecodableError) as caught:
        codec.decode_event(data)
    assert caught.value.detail
    return caught.value.cause


def test_garbage() -> None:
    assert cause_of(b"") == "garbage"
    assert cause_of(b"garbage") == "garbage"
    assert cause_of(b"\xff" * 100) == "garbage"


def test_truncated_avro() -> None:
    """Every cut is seen, wherever it is."""
    data = codec.encode(SALE)
    assert {cause_of(data[:length]) for length in range(2, len(data))} == {"truncated"}


def test_an_unknown_schema() -> None:
    data = codec.encode(SALE)
    assert cause_of(data[:2] + b"\x00" * 8 + data[10:]) == "unknown_schema"


def test_an_effect_is_no_event() -> None:
    cause = effects.Cause(type="SaleRecorded", key="k")
    risk = effects.RiskChanged(
        id="r", kind="imminent", sku="A", scope="web", transition="opened", severity="HIGH", opened_at=T, at=T,
        quantity=1, evidence={}, action="count", cause=cause,
    )  # fmt: skip
    assert cause_of(codec.encode(risk)) == "unknown_schema"


def test_bytes_left_over() -> None:
    assert cause_of(codec.encode(SALE) + b"\x00") == "trailing_bytes"
    assert cause_of(codec.encode(SALE) + b"x" * 1000) == "trailing_bytes"


def test_a_row_under_another_key_is_refused() -> None:
    with pytest.raises(UndecodableError, match="unknown_schema"):
        codec.decode_row("p|A|S1", codec.encode_row(book.Clock(tick=T)))
    with pytest.raises(UndecodableError, match="unknown_row"):
        codec.decode_row("?|A", codec.encode_row(book.Clock(tick=T)))


@given(st.binary(max_size=200))
def test_random_bytes_are_refused_and_nothing_else(data: bytes) -> None:
    with pytest.raises(UndecodableError):
        codec.decode_event(data)


@given(st.sampled_from(EVENTS), st.binary(max_size=200))
def test_random_bodies_are_refused_or_are_events(kind: type, body: bytes) -> None:
    refused_or_checked(MAGIC + codec.fingerprint_of(kind) + body)


@given(any_event, st.data())
def test_a_changed_byte_is_refused_or_is_another_event(event: events.Event, data: st.DataObject) -> None:
    raw = bytearray(codec.encode(event))
    at = data.draw(st.integers(0, len(raw) - 1))
    raw[at] ^= data.draw(st.integers(1, 255))
    refused_or_checked(bytes(raw))


def refused_or_checked(data: bytes) -> None:
    try:
        event = codec.decode_event(data)
    except UndecodableError:
        return
    assert codec.decode_event(codec.encode(event)) == event


@given(st.sampled_from(ROWS), st.binary(max_size=200))
def test_random_rows_are_refused_or_are_rows(kind: type, body: bytes) -> None:
    data = MAGIC + codec.fingerprint_of(kind) + body
    try:
        row = codec.decode_row(KEYS[kind], data)
    except UndecodableError:
        return
    assert type(row) is kind


def test_lengths_that_lie_are_refused() -> None:
    """A negative length, and one beyond all memory."""
    head = MAGIC + codec.fingerprint_of(events.SaleRecorded)
    assert cause_of(head + b"\x01" + b"x" * 50) in {"truncated", "invalid"}
    assert cause_of(head + b"\xfe\xff\xff\xff\xff\xff\xff\xff\xff\x01" + b"x" * 50) in {"truncated", "invalid"}


def test_a_correction_within_a_correction_is_refused() -> None:
    ref = EventRef("SaleRecorded", SALE.source, SALE.document)
    inner = events.Correction(source="s", document=Document("c", "1", 1), event_time=T, sku="A", reverses=ref)
    outer = events.Correction(source="s", document=Document("c", "2", 1), event_time=T, sku="A", reverses=ref)
    setattr(outer, "replacement", inner)  # noqa: B010  (the types forbid it)
    assert cause_of(codec.encode(outer)) == "unknown_schema"


# Framing of a registry --------------------------------------------------------------------------------------


def test_a_registry_s_framing_is_refused_without_a_registry() -> None:
    assert cause_of(b"\x00" + (7).to_bytes(4, "big") + codec.encode(SALE)[10:]) == "unknown_schema"


def test_a_registry_s_framing_is_read_with_one() -> None:
    framed = b"\x00" + (7).to_bytes(4, "big") + codec.encode(SALE)[10:]
    ids = {7: codec.fingerprint_of(events.SaleRecorded)}
    assert codec.decode_event(codec.from_registry(framed, ids)) == SALE
    with pytest.raises(UndecodableError, match="unknown_schema"):
        codec.from_registry(framed, {8: codec.fingerprint_of(events.SaleRecorded)})
    with pytest.raises(UndecodableError, match="garbage"):
        codec.from_registry(b"\x00\x01", ids)


# Evolution --------------------------------------------------------------------------------------------------


def test_a_reader_of_today_reads_yesterday_s_schema(tmp_path: Path) -> None:
    """A field that was added since, in the middle, has its default; the rest is as it was written."""
    today = load(events.SaleRecorded, "events")
    yesterday = {**today, "fields": [field for field in today["fields"] if field["name"] not in {"channel", "lot"}]}
    (tmp_path / "events").mkdir()
    path = tmp_path / "events" / f"sale_recorded.{fingerprint(yesterday).hex()}.avsc"
    path.write_text(json.dumps(yesterday))
    (older,) = released(events.SaleRecorded, "events", tmp_path)
    body = io.BytesIO()
    fastavro.schemaless_writer(body, plain(yesterday), {**as_avro(SALE), "order": {"id": "O-1", "line": 3}})
    classes = {"SaleRecorded": events.SaleRecorded, "Document": Document, "Ref": Ref}
    read = reader(today, classes, older)
    found = read(MAGIC + fingerprint(older) + body.getvalue())
    assert found.channel == ""
    assert found.lot is None
    assert (found.sku, found.quantity, found.order) == ("A", 2, Ref("O-1", 3))


def test_released_schemas_are_named_by_their_fingerprints() -> None:
    for room, kinds in ROOMS.items():
        for kind in kinds:
            for schema in released(kind, room):
                assert schema["name"] == kind.__name__


def test_what_is_not_valid_is_refused_before_it_is_written() -> None:
    """Publishing and reading share one check: no hand-made producer gets past either."""
    from atp.checks import check  # noqa: PLC0415

    bad = events.SaleRecorded(source="s", document=Document("r", "1", 1), event_time=T, sku="A", location="S1")
    with pytest.raises(PoisonError, match="quantity"):
        check(bad)
    assert cause_of(codec.encode(bad)) == "out_of_range"


@pytest.mark.parametrize("ahead", [0, events.DAY])
def test_what_an_event_speaks_of_is_not_ahead_of_it(ahead: int) -> None:
    def count(as_of: int) -> events.CountRecorded:
        return events.CountRecorded(
            source="s", document=Document("c", "1", 1), event_time=T, sku="A", location="L", quantity=5, as_of=as_of
        )

    def correction(time: int) -> events.Correction:
        sold = events.SaleRecorded(
            source="s", document=Document("r", "1", 1), event_time=time, sku="A", location="L", quantity=2
        )
        ref = events.EventRef("SaleRecorded", "s", Document("r", "1", 1))
        return events.Correction(
            source="s", document=Document("c", "1", 1), event_time=T, sku="A", reverses=ref, replacement=sold
        )

    for make in (count, correction):
        assert codec.decode_event(codec.encode(make(T + ahead))) == make(T + ahead)
        with pytest.raises(UndecodableError, match="over a day after"):
            codec.decode_event(codec.encode(make(T + events.DAY + 1)))
