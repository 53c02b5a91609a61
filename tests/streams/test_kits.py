"""Kits on a real broker: what inventory tells them crosses partitions, and each answer is told once."""

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from typing import Any
from urllib.request import urlopen

import pytest

from atp.effects import AvailabilityChanged
from atp.events import SECOND, Document, GoodsReceived, MasterChanged, SaleRecorded
from avro_schemas import codec
from streams.settings import Settings
from streams.slot import addresses
from tests.streams.rig import START, Rig, pipeline
from topologies.partitioning import partition_of

pytestmark = pytest.mark.timeout(150)

KIT = "BED"
PARTS = {"FRAME": 1, "SLAT": 14}


@pytest.fixture
def rig(broker_settings: Settings) -> Iterator[Rig]:
    with pipeline(broker_settings.model_copy(update={"commit_interval_ms": 10})) as one:
        yield one


def bill(number: int, components: dict[str, int]) -> MasterChanged:
    document = Document("bill", f"B-{number}", 1)
    return MasterChanged(
        source="pim", document=document, event_time=START + number * SECOND, kit=KIT, components=components
    )


def received(number: int, sku: str, units: int) -> GoodsReceived:
    return GoodsReceived(
        source="wms", document=Document("grn", f"G-{number}", 1), event_time=START + number * SECOND,
        sku=sku, location="S1", quantity=units,
    )  # fmt: skip


def sold(number: int, sku: str, units: int) -> SaleRecorded:
    return SaleRecorded(
        source="pos", document=Document("receipt", f"T-{number}", 1), event_time=START + number * SECOND,
        sku=sku, location="S1", quantity=units,
    )  # fmt: skip


def answers(rig: Rig) -> list[AvailabilityChanged]:
    """Every answer for the kit, in order; each by one writer, in the kit's partition, under a rising version."""
    found: list[AvailabilityChanged] = []
    for record in rig.records("availability"):
        effect = codec.decode(record.value() or b"")
        if isinstance(effect, AvailabilityChanged) and effect.key == f"all|{KIT}":
            assert record.partition() == partition_of(KIT.encode(), rig.settings.partitions)
            assert not found or (effect.epoch, effect.version) > (found[-1].epoch, found[-1].version)
            found.append(effect)
    return found


def drain(rig: Rig) -> None:
    worker = rig.worker(topology=None)
    assert worker.end() == 0, worker.text()[-4000:]


def test_a_worker_answers_for_kits_whose_parts_lie_in_other_partitions(rig: Rig) -> None:
    places = {partition_of(sku.encode(), rig.settings.partitions) for sku in (KIT, *PARTS)}
    assert len(places) > 1, "choose other names: these lie together"
    rig.publish([received(1, KIT, 2), received(2, "FRAME", 5), received(3, "SLAT", 70), bill(10, PARTS)])
    drain(rig)
    assert answers(rig)[-1].atp == 2 + 5
    # Killed amid work and without its disk, a worker leaves nothing half told; another one goes on.
    rig.publish(sold(100 + n, "SLAT", 1) for n in range(57))
    worker = rig.worker(topology=None, until_idle=None)
    worker.wait_for("opened")
    worker.kill()
    shutil.rmtree(rig.settings.home / "state")
    drain(rig)
    last = answers(rig)[-1]
    assert (last.atp, last.status) == (2, "IN_STOCK")
    assert last.kit is not None
    assert [(part.sku, part.exposed) for part in last.kit.parts] == [("FRAME", 5), ("SLAT", 13)]
    assert rig.dead_letters() == []
    read = shown(rig, "show")["kit"]
    assert [(one["channel"], one["atp"], one["binds"]) for one in read] == [("all", 2, ["SLAT"])]
    assert [(one["sku"], one["avail"], one["exposed"]) for one in read[0]["parts"]] == [
        ("FRAME", 5, {"S1": 5}), ("SLAT", 13, {"S1": 13}),
    ]  # fmt: skip
    assert shown(rig, "explain")["kit"] == read
    # Two lines need slats: 13 are left, and they are asked for together.
    assert reserve(rig, "O-1", [{"sku": KIT, "quantity": 1}, {"sku": "FRAME", "quantity": 1}]) == (1, "rejected")
    assert reserve(rig, "O-2", [{"sku": "SLAT", "quantity": 13}, {"sku": "FRAME", "quantity": 5}]) == (0, "accepted")
    assert reserve(rig, "O-2", [{"sku": "SLAT", "quantity": 13}, {"sku": "FRAME", "quantity": 5}]) == (0, "accepted")
    assert reserve(rig, "O-1", [{"sku": KIT, "quantity": 1}, {"sku": "FRAME", "quantity": 1}]) == (1, "rejected")
    # A worker tells it as the changelog does, of the channel that has been named since too.
    (url,) = [one.url for one in addresses(rig.settings)]
    with urlopen(f"{url}/kit/{KIT}", timeout=5) as answer:
        assert json.load(answer)["channels"] == shown(rig, "show")["kit"]
    assert {one["channel"] for one in shown(rig, "show")["kit"]} == {"all", "web"}


def shown(rig: Rig, command: str) -> dict[str, Any]:
    done = subprocess.run(
        [sys.executable, "-m", "cli", command, KIT, "--json"],
        capture_output=True, check=True, env={**os.environ, **rig.settings.environ()}, timeout=60,
    )  # fmt: skip
    found: dict[str, Any] = json.loads(done.stdout)
    return found


def reserve(rig: Rig, order: str, lines: list[dict[str, object]]) -> tuple[int, str]:
    """Reserve an order by the command, with a worker at work; return its exit code and verdict."""
    if not any(worker.process.poll() is None for worker in rig.workers):
        rig.worker(topology=None, until_idle=None).wait_for("opened")
    path = rig.settings.home / f"{order}.json"
    path.write_text(json.dumps({"order": order, "channel": "web", "location": "S1", "hold": "15m", "lines": lines}))
    done = subprocess.run(
        [sys.executable, "-m", "cli", "reserve-order", str(path), "--json", "--timeout", "30"],
        capture_output=True, check=False, env={**os.environ, **rig.settings.environ()}, timeout=60,
    )  # fmt: skip
    assert done.returncode in (0, 1), done.stderr.decode()
    return done.returncode, json.loads(done.stdout)["verdict"]
