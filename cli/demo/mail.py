"""How messages travel: twice, broken, years off; and the ticks between them."""

from dataclasses import replace
from typing import cast

from atp.events import DAY, HOUR, MINUTE, SECOND, Document, Event, PolicyChanged, PolicyFields, SaleRecorded, TimeTicked
from avro_schemas import codec
from avro_schemas.schemas import MAGIC
from cli.demo.retailer import MARKETPLACES, STORES
from cli.demo.slips import plain_sale
from cli.demo.telling import END, FIRST_TICK, MIDNIGHT, OPEN, Message, Raw, Telling


def resend(day: Telling) -> None:
    """Send one message in 80 again, and an hour of one store in one go, each under another event id."""
    at = range(len(day.messages))
    chosen = {n for n in at if day.chance.random() < 1 / 80}
    store = STORES[len(STORES) // 2]
    hour = range(MIDNIGHT + 17 * HOUR, MIDNIGHT + 18 * HOUR)
    block = {n for n in at if day.messages[n].what.event_time in hour and sale_of(day, n, store)}  # type: ignore[union-attr]
    for n in sorted(chosen | block):
        if n in day.once:
            continue
        message = day.messages[n]
        event = cast("Event", message.what)
        wait = day.chance.randrange(3 * SECOND, 10 * MINUTE)
        if n in block:
            wait += max(0, hour.stop - message.arrival)
        again = replace(event, event_id=f"{event.event_id}-again")
        day.messages.append(Message(message.arrival + wait, again))
        day.plan.duplicates += 1


def sale_of(day: Telling, n: int, store: str) -> bool:
    event = day.messages[n].what
    return isinstance(event, SaleRecorded) and event.location == store


def spoil(day: Telling) -> None:
    """Add what must be refused: a forgotten register, clocks that are wrong, bytes that are no events."""
    plain = day.retailer.products
    for number in range(max(6, min(24, day.events // 5_000))):
        product = plain[number % len(plain)]
        sale = plain_sale(day, product, product.stores[0], 1, 12 * 60)
        day.send(replace(sale, event_time=sale.event_time - 9 * DAY), after=9 * DAY + 4 * HOUR, once=True)
        day.plan.dead["late"] += 1
        day.plan.delayed -= 1
    for product in plain[:2]:
        sale = plain_sale(day, product, product.stores[0], 1, 13 * 60)
        day.send(replace(sale, event_time=sale.event_time + 365 * DAY), after=-365 * DAY, once=True)
        day.plan.dead["future"] += 1
    good = codec.encode(plain_sale(day, plain[0], plain[0].stores[0], 1, 600))
    noise = b"\x7f" + day.chance.randbytes(60)
    bad = (
        ("garbage", plain[0].sku, noise),
        ("garbage", plain[1].sku, b"receipt;S017;LAMP;2"),
        ("truncated", plain[0].sku, good[:-6]),
        ("truncated", plain[0].sku, good[: len(good) // 2]),
        ("unknown_schema", plain[2].sku, MAGIC + b"\x00" * 8 + good[10:]),
        ("misrouted", plain[3].sku, good),
    )
    for number, (cause, key, value) in enumerate(bad):
        arrival = MIDNIGHT + (9 * 60 + 97 * number) * MINUTE
        day.messages.append(Message(arrival, Raw(key.encode(), value)))
        day.plan.dead[cause] += 1


def ticks(day: Telling) -> None:
    """Let time pass: every quarter of an hour until the shops open, then every minute."""
    for minute in (*range(FIRST_TICK, OPEN, 15), *range(OPEN, END + 1)):
        time = MIDNIGHT + minute * MINUTE
        tick = TimeTicked(source="clock", document=Document("tick", str(minute), 1), event_time=time)
        day.messages.append(Message(time, tick))


def close(day: Telling) -> None:
    """Let a rule for the night be the last word: an event in every partition, so that none waits behind a tick.

    Ticks that change nothing are committed with the next event only.
    """
    rule = PolicyChanged(
        source="mdm",
        document=Document("policy", "POL-NIGHT", 1),
        event_time=MIDNIGHT + END * MINUTE,
        channel=MARKETPLACES[1],
        policy=PolicyFields(buffer=2),
        event_id="night",
    )
    last = max(message.arrival for message in day.messages)
    day.messages.append(Message(last + SECOND, rule))
