"""The demo's day is the same every time, its plan is what comes out, and the command says so."""

import io
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from rich.console import Console

from atp.events import SaleRecorded, TimeTicked
from avro_schemas import codec
from cli.demo.day import tell_day
from cli.demo.memory_show import MemoryShow
from cli.demo.screen import Screen
from cli.demo.summary import Line, lines
from cli.demo.telling import Message, Raw

SMALL = 3_000
ATP = Path(sys.executable).parent / "atp"


def as_bytes(message: Message) -> bytes:
    return message.what.value if isinstance(message.what, Raw) else codec.encode(message.what)


def play(seed: int, **wrong: int) -> dict[str, Line]:
    """Play a small day in memory; `wrong` changes what was planned."""
    told = tell_day(SMALL, seed)
    for name, value in wrong.items():
        setattr(told.plan, name, value)
    seen = MemoryShow(told, Screen(Console(file=io.StringIO()))).play()
    return {line.name: line for line in lines(told, seen)}


def test_a_day_is_the_same_every_time() -> None:
    one, again, other = tell_day(SMALL, 7), tell_day(SMALL, 7), tell_day(SMALL, 8)
    assert [as_bytes(m) for m in one.messages] == [as_bytes(m) for m in again.messages]
    assert one.plan == again.plan
    assert [as_bytes(m) for m in one.messages] != [as_bytes(m) for m in other.messages]


def test_a_day_has_its_size_and_its_stories() -> None:
    told = tell_day(20_000, 1)
    assert told.plan.messages == sum(not isinstance(m.what, TimeTicked) for m in told.messages)
    assert 0.8 < told.plan.messages / 20_000 < 1.2
    assert [m.arrival for m in told.messages] == sorted(m.arrival for m in told.messages)
    assert len({m.what.location for m in told.messages if isinstance(m.what, SaleRecorded)}) == 180
    assert told.plan.duplicates > 100
    assert told.plan.delayed > 50
    assert sorted(diff for diff, _ in told.plan.variances.values()) == [-26, -17, -5, -4, -3]


def test_a_day_too_short_for_its_stories_is_refused() -> None:
    with pytest.raises(ValueError, match="at least 2000"):
        tell_day(1_999, 1)


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_what_is_planned_comes_out(seed: int) -> None:
    found = play(seed)
    assert [line for line in found.values() if line.ok is False] == []
    judged = {name for name, line in found.items() if line.ok}
    assert judged == {
        "duplicates", "dead letters", "oversell risks", "variances", "requests", "late supply", "ERP lines",
        "atp verify",
    }  # fmt: skip


def test_what_is_not_as_planned_is_told() -> None:
    found = play(1, duplicates=1)
    assert found["duplicates"].ok is False
    assert found["atp verify"].ok


def demo(home: Path, *words: str, **environ: str) -> subprocess.CompletedProcess[str]:
    clean = {name: value for name, value in os.environ.items() if not name.startswith("ATP_")}
    return subprocess.run(
        [str(ATP), "demo", "--json", "--fast", "--events", str(SMALL), *words],
        env={**clean, "ATP_HOME": str(home), **environ},
        cwd=home,
        capture_output=True,
        text=True,
        check=False,
        timeout=240,
    )


def test_the_command_plays_in_memory(tmp_path: Path) -> None:
    done = demo(tmp_path, "--in-memory")
    assert done.returncode == 0, done.stderr
    said = json.loads(done.stdout)
    assert said["ok"]
    assert said["host"] == "in-memory host"
    assert said["verify"]["verdict"] == "equal"
    assert "in memory, without Kafka" in done.stderr


@pytest.mark.timeout(300)
def test_the_command_plays_on_a_broker_and_leaves_commands_that_work(tmp_path: Path, brokers: str) -> None:
    done = demo(tmp_path, ATP_BROKERS=brokers, ATP_PARTITIONS="6")
    assert done.returncode == 0, done.stderr
    said = json.loads(done.stdout)
    assert said["ok"], said["not_as_planned"]
    assert said["verify"]["verdict"] == "equal"
    assert said["erp"]["batches"] >= 1
    assert said["erp"]["posted"] == said["erp"]["planned"]
    assert said["duplicates"]["refused"] == said["duplicates"]["planned"]
    assert "kill -9" in done.stderr
    assert (tmp_path / "demo" / "erp").exists()
    for command in said["next"][:3]:
        tried = subprocess.run(  # as a reader of the summary would, in the same folder
            ["bash", "-c", command],
            env={**os.environ, "ATP_PARTITIONS": "6"},
            cwd=tmp_path,
            capture_output=True,
            text=True,
            check=False,
            timeout=60,
        )
        assert tried.returncode == 0, (command, tried.stderr)
        assert tried.stdout
