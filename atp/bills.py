"""What inventory tells kits: bills of materials, and what there is of every SKU that a bill names.

A kit and its components lie in different partitions. So a bill goes to all of them, and each partition remembers for
which kits a SKU of its own is a part. Whenever the answers for such a SKU change, every one of these kits is told
what there is: absolute, under a version. A kit's own SKU is a part of itself: what is assembled of it, and the bill in
force. The channels' answers for a kit are given by the kits topology alone; inventory gives none.

All of this is added to what a fold came to, so that a SKU that is no part of a kit pays one look at its Summary.
Source: docs/domain.md, Kits.
"""

from dataclasses import replace

from atp.answering import reassess
from atp.availability import exposed, terms_of
from atp.book import (
    CLOCK_KEY,
    Bill,
    Bills,
    Clock,
    Part,
    Position,
    Row,
    Rows,
    Summary,
    Timer,
    bill_timer_key,
    bills_key,
    due_second,
    key_of,
    part_key,
    position_key,
    summary_key,
    told_key,
)
from atp.draft import Draft
from atp.effects import AvailabilityChanged, Cause, ChannelExposure, Effect, KitComponentChanged
from atp.events import SECOND, ChannelAck, ChannelReported, Event, MasterChanged, SnapshotReceived, TimeTicked
from atp.outcome import NOTHING_YET, Frame, Outcome, refuse, resumed

NO_BILLS = Bills(said=(), in_force={})
NOT_TOLD = Part(kits=(), nodes={}, channels=(), version=0)


def tell_kits(rows: Rows, event: Event, frame: Frame, outcome: Outcome) -> Outcome:
    """Add to what an event came to what kits have to hear of it."""
    if isinstance(event, TimeTicked) and outcome.verdict == "folded":
        outcome = _mature(rows, event, frame, outcome)
    parts = [key for key, row in outcome.changes.items() if key[0] == "s" and _is_part(rows, key, row)]
    if not parts:
        return outcome
    draft = _draft(rows, event, frame, outcome)
    for key in parts:
        _tell(draft, key[2:])
    return replace(outcome, changes=draft.changes, effects=tuple(draft.effects))


def fold_bill(rows: Rows, event: MasterChanged, frame: Frame) -> Outcome:
    """Fold this partition's copy of a bill: for the kit where it lies here, for those components that do."""
    nothing = Outcome(verdict="folded", changes={}, effects=())
    draft = _draft(rows, event, frame, nothing)
    verdict = nothing.verdict
    if frame.owns(event.kit):
        bill = Bill(
            key=draft.cause.key, rev=event.rev, effective=event.event_time, components=dict(event.components or {})
        )
        found = rows.get(bills_key(event.kit))
        bills = found if isinstance(found, Bills) else NO_BILLS
        known = next((one for one in bills.said if one.key == bill.key), None)
        if known == bill:
            return Outcome(verdict="duplicate", changes={}, effects=())
        if known is not None and known.rev == bill.rev:
            detail = f"{bill.key} is known in revision {bill.rev} with other components; the first stands"
            return refuse("conflict", detail)
        if known is not None and known.rev > bill.rev:
            verdict = "superseded"
        else:
            _restate(draft, event.kit, bills, bill)
    for component in event.components or ():
        if frame.owns(component):
            _join(draft, component, event.kit)
    return Outcome(verdict=verdict, changes=draft.changes, effects=tuple(draft.effects))


def is_of_a_kits_copy(rows: Rows, event: Event) -> bool:
    """Say whether a channel speaks of what it shows of a kit: of answers that were not given here."""
    named = isinstance(event, ChannelAck | ChannelReported) or (isinstance(event, SnapshotReceived) and event.channel)
    return bool(named) and isinstance(rows.get(bills_key(event.sku)), Bills)


# Bills ------------------------------------------------------------------------------------------------------


def _restate(draft: Draft, kit: str, bills: Bills, bill: Bill) -> None:
    """Put a bill among those that were said of the kit, and tell it where another one is in force now."""
    others = [one for one in bills.said if one.key != bill.key]
    said = tuple(sorted((*others, bill), key=lambda one: (one.effective, one.key)))
    if draft.tick is None or bill.effective > draft.tick:
        draft.put(bill_timer_key(due_second(bill.effective), kit), Timer())
    draft.put(bills_key(kit), Bills(said=said, in_force=_in_force(said, draft.tick)))
    if draft.get(summary_key(kit)) is None:
        # The channels that policies declare are those of a kit too, of which nothing may ever be assembled.
        draft.put(summary_key(kit), reassess(draft, kit, NOTHING_YET, draft.tick or bill.effective))
    part = draft.get(part_key(kit))
    mine = part if isinstance(part, Part) else NOT_TOLD
    if kit not in mine.kits:
        draft.put(part_key(kit), replace(mine, kits=tuple(sorted((*mine.kits, kit)))))
        for key, _ in list(draft.scan(told_key(kit, ""))):
            draft.put(key, None)  # What was told, or held back, is not to be told again from here.
    _tell(draft, kit, anew=True)


