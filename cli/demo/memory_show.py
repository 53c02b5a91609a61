"""The same day through the in-memory host: the folds and codecs of the workers, without Kafka, judged all the same."""

import time
from dataclasses import asdict
from typing import Any

from atp.events import DAY
from avro_schemas import codec
from cli.demo.broker_show import KILL_AT
from cli.demo.day import Told
from cli.demo.scene import Scene
from cli.demo.screen import Screen
from cli.demo.summary import Batches, Seen
from cli.demo.telling import Raw
from oracle.compare import compare, differences
from oracle.recompute import Ledger, connect, recompute
from oracle.tables import (
    MARKER,
    add_ledger_record,
    fill_answers,
    fill_availability,
    fill_dead_letters,
    fill_erp_lines,
    fill_exceptions,
    fill_heard,
    fill_risks,
    fill_rows,
    fill_variances,
)
from oracle.wire import Reader
from streams.driver import TopologyDriver
from topologies import topics
from topologies.partitioning import partition_of

PARTITIONS = 4
BATCH = 100
SHOWN = 20
WINDOW = 7 * DAY

Records = list[tuple[bytes | None, bytes]]


class MemoryShow:
    """One run; `play` returns what was seen."""

    def __init__(self, told: Told, screen: Screen) -> None:
        self._told = told
        self._screen = screen
        self._scene = Scene()
        self._driver = TopologyDriver(partitions=PARTITIONS, window=WINDOW, batch_size=BATCH)
        self._ledger: list[Records] = [[] for _ in range(PARTITIONS)]
        self._read = 0

    def play(self) -> Seen:
        """Play the day, restart the host in the middle, and judge it. Raises: FatalError."""
        messages = self._told.messages
        began = time.monotonic()
        restarted = False
        for number, message in enumerate(messages):
            if not restarted and message.arrival >= KILL_AT:
                restarted = True
                self._restart()
            self._send(
                message.what
                if isinstance(message.what, Raw)
                else Raw(message.what.sku.encode(), codec.encode(message.what))
            )
            if number % BATCH == 0:
                self._take()
                self._screen.show(self._scene, number, len(messages), message.arrival)
        self._driver.flush()
        self._take()
        seconds = time.monotonic() - began
        self._screen.close()
        self._screen.say("everything is folded; the judge recomputes it ...")
        scene = self._scene
        return Seen(
            host="in-memory host",
            told_s=seconds,
            seconds=seconds,
            scene=scene,
            duplicates=self._driver.verdicts["duplicate"],
            batches=Batches("", lines=scene.lines, totals=scene.erp),
            verdict=self._judge(),
            killed=None,
            silent=0,
            takeover_s=None,
            killed_at=None,
        )

    def _send(self, raw: Raw) -> None:
        places = (partition_of(raw.key, PARTITIONS),) if raw.key else range(PARTITIONS)
        for place in places:
            self._ledger[place].append((raw.key or None, raw.value))
        self._driver.send_bytes(raw.key or None, raw.value)

    def _take(self) -> None:
        for effect in self._driver.effects[self._read :]:
            self._scene.take(effect, 0)
        self._read = len(self._driver.effects)

    def _restart(self) -> None:
        began = time.monotonic()
        self._driver.restart()
        self._screen.say(
            f"restart in the middle of the flash promotion: what was not committed is lost and folded again, "
            f"{time.monotonic() - began:.1f} s",
            loud=True,
        )

    def _judge(self) -> dict[str, Any]:
        """Do what `atp verify` does, with what lies in memory in the place of topics."""
        began = time.monotonic()
        db = connect()
        reader, ledger = Reader(), Ledger(db)
        for part, records in enumerate(self._ledger):
            for off, (key, value) in enumerate(records):
                add_ledger_record(ledger, reader, part, off, key, value, PARTITIONS)
        ledger.flush()
        rows = [
            (0, key.encode(), codec.encode_row(row))
            for key, row in self._driver.snapshot().items()
            if key[0] in "psnkcbtfurh"
        ]
        fill_rows(db, [*rows, (0, MARKER, b'{"position": 0}')], reader)
        for topic, fill in (
            (topics.AVAILABILITY, fill_availability),
            (topics.ERP_LINES, fill_erp_lines),
            (topics.VARIANCES, fill_variances),
            (topics.DECISIONS, fill_answers),
            (topics.RISKS, fill_risks),
            (topics.EXCEPTIONS, fill_exceptions),
            (topics.DEAD_LETTERS, fill_dead_letters),
        ):
            fill(db, ((one.key, one.value) for one in self._driver.outputs[topic.name]), reader)
        # Nobody folds kits here: they hear of nothing.
        told = self._driver.outputs[topics.KIT_COMPONENTS.name]
        fill_heard(db, (), reader, [one.key.decode().partition("|")[0] for one in told if one.key])
        recompute(db, WINDOW)
        found = compare(db)
        first = list(differences(db, SHOWN))
        db.close()
        return {
            "verdict": "different" if found.differences else "equal",
            **asdict(found),
            "seconds": round(time.monotonic() - began, 1),
            "first_differences": [asdict(one) for one in first],
        }
