"""What a marketplace knows: the last answer per key, by the consumer rule of the topic `availability`."""

from collections.abc import Iterator

from confluent_kafka import Message

from atp.effects import AvailabilityChanged
from atp.errors import PoisonError
from avro_schemas import codec
from sinks.committed import CommittedReader

TAKE = 10_000


class AvailabilityView:
    """The answers in force, by key; absolute, so that records may come twice or out of order."""

    def __init__(self) -> None:
        self._answers: dict[str, AvailabilityChanged] = {}

    def __len__(self) -> int:
        return len(self._answers)

    def __iter__(self) -> Iterator[AvailabilityChanged]:
        """Yield the answers by key."""
        return (self._answers[key] for key in sorted(self._answers))

    def get(self, key: str) -> AvailabilityChanged | None:
        """Return the answer for `channel|sku` or `node|sku|location`, None where there is none."""
        return self._answers.get(key)

    def apply(self, answer: AvailabilityChanged) -> bool:
        """Take an answer in and return True, or return False where one as new is known: never add, never go back."""
        known = self._answers.get(answer.key)
        if known is not None and (answer.epoch, answer.version) <= (known.epoch, known.version):
            return False
        self._answers[answer.key] = answer
        return True

    def delist(self, key: str) -> AvailabilityChanged | None:
        """Forget a key, as its tombstone asks, and return what was known of it."""
        return self._answers.pop(key, None)


class AvailabilityFeed:
    """The topic `availability`, from its beginning to its ends, then on. Close it after use."""

    def __init__(self, brokers: str, topic: str, channel: str, sku: str = "") -> None:
        """An empty `channel` means every channel and node, an empty `sku` every SKU. Raises: FatalError."""
        self.view = AvailabilityView()
        self.channels: set[str] = set()
        """The channels seen, of whatever SKU."""
        self._channel, self._sku = channel, sku
        self._reader = CommittedReader(brokers, topic)
        self._reader.from_beginning()

    def close(self) -> None:
        self._reader.close()

    def load(self) -> AvailabilityView:
        """Read to the ends and return what is known there. Raises: FatalError."""
        while not self._reader.caught_up:
            for _ in self.changes(0.2):
                pass
        return self.view

    def changes(self, wait_s: float) -> Iterator[AvailabilityChanged | str]:
        """Yield what changes the view: an answer, or the key of one that was delisted. Raises: FatalError."""
        for message in self._reader.take(TAKE, wait_s):
            changed = self._apply(message)
            if changed is not None:
                yield changed

    def _apply(self, message: Message) -> AvailabilityChanged | str | None:
        raw, value = message.key(), message.value()
        assert isinstance(raw, bytes)
        key = raw.decode()
        words = key.split("|")
        channel = words[0] if len(words) == 2 else ""
        if channel:
            self.channels.add(channel)
        if (self._channel and channel != self._channel) or (self._sku and words[1] != self._sku):
            return None
        if value is None:
            return key if self.view.delist(key) is not None else None
        assert isinstance(value, bytes)
        answer = codec.decode(value)
        if not isinstance(answer, AvailabilityChanged):
            raise PoisonError(
                "foreign", f"{message.topic()} partition {message.partition()} offset {message.offset()} is no answer"
            )
        return answer if self.view.apply(answer) else None
