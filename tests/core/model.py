"""The reference model: everything recomputed from the list of events, by the definitions, slowly and plainly.

It shares with the fold only the classes of events. It keeps no state between events: `judge` walks the log
once to say what each event is worth (the one thing that depends on order), and `answer` then derives every
figure from the versions in force alone. Source: docs/domain.md sections 2 to 9.
"""

from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, fields, replace

from atp.events import (
    DAY,
    Correction,
    CountRecorded,
    Envelope,
    Event,
    EventRef,
    FinancialOnly,
    GoodsReceived,
    PickupConfirmed,
    PolicyChanged,
    Ref,
    ReturnDispositioned,
    ReturnReceived,
    SaleRecorded,
    SaleVoided,
    ShipmentConfirmed,
    ShipmentReversed,
    StatusChanged,
    StockAdjusted,
    TimeTicked,
    TransferLost,
    TransferReceived,
    TransferShipped,
)

BUCKETS = ("sellable", "returned", "quarantine", "damaged")
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
    CountRecorded,
    FinancialOnly,
)
REVERSALS = (SaleVoided, ShipmentReversed, Correction)
SCRAPPED = ("damaged", "expired", "destroyed")
NO_BUSINESS = ("event_id", "recorded_time", "source_seq", "actor", "trace_id", "uom", "uom_quantity")
"""Fields that say how an event travelled, not what happened."""

Key = tuple[str, str, str, int, str, str]
Rank = tuple[int, int, str]
"""(0, rev, "") for a revision, (1, event time, own key as text) for a void, reversal or correction."""


def key_of(event: Envelope) -> Key:
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
    policies: dict[Key, PolicyChanged] = field(default_factory=dict)
    channels: dict[str, set[str]] = field(default_factory=lambda: defaultdict(set))
    """By SKU: the channels that its accepted events name."""
    declared: dict[str, set[str]] = field(default_factory=lambda: defaultdict(set))
    """By SKU, "" for all: the channels that policies declare."""
    clocks: dict[str, int] = field(default_factory=dict)
    tick: int | None = None

    def now(self, sku: str) -> int:
        return self.tick if self.tick is not None else self.clocks.get(sku, 0)


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
    if isinstance(event, PolicyChanged):
        return _judge_policy(j, event)
    if not isinstance(event, FACTS + REVERSALS):
        return "not_folded_yet"
    sku = event.sku
    if j.tick is not None and event.event_time > j.tick + DAY:
        return "future"
    clock = j.clocks.get(sku)
    oldest = None if clock is None else (clock if j.tick is None else min(clock, j.tick)) - window
    if oldest is not None and dated(event) < oldest:
        return "late"

    own, content = key_of(event), business(event)
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
    j.in_force[target, len(known[target])] = fact
    return "folded"


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


def _judge_policy(j: Judged, event: PolicyChanged) -> str:
    key = key_of(event)
    known = j.policies.get(key)
    if known is not None and known.rev == event.rev:
        return "duplicate" if business(known) == business(event) else "conflict"
    if event.channel:
        j.declared[event.sku].add(event.channel)
    if known is not None and known.rev > event.rev:
        return "superseded"
    j.policies[key] = event
    return "folded"


# What happened, as movements ------------------------------------------------------------------------------


@dataclass(frozen=True)
class Move:
    """Units from one account to another; an account is a boundary's name, (location, bucket) or ("", transfer)."""

    source: object
    target: object
    quantity: int


def transfer_of(event: TransferShipped | TransferReceived | TransferLost) -> tuple[str, int]:
    ref = event.transfer if event.transfer is not None else Ref(event.document.id, event.document.line)
    return (ref.id, ref.line)


def account_for(reason: str | None, quantity: int) -> str:
    if reason == "opening":
        return "OPENING"
    if reason in SCRAPPED:
        return "SCRAP"
    if reason == "vendor_return":
        return "VENDOR_RETURN"
    return "SHRINK" if quantity < 0 else "FOUND"


