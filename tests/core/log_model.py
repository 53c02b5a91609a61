"""The reference model, first part: what each event of a log is worth, and which policy holds.

`judge` walks the log once, for this is the one thing that depends on order; all else follows from the versions
in force. Source: docs/domain.md sections 1 and 3.
"""

from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass, field, fields

from atp.events import (
    DAY,
    AllocationGranted,
    AllocationReturned,
    AsnShipped,
    Converted,
    Correction,
    CountRecorded,
    Envelope,
    Event,
    EventRef,
    FinancialOnly,
    GoodsReceived,
    OrderAllocated,
    OrderCancelled,
    PickConfirmed,
    PickFailed,
    PickupConfirmed,
    PolicyChanged,
    PurchaseOrderCancelled,
    PurchaseOrderChanged,
    PurchaseOrderPlaced,
    ReservationConfirmed,
    ReservationDecided,
    ReservationExpired,
    ReservationPlaced,
    ReservationReleased,
    ReservationRequested,
    ReturnAuthorised,
    ReturnDispositioned,
    ReturnReceived,
    SaleRecorded,
    SaleVoided,
    ShipmentConfirmed,
    ShipmentReversed,
    StatusChanged,
    StockAdjusted,
    SupplierConfirmed,
    TimeTicked,
    TransferApproved,
    TransferLost,
    TransferReceived,
    TransferRejected,
    TransferRequested,
    TransferShipped,
    immutable,
)

FACTS = (
    SaleRecorded,
    ShipmentConfirmed,
    PickupConfirmed,
    ReturnReceived,
    ReturnDispositioned,
    GoodsReceived,
    TransferShipped,
    TransferReceived,
    TransferLost,
    StockAdjusted,
    StatusChanged,
    Converted,
    CountRecorded,
    FinancialOnly,
    ReservationRequested,
    ReservationPlaced,
    ReservationDecided,
    ReservationConfirmed,
    ReservationReleased,
    OrderCancelled,
    OrderAllocated,
    PickConfirmed,
    PickFailed,
    TransferApproved,
    TransferRejected,
    TransferRequested,
    ReturnAuthorised,
    ReservationExpired,
)
STATEMENTS = (
    PolicyChanged,
    AllocationGranted,
    AllocationReturned,
    PurchaseOrderPlaced,
    PurchaseOrderChanged,
    PurchaseOrderCancelled,
    SupplierConfirmed,
    AsnShipped,
)
"""They move no clock and are never late: of each key the greatest revision stands."""
REVERSALS = (SaleVoided, ShipmentReversed, Correction)
NO_BUSINESS = ("event_id", "recorded_time", "source_seq", "actor", "trace_id", "uom", "uom_quantity")
"""Fields that say how an event travelled, not what happened."""


@immutable
class HandedOverAtTill(SaleRecorded):
    """A sale by which an order's goods leave."""


Key = tuple[str, str, str, int, str, str]
Rank = tuple[int, int, str]
"""(0, rev, "") for a revision, (1, event time, own key as text) for a void, reversal or correction."""


def key_of(event: Envelope) -> Key:
    if isinstance(event, ReservationRequested):  # whatever paper it comes on
        return ("", "request", event.request_id, 1, type(event).__name__, event.sku)
    d = event.document
    return (event.source, d.type, d.id, d.line, type(event).__name__, event.sku)


def text_of(key: Key) -> str:
    """The key as it is written, by which equal times are ordered."""
    return "|".join(str(part).replace("%", "%25").replace("|", "%7C") for part in key)


def named_by(ref: EventRef, sku: str) -> Key:
    return (ref.source, ref.document.type, ref.document.id, ref.document.line, ref.type, sku)


def business(event: Envelope) -> tuple[object, ...]:
    """What makes two copies of an event the same."""
    return (type(event).__name__, *(repr(getattr(event, f.name)) for f in fields(event) if f.name not in NO_BUSINESS))


# What each event of the log is worth ----------------------------------------------------------------------


