"""Random lists of events for Hypothesis: few SKUs, places and hours, so that everything meets everything.

`calm` lists hold no conflict and nothing late: their outcome must not depend on order or number. `wild` lists
hold anything: their outcome must equal the model's in the order given.
"""

from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Any, get_args

from hypothesis import strategies as st

from atp.events import (
    DAY,
    HOUR,
    MINUTE,
    SECOND,
    AllocationGranted,
    AllocationReturned,
    AsnShipped,
    Converted,
    Correction,
    CountRecorded,
    Document,
    Event,
    EventRef,
    Fact,
    FinancialOnly,
    GoodsReceived,
    OrderAllocated,
    OrderCancelled,
    PickConfirmed,
    PickFailed,
    PickupConfirmed,
    PolicyChanged,
    PolicyFields,
    PurchaseOrderCancelled,
    PurchaseOrderChanged,
    PurchaseOrderPlaced,
    Ref,
    ReservationConfirmed,
    ReservationDecided,
    ReservationExpired,
    ReservationPlaced,
    ReservationReleased,
    ReservationRequested,
    ReturnDispositioned,
    ReturnReceived,
    Reversal,
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
    TransferShipped,
)

EIGHT = 1_795_132_800 * 1_000_000 + 8 * HOUR
"""2026-11-20 08:00 UTC."""
SKUS = ("A", "B")
PLACES = ("DC1", "S1", "S2")
STEPS = 9
"""Distinct times of a list: few, so that equal ones are common."""


@dataclass(frozen=True)
class World:
    """What the events of one list are drawn from."""

    skus: tuple[str, ...] = ("A",)
    places: tuple[str, ...] = ("S1", "S2")
    kinds: tuple[type, ...] = ()
    """Empty: all."""
    step: int = HOUR
    """Between two of the distinct times."""
    others: int = 3
    """Of ten events, how many are policies or reversals."""
    promises: bool = False
    """Whether orders, supply and ring-fences are among them."""
    lots: bool = False
    """Whether some of them name a lot, or a last day."""


NARROW = World()
"""One SKU at two places: counts, deltas and versions then meet in most lists."""
CHANNELS = ("", "", "store", "web")
SOURCES = ("pos:1", "wms:1")
BUCKETS = ("sellable", "returned", "quarantine", "damaged")
REASONS = (None, "opening", "found", "lost", "damaged", "expired", "destroyed", "vendor_return")
LOTS = (None, None, "L-1", "L-1", "L|2")
TRANSFERS = (Ref("X-1", 1), Ref("X-1", 2), Ref("X|2", 1))

hours = st.integers(0, STEPS - 1).map(lambda n: EIGHT + n * HOUR)
units = st.integers(1, 9)


def stamp(event: Any, n: int) -> Any:
    """Give a resend other transport fields."""
    return replace(event, event_id=f"id-{n}", recorded_time=event.event_time + n * MINUTE, trace_id=f"t-{n}")


