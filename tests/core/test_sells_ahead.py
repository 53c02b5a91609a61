"""What a channel reads that has nothing left: sold out, or sold ahead of what comes.

Source: docs/domain.md sections "Dated supply and demand" and "What channels are told".
"""

from dataclasses import replace

from atp.effects import AvailabilityChanged
from atp.events import DAY, Document, Event, GoodsReceived, PolicyChanged, PolicyFields
from tests.core.papers import NOON, coming, more, request, stocked
from tests.core.rig import Folded
from tests.core.strategies import tick


def policy(channel: str, **fields: object) -> PolicyChanged:
    document = Document("policy", f"{channel} {sorted(fields)}", 1)
    said: PolicyChanged = more(PolicyChanged, 0, channel=channel, document=document, policy=PolicyFields(**fields))  # type: ignore[arg-type]
    return said


def readings(folded: Folded, channel: str = "web") -> list[str]:
    told = [one for one in folded.effects if isinstance(one, AvailabilityChanged) and one.channel == channel]
    found: list[str] = []
    for one in told:
        if not found or found[-1] != one.status:
            found.append(one.status)
    return found


def test_a_channel_reads_sold_ahead_while_a_later_day_has_something() -> None:
    folded = Folded([policy("web", sells_ahead="backorder"), *stocked(S1=1), coming("S1", 2, "2026-11-22"), NOON])
    assert readings(folded) == ["OUT", "IN_STOCK"]
    folded.send(request(1))
    assert readings(folded)[2:] == ["BACKORDER"]
    folded.send(replace(request(2, 2), need_date="2026-11-25"))  # all that comes is taken
    assert folded.decided["R-2"].decision == "accepted"
    assert readings(folded)[3:] == ["OUT"]
    folded.send(more(GoodsReceived, 9, location="S1", document=Document("grn", "later", 1)))
    assert readings(folded)[4:] == ["IN_STOCK"]


def test_the_word_follows_the_policy() -> None:
    folded = Folded([policy("web", sells_ahead="preorder"), coming("S1", 2, "2026-11-22"), NOON])
    assert readings(folded)[-1] == "PREORDER"
    folded.send(
        replace(policy("web", sells_ahead="never"), rev=1, document=Document("policy", "web ['sells_ahead']", 1))
    )
    assert readings(folded)[-1] == "OUT"


def test_what_its_terms_never_show_is_not_sold_ahead() -> None:
    log: list[Event]
    for terms in ({"cap": 0}, {"share_percent": 0}, {"buffer": 2}):
        log = [policy("web", sells_ahead="backorder", **terms), coming("S1", 2, "2026-11-22"), NOON]
        assert readings(Folded(log)) == ["OUT"], terms
    log = [policy("web", sells_ahead="backorder", buffer=1), coming("S1", 2, "2026-11-22"), NOON]
    assert readings(Folded(log)) == ["OUT", "BACKORDER"]


def test_another_status_is_told_whatever_is_held_back() -> None:
    """The supply is gone, or is there again: units stay 0, and yet the channel hears of it at once."""
    quiet = policy("web", sells_ahead="backorder", publish_units=1_000)
    folded = Folded([quiet, NOON, coming("S1", 2, "2026-11-22")])
    folded.send(replace(coming("S1", 0, "2026-11-22"), rev=1))
    folded.send(replace(coming("S1", 3, "2026-11-23"), rev=2))
    assert readings(folded) == ["OUT", "BACKORDER", "OUT", "BACKORDER"]


def test_a_day_is_promised_whether_or_not_the_channel_sells_ahead() -> None:
    folded = Folded([coming("S1", 2, "2026-11-22"), NOON, replace(request(1, 2), need_date="2026-11-22")])
    assert folded.decided["R-1"].decision == "accepted"
    assert folded.decided["R-1"].atp == 2
    folded.send(tick(NOON.event_time + DAY))
    assert folded.states()["A", "web"].atp == 0
