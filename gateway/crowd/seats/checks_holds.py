"""Checks of the holds: a seat once, all or nothing, the limit, one hold for a key, and refusals that say why.

"Before" is always certain, as everywhere in the crowd. What strangers do in the same shop is left out in the shop's
favour, unless the plan says that the crowd is alone.
"""

from collections import defaultdict
from collections.abc import Iterator, Sequence

from checkout.audit.history import Unexplained, unexplained
from checkout.audit.invariants import within_limits
from checkout.audit.records import Answer, Loss, Record
from checkout.halls.seats import Status
from gateway.crowd.observed import Observed
from gateway.crowd.seats.lives import Life, lives
from gateway.crowd.seats.noted import Mine, Tried
from gateway.crowd.seats.retold import blind, losses, operations
from gateway.crowd.verdict import Verdict, verdict

STRANGER = "somebody before the crowd"


def seat_once(observed: Observed) -> Verdict:
    """Each seat's answers are those of a seat with one hold at a time: linearizable, seat by seat.

    A refusal that no fan explains may be due to somebody outside of the crowd, or to a hold that a fan has not heard
    of. Where that can be, refusals of such a seat prove nothing, and the rest must still have an order.
    """
    shop, outside, count = observed.shop, 0, 0
    found: list[str] = []
    may_be_others = not observed.alone or blind(shop) > 0
    for event, hall in shop.halls.items():
        acts = list(operations(shop, event, losses(observed)))
        count += len(acts)
        before = (
            {seat: STRANGER for seat, status in enumerate(hall.first.plain) if status} if hall.first else {}
        )
        faults = unexplained(acts, losses(observed), before)
        if may_be_others and faults:
            seats = {fault.seat for fault in faults}
            told = [act for act in acts if act.answer is not Answer.TAKEN and not seats.isdisjoint(act.seats)]
            left = {fault.seat: fault for fault in unexplained(told, losses(observed), before)}
            outside += sum(fault.seat not in left for fault in faults)
            faults = [left[seat] for seat in sorted(seats) if seat in left]
        found += [_told(event, fault) for fault in faults]
    detail = f"{count:,} requests that may have changed a seat"
    if outside:
        detail += f"; refusals at {outside:,} seats that no fan explains, so somebody else had them"
    promise = "No seat is held by two at once, and nobody is refused because of a hold that is over."
    return verdict("seat-once", promise, found, detail, seen=count)


def _told(event: str, fault: Unexplained) -> str:
    return f"{event}: {fault.sentence}"


def all_or_nothing(observed: Observed) -> Verdict:
    """A hold has exactly the seats that were asked for, and a refused wish has none."""
    shop = observed.shop
    granted = [one for one in shop.tried if one.paper is not None]
    first: dict[tuple[str, str, str], Tried] = {}
    for one in sorted(shop.tried, key=lambda one: one.asked_us):
        first.setdefault((one.event, one.buyer, one.key), one)
    # Another wish under a used key is for the next check but one to judge.
    meant = [one for one in granted if not one.key or one.wish == first[one.event, one.buyer, one.key].wish]
    found = [fault for one in meant for fault in _partial(one)]
    own: dict[tuple[str, str], list[Tried]] = defaultdict(list)
    for one in shop.tried:
        own[one.event, one.buyer].append(one)
    for mine in shop.mines:
        unsure = mine.buyer in shop.queued
        found += _disagrees(mine, own[mine.event, mine.buyer], unsure=unsure)
    refused = sum(one.code == "seats-taken" for one in shop.tried)
    return verdict(
        "all-or-nothing",
        "A hold has all of its seats or there is none.",
        found,
        f"{len(granted):,} wishes granted, {refused:,} refused for a seat, "
        f"own holds looked at {len(shop.mines):,} times",
        seen=len(shop.tried),
    )


def _partial(one: Tried) -> Iterator[str]:
    paper = one.paper
    assert paper is not None  # noqa: S101 - asked by the caller
    seats = paper.seats
    if len(set(seats)) != len(seats):
        yield f"fan {one.fan}: hold {paper.id} names a seat twice"
    if one.wish.seats and set(seats) != set(one.wish.seats):
        yield f"fan {one.fan} asked for the seats {list(one.wish.seats)} and got {list(seats)}"
    if not one.wish.seats and len(seats) != one.wish.count:
        yield f"fan {one.fan} asked for {one.wish.count} seats and got {len(seats)}"


def _disagrees(mine: Mine, own: list[Tried], *, unsure: bool) -> Iterator[str]:
    """What the shop says a buyer holds, against what the buyer was told; `unsure`: it may have been offered more."""
    known = {one.paper.id: one.paper.seats for one in own if one.paper is not None}
    unsure = unsure or any(one.is_lost and one.asked_us <= mine.answered_us for one in own)
    listed = {paper.id: paper.seats for paper in mine.papers}
    for hold, seats in listed.items():
        if hold not in known:
            if not unsure:
                yield f"fan {mine.fan} has the hold {hold} with the seats {list(seats)}, which it was never told of"
        elif set(seats) != set(known[hold]):
            yield f"fan {mine.fan}: hold {hold} had the seats {list(known[hold])}, now {list(seats)}"


