"""Settings: one frozen object, the only reader of the environment."""

import re
from pathlib import Path
from typing import Annotated, Literal

from pydantic import BeforeValidator, Field
from pydantic_settings import BaseSettings, SettingsConfigDict

from atp.events import DAY, HOUR, MINUTE, SECOND

UNITS = {"s": SECOND, "m": MINUTE, "h": HOUR, "d": DAY}


def duration(value: object) -> object:
    """Read `30d`, `12h`, `5m` or `90s` as microseconds; let a number through."""
    if isinstance(value, str) and (match := re.fullmatch(r"(\d+)\s*([smhd])", value.strip())):
        return int(match[1]) * UNITS[match[2]]
    if isinstance(value, str) and not value.isdigit():
        raise ValueError(f"a duration is a number and s, m, h or d, as in 7d or 12h, not {value!r}")
    return value


Duration = Annotated[int, BeforeValidator(duration), Field(gt=0)]


class Settings(BaseSettings):
    """Everything that an installation may set, from `ATP_...` variables of the environment."""

    model_config = SettingsConfigDict(env_prefix="ATP_", frozen=True, extra="ignore")

    brokers: str | None = None
    """Kafka's bootstrap servers; unset: the ones that `atp up` started."""
    home: Path = Path(".atp")
    """Where a local run keeps broker data, tables and outputs."""
    app: str = "atp"
    """Prefix, after that of the topics, of consumer groups and transactional ids."""
    topic_prefix: str = ""
    """Prefix of every topic: one installation serves one tenant."""
    partitions: int = Field(default=12, ge=1)
    """Partitions of every topic; recorded, and refused if it changes."""
    window: Duration = 7 * DAY
    """`W`: how long an event is remembered, in event time."""
    ticks: Literal["wall", "off"] = "wall"
    """Who writes ticks: the worker from the wall clock, or whoever publishes."""
    commit_interval_ms: int = Field(default=50, ge=0)
    """A partition's task commits at most this often."""
    batch_max: int = Field(default=5_000, ge=1)
    """Records a transaction folds at most."""
    units: Path | None = None
    """A file of units at the edge, `{"sku or *": {"case": 12}}`; unset: base units only."""
    http_host: str = "127.0.0.1"
    """Where a worker serves queries and metrics."""
    http_port: int = Field(default=0, ge=0, le=65_535)
    """And on which port; 0: any that is free, so that several workers share a machine."""

    def group(self, topology: str) -> str:
        """Return the consumer group of a topology, with which its transactional ids begin.

        Two installations on the same brokers share none: who opens a partition fences whoever used its transactional
        id before, whatever topics that wrote to.
        """
        return f"{self.topic_prefix}{self.app}-{topology}"

    def environ(self) -> dict[str, str]:
        """Return these settings as environment variables, for a process that shall have the same."""
        named = self.model_dump(mode="json", exclude_none=True)
        return {f"ATP_{name.upper()}": str(value) for name, value in named.items()} | {
            "ATP_HOME": str(self.home.absolute())
        }
