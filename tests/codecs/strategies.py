"""Anything that the codec may meet: events that pass the checks, and effects and rows of every shape."""

import types
import typing
import unicodedata
from dataclasses import MISSING, fields
from typing import Any, get_args, get_origin

from hypothesis import strategies as st

from atp import events, limits, particulars
from atp.book import BUCKETS, Row
from atp.checks import needs_quantity
from atp.effects import DeadLetter, Effect
from atp.events import Document, Event, EventRef, Ref
from atp.limits import QUANTITY_MAX, TIME_MAX, TIME_MIN
from avro_schemas.generate import TIMES
from avro_schemas.public_json import NEEDED

EVENTS: tuple[type, ...] = get_args(Event)
EFFECTS: tuple[type, ...] = (*get_args(Effect), DeadLetter)
ROWS: tuple[type, ...] = get_args(Row)

_visible = st.characters(exclude_categories=("Cc", "Cs", "Zl", "Zp", "Zs", "Cn"), exclude_characters="|")


def _is_name(text: str) -> bool:
    return limits.is_name(text)


names = st.text(_visible, min_size=1, max_size=20).map(lambda text: unicodedata.normalize("NFC", text)).filter(_is_name)
ids = st.text(_visible, min_size=1, max_size=30)
times = st.integers(TIME_MIN, TIME_MAX - 1)
numbers = st.integers(0, limits.NUMBER_MAX)
days = st.dates().map(lambda day: day.isoformat())
documents = st.builds(Document, ids, ids, numbers)
refs = st.builds(Ref, ids, numbers)
marks = st.dictionaries(ids, st.integers(0, limits.SEQUENCE_MAX), max_size=3)
buckets = st.sampled_from(BUCKETS)
units = st.integers(1, QUANTITY_MAX)
policies = st.builds(
    events.PolicyFields,
    safety_stock=st.none() | st.integers(0, QUANTITY_MAX),
    eligible=st.none() | st.booleans(),
    buffer=st.integers(0, QUANTITY_MAX),
    share_percent=st.none() | st.integers(0, 100),
    locations=st.none() | st.lists(names, max_size=3, unique=True).map(lambda found: tuple(sorted(found))),
    count_ordered=st.none() | st.booleans(),
    till_is_handover=st.none() | st.booleans(),
    reserves_at=st.none() | st.sampled_from(particulars.MOMENTS),
    hold_s=st.none() | st.integers(0, 86_400),
    sells_ahead=st.none() | st.sampled_from(particulars.AHEAD),
)

_FIELDS: dict[str, st.SearchStrategy[Any]] = {
    "source": ids,
    "document": documents,
    "event_time": times,
    "rev": numbers,
    "sku": names,
    "location": names,
    "channel": st.just("") | names,
    "source_seq": st.integers(0, limits.SEQUENCE_MAX),
    "order": refs,
    "expiry": days,
    "recorded_time": times,
    "return_ref": refs,
    "purchase_order": refs,
    "asn": refs,
    "transfer": refs,
    "eta": days,
    "need_date": days,
    "disposition": st.sampled_from(particulars.DISPOSITIONS),
    "to_status": buckets,
    "status": buckets,
    "scope": st.sampled_from(particulars.SCOPES),
    "basis": st.sampled_from(particulars.BASES),
    "state": st.sampled_from(particulars.STATES),
    "decision": st.sampled_from(particulars.DECISIONS),
    "request_id": ids,
    "as_of": st.integers(TIME_MIN, TIME_MIN + events.DAY),
    "expires_at": times,
    "through_time": times,
    "through_seq": marks,
    "to_location": names,
    "from_location": names,
    "policy": policies,
    "attributes": st.dictionaries(ids, ids, max_size=3),
    "kit": names,
    "components": st.dictionaries(names, units, max_size=3),
    "substitutes": st.lists(names, max_size=3, unique=True).map(tuple),
    "priority": numbers,
    "version": st.integers(0, 1 << 62),
    "epoch": numbers,
    "from_seq": st.integers(0, 1 << 30),
    "to_seq": st.integers(1 << 30, 1 << 62),
    "final": st.booleans(),
    "answer": st.sampled_from(particulars.ANSWERS),
    "kind": st.sampled_from(["negative_stock", "late_event"]),
    "partial": st.booleans(),
}
_WITHOUT_SKU = (events.TimeTicked, events.SourceMark, events.SequenceGapOpened, events.SequenceGapClosed)
_REVERSALS = (events.SaleVoided, events.ShipmentReversed, events.Correction)


