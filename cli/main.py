"""The one command, `atp`: its subcommands, listed by hand."""

import typer

app = typer.Typer(no_args_is_help=True, add_completion=False, rich_markup_mode="markdown", pretty_exceptions_enable=False)


def main() -> None:
    """Run the command line."""
    app()
