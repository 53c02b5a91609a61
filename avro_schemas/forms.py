"""What the JSON of each class of events must look like: a pydantic model per class, made from its fields."""

import typing
import unicodedata
from dataclasses import MISSING, fields
from typing import Annotated, Any, get_args

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, create_model

from atp.checks import needs_quantity
from atp.events import Document, Event, EventRef, PolicyFields, Ref
from avro_schemas.generate import TIMES
from avro_schemas.instants import read_instant

JSON_NAMES = {"return_ref": "return"}
"""Fields whose name in JSON is a word of Python."""
PYTHON_NAMES = {name: field for field, name in JSON_NAMES.items()}

NAMES = {"sku", "location", "channel", "to_location", "from_location", "kit"}


def _time(value: object) -> int:
    if isinstance(value, str) and (found := read_instant(value)) is not None:
        return found
    raise ValueError("must be a time like 2026-11-20T09:05:00Z, with Z or an offset")


def _name(value: str) -> str:
    return unicodedata.normalize("NFC", value)


def _sorted_names(values: list[str]) -> tuple[str, ...]:
    return tuple(sorted(set(values)))


class Form(BaseModel):
    """Strict: no text for a number, no field that is not known."""

    model_config = ConfigDict(extra="forbid", strict=True)


class _DocumentForm(Form):
    type: str
    id: str
    line: int

    def made(self) -> Document:
        return Document(self.type, self.id, self.line)


class _RefForm(Form):
    id: str
    line: int

    def made(self) -> Ref:
        return Ref(self.id, self.line)


_Document = Annotated[_DocumentForm, AfterValidator(_DocumentForm.made)]
_Ref = Annotated[_RefForm, AfterValidator(_RefForm.made)]
_Name = Annotated[str, Field(min_length=1), AfterValidator(_name)]
_Time = Annotated[int, BeforeValidator(_time)]
_Ranked = Annotated[list[_Name], AfterValidator(tuple)]
_Locations = Annotated[list[_Name], AfterValidator(_sorted_names)]


class EventRefForm(Form):
    """What a reversal names; the obvious may be left out."""

    document: _Document
    type: str | None = None
    source: str | None = None


class _PolicyForm(Form):
    safety_stock: int | None = None
    eligible: bool | None = None
    buffer: int | None = None
    share_percent: int | None = None
    cap: int | None = None
    locations: _Locations | None = None
    lag_s: int | None = None
    low_at: int | None = None
    dock_days: int | None = None
    max_slip_days: int | None = None
    supplier_late_p90_days: int | None = None
    count_ordered: bool | None = None
    till_is_handover: bool | None = None
    reserves_at: str | None = None
    hold_s: int | None = None
    exception_watch: dict[str, bool] | None = None
    exception_grace_s: dict[str, int] | None = None
    exception_deadline_s: dict[str, int] | None = None
    exception_owner: dict[str, str] | None = None
    lead_time_days: int | None = None
    order_up_to: int | None = None
    moq: int | None = None
    pack: int | None = None
    high_water_days: int | None = None
    approve_above: int | None = None
    snapshot_is_count: bool | None = None
    tolerance_units: int | None = None
    tolerance_percent: int | None = None
    grace_hours: int | None = None
    verify_days: int | None = None
    haircuts: bool | None = None
    publish_units: int | None = None
    publish_percent: int | None = None
    ttl_s: int | None = None
    min_life_days: int | None = None
    buffer_by_rate: bool | None = None
    order_lag_s: int | None = None
    sells_ahead: str | None = None

    def made(self) -> PolicyFields:
        return PolicyFields(**{name: getattr(self, name) for name in self.model_fields_set})


_BY_HINT: dict[Any, Any] = {
    Document: _Document,
    Ref: _Ref,
    EventRef: EventRefForm,
    PolicyFields: Annotated[_PolicyForm, AfterValidator(_PolicyForm.made)],
}


def _form(kind: type) -> type[BaseModel]:
    """Return the model that validates the JSON of an event class."""
    made: dict[str, Any] = {"type": (str, ...)}
    hints = typing.get_type_hints(kind)
    for field in fields(kind):
        # A count without its figure must not pass for a count of zero.
        unsaid = field.default is MISSING and field.default_factory is MISSING
        required = unsaid or (field.name == "quantity" and needs_quantity(kind))
        made[JSON_NAMES.get(field.name, field.name)] = (
            _annotation(field.name, hints[field.name]),
            ... if required else None,
        )
    return create_model(kind.__name__, __base__=Form, **made)


def _annotation(name: str, hint: Any) -> Any:
    if name == "replacement":
        return dict[str, Any] | None
    if name == "components":
        return dict[_Name, int] | None
    if name == "substitutes":
        return _Ranked | None
    rest = [one for one in get_args(hint) if one is not type(None)]
    if type(None) in get_args(hint):
        return _annotation(name, rest[0]) | None
    if name in TIMES:
        return _Time
    if name in NAMES:
        return _Name
    return _BY_HINT.get(hint, hint)


def known_fields(kind: type, path: tuple[Any, ...]) -> list[str]:
    """Return the fields that the object at `path` may have."""
    forms: dict[str, type[BaseModel]] = {"reverses": EventRefForm, "policy": _PolicyForm, "document": _DocumentForm}
    model = forms.get(str(path[-1]), _RefForm) if path else FORMS[kind]
    return list(model.model_fields)


KINDS: dict[str, type] = {kind.__name__: kind for kind in get_args(Event)}
"""The classes of events, by name."""
FORMS: dict[type, type[BaseModel]] = {kind: _form(kind) for kind in KINDS.values()}
"""Their models."""