def _in_force(said: tuple[Bill, ...], tick: int | None) -> dict[str, int]:
    """The components by the latest bill whose time has come; with no tick yet, by the latest."""
    components: dict[str, int] = {}
    for bill in said:
        if tick is None or bill.effective <= tick:
            components = bill.components
    return components


def _mature(rows: Rows, event: TimeTicked, frame: Frame, outcome: Outcome) -> Outcome:
    """Put bills in force whose time has come; at the first tick, take back those whose time has not."""
    tick = event.event_time
    due: list[tuple[str, str]] = []
    if isinstance(rows.get(CLOCK_KEY), Clock):
        for key, _ in rows.scan(bill_timer_key(0, "")[:2]):
            _, second, kit = key.split("|", 2)
            if int(second) * SECOND > tick:
                break
            due.append((key, kit))
    else:
        due = [("", key[2:]) for key, _ in rows.scan(bills_key(""))]
    if not due:
        return outcome
    draft = _draft(rows, event, frame, outcome)
    for key, kit in due:
        if key:
            draft.put(key, None)
        bills = draft.get(bills_key(kit))
        if not isinstance(bills, Bills):
            continue
        components = _in_force(bills.said, tick)
        if components != bills.in_force:
            draft.put(bills_key(kit), replace(bills, in_force=components))
            _tell(draft, kit, anew=True)
    return replace(outcome, changes=draft.changes, effects=tuple(draft.effects))


# Parts ------------------------------------------------------------------------------------------------------


def _is_part(rows: Rows, key: str, row: Row | None) -> bool:
    before = rows.get(key)
    if isinstance(before, Summary):
        return before.part
    # The first event of a SKU: a bill may have named it before.
    return isinstance(row, Summary) and rows.get(part_key(key[2:])) is not None


def _join(draft: Draft, component: str, kit: str) -> None:
    """Remember that a kit wants to hear of a component, and let it hear."""
    row = draft.get(part_key(component))
    part = row if isinstance(row, Part) else NOT_TOLD
    if kit in part.kits:
        return
    draft.put(part_key(component), replace(part, kits=tuple(sorted((*part.kits, kit)))))
    if draft.get(summary_key(component)) is not None:
        _tell(draft, component, newcomer=kit)


def _tell(draft: Draft, sku: str, *, anew: bool = False, newcomer: str = "") -> None:
    """Tell kits what there is of a SKU: all of them if that has changed or `anew`, else the newcomer alone."""
    part, summary = draft.get(part_key(sku)), draft.get(summary_key(sku))
    if not isinstance(part, Part) or not isinstance(summary, Summary):
        return
    nodes = _nodes(draft, sku, part, summary)
    channels = tuple(
        ChannelExposure(
            channel=state.channel,
            atp=state.atp,
            version=state.version,
            locations=terms_of(state).locations,
            excluded=terms_of(state).excluded,
            cap=terms_of(state).cap,
            low_at=terms_of(state).low_at,
        )
        for state in summary.channels
    )
    if not summary.part:
        draft.put(summary_key(sku), replace(summary, part=True))
    if sku in part.kits:
        draft.effects = [one for one in draft.effects if not _is_channels_answer(one, sku)]
    changed = anew or nodes != part.nodes or channels != part.channels or not part.version
    hearers = part.kits if changed else (newcomer,) if newcomer else ()
    if not hearers:
        return
    part = replace(part, nodes=nodes, channels=channels, version=part.version + changed)
    draft.put(part_key(sku), part)
    for kit in hearers:
        bills = draft.get(bills_key(kit)) if kit == sku else None
        draft.effects.append(
            KitComponentChanged(
                kit=kit,
                sku=sku,
                epoch=draft.epoch,
                version=part.version,
                nodes=nodes,
                channels=channels,
                components=bills.in_force if isinstance(bills, Bills) else None,
                as_of=summary.clock,
                computed_at=draft.tick,
                cause=draft.cause,
            )
        )


def _nodes(draft: Draft, sku: str, part: Part, summary: Summary) -> dict[str, int]:
    """Units exposed by location: those that the event changed, and the rest as last told."""
    prefix = position_key(sku, "")
    if summary.part and part.version:
        nodes = dict(part.nodes)
        moved = [(key, row) for key, row in draft.changes.items() if key.startswith(prefix)]
    else:
        nodes = {}
        moved = list(draft.scan(prefix))
    for key, row in moved:
        units = exposed(row) if isinstance(row, Position) else 0
        if units:
            nodes[key[len(prefix) :]] = units
        else:
            nodes.pop(key[len(prefix) :], None)
    return nodes


def _is_channels_answer(effect: Effect, sku: str) -> bool:
    return isinstance(effect, AvailabilityChanged) and effect.sku == sku and effect.channel != ""


def _draft(rows: Rows, event: Event, frame: Frame, outcome: Outcome) -> Draft:
    return resumed(rows, frame, outcome, Cause(type=type(event).__name__, key=key_of(event)))
