"""Checks of what was told: ends of holds, maps and their changes, prices, and that nobody buys without an admission.

**Ends.** A hold is alive while ``now < until`` (half-open). An act that was *asked* after the end must not succeed, one
that was *answered* before the end must not find the hold over; what lies across the end may go either way. The shop
counts whole milliseconds and reads its clock while it works, so ``TOLERANCE_MS`` are left to it on each side. Where the
shop's clock is not this machine's, or was set meanwhile, ends are not judged.
"""

from collections import defaultdict
from collections.abc import Iterator
from statistics import median

from checkout.audit.invariants import followed
from checkout.audit.records import US_PER_MS, Act, Delta
from gateway.crowd.observed import Observed
from gateway.crowd.seats.hall import Hall
from gateway.crowd.seats.lives import Life, lives
from gateway.crowd.seats.noted import Acted, Line, Mine, Paper, Shop, Tried
from gateway.crowd.seats.retold import HELD, losses, operations
from gateway.crowd.verdict import State, Verdict, verdict

TOLERANCE_MS = 50
_TOLERANCE_US = TOLERANCE_MS * US_PER_MS
JUMP_MOST_MS = 20.0


def ends_kept(observed: Observed) -> Verdict:
    """A hold lasts as long as was told: not shorter, not longer, extended once."""
    name, promise = "ends-kept", "A hold ends when it was said to end, and can be extended once."
    shop = observed.shop
    if reason := _clock_fault(shop):
        return Verdict(name, promise, State.NOT_JUDGED, reason)
    count = 0
    found: list[str] = []
    listed: dict[tuple[str, str], list[Mine]] = defaultdict(list)
    for mine in shop.mines:
        for paper in mine.papers:
            if paper.state == HELD:
                listed[mine.event, paper.id].append(mine)
    for event, hall in shop.halls.items():
        acts: dict[str, list[Acted]] = defaultdict(list)
        for one in shop.acted:
            if one.event == event:
                acts[one.hold].append(one)
        grants: dict[str, list[Tried]] = defaultdict(list)
        begins_us: dict[tuple[str, str], int] = {}
        for tried in shop.tried:
            if tried.event == event:
                key = tried.buyer, tried.key
                begins_us[key] = min(tried.asked_us, begins_us.get(key, tried.asked_us))
                if tried.paper is not None:
                    grants[tried.paper.id].append(tried)
        found += _missing(observed, event)
        for hold, granted in grants.items():
            count += 1
            found += _length(granted, begins_us[granted[0].buyer, granted[0].key], hall)
            found += _Ends(observed, hold, granted, acts[hold]).faults(listed[event, hold])
    detail = f"{count:,} holds, {TOLERANCE_MS} ms left to the shop's clock on each side"
    return verdict(name, promise, found, detail, seen=count)


def _missing(observed: Observed, event: str) -> Iterator[str]:
    """Holds that surely were alive, and that the shop did not list when their buyers asked."""
    alive: dict[str, list[Life]] = defaultdict(list)
    for life in lives(operations(observed.shop, event, losses(observed)), losses(observed)):
        alive[life.buyer].append(life)
    for mine in observed.shop.mines:
        if mine.event != event:
            continue
        listed = {paper.id for paper in mine.papers}
        for life in alive[mine.buyer]:
            reserving = life.reserving_us is not None and life.reserving_us <= mine.answered_us
            surely = life.from_us <= mine.asked_us and mine.answered_us < life.until_us - _TOLERANCE_US
            if surely and not reserving and life.hold not in listed:
                left_s = (life.until_us - mine.answered_us) / 1e6
                yield f"hold {life.hold} was not listed any more {left_s:,.2f} s before its end"


def _clock_fault(shop: Shop) -> str:
    """Say why the shop's ends cannot be held against the crowd's clock; '' when they can."""
    if shop.clock_jump_ms > JUMP_MOST_MS:
        return f"this machine's clock was set by {shop.clock_jump_ms:,.0f} ms meanwhile"
    facts: list[Tried | Acted] = [*shop.tried, *shop.acted]
    # What is told of the time may be a little old in a busy shop, so the most of the answers decide.
    apart_ms = [
        max(0.0, one.asked_us / US_PER_MS - one.paper.now_ms, one.paper.now_ms - one.answered_us / US_PER_MS)
        for one in facts
        if one.paper is not None and one.answered_us is not None
    ]
    usual_ms = median(apart_ms) if apart_ms else 0.0
    return f"the shop's clock is {usual_ms:,.0f} ms from this machine's" if usual_ms > TOLERANCE_MS else ""


