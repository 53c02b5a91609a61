"""Which policy holds: the most specific scope wins, then the latest effective, then the greatest key.

A scope that names more of SKU, channel and location is more specific; among equals the SKU counts most, then
the channel. A policy waits for its date. Source: docs/domain.md section 3.
"""

from collections.abc import Sequence
from dataclasses import fields
from typing import Any

from atp.book import POLICIES_KEY, ChannelTerms, Policies, PolicyEntry, Summary, summary_key
from atp.draft import Draft
from atp.effects import BufferRate
from atp.events import PolicyFields, immutable
from atp.outlook import SLIP, SupplyTerms

DEFAULT_TERMS = ChannelTerms()
PARAMETERS = tuple(one.name for one in fields(PolicyFields))


@immutable
class NodeTerms:
    """What policies say of a SKU at a location."""

    safety_stock: int = 0
    eligible: bool = True
    low_at: int = 0


class Book:
    """The policies that may concern one SKU, in force at `now`, strongest first."""

    def __init__(self, summary: Summary | None, policies: Policies | None, now: int) -> None:
        """`now` is the last tick, or the SKU's clock where there is none yet."""
        named = [(entry, True) for entry in summary.policies] if summary else []
        wide = [(entry, False) for entry in policies.entries] if policies else []
        live = [(entry, sku) for entry, sku in (*named, *wide) if entry.effective <= now]
        self.entries: list[PolicyEntry] = [
            entry for entry, sku in sorted(live, key=lambda pair: _strength(pair[0], sku=pair[1]), reverse=True)
        ]

    def node(self, location: str) -> NodeTerms:
        here = [e for e in self.entries if not e.channel and e.location in ("", location)]
        return NodeTerms(
            safety_stock=_first(here, "safety_stock", 0),
            eligible=_first(here, "eligible", default=True),
            low_at=_first(here, "low_at", 0),
        )

    def supply(self, location: str) -> SupplyTerms:
        here = [e for e in self.entries if not e.channel and e.location in ("", location)]
        return SupplyTerms(
            dock_days=_first(here, "dock_days", 0),
            max_slip_days=_first(here, "max_slip_days", SLIP),
            late_days=_first(here, "supplier_late_p90_days", 0),
            count_ordered=_first(here, "count_ordered", default=False),
        )

    def value(self, field: str, location: str, channel: str) -> Any:  # noqa: ANN401 - as of each parameter
        """Return a parameter that may name a location and a channel, None where no policy speaks."""
        here = [e for e in self.entries if e.channel in ("", channel) and e.location in ("", location)]
        return _first(here, field, None)

    def channel(self, channel: str) -> ChannelTerms | None:
        """Return the terms of a channel, None where they are the defaults; its buffer before any rate."""
        here = [e for e in self.entries if e.channel in ("", channel) and not e.location]
        locations: tuple[str, ...] | None = _first(here, "locations", None)
        placed = [e for e in self.entries if e.channel == channel and e.policy.eligible is not None]
        excluded: tuple[str, ...] = ()
        if placed:
            open_by_default = _first([e for e in placed if not e.location], "eligible", default=True)
            verdicts = {
                place: _first([e for e in placed if e.location in ("", place)], "eligible", default=True)
                for place in {e.location for e in placed if e.location}
            }
            if open_by_default:
                excluded = tuple(sorted(place for place, verdict in verdicts.items() if not verdict))
            else:
                opened = {place for place, verdict in verdicts.items() if verdict}
                locations = tuple(sorted(opened if locations is None else opened & set(locations)))
        buffer: int = _first(here, "buffer", 0)
        lag_s: int = _first(here, "lag_s", 0)
        rate = None
        if _first(here, "buffer_by_rate", default=False):
            order_lag_s = _first(here, "order_lag_s", 0)
            rate = BufferRate(least=buffer, lag_s=lag_s, order_lag_s=order_lag_s, own_per_day=0, others_per_day=0)
        terms = ChannelTerms(
            locations=locations,
            excluded=excluded,
            share_percent=_first(here, "share_percent", 100),
            buffer=buffer,
            cap=_first(here, "cap", None),
            lag_s=lag_s,
            low_at=_first(here, "low_at", 0),
            publish_units=_first(here, "publish_units", 0),
            publish_percent=_first(here, "publish_percent", 0),
            ttl_s=_first(here, "ttl_s", 0),
            min_life_days=_first(here, "min_life_days", 0),
            rate=rate,
            sells_ahead=_first(here, "sells_ahead", "never"),
        )
        return None if terms == DEFAULT_TERMS else terms


def policies_of(draft: Draft, sku: str) -> Book:
    """The policies that concern a SKU now; those of no SKU where it is empty."""
    row = draft.get(summary_key(sku)) if sku else None
    summary = row if isinstance(row, Summary) else None
    wide = draft.get(POLICIES_KEY)
    now = draft.tick if draft.tick is not None else summary.clock if summary else 0
    return Book(summary, wide if isinstance(wide, Policies) else None, now)


def declared(entries: Sequence[PolicyEntry]) -> set[str]:
    """The channels that policies declare, in force or not yet."""
    return {entry.channel for entry in entries if entry.channel}


def without_covered(entries: tuple[PolicyEntry, ...], entry: PolicyEntry, until: int) -> tuple[PolicyEntry, ...]:
    """Forget what nobody is told by any more, of the scope of `entry`.

    Of one scope the latest effective wins, field by field. So an entry all of whose fields were named by later ones
    that have been in force since `until` or before has had no say from then on. One that asks for a buffer by rate
    stays: by it the rates of its SKUs are kept.
    """
    mine = [one for one in entries if (one.location, one.channel) == (entry.location, entry.channel)]
    named: set[str] = set()
    covered = set()
    for one in sorted(mine, key=lambda one: (one.effective, one.key), reverse=True):
        if one.effective > until:
            continue
        says = {name for name in PARAMETERS if getattr(one.policy, name) is not None}
        if named and says <= named and not one.policy.buffer_by_rate:
            covered.add(one.key)
        named |= says
    return tuple(one for one in entries if one.key not in covered) if covered else entries


def _strength(entry: PolicyEntry, *, sku: bool) -> tuple[int, int, int, str]:
    named = (4 if sku else 0) + (2 if entry.channel else 0) + (1 if entry.location else 0)
    return (named.bit_count(), named, entry.effective, entry.key)


def _first(entries: Sequence[PolicyEntry], field: str, default: Any) -> Any:  # noqa: ANN401 - one rule for every field
    for entry in entries:
        if (value := getattr(entry.policy, field)) is not None:
            return value
    return default