@dataclass
class Judged:
    """The log after judgement."""

    verdicts: list[str] = field(default_factory=list)
    in_force: dict[tuple[Key, int], Envelope | None] = field(default_factory=dict)
    """By the key of the fact: its version in force, None where it never happened.

    A key that the window forgot may be used again, for another fact: the number tells the facts of a key apart.
    """
    statements: dict[Key, Envelope] = field(default_factory=dict)
    channels: dict[str, set[str]] = field(default_factory=lambda: defaultdict(set))
    """By SKU: the channels that its accepted events name."""
    declared: dict[str, set[str]] = field(default_factory=lambda: defaultdict(set))
    """By SKU, "" for all: the channels that statements name."""
    clocks: dict[str, int] = field(default_factory=dict)
    tick: int | None = None

    def now(self, sku: str) -> int:
        return self.tick if self.tick is not None else self.clocks.get(sku, 0)

    def skus(self) -> list[str]:
        return sorted({key[-1] for key in (*(key for key, _ in self.in_force), *self.statements)} - {""})

    def facts(self, sku: str) -> list[Envelope]:
        """The versions in force of a SKU's facts, by key."""
        found = sorted(self.in_force.items(), key=lambda item: item[0])
        return [fact for (key, _), fact in found if fact is not None and key[-1] == sku]

    def stated(self, sku: str) -> list[Envelope]:
        """The versions in force of what is stated of a SKU, by key."""
        return [s for key, s in sorted(self.statements.items()) if key[-1] == sku]

    def names_of_channels(self, sku: str) -> set[str]:
        return {"all"} | self.channels[sku] | self.declared[sku] | self.declared[""]


def judge(log: Iterable[Event], window: int) -> Judged:
    """Say what each event is worth, in log order."""
    j = Judged()
    known: dict[Key, list[Known]] = defaultdict(list)
    for event in log:
        j.verdicts.append(_judge_one(j, known, event, window))
    return j


@dataclass
class Known:
    """What is known of one fact, or of one reversal's own paper."""

    rank: Rank
    content: tuple[object, ...]
    last_time: int
    """Greatest event time of any version seen: resends of it are not late before the window has passed it."""


def _judge_one(
    j: Judged,
    known: dict[Key, list[Known]],
    event: Event,
    window: int,
) -> str:
    if isinstance(event, TimeTicked):
        if j.tick is not None and event.event_time <= j.tick:
            return "duplicate"
        j.tick = event.event_time
        return "folded"
    if isinstance(event, STATEMENTS):
        return _judge_statement(j, event)
    if not isinstance(event, FACTS + REVERSALS):
        return "kept"
    sku = event.sku
    if j.tick is not None and event.event_time > j.tick + DAY:
        return "future"
    clock = j.clocks.get(sku)
    oldest = None if clock is None else (clock if j.tick is None else min(clock, j.tick)) - window
    own, content = key_of(event), business(event)
    fact: Envelope | None
    if isinstance(event, ReservationRequested) and (asked := _current(known[own], oldest)) is not None:
        return "duplicate" if asked.content == content else "conflict"
    if oldest is not None and dated(event) < oldest:
        return "late"

    if isinstance(event, REVERSALS):
        # A reversal is known by its own paper; what it does, it does to the fact that it names.
        mine = _current(known[own], oldest)
        if mine is not None:
            return "duplicate" if mine.content == content else "conflict"
        known[own].append(Known((0, 0, ""), content, event.event_time))
        target, content = named_by(event.reverses, sku), ()
        rank: Rank = (1, event.event_time, text_of(own))
        fact = event.replacement if isinstance(event, Correction) else None
    else:
        target, rank, fact = own, (0, event.rev, ""), event
        before = _current(known[target], oldest)
        if before is not None and before.rank == rank:
            return "duplicate" if before.content == content else "conflict"

    j.clocks[sku] = max(j.clocks.get(sku, event.event_time), event.event_time)
    if event.channel:
        j.channels[sku].add(event.channel)
    if isinstance(event, Correction) and event.replacement is not None and event.replacement.channel:
        j.channels[sku].add(event.replacement.channel)
    times = [event.event_time] + ([] if fact is None else [fact.event_time])
    if (version := _current(known[target], oldest)) is None:
        known[target].append(Known(rank, content, max(times)))
    elif version.rank > rank:
        version.last_time = max(version.last_time, event.event_time)
        return "superseded"
    else:
        version.rank, version.content, version.last_time = rank, content, max(version.last_time, *times)
    j.in_force[target, len(known[target])] = _as_policies_stand(j, fact)
    return "folded"


