"""Kits by their definition: what can be put together, location by location, of what their components leave.

Source: docs/domain.md, Kits.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from atp.events import Event, MasterChanged
from tests.core.log_model import Judged, parameter

Exposed = Mapping[tuple[str, str], int]
"""Units that channels may promise from, by (SKU, location)."""
Available = Mapping[tuple[str, str], int]
"""What may be promised, by (SKU, channel)."""


@dataclass(frozen=True)
class Kit:
    """A SKU that a bill calls a kit, and what one takes by the bill in force."""

    sku: str
    needed: Mapping[str, int]


def kits_of(log: Iterable[Event], tick: int | None) -> list[Kit]:
    """The kits by the bills of a log: of each the one dated last, once its time has come."""
    said: dict[tuple[object, ...], MasterChanged] = {}
    for event in log:
        if isinstance(event, MasterChanged) and event.kit:
            key = (event.source, *event.document)
            if key not in said or said[key].rev < event.rev:
                said[key] = event
    kits = []
    for name in sorted({bill.kit for bill in said.values()}):
        come = [b for b in said.values() if b.kit == name and (tick is None or b.event_time <= tick)]
        latest = max(come, key=lambda b: (b.event_time, b.document), default=None)
        kits.append(Kit(name, (latest.components or {}) if latest else {}))
    return kits


def kit_answers(j: Judged, kits: Iterable[Kit], exposed: Exposed, available: Available) -> dict[tuple[str, str], int]:
    """What channels may promise of kits, by (kit, channel)."""
    found = {}
    for kit in kits:
        channels = {"all", *j.names_of_channels(kit.sku)}
        channels |= {channel for sku, channel in available if sku in (kit.sku, *kit.needed)}
        for channel in channels:
            found[kit.sku, channel] = _answer(j, kit, channel, exposed, available)
    return found


def _answer(j: Judged, kit: Kit, channel: str, exposed: Exposed, available: Available) -> int:
    def through(sku: str) -> int:
        return available.get((sku, channel), available.get((sku, "all"), 0))

    def serves(sku: str, place: str) -> bool:
        chosen = parameter(j, "locations", sku=sku, location=None, channel=channel)
        eligible = parameter(j, "eligible", sku=sku, location=place, channel=channel)
        return not (isinstance(chosen, tuple) and place not in chosen) and eligible is not False

    together = 0
    for place in {place for _, place in exposed}:
        if all(serves(sku, place) for sku in (kit.sku, *kit.needed)):
            together += min((exposed.get((sku, place), 0) // n for sku, n in kit.needed.items()), default=0)
    promised = min((through(sku) // n for sku, n in kit.needed.items()), default=0)
    units = through(kit.sku) + min(together, promised)
    cap = parameter(j, "cap", sku=kit.sku, location=None, channel=channel)
    return min(units, cap) if isinstance(cap, int) else units
