"""The load: sales of 20,000 SKUs at 300 locations, some far more often than others, the same at every run.

The first sale of a SKU at a location is preceded by the receipt of the goods, so that stock is sold, not debt made.
"""

import random
from collections.abc import Iterator
from itertools import accumulate, islice

from confluent_kafka import KafkaError, Message, Producer

from atp.events import DAY, SECOND, Document, GoodsReceived, SaleRecorded
from avro_schemas import codec
from streams.kafka_log import KAFKA

SKUS = 20_000
LOCATIONS = 300
CHANNELS = ("store", "online", "marketplace-1", "marketplace-2")
OPENING = 200
"""Units received before the first sale: most positions stay above zero, the hottest run dry."""
BEGIN = 20_600 * DAY
"""Event time of the first sale: a day in May 2026."""
DRAWN = 10_000
SEED = 20_260_601

Event = SaleRecorded | GoodsReceived


def events(count: int, begin: int = BEGIN, step: int = SECOND // 50, seed: int = SEED) -> Iterator[Event]:
    """Yield `count` sales and the receipts before them, `step` microseconds of event time apart.

    A SKU's share falls with its rank as one over it, a location's to the power of 0.8.
    """
    chance = random.Random(seed)  # noqa: S311  (the same load each time is the point)
    skus = list(accumulate(1 / (rank + 10) for rank in range(SKUS)))
    places = list(accumulate((rank + 10) ** -0.8 for rank in range(LOCATIONS)))
    stocked: set[tuple[int, int]] = set()
    for start in range(0, count, DRAWN):
        size = min(DRAWN, count - start)
        drawn = zip(
            chance.choices(range(SKUS), cum_weights=skus, k=size),
            chance.choices(range(LOCATIONS), cum_weights=places, k=size),
            strict=True,
        )
        for number, pair in enumerate(drawn, start):
            time = begin + number * step
            sku, location = f"SKU-{pair[0]:05d}", f"S{pair[1]:03d}"
            if pair not in stocked:
                stocked.add(pair)
                yield GoodsReceived(
                    source="wms:DC1",
                    document=Document("grn", f"G-{number}", 1),
                    event_time=time,
                    sku=sku,
                    location=location,
                    quantity=OPENING,
                )
            yield SaleRecorded(
                source=f"pos:{location}",
                document=Document("receipt", f"T-{number}", 1),
                event_time=time,
                sku=sku,
                location=location,
                channel=CHANNELS[number % len(CHANNELS)],
                quantity=1 + number % 3,
            )


def producer(brokers: str, linger_ms: int) -> Producer:
    """Return a producer that partitions by SKU as every writer to the ledger does.

    Uncompressed, since the client of one of the hosts reads no lz4.
    """
    return Producer(
        {
            "bootstrap.servers": brokers,
            "partitioner": "murmur2_random",
            "enable.idempotence": True,
            "linger.ms": linger_ms,
            "queue.buffering.max.messages": 500_000,
        },
        logger=KAFKA,
    )


def publish(brokers: str, topic: str, sales: int, most: int | None = None) -> int:
    """Write the load, or its first events, to a topic; return how many that is. Raises: RuntimeError."""
    failed: list[KafkaError] = []

    def delivered(error: KafkaError | None, _: Message) -> None:
        if error is not None:
            failed.append(error)

    writer = producer(brokers, linger_ms=50)
    count = 0
    for count, event in enumerate(islice(events(sales), most), 1):
        value, key = codec.encode(event), event.sku.encode()
        while True:
            try:
                writer.produce(topic, value, key, on_delivery=delivered)
            except BufferError:
                writer.poll(0.1)
            else:
                break
        if count % 1000 == 0:
            writer.poll(0)
    writer.flush()
    if failed:
        raise RuntimeError(f"{len(failed)} events were not published: {failed[0]}")
    return count