def limit_kept(observed: Observed) -> Verdict:
    """Nobody has more seats at one time than one may have; nobody is refused who would not have more."""
    shop = observed.shop
    found: list[str] = []
    most: set[int] = set()
    for event, hall in shop.halls.items():
        records: list[Record] = [*operations(shop, event, losses(observed)), *losses(observed)]
        found += [f"{event}: {fault.sentence}" for fault in within_limits(records, None, None, hall.most)]
        most.add(hall.most)
    refusals = [one for one in shop.tried if one.code == "limit-reached"]
    for one in refusals:
        if one.has is None or one.most is None:
            found.append(f"fan {one.fan} was refused for the limit without being told what it is")
        elif one.has + one.wish.places <= one.most:
            found.append(
                f"fan {one.fan} asked for {one.wish.places} seats, has {one.has} of {one.most}, and was refused"
            )
    buyers = len({one.buyer for one in shop.tried if one.paper is not None})
    limits = " or ".join(map(str, sorted(most)))
    return verdict(
        "limit-kept",
        "Nobody has more seats at one time than one person may have.",
        found,
        f"{buyers:,} buyers, at most {limits} seats each; {len(refusals):,} were refused for it",
        seen=buyers,
    )


def one_key_one_hold(observed: Observed) -> Verdict:
    """A key names one wish of one buyer, and gets one hold, however often it is sent; another key, another hold."""
    shop = observed.shop
    found: list[str] = []
    by_key: dict[tuple[str, str, str], list[Tried]] = defaultdict(list)
    keys: dict[tuple[str, str], set[str]] = defaultdict(set)
    for one in shop.tried:
        if one.key:
            by_key[one.event, one.buyer, one.key].append(one)
            if one.paper is not None:
                keys[one.event, one.paper.id].add(one.key)
    for asked in by_key.values():
        found += _of_key(asked, losses(observed))
    found += [f"hold {hold} was given for {len(own)} keys" for (_, hold), own in keys.items() if len(own) > 1]
    repeats = sum(len(asked) - 1 for asked in by_key.values())
    return verdict(
        "one-key-one-hold",
        "A request that comes twice under one key is one request.",
        found,
        f"{len(by_key):,} keys, {repeats:,} repeats",
        seen=len(by_key),
    )


def _of_key(asked: list[Tried], lost: Sequence[Loss]) -> Iterator[str]:
    """Say what is wrong with the answers to one key; a store that was lost in between may have forgotten the wish."""
    granted = [one for one in asked if one.paper is not None]
    if not granted:
        return
    first = min(granted, key=lambda one: one.answered_us or 0)
    holds = {one.paper.id for one in granted if one.paper is not None}
    if len(holds) > 1:
        yield f"fan {first.fan} got {len(holds)} holds under one key: {', '.join(sorted(holds))}"
    for one in asked:
        if any(loss.until_us >= first.asked_us and loss.from_us <= (one.answered_us or 0) for loss in lost):
            continue
        if one.wish != first.wish:
            if one.paper is not None:
                yield f"fan {first.fan} sent another wish under a key that was used, and it was granted"
        elif one.paper is not None and first.paper is not None and one.paper.seats != first.paper.seats:
            yield f"fan {first.fan} was told other seats when it asked again under one key"
        elif one.status == 409 and one.code != "key-in-flight" and one.asked_us > (first.answered_us or 0):
            yield f"fan {first.fan} had a hold, asked again under its key, and was answered {one.code}"


def refusal_tells(observed: Observed) -> Verdict:
    """Who is refused for a seat is told which: of those that were asked for, and all that are surely taken."""
    shop, count = observed.shop, 0
    found: list[str] = []
    for event in shop.halls:
        by_seat: dict[int, list[Life]] = defaultdict(list)
        for life in lives(operations(shop, event, losses(observed)), losses(observed)):
            for seat in life.seats:
                by_seat[seat].append(life)
        for one in shop.tried:
            if one.event == event and one.code == "seats-taken":
                count += 1
                found += _unclear(one, by_seat)
    return verdict(
        "refusal-tells",
        "A refused wish names the seats that are taken.",
        found,
        f"{count:,} refusals",
        seen=count,
    )


def _unclear(one: Tried, by_seat: dict[int, list[Life]]) -> Iterator[str]:
    listed = dict(one.taken)
    if not listed or len(listed) != len(one.taken):
        yield f"fan {one.fan} was refused for taken seats, and told {list(one.taken)}"
    if foreign := sorted(listed.keys() - set(one.wish.seats)):
        yield f"fan {one.fan} was told of the seats {foreign}, which it had not asked for"
    if strange := {
        seat: status for seat, status in listed.items() if not Status.FREE < status <= max(Status)
    }:
        yield f"fan {one.fan} was refused, and told that seats are no more than {strange}"
    answered_us = one.answered_us or 0
    for seat in one.wish.seats:
        for life in by_seat.get(seat, ()):
            if life.from_us <= one.asked_us and answered_us < life.until_us and seat not in listed:
                yield f"fan {one.fan} was not told that seat {seat} is taken, which hold {life.hold} had all the time"
