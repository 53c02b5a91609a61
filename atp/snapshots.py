"""Snapshots: figures of other systems, compared with our book at their watermark, never written over it.

| what is sent                            | kind   | expected                                                  |
|-----------------------------------------|--------|-----------------------------------------------------------|
| basis physical, sellable, net-of-reservations, by source `erp` or `erp:...` | ERP | the book at the watermark |
| the same by any other source            | WMS    | the book at the watermark                                 |
| basis claims                            | CLAIMS | open claims at the watermark                              |

net-of-reservations is compared with sellable goods less the claims placed there: taken off once. The watermark is
`as_of`, and for the sources in `through_seq` the last message heard. For an ERP `as_of` is the time up to which the
batches that it has acknowledged are complete: never "now". An event that comes late and is dated up to the watermark
restates the difference. A policy `snapshot_is_count` makes a snapshot an anchor; then it is folded as a count.
"""

from dataclasses import replace

from atp.admission import compare as admit
from atp.admission import digest, rank_of
from atp.book import (
    Evidence,
    Position,
    Rows,
    Snapshot,
    Summary,
    Variance,
    copy_key,
    escape,
    evidence_key,
    key_of,
    position_key,
    summary_key,
    variance_key,
)
from atp.counts import Delta, covers, of_scope
from atp.differences import Figures, compare
from atp.draft import Draft
from atp.effects import Cause
from atp.events import CountRecorded, SnapshotReceived
from atp.hints import explain
from atp.outcome import NOTHING_YET, Frame, Outcome, refuse, text_of
from atp.past import buckets_at, claims_at, moved_at, unheard, within
from atp.policy import policies_of

ALWAYS = 2**62
"""A watermark with sequences may have heard of events of any time: every event is looked at."""
KINDS = ("ERP", "WMS", "CLAIMS")


def kind_of(source: str, basis: str) -> str:
    """The kind of variance that a snapshot makes."""
    if basis == "claims":
        return "CLAIMS"
    return "ERP" if source == "erp" or source.startswith("erp:") else "WMS"


def receive(rows: Rows, event: SnapshotReceived, frame: Frame, tick: int | None) -> Outcome:
    """Compare a snapshot with the book at its watermark; of each source, location and basis the latest stands."""
    sku = event.sku
    row = rows.get(summary_key(sku))
    summary = row if isinstance(row, Summary) else NOTHING_YET
    as_of = event.event_time if event.as_of is None else event.as_of
    oldest, fits = within(as_of, summary.clock, tick, frame.window)
    if not fits:
        ahead = as_of >= oldest
        why = "over a day after the last tick" if ahead else "before what the book remembers event by event"
        return refuse("future" if ahead else "late", f"as of {text_of(as_of)}: {why}")
    key = key_of(event)
    known = rows.get(evidence_key(sku, key))
    known = known if isinstance(known, Evidence) and known.last_time >= oldest else None
    mine, rank = digest(event), rank_of(event)
    verdict = admit(known, rank, mine)
    if verdict == "duplicate":
        return Outcome(verdict="duplicate", changes={}, effects=())
    if verdict == "conflict":
        return refuse("conflict", f"{key} is known in version {rank} with other business fields; the first stands")
    if verdict == "superseded":
        return Outcome(verdict="superseded", changes={}, effects=())

    draft = Draft(rows, Cause(type=type(event).__name__, key=key), frame.epoch, tick)
    draft.put(evidence_key(sku, key), _evidence(event, rank, mine, as_of))
    scope = event.scope if event.basis == "physical" else event.basis
    kind, what = kind_of(event.source, event.basis), f"{event.location}|{scope}|{escape(event.source)}"
    told = draft.get(variance_key(sku, kind, what))
    before = told.snapshot if isinstance(told, Variance) else None
    snapshot = Snapshot(
        key=key,
        rank=rank,
        source=event.source,
        document=event.document.id,
        as_of=as_of,
        event_time=event.event_time,
        scope=scope,
        quantity=event.quantity,
        through_seq=event.through_seq,
    )
    if before is not None and before.key != key and _order(before) > _order(snapshot):
        return Outcome(verdict="superseded", changes=draft.changes, effects=())
    _compare(draft, sku, kind, what, event.location, snapshot, oldest)
    if isinstance(row, Summary):  # What is heard of a SKU before its first fact is found by `recall`.
        draft.put(summary_key(sku), replace(row, compared=max(row.compared, _reach(snapshot))))
    return Outcome(verdict="folded", changes=draft.changes, effects=tuple(draft.effects))


def recall(draft: Draft, sku: str, summary: Summary) -> Summary:
    """Note what others said of a SKU that is new to the book."""
    reach = 0
    for _, row in draft.scan(variance_key(sku, "", "")[:-1]):
        if isinstance(row, Variance) and row.snapshot is not None:
            reach = max(reach, _reach(row.snapshot))
    prefix = copy_key(sku, "")
    copied = tuple(key[len(prefix) :] for key, _ in draft.scan(prefix))
    return replace(summary, compared=reach, copied=copied) if reach or copied else summary


def _reach(snapshot: Snapshot) -> int:
    """The latest time of an event that the snapshot may have heard of."""
    return ALWAYS if snapshot.through_seq else snapshot.as_of


