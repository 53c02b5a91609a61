"""The broker in use: whichever can be had, in this order, and where it is written down.

1. The brokers that the settings name (`ATP_BROKERS`): nothing is started or stopped.
2. Docker Compose, where a Docker engine answers.
3. Apache Kafka from its own jars, by local Java.

`<home>/broker.json` says which of 2 and 3 `up` started.
"""

import fcntl
import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Literal

from confluent_kafka import KafkaException
from confluent_kafka.admin import AdminClient

from atp.errors import FatalError
from sinks.silent import SILENT
from streams import kafka_compose, kafka_local, processes
from streams.cluster import listens
from streams.kafka_local import LocalKafka
from streams.settings import Settings

Kind = Literal["given", "compose", "local"]

ANSWER_S = 5.0
"""A broker on this machine lists its topics in milliseconds; one that starts or is far gets seconds."""


@dataclass(frozen=True, slots=True)
class Broker:
    """A broker as `broker.json` records it."""

    brokers: str
    kind: Kind
    pid: int | None = None
    """The process of a local broker."""


@dataclass(frozen=True, slots=True)
class Status:
    """What `atp status` tells."""

    brokers: str | None
    kind: Kind | None
    running: bool
    """Whether it answers now."""
    pid: int | None
    home: str


def resolve_brokers(settings: Settings) -> str:
    """Return the bootstrap servers of a Kafka that is there. Raises: FatalError where nothing listens at them."""
    brokers = named_brokers(settings)
    if not listens(brokers):
        correct = "Correct ATP_BROKERS, or unset it and start one with" if settings.brokers else "Start one with"
        raise FatalError(f"no broker answers at {brokers}. {correct}: atp up")
    return brokers


def named_brokers(settings: Settings) -> str:
    """Return Kafka's bootstrap servers: the settings', else those that `up` wrote down. Raises: FatalError."""
    if settings.brokers:
        return settings.brokers
    recorded = _read(settings)
    if recorded is None:
        raise FatalError(
            f"no broker is set (ATP_BROKERS) and none was started in {settings.home}. Start one with: atp up"
        )
    return recorded.brokers


def up(settings: Settings) -> Broker:
    """Start a broker unless one is there, and return it once it answers. Raises: FatalError."""
    if settings.brokers:
        if not answers(settings.brokers):
            raise FatalError(
                f"the brokers {settings.brokers} (ATP_BROKERS) do not answer. "
                "Correct the address, or unset it and start one with: atp up"
            )
        return Broker(settings.brokers, "given")
    with _lock(settings):
        recorded = _read(settings)
        if recorded is not None and _running(settings, recorded) and answers(recorded.brokers):
            return recorded
        if (recorded is None or recorded.kind == "compose") and kafka_compose.available():
            return _up_compose(settings)
        return _up_local(settings, recorded)


def up_local(settings: Settings, *, libs: Path | None = None, port: int | None = None) -> Broker:
    """Start a local broker, whatever else could be had, and return it once it answers.

    `libs` names a folder of jars to share with other homes; `port` is tried first. Raises: FatalError.
    """
    with _lock(settings):
        return _up_local(settings, _read(settings), libs, port)


def down(settings: Settings, *, delete_data: bool = False) -> Broker | None:
    """Stop the broker that `up` started and return it; None if there was none.

    With `delete_data` its topics go too. Given brokers are not ours to stop.
    """
    with _lock(settings):
        recorded = _read(settings)
        local = LocalKafka.at(settings.home)
        if recorded is not None and recorded.kind == "compose":
            kafka_compose.stop(delete_data=delete_data)
        elif recorded is not None and recorded.pid is not None:
            local.stop(recorded.pid)
        if delete_data:
            local.delete()
        _record(settings).unlink(missing_ok=True)
        return recorded


def status(settings: Settings) -> Status:
    """Say which broker is in use and whether it answers."""
    home = str(settings.home.absolute())
    found = Broker(settings.brokers, "given") if settings.brokers else _read(settings)
    if found is None:
        return Status(None, None, running=False, pid=None, home=home)
    running = _running(settings, found) and answers(found.brokers)
    return Status(found.brokers, found.kind, running, found.pid, home)


