"""Restore: how fast a worker without local state has its rows back from the changelogs."""

import re
import shutil
from dataclasses import dataclass
from datetime import datetime

from atp.errors import FatalError
from bench.hosts import environment, execute, worker_command
from streams.settings import Settings

_OPENED = re.compile(r"^(\S+ \S+) INFO streams\.task opened .*restored_rows=(\d+)", re.MULTILINE)
_ASSIGNED = re.compile(r"^(\S+ \S+) INFO streams\.poller assigned ", re.MULTILINE)


@dataclass(frozen=True, slots=True)
class Restore:
    """A restore of all partitions by one worker."""

    rows: int
    seconds: float
    """From the assignment until the last partition is open, fencing included."""

    @property
    def rate(self) -> float:
        """Rows a second."""
        return self.rows / self.seconds


def restore(app: str, brokers: str, settings: Settings) -> Restore:
    """Start a worker of `app` in an empty folder, and read its log. Raises: FatalError."""
    folder = settings.home.absolute() / f"{app}-restored"
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    execute([*worker_command(), "--until-idle", "0.5"], environment(settings, brokers, app, folder), folder)
    log = (folder / "host.log").read_text()
    assigned, opened = _ASSIGNED.search(log), _OPENED.findall(log)
    if assigned is None or not opened:
        raise FatalError(f"the worker opened nothing: {log[-2000:]}")
    last = max(_time(moment) for moment, _ in opened)
    shutil.rmtree(folder)
    return Restore(sum(int(rows) for _, rows in opened), (last - _time(assigned[1])).total_seconds())


def _time(text: str) -> datetime:
    return datetime.strptime(text, "%Y-%m-%d %H:%M:%S,%f")  # noqa: DTZ007  (two times of one clock)
