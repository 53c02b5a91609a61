"""Answers before and after: what has to be said because an answer changed.

A version counts the events that changed the answer, whether or not a coalesced record was published for each,
so it does not depend on where batches were cut. Source: docs/domain.md section 10.
"""

from collections.abc import Sequence

from atp.availability import atp_raw, capped, channel_raw, channel_status, next_shown, status, terms_of, withheld
from atp.book import ChannelState, ChannelTerms, Count, Lots, Position, Touch, lots_key, position_key
from atp.claims import day_text, today_of
from atp.draft import Draft
from atp.effects import AvailabilityChanged, ChannelFigures, DatedQuantity, NodeFigures
from atp.events import immutable
from atp.lots import expired_of
from atp.policy import DEFAULT_TERMS, NodeTerms


@immutable
class Held:
    """What a position holds after an event, before it is answered for."""

    buckets: Sequence[int]
    """Units in the order of BUCKETS."""
    in_transit_in: int
    counts: tuple[Count, ...]
    touches: tuple[Touch, ...]
    moved_at: int
    claims: Sequence[int]
    """Units of claims that are due: reserved_soft, reserved_firm, allocated."""
    lotted: bool = False
    """Whether a Lots row may say what lots lie there."""


@immutable
class Trust:
    """How far a position is trusted."""

    confidence: int = 100
    reasons: tuple[str, ...] = ()
    haircut: int = 0
    """Percent that is held back."""


VERIFYING = frozenset(("CountRecorded", "GoodsReceived"))
"""Events at which somebody saw what is there."""


UNDOUBTED = Trust()
WHOLLY = UNDOUBTED.confidence


def held(position: Position) -> Held:
    """What a position holds now."""
    return Held(
        buckets=(position.sellable, position.returned, position.quarantine, position.damaged),
        in_transit_in=position.in_transit_in,
        counts=position.counts,
        touches=position.touches,
        moved_at=position.as_of,
        claims=(position.reserved_soft, position.reserved_firm, position.allocated),
        lotted=position.lotted,
    )


def settle_position(
    draft: Draft,
    sku: str,
    location: str,
    before: Position | None,
    has: Held,
    terms: NodeTerms,
    clock: int,
    trust: Trust | None = None,
) -> Position:
    """Write a position and its node's answer; return it. It is trusted as before where `trust` is not named."""
    sellable, returned, quarantine, damaged = has.buckets
    soft, firm, allocated = has.claims
    owed = min(0, returned) + min(0, quarantine) + min(0, damaged)
    lotted, expired = False, 0
    if has.lotted and isinstance(row := draft.get(lots_key(sku, location)), Lots):
        lotted, expired = True, expired_of(row, sellable + owed, today_of(draft.tick))
    raw = sellable + owed - expired - soft - firm - allocated - terms.safety_stock
    atp = max(0, raw) if terms.eligible else 0
    verified_at = _verified(before, has)
    if trust is None:
        # Who has just counted or received knows what is there, whatever was doubted before.
        if before is None or before.confidence == WHOLLY or verified_at > before.verified_at:
            trust = UNDOUBTED
        else:
            trust = Trust(confidence=before.confidence, reasons=before.reasons, haircut=before.haircut)
    cut = withheld(atp, trust.haircut) if trust.haircut else 0
    atp -= cut
    state = status(atp, terms.low_at)
    if before is None:
        version, previous, changed = 1, None, True
    else:
        previous = before.atp
        changed = (
            atp != previous
            or raw != atp_raw(before)
            or state != status(previous, before.low_at)
            or (trust.confidence, trust.reasons) != (before.confidence, before.reasons)
        )
        version = before.version + changed
    after = Position(
        sellable=sellable,
        returned=returned,
        quarantine=quarantine,
        damaged=damaged,
        in_transit_in=has.in_transit_in,
        safety_stock=terms.safety_stock,
        eligible=terms.eligible,
        low_at=terms.low_at,
        counts=has.counts,
        touches=has.touches,
        atp=atp,
        version=version,
        as_of=has.moved_at,
        reserved_soft=soft,
        reserved_firm=firm,
        allocated=allocated,
        verified_at=verified_at,
        confidence=trust.confidence,
        reasons=trust.reasons,
        haircut=trust.haircut,
        lotted=lotted,
        expired=expired,
    )
    draft.put(position_key(sku, location), after)
    if changed:
        draft.effects.append(
            AvailabilityChanged(
                key=f"node|{sku}|{location}",
                sku=sku,
                channel="",
                location=location,
                atp=atp,
                atp_raw=raw,
                previous_atp=previous,
                status=state,
                epoch=draft.epoch,
                version=version,
                as_of=clock,
                computed_at=draft.tick,
                cause=draft.cause,
                node=NodeFigures(
                    sellable=sellable,
                    owed=-owed,
                    claims=soft + firm + allocated,
                    safety_stock=terms.safety_stock,
                    eligible=terms.eligible,
                    haircut=cut,
                    expired=expired,
                ),
                confidence=trust.confidence,
                reasons=trust.reasons,
            )
        )
    return after


