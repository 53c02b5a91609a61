"""Which version of an event is in force: duplicate, conflict, superseded, or the one that counts.

A rank orders the versions of one business key: `0|rev` for the event itself, `1|time|key` for a void, reversal
or correction of it. Ranks compare as text; the greatest is in force, in whatever order the versions come.
Source: docs/domain.md section 3.
"""

from collections.abc import Callable
from dataclasses import fields
from hashlib import blake2b
from operator import attrgetter
from typing import Any, Literal

from atp.book import Evidence
from atp.events import Correction, Envelope, Event, Reversal

# What a resend may change without being another statement: transport ids, sequences, times of recording.
TRANSPORT = {
    "source", "document", "rev", "sku", "source_seq", "event_id", "recorded_time", "actor", "trace_id", "uom",
    "uom_quantity",
}  # fmt: skip

LATER = {"substitutes"}
"""Fields that came later: no part of a digest where they say nothing, so that older statements keep theirs."""


def rank_of(event: Event) -> str:
    """The rank of an event among the versions of its own key."""
    return f"0|{event.rev:010d}"


def reversal_rank(event: Reversal, key: str) -> str:
    """The rank of a reversal among the versions of the key that it names."""
    return f"1|{event.event_time:020d}|{key}"


_business: dict[type[Envelope], tuple[Callable[[Any], tuple[Any, ...]], bool, tuple[str, ...]]] = {}
"""By kind of event: what reads its business fields, whether one of them is a mapping, and which came later."""


def digest(event: Event) -> bytes:
    """Eight bytes over the business fields: the same for a resend, different for another statement."""
    kind = type(event)
    if (business := _business.get(kind)) is None:
        stated = [field for field in fields(kind) if field.name not in TRANSPORT | LATER]
        mapping = any("dict" in str(field.type) for field in stated)
        later = tuple(field.name for field in fields(kind) if field.name in LATER)
        business = _business[kind] = attrgetter(*(field.name for field in stated)), mapping, later
    values = list(business[0](event))
    if isinstance(event, Correction) and event.replacement is not None:
        values = [*(v for v in values if v is not event.replacement), digest(event.replacement)]
    if business[1]:
        values = [sorted(v.items()) if isinstance(v, dict) else v for v in values]
    for name in business[2]:
        if (value := getattr(event, name)) is not None:
            values.append((name, value))
    return blake2b(repr(values).encode("utf-8", "surrogatepass"), digest_size=8).digest()


def compare(known: Evidence | None, rank: str, mine: bytes) -> Literal["new", "duplicate", "conflict", "superseded"]:
    """Judge a version of a key against the one in force."""
    if known is None or rank > known.rank:
        return "new"
    if rank < known.rank:
        return "superseded"
    return "duplicate" if known.digest == mine else "conflict"
