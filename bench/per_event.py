"""What hosts that handle one record at a time share: decode, fold, encode. The same fold and codec as our worker's.

Their rows lie in a store of bytes, one entry per row; each output is published by itself, since neither host
offers a place to coalesce in.
"""

from collections.abc import Callable, Iterator

from atp.book import Row
from atp.events import DAY
from atp.fold import Frame
from avro_schemas import codec
from topologies.topology import Topology

FRAME = Frame(window=7 * DAY)
"""As a worker with default settings has it."""

UNUSED = ("v|", "h|")
"""How keys of rows begin that the load leads to none of: differences and copies."""

Output = tuple[str, bytes, bytes]
"""Topic without prefix, key, value."""


class StoredRows:
    """`Rows` over a store of bytes."""

    def __init__(self, get: Callable[[str], bytes | None]) -> None:
        self._get = get

    def get(self, key: str) -> Row | None:
        """Return the row, None where there is none."""
        value = self._get(key)
        return None if value is None else codec.decode_row(key, value)

    def scan(self, prefix: str) -> Iterator[tuple[str, Row]]:
        """Yield nothing: what others hold of a new SKU is looked for, and in the load nobody says what he holds.

        That costs these hosts nothing, though it costs our worker a look. Any other scan is refused: the load needs
        none (no counts, policies, ticks or forgetting), and one host has none.
        """
        if not prefix.startswith(UNUSED):
            raise NotImplementedError(f"a scan of {prefix} is no part of the benchmark")
        return iter(())


def fold_one(topology: Topology, rows: StoredRows, value: bytes) -> tuple[list[tuple[str, bytes | None]], list[Output]]:
    """Fold one record; return the rows to write, None to delete, and what to publish."""
    outcome = topology.fold(rows, codec.decode_event(value), FRAME)
    assert outcome.refusal is None, outcome.refusal
    changes = [(key, None if row is None else codec.encode_row(row)) for key, row in outcome.changes.items()]
    outputs = []
    for effect in outcome.effects:
        topic, key = topology.route(effect)
        outputs.append((topic.name, key.encode(), codec.encode(effect)))
    return changes, outputs
