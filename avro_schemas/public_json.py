"""The public JSON form: one event, or one document of many lines, per line of text. Its field names are a contract.

Reading is strict: no floats, no texts for numbers, no unknown fields; what is wrong is said field by field. What
comes out has passed `atp.checks`, with names in NFC, times in microseconds UTC and quantities in base units.
"""

import json
import typing
from dataclasses import dataclass, fields, is_dataclass
from decimal import Decimal
from difflib import get_close_matches
from typing import Any

from pydantic import ValidationError

from atp import events as e
from atp.checks import CheckError, check, needs_quantity
from atp.errors import PoisonError
from atp.events import Document, Event, EventRef, PolicyFields, Ref
from atp.intake import Json, Units, explode, in_base_units
from avro_schemas.forms import FORMS, JSON_NAMES, KINDS, PYTHON_NAMES, EventRefForm, known_fields
from avro_schemas.generate import TIMES
from avro_schemas.instants import instant

LINE_MAX = 1_000_000
"""Bytes of one line: a broker takes no larger message by default."""

NO_UNITS: Units = {}

_LINE = ("order", 'needs the line of the order that it is about, like {"id": "O-1", "line": 1}')
_CHANNEL = ("channel", "needs the channel that it is about")
NEEDED: dict[type, tuple[str, str]] = {
    e.ReservationConfirmed: _LINE,
    e.ReservationReleased: _LINE,
    e.ReservationExpired: _LINE,
    e.OrderCancelled: _LINE,
    e.OrderAllocated: _LINE,
    e.PickConfirmed: _LINE,
    e.PickFailed: _LINE,
    e.AllocationGranted: _CHANNEL,
    e.AllocationReturned: _CHANNEL,
    e.ChannelAck: _CHANNEL,
    e.ChannelReported: _CHANNEL,
}
"""What an event would be without effect for lack of. The ledger may hold such events; here they are mistakes."""


@dataclass(frozen=True, slots=True)
class Problem:
    """What is wrong with a line: the field, and what was expected of it."""

    field: str
    """Empty where the whole line is at fault."""
    expected: str
    cause: str = "invalid"

    def __str__(self) -> str:
        return f"{self.field} {self.expected}".strip()


class RefusedLineError(PoisonError):
    """A line that is no event, and all that is wrong with it."""

    def __init__(self, problems: list[Problem]) -> None:
        super().__init__(problems[0].cause, "; ".join(map(str, problems)))
        self.problems = problems


def parse_line(line: str | bytes | Json, units: Units = NO_UNITS) -> list[Event]:
    """Return the events of a line: one, or those of a document's lines. Raises RefusedLineError."""
    document = line if isinstance(line, dict) else read_json(line)
    made: list[Event] = []
    problems: list[Problem] = []
    try:
        for where, one in explode(document):
            try:
                made.append(_event(one, units))
            except RefusedLineError as error:
                problems += [Problem(where + one.field, one.expected, one.cause) for one in error.problems]
    except CheckError as error:
        problems.append(_problem(error))
    if problems:
        raise RefusedLineError(problems)
    return made


def read_json(line: str | bytes) -> Json:
    """Return the line's object; decimals stay exact. Raises RefusedLineError."""
    if len(line) > LINE_MAX:
        raise _refused("", f"a line must be at most {LINE_MAX} bytes, not {len(line)}", "too_large")
    try:
        text = line if isinstance(line, str) else line.decode("utf-8-sig")
        found = _DECODER.decode(text.strip())
    except UnicodeDecodeError as error:
        raise _refused("", f"a line must be UTF-8: {error.reason} at byte {error.start}", "garbage") from None
    except (ValueError, RecursionError) as error:
        detail = "nested too deeply" if isinstance(error, RecursionError) else str(error)
        raise _refused("", f"a line must be one JSON object: {detail}", "garbage") from None
    if not isinstance(found, dict):
        raise _refused("", f"a line must be one JSON object, not {_kind(found)}", "garbage")
    return found


def to_json(event: Event) -> Json:
    """Return the event in the public form; reading that gives the same event."""
    kind = type(event)
    found: Json = {"type": kind.__name__}
    for field in _ORDER[kind]:
        value = getattr(event, field.name)
        if value == {} and field.default_factory is dict:
            continue
        if value != field.default or field.name == "replacement" or (field.name == "quantity" and needs_quantity(kind)):
            found[JSON_NAMES.get(field.name, field.name)] = _plain(field.name, value)
    return found


def _plain(name: str, value: object) -> Any:
    match value:
        case EventRef():
            return {"type": value.type, "source": value.source, "document": value.document._asdict()}
        case Document() | Ref():
            return value._asdict()
        case PolicyFields():
            named = {field.name: getattr(value, field.name) for field in fields(value)}
            return {key: list(one) if isinstance(one, tuple) else one for key, one in named.items() if one is not None}
        case int() if name in TIMES:
            return instant(value)
        case tuple() if name == "substitutes":
            return list(value)
        case e.Envelope():
            return to_json(value)  # type: ignore[arg-type]
        case _:
            return value


# Reading --------------------------------------------------------------------------------------------------


def _event(line: Json, units: Units) -> Event:
    kind = _kind_of(line)
    try:
        converted = in_base_units(line, units)
        event = _made(kind, converted, units)
        check(event)
    except CheckError as error:
        raise RefusedLineError([_problem(error)]) from None
    return event


def _kind_of(line: Json) -> type:
    name = line.get("type")
    if name is None:
        raise _refused("type", "is missing: it says what happened, like SaleRecorded", "missing")
    kind = KINDS.get(name) if isinstance(name, str) else None
    if kind is None:
        raise _refused("type", f"must be a known event, not {name!r:.80}{_nearest(str(name), KINDS)}", "unknown_word")
    return kind


