"""A broker that dies and comes back while a worker folds: waited for, and nothing is lost or counted twice."""

import os
import signal
import time
from pathlib import Path

import pytest

from streams import broker, kafka_compose, kafka_local
from streams.settings import Settings
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
    finally:
        broker.down(own, delete_data=True)


def test_a_broker_that_was_never_there_is_named(settings: Settings) -> None:
    address = f"127.0.0.1:{kafka_local.free_port()}"
    worker = Rig(settings.model_copy(update={"brokers": address}), address).worker()
    worker.wait_for(f"the brokers {address} do not answer; trying for 60 s", within_s=20)
    worker.kill()
