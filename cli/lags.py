"""`atp lags`: how far channels are behind, and the policy that makes their buffers and risks follow it."""

import json
import time
from typing import Annotated

import typer
from rich.console import Console
from rich.table import Table

from avro_schemas.public_json import to_json
from sinks.committed import CommittedReader
from sinks.lags import ChannelLag, Lags, policy, read_lags
from streams.broker import resolve_brokers
from streams.ledger import publish as publish_events
from streams.settings import Settings, duration
from streams.topics_admin import topic_name
from topologies.topics import AVAILABILITY, LEDGER

NONE_HEARD = 1


def lags(
    since: Annotated[str, typer.Option(metavar="24h", help="Measure what was told within this: 90s, 15m, 2h, 1d.")] = (
        "24h"
    ),
    channel: Annotated[str, typer.Option(help="One channel only.")] = "",
    publish: Annotated[
        bool, typer.Option("--publish", help="Publish a policy for each channel: its lag_s, the 95th percentile.")
    ] = False,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Print the policies that --publish would publish, one per line.")
    ] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object per channel.")] = False,
) -> None:
    """Measure how long channels take to acknowledge what they are told, by the broker's clock.

    An answer's lag ends with the first ChannelAck of it, or of a later one of the same SKU. Answers that were replaced
    over an hour ago may be gone from the topic; they are not measured. Published again, a channel's policy is a
    revision of the one before: the latest stands. Exits 1 where no channel acknowledged anything.

    Examples:

        atp lags

        atp lags --since 2h --channel marketplace-1 --json

        atp lags --dry-run

        atp lags --publish
    """
    settings = Settings()
    now_s = int(time.time())
    found = _read(settings, now_s * 1000 - _window_ms(since))
    measured = [lag for lag in found.channels() if channel in ("", lag.channel)]
    if not measured:
        _explain(found, channel, since)
        raise typer.Exit(NONE_HEARD)
    policies = [policy(lag, now_s) for lag in measured if lag.lags_ms]
    if dry_run:
        for one in policies:
            typer.echo(json.dumps(to_json(one), ensure_ascii=False))
        return
    if publish:
        publish_events(policies, settings)
    if as_json:
        for lag in measured:
            typer.echo(json.dumps(as_plain(lag), ensure_ascii=False))
        return
    _print(measured, found.silent() if not channel else [])
    if publish:
        typer.echo(f"published for {len(policies)} channels. They hold once a worker has folded them: atp show SKU")


def as_plain(lag: ChannelLag) -> dict[str, object]:
    """Shape a lag for JSON: seconds with three decimals, null where nothing could be measured."""
    some = bool(lag.lags_ms)
    return {
        "channel": lag.channel,
        "acks": lag.acks,
        "answers": len(lag.lags_ms),
        "p50_s": lag.percentile_ms(50) / 1000 if some else None,
        "p95_s": lag.percentile_ms(95) / 1000 if some else None,
        "max_s": lag.lags_ms[-1] / 1000 if some else None,
        "lag_s": lag.lag_s if some else None,
        "never_acknowledged": lag.waiting,
    }


def _read(settings: Settings, since_ms: int) -> Lags:
    brokers = resolve_brokers(settings)
    availability = CommittedReader(brokers, topic_name(settings, AVAILABILITY))
    try:
        ledger = CommittedReader(brokers, topic_name(settings, LEDGER))
        try:
            return read_lags(availability, ledger, since_ms)
        finally:
            ledger.close()
    finally:
        availability.close()


def _window_ms(since: str) -> int:
    try:
        window = duration(since)
    except ValueError as error:
        raise typer.BadParameter(f"--since is 90s, 15m, 2h or 1d, not {since!r}. Try: atp lags --since 24h") from error
    if not isinstance(window, int) or window <= 0:
        raise typer.BadParameter(f"--since is 90s, 15m, 2h or 1d, not {since!r}. Try: atp lags --since 24h")
    return window // 1000


def _print(measured: list[ChannelLag], silent: list[str]) -> None:
    table = Table("channel", "acks", "p50", "p95", "max", "never acknowledged", box=None, pad_edge=False)
    for column in table.columns[1:]:
        column.justify = "right"
    for lag in measured:
        plain = as_plain(lag)
        seconds = ("-" if plain[name] is None else f"{plain[name]:.1f} s" for name in ("p50_s", "p95_s", "max_s"))
        table.add_row(lag.channel, f"{lag.acks:,}", *seconds, f"{lag.waiting:,}")
    Console(soft_wrap=True).print(table)
    if silent:
        typer.echo(f"told and never heard: {', '.join(silent)}")


def _explain(found: Lags, channel: str, since: str) -> None:
    if channel and (found.acked or found.told):
        heard = sorted({key.partition("|")[0] for key in found.acked})
        names = f"; there are: {', '.join(heard)}. Try: atp lags --channel {heard[0]}" if heard else ". Try: atp lags"
        typer.echo(f"channel {channel} acknowledged nothing within {since}{names}", err=True)
    else:
        typer.echo(
            f"no channel acknowledged anything within {since}. Look further back with: atp lags --since 30d. "
            "Channels send a ChannelAck with each version that they apply: docs/events.md",
            err=True,
        )
