"""SKUs that are called almost like one that nobody knows: what a mistyped one may have meant."""

import time
from contextlib import closing
from difflib import get_close_matches

from sinks.committed import CommittedReader
from streams.settings import Settings
from streams.topics_admin import topic_name
from topologies.topics import AVAILABILITY

TAKE = 20_000
LOOK_S = 5.0
"""How long is looked at most: it is a hint, and a year's answers are read in less."""
SHOWN = 3


def similar(settings: Settings, brokers: str, sku: str) -> list[str]:
    """Return SKUs that some location answers for and that are called almost like `sku`, the likeliest first.

    Upper and lower case are taken for the same. Raises: FatalError where the brokers do not answer.
    """
    known: dict[str, str] = {}
    deadline = time.monotonic() + LOOK_S
    with closing(CommittedReader(brokers, topic_name(settings, AVAILABILITY))) as reader:
        reader.from_beginning()
        while not reader.caught_up and time.monotonic() < deadline:
            for message in reader.take(TAKE, 0.2):
                key = message.key()
                words = key.decode(errors="replace").split("|") if isinstance(key, bytes) else []
                # A location's answer is given where goods were: what a request alone has named has none.
                if len(words) == 3 and words[1] != sku:
                    known[words[1].casefold()] = words[1]
    return [known[name] for name in get_close_matches(sku.casefold(), known, SHOWN, 0.7)]
