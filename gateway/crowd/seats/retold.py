"""Retold: what the crowd noted of an event, as the records that ``checkout.audit`` reads.

The checker decides whether seats were given once (I2), limits kept (I9), maps right (I10); here facts get its form:

* A hold that was told is that hold. A wish without an answer may have become one at any time, until its key tells.
* A refusal that lists seats looked at them; any other says nothing of a seat.
* A hold or a reservation is given back once, however often that was asked: from the first question until an answer.
* An offer of the waitlist was made at some time while the buyer stood there.

A wish for "the best" that was never answered has seats that nobody knows of: ``blind`` counts those.
"""

from collections import defaultdict
from collections.abc import Iterator, Sequence
from pathlib import Path

from checkout.audit.records import Act, Answer, Loss, Operation, Record, Snapshot, write
from gateway.crowd.observed import Observed
from gateway.crowd.seats.noted import Acted, Shop, Tried

HELD = "held"
ENDED_ONCE = frozenset({Act.RELEASE, Act.CANCEL})
"""Acts that a repeat may find done, and be told so."""

OVER = frozenset({"expired", "released", "unknown"})
"""States of a hold that is over, as against one that is being paid for or sold."""


def records(observed: Observed, event: str) -> list[Record]:
    """Give everything that is known of an event, in the order of its beginnings."""
    shop = observed.shop
    hall = shop.halls[event]
    found: list[Record] = [
        *operations(shop, event, losses(observed)),
        *losses(observed),
        *shop.looks.get(event, ()),
    ]
    if hall.first is not None:
        found.append(Snapshot("", 0, str(hall.first.version), hall.first.octets))
    return sorted(found, key=_begins_us)


def operations(shop: Shop, event: str, losses: Sequence[Loss] = ()) -> Iterator[Operation]:
    """Give the requests that may have changed a seat, and the refusals that say something of one.

    A wish for "the best" whose answer was lost, and then its hold with the store, had seats that nobody ever heard of:
    its repeat got others. While it may have been there a refusal because of a seat says nothing.
    """
    hidden = _hidden(shop, event, losses)
    tried = [one for one in shop.tried if one.event == event]
    holds = {(one.buyer, one.key): one.paper for one in tried if one.key and one.paper is not None}
    hold_ms = min(shop.halls[event].hold_s) * 1000
    for one in tried:
        known = holds.get((one.buyer, one.key))
        name = known.id if known is not None else f"key {one.key}"
        if one.paper is not None:
            yield _granted(one)
        elif one.is_lost:
            seats = one.wish.seats or (known.seats if known is not None else ())
            until_ms = one.asked_us // 1000 + hold_ms
            if seats:
                yield Operation(Act.HOLD, name, one.buyer, seats, one.asked_us, None, None, until_ms)
        elif one.code == "seats-taken" and one.wish.seats and not _met(one, hidden):
            yield Operation(
                Act.HOLD, f"refused {one.key}", one.buyer, one.wish.seats, one.asked_us, one.answered_us,
                Answer.TAKEN, taken=one.taken,
            )  # fmt: skip
    seats_of = {one.paper.id: one.paper.seats for one in tried if one.paper is not None}
    yield from _acts(shop, event, seats_of)


def _hidden(shop: Shop, event: str, losses: Sequence[Loss]) -> list[tuple[int, int]]:
    """Return from when to when there may have been a hold that went with the store before anybody heard of it."""
    heard: dict[tuple[str, str], int] = {}
    for one in shop.tried:
        if one.paper is not None and one.answered_us is not None:
            at_us = heard.setdefault((one.buyer, one.key), one.answered_us)
            heard[one.buyer, one.key] = min(at_us, one.answered_us)
    return [
        (one.asked_us, loss.until_us)
        for one in shop.tried
        if one.event == event and one.is_lost and not one.wish.seats
        for loss in losses
        if one.asked_us <= loss.until_us and heard.get((one.buyer, one.key), loss.until_us) >= loss.from_us
    ]