def _made(kind: type, line: Json, units: Units) -> Event:
    if kind is e.TimeTicked and "document" not in line and isinstance(line.get("event_time"), str):
        line = {**line, "document": {"type": "tick", "id": line["event_time"], "line": 1}}
    if kind is e.ReservationRequested and "document" not in line and isinstance(line.get("request_id"), str):
        line = {**line, "document": {"type": "request", "id": line["request_id"], "line": 1}}
    model = FORMS[kind]
    try:
        form = model.model_validate(line)
    except ValidationError as error:
        raise RefusedLineError([_explained(kind, one) for one in error.errors(include_url=False)]) from None
    found = {PYTHON_NAMES.get(name, name): getattr(form, name) for name in form.model_fields_set if name != "type"}
    if (needed := NEEDED.get(kind)) is not None and found.get(needed[0]) is None:
        raise _refused(needed[0], f"is missing: {kind.__name__} {needed[1]}", "missing")
    if "reverses" in found:
        _complete(kind, found, units)
    if kind is e.CountRecorded:
        found.setdefault("as_of", found["event_time"])
    return kind(**found)  # type: ignore[no-any-return]


def _complete(kind: type, found: Json, units: Units) -> None:
    """Fill in what a reversal leaves to the obvious: the type and the source of what it reverses."""
    partial: EventRefForm = found["reverses"]
    new = found.get("replacement")
    obvious: dict[type, str] = {e.SaleVoided: "SaleRecorded", e.ShipmentReversed: "ShipmentConfirmed"}
    name = partial.type or obvious.get(kind) or (new.get("type") if isinstance(new, dict) else None)
    if not isinstance(name, str):
        raise _refused("reverses.type", "is missing: without a replacement nothing else tells it", "missing")
    document: Any = partial.document  # The model has made a Document of it.
    ref = found["reverses"] = EventRef(name, partial.source or found["source"], document)
    if isinstance(new, dict):
        paper = ref.document._asdict()
        whole = {"type": name, "source": ref.source, "document": paper, "sku": found.get("sku"), **new}
        try:
            if _kind_of(whole) is e.Correction:
                raise _refused("type", "must be that of the event that is replaced")
            found["replacement"] = _event(whole, units)
        except RefusedLineError as error:
            problems = [Problem(f"replacement.{one.field}", one.expected, one.cause) for one in error.problems]
            raise RefusedLineError(problems) from None


def _explained(kind: type, error: Any) -> Problem:
    """Say what was expected of a field, in our words."""
    field = "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in error["loc"]).lstrip(".")
    given = error["input"]
    match error["type"]:
        case "missing":
            return Problem(field, "is missing", "missing")
        case "extra_forbidden":
            known = known_fields(kind, error["loc"][:-1])
            return Problem(field, f"is unknown{_nearest(str(error['loc'][-1]), known)}", "unknown_field")
        case "string_unicode":
            return Problem(field, "must be a text without half characters (lone surrogates)", "bad_name")
        case "string_too_short":
            return Problem(field, "must not be empty", "bad_name")
        case "value_error":
            return Problem(field, f"{error['ctx']['error']}, not {given!r:.80}", "invalid")
        case _:
            wanted = _WANTED.get(error["type"], error["msg"].lower())
            return Problem(field, f"must be {wanted}, not {_kind(given)}", "invalid")


_WANTED = {
    "int_type": "an integer",
    "string_type": "a text",
    "bool_type": "true or false",
    "dict_type": "an object",
    "model_type": "an object",
    "list_type": "a list",
}


NICKNAMES = {"qty": "quantity", "store": "location", "site": "location", "item": "sku", "time": "event_time"}
"""What other systems call our fields, where the spelling alone would suggest another."""


def _nearest(name: str, known: typing.Iterable[str]) -> str:
    known = list(known)
    near = [NICKNAMES[name]] if NICKNAMES.get(name) in known else get_close_matches(name, known, n=1, cutoff=0.6)
    return f"; did you mean {near[0]}?" if near else f"; known are {', '.join(sorted(known))}"


def _problem(error: CheckError) -> Problem:
    return Problem(error.field, error.detail.removeprefix(error.field).lstrip(), error.cause)


def _refused(field: str, expected: str, cause: str = "invalid") -> RefusedLineError:
    return RefusedLineError([Problem(field, expected, cause)])


def _kind(value: object) -> str:
    """Say what a JSON value is, for people: the value itself where it is short."""
    match value:
        case dict():
            return "an object"
        case list():
            return "a list"
        case None:
            return "null"
        case bool():
            return str(value).lower()
        case str():
            return f"the text {value!r:.80}"
        case _:
            return str(value)[:80]


def _object(pairs: list[tuple[str, Any]]) -> Json:
    found = dict(pairs)
    if len(found) != len(pairs):
        names = [name for name, _ in pairs]
        raise ValueError(f"the field {next(name for name in names if names.count(name) > 1)} is there twice")
    return found


def _constant(word: str) -> Any:
    raise ValueError(f"{word} is no JSON")


_DECODER = json.JSONDecoder(object_pairs_hook=_object, parse_float=Decimal, parse_constant=_constant)
_FIRST = ("source", "document", "rev", "reverses", "sku", "location", "quantity", "event_time")
_ORDER = {
    kind: sorted(fields(kind), key=lambda field: _FIRST.index(field.name) if field.name in _FIRST else len(_FIRST))
    for kind in KINDS.values()
    if is_dataclass(kind)
}
