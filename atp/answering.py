"""What a SKU answers after an event: to every channel, and to whoever watches for risks.

Most SKUs promise nothing that is tied to no stock: their channels' pools are sums, kept up location by location. Where
something is promised or coming, the network says what that leaves each channel.
"""

from collections.abc import Iterable, Sequence
from dataclasses import replace

from atp import buffers
from atp import network as net
from atp.availability import exposed, terms_of, uncovered
from atp.book import (
    ALL_CHANNEL,
    BUCKETS,
    POLICIES_KEY,
    ChannelState,
    ChannelTerms,
    Claim,
    Dated,
    Evidence,
    Fence,
    Inbound,
    Network,
    Policies,
    Position,
    Ring,
    Risk,
    Statement,
    Summary,
    Supply,
    Timer,
    Transfer,
    claim_key,
    due_second,
    evidence_key,
    network_key,
    position_key,
    ring_key,
    risk_key,
    summary_key,
    supply_key,
    timer_key,
    transfer_key,
)
from atp.catalogue import CUSTOMER
from atp.claims import standing, today_of
from atp.draft import Draft
from atp.events import DAY, HOUR, MINUTE, SECOND
from atp.ledger import HOLDS, DemandChange, Ledger, claims_by
from atp.lots import NEVER, asks_for_life
from atp.outlook import TRANSFER, SupplyTerms, by_place, horizon, in_transit, inbound_of
from atp.planning import advise_later, asked
from atp.policy import Book, NodeTerms, declared
from atp.publication import Drawn, Held, held, settle_channel, settle_position
from atp.risk import (
    FAST_MINUTES,
    IMMINENT,
    JUDGED_AT_EVENTS,
    NEGATIVE_CALM,
    OVERSOLD,
    PROJECTED,
    PROJECTED_DAYS,
    RING_SHORT,
    SLOW_HOURS,
    close_when_calm,
    fastest,
    imminent,
    judge,
    may_run_short,
    per_minute,
    take,
)
from atp.shelves import Shelves, exposed_at


class SkuPolicies:
    """The policies that concern a SKU, sorted out when first asked: most events ask nothing."""

    def __init__(self, draft: Draft, sku: str, summary: Summary, now: int) -> None:
        self.draft = draft
        self.sku = sku
        self.summary = summary
        self.now = draft.tick if draft.tick is not None else now
        self._book: Book | None = None

    def node(self, location: str) -> NodeTerms:
        return self.book.node(location)

    def channel(self, channel: str) -> ChannelTerms | None:
        terms = self.book.channel(channel)
        if terms is not None and terms.rate is not None and self.summary.draws:
            return buffers.by_rate(terms, channel, self.summary.draws, self.book.channel)
        return terms

    def supply(self, location: str) -> SupplyTerms:
        return self.book.supply(location)

    @property
    def book(self) -> Book:
        if self._book is None:
            wide = self.draft.get(POLICIES_KEY)
            self._book = Book(self.summary, wide if isinstance(wide, Policies) else None, self.now)
        return self._book


