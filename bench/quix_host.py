"""Quix Streams, exactly-once, with its RocksDB state: `python -m bench.quix_host JOB`.

State is kept by message key, as Quix Streams does it: our rows are entries under their SKU. Settings are its
defaults (a checkpoint every 5 s) but for compression, which every host here has.
"""

import sys
from pathlib import Path

from quixstreams import Application, State
from quixstreams.models.serializers import SerializationContext, Serializer

from bench.job import Job, from_arguments
from bench.per_event import Output, StoredRows, fold_one


class Encoded(Serializer):  # type: ignore[misc]
    """An output is encoded already."""

    def __call__(self, value: Output, ctx: SerializationContext) -> bytes:
        """Return the bytes of an output."""
        del ctx
        return value[2]


def run(job: Job) -> None:
    """Fold the first events of the load, then stop."""
    done = 0

    def count(_topic: str, _partition: int, _offset: int) -> None:
        nonlocal done
        done += 1
        if done == job.events:
            app.stop()

    app = Application(
        broker_address=job.brokers,
        consumer_group=job.run,
        auto_offset_reset="earliest",
        processing_guarantee="exactly-once",
        state_dir=Path(job.folder),
        producer_extra_config={"compression.type": "lz4"},
        on_message_processed=count,
        loglevel="WARNING",
    )
    ledger = app.topic(job.ledger, key_deserializer="bytes", value_deserializer="bytes")
    topics = {
        name: app.topic(job.prefix + name, key_serializer="bytes", value_serializer=Encoded()) for name in job.outputs
    }

    def fold(value: bytes, state: State) -> list[Output]:
        changes, outputs = fold_one(job.topology, StoredRows(state.get_bytes), value)
        for key, row in changes:
            if row is None:
                state.delete(key)
            else:
                state.set_bytes(key, row)
        return outputs

    frame = app.dataframe(ledger).apply(fold, stateful=True, expand=True)
    frame.to_topic(lambda output, *_: topics[output[0]], key=lambda output: output[1])
    app.run()


if __name__ == "__main__":
    run(from_arguments(sys.argv))
