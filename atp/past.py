"""The book as it was at a watermark: what it holds now, less what the watermark has not heard of.

A watermark is a time, and for the sources that it names the last of their messages; it hears as a count does. What is
taken off comes from the evidence, so a watermark must lie inside the window.
"""

from collections.abc import Iterator

from atp.book import BUCKETS, Claim, Evidence, Position, claim_key, evidence_key, position_key
from atp.catalogue import words
from atp.claims import standing
from atp.counts import Vector, Watermark, covers
from atp.draft import Draft
from atp.events import DAY

TIMED = {"take": 6, "out": 3, "picked": 2}
"""Words of a tally that end in the time of their event, and where in them it stands."""


def unheard(draft: Draft, sku: str, watermark: Watermark, oldest: int) -> Iterator[tuple[str, Evidence]]:
    """Yield what the watermark has not heard of, by event key."""
    prefix = evidence_key(sku, "")
    for key, row in draft.scan(prefix):
        if not isinstance(row, Evidence) or row.event_time < oldest:
            continue
        if not covers(watermark, row.event_time, row.source, row.source_seq):
            yield key[len(prefix) :], row


def moved_at(evidence: Evidence, location: str) -> Vector:
    """What an event adds to the buckets of a location."""
    vector = [0, 0, 0, 0]
    for leg in evidence.legs:
        for account, units in ((leg.source, -leg.quantity), (leg.target, leg.quantity)):
            parts = words(account)
            if len(parts) == len(("bucket", "location")) and parts[1] == location:
                vector[BUCKETS.index(parts[0])] += units
    return vector


def buckets_at(draft: Draft, sku: str, location: str, watermark: Watermark, oldest: int) -> Vector:
    """Units by bucket of a position, as of a watermark; what counts of a later time found is taken off too."""
    row = draft.get(position_key(sku, location))
    if not isinstance(row, Position):
        return [0, 0, 0, 0]
    held = [row.sellable, row.returned, row.quarantine, row.damaged]
    for _, evidence in unheard(draft, sku, watermark, oldest):
        if evidence.legs:
            held = [have - more for have, more in zip(held, moved_at(evidence, location), strict=True)]
    for count in row.counts:
        if count.as_of > watermark.as_of:
            held[BUCKETS.index(count.bucket)] -= count.variance
    return held


def claims_at(draft: Draft, sku: str, location: str, watermark: Watermark, oldest: int) -> int:
    """Open units of claims as of a watermark: placed at a location, or of the SKU as a whole where it is empty."""
    since: dict[str, dict[str, int]] = {}
    """By line and word: units that it has not heard of; 0 for a word that it has heard of in full."""
    for _, evidence in draft.scan(evidence_key(sku, "")):
        if not isinstance(evidence, Evidence) or not evidence.marks or evidence.event_time < oldest:
            continue
        heard = covers(watermark, evidence.event_time, evidence.source, evidence.source_seq)
        for mark in evidence.marks:
            of_line = since.setdefault(mark.line, {})
            of_line[mark.word] = of_line.get(mark.word, 0) + (0 if heard else mark.units)
    total = 0
    for key, row in draft.scan(claim_key(sku, "")):
        if not isinstance(row, Claim):
            continue
        later = since.get(key, {})
        tally = {}
        for word, units in row.tally.items():
            then = units - later.get(word, 0)
            # What a request took has no evidence of its own: its word says when.
            if then and not (_said_at(word) > watermark.as_of and word not in later):
                tally[word] = then
        then_held = standing(Claim(tally=tally, last_time=row.last_time), watermark.as_of)
        if location:
            total += sum(placed.units for placed in then_held.placed if placed.location == location)
        else:
            total += then_held.open
    return total


def _said_at(word: str) -> int:
    parts = word.split("|")
    at = TIMED.get(parts[0])
    return int(parts[at]) if at is not None else 0


def within(as_of: int, clock: int, tick: int | None, window: int) -> tuple[int, bool]:
    """The begin of the window, and whether a watermark's time lies in it and not over a day ahead of the last tick."""
    oldest = (clock if tick is None else min(clock, tick)) - window
    return oldest, as_of >= oldest and (tick is None or as_of <= tick + DAY)
