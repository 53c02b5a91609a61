"""A real retailer's year: whatever happens on the way, every position and every ERP total is what the file says.

The whole year goes through once, while workers are killed; the variants take a slice of it, or all of it with
ATP_REAL_YEAR_LINES=0. `pytest -s tests/real_year` shows the times.
"""

from pathlib import Path

import pytest

from atp.events import DAY, Event
from cli.online_retail import open_file, read_lines, shuffled, told
from streams.settings import Settings
from tests.real_year.year import FILE, OPENING, SLICE, Year, erp_totals, held, on_hand, on_the_file, posted, refused
from tests.streams.rig import pipeline

LINES_OF_THE_YEAR = 541_909
AGAIN = ("--duplicate-every", "7", "--shuffle-within", "1000")
END_S = 240.0

pytestmark = [on_the_file, pytest.mark.timeout(1200)]


@pytest.fixture
def year_settings(broker_settings: Settings) -> Settings:
    return broker_settings.model_copy(update={"partitions": 12, "window": 30 * DAY})


def test_the_year_survives_three_kills_and_a_second_worker(year_settings: Settings, tmp_path: Path) -> None:
    year = Year(year_settings)
    with pipeline(year_settings) as rig:
        told_events = year.publish(*AGAIN)
        assert told_events["events"] > LINES_OF_THE_YEAR * 8 // 7
        first = rig.worker(until_idle=8)
        year.wait_until_folded(0.15, first)
        first.kill()
        year.say("killed the only worker at 15 %")
        first = rig.worker(until_idle=8)
        year.wait_until_folded(0.35, first)
        second = rig.worker(until_idle=8)
        year.wait_until_folded(0.5, first, second)
        first.kill()
        year.say("killed the first of two workers at 50 %")
        first = rig.worker(until_idle=8)
        year.wait_until_folded(0.75, first, second)
        second.kill()
        year.say("killed the second of two workers at 75 %")
        second = rig.worker(until_idle=8)
        assert first.end(END_S) == 0, first.text()[-4000:]
        assert second.end(END_S) == 0, second.text()[-4000:]
        year.say("both workers have left: everything is folded")
    found = year.verify(tmp_path)
    assert found["verdict"] == "equal", found
    assert found["events"] == told_events["events"]
    assert found["verdicts"]["duplicate"] == told_events["events"] - 570_263
    assert found["refused"] == 0
    assert held(tmp_path) == on_hand(0)
    assert posted(tmp_path) == erp_totals(0)


@pytest.mark.parametrize("again", [(), AGAIN], ids=["in order", "twice and shuffled"])
def test_positions_and_erp_totals_are_what_the_file_says(
    year_settings: Settings, tmp_path: Path, again: tuple[str, ...]
) -> None:
    year = Year(year_settings, SLICE)
    with pipeline(year_settings) as rig:
        year.publish(*again)
        assert rig.worker(until_idle=2).end(END_S) == 0
    found = year.verify(tmp_path)
    assert found["verdict"] == "equal", found
    assert held(tmp_path) == on_hand(SLICE)
    assert posted(tmp_path) == erp_totals(SLICE)


def test_with_the_default_window_exactly_the_late_lines_are_refused(year_settings: Settings, tmp_path: Path) -> None:
    settings = year_settings.model_copy(update={"window": 7 * DAY})
    year = Year(settings, SLICE)
    with pipeline(settings) as rig:
        year.publish(*AGAIN)
        assert rig.worker(until_idle=2).end(END_S) == 0
    late = late_lines(settings.window)
    assert len(late) > 10  # the shuffle carries lines over the silence at New Year
    found = year.verify(tmp_path)
    assert found["verdict"] == "equal", found
    assert found["verdicts"]["late"] == len(late)
    assert refused(tmp_path) == {(e.document.type, e.document.id, e.document.line, e.sku) for e in late}


def late_lines(window: int) -> list[Event]:
    """The events that come over a window behind their SKU, by the order in which they are told."""
    raw, text = open_file(FILE)
    clocks: dict[str, int] = {}
    late = []
    with raw:
        lines = (line for n, line in enumerate(read_lines(text)) if not SLICE or n < SLICE)
        for event in shuffled(told(lines, opening_stock=OPENING, duplicate_every=7), 1000, 1):
            clock = clocks.get(event.sku, 0)
            if event.event_time < clock - window:
                late.append(event)
            clocks[event.sku] = max(clock, event.event_time)
    return late
