"""What there is now of SKUs that may be offered instead: from the workers that own them, else the changelogs."""

from collections.abc import Iterable

from atp.book import ALL_CHANNEL
from streams.answer import Answer
from streams.kit_answer import look_up_kit
from streams.reader import Progress, look_up
from streams.settings import Settings


def offered(settings: Settings, skus: Iterable[str], progress: Progress) -> list[Answer]:
    """Return what there is of each SKU, in their order; of a kit what its parts leave too.

    Each has `sku`, `atp` and `status` over all locations, and `next_available`; None of each where nothing is known of
    it. Raises: FatalError as `look_up` does.
    """
    found = []
    for sku in skus:
        known = look_up(settings, sku, progress)
        answers = known["availability"]
        if known["components"]:
            answers = look_up_kit(settings, sku, progress)["channels"] or answers
        figures: Answer = next((one for one in answers if one["channel"] == ALL_CHANNEL), {})
        found.append({"sku": sku, **{name: figures.get(name) for name in ("atp", "status", "next_available")}})
    return found
