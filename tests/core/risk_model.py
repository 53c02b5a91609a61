"""When goods run out too fast: the rule for `imminent` restated from docs/domain.md section 7, and lists to try it on.

With hysteresis the outcome between the opening and the calm rule depends on what was before; so this judges only
what must be open (the opening rule holds at the last tick) and what must be closed (calm for all ticks).
"""

import math
from dataclasses import dataclass

from hypothesis import strategies as st

from atp.book import Risk
from atp.events import (
    DAY,
    HOUR,
    Document,
    Event,
    GoodsReceived,
    PickupConfirmed,
    PolicyChanged,
    PolicyFields,
    SaleRecorded,
    ShipmentConfirmed,
)
from tests.core import strategies
from tests.core.model import Judged, answer, judge, moves, number, parameter
from tests.core.rig import FRAME, Folded
from tests.core.strategies import NARROW

TAKING = (SaleRecorded, ShipmentConfirmed, PickupConfirmed)
HOURS = 24


@st.composite
def busy(draw: st.DrawFn) -> list[Event]:
    """Sales of a day against a stock that may just suffice, voids and ticks among them, channels with a lag."""
    events: list[Event] = []
    lines = []
    for n in range(draw(st.integers(1, 6))):
        line = draw(strategies.facts(NARROW, Document("paper", f"D-{n}", 1), draw(st.sampled_from(TAKING))))
        line.quantity = draw(st.integers(1, 120))  # type: ignore[misc]
        lines.append(line)
    events += lines
    for place in NARROW.places:
        sold = sum(line.quantity for line in lines if line.location == place)
        left = draw(st.sampled_from((0, 1, 3, 5, 8, 13, 21, 34, 55)))
        if sold + left:
            events.append(
                GoodsReceived(
                    source="wms:1",
                    document=Document("grn", place, 1),
                    event_time=draw(strategies.hours),
                    sku="A",
                    location=place,
                    quantity=sold + left,
                )
            )
    if draw(st.booleans()):
        events.append(draw(strategies.reversals(NARROW, draw(st.sampled_from(lines)), Document("v", "V", 1))))
    for n, channel in enumerate(("", "web")):
        if draw(st.booleans()):
            policy = PolicyFields(
                lag_s=draw(st.sampled_from((60, 600, 7200))), share_percent=draw(st.sampled_from((None, 50)))
            )
            events.append(
                PolicyChanged(
                    source="mdm",
                    document=Document("policy", f"P-{n}", 1),
                    event_time=strategies.EIGHT + draw(st.sampled_from((0, 5 * HOUR, 40 * DAY))),
                    sku="A",
                    channel=channel,
                    policy=policy,
                )
            )
    events += [strategies.tick(time) for time in draw(st.lists(strategies.hours, max_size=3))]
    return list(draw(st.permutations(events)))


@dataclass(frozen=True)
class Rule:
    """How a channel stands at a tick."""

    atp: int
    chance: float
    """That more than there is will be sold within the lag."""
    minutes_left: float
    lag_minutes: float

    @property
    def must_be_open(self) -> bool:
        soon = self.minutes_left <= max(30, self.lag_minutes)
        return self.atp > 0 and (self.chance >= 0.05 or soon)

    @property
    def is_calm(self) -> bool:
        """By the stricter of the two rules for closing."""
        return self.atp == 0 or (self.chance < 0.02 and self.minutes_left > max(45, 2 * self.lag_minutes))


def differences(folded: Folded, log: list[Event]) -> list[str]:
    """The risks that stand and must not, or the other way round; `log` ends with the last tick."""
    j, whole = judge(log, FRAME.window), answer(log, FRAME.window)
    assert j.tick is not None
    found = []
    for sku, channel in whole.availability:
        rule = _rule(
            j, sku, channel, whole.availability[sku, channel], {k[1]: p.atp for k, p in whole.positions.items()}
        )
        row = folded.rows.get(f"r|{sku}|imminent|{channel}")
        if (rule.must_be_open and not isinstance(row, Risk)) or (rule.is_calm and row is not None):
            found.append(f"{channel}: {rule}, {row}")
    return found


def _rule(j: Judged, sku: str, channel: str, atp: int, exposed: dict[str, int]) -> Rule:
    assert j.tick is not None
    first = j.tick // HOUR - HOURS
    taken = sum(
        m.quantity
        for f in j.in_force.values()
        if f is not None and f.event_time // HOUR >= first
        for m in moves(f)
        if m.target == "CUSTOMER"
    )
    rate = taken / (HOURS * 60)
    lag = number(parameter(j, "lag_s", sku=sku, location=None, channel=channel), 0) / 60
    cover = sum(exposed.values())
    mean = rate * lag
    at_most = sum(math.exp(-mean + n * math.log(mean) - math.lgamma(n + 1)) for n in range(cover + 1)) if mean else 1.0
    return Rule(atp, max(0.0, 1 - at_most), cover / rate if rate else math.inf, lag)
