"""How a SKU's figures come about, step by step, so that a planner can work them out again.

A step is {"what", "units", "note", "last"}: what it adds (or the sum so far, where `what` begins with `=`), in words
how it is known, and the event that moved it last (null where none is remembered). The same for what is held now and
for rows that were folded for a past moment.
"""

from collections.abc import Iterator, Sequence
from typing import Any

from atp import network as net
from atp.availability import atp_raw, capped, channel_raw, channel_status, exposed, status, terms_of
from atp.book import (
    BUCKETS,
    Bills,
    ChannelState,
    ChannelTerms,
    Lots,
    Position,
    Ring,
    Rows,
    Summary,
    bills_key,
    claim_key,
    line_of,
    lots_key,
    position_key,
    ring_key,
    summary_key,
)
from atp.claims import day_text, today_of
from atp.draft import Draft
from atp.effects import BufferRate, Cause
from atp.shelves import exposed_at
from avro_schemas.instants import instant, instant_or_none
from streams.answer import lots_at
from streams.movers import Mover, Movers, Rules
from streams.promised import inbound, network_of, open_lines, tick_of

Plain = dict[str, Any]
HOLDS = ("reserved_soft", "reserved_firm", "allocated")


def explain(rows: Rows, sku: str, channel: str = "", location: str = "") -> Plain:
    """Derive positions and channels of a SKU; of one channel or location where they are named.

    With a channel, locations that do not serve it are left out. `known` is false where nothing names the SKU.
    """
    row = rows.get(summary_key(sku))
    tick = tick_of(rows)
    found: Plain = {"sku": sku, "known": isinstance(row, Summary), "as_of": None, "tick": instant_or_none(tick)}
    if not isinstance(row, Summary):
        return {**found, "locations": [], "promises": [], "channels": [], "components": None}
    one = _Derivation(rows, sku, row, tick if tick is not None else row.clock)
    bills = rows.get(bills_key(sku))
    states = [state for state in row.channels if channel in ("", state.channel)]
    serving = [terms_of(state) for state in states] if channel else []
    return {
        **found,
        "as_of": instant(row.clock) if row.clock else None,
        "locations": [
            one.location(place, position)
            for place, position in one.positions
            if location in ("", place) and (not channel or any(terms.serves(place) for terms in serving))
        ],
        "promises": one.promises(),
        "channels": [one.channel(state) for state in states],
        "components": dict(bills.in_force) if isinstance(bills, Bills) else None,
    }


def _step(what: str, units: int | None, note: str = "", last: Mover | None = None) -> Plain:
    return {"what": what, "units": units, "note": note, "last": None if last is None else last.plain()}


