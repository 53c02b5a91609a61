"""Master data: attributes of SKUs and locations, as sources state them.

What the fold itself reads: of a location `zone` (such as Europe/Berlin) and `cut_off` (such as 04:00), which make its
trading day, and `opens` and `closes`, without which silence means nothing; of a SKU `pack`, or `pack.case` and the
like, for hints, and the SKUs that may be offered instead, for advice. A MasterChanged without a location holds for all
locations that state nothing themselves.
"""

from atp.admission import digest
from atp.book import MasterEntry, Masters, Row, Rows, key_of, masters_key
from atp.calendar import open_time, trading_day
from atp.draft import Draft
from atp.effects import Cause
from atp.events import MasterChanged
from atp.outcome import Frame, Outcome, refuse
from atp.planning import plan_later

ANYWHERE = masters_key("", "")


def change(rows: Rows, event: MasterChanged, frame: Frame, tick: int | None) -> Outcome:
    """Note what is stated of a SKU or a location; of each document the greatest revision stands."""
    key = key_of(event)
    where = masters_key(event.sku, event.location)
    row = rows.get(where)
    entries = row.entries if isinstance(row, Masters) else ()
    mine = MasterEntry(
        key=key,
        rev=event.rev,
        digest=digest(event),
        effective=event.event_time,
        attributes=event.attributes,
        substitutes=event.substitutes,
    )
    for known in entries:
        if known.key != key or known.rev < event.rev:
            continue
        if known.rev > event.rev:
            return Outcome(verdict="superseded", changes={}, effects=())
        if known.digest == mine.digest:
            return Outcome(verdict="duplicate", changes={}, effects=())
        return refuse("conflict", f"{key} is known in revision {event.rev} with other fields; the first stands")
    draft = Draft(rows, Cause(type=type(event).__name__, key=key), frame.epoch, tick)
    kept = [*(one for one in entries if one.key != key), mine]
    draft.put(where, Masters(entries=tuple(sorted(kept, key=lambda one: (one.effective, one.key)))))
    if event.substitutes is not None or any(one.substitutes is not None for one in entries):
        plan_later(draft, event.sku, event.event_time)
    return Outcome(verdict="folded", changes=draft.changes, effects=())


def business_date(draft: Draft, location: str, time: int) -> str:
    """The trading day of a location at an instant, as YYYY-MM-DD: the day in UTC where its zone is not known."""
    # No event that is posted changes master data: the rows as they were are asked.
    here, anywhere = draft.rows.get(masters_key("", location)), draft.rows.get(ANYWHERE)
    if here is None and anywhere is None:
        return trading_day(time)
    zone, cut_off = (_stated(here, name, time) or _stated(anywhere, name, time) for name in ("zone", "cut_off"))
    return trading_day(time, zone, cut_off)


def hours_open(draft: Draft, location: str, begin: int, end: int) -> int:
    """Microseconds between two instants in which a location is open; 0 where its hours are not known."""
    here, anywhere = draft.get(masters_key("", location)), draft.get(masters_key("", ""))
    zone, opens, closes = (
        _stated(here, name, end) or _stated(anywhere, name, end) for name in ("zone", "opens", "closes")
    )
    return open_time(begin, end, zone, opens, closes) if opens and closes else 0


def _stated(row: Row | None, name: str, time: int) -> str:
    """An attribute as it stood at a time; as it was first stated, before that. Empty where nobody stated it."""
    if not isinstance(row, Masters):
        return ""
    stated = [(one.effective, one.attributes[name]) for one in row.entries if name in one.attributes]
    return next((text for effective, text in reversed(stated) if effective <= time), stated[0][1] if stated else "")
