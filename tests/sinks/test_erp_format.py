"""A batch as bytes: the same lines give the same bytes, and the totals tie."""

import json
from dataclasses import replace
from hashlib import sha256

import pytest

from atp.effects import ErpLeg
from atp.errors import FatalError
from sinks.erp_format import FIRST, Batch, Cut, Format, Posted, Span, build, counter_account, cut_of, read_rows
from tests.sinks.rig import line

CUT = Cut(1, {0: Span(0, 4), 1: Span(3, 2), 2: Span(7, 9)})
LINES = [
    Posted(2, 7, 1_000, line(1, quantity=4)),
    Posted(0, 0, 5_000, line(2)),
    Posted(0, 4, 4_000, replace(line(3, quantity=-6), document_type="RETURN")),
    Posted(2, 9, 2_000, line(2)),
]


def built(lines: list[Posted], form: Format = "ndjson") -> Batch:
    return build(CUT, lines, FIRST, form=form, topic="erp-lines")


def test_order_of_arrival_does_not_matter() -> None:
    assert built(LINES) == built(LINES[::-1])


@pytest.mark.parametrize("form", ["ndjson", "csv"])
def test_lines_come_back_by_partition_and_offset_once(form: Format) -> None:
    rows = read_rows(built(LINES, form).data, form)
    assert [(int(row["partition"]), int(row["offset"])) for row in rows] == [(0, 0), (0, 4), (2, 7)]
    assert [row["quantity"] for row in rows] == [-2, 6, -4]
    assert rows[0]["legs"] == [{"account": "sellable|S2", "quantity": -2}, {"account": "CUSTOMER", "quantity": 2}]
    assert rows[0]["event_time"] == "2026-11-20T12:00:00.000002Z"


def test_the_manifest_ties() -> None:
    manifest = built(LINES).manifest
    assert manifest["lines"] == 3
    assert manifest["docs"] == 3
    assert manifest["duplicates"] == 1
    assert manifest["quantity_by_type"] == {"GI_SALE": -6, "RETURN": 6}
    assert manifest["absolute_quantity"] == 12
    assert manifest["created_at"] == "1970-01-01T00:00:05Z"
    assert manifest["digest"] == sha256(built(LINES).data).hexdigest()
    assert cut_of(json.loads(built(LINES).manifest_bytes)) == CUT


def test_an_empty_batch_keeps_the_chain_and_the_time() -> None:
    first = built(LINES)
    empty = build(Cut(2, {0: Span(5, 4)}), [], first.hands_on, form="csv", topic="erp-lines").manifest
    assert (empty["lines"], empty["previous_batch_id"], empty["previous_digest"]) == (0, 1, first.manifest["digest"])
    assert empty["previous_manifest_digest"] == sha256(first.manifest_bytes).hexdigest()
    assert empty["created_at"] == first.manifest["created_at"]


def test_two_different_lines_under_one_key_are_refused() -> None:
    with pytest.raises(FatalError, match="key-000002"):
        built([Posted(0, 0, 1, line(2)), Posted(0, 1, 1, line(2, quantity=3))])


def test_names_with_line_separators_stay_one_line() -> None:
    odd = line(1, sku="A\u2028B\x85C")
    rows = read_rows(built([Posted(0, 0, 1, odd)]).data, "ndjson")
    assert [row["sku"] for row in rows] == ["A\u2028B\x85C"]


def test_the_counter_account_is_the_side_that_is_no_bucket() -> None:
    def legs(*accounts: str) -> str:
        return counter_account(line(1, legs=tuple(ErpLeg(account=account, quantity=0) for account in accounts)))

    assert legs("sellable|S1", "CUSTOMER") == "CUSTOMER"
    assert legs("transit|X-1|1|S1", "sellable|S1") == "TRANSIT"
    assert legs("sellable|S1", "damaged|S1") == ""
