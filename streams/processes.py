"""Processes that outlive the command that started them: is it still ours, and how it ends."""

import os
import signal
import subprocess
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

POLL_S = 0.05
"""How often a wait looks again: short beside a start of seconds, long beside the look itself."""


def spawn(command: Sequence[str], log: Path, environ: Mapping[str, str] | None = None) -> int:
    """Start `command` in a session of its own, its output appended to `log`; return its process id.

    A session of its own, so that Ctrl-C in the terminal that started it does not reach it.
    """
    log.parent.mkdir(parents=True, exist_ok=True)
    with log.open("ab") as out:
        process = subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,
            stdout=out,
            stderr=subprocess.STDOUT,
            start_new_session=True,
            env={**os.environ, **(environ or {})},
        )
    # Nobody waits for it here, on purpose; `alive` reaps it where this process is still its parent.
    process.returncode = 0
    # For an instant after its start a process has no command line yet, and would pass for one that ended.
    wait_until(lambda: _command_line(process.pid) is not None, 1.0)
    return process.pid


def alive(pid: int, *words: str) -> bool:
    """Tell whether process `pid` runs and its command line holds all `words`.

    The words guard against a process id that the system gave to somebody else meanwhile.
    """
    try:
        if os.waitpid(pid, os.WNOHANG)[0] == pid:
            return False
    except ChildProcessError:
        pass  # Another process started it.
    command = _command_line(pid)
    return command is not None and all(word in command for word in words)


def stop(pid: int, *words: str, grace_s: float) -> bool:
    """Ask process `pid` to end, and kill its session if it has not after `grace_s` seconds.

    Returns whether it ended when asked. One that is not ours, by `words`, is left alone.
    """
    if not alive(pid, *words):
        return True
    os.kill(pid, signal.SIGTERM)
    if wait_until(lambda: not alive(pid, *words), grace_s):
        return True
    try:
        os.killpg(pid, signal.SIGKILL)
    except ProcessLookupError:
        return True
    wait_until(lambda: not alive(pid, *words), 10.0)
    return False


def wait_until(true: Callable[[], bool], timeout_s: float) -> bool:
    """Wait until `true()` holds, at most `timeout_s` seconds; return whether it does."""
    deadline = time.monotonic() + timeout_s
    while not true():
        if time.monotonic() > deadline:
            return False
        time.sleep(POLL_S)
    return True


def _command_line(pid: int) -> str | None:
    """Return the command line of a process, None where there is none (or only its remains)."""
    proc = Path("/proc")
    if (proc / "self").exists():
        try:
            words = (proc / str(pid) / "cmdline").read_bytes()
        except OSError:
            return None
        return words.replace(b"\0", b" ").decode(errors="replace") or None
    shown = subprocess.run(["/bin/ps", "-p", str(pid), "-o", "command="], capture_output=True, text=True, check=False)
    return shown.stdout.strip() or None