def settle(
    draft: Draft, ledger: Ledger, summary: Summary, now: int, channel: str, policies: SkuPolicies, heard: int = 0
) -> Summary:
    """Answer for the SKU's channels, and keep its rates. `heard` is the time of an event that `channel` told."""
    sku = ledger.sku
    before = summary.channels
    channels = with_channels(draft, sku, summary, channel, policies, ledger)
    matured = draft.tick is None and matures(draft, summary, summary.clock, now)
    known = draft.get(network_key(sku)) if summary.promised else None
    if isinstance(known, Network) or _networked(ledger) or (channels is not before and asks_for_life(channels)):
        # Before the first tick a grant waits for the SKU's clock.
        granted = draft.tick is None and any(at <= now for at in _grants_after(draft, sku, summary.clock))
        fresh = channels is not before or granted or bool(ledger.lots)
        network = _moved(draft, sku, None if fresh else known, channels, ledger.demand, ledger, policies)
        if network is None:
            network = survey(draft, sku, channels, policies, known if isinstance(known, Network) else None, ledger)
        draft.put(network_key(sku), network)
        answered = answer_network(draft, sku, channels, channels, network, now, channel, heard)
        promised = True
    else:
        answered = _answer_sums(draft, sku, channels, ledger, now, channel, heard)
        network, promised = None, False
    minutes, hours = summary.minutes, summary.hours
    for event_time, units in ledger.taken:
        minutes = take(minutes, event_time // MINUTE, units, now // MINUTE - FAST_MINUTES)
        hours = take(hours, event_time // HOUR, units, now // HOUR - SLOW_HOURS)
    draws, unjudged = summary.draws, False
    if draws is not None:
        draws = buffers.moved(draws, (*ledger.demand.asked, *ledger.demand.sold), now, draft.tick)
        unjudged = draws != summary.draws
    elif not before and buffers.asked(draft, summary):
        draws = buffers.gathered(draft, sku, now)
        unjudged = draws != ()
    accounts = summary.accounts
    if ledger.accounts:
        accounts = dict(accounts)
        for account, units in ledger.accounts.items():
            accounts[account] = accounts.get(account, 0) + units
    settled = Summary(
        clock=now,
        channels=answered,
        policies=summary.policies,
        accounts=accounts,
        minutes=minutes,
        hours=hours,
        look_at=summary.look_at,
        swept=summary.swept or now,
        promised=promised,
        part=summary.part,
        copied=summary.copied,
        compared=summary.compared,
        advise_at=summary.advise_at if summary.channels else asked(draft, sku, summary),
        draws=draws,
    )
    if unjudged:
        settled = look_later(draft, sku, settled, _next_minute(draft.tick))
    if matured:
        settled = reassess(draft, sku, settled, now)  # It surveys the network anew, and judges that.
    elif network is not None:
        settled = _judge_network(draft, sku, settled, network, now)
    if network is not None:
        if network.dated or network.inbound or ledger.demand.next_day or ledger.demand.supply:
            settled = look_later(draft, sku, settled, _next_day(draft.tick))
        settled = _age_later(draft, sku, settled, network)
    if ledger.waits_for_calm:
        settled = look_later(draft, sku, settled, max(now, draft.tick or 0) + NEGATIVE_CALM)
    if settled.advise_at:
        settled = advise_later(draft, sku, settled, max(now, draft.tick or 0))
    return watch(draft, sku, settled) if hours else settled


def with_channels(
    draft: Draft, sku: str, summary: Summary, channel: str, policies: SkuPolicies, ledger: Ledger | None
) -> tuple[ChannelState, ...]:
    """Add the channels that are named for the first time, with the pool as it was before this event."""
    channels = summary.channels
    if channels and (not channel or channel in [state.channel for state in channels]):
        return channels
    wide = draft.get(POLICIES_KEY)
    names = {
        ALL_CHANNEL,
        *declared(summary.policies),
        *(declared(wide.entries) if isinstance(wide, Policies) else ()),
        *((channel,) if channel else ()),
    }
    known = {state.channel: state for state in channels}
    for name in names - known.keys():
        terms = policies.channel(name)
        pool = 0
        every = known.get(ALL_CHANNEL)
        if channels and not summary.promised:
            if terms is None and every is not None and every.terms is None:
                pool = every.pool
            else:
                pool = sum(exposed(row) for place, row in positions(draft, sku) if terms is None or terms.serves(place))
                pool -= sum(_gain(change) for change in _touched(ledger) if terms is None or terms.serves(change[0]))
        known[name] = ChannelState(channel=name, terms=terms, pool=pool, atp=0, version=0)
    return tuple(known[name] for name in sorted(known))


def positions(draft: Draft, sku: str) -> Iterable[tuple[str, Position]]:
    """Yield the SKU's positions by location."""
    prefix = position_key(sku, "")
    for key, row in draft.scan(prefix):
        assert isinstance(row, Position)  # nothing else lies under this prefix
        yield key[len(prefix) :], row


def _touched(ledger: Ledger | None) -> Sequence[tuple[str, Position | None, Position]]:
    return ledger.touched if ledger is not None else ()


def _gain(change: tuple[str, Position | None, Position]) -> int:
    _, before, after = change
    # What a position exposes is its answer.
    return after.atp - (before.atp if before is not None else 0)


def _answer_sums(
    draft: Draft, sku: str, channels: Sequence[ChannelState], ledger: Ledger, now: int, channel: str, heard: int
) -> tuple[ChannelState, ...]:
    """Answer where nothing is promised: each pool moves as its locations did."""
    gains = [(change[0], gain) for change in ledger.touched if (gain := _gain(change))]
    answered = []
    drawn = None
    for state in channels:
        terms, pool = state.terms, state.pool
        for place, units in gains:
            if terms is None or terms.serves(place):
                pool += units
        seen = max(state.orders_seen, heard) if state.channel == channel else state.orders_seen
        if pool != state.pool or not state.version or state.horizon or state.ring:
            if drawn is None or drawn.pool != pool:
                drawn = Drawn(pool=pool)
            answered.append(settle_channel(draft, sku, state, terms, drawn, now, seen))
        elif seen != state.orders_seen:
            answered.append(replace(state, orders_seen=seen))
        else:
            answered.append(state)
    return tuple(answered)


# The network ----------------------------------------------------------------------------------------------


def _networked(ledger: Ledger) -> bool:
    for _, _, after in ledger.touched:
        if after.claims and uncovered(after):
            return True
    return bool(ledger.lots) or ledger.demand.networked


def _moved(
    draft: Draft,
    sku: str,
    known: object,
    channels: Sequence[ChannelState],
    demand: DemandChange,
    ledger: Ledger,
    policies: SkuPolicies,
) -> Network | None:
    """Bring the network forward by what one event changed; None where it must be worked out anew."""
    if not isinstance(known, Network) or known.today != _today(draft) or known.layered:
        return None
    cells, missing = known.cells, known.uncovered
    if ledger.touched:
        cells, missing = net.move(known, channels, ledger.touched)
    pending, dated = known.pending, known.dated
    if demand.pending:
        sums = dict(pending)
        for channel, units in demand.pending.items():
            sums[channel] = sums.get(channel, 0) + units
        pending = {channel: units for channel, units in sums.items() if units}
    if demand.dated:
        days = {(one.day, one.channel, one.location): one.units for one in dated}
        for day, units in demand.dated.items():
            days[day] = days.get(day, 0) + units
        dated = _dated(days)
    return Network(
        today=known.today,
        cells=cells,
        pending=pending,
        uncovered=missing,
        dated=dated,
        inbound=_inbound_moved(draft, sku, policies, known.inbound, demand.supply) if demand.supply else known.inbound,
        fences=_drawn_on(known.fences, demand),
        at_risk=known.at_risk,
    )


def survey(
    draft: Draft,
    sku: str,
    channels: Sequence[ChannelState],
    policies: SkuPolicies,
    known: Network | None,
    ledger: Ledger | None = None,
) -> Network:
    """Work the network out from its lines and positions."""
    pending: dict[str, int] = {}
    days: dict[tuple[int, str, str], int] = {}
    claimed: dict[str, dict[str, int]] = {}
    for _, row in draft.scan(claim_key(sku, "")):
        one = standing(row if isinstance(row, Claim) else None, draft.tick)
        if one.due:
            pending[one.channel] = pending.get(one.channel, 0) + one.pending
            for placed in one.placed:
                by_channel = claimed.setdefault(placed.location, {})
                by_channel[one.channel] = by_channel.get(one.channel, 0) + placed.units
        elif one.need is not None:
            for location, units in (*((p.location, p.units) for p in one.placed), ("", one.pending)):
                days[one.need, one.channel, location] = days.get((one.need, one.channel, location), 0) + units
    held_at = list(positions(draft, sku))
    fences = _drawn_on(known.fences, ledger.demand) if known and ledger else known.fences if known else ()
    layered = asks_for_life(channels) or any(position.lotted for _, position in held_at)
    if layered:
        shelves = Shelves(draft, sku, channels)
        layers = [(place, shelves.layers(place, row, claimed.get(place, {}))) for place, row in held_at]
        cells, ages = net.layered_cells(channels, layers), shelves.ages_on()
    else:
        cells, ages = net.cells_of(channels, held_at), NEVER
    return Network(
        today=_today(draft),
        cells=cells,
        pending={channel: units for channel, units in pending.items() if units},
        uncovered=sum(uncovered(position) for _, position in held_at),
        dated=_dated(days),
        inbound=_inbound(draft, sku, policies),
        fences=fences_of(draft, sku, fences, policies.now),
        at_risk=known.at_risk if known else (),
        layered=layered,
        ages_on=ages,
    )


def unpromised(draft: Draft, sku: str, channels: Sequence[ChannelState]) -> Network:
    """The network of a SKU of which nothing is promised or coming that no one position knows of."""
    return Network(
        today=_today(draft),
        cells=net.cells_of(channels, positions(draft, sku)),
        pending={},
        uncovered=0,
        dated=(),
        inbound=(),
        fences=(),
    )


def _dated(days: dict[tuple[int, str, str], int]) -> tuple[Dated, ...]:
    return tuple(
        Dated(day=day, channel=channel, location=location, units=units)
        for (day, channel, location), units in sorted(days.items())
        if units
    )


def _inbound(draft: Draft, sku: str, policies: SkuPolicies) -> tuple[Inbound, ...]:
    """All that is coming, line by line of supply and of transfers."""
    if draft.tick is None:
        return ()
    found: list[Inbound] = []
    for prefix in (supply_key(sku, ""), transfer_key(sku, "")):
        for key, row in draft.scan(prefix):
            found += _coming(key[len(prefix) :], row, policies, draft.tick // DAY)
    return tuple(sorted(found, key=_by_day))


def _inbound_moved(
    draft: Draft, sku: str, policies: SkuPolicies, known: Sequence[Inbound], changed: Iterable[str]
) -> tuple[Inbound, ...]:
    """What is coming after some of the rows that tell it have changed, on the same day and under the same policies."""
    if draft.tick is None:
        return ()
    lines, transfers = supply_key(sku, ""), transfer_key(sku, "")
    gone, found = set(), list[Inbound]()
    for key in changed:
        what = key[len(lines if key.startswith(lines) else transfers) :]
        gone.add((what, key.startswith(transfers)))
        found += _coming(what, draft.get(key), policies, draft.tick // DAY)
    found += [one for one in known if (one.what, one.state == TRANSFER) not in gone]
    return tuple(sorted(found, key=_by_day))


def _coming(what: str, row: object, policies: SkuPolicies, today: int) -> list[Inbound]:
    found: list[Inbound] = []
    if isinstance(row, Supply):
        found = inbound_of(what, row, policies.supply, today)
    elif isinstance(row, Transfer):
        found = in_transit(what, row, policies.supply(row.destination), today)
    return [replace(one, closed=not policies.node(one.location).eligible) for one in found]


def _by_day(one: Inbound) -> tuple[int, str, str, str, int]:
    return one.day, one.location, one.what, one.state, one.units


def answer_network(
    draft: Draft,
    sku: str,
    before: Sequence[ChannelState],
    channels: Sequence[ChannelState],
    network: Network,
    now: int,
    channel: str = "",
    heard: int = 0,
) -> tuple[ChannelState, ...]:
    """Answer for every channel by what the network leaves it; `channels` have the terms that hold now."""
    answered = []
    stock = net.Stock(network, channels, exposed_at(draft, sku, channels))
    if len(network.inbound) > 1:  # Once, and not again for each channel: there may be hundreds of lines on their way.
        network = replace(network, inbound=by_place(network.inbound))
    for number, (state, share) in enumerate(zip(before, stock.shares(), strict=True)):
        seen = max(state.orders_seen, heard) if state.channel == channel else state.orders_seen
        days = outlook(network, channels, number, stock, share)
        pool = share.pool
        if days and network.dated:
            pool = min(pool, max(0, days[0][1]))
        drawn = Drawn(pool=pool, ring=share.ring, horizon=tuple(days))
        answered.append(settle_channel(draft, sku, state, channels[number].terms, drawn, now, seen))
    return tuple(answered)


def outlook(
    network: Network, channels: Sequence[ChannelState], number: int, stock: net.Stock, share: net.Share
) -> list[tuple[int, int]]:
    """What may be promised through a channel day by day, as (day, units); units below 0 are missing.

    Where all that is promised can be served in time, that is what is left beside it by each day. Else what is missing
    somewhere binds every channel that may be asked to serve it, until what comes has made up for it.
    """
    if not (network.dated or network.inbound):
        return []
    terms = terms_of(channels[number])
    place = {state.channel: other for other, state in enumerate(channels)}

    def draws(claim: Dated) -> bool:
        if claim.location:
            return terms.serves(claim.location)
        return net.meet(terms, terms_of(channels[place[claim.channel]]))

    def arrives(coming: Inbound) -> bool:
        return bool(coming.location) and not coming.closed and terms.serves(coming.location)

    days = horizon(share.left - share.owed, network.inbound, network.dated, network.today, arrives, draws)
    if not days or not network.dated:
        return days
    changes = {network.today, *(one.day for one in network.inbound if arrives(one))}
    if not stock.whole:
        changes |= {day for day, _ in days}
    found: list[tuple[int, int]] = []
    for day in sorted(changes):
        units = stock.pool(number, day)
        if not stock.whole:
            units = min(units, on_day(days, day))
        if not found or units != found[-1][1]:
            found.append((day, units))
    return found


def on_day(days: Sequence[tuple[int, int]], day: int) -> int:
    """The figure of a day; `days` are those on which it changes, today first."""
    return [units for at, units in days if at <= day][-1]


def limit(
    draft: Draft, sku: str, network: Network, channels: Sequence[ChannelState], channel: str, location: str, day: int
) -> int:
    """Units that a request of the channel may take for a day after today; of what is on hand where it is net.NOW."""
    number = next(number for number, state in enumerate(channels) if state.channel == channel)
    stock = net.Stock(network, channels, exposed_at(draft, sku, channels), also=location, ahead=day != net.NOW)
    units = stock.limit(number, location, day)
    if (network.dated or day != net.NOW) and not stock.whole:
        share = stock.shares()[number]
        if days := outlook(network, channels, number, stock, share):
            units = min(units, share.ring + max(0, on_day(days, max(day, network.today))))
    return units


def _judge_network(draft: Draft, sku: str, summary: Summary, network: Network, now: int) -> Summary:
    """Judge what is promised beyond what is there; nearly always there is nothing to say, and nothing is asked."""
    missing = net.shortage(network, summary.channels)
    bad: dict[str, tuple[str, str, str, int, dict[str, str]]] = {}
    if missing > 0:
        evidence = {"pending": str(sum(network.pending.values())), "uncovered": str(network.uncovered)}
        bad[f"{OVERSOLD}|"] = (OVERSOLD, "", "CRITICAL", missing, evidence)
    open_rings = {fence.channel: fence.open for fence in network.fences}
    for state in summary.channels:
        name = state.channel
        lacks = open_rings.get(name, 0) - state.ring
        if lacks > 0:
            evidence = {"ring": str(state.ring), "ring_open": str(open_rings[name])}
            bad[f"{RING_SHORT}|{name}"] = (RING_SHORT, name, "MEDIUM", lacks, evidence)
        least = min((units for day, units in state.horizon if day <= network.today + PROJECTED_DAYS), default=0)
        if least < 0 and not missing:
            evidence = {"atp": str(state.atp), "lowest": str(least)}
            bad[f"{PROJECTED}|{name}"] = (PROJECTED, name, "MEDIUM", least, evidence)
    if not bad and not network.at_risk:
        return summary
    waits = False
    for kind, scope, severity, units, evidence in bad.values():
        judge(draft, sku, kind, scope, severity, units, now, bad=True, evidence=evidence)
    still = list(bad)
    for standing_ in network.at_risk:
        kind, scope = standing_.split("|", 1)
        if standing_ not in bad and judge(draft, sku, kind, scope, "", 0, now, bad=False):
            waits = True
            still.append(standing_)
    if tuple(sorted(still)) != network.at_risk:
        draft.put(network_key(sku), replace(network, at_risk=tuple(sorted(still))))
    return look_later(draft, sku, summary, max(now, draft.tick or 0) + NEGATIVE_CALM) if waits else summary


# Ring-fences ----------------------------------------------------------------------------------------------


def fences_of(draft: Draft, sku: str, known: Sequence[Fence], now: int) -> tuple[Fence, ...]:
    """Where the ring-fences stand at `now`: a grant waits for its date."""
    before = {fence.channel: fence for fence in known}
    row = draft.get(ring_key(sku))
    by_channel: dict[str, list[Statement]] = {}
    for one in row.said if isinstance(row, Ring) else ():
        if one.event_time <= now:
            by_channel.setdefault(one.channel, []).append(one)
    found = []
    for channel, said in sorted(by_channel.items()):
        grants = [one for one in said if one.type == "AllocationGranted" and one.quantity]
        if not grants:
            continue
        first = min(one.event_time for one in grants)
        fence = before.get(channel)
        taken = fence.taken if fence else 0
        if fence is None or fence.first != first:
            taken += _taken_since(draft, sku, channel, first)
            taken -= _taken_since(draft, sku, channel, fence.first) if fence else 0
        found.append(
            Fence(
                channel=channel,
                priority=max(grants, key=lambda one: (one.event_time, one.key)).priority,
                granted=sum(one.quantity if one.type == "AllocationGranted" else -one.quantity for one in said),
                taken=taken,
                first=first,
            )
        )
    return tuple(found)


def _grants_after(draft: Draft, sku: str, last: int | None) -> list[int]:
    """The times of grants and returns that come into force after the tick before."""
    row = draft.get(ring_key(sku))
    return [
        one.event_time for one in (row.said if isinstance(row, Ring) else ()) if last is None or one.event_time > last
    ]


def _taken_since(draft: Draft, sku: str, channel: str, first: int) -> int:
    """Units that a channel drew since its first grant, as far as the window remembers."""
    units = 0
    for _, row in draft.scan(claim_key(sku, "")):
        one = standing(row if isinstance(row, Claim) else None, draft.tick)
        if one.channel == channel and one.began >= first:
            units += one.taken
    for _, row in draft.scan(evidence_key(sku, "")):
        if isinstance(row, Evidence) and (row.channel or ALL_CHANNEL) == channel and row.event_time >= first:
            units += sum(leg.quantity for leg in row.legs if leg.target == CUSTOMER) if not claims_by(row) else 0
    return units


def _drawn_on(fences: Sequence[Fence], demand: DemandChange) -> tuple[Fence, ...]:
    """Count what an event drew from ring-fences: by claims, and by sales without one."""
    if not fences or not (demand.taken or demand.sold):
        return tuple(fences)
    drawn = (*demand.taken, *demand.sold)
    return tuple(
        replace(
            fence,
            taken=fence.taken + sum(u for channel, at, u in drawn if channel == fence.channel and at >= fence.first),
        )
        for fence in fences
    )


# Policies -------------------------------------------------------------------------------------------------


def matures(draft: Draft, summary: Summary, before: int, now: int) -> bool:
    """Say whether a policy's date comes between two times."""
    wide = draft.get(POLICIES_KEY)
    entries = (*summary.policies, *(wide.entries if isinstance(wide, Policies) else ()))
    return bool(entries) and any(before < entry.effective <= now for entry in entries)


def reassess_all(draft: Draft, tick: int | None) -> None:
    """Apply the policies in force to every SKU of the partition."""
    prefix = summary_key("")
    for key, row in list(draft.scan(prefix)):
        assert isinstance(row, Summary)  # nothing else lies under this prefix
        draft.put(key, reassess(draft, key[len(prefix) :], row, tick if tick is not None else row.clock))


def reassess(draft: Draft, sku: str, summary: Summary, now: int, naming: str = "") -> Summary:
    """Work out every position and channel of a SKU anew: policies and days in force at `now`, all lines.

    `naming` is a channel that has just been named.
    """
    summary = _drawn_lately(draft, sku, summary)
    policies = SkuPolicies(draft, sku, summary, now)
    summary = advise_later(
        draft, sku, replace(summary, advise_at=asked(draft, sku, summary)), max(now, draft.tick or 0)
    )
    claims = _due_claims(draft, sku) if summary.promised else None
    places: dict[str, Position] = {}
    for location, row in list(positions(draft, sku)):
        node = policies.node(location)
        has = held(row)
        if claims is not None:
            has = replace(has, claims=claims.pop(location, (0, 0, 0)))
        before = NodeTerms(safety_stock=row.safety_stock, eligible=row.eligible, low_at=row.low_at)
        changed = node != before or tuple(has.claims) != (row.reserved_soft, row.reserved_firm, row.allocated)
        changed = changed or row.lotted  # of which some may have expired
        places[location] = settle_position(draft, sku, location, row, has, node, summary.clock) if changed else row
    for location, units in sorted((claims or {}).items()):
        if any(units):  # Their day has come at a place where nothing has been so far.
            has = Held(
                buckets=(0,) * len(BUCKETS),
                in_transit_in=0,
                counts=(),
                touches=(),
                moved_at=summary.clock,
                claims=units,
            )
            node = policies.node(location)
            places[location] = settle_position(draft, sku, location, None, has, node, summary.clock)
    wide = draft.get(POLICIES_KEY)
    known = {state.channel: state for state in summary.channels}
    names = {
        ALL_CHANNEL,
        *known,
        *((naming,) if naming else ()),
        *declared(summary.policies),
        *(declared(wide.entries) if isinstance(wide, Policies) else ()),
    }
    channels = tuple(
        replace(
            known.get(name) or ChannelState(channel=name, terms=None, pool=0, atp=0, version=0),
            terms=policies.channel(name),
        )
        for name in sorted(names)
    )
    if summary.promised or asks_for_life(channels):
        summary = replace(summary, promised=True)
        row_ = draft.get(network_key(sku))
        network = survey(draft, sku, channels, policies, row_ if isinstance(row_, Network) else None)
        draft.put(network_key(sku), network)
        before_ = [known.get(state.channel) or replace(state, terms=None) for state in channels]
        answered = answer_network(draft, sku, before_, channels, network, summary.clock)
        summary = _judge_network(draft, sku, replace(summary, channels=answered), network, summary.clock)
        if network.dated or network.inbound:
            summary = look_later(draft, sku, summary, _next_day(draft.tick))
        return watch(draft, sku, _age_later(draft, sku, summary, network))
    answered = tuple(
        settle_channel(
            draft,
            sku,
            known.get(state.channel) or replace(state, terms=None),
            state.terms,
            Drawn(pool=sum(exposed(row) for place, row in places.items() if terms_of(state).serves(place))),
            summary.clock,
            state.orders_seen,
        )
        for state in channels
    )
    return watch(draft, sku, replace(summary, channels=answered))


def _drawn_lately(draft: Draft, sku: str, summary: Summary) -> Summary:
    """Begin or end to keep what channels draw, as policies ask for it: both wait for the next full minute."""
    wanted = buffers.asked(draft, summary)
    if wanted == (summary.draws is not None):
        return summary
    if wanted:
        summary = replace(summary, draws=buffers.gathered(draft, sku, summary.clock))
    return summary if summary.draws == () else look_later(draft, sku, summary, _next_minute(draft.tick))


def _due_claims(draft: Draft, sku: str) -> dict[str, tuple[int, int, int]]:
    """Units of claims that are due, by location, in the order of HOLDS."""
    sums: dict[str, list[int]] = {}
    for _, row in draft.scan(claim_key(sku, "")):
        one = standing(row if isinstance(row, Claim) else None, draft.tick)
        for placed in one.placed if one.due else ():
            sums.setdefault(placed.location, [0, 0, 0])[HOLDS.index(placed.how)] += placed.units
    return {location: (units[0], units[1], units[2]) for location, units in sums.items()}


# Time -----------------------------------------------------------------------------------------------------


def look(draft: Draft, sku: str, summary: Summary, tick: int, last: int | None) -> Summary:
    """Look at a SKU whose timer is due: its policies, its day, its calm risks, its rates."""
    summary = replace(summary, look_at=0)
    network = draft.get(network_key(sku)) if summary.promised else None
    granted = _grants_after(draft, sku, last) if isinstance(network, Network) else []
    stale = isinstance(network, Network) and (network.today != _today(draft) or any(at <= tick for at in granted))
    if stale or any((last is None or last < one.effective) and one.effective <= tick for one in summary.policies):
        summary = reassess(draft, sku, summary, tick)
    next_look: list[int] = [entry.effective for entry in summary.policies if entry.effective > tick]
    next_look += [at for at in granted if at > tick]
    for kind in JUDGED_AT_EVENTS if summary.promised else JUDGED_AT_EVENTS[:1]:
        prefix = risk_key(sku, kind, "")
        for key, row in list(draft.scan(prefix)):
            if close_when_calm(draft, sku, kind, key[len(prefix) :], tick, NEGATIVE_CALM):
                assert isinstance(row, Risk)
                next_look.append((row.calm_since or tick) + NEGATIVE_CALM)
    if summary.draws is not None or last is None:
        if last is None or last // MINUTE < tick // MINUTE:
            summary = _judge_rates(draft, sku, summary, tick)
            changes = buffers.next_change(summary.draws or (), tick)
            next_look += [changes] if changes is not None else []
        else:
            next_look.append(_next_minute(tick))
    rate = per_minute(summary, tick)
    for state in summary.channels:
        near = rate > 0 and may_run_short(rate, state)
        if (
            (near or draft.get(risk_key(sku, IMMINENT, state.channel)) is not None)
            and imminent(draft, sku, state, rate, tick)
        ) or near:
            next_look.append(_minute(tick + 1))
    if isinstance(network, Network) and (network.dated or network.inbound):
        next_look.append(_next_day(tick))
    summary = look_later(draft, sku, summary, min(next_look)) if next_look else summary
    network = draft.get(network_key(sku)) if summary.promised else None
    return _age_later(draft, sku, summary, network) if isinstance(network, Network) else summary


def _age_later(draft: Draft, sku: str, summary: Summary, network: Network) -> Summary:
    """Look at the SKU on the next day on which some of it gets too old for somebody."""
    if network.ages_on == NEVER:
        return summary
    return look_later(draft, sku, summary, max(SECOND, network.ages_on * DAY))


def _judge_rates(draft: Draft, sku: str, summary: Summary, tick: int) -> Summary:
    """Judge the rates that buffers follow; answer anew where a buffer changes."""
    if not buffers.asked(draft, summary):
        return replace(summary, draws=None)
    known_draws = summary.draws if summary.draws is not None else buffers.gathered(draft, sku, summary.clock)
    draws = buffers.judged(known_draws or (), tick)
    terms = {state.channel: state.terms for state in summary.channels}
    channels = []
    for state in summary.channels:
        known = state.terms
        after = buffers.by_rate(known, state.channel, draws, terms.get) if known is not None else None
        if known is None or after is None or after.buffer == known.buffer:
            channels.append(state if after == known else replace(state, terms=after))
            continue
        drawn = Drawn(pool=state.pool, ring=state.ring, horizon=state.horizon)
        channels.append(settle_channel(draft, sku, state, after, drawn, summary.clock, state.orders_seen))
    return replace(summary, draws=draws, channels=tuple(channels))


def watch(draft: Draft, sku: str, summary: Summary) -> Summary:
    """Look at the SKU at the next minute if its goods may run out by then: rates are judged at ticks."""
    time = _minute(max(summary.clock, draft.tick or 0) + 1)
    if not summary.hours or 0 < summary.look_at <= time // SECOND:
        return summary
    # A rate of long ago is no rate: old data on a worker with a wall clock would set timers for nothing.
    if draft.tick is not None and summary.clock <= draft.tick - (SLOW_HOURS + 1) * HOUR:
        return summary
    rate = fastest(summary)
    for state in summary.channels:
        if may_run_short(rate, state):
            return look_later(draft, sku, summary, time)
    return summary


def look_later(draft: Draft, sku: str, summary: Summary, time: int) -> Summary:
    """Set the SKU's timer to the first full second at or after `time`, unless an earlier one waits."""
    second = due_second(time)
    if summary.look_at and summary.look_at <= second:
        return summary
    if summary.look_at:
        draft.put(timer_key(summary.look_at, sku), None)
    draft.put(timer_key(second, sku), Timer())
    return replace(summary, look_at=second)


def _minute(time: int) -> int:
    return -(-time // MINUTE) * MINUTE


def _next_minute(tick: int | None) -> int:
    """The next full minute; at once, as soon as there is a tick, where there is none yet."""
    return SECOND if tick is None else _minute(tick + 1)


def _today(draft: Draft) -> int:
    today = today_of(draft.tick)
    return -1 if today is None else today


def _next_day(tick: int | None) -> int:
    """The next midnight; at once, as soon as there is a tick, where there is none yet."""
    return SECOND if tick is None else (tick // DAY + 1) * DAY
