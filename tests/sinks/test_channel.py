"""What a marketplace knows: the consumer rule, and the topic from its beginning to its ends and on."""

import json
from collections.abc import Iterator
from itertools import permutations

import pytest
from typer.testing import CliRunner

from cli.main import app
from sinks.channel import AvailabilityFeed, AvailabilityView
from streams.settings import Settings
from streams.topics_admin import ensure_topics, topic_name
from tests.sinks.rig import Sender, answer
from topologies.topics import AVAILABILITY

RUNNER = CliRunner()


def test_the_greatest_epoch_and_version_wins_in_any_order() -> None:
    versions = [answer("web", "A", 9, 1), answer("web", "A", 0, 2), answer("web", "A", 5, 1, epoch=1)]
    for order in permutations([*versions, versions[0]]):
        view = AvailabilityView()
        for one in order:
            view.apply(one)
        assert list(view) == [versions[2]]


def test_an_answer_is_applied_once() -> None:
    view = AvailabilityView()
    assert view.apply(answer("web", "A", 3, 2))
    assert not view.apply(answer("web", "A", 3, 2))
    assert not view.apply(answer("web", "A", 9, 1))
    assert view.apply(answer("web", "B", 1, 1))
    assert len(view) == 2
    assert view.delist("web|A") == answer("web", "A", 3, 2)
    assert view.get("web|A") is None


@pytest.fixture
def sender(broker_settings: Settings, brokers: str, monkeypatch: pytest.MonkeyPatch) -> Sender:
    ensure_topics(brokers, broker_settings, (AVAILABILITY,))
    for name, value in broker_settings.environ().items():
        monkeypatch.setenv(name, value)
    return Sender(broker_settings)


@pytest.fixture
def feed(broker_settings: Settings, sender: Sender) -> Iterator[AvailabilityFeed]:
    assert broker_settings.brokers is not None
    opened = AvailabilityFeed(broker_settings.brokers, topic_name(broker_settings, AVAILABILITY), "web")
    yield opened
    opened.close()


def test_a_feed_loads_and_then_follows(sender: Sender, feed: AvailabilityFeed) -> None:
    sender.effects(AVAILABILITY, 0, [answer("web", "A", 5, 1), answer("web", "A", 4, 2), answer("shop", "A", 1, 1)])
    sender.effects(AVAILABILITY, 1, [answer("web", "B", 7, 1)])
    sender.send(AVAILABILITY, 1, [("web|B", b"garbage")], commit=False)
    assert [(one.sku, one.atp) for one in feed.load()] == [("A", 4), ("B", 7)]
    assert feed.channels == {"web", "shop"}
    sender.effects(AVAILABILITY, 0, [answer("web", "A", 4, 2), answer("web", "A", 0, 3)])
    sender.send(AVAILABILITY, 1, [("web|B", None)])
    changed = []
    for _ in range(50):
        changed += list(feed.changes(0.2))
        if len(changed) == 2:
            break
    assert sorted(str(one if isinstance(one, str) else one.version) for one in changed) == ["3", "web|B"]
    assert [(one.sku, one.atp) for one in feed.view] == [("A", 0)]


def test_the_command_prints_what_the_channel_may_promise(sender: Sender) -> None:
    sender.effects(AVAILABILITY, 0, [answer("web", "A", 5, 1), answer("web", "B", 0, 1)])
    found = RUNNER.invoke(app, ["availability", "--channel", "web", "--json"])
    rows = [json.loads(text) for text in found.stdout.splitlines()]
    assert [(row["channel"], row["sku"], row["atp"], row["version"]) for row in rows] == [
        ("web", "A", 5, 1),
        ("web", "B", 0, 1),
    ]
    assert rows[0]["as_of"] == "2026-11-20T12:00:00Z"
    found = RUNNER.invoke(app, ["availability", "--channel", "web", "--sku", "B"])
    assert found.exit_code == 0
    assert "OUT" in found.stdout
    assert "IN_STOCK" not in found.stdout


def test_the_command_says_what_to_do_about_an_unknown_name(sender: Sender) -> None:
    nothing = RUNNER.invoke(app, ["availability", "--channel", "web"])
    assert (nothing.exit_code, "atp worker" in nothing.stderr) == (1, True)
    sender.effects(AVAILABILITY, 0, [answer("web", "A", 5, 1)])
    channel = RUNNER.invoke(app, ["availability", "--channel", "wbe"])
    assert (channel.exit_code, "--channel web" in channel.stderr) == (1, True)
    sku = RUNNER.invoke(app, ["availability", "--channel", "web", "--sku", "Z"])
    assert (sku.exit_code, "no SKU Z" in sku.stderr) == (1, True)
