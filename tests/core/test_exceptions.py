"""The life of an exception: when it opens, who has it, when it escalates, what closes it."""

import random
from itertools import pairwise
from pathlib import Path

import pytest

from atp.book import CLOCK_KEY, POLICIES_KEY, Case, Clock, Policies, PolicyEntry, Row, case_key
from atp.checks import check
from atp.draft import Draft
from atp.duties import DUTIES
from atp.effects import Cause, ExceptionChanged
from atp.errors import PoisonError
from atp.events import DAY, HOUR, MINUTE, SECOND, Document, ExceptionAcknowledged, PolicyChanged, PolicyFields
from atp.exceptions import SEVERITIES, acknowledge, close_exception, deadlines, open_exception
from streams.memory import MemoryRows

T = 1_795_165_500_000_000  # 2026-11-20T09:05:00Z


class Desk:
    """Rows, and what was said of them."""

    def __init__(self, tick: int | None = T, **policy: object) -> None:
        self.rows = MemoryRows()
        self.said: list[ExceptionChanged] = []
        if tick is not None:
            self.rows.put(CLOCK_KEY, Clock(tick=tick))
        if policy:
            fields = PolicyFields(**policy)  # type: ignore[arg-type]
            entry = PolicyEntry(key="p", rev=0, effective=0, location="", channel="", policy=fields)
            self.rows.put(POLICIES_KEY, Policies(entries=(entry,)))

    def draft(self) -> Draft:
        clock = self.rows.get(CLOCK_KEY)
        tick = clock.tick if isinstance(clock, Clock) else None
        return Draft(self.rows, Cause(type="Test", key="k"), 0, tick)

    def keep(self, draft: Draft) -> list[ExceptionChanged]:
        changes: dict[str, Row | None] = draft.changes
        for key, row in changes.items():
            self.rows.put(key, row)
        said = [one for one in draft.effects if isinstance(one, ExceptionChanged)]
        self.said += said
        return said

    def open(self, kind: str, at: int = T, scope: str = "S1", **evidence: str) -> list[ExceptionChanged]:
        draft = self.draft()
        open_exception(draft, "A", kind, scope, evidence, at, location="S1")
        return self.keep(draft)

    def close(self, kind: str, at: int = T, scope: str = "S1") -> list[ExceptionChanged]:
        draft = self.draft()
        close_exception(draft, "A", kind, scope, at)
        return self.keep(draft)

    def tick(self, at: int) -> list[ExceptionChanged]:
        self.rows.put(CLOCK_KEY, Clock(tick=at))
        draft = self.draft()
        deadlines(draft, at)
        return self.keep(draft)

    def acknowledge(self, at: int, **fields: str) -> list[ExceptionChanged]:
        draft = self.draft()
        event = ExceptionAcknowledged(source="desk", document=Document("n", "1", 1), event_time=at, **fields)  # type: ignore[arg-type]
        acknowledge(draft, event)
        return self.keep(draft)

    @property
    def left(self) -> list[str]:
        """The rows that are there beside clock and policies."""
        return [key for key, _ in self.rows.scan("") if not key.startswith("g|")]


