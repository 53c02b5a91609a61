"""What reading bytes can come to."""

from atp.errors import PoisonError


class UndecodableError(PoisonError):
    """Bytes that are no event, effect or row of ours.

    Causes: `garbage` (no known framing), `unknown_schema`, `truncated`, `trailing_bytes`, `invalid` (bytes that
    break the schema); and for events whatever `atp.checks` finds, `out_of_range` first.
    """
