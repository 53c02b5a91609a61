"""`atp worker`."""

import logging
import os
import signal
import sys
from pathlib import Path
from typing import Annotated, Literal

import typer

from atp.errors import FatalError
from streams.app import AnyTopology, run
from streams.broker import named_brokers
from streams.cluster import wait_for
from streams.settings import Settings
from streams.topics_admin import ensure_topics
from topologies.intake import INTAKE
from topologies.inventory import INVENTORY
from topologies.kits import KITS

TOPOLOGIES: dict[str, AnyTopology] = {"inventory": INVENTORY, "intake": INTAKE, "kits": KITS}


def worker(
    topology: Annotated[str | None, typer.Option(help=f"Run this one alone: {', '.join(TOPOLOGIES)}.")] = None,
    until_idle: Annotated[
        float | None,
        typer.Option(metavar="SECONDS", help="End once everything is folded and no event came for this long."),
    ] = None,
    ticks: Annotated[
        Literal["wall", "off"] | None, typer.Option(help="Who writes ticks: the wall clock, or whoever publishes.")
    ] = None,
    state: Annotated[
        Path | None, typer.Option(metavar="DIR", help="Its state folder; without it, each worker takes one of its own.")
    ] = None,
) -> None:
    """Fold the ledger: run the topologies until told to stop.

    As many workers as you like share the partitions, on one machine or many. One that meets what it cannot
    handle ends with 3; start it again, or let `atp up` do so.

    Examples:

        atp worker

        atp worker --until-idle 5 --ticks off

        atp worker --topology inventory --state /var/lib/atp/1
    """
    logging.basicConfig(
        level=os.environ.get("LOGLEVEL", "INFO"), format="%(asctime)s %(levelname)s %(name)s %(message)s"
    )
    # What they tell of services that start and stop is of no use to an operator.
    for name in ("faust", "mode", "streams.transport"):
        logging.getLogger(name).setLevel(logging.WARNING)
    if topology is not None and topology not in TOPOLOGIES:
        raise FatalError(f"there is no topology {topology}. Try one of: {', '.join(TOPOLOGIES)}")
    settings = Settings() if ticks is None else Settings().model_copy(update={"ticks": ticks})
    brokers = named_brokers(settings)
    # Until it has partitions to let go of, it may end on the spot.
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: sys.exit(0))
    wait_for(brokers)
    ensure_topics(brokers, settings)
    chosen = [TOPOLOGIES[topology]] if topology is not None else list(TOPOLOGIES.values())
    run(settings, brokers, chosen, state=state, until_idle_s=until_idle)
