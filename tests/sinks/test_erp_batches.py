"""The ERP sink on a real broker: each line in one batch, and the same bytes whatever happened in between."""

import json
import shutil
from pathlib import Path

import pytest

from atp.errors import FatalError
from sinks.durable import locked
from sinks.erp_batches import ErpBatches
from sinks.erp_folder import ErpFolder, check
from sinks.erp_format import Batch, Cut
from streams.settings import Settings
from streams.topics_admin import ensure_topics
from tests.sinks.rig import Sender, erp_settings, line, write_batches
from topologies.topics import ERP_LINES


@pytest.fixture
def sender(broker_settings: Settings, brokers: str) -> Sender:
    ensure_topics(brokers, broker_settings, (ERP_LINES,))
    return Sender(broker_settings)


def files(out: Path) -> dict[str, bytes]:
    """Everything in a folder but its lock."""
    return {
        str(path.relative_to(out)): path.read_bytes()
        for path in sorted(out.rglob("*"))
        if path.is_file() and path.name != ".lock"
    }


def keys(out: Path) -> list[str]:
    return [
        json.loads(text)["posting_key"]
        for path in sorted(out.glob("batch-*/data.ndjson"))
        for text in path.read_text().split("\n")
        if text
    ]


def send(sender: Sender, numbers: range) -> None:
    for number in numbers:
        sender.effects(ERP_LINES, number % 3, [line(number)])


@pytest.fixture
def out(tmp_path: Path) -> Path:
    return tmp_path / "erp"


def test_every_line_is_in_one_batch_and_runs_go_on_where_the_last_one_ended(
    broker_settings: Settings, sender: Sender, out: Path
) -> None:
    send(sender, range(10))
    first = write_batches(broker_settings, out, max_lines=4)
    assert [batch.manifest["lines"] for batch in first] == [4, 4, 2]
    assert write_batches(broker_settings, out) == []
    send(sender, range(10, 13))
    second = write_batches(broker_settings, out)
    assert [batch.manifest["batch_id"] for batch in second] == [4]
    assert sorted(keys(out)) == [f"key-{number:06d}" for number in range(13)]
    found = check(out)
    assert (found.batches, found.lines, found.problems) == (4, 13, [])
    assert found.quantity_by_type == {"GI_SALE": -26}


def test_what_was_not_committed_is_in_no_batch(broker_settings: Settings, sender: Sender, out: Path) -> None:
    send(sender, range(3))
    sender.send(ERP_LINES, 0, [("aborted", b"garbage")], commit=False)
    Sender(broker_settings).leave_open(ERP_LINES, 1, [("open", b"garbage")])
    send(sender, range(3, 6))
    write_batches(broker_settings, out)
    # Behind an open transaction nothing of that partition is committed for a reader.
    assert sorted(keys(out)) == [f"key-{number:06d}" for number in (0, 1, 2, 3, 5)]


@pytest.mark.parametrize("lost", ["data.ndjson", "manifest.json", "batch"])
def test_a_deleted_file_comes_back_to_the_same_bytes(
    broker_settings: Settings, sender: Sender, out: Path, lost: str
) -> None:
    send(sender, range(12))
    write_batches(broker_settings, out, max_lines=4)
    before = files(out)
    victim = out / "batch-000002"
    if lost == "batch":
        shutil.rmtree(victim)
    else:
        (victim / lost).unlink()
    assert check(out).problems
    send(sender, range(12, 14))
    write_batches(broker_settings, out, max_lines=4)
    after = files(out)
    assert {name: after[name] for name in before} == before
    assert check(out).problems == []


def test_a_cut_that_died_before_its_data_is_finished_as_it_was_cut(
    broker_settings: Settings, sender: Sender, out: Path
) -> None:
    send(sender, range(6))
    write_batches(broker_settings, out)
    whole = files(out)
    crashed = out.with_name("crashed")
    shutil.copytree(out, crashed)
    shutil.rmtree(crashed / "batch-000001")
    (crashed / ".batch-000001.tmp").mkdir()
    (crashed / ".batch-000001.tmp" / "data.ndjson").write_bytes(b"half a li")
    (crashed / "cuts" / ".000002.json.tmp").write_bytes(b'{"batch_id": 2, "off')
    send(sender, range(6, 9))  # What came later changes nothing about a batch that is cut.
    write_batches(broker_settings, crashed)
    after = files(crashed)
    assert {name: after[name] for name in whole} == whole
    assert sorted(keys(crashed)) == [f"key-{number:06d}" for number in range(9)]


