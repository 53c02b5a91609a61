"""`python -m cli`: the same command as `atp`, for whoever knows the interpreter and not the script."""

from cli.main import main

main()
