"""When a worker that runs `--until-idle` may leave: so that the last one to leave has folded everything."""

import time
from collections.abc import Sequence
from typing import Protocol

from streams.poller import SESSION_S, Poller

GHOST_S = SESSION_S + 2.0
"""Whoever dies amid a rebalance still holds partitions until its session is over; then they come to us."""


class Resting(Protocol):
    """Who knows since when there was nothing to do."""

    def idle_since(self) -> float | None: ...


class Idle:
    """Watches the topologies of a worker."""

    def __init__(self, hosts: Sequence[tuple[Resting, Poller]], seconds: float | None) -> None:
        """`seconds` without an event, at the end of every partition held, are enough; None: nothing ever is."""
        self._hosts = hosts
        self._seconds = seconds

    def reached(self) -> bool:
        """Say whether to leave. Asks the brokers, so that it may take a moment.

        What others hold counts as their business only while it is done, or once they have had the time to be
        missed.
        """
        if self._seconds is None:
            return False
        now = time.monotonic()
        moments = [owner.idle_since() for owner, _ in self._hosts]
        rests = [now - moment for moment in moments if moment is not None]
        if len(rests) < len(self._hosts) or min(rests) < self._seconds:
            return False
        return min(rests) >= self._seconds + GHOST_S or all(poller.others_done() for _, poller in self._hosts)
