"""`atp reserve` and `atp release`: what they send, what they say, and their exit codes, with a worker that answers."""

import json
import re
import signal
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner, Result

from atp.effects import RequestDecided
from atp.errors import FatalError
from atp.events import DAY, SECOND, Document, GoodsReceived, MasterChanged, Ref, SupplierConfirmed, TimeTicked
from avro_schemas import codec
from avro_schemas.instants import instant
from avro_schemas.public_json import parse_line
from cli.main import app
from streams.ledger import publish
from streams.order_file import mark_cancelled, pin
from streams.settings import Settings
from tests.streams.rig import Rig, pipeline

pytestmark = pytest.mark.timeout(150)


def run(*words: str) -> Result:
    found = CliRunner().invoke(app, words)
    if found.exception is not None and not isinstance(found.exception, SystemExit):
        raise found.exception
    return found


def asked(*words: str, code: int = 0) -> dict[str, Any]:
    """Reserve for the shop, and return what is said as JSON."""
    found = run("reserve", *words, "--channel", "web", "--json")
    assert found.exit_code == code, found.output
    return dict(json.loads(found.stdout.splitlines()[0]))


@pytest.fixture(autouse=True)
def _home(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    """Commands read the settings of the test, and no broker unless the test names one."""
    monkeypatch.delenv("ATP_BROKERS", raising=False)
    for name, value in settings.environ().items():
        monkeypatch.setenv(name, value)


@pytest.fixture
def rig(broker_settings: Settings, brokers: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[Rig]:
    monkeypatch.setenv("ATP_BROKERS", brokers)
    with pipeline(broker_settings.model_copy(update={"commit_interval_ms": 10})) as one:
        yield one


def stock(rig: Rig, units: int, sku: str = "A") -> None:
    now = time.time_ns() // 1000 - SECOND
    paper = Document("grn", f"G-{sku}-{now}", 1)
    rig.publish([GoodsReceived(source="wms", document=paper, event_time=now, sku=sku, location="S1", quantity=units)])


def decisions(rig: Rig) -> list[RequestDecided]:
    found = [codec.decode(record.value() or b"") for record in rig.records("reservation-decisions")]
    assert all(isinstance(one, RequestDecided) for one in found)
    return found  # type: ignore[return-value]


# Without a broker -------------------------------------------------------------------------------------------


def test_a_dry_run_shows_the_event_and_needs_no_broker() -> None:
    shown = run(
        "reserve", "A", "2", "--channel", "web", "--order", "O-1", "--line", "3", "--location", "S1", "--partial",
        "--soft", "--hold", "15m", "--request-id", "R-1", "--at", "2026-11-20T09:00:00Z", "--need", "2026-11-23",
        "--dry-run",
    )  # fmt: skip
    assert json.loads(shown.stdout) == {
        "type": "ReservationRequested", "source": "cli", "document": {"type": "request", "id": "R-1", "line": 1},
        "sku": "A", "location": "S1", "quantity": 2, "event_time": "2026-11-20T09:00:00Z", "channel": "web",
        "order": {"id": "O-1", "line": 3}, "request_id": "R-1", "state": "soft",
        "expires_at": "2026-11-20T09:15:00Z", "need_date": "2026-11-23", "partial": True,
    }  # fmt: skip
    assert len(parse_line(shown.stdout)) == 1


def test_every_request_has_an_id_of_its_own() -> None:
    first, second = (json.loads(run("reserve", "A", "1", "--channel", "c", "--dry-run").stdout) for _ in range(2))
    assert first["request_id"] != second["request_id"]
    assert {"state", "expires_at", "order", "need_date", "partial"} & set(first) == set()


def test_what_is_given_back_names_its_line() -> None:
    some = json.loads(run("release", "A", "2", "--order", "O-1", "--line", "3", "--dry-run").stdout)
    assert (some["type"], some["quantity"], some["order"]) == ("ReservationReleased", 2, {"id": "O-1", "line": 3})
    everything = json.loads(run("release", "A", "--request-id", "R-1", "--dry-run").stdout)
    assert (everything["type"], everything["order"]) == ("OrderCancelled", {"id": "request:R-1", "line": 1})


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["reserve", "A|B", "1", "--channel", "web"], "sku must be 1 to 64 characters"),
        (["reserve", "A", "0", "--channel", "web"], "should be greater than or equal to 1"),
        (["reserve", "A", "1"], "--channel"),
        (["reserve", "A", "1", "--channel", "web", "--hold", "5x"], "Try: --hold 15m"),
        (["reserve", "A", "1", "--channel", "web", "--hold", "5x"], "a duration is a number and s, m, h or d"),
        (["reserve", "A", "1", "--channel", "web", "--hold", "5m", "--firm"], "a firm reservation does not run out"),
        (["reserve", "A", "1", "--channel", "web", "--at", "today"], "--at is a time like 2026-11-20T09:05:00Z"),
        (["release", "A", "1"], "name what is given back"),
        (["release", "A", "1", "--order", "O", "--request-id", "R"], "name what is given back"),
    ],
)
def test_a_wrong_command_line_is_refused(words: list[str], said: str) -> None:
    found = run(*words, "--dry-run")
    assert found.exit_code == 2
    flat = " ".join(found.output.replace("│", " ").split())
    assert said in flat


