"""Where the demo runs: a broker with data of its own, two workers, and what they leave behind."""

import os
import secrets
import shutil
import signal
from collections.abc import Sequence
from dataclasses import dataclass
from http import HTTPStatus
from pathlib import Path
from urllib.request import urlopen

from confluent_kafka import Consumer, TopicPartition

from sinks.silent import SILENT
from streams import broker, kafka_compose, processes, runner, slot
from streams.kafka_local import LocalKafka
from streams.settings import Settings
from streams.topics_admin import ensure_topics, topic_name
from topologies.inventory import INVENTORY
from topologies.topics import LEDGER

HOME = "demo"
"""Folder of the demo within the home: nothing outside of it is touched."""
START_S = 60.0
ASK_S = 5.0


@dataclass(frozen=True, slots=True)
class Stage:
    """A broker that answers, with topics that nobody has written to."""

    settings: Settings
    brokers: str
    kind: broker.Kind

    def environ(self) -> dict[str, str]:
        """Return what a command needs in its environment to see this stage, and no more."""
        usual = Settings.model_fields
        named = {"ATP_HOME": os.path.relpath(self.settings.home)}
        for name in ("brokers", "topic_prefix", "app"):
            value = getattr(self.settings, name)
            if value != usual[name].default:
                named[f"ATP_{name.upper()}"] = value
        return named


def home(settings: Settings) -> Path:
    """Return where the demo keeps everything."""
    return settings.home / HOME


def build(settings: Settings) -> Stage:
    """Start a broker and create empty topics. Raises: FatalError.

    A local broker is the demo's own, and forgets what the demo before told it. On a given one, or under Docker
    Compose, topics get a prefix of this run instead: what lies there stays.
    """
    mine = settings.model_copy(update={"home": home(settings), "ticks": "off"})
    strike(mine)
    local = settings.brokers is None and not kafka_compose.available()
    if local:
        _share_jars(settings, mine)
    else:
        run = secrets.token_hex(2)
        mine = mine.model_copy(update={"topic_prefix": f"demo-{run}.", "app": f"demo-{run}"})
    found = broker.up_local(mine) if local else broker.up(mine)
    ensure_topics(found.brokers, mine)
    return Stage(mine, found.brokers, found.kind)


def strike(mine: Settings) -> None:
    """Take down what an earlier demo left in this home: workers, a local broker, folders. Raises: FatalError."""
    runner.stop(mine)
    if broker.status(mine).kind != "compose":  # Its data is everybody's; a prefix keeps us apart.
        broker.down(mine, delete_data=True)
    for name in ("state", "runners", "erp", "snapshots"):
        shutil.rmtree(mine.home / name, ignore_errors=True)


def _share_jars(settings: Settings, mine: Settings) -> None:
    """Resolve Kafka's jars where `atp up` has them too, and link them here: 43 MB once, not twice."""
    usual, here = LocalKafka.at(settings.home), LocalKafka.at(mine.home)
    if here.has_jars():
        return
    usual.resolve_jars()
    shutil.rmtree(here.libs, ignore_errors=True)
    here.libs.parent.mkdir(parents=True, exist_ok=True)
    try:
        shutil.copytree(usual.libs, here.libs, copy_function=os.link)
    except OSError:  # Not every file system has links.
        shutil.rmtree(here.libs, ignore_errors=True)
        shutil.copytree(usual.libs, here.libs)


class Crew:
    """The workers, each under its runner."""

    def __init__(self, stage: Stage, count: int) -> None:
        """Start `count` workers, and return once each holds partitions, or `START_S` has passed."""
        self._settings = stage.settings
        self.runners = runner.start(stage.settings, count, ("worker", "--ticks", "off"))
        self.ready = processes.wait_until(
            lambda: sum(_ready(one.url) for one in slot.addresses(self._settings)) >= count, START_S
        )

    def pids(self) -> list[int]:
        """Return the processes that work now."""
        return sorted(address.pid for address in slot.addresses(self._settings))

    def kill_one(self) -> int | None:
        """Kill a worker as a power cut would; return which, None if none works."""
        pids = self.pids()
        if not pids:
            return None
        os.kill(pids[0], signal.SIGKILL)
        return pids[0]

    def stop(self) -> None:
        """Let the workers hand over what they hold and end."""
        runner.stop(self._settings)


def _ready(url: str) -> bool:
    try:
        with urlopen(f"{url}/health/ready", timeout=ASK_S) as answer:  # noqa: S310 - a worker's own address
            return bool(answer.status == HTTPStatus.OK)
    except OSError:
        return False


class Lag:
    """How far the workers are behind, by the group's offsets."""

    def __init__(self, stage: Stage) -> None:
        group = stage.settings.group(INVENTORY.name)
        self._consumer = Consumer(
            {"bootstrap.servers": stage.brokers, "group.id": group, "log_level": 0}, logger=SILENT
        )
        name = topic_name(stage.settings, LEDGER)
        self._places: Sequence[TopicPartition] = [TopicPartition(name, p) for p in range(stage.settings.partitions)]

    def records(self) -> int:
        """Return how many records of the ledger are not folded."""
        folded = self._consumer.committed(list(self._places), timeout=ASK_S)
        return sum(
            max(0, self._consumer.get_watermark_offsets(place, timeout=ASK_S)[1] - max(0, place.offset))
            for place in folded
        )

    def close(self) -> None:
        self._consumer.close()
