"""Long random logs in which goods come back, come short, and fail to be found, and time goes on to the end."""

from dataclasses import replace
from typing import Any

from atp.events import DAY, Document, Event, Fact, GoodsReceived, ReturnReceived, TimeTicked
from tests.oracle.wild_promises import WildPromises


class WildExceptions(WildPromises):
    """Draws returns from orders among the rest, and some days without events at the end."""

    def log(self) -> list[Event]:
        days = (self.chance.randrange(9) * DAY, self.chance.randrange(9) * DAY) if self.ticks else ()
        events = super().log()
        for number, more in enumerate(days):
            self.now += more
            document = Document("tick", f"end {number}", 1)
            events.append(TimeTicked(source="clock", document=document, event_time=self.now))
        return events

    def _fact(self, base: dict[str, Any], kind: type[Fact] | None = None) -> Fact:
        fact = super()._fact(base, kind)
        if isinstance(fact, ReturnReceived) and self.chance.random() < 0.5:
            fact = replace(fact, order=self._order(base["event_time"]))
        if isinstance(fact, GoodsReceived) and fact.purchase_order and self.chance.random() < 0.3:
            fact = replace(fact, final=True)
        return fact
