"""`atp what-if`: what events would change if they came now; nothing is published."""

import json
import sys
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Annotated, Any

import typer

from atp.book import key_of
from atp.effects import (
    AdviceChanged,
    AvailabilityChanged,
    Effect,
    ErpLine,
    ExceptionChanged,
    RequestDecided,
    RiskChanged,
    VarianceChanged,
)
from atp.errors import FatalError
from atp.events import AllocationGranted, AllocationReturned, Event, PolicyChanged
from atp.fold import Frame
from avro_schemas.instants import instant
from avro_schemas.json_lines import read_lines
from avro_schemas.plain import plain
from cli.progress import bar
from cli.show import paper
from streams.answer import Answer
from streams.promised import tick_of
from streams.reader import normal
from streams.settings import Settings
from streams.sku_rows import SkuRows, read_sku_rows
from streams.units import units_of
from streams.what_if import COMPARED, Supposed, changes, suppose

KINDS = {
    "availability": AvailabilityChanged,
    "decisions": RequestDecided,
    "risks": RiskChanged,
    "variances": VarianceChanged,
    "exceptions": ExceptionChanged,
    "advice": AdviceChanged,
    "erp_lines": ErpLine,
}
"""Effects by the name of their list in the JSON answer; what is none of these is listed under `others`."""


DATED = (PolicyChanged, AllocationGranted, AllocationReturned)
"""What counts from its own time on, and not before the clock has come there."""
USUAL = {"eligible": True, "share_percent": 100}
"""What figures are without a policy, where that is not 0."""


def what_if(
    sku: Annotated[str, typer.Argument(help="The SKU.")],
    event: Annotated[
        Path,
        typer.Option("--event", metavar="FILE|-", help="Events in the public JSON form, one per line; - is stdin."),
    ],
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object.")] = False,
) -> None:
    """Fold events over a SKU in memory and show what would change: positions, channels, claims, risks, decisions.

    Nothing is published. The events come after all that the SKU has heard, in the order of the file, and must be of
    this SKU or of none (a policy, a tick). An event that is known already counts as the duplicate that it is. Exits 1
    where an event would be refused.

    Examples:

        atp what-if CHAIR --event order.jsonl

        echo '{"type":"TimeTicked", ...}' | atp what-if CHAIR --event - --json
    """
    settings, sku = Settings(), normal(sku)
    events = _events(event, settings)
    with bar("reading the rows") as progress:
        found = read_sku_rows(settings, sku, progress)
    supposed = suppose(found.rows, sku, events, Frame(window=settings.window, epoch=found.epoch))
    if as_json:
        typer.echo(json.dumps(as_plain(sku, found, supposed), ensure_ascii=False))
    else:
        for text in told(sku, found, supposed):
            typer.echo(text)
    if any(step.detail for step in supposed.steps):
        raise typer.Exit(1)


def as_plain(sku: str, found: SkuRows, supposed: Supposed) -> Answer:
    """Shape the answer for JSON."""
    listed: dict[str, list[Any]] = {name: [] for name in (*KINDS, "others")}
    for effect in supposed.effects:
        listed[_kind(effect)].append(plain(effect))
    return {
        "sku": sku,
        **found.source,
        "partition": found.partition,
        "position": found.position,
        "events": [
            {
                "type": type(step.event).__name__,
                "key": key_of(step.event),
                "verdict": step.verdict,
                "detail": step.detail,
            }
            for step in supposed.steps
        ],
        "changes": changes(supposed),
        "effects": listed,
        "before": supposed.before,
        "after": supposed.after,
    }


def _waits(event: Event, tick: int | None) -> str:
    """Say of a policy or a grant that its time has not come: so nothing of it shows yet."""
    if not isinstance(event, DATED) or tick is None or event.event_time <= tick:
        return ""
    return f": counts from {instant(event.event_time)} on, and the clock stands at {instant(tick)}"


