"""The judge's reader of topics, while a broker that has just started looks for the leaders of its partitions."""

import pytest
from confluent_kafka import KafkaError, KafkaException

from oracle.topics import patiently

ELECTING = (KafkaError.FENCED_LEADER_EPOCH, KafkaError.UNKNOWN_LEADER_EPOCH, KafkaError.LEADER_NOT_AVAILABLE)


class Asked:
    """A question that brokers answer with these errors, one after the other, and then with 7."""

    def __init__(self, *errors: int) -> None:
        self.errors = list(errors)

    def __call__(self) -> int:
        if self.errors:
            raise KafkaException(KafkaError(self.errors.pop(0)))
        return 7


def test_an_election_is_waited_for() -> None:
    asked = Asked(*ELECTING)
    assert patiently(asked) == 7
    assert asked.errors == []


def test_patience_ends() -> None:
    with pytest.raises(KafkaException, match=r"[Ll]eader epoch"):
        patiently(Asked(*[KafkaError.FENCED_LEADER_EPOCH] * 1000), patience_s=0)


def test_what_does_not_pass_is_said_at_once() -> None:
    asked = Asked(KafkaError.TOPIC_AUTHORIZATION_FAILED, KafkaError.FENCED_LEADER_EPOCH)
    with pytest.raises(KafkaException):
        patiently(asked)
    assert asked.errors == [KafkaError.FENCED_LEADER_EPOCH]
