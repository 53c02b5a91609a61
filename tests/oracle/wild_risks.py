"""Long random logs in which channels say what they show, and time passes in steps short and long."""

from dataclasses import replace
from typing import Any

from atp.events import HOUR, MINUTE, ChannelAck, ChannelReported, Document, Event, PolicyChanged, TimeTicked
from tests.oracle.wild import CHANNELS
from tests.oracle.wild_promises import WildPromises

VERSIONS = 60
"""Channels name versions up to about this one: some were never given, some are of long ago."""


class WildRisks(WildPromises):
    """Draws words of channels, and ticks close behind what happens, among events of goods and promises."""

    def _one(self, number: int) -> list[Event]:
        chance = self.chance
        draw = chance.random()
        if draw < 0.08:
            return [self._word_of_a_channel(number)]
        events = super()._one(number)
        if self.ticks and draw > 0.7:
            self.now += chance.choice((0, MINUTE, 3 * MINUTE))
            document = Document("tick", f"close {number}", 1)
            events.append(TimeTicked(source="clock", document=document, event_time=self.now))
        return events

    def _word_of_a_channel(self, number: int) -> Event:
        chance = self.chance
        said: dict[str, Any] = {
            "source": "shop", "document": Document("word", str(number), 1),
            "event_time": self.now - chance.randrange(HOUR), "sku": f"A{chance.randrange(3)}",
            "channel": chance.choice(CHANNELS),
        }  # fmt: skip
        version = chance.randrange(1, max(2, number * VERSIONS // self.length))
        if chance.random() < 0.7:
            return ChannelAck(**said, version=version, epoch=0)
        return ChannelReported(**said, version=chance.choice((None, version)), quantity=chance.randrange(20))

    def _policy(self) -> PolicyChanged:
        chance = self.chance
        policy = super()._policy()
        if chance.random() < 0.5:
            return policy
        terms = replace(
            policy.policy,
            lag_s=chance.choice((None, 60, 7200)),
            tolerance_units=chance.choice((None, None, None, None, 3)),
        )
        return replace(policy, policy=terms)
