"""Fold a list of events over rows in a dict, and compare the outcome with the reference model."""

from collections import Counter
from collections.abc import Iterable, Iterator

from atp.availability import exposed, terms_of
from atp.book import (
    BUCKETS,
    CLOCK_KEY,
    ChannelState,
    Claim,
    Clock,
    Evidence,
    Leg,
    Network,
    Position,
    Risk,
    Row,
    Summary,
    Transfer,
)
from atp.claims import standing
from atp.effects import AvailabilityChanged, Effect, ErpLine, RequestDecided, RiskChanged, VarianceChanged
from atp.events import DAY, Event
from atp.fold import Frame, Outcome, fold
from streams.memory import MemoryRows
from tests.core.claims_model import Decided, day_named
from tests.core.model import Answer, PositionAnswer
from tests.core.outlook_model import ChannelAnswer

FRAME = Frame(window=7 * DAY)
PROMISE_RISKS = ("oversold", "ring_short", "projected")
NOTHING = PositionAnswer(0, 0, 0, 0, 0, 0, eligible=True)


class Folded:
    """What a partition comes to, event by event; every step checks the invariants."""

    def __init__(self, events: Iterable[Event] = (), frame: Frame = FRAME) -> None:
        self.frame = frame
        self.rows = MemoryRows()
        self.verdicts: list[str] = []
        self.effects: list[Effect] = []
        self.answers: dict[str, AvailabilityChanged] = {}
        self.variances: dict[str, VarianceChanged] = {}
        self.risks: dict[str, RiskChanged] = {}
        self.decided: dict[str, RequestDecided] = {}
        self.erp: Counter[tuple[str, str, str]] = Counter()
        self.postings: dict[str, ErpLine] = {}
        self.told: Counter[tuple[str, str]] = Counter()
        """What posting lines put into each account, by (SKU, account); transit by its line."""
        for event in events:
            self.send(event)

    def send(self, event: Event) -> Outcome:
        outcome = fold(self.rows, event, self.frame)
        for key, row in outcome.changes.items():
            self.rows.put(key, row)
        self.verdicts.append(outcome.verdict)
        refuses = outcome.verdict in ("conflict", "late", "future", "invalid", "row_full")
        assert (outcome.refusal is not None) == refuses, outcome
        for effect in outcome.effects:
            self._take(effect)
        self.check()
        return outcome

    def _take(self, effect: Effect) -> None:
        self.effects.append(effect)
        match effect:
            case AvailabilityChanged():
                assert effect.atp >= 0, effect
                known = self.answers.get(effect.key)
                assert effect.version == (known.version if known else 0) + 1, (known, effect)
                assert effect.previous_atp == (known.atp if known else None), (known, effect)
                self.answers[effect.key] = effect
            case VarianceChanged():
                before = self.variances.get(effect.id)
                assert effect.diff == effect.observed - effect.expected, effect
                assert (effect.status == "open") == (abs(effect.diff) > effect.tolerance), effect
                # A withdrawn count is forgotten; when a correction brings it back, it starts anew.
                step = 0 if before is None or before.cause_hint == "withdrawn" else before.restatement + 1
                assert effect.restatement == step, (before, effect)
                self.variances[effect.id] = effect
            case RequestDecided():
                known_answer = self.decided.setdefault(effect.request_id, effect)
                assert known_answer == effect  # One answer, however often it is asked for.
                assert 0 <= effect.quantity <= effect.requested, effect
                words = {0: "rejected", effect.requested: "accepted"}
                assert effect.decision == words.get(effect.quantity, "partly"), effect
                assert bool(effect.reason) == (effect.decision != "accepted"), effect
            case RiskChanged():
                known_risk = self.risks.get(effect.id)
                is_open = known_risk is not None and known_risk.transition != "closed"
                assert is_open == (effect.transition != "opened"), (known_risk, effect)
                self.risks[effect.id] = effect
            case ErpLine():
                assert sum(leg.quantity for leg in effect.legs) == 0, effect
                assert effect.posting_key not in self.postings, effect
                assert not effect.reverses or effect.reverses in self.postings, effect
                self.postings[effect.posting_key] = effect
                self.erp[effect.document_type, effect.sku, effect.location] += effect.quantity
                on_hand = [leg for leg in effect.legs if leg.account.endswith(f"|{effect.location}")]
                on_hand = [leg for leg in on_hand if leg.account.count("|") == 1]
                assert sum(leg.quantity for leg in on_hand) == effect.quantity, effect
                for leg in effect.legs:
                    account = leg.account.rpartition("|")[0] if leg.account.startswith("transit|") else leg.account
                    self.told[effect.sku, account] += leg.quantity

    # What the rows say ------------------------------------------------------------------------------------

    def rows_of(self, prefix: str) -> Iterator[tuple[tuple[str, ...], Row]]:
        for key, row in self.rows.scan(prefix):
            yield tuple(key.split("|")[1:]), row

    def positions(self) -> dict[tuple[str, str], Position]:
        return {(key[0], key[1]): row for key, row in self.rows_of("p|") if isinstance(row, Position)}

    def summaries(self) -> dict[str, Summary]:
        return {key[0]: row for key, row in self.rows_of("s|") if isinstance(row, Summary)}

    def transfers(self) -> dict[tuple[str, str, int], Transfer]:
        rows = [(key, row) for key, row in self.rows_of("t|") if isinstance(row, Transfer)]
        return {(sku, id_.replace("%7C", "|").replace("%25", "%"), int(line)): row for (sku, id_, line), row in rows}

    def decisions(self) -> dict[str, Decided]:
        """What requests came to, for the model."""
        return {
            id_: Decided(d.quantity, d.state, d.expires_at, d.decision == "accepted", d.channel)
            for id_, d in self.decided.items()
        }

    def states(self) -> dict[tuple[str, str], ChannelState]:
        """By SKU and channel."""
        return {(sku, state.channel): state for sku, summary in self.summaries().items() for state in summary.channels}

    def shown(self) -> dict[tuple[str, str], int]:
        """What may be promised, by (channel or "", location or "")."""
        return {(a.channel, a.location): a.atp for a in self.answers.values()}

    def promise_risks(self) -> set[tuple[str, str, str]]:
        """Those that stand: (kind, SKU, channel or "")."""
        keys = [key for key, _ in self.rows_of("r|")]
        return {(kind, sku, scope) for sku, kind, scope in keys if kind in PROMISE_RISKS}

    def standing_risks(self) -> dict[tuple[str, str], int]:
        """negative_stock by (SKU, location)."""
        found = {}
        for key, row in self.rows_of("r|"):
            assert isinstance(row, Risk)
            assert self.risks[row.id].transition != "closed"
            if key[1] == "negative_stock":
                found[key[0], key[2]] = row.quantity
        return found

    def legs(self, sku: str) -> list[Leg]:
        return [leg for _, row in self.rows_of(f"e|{sku}|") if isinstance(row, Evidence) for leg in row.legs]

    # Invariants, domain.md section 2 ----------------------------------------------------------------------

    def check(self) -> None:
        positions, transfers = self.positions(), self.transfers()
        for sku, summary in self.summaries().items():
            mine = {location: p for (of, location), p in positions.items() if of == sku}
            on_hand = sum(p.on_hand for p in mine.values())
            transit = sum(sum(t.shipped_to.values()) - t.received - t.lost for k, t in transfers.items() if k[0] == sku)
            assert on_hand + transit + sum(summary.accounts.values()) == 0, (sku, summary.accounts, mine)  # I2
            for account, units in summary.accounts.items():
                assert self.told[sku, account] == units, (account, units)
            for state in summary.channels:
                answer = self.answers.get(f"{state.channel}|{sku}")
                assert (answer.version if answer else 0) == state.version, (state, answer)  # I6
                assert answer is None or answer.atp == state.atp, (state, answer)
        for (sku, location), p in positions.items():
            node = self.answers.get(f"node|{sku}|{location}")
            assert (node.version if node else 0) == p.version, (p, node)
            promised = exposed(p) if p.haircut else shown(p).atp  # the model trusts every position
            assert node is None or node.atp == p.atp == promised, (p, node)
            for bucket in BUCKETS:  # I7: what the ERP was told adds up to what is there, account by account
                assert self.told[sku, f"{bucket}|{location}"] == getattr(p, bucket), (bucket, p)
        for (sku, id_, line), t in transfers.items():
            account = f"transit|{id_.replace('%', '%25').replace('|', '%7C')}|{line}"
            assert self.told[sku, account] == t.open, (account, t)  # I4
        for sku, summary in self.summaries().items():
            self.check_claims(sku, summary, {place: p for (of, place), p in positions.items() if of == sku})

    def check_claims(self, sku: str, summary: Summary, positions: dict[str, Position]) -> None:
        """I3: every figure of claims is a sum over lines."""
        clock = self.rows.get(CLOCK_KEY)
        due, pending, dated = Counter[tuple[str, str]](), Counter[str](), Counter[tuple[int, str, str]]()
        for key, row in self.rows_of(f"c|{sku}|"):
            one = standing(row if isinstance(row, Claim) else None, clock.tick if isinstance(clock, Clock) else None)
            assert one.open == sum(p.units for p in one.placed) + one.pending, (key, one)
            assert min(one.open, one.pending, *(p.units for p in one.placed)) >= 0, (key, one)
            for p in one.placed:
                if one.due:
                    due[p.location, p.how] += p.units
                else:
                    dated[one.need or 0, one.channel, p.location] += p.units
            if one.due:
                pending[one.channel] += one.pending
            else:
                dated[one.need or 0, one.channel, ""] += one.pending
        for location, position in positions.items():
            lines = tuple(due.pop((location, how), 0) for how in ("reserved_soft", "reserved_firm", "allocated"))
            counters = (position.reserved_soft, position.reserved_firm, position.allocated)
            assert counters == lines, (location, counters, lines)
        assert not +due, due
        network = self.rows.get(f"n|{sku}")
        uncovered = sum(max(0, s.claims - max(0, s.available)) for s in map(shown, positions.values()))
        if isinstance(network, Network):
            assert +pending == Counter(network.pending), (network, pending)
            assert +dated == Counter({(d.day, d.channel, d.location): d.units for d in network.dated}), (network, dated)
            assert uncovered == network.uncovered, (network, uncovered)
        else:
            assert not summary.promised
            assert (+pending, +dated, uncovered) == ({}, {}, 0)