@st.composite
def facts(draw: st.DrawFn, world: World, document: Document, kind: type | None = None) -> Fact:
    """One line of a document."""
    places = world.places
    times = st.integers(0, STEPS - 1).map(lambda n: EIGHT + n * world.step)
    kind = kind or draw(st.sampled_from(world.kinds or (ALL_KINDS if world.promises else KINDS)))
    common: dict[str, Any] = {
        "source": draw(st.sampled_from(SOURCES)) if kind is not SaleRecorded else "pos:1",
        "document": document,
        "event_time": draw(times),
        "sku": draw(st.sampled_from(world.skus)),
        "location": draw(st.sampled_from(places)),
        "channel": draw(st.sampled_from(CHANNELS)),
        "quantity": draw(units),
        "source_seq": draw(st.none() | st.integers(1, 9)),
    }
    if world.lots:
        common["lot"] = draw(st.sampled_from(LOTS))
        common["expiry"] = draw(etas) if common["lot"] else draw(st.sampled_from((None, None, "2026-11-22")))
    if kind is SaleRecorded or kind is ShipmentConfirmed or kind is PickupConfirmed:
        common["order"] = draw(st.sampled_from((None, *ORDERS) if world.promises else (None, None, ORDERS[0])))
    elif kind is ReturnDispositioned:
        common["disposition"] = draw(st.sampled_from((*BUCKETS[::2], "damaged", "vendor_return", "scrap")))
    elif kind is GoodsReceived:
        common["to_status"] = draw(st.sampled_from(("sellable", "sellable", "quarantine", "damaged")))
        if world.promises:
            common["purchase_order"] = draw(st.sampled_from((None, *PURCHASES)))
            common["final"] = draw(st.sampled_from((False, False, False, True)))
    elif kind is TransferShipped:
        common["to_location"] = draw(st.sampled_from([p for p in places if p != common["location"]]))
        common["transfer"] = draw(st.sampled_from((None, *TRANSFERS)))
        if world.promises:
            common["eta"] = draw(etas)
    elif kind is TransferReceived or kind is TransferLost:
        common["transfer"] = draw(st.sampled_from((None, *TRANSFERS)))
    elif kind is Converted:
        common["quantity"] = draw(units) * draw(st.sampled_from((1, -1)))
    elif kind is StockAdjusted:
        common["quantity"] = draw(units) * draw(st.sampled_from((1, -1)))
        common["reason"] = draw(st.sampled_from(REASONS))
        common["status"] = draw(st.sampled_from(("sellable", "sellable", "damaged", "quarantine")))
    elif kind is StatusChanged:
        common["from_status"], common["to_status"] = draw(st.permutations(BUCKETS))[:2]
    elif kind in CLAIMS:
        common |= draw(claims(world, kind, common["location"]))
    elif kind is CountRecorded:
        common["quantity"] = draw(st.integers(0, 20))
        seen = draw(st.none() | times)
        common["as_of"] = None if seen is None else min(seen, common["event_time"] + DAY)
        common["scope"] = draw(st.sampled_from(("on_hand", "on_hand", *BUCKETS)))
        common["excludes"] = draw(st.sampled_from((None, None, "picked"))) if world.promises else None
        common["through_seq"] = draw(
            st.none() | st.dictionaries(st.sampled_from(SOURCES), st.integers(0, 9), max_size=2)
        )
    return kind(**common)  # type: ignore[no-any-return]


FACTS = get_args(Fact)
"""What a correction may replace."""
KINDS = (
    SaleRecorded, SaleRecorded, ShipmentConfirmed, PickupConfirmed, ReturnReceived, ReturnDispositioned,
    GoodsReceived, GoodsReceived, TransferShipped, TransferReceived, TransferLost, StockAdjusted, StatusChanged,
    CountRecorded, CountRecorded, CountRecorded, FinancialOnly, Converted,
)  # fmt: skip


CLAIMS = (
    ReservationPlaced, ReservationDecided, ReservationConfirmed, ReservationReleased, OrderCancelled, OrderAllocated,
    ReservationExpired, PickConfirmed, PickFailed, TransferApproved, TransferRejected,
)  # fmt: skip
ALL_KINDS = (*KINDS, *CLAIMS, *CLAIMS, *(ReservationPlaced,) * 4, *(OrderAllocated,) * 2, *(ShipmentConfirmed,) * 2)
ORDERS = (Ref("O-1", 1), Ref("O-1", 2), Ref("O|2", 1))
PURCHASES = (Ref("PO-1", 1), Ref("PO-1", 2))
dates = st.integers(-5, 8).map(lambda n: datetime.fromtimestamp((EIGHT + n * DAY) / 1_000_000, UTC).date().isoformat())
etas = st.none() | dates


