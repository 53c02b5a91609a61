"""Whoever starts a crashed worker again: `python -m streams.runner NAME LOG COMMAND...`.

Workers are crash-only: what they cannot handle ends them, and something starts them again. Under Docker
that is Compose, on a server systemd, and on a developer's machine this: one small process per worker.
"""

import json
import logging
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from types import FrameType

from streams import processes
from streams.settings import Settings

BACKOFF_S = 0.5
"""First pause after a crash: longer than a port takes to come free."""
BACKOFF_MAX_S = 30.0
HEALTHY_S = 60.0
"""A worker that lived this long crashed for a new reason: its pauses begin anew."""
GRACE_S = 20.0
"""A worker hands its partitions over within a second or so; one that hangs is killed after this."""
MODULE = "streams.runner"

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Runner:
    """A runner that `start` started."""

    name: str
    pid: int
    log: str
    running: bool


def supervise(
    command: Sequence[str], out: Path, *, backoff_s: float = BACKOFF_S, backoff_max_s: float = BACKOFF_MAX_S
) -> int:
    """Run `command` until it ends with 0 or this process is told to stop (SIGTERM, SIGINT); return 0.

    Any other end starts it again after a pause that doubles from `backoff_s` to `backoff_max_s` seconds.
    Its output is appended to `out`. A stop is passed on; a command that ignores it is killed.
    """
    stopping = threading.Event()
    child: subprocess.Popen[bytes] | None = None

    def stop(signum: int, _frame: FrameType | None) -> None:
        stopping.set()
        if child is not None:
            log.info("stopping signal=%d pid=%d", signum, child.pid)
            child.terminate()
            last = threading.Timer(GRACE_S, child.kill)
            last.daemon = True
            last.start()

    earlier = {number: signal.signal(number, stop) for number in (signal.SIGTERM, signal.SIGINT)}
    pause_s = backoff_s
    try:
        with out.open("ab") as output:
            while not stopping.is_set():
                began = time.monotonic()
                child = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=output, stderr=subprocess.STDOUT)
                log.info("started pid=%d", child.pid)
                code = child.wait()
                child = None
                if code == 0 or stopping.is_set():
                    log.info("ended code=%d", code)
                    break
                if time.monotonic() - began > HEALTHY_S:
                    pause_s = backoff_s
                log.warning("crashed code=%d restart_in_s=%.1f", code, pause_s)
                _pause(stopping, pause_s)
                pause_s = min(pause_s * 2, backoff_max_s)
    finally:
        for number, handler in earlier.items():
            signal.signal(number, handler)
    return 0


def start(settings: Settings, count: int, command: Sequence[str] = ("worker",)) -> list[Runner]:
    """Start runners until `count` of them run in this home; return those that run.

    `command` is what follows `atp`. The workers get these settings, whatever the environment says.
    """
    found = running(settings)
    taken = {one.name for one in found}
    names = (f"worker-{n}" for n in range(1, count + len(taken) + 1))
    for name in [name for name in names if name not in taken][: max(0, count - len(found))]:
        out = _folder(settings) / f"{name}.log"
        pid = processes.spawn(
            [sys.executable, "-m", MODULE, name, str(out), sys.executable, "-m", "cli", *command],
            out,
            settings.environ(),
        )
        record = _folder(settings) / f"{name}.json"
        record.write_text(json.dumps({"name": name, "pid": pid, "log": str(out)}) + "\n")
    return running(settings)


def running(settings: Settings) -> list[Runner]:
    """Return the runners of this home that run, and forget those that ended."""
    found = []
    for record in sorted(_folder(settings).glob("*.json")):
        kept = json.loads(record.read_text())
        if processes.alive(kept["pid"], MODULE, kept["log"]):
            found.append(Runner(**kept, running=True))
        else:
            record.unlink(missing_ok=True)
    return found


def stop(settings: Settings) -> list[Runner]:
    """Stop the runners of this home and their workers; return those that ran."""
    found = running(settings)
    for one in found:  # All at once, so that no worker takes over what the next stop takes from it.
        os.kill(one.pid, signal.SIGTERM)
    for one in found:
        processes.stop(one.pid, MODULE, one.log, grace_s=GRACE_S + 5)
        (_folder(settings) / f"{one.name}.json").unlink(missing_ok=True)
    return found


def _folder(settings: Settings) -> Path:
    return settings.home.absolute() / "runners"


def _pause(stopping: threading.Event, pause_s: float) -> None:
    # A signal does not cut `Event.wait` short by itself; its handler runs, sets the event, and so it ends.
    stopping.wait(pause_s)


def _main() -> int:
    name, out, *command = sys.argv[1:]
    logging.basicConfig(
        stream=sys.stderr, level=logging.INFO, format=f"%(asctime)s %(levelname)s runner={name} %(message)s"
    )
    return supervise(command, Path(out))


if __name__ == "__main__":
    sys.exit(_main())
