"""`atp erp-batches` as a process: killed at any moment, its exit codes, what programs read of it."""

import json
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from typer.testing import CliRunner

from cli.main import app
from sinks.erp_folder import check
from streams.settings import Settings
from streams.topics_admin import ensure_topics
from tests.sinks.rig import Sender, line
from topologies.topics import ERP_LINES

RUNNER = CliRunner()


@pytest.fixture
def sender(broker_settings: Settings, brokers: str, monkeypatch: pytest.MonkeyPatch) -> Sender:
    ensure_topics(brokers, broker_settings, (ERP_LINES,))
    for name, value in broker_settings.environ().items():
        monkeypatch.setenv(name, value)
    return Sender(broker_settings)


def test_kill_9_at_any_moment_loses_and_repeats_nothing(sender: Sender, tmp_path: Path) -> None:
    out = tmp_path / "erp"
    for partition in range(3):
        sender.effects(ERP_LINES, partition, [line(number) for number in range(partition, 900, 3)])
    command = [sys.executable, "-m", "cli", "erp-batches", "--out", str(out), "--max-lines", "3", "--until-idle", "0.2"]
    killed = 0
    for target in (5, 40, 90, 150, 220):
        process = subprocess.Popen(command, stdout=subprocess.DEVNULL)
        try:
            while process.poll() is None and len(list(out.glob("batch-*"))) < target:
                time.sleep(0.001)
        finally:
            process.kill()
        killed += process.wait() == -signal.SIGKILL
    assert killed >= 3
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
    found = check(out)
    assert found.problems == []
    assert (found.lines, found.quantity_by_type) == (900, {"GI_SALE": -1800})


def test_the_command_tells_programs_what_it_wrote(sender: Sender, tmp_path: Path) -> None:
    sender.effects(ERP_LINES, 1, [line(1), line(2)])
    out = str(tmp_path / "erp")
    preview = RUNNER.invoke(app, ["erp-batches", "--out", out, "--dry-run"])
    assert "would write batch-000001: 2 lines, 2 documents, GI_SALE -4" in preview.stdout
    wrote = RUNNER.invoke(app, ["erp-batches", "--out", out, "--until-idle", "0.2", "--json"])
    manifest = json.loads(wrote.stdout)
    assert (manifest["batch_id"], manifest["lines"]) == (1, 2)
    assert json.loads(RUNNER.invoke(app, ["erp-batches", "--check", out, "--json"]).stdout) == {
        "batches": 1,
        "lines": 2,
        "quantity_by_type": {"GI_SALE": -4},
        "problems": [],
        "ok": True,
    }
    (tmp_path / "erp" / "batch-000001" / "data.ndjson").write_text("{}\n")
    broken = RUNNER.invoke(app, ["erp-batches", "--check", out])
    assert (broken.exit_code, "batch-000001" in broken.stdout) == (1, True)


def test_either_a_folder_to_write_or_one_to_check() -> None:
    assert RUNNER.invoke(app, ["erp-batches"]).exit_code == 2
    assert RUNNER.invoke(app, ["erp-batches", "--out", "a", "--check", "b"]).exit_code == 2


def test_a_folder_that_cannot_be_written_is_named(sender: Sender, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    failed = subprocess.run(
        [sys.executable, "-m", "cli", "erp-batches", "--out", str(tmp_path / "file" / "erp"), "--until-idle", "0"],
        check=False,
        capture_output=True,
        text=True,
    )
    assert (failed.returncode, "cannot write" in failed.stderr) == (3, True)
