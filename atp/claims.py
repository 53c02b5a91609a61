"""Claims: what is promised of a SKU, line by line of its orders.

A line is a tally of what the versions in force of its events say. Nothing is stored that can be derived: what is open,
where it is placed, whether it is firm or has expired. So the order in which reserve, cancel, ship and expire are told
does not matter. Source: docs/domain.md section "Claims".

| word of a tally                                 | units                                    |
|-------------------------------------------------|------------------------------------------|
| `take|location|state|expires|need|channel|time` | taken (`expires` in seconds, may be empty) |
| `release`                                       | given back                               |
| `cancel`, `confirm`                             | how often                                |
| `expire|time`                                   | how often another system let it run out then |
| `alloc|location`                                | given to a location, less what was moved away |
| `failed|location`                               | not found there                          |
| `picked|location|time`                          | picked                                   |
| `out|location|channel|time`                     | handed over                              |
| `back|location|time`                            | returned: no figure of the line depends on it |
"""

from collections.abc import Mapping, Sequence
from datetime import UTC, date, datetime
from functools import lru_cache

from atp import events as e
from atp.book import Claim, Mark, claim_key, due_second, line_of, supply_key, transfer_key
from atp.events import DAY, SECOND, Fact, Ref, immutable

EPOCH_ORDINAL = date(1970, 1, 1).toordinal()

Tally = Mapping[str, int]


@immutable
class Placed:
    """Open units of a line at a location."""

    location: str
    units: int
    how: str
    """reserved_soft, reserved_firm or allocated."""


@immutable
class Standing:
    """All figures of a line that follow from its tally."""

    requested: int
    released: int
    consumed: int
    open: int
    taken: int
    """Units that the line drew, handed over or still held."""
    firm: bool
    cancelled: bool
    expired: bool
    expires: int | None
    """Second from which it counts as expired while it is soft; None where it never does."""
    need: int | None
    """The day that it is due, since 1970."""
    due: bool
    """Its open units count now; else on their day."""
    channel: str
    began: int
    """Event time of its first take, or of its first hand-over where nothing was taken."""
    placed: tuple[Placed, ...]
    pending: int
    """Open units without a location."""


NOTHING = Standing(
    requested=0, released=0, consumed=0, open=0, taken=0, firm=False, cancelled=False, expired=False, expires=None,
    need=None, due=True, channel="", began=0, placed=(), pending=0,
)  # fmt: skip


FIRST_DAY, LAST_DAY = date(2000, 1, 1).toordinal(), date(2099, 12, 31).toordinal()
"""A day beyond them stands for `long ago` or `never`: it is taken for the nearest that has a time of ours."""
DATE_ONLY = len("2026-11-20")
_TRANSFER = "transfer:"


@lru_cache(maxsize=10_000)
def day_number(day: str) -> int:
    """The day since 1970 of YYYY-MM-DD; of a date with a time the day in UTC."""
    if len(day) == DATE_ONLY:
        ordinal = date.fromisoformat(day).toordinal()
    else:
        moment = datetime.fromisoformat(day)
        ordinal = moment.toordinal()
        if moment.tzinfo is not None and FIRST_DAY <= ordinal <= LAST_DAY:
            ordinal = moment.astimezone(UTC).toordinal()
    return min(max(ordinal, FIRST_DAY), LAST_DAY) - EPOCH_ORDINAL


def day_text(day: int) -> str:
    """YYYY-MM-DD of a day since 1970."""
    return date.fromordinal(EPOCH_ORDINAL + day).isoformat()


def today_of(tick: int | None) -> int | None:
    """The day in UTC of the last tick, since 1970."""
    return None if tick is None else tick // DAY


