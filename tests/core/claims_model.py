"""The reference model, third part: order lines, and the units that they claim.

A line is derived anew from the events in force that name it. Source: docs/domain.md sections 2 and 3.
"""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime

from atp.events import (
    DAY,
    SECOND,
    Envelope,
    OrderAllocated,
    OrderCancelled,
    PickConfirmed,
    PickFailed,
    PickupConfirmed,
    Ref,
    ReservationConfirmed,
    ReservationDecided,
    ReservationExpired,
    ReservationPlaced,
    ReservationReleased,
    ReservationRequested,
    ShipmentConfirmed,
    TransferApproved,
    TransferRejected,
    TransferShipped,
)
from tests.core.log_model import HandedOverAtTill, key_of, text_of


@dataclass(frozen=True)
class Decided:
    """What a request came to."""

    units: int
    state: str = "soft"
    expires_at: int | None = None
    accepted: bool = True
    """Whole."""
    channel: str = ""
    """Whose the units are, where the request named none."""


Decisions = Mapping[str, Decided]
"""By request id, for decisions depend on order. A request that is not there came to nothing."""
Take = ReservationPlaced | ReservationRequested | ReservationDecided | TransferApproved
HANDED_OVER = (ShipmentConfirmed, PickupConfirmed, TransferShipped, HandedOverAtTill)
OF_CLAIMS = (
    ReservationPlaced, ReservationConfirmed, ReservationReleased, ReservationExpired, OrderCancelled, OrderAllocated,
    PickConfirmed, PickFailed,
)  # fmt: skip
"""They speak of the order's line; where they name none, of the reservation that their own document is."""


def day_of(time: int) -> int:
    """The UTC day of a time, in days since 1970."""
    return time // DAY


def day_named(text: str) -> int:
    if len(text) == len("2026-11-20"):
        day = date.fromisoformat(text)
    else:
        named = datetime.fromisoformat(text)
        day = (named.astimezone(UTC) if named.tzinfo else named).date()
    return (day - datetime.fromtimestamp(0, UTC).date()).days


def line_of(event: Envelope) -> tuple[str, int] | None:
    """The order line that an event speaks of, None where it speaks of none."""
    match event:
        case TransferApproved() | TransferShipped() | TransferRejected():
            ref = event.transfer if event.transfer is not None else Ref(event.document.id, event.document.line)
            return (f"transfer:{ref.id}", ref.line)
        case ReservationRequested() | ReservationDecided() if event.order is None:
            return (f"request:{event.request_id}", 1)
        case _ if isinstance(event, OF_CLAIMS) and event.order is None:
            return (f"reservation:{event.document.id}", event.document.line)
        case _ if isinstance(event, (*OF_CLAIMS, *HANDED_OVER, ReservationRequested, ReservationDecided)):
            return None if event.order is None else (event.order.id, event.order.line)
        case _:
            return None


def units_of(take: Take, decisions: Decisions) -> int:
    """Units that a take claims."""
    if isinstance(take, ReservationRequested):
        return decisions[take.request_id].units if take.request_id in decisions else 0
    if isinstance(take, ReservationDecided):
        return 0 if take.decision == "rejected" else take.quantity
    return take.quantity


@dataclass(frozen=True)
class LineAnswer:
    """An order line of a SKU; all figures in units."""

    channel: str
    requested: int
    released: int
    cancelled: bool
    firm: bool
    expired: bool
    consumed: int
    open: int
    placed: tuple[tuple[str, str, int], ...]
    """(location, counter that shows them, units)."""
    need_day: int | None
    """The day of a demand that is due later; None where it is due."""
    began: int | None
    """When it first took, or else moved, units; None where it never did."""

    @property
    def pending(self) -> int:
        """Open units that are tied to no node."""
        return self.open - sum(units for _, _, units in self.placed)

    @property
    def taken(self) -> int:
        """Units that it took from its channel's ring-fence."""
        wanted = 0 if self.cancelled or self.expired else self.requested - self.released
        return max(wanted, self.consumed)


def line_answers(
    facts: Sequence[Envelope], decisions: Decisions, tick: int | None
) -> dict[tuple[str, int], LineAnswer]:
    """The lines of one SKU."""
    by_line: dict[tuple[str, int], list[Envelope]] = {}
    for fact in facts:
        if (line := line_of(fact)) is not None:
            by_line.setdefault(line, []).append(fact)
    return {line: _line(by_line[line], decisions, tick) for line in sorted(by_line)}


