"""Reserves an order of several SKUs: asks for each, and gives all back where one of them is not had.

Crash-safe by ids alone: there is no state to lose. Run it again on the same order, and it asks the same requests, hears
the same answers and comes to the same end, at whichever step it stopped before. What it waits for in vain is
*unknown*: it then gives nothing back, for the answer may be yes; run it again, or cancel the order.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Literal

from atp.effects import DeadLetter, RequestDecided
from atp.events import Event, OrderCancelled, ReservationReleased, ReservationRequested
from atp.orders import Order, cancellations, releases, requests
from streams.asker import Heard

Verdict = Literal["accepted", "rejected", "unknown"]

Ask = Callable[[Sequence[ReservationRequested]], Heard]
"""Sends requests and returns what was heard of them in time: `Asker.ask`, with answers given before among them."""
Publish = Callable[[Sequence[Event]], object]
"""Writes events to the ledger and returns once they lie there."""


@dataclass(frozen=True, slots=True)
class Reserved:
    """What became of an order."""

    verdict: Verdict
    """accepted: all of it is held. rejected: nothing of it is. unknown: some answers did not come in time."""
    requests: list[ReservationRequested]
    decided: dict[str, RequestDecided]
    """By request id."""
    refused: dict[str, DeadLetter]
    """By request id: what could not be decided at all."""
    released: list[ReservationReleased]
    """What was given back."""


class OrderSaga:
    """Reserves orders, one after the other."""

    def __init__(self, ask: Ask, publish: Publish) -> None:
        self._ask = ask
        self._publish = publish

    def reserve(self, order: Order) -> Reserved:
        """Hold all of an order or nothing. Raises: what asking and publishing raise; then run it again."""
        wanted = requests(order)
        heard = self._ask(wanted)
        answers = {one.request_id: heard.decided.get(one.request_id) for one in wanted}
        decided = {name: answer for name, answer in answers.items() if answer is not None}
        missing = [one for one in wanted if one.request_id not in heard]
        had = all(answer is not None and answer.decision == "accepted" for answer in answers.values())
        given_back: list[ReservationReleased] = []
        if missing:
            verdict: Verdict = "unknown"
        elif had:
            verdict = "accepted"
        else:
            verdict = "rejected"
            given_back = releases(order, decided)
            if given_back:
                self._publish(given_back)
        return Reserved(verdict, wanted, decided, dict(heard.refused), given_back)

    def cancel(self, order: Order) -> list[OrderCancelled]:
        """End an order for good, answers that are still to come included. Raises: as `reserve`."""
        ended = cancellations(order)
        self._publish(ended)
        return ended
