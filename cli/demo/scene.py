"""What the outputs have said so far: the demo knows nothing that a subscriber could not know."""

import time
from collections import Counter, deque
from dataclasses import dataclass, field

from atp.effects import AvailabilityChanged, DeadLetter, Effect, ErpLine, RequestDecided, RiskChanged, VarianceChanged
from sinks.channel import AvailabilityView

AGES_S = 5.0
"""The ages of the last seconds are those shown live."""
TRACED = 10
"""One event in so many is timed."""
TRACES_MAX = 50_000
NO_RISK = 1e9
"""Minutes left of a SKU without an open risk."""
RECENT = 6
"""Lines of news that are remembered."""


def percentile(values: list[float], share: float) -> float:
    """Return the value below which `share` of the values lie; 0.0 of none."""
    return sorted(values)[min(len(values) - 1, int(len(values) * share))] if values else 0.0


@dataclass(slots=True)
class Age:
    """How long an event's answer took: from handing the event over to reading the answer."""

    read_at: float
    """`time.monotonic()`."""
    seconds: float


@dataclass(slots=True)
class Scene:
    """Fold of the outputs, for the screen and the summary."""

    view: AvailabilityView = field(default_factory=AvailabilityView)
    channels: set[str] = field(default_factory=set)
    answers: int = 0
    """Records of `availability`."""
    risks: Counter[tuple[str, str]] = field(default_factory=Counter)
    """(kind, transition) -> how often."""
    highs: set[str] = field(default_factory=set)
    """Risks that were HIGH or CRITICAL at some time."""
    open: dict[str, RiskChanged] = field(default_factory=dict)
    oversold: set[tuple[str, str]] = field(default_factory=set)
    """(sku, location) below zero at some time."""
    news: deque[RiskChanged | VarianceChanged] = field(default_factory=lambda: deque(maxlen=RECENT))
    high_news: deque[RiskChanged] = field(default_factory=lambda: deque(maxlen=RECENT))
    """HIGH risks as they open and close, for whoever takes them off."""
    variances: dict[str, VarianceChanged] = field(default_factory=dict)
    answered: dict[str, RequestDecided] = field(default_factory=dict)
    """Answers to requests, by request id."""
    contradicted: set[str] = field(default_factory=set)
    """Requests that got two answers that differ."""
    expected: set[tuple[str, str]] = field(default_factory=set)
    """(sku, day) for which something could be promised while nothing was there."""
    dead: Counter[str] = field(default_factory=Counter)
    erp: Counter[str] = field(default_factory=Counter)
    """Units by document type."""
    lines: int = 0
    clock: int = 0
    """Greatest tick that an answer has heard."""
    ages: deque[Age] = field(default_factory=deque)
    last_answer: dict[int, float] = field(default_factory=dict)
    """When each partition last answered, `time.monotonic()`."""
    sent: dict[str, float] = field(default_factory=dict)
    """Business keys of timed events -> when they were handed over."""

    def trace(self, key: str) -> None:
        """Time the event of this key."""
        if len(self.sent) < TRACES_MAX:
            self.sent[key] = time.monotonic()

    def take(self, effect: Effect | DeadLetter, partition: int) -> None:
        """Take in one record of an output."""
        match effect:
            case AvailabilityChanged():
                self._answer(effect, partition)
            case RequestDecided():
                if self.answered.setdefault(effect.request_id, effect) != effect:
                    self.contradicted.add(effect.request_id)
            case RiskChanged():
                self._risk(effect)
            case VarianceChanged():
                self.variances[effect.id] = effect
                if effect.diff or effect.restatement:
                    self.news.append(effect)
            case ErpLine():
                self.lines += 1
                self.erp[effect.document_type] += effect.quantity
            case DeadLetter():
                self.dead[effect.cause] += 1

    def recent(self) -> list[float]:
        """Return the ages of the last seconds."""
        since = time.monotonic() - AGES_S
        found = []
        for age in reversed(self.ages):
            if age.read_at < since:
                break
            found.append(age.seconds)
        return found

    def tightest(self, channel: str, most: int) -> list[str]:
        """Return the SKUs nearest to nothing: those at risk by the time they have left, then those with least left."""
        minutes: dict[str, float] = {}
        for risk in self.open.values():
            left = float(risk.evidence.get("minutes_left") or 0.0)
            minutes[risk.sku] = min(minutes.get(risk.sku, left), left)
        units = {answer.sku: answer.atp for answer in self.view if answer.channel == channel}
        return sorted(units, key=lambda sku: (minutes.get(sku, NO_RISK), units[sku], sku))[:most]

    def _answer(self, answer: AvailabilityChanged, partition: int) -> None:
        now = time.monotonic()
        self.answers += 1
        self.last_answer[partition] = now
        if answer.next_available is not None:
            self.expected.add((answer.sku, answer.next_available.date))
        if answer.channel:
            self.view.apply(answer)
            self.channels.add(answer.channel)
        self.clock = max(self.clock, answer.computed_at or 0)
        if (sent := self.sent.pop(answer.cause.key, None)) is not None:
            self.ages.append(Age(now, now - sent))

    def _risk(self, risk: RiskChanged) -> None:
        self.risks[risk.kind, risk.transition] += 1
        if risk.severity != "MEDIUM":
            self.highs.add(risk.id)
        if risk.kind == "negative_stock":
            self.oversold.add((risk.sku, risk.scope))
        if risk.transition == "closed":
            self.open.pop(risk.id, None)
        else:
            self.open[risk.id] = risk
        if risk.transition in ("opened", "closed", "escalated"):
            self.news.append(risk)
            if risk.severity != "MEDIUM":
                self.high_news.append(risk)