def steps(said: list[ExceptionChanged]) -> list[tuple[str, str, int]]:
    return [(one.transition, one.severity, (one.at - T) // MINUTE) for one in said]


def test_without_a_grace_it_opens_at_once() -> None:
    desk = Desk()
    (opened,) = desk.open("short_receipt", short="3")
    assert (opened.transition, opened.kind, opened.sku, opened.scope, opened.location) == (
        "opened", "short_receipt", "A", "S1", "S1",
    )  # fmt: skip
    assert (opened.owner, opened.severity, opened.evidence) == ("receiving", "MEDIUM", {"short": "3"})
    assert (opened.opened_at, opened.at, opened.deadline) == (T, T, T + 48 * HOUR)
    assert opened.action
    assert desk.open("short_receipt", short="3") == []


def test_with_a_grace_it_opens_when_the_cause_stands_for_so_long() -> None:
    desk = Desk()
    assert desk.open("debt") == []
    assert desk.tick(T + 23 * HOUR) == []
    assert steps(desk.tick(T + 25 * HOUR)) == [("opened", "MEDIUM", 24 * 60)]


def test_what_is_put_right_within_its_grace_is_never_told() -> None:
    desk = Desk()
    desk.open("debt")
    assert desk.close("debt", T + HOUR) == []
    assert desk.left == []
    assert desk.tick(T + 99 * HOUR) == []


def test_without_ticks_no_time_passes() -> None:
    desk = Desk(tick=None)
    assert desk.open("debt") == []
    assert steps(desk.open("pick_failed")) == [("opened", "MEDIUM", 0)]
    assert steps(desk.tick(T + 24 * HOUR)) == [
        ("escalated", "HIGH", 4 * 60), ("escalated", "CRITICAL", 8 * 60), ("opened", "MEDIUM", 24 * 60),
    ]  # fmt: skip


def test_a_cause_of_long_ago_opens_it_as_of_then() -> None:
    (opened,) = Desk().open("debt", T - 30 * HOUR)
    assert opened.opened_at == T - 6 * HOUR


def test_it_escalates_until_nothing_is_above() -> None:
    desk = Desk()
    desk.open("pick_failed")
    for _ in range(3):
        desk.tick(T + 4 * HOUR - 1)
    assert len(desk.said) == 1
    assert steps(desk.tick(T + 4 * HOUR)) == [("escalated", "HIGH", 240)]
    assert steps(desk.tick(T + 30 * DAY)) == [("escalated", "CRITICAL", 480)]
    assert desk.said[-1].deadline is None
    assert desk.left == [case_key("A", "pick_failed", "S1")]
    assert steps(desk.close("pick_failed", T + 31 * DAY)) == [("closed", "CRITICAL", 31 * 24 * 60)]
    assert desk.left == []


@pytest.mark.parametrize("every", [SECOND, MINUTE, 7 * HOUR, 9 * DAY])
def test_how_often_ticks_come_changes_nothing(every: int) -> None:
    desk = Desk()
    desk.open("unmatched_shipment", T + 1)
    at = T
    while at < T + 9 * DAY:
        at += every if every > MINUTE or at < T + MINUTE else HOUR
        desk.tick(at)
    desk.tick(T + 9 * DAY)
    assert [(one.transition, one.at, one.id) for one in desk.said] == [
        (one.transition, T + 1 + time, desk.said[0].id)
        for one, time in zip(desk.said, (24 * HOUR, 72 * HOUR, 120 * HOUR), strict=True)
    ]


def test_who_takes_it_on_has_it_and_its_deadline_begins_anew() -> None:
    desk = Desk()
    (opened,) = desk.open("pick_failed")
    desk.tick(T + HOUR)
    (taken,) = desk.acknowledge(T + HOUR, sku="A", kind="pick_failed", scope="S1", owner="mia")
    assert (taken.transition, taken.id, taken.owner, taken.deadline) == (
        "acknowledged", opened.id, "mia", T + 5 * HOUR,
    )  # fmt: skip
    assert desk.acknowledge(T + HOUR, sku="A", kind="pick_failed", scope="S1", owner="mia") == []
    assert desk.tick(T + 4 * HOUR) == []
    assert [one.owner for one in desk.tick(T + 5 * HOUR)] == ["mia"]


def test_of_two_who_take_it_on_the_later_has_it() -> None:
    for order in ((1, 2), (2, 1), (1, 2, 1), (2, 1, 2, 2)):
        desk = Desk(tick=T + HOUR)
        desk.open("pick_failed")
        for minute in order:
            desk.acknowledge(T + minute * MINUTE, sku="A", kind="pick_failed", scope="S1", owner=f"o{3 - minute}")
        assert (desk.said[-1].owner, desk.said[-1].deadline) == ("o1", T + 2 * MINUTE + 4 * HOUR)


def test_it_is_named_by_its_id_too_in_every_partition() -> None:
    desk = Desk()
    (opened,) = desk.open("pick_failed")
    assert desk.acknowledge(T, exception="another") == []
    (taken,) = desk.acknowledge(T, exception=opened.id, actor="mia")
    assert taken.owner == "mia"


def test_a_word_closes_what_no_fact_can() -> None:
    desk = Desk()
    (opened,) = desk.open("late_event")
    (closed,) = desk.acknowledge(T, exception=opened.id, actor="mia", resolution="the clock was wrong")
    assert (closed.transition, closed.action, closed.evidence) == (
        "closed", "the clock was wrong", {"resolved_by": "mia"},
    )  # fmt: skip
    assert desk.left == []


def test_what_waits_cannot_be_taken_on() -> None:
    desk = Desk()
    desk.open("debt")
    assert desk.acknowledge(T, sku="A", kind="debt", scope="S1") == []
    assert isinstance(desk.rows.get(case_key("A", "debt", "S1")), Case)


def test_a_word_from_the_future_puts_no_deadline_off() -> None:
    desk = Desk()
    (opened,) = desk.open("pick_failed")
    (taken,) = desk.acknowledge(T + 300 * DAY, exception=opened.id)
    assert taken.deadline == T + 4 * HOUR


def test_policies_say_what_is_watched_by_whom_and_until_when() -> None:
    assert Desk().open("blind_receipt") == []
    assert steps(Desk(exception_watch={"blind_receipt": True}).open("blind_receipt")) == [("opened", "LOW", 0)]
    assert Desk(exception_watch={"short_receipt": False}).open("short_receipt") == []
    assert Desk(exception_grace_s={"short_receipt": 60}).open("short_receipt") == []
    (opened,) = Desk(exception_owner={"short_receipt": "mia"}, exception_deadline_s={"short_receipt": 60}).open(
        "short_receipt"
    )
    assert (opened.owner, opened.deadline) == ("mia", T + MINUTE)
    (opened,) = Desk(exception_deadline_s={"short_receipt": 0}).open("short_receipt")
    assert opened.deadline is None


def test_a_policy_for_a_kind_that_there_is_not_is_refused() -> None:
    def say(kind: str) -> PolicyChanged:
        policy = PolicyFields(exception_watch={kind: True})
        return PolicyChanged(source="mdm", document=Document("p", "1", 1), event_time=T, policy=policy)

    check(say("blind_receipt"))
    with pytest.raises(PoisonError, match="must be one of blind_receipt"):
        check(say("blind_recipt"))


def test_the_docs_name_every_kind_and_what_to_do() -> None:
    docs = Path(__file__).resolve().parents[2] / "docs"
    for page in ("domain.md", "operations.md"):
        told = {text.split("`")[1] for text in (docs / page).read_text().splitlines() if text.startswith("| `")}
        assert set(DUTIES) <= told, page
    domain = (docs / "domain.md").read_text()
    for kind, duty in DUTIES.items():
        (row,) = (text for text in domain.splitlines() if f"| `{kind}` (" in text and f" h | {duty.owner} |" in text)
        hours = f"{duty.grace // HOUR} h" if duty.grace else "0"
        assert f"| {hours}, {duty.deadline // HOUR} h |" in row


def test_a_new_date_is_waited_for() -> None:
    desk = Desk()
    desk.open("overdue_transfer", T)
    desk.open("overdue_transfer", T + 5 * DAY)
    assert desk.tick(T + 5 * DAY) == []
    assert steps(desk.tick(T + 6 * DAY)) == [("opened", "MEDIUM", 6 * 24 * 60)]


@pytest.mark.parametrize("seed", range(20))
def test_what_swings_opens_no_more_often_than_its_grace_allows(seed: int) -> None:
    chance = random.Random(seed)
    desk = Desk()
    at = T
    for _ in range(400):
        at += chance.randrange(3 * HOUR)
        desk.tick(at)
        (desk.open if chance.random() < 0.5 else desk.close)("debt", at)
    openings = [one.at for one in desk.said if one.transition == "opened"]
    grace = DUTIES["debt"].grace
    assert all(after - before >= grace for before, after in pairwise(openings))
    assert len({one.id for one in desk.said}) == len(openings)


@pytest.mark.parametrize("seed", range(20))
def test_a_life_is_told_in_order(seed: int) -> None:
    """Opened first, closed last and once, never less severe, times that do not go back."""
    chance = random.Random(seed)
    desk = Desk()
    at = T
    for _ in range(200):
        at += chance.randrange(6 * HOUR)
        desk.tick(at)
        kind = chance.choice(["debt", "pick_failed", "late_event"])
        match chance.randrange(4):
            case 0 | 1:
                desk.open(kind, at)
            case 2:
                desk.close(kind, at)
            case _:
                desk.acknowledge(at, sku="A", kind=kind, scope="S1", owner=f"o{chance.randrange(3)}")
    for id_ in {one.id for one in desk.said}:
        life = [one for one in desk.said if one.id == id_]
        assert [one.transition for one in life].count("opened") == 1
        assert life[0].transition == "opened"
        assert all(one.transition != "closed" for one in life[:-1])
        assert [one.at for one in life] == sorted(one.at for one in life)
        ranks = [SEVERITIES.index(one.severity) for one in life]
        assert ranks == sorted(ranks)
