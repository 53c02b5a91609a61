"""The double-entry book: puts versions in force and takes them out, leg by leg.

Whatever a leg takes from one account it gives to another, so buckets, transit and boundary accounts of a SKU
always add up to 0. Source: docs/domain.md sections 2 and 4.
"""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Protocol

from atp.book import (
    ALL_CHANNEL,
    BUCKETS,
    Claim,
    Count,
    Evidence,
    Lots,
    Position,
    Supply,
    Timer,
    Touch,
    Transfer,
    claim_key,
    evidence_key,
    lots_key,
    position_key,
    timer_key,
    transfer_key,
)
from atp.catalogue import COUNT_VAR, CUSTOMER, words
from atp.claims import Standing, day_text, is_transfer, picked_and_open, standing
from atp.counts import Delta, Vector, covers, expect, expect_of_old, variances
from atp.draft import Draft
from atp.events import DAY
from atp.past import moved_at
from atp.policy import NodeTerms
from atp.postings import post, post_variance, take_back
from atp.publication import Held, settle_position
from atp.risk import negative_stock
from atp.variance import count_variance, transfer_variance

TOUCHES_KEPT = 8
EMPTY = (0, 0, 0, 0)
NO_CLAIMS = (0, 0, 0)
HOLDS = ("reserved_soft", "reserved_firm", "allocated")
"""What holds a due unit of a claim at a location."""
BUCKET_INDEX = {bucket: index for index, bucket in enumerate(BUCKETS)}


class NodePolicies(Protocol):
    """What tells the terms of a position that opens."""

    def node(self, location: str) -> NodeTerms: ...


class Moves:
    """What one event changes, summed by where it lands."""

    __slots__ = ("accounts", "marks", "taken", "transfers", "vectors")

    def __init__(self) -> None:
        self.marks: dict[str, dict[str, int]] = {}
        """By line of a claim, of supply or of a transfer: units by word."""
        self.vectors: dict[str, Vector] = {}
        self.accounts: dict[str, int] = {}
        self.transfers: dict[str, dict[str, list[int]]] = {}
        """By transfer line and destination: units shipped, received, lost."""
        self.taken: list[tuple[int, int]] = []
        """(event time, units) that customers took."""

    def add(self, evidence: Evidence, sign: int) -> None:
        """Apply the legs of a version, or take them back with sign -1."""
        for leg in evidence.legs:
            units = sign * leg.quantity
            self._move(leg.source, -units)
            self._move(leg.target, units)
            if leg.target == CUSTOMER:
                self.taken.append((evidence.event_time, units))
            elif leg.target.startswith("transit|"):
                self._transfer(leg.target)[0] += units
            elif leg.source.startswith("transit|"):
                self._transfer(leg.source)[1 if "|" in leg.target else 2] += units

        for mark in evidence.marks:
            words_ = self.marks.setdefault(mark.line, {})
            words_[mark.word] = words_.get(mark.word, 0) + sign * mark.units

    def _move(self, account: str, units: int) -> None:
        parts = words(account)
        if len(parts) == 1:
            self.accounts[account] = self.accounts.get(account, 0) + units
        elif len(parts) == 2:
            self.vectors.setdefault(parts[1], [0, 0, 0, 0])[BUCKET_INDEX[parts[0]]] += units

    def _transfer(self, account: str) -> list[int]:
        _, transfer, line, destination = words(account)
        return self.transfers.setdefault(f"{transfer}|{line}", {}).setdefault(destination, [0, 0, 0])


class DemandChange:
    """What one event changes in what is promised and coming, summed by where it lands."""

    __slots__ = ("asked", "claims", "dated", "next_day", "pending", "supply", "taken", "versions")

    def __init__(self) -> None:
        self.claims: dict[str, list[int]] = {}
        """By location: due units more than before, in the order of HOLDS."""
        self.pending: dict[str, int] = {}
        self.dated: dict[tuple[int, str, str], int] = {}
        """By day, channel and location."""
        self.taken: list[tuple[str, int, int]] = []
        """(channel, when the line began, units drawn more than before)."""
        self.asked: list[tuple[str, int, int]] = []
        """Those of `taken` that customers drew: transfers apart."""
        self.versions: list[tuple[Evidence | None, Evidence]] = []
        """(the version before, the version in force) of each event."""
        self.supply: set[str] = set()
        """The rows of lines of supply, and of transfers with a day, that changed."""
        self.next_day = False
        """Whether a line waits for its day."""

    @property
    def networked(self) -> bool:
        """Say whether something is promised or coming that no one position knows of."""
        return (
            bool(self.supply)
            or self.next_day
            or (bool(self.pending) and any(self.pending.values()))
            or (bool(self.dated) and any(self.dated.values()))
        )

    @property
    def sold(self) -> list[tuple[str, int, int]]:
        """(channel, event time, units) that left without a claim."""
        return [
            (version.channel or ALL_CHANNEL, version.event_time, sign * leg.quantity)
            for pair in self.versions
            for version, sign in zip(pair, (-1, 1), strict=True)
            if version is not None and not claims_by(version)
            for leg in version.legs
            if leg.target == CUSTOMER
        ]


