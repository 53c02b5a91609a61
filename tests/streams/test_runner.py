"""The runner: what ends with 0 stays ended, what crashes comes back, and a stop is passed on."""

import os
import signal
import subprocess
import sys
from pathlib import Path

from streams import processes, runner
from streams.settings import Settings

CRASHES = """
import pathlib, sys
count = pathlib.Path(sys.argv[1])
count.write_text(count.read_text() + "x" if count.exists() else "x")
sys.exit(0 if len(count.read_text()) > int(sys.argv[2]) else 3)
"""
STAYS = """
import pathlib, signal, sys, time
signal.signal(signal.SIGTERM, lambda *_: (pathlib.Path(sys.argv[1]).write_text("handed over"), sys.exit(0)))
pathlib.Path(sys.argv[1]).write_text("running")
time.sleep(60)
"""


def test_a_crash_is_followed_by_a_start_and_an_end_by_none(tmp_path: Path) -> None:
    count = tmp_path / "count"
    command = [sys.executable, "-c", CRASHES, str(count), "2"]
    assert runner.supervise(command, tmp_path / "out", backoff_s=0.01) == 0
    assert count.read_text() == "xxx"


def test_a_stop_reaches_the_worker_and_waits_for_it(tmp_path: Path) -> None:
    state = tmp_path / "state"
    command = [sys.executable, "-m", runner.MODULE, "w", str(tmp_path / "out"), sys.executable, "-c", STAYS, str(state)]
    with subprocess.Popen(command, stderr=subprocess.DEVNULL) as process:
        assert processes.wait_until(lambda: state.exists() and state.read_text() == "running", 20)
        process.send_signal(signal.SIGTERM)
        assert process.wait(20) == 0
    assert state.read_text() == "handed over"


def test_runners_are_counted_up_to_what_is_asked_and_stopped_together(settings: Settings) -> None:
    first = runner.start(settings, 1, ("no-such-command",))
    try:
        both = runner.start(settings, 2, ("no-such-command",))
        assert [one.name for one in both] == ["worker-1", "worker-2"]
        assert first[0] in both
        os.kill(both[0].pid, signal.SIGKILL)
        assert processes.wait_until(lambda: len(runner.running(settings)) == 1, 10)
        assert [one.name for one in runner.start(settings, 2, ("no-such-command",))] == ["worker-1", "worker-2"]
    finally:
        assert len(runner.stop(settings)) == 2
    assert runner.running(settings) == []
