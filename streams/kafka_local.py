"""Apache Kafka on this machine, without ceremony: jars by Maven, one KRaft node, local Java, loopback only."""

import base64
import contextlib
import hashlib
import logging
import os
import re
import shutil
import socket
import subprocess
import sys
import uuid
from dataclasses import dataclass
from pathlib import Path

from atp.errors import FatalError
from streams import processes
from streams.settings import Settings

log = logging.getLogger(__name__)

PORT = 9092
JAVA = 17
"""The oldest Java that Kafka 4 brokers run on."""
START_S = 90.0
"""A start takes 3 s on an idle machine of two cores; a busy one gets thirty times that."""
STOP_S = 30.0
MAIN = "kafka.Kafka"

OPS = Path(__file__).resolve().parent.parent / "ops" / "kafka"

# One node holds every replica; the group coordinator waits for nobody; few internal partitions start
# fast and suit one machine. A topic exists because it was created: a misspelt name must fail.
CONFIG = """\
process.roles=broker,controller
node.id=1
controller.quorum.voters=1@127.0.0.1:{controller}
listeners=CLIENT://127.0.0.1:{port},CONTROLLER://127.0.0.1:{controller}
advertised.listeners=CLIENT://127.0.0.1:{port}
listener.security.protocol.map=CLIENT:PLAINTEXT,CONTROLLER:PLAINTEXT
inter.broker.listener.name=CLIENT
controller.listener.names=CONTROLLER
log.dirs={data}
auto.create.topics.enable=false
default.replication.factor=1
min.insync.replicas=1
offsets.topic.replication.factor=1
offsets.topic.num.partitions=6
transaction.state.log.replication.factor=1
transaction.state.log.min.isr=1
transaction.state.log.num.partitions=6
share.coordinator.state.topic.replication.factor=1
share.coordinator.state.topic.min.isr=1
group.initial.rebalance.delay.ms=0
num.network.threads=2
num.io.threads=4
log.cleaner.dedupe.buffer.size=33554432
"""


