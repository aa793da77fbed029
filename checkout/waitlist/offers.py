"""Offer: seats that came back, put aside for one who waits for them.

The rule, in the order in which it is applied:

1. Whoever came first is served first (by number).
2. An entry wants ``wanted`` seats of its tier, or of any. It gets all of them or nothing: side by side if there are so
   many side by side (in the shortest stretch that will do, so that longer ones are left for larger groups), else any,
   from as few stretches as possible.
3. For an entry that wants more than there are, what there is is set aside: nobody behind it gets these seats. But
   only for one offer period, counted from when it first found some seats and too few. After that it still waits and
   still is first, but it holds up nobody any more. So a group has a chance to see its seats come together, and a
   single seat is not kept from a single person for long.
4. A kept seat of a tier that nobody waits for is free for everybody.

Not here: what an offer is (a hold in the buyer's name: ``waitlist.service``), when it lapses (the hold's end).
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby

from checkout.catalogue.event import Known
from checkout.catalogue.selling import Window
from checkout.halls.seats import Status, tier
from checkout.halls.sections import Kind, Layout, stretches


@dataclass(frozen=True, slots=True)
class Terms:
    """What the waitlist must know of an event."""

    window: Window
    max_per_buyer: int
    price_version: int
    currency: str
    tiers: frozenset[int]
    stretches: Sequence[tuple[int, int]]
    """Seats that stand side by side, as ``(first, count)``; a standing section is one."""


def terms_of(known: Known, layout: Layout) -> Terms:
    """Take from the catalogue what the waitlist must know."""
    spans = [
        span
        for section in layout.sections
        for row in section.rows
        for span in stretches(row)
    ]  # fmt: skip
    spans += [(section.first, section.count) for section in layout.sections if section.kind is Kind.STANDING]
    return Terms(
        window=known.event.window,
        max_per_buyer=known.event.max_per_buyer,
        price_version=known.prices.version,
        currency=known.event.currency,
        tiers=frozenset(known.tiers),
        stretches=tuple(sorted(spans)),
    )


@dataclass(frozen=True, slots=True)
class Wish:
    """An entry that waits: how many seats, and of which tier (None: any)."""

    number: int
    wanted: int
    tier: int | None


@dataclass(frozen=True, slots=True)
class Offer:
    """Seats for one entry."""

    number: int
    seats: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Plan:
    """What is to be done now.

    ``held_up_ms``: since when entries have found too few seats, by number. ``unwanted``: kept seats to be freed.
    """

    offers: tuple[Offer, ...]
    held_up_ms: Mapping[int, int]
    unwanted: tuple[int, ...]


def plan(
    wishes: Iterable[Wish],
    hall: bytes,
    spans: Sequence[tuple[int, int]],
    held_up_ms: Mapping[int, int],
    period_ms: int,
    now_ms: int,
) -> Plan:
    """Decide who is offered which of the kept seats.

    `wishes` are those that wait, in order; `spans` are the ``(first, count)`` of seats that stand side by side;
    `held_up_ms` is what the last plan said.
    """
    wishes = sorted(wishes, key=lambda wish: wish.number)
    left = {seat: tier(octet) for seat, octet in enumerate(hall) if octet & 0x0F == Status.KEPT}
    wanted_tiers = {wish.tier for wish in wishes}
    unwanted = () if None in wanted_tiers else tuple(s for s, its in left.items() if its not in wanted_tiers)
    aside: set[int] = set()
    offers: list[Offer] = []
    since_ms: dict[int, int] = {}
    for wish in wishes:
        if not left:
            break
        fit = {seat for seat, its in left.items() if wish.tier in {None, its}}
        open_to = fit - aside
        if len(open_to) >= wish.wanted:
            seats = together(open_to, wish.wanted, spans)
            offers.append(Offer(wish.number, seats))
            for seat in seats:
                del left[seat]
        elif 0 < len(fit) < wish.wanted:
            since_ms[wish.number] = held_up_ms.get(wish.number, now_ms)
            if now_ms < since_ms[wish.number] + period_ms:
                aside |= fit
    # Whose seats went to others in the meantime gets no second period.
    waiting = {wish.number for wish in wishes} - {offer.number for offer in offers}
    since_ms = {number: at_ms for number, at_ms in held_up_ms.items() if number in waiting} | since_ms
    return Plan(tuple(offers), since_ms, unwanted)


def together(seats: set[int], wanted: int, spans: Sequence[tuple[int, int]]) -> tuple[int, ...]:
    """Choose so many of the seats, side by side if possible. There must be enough of them."""
    runs = sorted(_runs(seats, spans), key=lambda run: (len(run), run[0]))
    for run in runs:
        if len(run) >= wanted:
            return tuple(run[:wanted])
    chosen: list[int] = []
    for run in sorted(runs, key=lambda run: (-len(run), run[0])):
        chosen += run[: wanted - len(chosen)]
    return tuple(sorted(chosen))


def _runs(seats: set[int], spans: Sequence[tuple[int, int]]) -> Iterator[list[int]]:
    """Cut the seats into runs that stand side by side; a seat in no stretch is a run by itself."""
    inside: set[int] = set()
    for first, count in spans:
        own = [seat for seat in range(first, first + count) if seat in seats]
        inside.update(own)
        for _, run in groupby(enumerate(own), lambda at: at[1] - at[0]):
            yield [seat for _, seat in run]
    yield from ([seat] for seat in sorted(seats - inside))