def restate(draft: Draft, summary: Summary, sku: str, oldest: int) -> None:
    """Compare again what the event just folded may have changed: it was dated up to a watermark, or counted."""
    if not summary.compared:
        return
    versions = [
        version
        for key, after in draft.changes.items()
        if key.startswith("e|")
        for version in (draft.rows.get(key), after)
        if isinstance(version, Evidence)
    ]
    if all(version.event_time > summary.compared and not version.count_at for version in versions):
        return
    prefix = variance_key(sku, "", "")[:-1]
    for key, row in list(draft.scan(prefix)):
        kind, what = key[len(prefix) :].split("|", 1)
        if kind not in KINDS or not isinstance(row, Variance) or row.snapshot is None or row.as_of < oldest:
            continue
        mark = row.snapshot
        heard = any(covers(mark, one.event_time, one.source, one.source_seq) for one in versions)
        if heard or _counts_changed(draft, sku, row.location):
            _compare(draft, sku, kind, what, row.location, mark, oldest)


def as_count(draft: Draft, event: SnapshotReceived, window: int) -> CountRecorded | None:
    """The count that a snapshot is where a policy makes it one, None where it is only compared."""
    if event.basis == "claims" or not policies_of(draft, event.sku).value("snapshot_is_count", event.location, ""):
        return None
    units, scope = event.quantity, event.scope if event.basis == "physical" else "sellable"
    as_of = event.event_time if event.as_of is None else event.as_of
    if event.basis == "net-of-reservations":
        row = draft.get(summary_key(event.sku))
        clock = row.clock if isinstance(row, Summary) else 0
        oldest, _ = within(as_of, clock, draft.tick, window)
        mark = Snapshot(
            key="", rank="", source=event.source, document="", as_of=as_of, event_time=event.event_time, scope=scope,
            quantity=units, through_seq=event.through_seq,
        )  # fmt: skip
        units += claims_at(draft, event.sku, event.location, mark, oldest)
    return CountRecorded(
        source=event.source,
        document=event.document,
        event_time=event.event_time,
        rev=event.rev,
        sku=event.sku,
        location=event.location,
        quantity=max(0, units),
        source_seq=event.source_seq,
        reason=event.reason,
        actor=event.actor,
        as_of=as_of,
        scope=scope,
        through_seq=event.through_seq,
    )


def _compare(draft: Draft, sku: str, kind: str, what: str, location: str, mark: Snapshot, oldest: int) -> None:
    expected = _expected(draft, sku, location, mark, oldest)
    diff = mark.quantity - expected
    compare(
        draft,
        sku,
        kind,
        what,
        Figures(
            expected=expected,
            observed=mark.quantity,
            basis=mark.scope,
            as_of=mark.as_of,
            location=location,
            source=mark.source,
            document=mark.document,
            hint=_hint(draft, sku, location, mark, diff, oldest) if diff else "",
            snapshot=mark,
        ),
    )


def _expected(draft: Draft, sku: str, location: str, mark: Snapshot, oldest: int) -> int:
    if mark.scope == "claims":
        return claims_at(draft, sku, location, mark, oldest)
    held = buckets_at(draft, sku, location, mark, oldest)
    if mark.scope == "net-of-reservations":
        return held[0] - claims_at(draft, sku, location, mark, oldest)
    return of_scope(held, mark.scope)


def _hint(draft: Draft, sku: str, location: str, mark: Snapshot, diff: int, oldest: int) -> str:
    if mark.scope == "claims":
        return "an order line that only one of the two knows of"
    scope = "sellable" if mark.scope == "net-of-reservations" else mark.scope
    deltas = []
    prefix = evidence_key(sku, "")
    later = {key for key, _ in unheard(draft, sku, mark, oldest)}
    for key, row in draft.scan(prefix):
        if isinstance(row, Evidence) and row.legs and row.event_time >= oldest:
            vector = moved_at(row, location)
            if any(vector):
                delta = Delta(
                    key=key[len(prefix) :],
                    event_time=row.event_time,
                    source=row.source,
                    source_seq=row.source_seq,
                    vector=vector,
                )
                deltas.append((delta.key, delta.event_time, of_scope(delta.vector, scope), delta.key in later))
    return explain(draft, sku, location, diff, mark.as_of, deltas)


def _evidence(event: SnapshotReceived, rank: str, mine: bytes, as_of: int) -> Evidence:
    return Evidence(
        type=type(event).__name__,
        rank=rank,
        digest=mine,
        event_time=as_of,
        last_time=max(as_of, event.event_time),
        source=event.source,
        source_seq=event.source_seq,
        location=event.location,
        legs=(),
        count_at="",
    )


def _order(snapshot: Snapshot) -> tuple[int, int, str]:
    return snapshot.as_of, snapshot.event_time, snapshot.key


def _counts_changed(draft: Draft, sku: str, location: str) -> bool:
    key = position_key(sku, location)
    if key not in draft.changes:
        return False
    before, after = draft.rows.get(key), draft.changes[key]
    return (before.counts if isinstance(before, Position) else ()) != (
        after.counts if isinstance(after, Position) else ()
    )
