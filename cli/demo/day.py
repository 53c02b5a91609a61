"""A retail day as messages, in the order in which they reach the ledger, and what they must come to.

The day happens minute by minute; then each message travels: most arrive within seconds, some hours late, some
twice, some broken. Everything follows from the seed.
"""

import random
from dataclasses import dataclass

from atp.events import TimeTicked
from cli.demo.counts import counts
from cli.demo.customers import orders, promotion, shops
from cli.demo.goods import openings, policies, recall, receipts, transfers
from cli.demo.mail import close, resend, spoil, ticks
from cli.demo.plan import Plan
from cli.demo.promises import promises
from cli.demo.retailer import COUNTED
from cli.demo.slips import slips
from cli.demo.telling import END, OPENING, Message, Telling

LEAST = 2_000
"""Messages below which the stories have no room."""


@dataclass(frozen=True, slots=True)
class Told:
    """A day: its messages in order, ticks among them, and what they must come to."""

    messages: tuple[Message, ...]
    plan: Plan
    counted: str
    """The store whose count finds differences."""
    story: str
    """A SKU with something to tell there: a receipt that was booked twice, and the count that found it."""


def tell_day(events: int, seed: int) -> Told:
    """Tell a day of about `events` messages. Raises: ValueError below `LEAST`."""
    if events < LEAST:
        raise ValueError(f"a day needs at least {LEAST} events")
    day = Telling(events, random.Random(seed))  # noqa: S311 - a day that can be had again, no secret
    policies(day)
    openings(day)
    # What is told first happens first in its minute: a count sees what was there before that minute.
    for tell in (counts, recall, receipts, transfers, promotion, slips, orders, promises, shops):
        tell(day)
    for minute in range(OPENING, END):
        for step in day.waiting.pop(minute, ()):
            step(minute)
    resend(day)
    spoil(day)
    ticks(day)
    close(day)
    return _told(day)


def _told(day: Telling) -> Told:
    order = sorted(range(len(day.messages)), key=lambda n: (day.messages[n].arrival, n))
    messages = tuple(day.messages[n] for n in order)
    plan = day.plan
    plan.messages = sum(not isinstance(one.what, TimeTicked) for one in messages)
    plan.facts = plan.messages - plan.duplicates - plan.dead.total()
    plan.skus, plan.positions = len(day.retailer.products), len(day.on_hand)
    return Told(messages, plan, COUNTED, day.count_skus[0].sku)
