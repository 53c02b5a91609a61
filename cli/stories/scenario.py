"""Scenarios that planners read and write: what happened, line by line, and what follows.

    # A sale larger than stock turns availability negative and raises the risk.
    naive: clamped
    order: any

    09:00  goods_received  CHAIR@S1  10           ->  availability_changed 10
    09:05  sale_recorded   CHAIR@S1  12  doc=T-1  ->  availability_changed 0 | risk opened negative_stock S1 -2
    09:20  time_ticked
    position CHAIR@S1  on_hand -2  atp 0
    availability CHAIR all 0

A line is: event time, event, SKU@location, quantity, other fields; then after `->` what must follow from it, among
other things (`nothing`: and nothing else). ` *12` at its end says that it happened so many times, each on a paper of
its own. Lines stand in the order of arrival. Times are of 2026-11-20; `1d09:00`
is the day after. The last lines say what is there in the end. `title` and `without` tell a story: see without.py.
`order: any` says that the order of arrival and
resends do not matter to it; `naive` names the build of tests/core/naive.py that gets it wrong.
"""

import re
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from avro_schemas.instants import instant, read_instant

Json = dict[str, Any]
FOLDER = Path(__file__).resolve().parent / "data"
"""The stories that `atp demo --scenario` tells."""
MIDNIGHT = read_instant("2026-11-20T00:00:00Z") or 0
MINUTE = 60_000_000

SOURCES = {"sale": "pos:1", "return": "pos:1", "pickup": "pos:1", "policy": "mdm", "count": "store"}
"""The source of an event that names none, by how its type begins; `wms` for the rest."""
STATES = (
    "granted",
    "horizon",
    "next",
    "position",
    "availability",
    "variance",
    "risk",
    "erp",
    "no",
    "opened",
    "exception",
    "advice",
    "posted",
)
POLICY = (
    "safety_stock", "eligible", "buffer", "share_percent", "cap", "locations", "low_at", "lag_s", "buffer_by_rate",
    "order_lag_s", "min_life_days", "sells_ahead",
)  # fmt: skip
BY_KIND = ("exception_watch", "exception_grace_s", "exception_deadline_s", "exception_owner")
PLANNING = ("lead_time_days", "order_up_to", "moq", "pack", "high_water_days", "approve_above")
ANSWERS = ("kind", "owner", "resolution", "eta", "advice", "answer")
PLAIN = (
    "state",
    "channel",
    "disposition",
    "reason",
    "status",
    "scope",
    "from_status",
    "to_status",
    "basis",
    "excludes",
    "lot",
)
MASTER = ("zone", "cut_off")


@dataclass(frozen=True)
class Line:
    """An event of a scenario, and what must follow from it."""

    text: str
    event: Json | None
    """In the public JSON form; None for a record that cannot be read."""
    follows: list[str]


@dataclass
class Scenario:
    """A scenario file."""

    name: str
    naive: list[str] = field(default_factory=list)
    any_order: bool = False
    lines: list[Line] = field(default_factory=list)
    states: list[str] = field(default_factory=list)
    title: str = ""
    without: list[str] = field(default_factory=list)
    """How it would go without the pipeline, as `without.py` plays it."""


def scenarios(folder: Path = FOLDER) -> list[Scenario]:
    """Read the scenarios of a folder, by name."""
    return [read(path) for path in sorted(folder.glob("*.txt"))]


def read(path: Path) -> Scenario:
    """Read a scenario. Raises: ValueError with file, line and what was expected."""
    scenario = Scenario(path.stem)
    for number, raw in enumerate(path.read_text().splitlines(), 1):
        text = raw.split("#", 1)[0].strip()
        if not text:
            continue
        try:
            if text.startswith("naive:"):
                scenario.naive += text.removeprefix("naive:").split()
            elif text.startswith("title:"):
                scenario.title = text.removeprefix("title:").strip()
            elif text.startswith("without:"):
                scenario.without += text.removeprefix("without:").split()
            elif text == "order: any":
                scenario.any_order = True
            elif text.split()[0] in STATES:
                scenario.states.append(text)
            else:
                text, _, times = text.partition(" *")
                for _ in range(int(times or 1)):
                    scenario.lines.append(_line(text, len(scenario.lines) + 1))
        except (ValueError, KeyError, IndexError) as error:
            raise ValueError(f"{path.name}:{number}: {error!r} in {raw!r}") from error
    return scenario


def moment(text: str) -> int:
    """Read 09:05, or 1d09:05 for the day after, as microseconds."""
    found = re.fullmatch(r"(?:(-?\d+)d)?(\d\d):(\d\d)", text)
    if found is None:
        raise ValueError(f"{text} is no time like 09:05 or 1d09:05")
    days, hours, minutes = (int(part or 0) for part in found.groups())
    return MIDNIGHT + ((days * 24 + hours) * 60 + minutes) * MINUTE


