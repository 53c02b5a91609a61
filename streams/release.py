"""Gives units of an order line back: once under the name of its paper, and no more of them than the line holds.

What is given back beyond what a line holds would eat what the line takes later. So the line is read before, once all
that was published of its SKU is folded; and a paper that was published before is found again: its name is its identity,
but it would be dated anew, and that is another statement.
"""

import time
from collections.abc import Iterator
from contextlib import closing, suppress
from dataclasses import dataclass, replace
from typing import Literal

from atp.book import Claim, Evidence, Rows, claim_key, evidence_key, key_of, line_of
from atp.claims import Standing, standing
from atp.errors import PoisonError
from atp.events import Event, OrderCancelled, ReservationReleased
from avro_schemas import codec
from sinks.committed import CommittedReader
from streams.ledger import publish
from streams.promised import open_lines, tick_of
from streams.settings import Settings
from streams.sku_rows import SkuRows, read_sku_rows
from streams.topics_admin import topic_name
from topologies.topics import EVIDENCE, LEDGER

Released = ReservationReleased | OrderCancelled
"""So many units of a line, or all that is left of it."""

TAKE = 5_000
WAIT_S = 0.02
LOOK_AGAIN_S = 0.05


class OtherReleaseError(Exception):
    """The name was used before, for another line, or for more units; the message says for what."""


@dataclass(frozen=True, slots=True)
class GivenBack:
    """What came of a release."""

    outcome: Literal["released", "nothing", "unknown"]
    """unknown: it is published, and nobody folded it in time; or what comes before it is not folded."""
    units: int
    """Given back, or about to be; 0 where a cancellation was published and what it frees is unknown."""
    held: int
    """Open units of the line before."""
    again: bool
    """It was published before, under the same name."""
    published: bool
    why: str = ""
    """Why nothing is held."""
    other_lines: tuple[int, ...] = ()
    """Of the same order, those that hold units of the SKU."""


def give_back(settings: Settings, brokers: str, wanted: Released, timeout_s: float) -> GivenBack:
    """Give back what the line has of what is wanted, and wait until it is folded.

    Raises: OtherReleaseError; FatalError where the brokers do not answer.
    """
    deadline = time.monotonic() + timeout_s
    found, unheard = _hear_out(settings, brokers, wanted.sku, deadline)
    if (known := _known(found.rows, wanted)) is not None:
        return known
    line = _line(found.rows, wanted)
    mine = next((one for one in unheard if key_of(one) == key_of(wanted)), None)
    if mine is not None:
        return GivenBack("unknown", mine.quantity, line.open, again=True, published=True)
    if unheard:
        # Whatever these say, a cancelled line holds nothing in the end; how many units it has for now nobody knows.
        if isinstance(wanted, OrderCancelled):
            publish([wanted], settings, brokers)
        return GivenBack("unknown", 0, line.open, again=False, published=isinstance(wanted, OrderCancelled))
    if not line.open:
        others = tuple(
            n for id_, n, _, _ in open_lines(found.rows, wanted.sku) if wanted.order and id_ == wanted.order.id
        )
        return GivenBack("nothing", 0, 0, again=False, published=False, why=_why(line), other_lines=others)
    units = line.open if isinstance(wanted, OrderCancelled) else min(wanted.quantity, line.open)
    fact = wanted if isinstance(wanted, OrderCancelled) else replace(wanted, quantity=units)
    folded = _publish(settings, brokers, fact, found.partition, deadline)
    return GivenBack("released" if folded else "unknown", units, line.open, again=False, published=True)


def _hear_out(settings: Settings, brokers: str, sku: str, deadline: float) -> tuple[SkuRows, list[Event]]:
    """Return the SKU's rows, and what the ledger holds of it beyond them: nothing, once workers folded it in time."""
    while True:
        found = read_sku_rows(settings, sku, lambda *_: None)
        unheard = list(_unheard(settings, brokers, sku, found))
        if not unheard or time.monotonic() > deadline:
            return found, unheard
        time.sleep(LOOK_AGAIN_S)


def _unheard(settings: Settings, brokers: str, sku: str, found: SkuRows) -> Iterator[Event]:
    key = sku.encode()
    with closing(CommittedReader(brokers, topic_name(settings, LEDGER))) as reader:
        low, _ = reader.bounds(found.partition)
        reader.assign({found.partition: max(low, found.position)})
        while not reader.caught_up:
            for message in reader.take(TAKE, WAIT_S):
                value = message.value()
                if message.key() == key and isinstance(value, bytes):
                    with suppress(PoisonError):  # A dead letter says what was wrong with it.
                        yield codec.decode_event(value)


def _known(rows: Rows, wanted: Released) -> GivenBack | None:
    """Return what came of the same release before, None where there was none. Raises: OtherReleaseError."""
    assert wanted.order is not None
    line = claim_key(wanted.sku, line_of(*wanted.order))
    for kind in (ReservationReleased, OrderCancelled):
        paper = kind(source=wanted.source, document=wanted.document, event_time=wanted.event_time, sku=wanted.sku)
        row = rows.get(evidence_key(wanted.sku, key_of(paper)))
        if not isinstance(row, Evidence):
            continue
        whole = kind is OrderCancelled
        units = 0 if whole else sum(mark.units for mark in row.marks)
        if not isinstance(wanted, kind) or units > wanted.quantity or any(mark.line != line for mark in row.marks):
            of = _words(row.marks[0].line) if row.marks else "a line that was taken back"
            raise OtherReleaseError(f"{'all that was left' if whole else units} of {wanted.sku}, {of}")
        return GivenBack("released", units, _line(rows, wanted).open, again=True, published=True)
    return None


def _words(line: str) -> str:
    id_, _, number = line.split("|", 2)[2].rpartition("|")
    return f"order {id_} line {number}"


def _line(rows: Rows, wanted: Released) -> Standing:
    assert wanted.order is not None
    row = rows.get(claim_key(wanted.sku, line_of(*wanted.order)))
    return standing(row if isinstance(row, Claim) else None, tick_of(rows))


def _why(line: Standing) -> str:
    if not line.requested:
        return "nobody reserved any under it"
    if line.cancelled:
        return "it was cancelled"
    if line.expired:
        return "its reservation ran out"
    if line.consumed >= line.requested:
        return "all of it was handed over"
    return "all of it was given back or handed over before" if line.consumed else "all of it was given back before"


def _publish(settings: Settings, brokers: str, fact: Released, partition: int, deadline: float) -> bool:
    """Publish the release and say whether it was folded in time: its evidence is committed with its figures."""
    mine = evidence_key(fact.sku, key_of(fact)).encode()
    with closing(CommittedReader(brokers, topic_name(settings, EVIDENCE))) as reader:
        reader.assign({partition: reader.bounds(partition)[1]})
        publish([fact], settings, brokers)
        while True:
            if any(message.key() == mine for message in reader.take(TAKE, WAIT_S)):
                return True
            if time.monotonic() > deadline:
                return False
