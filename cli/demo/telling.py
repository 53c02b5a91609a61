"""The day while it is being told: what lies where, what was sent, what is to come."""

import random
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import UTC, datetime

from atp.events import MINUTE, SECOND, Document, Event, Fact
from cli.demo.plan import Plan, moves
from cli.demo.retailer import STORIES, Product, Retailer, retailer

MIDNIGHT = int(datetime(2026, 11, 27, tzinfo=UTC).timestamp()) * SECOND
"""The day: a Friday in November, when retailers have the most to promise."""

FIRST_TICK, OPENING, OPEN, CLOSE, END = 5 * 60, 5 * 60 + 30, 8 * 60, 22 * 60, 22 * 60 + 30
PROMO_START, PROMO_END, RESTOCK = 12 * 60, 12 * 60 + 40, 13 * 60 + 10
"""Minutes of the day."""

OPENED = 60
"""Units that a position with a story opens with beyond its share: it shall not run out before it is counted."""

Step = Callable[[int], None]
"""Something that happens in a minute of the day."""


@dataclass(frozen=True, slots=True)
class Raw:
    """Bytes, good or bad, under the key of some SKU; an empty key goes to every partition."""

    key: bytes
    value: bytes


@dataclass(frozen=True, slots=True)
class Message:
    """What reaches the ledger: an event or bytes, and when (microseconds since 1970-01-01 UTC)."""

    arrival: int
    what: Event | Raw


class Telling:
    """Told minute by minute in event time, so that goods are sold where they are."""

    def __init__(self, events: int, chance: random.Random) -> None:
        self.events = events
        """About how many messages."""
        self.chance = chance
        self.retailer: Retailer = retailer(events, chance)
        self.plan = Plan()
        self.on_hand: dict[tuple[str, str], int] = {}
        self.sellable: dict[tuple[str, str], int] = {}
        """Units by (SKU, location), at the minute that is being told."""
        self.messages: list[Message] = []
        self.waiting: dict[int, list[Step]] = {}
        self.papers = 0
        self.once: set[int] = set()
        """Places in `messages` that must not be sent again."""
        plain = [one for one in self.retailer.products if not one.promoted]
        self.recalled = plain[len(plain) // 2]
        stories = [one for one in self.retailer.products[:STORIES] if one is not self.recalled]
        self.count_skus, self.offline_skus = stories, stories[:4]
        """SKUs that `COUNTED` and `OFFLINE` count."""
        # SKUs of which the DCs have little until a receipt in the afternoon.
        self.thin = [one for one in plain[:30] if one is not self.recalled][:: max(1, min(30, len(plain)) // 6)][:6]
        self.burst = max(40, events // 10 // len(self.retailer.promoted))
        """Units of each promoted SKU that the marketplaces sell in the flash promotion."""
        self.store_sales = int(events * 0.66)

    def at(self, minute: int, step: Step) -> None:
        """Let a step happen in that minute."""
        self.waiting.setdefault(max(OPENING, minute), []).append(step)

    def paper(self, kind: str, where: str, line: int = 1) -> Document:
        """A paper that nothing else is written on."""
        self.papers += 1
        return Document(kind, f"{where}-{self.papers}", line)

    def moment(self, minute: int) -> int:
        """A moment within the minute, never on its edge."""
        return MIDNIGHT + minute * MINUTE + self.chance.randrange(1, 60) * SECOND

    def send(self, event: Event, *, after: int | None = None, once: bool = False) -> None:
        """Send an event; it arrives within two seconds, or `after` so many microseconds."""
        delay = self.chance.randrange(2 * SECOND) if after is None else after
        if once:
            self.once.add(len(self.messages))
        named = replace(event, event_id=f"m-{len(self.messages):06d}")
        self.messages.append(Message(event.event_time + delay, named))
        self.plan.delayed += delay > MINUTE

    def move(self, event: Fact, *, after: int | None = None, once: bool = False) -> None:
        """Send an event and move its goods."""
        self.book(event)
        self.send(event, after=after, once=once)

    def book(self, event: Fact) -> None:
        """Move the goods of an event whose message is sent apart."""
        kind, on_hand, sellable = moves(event)
        if kind:
            here = event.sku, event.location
            self.plan.erp[kind] += on_hand
            self.on_hand[here] = self.on_hand.get(here, 0) + on_hand
            self.sellable[here] = self.sellable.get(here, 0) + sellable

    def free(self, product: Product, location: str) -> int:
        """Units that may be sold there."""
        return self.sellable.get((product.sku, location), 0)
