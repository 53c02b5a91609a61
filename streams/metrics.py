"""Every metric, declared once, with its unit and why it is there. No SKU is ever a label: their number has no bound."""

import time

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest

from streams.batch import Sealed

AGES_S = (0.01, 0.025, 0.05, 0.1, 0.2, 0.5, 1, 2, 5, 10, 30, 60, 300, 3600)
COMMITS_S = (0.005, 0.01, 0.02, 0.04, 0.06, 0.1, 0.2, 0.5, 1, 5, 60)
BATCHES = (1, 10, 50, 100, 500, 1000, 2000, 5000)


class Metrics:
    """The metrics of one worker."""

    def __init__(self) -> None:
        registry = self.registry = CollectorRegistry()
        self.events = Counter(
            "atp_events", "Records folded and committed, by type and verdict.", ["type", "verdict"], registry=registry
        )
        self.dead_letters = Counter("atp_dead_letters", "Records refused, by cause.", ["cause"], registry=registry)
        self.age = Histogram(
            "atp_event_age_seconds",
            "From an event's arrival at the broker to its effects being readable: what a shopper may see stale.",
            buckets=AGES_S,
            registry=registry,
        )
        self.lag_records = Gauge(
            "atp_lag_records",
            "Records of a topology's partition that are not committed yet.",
            ["topology", "partition"],
            registry=registry,
        )
        self.lag_seconds = Gauge(
            "atp_lag_seconds",
            "Age of the newest committed event while more wait; 0 once the end is reached.",
            ["topology", "partition"],
            registry=registry,
        )
        self.batch_records = Histogram(
            "atp_batch_records",
            "Records of a transaction: few mean idle, the most mean saturated.",
            buckets=BATCHES,
            registry=registry,
        )
        self.commit = Histogram(
            "atp_commit_seconds",
            "Time a transaction takes, the local store included.",
            buckets=COMMITS_S,
            registry=registry,
        )
        self.restored = Counter("atp_restored_rows", "Rows read back from changelogs.", registry=registry)
        self.partitions = Gauge(
            "atp_partitions", "Partitions that this worker works on, by topology.", ["topology"], registry=registry
        )

    def committed(self, sealed: Sealed, seconds: float) -> None:
        """Count a batch that was committed in `seconds`."""
        for (kind, verdict), count in sealed.counts.items():
            self.events.labels(kind, verdict).inc(count)
        for cause, count in sealed.causes.items():
            self.dead_letters.labels(cause).inc(count)
        moment = time.time()
        for timestamp_ms, count in sealed.ages:
            age = max(0.0, moment - timestamp_ms / 1000)
            for _ in range(count):
                self.age.observe(age)
        self.batch_records.observe(sealed.records)
        self.commit.observe(seconds)

    def text(self) -> bytes:
        """Return them in Prometheus' text format."""
        return generate_latest(self.registry)