def moves(event: Envelope) -> list[Move]:
    """The physical movement that a fact is."""
    q, at = event.quantity, event.location
    match event:
        case SaleRecorded() if event.order is not None:
            return []  # the hand-over moves the goods
        case SaleRecorded() | ShipmentConfirmed() | PickupConfirmed():
            return [Move((at, "sellable"), "CUSTOMER", q)]
        case ReturnReceived():
            return [Move("CUSTOMER", (at, "returned"), q)]
        case ReturnDispositioned():
            ends = {"vendor_return": "VENDOR_RETURN", "scrap": "SCRAP"}
            return [Move((at, "returned"), ends.get(event.disposition, (at, event.disposition)), q)]
        case GoodsReceived():
            return [Move("SUPPLIER", (at, event.to_status), q)]
        case TransferShipped():
            return [Move((at, "sellable"), ("", transfer_of(event)), q)]
        case TransferReceived():
            return [Move(("", transfer_of(event)), (at, "sellable"), q)]
        case TransferLost():
            return [Move(("", transfer_of(event)), "SHRINK", q)]
        case StockAdjusted():
            account, bucket = account_for(event.reason, q), (at, event.status)
            return [Move(bucket, account, -q)] if q < 0 else [Move(account, bucket, q)]
        case StatusChanged():
            return [Move((at, event.from_status), (at, event.to_status), q)]
        case _:
            return []


def net(some: Iterable[Move], location: str, scope: str) -> int:
    """What movements add to a scope (on_hand or a bucket) at a location."""
    accounts = {(location, b) for b in BUCKETS} if scope == "on_hand" else {(location, scope)}
    return sum(m.quantity * ((m.target in accounts) - (m.source in accounts)) for m in some)


# Counts ---------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class CountAnswer:
    """A count in force, against the book of its time."""

    sku: str
    location: str
    document: str
    scope: str
    as_of: int
    expected: int
    observed: int

    @property
    def diff(self) -> int:
        return self.observed - self.expected

    @property
    def bucket(self) -> str:
        return "sellable" if self.scope == "on_hand" else self.scope


def count_time(count: CountRecorded) -> int:
    return count.event_time if count.as_of is None else count.as_of


def sees(count: CountRecorded, delta: Envelope) -> bool:
    """Say whether the people who counted saw the effect of the delta."""
    through = (count.through_seq or {}).get(delta.source)
    if through is not None and delta.source_seq is not None:
        return delta.source_seq <= through
    return delta.event_time <= count_time(count)


def count_answers(facts: Sequence[Envelope]) -> list[CountAnswer]:
    """Compare each count of one SKU with the book over what it covers, oldest count first."""
    found = []
    for location in sorted({f.location for f in facts if isinstance(f, CountRecorded)}):
        counts = [f for f in facts if isinstance(f, CountRecorded) and f.location == location]
        counts.sort(key=lambda c: (count_time(c), c.event_time, text_of(key_of(c))))
        variances: list[Move] = []
        for n, count in enumerate(counts):
            covered = [f for f in facts if any(sees(c, f) for c in counts[: n + 1])]
            book = [m for f in covered for m in moves(f)] + variances
            expected = net(book, location, count.scope)
            answer = CountAnswer(
                count.sku, location, count.document.id, count.scope, count_time(count), expected, count.quantity
            )
            variances.append(Move("COUNT_VAR", (location, answer.bucket), answer.diff))
            found.append(answer)
    return found


# Policies -------------------------------------------------------------------------------------------------


def parameter(j: Judged, name: str, *, sku: str, location: str | None, channel: str | None) -> object:
    """The value of a policy parameter, None where no policy speaks.

    `location` None asks for a parameter of a channel, `channel` None for one of a node: a policy that names
    what is not asked for does not apply. With both, only policies that name the channel are asked: whether
    the node itself is open is another question.
    """
    asked = {"sku": sku, "channel": channel, "location": location}
    best: tuple[tuple[int, tuple[bool, bool, bool], int, str], object] | None = None
    for key, p in j.policies.items():
        value = getattr(p.policy, name)
        named = {"sku": p.sku, "channel": p.channel, "location": p.location}
        applies = all(not text or text == asked[what] for what, text in named.items())
        if location is not None and channel is not None and not p.channel:
            continue
        if value is None or not applies or p.event_time > j.now(sku):
            continue
        strength = (
            sum(bool(text) for text in named.values()),
            (bool(p.sku), bool(p.channel), bool(p.location)),
            p.event_time,
            text_of(key),
        )
        if best is None or strength > best[0]:
            best = (strength, value)
    return None if best is None else best[1]


