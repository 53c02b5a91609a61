"""Instants as people and other programs read them."""

import re
from datetime import UTC, datetime, timedelta

ORIGIN = datetime(1970, 1, 1, tzinfo=UTC)


def instant(microseconds: int) -> str:
    """Write microseconds since 1970-01-01 UTC as ISO 8601 with `Z`, with as many decimals as it takes: 0, 3 or 6."""
    moment = ORIGIN + timedelta(microseconds=microseconds)
    below = microseconds % 1_000_000
    precision = "seconds" if below == 0 else "milliseconds" if below % 1000 == 0 else "microseconds"
    return moment.isoformat(timespec=precision).replace("+00:00", "Z")


def instant_or_none(microseconds: int | None) -> str | None:
    """Write an instant that may be missing."""
    return None if microseconds is None else instant(microseconds)


_RFC3339 = re.compile(r"\d{4}-\d\d-\d\d[Tt ]\d\d:\d\d:\d\d(\.\d{1,9})?([Zz]|[+-]\d\d:\d\d)", re.ASCII)
_MICROSECOND = timedelta(microseconds=1)


def read_instant(text: str) -> int | None:
    """Read a time in RFC 3339, with `Z` or an offset, as microseconds since 1970-01-01 UTC; None if it is none."""
    if _RFC3339.fullmatch(text) is None:
        return None
    try:
        return (datetime.fromisoformat(text.upper()) - ORIGIN) // _MICROSECOND
    except (ValueError, OverflowError):
        return None
