"""The whole benchmark: two tables, the whole load, restore, ages, decisions; one value, to be printed or read."""

import secrets
import statistics
import sys
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from bench import broker, decisions, hosts, latency, load, restoring
from bench.decisions import Decisions
from bench.hosts import FAUST, FLOOR, OURS, QUIX, Run
from streams.batch import FOLD
from streams.settings import Settings

SLICE = 200_000
"""Events of the load that the tables are measured on."""
RATES = [2_000, 5_000]
LATENCY_S = 20.0
REQUESTS, BESIDE = 1_000, 2_000
"""Reservation requests a second, and other events a second beside them."""
WORKERS = ((1, 12), (2, 12), (2, 4))
"""Workers that decide them, and partitions: a worker folds on one core, and each partition commits by itself."""
LOADS = {
    "whole": "bench-whole.", "slice": "bench-slice.", "latency": "bench-latency.", "decisions": "bench-decisions.",
}  # fmt: skip
"""Prefixes of topics: all of the load, its begin, what is sent at a pace, and requests at theirs."""


@dataclass(frozen=True, slots=True)
class Line:
    """A system in a table."""

    system: str
    events_per_s: float
    """Median of the runs."""
    ratio: float | None
    """To Quix Streams; None where that did not run."""
    events: int
    runs: list[float]


@dataclass(frozen=True, slots=True)
class Report:
    """Everything that was measured; None where it was not asked for."""

    fold: str
    """Interpreted or compiled, in all hosts."""
    work: list[Line] | None = None
    toy: list[Line] | None = None
    whole: Run | None = None
    """Our worker on the whole load."""
    restore: restoring.Restore | None = None
    profile: hosts.Seen | None = None
    ages: list[latency.Ages] | None = None
    decisions: list[Decisions] | None = None

    def encode(self) -> dict[str, Any]:
        """Return plain values, ready for JSON."""
        rate = {"rows_per_s": self.restore.rate} if self.restore else {}
        return {**asdict(self), **({"restore": {**asdict(self.restore), **rate}} if self.restore else {})}


def run(
    brokers: str,
    settings: Settings,
    sales: int,
    rounds: int,
    parts: set[str],
    quix: Path | None,
    say: Callable[[str], None],
) -> Report:
    """Run the parts that are named: tables, whole, latency, decisions. Raises: FatalError.

    `quix` is a Python that has Quix Streams: it asks for another version of the Kafka client than we do.
    """
    # No group and no changelog of an earlier benchmark, be it one that was cut off, may be taken for this one's.
    common = {"app": secrets.token_hex(4)}
    homes = {name: settings.model_copy(update={**common, "topic_prefix": prefix}) for name, prefix in LOADS.items()}
    for one in homes.values():
        broker.clear(brokers, one)
    work = toy = whole = restored = ages = seen = decided = None
    if "tables" in parts:
        work, toy, seen = _tables(brokers, homes["slice"], sales, rounds, quix, say)
    if "whole" in parts:
        say(f"publishing the whole load: {sales:,} sales and their receipts ...")
        events = load.publish(brokers, broker.fresh_ledger(brokers, homes["whole"]), sales)
        say(f"our worker folds {events:,} events ...")
        whole = hosts.run(OURS, "work", events, 0, brokers, homes["whole"])
        say("restoring what that left ...")
        restored = restoring.restore(hosts.name_of(OURS, "work", 0, homes["whole"]), brokers, homes["whole"])
        broker.clear(brokers, homes["whole"])
    if "latency" in parts:
        say(f"sending at {' and '.join(f'{rate:,}' for rate in RATES)} events/s ...")
        ages = latency.measure(RATES, LATENCY_S, brokers, homes["latency"])
        broker.clear(brokers, homes["latency"])
    if "decisions" in parts:
        say(f"asking {REQUESTS:,} times a second beside {BESIDE:,} other events/s ...")
        decided = [
            decisions.measure(REQUESTS, BESIDE, LATENCY_S, workers, brokers, _divided(homes["decisions"], partitions))
            for workers, partitions in WORKERS
        ]
        broker.clear(brokers, homes["decisions"])
    return Report(FOLD, work, toy, whole, restored, seen, ages, decided)


def _divided(settings: Settings, partitions: int) -> Settings:
    """Give topics of their own to what is divided otherwise: partitions are never taken away."""
    prefix = f"{settings.topic_prefix}{partitions}."
    return settings.model_copy(update={"partitions": partitions, "topic_prefix": prefix})


def _tables(
    brokers: str, settings: Settings, sales: int, rounds: int, quix: Path | None, say: Callable[[str], None]
) -> tuple[list[Line], list[Line], hosts.Seen]:
    events = min(SLICE, sales)
    say(f"publishing the first {events:,} events of the load ...")
    load.publish(brokers, broker.fresh_ledger(brokers, settings), sales, events)
    systems = [OURS, QUIX, FAUST]
    if quix is None:
        say("Quix Streams is left out: --quix names no Python that has it; with it: make bench")
        systems.remove(QUIX)
    found: dict[str, list[Run]] = {"work": [], "toy": []}
    for number in range(rounds):
        # One after another, and again: what else the machine does then falls on all of them.
        for fold, those in (("work", systems), ("toy", [*systems, FLOOR])):
            for system in those:
                python = str(quix) if system == QUIX else sys.executable
                one = hosts.run(system, fold, events, number, brokers, settings, python)
                say(f"round {number + 1}, {fold}: {system} {one.rate:,.0f} events/s")
                found[fold].append(one)
    say("looking at where our worker's time goes ...")
    seen = hosts.profile(events, brokers, settings)
    broker.clear(brokers, settings)
    return _lines(found["work"]), _lines(found["toy"]), seen


def _lines(runs: list[Run]) -> list[Line]:
    by_system: dict[str, list[Run]] = {}
    for one in runs:
        by_system.setdefault(one.system, []).append(one)
    medians = {system: statistics.median(one.rate for one in them) for system, them in by_system.items()}
    quix = medians.get(QUIX)
    return [
        Line(system, medians[system], medians[system] / quix if quix else None, them[0].events, [r.rate for r in them])
        for system, them in by_system.items()
    ]
