"""What a SKU's locations need, and who could give it: the figures behind advice.

A location is short where what it has and what is coming, less what is promised, is at most what it sells until a
replenishment is there, plus its safety stock. Others give first what is beyond their own high water; the rest is to
be ordered. Where a SKU cannot be served at all, those that may be offered instead are named.
Source: docs/domain.md, section "Advice".
"""

from dataclasses import replace

from atp.advice import REPLENISH, SUBSTITUTE, TRANSFER, propose, remind, withdraw
from atp.availability import available
from atp.book import (
    POLICIES_KEY,
    Bills,
    Evidence,
    Masters,
    Policies,
    PolicyEntry,
    Position,
    Summary,
    Supply,
    bills_key,
    due_second,
    evidence_key,
    masters_key,
    position_key,
    risk_key,
    summary_key,
    supply_key,
)
from atp.catalogue import CUSTOMER
from atp.draft import Draft
from atp.events import DAY, HOUR, SECOND, immutable
from atp.outlook import line
from atp.policy import Book
from atp.risk import OVERSOLD, PROJECTED

ASKING = 1
"""A Summary's `advise_at` where policies ask for advice and no reminder was set yet."""


@immutable
class Shelf:
    """One location of a SKU, as a planner sees it."""

    free: int
    """Available units beyond claims, safety stock included."""
    coming: int
    sold: int
    """Units sold in the last 24 hours."""
    safety: int
    lead: int | None
    """Days from ordering to shelf, where policies name them."""
    fill_to: int | None
    high_water: int | None
    moq: int
    pack: int

    @property
    def position(self) -> int:
        """What it has and will have, less what is promised."""
        return self.free + self.coming

    @property
    def need(self) -> int:
        """Units short of what it is filled up to, once it is at its reorder point."""
        if self.lead is None or self.fill_to is None or self.position > self.sold * self.lead + self.safety:
            return 0
        return max(0, self.fill_to - self.position)

    @property
    def spare(self) -> int:
        """Units beyond its own high water and safety stock, where policies let it give."""
        if self.high_water is None or self.need:
            return 0
        return max(0, self.free - self.sold * self.high_water - self.safety)

    @property
    def runs_out_first(self) -> bool:
        """Whether what it has will be sold before an order would come."""
        return self.lead is not None and self.free < self.sold * self.lead

    def order(self, need: int) -> int:
        """Units to order: at least the least, in whole packs."""
        return -(-max(need, self.moq) // self.pack) * self.pack


def asks(entries: tuple[PolicyEntry, ...]) -> bool:
    """Say whether any of some policies asks for advice."""
    return any(e.policy.order_up_to is not None or e.policy.high_water_days is not None for e in entries)


def advise_later(draft: Draft, sku: str, summary: Summary, now: int) -> Summary:
    """Have the advice of a SKU that changed worked out at the next full hour, unless that is set already."""
    if not summary.advise_at or summary.advise_at * SECOND > now:
        return summary
    second = (max(now, draft.tick or 0) // HOUR + 1) * HOUR // SECOND
    remind(draft, second, sku)
    return replace(summary, advise_at=second)


def plan_later(draft: Draft, sku: str, effective: int) -> None:
    """Have the advice of a SKU worked out after its master data changed, and again once that has come into force."""
    row = draft.get(summary_key(sku))
    now = draft.tick or 0
    if isinstance(row, Summary):
        asking = replace(row, advise_at=asked(draft, sku, row))
        draft.put(summary_key(sku), advise_later(draft, sku, asking, max(row.clock, now)))
    if effective > now:
        remind(draft, due_second(effective), sku)


def substitutes_of(row: object, time: int | None) -> tuple[str, ...]:
    """The SKUs that may be offered instead, by a SKU's Masters row at a time; with no tick yet, as last stated."""
    named: tuple[str, ...] = ()
    for one in row.entries if isinstance(row, Masters) else ():
        if one.substitutes is not None and (time is None or one.effective <= time):
            named = one.substitutes
    return named


def asked(draft: Draft, sku: str, summary: Summary) -> int:
    """What `advise_at` is to be after policies or master data changed, or for a SKU that is new."""
    wide, masters = draft.get(POLICIES_KEY), draft.get(masters_key(sku, ""))
    wanted = (
        asks(summary.policies)
        or (isinstance(wide, Policies) and asks(wide.entries))
        or (isinstance(masters, Masters) and any(one.substitutes is not None for one in masters.entries))
    )
    return (summary.advise_at or ASKING) if wanted else 0


def plan(draft: Draft, sku: str, tick: int) -> None:
    """Work out what the locations of a SKU need, and say what is news."""
    row, wide = draft.get(summary_key(sku)), draft.get(POLICIES_KEY)
    if not isinstance(row, Summary):
        return
    shelves = _shelves(draft, sku, Book(row, wide if isinstance(wide, Policies) else None, tick), tick)
    spare = {place: shelf.spare for place, shelf in shelves.items() if shelf.spare}
    wants = sorted(
        (place for place, shelf in shelves.items() if shelf.need),
        key=lambda place: (shelves[place].free / (shelves[place].sold or 1), place),
    )
    stands = False
    moved: set[str] = set()
    ordered: set[str] = set()
    for place in wants:
        shelf = shelves[place]
        need = shelf.need
        told = _told(shelf)
        donor = min(spare, key=lambda other: (-spare[other], other), default="")
        if donor and spare[donor] and shelf.runs_out_first:
            units = min(need, spare[donor])
            spare[donor] -= units
            need -= units
            gives = {f"donor_{name}": figure for name, figure in _told(shelves[donor]).items()}
            propose(draft, sku, TRANSFER, place, units, {**told, **gives}, tick, from_location=donor)
            moved.add(place)
        if need:
            propose(draft, sku, REPLENISH, place, shelf.order(need), told, tick)
            ordered.add(place)
        stands = True
    for place in shelves:
        if place not in moved:
            withdraw(draft, sku, TRANSFER, place, tick)
        if place not in ordered:
            withdraw(draft, sku, REPLENISH, place, tick)
    stands = _offer_instead(draft, sku, row, tick) or stands
    if stands:  # What was sold a day ago counts no more tomorrow.
        remind(draft, (tick // DAY + 1) * DAY // SECOND, sku)


def _offer_instead(draft: Draft, sku: str, summary: Summary, tick: int) -> bool:
    """Name the substitutes of a SKU that cannot be served; return whether that stands."""
    named = substitutes_of(draft.get(masters_key(sku, "")), tick)
    why = _unserved(draft, sku, summary) if named else {}
    if not why:
        withdraw(draft, sku, SUBSTITUTE, "", tick)
        return False
    propose(draft, sku, SUBSTITUTE, "", 0, why, tick, substitutes=named)
    return True


def _unserved(draft: Draft, sku: str, summary: Summary) -> dict[str, str]:
    """Why a SKU cannot be served: orders that are at risk, and channels that have nothing, now or on any day."""
    at_risk = [kind for kind in (OVERSOLD, PROJECTED) if any(True for _ in draft.scan(risk_key(sku, kind, "")))]
    out = [
        state.channel
        for state in summary.channels
        if state.version and not state.pool and not state.ring and all(units <= 0 for _, units in state.horizon)
    ]
    if isinstance(draft.get(bills_key(sku)), Bills):
        out = []  # What channels are told of a kit is not told here.
    why = {"orders_at_risk": ", ".join(at_risk), "out": ", ".join(out)}
    return {name: words for name, words in why.items() if words}


def _shelves(draft: Draft, sku: str, book: Book, tick: int) -> dict[str, Shelf]:
    coming: dict[str, int] = {}
    for _, supply in draft.scan(supply_key(sku, "")):
        if isinstance(supply, Supply) and (figures := line(supply)).open:
            coming[figures.location] = coming.get(figures.location, 0) + figures.open
    sold: dict[str, int] = {}
    for _, evidence in draft.scan(evidence_key(sku, "")):
        if isinstance(evidence, Evidence) and tick - DAY < evidence.event_time <= tick:
            for leg in evidence.legs:
                if leg.target == CUSTOMER and leg.source.startswith("sellable|"):
                    place = leg.source.partition("|")[2]
                    sold[place] = sold.get(place, 0) + leg.quantity
    found = {}
    prefix = position_key(sku, "")
    for key, row in draft.scan(prefix):
        if not isinstance(row, Position):
            continue
        place = key[len(prefix) :]
        found[place] = Shelf(
            free=available(row) - row.claims,
            coming=row.in_transit_in + coming.get(place, 0),
            sold=sold.get(place, 0),
            safety=row.safety_stock,
            lead=book.value("lead_time_days", place, ""),
            fill_to=book.value("order_up_to", place, ""),
            high_water=book.value("high_water_days", place, ""),
            moq=book.value("moq", place, "") or 0,
            pack=max(1, book.value("pack", place, "") or 1),
        )
    return found


def _told(shelf: Shelf) -> dict[str, str]:
    figures = {
        "free": shelf.free,
        "coming": shelf.coming,
        "sold_in_a_day": shelf.sold,
        "safety_stock": shelf.safety,
        "lead_time_days": shelf.lead,
        "order_up_to": shelf.fill_to,
        "high_water_days": shelf.high_water,
    }
    return {name: str(figure) for name, figure in figures.items() if figure is not None}