def _length(granted: list[Tried], begins_us: int, hall: Hall) -> Iterator[str]:
    """A new hold lasts for the event's time from the moment it was made: between the first question and an answer."""
    first = min(granted, key=lambda one: one.answered_us or 0)
    # An offer of the waitlist has a time of its own.
    if not first.key or first.paper is None or first.paper.state != HELD or not first.paper.extendable:
        return
    for hold_s in hall.hold_s:
        least_us = begins_us + hold_s * 1_000_000 - _TOLERANCE_US
        most_us = (first.answered_us or 0) + hold_s * 1_000_000 + _TOLERANCE_US
        if least_us <= first.paper.until_ms * US_PER_MS <= most_us:
            return
    lasts_s = first.paper.until_ms / 1000 - (first.answered_us or 0) / 1e6
    promised = " or ".join(f"{hold_s:,}" for hold_s in sorted(hall.hold_s))
    yield f"fan {first.fan}: hold {first.paper.id} lasts {lasts_s:,.1f} s, not {promised}"


class _Ends:
    """One hold: what was told of its end, and what happened on both sides of it."""

    def __init__(self, observed: Observed, hold: str, granted: list[Tried], acts: list[Acted]) -> None:
        self._observed = observed
        self._name = f"hold {hold}"
        self._acts = acts
        extended = [one for one in acts if one.act is Act.EXTEND and one.is_done]
        self._extended = {one.paper.until_ms for one in extended if one.paper is not None}
        told: list[Tried | Acted] = [*granted, *extended]
        self._told = [
            (one.answered_us or 0, one.paper.until_ms * US_PER_MS)
            for one in told
            if one.paper is not None and one.paper.state == HELD
        ]
        self._asked_more = any(one.act is Act.EXTEND and one.is_lost for one in acts)
        self._reserving_us = min((one.asked_us for one in acts if one.act is Act.RESERVE), default=None)
        self._first_ms = min((one.paper.until_ms for one in granted if one.paper is not None), default=0)

    def faults(self, listed: list[Mine]) -> Iterator[str]:
        """Say everything that is not as it was told; `listed` as alive in these lists of the buyer's holds."""
        if len(self._extended) > 1:
            ends = ", ".join(f"{until_ms:,}" for until_ms in sorted(self._extended))
            yield f"{self._name} was extended more than once: to {ends}"
        if self._extended and min(self._extended) <= self._first_ms:
            yield f"{self._name} was extended and does not last longer"
        if not self._told:
            return
        last_us = max(until_us for _, until_us in self._told)
        for one in self._acts:
            if one.act is not Act.CANCEL:
                yield from self._of(one, last_us)
        for mine in listed:
            if mine.asked_us >= last_us + _TOLERANCE_US and self._is_pure(mine.answered_us):
                yield f"{self._name} was listed {(mine.asked_us - last_us) / 1e6:,.2f} s after its end"

    def _of(self, one: Acted, last_us: int) -> Iterator[str]:
        if one.is_done and one.asked_us >= last_us + _TOLERANCE_US and self._is_pure(one.asked_us):
            yield f"to {one.act} {self._name} succeeded {(one.asked_us - last_us) / 1e6:,.2f} s after its end"
        if one.is_lost or one.status != 410 or self._was_lost(one):
            return
        ends = [until_us for told_us, until_us in self._told if told_us <= one.asked_us]
        released = any(
            _may_free(act) and act.asked_us <= (one.answered_us or 0) and act is not one for act in self._acts
        )
        left_us = max(ends, default=0) - (one.answered_us or 0)
        if one.state in {"expired", "unknown"} and left_us > _TOLERANCE_US and not released:
            yield f"{self._name} was over {left_us / 1e6:,.2f} s before its end"
        if one.state == "released" and not released:
            yield f"{self._name} was released, and nobody had asked for that"

    def _is_pure(self, at_us: int) -> bool:
        """True while nothing but the told ends can have kept the hold."""
        reserving = self._reserving_us is not None and self._reserving_us < at_us
        return not self._asked_more and not reserving

    def _was_lost(self, one: Acted) -> bool:
        # What was asked before the loss may have been answered after it.
        told_s = ((one.answered_us or one.asked_us) / 1000 - self._observed.wall_ms) / 1000
        return any(outage.loses_store and outage.since_s <= told_s for outage in self._observed.outages)


