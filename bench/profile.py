"""Where a worker's time goes: `python -m bench.profile JOB` folds the load and prints shares as JSON.

A thread looks at all others a thousand times a second, so nothing of the work is instrumented. Beside it, the
kernel's own account: seconds of CPU by kind of thread.
"""

import contextlib
import gc
import json
import os
import sys
import threading
import time
from collections import Counter
from collections.abc import Iterator
from itertools import count
from pathlib import Path
from types import FrameType
from typing import Any

from bench.job import Job, from_arguments
from streams import app
from streams.settings import Settings

EVERY_S = 0.001
ACCOUNT_EVERY = 200
SWITCH_S = 0.0002
"""A thread that wants to look has to wait for another to let go: this long, instead of Python's 5 ms."""
TICKS_PER_S = os.sysconf("SC_CLK_TCK")

STEPS = (
    # (file, function): what stands innermost of these on a thread's stack is what it is doing.
    ("codec.py", "decode_event", "decode events"),
    ("fold.py", "fold", "the fold"),
    ("table.py", "get", "look rows up in the local store"),
    ("overlay.py", "get", "look rows up in memory"),
    ("batch.py", "fold", "check, coalesce and count records"),
    ("batch.py", "_conserve", "check that no stock was made or lost"),
    ("batch.py", "_effect_out", "encode effects"),
    ("batch.py", "_row_bytes", "encode rows"),
    ("batch.py", "seal", "put a batch together"),
    ("checkpoint.py", "_patiently", "wait for the commit"),
    ("checkpoint.py", "commit", "produce records"),
    ("table.py", "write", "write the local store"),
    ("poller.py", "_hand_over", "group fetched records"),
    ("poller.py", "_run", "wait for records"),
    ("task.py", "_turn", "take records over"),
)
_NAMES = {(file, function): label for file, function, label in STEPS}
IDLE = {
    ("threading.py", "wait"),
    ("selectors.py", "select"),
    ("profile.py", "_look"),
    ("socketserver.py", "serve_forever"),
}
WAITING = ("wait for the commit", "wait for records")


class Profile:
    """What threads were seen doing."""

    def __init__(self) -> None:
        self.seen: Counter[str] = Counter()
        self.collecting_s = 0.0
        """Spent on looking for cyclic garbage, within whatever step asked for memory."""
        self._cpu: dict[str, tuple[str, float]] = {}
        self._began_at = 0.0
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._look, name="profile", daemon=True)

    def start(self) -> None:
        """Look from now on."""
        sys.setswitchinterval(SWITCH_S)
        gc.callbacks.append(self._collects)
        self._thread.start()

    def stop(self) -> None:
        """Look no more."""
        self._stop.set()
        self._thread.join()

    def _look(self) -> None:
        mine = threading.get_ident()
        for look in count():
            if self._stop.is_set():
                return
            if look % ACCOUNT_EVERY == 0:
                self._cpu.update(_cpu())  # A thread that has ended is in no account any more.
            for thread, frame in sys._current_frames().items():  # noqa: SLF001  (the documented way to see threads)
                if thread != mine and (label := _label(frame)) is not None:
                    self.seen[label] += 1
            time.sleep(EVERY_S)

    def _collects(self, phase: str, _: dict[str, int]) -> None:
        if phase == "start":
            self._began_at = time.monotonic()
        else:
            self.collecting_s += time.monotonic() - self._began_at

    @property
    def cpu_s(self) -> dict[str, float]:
        """Seconds of CPU by kind of thread."""
        used: dict[str, float] = {}
        for kind, seconds in self._cpu.values():
            used[kind] = used.get(kind, 0.0) + seconds
        return used


def _label(frame: FrameType | None) -> str | None:
    """Name the step that a thread is in; None where it does nothing or nothing of ours."""
    innermost = True
    while frame is not None:
        code = frame.f_code
        here = (code.co_filename.rpartition("/")[2], code.co_name)
        if innermost and (here in IDLE or (here[0] == "task.py" and here[1] == "_turn")):
            return None
        innermost = False
        if (label := _NAMES.get(here)) is not None:
            return label
        frame = frame.f_back
    return None


def _cpu() -> Iterator[tuple[str, tuple[str, float]]]:
    """Yield every thread of this process with its kind and its seconds of CPU."""
    for path in Path("/proc/self/task").glob("*/stat"):
        with contextlib.suppress(OSError):  # It ended just now.
            name, rest = path.read_text().split("(", 1)[1].rsplit(")", 1)
            fields = rest.split()
            kind = "Kafka client" if name.startswith("rdk:") else "store" if name.startswith("rocksdb") else "Python"
            yield path.parent.name, (kind, (int(fields[11]) + int(fields[12])) / TICKS_PER_S)


def run(job: Job) -> dict[str, Any]:
    """Fold the load; return shares of the time that threads were busy, and seconds."""
    profile = Profile()
    profile.start()
    app.run(Settings(), job.brokers, [job.topology], state=None, until_idle_s=1.0)
    profile.stop()
    busy = sum(count for label, count in profile.seen.items() if label not in WAITING)
    return {
        "shares": {label: count / busy for label, count in profile.seen.most_common() if label not in WAITING},
        "cpu_s": profile.cpu_s,
        "garbage_s": profile.collecting_s,
    }


if __name__ == "__main__":
    sys.stdout.write(json.dumps(run(from_arguments(sys.argv))) + "\n")