class DiedError(Exception):
    """A process that ends here."""


@pytest.mark.parametrize("step", ["keep_cut", "write"])
@pytest.mark.parametrize("when", ["before", "after"])
def test_a_death_at_any_step_of_a_batch_loses_and_repeats_nothing(
    broker_settings: Settings, sender: Sender, out: Path, monkeypatch: pytest.MonkeyPatch, step: str, when: str
) -> None:
    send(sender, range(9))
    original = getattr(ErpFolder, step)
    calls = []

    def dies(folder: ErpFolder, what: Cut | Batch) -> None:
        calls.append(what)
        if len(calls) == 2 and when == "before":
            raise DiedError
        original(folder, what)
        if len(calls) == 2:
            raise DiedError

    monkeypatch.setattr(ErpFolder, step, dies)
    with pytest.raises(DiedError):
        write_batches(broker_settings, out, max_lines=3)
    monkeypatch.undo()
    before = {name: content for name, content in files(out).items() if "tmp" not in name}
    write_batches(broker_settings, out, max_lines=3)
    after = files(out)
    assert {name: after[name] for name in before} == before
    assert sorted(keys(out)) == [f"key-{number:06d}" for number in range(9)]
    assert check(out).problems == []


def test_csv_holds_the_same_and_a_folder_keeps_its_format(broker_settings: Settings, sender: Sender, out: Path) -> None:
    send(sender, range(5))
    write_batches(broker_settings, out, form="csv")
    assert (out / "batch-000001" / "data.csv").read_text().count("\n") == 6
    assert check(out).problems == []
    with pytest.raises(FatalError, match="--format csv"):
        write_batches(broker_settings, out)


def test_empty_batches_are_written_where_they_are_asked_for(
    broker_settings: Settings, sender: Sender, out: Path
) -> None:
    send(sender, range(2))
    written = write_batches(broker_settings, out, empty=True, every_s=0.4, until_idle_s=1.5)
    assert len(written) > 1
    assert [batch.manifest["lines"] for batch in written][:2] == [2, 0]
    assert check(out).problems == []
    send(sender, range(2, 4))
    assert [batch.manifest["lines"] for batch in write_batches(broker_settings, out)] == [2]
    assert check(out).problems == []


def test_a_preview_says_the_same_and_writes_nothing(broker_settings: Settings, sender: Sender, out: Path) -> None:
    send(sender, range(5))
    seen: list[Batch] = []
    ErpBatches(erp_settings(broker_settings, out, max_lines=2), seen.append).preview()
    assert not out.exists()
    assert seen == write_batches(broker_settings, out, max_lines=2)


def test_two_processes_cannot_write_one_folder(broker_settings: Settings, sender: Sender, out: Path) -> None:
    with locked(out), pytest.raises(FatalError, match="another process"):
        write_batches(broker_settings, out)


def test_a_folder_belongs_to_one_topic(broker_settings: Settings, sender: Sender, brokers: str, out: Path) -> None:
    send(sender, range(2))
    write_batches(broker_settings, out)
    other = broker_settings.model_copy(update={"topic_prefix": f"{broker_settings.topic_prefix}other."})
    ensure_topics(brokers, other, (ERP_LINES,))
    with pytest.raises(FatalError, match="another topic"):
        write_batches(other, out)


def test_a_foreign_record_is_named_and_keeps_no_line_back(broker_settings: Settings, sender: Sender, out: Path) -> None:
    sender.send(ERP_LINES, 0, [("x", b"garbage"), ("y", None)])
    send(sender, range(3))
    [batch] = write_batches(broker_settings, out)
    assert batch.manifest["foreign"] == [{"partition": 0, "offset": 0}, {"partition": 0, "offset": 1}]
    assert (batch.manifest["lines"], batch.manifest["duplicates"]) == (3, 0)
    assert check(out).problems == []


def test_a_check_names_what_was_changed(broker_settings: Settings, sender: Sender, out: Path) -> None:
    send(sender, range(6))
    write_batches(broker_settings, out, max_lines=3)
    data = out / "batch-000001" / "data.ndjson"
    data.write_text(data.read_text().replace('"quantity":-2', '"quantity":-3', 1))
    problems = "\n".join(check(out).problems)
    assert "digest" in problems
    assert "quantity_by_type" in problems
    shutil.rmtree(out / "batch-000001")
    (out / "cuts" / "000001.json").unlink()
    with pytest.raises(FatalError, match="batch 1"):
        check(out)
