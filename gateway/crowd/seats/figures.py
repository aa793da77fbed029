"""Figures of the seats: wishes, holds and what became of them, how long it took to get one. Pure arithmetic.

A *wish* is one key, however often it was sent. The *conflict rate* is the share of answered wishes that were refused
because somebody else had one of the seats.
"""

from collections import Counter
from dataclasses import dataclass

from checkout.audit.records import US_PER_MS, Act
from gateway.crowd.figures import Spread, per_second, spread
from gateway.crowd.observed import Observed
from gateway.crowd.plan import Errand
from gateway.crowd.seats.noted import ENDINGS, Ending

CONFLICT = "seats-taken"
IN_FLIGHT = "key-in-flight"


@dataclass(frozen=True, slots=True)
class SeatFigures:
    """What is shown of a shop that sells seats."""

    events: int
    wishes: int
    won: int
    seats_won: int
    offered: int  # of those, by the waitlist
    refused: dict[str, int]  # wishes, by the reason
    conflict_rate: float
    extended: int
    released: int
    reserved: int
    cancelled: int
    expired: int
    held: int  # at the end of the crowd
    time_to_hold_s: Spread
    conflicts_before_hold: Spread
    won_per_s: list[int]
    refused_per_s: list[int]
    errands: dict[Errand, dict[Ending, int]]
    as_it_says: dict[Errand, int]


def seat_figures(observed: Observed) -> SeatFigures | None:
    """Work everything out; None where no seats were sold."""
    shop = observed.shop
    if not shop.halls:
        return None
    keys = {(one.buyer, one.key) for one in shop.tried if one.key}
    granted = {(one.event, one.paper.id): one for one in shop.tried if one.paper is not None}
    told = {(one.buyer, one.key) for one in granted.values()}
    answers = {
        (one.buyer, one.key): one.code
        for one in shop.tried
        if one.code not in {"", IN_FLIGHT} and not one.is_lost and (one.buyer, one.key) not in told
    }
    refused = Counter(answers.values())
    seconds = int(observed.ended_s) + 1
    errands: dict[Errand, Counter[Ending]] = {errand: Counter() for errand in Errand}
    matched: Counter[Errand] = Counter()
    for file in observed.fans:
        if file.errand is not None and file.ending is not None:
            errands[file.errand][file.ending] += 1
            matched[file.errand] += file.ending in ENDINGS[file.errand] and not file.faults
    fates = _fates(observed)
    return SeatFigures(
        events=len({one.event for one in shop.tried}),
        wishes=len(keys),
        won=len(granted),
        seats_won=sum(len(one.paper.lines) for one in granted.values() if one.paper is not None),
        offered=sum(not one.key for one in granted.values()),
        refused=dict(refused.most_common()),
        conflict_rate=refused[CONFLICT] / max(1, len(told) + refused.total()),
        extended=len({(one.event, one.hold) for one in shop.acted if one.act is Act.EXTEND and one.is_done}),
        released=fates["released"],
        reserved=fates["reserved"] + fates["cancelled"],
        cancelled=fates["cancelled"],
        expired=fates["expired"],
        held=fates["held"],
        time_to_hold_s=spread(one.took_s for one in shop.won),
        conflicts_before_hold=spread(float(one.refused) for one in shop.won),
        won_per_s=per_second([one.at_s for one in shop.won], seconds),
        refused_per_s=per_second(
            [
                ((one.answered_us or 0) / US_PER_MS - observed.wall_ms) / 1000
                for one in shop.tried
                if one.code == CONFLICT
            ],
            seconds,
        ),
        errands={errand: dict(counts) for errand, counts in errands.items() if counts},
        as_it_says={errand: matched[errand] for errand in Errand},
    )


def _fates(observed: Observed) -> Counter[str]:
    """Tell what became of each hold: one that nobody ended is over by its time, or still held."""
    shop = observed.shop
    ended_ms = observed.wall_ms + observed.ended_s * 1000
    untils: dict[tuple[str, str], int] = {}
    for one in shop.tried:
        if one.paper is not None:
            untils.setdefault((one.event, one.paper.id), one.paper.until_ms)
    fates: dict[tuple[str, str], str] = {}
    for act in shop.acted:
        if not act.is_done:
            continue
        match act.act:
            case Act.EXTEND if act.paper is not None:
                untils[act.event, act.hold] = act.paper.until_ms
            case Act.RELEASE:
                fates[act.event, act.hold] = "released"
            case Act.RESERVE:
                fates[act.event, act.hold] = "reserved"
            case Act.CANCEL:
                fates[act.event, act.hold] = "cancelled"
            case _:
                pass
    return Counter(
        fates.get(hold, "expired" if until_ms <= ended_ms else "held") for hold, until_ms in untils.items()
    )
