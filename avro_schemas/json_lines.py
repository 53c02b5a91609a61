"""A stream of bytes in the public JSON form, line by line: each is read, or refused with its number."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import BinaryIO

from atp.events import Event
from atp.intake import Units
from avro_schemas.public_json import LINE_MAX, NO_UNITS, Problem, RefusedLineError, parse_line

BOM = b"\xef\xbb\xbf"


@dataclass(frozen=True, slots=True)
class Line:
    """A line of a stream; it holds events or problems, never both."""

    number: int
    """From 1."""
    raw: bytes
    events: list[Event]
    problems: list[Problem]


def read_lines(stream: BinaryIO, units: Units = NO_UNITS) -> Iterator[Line]:
    """Yield the lines that are not blank."""
    number = 0
    while raw := stream.readline(LINE_MAX + 2):
        number += 1
        if number == 1:
            raw = raw.removeprefix(BOM)
        if len(raw) > LINE_MAX and not raw.endswith(b"\n"):
            yield Line(number, raw[:100], [], [_too_long(_skip(stream) + len(raw))])
        elif stripped := raw.strip():
            yield _read(number, stripped, units)


def _read(number: int, raw: bytes, units: Units) -> Line:
    try:
        return Line(number, raw, parse_line(raw, units), [])
    except RefusedLineError as error:
        return Line(number, raw, [], error.problems)


def _skip(stream: BinaryIO) -> int:
    """Pass over the rest of a line, and return its length."""
    length = 0
    while rest := stream.readline(LINE_MAX):
        length += len(rest)
        if rest.endswith(b"\n"):
            break
    return length


def _too_long(length: int) -> Problem:
    return Problem("", f"a line must be at most {LINE_MAX} bytes, not {length}", "too_large")
