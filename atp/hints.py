"""What may have caused a difference: a guess in words, never an action."""

from collections.abc import Sequence

from atp.book import Masters, Position, Variance, masters_key, position_key, variance_key
from atp.differences import TIMING
from atp.draft import Draft

Moved = tuple[str, int, int, bool]
"""An event's key, its time, the units that it moved in scope, and whether it came after the watermark."""
UNEXPLAINED = "not explained by any one document"
ONCE = "counted but not booked, or booked but not counted"
TWICE = "booked with the wrong sign"


def explain(draft: Draft, sku: str, location: str, diff: int, as_of: int, moved: Sequence[Moved]) -> str:
    """Name what explains a difference best: one document, timing, a unit of measure, another location."""
    later = [(key, units) for key, _, units, after in moved if after]
    fits = sorted(key for key, units in later if units == diff)
    if fits:
        return f"{TIMING}: equals {fits[0]}, which is dated after it"
    if later and sum(units for _, units in later) == diff:
        return f"{TIMING}: equals all that is dated after it"
    if found := by_document(diff, as_of, [(key, time, units) for key, time, units, _ in moved]):
        return found
    if (pack := _pack(draft, sku, location, diff)) is not None:
        return f"a multiple of the pack factor {pack[1]} of {pack[0]}: a unit of measure taken for another"
    if (other := _opposite(draft, sku, location, diff)) is not None:
        return f"equal and opposite at {other}: goods scanned at the wrong location"
    return UNEXPLAINED


def by_document(diff: int, as_of: int, moved: Sequence[tuple[str, int, int]]) -> str:
    """Name the event (key, time, units) whose quantity the difference is, once or twice: the nearest in time."""
    for times, words in ((1, ONCE), (2, TWICE)):
        fits = [(abs(time - as_of), key) for key, time, units in moved if units and abs(diff) == times * abs(units)]
        if fits:
            return f"equals {times} x {min(fits)[1]}: {words}"
    return ""


def pack_factors(draft: Draft, sku: str, location: str) -> dict[str, int]:
    """Units by pack, from the master data of the SKU: attributes named `pack` or `pack.case` that are whole numbers."""
    found: dict[str, int] = {}
    for key in (masters_key(sku, ""), masters_key(sku, location)):
        row = draft.get(key)
        for entry in row.entries if isinstance(row, Masters) else ():
            for name, text in entry.attributes.items():
                if (name == "pack" or name.startswith("pack.")) and text.isascii() and text.isdecimal():
                    found[name.removeprefix("pack.")] = int(text)
    return {name: units for name, units in found.items() if units > 1}


def _pack(draft: Draft, sku: str, location: str, diff: int) -> tuple[str, int] | None:
    for name, units in sorted(pack_factors(draft, sku, location).items(), key=lambda item: -item[1]):
        # Cases taken for units, or units for cases: off by a multiple of the pack less the packs themselves.
        if diff % units == 0 or (units != 2 and diff % (units - 1) == 0):
            return name, units
    return None


def _opposite(draft: Draft, sku: str, location: str, diff: int) -> str | None:
    prefix = variance_key(sku, "", "")[:-1]
    for _, row in draft.scan(prefix):
        if not isinstance(row, Variance) or row.opened_at is None or row.location in ("", location):
            continue
        if row.observed - row.expected == -diff:
            return row.location
    places = position_key(sku, "")
    for key, row in draft.scan(places):
        place = key[len(places) :]
        if isinstance(row, Position) and place != location and any(count.variance == -diff for count in row.counts):
            return place
    return None