def standing(claim: Claim | None, tick: int | None) -> Standing:
    """Derive the figures of a line as of the last tick; before the first nothing expires and all is due."""
    if claim is None:
        return NOTHING
    takes: list[tuple[list[str], int]] = []
    at: dict[str, dict[str, int]] = {"take": {}, "alloc": {}, "failed": {}, "out": {}}
    began = first_out = 0
    channels: list[str] = []
    out_channels: list[str] = []
    ended: list[int] = []
    for text, units in claim.tally.items():
        word, *rest = text.split("|")
        if word in at:
            places = at[word]
            places[rest[0]] = places.get(rest[0], 0) + units
        if word == "take":
            takes.append((rest, units))
            channels.append(rest[4])
            began = min(began or int(rest[5]), int(rest[5]))
        elif word == "out":
            out_channels.append(rest[1])
            first_out = min(first_out or int(rest[2]), int(rest[2]))
        elif word == "expire":
            ended.append(int(rest[0]))
    requested = sum(units for _, units in takes)
    # Below 0 is what was taken back after the line that had it was forgotten: no demand follows from that.
    released = max(0, claim.tally.get("release", 0))
    consumed = max(0, sum(at["out"].values()))
    allocated = at["alloc"]
    firm = (
        claim.tally.get("confirm", 0) > 0
        or any(units > 0 for units in allocated.values())
        or any(rest[1] == "firm" for rest, _ in takes)
    )
    ends = [_end(rest, ended) for rest, _ in takes]
    expires = max((end for end in ends if end is not None), default=None) if None not in ends else None
    cancelled = claim.tally.get("cancel", 0) > 0
    expired = not firm and expires is not None and tick is not None and expires * SECOND <= tick
    given_up = cancelled or expired
    open_units = 0 if given_up else max(0, requested - released - consumed)
    need = max((day_number(rest[3]) for rest, _ in takes if rest[3]), default=None)
    today = today_of(tick)
    placed, pending = _place(open_units, at, "reserved_firm" if firm else "reserved_soft")
    return Standing(
        requested=requested,
        released=released,
        consumed=consumed,
        open=open_units,
        taken=max(0 if given_up else requested - released, consumed),
        firm=firm,
        cancelled=cancelled,
        expired=expired,
        expires=None if firm or cancelled else expires,
        need=need,
        due=need is None or today is None or need <= today,
        channel=max(channels or out_channels, default="") or "all",
        began=began or first_out,
        placed=placed,
        pending=pending,
    )


def _end(take: Sequence[str], ended: Sequence[int]) -> int | None:
    """The second at which a take runs out: by itself, or because another system let it then; None where it does not."""
    ends = [due_second(time) for time in ended if time >= int(take[5])]
    if take[2]:
        ends.append(int(take[2]))
    return min(ends, default=None)


def _place(open_units: int, at: Mapping[str, dict[str, int]], kept_as: str) -> tuple[tuple[Placed, ...], int]:
    """Place open units where they were allocated, then where they were reserved; the rest waits for a place."""
    rest = open_units
    placed = []
    allocated, failed, out = at["alloc"], at["failed"], at["out"]
    for location in sorted(allocated):
        room = max(0, allocated[location] - failed.get(location, 0) - out.get(location, 0))
        if units := min(rest, room):
            placed.append(Placed(location=location, units=units, how="allocated"))
            rest -= units
    for location in sorted(at["take"]):
        if not location:
            continue
        had = allocated.get(location, 0)
        missed = failed.get(location, 0)
        beyond = max(0, out.get(location, 0) - max(0, had - missed))
        room = max(0, at["take"][location] + min(0, had) - missed - beyond)
        if units := min(rest, room):
            placed.append(Placed(location=location, units=units, how=kept_as))
            rest -= units
    return tuple(placed), rest


def picked_and_open(claim: Claim, location: str, time: int) -> int:
    """Units of a line that were picked at a location and had not left it at `time`."""
    units = 0
    for text, quantity in claim.tally.items():
        word, *rest = text.split("|")
        if word == "picked" and rest[0] == location and int(rest[1]) <= time:
            units += quantity
        elif word == "out" and rest[0] == location and int(rest[2]) <= time:
            units -= quantity
    return max(0, units)


def picked_at(claim: Claim) -> set[str]:
    """Locations where something of a line was picked."""
    return {text.split("|")[1] for text in claim.tally if text.startswith("picked|")}


