"""Orders in files: read, checked, and pinned down before anything is asked for.

    {"order": "O-1", "channel": "web", "location": "DC1", "hold": "15m",
     "lines": [{"sku": "CHAIR", "quantity": 2}, {"line": 7, "sku": "BED-SET", "quantity": 1}]}

A kit is exploded by the bill that is in force when the order is first asked for, and the order's time is that moment.
Both are written beside the file (`O.json` -> `O.json.pinned`) before the first request leaves: another run reads them
there, so that it asks for the same whatever has happened to bill and clock since.
"""

import json
import unicodedata
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from glob import escape
from hashlib import sha256
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, ValidationError

from atp.checks import check
from atp.errors import FatalError, PoisonError
from atp.limits import NUMBER_MAX, QUANTITY_MAX, CheckError
from atp.orders import Order, OrderLine, requests
from avro_schemas.instants import read_instant
from sinks.durable import write_file
from streams.settings import Duration

BillOf = Callable[[str], Mapping[str, int] | None]
"""The components of a kit as in force; None or nothing for a SKU that is none."""

Name = Annotated[str, Field(min_length=1), AfterValidator(lambda name: unicodedata.normalize("NFC", name))]
Units = Annotated[int, Field(ge=1, le=QUANTITY_MAX)]


def _instant(value: object) -> int:
    if isinstance(value, str) and (found := read_instant(value)) is not None:
        return found
    raise ValueError("must be a time like 2026-11-20T09:05:00Z, with Z or an offset")


Instant = Annotated[int, BeforeValidator(_instant)]


class _Form(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True)


class LineForm(_Form):
    """A line as the file has it."""

    sku: Name
    quantity: Units
    line: Annotated[int, Field(ge=0, le=NUMBER_MAX)] | None = None
    """Its place in the list, from 1, unless named."""
    location: Name | None = None
    """That of the order, unless named."""
    components: dict[Name, Units] | None = None
    """What one kit takes; by the bill in force, unless named."""
    assembled: bool = False
    """Take the kit as it lies there, put together already."""


class OrderForm(_Form):
    """An order as the file has it."""

    order: Name
    channel: Name
    lines: Annotated[list[LineForm], Field(min_length=1, max_length=1_000)]
    location: Name | None = None
    split_shipment: bool = False
    """Whether the components of a kit may come from different places."""
    state: Literal["soft", "firm"] | None = None
    hold: Duration | None = None
    """A soft reservation runs out after this, in microseconds."""
    event_time: Instant | None = None
    attempt: Annotated[int, Field(ge=1, le=NUMBER_MAX)] = 1
    source: Name = "orders"


@dataclass(frozen=True, slots=True)
class Pinned:
    """An order as it is asked for."""

    order: Order
    again: bool
    """It was asked for before, or was about to be."""
    cancelled: bool
    """It was ended, or was about to be: its lines hold nothing any more, whatever attempt asks for them."""
    path: Path


def pin(file: Path, bill_of: BillOf, now: int, *, write: bool = True, anew: bool = False) -> Pinned:
    """Read an order, explode its kits and write both down, or read what was written down before.

    `now` in microseconds. With `anew` it is as if nothing had been written down. Raises: PoisonError for an order that
    cannot mean anything; FatalError where files cannot be read or written, or where the file is not the one that was
    pinned.
    """
    content = _content(file)
    form = _read(content)
    path = file.with_name(f"{file.name}.pinned" + (f"-{form.attempt}" if form.attempt > 1 else ""))
    of = sha256(content).hexdigest()
    cancelled = _cancelled(file).exists() and not anew
    if path.exists() and not anew:
        known, order = _written(path)
        if known != of:
            raise FatalError(
                f"{file} has changed since attempt {form.attempt} of the order was asked for. Put it back to go on, "
                f'or ask for this one anew: "attempt": {form.attempt + 1} in {file}'
            )
        return Pinned(order, again=True, cancelled=cancelled, path=path)
    order = _exploded(form, bill_of, now)
    for request in requests(order):
        check(request)
    if write:
        write_file(path, json.dumps({"of": of, "order": asdict(order)}, ensure_ascii=False).encode() + b"\n")
    return Pinned(order, again=False, cancelled=cancelled, path=path)


def asked(file: Path) -> list[Pinned]:
    """Return every attempt of an order that was asked for, whatever its file says by now. Raises: FatalError."""
    cancelled = _cancelled(file).exists()
    return [Pinned(_written(path)[1], again=True, cancelled=cancelled, path=path) for path in _pins(file)]


def mark_cancelled(file: Path) -> None:
    """Write down that an order is ended for good, before its lines are. Raises: FatalError."""
    write_file(_cancelled(file), b"")


def forget(file: Path) -> None:
    """Delete what was written down of an order, beside its file. Raises: FatalError."""
    try:
        for one in (*_pins(file), _cancelled(file)):
            one.unlink(missing_ok=True)
    except OSError as error:
        raise FatalError(
            f"cannot delete {error.filename}: {error.strerror}. Delete it, then: atp reserve-order {file}"
        ) from error


def _pins(file: Path) -> list[Path]:
    return sorted(file.parent.glob(f"{escape(file.name)}.pinned*"))


def _cancelled(file: Path) -> Path:
    return file.with_name(f"{file.name}.cancelled")


def _exploded(form: OrderForm, bill_of: BillOf, now: int) -> Order:
    lines = []
    for number, one in enumerate(form.lines, start=1):
        bill = one.components if one.components is not None or one.assembled else bill_of(one.sku)
        location = one.location or form.location or ""
        if bill and one.assembled:
            raise CheckError("invalid", f"lines[{number - 1}]", "must name components or be assembled, not both")
        if bill and not location and not form.split_shipment:
            raise CheckError(
                "missing",
                f"lines[{number - 1}].location",
                f"is missing: the components of {one.sku} must lie together. Name a location for the line or the "
                'order, or let them come apart: "split_shipment": true',
            )
        lines.append(
            OrderLine(
                line=number if one.line is None else one.line,
                sku=one.sku,
                quantity=one.quantity,
                location=location,
                components=dict(bill) if bill else None,
            )
        )
    moment = now if form.event_time is None else form.event_time
    return Order(
        id=form.order,
        channel=form.channel,
        event_time=moment,
        lines=tuple(lines),
        source=form.source,
        state=form.state,
        expires_at=None if form.hold is None else moment + form.hold,
        attempt=form.attempt,
    )


def _read(content: bytes) -> OrderForm:
    try:
        return OrderForm.model_validate(json.loads(content))
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        where = "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in first["loc"]).lstrip(".")
        raise PoisonError("invalid", f"{where or 'the order'}: {first['msg'].lower()}") from error
    except ValueError as error:
        raise PoisonError("invalid", f"the order must be one JSON object: {error}") from error


def _written(path: Path) -> tuple[str, Order]:
    """Return the digest of the file that was pinned, and what it asked for. Raises: FatalError."""
    try:
        found = json.loads(_content(path))
        return found["of"], _order(found["order"])
    except (ValueError, KeyError, TypeError) as error:
        raise FatalError(
            f"{path} is not as it was written ({error!r}), so nobody knows what the order asked for. See what it "
            "holds with: atp show SKU. Give that back with: atp release. Then delete the file"
        ) from error


def _order(found: dict[str, Any]) -> Order:
    return Order(**{**found, "lines": tuple(OrderLine(**line) for line in found["lines"])})


def _content(file: Path) -> bytes:
    try:
        return file.read_bytes()
    except OSError as error:
        raise FatalError(
            f"cannot read {file}: {error.strerror}. See how one looks: atp reserve-order --help"
        ) from error