def test_without_a_broker_it_says_how_to_start_one() -> None:
    with pytest.raises(FatalError, match="atp up"):
        run("reserve", "A", "1", "--channel", "web")


# With a worker ----------------------------------------------------------------------------------------------


def test_units_are_taken_until_none_are_left(rig: Rig) -> None:
    stock(rig, 5)
    rig.worker(until_idle=None).wait_for("assigned")
    first = asked("A", "2", "--order", "O-1", "--hold", "15m", "--timeout", "40")
    assert (first["decision"], first["quantity"], first["atp"], first["reason"]) == ("accepted", 2, 5, "")
    assert (first["order"], first["order_line"], first["state"], first["again"]) == ("O-1", 1, "soft", False)
    assert first["expires_at"].endswith("Z")

    whole = asked("A", "4", code=1)
    assert (whole["decision"], whole["quantity"], whole["atp"]) == ("rejected", 0, 3)
    assert whole["reason"]
    some = asked("A", "4", "--partial", code=1)
    assert (some["decision"], some["requested"], some["quantity"]) == ("partly", 4, 3)

    # What is given back can be had again: the release lies before the request in the ledger.
    assert run("release", "A", "1", "--order", "O-1").exit_code == 0
    words = run("reserve", "A", "1", "--channel", "web", "--firm", "--location", "S1")
    assert words.exit_code == 0, words.output
    assert words.stdout.startswith("accepted: 1 of 1 A for web at S1; firm, order request:R-")
    assert "1 could be had at that moment" in words.stdout
    assert run("release", "A", "--order", "O-1").exit_code == 0
    assert asked("A", "2", code=1)["atp"] == 1
    told = run("reserve", "A", "2", "--channel", "web")
    assert told.exit_code == 1
    assert "rejected: 0 of 2 A for web" in told.stdout
    assert "why: " in told.stdout


def test_the_same_id_has_the_same_answer(rig: Rig) -> None:
    stock(rig, 5)
    rig.worker(until_idle=None).wait_for("assigned")
    first = asked("A", "2", "--request-id", "R-1", "--timeout", "40")
    assert asked("A", "2", "--request-id", "R-1") == {**first, "again": True}
    assert asked("A", "1", code=0)["atp"] == 3
    other = run("reserve", "A", "4", "--channel", "web", "--request-id", "R-1")
    assert other.exit_code == 2
    assert "the request id R-1 was used before, for 2 of A by web" in other.output
    assert [one.request_id for one in decisions(rig)].count("R-1") == 1


def test_no_answer_is_unknown_and_asking_again_finds_it(rig: Rig) -> None:
    stock(rig, 5)
    words = ("reserve", "A", "3", "--channel", "web", "--order", "O-1", "--request-id", "R-1")
    with pytest.raises(FatalError, match="whether the units are reserved is unknown") as caught:
        run(*words, "--timeout", "0.5")
    for said in ("--request-id R-1", "atp release A --order O-1 --line 1", "atp status"):
        assert said in str(caught.value)
    # Asked twice before anyone answers: one answer, and units are taken once.
    worker = rig.worker(until_idle=None)
    found = run(*words, "--timeout", "40", "--json")
    assert found.exit_code == 0, found.output
    assert json.loads(found.stdout)["quantity"] == 3
    assert asked("A", "3", code=1)["atp"] == 2
    worker.signal(signal.SIGTERM)
    assert worker.end() == 0
    mine = {codec.encode(one) for one in decisions(rig) if one.request_id == "R-1"}
    assert len(mine) == 1