def _line(text: str, number: int) -> Line:
    left, _, right = text.partition("->")
    time, name, *words = left.split()
    follows = [one.strip() for one in right.split("|") if one.strip()]
    if name == "garbage":
        return Line(text, None, follows)
    event: Json = {"type": "".join(part.capitalize() for part in name.split("_")), "event_time": instant(moment(time))}
    if name == "time_ticked":
        return Line(text, {**event, "source": "clock"}, follows)
    event["source"] = SOURCES.get(name.split("_", maxsplit=1)[0], "wms")
    event["document"] = {"type": name, "id": f"{name} {number}", "line": 1}
    if name == "reservation_requested":
        event["request_id"] = f"request {number}"
        event["order"] = {"id": f"order {number}", "line": 1}
    for word in words:
        if "=" in word:
            _field(event, name, *word.split("=", 1))
        elif re.fullmatch(r"[+-]?\d+", word):
            event["quantity"] = int(word)
        else:
            sku, _, location = word.partition("@")
            event.update({key: value for key, value in (("sku", sku), ("location", location)) if value})
    if isinstance(new := event.get("replacement"), dict):
        event["replacement"] = _replacement(event, new)
    return Line(text, event, follows)


def _field(event: Json, name: str, key: str, value: str) -> None:
    match key:
        case "doc":
            id_, _, line = value.partition("/")
            event["document"] = {**event["document"], "id": id_, "line": int(line or 1)}
        case "order" | "transfer" | "purchase_order":
            event[key] = {"id": value, "line": 1}
        case "rev":
            event["rev"] = int(value)
        case "seq":
            event["source_seq"] = int(value)
        case "id":
            event["event_id"] = value
        case "source":
            event["source"] = value
        case "to" | "from":
            event[f"{key}_location"] = value
        case "move":
            event["from_status"], event["to_status"] = value.split(">")
        case "as_of":
            event["as_of"] = instant(moment(value))
        case "through":
            source, seq = value.rsplit(":", 1)
            event["through_seq"] = {source: int(seq)}
        case "reverses":
            kind, _, id_ = value.rpartition(":")
            named = kind or {"sale_voided": "sale_recorded", "shipment_reversed": "shipment_confirmed"}[name]
            event["reverses"] = {
                "type": "".join(part.capitalize() for part in named.split("_")),
                "source": SOURCES.get(named.split("_", maxsplit=1)[0], "wms"),
                "document": {"type": named, "id": id_, "line": 1},
            }
        case "replaced_by":
            time, location, units = value.split(",")
            event["replacement"] = {"event_time": instant(moment(time)), "location": location, "quantity": int(units)}
        case "scope" if name == "exception_acknowledged":
            event["scope"] = value.replace("/", "|")
        case "expires":
            event["expires_at"] = instant(moment(value))
        case "need" | "eta" | "expiry":
            # A day, or so many days after the scenario's own.
            day = value if "-" in value[1:] else instant(moment(f"{int(value)}d00:00"))[:10]
            event["need_date" if key == "need" else key] = day
        case "priority":
            event["priority"] = int(value)
        case "final" | "partial":
            event[key] = value == "yes"
        case _ if key in BY_KIND:
            kind, _, said = value.partition(":")
            parameter = said == "yes" if key == BY_KIND[0] else said if key == BY_KIND[3] else int(said)
            event.setdefault("policy", {}).setdefault(key, {})[kind] = parameter
        case _ if key in PLANNING:
            event.setdefault("policy", {})[key] = int(value)
        case _ if key in ANSWERS:
            event[key] = value
        case _ if key in POLICY:
            event.setdefault("policy", {})[key] = _parameter(key, value)
        case "version":
            event["version"] = int(value)
        case "kit":
            event["kit"] = value
        case "components":
            pairs = [part.rsplit(":", 1) for part in value.split("+") if part]
            event["components"] = {sku: int(units) for sku, units in pairs}
        case "substitutes":
            event[key] = [sku for sku in value.split("+") if sku]
        case _ if key in MASTER:
            event.setdefault("attributes", {})[key] = value
        case _ if key in PLAIN:
            event[key] = value
        case _:
            raise ValueError(f"{key} is no field of a scenario")


def _parameter(key: str, value: str) -> object:
    if key == "locations":
        return [name for name in value.split(",") if name]
    if key == "sells_ahead":
        return value
    return value == "yes" if key in ("eligible", "buffer_by_rate") else int(value)


def _replacement(event: Json, new: Json) -> Json:
    named = event["reverses"]
    return {"type": named["type"], "source": named["source"], "document": named["document"], "sku": event["sku"], **new}
