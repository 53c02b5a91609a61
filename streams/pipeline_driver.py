"""Inventory and kits together in memory: what one tells the other is folded before `send` returns.

driver = PipelineDriver(partitions=3)
driver.send_json('{"type":"MasterChanged", "kit":"BED-SET", "components":{"FRAME":1,"SLAT":14}, ...}')
driver.availability("BED-SET")
"""

from collections.abc import Callable

from atp.events import DAY
from streams.driver import Output, TopologyDriver
from topologies.inventory import INVENTORY
from topologies.kits import KITS
from topologies.partitioning import place_of
from topologies.topics import KIT_COMPONENTS


class PipelineDriver(TopologyDriver):
    """A `TopologyDriver` of inventory that feeds one of kits; what kits publish is among its own outputs."""

    def __init__(
        self,
        *,
        partitions: int = 1,
        window: int = 7 * DAY,
        batch_size: int = 1,
        on_step: Callable[[str], None] | None = None,
    ) -> None:
        """As `TopologyDriver`; kits commit after each record."""
        super().__init__(INVENTORY, partitions=partitions, window=window, batch_size=batch_size, on_step=on_step)
        self.kits = TopologyDriver(KITS, partitions=partitions, window=window)

    def restart(self, *, keep_cache: bool = False) -> None:
        """Lose what was not committed, in both; what was told to kits stays told."""
        self.kits.restart(keep_cache=keep_cache)
        super().restart(keep_cache=keep_cache)

    def _publish(self, topic: str, output: Output) -> None:
        super()._publish(topic, output)
        if topic != KIT_COMPONENTS.name:
            return
        before = {name: len(records) for name, records in self.kits.outputs.items()}
        place = place_of(KIT_COMPONENTS, output.key, output.partition, len(self._partitions))
        self.kits.send_bytes(output.key, output.value, partition=place)
        for name, records in self.kits.outputs.items():
            for one in records[before.get(name, 0) :]:
                super()._publish(name, one)
