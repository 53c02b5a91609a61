"""`atp demo`: the whole pipeline at work, in under three minutes."""

import json
from typing import Annotated

import typer
from rich.console import Console

from cli.demo.broker_show import BrokerShow
from cli.demo.day import LEAST, Told, tell_day
from cli.demo.memory_show import MemoryShow
from cli.demo.screen import Screen
from cli.demo.stage import Stage, build, home
from cli.demo.summary import Seen, as_json, lines, next_commands, print_summary
from cli.stories.told import tell
from streams import broker
from streams.settings import Settings

EVENTS, EVENTS_IN_MEMORY = 100_000, 40_000
"""Two workers and a broker have more hands than one process."""


def demo(
    in_memory: Annotated[
        bool, typer.Option("--in-memory", help="Without Kafka: the same day, in one process.")
    ] = False,
    seed: Annotated[int, typer.Option(help="Another seed is another day.")] = 1,
    events: Annotated[
        int | None,
        typer.Option(min=LEAST, help=f"About how many events the day has; {EVENTS}, in memory {EVENTS_IN_MEMORY}."),
    ] = None,
    fast: Annotated[bool, typer.Option("--fast", help="As fast as it goes, not at a pace to watch.")] = False,
    stop: Annotated[bool, typer.Option("--stop", help="Stop the demo's broker at the end.")] = False,
    scenario: Annotated[
        str, typer.Option(metavar="NAME", help="Tell one story instead, by its name or how that begins; list: all.")
    ] = "",
    json_: Annotated[bool, typer.Option("--json", help="Print the summary as one JSON object.")] = False,
) -> None:
    """Play a retail day: 180 stores, two DCs, an online shop, two marketplaces in a flash promotion.

    Starts a broker of its own under .atp/demo and two workers, kills one worker in the middle, shows what the
    outputs say, and compares them with what the day must come to. Exits 1 if anything is not as planned.

    Examples:

        atp demo

        atp demo --events 20000 --fast

        atp demo --in-memory --json

        atp demo --scenario list

        atp demo --scenario o185
    """
    if scenario:
        tell(scenario, Console(stderr=json_, highlight=False), as_json=json_)
        return
    settings = Settings()
    console = Console(stderr=json_, highlight=False)
    console.print("Continuous ATP: a retail day, from the first receipt to the ERP's books", style="bold")
    lacking = None if in_memory else broker.missing(settings)
    in_memory = in_memory or lacking is not None
    told = tell_day(events or (EVENTS_IN_MEMORY if in_memory else EVENTS), seed)
    screen = Screen(console)
    screen.say(f"{told.plan.messages:,} messages in all, {told.plan.duplicates:,} of them sent twice; seed {seed}")
    after: list[str] = []
    try:
        if in_memory:
            screen.say("in memory, without Kafka" + (f": {lacking}" if lacking else ", as you asked"), loud=True)
            seen = MemoryShow(told, screen).play()
        else:
            stage, seen = _on_broker(settings, told, screen, fast=fast, stop=stop)
            after = next_commands(told, stage.environ(), home(settings))
    except KeyboardInterrupt:
        screen.close()
        console.print("stopped. Start again with: atp demo")
        raise typer.Exit(130) from None
    found = lines(told, seen)
    if json_:
        typer.echo(json.dumps({**as_json(told, seen, found), "next": after}, ensure_ascii=False))
    else:
        print_summary(console, found)
        _print_next(console, after, stopped=stop and not in_memory)
    if any(line.ok is False for line in found):
        raise typer.Exit(1)


def _on_broker(settings: Settings, told: Told, screen: Screen, *, fast: bool, stop: bool) -> tuple[Stage, Seen]:
    screen.say("starting a broker ...")
    stage = build(settings)
    try:
        screen.say(f"broker {stage.brokers} ({stage.kind}), {stage.settings.partitions} partitions a topic")
        return stage, BrokerShow(stage, told, screen, fast=fast).play()
    finally:
        if stop and stage.kind == "local":
            broker.down(stage.settings)


def _print_next(console: Console, commands: list[str], *, stopped: bool) -> None:
    console.print()
    if not commands:
        console.print("Next: run it on a real broker, with Docker, or with Java 17 and Maven: atp demo")
        return
    if stopped:
        console.print("Start the demo's broker again with `atp up` and the same environment, then try:", style="bold")
    else:
        console.print("The demo's broker still runs, for you to ask it:", style="bold")
    for one in commands[:-1]:
        console.print(f"  {one}", markup=False, soft_wrap=True)
    console.print("and to stop it:")
    console.print(f"  {commands[-1]}", markup=False, soft_wrap=True)
