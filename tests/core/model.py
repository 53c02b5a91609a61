"""The reference model: everything recomputed from the list of events, by the definitions, slowly and plainly.

It shares with the fold only the classes of events. It keeps no state between events: `judge` walks the log
once to say what each event is worth (the one thing that depends on order), and `answer` then derives every
figure from the versions in force alone. Its parts, in the order in which they build on each other:

    log_model      what each event is worth, which policy holds
    stock_model    goods that moved, counts, transfers, postings
    claims_model   order lines, and what they claim
    network_model  what promises leave, by a maximum flow
    supply_model   purchase order lines, and what will come when
    rates_model    how fast channels draw, and the buffer that follows from it
    outlook_model  channels, ring-fences, days to come, risks to promises
    lots_model     how long goods last
    kits_model     what components leave of kits
    model          all together

Source: docs/domain.md sections 2 to 9.
"""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from types import MappingProxyType

from atp.events import Envelope, Event, SnapshotReceived
from tests.core.claims_model import Decisions, LineAnswer, day_of, line_answers
from tests.core.compare_model import SnapshotAnswer, snapshot_answers, trading_days, with_zeros
from tests.core.kits_model import kit_answers, kits_of
from tests.core.log_model import Judged, count_time, judge, number, parameter
from tests.core.lots_model import expired, last_days
from tests.core.outlook_model import ChannelAnswer, Network, Node
from tests.core.rates_model import Drawn, drawn_at_last_minute
from tests.core.stock_model import (
    BUCKETS,
    CountAnswer,
    Move,
    TransferAnswer,
    count_answers,
    erp_type,
    moves,
    net,
    transfer_answers,
)
from tests.core.supply_model import SupplyAnswer, supply_answers

__all__ = [
    "BUCKETS", "Answer", "Judged", "PositionAnswer", "answer", "count_time", "judge", "limit", "moves", "network",
    "number",
    "parameter",
]  # fmt: skip
NONE_ACCEPTED: Decisions = MappingProxyType({})
NOTHING_DRAWN: Mapping[str, Drawn] = MappingProxyType({})


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
    reserved_soft: int = 0
    reserved_firm: int = 0
    allocated: int = 0
    expired: int = 0

    @property
    def on_hand(self) -> int:
        return self.sellable + self.returned + self.quarantine + self.damaged

    @property
    def available(self) -> int:
        return self.unowed - self.expired

    @property
    def unowed(self) -> int:
        """Sellable units less what the other buckets owe, expired ones among them."""
        return self.sellable + sum(min(0, b) for b in (self.returned, self.quarantine, self.damaged))

    @property
    def claims(self) -> int:
        return self.reserved_soft + self.reserved_firm + self.allocated

    @property
    def atp_raw(self) -> int:
        return self.available - self.claims - self.safety_stock

    @property
    def atp(self) -> int:
        return max(0, self.atp_raw) if self.eligible else 0


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
    lines: dict[tuple[str, str, int], LineAnswer] = field(default_factory=dict)
    supply: dict[tuple[str, str, int], SupplyAnswer] = field(default_factory=dict)
    channels: dict[tuple[str, str], ChannelAnswer] = field(default_factory=dict)
    """By (SKU, channel): what `availability` says, and how it came about."""
    today: int | None = None
    """Days since 1970, by the last tick."""
    shortages: dict[str, int] = field(default_factory=dict)
    """By SKU, where it is not 0: units owed that no stock can serve."""
    promises: set[tuple[str, str, str]] = field(default_factory=set)
    """Risks to promises: (kind, SKU, channel or "")."""
    snapshots: list[SnapshotAnswer] = field(default_factory=list)
    days: Counter[tuple[str, str, str]] = field(default_factory=Counter)
    """By (document type, location, trading day): what postings add to on hand."""

    def variances(self) -> list[tuple[str, str, str, str, int, int]]:
        """All that stand: (kind, SKU, location or "", document or transfer, expected, observed)."""
        found = [("COUNT", c.sku, c.location, c.document, c.expected, c.observed) for c in self.counts if c.diff]
        for (sku, id_, _), t in self.transfers.items():
            if t.stands:
                found.append(("TRANSFER", sku, "", id_, t.shipped, t.received))
        for (sku, id_, _), s in self.supply.items():
            if s.received > s.shipped > 0 or (s.final and s.received < s.shipped):
                found.append(("ASN", sku, "", id_, s.shipped, s.received))
        found += [(s.kind, s.sku, "", s.document, s.expected, s.observed) for s in self.snapshots if s.diff]
        return sorted(found)


def answer(log: Sequence[Event], window: int, decisions: Decisions = NONE_ACCEPTED) -> Answer:
    """Derive everything from the log; `decisions` says what its requests came to, by request id."""
    log = with_zeros(log)
    j = judge(log, window)
    today = None if j.tick is None else day_of(j.tick)
    whole = Answer(j.verdicts, {}, {}, {}, [], {}, {}, Counter(), today=today)
    drawn = drawn_at_last_minute(log, window, decisions)
    for sku in j.skus():
        _answer_sku(j, sku, whole, decisions, drawn.get(sku, NOTHING_DRAWN))
        whole.days.update(trading_days(log, j.facts(sku)))
    exposed = {key: p.atp for key, p in whole.positions.items()}
    whole.availability.update(kit_answers(j, kits_of(log, j.tick), exposed, dict(whole.availability)))
    for sku in sorted({event.sku for event in log if isinstance(event, SnapshotReceived)}):
        whole.snapshots.extend(snapshot_answers(log, sku, j.facts(sku), decisions))
    return replace(whole, erp=Counter({k: v for k, v in whole.erp.items() if v}))


