"""What was planned against what was seen: the end of the demo, for people and for programs."""

import os
import shutil
import sys
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from rich.console import Console

from cli.demo.day import Told
from cli.demo.plan import Plan
from cli.demo.scene import Scene, percentile

WIDTH = 16
CATCH_UP_S = 5.0
"""How long after a takeover what has piled up is still worked off."""


@dataclass(slots=True)
class Batches:
    """What the ERP got."""

    out: str
    """Folder, empty where nothing was written."""
    number: int = 0
    lines: int = 0
    totals: Counter[str] = field(default_factory=Counter)

    def add(self, lines: int, totals: Mapping[str, int]) -> None:
        """Add a batch by its manifest."""
        self.number += 1
        self.lines += lines
        for kind, units in totals.items():
            self.totals[kind] += units


@dataclass(frozen=True, slots=True)
class Seen:
    """What a run came to."""

    host: str
    told_s: float
    seconds: float
    """From the first message to the last answer."""
    scene: Scene
    duplicates: int
    batches: Batches
    verdict: dict[str, Any]
    """What `atp verify --json` says."""
    killed: int | None
    silent: int
    """Partitions of the killed worker."""
    takeover_s: float | None
    killed_at: float | None


@dataclass(frozen=True, slots=True)
class Line:
    """A line of the summary; `ok` is None where nothing is compared."""

    name: str
    text: str
    ok: bool | None = None
    more: tuple[str, ...] = ()


def lines(told: Told, seen: Seen) -> list[Line]:
    """Compare plan and outcome."""
    plan, scene = told.plan, seen.scene
    return [
        Line(
            "the day",
            f"{plan.messages:,} messages about {plan.skus} SKUs at {plan.positions:,} positions, told in "
            f"{seen.told_s:.0f} s and folded after {seen.seconds:.0f} s ({seen.host})",
        ),
        Line(
            "duplicates",
            f"{seen.duplicates:,} refused of {plan.duplicates:,} messages that were sent again",
            seen.duplicates == plan.duplicates,
        ),
        Line("late messages", f"{plan.delayed:,} came minutes to hours late and count at their own time"),
        Line(
            "dead letters",
            f"{scene.dead.total()} of {plan.dead.total()} planned: {_counts(scene.dead)}",
            scene.dead == plan.dead,
        ),
        _risks(plan, scene),
        _variances(plan, scene),
        _requests(plan, scene),
        *_outlook(told, seen),
        *_ages(seen),
        _erp(plan, seen.batches),
        _verdict(seen.verdict),
    ]


def _risks(plan: Plan, scene: Scene) -> Line:
    opened, closed = (sum(n for (_, told), n in scene.risks.items() if told == one) for one in ("opened", "closed"))
    sold_short = ", ".join(f"{sku} at {location}" for sku, location in sorted(plan.oversold))
    return Line(
        "oversell risks",
        f"{opened} opened, {closed} closed, {len(scene.open)} still open; {len(scene.highs)} were HIGH",
        scene.oversold == plan.oversold and opened == closed + len(scene.open) and opened > len(plan.oversold),
        (f"sold below zero on stale copies, until the receipt came: {sold_short}",),
    )


def _variances(plan: Plan, scene: Scene) -> Line:
    standing = sorted((one for one in scene.variances.values() if one.diff), key=lambda one: (one.kind, one.diff))
    found = {(one.kind, one.sku, one.location): (one.diff, one.cause_hint) for one in standing}
    explained = sum(not one.diff and one.restatement > 0 for one in scene.variances.values())
    ok = found.keys() == plan.variances.keys() and all(
        found[key][0] == diff and words in found[key][1] for key, (diff, words) in plan.variances.items()
    )
    return Line(
        "variances",
        f"{len(standing)} stand, {explained} more closed by sales that came late",
        ok and explained >= plan.restated,
        tuple(f"{one.diff:+4d} {one.sku} at {one.location}, {one.kind.lower()}: {one.cause_hint}" for one in standing),
    )


def _requests(plan: Plan, scene: Scene) -> Line:
    granted = Counter[str]()
    by_channel = Counter[tuple[str, str]]()
    for answer in scene.answered.values():
        granted[answer.sku] += answer.quantity
        by_channel[answer.sku, answer.channel] += answer.quantity
    fenced = all(by_channel[key] == units for key, units in plan.fenced.items())
    return Line(
        "requests",
        f"{len(scene.answered):,} of {plan.requests:,} answered, {len(scene.contradicted)} of them in two ways; "
        f"{granted.total()} units granted of the {sum(plan.granted.values())} that there were",
        granted == Counter(plan.granted) and len(scene.answered) == plan.requests and not scene.contradicted and fenced,
        tuple(f"{channel} got all {units} of its ring-fence of {sku}" for (sku, channel), units in plan.fenced.items()),
    )


def _outlook(told: Told, seen: Seen) -> list[Line]:
    plan, scene = told.plan, seen.scene
    dated = all((sku, day) in scene.expected for sku, day in plan.expected.items())
    found = [
        Line(
            "late supply",
            ", ".join(
                f"{sku} did not come yesterday and can be promised for {day}" for sku, day in plan.expected.items()
            ),
            dated,
        )
    ]
    if seen.killed is not None:  # The in-memory host folds the ledger alone, no kits.
        kits = {answer.sku: answer.atp for answer in scene.view if answer.sku in plan.kits and answer.channel == "all"}
        found.append(Line("kits", ", ".join(f"{n} x {sku}" for sku, n in kits.items()) or "none", kits == plan.kits))
    return found