def _met(one: Tried, hidden: Sequence[tuple[int, int]]) -> bool:
    answered_us = one.asked_us if one.answered_us is None else one.answered_us
    return any(from_us <= answered_us and one.asked_us <= until_us for from_us, until_us in hidden)


def blind(shop: Shop) -> int:
    """Count the holds that may be there without the crowd knowing their seats."""
    told = {(one.buyer, one.key) for one in shop.tried if one.paper is not None}
    lost = {(one.buyer, one.key) for one in shop.tried if one.is_lost and not one.wish.seats}
    return len(lost - told) + len(shop.queued)


def losses(observed: Observed) -> list[Loss]:
    """Give the times in which the store was lost on purpose."""
    wall_us = observed.wall_ms * 1000
    return [
        Loss(
            round(wall_us + outage.since_s * 1e6),
            round(wall_us + min(outage.until_s, observed.ended_s) * 1e6),
        )
        for outage in observed.outages
        if outage.loses_store
    ]


def _granted(one: Tried) -> Operation:
    """A hold that was told; where it is over by now, or being paid for, the answer says only that."""
    paper = one.paper
    assert paper is not None  # noqa: S101 - asked by the caller
    told, until_ms = Answer.DONE, paper.until_ms
    if paper.state != HELD:
        told = Answer.GONE if paper.state in OVER else Answer.REFUSED
    return Operation(
        Act.HOLD, paper.id, one.buyer, paper.seats, one.asked_us, one.answered_us, told, until_ms
    )  # fmt: skip


def _acts(shop: Shop, event: str, seats_of: dict[str, tuple[int, ...]]) -> Iterator[Operation]:
    by_act: dict[tuple[str, Act], list[Acted]] = defaultdict(list)
    for one in shop.acted:
        if one.event == event:
            by_act[one.hold, one.act].append(one)
    for (hold, act), acts in by_act.items():
        seats = seats_of.get(hold, ())
        for one in _once(acts) if act in ENDED_ONCE else acts:
            yield _acted(one, seats)


def _once(acts: Sequence[Acted]) -> Sequence[Acted]:
    """Make one act of several that want the same end, where one of them was told that it is done."""
    done = [one for one in acts if one.is_done]
    if not done:
        return acts
    told = min(done, key=lambda one: one.answered_us or 0)
    return [told._replace(asked_us=min(one.asked_us for one in acts))]


def _acted(one: Acted, seats: tuple[int, ...]) -> Operation:
    answer: Answer | None = Answer.REFUSED
    if one.is_lost:
        answer = None
    elif one.is_done:
        answer = Answer.DONE
    elif one.status == 404 or (one.status == 410 and one.state in OVER):
        answer = Answer.GONE
    elif one.act is Act.RESERVE:
        answer = None  # a reservation that failed may have given the seats back
    until_ms = one.paper.until_ms if one.paper is not None else None
    returned_us = one.answered_us if answer is not None else None
    return Operation(one.act, one.hold, one.buyer, seats, one.asked_us, returned_us, answer, until_ms)


def _begins_us(record: Record) -> int:
    match record:
        case Operation():
            return record.called_us
        case Loss():
            return record.from_us
        case _:
            return record.at_us


def write_records(observed: Observed, path: Path) -> list[Path]:
    """Write a file for each event that somebody wanted; where there are several, the event stands in its name."""
    events = {event: records(observed, event) for event in observed.shop.halls if _is_wanted(observed, event)}
    written = []
    for event, found in events.items():
        own = path if len(events) == 1 else path.with_stem(f"{path.stem}-{event}")
        own.write_bytes(b"".join(map(write, found)))
        written.append(own)
    return written


def _is_wanted(observed: Observed, event: str) -> bool:
    return any(one.event == event for one in observed.shop.tried) or event in observed.shop.looks
