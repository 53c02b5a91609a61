"""The one command, `atp`: its subcommands, listed by hand.

Exit codes: 0 done; 1 the answer is no (differences, no broker); 2 the command line is wrong; 3 it cannot
go on, and the message says what to do.
"""

import sys

import typer
from pydantic import ValidationError

from atp.errors import AtpError
from cli.availability import availability
from cli.dead_letters import dead_letters
from cli.down import down
from cli.erp_batches import erp_batches
from cli.import_ import import_app
from cli.publish import publish
from cli.show import show
from cli.snapshot import snapshot
from cli.status import status
from cli.topics import topics
from cli.up import up
from cli.verify import verify
from cli.worker import worker

FATAL = 3

app = typer.Typer(
    no_args_is_help=True, add_completion=False, rich_markup_mode="markdown", pretty_exceptions_enable=False
)
app.command()(up)
app.command()(worker)
app.command()(down)
app.command()(status)
app.command()(topics)
app.command()(publish)
app.add_typer(import_app, name="import")
app.command()(show)
app.command()(verify)
app.command()(availability)
app.command("erp-batches")(erp_batches)
app.command()(snapshot)
app.command("dead-letters")(dead_letters)


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
            print(f"error: ATP_{'_'.join(map(str, one['loc'])).upper()}: {one['msg']}", file=sys.stderr)
        print("Correct the environment, then try again.", file=sys.stderr)
        sys.exit(FATAL)