def missing(settings: Settings, *, libs: Path | None = None) -> str | None:
    """Say in one line why `up` could not start a broker here; None if it could."""
    if settings.brokers or kafka_compose.available():
        return None
    lacking = LocalKafka.at(settings.home, libs).missing()
    return None if lacking is None else f"no Docker engine answers, and {lacking}"


def answers(brokers: str, timeout_s: float | None = None) -> bool:
    """Tell whether Kafka answers at `brokers` within `timeout_s` seconds, `ANSWER_S` unless given."""
    return _cluster_of(brokers, timeout_s or ANSWER_S) is not None


def _cluster_of(brokers: str, timeout_s: float) -> str | None:
    """The id of the cluster that answers at `brokers` in time; None where none does."""
    client = AdminClient({"bootstrap.servers": brokers, "log_level": 0}, logger=SILENT)
    try:
        found = client.list_topics(timeout=timeout_s)
    except KafkaException:
        return None
    return found.cluster_id if found.brokers else None


def _up_compose(settings: Settings) -> Broker:
    kafka_compose.start()
    started = Broker(kafka_compose.BROKERS, "compose")
    _write(settings, started)
    return started


def _up_local(settings: Settings, recorded: Broker | None, libs: Path | None = None, port: int | None = None) -> Broker:
    local = LocalKafka.at(settings.home, libs)
    lacking = local.missing()
    if lacking is not None:
        raise FatalError(
            f"no broker can be started here: no Docker engine answers, and {lacking}. "
            "Install it, or name brokers in ATP_BROKERS, then: atp up"
        )
    if recorded is not None and recorded.pid is not None:
        local.stop(recorded.pid)  # It runs and does not answer.
    # Workers of a broker that died go on looking for it at its old port.
    wanted = int(recorded.brokers.rpartition(":")[2]) if recorded is not None else port
    started = _start(settings, local, wanted)
    if started is None and local.lost_its_port():
        started = _start(settings, local, wanted)
    if started is None:
        _record(settings).unlink(missing_ok=True)
        raise FatalError(
            f"Kafka did not start; its last words in {local.log}:\n{local.last_words()}\n"
            "Free what it lacks, or start over: atp down --delete-data"
        )
    return started


def _start(settings: Settings, local: LocalKafka, port: int | None) -> Broker | None:
    """Start a broker and wait until it answers, and nobody in its place; None where it does not come to that."""
    pid, port = local.start(port)
    started = Broker(f"127.0.0.1:{port}", "local", pid)
    _write(settings, started)
    if processes.wait_until(
        lambda: not local.running(pid) or _cluster_of(started.brokers, 1.0) == local.cluster, kafka_local.START_S
    ) and local.running(pid):
        return started
    local.stop(pid)
    return None


def _running(settings: Settings, broker: Broker) -> bool:
    match broker.kind:
        case "given":
            return True
        case "compose":
            return kafka_compose.running()
        case "local":
            return broker.pid is not None and LocalKafka.at(settings.home).running(broker.pid)


def _record(settings: Settings) -> Path:
    return settings.home / "broker.json"


def _read(settings: Settings) -> Broker | None:
    try:
        return Broker(**json.loads(_record(settings).read_text()))
    except FileNotFoundError:
        return None
    except OSError as error:
        raise FatalError(f"{_record(settings)} cannot be read ({error}). Set ATP_HOME to a folder of yours") from error
    except (ValueError, TypeError) as error:
        raise FatalError(f"{_record(settings)} is not readable ({error}). Delete it, then: atp up") from error


def _write(settings: Settings, broker: Broker) -> None:
    fresh = _record(settings).with_suffix(".new")
    fresh.write_text(json.dumps(asdict(broker)) + "\n")
    fresh.replace(_record(settings))


@contextmanager
def _lock(settings: Settings) -> Iterator[None]:
    """Hold the home against a second `up` or `down` at the same time."""
    try:
        settings.home.mkdir(parents=True, exist_ok=True)
        lock = (settings.home / "broker.lock").open("w")
    except OSError as error:
        raise FatalError(f"cannot write to {settings.home} ({error}). Set ATP_HOME to a folder of yours") from error
    with lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield
