"""Every topic, in one table: creation, documentation and access rights derive from it.

Names are data: renaming one is a migration. All topics have the ledger's partition count, and every output
record lies in the partition of the ledger that caused it, whatever its key; but those of a topic that `crosses`.
"""

from dataclasses import dataclass

DAY_MS = 86_400_000
HOUR_MS = 3_600_000


@dataclass(frozen=True, slots=True)
class Topic:
    """A topic and how long it keeps what."""

    name: str
    key: str
    holds: str
    retention_ms: int | None = None
    """None: for ever."""
    compacted: bool = False
    crosses: bool = False
    """Its records lie in the partition of the SKU that their key begins with, not in that of the ledger."""

    def config(self) -> dict[str, str]:
        """Topic configuration as Kafka spells it.

        `LogAppendTime` everywhere: event times of old data would let retention delete it at once.
        """
        common = {"message.timestamp.type": "LogAppendTime"}
        if self.compacted:
            return {
                **common,
                "cleanup.policy": "compact",
                "min.compaction.lag.ms": str(HOUR_MS),
                "delete.retention.ms": str(7 * DAY_MS),
                "segment.ms": str(DAY_MS),
            }
        return {**common, "cleanup.policy": "delete", "retention.ms": str(self.retention_ms or -1)}


LEDGER = Topic("stock-events", "SKU", "the ledger: one canonical line a record")
CHANGELOG = Topic("inventory-changelog", "row key", "rows and markers of the inventory topology", compacted=True)
EVIDENCE = Topic("inventory-evidence", "row key", "one row per event inside the window", compacted=True)
AVAILABILITY = Topic(
    "availability", "`channel|sku`, or `node|sku|location`", "absolute, versioned answers", compacted=True
)
DECISIONS = Topic("reservation-decisions", "request id", "answers to reservation requests")
RISKS = Topic("oversell-risk", "risk id", "risks as they open, change and close", 400 * DAY_MS)
VARIANCES = Topic("variances", "variance id", "expected against observed", 400 * DAY_MS)
EXCEPTIONS = Topic("exceptions", "exception id", "what somebody must look at", 400 * DAY_MS)
ADVICE = Topic("advice", "advice id", "what to order, move or count", 400 * DAY_MS)
ERP_LINES = Topic("erp-lines", "posting key", "balanced posting lines", 400 * DAY_MS)
SEQUENCES = Topic("intake-sequences", "source", "the last message of each source, and its gaps", compacted=True)
KIT_COMPONENTS = Topic(
    "kit-components", "`kit|sku`", "what there is of a kit's components, and of itself", compacted=True, crosses=True
)
KITS_CHANGELOG = Topic("kits-changelog", "row key", "rows and markers of the kits topology", compacted=True)
DEAD_LETTERS = Topic("dead-letters", "source coordinates", "raw records with cause and coordinates", 400 * DAY_MS)

INBOUND = tuple(
    Topic(name, "source", holds, 14 * DAY_MS)
    for name, holds in (
        ("pos-sales", "sales and voids of registers"),
        ("shipments", "packages, pick-ups and their reversals"),
        ("receipts", "goods receipts"),
        ("returns", "returns and their inspection"),
        ("adjustments", "adjustments and changes of status"),
        ("orders", "reservations, orders, picks"),
        ("transfers", "transfers between locations"),
        ("counts", "counts and snapshots"),
        ("supply", "purchase orders, confirmations, ASNs"),
        ("masters", "master data and policies"),
        ("channel-reports", "what channels acknowledge and report"),
        ("approvals", "answers of people to exceptions and advice"),
    )
)

ALL = (
    *INBOUND,
    SEQUENCES,
    LEDGER,
    CHANGELOG,
    EVIDENCE,
    AVAILABILITY,
    DECISIONS,
    RISKS,
    VARIANCES,
    EXCEPTIONS,
    ADVICE,
    ERP_LINES,
    KIT_COMPONENTS,
    KITS_CHANGELOG,
    DEAD_LETTERS,
)
