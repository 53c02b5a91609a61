"""A broker that dies and comes back while a worker folds: waited for, and nothing is lost or counted twice."""

import ast
import logging
import os
import signal
import time
from pathlib import Path

import pytest

from streams import broker, kafka_compose, kafka_local
from streams.kafka_log import KAFKA
from streams.settings import Settings
from streams.slot import addresses
from tests.conftest import JARS, without
from tests.streams.rig import Rig, movements, pipeline

pytestmark = [pytest.mark.timeout(150), pytest.mark.broker]


def test_a_broker_that_dies_and_comes_back_is_waited_for(settings: Settings, tmp_path: Path) -> None:
    if os.environ.get("ATP_TEST_BROKERS") or kafka_compose.engine_answers():
        pytest.skip("needs a broker of its own to kill: unset ATP_TEST_BROKERS, and have Java and Maven")
    own = settings.model_copy(update={"home": tmp_path / "broker"})
    lacking = broker.missing(own, libs=JARS)
    if lacking is not None:
        without(lacking)
    started = broker.up_local(own, libs=JARS, port=kafka_local.free_port())
    assert started.pid is not None
    try:
        with pipeline(settings.model_copy(update={"brokers": started.brokers, "batch_max": 200})) as rig:
            rig.publish(movements(3_000, seed=1))
            worker = rig.worker(until_idle=None)
            worker.wait_for("opened")
            time.sleep(0.3)
            os.kill(started.pid, signal.SIGKILL)
            time.sleep(3)
            assert worker.process.poll() is None
            port = int(started.brokers.rsplit(":", 1)[1])
            broker.up_local(own, libs=JARS, port=port)
            rig.publish(movements(1_000, seed=2))
            time.sleep(2)
            worker.signal(signal.SIGTERM)
            assert worker.end() in (0, 3), worker.text()[-3000:]
            rig.drain()
            rig.check()
            # Told to stop while the broker is away, a worker waits for nobody.
            last = rig.worker(until_idle=None)
            last.wait_for("opened")
            again = broker.status(own).pid
            assert again is not None
            os.kill(again, signal.SIGKILL)
            last.signal(signal.SIGTERM)
            assert last.end(within_s=10) == 0
            assert f"no broker answers at {started.brokers}: left at once" in last.text()
            assert addresses(rig.settings) == []
    finally:
        broker.down(own, delete_data=True)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_broker_that_was_never_there_is_named(settings: Settings, number: int) -> None:
    address = f"127.0.0.1:{kafka_local.free_port()}"
    worker = Rig(settings.model_copy(update={"brokers": address}), address).worker()
    worker.wait_for(f"no broker answers at {address}: start one with `atp up`; trying for 60 s", within_s=20)
    worker.wait_for("; trying for 5", within_s=20)  # It says again that it waits, and for how long.
    assert worker.text().count("\n") == worker.text().count("no broker answers")
    worker.signal(number)
    assert worker.end(within_s=10) == 0
    assert "Traceback" not in worker.text()


def test_what_clients_of_kafka_try_again_by_themselves_is_not_told(caplog: pytest.LogCaptureFixture) -> None:
    told = "%s [%s] %s"
    KAFKA.warning(told, "GETPID", "ticker#producer-7", "Coordinator load in progress: retrying")
    KAFKA.error(told, "FAIL", "rdkafka#consumer-1", "Connect to 127.0.0.1:9092 failed")
    KAFKA.warning(told, "MAXPOLL", "rdkafka#consumer-1", "Application maximum poll interval exceeded")
    assert [record.getMessage() for record in caplog.records] == [
        "MAXPOLL [rdkafka#consumer-1] Application maximum poll interval exceeded"
    ]
    with caplog.at_level(logging.DEBUG, logger=KAFKA.name):
        KAFKA.warning(told, "GETPID", "ticker#producer-7", "Coordinator load in progress: retrying")
    assert caplog.records[-1].getMessage().startswith("GETPID")


def test_every_client_of_kafka_has_a_logger() -> None:
    """One without prints what it meets to the terminal, as `%4|...`, behind the last word of a command."""
    rooms = ("streams", "sinks", "cli", "oracle", "bench")
    for path in (path for room in rooms for path in Path(room).rglob("*.py")):
        for call in (node for node in ast.walk(ast.parse(path.read_text())) if isinstance(node, ast.Call)):
            if isinstance(call.func, ast.Name) and call.func.id in ("AdminClient", "Consumer", "Producer"):
                assert any(keyword.arg == "logger" for keyword in call.keywords), f"{path}:{call.lineno}"
