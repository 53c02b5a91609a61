"""Trading days: the day at a location, by its zone and its cut-off.

A location without master data trades in UTC, from midnight to midnight. Source: docs/domain.md, "ERP lines".
"""

from datetime import UTC, date, datetime, timedelta, tzinfo
from functools import lru_cache
from zoneinfo import ZoneInfo

from atp.events import DAY, MINUTE, SECOND

EPOCH_ORDINAL = date(1970, 1, 1).toordinal()


@lru_cache(maxsize=1024)
def _zone(name: str) -> tzinfo | None:
    """The zone, None where there is none of that name."""
    try:
        return ZoneInfo(name)
    except (ValueError, OSError, LookupError):
        return None


def is_zone(name: str) -> bool:
    """Say whether the name is that of a time zone, such as Europe/Berlin."""
    return _zone(name) is not None


def is_cut_off(text: str) -> bool:
    """Say whether the text is a time of day, such as 04:00."""
    return cut_off_minutes(text) is not None


@lru_cache(maxsize=1024)
def cut_off_minutes(text: str) -> int | None:
    """Minutes after midnight at which a trading day begins; None where the text is no time of day."""
    hours, colon, minutes = text.partition(":")
    if not (
        colon
        and len(hours) == len(minutes) == len("00")
        and (hours + minutes).isascii()
        and (hours + minutes).isdecimal()
    ):
        return None
    found = int(hours) * 60 + int(minutes)
    return found if int(minutes) < 60 and found < 24 * 60 else None


@lru_cache(maxsize=4096)
def _day(number: int) -> str:
    return date.fromordinal(EPOCH_ORDINAL + number).isoformat()


def open_time(begin: int, end: int, zone: str, opens: str, closes: str) -> int:
    """Microseconds between two instants in which a location is open, from `opens` to `closes` by its own clock."""
    first, last = cut_off_minutes(opens), cut_off_minutes(closes)
    there = _zone(zone or "UTC")
    if first is None or last is None or there is None or first >= last or begin >= end:
        return 0
    day = datetime.fromtimestamp(begin // SECOND, UTC).astimezone(there).date()
    total = 0
    while True:
        midnight = datetime(day.year, day.month, day.day, tzinfo=there)
        opened, closed = (int((midnight + timedelta(minutes=m)).timestamp()) * SECOND for m in (first, last))
        if opened >= end:
            return total
        total += max(0, min(closed, end) - max(opened, begin))
        day += timedelta(days=1)


def trading_day(time: int, zone: str = "", cut_off: str = "") -> str:
    """The trading day of an instant, as YYYY-MM-DD: what happens before the cut-off belongs to the day before."""
    minutes = cut_off_minutes(cut_off) or 0
    there = _zone(zone) if zone else None
    if there is None:
        return _day((time - minutes * MINUTE) // DAY)
    local = datetime.fromtimestamp(time // SECOND, UTC).astimezone(there) - timedelta(minutes=minutes)
    return local.date().isoformat()
