"""What a field of an event may hold, and the words in which the rest is refused."""

import re
import unicodedata
from collections.abc import Callable
from datetime import date, datetime
from typing import NoReturn

from atp.errors import PoisonError
from atp.events import Ref

QUANTITY_MAX = 1_000_000_000
"""Units a line may move: more is a wrong unit or a barcode in the quantity field."""
TIME_MIN = 946_684_800_000_000
"""2000-01-01: before it lie zeros and clocks that were never set."""
TIME_MAX = 4_102_444_800_000_000
"""2100-01-01, not included: after it lie the years 9999 that stand for `never`."""
NUMBER_MAX = 2**31 - 1
"""Greatest revision and line number."""
SEQUENCE_MAX = 2**63 - 1
NAME_MAX = 64
ID_MAX = 200
TEXT_MAX = 1_000

REMEMBERED = 100_000
"""Good names, and good ids, that are remembered at most: about 10 MB each."""

_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029\ud800-\udfff]")
_DAY = re.compile(r"[0-9TtWZz:.,+ -]+")


class CheckError(PoisonError):
    """An event that cannot mean anything, and the field at fault."""

    def __init__(self, cause: str, field: str, expected: str) -> None:
        """`field` as the public JSON form calls it; `expected` goes on from there."""
        super().__init__(cause, f"{field} {expected}")
        self.field = field


class _Good(dict[str, bool]):
    """Answers from memory: names come again and again, and a look-up costs a tenth of a look."""

    def __init__(self, judge: Callable[[str], bool]) -> None:
        super().__init__()
        self._judge = judge

    def __missing__(self, text: str) -> bool:
        good = self._judge(text)
        if good:  # What is bad may be long, and is not to be met again.
            if len(self) >= REMEMBERED:
                self.clear()
            self[text] = True
        return good


def _may_be_name(name: str) -> bool:
    return (
        1 <= len(name) <= NAME_MAX
        and "|" not in name
        and name == name.strip()
        and _CONTROL.search(name) is None
        and unicodedata.is_normalized("NFC", name)
    )


def may_be_id(text: str) -> bool:
    """Say the same as `is_id`, without remembering: for the ids of documents, each of which comes once."""
    return 1 <= len(text) <= ID_MAX and _CONTROL.search(text) is None


is_name: Callable[[str], bool] = _Good(_may_be_name).__getitem__
"""Say whether a SKU, a location or a channel may be called so."""
is_id: Callable[[str], bool] = _Good(may_be_id).__getitem__
"""Say whether a source or a paper may be called so."""


def refuse_name(field: str, name: str) -> NoReturn:
    """Raise the PoisonError that says what a name must be."""
    refuse(
        "bad_name",
        field,
        f"must be 1 to {NAME_MAX} characters in NFC, without control characters, without | and without spaces "
        f"around it, not {_shown(name)}",
    )


def check_ref(field: str, ref: Ref) -> None:
    if not is_id(ref.id):
        refuse_text(f"{field}.id", ref.id, ID_MAX)
    if not 0 <= ref.line <= NUMBER_MAX:
        refuse_value(f"{field}.line", f"a number from 0 to {NUMBER_MAX}", ref.line)


def check_text(field: str, text: str | None) -> None:
    if text is not None and not (1 <= len(text) <= TEXT_MAX and _CONTROL.search(text) is None):
        refuse_text(field, text, TEXT_MAX)


def check_time(field: str, time: int | None) -> None:
    if time is not None and not TIME_MIN <= time < TIME_MAX:
        refuse_value(field, "a time from 2000 to 2099", time)


def check_day(field: str, text: str | None) -> None:
    """A date, or a date with a time."""
    if text is None:
        return
    if not _DAY.fullmatch(text):  # Python would take any sign between date and time.
        refuse("invalid", field, f"must be a day like 2026-11-20, not {_shown(text)}")
    try:
        if len(text) == len("2026-11-20"):
            date.fromisoformat(text)
        else:
            datetime.fromisoformat(text)
    except ValueError:
        refuse("invalid", field, f"must be a day like 2026-11-20, not {_shown(text)}")


def check_word(field: str, word: str, words: tuple[str, ...]) -> None:
    if word not in words:
        refuse("unknown_word", field, f"must be one of {', '.join(words)}, not {_shown(word)}")


def check_marks(marks: dict[str, int] | None) -> None:
    for source, seq in (marks or {}).items():
        if not is_id(source):
            refuse_text("source in through_seq", source, ID_MAX)
        if not 0 <= seq <= SEQUENCE_MAX:
            refuse_value(f"through_seq of {source}", "a number from 0", seq)


def check_number(field: str, number: int, most: int = SEQUENCE_MAX) -> None:
    if not 0 <= number <= most:
        refuse_value(field, f"a number from 0 to {most}", number)


def refuse_text(field: str, text: str, most: int) -> NoReturn:
    refuse("bad_name", field, f"must be 1 to {most} characters without control characters, not {_shown(text)}")


def refuse_value(field: str, expected: str, found: object) -> NoReturn:
    refuse("out_of_range", field, f"must be {expected}, not {found}")


def refuse(cause: str, field: str, expected: str) -> NoReturn:
    raise CheckError(cause, field, expected)


def _shown(text: str) -> str:
    return repr(text) if len(text) <= 80 else f"{text[:40]!r}... ({len(text)} characters)"
