"""Composition root: settings into poller, Faust app, agent, tasks, ticker, HTTP; their start, their end.

A worker ends with 0 when it was told to stop, or had nothing to do for as long as it was asked to wait. Whatever it
cannot handle ends the process on the spot with 3, from whichever thread meets it.
"""

import asyncio
import gc
import logging
import os
import signal
import sys
import threading
import time
import traceback
from collections.abc import Sequence
from pathlib import Path

from atp.errors import AtpError, FatalError
from streams import slot
from streams.agent import add_agent
from streams.batch import FOLD
from streams.cluster import listens, refuse_old
from streams.idle import Idle
from streams.intake_tasks import IntakeTasks
from streams.metrics import Metrics
from streams.poller import Poller
from streams.query import Query
from streams.settings import Settings
from streams.table import Shared
from streams.task import Surroundings
from streams.tasks import Tasks
from streams.ticker import Ticker
from streams.transport import BatchApp
from streams.units import units_of
from topologies.intake import Intake
from topologies.inventory import INVENTORY
from topologies.kits import KITS
from topologies.topics import LEDGER
from topologies.topology import Topology

CRASHED = 3
"""Exit code of a worker that cannot go on; whoever runs it starts it again."""
BACKLOG_BATCHES = 4
"""Batches of a partition that wait in memory at most before its fetching is paused."""
LOOK_S = 0.2
GC_THRESHOLDS = (500_000, 20, 100)
"""Rows and events hold no cycles: looking for them as often as Python does costs a quarter of the time.

The first figure is more than what a batch makes, so that most of it is gone before anyone looks (10 % of the time).
"""

AnyTopology = Topology | Intake

log = logging.getLogger(__name__)


def run(
    settings: Settings,
    brokers: str,
    topologies: Sequence[AnyTopology],
    *,
    state: Path | None,
    until_idle_s: float | None,
) -> None:
    """Work until told to stop (SIGTERM, SIGINT), or until idle for `until_idle_s` seconds. Raises: FatalError."""
    if sys.flags.optimize:
        raise FatalError("asserts guard the state, and -O takes them out. Start Python without -O")
    refuse_old(brokers)
    mine = slot.take(settings, state)
    try:
        asyncio.run(_work(settings, brokers, topologies, mine, until_idle_s))
    finally:
        mine.release()


def crash(error: BaseException) -> None:
    """End the process on the spot: what is not committed is folded again by whoever comes next."""
    if not isinstance(error, AtpError):
        traceback.print_exception(error)
    log.critical("stopped reason=%s", error)
    sys.stderr.write(f"error: {error}\n")  # The last words, whatever the log is set to.
    sys.stderr.flush()
    os._exit(CRASHED)


def _need_not_wait(brokers: str, mine: slot.Slot) -> None:
    """While a worker leaves that was told to: end the process once its brokers are away.

    Its clients would wait for their answers, each of them for a minute. What is not committed is folded again.
    """
    while listens(brokers):
        time.sleep(LOOK_S)
    log.warning("no broker answers at %s: left at once, what is not committed will be folded again", brokers)
    mine.release()
    os._exit(0)


async def _work(
    settings: Settings, brokers: str, topologies: Sequence[AnyTopology], mine: slot.Slot, until_idle_s: float | None
) -> None:
    shared, metrics = Shared(), Metrics()
    apps: list[BatchApp] = []
    owners: list[Tasks | IntakeTasks] = []
    pollers: list[Poller] = []
    for topology in topologies:
        owner: Tasks | IntakeTasks
        if isinstance(topology, Intake):
            owner = IntakeTasks(settings, brokers, topology, units_of(settings.units), metrics, crash)
        else:
            around = Surroundings(settings, brokers, topology, mine.folder / topology.name, shared, metrics, crash)
            owner = Tasks(around)
        poller = Poller(brokers, owner.group, owner, BACKLOG_BATCHES * settings.batch_max, crash)
        app = BatchApp(owner.group, poller)
        for topic in owner.topics:
            add_agent(app, [topic], poller, owner.hand_over, crash)
        apps.append(app)
        owners.append(owner)
        pollers.append(poller)
    stateful = [owner for owner in owners if isinstance(owner, Tasks)]
    inventory = next((owner for owner in stateful if owner.name == INVENTORY.name), None)
    ticker = None
    if inventory is not None and settings.ticks == "wall":
        ticker = Ticker(brokers, settings.topic_prefix + LEDGER.name, inventory)
    kits = next((owner for owner in stateful if owner.name == KITS.name), None)
    query = Query(settings.http_host, metrics, inventory, settings.http_port, kits)
    query.start()
    mine.announce(query.url, brokers, settings.topic_prefix)
    log.info("serving url=%s state=%s fold=%s", query.url, mine.folder, FOLD)
    stop = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    for app in apps:
        await app.start()
    if ticker is not None:
        ticker.start()
    gc.collect()
    gc.freeze()
    gc.set_threshold(*GC_THRESHOLDS)
    idle = Idle(list(zip(owners, pollers, strict=True)), until_idle_s)
    while not stop.is_set() and not await asyncio.to_thread(idle.reached):
        try:
            await asyncio.wait_for(stop.wait(), LOOK_S)
        except TimeoutError:
            continue
    log.info("leaving reason=%s", "told to stop" if stop.is_set() else "idle")
    if stop.is_set():
        threading.Thread(target=_need_not_wait, args=(brokers, mine), name="leaving", daemon=True).start()
    if ticker is not None:
        ticker.stop()
    for app in apps:
        await app.stop()
    for tasks in stateful:
        tasks.wait_readable()
    query.stop()
