"""`atp import`: other people's data as events of ours."""

import json
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from itertools import islice
from pathlib import Path
from typing import Annotated, BinaryIO, TextIO

import typer

from atp.errors import FatalError, PoisonError
from atp.events import Event
from avro_schemas.public_json import to_json
from cli.online_retail import open_file, read_lines, shuffled, told
from cli.progress import bar
from streams import ledger
from streams.broker import resolve_brokers
from streams.settings import Settings
from streams.topics_admin import ensure_topics

TELL_EVERY = 5_000
WRONG = 2

import_app = typer.Typer(
    add_completion=False,
    no_args_is_help=True,
    help="Import other people's data as events.",
    rich_markup_mode="markdown",
)


@import_app.callback()
def _several() -> None:
    """Import other people's data as events."""


@import_app.command("online-retail")
def online_retail(
    file: Annotated[Path, typer.Argument(metavar="FILE", help="Online Retail as CSV, plain or gzipped.")],
    to: Annotated[
        Path | None, typer.Option(metavar="FILE.jsonl|-", help="Write the public JSON form, one event a line.")
    ] = None,
    publish: Annotated[bool, typer.Option("--publish", help="Write the events to the ledger.")] = False,
    opening_stock: Annotated[
        int, typer.Option(metavar="N", min=0, help="Load N of each SKU-location just before its first event.")
    ] = 0,
    limit: Annotated[int, typer.Option(metavar="N", min=0, help="Only the first N lines; 0 is all.")] = 0,
    duplicate_every: Annotated[
        int, typer.Option(metavar="N", min=0, help="Tell every N-th line twice, as a source that resends; 0 is none.")
    ] = 0,
    shuffle_within: Annotated[
        int, typer.Option(metavar="N", min=0, help="Shuffle within windows of N lines; 0 keeps the order.")
    ] = 0,
    seed: Annotated[int, typer.Option(help="Of the shuffle: the same seed, the same order.")] = 1,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object.")] = False,
) -> None:
    """Import a retailer's year, the public data set Online Retail.

    The country is the location and the stock code, in upper case, the SKU. A code of five digits and up to two
    letters is stock; postage, fees and gifts are FinancialOnly. An invoice whose number begins with C is a return,
    sellable again at once; a negative quantity elsewhere is an adjustment with the description as its reason; the
    rest are sales through the channel `online`. A line is known by its invoice and its position there.

    The file is silent for twelve days at New Year: shuffled, it needs a window wider than that, ATP_WINDOW=30d,
    for workers and for `atp verify`.

    Examples:

        atp import online-retail online-retail.csv.gz --to events.jsonl

        atp import online-retail online-retail.csv.gz --publish --opening-stock 1000

        ATP_WINDOW=30d atp import online-retail online-retail.csv.gz --publish --duplicate-every 7 --shuffle-within 1000
    """
    if (to is None) == (not publish):
        typer.echo("say where the events go, one of: --to FILE.jsonl, --publish", err=True)
        raise typer.Exit(WRONG)
    counts: Counter[str] = Counter()
    started = time.monotonic()
    with _opened(file) as (raw, text), bar("importing") as show:
        lines = islice(read_lines(text), limit or None)
        groups = told(lines, opening_stock=opening_stock, duplicate_every=duplicate_every)
        size = file.stat().st_size
        events = _tell(shuffled(groups, shuffle_within, seed), counts, lambda: show(raw.tell(), size))
        try:
            if publish:
                settings = Settings()
                ensure_topics(resolve_brokers(settings), settings)
                ledger.publish(events, settings)
            elif to is not None:
                _write(events, to)
        except PoisonError as error:
            raise FatalError(f"{file}: {error.detail}. Correct the file, then import it again.") from error
    _report(counts, time.monotonic() - started, as_json=as_json, quiet=str(to) == "-")


def _tell(events: Iterator[Event], counts: Counter[str], show: Callable[[], None]) -> Iterator[Event]:
    for number, event in enumerate(events):
        if number % TELL_EVERY == 0:
            show()
        counts[type(event).__name__] += 1
        yield event


@contextmanager
def _opened(file: Path) -> Iterator[tuple[BinaryIO, Iterator[str]]]:
    try:
        raw, text = open_file(file)
    except OSError as error:
        raise FatalError(
            f"cannot read {file}: {error.strerror}. Name another: atp import online-retail FILE"
        ) from error
    with raw:
        yield raw, text


def _write(events: Iterator[Event], to: Path) -> None:
    try:
        stream = nullcontext(sys.stdout) if str(to) == "-" else to.open("w", encoding="utf-8")
    except OSError as error:
        raise FatalError(f"cannot write {to}: {error.strerror}. Name another: --to FILE.jsonl") from error
    with stream as out:
        _write_lines(events, out)


def _write_lines(events: Iterator[Event], out: TextIO) -> None:
    encode = json.JSONEncoder(ensure_ascii=False, separators=(",", ":")).encode
    for event in events:
        out.write(encode(to_json(event)))
        out.write("\n")


def _report(counts: Counter[str], seconds: float, *, as_json: bool, quiet: bool) -> None:
    if as_json:
        report = {"events": counts.total(), "types": dict(sorted(counts.items())), "seconds": round(seconds, 3)}
        typer.echo(json.dumps(report), err=quiet)
        return
    for name, count in counts.most_common():
        typer.echo(f"{count:>12,}  {name}", err=quiet)
    typer.echo(f"{counts.total():>12,}  events in {seconds:.1f} s", err=quiet)
