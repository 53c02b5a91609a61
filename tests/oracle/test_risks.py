"""Risks: the judge says which must stand, and one that is missing, wrong or stale does not pass."""

from collections.abc import Callable
from dataclasses import replace

import pytest

from atp.book import Risk
from atp.effects import RiskChanged
from atp.events import DAY, MINUTE
from avro_schemas import codec
from oracle.compare import differences
from tests.oracle.damage import change_last, change_row
from tests.oracle.pipeline import Topics, folded, judged
from tests.oracle.wild_risks import WildRisks

WINDOW = 7 * DAY
SEED = 149
"""Of a log that ends with risks of every kind."""
KINDS = ("negative_stock", "oversold", "ring_short", "projected", "exposure")


def test_pipeline_and_judge_agree() -> None:
    seen: set[tuple[str, bool]] = set()
    for seed in (1, 5, 8, 9, 16, 101):
        db, found = judged(folded(WildRisks(seed, 250, ticks=seed != 5).log(), WINDOW), WINDOW)
        assert list(differences(db, 10)) == [], f"seed {seed}"
        assert found.risks
        seen |= set(db.execute("SELECT kind, calm_since IS NOT NULL FROM held_risks").fetchall())
    # The logs end with something of each kind, and with risks in their minutes of calm.
    assert {kind for kind, calm in seen if not calm} >= set(KINDS)
    assert any(calm for _, calm in seen)


@pytest.mark.parametrize(("seed", "length", "ticks"), [(138, 300, True), (194, 400, False)])
def test_what_the_judge_once_found_stays_mended(seed: int, length: int, ticks: bool) -> None:
    """An answer that a review of trust changed, and a policy that matured with an event, were judged by old figures."""
    db, _ = judged(folded(WildRisks(seed, length, ticks=ticks).log(), WINDOW), WINDOW)
    assert list(differences(db, 10)) == []


# Each damage, and the kinds of difference that must be those reported -----------------------------------------


def lose(topics: Topics, kind: str) -> None:
    """As if the risk had never been opened."""
    key = next(key for key in sorted(topics.rows) if key.startswith(b"r|") and key.split(b"|")[2] == kind.encode())
    row = codec.decode_row(key.decode(), topics.rows.pop(key))
    assert isinstance(row, Risk)
    topics.risks = [pair for pair in topics.risks if pair[0] != row.id.encode()]


def stale(topics: Topics, calm_since: int | None) -> None:
    """A risk of a location that has nothing below 0."""
    row = Risk(id="stale", severity="HIGH", opened_at=0, calm_since=calm_since, quantity=-1)
    topics.rows[b"r|A0|negative_stock|S9"] = codec.encode_row(row)
    template = codec.decode(topics.risks[-1][1] or b"")
    assert isinstance(template, RiskChanged)
    told = replace(
        template, id="stale", kind="negative_stock", sku="A0", scope="S9", transition="opened", severity="HIGH"
    )
    topics.risks.append((b"stale", codec.encode(told)))


def a_shortage_of_one_less(topics: Topics) -> None:
    change_row(topics.rows, b"r|", Risk, lambda row: replace(row, quantity=row.quantity - 1))


def told_of_another_severity(topics: Topics) -> None:
    change_last(
        topics.risks,
        RiskChanged,
        lambda one: replace(one, severity="LOW") if one.transition != "closed" else None,
    )


def told_to_be_over(topics: Topics) -> None:
    change_last(
        topics.risks,
        RiskChanged,
        lambda one: replace(one, transition="closed") if one.transition != "closed" else None,
    )


def calm_that_is_none(topics: Topics) -> None:
    def calmed(row: Risk) -> Risk | None:
        return replace(row, calm_since=1) if row.calm_since is None else None

    change_row(topics.rows, b"r|A1|oversold", Risk, calmed)


@pytest.mark.parametrize(
    ("damage", "kind"),
    [
        *((lambda topics, kind=kind: lose(topics, kind), "risk") for kind in KINDS),
        (lambda topics: stale(topics, None), "risk"),
        (lambda topics: stale(topics, 1_763_000_000_000_000), "risk"),
        (lambda topics: stale(topics, 4_000_000_000_000_000), "risk"),
        (a_shortage_of_one_less, "risk"),
        (calm_that_is_none, "risk"),
        (told_of_another_severity, "risk as told"),
        (told_to_be_over, "risk as told"),
    ],
)
def test_a_wrong_risk_is_found(damage: Callable[[Topics], None], kind: str) -> None:
    topics = folded(WildRisks(SEED, 250, ticks=True).log(), WINDOW)
    damage(topics)
    db, _ = judged(topics, WINDOW)
    assert {one.what for one in differences(db, 100)} == {kind}


def test_a_risk_is_calm_for_two_minutes_and_no_longer() -> None:
    topics = folded(WildRisks(SEED, 250, ticks=True).log(), WINDOW)
    db, _ = judged(topics, WINDOW)
    ((tick,),) = db.execute("SELECT max(tick) FROM skus").fetchall()
    stale(topics, tick - 2 * MINUTE + 1)
    db, found = judged(topics, WINDOW)
    assert list(differences(db, 10)) == []
    assert found.differences == 0
