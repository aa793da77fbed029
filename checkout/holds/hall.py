"""Hold: seats put aside for one buyer, all or none, for a limited time.

Each function is one transition of a hall; the file of the same name in ``lua/`` does the same in the store with the
same words, and ``tests/checkout/holds/test_holds_agree.py`` proves that they agree.

What always holds (the tests check it after every step):

* the counts of all statuses add up to the capacity;
* a seat has an owner exactly when it is HELD or RESERVED. A seat that is SOLD has none: who bought it is SQL's to say,
  and the record of the hold is forgotten ten minutes after;
* a buyer's number is the seats held, reserved and bought, and never above the limit that was asked with a hold;
* a hold has all of its seats or none, and its fence is higher than that of any hold before it in the same epoch.

A hold is alive while ``now_ms < until_ms``. What is over is freed by the first who wants one of its seats (*lazy
expiry*) and by the sweeper, whichever comes first; so nothing depends on the sweeper but the look of the map. A seat
goes back to where it came from (``back``): an allocation's to BLOCKED; any other to FREE, or to KEPT
while people wait for seats. Time never goes back: ``last_ms`` of the last change counts if it is later.

Not here: who may hold what, and when (``holds.service``); which seats are best (``holds.best``); SQL
(``sales.service``).
"""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, replace

from checkout.halls.deltas import RESET, write
from checkout.halls.seats import Status, status, tier
from checkout.holds.answers import (
    Ask,
    Busy,
    Closed,
    Differs,
    Expired,
    Extended,
    ExtendOutcome,
    Few,
    Gone,
    Held,
    HeldAgain,
    HoldOutcome,
    HoldRecord,
    HoldState,
    Limit,
    Loaded,
    LoadOutcome,
    Marked,
    MarkOutcome,
    Newer,
    NotYours,
    Pinned,
    PinOutcome,
    Places,
    Released,
    ReleaseOutcome,
    Settled,
    SettleOutcome,
    Taken,
)

FORGET_MS = 600_000
"""So long the record of a hold that is over is kept."""

LAZY_MOST = 100
"""Before a hold is refused for the limit or for want of places, so many holds that are over are freed."""

BUSY_TOLD = 100


@dataclass(frozen=True, slots=True)
class Note:
    """What SQL must hear of a hold."""

    what: str
    id: bytes
    record: HoldRecord


@dataclass(frozen=True, slots=True)
class Hall:
    """An event's seats, who has them, and what was told about it so far."""

    map: bytes
    epoch: int = 1
    fence: int = 0
    last_ms: int = 0
    is_open: bool = True
    waiting: bool = False
    holds: Mapping[bytes, HoldRecord] = field(default_factory=dict)
    bought: Mapping[str, int] = field(default_factory=dict)
    deltas: tuple[str, ...] = ()
    journal: tuple[Note, ...] = ()

    def live_of(self, buyer: str) -> dict[bytes, HoldRecord]:
        """Return a buyer's holds that have seats."""
        return {id_: record for id_, record in self.holds.items() if record.buyer == buyer and record.is_live}

    def has(self, buyer: str) -> int:
        """Count the seats that a buyer holds, has reserved, or has bought."""
        return self.bought.get(buyer, 0) + sum(len(record.seats) for record in self.live_of(buyer).values())

    def owner(self) -> dict[int, bytes]:
        """Return the hold of each seat that has one."""
        return {seat: id_ for id_, record in self.holds.items() if record.is_live for seat, _ in record.seats}

    def expiry(self) -> dict[bytes, int]:
        """Return when each hold must be looked at: at its end, or when it is to be forgotten."""
        return {
            id_: record.until_ms if record.is_live else record.until_ms + FORGET_MS
            for id_, record in self.holds.items()
        }


