"""Every scenario on the driver, on the reference model, and on the naive build that it must catch."""

import random
from collections import Counter
from dataclasses import dataclass, field
from datetime import date
from pathlib import Path

import pytest

from atp.effects import (
    AdviceChanged,
    AvailabilityChanged,
    DeadLetter,
    Effect,
    ErpLine,
    ExceptionChanged,
    RiskChanged,
    VarianceChanged,
)
from atp.events import Event, TimeTicked
from avro_schemas.public_json import parse_line
from cli.stories.scenario import Line, Scenario, scenarios
from streams.driver import TopologyDriver
from streams.pipeline_driver import PipelineDriver
from tests.core.model import BUCKETS, Answer, answer
from tests.core.naive import BUILDS, WINDOW
from tests.topologies.golden import DAYS_SHOWN, by_day

ALL = scenarios(Path(__file__).resolve().parent.parent / "scenarios")
GARBAGE = b"no event"
SHUFFLES = 6
CLAIMS = ("reserved_soft", "reserved_firm", "allocated")


def test_there_is_a_scenario_for_every_naive_build() -> None:
    assert len(ALL) >= 25
    assert {name for scenario in ALL for name in scenario.naive} == set(BUILDS)


@pytest.mark.parametrize("scenario", ALL, ids=lambda s: s.name)
def test_the_driver_does_what_it_says(scenario: Scenario) -> None:
    driver = PipelineDriver()
    for line in scenario.lines:
        verdicts = dict(driver.verdicts)
        effects = send(driver, line)
        new = [v for v, times in driver.verdicts.items() for _ in range(times - verdicts.get(v, 0))]
        for words in line.follows:
            assert followed(words, effects, new), f"{line.text}\n{new}\n" + "\n".join(map(str, effects))
    assert wrong(scenario, of_driver(driver)) == []


@pytest.mark.parametrize("scenario", [s for s in ALL if s.any_order], ids=lambda s: s.name)
def test_order_and_resends_mean_nothing_to_it(scenario: Scenario) -> None:
    last = [line for line in scenario.lines if isinstance(_event(line), TimeTicked)]
    for seed in range(SHUFFLES):
        chance = random.Random(f"{scenario.name} {seed}")
        lines = [line for line in scenario.lines if line not in last for _ in range(chance.randint(1, 3))]
        chance.shuffle(lines)
        driver = PipelineDriver(batch_size=1 + seed)
        for line in lines + last:
            send(driver, line)
        driver.flush()
        assert wrong(scenario, of_driver(driver)) == [], f"seed {seed}"


@pytest.mark.parametrize("scenario", ALL, ids=lambda s: s.name)
def test_the_model_agrees_and_the_naive_build_does_not(scenario: Scenario) -> None:
    log = [_event(line) for line in scenario.lines]
    model = answer([event for event in log if event is not None], WINDOW)
    assert wrong(scenario, of_model(model)) == []
    for name in scenario.naive:
        assert wrong(scenario, of_model(BUILDS[name](log))) != [], f"{name} gets away with it"


# What was said --------------------------------------------------------------------------------------------


def send(driver: TopologyDriver, line: Line) -> list[Effect | DeadLetter]:
    return driver.send_bytes(b"CHAIR", GARBAGE) if line.event is None else driver.send_json(line.event)


def _event(line: Line) -> Event | None:
    return None if line.event is None else parse_line(line.event)[0]


def followed(words: str, effects: list[Effect | DeadLetter], verdicts: list[str]) -> bool:
    match words.split():
        case ["nothing"]:
            return not effects
        case [("duplicate" | "superseded" | "folded") as verdict]:
            return verdict in verdicts
        case ["refused", cause]:
            return any(isinstance(e, DeadLetter) and e.cause == cause for e in effects)
        case ["availability_changed", *channel, units]:
            name = channel[0] if channel else "all"
            return [e.atp for e in effects if isinstance(e, AvailabilityChanged) and e.channel == name] == [int(units)]
        case ["risk", transition, kind, scope, units]:
            told = [(e.transition, e.kind, e.scope, e.quantity) for e in effects if isinstance(e, RiskChanged)]
            return (transition, kind, _scope(scope), int(units)) in told
        case ["variance", name, diff]:
            return any(
                isinstance(e, VarianceChanged) and name in (e.document, e.transfer) and e.diff == int(diff)
                for e in effects
            )
        case ["exception", transition, kind, scope]:
            said = [(e.transition, e.kind, e.scope) for e in effects if isinstance(e, ExceptionChanged)]
            return (transition, kind, _scope(scope)) in said
        case ["advice", status, kind, location, units]:
            advised = [(e.status, e.kind, e.location, e.quantity) for e in effects if isinstance(e, AdviceChanged)]
            return (status, kind, _scope(location), int(units)) in advised
        case ["erp", kind, units]:
            return any(isinstance(e, ErpLine) and (e.document_type, e.quantity) == (kind, int(units)) for e in effects)
        case _:
            raise ValueError(f"{words} says nothing")


def _scope(words: str) -> str:
    """Read `PO-1/1` as a line of a paper, `-` as nothing."""
    return "" if words == "-" else words.replace("/", "|")


# What is there --------------------------------------------------------------------------------------------


