"""The product: `fold(rows, event, frame) -> Outcome`, pure and deterministic."""

from typing import Literal

from atp.book import Row, Rows
from atp.effects import Effect, Refusal
from atp.events import Event, immutable

Verdict = Literal[
    "folded",  # it is in force, whether or not it moved anything
    "duplicate",  # known already, to the digest
    "superseded",  # an older version of what is in force
    "not_folded_yet",  # valid, kept in the ledger, without a fold so far
    "conflict",  # known already, with other business fields: refused
    "late",  # over the window behind its SKU's clock: refused
    "future",  # over a day after the last tick: refused
    "invalid",  # cannot mean anything: refused
]


@immutable
class Frame:
    """What a fold knows beside rows and event."""

    window: int
    """`W`, in microseconds."""
    epoch: int = 0
    """Rises by a rebuild only."""


@immutable
class Outcome:
    """What folding one event comes to."""

    verdict: Verdict
    changes: dict[str, Row | None]
    """Rows to write, None to delete; the host applies them before the next fold."""
    effects: tuple[Effect, ...]
    refusal: Refusal | None = None
    """Present with the verdicts that refuse: the host dead-letters the record."""


def fold(rows: Rows, event: Event, frame: Frame) -> Outcome:
    """Fold one event into the rows of its partition.

    Reads `rows`, changes nothing. An event without a SKU is folded for everything in its scope that the
    partition holds. Raises: nothing that data can cause.
    """
    raise NotImplementedError
