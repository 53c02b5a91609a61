"""How far channels are behind: by hand, and as acknowledgements lie on a real broker."""

import json
from collections.abc import Iterator

import pytest
from typer.testing import CliRunner

from atp.events import ChannelAck, Document, PolicyChanged, PolicyFields
from avro_schemas import codec
from avro_schemas.public_json import parse_line
from cli.main import app
from sinks.committed import CommittedReader
from sinks.lags import DAY_MS, ChannelLag, Lags, policy
from streams.ledger import publish
from streams.settings import Settings
from streams.topics_admin import ensure_topics, topic_name
from tests.core.rig import Folded
from tests.sinks.rig import NOON, Sender, answer
from topologies.topics import AVAILABILITY, LEDGER

RUNNER = CliRunner()


def measured(lags: Lags) -> ChannelLag:
    (lag,) = lags.channels()
    return lag


def test_an_answer_waits_for_its_acknowledgement_or_a_later_one() -> None:
    """1, told at 0 s, waits for 2, which came 9 s later; 2 waited 4 s, 3 waits still."""
    lags = Lags()
    for version, at_ms in ((1, 0), (2, 5_000), (3, 9_500)):
        lags.tell("web|A", (0, version), at_ms)
    lags.ack("web|A", (0, 2), 9_000)
    lag = measured(lags)
    assert (lag.lags_ms, lag.waiting, lag.acks) == ((4_000, 9_000), 1, 1)
    assert (lag.percentile_ms(50), lag.percentile_ms(95), lag.lag_s) == (4_000, 9_000, 9)


def test_resends_and_old_news_change_no_lag() -> None:
    lags = Lags()
    for at_ms in (7_000, 1_000):  # told again, and read in whatever order
        lags.tell("web|A", (0, 1), at_ms)
    lags.tell("web|A", (1, 1), 8_000)
    for version, at_ms in (((0, 1), 9_000), ((0, 1), 3_000), ((1, 1), 8_001), ((0, 1), 8_500)):
        lags.ack("web|A", version, at_ms)
    assert measured(lags).lags_ms == (1, 2_000)


def test_what_was_never_told_acknowledges_nothing() -> None:
    lags = Lags()
    lags.tell("web|A", (0, 1), 1_000)
    lags.ack("web|A", (0, 99), 2_000)
    assert (measured(lags).lags_ms, measured(lags).waiting) == ((), 1)


def test_what_is_left_of_an_answer_may_be_a_later_telling() -> None:
    """The first telling is compacted away: the acknowledgement lies before what is left."""
    lags = Lags()
    lags.ack("web|A", (0, 1), 1_000)
    lags.tell("web|A", (0, 1), 5_000)
    assert (measured(lags).lags_ms, measured(lags).waiting) == ((), 0)


def test_channels_are_measured_apart_over_all_their_skus() -> None:
    lags = Lags()
    for n, key in enumerate(("web|A", "web|B", "mall|A", "all|A")):
        lags.tell(key, (0, 1), 0)
        if key != "all|A":
            lags.ack(key, (0, 1), 1_000 * (n + 1))
    assert {lag.channel: lag.lags_ms for lag in lags.channels()} == {"mall": (3_000,), "web": (1_000, 2_000)}
    assert lags.silent() == ["all"]


@pytest.mark.parametrize(("number", "p50", "p95"), [(1, 1, 1), (2, 1, 2), (20, 10, 19), (21, 11, 20), (100, 50, 95)])
def test_a_percentile_is_one_of_the_lags(number: int, p50: int, p95: int) -> None:
    lag = ChannelLag(channel="web", acks=1, waiting=0, lags_ms=tuple(range(1, number + 1)), last_ack_ms=0)
    assert (lag.percentile_ms(50), lag.percentile_ms(95)) == (p50, p95)


