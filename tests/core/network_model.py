"""The reference model, fourth part: what promises leave of the stock of several nodes, by an ordinary maximum flow.

Source: docs/domain.md section 6.
"""

from collections import defaultdict
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise


@dataclass(frozen=True)
class Promise:
    """Units that are promised, and the nodes that may serve them."""

    units: int
    nodes: frozenset[str]


Point = tuple[str, str]
"""A kind and a name: where promises start, a promise, a node, where stock ends."""


def flow(stock: Mapping[str, int], promises: Sequence[Promise]) -> int:
    """The most units of the promises that the stock can serve: paths are augmented one after the other."""
    spare: dict[Point, dict[Point, int]] = defaultdict(lambda: defaultdict(int))
    for n, promise in enumerate(promises):
        spare["from", ""]["promise", str(n)] = promise.units
        for node in sorted(promise.nodes & stock.keys()):
            spare["promise", str(n)]["node", node] = promise.units
    for node, units in stock.items():
        spare["node", node]["to", ""] = units
    served = 0
    while (path := _path(spare)) is not None:
        steps = list(pairwise(path))
        units = min(spare[a][b] for a, b in steps)
        for a, b in steps:
            spare[a][b] -= units
            spare[b][a] += units
        served += units
    return served


def _path(spare: Mapping[Point, Mapping[Point, int]]) -> list[Point] | None:
    """A shortest way with room from promises to stock."""
    paths: list[list[Point]] = [[("from", "")]]
    seen = {paths[0][0]}
    while paths:
        path = paths.pop(0)
        if path[-1] == ("to", ""):
            return path
        for following, units in list(spare[path[-1]].items()):
            if units > 0 and following not in seen:
                seen.add(following)
                paths.append([*path, following])
    return None


def unserved(stock: Mapping[str, int], promises: Sequence[Promise]) -> int:
    """Units of the promises that no way of serving them can serve."""
    return sum(promise.units for promise in promises) - flow(stock, promises)


def takeable(stock: Mapping[str, int], promises: Sequence[Promise], nodes: Collection[str]) -> int:
    """What a further demand without bound could have of these nodes beside the promises."""
    boundless = Promise(sum(stock.values()), frozenset(nodes))
    return flow(stock, [*promises, boundless]) - flow(stock, promises)
