"""Fixtures that every test may ask for: a real broker, and settings that collide with nobody's."""

import gc
import itertools
import os
import secrets
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import settings as examples

from streams import broker, kafka_compose, kafka_local, processes
from streams.settings import Settings

JARS = Path(__file__).resolve().parent.parent / ".atp" / "kafka" / "libs"
"""Kafka's jars, shared by all runs of the tests and by `atp up` in this folder."""

RUN = secrets.token_hex(3)
"""A broker that is given may hold topics of earlier runs."""
_numbers = itertools.count(1)


@pytest.fixture(scope="session")
def brokers(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Yield the address of an Apache Kafka: ATP_TEST_BROKERS, else a container, else a local one.

    Where none can be had the test is skipped with what to install; ATP_REQUIRE_BROKER=1 makes that a failure.
    """
    given = os.environ.get("ATP_TEST_BROKERS")
    if given:
        yield given
    elif kafka_compose.engine_answers():
        yield from _container()
    else:
        settings = Settings(brokers=None, home=tmp_path_factory.mktemp("broker"))
        lacking = broker.missing(settings, libs=JARS)
        if lacking is not None:
            without(f"{lacking}. Name a broker: ATP_TEST_BROKERS=host:9092 pytest -m broker")
        found = broker.up_local(settings, libs=JARS, port=kafka_local.free_port())
        try:
            yield found.brokers
        finally:
            broker.down(settings, delete_data=True)


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    """Settings of a pipeline of its own: its topics, groups and folders are nobody else's. Without a broker."""
    name = f"t{RUN}-{next(_numbers)}"
    return Settings(brokers=None, home=tmp_path / "home", app=name, topic_prefix=f"{name}.", partitions=3, ticks="off")


@pytest.fixture
def broker_settings(settings: Settings, brokers: str) -> Settings:
    """The same on the real broker, its topics not created yet."""
    return settings.model_copy(update={"brokers": brokers})


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Whoever uses the broker carries its mark, so that `-m "not broker"` leaves it out."""
    for item in items:
        if isinstance(item, pytest.Function) and "brokers" in item.fixturenames:
            item.add_marker(pytest.mark.broker)


def pytest_configure() -> None:
    """Let examples take their time: a busy machine is no defect."""
    examples.register_profile("untimed", deadline=None)
    examples.load_profile("untimed")


def pytest_unconfigure() -> None:
    """Take Hypothesis out of the garbage collector, so that the summary of the tests is the last that is printed.

    What it calls at each collection outlives all modules, and so does what that can reach: DuckDB's classes among it,
    which are then reported as leaked, in a hundred lines.
    """
    gc.callbacks[:] = [one for one in gc.callbacks if not getattr(one, "__module__", "").startswith("hypothesis")]


def without(reason: str) -> None:
    if os.environ.get("ATP_REQUIRE_BROKER") == "1":
        pytest.fail(f"no broker, and ATP_REQUIRE_BROKER=1 asks for one: {reason}", pytrace=False)
    pytest.skip(reason)


def _container() -> Iterator[str]:
    from testcontainers.core.container import DockerContainer  # noqa: PLC0415  imported where an engine answers

    port = kafka_local.free_port()
    environ = {
        "KAFKA_NODE_ID": "1",
        "KAFKA_PROCESS_ROLES": "broker,controller",
        "KAFKA_CONTROLLER_QUORUM_VOTERS": "1@localhost:9093",
        "KAFKA_LISTENERS": "CLIENT://:9092,CONTROLLER://:9093",
        "KAFKA_ADVERTISED_LISTENERS": f"CLIENT://127.0.0.1:{port}",
        "KAFKA_LISTENER_SECURITY_PROTOCOL_MAP": "CLIENT:PLAINTEXT,CONTROLLER:PLAINTEXT",
        "KAFKA_INTER_BROKER_LISTENER_NAME": "CLIENT",
        "KAFKA_CONTROLLER_LISTENER_NAMES": "CONTROLLER",
        "KAFKA_AUTO_CREATE_TOPICS_ENABLE": "false",
        "KAFKA_OFFSETS_TOPIC_REPLICATION_FACTOR": "1",
        "KAFKA_TRANSACTION_STATE_LOG_REPLICATION_FACTOR": "1",
        "KAFKA_TRANSACTION_STATE_LOG_MIN_ISR": "1",
        "KAFKA_GROUP_INITIAL_REBALANCE_DELAY_MS": "0",
    }
    container = DockerContainer(kafka_compose.IMAGE).with_bind_ports(9092, port)
    for name, value in environ.items():
        container = container.with_env(name, value)
    with container:
        address = f"127.0.0.1:{port}"
        if not processes.wait_until(lambda: broker.answers(address, 1.0), kafka_local.START_S):
            pytest.fail(f"the Kafka in the container does not answer at {address}", pytrace=False)
        yield address
