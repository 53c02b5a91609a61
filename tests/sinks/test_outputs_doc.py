"""The contract of the outputs names every field that is sent or written."""

import re
from pathlib import Path
from typing import get_args

import pytest

from atp import effects
from atp.fold import Frame
from cli.what_if import as_plain
from sinks.erp_format import COLUMNS, FIRST, Cut, Posted, Span, build
from sinks.tables import SCHEMAS
from streams.answer import answer
from streams.explain import explain
from streams.memory import MemoryRows
from streams.reader import MappingRows
from streams.sku_rows import SkuRows
from streams.what_if import suppose
from tests.sinks.rig import line
from topologies.inventory import INVENTORY
from topologies.topics import Topic

TEXT = (Path(__file__).resolve().parents[2] / "docs" / "outputs.md").read_text()
SECTIONS: dict[str, str] = dict(re.findall(r"^## (.+?)\n(.*?)(?=^## |\Z)", TEXT, re.MULTILINE | re.DOTALL))
CLASSES = {
    "availability": (
        effects.AvailabilityChanged,
        effects.NodeFigures,
        effects.ChannelFigures,
        effects.BufferRate,
        effects.KitFigures,
        effects.DatedQuantity,
    ),
    "reservation-decisions": (effects.RequestDecided,),
    "kit-components": (effects.KitComponentChanged, effects.ChannelExposure),
    "oversell-risk": (effects.RiskChanged,),
    "variances": (effects.VarianceChanged,),
    "exceptions": (effects.ExceptionChanged,),
    "advice": (effects.AdviceChanged,),
    "erp-lines": (effects.ErpLine, effects.ErpLeg),
    "dead-letters": (effects.DeadLetter,),
    "Common to all topics": (effects.Cause,),
}


def first_cells(section: str) -> set[str]:
    """The names in backticks in the first column of a section's tables."""
    cells = re.findall(r"^\| ([^|]*) \|", section, re.MULTILINE)
    return {name for cell in cells for name in re.findall(r"`([^`]+)`", cell)}


@pytest.mark.parametrize("title", CLASSES)
def test_every_field_of_an_effect_is_in_its_table(title: str) -> None:
    for kind in CLASSES[title]:
        assert set(kind.__annotations__) <= first_cells(SECTIONS[title]), kind


def test_no_effect_is_left_out() -> None:
    described = {kind for kinds in CLASSES.values() for kind in kinds}
    assert {*get_args(effects.Effect), effects.DeadLetter} <= described


@pytest.mark.parametrize("topic", INVENTORY.outputs, ids=lambda topic: str(topic.name))
def test_every_output_topic_has_a_section(topic: Topic) -> None:
    assert topic.name in SECTIONS


def test_the_files_of_a_batch_are_described() -> None:
    named = first_cells(SECTIONS["ERP batches"])
    manifest = build(Cut(1, {0: Span(0, 0)}), [Posted(0, 0, 0, line(1))], FIRST, form="csv", topic="t").manifest
    assert set(manifest) <= named
    assert set(COLUMNS) <= named | first_cells(SECTIONS["erp-lines"])


def test_the_tables_of_a_snapshot_are_described() -> None:
    section = SECTIONS["Snapshots"]
    for table, schema in SCHEMAS.items():
        assert f"`{table}.parquet`" in section
        for name in schema.names:
            assert f"`{name}`" in section, (table, name)


def test_the_answer_about_a_sku_is_described() -> None:
    assert set(answer(MappingRows({}), "A")) <= first_cells(SECTIONS["atp show SKU --json"])


def test_a_derivation_and_what_would_change_are_described() -> None:
    where = {"source": "changelog", "worker": "", "partition": 0, "position": 0, "moment": None}
    assert set(explain(MappingRows({}), "A")) | set(where) <= first_cells(SECTIONS["atp explain SKU --json"])
    supposed = suppose(MappingRows({}), "A", [], Frame(window=1))
    plain = as_plain("A", SkuRows(MemoryRows(), 0, 0, 0, {"source": "worker", "worker": ""}), supposed)
    assert set(plain) <= first_cells(SECTIONS["atp what-if SKU --event FILE --json"])
