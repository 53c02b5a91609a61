"""Advice: what to order, to move between locations, to count, or to offer instead.

Advisory: nothing follows but the advice itself.

One advice at most stands per (kind, SKU, location); its id is of these and of the day it was proposed on, so that
at most one a day is told. It is proposed, approved or rejected, carried out, or lapses. Worked out at ticks, for
SKUs that changed and whose policies ask for it. Source: docs/domain.md, section "Advice".
"""

from collections.abc import Mapping
from dataclasses import replace
from hashlib import sha256

from atp.book import POLICIES_KEY, Advice, Policies, Summary, Timer, advice_key, due_second, reminder_key, summary_key
from atp.claims import day_text
from atp.draft import Draft
from atp.effects import AdviceChanged
from atp.events import DAY, SECOND, AdviceDecided
from atp.policy import Book

REPLENISH, TRANSFER, COUNT, SUBSTITUTE = "replenish", "transfer", "count", "substitute"
PROPOSED, APPROVED, REJECTED, EXPIRED, EXECUTED = "proposed", "approved", "rejected", "expired", "executed"
STANDING = (PROPOSED, APPROVED)
LASTS = 7 * DAY
"""After so long without having been carried out, an advice lapses."""

ACTIONS = {
    REPLENISH: "order these units for the location",
    TRANSFER: "move these units from the location that has them to spare",
    COUNT: "count this SKU at the location",
    SUBSTITUTE: "offer one of the substitutes instead, the first that there is",
}


def propose(
    draft: Draft,
    sku: str,
    kind: str,
    location: str,
    quantity: int,
    evidence: Mapping[str, str],
    now: int,
    *,
    from_location: str = "",
    substitutes: tuple[str, ...] = (),
) -> bool:
    """Say what should be done at a location; return whether that is news.

    What stands with the same figures is left alone; other figures restate it on the day of its proposal, and
    take its place on a later one. What was rejected or carried out today is not proposed again today.
    """
    key = advice_key(sku, kind, location)
    row = draft.get(key)
    known = row if isinstance(row, Advice) else None
    day = now // DAY
    if known is not None and known.day == day and known.status not in STANDING:
        return False
    if known is not None and known.status in STANDING:
        figures = (known.quantity, known.from_location, known.substitutes)
        if known.status == APPROVED or figures == (quantity, from_location, substitutes):
            return False
        if known.day != day:
            _end(draft, sku, kind, location, known, EXPIRED, now, "a later proposal")
            known = None
    limit = _book(draft, sku).value("approve_above", location, "")
    # What customers get instead is for somebody to say, however few units a policy lets pass.
    approved = limit is not None and quantity <= limit and kind != SUBSTITUTE
    restated = known is not None and known.status in STANDING
    advice = Advice(
        id=_id(kind, sku, location, day),
        day=day,
        status=APPROVED if approved else PROPOSED,
        quantity=quantity,
        from_location=from_location,
        proposed_at=known.proposed_at if known is not None and restated else now,
        expires_at=now + LASTS,
        decided_by="policy" if approved else "",
        evidence=dict(evidence),
        substitutes=substitutes,
    )
    _put(draft, sku, kind, location, known, advice)
    _tell(draft, sku, kind, location, advice, now)
    return True


def withdraw(draft: Draft, sku: str, kind: str, location: str, now: int) -> None:
    """Say that an advice is needed no more."""
    known = draft.get(advice_key(sku, kind, location))
    if isinstance(known, Advice) and known.status in STANDING:
        _end(draft, sku, kind, location, known, EXPIRED, now, "no longer needed")


def carried_out(draft: Draft, sku: str, kind: str, location: str, now: int) -> None:
    """Say that a fact did what was advised: from wherever the goods came, and however many."""
    known = draft.get(advice_key(sku, kind, location))
    if isinstance(known, Advice) and known.status in STANDING:
        _end(draft, sku, kind, location, known, EXECUTED, now, draft.cause.key)


