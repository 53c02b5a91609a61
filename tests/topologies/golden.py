"""The golden vectors: how to read them, and how to compare with them."""

import json
import random
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from pathlib import Path
from typing import Any

from atp.effects import AvailabilityChanged, DatedQuantity, RiskChanged, VarianceChanged
from atp.events import MINUTE, PolicyChanged, TimeTicked
from avro_schemas.public_json import parse_line

Json = dict[str, Any]
FILE = Path(__file__).resolve().parent.parent / "scenarios" / "golden.jsonl"
ZEROS = ("on_hand", "sellable", "returned", "quarantine", "damaged", "in_transit_in", "safety_stock", "atp")
COPIES_MAX = 3


@dataclass(frozen=True)
class Vector:
    """A scenario that a planner can check by hand."""

    name: str
    part: str
    order: str
    events: list[Json]
    expect: dict[str, list[Json]]

    def end(self) -> int | None:
        """When the tick that ends it comes; None where the events hold ticks."""
        events = [event for line in self.events for event in parse_line(line)]
        if any(isinstance(event, TimeTicked) for event in events):
            return None
        return max(e.event_time for e in events if not isinstance(e, PolicyChanged)) + 10 * MINUTE

    def shuffled(self, seed: int) -> list[Json]:
        """The same events in another order, each up to three times, resends under other transport ids."""
        chance = random.Random(f"{self.name} {seed}")
        copies = []
        for event in self.events:
            copies += [
                {**event, "event_id": f"copy-{n}", "trace_id": f"trace-{n}"}
                for n in range(chance.randint(1, COPIES_MAX))
            ]
        chance.shuffle(copies)
        return copies

    def renamed(self, sku: str, seed: int | None = None) -> "Vector":
        """The same of another SKU, shuffled where a seed is given: many vectors then fit into one ledger."""
        events = self.events if seed is None else self.shuffled(seed)
        text = json.dumps([events, self.expect]).replace('"sku": "A"', json.dumps({"sku": sku})[1:-1])
        other_events, other_expect = json.loads(text)
        return Vector(self.name, self.part, self.order, other_events, other_expect)


@dataclass
class Answers:
    """What a pipeline says at the end of a scenario: dicts with the fields of the vectors."""

    positions: list[Json]
    availability: list[Json]
    variances: list[Json]
    risks: list[Json] | None = None
    """None where the rig cannot tell."""

    def of(self, sku: str) -> "Answers":
        """What is said of one SKU."""
        risks = None if self.risks is None else _of(sku, self.risks)
        return Answers(_of(sku, self.positions), _of(sku, self.availability), _of(sku, self.variances), risks)


def _of(sku: str, some: list[Json]) -> list[Json]:
    return [one for one in some if one["sku"] == sku]


def answers(positions: list[Json], effects: Iterable[object]) -> Answers:
    """Put what was published, and what is held, into the words of the vectors."""
    shown: dict[str, AvailabilityChanged] = {}
    variances: dict[str, VarianceChanged] = {}
    risks: dict[str, RiskChanged] = {}
    for effect in effects:
        match effect:
            case AvailabilityChanged(channel=channel, key=key) if channel:
                shown[key] = effect
            case VarianceChanged(id=id_):
                variances[id_] = effect
            case RiskChanged(id=id_):
                risks[id_] = effect
    return Answers(
        positions=positions,
        availability=[
            {"sku": a.sku, "channel": a.channel, "atp": a.atp, "horizon": by_day(a.horizon)} for a in shown.values()
        ],
        variances=[
            {
                "kind": v.kind,
                "sku": v.sku,
                **({"location": v.location, "document": v.document} if v.kind == "COUNT" else {"transfer": v.transfer}),
                "expected": v.expected,
                "observed": v.observed,
                "diff": v.diff,
            }
            for v in variances.values()
            if v.status == "open"
        ],
        risks=[
            {
                "kind": r.kind,
                "sku": r.sku,
                "location" if r.kind == "negative_stock" else "channel": r.scope,
                "quantity": r.quantity,
            }
            for r in risks.values()
            if r.transition != "closed"
        ],
    )


DAYS_SHOWN = 7


def by_day(horizon: Sequence[DatedQuantity]) -> list[int]:
    """What may be promised for each of the first days: a figure holds until the next one."""
    if not horizon:
        return []
    first = date.fromisoformat(horizon[0].date)
    days = [(first + timedelta(days=n)).isoformat() for n in range(DAYS_SHOWN)]
    return [max((one for one in horizon if one.date <= day), key=lambda one: one.date).quantity for day in days]


def vectors(part: str) -> list[Vector]:
    lines = [json.loads(line) for line in FILE.read_text().splitlines()]
    return [Vector(v["name"], v["part"], v["order"], v["events"], v["expect"]) for v in lines if v["part"] == part]


def differences(expect: dict[str, list[Json]], answers: Answers) -> list[str]:
    """All that is not as it should be, in words."""
    found: list[str] = []
    positions = {(p["sku"], p["location"]): p for p in answers.positions}
    for wanted in expect["positions"]:
        position = positions.pop((wanted["sku"], wanted["location"]), {})
        found += [f"{wanted['sku']}@{wanted['location']} {d}" for d in _fields(wanted, position)]
    for (sku, location), rest in positions.items():
        found += [f"{sku}@{location} {name} is {rest[name]}, not 0" for name in ZEROS if rest[name]]
    shown = {(a["sku"], a["channel"]): a for a in answers.availability}
    for wanted in expect["availability"]:
        answer = shown.get((wanted["sku"], wanted["channel"]), {})
        found += [f"{wanted['channel']} of {wanted['sku']} {d}" for d in _fields(wanted, answer)]
    found += _same(expect["variances"], answers.variances, ("kind", "sku", "document", "transfer"))
    if answers.risks is not None:
        found += _same(expect["risks"], answers.risks, ("kind", "sku", "location", "channel"))
    return found


def _same(wanted: list[Json], got: list[Json], key: tuple[str, ...]) -> list[str]:
    found: list[str] = []
    by_key = {tuple(one.get(k) or "" for k in key): one for one in got}
    if len(by_key) != len(got):
        found.append(f"some are there twice: {got}")
    for one in wanted:
        name = tuple(one.get(k) or "" for k in key)
        found += [f"{name} {d}" for d in _fields(one, by_key.pop(name, {}))]
    return found + [f"unexpected: {rest}" for rest in by_key.values()]


def _fields(wanted: Json, got: Json) -> list[str]:
    return [
        f"{name} is {got.get(name, 'missing')}, not {value}" for name, value in wanted.items() if got.get(name) != value
    ]
