"""Poison records: kept as they came, with their cause and coordinates."""

from collections.abc import Sequence

from atp.effects import DeadLetter

RECORD_MAX = 1_000_000
"""Bytes of a record's value that are decoded at most: the largest message that Kafka takes by default."""
HEADERS_MAX = 64
"""Headers of a record that are accepted at most; ours carry none or one."""
KEPT_MAX = 500_000
"""Bytes of value (and a tenth of it of key and of headers) that a dead letter keeps, so that it fits a message."""

Headers = Sequence[tuple[str, str | bytes | None]]


def dead_letter(
    cause: str,
    detail: str,
    *,
    topic: str,
    partition: int,
    offset: int,
    timestamp_ms: int,
    key: bytes | None,
    value: bytes | None,
    headers: Headers | None = None,
    suggestion: str = "",
) -> DeadLetter:
    """Describe a refused record.

    What is too long for a message is cut, and the detail says so; the record itself stays in its topic.
    """
    kept: dict[str, bytes] = {}
    left = KEPT_MAX // 10
    for name, content in headers or ():
        raw = content.encode() if isinstance(content, str) else content or b""
        left -= len(name) + len(raw)
        if left < 0:
            detail += " (headers cut)"
            break
        kept[name] = raw
    if key is not None and len(key) > KEPT_MAX // 10:
        detail += f" (key of {len(key)} bytes cut)"
        key = key[: KEPT_MAX // 10]
    if value is not None and len(value) > KEPT_MAX:
        detail += f" (value of {len(value)} bytes cut)"
        value = value[:KEPT_MAX]
    return DeadLetter(
        cause=cause,
        detail=detail[: KEPT_MAX // 10],
        suggestion=suggestion,
        topic=topic,
        partition=partition,
        offset=offset,
        timestamp=timestamp_ms * 1000,
        key=key,
        value=value,
        headers=kept,
    )