@st.composite
def claims(draw: st.DrawFn, world: World, kind: type, place: str) -> dict[str, Any]:
    """The fields of an event about an order line, beside the common ones."""
    found: dict[str, Any] = {"order": draw(st.sampled_from(ORDERS))}
    if kind is ReservationPlaced or kind is ReservationDecided:
        found["order"] = draw(st.sampled_from((*ORDERS, *ORDERS, None)))
        found["location"] = draw(st.sampled_from(("", place)))
        found["state"] = draw(st.sampled_from(("soft", "soft", "firm")))
        found["expires_at"] = draw(st.none() | hours.map(lambda t: t + SECOND // 2) | st.just(EIGHT + 9 * DAY))
        found["need_date"] = draw(st.none() | dates)
    if kind is ReservationDecided:
        found["request_id"] = draw(st.sampled_from(("R-1", "R-2", "R-3")))
        found["decision"] = draw(st.sampled_from(("accepted", "rejected")))
    elif kind is OrderCancelled:
        found["quantity"] = draw(st.integers(0, 3))
    elif kind in (ReservationConfirmed, ReservationExpired, TransferRejected):
        found["quantity"] = 0
    elif kind is OrderAllocated:
        found["from_location"] = draw(st.sampled_from(("", *(p for p in world.places if p != place))))
    if kind is TransferApproved or kind is TransferRejected:
        found["order"] = None
        found["transfer"] = draw(st.sampled_from(TRANSFERS))
    if kind is TransferApproved:
        found["to_location"] = draw(st.sampled_from([p for p in world.places if p != place]))
        found["eta"] = draw(etas)
    return found


@st.composite
def requests(draw: st.DrawFn, document: Document) -> ReservationRequested:
    """A channel asks for units, at a place or anywhere."""
    return ReservationRequested(
        source="shop",
        document=document,
        event_time=draw(hours),
        sku="A",
        location=draw(st.sampled_from(("", "", *PLACES))),
        channel=draw(st.sampled_from(CHANNELS)),
        quantity=draw(units),
        order=draw(st.sampled_from((*ORDERS, None, None))),
        request_id=document.id,
        state=draw(st.sampled_from(("soft", "firm", None))),
        expires_at=draw(st.none() | hours | st.just(EIGHT + 9 * DAY)),
        need_date=draw(st.none() | dates),
        partial=draw(st.booleans()),
    )


Statement = (
    AllocationGranted
    | AllocationReturned
    | PurchaseOrderPlaced
    | PurchaseOrderChanged
    | PurchaseOrderCancelled
    | SupplierConfirmed
    | AsnShipped
)


@st.composite
def customs(draw: st.DrawFn) -> list[Event]:
    """Policies that say when channels reserve, and for how long."""
    events: list[Event] = []
    for n in range(draw(st.integers(0, 3))):
        scope = draw(policies(World(), Document("policy", f"custom {n}", 1)))
        moment = draw(st.sampled_from((None, "cart", "payment", "release")))
        hold = draw(st.sampled_from((60, 3_600)) if moment is None else st.sampled_from((None, 60)))
        events.append(replace(scope, event_time=EIGHT, policy=PolicyFields(reserves_at=moment, hold_s=hold)))
    return events


@st.composite
def statements(draw: st.DrawFn, world: World, document: Document, kind: type | None = None) -> Statement:
    """A grant, a return of one, or a word about a purchase order line."""
    kind = kind or draw(st.sampled_from(STATEMENTS))
    common: dict[str, Any] = {
        "source": "erp",
        "document": document,
        "event_time": draw(hours | st.sampled_from((EIGHT - 30 * DAY, EIGHT + 30 * DAY))),
        "sku": draw(st.sampled_from(world.skus)),
        "quantity": draw(units),
    }
    if kind is AllocationGranted or kind is AllocationReturned:
        common["channel"] = draw(st.sampled_from(("store", "web", "web", "all")))
        if kind is AllocationGranted:
            common["priority"] = draw(st.integers(0, 2))
        return kind(**common)
    common["location"] = draw(st.sampled_from(("", *world.places, *world.places)))
    common["channel"] = draw(st.sampled_from(("", "", "", "store", "web")))
    own = kind in (PurchaseOrderPlaced, PurchaseOrderChanged, PurchaseOrderCancelled)
    common["purchase_order"] = draw(st.sampled_from((*PURCHASES, None) if own else PURCHASES))
    if kind is PurchaseOrderCancelled:
        common["quantity"] = 0
    else:
        common["eta"] = draw(etas)
    if kind is AsnShipped:
        common["final"] = draw(st.sampled_from((False, False, True)))
    return kind(**common)  # type: ignore[no-any-return]


STATEMENTS = (
    AllocationGranted, AllocationGranted, AllocationReturned, PurchaseOrderPlaced, PurchaseOrderChanged,
    PurchaseOrderCancelled, SupplierConfirmed, SupplierConfirmed, AsnShipped, AsnShipped,
)  # fmt: skip


@st.composite
def revisions(draw: st.DrawFn, world: World, first: Fact, kinds: int = 2) -> list[Fact]:
    """Later versions of a line: moved, restated, or taken back with quantity 0."""
    found = []
    for rev in draw(st.lists(st.integers(1, 4), unique=True, max_size=kinds)):
        other = draw(facts(world, first.document, type(first)))
        zero = draw(st.booleans()) and draw(st.booleans())
        found.append(
            replace(other, source=first.source, sku=first.sku, rev=rev, quantity=0 if zero else other.quantity)
        )
    return found


@st.composite
def reversals(draw: st.DrawFn, world: World, target: Fact, document: Document) -> Event:
    """A void, a reversal or a correction of the target."""
    named = EventRef(type(target).__name__, target.source, target.document)
    common: dict[str, Any] = {
        "source": draw(st.sampled_from(SOURCES)),
        "document": document,
        "event_time": EIGHT + draw(st.integers(0, STEPS - 1)) * world.step,
        "sku": target.sku,
        "reverses": named,
    }
    plain = draw(st.booleans())
    if plain and isinstance(target, SaleRecorded):
        return SaleVoided(**common)
    if plain and isinstance(target, ShipmentConfirmed | PickupConfirmed | TransferShipped):
        return ShipmentReversed(**common)
    if draw(st.booleans()) or isinstance(target, ReservationConfirmed):  # a line is confirmed or it is not
        return Correction(**common)
    other = draw(facts(world, target.document, type(target)))
    common["event_time"] = max(common["event_time"], other.event_time - DAY)  # It speaks of what was.
    return Correction(**common, replacement=replace(other, source=target.source, sku=target.sku))


@st.composite
def policies(draw: st.DrawFn, world: World, document: Document) -> PolicyChanged:
    """A policy of any scope, with a few of its parameters."""
    known = PARAMETERS | PARAMETERS_OF_SUPPLY if world.promises else PARAMETERS
    chosen = draw(st.sets(st.sampled_from(tuple(known)), min_size=1, max_size=3))
    return PolicyChanged(
        source="mdm",
        document=document,
        event_time=draw(hours | st.sampled_from((EIGHT - 30 * DAY, EIGHT + 30 * DAY))),
        sku=draw(st.sampled_from(("", *world.skus))),
        location=draw(st.sampled_from(("", *world.places))),
        channel=draw(st.sampled_from(("", "store", "web", "all"))),
        policy=PolicyFields(**{name: draw(known[name]) for name in sorted(chosen)}),
    )


PARAMETERS: dict[str, st.SearchStrategy[Any]] = {
    "safety_stock": st.integers(0, 4),
    "eligible": st.booleans(),
    "buffer": st.integers(0, 4),
    "share_percent": st.sampled_from((0, 29, 50, 100)),
    "cap": st.integers(0, 8),
    "locations": st.lists(st.sampled_from(PLACES), unique=True, max_size=3).map(tuple),
    "low_at": st.integers(0, 3),
    "min_life_days": st.sampled_from((0, 1, 2, 4)),
    "buffer_by_rate": st.sampled_from((True, True, True, False)),
    "lag_s": st.sampled_from((60, 7_200, 100_000)),
    "order_lag_s": st.sampled_from((300, 50_000)),
}
PARAMETERS_OF_SUPPLY: dict[str, st.SearchStrategy[Any]] = {
    "dock_days": st.integers(0, 2),
    "max_slip_days": st.integers(0, 4),
    "supplier_late_p90_days": st.integers(0, 3),
    "count_ordered": st.booleans(),
    "sells_ahead": st.sampled_from(("backorder", "preorder", "never")),
}


@st.composite
def worlds(draw: st.DrawFn, *, promises: bool = False) -> World:
    """Some of the kinds of events, not all: those that are left meet each other more often."""
    if promises:
        some = st.sets(st.sampled_from(sorted(set(ALL_KINDS), key=repr)), min_size=1)
        common = {ReservationPlaced, GoodsReceived}  # nothing much happens without them
        kinds = draw(st.just(ALL_KINDS) | some.map(lambda s: tuple(sorted(s | common, key=repr))))
        places = draw(st.sampled_from((PLACES, PLACES, PLACES[1:])))
        others, lots = draw(st.sampled_from((3, 6))), draw(st.booleans())
        return World(skus=SKUS[:1], places=places, kinds=kinds, others=others, promises=True, lots=lots)
    return World(
        skus=draw(st.sampled_from((SKUS, SKUS[:1]))),
        places=draw(st.sampled_from((PLACES, PLACES[1:]))),
        kinds=tuple(draw(st.sets(st.sampled_from(sorted(set(KINDS), key=repr))).map(lambda s: sorted(s, key=repr)))),
        step=draw(st.sampled_from((HOUR, 20 * HOUR))),  # all within the window, in whatever order
        others=draw(st.sampled_from((3, 7))),
        lots=draw(st.booleans()),
    )


@st.composite
def shops(draw: st.DrawFn, world: World) -> list[Event]:
    """Something to promise, and channels that may each promise it from nodes of their own."""
    events: list[Event] = []
    for place in world.places:
        if quantity := draw(st.integers(0, 20)):
            document = Document("opening", place, 1)
            opening = StockAdjusted(
                source="wms:1", document=document, event_time=EIGHT, sku="A", location=place, quantity=quantity
            )
            events.append(opening)
    for channel in ("store", "web"):
        chosen = draw(st.none() | st.sets(st.sampled_from(world.places), min_size=1))
        if chosen is not None:
            policy = draw(policies(world, Document("policy", channel, 1)))
            nodes = PolicyFields(locations=tuple(sorted(chosen)))
            events.append(replace(policy, event_time=EIGHT, sku="", location="", channel=channel, policy=nodes))
    return events


@st.composite
def calm(draw: st.DrawFn, size: int = 14, *, promises: bool = False, within: World | None = None) -> list[Event]:
    """A list without conflicts, all inside the window: its order means nothing.

    With `promises` there are orders, supply and ring-fences too. Requests are not: what they come to is decided
    once, in the order in which they are heard; a decision that was logged is an event as all others are.
    """
    world = within or draw(worlds(promises=promises))
    events: list[Event] = draw(shops(world)) if promises else []
    lines: list[Fact] = []
    for n in range(draw(st.integers(1, size))):
        what = draw(st.integers(0, 9))
        if what >= world.others or not lines:
            document = Document(*draw(st.sampled_from((("paper", f"D-{n}", 1), ("transfer", "X-1", n + 1)))))
            line = draw(facts(world, document))
            lines.append(line)
            events += [line, *draw(revisions(world, line))]
        elif promises and what % 3 == 0:
            word = draw(statements(world, Document("paper", f"S-{n}", 1)))
            events.append(word)
            if draw(st.integers(0, 3)) == 0:
                other = draw(statements(world, word.document, type(word)))
                events.append(replace(other, rev=1, sku=word.sku))
        elif what % 2:
            policy = draw(policies(world, Document("policy", f"P-{n}", 1)))
            events.append(policy)
            if draw(st.booleans()):
                events.append(replace(draw(policies(world, policy.document)), rev=1, sku=policy.sku))
        elif reversible := [line for line in lines if isinstance(line, FACTS)]:
            events.append(draw(reversals(world, draw(st.sampled_from(reversible)), Document("paper", f"V-{n}", 1))))
    return events


def end(events: list[Event]) -> TimeTicked:
    """The tick that ends a list: ten minutes after the greatest event time, policies apart."""
    times = [e.event_time for e in events if not isinstance(e, (PolicyChanged, *STATEMENTS))]
    return tick(max(times, default=EIGHT) + 10 * MINUTE)


def tick(time: int) -> TimeTicked:
    return TimeTicked(source="clock", document=Document("tick", str(time), 1), event_time=time)


@st.composite
def shuffled(draw: st.DrawFn, events: list[Event]) -> list[Event]:
    """The same events in another order, each one to three times, resends with other transport ids."""
    copies = [stamp(e, n) for e in events for n in range(draw(st.integers(1, 3)))]
    return list(draw(st.permutations(copies)))


@st.composite
def weeks(draw: st.DrawFn) -> list[Event]:
    """Counts, movements and what takes them back, over two windows, each heard within days of its time.

    No count names a source's sequence: numbers that do not rise with time may be covered by counts long forgotten. And
    nothing is said of a paper that the window has forgotten: what numbers used again mean is a test of its own.
    """
    kinds = (SaleRecorded, GoodsReceived, StatusChanged, TransferShipped, CountRecorded, CountRecorded)
    world = World(places=PLACES[1:], kinds=kinds, step=40 * HOUR, others=7)
    events = [_by_time(event) for event in draw(calm(within=world))]
    heard = [event.event_time + draw(st.integers(0, 6)) * DAY for event in events]
    log: list[Event] = []
    known: dict[object, int] = {}
    for time, event in sorted(zip(heard, events, strict=True), key=lambda pair: pair[0]):
        paper = event.reverses if isinstance(event, Reversal) else _named(event)
        if time <= known.get(paper, time) + 7 * DAY:
            known[paper] = max(known.get(paper, 0), event.event_time)
            log.append(event)
    return log


def _named(event: Event) -> EventRef:
    return EventRef(type(event).__name__, event.source, event.document)


def _by_time(event: Event) -> Event:
    if isinstance(event, CountRecorded):
        return replace(event, through_seq=None)
    if isinstance(event, Correction) and isinstance(event.replacement, CountRecorded):
        return replace(event, replacement=replace(event.replacement, through_seq=None))
    return event


@st.composite
def wild(draw: st.DrawFn, size: int = 14, *, promises: bool = False) -> list[Event]:
    """Anything in any order: conflicts, late and future events, ticks; with `promises` requests, too.

    Ticks come from the first event on or not at all: before the first tick no bound holds, so a clock far ahead
    of it makes the window forget what is inside it again afterwards.
    """
    events = list(draw(st.permutations(draw(calm(size, promises=promises)))))
    ticks = draw(st.booleans())
    if promises and draw(st.booleans()):  # of a sale, what policies said when it was heard holds
        till = draw(policies(World(), Document("policy", "till", 1)))
        till = replace(till, event_time=EIGHT, policy=PolicyFields(till_is_handover=draw(st.booleans())))
        events.insert(draw(st.integers(0, len(events))), till)
    for n in range(draw(st.integers(0, 4)) if promises else 0):
        events.insert(draw(st.integers(0, len(events))), draw(requests(Document("request", f"R-{n}", 1))))
    if ticks:
        events.insert(0, tick(EIGHT - draw(st.integers(0, 2)) * DAY))
    for _ in range(draw(st.integers(0, 5))):
        what, at = draw(st.integers(0 if ticks else 1, 3)), draw(st.integers(int(ticks), len(events)))
        if what == 0:
            events.insert(at, tick(draw(hours) + draw(st.sampled_from((0, -3 * DAY, DAY, 8 * DAY)))))
        elif events and not isinstance(chosen := draw(st.sampled_from(events)), TimeTicked | PolicyChanged):
            days = draw(st.sampled_from((-9, -7, -1, 1, 2, 8)))
            if what == 1:
                chosen = replace(chosen, quantity=chosen.quantity + 1)
            elif what == 2:
                # Far away it is another paper: what numbers used again mean is a test of its own.
                paper = chosen.document._replace(id=f"far {days}") if abs(days) > 2 else chosen.document
                chosen = replace(chosen, document=paper, event_time=chosen.event_time + days * DAY)
                if isinstance(chosen, ReservationRequested):
                    chosen = replace(chosen, request_id=f"{chosen.request_id} {days}")
            events.insert(at, chosen)
    return events