@dataclass
class View:
    """What is there in the end, as a driver or a model sees it."""

    positions: dict[str, dict[str, int]]
    availability: dict[tuple[str, str], int]
    variances: dict[str, tuple[int, int]]
    """By document or transfer: expected, observed."""
    risks: dict[str, int]
    """negative_stock by location."""
    erp: Counter[tuple[str, str]]
    statuses: dict[tuple[str, str], str] = field(default_factory=dict)
    """How a SKU reads through a channel."""
    horizon: dict[tuple[str, str], list[int]] = field(default_factory=dict)
    """What may be promised for each of the next days, by SKU and channel."""
    following: dict[tuple[str, str], tuple[int, int] | None] = field(default_factory=dict)
    """Where nothing is shown now: days from today, and units of the first day of which something will be."""
    opened: int | None = None
    """Risks ever opened; None where nobody counted."""
    exceptions: dict[tuple[str, str], ExceptionChanged] | None = None
    """By kind and scope; None where nobody watches for them."""
    advice: dict[tuple[str, str], int] | None = None
    """Units by kind and location; None where nobody plans."""
    days: Counter[tuple[str, str, str]] = field(default_factory=Counter)
    """Units posted by type, location and trading day."""
    exposures: dict[str, int] | None = None
    """Units by channel; None where nobody hears what channels show."""


def of_driver(driver: TopologyDriver) -> View:
    erp: Counter[tuple[str, str]] = Counter()
    days: Counter[tuple[str, str, str]] = Counter()
    for line in driver.effects:
        if isinstance(line, ErpLine):
            erp[line.document_type, line.location] += line.quantity
            days[line.document_type, line.location, line.business_date] += line.quantity
    return View(
        positions={f"{p['sku']}@{p['location']}": p for p in driver.positions()},
        availability={(a.sku, a.channel): a.atp for a in driver.availability()},
        variances={v.document or v.transfer: (v.expected, v.observed) for v in driver.variances()},
        risks={r.scope: r.quantity for r in driver.risks() if r.kind == "negative_stock"},
        erp=erp,
        statuses={(a.sku, a.channel): a.status for a in driver.availability()},
        horizon={(a.sku, a.channel): by_day(a.horizon) for a in driver.availability()},
        following={(a.sku, a.channel): following(a) for a in driver.availability()},
        exceptions={(e.kind, e.scope): e for e in driver.exceptions()},
        advice={(a.kind, a.location): a.quantity for a in driver.advice()},
        days=days,
        exposures={r.scope: r.quantity for r in driver.risks() if r.kind == "exposure"},
        opened=sum(isinstance(e, RiskChanged) and e.transition == "opened" for e in driver.effects),
    )


def of_model(model: Answer) -> View:
    positions = {}
    for (sku, location), p in model.positions.items():
        names = ("on_hand", *BUCKETS, "in_transit_in", "safety_stock", *CLAIMS, "atp_raw", "atp")
        positions[f"{sku}@{location}"] = {name: int(getattr(p, name)) for name in names}
    return View(
        positions=positions,
        availability=model.availability,
        variances={name: (expected, observed) for _, _, _, name, expected, observed in model.variances()},
        risks={location: units for (_, location), units in model.risks.items()},
        erp=Counter({(kind, location): units for (kind, _, location), units in model.erp.items()}),
        days=model.days,
        statuses={key: one.status for key, one in model.channels.items()},
        horizon={key: [max(0, units) for units in one.levels[:DAYS_SHOWN]] for key, one in model.channels.items()},
        following={key: one.next_available for key, one in model.channels.items()},
    )


def following(answer: AvailabilityChanged) -> tuple[int, int] | None:
    """The first day of which something will be shown, counted from today, and how much."""
    first = answer.next_available
    if first is None:
        return None
    today = date.fromisoformat(answer.horizon[0].date)
    return (date.fromisoformat(first.date) - today).days, first.quantity


def wrong(scenario: Scenario, view: View) -> list[str]:
    """The states of a scenario that do not hold."""
    return [state for state in scenario.states if not stands(state, view)]


def stands(state: str, view: View) -> bool:
    match state.split():
        case ["position", at, *pairs]:
            position = view.positions.get(at, {})
            wanted = dict(zip(pairs[::2], map(int, pairs[1::2]), strict=True))
            return all(position.get(name, 0) == units for name, units in wanted.items())
        case ["availability", sku, channel, units]:
            return view.availability.get((sku, channel)) == int(units)
        case ["availability", sku, channel, units, reading]:
            found = (view.availability.get((sku, channel)), view.statuses.get((sku, channel)))
            return found == (int(units), reading)
        case ["horizon", sku, channel, *units]:
            return view.horizon.get((sku, channel), [])[: len(units)] == list(map(int, units))
        case ["next", sku, channel, "never"]:
            return view.following.get((sku, channel)) is None
        case ["next", sku, channel, days, units]:
            return view.following.get((sku, channel)) == (int(days), int(units))
        case ["variance", name, "expected", expected, "observed", observed]:
            return view.variances.get(name) == (int(expected), int(observed))
        case ["no", "variance"]:
            return not view.variances
        case ["risk", "negative_stock", location, units]:
            return view.risks.get(location) == int(units)
        case ["no", "risk"]:
            return not view.risks
        case ["erp", kind, location, units]:
            return view.erp[kind, location] == int(units)
        case ["posted", kind, location, day, units]:
            return view.days[kind, location, day] == int(units)
        case ["risk", "exposure", channel, units]:
            return view.exposures is None or view.exposures.get(channel) == int(units)
        case ["no", "exposure"]:
            return not view.exposures
        case ["exception", kind, scope, severity, owner]:
            one = (view.exceptions or {}).get((kind, _scope(scope)))
            return view.exceptions is None or (one is not None and (one.severity, one.owner) == (severity, owner))
        case ["no", "exception", *kinds]:
            return not any(kind in kinds or not kinds for kind, _ in view.exceptions or {})
        case ["advice", kind, location, units]:
            return view.advice is None or view.advice.get((kind, location)) == int(units)
        case ["no", "advice"]:
            return not view.advice
        case ["opened", times]:
            return view.opened in (None, int(times))
        case _:
            raise ValueError(f"{state} says nothing")
