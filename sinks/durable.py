"""Files that are whole or absent, whatever dies when: a temporary name, fsync, rename, fsync of the folder."""

import fcntl
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from atp.errors import FatalError


def write_file(path: Path, content: bytes) -> None:
    """Put `content` under `path` so that a crash leaves the old file or the new one. Raises: FatalError."""
    with _told(path):
        fresh = path.with_name(f".{path.name}.tmp")
        _write(fresh, content)
        fresh.replace(path)
        sync_folder(path.parent)


def write_folder(path: Path, files: dict[str, bytes]) -> None:
    """Put a new folder with `files` under `path`: all of them or nothing. Raises: FatalError."""
    with _told(path):
        fresh = fresh_folder(path)
        for name, content in files.items():
            _write(fresh / name, content)
        publish_folder(fresh, path)


def fresh_folder(path: Path) -> Path:
    """Return an empty folder beside `path` to be filled, then published; what a crash left of one goes."""
    fresh = path.with_name(f".{path.name}.tmp")
    if fresh.exists():
        shutil.rmtree(fresh)
    fresh.mkdir(parents=True)
    return fresh


def publish_folder(fresh: Path, path: Path) -> None:
    """Give a filled folder its name, after everything in it has reached the disk."""
    for file in fresh.iterdir():
        with file.open("rb") as content:
            os.fsync(content.fileno())
    sync_folder(fresh)
    fresh.rename(path)
    sync_folder(path.parent)


def sync_folder(path: Path) -> None:
    """Make the names in a folder durable."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


@contextmanager
def locked(folder: Path) -> Iterator[None]:
    """Hold a folder against a second writer. Raises: FatalError where there is one, or where it cannot be written."""
    with _told(folder):
        folder.mkdir(parents=True, exist_ok=True)
        lock = (folder / ".lock").open("w")
    with lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise FatalError(
                f"another process writes to {folder}. Wait for it to end, or name another folder with --out"
            ) from error
        yield


def _write(path: Path, content: bytes) -> None:
    with path.open("wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())


@contextmanager
def _told(path: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        reason = error.strerror or str(error)
        raise FatalError(f"cannot write {path}: {reason}. Make room or name another folder with --out") from error