def _ages(seen: Seen) -> list[Line]:
    ages = seen.scene.ages
    if not ages:
        return []
    kill, back = seen.killed_at, seen.takeover_s
    # Answers that waited while nobody held the dead worker's partitions are another matter than the usual age.
    over = None if kill is None else kill + (back or 0.0) + CATCH_UP_S
    calm = [
        age.seconds
        for age in ages
        if kill is None or over is None or age.read_at < kill or age.read_at - age.seconds > over
    ]
    shown = calm or [a.seconds for a in ages]
    text = f"p50 {percentile(shown, 0.5) * 1000:.0f} ms, p99 {percentile(shown, 0.99) * 1000:.0f} ms"
    text += " from an event's sending to its answer's reading" + (
        ", takeover apart" if kill is not None and calm else ""
    )
    found = [Line("age of answers", text)]
    if seen.killed is not None:
        after = "" if back is None else f"; its {seen.silent} partitions answered again after {back:.1f} s"
        found.append(Line("worker killed", f"pid {seen.killed} by kill -9 in the flash promotion{after}"))
    return found


def _erp(plan: Plan, batches: Batches) -> Line:
    planned = Counter({kind: units for kind, units in plan.erp.items() if units})
    posted = Counter({kind: units for kind, units in batches.totals.items() if units})
    where = f", in {os.path.relpath(batches.out)}" if batches.out else ""
    number = f"{batches.number} batches, " if batches.number else ""
    return Line(
        "ERP batches" if batches.number else "ERP lines",
        f"{number}{batches.lines:,} lines{where}",
        posted == planned,
        (
            f"{', '.join(f'{kind} {units:+,}' for kind, units in sorted(batches.totals.items()))}",
            f"together {sum(posted.values()):+,} units; stock on hand by the day's own arithmetic {plan.on_hand:+,}",
        ),
    )


def _verdict(verdict: Mapping[str, Any]) -> Line:
    word = verdict.get("verdict", "nothing")
    compared = ", ".join(
        f"{verdict[name]:,} {words}"
        for name, words in (
            ("positions", "positions"),
            ("keys", "answers"),
            ("erp_lines", "ERP lines"),
            ("variances", "variances of counts and transfers"),
            ("refused", "refusals"),
        )
        if name in verdict
    )
    return Line(
        "atp verify",
        f"{word}: {compared}; {verdict.get('differences', 'no')} differences",
        word == "equal",
        tuple(str(one) for one in verdict.get("first_differences", [])[:5]),
    )


def _counts(counts: Counter[str]) -> str:
    return ", ".join(f"{number} {cause}" for cause, number in sorted(counts.items(), key=lambda c: (-c[1], c[0])))


def print_summary(console: Console, found: list[Line]) -> None:
    """Print the lines, each with its verdict where it has one."""
    console.print()
    for line in found:
        mark = {True: "ok", False: "NOT AS PLANNED", None: ""}[line.ok]
        style = "bold red" if line.ok is False else "green"
        console.print(f"{line.name:<{WIDTH}}{line.text}", end="  " if mark else "\n", markup=False, soft_wrap=True)
        if mark:
            console.print(mark, style=style)
        for one in line.more:
            console.print(f"{'':<{WIDTH}}{one}", markup=False, soft_wrap=True)


def next_commands(told: Told, environ: Mapping[str, str], home: Path) -> list[str]:
    """Return three commands that work now, and what ends it all."""
    before = "".join(f"{name}={value} " for name, value in environ.items())
    command = Path(sys.argv[0])
    program = "atp" if shutil.which("atp") == str(command.absolute()) else os.path.relpath(command)
    if command.name != "atp":
        program = "python -m cli"
    return [
        f"{before}{program} show {told.story} --location {told.counted}",
        f"{before}{program} availability --channel marketplace-1",
        f"{before}{program} snapshot --out {os.path.relpath(home / 'snapshots')}",
        f"{before}{program} down",
    ]


def as_json(told: Told, seen: Seen, found: list[Line]) -> dict[str, Any]:
    """Shape the summary for programs."""
    plan, scene = told.plan, seen.scene
    return {
        "ok": all(line.ok is not False for line in found),
        "host": seen.host,
        "messages": plan.messages,
        "seconds": round(seen.seconds, 1),
        "duplicates": {"planned": plan.duplicates, "refused": seen.duplicates},
        "delayed": plan.delayed,
        "dead_letters": {"planned": dict(plan.dead), "seen": dict(scene.dead)},
        "risks": {
            "opened": sum(n for (_, told_), n in scene.risks.items() if told_ == "opened"),
            "closed": sum(n for (_, told_), n in scene.risks.items() if told_ == "closed"),
            "open": len(scene.open),
        },
        "variances": [
            {"kind": one.kind, "sku": one.sku, "location": one.location, "diff": one.diff, "cause_hint": one.cause_hint}
            for one in scene.variances.values()
            if one.diff
        ],
        "requests": {
            "asked": plan.requests,
            "answered": len(scene.answered),
            "granted": sum(answer.quantity for answer in scene.answered.values()),
        },
        "erp": {
            "batches": seen.batches.number,
            "lines": seen.batches.lines,
            "planned": {k: v for k, v in plan.erp.items() if v},
            "posted": {k: v for k, v in seen.batches.totals.items() if v},
        },
        "takeover_s": None if seen.takeover_s is None else round(seen.takeover_s, 1),
        "verify": seen.verdict,
        "not_as_planned": [line.name for line in found if line.ok is False],
    }