def test_a_policy_is_a_revision_of_the_one_before() -> None:
    """It holds from the day of the last acknowledgement: no moment is without one, and the last measured stands."""
    noon_ms = NOON // 1000
    before = ChannelLag(channel="web", acks=9, waiting=0, lags_ms=(80_001,), last_ack_ms=noon_ms)
    after = ChannelLag(channel="web", acks=9, waiting=0, lags_ms=(2_500,), last_ack_ms=noon_ms + 1)
    first, second = policy(before, noon_ms // 1000 + 5), policy(after, noon_ms // 1000 + 99)
    assert first.event_time == noon_ms // DAY_MS * DAY_MS * 1000
    assert (first.policy, second.policy) == (PolicyFields(lag_s=81), PolicyFields(lag_s=3))
    assert Folded([first, first, second, first]).verdicts == ["folded", "duplicate", "folded", "superseded"]


# On a broker ----------------------------------------------------------------------------------------------


@pytest.fixture
def sender(broker_settings: Settings, brokers: str, monkeypatch: pytest.MonkeyPatch) -> Sender:
    ensure_topics(brokers, broker_settings, (AVAILABILITY, LEDGER))
    for name, value in broker_settings.environ().items():
        monkeypatch.setenv(name, value)
    return Sender(broker_settings)


@pytest.fixture
def ledger(sender: Sender, broker_settings: Settings) -> Iterator[CommittedReader]:
    assert broker_settings.brokers is not None
    reader = CommittedReader(broker_settings.brokers, topic_name(broker_settings, LEDGER))
    yield reader
    reader.close()


def ack(channel: str, sku: str, version: int) -> ChannelAck:
    return ChannelAck(
        source=channel, document=Document("ack", f"{sku} {version}", 1), event_time=NOON, sku=sku, channel=channel,
        version=version,
    )  # fmt: skip


def run(*words: str) -> list[str]:
    found = RUNNER.invoke(app, ["lags", *words])
    assert found.exit_code == 0, found.output
    return found.stdout.splitlines()


def test_the_command_measures_what_lies_on_the_broker(
    sender: Sender, broker_settings: Settings, ledger: CommittedReader
) -> None:
    told = [answer("web", "A", 5, 1), answer("web", "A", 4, 2), answer("web", "A", 3, 3), answer("all", "A", 5, 1)]
    sender.effects(AVAILABILITY, 0, [*told, answer("mall", "A", 5, 1)])
    sender.send(AVAILABILITY, 0, [("web|A", b"garbage")], commit=False)
    publish([ack("web", "A", 2), ack("mall", "A", 1)], broker_settings)
    mall, web = (json.loads(text) for text in run("--json"))
    assert (web["channel"], web["acks"], web["answers"], web["never_acknowledged"]) == ("web", 1, 2, 1)
    assert (mall["acks"], mall["answers"], mall["never_acknowledged"]) == (1, 1, 0)
    for lag in (mall, web):
        assert 0 <= lag["p50_s"] <= lag["p95_s"] <= lag["max_s"] < 60
        assert lag["p95_s"] <= lag["lag_s"] < lag["p95_s"] + 1
    head, row, silent = run("--channel", "web")[0], run("--channel", "web")[1], run()[-1]
    assert head.split()[:2] == ["channel", "acks"]
    assert row.split()[:2] == ["web", "1"]
    assert silent == "told and never heard: all"

    planned = [event for text in run("--dry-run") for event in parse_line(json.loads(text))]
    assert policies(ledger) == []
    run("--publish", "--since", "1h")
    published = policies(ledger)
    assert [(p.channel, p.policy, p.document) for p in published] == [
        (p.channel, p.policy, p.document) for p in planned if isinstance(p, PolicyChanged)
    ]
    assert [p.channel for p in published] == ["mall", "web"]


def policies(ledger: CommittedReader) -> list[PolicyChanged]:
    """What the ledger's first partition holds of policies."""
    ledger.assign({0: -2})
    found: list[PolicyChanged] = []
    while not ledger.caught_up:
        for message in ledger.take(100, 0.2):
            value = message.value()
            event = codec.decode(value) if isinstance(value, bytes) else None
            found += [event] if isinstance(event, PolicyChanged) else []
    return found


def test_the_command_says_what_to_try(sender: Sender, broker_settings: Settings) -> None:
    nothing = RUNNER.invoke(app, ["lags"])
    assert nothing.exit_code == 1
    assert "Look further back with: atp lags --since 30d" in nothing.output
    sender.effects(AVAILABILITY, 0, [answer("web", "A", 5, 1)])
    publish([ack("web", "A", 1)], broker_settings)
    other = RUNNER.invoke(app, ["lags", "--channel", "mall"])
    assert other.exit_code == 1
    assert "there are: web. Try: atp lags --channel web" in other.output
    wrong = RUNNER.invoke(app, ["lags", "--since", "soon"])
    assert wrong.exit_code == 2
    assert "Try: atp lags --since 24h" in " ".join(wrong.output.replace("│", " ").split())