def hold(hall: Hall, ask: Ask, now_ms: int) -> tuple[Hall, HoldOutcome]:
    """Put seats aside for a buyer, all of them or none."""
    now_ms = max(now_ms, hall.last_ms)
    known = hall.holds.get(ask.id)
    if known is not None:
        if known.buyer != ask.buyer or known.body not in {ask.body, "-"}:
            return hall, Differs()
        hall = _lapsed(hall, [ask.id], now_ms)
        own = hall.holds[ask.id]
        return hall, HeldAgain(
            own.state,
            own.fence,
            own.until_ms,
            own.epoch,
            own.seats,
            own.price_version,
            own.currency,
            own.extended,
        )
    if not hall.is_open:
        return hall, Closed()
    wanted = sorted(ask.wanted.seats)
    owner = hall.owner()
    hall = _lapsed(hall, dict.fromkeys(owner[seat] for seat in wanted if seat in owner), now_ms)
    if hall.has(ask.buyer) + ask.wanted.count > ask.max_per_buyer:
        hall, _ = _swept(hall, LAZY_MOST, now_ms)
        if hall.has(ask.buyer) + ask.wanted.count > ask.max_per_buyer:
            return hall, Limit(hall.has(ask.buyer), ask.max_per_buyer)
    taken = tuple((seat, _told(hall, seat)) for seat in wanted if not _is_to_be_had(hall, seat, ask.back))
    if taken:
        return hall, Taken(taken)

    chosen = list(wanted)
    for first, last, count in ask.wanted.ranges:
        found = _picked(hall, ask.back, first, last, count, chosen)
        if len(found) < count:
            hall, _ = _swept(hall, LAZY_MOST, now_ms)
            found = _picked(hall, ask.back, first, last, count, chosen)
            if len(found) < count:
                return hall, Few(len(found))
        chosen += found
    seats = tuple((seat, tier(hall.map[seat])) for seat in sorted(chosen))
    record = HoldRecord(
        state=HoldState.HELD,
        fence=hall.fence + 1,
        epoch=hall.epoch,
        until_ms=now_ms + ask.ttl_ms,
        end_ms=0,
        extended=False,
        back=ask.back,
        price_version=ask.price_version,
        currency=ask.currency,
        buyer=ask.buyer,
        body=ask.body,
        seats=seats,
    )
    hall = _moved(replace(hall, fence=record.fence), seats, Status.HELD)
    return _kept(hall, "held", ask.id, record, now_ms), Held(
        record.fence, record.until_ms, record.epoch, seats
    )


def extend(hall: Hall, id_: bytes, buyer: str, ttl_ms: int, now_ms: int) -> tuple[Hall, ExtendOutcome]:
    """Move the end of a hold, once."""
    now_ms = max(now_ms, hall.last_ms)
    hall, record = _own(hall, id_, buyer, now_ms)
    if not isinstance(record, HoldRecord):
        return hall, record
    if record.state is not HoldState.HELD:
        return hall, Gone(record.state)
    if record.extended:
        return hall, Extended(record.until_ms, again=True)
    record = replace(record, until_ms=record.until_ms + ttl_ms, extended=True)
    return _kept(hall, "extended", id_, record, now_ms), Extended(record.until_ms)


def release(hall: Hall, id_: bytes, buyer: str, now_ms: int) -> tuple[Hall, ReleaseOutcome]:
    """Give the seats of a hold back."""
    now_ms = max(now_ms, hall.last_ms)
    hall, record = _own(hall, id_, buyer, now_ms)
    if not isinstance(record, HoldRecord):
        return hall, record
    if record.state is not HoldState.HELD:
        return hall, Gone(record.state)
    hall, changes = _let_go(hall, id_, HoldState.RELEASED, "released", now_ms)
    return _told_of(hall, changes, now_ms), Released()


def expire(hall: Hall, most: int, now_ms: int) -> tuple[Hall, Expired]:
    """Free the holds that are over, and forget those that were over long ago."""
    return _swept(hall, most, max(now_ms, hall.last_ms))


def pin(
    hall: Hall, id_: bytes, buyer: str, grace_ms: int, longest_ms: int, now_ms: int
) -> tuple[Hall, PinOutcome]:
    """Keep the seats of a hold while SQL decides."""
    now_ms = max(now_ms, hall.last_ms)
    hall, record = _own(hall, id_, buyer, now_ms)
    if not isinstance(record, HoldRecord):
        return hall, record
    if not record.is_live:
        return hall, Gone(record.state)
    again = record.state is HoldState.PINNED
    if not again:
        until_ms = min(record.until_ms + grace_ms, now_ms + longest_ms)
        record = replace(record, state=HoldState.PINNED, end_ms=record.until_ms, until_ms=until_ms)
        hall = _moved(hall, record.seats, Status.RESERVED)
        hall = _kept(hall, "pinned", id_, record, now_ms)
    return hall, Pinned(
        record.fence,
        record.until_ms,
        record.epoch,
        record.price_version,
        record.seats,
        record.currency,
        again,
    )