class _Derivation:
    """The rows of a SKU, and what tells how they came to be."""

    def __init__(self, rows: Rows, sku: str, summary: Summary, now: int) -> None:
        self._rows, self._sku, self._summary = rows, sku, summary
        self._movers = Movers(rows, sku)
        self._rules = Rules(summary, rows, now)
        self._network = network_of(rows, sku)
        self._lines = list(open_lines(rows, sku))
        as_it_is = Draft(rows, Cause(type="", key=""), 0, tick_of(rows))
        self._exposed_at = exposed_at(as_it_is, sku, summary.channels)
        prefix = position_key(sku, "")
        self.positions = [(key[len(prefix) :], row) for key, row in rows.scan(prefix) if isinstance(row, Position)]

    # Locations ------------------------------------------------------------------------------------------------

    def location(self, place: str, position: Position) -> Plain:
        """Derive what a location exposes."""
        steps = [_step("sellable", position.sellable, "", self._movers.account("sellable", place, position))]
        for bucket in BUCKETS[1:]:
            units: int = getattr(position, bucket)
            last = self._movers.account(bucket, place, position)
            if units < 0:
                steps.append(_step(f"owed by {bucket}", units, "more left it than came", last))
            elif units:
                steps.append(_step(f"{bucket}: no part of it", None, f"{units} units", last))
        steps += self._lots(place, position)
        claims = list(self._claims_at(place))
        for hold in HOLDS:
            units = getattr(position, hold)
            if units:
                last = max((one["mover"] for one in claims if one["how"] == hold and one["mover"]), default=None)
                steps.append(_step(hold.replace("_", " "), -units, "", last))
        if position.safety_stock:
            steps.append(_step("safety stock", -position.safety_stock, "", self._rules.node("safety_stock", place)))
        steps.append(_step("= raw", atp_raw(position)))
        if not position.eligible:
            steps.append(_step("not eligible", None, "exposes nothing", self._rules.node("eligible", place)))
        elif held_back := max(0, atp_raw(position)) - exposed(position):
            note = (
                f"{position.haircut} % for a confidence of {position.confidence} in 100: {', '.join(position.reasons)}"
            )
            steps.append(_step("held back", -held_back, note, self._rules.node("haircuts", place)))
        steps.append(_step("= exposed", exposed(position), status(position.atp, position.low_at)))
        return {
            "location": place,
            "steps": steps,
            "exposed": exposed(position),
            "confidence": position.confidence,
            "reasons": list(position.reasons),
            "claims": [{k: v for k, v in one.items() if k != "mover"} for one in claims],
        }

    def _lots(self, place: str, position: Position) -> Iterator[Plain]:
        """Yield what has expired, and what lots are left."""
        key = lots_key(self._sku, place)
        row = self._rows.get(key)
        if not isinstance(row, Lots):
            return
        last = self._movers.line(key)
        if position.expired:
            yield _step("expired", -position.expired, "their last day is over", last)
        for one in lots_at(position, row, today_of(tick_of(self._rows))):
            left = one["days_left"]
            days = (
                "" if left is None else ", expired" if left < 0 else f", {left} {'day' if left == 1 else 'days'} left"
            )
            until = f"until {one['expiry']}{days}" if one["expiry"] else "nobody said until when"
            yield _step(
                f"lot {one['lot']}" if one["lot"] else "of one last day", None, f"{one['units']} units {until}", last
            )

    def _claims_at(self, place: str) -> Iterator[Plain]:
        """Yield what holds units at a location; empty: what waits for one."""
        for order, number, row, one in self._lines:
            mover = self._movers.line(claim_key(self._sku, line_of(order, number)), row)
            placed = [(p.units, p.how) for p in one.placed if p.location == place and one.due]
            if not place and one.pending and one.due:
                placed = [(one.pending, "pending")]
            for units, how in placed:
                yield {
                    "order": order,
                    "line": number,
                    "channel": one.channel,
                    "units": units,
                    "how": how,
                    "last": None if mover is None else mover.plain(),
                    "mover": mover,
                }

    # What is promised beside them -------------------------------------------------------------------------------

    def promises(self) -> list[Plain]:
        """Derive promises that are tied to no stock; each with the lines behind it."""
        network = self._network
        if network is None:
            return []
        waiting = list(self._claims_at(""))
        steps = []
        for name, units in sorted(network.pending.items()):
            lines = [one for one in waiting if one["channel"] == name]
            last = max((one["mover"] for one in lines if one["mover"]), default=None)
            shown = [{k: v for k, v in one.items() if k != "mover"} for one in lines]
            steps.append({**_step(f"pending for {name}", units, "no location is chosen yet", last), "lines": shown})
        if network.uncovered:
            note = "claims at locations that do not have the units; any eligible location may serve them"
            steps.append({**_step("uncovered", network.uncovered, note), "lines": []})
        for fence in sorted(network.fences, key=lambda one: (one.priority, one.channel)):
            note = f"granted {fence.granted}, taken {fence.taken}, priority {fence.priority}"
            step = _step(f"ring-fence of {fence.channel}", fence.open, note, self._granted(fence.channel))
            steps.append({**step, "lines": []})
        return steps

    def _granted(self, channel: str) -> Mover | None:
        row = self._rows.get(ring_key(self._sku))
        said = [one for one in (row.said if isinstance(row, Ring) else ()) if one.channel == channel]
        return max((Mover(one.event_time, one.key, one.type) for one in said), default=None)

    # Channels ---------------------------------------------------------------------------------------------------

    def channel(self, state: ChannelState) -> Plain:
        """Derive what a channel is shown."""
        name, terms = state.channel, terms_of(state)
        served = [(place, position) for place, position in self.positions if terms.serves(place)]
        sum_exposed = sum(exposed(position) for _, position in served)
        steps = [_step("exposed at its locations", sum_exposed, _where(terms), self._rules.channel("locations", name))]
        if terms.min_life_days and self._network is not None:
            number = next(i for i, one in enumerate(self._summary.channels) if one.channel == name)
            lasting = sum(cell.exposed for cell in self._network.cells if cell.mask >> number & 1)
            note = f"for less than {terms.min_life_days} days more, or nobody knows, or promised to who asks for it"
            last = self._rules.channel("min_life_days", name)
            steps.append(_step("do not last long enough", lasting - sum_exposed, note, last))
            sum_exposed = lasting
        steps += self._beside(state, sum_exposed)
        steps.append(_step("= pool", state.pool))
        rules = [
            _step(field.replace("_", " "), value, "", self._rules.channel(field, name))
            for field, value, usual in (
                ("share_percent", terms.share_percent, 100),
                ("buffer", terms.buffer, 0),
                ("cap", terms.cap, None),
            )
            if value != usual
        ]
        if terms.rate is not None:
            asked = self._rules.channel("buffer_by_rate", name)
            rules = [one for one in rules if one["what"] != "buffer"]
            rules.append(_step("buffer by rate", terms.buffer, _by_rate(terms, terms.rate), asked))
        if state.ring or (self._network and any(one.channel == name for one in self._network.fences)):
            rules.insert(0, _step("ring-fence that stock can serve", state.ring, "", self._granted(name)))
        return {
            "channel": name,
            "atp": state.atp,
            "status": channel_status(state.atp, terms, state.horizon),
            "version": state.version,
            "steps": [*steps, *rules],
            "arithmetic": arithmetic(state, terms),
            "orders_seen_through": instant_or_none(state.orders_seen or None),
            "horizon": [{"date": day_text(day), "quantity": units} for day, units in state.horizon],
            "demand": [
                {"date": day_text(one.day), "units": one.units, "channel": one.channel, "location": one.location}
                for one in (self._network.dated if self._network else ())
                if state.horizon and (not one.location or terms.serves(one.location))
            ],
            "inbound": [
                inbound(one)
                for one in (self._network.inbound if self._network else ())
                if state.horizon and one.location and terms.serves(one.location)
            ],
        }

    def _beside(self, state: ChannelState, sum_exposed: int) -> Iterator[Plain]:
        """Yield what promises to others take of the channel's locations, and what later days leave."""
        network, channels = self._network, self._summary.channels
        if network is None:
            return
        number = next(i for i, one in enumerate(channels) if one.channel == state.channel)
        stock = net.Stock(network, channels, self._exposed_at)
        left = stock.shares()[number].left
        if stock.due:
            elsewhere = [(0 if mask >> number & 1 else units, mask, day) for units, mask, day in stock.now]
            owing = len(net.promises_of(network, channels))
            names = [_named(one, channels, ring=place >= owing) for place, one in enumerate(stock.due)]
            note = (
                f"of what is promised ({', '.join(names)}), {net.flow(stock.now, stock.due)} can be served in all, "
                f"{net.flow(elsewhere, stock.due)} of them elsewhere"
            )
            yield _step("promised beside", left - sum_exposed, note)
        if left != state.pool:
            yield _step("due later", state.pool - left, "what is promised for later days, before supply comes")