def marks_of(event: Fact) -> tuple[Mark, ...]:
    """What an event says of lines of claims and of supply; nothing for most events of goods."""
    sku, units, here = event.sku, event.quantity, event.location
    match event:
        case e.ReservationPlaced() | e.ReservationDecided():
            if isinstance(event, e.ReservationDecided) and event.decision == "rejected":
                return ()
            return (take_mark(event, event.state, event.expires_at),)
        case e.ReservationConfirmed():
            return (_mark(event, "confirm", 1),)
        case e.ReservationExpired():
            return (_mark(event, f"expire|{event.event_time}", 1),)
        case e.ReservationReleased():
            return (_mark(event, "release", units),)
        case e.OrderCancelled():
            return (_mark(event, "release", units) if units else _mark(event, "cancel", 1),)
        case e.OrderAllocated():
            moved = _mark(event, f"alloc|{event.from_location}", -units)
            given = _mark(event, f"alloc|{here}", units)
            return (given, moved) if event.from_location else (given,)
        case e.PickConfirmed():
            return (_mark(event, f"picked|{here}|{event.event_time}", units),)
        case e.PickFailed():
            return (_mark(event, f"failed|{here}", units),)
        case e.ShipmentConfirmed() | e.PickupConfirmed() | e.SaleRecorded():
            if event.order is None:
                return ()
            return (_mark(event, f"out|{here}|{event.channel}|{event.event_time}", units),)
        case e.ReturnReceived():
            return () if event.order is None else (_mark(event, f"back|{here}|{event.event_time}", units),)
        case e.TransferApproved():
            return (_of_transfer(event, f"take|{here}|firm|||{event.channel}|{event.event_time}", units),)
        case e.TransferRejected():
            return (_of_transfer(event, "cancel", 1),)
        case e.TransferShipped():
            out = _of_transfer(event, f"out|{here}|{event.channel}|{event.event_time}", units)
            if event.eta is None or not units:
                return (out,)
            ref = event.transfer or Ref(event.document.id, event.document.line)
            return (out, Mark(line=transfer_key(sku, line_of(*ref)), word=event.eta, units=1))
        case e.GoodsReceived():
            if event.purchase_order is None or not units:  # With 0 a revision takes back all that its line said.
                return ()
            line = supply_key(sku, line_of(*event.purchase_order))
            came = Mark(line=line, word=here, units=units)
            return (came, Mark(line=line, word="|final", units=1)) if event.final else (came,)
        case _:
            return ()


def take_mark(
    event: e.ReservationPlaced | e.ReservationDecided | e.ReservationRequested,
    state: str,
    expires_at: int | None,
    units: int | None = None,
) -> Mark:
    """What a reservation takes: `units`, or all that it names."""
    expires = "" if expires_at is None else str(due_second(expires_at))
    word = f"take|{event.location}|{state}|{expires}|{event.need_date or ''}|{event.channel}|{event.event_time}"
    return _mark(event, word, event.quantity if units is None else units)


def claim_line(event: e.Envelope) -> tuple[str, int]:
    """The order and line that an event of demand is about."""
    if event.order is not None:
        return event.order.id, event.order.line
    if isinstance(event, e.ReservationRequested | e.ReservationDecided):
        return f"request:{event.request_id}", 1
    return f"reservation:{event.document.id}", event.document.line


def is_transfer(line: str) -> bool:
    """Say whether a line, as it stands in a key, is a transfer's: no customer draws what it takes."""
    return line.startswith(_TRANSFER)


def _mark(event: e.Envelope, word: str, units: int) -> Mark:
    return Mark(line=claim_key(event.sku, line_of(*claim_line(event))), word=word, units=units)


def _of_transfer(event: e.TransferApproved | e.TransferRejected | e.TransferShipped, word: str, units: int) -> Mark:
    ref = event.transfer or Ref(event.document.id, event.document.line)
    return Mark(line=claim_key(event.sku, line_of(f"{_TRANSFER}{ref.id}", ref.line)), word=word, units=units)
