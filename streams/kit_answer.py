"""How the answers for a kit come about, from the rows of the `kits` topology: for `atp show` and `atp explain`."""

from typing import Any

from atp.book import Heard, Rows, heard_key
from atp.effects import KitFigures
from atp.kits import figures_of
from streams.reader import Progress, ask_worker, committed_rows, normal
from streams.settings import Settings
from topologies.topics import KITS_CHANGELOG

Plain = dict[str, Any]


def kit_answer(rows: Rows, kit: str) -> Plain:
    """Derive the answers for a kit, channel by channel; none where nobody has told the topology what it is made of.

    `binds` says what allows no more: the cap, `assembled` where there are no parts, `together` where units of the parts
    lie apart, else the parts of which the channel may promise the least.
    """
    prefix = heard_key(kit, "")
    heard = {key[len(prefix) :]: row for key, row in rows.scan(prefix) if isinstance(row, Heard)}
    channels = []
    for channel, figures, shown in figures_of(kit, heard):
        made = figures.assembled + min(figures.at_nodes, figures.by_parts)
        channels.append(
            {
                "channel": channel,
                "atp": shown.atp,
                "status": shown.status,
                "assembled": figures.assembled,
                "at_nodes": figures.at_nodes,
                "by_parts": figures.by_parts,
                "cap": figures.cap,
                "binds": ["cap"] if shown.atp < made else _binding(figures),
                "parts": [
                    {
                        "sku": part.sku,
                        "needed": part.needed,
                        "avail": part.atp,
                        "kits": part.atp // part.needed,
                        "exposed": dict(sorted(heard[part.sku].nodes.items())) if part.sku in heard else {},
                    }
                    for part in figures.parts
                ],
            }
        )
    return {"kit": kit, "channels": channels}


def look_up_kit(settings: Settings, kit: str, progress: Progress) -> Plain:
    """Return what `kit_answer` says, from the worker that owns the kit, else from the changelog. Raises: FatalError."""
    kit = normal(kit)
    return ask_worker(settings, kit, "kit") or _from_changelog(settings, kit, progress)


def _from_changelog(settings: Settings, kit: str, progress: Progress) -> Plain:
    mine = heard_key(kit, "").encode()
    partition, rows, _ = committed_rows(settings, KITS_CHANGELOG, kit, lambda key: key.startswith(mine), progress)
    return {"source": "changelog", **kit_answer(rows, kit), "partition": partition}


def _binding(figures: KitFigures) -> list[str]:
    if not figures.parts:
        return ["assembled"]
    if figures.at_nodes < figures.by_parts:
        return ["together"]
    return [part.sku for part in figures.parts if part.atp // part.needed == figures.by_parts]
