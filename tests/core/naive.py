"""Naive builds: each makes one classic mistake of stock keeping, so that a scenario can show that it bites.

A mistake is a misreading of the log before the reference model answers, or of the model's answer after. None in
a log stands for a record that cannot be read. Source: docs/domain.md section 13.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace

from atp.events import (
    DAY,
    Correction,
    CountClosed,
    CountRecorded,
    Document,
    Envelope,
    Event,
    FinancialOnly,
    GoodsReceived,
    MasterChanged,
    PolicyChanged,
    ReturnDispositioned,
    ReturnReceived,
    SaleRecorded,
    SaleVoided,
    ShipmentConfirmed,
    SnapshotReceived,
    StatusChanged,
    StockAdjusted,
    TimeTicked,
    TransferReceived,
    TransferShipped,
)
from tests.core.kits_model import kits_of
from tests.core.model import Answer, PositionAnswer, answer, count_time, judge, number, parameter
from tests.core.naive_promises import PROMISES

WINDOW = 7 * DAY
Log = Sequence[Event | None]
Build = Callable[[Log], Answer]


def readable(log: Log) -> list[Event]:
    return [event for event in log if event is not None]


def reading(misread: Callable[[list[Event]], list[Event]]) -> Build:
    """Answer from a misread log."""
    return lambda log: answer(misread(readable(log)), WINDOW)


def one_by_one(misread: Callable[[Event, list[Event]], Event | None]) -> Build:
    """Misread each event, knowing those that came before it; None drops it."""

    def build(log: Log) -> Answer:
        events = readable(log)
        found = [misread(event, events[:n]) for n, event in enumerate(events)]
        return answer([event for event in found if event is not None], WINDOW)

    return build


def adjusted(event: Envelope, quantity: int, name: str) -> StockAdjusted:
    return StockAdjusted(
        source=event.source,
        document=Document(name, f"{name} {event.document.id} {event.event_time}", event.document.line),
        event_time=event.event_time,
        sku=event.sku,
        location=event.location,
        quantity=quantity,
    )


def other_paper(event: Event, name: object) -> Event:
    return replace(event, document=event.document._replace(id=f"{event.document.id} {name}"))


# Counts ---------------------------------------------------------------------------------------------------


def count_sets_stock(log: Log) -> Answer:
    """Trap 1: stock := count, when the count arrives."""
    read: list[Event] = []
    for event in readable(log):
        if isinstance(event, CountRecorded):
            now = answer(read, WINDOW).positions.get((event.sku, event.location))
            change = event.quantity - (now.on_hand if now else 0)
            read += [adjusted(event, change, "set")] if change else []
        else:
            read.append(event)
    return answer(read, WINDOW)


def _uncovered(event: Event, before: list[Event], *, only_equal: bool) -> Event:
    for count in before:
        if isinstance(count, CountRecorded) and not isinstance(event, CountRecorded | TimeTicked | PolicyChanged):
            seen = count_time(count)
            if event.event_time == seen or (event.event_time < seen and not only_equal):
                return replace(event, event_time=seen + 1)
    return event


def _last_count_rules(event: Event, before: list[Event]) -> Event:
    if not isinstance(event, CountRecorded):
        return event
    earlier = [count_time(e) for e in before if isinstance(e, CountRecorded)]
    return replace(event, as_of=max([count_time(event), *(time + 1 for time in earlier)]))


def _no_moves_before_a_count(events: list[Event]) -> list[Event]:
    counted = max(count_time(e) for e in events if isinstance(e, CountRecorded))
    return [e for e in events if not (isinstance(e, StatusChanged) and e.event_time <= counted)]


# Duplicates and versions ----------------------------------------------------------------------------------


def _last_payload_wins(event: Event, before: list[Event]) -> Event:
    return replace(event, rev=event.rev + len(before)) if isinstance(event, SaleRecorded) else event


def _replacement_is_another_event(event: Event, before: list[Event]) -> Event | None:
    if isinstance(event, Correction):
        return other_paper(event.replacement, "corrected") if event.replacement else None
    return event


def _unknown_void_ignored(event: Event, before: list[Event]) -> Event | None:
    known = {e.document for e in before if isinstance(e, SaleRecorded)}
    return None if isinstance(event, SaleVoided) and event.reverses.document not in known else event


def _sale_comes_back(event: Event, before: list[Event]) -> Event:
    voided = {e.reverses.document for e in before if isinstance(e, SaleVoided)}
    return other_paper(event, "again") if isinstance(event, SaleRecorded) and event.document in voided else event


# Movements ------------------------------------------------------------------------------------------------


def clamped(log: Log) -> Answer:
    """Trap 14: stock is never below 0."""
    read: list[Event] = []
    for event in readable(log):
        read.append(event)
        for (sku, location), p in answer(read, WINDOW).positions.items():
            if p.sellable < 0 and not isinstance(event, TimeTicked):
                read.append(replace(adjusted(event, -p.sellable, "clamp"), sku=sku, location=location))
    return answer(read, WINDOW)


def _return_is_sellable(event: Event, before: list[Event]) -> Event | None:
    if isinstance(event, ReturnReceived):
        return adjusted(event, event.quantity, "return")
    return None if isinstance(event, ReturnDispositioned) else event


def _unknown_return_refused(event: Event, before: list[Event]) -> Event | None:
    sold = any(isinstance(e, SaleRecorded) for e in before)
    return None if isinstance(event, ReturnReceived) and not sold else event


def _transfer_is_two_adjustments(event: Event, before: list[Event]) -> Event:
    match event:
        case TransferShipped():
            return adjusted(event, -event.quantity, "out")
        case TransferReceived():
            return adjusted(event, event.quantity, "in")
        case _:
            return event


def _one_receipt_a_transfer(event: Event, before: list[Event]) -> Event | None:
    known = {e.transfer for e in before if isinstance(e, TransferReceived)}
    return None if isinstance(event, TransferReceived) and event.transfer in known else event


# Publication and policies ---------------------------------------------------------------------------------


def answering(channel: Callable[[int, int, int, list[PositionAnswer]], int]) -> Build:
    """Answer for channels by another formula: (pool, share, buffer, positions) -> units."""

    def build(log: Log) -> Answer:
        whole = answer(readable(log), WINDOW)
        j = judge(readable(log), WINDOW)
        for sku, name in whole.availability:
            share = number(parameter(j, "share_percent", sku=sku, location=None, channel=name), 100)
            buffer = number(parameter(j, "buffer", sku=sku, location=None, channel=name), 0)
            mine = [p for (of, _), p in whole.positions.items() if of == sku]
            whole.availability[sku, name] = channel(sum(p.atp for p in mine), share, buffer, mine)
        return whole

    return build


def publishing(said: Callable[[list[int]], int | None]) -> Build:
    """Publish something else than the answer: what is said of the answers after each event, None for a tombstone."""

    def build(log: Log) -> Answer:
        events = readable(log)
        whole = answer(events, WINDOW)
        history = [answer(events[: n + 1], WINDOW).availability for n in range(len(events))]
        for key in list(whole.availability):
            words = said([h.get(key, 0) for h in history])
            if words is None:
                del whole.availability[key]
            else:
                whole.availability[key] = words
        return whole

    return build


def _last_delta(history: list[int]) -> int:
    changes = [after - before for before, after in zip([0, *history], history, strict=False) if after != before]
    return changes[-1] if changes else 0


def _last_crossing(history: list[int]) -> int:
    said = 0
    for before, after in zip([0, *history], history, strict=False):
        said = after if (before == 0) != (after == 0) else said
    return said


def _any_scope(event: Event, before: list[Event]) -> Event:
    return replace(event, location="") if isinstance(event, PolicyChanged) else event


def _no_future(events: list[Event]) -> list[Event]:
    return [e for e in events if not isinstance(e, TimeTicked)]


def stopped(log: Log) -> Answer:
    """Trap 38: nothing behind a record that cannot be read is folded."""
    return answer(readable(log[: list(log).index(None)]), WINDOW)


# What others hold -----------------------------------------------------------------------------------------


def _snapshot_is_stock(event: Event, before: list[Event]) -> Event:
    """Trap 3: what another system has free is taken for what is there, and our claims come off once more."""
    if not isinstance(event, SnapshotReceived):
        return event
    return CountRecorded(
        source=event.source,
        document=event.document,
        event_time=event.event_time,
        sku=event.sku,
        location=event.location,
        quantity=event.quantity,
        as_of=event.as_of,
        scope="sellable",
    )


def kit_by(formula: Callable[[Mapping[str, int], Mapping[str, int]], int]) -> Build:
    """Trap 22: answer for kits by what the network has of each component, wherever it lies."""

    def build(log: Log) -> Answer:
        events = readable(log)
        whole = answer(events, WINDOW)
        for kit in kits_of(events, judge(events, WINDOW).tick):
            totals = {
                sku: sum(p.atp for (of, _), p in whole.positions.items() if of == sku) for sku in (kit.sku, *kit.needed)
            }
            for name, channel in list(whole.availability):
                if name == kit.sku and kit.needed:
                    whole.availability[name, channel] = totals[kit.sku] + formula(totals, kit.needed)
        return whole

    return build


BUILDS: dict[str, Build] = {
    "count_sets_stock": count_sets_stock,
    "late_delta_counts_again": one_by_one(lambda e, before: _uncovered(e, before, only_equal=False)),
    "arrival_decides_equal_times": one_by_one(lambda e, before: _uncovered(e, before, only_equal=True)),
    "last_count_rules": one_by_one(_last_count_rules),
    "count_freezes_buckets": reading(_no_moves_before_a_count),
    "every_count_is_of_everything": one_by_one(
        lambda e, _: replace(e, scope="on_hand") if isinstance(e, CountRecorded) else e
    ),
    "sequence_is_ignored": one_by_one(lambda e, _: replace(e, through_seq=None) if isinstance(e, CountRecorded) else e),
    "last_payload_wins": one_by_one(_last_payload_wins),
    "dedupe_by_transport_id": one_by_one(lambda e, _: other_paper(e, e.event_id or "")),
    "revision_is_another_line": one_by_one(lambda e, _: replace(other_paper(e, e.rev), rev=0)),
    "replacement_is_another_event": one_by_one(_replacement_is_another_event),
    "unknown_void_ignored": one_by_one(_unknown_void_ignored),
    "void_forgets_the_sale": one_by_one(_sale_comes_back),
    "nothing_is_late": lambda log: answer(readable(log), 1000 * DAY),
    "future_moves_the_clock": reading(_no_future),
    "clamped": clamped,
    "return_is_sellable": one_by_one(_return_is_sellable),
    "refund_adds_stock": one_by_one(
        lambda e, _: adjusted(e, e.quantity, "refund") if isinstance(e, FinancialOnly) else e
    ),
    "unknown_return_refused": one_by_one(_unknown_return_refused),
    "transfer_is_two_adjustments": one_by_one(_transfer_is_two_adjustments),
    "one_receipt_a_transfer": one_by_one(_one_receipt_a_transfer),
    "till_takes_goods_too": one_by_one(lambda e, _: replace(e, order=None) if isinstance(e, SaleRecorded) else e),
    "unreserved_shipment_refused": one_by_one(lambda e, _: None if isinstance(e, ShipmentConfirmed) and e.order else e),
    "receipt_is_sellable": one_by_one(
        lambda e, _: replace(e, to_status="sellable") if isinstance(e, GoodsReceived) else e
    ),
    "debts_are_forgotten": answering(lambda *a: sum(max(0, p.sellable - p.safety_stock) for p in a[3])),
    "nodes_pay_for_each_other": answering(lambda *a: max(0, sum(p.atp_raw for p in a[3]))),
    "float_share": answering(lambda pool, share, *_: int(pool * (share / 100))),
    "buffer_at_every_node": answering(lambda _, __, buffer, mine: sum(max(0, p.atp - buffer) for p in mine)),
    "deltas_published": publishing(_last_delta),
    "zero_is_a_tombstone": publishing(lambda history: history[-1] or None),
    "only_zero_crossings_published": publishing(_last_crossing),
    "scope_is_ignored": one_by_one(_any_scope),
    "policy_holds_at_once": one_by_one(lambda e, _: replace(e, event_time=0) if isinstance(e, PolicyChanged) else e),
    "stopped": stopped,
    "snapshot_is_stock": one_by_one(_snapshot_is_stock),
    "erp_now_and_book_now": one_by_one(lambda e, _: replace(e, as_of=None) if isinstance(e, SnapshotReceived) else e),
    "days_in_utc": one_by_one(lambda e, _: None if isinstance(e, MasterChanged) else e),
    "picked_is_shrink": one_by_one(lambda e, _: replace(e, excludes=None) if isinstance(e, CountRecorded) else e),
    "kit_of_parts_apart": kit_by(lambda totals, needed: min(totals[sku] // n for sku, n in needed.items())),
    "a_kit_takes_one_of_each": kit_by(lambda totals, needed: min(totals[sku] for sku in needed)),
    **PROMISES,
    "only_what_is_listed": one_by_one(lambda e, _: None if isinstance(e, CountClosed) else e),
}
"""By the name of the mistake."""