def number(value: object, default: int) -> int:
    return value if isinstance(value, int) else default


# Everything -----------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class PositionAnswer:
    """A SKU at a location."""

    sellable: int
    returned: int
    quarantine: int
    damaged: int
    in_transit_in: int
    safety_stock: int
    eligible: bool

    @property
    def on_hand(self) -> int:
        return self.sellable + self.returned + self.quarantine + self.damaged

    @property
    def atp_raw(self) -> int:
        debts = sum(min(0, b) for b in (self.returned, self.quarantine, self.damaged))
        return self.sellable + debts - self.safety_stock

    @property
    def atp(self) -> int:
        return max(0, self.atp_raw) if self.eligible else 0


@dataclass(frozen=True)
class TransferAnswer:
    """A line of a transfer."""

    shipped: int
    received: int
    lost: int
    destination: str

    @property
    def open(self) -> int:
        return self.shipped - self.received - self.lost

    @property
    def stands(self) -> bool:
        return (self.lost > 0 or self.received > self.shipped) and self.received != self.shipped


@dataclass(frozen=True)
class Answer:
    """Everything that follows from a log."""

    verdicts: list[str]
    positions: dict[tuple[str, str], PositionAnswer]
    accounts: dict[tuple[str, str], int]
    """Boundary accounts: units that they received from the book of a SKU; only those that are not 0."""
    transfers: dict[tuple[str, str, int], TransferAnswer]
    counts: list[CountAnswer]
    availability: dict[tuple[str, str], int]
    risks: dict[tuple[str, str], int]
    """negative_stock by (SKU, location): the lower of on hand and sellable."""
    erp: Counter[tuple[str, str, str]]
    """By (document type, SKU, location): what postings add to on hand; only what is not 0."""

    def variances(self) -> list[tuple[str, str, str, str, int, int]]:
        """All that stand: (kind, SKU, location or "", document or transfer, expected, observed)."""
        found = [("COUNT", c.sku, c.location, c.document, c.expected, c.observed) for c in self.counts if c.diff]
        for (sku, id_, _), t in self.transfers.items():
            if t.stands:
                found.append(("TRANSFER", sku, "", id_, t.shipped, t.received))
        return sorted(found)


ERP_TYPES = {
    "SaleRecorded": "GI_SALE",
    "ShipmentConfirmed": "GI_SHIP",
    "PickupConfirmed": "GI_SHIP",
    "GoodsReceived": "GR",
    "ReturnReceived": "RETURN",
    "TransferShipped": "TRF_OUT",
    "TransferReceived": "TRF_IN",
    "TransferLost": "ADJ",
    "StatusChanged": "RECLASS",
}


def erp_type(event: Envelope) -> str:
    if isinstance(event, ReturnDispositioned):
        return {"vendor_return": "RTV", "scrap": "ADJ"}.get(event.disposition, "RECLASS")
    if isinstance(event, StockAdjusted):
        return "RTV" if event.reason == "vendor_return" else "ADJ"
    return ERP_TYPES[type(event).__name__]


def transfer_answers(facts: Sequence[Envelope]) -> dict[tuple[str, int], TransferAnswer]:
    """Sum up the transfers of one SKU."""
    found = {}
    papers = [f for f in facts if isinstance(f, TransferShipped | TransferReceived | TransferLost) and f.quantity]
    for id_ in {transfer_of(f) for f in papers}:
        mine = [f for f in papers if transfer_of(f) == id_]
        bound: Counter[str] = Counter()
        for f in mine:
            if isinstance(f, TransferShipped):
                bound[f.to_location] += f.quantity
        found[id_] = TransferAnswer(
            shipped=sum(f.quantity for f in mine if isinstance(f, TransferShipped)),
            received=sum(f.quantity for f in mine if isinstance(f, TransferReceived)),
            lost=sum(f.quantity for f in mine if isinstance(f, TransferLost)),
            destination=min(bound, key=lambda name: (-bound[name], name)) if bound else "",
        )
    return found