def settle(hall: Hall, id_: bytes, to: str, now_ms: int) -> tuple[Hall, SettleOutcome]:
    """Do with a hold what SQL has decided, even if its time is over."""
    now_ms = max(now_ms, hall.last_ms)
    record = hall.holds.get(id_)
    if record is None:
        return hall, Gone(HoldState.UNKNOWN)
    if not record.is_live:
        return hall, Gone(record.state)
    if to == "back":
        hall, changes = _let_go(hall, id_, HoldState.RELEASED, "settled", now_ms)
        return _told_of(hall, changes, now_ms), Settled()
    if to == "sold":
        bought = {**hall.bought, record.buyer: hall.bought.get(record.buyer, 0) + len(record.seats)}
        hall = _moved(replace(hall, bought=bought), record.seats, Status.SOLD)
        record = replace(record, state=HoldState.SOLD, until_ms=now_ms, end_ms=0)
    elif record.state is HoldState.PINNED:
        hall = _moved(hall, record.seats, Status.HELD)
        record = replace(record, state=HoldState.HELD, until_ms=record.end_ms, end_ms=0)
    else:
        return replace(hall, last_ms=now_ms), Settled()
    return _kept(hall, "settled", id_, record, now_ms), Settled()


def reclaim(hall: Hall, buyer: str, back: Status, seats: Iterable[int], now_ms: int) -> tuple[Hall, Marked]:
    """Free seats that were sold and came back; those of an allocation are blocked again. Others are left alone."""
    to = _returned(hall, back)
    changes = {
        seat: hall.map[seat] & 0xF0 | to
        for seat in sorted(set(seats))
        if seat < len(hall.map) and status(hall.map[seat]) is Status.SOLD
    }
    bought = dict(hall.bought)
    if left := bought.get(buyer, 0):
        bought[buyer] = max(left - len(changes), 0)
        if not bought[buyer]:
            del bought[buyer]
    now_ms = max(now_ms, hall.last_ms)
    return _told_of(replace(hall, bought=bought), changes, now_ms), Marked(len(changes))


def mark(hall: Hall, act: str, value: int, seats: Iterable[int], now_ms: int) -> tuple[Hall, MarkOutcome]:
    """Block free seats, free blocked ones, or put seats into another tier: all of them, or none."""
    wanted = sorted(set(seats))
    needs = {"block": Status.FREE, "unblock": Status.BLOCKED}.get(act)
    inside = {seat for seat in wanted if seat < len(hall.map)}
    busy = [s for s in wanted if s not in inside or (needs is not None and status(hall.map[s]) != needs)]
    if busy:
        return hall, Busy(tuple(busy[:BUSY_TOLD]))
    to = Status.BLOCKED if act == "block" else _returned(hall, Status.FREE)
    changes = {
        seat: value << 4 | old & 15 if act == "tier" else old & 0xF0 | to
        for seat, old in ((seat, hall.map[seat]) for seat in wanted)
    }
    return _told_of(hall, changes, max(now_ms, hall.last_ms)), Marked(len(wanted))


def load(
    hall: Hall,
    epoch: int,
    hall_map: bytes,
    records: Mapping[bytes, HoldRecord],
    bought: Mapping[str, int],
    now_ms: int,
) -> tuple[Hall, LoadOutcome]:
    """Replace the map and the holds: after a loss, at first opening, after a move. The streams stay."""
    if hall.epoch >= epoch:
        return hall, Newer(hall.epoch)
    return Hall(
        map=hall_map,
        epoch=epoch,
        fence=max(hall.fence, *(record.fence for record in records.values()), 0),
        last_ms=max(now_ms, hall.last_ms),
        holds=dict(records),
        bought={buyer: seats for buyer, seats in bought.items() if seats},
        deltas=(*hall.deltas, RESET),
        journal=hall.journal,
    ), Loaded(epoch)


def waits(hall: Hall, waiting: bool, most: int, now_ms: int) -> tuple[Hall, int]:
    """Say whether anybody waits for seats; when nobody does, the kept ones are free."""
    kept = sorted((old, seat) for seat, old in enumerate(hall.map) if status(old) is Status.KEPT)
    freed = {} if waiting else {seat: old & 0xF0 | Status.FREE for old, seat in kept[:most]}
    return _told_of(replace(hall, waiting=waiting), freed, max(now_ms, hall.last_ms)), len(freed)


