"""Why a request got nothing, where it is no matter of stock: an unknown SKU, a kit, a day that is too early."""

import json

from atp.effects import RequestDecided
from atp.events import ReservationRequested
from streams.answer import Answer
from streams.reader import look_up
from streams.settings import Settings
from streams.similar import similar

NEWS = ("positions", "supply", "transfers", "claims", "components", "part_of")
"""What only news of a SKU brings. Policies and requests name one too: whoever asks for it is no news of it."""


def heard_of(found: Answer) -> bool:
    """Say whether anything was ever told of a SKU."""
    return any(found[what] for what in NEWS)


def did_you_mean(settings: Settings, brokers: str, sku: str) -> str:
    """Name SKUs that are called almost like an unknown one, or the command that lists all."""
    names = similar(settings, brokers, sku)
    if names:
        return f"Did you mean {' or '.join(names)}? See: atp show {names[0]}"
    return "See which there are: atp availability --channel all"


def why_not(settings: Settings, brokers: str, asked: ReservationRequested, decided: RequestDecided) -> str:
    """Say what to do about a request that did not get all: one or two lines that end with a command."""
    found = look_up(settings, asked.sku, lambda *_: None)
    if not heard_of(found):
        return f"no event names SKU {asked.sku}: no stock, no supply, no order and no kit. " + did_you_mean(
            settings, brokers, asked.sku
        )
    if found["components"]:
        lines = [{"sku": asked.sku, "quantity": asked.quantity}]
        place = {"location": asked.location} if asked.location else {"split_shipment": True}
        order = {
            "order": decided.order if asked.order else asked.request_id,
            "channel": asked.channel,
            **place,
            "lines": lines,
        }
        return (
            f"{asked.sku} is a kit, and this asks for assembled ones alone. Its parts are reserved together:\n"
            f"  echo '{json.dumps(order, ensure_ascii=False)}' > order.json; atp reserve-order order.json"
        )
    if (day := _later(found, asked)) is not None:
        return (
            f"{day['quantity']} can be had for {day['date']}, as announced: the same command with --need {day['date']}"
        )
    return f"See what holds the rest: atp explain {asked.sku} --channel {asked.channel}"


def _later(found: Answer, asked: ReservationRequested) -> Answer | None:
    """Return the first later day of the channel that has enough for the request; None too where a place was named."""
    for one in found["availability"]:
        if one["channel"] == asked.channel and not asked.location:
            days = [day for day in one["horizon"] if day["date"] > (asked.need_date or "")]
            return next((day for day in days if day["quantity"] >= asked.quantity), None)
    return None
