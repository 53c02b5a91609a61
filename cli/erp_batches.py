"""`atp erp-batches`: posting lines as numbered batch files for an ERP."""

import json
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from sinks.erp_batches import ErpBatches, ErpSettings
from sinks.erp_folder import check
from sinks.erp_format import Batch
from streams.broker import resolve_brokers
from streams.settings import Settings
from streams.topics_admin import topic_name
from topologies.topics import ERP_LINES


class Form(StrEnum):
    """How a data file is written."""

    ndjson = "ndjson"
    csv = "csv"


def erp_batches(
    out: Annotated[Path | None, typer.Option(help="Folder of the batches; it remembers how far they go.")] = None,
    check_folder: Annotated[
        Path | None, typer.Option("--check", metavar="DIR", help="Read the batches of a folder again, write nothing.")
    ] = None,
    until_idle: Annotated[
        float | None, typer.Option(help="End once nothing new came for so many seconds; else go on for ever.", min=0)
    ] = None,
    every: Annotated[float, typer.Option(help="Seconds that a line waits at most for its batch.", min=0)] = 5.0,
    max_lines: Annotated[int, typer.Option(help="Lines of a batch at most.", min=1)] = 50_000,
    form: Annotated[Form, typer.Option("--format", help="How data files are written.")] = Form.ndjson,
    empty: Annotated[
        bool, typer.Option("--empty", help="Write a batch where --every passed without a line too.")
    ] = False,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Say what would be written now, and write nothing.")
    ] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print a manifest per line instead of text.")] = False,
) -> None:
    """Write posting lines to numbered batch files, gapless; a run goes on where the last one, or a crash, left off.

    Each batch is a folder with data and a manifest: offsets, counts, signed totals by type, digest, the batch
    before. A batch that is missing or cut short is made again, to the same bytes.

    Examples:

        atp erp-batches --out erp --until-idle 5

        atp erp-batches --out erp --every 60 --format csv

        atp erp-batches --out erp --dry-run

        atp erp-batches --check erp
    """
    if (out is None) == (check_folder is None):
        raise typer.BadParameter("name a folder with --out, or one to look at with --check DIR")
    if check_folder is not None:
        _check(check_folder, as_json=as_json)
        return
    assert out is not None
    settings = Settings()
    told = _Told(as_json=as_json, dry_run=dry_run)
    sink = ErpBatches(
        ErpSettings(
            brokers=resolve_brokers(settings),
            topic=topic_name(settings, ERP_LINES),
            out=out,
            form=form.value,
            max_lines=max_lines,
            every_s=every,
            until_idle_s=until_idle,
            empty=empty,
        ),
        told,
    )
    try:
        if dry_run:
            sink.preview()
        else:
            sink.run()
    except KeyboardInterrupt:
        typer.echo(f"stopped. Go on with: atp erp-batches --out {out}", err=True)
        raise typer.Exit(130) from None
    told.finish(out)


class _Told:
    """Prints batches as they are written."""

    def __init__(self, *, as_json: bool, dry_run: bool) -> None:
        self._as_json = as_json
        self._verb = "would write" if dry_run else "wrote"
        self._batches = self._lines = 0

    def __call__(self, batch: Batch) -> None:
        manifest = batch.manifest
        self._batches += 1
        self._lines += manifest["lines"]
        if self._as_json:
            typer.echo(json.dumps(manifest))
            return
        typer.echo(
            f"{self._verb} batch-{manifest['batch_id']:06d}: {_count(manifest['lines'], 'line')}, "
            f"{_count(manifest['docs'], 'document')}, {_signed(manifest['quantity_by_type'])}"
        )
        if manifest["duplicates"]:
            typer.echo(f"  {manifest['duplicates']} lines were in the topic twice and are in the batch once", err=True)
        for record in manifest["foreign"]:
            where = f"partition {record['partition']} offset {record['offset']}"
            typer.echo(f"  {manifest['topic']} {where} is no posting line; find out who else writes there", err=True)

    def finish(self, out: Path) -> None:
        if not self._as_json:
            written = f"{self._verb} {_count(self._batches, 'batch', 'es')}, {_count(self._lines, 'line')}"
            typer.echo(f"{written}. Check with: atp erp-batches --check {out}")


def _check(folder: Path, *, as_json: bool) -> None:
    found = check(folder)
    if as_json:
        typer.echo(json.dumps({**found._asdict(), "ok": not found.problems}))
    else:
        for problem in found.problems:
            typer.echo(problem)
        verdict = _count(len(found.problems), "problem") if found.problems else "all of it holds together"
        sums = f"{_count(found.batches, 'batch', 'es')}, {_count(found.lines, 'line')}"
        typer.echo(f"{sums}, {_signed(found.quantity_by_type)}: {verdict}")
    if found.problems:
        raise typer.Exit(1)


def _count(number: int, what: str, plural: str = "s") -> str:
    return f"{number} {what}" if number == 1 else f"{number} {what}{plural}"


def _signed(totals: dict[str, int]) -> str:
    return ", ".join(f"{kind} {quantity:+d}" for kind, quantity in totals.items()) or "nothing"