def _own(hall: Hall, id_: bytes, buyer: str, now_ms: int) -> tuple[Hall, HoldRecord | Gone | NotYours]:
    """Find a buyer's hold as it stands now: what is over is freed first."""
    if id_ not in hall.holds:
        return hall, Gone(HoldState.UNKNOWN)
    if hall.holds[id_].buyer != buyer:
        return hall, NotYours()
    hall = _lapsed(hall, [id_], now_ms)
    return hall, hall.holds[id_]


def _is_due(record: HoldRecord, now_ms: int) -> bool:
    return record.is_live and record.until_ms <= now_ms


def _told(hall: Hall, seat: int) -> Status:
    return status(hall.map[seat]) if seat < len(hall.map) else Status.BLOCKED


def _is_to_be_had(hall: Hall, seat: int, back: Status) -> bool:
    """Tell whether a hold may take a seat: one of its own kind, and of the free ones if it is an offer."""
    if seat >= len(hall.map):
        return False
    now = status(hall.map[seat])
    return now is back or (back is Status.KEPT and now is Status.FREE)


def _picked(hall: Hall, back: Status, first: int, last: int, count: int, but: list[int]) -> list[int]:
    """Choose the lowest places of a range, tier by tier; kept ones first for whom they are kept."""
    order: Callable[[int], tuple[bool, int, int]] = lambda seat: (  # noqa: E731
        status(hall.map[seat]) is not back,
        tier(hall.map[seat]),
        seat,
    )
    inside = (seat for seat in range(first, min(last + 1, len(hall.map))) if seat not in but)
    return sorted((seat for seat in inside if _is_to_be_had(hall, seat, back)), key=order)[:count]


def _returned(hall: Hall, back: Status) -> Status:
    if back is Status.BLOCKED:
        return back
    return Status.KEPT if hall.waiting else Status.FREE


def _let_go(hall: Hall, id_: bytes, word: HoldState, what: str, now_ms: int) -> tuple[Hall, dict[int, int]]:
    """End a hold and say how its seats change; telling it is the caller's."""
    record = hall.holds[id_]
    to = _returned(hall, record.back)
    changes = {seat: hall.map[seat] & 0xF0 | to for seat, _ in record.seats}
    record = replace(record, state=word, until_ms=now_ms, end_ms=0)
    journal = (*hall.journal, Note(what, id_, record))
    return replace(hall, holds={**hall.holds, id_: record}, journal=journal), changes


def _lapsed(hall: Hall, ids: Iterable[bytes], now_ms: int) -> Hall:
    """Free those of the holds that are over."""
    changes: dict[int, int] = {}
    for id_ in ids:
        if _is_due(hall.holds[id_], now_ms):
            hall, more = _let_go(hall, id_, HoldState.EXPIRED, "expired", now_ms)
            changes |= more
    return _told_of(hall, changes, now_ms) if changes else hall


def _swept(hall: Hall, most: int, now_ms: int) -> tuple[Hall, Expired]:
    due = sorted((at_ms, id_) for id_, at_ms in hall.expiry().items() if at_ms <= now_ms)[:most]
    freed, changes = 0, dict[int, int]()
    for _, id_ in due:
        if hall.holds[id_].is_live:
            hall, more = _let_go(hall, id_, HoldState.EXPIRED, "expired", now_ms)
            changes |= more
            freed += 1
        else:
            hall = replace(hall, holds={other: r for other, r in hall.holds.items() if other != id_})
    if due:
        hall = _told_of(hall, changes, now_ms)
    return hall, Expired(freed, len(changes), len(due) == most)


def _moved(hall: Hall, seats: Places, to: Status) -> Hall:
    changes = {seat: hall.map[seat] & 0xF0 | to for seat, _ in seats}
    return _told_of(hall, changes, hall.last_ms)


def _kept(hall: Hall, what: str, id_: bytes, record: HoldRecord, now_ms: int) -> Hall:
    """Keep a record and tell SQL."""
    journal = (*hall.journal, Note(what, id_, record))
    return replace(hall, last_ms=now_ms, holds={**hall.holds, id_: record}, journal=journal)


def _told_of(hall: Hall, changes: Mapping[int, int], now_ms: int) -> Hall:
    """Change seats and tell the viewers."""
    hall_map = bytearray(hall.map)
    for seat, byte in changes.items():
        hall_map[seat] = byte
    deltas = (*hall.deltas, write(changes)) if changes else hall.deltas
    return replace(hall, map=bytes(hall_map), deltas=deltas, last_ms=now_ms)
