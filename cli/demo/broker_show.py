"""The day on a real Kafka: published at a pace, folded by two workers, one of which is killed at its busiest."""

import json
import os
import subprocess
import sys
import time
from dataclasses import dataclass, field
from typing import Any

from atp.book import business_key
from atp.errors import FatalError
from atp.events import MINUTE, TimeTicked
from avro_schemas import codec
from cli.demo.day import Told
from cli.demo.outputs import Outputs, watching
from cli.demo.scene import TRACED, Scene
from cli.demo.screen import Screen
from cli.demo.stage import Crew, Lag, Stage
from cli.demo.summary import Batches, Seen
from cli.demo.telling import MIDNIGHT, PROMO_START, Message, Raw
from streams.ledger import LedgerWriter

WORKERS = 2
PLAY_S = 60.0
"""How long the day takes where nothing else is asked for: long enough to watch, short enough to wait for."""
KILL_AT = MIDNIGHT + (PROMO_START + 6) * MINUTE
"""In the flash promotion, when it hurts most."""
LOOK_S = 0.02
SILENT_S = 3.0
"""A partition that says nothing for so long after the kill was the dead worker's."""
FOLDED_S = 90.0


@dataclass(slots=True)
class Takeover:
    """What became of the partitions of the worker that was killed, told by their answers alone."""

    pid: int
    at: float
    """`time.monotonic()`."""
    lost: dict[int, float | None] = field(default_factory=dict)
    """Partitions that fell silent, and when they answered again."""
    judged: bool = False

    def look(self, last_answer: dict[int, float]) -> None:
        """Look at when each partition last answered."""
        now = time.monotonic()
        if not self.judged and now - self.at > SILENT_S:
            self.judged = True
            self.lost = {p: None for p, heard in last_answer.items() if heard < now - SILENT_S / 2}
        for partition, back in self.lost.items():
            if back is None and last_answer[partition] > self.at + SILENT_S / 2 and self.judged:
                self.lost[partition] = last_answer[partition]

    @property
    def back(self) -> int:
        return sum(one is not None for one in self.lost.values())

    @property
    def seconds(self) -> float | None:
        """From the kill to the last first answer; None while somebody is silent, or nobody was."""
        times = [one for one in self.lost.values() if one is not None]
        return max(times) - self.at if times and len(times) == len(self.lost) else None


