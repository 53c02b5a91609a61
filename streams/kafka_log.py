"""What Kafka's client library tells of its connections, as records of Python's logging."""

import logging

HANDLED = ("COORDINIT", "ERROR", "FAIL", "GETPID", "REQTMOUT", "RETRY")
"""What it tries again by itself, and repeats several times a second while it does: a broker that is away or starts.

The worker says in one line of its own that the brokers are away, and that they are back.
"""

KAFKA = logging.getLogger(__name__)
"""For the clients of a worker; those of commands are silent, since a command tells of trouble in one sentence."""


def _worth_telling(record: logging.LogRecord) -> bool:
    facility = record.args[0] if isinstance(record.args, tuple) and record.args else ""
    return facility not in HANDLED or KAFKA.isEnabledFor(logging.DEBUG)


KAFKA.addFilter(_worth_telling)