def _as_policies_stand(j: Judged, fact: Envelope | None) -> Envelope | None:
    """A sale of an order's line is its hand-over where policies say so at the time that it is heard."""
    till = isinstance(fact, SaleRecorded) and fact.order is not None and said_of(j, "till_is_handover", fact)
    return HandedOverAtTill(**{f.name: getattr(fact, f.name) for f in fields(fact)}) if fact and till else fact


def _current(versions: list[Known], oldest: int | None) -> Known | None:
    """What the window still remembers of a key."""
    if not versions or (oldest is not None and versions[-1].last_time < oldest):
        return None
    return versions[-1]


def dated(event: Envelope) -> int:
    """The earliest time that the event speaks of."""
    if isinstance(event, CountRecorded):
        return min(event.event_time, count_time(event))
    if isinstance(event, Correction) and event.replacement is not None:
        return min(event.event_time, dated(event.replacement))
    return event.event_time


def count_time(count: CountRecorded) -> int:
    return count.event_time if count.as_of is None else count.as_of


def _judge_statement(j: Judged, event: Envelope) -> str:
    key = key_of(event)
    known = j.statements.get(key)
    if known is not None and known.rev == event.rev:
        return "duplicate" if business(known) == business(event) else "conflict"
    if event.channel:
        j.declared[event.sku].add(event.channel)
    if known is not None and known.rev > event.rev:
        return "superseded"
    j.statements[key] = event
    return "folded"


# Policies -------------------------------------------------------------------------------------------------


def parameter(j: Judged, name: str, *, sku: str, location: str | None, channel: str | None) -> object:
    """The value of a policy parameter, None where no policy speaks.

    `location` None asks for a parameter of a channel, `channel` None for one of a node: a policy that names
    what is not asked for does not apply. With both, only policies that name the channel are asked: whether
    the node itself is open is another question.
    """
    found = _asked(j, name, {"sku": sku, "channel": channel, "location": location})
    if location is not None and channel is not None:
        found = [(p, value) for p, value in found if p.channel]
    return found[-1][1] if found else None


def said_of(j: Judged, name: str, event: Envelope) -> object:
    """The value of a parameter for an event, by the SKU, location and channel that it names; None where none speaks."""
    found = _asked(j, name, {"sku": event.sku, "channel": event.channel, "location": event.location})
    return found[-1][1] if found else None


def _asked(j: Judged, name: str, asked: dict[str, str | None]) -> list[tuple[PolicyChanged, object]]:
    """The policies in force that apply and say something, with their values, strongest last."""
    found = []
    for key, p in j.statements.items():
        if not isinstance(p, PolicyChanged):
            continue
        value = getattr(p.policy, name)
        named = {"sku": p.sku, "channel": p.channel, "location": p.location}
        applies = all(not text or text == asked[what] for what, text in named.items())
        if value is None or not applies or p.event_time > j.now(asked["sku"] or ""):
            continue
        strength = (
            sum(bool(text) for text in named.values()),
            (bool(p.sku), bool(p.channel), bool(p.location)),
            p.event_time,
            text_of(key),
        )
        found.append((strength, p, value))
    return [(p, value) for _, p, value in sorted(found, key=lambda one: one[0])]


def number(value: object, default: int) -> int:
    return value if isinstance(value, int) else default
