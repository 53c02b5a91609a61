"""`atp rebuild`: the state of the inventory, folded anew from the logs."""

import json
from dataclasses import asdict
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.table import Table

from cli.progress import bar
from streams.broker import resolve_brokers
from streams.rebuild import Rebuild, Rebuilt
from streams.rebuild_plan import Plan, Standing, make_plan
from streams.settings import Settings
from topologies.inventory import INVENTORY


def rebuild(
    from_logs: Annotated[
        bool, typer.Option("--from-logs", help="From the ledger, and the decisions that were logged.")
    ] = False,
    partition: Annotated[
        list[int] | None, typer.Option(min=0, help="Only this partition; may be given several times.")
    ] = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Show what it would do, and do nothing.")] = False,
    despite_gaps: Annotated[
        bool, typer.Option("--despite-gaps", help="Go on though the logs do not reach back to their beginning.")
    ] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object.")] = False,
) -> None:
    """Fold the ledger anew from its beginning: after an upgrade of the fold, or where state was lost or torn.

    Positions, claims and risks follow from the ledger; requests keep the decisions that were logged. All answers
    are published once more, under the next epoch; posting lines, decisions, risks and variances that are published
    already are not published again. Workers must be stopped. Killed at any moment, it can be started again.

    Examples:

        atp rebuild --from-logs --dry-run

        atp down --workers && atp rebuild --from-logs && atp up --workers 2

        atp rebuild --from-logs --partition 3
    """
    if not from_logs:
        raise typer.BadParameter("say what from: atp rebuild --from-logs")
    settings = Settings()
    brokers = resolve_brokers(settings)
    wanted = sorted(set(partition or ()))
    if dry_run:
        _show(make_plan(settings, brokers, INVENTORY, wanted, despite_gaps=despite_gaps), as_json=as_json)
        return
    with Console(stderr=True).status("looking at the logs ..."):
        one = Rebuild(settings, brokers, INVENTORY, wanted, despite_gaps=despite_gaps)
    with one:
        with bar("folding the ledger") as show:
            one.fold(show)
        with bar("writing partitions") as show:
            done = one.write(show)
    if as_json:
        typer.echo(json.dumps({"rebuilt": [asdict(result) for result in done]}))
        return
    for result in done:
        typer.echo(_told(result))
    typer.echo(
        "next: atp up --workers 1, then atp verify" if done else "there is nothing to rebuild: the ledger is empty"
    )


def _told(result: Rebuilt) -> str:
    added = ", ".join(f"{count} to {topic}" for topic, count in sorted(result.outputs_added.items())) or "none"
    return (
        f"partition {result.partition}: folded {result.records} records, epoch {result.epoch}; {result.rows} rows, "
        f"{result.rows_written} of them written, {result.rows_deleted} deleted; {result.answers} answers published; "
        f"outputs that were missing: {added}"
    )


def _show(plan: Plan, *, as_json: bool) -> None:
    if as_json:
        typer.echo(json.dumps({"finishes": plan.finishes, "missing": plan.missing, "partitions": _described(plan)}))
        return
    table = Table("partition", "state", "ledger", "epoch", "what", box=None, pad_edge=False)
    for one in plan.standings:
        epoch = f"{_epoch(one)} -> {one.epoch}" if one.chosen else str(_epoch(one))
        what = f"fold {one.high - one.low} offsets anew" if one.chosen else "leave as it is"
        table.add_row(str(one.partition), one.state, f"{one.low} to {one.high}", epoch, what)
    Console(soft_wrap=True, highlight=False).print(table)
    for name in plan.missing:
        typer.echo(f"would create the topic {name}")
    if plan.finishes:
        typer.echo("finishes a rebuild that was begun")
    typer.echo("nothing was changed. Stop the workers (atp down --workers), then: atp rebuild --from-logs")


def _described(plan: Plan) -> list[dict[str, Any]]:
    return [
        {
            "partition": one.partition,
            "state": one.state,
            "ledger_from": one.low,
            "ledger_to": one.high,
            "folded_to": 0 if one.marker is None else one.marker.position,
            "epoch": _epoch(one),
            "new_epoch": one.epoch,
            "rebuild": one.chosen,
        }
        for one in plan.standings
    ]


def _epoch(one: Standing) -> int:
    return 0 if one.marker is None else one.marker.epoch