def test_a_request_that_is_too_late_is_refused_undecided(rig: Rig) -> None:
    stock(rig, 5)
    rig.worker(until_idle=None).wait_for("assigned")
    old = run("reserve", "A", "1", "--channel", "web", "--at", "2020-01-01T00:00:00Z", "--timeout", "40", "--json")
    assert old.exit_code == 1
    assert json.loads(old.stdout.splitlines()[0])["cause"] == "late"
    assert "Nothing was taken" in old.stderr


def test_what_ran_out_before_it_was_heard_of_is_not_called_held(rig: Rig) -> None:
    stock(rig, 5)
    rig.worker(until_idle=None).wait_for("assigned")
    an_hour_ago = datetime.now(UTC) - timedelta(hours=1)
    words = ("--at", an_hour_ago.isoformat(), "--hold", "15m", "--timeout", "40")
    found = run("reserve", "A", "2", "--channel", "web", *words)
    assert found.exit_code == 1, found.output
    assert "nothing is held any longer. Ask anew, under another id: atp reserve A 2 --channel web" in found.stderr


def test_an_order_of_a_sku_that_nobody_heard_of_is_not_asked_for(rig: Rig, tmp_path: Path) -> None:
    stock(rig, 5)
    rig.worker(until_idle=None).wait_for("assigned")
    asked("A", "1", "--timeout", "40")
    asked("UNHEARD", "1", code=1)  # It is known by this request alone from now on.
    order = tmp_path / "O-1.json"
    for sku in ("UNHEARD", "NEVER"):
        lines = [{"sku": "A", "quantity": 1}, {"sku": sku, "quantity": 1}]
        order.write_text(json.dumps({"order": "O-1", "channel": "web", "location": "S1", "lines": lines}))
        refused = run("reserve-order", str(order))
        assert refused.exit_code == 1
        assert f"SKU {sku} has never been heard of" in refused.stderr
        assert "atp availability --channel all" in refused.stderr
        assert [one.name for one in tmp_path.glob("O-1*")] == ["O-1.json"]
    assert {one.sku for one in decisions(rig)} == {"A", "UNHEARD"}
    order.write_text(json.dumps({"order": "O-1", "channel": "web", "lines": [{"sku": "A", "quantity": 1}]}))
    assert run("reserve-order", str(order)).exit_code == 0