def answer(log: Sequence[Event], window: int) -> Answer:
    """Derive everything from the log."""
    j = judge(log, window)
    whole = Answer(j.verdicts, {}, {}, {}, [], {}, {}, Counter())
    skus = {key[-1] for key in (*(key for key, _ in j.in_force), *j.policies)} - {""}
    for sku in sorted(skus):
        _answer_sku(j, sku, whole)
    return replace(whole, erp=Counter({k: v for k, v in whole.erp.items() if v}))


def _answer_sku(j: Judged, sku: str, whole: Answer) -> None:
    facts = [f for (key, _), f in sorted(j.in_force.items(), key=lambda item: item[0]) if f and key[-1] == sku]
    counts, transfers = count_answers(facts), transfer_answers(facts)
    variances = [Move("COUNT_VAR", (c.location, c.bucket), c.diff) for c in counts]
    book = [m for f in facts for m in moves(f)] + variances

    locations = {a[0] for m in book for a in (m.source, m.target) if isinstance(a, tuple) and a[0]}
    locations |= {t.destination for t in transfers.values() if t.open > 0}
    for location in sorted(locations):
        eligible = parameter(j, "eligible", sku=sku, location=location, channel=None)
        whole.positions[sku, location] = PositionAnswer(
            sellable=net(book, location, "sellable"),
            returned=net(book, location, "returned"),
            quarantine=net(book, location, "quarantine"),
            damaged=net(book, location, "damaged"),
            in_transit_in=sum(max(0, t.open) for t in transfers.values() if t.destination == location),
            safety_stock=number(parameter(j, "safety_stock", sku=sku, location=location, channel=None), 0),
            eligible=eligible is not False,
        )
    for m in book:
        for account, sign in ((m.target, 1), (m.source, -1)):
            if isinstance(account, str):
                whole.accounts[sku, account] = whole.accounts.get((sku, account), 0) + sign * m.quantity
    for name in [k for k, units in whole.accounts.items() if not units]:
        del whole.accounts[name]
    whole.transfers.update({(sku, *id_): t for id_, t in transfers.items()})
    whole.counts.extend(counts)
    for channel in {"all"} | j.channels[sku] | j.declared[sku] | j.declared[""]:
        whole.availability[sku, channel] = _channel(j, sku, channel, whole)
    for (of, location), p in whole.positions.items():
        if of == sku and min(p.on_hand, p.sellable) < 0:
            whole.risks[sku, location] = min(p.on_hand, p.sellable)
    for f in facts:
        if moves(f):
            whole.erp[erp_type(f), sku, f.location] += net(moves(f), f.location, "on_hand")
    for c in counts:
        whole.erp["COUNT", sku, c.location] += c.diff


def _channel(j: Judged, sku: str, channel: str, whole: Answer) -> int:
    """Units that the channel may sell: its share of the pool less its buffer, within its cap."""
    chosen = parameter(j, "locations", sku=sku, location=None, channel=channel)
    pool = 0
    for (of, location), p in whole.positions.items():
        if of != sku or (isinstance(chosen, tuple) and location not in chosen):
            continue
        if parameter(j, "eligible", sku=sku, location=location, channel=channel) is False:
            continue
        pool += p.atp
    share = number(parameter(j, "share_percent", sku=sku, location=None, channel=channel), 100)
    buffer = number(parameter(j, "buffer", sku=sku, location=None, channel=channel), 0)
    cap = parameter(j, "cap", sku=sku, location=None, channel=channel)
    shown = max(0, share * pool // 100 - buffer)
    return min(cap, shown) if isinstance(cap, int) else shown
