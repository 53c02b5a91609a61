"""The floor: consume and decode, nothing else: `python -m bench.floor JOB` prints events a second."""

import json
import sys
import time

from confluent_kafka import Consumer

from avro_schemas import codec
from bench.job import Job, from_arguments
from streams.kafka_log import KAFKA


def run(job: Job) -> float:
    """Return events a second from the first record to the last."""
    consumer = Consumer(
        {
            "bootstrap.servers": job.brokers,
            "group.id": job.run,
            "auto.offset.reset": "earliest",
            "isolation.level": "read_committed",
            "enable.auto.commit": False,
            "fetch.queue.backoff.ms": 5,
        },
        logger=KAFKA,
    )
    consumer.subscribe([job.ledger])
    done, began = 0, 0.0
    while done < job.events:
        for message in consumer.consume(5000, 0.1):
            value = message.value()
            assert message.error() is None
            assert value is not None
            began = began or time.monotonic()
            codec.decode_event(value)
            done += 1
    rate = done / (time.monotonic() - began)
    consumer.close()
    return rate


if __name__ == "__main__":
    sys.stdout.write(json.dumps({"rate": run(from_arguments(sys.argv))}) + "\n")
