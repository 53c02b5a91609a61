"""Posting lines into numbered batches for an ERP: each line in one batch, each batch with the same bytes for ever.

1. Take what is committed; cut it by (partition, offset), at most `max_lines` to a batch.
2. Write the cut durably.
3. Write data and manifest under a temporary name, then rename.

After a crash the next run makes every batch again whose cut is there and which is not, and goes on behind the last
cut. There is no other state: offsets come from the folder. Source: docs/domain.md section 9.
"""

import time
from collections.abc import Callable, Iterator
from pathlib import Path

from confluent_kafka import Message
from pydantic import BaseModel, ConfigDict, Field

from atp.effects import ErpLine
from atp.errors import FatalError, PoisonError
from avro_schemas import codec
from sinks.committed import AWAY_S, CommittedReader, topic_id
from sinks.durable import locked
from sinks.erp_folder import ErpFolder, Origin
from sinks.erp_format import FIRST, Batch, Cut, Format, Posted, Span, build

TAKE = 10_000
"""Records that are taken at once: about 5 MB."""
WAIT_S = 0.2
"""How long a look for new lines waits."""

OnBatch = Callable[[Batch], None]


class ErpSettings(BaseModel):
    """What a run of the sink needs to know."""

    model_config = ConfigDict(frozen=True)

    brokers: str
    topic: str
    out: Path
    form: Format = "ndjson"
    max_lines: int = Field(default=50_000, ge=1)
    """Lines of a batch at most."""
    every_s: float = Field(default=5.0, ge=0)
    """How long the first waiting line waits at most for its batch to be cut."""
    until_idle_s: float | None = Field(default=None, ge=0)
    """End once nothing new came for so long; None: never."""
    empty: bool = False
    """Also write a batch where `every_s` passed without a line."""


