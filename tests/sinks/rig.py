"""What tests of sinks have in common: effects and rows to send, and a transactional producer to send them with."""

import itertools
from collections.abc import Mapping, Sequence
from pathlib import Path

from confluent_kafka import Producer

from atp.book import Position, Row, Touch
from atp.effects import (
    AvailabilityChanged,
    Cause,
    DeadLetter,
    Effect,
    ErpLeg,
    ErpLine,
    KitComponentChanged,
    RequestDecided,
)
from atp.events import DAY
from avro_schemas import codec
from sinks.erp_batches import ErpBatches, ErpSettings
from sinks.erp_format import Batch
from streams.checkpoint import BATCH_HEADER, MARKER_KEY, Marker, encode_marker
from streams.settings import Settings
from streams.topics_admin import topic_name
from topologies.topics import ERP_LINES, Topic

NOON = 20_777 * DAY + DAY // 2
_numbers = itertools.count(1)


class Sender:
    """Sends transactions to chosen partitions of one pipeline's topics."""

    def __init__(self, settings: Settings) -> None:
        assert settings.brokers is not None
        self._settings = settings
        self._producer = Producer(
            {"bootstrap.servers": settings.brokers, "transactional.id": f"{settings.app}-rig-{next(_numbers)}"}
        )
        self._producer.init_transactions(30)

    def send(
        self, topic: Topic, partition: int, records: Sequence[tuple[str, bytes | None]], *, commit: bool = True
    ) -> None:
        """Send one transaction of (key, value)."""
        self._transact(topic, [(partition, key.encode(), value) for key, value in records], commit=commit)

    def leave_open(self, topic: Topic, partition: int, records: Sequence[tuple[str, bytes | None]]) -> None:
        """Send records and end neither way, as a worker that died would."""
        self._producer.begin_transaction()
        for key, value in records:
            self._producer.produce(topic_name(self._settings, topic), value, key.encode(), partition)
        self._producer.flush(30)

    def effects(self, topic: Topic, partition: int, effects: Sequence[Effect | DeadLetter]) -> None:
        """Send one transaction of effects."""
        self.send(topic, partition, [(_key(effect), codec.encode(effect)) for effect in effects])

    def rows(self, topic: Topic, partition: int, rows: Mapping[str, Row | None], marker: Marker | None) -> None:
        """Send rows, and last the marker, as a task commits them."""
        records = [
            (partition, key.encode(), None if row is None else codec.encode_row(row)) for key, row in rows.items()
        ]
        if marker is not None:
            records.append((partition, MARKER_KEY, encode_marker(marker)))
        self._transact(topic, records, batch=0 if marker is None else marker.batch)

    def _transact(
        self,
        topic: Topic,
        records: Sequence[tuple[int, bytes, bytes | None]],
        *,
        commit: bool = True,
        batch: int | None = None,
    ) -> None:
        headers: list[tuple[str, str | bytes | None]] = [] if batch is None else [(BATCH_HEADER, b"%d" % batch)]
        self._producer.begin_transaction()
        for partition, key, value in records:
            self._producer.produce(topic_name(self._settings, topic), value, key, partition, headers=headers)
        if commit:
            self._producer.commit_transaction(30)
        else:
            # An abort alone would throw away what has not been sent: aborted records must lie in the log.
            self._producer.flush(30)
            self._producer.abort_transaction(30)


def marker(position: int, batch: int) -> Marker:
    """A marker of three partitions."""
    return Marker(
        position=position, batch=batch, epoch=0, partitions=3, ledger="ledger", changelog="changelog", evidence="e"
    )


def line(number: int, quantity: int = 2, **other: object) -> ErpLine:
    """A sale of `quantity`, with the posting key `key-<number>`."""
    fields = {
        "posting_key": f"key-{number:06d}",
        "document_type": "GI_SALE",
        "sku": f"SKU-{number % 7}",
        "location": f"S{number % 3}",
        "business_date": "2026-11-20",
        "quantity": -quantity,
        "legs": (
            ErpLeg(account=f"sellable|S{number % 3}", quantity=-quantity),
            ErpLeg(account="CUSTOMER", quantity=quantity),
        ),
        "reason": "",
        "event_key": f"pos:S1|receipt|T-{number}|1|SaleRecorded|SKU-{number % 7}",
        "event_time": NOON + number,
        "version": "0",
        "reverses": "",
    }
    return ErpLine(**{**fields, **other})  # type: ignore[arg-type]


def answer(channel: str, sku: str, atp: int, version: int, epoch: int = 0) -> AvailabilityChanged:
    """An answer for a channel."""
    return AvailabilityChanged(
        key=f"{channel}|{sku}",
        sku=sku,
        channel=channel,
        location="",
        atp=atp,
        atp_raw=atp,
        previous_atp=None if version == 1 else 0,
        status="IN_STOCK" if atp else "OUT",
        epoch=epoch,
        version=version,
        as_of=NOON,
        computed_at=None,
        cause=Cause(type="GoodsReceived", key="wms|grn|G-1|1|GoodsReceived|A"),
    )


def position(sellable: int, **other: object) -> Position:
    """A position with nothing but sellable stock, unless said otherwise."""
    fields = {
        "sellable": sellable,
        "returned": 0,
        "quarantine": 0,
        "damaged": 0,
        "in_transit_in": 0,
        "safety_stock": 0,
        "eligible": True,
        "low_at": 0,
        "counts": (),
        "touches": (Touch(type="GoodsReceived", key="k", event_time=NOON, on_hand=sellable, sellable=sellable),),
        "atp": max(0, sellable),
        "version": 1,
        "as_of": NOON,
    }
    return Position(**{**fields, **other})  # type: ignore[arg-type]


def write_batches(settings: Settings, out: Path, **options: object) -> list[Batch]:
    """Run the ERP sink until nothing is left, and return the batches that it wrote."""
    written: list[Batch] = []
    ErpBatches(erp_settings(settings, out, **options), written.append).run()
    return written


def erp_settings(settings: Settings, out: Path, **options: object) -> ErpSettings:
    """Settings of a run that ends soon."""
    fields = {
        "brokers": settings.brokers,
        "topic": topic_name(settings, ERP_LINES),
        "out": out,
        "until_idle_s": 0.3,
        **options,
    }
    return ErpSettings.model_validate(fields)


def _key(effect: Effect | DeadLetter) -> str:
    match effect:
        case ErpLine():
            return effect.posting_key
        case AvailabilityChanged():
            return effect.key
        case RequestDecided():
            return effect.request_id
        case KitComponentChanged():
            return effect.key
        case DeadLetter():
            return f"{effect.topic}|{effect.partition}|{effect.offset}"
        case _:
            return effect.id
