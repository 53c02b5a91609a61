"""Answers before and after: what has to be said because an answer changed.

A version counts the events that changed the answer, whether or not a coalesced record was published for each,
so it does not depend on where batches were cut. Source: docs/domain.md section 10.
"""

from collections.abc import Sequence

from atp.availability import atp_raw, capped, channel_raw, status, terms_of
from atp.book import ChannelState, ChannelTerms, Count, Position, Touch, position_key
from atp.draft import Draft
from atp.effects import AvailabilityChanged
from atp.policy import DEFAULT_TERMS, NodeTerms


def settle_position(
    draft: Draft,
    sku: str,
    location: str,
    before: Position | None,
    *,
    buckets: Sequence[int],
    in_transit_in: int,
    terms: NodeTerms,
    counts: tuple[Count, ...],
    touches: tuple[Touch, ...],
    moved_at: int,
    clock: int,
) -> int:
    """Write a position and its node's answer; return what it exposes more than before."""
    sellable, returned, quarantine, damaged = buckets
    raw = sellable - terms.safety_stock + min(0, returned) + min(0, quarantine) + min(0, damaged)
    atp = max(0, raw) if terms.eligible else 0
    state = status(atp, terms.low_at)
    if before is None:
        version, previous, changed = 1, None, True
    else:
        previous = before.atp
        changed = atp != previous or raw != atp_raw(before) or state != status(previous, before.low_at)
        version = before.version + changed
    draft.put(
        position_key(sku, location),
        Position(
            sellable=sellable,
            returned=returned,
            quarantine=quarantine,
            damaged=damaged,
            in_transit_in=in_transit_in,
            safety_stock=terms.safety_stock,
            eligible=terms.eligible,
            low_at=terms.low_at,
            counts=counts,
            touches=touches,
            atp=atp,
            version=version,
            as_of=moved_at,
        ),
    )
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
            )
        )
    return atp - (previous or 0)


def settle_channel(
    draft: Draft, sku: str, before: ChannelState, terms: ChannelTerms | None, pool: int, clock: int
) -> ChannelState:
    """Answer for a channel whose pool or terms may have changed; return its state with the new answer.

    `before` has version 0 where the channel has never been answered for.
    """
    channel, version, previous = before.channel, before.version, before.atp
    named = terms or DEFAULT_TERMS
    raw = channel_raw(pool, named)
    atp = capped(raw, named)
    state = status(atp, named.low_at)
    if version and atp == previous and state == status(previous, terms_of(before).low_at):
        return ChannelState(channel=channel, terms=terms, pool=pool, atp=atp, version=version)
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
        )
    )
    return ChannelState(channel=channel, terms=terms, pool=pool, atp=atp, version=version + 1)
