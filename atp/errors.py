"""Three verdicts, each caught in one place; rooms subclass them.

AtpError
|-- PoisonError       this record can never succeed: dead-letter it and go on
|   `-- UndecodableError    (avro_schemas) bytes that are no event of ours
|-- BusyError         not now: pause and try the same again (sinks and start-up only)
`-- FatalError        stop the worker; whoever runs it starts it again, or the operator acts first
"""


class AtpError(Exception):
    """An error that says what to do next in its last sentence."""


class PoisonError(AtpError):
    """The record can never succeed."""

    def __init__(self, cause: str, detail: str) -> None:
        """`cause` is a short word to count by, `detail` a sentence for people."""
        super().__init__(f"{cause}: {detail}")
        self.cause = cause
        self.detail = detail


class BusyError(AtpError):
    """Something outside is not ready; try the same again."""

    def __init__(self, detail: str, retry_after_s: float) -> None:
        """`retry_after_s` is how long to wait at least, in seconds."""
        super().__init__(detail)
        self.retry_after_s = retry_after_s


class FatalError(AtpError):
    """The process cannot go on."""
