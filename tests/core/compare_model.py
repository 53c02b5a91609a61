"""The reference model, part six: what other systems say, against the book of their time; trading days.

Source: docs/domain.md, sections "Variances" and "ERP lines".
"""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

from atp.events import CountClosed, CountRecorded, Document, Envelope, Event, MasterChanged, SnapshotReceived
from tests.core.claims_model import Decisions, line_answers
from tests.core.log_model import key_of, text_of
from tests.core.stock_model import CountAnswer, Move, count_answers, erp_type, moves, net, sees


@dataclass(frozen=True)
class SnapshotAnswer:
    """A snapshot that stands, against the book at its watermark."""

    kind: str
    sku: str
    document: str
    expected: int
    observed: int

    @property
    def diff(self) -> int:
        return self.observed - self.expected


def snapshot_answers(
    log: Sequence[Event], sku: str, facts: Sequence[Envelope], decisions: Decisions
) -> list[SnapshotAnswer]:
    """Compare the latest snapshot of each source, location and basis."""
    latest: dict[tuple[str, str, str], SnapshotReceived] = {}
    for event in log:
        if isinstance(event, SnapshotReceived) and event.sku == sku and not event.channel:
            what = (event.source, event.location, event.scope if event.basis == "physical" else event.basis)
            if what not in latest or _order(latest[what]) < _order(event):
                latest[what] = event
    return [_answer(one, facts, decisions) for _, one in sorted(latest.items())]


def _order(event: SnapshotReceived) -> tuple[int, int, str, int]:
    return _as_of(event), event.event_time, text_of(key_of(event)), event.rev


def _as_of(event: SnapshotReceived) -> int:
    return event.event_time if event.as_of is None else event.as_of


def _answer(snapshot: SnapshotReceived, facts: Sequence[Envelope], decisions: Decisions) -> SnapshotAnswer:
    # It has seen what a count at its place and time would have seen.
    as_of, at = _as_of(snapshot), snapshot.location
    eye = CountRecorded(
        source=snapshot.source,
        document=snapshot.document,
        event_time=snapshot.event_time,
        sku=snapshot.sku,
        location=at,
        as_of=as_of,
        through_seq=snapshot.through_seq,
    )
    seen = [f for f in facts if sees(eye, f)]
    found = [Move("COUNT_VAR", (c.location, c.bucket), c.diff) for c in _counts_seen(facts, as_of)]
    book = [m for f in seen for m in moves(f)] + found
    lines = line_answers(seen, decisions, as_of).values()
    held = sum(units for line in lines for place, _, units in line.placed if place == at)
    match snapshot.basis:
        case "physical":
            expected = net(book, at, snapshot.scope)
        case "sellable":
            expected = net(book, at, "sellable")
        case "net-of-reservations":
            expected = net(book, at, "sellable") - held
        case _:
            expected = held if at else sum(line.open for line in lines)
    erp = snapshot.source == "erp" or snapshot.source.startswith("erp:")
    kind = "CLAIMS" if snapshot.basis == "claims" else "ERP" if erp else "WMS"
    return SnapshotAnswer(kind, snapshot.sku, snapshot.document.id, expected, snapshot.quantity)


def _counts_seen(facts: Sequence[Envelope], as_of: int) -> list[CountAnswer]:
    return [c for c in count_answers(facts) if c.as_of <= as_of]


# Full counts ----------------------------------------------------------------------------------------------


def with_zeros(log: Sequence[Event]) -> list[Event]:
    """The log with a count of 0 for what a closed count did not list, of the SKUs heard of there before it."""
    found: list[Event] = []
    for number, event in enumerate(log):
        found.append(event)
        if not isinstance(event, CountClosed):
            continue
        listed = {e.sku for e in log if isinstance(e, CountRecorded) and _same_count(e, event)}
        ends = [(e.sku, a) for e in log[:number] for m in moves(e) for a in (m.source, m.target)]
        touched = {sku for sku, a in ends if isinstance(a, tuple) and a[0] == event.location}
        for sku in sorted(touched - listed):
            zero = CountRecorded(
                source=event.source,
                document=Document("zero", event.document.id, 0),
                event_time=event.event_time,
                as_of=event.event_time if event.as_of is None else event.as_of,
                sku=sku,
                location=event.location,
            )
            found.append(zero)
    return found


def _same_count(line: CountRecorded, closing: CountClosed) -> bool:
    return (line.location, line.document.id) == (closing.location, closing.document.id)


# Trading days ---------------------------------------------------------------------------------------------


def trading_days(log: Sequence[Event], facts: Sequence[Envelope]) -> Counter[tuple[str, str, str]]:
    """What postings add to on hand, by (document type, location, trading day there)."""
    found: Counter[tuple[str, str, str]] = Counter()
    for fact in facts:
        if moves(fact):
            day = _day(log, fact.location, fact.event_time)
            found[erp_type(fact), fact.location, day] += net(moves(fact), fact.location, "on_hand")
    for count in count_answers(facts):
        found["COUNT", count.location, _day(log, count.location, count.as_of)] += count.diff
    return found


def _day(log: Sequence[Event], location: str, time: int) -> str:
    known: dict[str, str] = {}
    for place in ("", location):
        for event in log:
            if isinstance(event, MasterChanged) and not event.sku and event.location == place:
                known |= event.attributes
    hours, minutes = known.get("cut_off", "00:00").split(":")
    local = datetime.fromtimestamp(time / 1_000_000, UTC).astimezone(ZoneInfo(known.get("zone", "UTC")))
    return (local - timedelta(hours=int(hours), minutes=int(minutes))).date().isoformat()
