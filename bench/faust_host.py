"""A plain Faust agent with a RocksDB table and its changelog: `python -m bench.faust_host JOB`.

Stock Faust, at-least-once: its `exactly_once` loses and doubles events. Set in its favour: no web server, no
leader topic, and records linger 20 ms, without which each would travel alone.
"""

import os
import signal
import sys
from pathlib import Path
from typing import Any

import faust

from bench.job import Job, from_arguments
from bench.per_event import StoredRows, fold_one

PARTITIONS_ENV = "ATP_PARTITIONS"


def run(job: Job, partitions: int) -> None:
    """Fold the first events of the load, then stop."""
    app = faust.App(
        job.run,
        broker=f"kafka://{job.brokers}",
        store="rocksdb://?driver=rocksdict",
        datadir=Path(job.folder),
        key_serializer="raw",
        value_serializer="raw",
        topic_partitions=partitions,
        topic_replication_factor=1,
        topic_disable_leader=True,
        topic_allow_declare=True,
        consumer_auto_offset_reset="earliest",
        producer_linger=0.02,
        web_enabled=False,
    )
    plain: dict[str, Any] = {"key_serializer": "raw", "value_serializer": "raw"}
    ledger = app.topic(job.ledger, key_type=bytes, value_type=bytes, **plain)
    topics = {name: app.topic(job.prefix + name, key_type=bytes, value_type=bytes, **plain) for name in job.outputs}
    table = app.Table("rows", key_type=bytes, value_type=bytes, partitions=partitions)
    done = 0

    @app.agent(ledger)
    async def work(stream: faust.StreamT[bytes]) -> None:
        nonlocal done
        rows = StoredRows(lambda key: table.get(key.encode()))
        async for value in stream:
            changes, outputs = fold_one(job.topology, rows, value)
            for key, row in changes:
                if row is None:
                    table.pop(key.encode(), None)
                else:
                    table[key.encode()] = row
            for name, record_key, output in outputs:
                await topics[name].send(key=record_key, value=output)
            done += 1
            if done == job.events:
                os.kill(os.getpid(), signal.SIGTERM)

    faust.Worker(app, loglevel="WARN").execute_from_commandline()


if __name__ == "__main__":
    run(from_arguments(sys.argv), int(os.environ[PARTITIONS_ENV]))
