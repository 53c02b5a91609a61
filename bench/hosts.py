"""The hosts that are compared, each a single process beside the broker, and what runs one of them."""

import json
import os
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

from atp.errors import FatalError
from bench import broker, measure
from bench.job import Job
from streams.settings import Settings
from topologies import topics

PATIENCE_S = 300.0
"""The slowest run takes a minute; one that takes five hangs."""
LOG_TAIL = 2_000

OURS, QUIX, FAUST, FLOOR = "our worker", "Quix Streams, exactly-once", "plain Faust agent", "floor: consume and decode"
MODULES = {OURS: "bench.worker_host", QUIX: "bench.quix_host", FAUST: "bench.faust_host", FLOOR: "bench.floor"}
SHARE = {FAUST: 10}
"""A host this many times slower than the others gets that part of the load: its rate is the same, its run shorter."""


@dataclass(frozen=True, slots=True)
class Run:
    """One run of a host."""

    system: str
    events: int
    rate: float
    """Events a second, after the warm-up."""


def run(
    system: str, fold: str, events: int, number: int, brokers: str, settings: Settings, python: str = sys.executable
) -> Run:
    """Let a host fold the load under the settings' prefix, from nothing. Raises: FatalError.

    `python` is of the environment that has what the host needs.
    """
    broker.fresh_outputs(brokers, settings)
    events //= SHARE.get(system, 1)
    name = name_of(system, fold, number, settings)
    folder = settings.home.absolute() / name
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    job = Job(fold, events, brokers, settings.topic_prefix, name, str(folder))
    command = [python, "-m", MODULES[system], job.encode()]
    if system == OURS and fold == "work":
        command = [*worker_command(), "--until-idle", "1"]
    output = execute(command, environment(settings, brokers, name, folder), folder)
    if system == FLOOR:
        rate = float(json.loads(output)["rate"])
    else:
        told = topics.ERP_LINES if fold == "work" else topics.AVAILABILITY
        rate = measure.rate(brokers, settings.topic_prefix + told.name, settings.partitions, events)
    shutil.rmtree(folder)
    return Run(system, events, rate)


@dataclass(frozen=True, slots=True)
class Seen:
    """A worker's time, looked at from outside: see profile.py."""

    shares: dict[str, float]
    """Of the time that its threads were busy, by step."""
    cpu_s: dict[str, float]
    garbage_s: float


def profile(events: int, brokers: str, settings: Settings) -> Seen:
    """Let our worker fold the load and look at what it does. Raises: FatalError."""
    broker.fresh_outputs(brokers, settings)
    name = f"{settings.topic_prefix}profile-{settings.app}"
    folder = settings.home.absolute() / name
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    job = Job("work", events, brokers, settings.topic_prefix, name, str(folder))
    command = [sys.executable, "-m", "bench.profile", job.encode()]
    seen = Seen(**json.loads(execute(command, environment(settings, brokers, name, folder), folder)))
    shutil.rmtree(folder)
    return seen


def name_of(system: str, fold: str, number: int, settings: Settings) -> str:
    """Name a run: its group, its transactional ids, its folder. The prefix tells whose topics they are."""
    return f"{settings.topic_prefix}{MODULES[system].rpartition('.')[2]}-{fold}-{number}-{settings.app}"


def worker_command() -> list[str]:
    """Return the command of a real worker that folds the ledger alone."""
    return [sys.executable, "-m", "cli", "worker", "--topology", "inventory"]


def environment(settings: Settings, brokers: str, app: str, home: Path) -> dict[str, str]:
    """Return the environment of a host: the settings, with ticks off and everything of its own."""
    mine = settings.model_copy(update={"brokers": brokers, "app": app, "home": home, "ticks": "off"})
    return {**os.environ, **mine.environ(), "LOGLEVEL": "INFO"}


def execute(command: list[str], env: dict[str, str], folder: Path) -> str:
    """Run a host to its end; return what it wrote to stdout. Raises: FatalError."""
    log = folder / "host.log"
    with log.open("wb") as errors:
        try:
            done = subprocess.run(
                command, env=env, stdout=subprocess.PIPE, stderr=errors, timeout=PATIENCE_S, check=False
            )
        except subprocess.TimeoutExpired as error:
            raise FatalError(f"{command[:4]} did not end in {PATIENCE_S:.0f} s. Its log: {log}") from error
    if done.returncode:
        raise FatalError(f"{command[:4]} ended with {done.returncode}: {log.read_text()[-LOG_TAIL:]}")
    return done.stdout.decode()