def _may_free(act: Acted) -> bool:
    return act.act in {Act.RELEASE, Act.CANCEL} or (act.act is Act.RESERVE and not act.is_done)


def map_follows(observed: Observed) -> Verdict:
    """Whoever took a map and then each change has what the shop has; all maps of one version are the same."""
    shop = observed.shop
    found = [*shop.unlike]
    changes = 0
    for event in shop.halls:
        looks = shop.looks.get(event, [])
        changes += sum(isinstance(record, Delta) for record in looks)
        found += [f"{event}: {fault.sentence}" for fault in followed(looks, None)]
    found += [f"fan {one.fan} at {one.event}: {one.fault}" for one in shop.compared if one.fault]
    detail = f"{len(shop.compared):,} copies compared, {changes:,} changes heard"
    if shop.watched_in_vain:
        detail += f"; {shop.watched_in_vain:,} could not compare"
    return verdict(
        "map-follows",
        "A map and the changes after it are what the shop has.",
        found,
        detail,
        seen=len(shop.compared),
    )


def prices_right(observed: Observed) -> Verdict:
    """Every seat costs what the catalogue says of its tier; a reservation costs what the hold did."""
    shop, count = observed.shop, 0
    found: list[str] = []
    # Of one hold there may be two: a key that is repeated after its hold was lost with the store gets other seats.
    holds: dict[tuple[str, str], list[Paper]] = defaultdict(list)
    for one in shop.tried:
        if one.paper is not None:
            count += 1
            hall, paper = shop.halls[one.event], one.paper
            found += [f"fan {one.fan}, hold {paper.id}: {fault}" for fault in _on_paper(paper, hall)]
            holds[one.event, paper.id].append(paper)
    for act in shop.acted:
        told = holds.get((act.event, act.hold))
        if act.act is Act.RESERVE and act.paper is not None and told:
            count += 1
            got = act.paper.lines, act.paper.total_minor, act.paper.currency
            if got not in [(hold.lines, hold.total_minor, hold.currency) for hold in told]:
                found.append(
                    f"fan {act.fan} held for {told[0].total_minor} and reserved for {act.paper.total_minor} "
                    f"{act.paper.currency} (minor units), or other seats"
                )
    return verdict(
        "prices-right",
        "Every seat costs what the programme says, and adds up.",
        found,
        f"{count:,} papers",
        seen=count,
    )


def _on_paper(paper: Paper, hall: Hall) -> Iterator[str]:
    if paper.currency != hall.currency:
        yield f"it is in {paper.currency}, not in {hall.currency}"
        return
    total = sum(line.price_minor for line in paper.lines)
    if total != paper.total_minor:
        yield f"its seats cost {total}, it says {paper.total_minor} (minor units)"
    for line in paper.lines:
        costs = hall.costs(line.tier)
        if line.price_minor not in costs and hall.knows_all_prices:
            yield f"seat {line.seat} of tier {line.tier} costs {line.price_minor}, not {sorted(costs)} (minor units)"
        if fault := _misnamed(line, hall):
            yield fault


def _misnamed(line: Line, hall: Hall) -> str:
    """Say what is wrong with a seat's tier or name; '' for nothing."""
    if not 0 <= line.seat < hall.seats:
        return f"there is no seat {line.seat}"
    section, row, number = hall.calls(line.seat)
    if line.section not in section or line.row not in row or line.number != number:
        told = f"{line.section} {line.row} {line.number}".replace("  ", " ").strip()
        return f"seat {line.seat} is called {told!r}, not {section[0]} {row[0]} {number}".rstrip()
    maps = [seen.octets[line.seat] >> 4 for seen in (hall.first, hall.map) if seen is not None]
    # Seats that an organiser moved to another tier meanwhile may have either.
    if maps and line.tier not in maps and len(set(maps)) == 1:
        return f"seat {line.seat} is of tier {maps[0]} on the map, {line.tier} on the paper"
    return ""


def admission_needed(observed: Observed) -> Verdict:
    """Without an admission nobody can hold a seat."""
    shop = observed.shop
    return verdict(
        "admission-needed",
        "Nobody holds a seat without an admission.",
        shop.slipped,
        f"{shop.outside:,} tried",
        seen=shop.outside,
    )
