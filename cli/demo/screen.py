"""What one sees while the day runs: a live screen on a terminal, plain lines every few seconds elsewhere."""

import time
from collections import deque

from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from atp.effects import RiskChanged, VarianceChanged
from atp.events import MINUTE
from cli.demo.retailer import MARKETPLACES, ONLINE
from cli.demo.scene import Scene, percentile
from cli.demo.telling import END, MIDNIGHT

LIVE_S = 0.25
PLAIN_S = 4.0
"""How often each kind of screen is drawn."""
RATE_S = 3.0
SKUS = 8
COLOURS = {"OUT": "bold red", "BACKORDER": "red", "PREORDER": "red", "LOW": "yellow", "IN_STOCK": "green"}


def hour(time_us: int) -> str:
    """The time of the demo's day."""
    minutes = min(max(0, time_us - MIDNIGHT) // MINUTE, END)
    return f"{minutes // 60:02d}:{minutes % 60:02d}"


class Screen:
    """Draws no more often than one can read; `say` is for what happened."""

    def __init__(self, console: Console) -> None:
        self._console = console
        self._live: Live | None = None
        self._drawn = 0.0 if console.is_terminal else time.monotonic()
        self._news: deque[Text] = deque(maxlen=4)
        self._rates: deque[tuple[float, int]] = deque(maxlen=60)

    def say(self, text: str, *, loud: bool = False) -> None:
        """Tell of something that happened, once."""
        line = Text(f"{'>> ' if loud else ''}{text}", style="bold magenta" if loud else "")
        if self._live is not None:
            self._news.append(line)
        else:
            self._console.print(line, soft_wrap=True)

    def show(self, scene: Scene, told: int, total: int, arrival: int) -> None:
        """Draw the scene if it is time to."""
        now = time.monotonic()
        live = self._console.is_terminal
        if not told or now - self._drawn < (LIVE_S if live else PLAIN_S):
            return
        self._drawn = now
        self._rates.append((now, told))
        if live:
            if self._live is None:
                self._live = Live(console=self._console, auto_refresh=False, transient=True)
                self._live.start()
            self._live.update(self._picture(scene, told, total, arrival), refresh=True)
        else:
            self._line(scene, told, total, arrival)

    def close(self) -> None:
        """End the live picture; what was said stays."""
        if self._live is not None:
            self._live.stop()
            self._live = None
            for line in self._news:
                self._console.print(line)

    # Plain ------------------------------------------------------------------------------------------------------

    def _line(self, scene: Scene, told: int, total: int, arrival: int) -> None:
        self._console.print(
            f"{hour(arrival)}  {told * 100 // total:3d} %  {self._rate():6,.0f} events/s  {_age(scene)}  "
            f"risks open {len(scene.open):2d}  dead letters {scene.dead.total():2d}  {self._tight_line(scene)}",
            soft_wrap=True,
        )
        while scene.high_news:
            self._console.print(Text("       ") + _risk_line(scene.high_news.popleft()), soft_wrap=True)

    def _tight_line(self, scene: Scene) -> str:
        skus = scene.tightest(ONLINE, 3)
        words = [f"{sku} {answer.atp}" for sku in skus if (answer := scene.view.get(f"{ONLINE}|{sku}"))]
        return f"tightest {', '.join(words)}" if words else ""

    # Live -------------------------------------------------------------------------------------------------------

    def _picture(self, scene: Scene, told: int, total: int, arrival: int) -> Group:
        head = Table.grid(padding=(0, 2))
        head.add_row(Text(f"Friday {hour(arrival)}", style="bold"), ProgressBar(total=total, completed=told, width=50))
        figures = Text.assemble(
            (f"{self._rate():,.0f}", "bold cyan"), " events/s   ",
            (_age(scene), "cyan"), "   ",
            (f"{scene.answers:,}", "cyan"), " answers   ",
            (f"{scene.lines:,}", "cyan"), " ERP lines   ",
            (f"{scene.dead.total()}", "cyan"), " dead letters",
        )  # fmt: skip
        parts: list[RenderableType] = [
            head,
            figures,
            Text(),
            self._tight(scene),
            Text(),
            self._risks(scene),
            Text(),
            *self._news,
        ]
        return Group(*parts)

    def _tight(self, scene: Scene) -> Table:
        channels = ("all", ONLINE, *MARKETPLACES)
        table = Table("tightest SKUs", *channels, box=None, pad_edge=False, header_style="dim")
        for column in table.columns[1:]:
            column.justify = "right"
        for sku in scene.tightest(ONLINE, SKUS):
            cells = []
            for channel in channels:
                answer = scene.view.get(f"{channel}|{sku}")
                cells.append(Text("" if answer is None else str(answer.atp), COLOURS[answer.status] if answer else ""))
            table.add_row(sku, *cells)
        return table

    def _risks(self, scene: Scene) -> Table:
        opened, closed = (
            sum(count for (_, told), count in scene.risks.items() if told == name) for name in ("opened", "closed")
        )
        table = Table.grid()
        table.add_row(Text(f"oversell risks: {len(scene.open)} open, {opened} opened, {closed} closed", style="dim"))
        for one in reversed(scene.news):
            table.add_row(_risk_line(one) if isinstance(one, RiskChanged) else _variance_line(one))
        return table

    def _rate(self) -> float:
        if len(self._rates) < 2:
            return 0.0
        now, told = self._rates[-1]
        at, before = next((one for one in self._rates if now - one[0] <= RATE_S), self._rates[-2])
        if at == now:
            at, before = self._rates[-2]
        return (told - before) / (now - at)


def _age(scene: Scene) -> str:
    ages = scene.recent()
    if not ages:
        return "age of answers" + " " * 25
    return f"age of answers {percentile(ages, 0.5) * 1000:5.0f} ms p50 {percentile(ages, 0.99) * 1000:6.0f} ms p99"


def _risk_line(risk: RiskChanged) -> Text:
    colour = {"closed": "green", "opened": "red" if risk.severity != "MEDIUM" else "yellow"}.get(risk.transition, "red")
    left = f", {risk.evidence['minutes_left']} min left" if risk.evidence.get("minutes_left") else ""
    return Text.assemble(
        f"{hour(risk.at)} ",
        (f"{risk.transition:<9}", colour),
        f" {risk.severity:<8} {risk.kind:<14} {risk.sku} at {risk.scope}: {risk.quantity} units{left}",
    )


def _variance_line(variance: VarianceChanged) -> Text:
    return Text.assemble(
        f"{hour(variance.as_of)} ",
        (f"{variance.status:<9}", "blue"),
        f" {variance.kind:<8} {'variance':<14} {variance.sku} at {variance.location}: {variance.diff:+d}",
    )
