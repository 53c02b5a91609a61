"""What the fold forgets, and when: state would grow for ever otherwise, and what goes too early nothing mends."""

from atp.book import Position, Transfer, position_key, transfer_key
from atp.events import DAY, CountRecorded, Document, GoodsReceived, Ref, TransferReceived, TransferShipped
from streams.driver import TopologyDriver

BEGIN = 1_795_161_600_000_000
"""Midnight of a day, in microseconds."""


def folded(driver: TopologyDriver, *days: int) -> None:
    """Receive a unit at S1 on each of these days."""
    for day in days:
        paper = Document("grn", f"G-{day}", 1)
        driver.send(
            GoodsReceived(
                source="wms", document=paper, event_time=BEGIN + day * DAY, sku="A", location="S1", quantity=1
            )
        )


def test_a_count_is_forgotten_once_nothing_restates_it() -> None:
    driver = TopologyDriver(window=7 * DAY)
    folded(driver, 0)
    paper = Document("count", "C-1", 1)
    driver.send(
        CountRecorded(
            source="store",
            document=paper,
            event_time=BEGIN + DAY,
            as_of=BEGIN + DAY,
            sku="A",
            location="S1",
            quantity=4,
        )
    )
    held: list[int] = []
    for day in range(2, 30):
        folded(driver, day)
        row = driver.snapshot()[position_key("A", "S1")]
        assert isinstance(row, Position)
        held.append(len(row.counts))
    assert held == sorted(held, reverse=True)
    assert held[0] == 1, "inside the window it may be revised"
    assert held[-1] == 0, "three windows later nothing of it is there"


def test_a_closed_transfer_is_remembered_for_two_windows() -> None:
    driver = TopologyDriver(window=7 * DAY)
    folded(driver, 0)
    line = Ref("X-1", 1)
    driver.send(
        TransferShipped(
            source="wms", document=Document("out", "XS-1", 1), event_time=BEGIN + 1, sku="A", location="S1",
            to_location="S2", quantity=1, transfer=line,
        )
    )  # fmt: skip
    driver.send(
        TransferReceived(
            source="store", document=Document("in", "XR-1", 1), event_time=BEGIN + 2, sku="A", location="S2",
            from_location="S1", quantity=1, transfer=line,
        )
    )  # fmt: skip
    days = {}
    for day in range(1, 40):
        folded(driver, day)
        days[day] = any(isinstance(row, Transfer) for row in driver.snapshot().values())
    assert all(days[day] for day in range(1, 15))
    assert not days[39]


def test_an_open_transfer_is_never_forgotten() -> None:
    driver = TopologyDriver(window=7 * DAY)
    folded(driver, 0)
    driver.send(
        TransferShipped(
            source="wms", document=Document("out", "XS-1", 1), event_time=BEGIN + 1, sku="A", location="S1",
            to_location="S2", quantity=1, transfer=Ref("X-1", 1),
        )
    )  # fmt: skip
    folded(driver, *range(1, 40))
    assert [row.shipped for row in driver.snapshot().values() if isinstance(row, Transfer)]
    assert any(key.startswith(transfer_key("A", "")) for key in driver.snapshot())