class ErpBatches:
    """One run of the sink."""

    def __init__(self, settings: ErpSettings, on_batch: OnBatch) -> None:
        """`on_batch` hears of each batch once it is written."""
        self._settings = settings
        self._on_batch = on_batch
        self._folder = ErpFolder(settings.out)
        self._previous = FIRST
        self._next: dict[int, int] = {}

    def run(self) -> None:
        """Write batches until nothing new came for `until_idle_s`. Raises: FatalError."""
        with locked(self._settings.out):
            self._folder.adopt(self._origin())
            reader = CommittedReader(self._settings.brokers, self._settings.topic)
            try:
                self._resume(reader)
                self._follow(reader)
            finally:
                reader.close()

    def preview(self) -> None:
        """Tell `on_batch` what a run would write now, and write nothing. Raises: FatalError."""
        reader = CommittedReader(self._settings.brokers, self._settings.topic)
        try:
            known = self._folder.origin()
            if known is not None and known != self._origin():
                self._folder.adopt(self._origin())
            self._resume(reader, write=False)
            reader.assign(self._next)
            waiting: list[Posted] = []
            while not reader.caught_up:
                waiting += self._decoded(reader.take(TAKE, WAIT_S))
            for cut, lines in self._cut(waiting):
                self._pass_on(self._build(cut, lines), cut)
        finally:
            reader.close()

    def _origin(self) -> Origin:
        settings = self._settings
        return Origin(settings.topic, topic_id(settings.brokers, settings.topic), settings.form)

    def _resume(self, reader: CommittedReader, *, write: bool = True) -> None:
        """Make again what is cut and missing, and find where to go on."""
        cuts = self._folder.cuts()
        for cut in cuts:
            done = self._folder.complete(cut.batch_id)
            if done is None:
                batch = self._build(cut, self._read_again(reader, cut))
                if write:
                    self._folder.write(batch)
                self._pass_on(batch, cut)
            else:
                self._previous = done
        if cuts:
            self._next = {partition: span.through + 1 for partition, span in cuts[-1].spans.items()}
            if self._next.keys() != set(reader.partitions):
                raise FatalError(
                    f"{self._settings.topic} has {len(reader.partitions)} partitions and the last batch in "
                    f"{self._settings.out} knows {len(self._next)}. Name another folder with --out"
                )
        for partition in reader.partitions:
            low, high = reader.bounds(partition)
            start = self._next.setdefault(partition, low)
            if not low <= start <= high:
                raise FatalError(
                    f"the next line of {self._settings.topic} partition {partition} would be at offset {start}, and it "
                    f"holds {low} to {high}. Name another folder with --out, and tell the ERP what it lacks"
                )

    def _read_again(self, reader: CommittedReader, cut: Cut) -> list[Posted]:
        """Read the lines of a cut. Raises: FatalError where the topic no longer holds them."""
        wanted = {partition: span for partition, span in cut.spans.items() if span.through >= span.first}
        missing = dict(wanted)
        lines: list[Posted] = []
        for partition, span in wanted.items():
            low, high = reader.bounds(partition)
            if low > span.first or high <= span.through:
                raise FatalError(
                    f"batch {cut.batch_id} needs offsets {span.first} to {span.through} of {self._settings.topic} "
                    f"partition {partition}, which holds {low} to {high}. Restore the batch from a copy"
                )
        reader.assign({partition: span.first for partition, span in wanted.items()})
        deadline = time.monotonic() + AWAY_S
        while missing:
            taken = self._decoded(reader.take(TAKE, WAIT_S))
            if taken:
                deadline = time.monotonic() + AWAY_S
            elif time.monotonic() > deadline:
                raise FatalError(f"{self._settings.topic} gave nothing for {AWAY_S:.0f} s. See what runs: atp status")
            for posted in taken:
                span = wanted[posted.partition]
                if posted.offset <= span.through:
                    lines.append(posted)
                if posted.offset >= span.through:
                    missing.pop(posted.partition, None)
        return lines

    def _follow(self, reader: CommittedReader) -> None:
        settings = self._settings
        reader.assign(self._next)
        waiting: list[Posted] = []
        news = cut_at = time.monotonic()
        while True:
            taken = self._decoded(reader.take(TAKE, WAIT_S))
            now = time.monotonic()
            if taken or reader.away or not reader.caught_up:
                news = now
            if taken and not waiting:
                cut_at = now
            waiting += taken
            idle = settings.until_idle_s is not None and now - news >= settings.until_idle_s
            if len(waiting) >= settings.max_lines or now - cut_at >= settings.every_s or (idle and waiting):
                for cut, lines in self._cut(waiting):
                    self._folder.keep_cut(cut)
                    batch = self._build(cut, lines)
                    self._folder.write(batch)
                    self._pass_on(batch, cut)
                waiting, cut_at = [], now
            if idle:
                reader.answers()  # Silence of brokers that are away is no end.
                return

    def _cut(self, waiting: list[Posted]) -> Iterator[tuple[Cut, list[Posted]]]:
        """Cut all that waits into batches; the caller takes them one after the other."""
        settings = self._settings
        ordered = sorted(waiting, key=lambda posted: posted[:2])
        if not ordered and not settings.empty:
            return
        for start in range(0, max(1, len(ordered)), settings.max_lines):
            lines = ordered[start : start + settings.max_lines]
            through = {posted.partition: posted.offset for posted in lines}
            spans = {
                partition: Span(first, through.get(partition, first - 1))
                for partition, first in sorted(self._next.items())
            }
            yield Cut((self._previous.batch_id or 0) + 1, spans), lines

    def _build(self, cut: Cut, lines: list[Posted]) -> Batch:
        return build(cut, lines, self._previous, form=self._settings.form, topic=self._settings.topic)

    def _pass_on(self, batch: Batch, cut: Cut) -> None:
        self._previous = batch.hands_on
        self._next = {partition: span.through + 1 for partition, span in cut.spans.items()}
        self._on_batch(batch)

    def _decoded(self, messages: list[Message]) -> list[Posted]:
        return [_posted(message) for message in messages]


def _posted(message: Message) -> Posted:
    partition, offset, value = message.partition(), message.offset(), message.value()
    assert partition is not None
    assert offset is not None
    try:
        line = codec.decode(value) if isinstance(value, bytes) else None
    except PoisonError:
        line = None
    # Only workers may write here. One foreign record shall not keep an ERP from all the lines behind it, so the
    # manifest names it and the batch goes on.
    return Posted(partition, offset, message.timestamp()[1], line if isinstance(line, ErpLine) else None)
