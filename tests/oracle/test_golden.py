"""The judge comes to the figures that a planner expects, and to the pipeline's, whatever the order."""

import pytest

from atp.events import DAY, Document, TimeTicked
from avro_schemas.public_json import parse_line
from oracle.compare import differences
from tests.oracle.pipeline import folded, judged
from tests.topologies.golden import Vector, vectors


@pytest.mark.parametrize("seed", [None, 1, 2])
@pytest.mark.parametrize("vector", [*vectors("main"), *vectors("promise")], ids=lambda vector: vector.name)
def test_the_judge_knows_the_golden_figures(vector: Vector, seed: int | None) -> None:
    lines = vector.events if seed is None or vector.order == "fixed" else vector.shuffled(seed)
    events = [event for line in lines for event in parse_line(line)]
    if (end := vector.end()) is not None:
        events.append(TimeTicked(source="clock", document=Document("tick", str(end), 1), event_time=end))
    db, _ = judged(folded(events, 7 * DAY), 7 * DAY)
    assert list(differences(db, 10)) == []
    fields = ("on_hand", "sellable", "returned", "quarantine", "damaged", "in_transit_in")
    stock = db.execute(f"SELECT location, {', '.join(fields)} FROM stock").fetchall()
    found = {location: figures for location, *figures in stock}
    for position in vector.expect["positions"]:
        assert found[position["location"]] == [position[field] for field in fields]
