"""Apache Kafka by Docker Compose, where a Docker engine answers."""

import shutil
import subprocess
from pathlib import Path

from atp.errors import FatalError

FILE = (Path(__file__).resolve().parent.parent / "docker-compose.yml").resolve()
IMAGE = "apache/kafka:4.1.1"
"""What docker-compose.yml runs; the tests' containers too."""
BROKERS = "127.0.0.1:9092"
"""Where docker-compose.yml publishes its broker."""
ASK_S = 5.0
"""An engine that is there answers in well under a second."""


def engine_answers() -> bool:
    """Tell whether a Docker *engine* answers; a client alone is not enough."""
    docker = shutil.which("docker")
    if docker is None:
        return False
    try:
        asked = subprocess.run([docker, "info"], capture_output=True, timeout=ASK_S, check=False)
    except (subprocess.TimeoutExpired, OSError):
        return False
    return asked.returncode == 0


def available() -> bool:
    """Tell whether Compose can start the broker here."""
    return FILE.exists() and engine_answers() and _compose("version").returncode == 0


def start() -> None:
    """Start the broker alone and wait until it is healthy. Raises: FatalError."""
    done = _compose("up", "--detach", "--wait", "kafka")
    if done.returncode != 0:
        raise FatalError(
            f"Docker Compose could not start Kafka:\n{done.stderr.strip()[-2000:]}\nLook: docker compose ps"
        )


def running() -> bool:
    """Tell whether Compose runs the broker now."""
    return _compose("ps", "--quiet", "--status", "running", "kafka").stdout.strip() != ""


def stop(*, delete_data: bool) -> None:
    """Stop what Compose runs, with its volumes if `delete_data`. Raises: FatalError."""
    done = _compose("down", *(("--volumes",) if delete_data else ()))
    if done.returncode != 0:
        raise FatalError(f"Docker Compose could not stop:\n{done.stderr.strip()[-2000:]}\nLook: docker compose ps")


def _compose(*words: str) -> subprocess.CompletedProcess[str]:
    docker = shutil.which("docker") or "docker"
    return subprocess.run([docker, "compose", "-f", str(FILE), *words], capture_output=True, text=True, check=False)