def limit(
    log: Sequence[Event],
    window: int,
    decisions: Decisions,
    *,
    sku: str,
    channel: str = "all",
    location: str = "",
    need: int | None = None,
) -> int:
    """What a request of a channel could take after the log, at a location or anywhere that serves the channel.

    `need` is the day that it is for.
    """
    return network(log, window, decisions, sku=sku, channel=channel).limit(channel, location, need)


def network(log: Sequence[Event], window: int, decisions: Decisions, *, sku: str, channel: str = "all") -> Network:
    """One SKU at all its nodes, and a channel that may never have been heard of."""
    j = judge(log, window)
    j.channels[sku].add(channel)
    today = None if j.tick is None else day_of(j.tick)
    return _answer_sku(j, sku, Answer(j.verdicts, {}, {}, {}, [], {}, {}, Counter(), today=today), decisions)


def _answer_sku(
    j: Judged, sku: str, whole: Answer, decisions: Decisions, drawn: Mapping[str, Drawn] = NOTHING_DRAWN
) -> Network:
    facts = j.facts(sku)
    counts, transfers = count_answers(facts), transfer_answers(facts)
    variances = [Move("COUNT_VAR", (c.location, c.bucket), c.diff) for c in counts]
    book = [m for f in facts for m in moves(f)] + variances
    lines = line_answers(facts, decisions, j.tick)
    due = Counter[tuple[str, str]]()
    for line in lines.values():
        for place, counter, units in line.placed if line.need_day is None else ():
            due[place, counter] += units

    locations = {a[0] for m in book for a in (m.source, m.target) if isinstance(a, tuple) and a[0]}
    locations |= {t.destination for t in transfers.values() if t.open > 0} | {place for place, _ in due}
    mine: dict[str, PositionAnswer] = {}
    days: dict[str, list[int]] = {}
    for location in sorted(locations):
        eligible = parameter(j, "eligible", sku=sku, location=location, channel=None)
        mine[location] = PositionAnswer(
            sellable=net(book, location, "sellable"),
            returned=net(book, location, "returned"),
            quarantine=net(book, location, "quarantine"),
            damaged=net(book, location, "damaged"),
            in_transit_in=sum(max(0, t.open) for t in transfers.values() if t.destination == location),
            safety_stock=number(parameter(j, "safety_stock", sku=sku, location=location, channel=None), 0),
            eligible=eligible is not False,
            reserved_soft=due[location, "reserved_soft"],
            reserved_firm=due[location, "reserved_firm"],
            allocated=due[location, "allocated"],
        )
        days[location] = last_days(facts, location, mine[location].unowed)
        mine[location] = p = replace(mine[location], expired=expired(days[location], whole.today))
        if min(p.on_hand, p.sellable) < 0:
            whole.risks[sku, location] = min(p.on_hand, p.sellable)
    _answer_book(sku, facts, book, counts, whole)
    whole.positions.update({(sku, location): p for location, p in mine.items()})
    whole.transfers.update({(sku, *id_): t for id_, t in transfers.items()})
    whole.lines.update({(sku, *id_): line for id_, line in lines.items()})

    stated = j.stated(sku)
    supply = supply_answers(stated, facts)
    whole.supply.update({(sku, *id_): line for id_, line in supply.items()})
    nodes = {place: Node(p.available, p.claims, p.safety_stock, p.eligible, days[place]) for place, p in mine.items()}
    network = Network(j, sku, nodes, lines, facts, stated, supply, transfers, drawn)
    for channel in j.names_of_channels(sku):
        whole.channels[sku, channel] = network.channel(channel)
        whole.availability[sku, channel] = whole.channels[sku, channel].atp
    if network.shortage:
        whole.shortages[sku] = network.shortage
    whole.promises.update((kind, sku, channel) for kind, channel in network.risks())
    return network


def _answer_book(
    sku: str, facts: Sequence[Envelope], book: Sequence[Move], counts: Sequence[CountAnswer], whole: Answer
) -> None:
    """What boundary accounts received, and what the ERP is told."""
    for m in book:
        for account, sign in ((m.target, 1), (m.source, -1)):
            if isinstance(account, str):
                whole.accounts[sku, account] = whole.accounts.get((sku, account), 0) + sign * m.quantity
    for name in [k for k, units in whole.accounts.items() if not units]:
        del whole.accounts[name]
    whole.counts.extend(counts)
    for f in facts:
        if moves(f):
            whole.erp[erp_type(f), sku, f.location] += net(moves(f), f.location, "on_hand")
    for c in counts:
        whole.erp["COUNT", sku, c.location] += c.diff
