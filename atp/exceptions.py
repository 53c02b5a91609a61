"""Exceptions: what somebody must look at, from the begin of its cause until a fact resolves it.

A case waits while the grace of its kind runs, opens, is taken on by an event, escalates at ticks against a
deadline, and closes. One case at most is there per (kind, SKU, scope); its id is of its opening. The times of a
case are those of its cause and its deadlines, never those of the ticks that found them, so that they do not
depend on how often ticks come. Source: docs/domain.md, section "Exceptions".
"""

from dataclasses import replace
from hashlib import sha256
from typing import Literal

from atp.book import POLICIES_KEY, Case, Policies, Summary, Timer, case_key, deadline_key, due_second, summary_key
from atp.draft import Draft
from atp.duties import DATED, DUTIES, OTHER, Duty, duty
from atp.effects import ExceptionChanged
from atp.events import SECOND, ExceptionAcknowledged
from atp.policy import Book

SEVERITIES = ("LOW", "MEDIUM", "HIGH", "CRITICAL")
WAITING, OPEN, ACKNOWLEDGED = "waiting", "open", "acknowledged"
Transition = Literal["opened", "acknowledged", "escalated", "closed"]


def open_exception(
    draft: Draft, sku: str, kind: str, scope: str, evidence: dict[str, str], now: int, *, location: str = ""
) -> bool:
    """Say that the cause of a case stands since `now`, in event time; it opens once its grace has passed.

    `sku` is empty for what is of no SKU. `scope` tells cases of one kind and SKU apart, and may hold anything.
    Where the case is there already its evidence is brought up to date, and said with its next transition; while it
    waits, so is the time since when its cause stands. Nothing happens where policies, or the defaults, have this
    kind not watched. Returns whether the case was new.
    """
    if not DUTIES.get(kind, OTHER).watched and not _duty(draft, sku, kind, location).watched:
        return False
    key = case_key(sku, kind, scope)
    known = draft.get(key)
    before = known if isinstance(known, Case) else None
    if before is not None and before.state != WAITING and kind in DATED and draft.tick is not None and now > draft.tick:
        close_exception(draft, sku, kind, scope, draft.tick, evidence=evidence, done="another day was named")
        before = None
    if before is not None and (before.state != WAITING or before.since == now):
        if before.evidence != evidence:
            draft.put(key, replace(before, evidence=evidence))
        return False
    terms = _duty(draft, sku, kind, location)
    if not terms.watched:
        return False
    case = Case(
        id="",
        state=WAITING,
        severity=terms.severity,
        owner=terms.owner,
        since=now,
        opened_at=0,
        due=now + terms.grace,
        location=location,
        evidence=evidence,
    )
    # Without ticks no time passes: what has a grace, or a day to come, waits for the first of them.
    if (terms.grace or kind in DATED) and (draft.tick is None or case.due > draft.tick):
        _put(draft, sku, kind, scope, before, case)
    else:
        _put(draft, sku, kind, scope, before, _opened(draft, sku, kind, scope, case, terms))
    return before is None


def close_exception(
    draft: Draft, sku: str, kind: str, scope: str, now: int, *, evidence: dict[str, str] | None = None, done: str = ""
) -> bool:
    """Say that the cause is gone: the case closes, or is forgotten where it only waited. Returns whether one was there.

    `evidence` is what resolved it, added to what was known; `done` says it in words.
    """
    known = draft.get(case_key(sku, kind, scope))
    if not isinstance(known, Case):
        return False
    _put(draft, sku, kind, scope, known, None)
    if known.state != WAITING:
        last = replace(known, due=0, evidence={**known.evidence, **(evidence or {})})
        _tell(draft, sku, kind, scope, last, "closed", max(now, known.opened_at), done)
    return True