class BrokerShow:
    """One run; `play` returns what was seen."""

    def __init__(self, stage: Stage, told: Told, screen: Screen, *, fast: bool) -> None:
        self._stage = stage
        self._told = told
        self._screen = screen
        self._rate = 0.0 if fast else len(told.messages) / PLAY_S
        self._scene = Scene()
        self._takeover: Takeover | None = None
        self._announced = False

    def play(self) -> Seen:
        """Play the day to the end and let everybody check it. Raises: FatalError."""
        scene = self._scene
        with watching(self._stage.brokers, self._stage.settings, scene) as outputs:
            self._screen.say(f"starting {WORKERS} workers ...")
            crew = Crew(self._stage, WORKERS)
            try:
                if not crew.ready:
                    raise FatalError(f"the workers did not start. See why: {crew.runners[0].log}")
                self._screen.say(f"{WORKERS} workers fold: {', '.join(f'pid {pid}' for pid in crew.pids())}")
                began = time.monotonic()
                self._publish(crew, outputs)
                told_s = time.monotonic() - began
                self._drain(outputs)
                seconds = time.monotonic() - began
            finally:
                self._screen.close()
                crew.stop()
        self._screen.say("everything is folded; the workers have gone home")
        batches = self._erp()
        verdict = self._verify()
        takeover = self._takeover
        return Seen(
            host=f"{self._stage.kind} broker",
            told_s=told_s,
            seconds=seconds,
            scene=scene,
            duplicates=int(verdict.get("verdicts", {}).get("duplicate", 0)),
            batches=batches,
            verdict=verdict,
            killed=None if takeover is None else takeover.pid,
            silent=0 if takeover is None else len(takeover.lost),
            takeover_s=None if takeover is None else takeover.seconds,
            killed_at=None if takeover is None else takeover.at,
        )

    # The day ----------------------------------------------------------------------------------------------------

    def _publish(self, crew: Crew, outputs: Outputs) -> None:
        began = time.monotonic()
        with LedgerWriter(self._stage.settings, self._stage.brokers) as writer:
            for number, message in enumerate(self._told.messages):
                if self._takeover is None and message.arrival >= KILL_AT:
                    self._kill(crew)
                if number % 50 == 0:
                    self._watch(outputs, number, message.arrival)
                    while self._rate and number / self._rate > time.monotonic() - began:
                        time.sleep(LOOK_S)
                        self._watch(outputs, number, message.arrival)
                self._write(writer, message, number)

    def _write(self, writer: LedgerWriter, message: Message, number: int) -> None:
        what = message.what
        if isinstance(what, Raw):
            writer.write(what.key, what.value)
            return
        if number % TRACED == 0 and what.sku and not isinstance(what, TimeTicked):
            self._scene.trace(business_key(what.source, what.document, type(what).__name__, what.sku))
        writer.write(what.sku.encode(), codec.encode(what))

    def _kill(self, crew: Crew) -> None:
        pid = crew.kill_one()
        if pid is not None:
            self._takeover = Takeover(pid, time.monotonic())
            self._screen.say(f"kill -9 {pid}: a worker is gone in the middle of the flash promotion", loud=True)

    def _watch(self, outputs: Outputs, told: int, arrival: int) -> int:
        taken = outputs.take()
        takeover = self._takeover
        if takeover is not None and not self._announced:
            takeover.look(self._scene.last_answer)
            if (seconds := takeover.seconds) is not None:
                self._announced = True
                self._screen.say(
                    f"takeover: the {len(takeover.lost)} partitions of {takeover.pid} answer again, "
                    f"{seconds:.1f} s after the kill",
                    loud=True,
                )
        self._screen.show(self._scene, told, len(self._told.messages), arrival)
        return taken

    def _drain(self, outputs: Outputs) -> None:
        """Wait until everything is folded and every output read."""
        lag = Lag(self._stage)
        deadline = time.monotonic() + FOLDED_S
        asked = 0.0
        behind = 1
        total = len(self._told.messages)
        try:
            while True:
                taken = self._watch(outputs, total, self._told.messages[-1].arrival)
                if time.monotonic() - asked > 0.5:
                    asked, behind = time.monotonic(), lag.records()
                if not behind and not taken and outputs.caught_up:
                    return
                if time.monotonic() > deadline:
                    raise FatalError(
                        f"{behind} records are not folded after {FOLDED_S:.0f} s. "
                        f"See why: {self._stage.settings.home / 'runners'}"
                    )
                time.sleep(LOOK_S)
        finally:
            lag.close()

    # The others check it ----------------------------------------------------------------------------------------

    def _erp(self) -> Batches:
        """Have the ERP's batches written, for real, and read what their manifests add up to."""
        out = self._stage.settings.home / "erp"
        lines = self._run("erp-batches", "--out", str(out), "--until-idle", "1", "--every", "0", "--json")
        batches = Batches(str(out))
        for line in lines:
            manifest = json.loads(line)
            batches.add(manifest["lines"], manifest["quantity_by_type"])
        return batches

    def _verify(self) -> dict[str, Any]:
        lines = self._run("verify", "--json", "--wait", "30")
        found: dict[str, Any] = json.loads(lines[-1]) if lines else {"verdict": "nothing to verify"}
        return found

    def _run(self, *words: str) -> list[str]:
        self._screen.say(f"atp {' '.join(os.path.relpath(w) if w.startswith('/') else w for w in words)} ...")
        done = subprocess.run(
            [sys.executable, "-m", "cli", *words],
            env={**os.environ, **self._stage.settings.environ()},
            capture_output=True,
            text=True,
            check=False,
        )
        if not done.stdout.strip():
            raise FatalError(f"atp {words[0]} said nothing and ended with {done.returncode}: {done.stderr.strip()}")
        return done.stdout.strip().splitlines()