def _by_rate(terms: ChannelTerms, rate: BufferRate) -> str:
    """Write out what a buffer by rate is made of."""
    others = f"others {rate.others_per_day} a day for {rate.lag_s} s"
    shared = f"{terms.share_percent} % of {others}" if terms.share_percent != 100 else others
    return f"{shared} + own {rate.own_per_day} a day for {rate.order_lag_s} s, rounded up; at least {rate.least}"


def arithmetic(state: ChannelState, terms: ChannelTerms) -> str:
    """Write the last step out, in figures."""
    raw = channel_raw(state.pool, terms, state.ring)
    words = [str(state.ring)] if state.ring else []
    share = f"{terms.share_percent} % of {state.pool}" if terms.share_percent != 100 else str(state.pool)
    text = " + ".join([*words, share]) + (f" - {terms.buffer}" if terms.buffer else "")
    text = f"{text} = {raw}"
    if raw < 0:
        text += ", below 0: 0"
    if terms.cap is not None and raw > terms.cap:
        text += f", at most {terms.cap}"
    return f"{text}; ATP {capped(raw, terms)}"


def _named(promise: net.Promise, channels: Sequence[ChannelState], *, ring: bool) -> str:
    if ring:
        return f"{promise.units} ring-fenced for {channels[promise.channel].channel}"
    if promise.channel == net.ANY:
        return f"{promise.units} uncovered"
    return f"{promise.units} pending for {channels[promise.channel].channel}"


def _where(terms: ChannelTerms) -> str:
    where = "every location" if terms.locations is None else ", ".join(terms.locations) or "no location"
    return f"{where} except {', '.join(terms.excluded)}" if terms.excluded else where
