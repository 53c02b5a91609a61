"""`atp down`: what it stops, and what it leaves alone."""

import os
import subprocess
import sys
from pathlib import Path

from streams import runner
from streams.settings import Settings


def test_workers_can_be_stopped_alone(tmp_path: Path) -> None:
    settings = Settings(brokers=None, home=tmp_path)
    runner.start(settings, 2, ["status"])  # Ends with 1, as no broker runs, and is started again and again.
    said = _down(settings, "--workers")
    assert (said.returncode, said.stdout) == (0, "stopped worker-1\nstopped worker-2\n")
    assert runner.running(settings) == []


def test_stopping_workers_alone_deletes_no_data(tmp_path: Path) -> None:
    said = _down(Settings(brokers=None, home=tmp_path), "--workers", "--delete-data")
    assert said.returncode == 2
    assert "leaves the broker and its data alone" in said.stderr


def _down(settings: Settings, *options: str) -> subprocess.CompletedProcess[str]:
    environ = {name: value for name, value in os.environ.items() if not name.startswith("ATP_")}
    command = [sys.executable, "-m", "cli", "down", *options]
    return subprocess.run(
        command, env={**environ, **settings.environ()}, capture_output=True, text=True, timeout=60, check=False
    )