def shown(p: Position) -> PositionAnswer:
    """A row of state as the model states a position."""
    buckets = {bucket: int(getattr(p, bucket)) for bucket in BUCKETS}
    return PositionAnswer(
        **buckets,
        in_transit_in=p.in_transit_in,
        safety_stock=p.safety_stock,
        eligible=p.eligible,
        reserved_soft=p.reserved_soft,
        reserved_firm=p.reserved_firm,
        allocated=p.allocated,
        expired=p.expired,
    )


def differences(folded: Folded, model: Answer) -> list[str]:
    """Everything in which the fold and the model differ, in words; the log ends with a tick."""
    found: list[str] = []

    def compare(what: str, mine: object, reference: object) -> None:
        if mine != reference:
            found.append(f"{what}: fold {mine}, model {reference}")

    positions = {key: shown(p) for key, p in folded.positions().items()}
    for key in sorted(positions.keys() | model.positions.keys()):
        mine, reference = positions.get(key, NOTHING), model.positions.get(key, NOTHING)
        if key not in positions or key not in model.positions:  # a row that holds nothing may be there or not
            mine, reference = bare(mine), bare(reference)
        compare(f"position {key}", mine, reference)
    for sku, summary in folded.summaries().items():
        accounts = {(sku, name): units for name, units in summary.accounts.items() if units}
        compare(f"accounts of {sku}", accounts, {k: v for k, v in model.accounts.items() if k[0] == sku})
    for transfer, t in model.transfers.items():
        row = folded.transfers().get(transfer)
        sums = (sum(row.shipped_to.values()), row.received, row.lost) if row else (0, 0, 0)
        compare(f"transfer {transfer}", sums, (t.shipped, t.received, t.lost))
        if row and t.shipped:
            compare(f"destination of {transfer}", row.destination, t.destination)
    standing = [
        (v.kind, v.sku, v.location if v.kind == "COUNT" else "", v.document or v.transfer, v.expected, v.observed)
        for v in folded.variances.values()
        if v.status == "open"
    ]
    compare("variances", sorted(standing), model.variances())
    shown_atp = {(a.sku, a.channel): a.atp for a in folded.answers.values() if a.channel}
    compare("availability", shown_atp, model.availability)
    states = folded.states()
    for name, channel in sorted(model.channels.items()):
        if (state := states.get(name)) is not None:
            compare(f"ring of {name}", state.ring, channel.ring)
            compare(f"pool of {name}", state.pool, channel.pool)
            compare(f"buffer of {name}", terms_of(state).buffer, channel.buffer)
            compare(f"days of {name}", changes(by_day(state, channel)), changes(channel.levels))
            if channel.levels:
                compare(f"next day of {name}", next_day(folded, name, model), channel.next_available)
            told = folded.answers.get(f"{name[1]}|{name[0]}")
            if told is not None:
                compare(f"status of {name}", told.status, channel.status)
    compare("risks of promises", folded.promise_risks(), model.promises)
    compare("negative stock", folded.standing_risks(), model.risks)
    compare("ERP totals", Counter({k: v for k, v in folded.erp.items() if v}), model.erp)
    return found


