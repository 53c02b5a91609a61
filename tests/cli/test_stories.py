"""The stories of `atp demo --scenario`: each goes wrong without the pipeline, and ends with it as it says."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from cli.stories.scenario import Scenario, scenarios
from cli.stories.told import named, play

STORIES = scenarios()
ATP = Path(sys.executable).with_name("atp")


def atp(*words: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [str(ATP), *words], capture_output=True, text=True, timeout=60, check=False, env={**os.environ}
    )


def test_the_scenarios_of_retailers_are_told() -> None:
    names = {story.name.split("-")[0] for story in STORIES}
    assert names >= {f"s{n:02d}" for n in range(1, 15)}


@pytest.mark.parametrize("story", STORIES, ids=lambda story: story.name)
def test_a_story_goes_wrong_without_the_pipeline_and_well_with_it(story: Scenario) -> None:
    found = play(story)
    assert found["wrong"] == []
    assert story.title
    assert story.states
    assert found["without"] != ["nothing goes wrong"]


def test_a_story_is_told_on_the_command_line() -> None:
    told = atp("demo", "--scenario", "o185-channels-reserve-alone")
    assert told.returncode == 0, told.stderr
    assert "oversold: 14 units" in told.stdout
    assert "goods_received         LAST@DC1  7" in told.stdout
    assert "web is granted 7 of 14 units" in told.stdout
    found = json.loads(atp("demo", "--scenario", "s05-short-delivery", "--json").stdout)
    assert found["oversold_without"] == 2
    assert found["wrong"] == []


def test_an_unknown_story_says_where_the_others_are() -> None:
    told = atp("demo", "--scenario", "nowhere")
    assert told.returncode == 2
    assert "atp demo --scenario list" in told.stderr
    assert "s14-cancellation" in atp("demo", "--scenario", "list").stdout


@pytest.mark.parametrize(
    ("asked", "meant"),
    [
        ("s05-short-delivery", ["s05-short-delivery"]),
        ("S3", ["s03-store-stock-half-an-hour-old"]),
        ("s1", ["s01-promotion-across-channels"]),
        ("o187", ["o187-refund-without-goods"]),
        ("late", ["late-marketplace"]),
        ("o19", ["o191-pick-moved-in-the-warehouse", "o193-stale-shelf-for-same-day", "o195-receipt-comes-late"]),
        ("nowhere", []),
    ],
)
def test_a_story_is_found_by_the_beginning_of_its_name(asked: str, meant: list[str]) -> None:
    assert named(asked, [story.name for story in STORIES])[:3] == meant


def test_a_beginning_that_many_have_lists_them() -> None:
    told = atp("demo", "--scenario", "o18")
    assert told.returncode == 2
    for words in ("o18 may be o185-channels-reserve-alone, o186-", "atp demo --scenario o185-channels-reserve-alone"):
        assert words in told.stderr
    assert "web is granted 7 of 14 units" in atp("demo", "--scenario", "O185").stdout