def decide(draft: Draft, event: AdviceDecided) -> bool:
    """Take in what somebody decided; say whether the advice stood."""
    prefix = f"w|{event.sku}|"
    for key, row in list(draft.scan(prefix)):
        if not (isinstance(row, Advice) and row.id == event.advice and row.status in STANDING):
            continue
        kind, location = key[len(prefix) :].split("|", 1)
        at = max(row.proposed_at, event.event_time if draft.tick is None else min(event.event_time, draft.tick))
        by = event.actor or event.source
        if event.answer != APPROVED:
            _end(draft, sku=event.sku, kind=kind, location=location, known=row, status=event.answer, at=at, by=by)
            return True
        quantity = event.quantity or row.quantity
        if row.status == APPROVED and (row.decided_by, row.quantity) == (by, quantity):
            return False
        approved = replace(row, status=APPROVED, quantity=quantity, decided_by=by, expires_at=at + LASTS)
        _put(draft, event.sku, kind, location, row, approved)
        _tell(draft, event.sku, kind, location, approved, at)
        return True
    return False


def lapse(draft: Draft, sku: str, kind: str, location: str, tick: int) -> None:
    """Let an advice whose time has come lapse, and forget one that was answered."""
    known = draft.get(advice_key(sku, kind, location))
    if not isinstance(known, Advice) or known.expires_at > tick:
        return
    if known.status in STANDING:
        _tell(draft, sku, kind, location, replace(known, status=EXPIRED, decided_by="nobody"), known.expires_at)
    draft.put(advice_key(sku, kind, location), None)


def remind(draft: Draft, second: int, sku: str) -> None:
    """Have a SKU's advice worked out at a tick."""
    draft.put(reminder_key(second, sku, "", ""), Timer())


def reminded(draft: Draft, tick: int) -> list[str]:
    """Let lapse what is due; return the SKUs whose advice is to be worked out."""
    due = []
    for key, _ in draft.scan("m|"):
        second, sku, kind, location = key.split("|", 4)[1:]
        if int(second) * SECOND > tick:
            break
        due.append((key, sku, kind, location))
    skus = []
    for key, sku, kind, location in due:
        draft.put(key, None)
        if kind:
            lapse(draft, sku, kind, location, tick)
        else:
            skus.append(sku)
    return skus


def _book(draft: Draft, sku: str) -> Book:
    summary, wide = draft.get(summary_key(sku)), draft.get(POLICIES_KEY)
    own = summary if isinstance(summary, Summary) else None
    now = draft.tick if draft.tick is not None else own.clock if own else 0
    return Book(own, wide if isinstance(wide, Policies) else None, now)


def _id(kind: str, sku: str, location: str, day: int) -> str:
    return sha256(f"{kind}|{sku}|{location}|{day}".encode("utf-8", "surrogatepass")).hexdigest()[:32]


def _end(draft: Draft, sku: str, kind: str, location: str, known: Advice, status: str, at: int, by: str) -> None:
    """Tell the end of an advice. It is remembered until its day is over, so as not to be proposed anew."""
    ended = replace(known, status=status, decided_by=by, expires_at=(at // DAY + 1) * DAY, day=at // DAY)
    _put(draft, sku, kind, location, known, None if status == EXPIRED else ended)
    _tell(draft, sku, kind, location, replace(known, status=status, decided_by=by), at)


def _put(draft: Draft, sku: str, kind: str, location: str, before: Advice | None, after: Advice | None) -> None:
    was, now = before.expires_at if before else 0, after.expires_at if after else 0
    if was != now:
        if was:
            draft.put(reminder_key(due_second(was), sku, kind, location), None)
        if now:
            draft.put(reminder_key(due_second(now), sku, kind, location), Timer())
    draft.put(advice_key(sku, kind, location), after)


def _tell(draft: Draft, sku: str, kind: str, location: str, advice: Advice, at: int) -> None:
    stands = advice.status in STANDING
    draft.effects.append(
        AdviceChanged(
            id=advice.id,
            kind=kind,
            sku=sku,
            location=location,
            from_location=advice.from_location,
            day=day_text(advice.proposed_at // DAY),
            status=advice.status,
            quantity=advice.quantity,
            proposed_at=advice.proposed_at,
            at=at,
            expires_at=advice.expires_at if stands else None,
            decided_by=advice.decided_by,
            evidence=advice.evidence,
            action=ACTIONS[kind] if stands else "",
            cause=draft.cause,
            substitutes=advice.substitutes,
        )
    )
