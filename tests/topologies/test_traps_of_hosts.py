"""Traps that bite around the fold, where it is hosted and where it is read: a naive build beside ours, on equal events.

Source: docs/domain.md, and the classic mistakes of stock keeping; the numbers are those of the other scenarios.
"""

from collections import Counter
from hashlib import sha256

from atp.effects import AvailabilityChanged, ErpLine, RequestDecided
from atp.events import Document, Event, ReservationRequested, SaleRecorded, TransferShipped
from atp.fold import Frame, fold
from sinks.channel import AvailabilityView
from streams.driver import TopologyDriver
from streams.memory import MemoryRows
from tests.core.papers import NOON, more, request, stocked
from tests.core.strategies import EIGHT

HOUR = 3_600_000_000


def folded(log: list[Event]) -> TopologyDriver:
    driver = TopologyDriver()
    for event in log:
        driver.send(event)
    return driver


def granted(driver: TopologyDriver) -> int:
    answers = {one.request_id: one for one in driver.effects if isinstance(one, RequestDecided)}
    return sum(one.quantity for one in answers.values())


def test_trap_21_partitions_by_location_promise_a_unit_at_each_of_them() -> None:
    """Five at S1 are on their way to S2 when both are asked for: two writers, each with half of the truth."""
    shipped = more(TransferShipped, 3, location="S1", to_location="S2", document=Document("x", "X-1", 1))
    asked = [request(n) for n in range(6)]
    log: list[Event] = [*stocked(S1=5), NOON, shipped, *asked]
    assert granted(folded(log)) == 2

    naive = 0
    for place in ("S1", "S2"):  # Each writer hears what happens at its place; who ships hears nothing of who gets.
        stock = sum(e.quantity for e in log if getattr(e, "location", "") == place and e is not shipped)
        naive += min(len(asked), stock)
    assert naive > 2


def test_trap_6_a_memory_of_ids_apart_from_the_balance_counts_twice_after_a_crash() -> None:
    sale = more(SaleRecorded, 2, location="S1", document=Document("receipt", "T-1", 1))
    driver = folded([*stocked(S1=10), NOON, sale])
    driver.restart()
    driver.send(sale)
    assert driver.positions("A")[0]["on_hand"] == 8

    balance, seen = 10, set[object]()
    for crash in (True, False):  # The balance is on disk, what was seen of ids is not yet.
        if sale.document not in seen:
            balance -= sale.quantity
            seen.add(sale.document)
        if crash:
            seen.clear()
    assert balance == 6


def test_trap_25_versions_that_begin_anew_after_a_rebuild_are_never_applied() -> None:
    log = [*stocked(S1=10), NOON, more(SaleRecorded, 4, location="S1", document=Document("receipt", "T-1", 1))]
    later = more(SaleRecorded, 1, location="S1", document=Document("receipt", "T-2", 1))
    channel, naive = AvailabilityView(), AvailabilityView()
    for event in folded([*log, later]).availability("A"):
        channel.apply(event)
        naive.apply(event)
    # A rebuild that forgot the last sale, say by a newer rule, under a new epoch; and one that kept the old epoch.
    for epoch, view in ((1, channel), (0, naive)):
        rows = MemoryRows()
        for event in log:
            outcome = fold(rows, event, Frame(window=7 * 24 * HOUR, epoch=epoch))
            for key, row in outcome.changes.items():
                rows.put(key, row)
            for effect in outcome.effects:
                if isinstance(effect, AvailabilityChanged) and effect.channel:
                    view.apply(effect)
    told, stale = channel.get("all|A"), naive.get("all|A")
    assert told is not None
    assert stale is not None
    assert (told.atp, stale.atp) == (6, 5)


def test_trap_27_a_channel_knows_which_of_its_orders_an_answer_has_heard_of() -> None:
    """The channel sold 1 at 13:00, which we heard, and 2 at 14:00, which we did not."""
    one = more(
        SaleRecorded, 1, location="S1", channel="web", event_time=EIGHT + 5 * HOUR, document=Document("r", "1", 1)
    )
    driver = folded([*stocked(S1=10), one])
    (answer,) = [a for a in driver.availability("A") if a.channel == "web"]
    own = [(EIGHT + 5 * HOUR, 1), (EIGHT + 6 * HOUR, 2)]
    seen = answer.orders_seen_through
    assert seen is not None
    shown = answer.atp - sum(units for at, units in own if at > seen)
    assert shown == 7
    assert answer.atp - sum(units for _, units in own) == 6, "who subtracts all of them counts the first twice"
    assert answer.atp == 9, "and who subtracts none sells two that are gone"


def test_trap_33_a_line_keeps_its_key_however_lines_are_batched() -> None:
    sales: list[Event] = [
        more(SaleRecorded, n + 1, location="S1", document=Document("receipt", f"T-{n}", 1)) for n in range(5)
    ]
    log = [*stocked(S1=50), NOON, *sales]

    def lines(batch: int) -> list[ErpLine]:
        driver = TopologyDriver(batch_size=batch)
        for event in log:
            driver.send(event)
        driver.flush()
        return [one for one in driver.effects if isinstance(one, ErpLine)]

    booked = Counter[str]()
    naive = Counter[str]()
    for batch in (2, 3):  # The same lines are sent once more, cut otherwise: an ERP refuses the keys that it knows.
        found = lines(batch)
        for line in found:
            if line.posting_key not in booked:
                booked[line.posting_key] = line.quantity
        for start in range(0, len(found), batch):
            group = found[start : start + batch]
            key = sha256("|".join(line.event_key for line in group).encode()).hexdigest()
            naive[key] = sum(line.quantity for line in group)
    assert booked.total() == 50 - 15
    assert naive.total() != 50 - 15


def test_trap_7_the_same_request_is_answered_once_across_a_crash() -> None:
    """A framework that promises exactly-once resets what it knows at a restart; the answer lies with the balance."""
    asked: ReservationRequested = request(1, 3)
    driver = folded([*stocked(S1=5), NOON, asked])
    driver.restart()
    driver.send(asked)
    driver.send(request(2, 3))
    assert granted(driver) == 3
    answers = [one for one in driver.effects if isinstance(one, RequestDecided) and one.request_id == "R-1"]
    assert len(answers) == 2
    assert answers[0] == answers[1]
