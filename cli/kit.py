"""Lines about a kit, for `atp show` and `atp explain`: what each channel is told of it, and what allows no more."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from cli.counted import counted

Plain = Mapping[str, Any]


def kit_lines(found: Plain) -> Iterator[str]:
    """Say how the answers for a kit come about."""
    for one in found["kit"]:
        yield f"{one['channel']}: ATP {one['atp']} {one['status']}: {_made(one)}; {_binds(one)}"
        for part in one["parts"]:
            told = f"  {part['sku']}: {part['needed']} needed, {part['avail']} avail: "
            yield f"{told}{counted(part['kits'], 'kit')}; {_at(part)}"


def is_nothing_but_parts(found: Plain, places: Sequence[Plain]) -> bool:
    """Say whether a SKU is a kit of which no location ever held any: all that it has is what its parts leave."""
    return bool(found["components"]) and not places


def _made(one: Plain) -> str:
    made = f"{one['assembled']} assembled"
    if one["parts"]:
        made += f" + the less of {one['at_nodes']} that lie together and {one['by_parts']} by the scarcest part"
    return made + ("" if one["cap"] is None else f", at most {one['cap']}")


def _binds(one: Plain) -> str:
    match one["binds"]:
        case ["cap"]:
            return "the cap binds"
        case ["assembled"]:
            return "it has no parts"
        case ["together"]:
            return "that its parts lie apart binds"
        case parts:
            return f"{' and '.join(parts)} bind{'s' if len(parts) == 1 else ''}"


def _at(part: Plain) -> str:
    places = ", ".join(f"{place} {units}" for place, units in part["exposed"].items())
    return f"exposed at {places}" if places else "exposed nowhere"