def by_day(state: ChannelState, channel: ChannelAnswer) -> tuple[int, ...]:
    """What a channel's row says of today and the days after it; empty before the first tick."""
    if not state.horizon:  # nothing changes on any day
        return channel.levels[:1] * len(channel.levels)
    first = state.horizon[0][0]
    return tuple(
        [units for day, units in state.horizon if day <= first + n][-1] for n in range(max(1, len(channel.levels)))
    )


def changes(levels: tuple[int, ...]) -> list[tuple[int, int]]:
    """(days from today, units) where they change."""
    return [(d, units) for d, units in enumerate(levels) if not d or units != levels[d - 1]]


def next_day(folded: Folded, name: tuple[str, str], model: Answer) -> tuple[int, int] | None:
    """(days from today, units) as last published."""
    sku, channel = name
    said = folded.answers[f"{channel}|{sku}"].next_available
    return None if said is None or model.today is None else (day_named(said.date) - model.today, said.quantity)


def bare(position: PositionAnswer) -> PositionAnswer:
    """The position without the policies that hold for it."""
    return PositionAnswer(
        position.sellable, position.returned, position.quarantine, position.damaged, position.in_transit_in, 0,
        True, position.reserved_soft, position.reserved_firm, position.allocated,
    )  # fmt: skip