def acknowledge(draft: Draft, event: ExceptionAcknowledged) -> bool:
    """Give a case to who took it on, or close it where the event says what was done; say whether it was there.

    A case is named by its id, or by kind and scope within the SKU. One that waits is not known to anybody yet.
    """
    if event.kind:
        key = case_key(event.sku, event.kind, event.scope)
        row = draft.get(key)
        found = [(key, row)] if isinstance(row, Case) else []
    else:
        prefix = f"x|{event.sku}|" if event.sku else "x|"
        found = [(key, row) for key, row in draft.scan(prefix) if isinstance(row, Case) and row.id == event.exception]
    done = False
    for key, known in found:
        if known.state == WAITING or (event.exception and event.exception != known.id):
            continue
        sku, kind, scope = key.split("|", 3)[1:]
        # A time ahead of the partition's would put the deadline off: it is taken for now.
        at = event.event_time if draft.tick is None else min(event.event_time, draft.tick)
        at = max(at, known.opened_at)
        owner = event.owner or event.actor or known.owner
        if event.resolution is not None:
            by = {"resolved_by": event.actor or event.owner or event.source}
            close_exception(draft, sku, kind, scope, at, evidence=by, done=event.resolution)
            done = True
        # The latest stands, in whatever order they come; of two at once the one with the greater owner.
        elif (at, owner) > (known.taken_at, known.owner if known.taken_at else ""):
            deadline = _duty(draft, sku, kind, known.location).deadline
            due = _next(known.severity, at, deadline)
            taken = replace(known, state=ACKNOWLEDGED, owner=owner, due=due, taken_at=at)
            _put(draft, sku, kind, scope, known, taken)
            _tell(draft, sku, kind, scope, taken, "acknowledged", at)
            done = True
    return done


def deadlines(draft: Draft, tick: int) -> None:
    """Open what has waited long enough, and escalate what nobody resolved in time."""
    due = []
    for key, _ in draft.scan("q|"):
        second, sku, kind, scope = key.split("|", 4)[1:]
        if int(second) * SECOND > tick:
            break
        due.append((key, sku, kind, scope))
    for key, sku, kind, scope in due:
        draft.put(key, None)
        case = draft.get(case_key(sku, kind, scope))
        if not isinstance(case, Case):
            continue
        terms = _duty(draft, sku, kind, case.location)
        # A tick may come long after: each step is told at its own time.
        while case.due and case.due <= tick:
            if case.state == WAITING:
                case = _opened(draft, sku, kind, scope, case, terms)
                continue
            severity = SEVERITIES[SEVERITIES.index(case.severity) + 1]
            at = case.due
            case = replace(case, severity=severity, due=_next(severity, at, terms.deadline))
            _tell(draft, sku, kind, scope, case, "escalated", at)
        _put(draft, sku, kind, scope, None, case)


def _opened(draft: Draft, sku: str, kind: str, scope: str, waiting: Case, terms: Duty) -> Case:
    at = waiting.due
    case = replace(
        waiting,
        id=sha256(f"{kind}|{sku}|{scope}|{at}".encode("utf-8", "surrogatepass")).hexdigest()[:32],
        state=OPEN,
        opened_at=at,
        due=_next(terms.severity, at, terms.deadline),
    )
    _tell(draft, sku, kind, scope, case, "opened", at)
    return case


def _next(severity: str, at: int, deadline: int) -> int:
    """The time of the next escalation; 0 where there is none: nothing is above CRITICAL."""
    return at + deadline if deadline and severity != SEVERITIES[-1] else 0


def _put(draft: Draft, sku: str, kind: str, scope: str, before: Case | None, after: Case | None) -> None:
    """Write a case, and its deadline where ticks find it."""
    was, now = before.due if before else 0, after.due if after else 0
    if was and was != now:
        draft.put(deadline_key(due_second(was), sku, kind, scope), None)
    if now and was != now:
        draft.put(deadline_key(due_second(now), sku, kind, scope), Timer())
    draft.put(case_key(sku, kind, scope), after)


def _duty(draft: Draft, sku: str, kind: str, location: str) -> Duty:
    summary = draft.get(summary_key(sku)) if sku else None
    wide = draft.get(POLICIES_KEY)
    own = summary if isinstance(summary, Summary) else None
    policies = wide if isinstance(wide, Policies) else None
    if policies is None and (own is None or not own.policies):
        return duty((), kind, location)
    now = draft.tick if draft.tick is not None else own.clock if own else 0
    return duty(Book(own, policies, now).entries, kind, location)


def _tell(
    draft: Draft, sku: str, kind: str, scope: str, case: Case, transition: Transition, at: int, done: str = ""
) -> None:
    draft.effects.append(
        ExceptionChanged(
            id=case.id,
            kind=kind,
            sku=sku,
            location=case.location,
            scope=scope,
            severity=case.severity,
            transition=transition,
            owner=case.owner,
            opened_at=case.opened_at,
            at=at,
            deadline=case.due or None,
            evidence=case.evidence,
            action=done if transition == "closed" else duty((), kind, "").action,
            cause=draft.cause,
        )
    )
