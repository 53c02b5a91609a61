"""The broker's life: start, find, stop, and what is said when it cannot be had."""

import json
import os
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from atp.errors import FatalError
from streams import broker, kafka_local
from streams.kafka_local import LocalKafka
from streams.settings import Settings
from tests.conftest import JARS


def atp(settings: Settings, *words: str) -> subprocess.CompletedProcess[str]:
    environ = {name: value for name, value in os.environ.items() if not name.startswith("ATP_")}
    return subprocess.run(
        [sys.executable, "-m", "cli", *words],
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
        env=environ | settings.environ(),
    )


def test_resolving_without_a_broker_says_how_to_start_one(settings: Settings) -> None:
    with pytest.raises(FatalError, match=r"Start one with: atp up$"):
        broker.resolve_brokers(settings)


def test_given_brokers_come_first_and_are_not_ours_to_stop(settings: Settings) -> None:
    given = settings.model_copy(update={"brokers": "kafka-1:9092,kafka-2:9092"})
    assert broker.named_brokers(given) == "kafka-1:9092,kafka-2:9092"
    assert broker.down(given) is None


def test_one_address_where_somebody_listens_is_enough(settings: Settings) -> None:
    nobody = f"127.0.0.1:{kafka_local.free_port()}"
    with socket.create_server(("127.0.0.1", 0)) as server:
        both = settings.model_copy(update={"brokers": f"{nobody},PLAINTEXT://127.0.0.1:{server.getsockname()[1]}"})
        assert broker.resolve_brokers(both) == both.brokers
    with pytest.raises(FatalError, match=f"no broker answers at {nobody}. Correct ATP_BROKERS, .*: atp up$"):
        broker.resolve_brokers(settings.model_copy(update={"brokers": nobody}))


@pytest.mark.parametrize(
    "words",
    [
        ("show", "CHAIR"), ("explain", "CHAIR"), ("topics",), ("dead-letters",), ("exceptions",), ("verify",),
        ("availability", "--channel", "web"), ("reserve", "CHAIR", "2", "--channel", "web"), ("rebuild", "--from-logs"),
        ("publish", "docs/examples/first-day.jsonl"), ("snapshot", "--out", "tables"),
        ("erp-batches", "--out", "erp"), ("reserve-order", "docs/examples/O-8.json"),
    ],
    ids=lambda words: words[0],
)  # fmt: skip
def test_every_command_says_in_one_line_that_no_broker_is_there(settings: Settings, words: tuple[str, ...]) -> None:
    nobody = settings.model_copy(update={"brokers": f"127.0.0.1:{kafka_local.free_port()}"})
    shown = atp(nobody, *(str(settings.home / word) if word in ("tables", "erp") else word for word in words))
    assert shown.returncode == 3
    assert shown.stderr.splitlines() == [
        f"error: no broker answers at {nobody.brokers}. Correct ATP_BROKERS, or unset it and start one with: atp up"
    ]


def test_given_brokers_that_do_not_answer_are_refused(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(broker, "ANSWER_S", 0.5)
    nobody = settings.model_copy(update={"brokers": f"127.0.0.1:{kafka_local.free_port()}"})
    with pytest.raises(FatalError, match="do not answer"):
        broker.up(nobody)


def test_status_without_a_broker_exits_1_and_says_so_as_json(settings: Settings) -> None:
    shown = atp(settings, "status", "--json")
    assert shown.returncode == 1
    said = json.loads(shown.stdout)
    assert (said["brokers"], said["kind"], said["running"]) == (None, None, False)


def test_a_record_of_a_dead_broker_is_not_a_running_one(settings: Settings) -> None:
    settings.home.mkdir(parents=True)
    dead = {"brokers": "127.0.0.1:9", "kind": "local", "pid": os.getpid()}
    (settings.home / "broker.json").write_text(json.dumps(dead))
    assert not broker.status(settings).running
    assert broker.down(settings) is not None  # And this process, which has that id, lives.
    assert broker.status(settings).brokers is None


def test_a_home_that_cannot_be_written_is_said_plainly(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(FatalError, match="ATP_HOME"):
        broker.up_local(Settings(brokers=None, home=tmp_path / "file" / "home"))


def test_a_wrong_setting_is_named_without_a_traceback(settings: Settings) -> None:
    environ = os.environ | settings.environ() | {"ATP_PARTITIONS": "none"}
    command = [sys.executable, "-m", "cli", "status"]
    shown = subprocess.run(command, capture_output=True, text=True, check=False, timeout=60, env=environ)
    assert shown.returncode == 3
    assert "ATP_PARTITIONS" in shown.stderr
    assert "Traceback" not in shown.stderr


def test_a_broker_that_loses_its_port_to_another_takes_the_next(
    settings: Settings, brokers: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    if (lacking := LocalKafka.at(settings.home, JARS).missing()) is not None:
        pytest.skip(f"the broker is {brokers}, and a local one cannot run: {lacking}")
    taken = int(brokers.rpartition(":")[2])
    looks: list[int] = []

    def free_at_first(port: int) -> bool:
        looks.append(port)
        return len(looks) == 1 or really_free(port)

    really_free = kafka_local._is_free  # The moment between a look and a start cannot be had otherwise.
    monkeypatch.setattr(kafka_local, "_is_free", free_at_first)
    started = broker.up_local(settings, libs=JARS, port=taken)
    try:
        assert looks[:2] == [taken, taken]
        assert started.brokers != brokers
        assert broker.status(settings).running
    finally:
        broker.down(settings, delete_data=True)


def test_up_status_down_and_up_again_keep_the_topics(settings: Settings, brokers: str) -> None:
    if (lacking := LocalKafka.at(settings.home, JARS).missing()) is not None:
        pytest.skip(f"the broker is {brokers}, and a local one cannot run: {lacking}")
    port = kafka_local.free_port()
    first = broker.up_local(settings, libs=JARS, port=port)
    try:
        assert first.brokers == f"127.0.0.1:{port}"
        assert broker.up(settings) == first, "a second `up` finds the first one's broker"
        roundabout = settings.model_copy(update={"home": settings.home / ".." / settings.home.name})
        assert broker.status(roundabout).running, "a home is the same by whatever path it is named"
        shown = json.loads(atp(settings, "status", "--json").stdout)
        assert (shown["brokers"], shown["kind"], shown["running"]) == (first.brokers, "local", True)
        assert atp(settings, "topics", "--create").returncode == 0
        assert first.pid is not None
        LocalKafka.at(settings.home).stop(first.pid)
        again = broker.up_local(settings, libs=JARS)
        assert again.brokers == first.brokers, "workers look for a broker that ended at its old port"
        listed = [json.loads(line) for line in atp(settings, "topics", "--json").stdout.splitlines()]
        assert {one["partitions"] for one in listed} == {settings.partitions}
    finally:
        assert atp(settings, "down", "--delete-data").returncode == 0
    assert not (settings.home / "kafka" / "data").exists()
    with pytest.raises(ConnectionRefusedError), socket.create_connection(("127.0.0.1", port), timeout=1):
        pass
