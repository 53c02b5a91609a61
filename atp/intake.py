"""From a source's document to lines: one event each, in base units. Pure; what the fields mean comes later.

A document of many lines, such as a ticket, says once what all lines share:

    {"type": "SaleRecorded", "source": ..., "document": {"type": "receipt", "id": "T-1"}, "event_time": ...,
     "lines": [{"sku": "A", "quantity": 2}, {"sku": "B", "quantity": 1, "location": "S2"}]}

A line's own fields win over the shared ones. Its number is its `line`, else its place in the list, from 1.
"""

import re
import unicodedata
from collections.abc import Iterator, Mapping
from decimal import Decimal
from fractions import Fraction
from typing import Any

from atp.checks import CheckError

LINES_MAX = 10_000
"""Lines of one document: more is a file, not a paper."""

BASE_UNITS = frozenset(("each", "ea", "pc", "pcs", "piece", "unit"))
"""What sources call the base unit of goods that are counted, in lower case."""

ANY_SKU = "*"

_FIGURE = re.compile(r"-?[0-9]{1,18}(\.[0-9]{1,18}|/[1-9][0-9]{0,17})?")

Units = Mapping[str, Mapping[str, Fraction]]
"""How many base units a unit holds, by SKU and unit; the SKU `*` stands for those not named."""

Json = dict[str, Any]


def explode(document: Json) -> Iterator[tuple[str, Json]]:
    """Yield each line with all its fields, and before it where it stands: empty for a document of one line.

    Raises CheckError.
    """
    if "lines" not in document:
        yield "", document
        return
    lines = document["lines"]
    if not isinstance(lines, list) or not lines or len(lines) > LINES_MAX:
        raise CheckError("invalid", "lines", f"must be a list of 1 to {LINES_MAX} objects")
    shared = {name: value for name, value in document.items() if name != "lines"}
    for number, line in enumerate(lines, start=1):
        if not isinstance(line, dict):
            raise CheckError("invalid", f"lines[{number - 1}]", "must be an object")
        whole = {**shared, **line}
        numbered = whole.pop("line", number)
        if "document" not in line and isinstance(paper := shared.get("document"), dict):
            if "line" in paper:
                raise CheckError("invalid", "document.line", "must be left out beside lines: each line has its own")
            whole["document"] = {**paper, "line": numbered}
        yield f"lines[{number - 1}].", whole


def in_base_units(line: Json, units: Units) -> Json:
    """Return the line with its quantity in base units, exactly; the source's figures stay beside it.

    A line that has a `uom_quantity` has been converted already. Raises CheckError.
    """
    unit, quantity = line.get("uom"), line.get("quantity")
    if unit is None or "uom_quantity" in line:
        return line
    if not isinstance(unit, str):
        raise CheckError("invalid", "uom", "must be a text")
    if unit.lower() in BASE_UNITS:
        return {name: value for name, value in line.items() if name != "uom"}
    factor = _factor(units, line.get("sku"), unit)
    base = _exact(quantity) * factor
    if base.denominator != 1:
        raise CheckError("uom", "quantity", f"must come to whole base units: {quantity} {unit} are {base}")
    return {**line, "quantity": int(base), "uom_quantity": str(quantity)}


def read_units(found: object) -> Units:
    """Read `{sku or "*": {unit: factor}}`, a factor being an integer, a decimal or a text like "1/12".

    Raises CheckError.
    """
    if not isinstance(found, dict):
        raise CheckError("invalid", "units", 'must be an object like {"*": {"case": 12}}')
    made: dict[str, dict[str, Fraction]] = {}
    for sku, factors in found.items():
        if not isinstance(factors, dict):
            raise CheckError("invalid", f"units of {sku}", 'must be an object like {"case": 12}')
        exact = {unit: _exact(factor) for unit, factor in factors.items()}
        if any(factor <= 0 for factor in exact.values()):
            raise CheckError("out_of_range", f"units of {sku}", "must be greater than 0")
        made[unicodedata.normalize("NFC", sku)] = exact
    return made


def _factor(units: Units, sku: object, unit: str) -> Fraction:
    named = units.get(unicodedata.normalize("NFC", sku)) if isinstance(sku, str) else None
    for known in (named, units.get(ANY_SKU)):
        if known is not None and unit in known:
            return known[unit]
    raise CheckError(
        "uom",
        "uom",
        f"must be a base unit, or one with a known factor: {unit!r} has none for {sku!r}. Name it in a file of units, "
        f'{{"{sku}": {{"{unit}": 12}}}}, and give that with --units FILE or ATP_UNITS',
    )


def _exact(figure: object) -> Fraction:
    """Read a figure exactly. An exponent is refused: a short one can stand for more digits than there is memory."""
    if isinstance(figure, int | Decimal | str) and not isinstance(figure, bool):
        text = str(figure)
        if _FIGURE.fullmatch(text):
            return Fraction(text)
    raise CheckError("invalid", "quantity", f"must be a number, not {str(figure)[:40]!r}")
