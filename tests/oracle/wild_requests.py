"""Long random logs in which many units are asked for, and nobody doubts a position."""

from dataclasses import replace

from atp.events import Event, PolicyChanged
from tests.oracle.wild_promises import WildPromises


class WildRequests(WildPromises):
    """Draws more requests than `WildPromises`, and no policy by which positions are trusted less."""

    def _one(self, number: int) -> list[Event]:
        if self.chance.random() < 0.15:
            return [self._request(number)]
        return super()._one(number)

    def _policy(self) -> PolicyChanged:
        policy = super()._policy()
        return replace(policy, policy=replace(policy.policy, verify_days=None, haircuts=None))
