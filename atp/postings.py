"""ERP lines: each leg of a version in force is one balanced line; a replaced version is taken back line by line.

A posting key depends on the event, the leg and the version alone, so however lines are batched or resent, an
ERP that refuses a key it has seen counts each movement once. Source: docs/domain.md section 9.
"""

from hashlib import sha256

from atp.book import Evidence, Leg
from atp.catalogue import COUNT_VAR, document_type, words
from atp.draft import Draft
from atp.effects import ErpLeg, ErpLine
from atp.masters import business_date


def posting_key(event_key: str, version: str, time: int, part: str) -> str:
    """Name a line by the event, its version in force and its part.

    The version's time is in it for sources that use a document's number again once the window has forgotten
    it: that is another movement, which the ERP must not take for a resend.
    """
    return sha256(f"{event_key}\x1f{version}\x1f{time}\x1f{part}".encode("utf-8", "surrogatepass")).hexdigest()


def post(draft: Draft, sku: str, event_key: str, evidence: Evidence, reason: str) -> None:
    """Add the lines of a version that is put in force."""
    for number, leg in enumerate(evidence.legs):
        key = posting_key(event_key, evidence.rank, evidence.event_time, str(number))
        draft.effects.append(_line(draft, sku, event_key, evidence, leg, key, "", reason))


def take_back(draft: Draft, sku: str, event_key: str, evidence: Evidence) -> None:
    """Add the lines that reverse a version that is no longer in force, at that version's time."""
    for number, leg in enumerate(evidence.legs):
        original = posting_key(event_key, evidence.rank, evidence.event_time, str(number))
        key = posting_key(event_key, evidence.rank, evidence.event_time, f"{number} reversed")
        opposite = Leg(source=leg.target, target=leg.source, quantity=leg.quantity)
        draft.effects.append(
            _line(
                draft, sku, event_key, evidence, opposite, key, original, "reversal", document_type(evidence.type, leg)
            )
        )


def post_variance(
    draft: Draft, sku: str, location: str, bucket: str, event_key: str, rank: str, step: int, as_of: int, change: int
) -> None:
    """Add the line of a count's variance, or of what a restatement changes in it, dated as the count."""
    draft.effects.append(
        ErpLine(
            posting_key=posting_key(event_key, rank, as_of, f"variance {step}"),
            document_type="COUNT",
            sku=sku,
            location=location,
            business_date=business_date(draft, location, as_of),
            quantity=change,
            legs=(ErpLeg(account=COUNT_VAR, quantity=-change), ErpLeg(account=f"{bucket}|{location}", quantity=change)),
            reason="count",
            event_key=event_key,
            event_time=as_of,
            version=rank,
            reverses="",
        )
    )


def _line(
    draft: Draft,
    sku: str,
    event_key: str,
    evidence: Evidence,
    leg: Leg,
    key: str,
    reverses: str,
    reason: str,
    kind: str = "",
) -> ErpLine:
    source, target = words(leg.source), words(leg.target)
    # A bucket is two words, a transfer four, a boundary account one; each leg has a location on one side at least.
    on_hand = (leg.quantity if len(target) == 2 else 0) - (leg.quantity if len(source) == 2 else 0)
    place = source if len(source) == 2 else target if len(target) == 2 else max(source, target, key=len)
    return ErpLine(
        posting_key=key,
        document_type=kind or document_type(evidence.type, leg),
        sku=sku,
        location=place[-1],
        business_date=business_date(draft, place[-1], evidence.event_time),
        quantity=on_hand,
        legs=(
            ErpLeg(account=leg.source, quantity=-leg.quantity),
            ErpLeg(account=leg.target, quantity=leg.quantity),
        ),
        reason=reason,
        event_key=event_key,
        event_time=evidence.event_time,
        version=evidence.rank,
        reverses=reverses,
    )