def claims_by(version: Evidence) -> bool:
    """Say whether an event is about an order line: then what left by it is counted there."""
    return any(mark.line.startswith("c|") for mark in version.marks)


class Ledger:
    """The positions and transfers of one SKU, while one event is folded."""

    def __init__(self, draft: Draft, sku: str, clock: int, oldest: int, policies: "NodePolicies") -> None:
        """`clock` is the SKU's clock after the event, `oldest` the begin of the window before it.

        What was admitted is thus inside the window that its counts are worked out for. `policies` are asked
        about new positions.
        """
        self.draft = draft
        self.sku = sku
        self.clock = clock
        self.oldest = oldest
        self.policies = policies
        self.touched: list[tuple[str, Position | None, Position]] = []
        """(location, the position before, after): one entry for each time that it was settled."""
        self.demand = DemandChange()
        self.accounts: dict[str, int] = {}
        self.taken: list[tuple[int, int]] = []
        self.waits_for_calm = False
        self.lots: set[str] = set()
        """Locations where lots moved."""

    def replace(
        self,
        event_key: str,
        before: Evidence | None,
        after: Evidence,
        count: Count | None,
        reason: str,
        *,
        remembered: bool = True,
    ) -> None:
        """Put a version of an event in force, at its own time, instead of the one before, at that one's.

        `count` is what the version counts, where it is a count at `after.count_at`. What is not `remembered` is
        known by another row than its evidence.
        """
        draft, sku = self.draft, self.sku
        versions = [after] if before is None else [before, after]
        if remembered:
            draft.put(evidence_key(sku, event_key), after)
        moves = Moves()
        if before is not None:
            moves.add(before, -1)
            take_back(draft, sku, event_key, before)
        moves.add(after, 1)
        post(draft, sku, event_key, after, reason)
        self.accounts, self.taken = moves.accounts, moves.taken
        self.demand.versions.append((before, after))
        in_transit = self._settle_transfers(moves, after.event_time) if moves.transfers else {}
        if moves.marks:
            self._settle_lines(moves.marks, after.event_time)
        # A count that moves is withdrawn at its old place before it opens at the new: one id, told in this order.
        recounted = [version.count_at for version in versions if version.count_at]
        recounted += [v.location for v in versions if v.type == "PickConfirmed" and self._picks_counted(v)]
        for location in dict.fromkeys((*moves.vectors, *in_transit, *recounted, *self.demand.claims)):
            self._settle(
                location,
                moves.vectors.get(location, EMPTY),
                in_transit.get(location, 0),
                versions,
                dropped=event_key if before is not None and before.count_at == location else "",
                added=count if count is not None and after.count_at == location else None,
                touch=(after.type, event_key, after.event_time),
            )

    def _picks_counted(self, version: Evidence) -> bool:
        """Say whether a pick may change what a count that left picked goods out should have found."""
        row = self.draft.get(position_key(self.sku, version.location))
        return isinstance(row, Position) and any(count.excludes for count in row.counts)

    def expire(self, lines: Mapping[str, int | None]) -> None:
        """Look at claim lines whose time has come since the tick that saw them last."""
        for line, seen in lines.items():
            row = self.draft.get(claim_key(self.sku, line))
            if isinstance(row, Claim):
                self._change(standing(row, seen), standing(row, self.draft.tick), line)
        for location in self.demand.claims:
            touch = (self.draft.cause.type, self.draft.cause.key, self.draft.tick or self.clock)
            self._settle(location, EMPTY, 0, (), dropped="", added=None, touch=touch)

    def _settle_lines(self, marks: dict[str, dict[str, int]], event_time: int) -> None:
        """Tell the lines of claims and of supply, and lots, what was said of them."""
        draft = self.draft
        for key, said in marks.items():
            row = draft.get(key)
            if key.startswith("c|"):
                known = row if isinstance(row, Claim) else None
                tally = _added(known.tally if known else {}, said)
                last = max(event_time, known.last_time if known else 0)
                after = Claim(tally=tally, last_time=last) if tally else None
                draft.put(key, after)
                line = key[len(claim_key(self.sku, "")) :]
                self._change(standing(known, draft.tick), standing(after, draft.tick), line)
            elif key.startswith("b|"):
                supply = row if isinstance(row, Supply) else Supply(said=(), received={}, last_time=0)
                received = _added(supply.received, said)
                draft.put(key, Supply(said=supply.said, received=received, last_time=max(event_time, supply.last_time)))
                self.demand.supply.add(key)
            elif key.startswith("L|"):
                self._settle_lots(key[len(lots_key(self.sku, "")) :], row if isinstance(row, Lots) else None, said)

    def _settle_lots(self, location: str, known: Lots | None, said: Mapping[str, int]) -> None:
        """Tell the lots of a position what named them; what names none is told before the position is settled."""
        self.lots.add(location)
        units = _added(known.units if known else {}, said)
        unnamed = known.unnamed if known else self._unnamed_so_far(location)
        self.draft.put(lots_key(self.sku, location), Lots(units=units, unnamed=unnamed) if units else None)

    def _unnamed_so_far(self, location: str) -> dict[str, int]:
        """What moved without naming a lot, in the window, before the first lot was heard of; this event apart."""
        days: dict[str, int] = {}
        for _, row in self.draft.scan(evidence_key(self.sku, "")):
            if isinstance(row, Evidence) and row.legs and row.event_time >= self.oldest:
                days = _added(days, _unnamed(row, location, 1))
        for before, after in self.demand.versions[-1:]:  # It is told with what is settled.
            days = _added(days, _unnamed(after, location, -1))
            days = _added(days, _unnamed(before, location, 1)) if before is not None else days
        return days

    def _tell_unnamed(self, location: str, versions: Sequence[Evidence]) -> None:
        """Tell the lots of a position what its event moved without naming any."""
        row = self.draft.get(lots_key(self.sku, location))
        if not isinstance(row, Lots):
            return
        days = row.unnamed
        for version, sign in zip(versions, (1,) if len(versions) == 1 else (-1, 1), strict=True):
            days = _added(days, _unnamed(version, location, sign))
        if days != row.unnamed:
            self.draft.put(lots_key(self.sku, location), Lots(units=row.units, unnamed=days))

    def _change(self, before: Standing, after: Standing, line: str) -> None:
        """Sum what a claim line holds more than before, and set its timer."""
        demand = self.demand
        for one, sign in ((before, -1), (after, 1)):
            if one.due:
                for placed in one.placed:
                    at = demand.claims.setdefault(placed.location, [0, 0, 0])
                    at[HOLDS.index(placed.how)] += sign * placed.units
                demand.pending[one.channel] = demand.pending.get(one.channel, 0) + sign * one.pending
            elif one.need is not None:
                for location, units in (*((p.location, p.units) for p in one.placed), ("", one.pending)):
                    day = (one.need, one.channel, location)
                    demand.dated[day] = demand.dated.get(day, 0) + sign * units
            demand.taken.append((one.channel, one.began, sign * one.taken))
        if not is_transfer(line):
            demand.asked += demand.taken[-2:]
        if not after.open:
            return
        if after.expires is not None and not after.expired:
            self.draft.put(timer_key(after.expires, self.sku, line), Timer())
        if after.need is not None and (self.draft.tick is None or not after.due):
            demand.next_day = True

    def _settle(
        self,
        location: str,
        vector: Sequence[int],
        in_transit: int,
        versions: Sequence[Evidence],
        *,
        dropped: str,
        added: Count | None,
        touch: tuple[str, str, int],
    ) -> None:
        row = self.draft.get(position_key(self.sku, location))
        known = row if isinstance(row, Position) else None
        on_hand_was = sellable_was = transit_was = soft_was = firm_was = allocated_was = moved_at = 0
        touches: tuple[Touch, ...] = ()
        kept: tuple[Count, ...] = ()
        if known is None:
            buckets = list(vector)
            terms = self.policies.node(location)
        else:
            on_hand_was, sellable_was, transit_was = known.on_hand, known.sellable, known.in_transit_in
            soft_was, firm_was, allocated_was = known.reserved_soft, known.reserved_firm, known.allocated
            touches, moved_at = known.touches[: TOUCHES_KEPT - 1], known.as_of
            buckets = [
                known.sellable + vector[0],
                known.returned + vector[1],
                known.quarantine + vector[2],
                known.damaged + vector[3],
            ]
            kept = known.counts
            terms = NodeTerms(safety_stock=known.safety_stock, eligible=known.eligible, low_at=known.low_at)
        covered = False
        if kept:
            covered = any(
                covers(count, v.event_time, v.source, v.source_seq) or (count.excludes and v.marks)
                for count in kept
                for v in versions
            )
        if dropped or added or covered:
            buckets, kept = self._recount(location, buckets, kept, touch[1], versions, dropped, added)
        lotted = location in self.lots or (known is not None and known.lotted)
        if lotted and versions:
            self._tell_unnamed(location, versions)
        on_hand = sum(buckets)
        type_, key, event_time = touch
        last = Touch(
            type=type_,
            key=key,
            event_time=event_time,
            on_hand=on_hand - on_hand_was,
            sellable=buckets[0] - sellable_was,
        )
        soft, firm, allocated = self.demand.claims.get(location, NO_CLAIMS)
        after = settle_position(
            self.draft,
            self.sku,
            location,
            known,
            Held(
                buckets=buckets,
                in_transit_in=transit_was + in_transit,
                counts=kept,
                touches=(last, *touches),
                moved_at=max(event_time, moved_at),
                claims=(soft_was + soft, firm_was + firm, allocated_was + allocated),
                lotted=lotted,
            ),
            terms,
            self.clock,
        )
        self.touched.append((location, known, after))
        lowest = min(on_hand, buckets[0])
        if (lowest < 0 or on_hand_was < 0 or sellable_was < 0) and negative_stock(
            self.draft, self.sku, location, lowest, self.clock
        ):
            self.waits_for_calm = True

    def _recount(
        self,
        location: str,
        buckets: list[int],
        kept: tuple[Count, ...],
        event_key: str,
        versions: Sequence[Evidence],
        dropped: str,
        added: Count | None,
    ) -> tuple[list[int], tuple[Count, ...]]:
        """Work out anew what every count of the position should have found."""
        if added and not dropped:
            # Where the window forgot the key, another count is known under it: what that one found stays in the book.
            kept = tuple(count for count in kept if count.key != added.key)
        before = {count.key: count for count in kept}
        wanted = [count for count in kept if count.key != dropped]
        if any(count.excludes for count in (*wanted, *((added,) if added else ()))):
            picked = self._picked(location)
            wanted = [_with_picked(count, location, picked) if count.excludes else count for count in wanted]
            added = _with_picked(added, location, picked) if added and added.excludes else added
        known = self._history(location)
        were = [delta for delta in known if delta.key != event_key]
        were += [delta for version in versions[:-1] if (delta := _delta(event_key, version, location))]
        deltas = [delta for delta in known if delta.event_time >= self.oldest]
        old = [count for count in wanted if count.as_of < self.oldest]
        restated, varied = expect_of_old([count for count in kept if count.as_of < self.oldest], old, were, known)
        moved = [sum(column) for column in zip(EMPTY, *(delta.vector for delta in deltas), strict=True)]
        found = variances([count for count in kept if count.as_of >= self.oldest])
        base = [have + more - move - was for have, more, move, was in zip(buckets, varied, moved, found, strict=True)]
        recent = [count for count in wanted if count.as_of >= self.oldest] + ([added] if added else [])
        result: list[Count] = []
        for count, expected in (*restated, *expect(recent, old, deltas, base)):
            was = before.pop(count.key, None)
            same = was is not None and (was.rank, was.quantity) == (count.rank, count.quantity)
            if was is not None and same and was.expected == expected:
                result.append(was)
                continue
            after = count_variance(self.draft, self.sku, location, was, count, expected, deltas)
            change = after.variance - (was.variance if was and was.bucket == count.bucket else 0)
            if was is not None and was.bucket != count.bucket:
                self._vary(location, was, after.restatement, -was.variance, "moved")
            self._vary(location, after, after.restatement, change, "")
            result.append(after)
        for gone in before.values():
            count_variance(self.draft, self.sku, location, gone, None, gone.expected, deltas)
            self._vary(location, gone, gone.restatement + 1, -gone.variance, "dropped")
        found = variances([count for count in result if count.as_of >= self.oldest])
        return [start + move + more for start, move, more in zip(base, moved, found, strict=True)], tuple(result)

    def _picked(self, location: str) -> list[Claim]:
        """The lines of which something was picked at the location: a few of all that a SKU has."""
        word = f"picked|{location}|"
        return [
            row
            for _, row in self.draft.scan(claim_key(self.sku, ""))
            if isinstance(row, Claim) and any(said.startswith(word) for said in row.tally)
        ]

    def _vary(self, location: str, count: Count, step: int, change: int, why: str) -> None:
        if not change:
            return
        self.accounts[COUNT_VAR] = self.accounts.get(COUNT_VAR, 0) - change
        rank = f"{count.rank} {why}" if why else count.rank
        post_variance(self.draft, self.sku, location, count.bucket, count.key, rank, step, count.as_of, change)

    def _history(self, location: str) -> list[Delta]:
        """The deltas in force at the position of which something is known still, dated in the window or before it."""
        prefix = evidence_key(self.sku, "")
        return [
            delta
            for key, row in self.draft.scan(prefix)
            if isinstance(row, Evidence) and row.legs and row.last_time >= self.oldest
            if (delta := _delta(key[len(prefix) :], row, location))
        ]

    def _settle_transfers(self, moves: Moves, event_time: int) -> dict[str, int]:
        """Move transfer lines; return what each destination expects more than before."""
        inbound: dict[str, int] = {}
        for line, by_destination in moves.transfers.items():
            key = transfer_key(self.sku, line)
            row = self.draft.get(key)
            known = row if isinstance(row, Transfer) else None
            shipped_to = dict(known.shipped_to) if known else {}
            received, lost = (known.received, known.lost) if known else (0, 0)
            destination = known.destination if known else ""
            for place, (shipped, got, gone) in by_destination.items():
                shipped_to[place] = shipped_to.get(place, 0) + shipped
                received += got
                lost += gone
                destination = destination or place
            shipped_to = {place: units for place, units in shipped_to.items() if units}
            if shipped_to:
                destination = min(shipped_to, key=lambda place: (-shipped_to[place], place))
            after = Transfer(
                shipped_to=shipped_to,
                received=received,
                lost=lost,
                destination=destination,
                last_time=max(event_time, known.last_time if known else 0),
                variance=known.variance if known else None,
                restatement=known.restatement if known else 0,
                etas=_named(known.etas if known else (), moves.marks.get(key, {})),
            )
            if after.etas or (known and known.etas):
                self.demand.supply.add(key)
            if known and (was := max(0, known.open)):
                inbound[known.destination] = inbound.get(known.destination, 0) - was
            if now := max(0, after.open):
                inbound[destination] = inbound.get(destination, 0) + now
            self.draft.put(key, transfer_variance(self.draft, self.sku, line, after, self.clock))
        return {place: units for place, units in inbound.items() if units}