def told(sku: str, found: SkuRows, supposed: Supposed) -> Iterator[str]:
    """Say in lines what would change."""
    heard = f"events heard up to {supposed.before['as_of']}" if supposed.before["as_of"] else "no event heard"
    yield (
        f"{sku}, {heard} ({found.source['source']}, partition "
        f"{found.partition}, ledger up to offset {found.position}); nothing is published"
    )
    yield "\nevents"
    for step in supposed.steps:
        why = f": {step.detail}" if step.detail else _waits(step.event, tick_of(found.rows))
        yield f"  {type(step.event).__name__:<22} {step.verdict:<12} {paper(key_of(step.event))}{why}"
    risks = [effect for effect in supposed.effects if isinstance(effect, RiskChanged)]
    told_risks = {(one.kind, one.scope) for one in risks}
    changed = changes(supposed)
    for title, entries in changed.items():
        # What is told of a risk says more, below.
        mine = [e for e in entries if title != "risks" or (e["kind"], e["scope"]) not in told_risks]
        yield from _said(title.replace("_", " "), [_changed(title, entry) for entry in mine])
    yield from _said("decisions", [_decision(e) for e in supposed.effects if isinstance(e, RequestDecided)])
    yield from _said("risks told", [_risk(one) for one in risks])
    yield from _said("variances", [_variance(e) for e in supposed.effects if isinstance(e, VarianceChanged)])
    postings = [effect for effect in supposed.effects if isinstance(effect, ErpLine)]
    yield from _said("posting lines", [_posting(one) for one in postings])
    yield from _said("exceptions", [_exception(e) for e in supposed.effects if isinstance(e, ExceptionChanged)])
    yield from _said("advice", [_advice(e) for e in supposed.effects if isinstance(e, AdviceChanged)])
    others = Counter(type(effect).__name__ for effect in supposed.effects if _kind(effect) == "others")
    yield from _said("others", [f"{count} {name}" for name, count in sorted(others.items())])
    if not any(changed.values()) and not supposed.effects:
        yield "\nnothing would change"


def _events(file: Path, settings: Settings) -> list[Event]:
    try:
        stream = sys.stdin.buffer if str(file) == "-" else file.open("rb")
    except OSError as error:
        raise FatalError(
            f"cannot read {file}: {error.strerror}. Try: atp what-if SKU --event FILE.jsonl, or - for standard input"
        ) from error
    with stream:
        lines = list(read_lines(stream, units_of(settings.units)))
    wrong = [f"line {line.number}: {problem}" for line in lines for problem in line.problems]
    if wrong:
        raise FatalError("\n".join([*wrong, f"Every field is in docs/events.md; try: atp publish {file} --dry-run"]))
    events = [event for line in lines for event in line.events]
    if not events:
        raise FatalError(f"{file} holds no event. Write one per line, as docs/events.md has them.")
    return events


def _kind(effect: Effect) -> str:
    return next((name for name, kind in KINDS.items() if isinstance(effect, kind)), "others")


def _said(title: str, lines: Sequence[str]) -> Iterator[str]:
    if lines:
        yield f"\n{title}"
        for text in lines:
            yield f"  {text}"


def _changed(title: str, entry: Answer) -> str:
    """Say how an entry of a list would change; of a new one what it is, and of one that goes that it does."""
    name = " ".join(str(entry[key]) for key in COMPARED[title].keys if entry[key] != "")
    figures: Answer = entry["changes"]
    was, now = figures.get(COMPARED[title].figures[0], (0, 0))  # What an entry always has, while there is one.
    if now is None:
        return f"{name}: gone"
    if was is None:
        shown = {figure: now for figure, (_, now) in figures.items() if _is_news(figure, now)}
        return f"{name}: new, {', '.join(f'{_words(figure)} {_figure(now)}' for figure, now in shown.items())}"
    words = (f"{_words(figure)} {_figure(was)} -> {_figure(now)}" for figure, (was, now) in figures.items())
    return f"{name}: {', '.join(words)}"


def _is_news(figure: str, value: object) -> bool:
    """Say whether a figure of a new entry is worth a word: what is 0, empty or as by default is not."""
    return figure == "atp" or (value != USUAL[figure] if figure in USUAL else bool(value))


def _words(figure: str) -> str:
    return figure.replace("_", " ")


def _figure(value: object) -> str:
    if value is None or value in ("", []):
        return "none"
    if isinstance(value, dict):
        return " ".join(map(str, value.values()))
    if isinstance(value, list):
        return f"[{', '.join(map(_figure, value))}]"
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)


def _decision(one: RequestDecided) -> str:
    why = f" ({one.reason})" if one.reason else ""
    return f"{one.request_id}: {one.decision} {one.quantity} of {one.requested}{why}; could take {one.atp}"


def _risk(one: RiskChanged) -> str:
    return f"{one.transition} {one.severity} {one.kind} {one.scope}: {one.quantity}".replace(" :", ":")


def _variance(one: VarianceChanged) -> str:
    return f"{one.status} {one.kind} at {one.location}: expected {one.expected}, observed {one.observed}, {one.diff:+d}"


def _exception(one: ExceptionChanged) -> str:
    return f"{one.transition} {one.severity} {one.kind} {one.scope}: {one.action}".replace(" :", ":", 1)


def _advice(one: AdviceChanged) -> str:
    where = f" at {one.location}" if one.location else ""
    return f"{one.status} {one.kind}{where}: {f'{one.quantity} ' if one.quantity else ''}{one.action}"


def _posting(one: ErpLine) -> str:
    return f"{one.document_type} {one.location} {one.quantity:+d}{' reverses a line' if one.reverses else ''}"