def _verified(before: Position | None, has: Held) -> int:
    """When stock was last seen, the event just folded included: its touch is the first."""
    known = before.verified_at if before is not None else 0
    last = has.touches[0] if has.touches else None
    return max(known, last.event_time) if last is not None and last.type in VERIFYING else known


@immutable
class Drawn:
    """What a channel may draw on, and when that changes."""

    pool: int
    ring: int = 0
    horizon: tuple[tuple[int, int], ...] = ()
    """(day, units) where the dated figure changes, today first."""


def settle_channel(
    draft: Draft,
    sku: str,
    before: ChannelState,
    terms: ChannelTerms | None,
    drawn: Drawn,
    clock: int,
    orders_seen: int,
) -> ChannelState:
    """Answer for a channel whose pool or terms may have changed; return its state with the new answer.

    `before` has version 0 where the channel has never been answered for.
    """
    channel, version, previous = before.channel, before.version, before.atp
    named = terms or DEFAULT_TERMS
    if terms is None:  # As most channels are: what the defaults below come to.
        raw = drawn.pool + drawn.ring
        atp = max(0, raw)
        state = "IN_STOCK" if atp else "OUT"
    else:
        raw = channel_raw(drawn.pool, named, drawn.ring)
        atp = capped(raw, named)
        state = channel_status(atp, named, drawn.horizon)
    same = (
        version > 0
        and atp == previous
        and drawn.horizon == before.horizon
        and state == channel_status(previous, terms_of(before), before.horizon)
        and named.telling == terms_of(before).telling
        and (
            atp > 0
            or not drawn.horizon
            or next_shown(atp, named, drawn.horizon) == next_shown(atp, terms_of(before), drawn.horizon)
        )
    )
    after = ChannelState(
        channel=channel,
        terms=terms,
        pool=drawn.pool,
        atp=atp,
        version=version if same else version + 1,
        ring=drawn.ring,
        orders_seen=orders_seen,
        horizon=drawn.horizon,
    )
    if same:
        return after
    dates: tuple[DatedQuantity, ...] = ()
    following: DatedQuantity | None = None
    if drawn.horizon:
        dates = tuple(DatedQuantity(date=day_text(day), quantity=max(0, units)) for day, units in drawn.horizon)
        if (first := next_shown(atp, named, drawn.horizon)) is not None:
            following = DatedQuantity(date=day_text(first[0]), quantity=first[1])
    draft.effects.append(
        AvailabilityChanged(
            key=f"{channel}|{sku}",
            sku=sku,
            channel=channel,
            location="",
            atp=atp,
            atp_raw=raw,
            previous_atp=previous if version else None,
            status=state,
            epoch=draft.epoch,
            version=version + 1,
            as_of=clock,
            computed_at=draft.tick,
            cause=draft.cause,
            figures=ChannelFigures(
                ring=drawn.ring,
                pool=drawn.pool,
                share_percent=named.share_percent,
                buffer=named.buffer,
                cap=named.cap,
                min_life_days=named.min_life_days,
                buffer_rate=named.rate,
            ),
            next_available=following,
            horizon=dates,
            orders_seen_through=orders_seen or None,
        )
    )
    return after