def _line(events: Sequence[Envelope], decisions: Decisions, tick: int | None) -> LineAnswer:
    takes = [(e, units_of(e, decisions)) for e in events if isinstance(e, Take)]
    takes = [(e, units) for e, units in takes if units]
    hand_overs: list[Envelope] = [e for e in events if e.quantity and isinstance(e, HANDED_OVER)]

    requested = sum(units for _, units in takes)
    released = sum(e.quantity for e in events if isinstance(e, ReservationReleased | OrderCancelled))
    cancelled = any(
        (isinstance(e, OrderCancelled) and not e.quantity) or isinstance(e, TransferRejected) for e in events
    )
    consumed, failed, reserved, allocated = Counter[str](), Counter[str](), Counter[str](), Counter[str]()
    for e in hand_overs:
        consumed[e.location] += e.quantity
    for e in events:
        if isinstance(e, PickFailed):
            failed[e.location] += e.quantity
        if isinstance(e, OrderAllocated):
            allocated[e.location] += e.quantity
            if e.from_location:
                allocated[e.from_location] -= e.quantity
    for e, units in takes:
        if e.location:
            reserved[e.location] += units

    confirmed = any(isinstance(e, ReservationConfirmed) and counts(e, decisions) for e in events)
    firm = confirmed or any(is_firm(e, decisions) for e, _ in takes) or any(units > 0 for units in allocated.values())
    told = [e.event_time for e in events if isinstance(e, ReservationExpired)]
    ends = [end_of(e, decisions, told) for e, _ in takes]
    times = [end for end in ends if end is not None]
    expired = False
    if tick is not None and not firm and times and len(times) == len(ends):
        expired = -(-max(times) // SECOND) * SECOND <= tick
    gone = cancelled or expired
    open_ = 0 if gone else max(0, requested - released - sum(consumed.values()))

    needs = [day_named(e.need_date) for e, _ in takes if not isinstance(e, TransferApproved) and e.need_date]
    need_day = max(needs, default=None)
    if need_day is not None and (tick is None or need_day <= day_of(tick)):
        need_day = None
    times_of_takes, times_of_hand_overs = [e.event_time for e, _ in takes], [e.event_time for e in hand_overs]
    channels = [channel_of(e, decisions) for e, _ in takes] if takes else [e.channel for e in hand_overs]
    return LineAnswer(
        channel=max(channels, default="") or "all",
        requested=requested,
        released=released,
        cancelled=cancelled,
        firm=firm,
        expired=expired,
        consumed=sum(consumed.values()),
        open=open_,
        placed=_placed(open_, firm, allocated, failed, consumed, reserved),
        need_day=need_day,
        began=min(times_of_takes or times_of_hand_overs, default=None),
    )


def counts(confirmation: ReservationConfirmed, decisions: Decisions) -> bool:
    """Say whether a confirmation makes its line firm: one of a line that had expired is decided like a request."""
    decided = decisions.get(decision_of(confirmation))
    return decided is None or decided.accepted


def decision_of(confirmation: ReservationConfirmed) -> str:
    """Under which id the decision on it is kept, where there was one."""
    key = text_of(key_of(confirmation))
    return f"{key}@{confirmation.rev}" if confirmation.rev else key


def channel_of(take: Take, decisions: Decisions) -> str:
    if isinstance(take, ReservationRequested):
        return take.channel or decisions[take.request_id].channel
    return take.channel


def is_firm(take: Take, decisions: Decisions) -> bool:
    if isinstance(take, ReservationRequested):
        return decisions[take.request_id].state == "firm"
    return isinstance(take, TransferApproved) or take.state == "firm"


def expires_at(take: Take, decisions: Decisions) -> int | None:
    if isinstance(take, ReservationRequested):
        return decisions[take.request_id].expires_at
    return None if isinstance(take, TransferApproved) else take.expires_at


def end_of(take: Take, decisions: Decisions, told: Sequence[int]) -> int | None:
    """When a take runs out: by itself, or when another system says so, which lets run out what was taken up to then."""
    own = expires_at(take, decisions)
    return min([*(time for time in told if time >= take.event_time), *([] if own is None else [own])], default=None)


def _placed(
    rest: int,
    firm: bool,
    allocated: Mapping[str, int],
    failed: Mapping[str, int],
    consumed: Mapping[str, int],
    reserved: Mapping[str, int],
) -> tuple[tuple[str, str, int], ...]:
    """Tie open units to nodes: first where they were allocated, then where they were reserved."""
    places = sorted({*allocated, *failed, *consumed, *reserved})
    found = []
    for place in places:
        there = max(0, allocated[place] - failed[place] - consumed[place])
        found.append((place, "allocated", min(rest, there)))
        rest -= min(rest, there)
    for place in places:
        beyond = max(0, consumed[place] - max(0, allocated[place] - failed[place]))
        there = max(0, reserved[place] + min(0, allocated[place]) - failed[place] - beyond)
        found.append((place, "reserved_firm" if firm else "reserved_soft", min(rest, there)))
        rest -= min(rest, there)
    return tuple(one for one in found if one[2])


def picked(facts: Sequence[Envelope], location: str, time: int) -> int:
    """Units that had been picked for lines at a location, and had not left it at that time."""
    found = Counter[tuple[str, int]]()
    for fact in facts:
        line = line_of(fact)
        if line is not None and fact.location == location and fact.event_time <= time:
            if isinstance(fact, PickConfirmed):
                found[line] += fact.quantity
            elif isinstance(fact, HANDED_OVER):
                found[line] -= fact.quantity
    return sum(max(0, units) for units in found.values())
