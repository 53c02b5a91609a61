"""A worker's state folder: its own while it lives, taken up by another once it is dead.

<home>/state/0/lock              held by flock for as long as the process lives
<home>/state/0/worker.json       pid and address of the HTTP server
<home>/state/0/inventory/3/      the store of partition 3
"""

import fcntl
import json
import os
from dataclasses import asdict, dataclass
from pathlib import Path

from atp.errors import FatalError
from streams.settings import Settings

SLOTS_MAX = 64
"""Workers on one machine at most."""


@dataclass(frozen=True, slots=True)
class Address:
    """Where a worker answers, and for which installation."""

    pid: int
    url: str
    brokers: str
    topic_prefix: str


class Slot:
    """A folder that is locked for this process."""

    def __init__(self, folder: Path, lock: int) -> None:
        self.folder = folder
        self._lock = lock

    def announce(self, url: str, brokers: str, topic_prefix: str) -> None:
        """Write down where this worker answers."""
        path = self.folder / "worker.json"
        fresh = path.with_suffix(".new")
        fresh.write_text(json.dumps(asdict(Address(os.getpid(), url, brokers, topic_prefix))) + "\n")
        fresh.replace(path)

    def release(self) -> None:
        """Let another worker have the folder."""
        (self.folder / "worker.json").unlink(missing_ok=True)
        os.close(self._lock)


def take(settings: Settings, folder: Path | None) -> Slot:
    """Lock `folder`, or where none is named the first free one under the home. Raises: FatalError."""
    if folder is not None:
        slot = _try(folder)
        if slot is None:
            raise FatalError(
                f"another worker uses the state folder {folder}. "
                "Leave --state out, and each worker takes one of its own"
            )
        return slot
    for number in range(SLOTS_MAX):
        slot = _try(_root(settings) / str(number))
        if slot is not None:
            return slot
    raise FatalError(f"{SLOTS_MAX} workers use the folders under {_root(settings)} already. Stop some: atp down")


def addresses(settings: Settings) -> list[Address]:
    """Return where the workers of this home answer, those that live."""
    found = []
    for record in sorted(_root(settings).glob("*/worker.json")):
        if _free(record.parent):
            continue
        try:
            found.append(Address(**json.loads(record.read_text())))
        except (OSError, ValueError, TypeError):
            continue  # It ends or starts just now.
    return found


def _root(settings: Settings) -> Path:
    return settings.home / "state"


def _try(folder: Path) -> Slot | None:
    try:
        folder.mkdir(parents=True, exist_ok=True)
        lock = os.open(folder / "lock", os.O_RDWR | os.O_CREAT, 0o600)
    except OSError as error:
        raise FatalError(f"the state folder {folder} cannot be written: {error}. Name another: --state DIR") from error
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(lock)
        return None
    return Slot(folder, lock)


def _free(folder: Path) -> bool:
    try:
        lock = os.open(folder / "lock", os.O_RDWR)
    except OSError:
        return True
    try:
        fcntl.flock(lock, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    else:
        return True
    finally:
        os.close(lock)
