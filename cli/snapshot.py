"""`atp snapshot`: a consistent cut of the tables as Parquet."""

import json
import time
from pathlib import Path
from typing import Annotated

import typer

from cli.counted import counted
from cli.progress import bar
from sinks.snapshot import Progress, SnapshotSettings, take_snapshot
from streams.broker import resolve_brokers
from streams.reader import MARKER
from streams.settings import Settings
from streams.topics_admin import topic_name
from topologies.topics import CHANGELOG


def snapshot(
    out: Annotated[Path, typer.Option(help="Folder that takes the snapshot, in a folder of its own.")],
    name: Annotated[str | None, typer.Option(help="Name of the snapshot's folder; by default the time.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print the manifest as one JSON object.")] = False,
) -> None:
    """Write positions, availability, claims, supply, ring-fences, transfers, risks and counts as Parquet, in one cut.

    Every partition is cut at its last marker; workers go on meanwhile. `OUT/latest` leads to the last snapshot,
    and so do `OUT/positions.parquet` and its neighbours.

    Examples:

        atp snapshot --out snapshots

        atp snapshot --out snapshots --name before-count

        duckdb -c "SELECT location, sum(on_hand) FROM 'snapshots/positions.parquet' GROUP BY ALL"
    """
    settings = Settings()
    began = time.monotonic()
    wanted = SnapshotSettings(
        brokers=resolve_brokers(settings),
        topic=topic_name(settings, CHANGELOG),
        out=out,
        name=name,
        lag_s=int(CHANGELOG.config()["min.compaction.lag.ms"]) / 1000,
    )
    with bar("reading the changelog") as show:

        def progress(state: Progress) -> None:
            show(state.done, state.total)

        manifest = take_snapshot(wanted, MARKER, progress)
    if as_json:
        typer.echo(json.dumps(manifest))
        return
    rows = manifest["files"]["positions.parquet"]["rows"]
    seconds = time.monotonic() - began
    typer.echo(f"wrote {out / manifest['name']}: {counted(rows, 'position')} in {seconds:.1f} s")
    beyond = sum(part["records_behind_marker"] for part in manifest["partitions"].values())
    if beyond:
        typer.echo(f"{beyond} records behind the last markers are left out. See what runs: atp status", err=True)
