"""The Faust agent, one for all topologies: it routes chunks to their partition's task, and nothing else.

An exception that leaves an agent would leave a worker that neither runs nor exits. So it ends the process.
"""

from collections.abc import Callable
from typing import Any

from streams.poller import Chunk, Poller
from streams.transport import BatchApp, Chunks


def add_agent(
    app: BatchApp,
    topics: list[str],
    poller: Poller,
    hand_over: Callable[[Chunk], None],
    crash: Callable[[BaseException], None],
) -> None:
    """Let `hand_over` have every chunk of the current assignment. `crash` ends the process."""
    channel = app.topic(*topics, schema=Chunks(), acks=False)

    async def route(stream: Any) -> None:
        stream.enable_acks = False
        try:
            async for event in stream.events():
                for chunk in event.value:
                    if chunk.assignment == poller.number:
                        hand_over(chunk)
        except Exception as error:  # noqa: BLE001
            crash(error)

    app.agent(channel, name=f"{app.conf.id}.{topics[0]}")(route)