@st.composite
def event_of(draw: st.DrawFn, kind: type) -> Any:
    """Draw an event of a class that passes the checks."""
    found: dict[str, Any] = {}
    needed = {"sku", "location", NEEDED.get(kind, ("", ""))[0]}
    for field in fields(kind):
        strategy = names if field.name in needed & {"channel"} else _FIELDS.get(field.name, ids)
        if field.default is not MISSING and field.name not in needed and draw(st.booleans()):
            continue
        found[field.name] = draw(strategy)
    found.pop("quantity", None)
    if ("uom" in found) != ("uom_quantity" in found):
        found["uom"] = found["uom_quantity"] = None
    if needs_quantity(kind):
        found["quantity"] = draw(units)
    if kind in (events.ChannelAck, events.ChannelReported):
        found["channel"] = draw(names)
    if kind is events.TimeTicked:
        found.pop("location")
    if kind in _WITHOUT_SKU:
        found.pop("sku")
    if kind is events.ExceptionAcknowledged and "kind" not in found:
        found["exception"] = draw(ids)
    if kind is events.MasterChanged:
        _bill(found)
    if kind is events.StatusChanged:
        found["from_status"], found["to_status"] = draw(st.permutations(BUCKETS))[:2]
    if found.get("to_location") == found["location"] if "location" in found else False:
        found["to_location"] = found["location"][:-1] + ("x" if found["location"][-1] != "x" else "y")
    if kind in _REVERSALS:
        found["rev"] = 0
        _reverse(draw, kind, found)
    return kind(**found)


def _bill(found: dict[str, Any]) -> None:
    """A bill says what a kit takes, wherever it is; other masters say neither. Substitutes are of a SKU, wherever."""
    if "kit" in found and "components" in found:
        found["components"].pop(found["kit"], None)
        for field in ("sku", "location", "channel", "attributes", "substitutes"):
            found.pop(field, None)
    else:
        found.pop("kit", None)
        found.pop("components", None)
    if "substitutes" in found:
        found.pop("location", None)
        found["substitutes"] = tuple(sku for sku in found["substitutes"] if sku != found["sku"])


def _reverse(draw: st.DrawFn, kind: type, found: dict[str, Any]) -> None:
    name = draw(st.sampled_from(particulars.REVERSIBLE[kind]))
    found["reverses"] = EventRef(name, draw(ids), draw(documents))
    if kind is not events.Correction:
        return
    found["replacement"] = None
    if draw(st.booleans()):
        new = draw(event_of(getattr(events, name)))
        new.source, new.document, new.sku = found["reverses"].source, found["reverses"].document, found["sku"]
        found["replacement"] = new
        found["event_time"] = max(found["event_time"], new.event_time)  # A correction speaks of what was.


any_event = st.sampled_from(EVENTS).flatmap(event_of)

# Effects and rows: every shape that their types allow.

_long = st.integers(-(1 << 63), (1 << 63) - 1)
_any_text = st.text(st.characters(codec="utf-8"), max_size=40)


def value_of(hint: Any, name: str = "") -> st.SearchStrategy[Any]:
    """Draw a value of a type hint."""
    origin, args = get_origin(hint), get_args(hint)
    simple = {int: _long, str: _any_text, bytes: st.binary(max_size=20), bool: st.booleans()}
    if hint in simple:
        return times if hint is int and name in TIMES else simple[hint]
    if isinstance(hint, types.UnionType):
        return st.none() | value_of(args[0])
    if origin is dict:
        return st.dictionaries(value_of(args[0]), value_of(args[1]), max_size=3)
    if origin is tuple and args[-1] is Ellipsis:
        return st.lists(value_of(args[0]), max_size=4).map(tuple)
    if origin is tuple:
        return st.tuples(*map(value_of, args))
    hints = typing.get_type_hints(hint)
    return st.builds(hint, **{key: value_of(one, key) for key, one in hints.items()})


any_effect = st.sampled_from(EFFECTS).flatmap(value_of)
any_row = st.sampled_from(ROWS).flatmap(value_of)
