"""Kits: what their components leave of them. `fold(rows, told, frame) -> Outcome`, pure as the other fold is.

A kit hears what there is of each component, and of its own SKU what is assembled and of what it is made. Each is
absolute under a version, so what is kept is a function of the newest of each, whatever the order in which they come:

    atp(c) = min(cap, assembled(c) + min(Σ over locations of min over parts of ⌊exposed / needed⌋,
                                         min over parts of ⌊avail(c) / needed⌋))

A location counts where it serves the channel for the kit and for every part: parts that lie apart make no kit. The
version of an answer is a sum of versions heard, each of which only rises; so is its epoch. Nothing is counted
here, and what was forgotten can be heard again. Source: docs/domain.md, Kits.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import replace

from atp.availability import status
from atp.book import ALL_CHANNEL, Heard, KitAnswer, KitState, Row, Rows, heard_key, kit_key
from atp.effects import AvailabilityChanged, ChannelExposure, Effect, KitComponentChanged, KitFigures, KitPart
from atp.outcome import Frame, Outcome


def fold(rows: Rows, told: KitComponentChanged, frame: Frame) -> Outcome:
    """Take in what a kit is told; answer for its channels. Reads `rows`, changes nothing."""
    del frame  # Neither time nor epoch come into it but by what is told.
    key = heard_key(told.kit, told.sku)
    known = rows.get(key)
    if isinstance(known, Heard) and (known.epoch, known.version) >= (told.epoch, told.version):
        return Outcome(verdict="duplicate", changes={}, effects=())
    now = Heard(
        epoch=told.epoch,
        version=told.version,
        nodes=told.nodes,
        channels=told.channels,
        components=told.components,
        as_of=told.as_of,
        computed_at=told.computed_at,
    )
    prefix = heard_key(told.kit, "")
    heard = {name[len(prefix) :]: row for name, row in rows.scan(prefix) if isinstance(row, Heard)}
    heard[told.sku] = now
    changes: dict[str, Row | None] = {key: now}
    own = heard.get(told.kit)
    if own is None or own.components is None:
        return Outcome(verdict="folded", changes=changes, effects=())  # Nobody said yet what it is made of.
    state = rows.get(kit_key(told.kit))
    before = {one.channel: one for one in state.answers} if isinstance(state, KitState) else {}
    risen = isinstance(known, Heard) and known.epoch < told.epoch
    answers, effects = dict(before), list[Effect]()
    for channel, figures, answer in figures_of(told.kit, heard, before):
        terms, raw, atp = _through(own, channel), _raw(figures), answer.atp
        last = before.get(channel)
        if answer == last and not risen:
            continue
        answers[channel] = answer
        effects.append(
            AvailabilityChanged(
                key=f"{channel}|{told.kit}",
                sku=told.kit,
                channel=channel,
                location="",
                atp=atp,
                atp_raw=raw,
                previous_atp=last.atp if last else None,
                status=answer.status,
                epoch=sum(row.epoch for row in heard.values()),
                version=terms.version + sum(row.version for row in heard.values()),
                as_of=max(row.as_of for row in heard.values()),
                computed_at=max(
                    (row.computed_at for row in heard.values() if row.computed_at is not None), default=None
                ),
                cause=told.cause,
                kit=figures,
            )
        )
    if answers != before:
        changes[kit_key(told.kit)] = KitState(answers=tuple(answers[name] for name in sorted(answers)))
    return Outcome(verdict="folded", changes=changes, effects=tuple(effects))


def figures_of(
    kit: str, heard: Mapping[str, Heard], known: Iterable[str] = ()
) -> Iterator[tuple[str, KitFigures, KitAnswer]]:
    """Yield each channel's figures for a kit and what is said of them; nothing before it is known what it is made of.

    `known` are the channels that were answered for before.
    """
    own = heard.get(kit)
    if own is None or own.components is None:
        return
    for channel in sorted({one.channel for row in heard.values() for one in row.channels} | {ALL_CHANNEL, *known}):
        figures, terms = _figures(kit, heard, own.components, channel)
        raw = _raw(figures)
        atp = raw if figures.cap is None else min(figures.cap, raw)
        yield channel, figures, KitAnswer(channel=channel, atp=atp, status=status(atp, terms.low_at))


def _raw(figures: KitFigures) -> int:
    return figures.assembled + min(figures.at_nodes, figures.by_parts)


def kits_at(nodes: Mapping[str, Mapping[str, int]], needed: Mapping[str, int], serves: Callable[[str], bool]) -> int:
    """Kits whose parts lie together, over all locations that serve: exposed units by part and location."""
    if not needed:
        return 0
    scarce = min(needed, key=lambda sku: (len(nodes.get(sku, ())), sku))
    return sum(
        min(nodes.get(sku, {}).get(place, 0) // units for sku, units in needed.items())
        for place in nodes.get(scarce, ())
        if serves(place)
    )


def _figures(
    kit: str, heard: Mapping[str, Heard], needed: Mapping[str, int], channel: str
) -> tuple[KitFigures, ChannelExposure]:
    """Return what the answer for a channel is made of, and the channel's terms for the kit itself."""
    terms = _through(heard[kit], channel)
    parts, all_terms = [], [terms]
    for sku in sorted(needed):
        row = heard.get(sku)
        theirs = _NOTHING if row is None else _through(row, channel)
        nodes = {} if row is None else row.nodes
        all_terms.append(theirs)
        exposed = sum(units for place, units in nodes.items() if _serves(theirs, place))
        parts.append(KitPart(sku=sku, needed=needed[sku], atp=theirs.atp, exposed=exposed))
    figures = KitFigures(
        assembled=terms.atp,
        at_nodes=kits_at(
            {sku: heard[sku].nodes for sku in needed if sku in heard},
            needed,
            lambda place: all(_serves(one, place) for one in all_terms),
        ),
        by_parts=min((part.atp // part.needed for part in parts), default=0),
        cap=terms.cap,
        parts=tuple(parts),
    )
    return figures, terms


_NOTHING = ChannelExposure(channel="", atp=0, version=0, locations=(), excluded=(), cap=None, low_at=0)


def _through(row: Heard, channel: str) -> ChannelExposure:
    """Return what there is through a channel; one that the SKU has never heard of shows what `all` shows."""
    by_name = {one.channel: one for one in row.channels}
    found = by_name.get(channel)
    if found is not None:
        return found
    every = by_name.get(ALL_CHANNEL, _NOTHING)
    # Its version is 0: the SKU gave no answer for this channel that one of ours would have to follow.
    return replace(every, channel=channel, version=0)


def _serves(terms: ChannelExposure, place: str) -> bool:
    return (terms.locations is None or place in terms.locations) and place not in terms.excluded
