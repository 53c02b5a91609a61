"""`atp status`: the broker in use, and every worker that is up, whoever started it."""

import json
import os
import subprocess
import sys
from typing import Any

import pytest

from streams import runner
from streams.processes import wait_until
from streams.settings import Settings
from streams.slot import addresses
from tests.streams.rig import END_S, pipeline

pytestmark = pytest.mark.timeout(150)


def test_every_worker_is_listed_whoever_started_it(broker_settings: Settings) -> None:
    with pipeline(broker_settings) as rig:
        assert "no worker is up in this home. Start one with: atp worker" in said(broker_settings)
        mine = rig.worker(until_idle=None)
        (run,) = runner.start(broker_settings, 1, ["worker"])
        try:
            assert wait_until(lambda: len(addresses(broker_settings)) == 2, END_S)
            found: dict[str, Any] = json.loads(said(broker_settings, "--json"))
            assert [one["name"] for one in found["workers"]] == ["worker-1"]
            assert len(found["answering"]) == 2
            (by_hand,) = [one for one in found["answering"] if one["runner"] is None]
            assert by_hand["pid"] == mine.process.pid
            words = said(broker_settings)
            assert f"worker: process {mine.process.pid}, answers at {by_hand['url']}, started by hand" in words
            assert f"runner: worker-1, process {run.pid}" in words
            assert ", run by worker-1" in words
        finally:
            runner.stop(broker_settings)


def said(settings: Settings, *options: str) -> str:
    environ = {name: value for name, value in os.environ.items() if not name.startswith("ATP_")}
    found = subprocess.run(
        [sys.executable, "-m", "cli", "status", *options],
        env={**environ, **settings.environ()}, capture_output=True, text=True, timeout=60, check=True,
    )  # fmt: skip
    return found.stdout
