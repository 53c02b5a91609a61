"""`atp demo --scenario NAME`: one story, without the pipeline and with it, in memory and in an instant."""

import json
import re
from collections import Counter
from typing import Any

import typer
from rich.console import Console

from atp.effects import RequestDecided
from avro_schemas.public_json import parse_line
from cli.counted import counted
from cli.stories.scenario import Scenario, scenarios
from cli.stories.without import without
from streams.driver import TopologyDriver

Json = dict[str, Any]


def tell(name: str, console: Console, *, as_json: bool) -> None:
    """Tell a story, or list them with `list`; the beginning of a name will do where it is that of one story alone.

    Exits 1 where it does not end as it should, 2 where it is unknown.
    """
    known = {story.name: story for story in scenarios()}
    if name == "list":
        for story in known.values():
            console.print(f"  {story.name:<28} {story.title}", markup=False, soft_wrap=True)
        console.print("Tell one: atp demo --scenario NAME")
        return
    meant = named(name, list(known))
    if len(meant) != 1:
        which = f"{name} may be {', '.join(meant)}" if meant else f"there is no scenario {name}"
        one = meant[0] if meant else "list"
        typer.echo(f"{which}. {'Name one' if meant else 'See which there are'}: atp demo --scenario {one}", err=True)
        raise typer.Exit(2)
    story = known[meant[0]]
    found = play(story)
    if as_json:
        typer.echo(json.dumps(found, ensure_ascii=False))
    else:
        _print(console, story, found)
    if found["wrong"]:
        raise typer.Exit(1)


def named(asked: str, names: list[str]) -> list[str]:
    """Return the stories that may be meant: by name, by number (`S3` is `s03-...`), else by how the name begins."""
    word = asked.casefold()
    ways = (
        [name for name in names if name == word],
        [name for name in names if _number(name.partition("-")[0]) == _number(word)],
        [name for name in names if name.startswith(word)],
    )
    return next(filter(None, ways), [])


def _number(word: str) -> str:
    """A story's number without the zeros that sort it."""
    return re.sub(r"^([a-z]+)0+(?=\d)", r"\1", word)


def play(story: Scenario) -> Json:
    """Play a story both ways; `wrong` lists what did not end as the story says."""
    log = [event for line in story.lines if line.event is not None for event in parse_line(line.event)]
    naive = without(story.without)
    for event in log:
        naive.hear(event)
    driver = TopologyDriver()
    for event in log:
        driver.send(event)
    driver.flush()
    return {
        "scenario": story.name,
        "title": story.title,
        "without": naive.tell(),
        "oversold_without": naive.oversold,
        "with": _said(driver),
        "wrong": [
            *(f"{one.cause}: {one.detail}" for one in driver.dead_letters()),
            *(state for state in story.states if not holds(state, driver)),
        ],
    }


def _said(driver: TopologyDriver) -> list[str]:
    """What the pipeline says of the events, in the end."""
    told = []
    answers: dict[str, RequestDecided] = {}
    for effect in driver.effects:
        if isinstance(effect, RequestDecided):
            answers[effect.request_id] = effect
    asked, accepted = Counter[str](), Counter[str]()
    for answer in answers.values():
        asked[answer.channel] += answer.requested
        accepted[answer.channel] += answer.quantity
    told += [
        f"{channel} is granted {accepted[channel]} of {counted(units, 'unit')}"
        for channel, units in sorted(asked.items())
    ]
    duplicates = driver.verdicts.get("duplicate", 0)
    told += [f"{counted(duplicates, 'message')} came twice and counted once"] if duplicates else []
    for one in driver.availability():
        later = f"; {one.next_available.quantity} on {one.next_available.date}" if one.next_available else ""
        told.append(f"{one.sku} through {one.channel}: {one.atp} to promise{later}")
    told += [f"risk {r.kind} {r.severity}: {r.quantity} at {r.scope or r.sku}; {r.action}" for r in driver.risks()]
    told += [
        f"variance {v.kind}: expected {v.expected}, observed {v.observed} ({v.cause_hint or 'no hint'})"
        for v in driver.variances()
    ]
    return told


def holds(state: str, driver: TopologyDriver) -> bool:
    """Say whether what a story ends with is so. Raises: ValueError for words that say nothing."""
    match state.split():
        case ["position", at, *pairs]:
            here = {f"{p['sku']}@{p['location']}": p for p in driver.positions()}.get(at, {})
            return all(here.get(name, 0) == int(units) for name, units in zip(pairs[::2], pairs[1::2], strict=True))
        case ["availability", sku, channel, units]:
            return any(a.channel == channel and a.atp == int(units) for a in driver.availability(sku))
        case ["risk", kind, scope, units]:
            said = {(r.kind, r.scope or "-", r.quantity) for r in driver.risks()}
            return (kind, scope, int(units)) in said
        case ["variance", name, "expected", expected, "observed", observed]:
            found = {(v.document or v.transfer, v.expected, v.observed) for v in driver.variances()}
            return (name, int(expected), int(observed)) in found
        case ["granted", channel, units]:
            answers = {a.request_id: a for a in driver.effects if isinstance(a, RequestDecided)}
            return sum(a.quantity for a in answers.values() if a.channel == channel) == int(units)
        case ["no", "risk"]:
            return not driver.risks()
        case _:
            raise ValueError(f"{state} says nothing")


def _print(console: Console, story: Scenario, found: Json) -> None:
    console.print(story.title, style="bold", soft_wrap=True)
    console.print("\nwhat happens", style="bold")
    for text, times in Counter(line.text for line in story.lines if "time_ticked" not in line.text).items():
        often = f"  x {times}" if times > 1 else ""
        console.print(f"  {text}{often}", markup=False, soft_wrap=True)
    console.print("\nwithout the pipeline", style="bold")
    for line in found["without"]:
        console.print(f"  {line}", markup=False, soft_wrap=True)
    console.print("\nwith it", style="bold")
    for line in found["with"]:
        console.print(f"  {line}", markup=False, soft_wrap=True)
    for line in found["wrong"]:
        console.print(f"  not as it should be: {line}", style="red", markup=False, soft_wrap=True)
    console.print("\nOther stories: atp demo --scenario list")
