"""A logger for Kafka clients of commands, which tell of trouble in one sentence of their own."""

import logging

SILENT = logging.getLogger(__name__)
SILENT.addHandler(logging.NullHandler())
SILENT.propagate = False  # The client repeats itself several times a second while a broker is away.
