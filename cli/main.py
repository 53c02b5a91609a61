"""The one command, `atp`: its subcommands, listed by hand.

Exit codes: 0 done; 1 the answer is no (differences, no broker); 2 the command line is wrong; 3 it cannot
go on, and the message says what to do.
"""

import sys
from importlib import import_module
from typing import Any

import typer
from pydantic import ValidationError
from typer.core import TyperGroup

from atp.errors import AtpError

FATAL = 3

COMMANDS = {
    "demo": "cli.demo.command:demo",
    "up": "cli.up:up",
    "down": "cli.down:down",
    "status": "cli.status:status",
    "topics": "cli.topics:topics",
    "worker": "cli.worker:worker",
    "publish": "cli.publish:publish",
    "import": "cli.import_:import_app",
    "show": "cli.show:show",
    "explain": "cli.explain:explain",
    "what-if": "cli.what_if:what_if",
    "availability": "cli.availability:availability",
    "lags": "cli.lags:lags",
    "reserve": "cli.reserve:reserve",
    "release": "cli.release:release",
    "reserve-order": "cli.reserve_order:reserve_order",
    "exceptions": "cli.exceptions:exceptions",
    "risks": "cli.risks:risks",
    "variances": "cli.variances:variances",
    "advice": "cli.advice:advice",
    "erp-batches": "cli.erp_batches:erp_batches",
    "snapshot": "cli.snapshot:snapshot",
    "dead-letters": "cli.dead_letters:dead_letters",
    "verify": "cli.verify:verify",
    "rebuild": "cli.rebuild:rebuild",
    "bench": "cli.bench:bench",
}
"""Where each command is. Only the one that is called is imported: a worker needs no SQL engine."""


class Commands(TyperGroup):
    """The commands, imported when they are asked for."""

    def list_commands(self, ctx: Any) -> list[str]:  # noqa: ANN401, ARG002 - as the library calls it
        return list(COMMANDS)

    def get_command(self, ctx: Any, cmd_name: str) -> Any:  # noqa: ANN401, ARG002 - as the library calls it
        if cmd_name not in COMMANDS:
            return None
        module, name = COMMANDS[cmd_name].split(":")
        found = getattr(import_module(module), name)
        if not isinstance(found, typer.Typer):
            one = typer.Typer(**OPTIONS)
            one.command(cmd_name)(found)
            found = one
        command = typer.main.get_command(found)
        command.name = cmd_name
        return command


OPTIONS: dict[str, Any] = {
    "add_completion": False,
    "rich_markup_mode": "markdown",
    "pretty_exceptions_enable": False,
}
app = typer.Typer(cls=Commands, no_args_is_help=True, **OPTIONS)


@app.callback()
def about() -> None:
    """Continuous available-to-promise: what every channel can still promise, at every moment."""


def main() -> None:
    """Run the command line; errors that say what to do are shown without a traceback."""
    try:
        app()
    except AtpError as error:
        print(f"error: {error}", file=sys.stderr)
        sys.exit(FATAL)
    except ValidationError as error:
        if error.title != "Settings":
            raise
        for one in error.errors():
            print(
                f"error: ATP_{'_'.join(map(str, one['loc'])).upper()}: {one['msg'].removeprefix('Value error, ')}",
                file=sys.stderr,
            )
        print("Correct or unset the variable, then try again: atp status", file=sys.stderr)
        sys.exit(FATAL)
