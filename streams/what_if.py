"""What events would change if they came now: folded over a SKU's rows in memory, and published nowhere.

    supposed = suppose(rows, sku, events, frame)
    supposed.before, supposed.after     # as `atp show --json` has them
    supposed.effects                    # what would be published, in order

The production fold runs, one event at a time, as in a worker. An event that is known already is a duplicate here as
it would be there; a SKU-less one (a policy, a tick) is folded for this SKU alone.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

from atp.book import Rows
from atp.effects import AvailabilityChanged, Effect
from atp.errors import FatalError
from atp.events import Event
from atp.fold import Frame, fold
from streams.answer import Answer, answer
from streams.overlay import Overlay


class Compared(NamedTuple):
    """A list of an answer: what tells its entries apart, and the figures that may differ."""

    keys: tuple[str, ...]
    figures: tuple[str, ...]


COMPARED = {
    "positions": Compared(
        ("location",),
        (
            "on_hand", "sellable", "returned", "quarantine", "damaged", "in_transit_in", "reserved_soft",
            "reserved_firm", "allocated", "safety_stock", "eligible", "atp_raw", "atp", "status",
        ),
    ),
    "availability": Compared(
        ("channel",),
        ("atp", "status", "pool", "ring", "share_percent", "buffer", "cap", "locations", "next_available", "horizon"),
    ),
    "claims": Compared(("order", "line"), ("state", "open", "pending", "placed")),
    "ring_fences": Compared(("channel",), ("granted", "taken", "open")),
    "supply": Compared(("purchase_order", "line"), ("ordered", "confirmed", "shipped", "received", "open")),
    "transfers": Compared(("transfer",), ("shipped", "received", "lost", "open")),
    "risks": Compared(("kind", "scope"), ("severity", "quantity")),
}  # fmt: skip
"""The lists of an answer in which a difference is news."""


@dataclass(frozen=True, slots=True)
class Step:
    """What became of one event."""

    event: Event
    verdict: str
    detail: str
    """Why it would be refused; empty where it would not."""


@dataclass(frozen=True, slots=True)
class Supposed:
    """The SKU before and after, and what would be said."""

    before: Answer
    after: Answer
    steps: Sequence[Step]
    effects: Sequence[Effect] = field(default_factory=list)
    """As published one event at a time; a worker that folds several together leaves out all but a key's last answer."""


def suppose(rows: Rows, sku: str, events: Iterable[Event], frame: Frame) -> Supposed:
    """Fold the events over the rows, which stay as they are. Raises: FatalError on an event of another SKU."""
    overlay = Overlay(rows)
    steps: list[Step] = []
    effects: list[Effect] = []
    for event in events:
        if event.sku not in ("", sku):
            raise FatalError(
                f"{type(event).__name__} of document {event.document.id} is of SKU {event.sku}, and the question is "
                f"about {sku}. Ask for each SKU by itself: atp what-if {event.sku} --event FILE"
            )
        outcome = fold(overlay, event, frame)
        overlay.apply(outcome.changes)
        effects += _last_answers(outcome.effects)
        steps.append(Step(event, outcome.verdict, "" if outcome.refusal is None else outcome.refusal.detail))
    return Supposed(answer(rows, sku), answer(overlay, sku), steps, effects)


def _last_answers(effects: Sequence[Effect]) -> list[Effect]:
    """Leave out answers that a later one of the same event replaces, as a batch does."""
    last = {effect.key: effect for effect in effects if isinstance(effect, AvailabilityChanged)}
    return [e for e in effects if not isinstance(e, AvailabilityChanged) or last[e.key] is e]


def changes(supposed: Supposed) -> dict[str, list[Answer]]:
    """Say which entries of the answer's lists would change, and how."""
    before, after = supposed.before, supposed.after
    return {
        name: differences(before.get(name, []), after.get(name, []), *compared) for name, compared in COMPARED.items()
    }


def differences(
    before: Sequence[Answer], after: Sequence[Answer], keys: Sequence[str], figures: Sequence[str]
) -> list[Answer]:
    """Compare two lists of entries that `keys` tell apart; return those whose `figures` differ.

    Each with its keys and `changes`: {figure: [before, after]}; null before for what is new, after for what is gone.
    """
    was, now = ({tuple(entry[key] for key in keys): entry for entry in entries} for entries in (before, after))
    changed = []
    for key in sorted(was.keys() | now.keys()):
        one, other = was.get(key, {}), now.get(key, {})
        changes = {name: [one.get(name), other.get(name)] for name in figures if one.get(name) != other.get(name)}
        if changes:
            changed.append({**dict(zip(keys, key, strict=True)), "changes": changes})
    return changed
