"""What leaves the window and is taken back still: the judge, which forgets nothing, agrees with the pipeline."""

from pathlib import Path

import pytest

from atp.events import DAY
from avro_schemas.public_json import parse_line
from cli.stories.scenario import read
from oracle.compare import differences
from tests.oracle.pipeline import folded, judged

SCENARIOS = Path(__file__).parents[1] / "scenarios"


@pytest.mark.parametrize(
    "name",
    [
        "count-was-of-another-store",
        "void-of-a-sale-that-was-counted",
        "picked-then-cancelled",
        "shipped-a-week-before-its-order-came",
    ],
)
def test_the_judge_agrees_on_what_the_window_half_forgot(name: str) -> None:
    lines = read(SCENARIOS / f"{name}.txt").lines
    events = [event for line in lines if line.event is not None for event in parse_line(line.event)]
    db, _ = judged(folded(events, 7 * DAY), 7 * DAY)
    assert list(differences(db, 10)) == []