def _delta(key: str, version: Evidence, location: str) -> Delta | None:
    """What a version moves at a location; None where that is nothing."""
    moves = Moves()
    moves.add(version, 1)
    if (vector := moves.vectors.get(location)) is None:
        return None
    time, source, seq = version.event_time, version.source, version.source_seq
    return Delta(key=key, event_time=time, source=source, source_seq=seq, vector=vector)


def _with_picked(count: Count, location: str, picked: Sequence[Claim]) -> Count:
    """The count with the units that lay picked and had not left when it was taken."""
    away = sum(picked_and_open(row, location, count.as_of) for row in picked)
    return replace(count, quantity=count.quantity - count.away + away, away=away)


def _named(days: Sequence[str], said: Mapping[str, int]) -> tuple[str, ...]:
    """Add and remove days, as often as they are named."""
    times = _added(Counter(days), said)
    return tuple(sorted(day for day, often in times.items() for _ in range(often)))


def _unnamed(version: Evidence, location: str, sign: int) -> dict[str, int]:
    """Sellable units by day that an event brought to a position, if it named no lot."""
    units = sign * moved_at(version, location)[0]
    if not units or any(mark.line.startswith("L|") for mark in version.marks):
        return {}
    return {day_text(version.event_time // DAY): units}


def _added(tally: Mapping[str, int], said: Mapping[str, int]) -> dict[str, int]:
    """Add to a tally; what comes to nothing is left out."""
    sums = dict(tally)
    for word, units in said.items():
        sums[word] = sums.get(word, 0) + units
        if not sums[word]:
            del sums[word]
    return sums
