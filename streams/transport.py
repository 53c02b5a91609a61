"""The Faust transport that delivers batches: one message per poll, its value the chunks of all partitions.

Faust brings app, conductor, streams and agents. What it would do to offsets, tables and rebalances is overridden
to nothing here: positions come from markers, and tasks own the state. Faust's own way counts twice after every
crash and rebalance, and pays for each event what this pays for a batch (docs/architecture.md, D2).
"""

import asyncio
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import faust
from faust.app.base import BootStrategy
from faust.serializers.schemas import Schema
from faust.tables.manager import TableManager
from faust.transport import base
from faust.transport.consumer import Consumer as FaustConsumer
from faust.types import TP, ConsumerMessage, Message

from streams.poller import Chunk, Place, Poller

ASSIGN_S = 30.0
"""Telling Faust of an assignment takes milliseconds; a loop that does not answer is stuck."""


class Consumer(FaustConsumer):
    """Faust's side of the poller."""

    def __init__(self, transport: "Transport", *args: Any, **kwargs: Any) -> None:
        super().__init__(transport, *args, **kwargs)
        self._poller = transport.poller
        self._polls: asyncio.Queue[list[Chunk]] = asyncio.Queue()
        self._running: asyncio.AbstractEventLoop | None = None

    async def subscribe(self, topics: Iterable[str]) -> None:
        """Join the group; called by the conductor once all agents stand."""
        self._running = asyncio.get_running_loop()
        self._poller.start(sorted(topics), self._deliver, self._assigned)

    def _deliver(self, chunks: list[Chunk]) -> None:
        assert self._running is not None
        self._running.call_soon_threadsafe(self._polls.put_nowait, chunks)

    def _assigned(self, places: Sequence[Place]) -> None:
        assert self._running is not None
        tps = {TP(*place) for place in places}
        told = asyncio.run_coroutine_threadsafe(self._tell(self._poller.number, tps), self._running)
        told.result(ASSIGN_S)

    async def _tell(self, number: int, assigned: set[TP]) -> None:
        self.app.consumer_generation_id = number  # Streams skip messages of another generation.
        await self.app.topics.on_partitions_assigned(assigned)
        self.app.flow_control.resume()
        # Faust starts its fetcher after the recovery of tables.
        await self.app._fetcher.maybe_start()  # type: ignore[attr-defined]  # noqa: SLF001

    async def _drain_messages(self, fetcher: Any) -> None:
        try:
            while not (self.should_stop or fetcher.should_stop):
                await self.callback(_message(await self._polls.get()))
        except Exception as error:  # noqa: BLE001  (a fetcher that ends leaves a worker that does nothing)
            self._poller.crash(error)

    async def on_stop(self) -> None:
        """Leave the group; the poller's thread finishes what is in flight."""
        await asyncio.get_running_loop().run_in_executor(None, self._poller.stop)

    def assignment(self) -> set[TP]:
        return {TP(*place) for place in self._poller.places}

    # Offsets are none of Faust's business.

    async def commit(self, *_: Any, **__: Any) -> bool:
        return False

    async def _commit(self, offsets: Mapping[TP, int]) -> bool:
        return False

    async def perform_seek(self) -> None:
        return

    async def seek_to_committed(self) -> Mapping[TP, int]:
        return {}

    async def _seek(self, partition: TP, offset: int) -> None:
        return

    async def seek_wait(self, partitions: Mapping[TP, int]) -> None:
        return

    def track_message(self, message: Message) -> None:
        return

    def ack(self, message: Message) -> bool:
        return True

    async def wait_empty(self) -> None:
        return

    async def verify_all_partitions_active(self) -> None:
        return

    def verify_recovery_event_path(self, now: float, tp: TP) -> None:
        return

    # Required by the interface, asked by nothing that runs here.

    async def create_topic(self, *_: Any, **__: Any) -> None:
        return

    async def _getmany(self, active_partitions: set[TP] | None, timeout: float) -> dict[TP, list[Any]]:  # noqa: ASYNC109
        return {}

    def _to_message(self, tp: TP, record: Any) -> ConsumerMessage:
        return _message(record)

    def _new_topicpartition(self, topic: str, partition: int) -> TP:
        return TP(topic, partition)

    def highwater(self, tp: TP) -> int:
        return 0

    async def highwaters(self, *partitions: TP) -> Mapping[TP, int]:
        return {}

    async def earliest_offsets(self, *partitions: TP) -> Mapping[TP, int]:
        return {}

    async def position(self, tp: TP) -> int | None:
        return None

    def topic_partitions(self, topic: str) -> int | None:
        return None

    def key_partition(self, topic: str, key: bytes | None, partition: int | None = None) -> int | None:
        return partition


class Transport(base.Transport):
    """Hands the app our consumer, and Faust's empty producer, which nothing here sends with."""

    Consumer = Consumer
    driver_version = "batch"

    def __init__(self, url: list[Any], app: "BatchApp", poller: Poller) -> None:
        super().__init__(url, app)
        self.poller = poller


class NoTables(TableManager):
    """Tasks own the state: there is nothing for Faust to recover or to wait for."""

    async def on_start(self) -> None:
        self._tables_finalized.set()
        self._tables_registered.set()
        self.recovery.completed.set()


class Boot(BootStrategy):
    """No web server, no producer, no leader, no replies, whatever the settings say."""

    enable_kafka_producer = False
    enable_web = False

    def kafka_consumer(self) -> Iterable[Any]:
        return [self.app.consumer]


class BatchApp(faust.App):
    """A Faust app over the batch transport."""

    BootStrategy = Boot

    def __init__(self, name: str, poller: Poller) -> None:
        super().__init__(
            name,
            broker="batch://",
            store="memory://",
            autodiscover=False,
            web_enabled=False,
            topic_allow_declare=False,
            topic_disable_leader=True,
            stream_wait_empty=False,
            TableManager=NoTables,
        )
        self.transport = Transport(self.conf.broker_consumer, self, poller)

    def _create_directories(self) -> None:
        return  # State lies where the task puts it.


class Chunks(Schema[Any, Any]):
    """Values are lists of chunks already."""

    def loads_key(self, app: Any, message: Message, **_: Any) -> Any:
        return message.key

    def loads_value(self, app: Any, message: Message, **_: Any) -> Any:
        return message.value


def _message(chunks: list[Chunk]) -> ConsumerMessage:
    """Wrap what a poll brought. Faust is told of one partition, and routes by nothing but the topic."""
    value: Any = chunks
    first = chunks[0]
    return ConsumerMessage(
        first.topic,
        first.partition,
        0,
        0.0,
        0,
        None,
        None,
        value,
        None,
        tp=TP(first.topic, first.partition),
        generation_id=first.assignment,
    )