@dataclass(frozen=True, slots=True)
class LocalKafka:
    """Where one local broker keeps what: all of it under `<home>/kafka`."""

    home: Path
    libs: Path
    """Its jars; several homes may share them."""

    @classmethod
    def at(cls, home: Path, libs: Path | None = None) -> "LocalKafka":
        """Place a broker under `home`; its jars too, unless `libs` names a folder that has them or shall."""
        root = home.resolve() / "kafka"  # One name for one folder: by it a broker is found to be ours.
        return cls(root, libs.resolve() if libs else root / "libs")

    @property
    def data(self) -> Path:
        """Log segments, all topics."""
        return self.home / "data"

    @property
    def log(self) -> Path:
        """What the broker itself logs: warnings and errors."""
        return self.home / "broker.log"

    @property
    def properties(self) -> Path:
        """Its configuration, also what marks its process as ours."""
        return self.home / "server.properties"

    @property
    def cluster(self) -> str | None:
        """The id of its cluster, by which it is told from others that answer; None before its first start."""
        try:
            lines = (self.data / "meta.properties").read_text().splitlines()
        except OSError:
            return None
        return next((line.partition("=")[2] for line in lines if line.startswith("cluster.id=")), None)

    def lost_its_port(self) -> bool:
        """Tell whether somebody else took the port between the look for a free one and the start."""
        return "Address already in use" in self.last_words()

    def missing(self) -> str | None:
        """Say what this machine lacks to run a broker, None if nothing."""
        if not OPS.exists():
            return f"no {OPS}, which says what to run: a local broker starts from a checkout"
        if _java() is None:
            return f"no Java {JAVA} or newer (looked at JAVA_HOME and PATH)"
        if not self.has_jars() and shutil.which("mvn") is None:
            return "no Maven (`mvn`), which resolves Kafka's jars"
        return None

    def running(self, pid: int) -> bool:
        """Tell whether process `pid` is this broker."""
        return processes.alive(pid, MAIN, str(self.properties))

    def resolve_jars(self) -> None:
        """Have Maven copy Kafka's jars to `libs`, once per version of the pom. Raises: FatalError."""
        if self.has_jars():
            return
        mvn = shutil.which("mvn")
        if mvn is None:
            raise FatalError("Kafka's jars need Maven, and there is no `mvn`. Install Maven 3.8 or newer, then: atp up")
        fresh = self.libs.with_name(f"{self.libs.name}.{os.getpid()}")
        shutil.rmtree(fresh, ignore_errors=True)
        done = subprocess.run(
            [mvn, "-B", "-q", "-f", str(OPS / "pom.xml"), "dependency:copy-dependencies", f"-DoutputDirectory={fresh}"],
            capture_output=True,
            text=True,
            check=False,
        )
        if done.returncode != 0:
            shutil.rmtree(fresh, ignore_errors=True)
            said = (done.stdout + done.stderr).strip()[-2000:]
            raise FatalError(
                f"Maven could not resolve Kafka's jars:\n{said}\nSee to its settings or network, then: atp up"
            )
        (fresh / "pom.sha256").write_text(_pom_digest())
        shutil.rmtree(self.libs, ignore_errors=True)
        fresh.rename(self.libs)

    def start(self, port: int | None = None) -> tuple[int, int]:
        """Start the broker and return (process id, port); it may not answer yet.

        `port` is tried first, then Kafka's own, then any free one. Raises: FatalError.
        """
        java = _java()
        if java is None:
            raise FatalError(f"a local Kafka needs Java {JAVA} or newer. Install it or set JAVA_HOME, then: atp up")
        self.resolve_jars()
        self.data.mkdir(parents=True, exist_ok=True)
        chosen = next(p for p in (port, PORT, free_port()) if p is not None and _is_free(p))
        self.properties.write_text(CONFIG.format(port=chosen, controller=free_port(), data=self.data))
        if not (self.data / "meta.properties").exists():
            self._format(java)
        command = [
            *(java, "-Xms128m", "-Xmx512m", "-XX:+UseG1GC", "-XX:MaxGCPauseMillis=20", "-Djava.awt.headless=true"),
            *(f"-Datp.kafka.log={self.log}", f"-Dlog4j2.configurationFile={OPS / 'log4j2.properties'}"),
            *("-cp", f"{self.libs}/*", MAIN, str(self.properties)),
        ]
        return processes.spawn(command, self.home / "console.log"), chosen

    def stop(self, pid: int) -> bool:
        """Stop the broker `pid`; return whether it ended when asked."""
        return processes.stop(pid, MAIN, str(self.properties), grace_s=STOP_S)

    def delete(self) -> None:
        """Delete all it holds but the jars."""
        for folder in (self.data,):
            shutil.rmtree(folder, ignore_errors=True)
        for file in (self.properties, self.log, self.home / "console.log"):
            file.unlink(missing_ok=True)

    def last_words(self) -> str:
        """Return the end of what the broker logged."""
        texts = (f.read_text(errors="replace") for f in (self.home / "console.log", self.log) if f.exists())
        return "\n".join(texts).strip()[-2000:]

    def has_jars(self) -> bool:
        """Tell whether the jars are there, of the pom's present version."""
        stamp = self.libs / "pom.sha256"
        return stamp.exists() and stamp.read_text() == _pom_digest()

    def _format(self, java: str) -> None:
        # Kafka takes an id that begins with a dash for an option; so does it not make such ids itself.
        cluster = base64.urlsafe_b64encode(uuid.uuid4().bytes).rstrip(b"=").decode().replace("-", "_")
        tool = ["kafka.tools.StorageTool", "format", "--ignore-formatted", "-t", cluster, "-c", str(self.properties)]
        done = subprocess.run(
            [java, "-Xmx128m", f"-Datp.kafka.log={self.log}", "-cp", f"{self.libs}/*", *tool],
            capture_output=True,
            text=True,
            check=False,
        )
        if done.returncode != 0:
            raise FatalError(
                f"Kafka could not format {self.data}:\n{(done.stdout + done.stderr).strip()[-2000:]}\n"
                "Free space or rights there, or start over: atp down --delete-data"
            )


def free_port() -> int:
    """Return a port of loopback that is free now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def _is_free(port: int) -> bool:
    with socket.socket() as probe:
        # As Kafka binds: connections of an earlier broker that linger do not hold the port.
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        with contextlib.suppress(OSError):
            probe.bind(("127.0.0.1", port))
            return True
    return False


def _pom_digest() -> str:
    return hashlib.sha256((OPS / "pom.xml").read_bytes()).hexdigest()


def _java() -> str | None:
    """Return a Java that is new enough."""
    home = os.environ.get("JAVA_HOME")
    for java in (f"{home}/bin/java" if home else None, shutil.which("java")):
        if java is None or not Path(java).exists():
            continue
        said = subprocess.run([java, "-version"], capture_output=True, text=True, check=False)
        version = re.search(r'version "(\d+)', said.stderr)
        if version and int(version[1]) >= JAVA:
            return java
    return None


def _main() -> int:
    """Resolve the jars of this home's broker, for whoever sets up before a run."""
    local = LocalKafka.at(Settings().home)
    if local.has_jars():
        return 0
    lacking = local.missing()
    if lacking is not None:
        log.warning("no local broker can run here: %s", lacking)
        return 0  # A given broker or Docker may serve; whoever needs one says what is missing.
    log.warning("fetching Apache Kafka's jars with Maven, about 43 MB, once ...")
    local.resolve_jars()
    return 0


if __name__ == "__main__":
    logging.basicConfig(format="%(message)s")
    sys.exit(_main())