def test_what_is_no_matter_of_stock_is_said_to_be_none(
    rig: Rig, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    stock(rig, 5, "LAMP-OAK")
    now = time.time_ns() // 1000 - SECOND
    day = instant(now + 3 * DAY)[:10]
    publish(
        [
            TimeTicked(source="clock", document=Document("tick", "1", 1), event_time=now),
            MasterChanged(
                source="pim", document=Document("bill", "K", 1), event_time=now, kit="KIT", components={"LAMP-OAK": 2}
            ),
            SupplierConfirmed(
                source="edi", document=Document("confirmation", "CF", 1), event_time=now, sku="LAMP-OAK", location="S1",
                quantity=40, purchase_order=Ref("PO-1", 1), eta=day,
            ),
        ],
        rig.settings,
        rig.brokers,
    )  # fmt: skip
    rig.worker(topology=None, until_idle=None).wait_for("assigned")
    assert asked("LAMP-OAK", "1", "--timeout", "40")["decision"] == "accepted"
    for wrong in ("LAMPOAK", "lamp-oak"):
        typo = run("reserve", wrong, "1", "--channel", "web")
        assert typo.exit_code == 1
        assert f"no event names SKU {wrong}" in typo.stdout
        assert typo.stdout.strip().endswith("Did you mean LAMP-OAK? See: atp show LAMP-OAK")
    assert "atp availability --channel all" in run("reserve", "ZZZ", "1", "--channel", "web").stdout

    later = run("reserve", "LAMP-OAK", "30", "--channel", "web", "--order", "O-1")
    assert later.stdout.strip().endswith(f"44 can be had for {day}, as announced: the same command with --need {day}")
    assert asked("LAMP-OAK", "30", "--order", "O-1", "--need", day)["decision"] == "accepted"
    more = run("reserve", "LAMP-OAK", "300", "--channel", "web")
    assert more.stdout.strip().endswith("See what holds the rest: atp explain LAMP-OAK --channel web")

    kit = run("reserve", "KIT", "1", "--channel", "web", "--order", "O-2", "--location", "S1")
    assert (kit.exit_code, "KIT is a kit" in kit.stdout) == (1, True)
    # What it says to do next does what it says.
    order = re.findall(r"echo '(.*)' > order.json; atp reserve-order order.json", kit.stdout)
    monkeypatch.chdir(tmp_path)
    Path("order.json").write_text(order[0])
    assert run("reserve-order", "order.json").stdout.startswith("accepted: order O-2")


def test_an_order_starts_over_where_the_topics_are_new(rig: Rig, tmp_path: Path) -> None:
    stock(rig, 5)
    rig.worker(until_idle=None).wait_for("assigned")
    asked("A", "1", "--timeout", "40")
    order = tmp_path / "O-1.json"
    order.write_text(json.dumps({"order": "O-1", "channel": "web", "lines": [{"sku": "A", "quantity": 2}]}))
    # Left behind by runs on topics that are gone.
    pin(order, lambda _: None, time.time_ns() // 1000)
    mark_cancelled(order)
    refused = run("reserve-order", str(order), "--start-over", "--cancel")
    assert refused.exit_code == 2
    refused = run("reserve-order", str(order), "--start-over")
    assert refused.exit_code == 0, refused.output
    assert refused.stdout.startswith("accepted: order O-1")
    # And not where they know of it: what was decided stays so.
    assert run("reserve-order", str(order), "--cancel").exit_code == 0
    ended = run("reserve-order", str(order))
    assert ended.exit_code == 1
    assert f"atp reserve-order {order} --start-over" in ended.stderr
    again = run("reserve-order", str(order), "--start-over")
    assert again.exit_code == 1
    assert "these topics know order O-1 already, by its claims of A" in again.stderr
    assert (tmp_path / "O-1.json.cancelled").exists()


def test_another_attempt_waits_until_the_one_before_holds_nothing(rig: Rig, tmp_path: Path) -> None:
    stock(rig, 9)
    stock(rig, 9, "B")
    worker = rig.worker(until_idle=None)
    worker.wait_for("assigned")
    asked("A", "1", "--timeout", "40")
    order = tmp_path / "O-1.json"

    def ask(attempt: int, **quantities: int) -> Result:
        lines = [{"sku": sku, "quantity": units} for sku, units in quantities.items()]
        order.write_text(json.dumps({"order": "O-1", "channel": "web", "attempt": attempt, "lines": lines}))
        return run("reserve-order", str(order))

    assert ask(1, A=4, B=10).exit_code == 1  # Refused: nothing of it is held.
    assert ask(2, A=4, B=3).exit_code == 0
    more = ask(3, A=5)
    assert more.exit_code == 1
    assert (
        f"order O-1 holds A by an earlier attempt, and would hold both. Give it up: atp reserve-order {order}"
        in more.stderr
    )
    assert ask(3, A=5).exit_code == 1, "nothing was written down that would let it pass the next time"
    # Of another SKU, these topics do not know the order; of those that it asked for before they do.
    order.write_text(json.dumps({"order": "O-1", "channel": "web", "lines": [{"sku": "C", "quantity": 1}]}))
    stock(rig, 9, "C")
    asked("C", "1", "--timeout", "40")
    assert "its claims of A" in run("reserve-order", str(order), "--start-over").stderr
    # And cancelled, it ends all that any attempt asked for.
    order.write_text(
        json.dumps({"order": "O-1", "channel": "web", "attempt": 4, "lines": [{"sku": "C", "quantity": 1}]})
    )
    ended = run("reserve-order", str(order), "--cancel", "--json")
    assert json.loads(ended.stdout)["cancelled"] == 3
    assert asked("B", "9", "--timeout", "40")["quantity"] == 9


# Given back ------------------------------------------------------------------------------------------------


def released(*words: str, code: int = 0) -> dict[str, Any]:
    """Give back, and return what is said as JSON."""
    found = run("release", *words, "--json")
    assert found.exit_code == code, found.output
    return dict(json.loads(found.stdout.splitlines()[0]))


def test_no_more_is_given_back_than_is_held(rig: Rig) -> None:
    stock(rig, 5)
    rig.worker(until_idle=None).wait_for("assigned")
    asked("A", "3", "--order", "O-1", "--line", "2", "--timeout", "40")
    unknown = run("release", "A", "1", "--order", "O-9")
    assert unknown.exit_code == 1
    assert "released 0: nothing of A is held under order O-9 line 1: nobody reserved any under it" in unknown.stderr
    assert "See what is held: atp show A" in unknown.stderr
    wrong_line = run("release", "A", "--order", "O-1")
    assert wrong_line.exit_code == 1
    assert "Its line 2 holds some: atp release A --order O-1 --line 2" in wrong_line.stderr

    said = run("release", "A", "1", "--order", "O-1", "--line", "2")
    assert said.stdout.startswith("released 1 of A, order O-1 line 2: it holds 2 still")
    over = released("A", "7", "--order", "O-1", "--line", "2", code=1)
    assert (over["asked"], over["units"], over["held"], over["outcome"]) == (7, 2, 2, "released")
    again = released("A", "7", "--order", "O-1", "--line", "2", code=1)
    assert (again["outcome"], again["why"]) == ("nothing", "all of it was given back before")
    # What was asked for and not held is not owed by what the line takes later.
    assert asked("A", "5", "--order", "O-1", "--line", "2")["decision"] == "accepted"
    assert released("A", "--order", "O-1", "--line", "2")["units"] == 5
    assert released("A", "--order", "O-1", "--line", "2", code=1)["why"] == "it was cancelled"


def test_a_release_of_one_name_counts_once(rig: Rig) -> None:
    stock(rig, 5)
    worker = rig.worker(until_idle=None)
    worker.wait_for("assigned")
    asked("A", "4", "--order", "O-1", "--timeout", "40")
    first = released("A", "1", "--order", "O-1", "--release-id", "RL-1")
    assert (first["units"], first["held"], first["again"]) == (1, 4, False)
    second = released("A", "1", "--order", "O-1", "--release-id", "RL-1")
    assert (second["units"], second["held"], second["again"]) == (1, 3, True)
    for other in (["A", "2", "--order", "O-2"], ["A", "--order", "O-1"]):
        refused = run("release", *other, "--release-id", "RL-1")
        assert refused.exit_code == 2
        assert "was used before, for 1 of A, order O-1" in " ".join(refused.output.replace("│", " ").split())

    # With nobody to fold it the outcome is unknown, and the same name gives back nothing twice.
    worker.signal(signal.SIGTERM)
    assert worker.end() == 0
    words = ("release", "A", "2", "--order", "O-1", "--release-id", "RL-2", "--timeout", "0.5")
    for _ in range(2):
        with pytest.raises(FatalError, match="the same command with --release-id RL-2"):
            run(*words)
    with pytest.raises(FatalError, match="nothing is released: events of A were not folded"):
        run("release", "A", "1", "--order", "O-1", "--timeout", "0.5")
    # A request without an answer can be given up all the same: a cancelled line holds nothing, whatever the answer is.
    with pytest.raises(FatalError, match="whether the units are reserved is unknown"):
        run("reserve", "A", "1", "--channel", "web", "--order", "O-3", "--timeout", "0.5")
    with pytest.raises(FatalError, match="It counts as soon as a worker folds it"):
        run("release", "A", "--order", "O-3", "--timeout", "0.5")
    rig.worker(until_idle=None)
    third = released("A", "2", "--order", "O-1", "--release-id", "RL-2", "--timeout", "40")
    assert (third["units"], third["held"], third["again"]) == (2, 1, True)
    assert released("A", "--order", "O-3", code=1)["why"] == "it was cancelled"
    assert rig.dead_letters() == []
