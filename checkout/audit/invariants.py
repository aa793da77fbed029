"""Invariant: what must be true of a sale, whatever crashed, told from plain rows and records.

* **I1** a seat has at most one active sale; and what a reservation says, its seats say too, and the store after them.
* **I2** each seat's answers are those of a register that holds one hold at a time (``history``).
* **I6** the log of the event's sales is as it was written, and the tables are what it comes to (``audit.checking``
  asks ``eventlog`` and ``sales.replaying``).
* **I8** free, held, reserved, sold, blocked and kept seats add up to the capacity, in every snapshot.
* **I9** nobody has more seats at one time than the limit.
* **I10** a snapshot and the deltas after it are the server's state.

docs/invariants.md says of each why, and what a finding means. Nothing here shares a line with what it checks: deltas
are read and applied by a second implementation. What compares SQL with the store needs quiescence: no request
under way, every journal written, every end swept. Not here: how rows are read (``audit.checking``).
"""

import re
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from checkout.audit.history import unexplained
from checkout.audit.records import US_PER_MS, Act, Answer, Delta, Loss, Operation, Record, Snapshot
from checkout.halls.seats import HOLD_ID_BYTES, Status

TOLD = 10
"""Seats that a sentence names; the evidence has all."""

STANDS = frozenset({"active", "sold"})
_NOBODY = bytes(HOLD_ID_BYTES)
_LOW_NIBBLE = bytes(value & 0x0F for value in range(256))
_VERSION = re.compile(r"(\d+):(\d+)-(\d+)")
_CHANGE = re.compile(r"(\d+)(?:\+(\d+))?=([0-9a-f]{2})")

Version = tuple[int, int, int]


@dataclass(frozen=True, slots=True)
class Violation:
    """What is not true, in a sentence, and the rows and records that show it."""

    invariant: str
    sentence: str
    evidence: tuple[object, ...] = ()


@dataclass(frozen=True, slots=True)
class Seat:
    """A row of ``seats``."""

    seat: int
    status: int
    reservation: str | None


@dataclass(frozen=True, slots=True)
class Reservation:
    """A row of ``reservations``, with the seats of it that are active."""

    id: str
    buyer: str
    hold: str
    state: str
    total_minor: int
    seats: tuple[int, ...]
    sum_minor: int
    """What all its seats cost together, active or not."""


@dataclass(frozen=True, slots=True)
class Books:
    """What SQL says of one event."""

    max_per_buyer: int
    seats: tuple[Seat, ...]
    reservations: tuple[Reservation, ...]
    holds: Mapping[str, tuple[int, ...]] = field(default_factory=dict)
    """The holds of the journal with their seats, live or over."""


@dataclass(frozen=True, slots=True)
class KeptHold:
    """A hold that the store keeps a record of."""

    buyer: str
    is_live: bool
    seats: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Stock:
    """What the store says of one event, read at one moment."""

    version: str
    map: bytes
    owner: bytes
    counts: tuple[int, ...]
    capacity: int
    holds: Mapping[bytes, KeptHold]
    due: frozenset[bytes]
    """Ids in the list of ends."""
    buyers: Mapping[str, int]


# ------------------------------------------------------------------------------------ I1


def sold_once(books: Books) -> list[Violation]:
    """I1: no seat is in two active sales, and every sale has exactly its seats."""
    found = []
    sales: dict[int, list[str]] = defaultdict(list)
    for sale in books.reservations:
        for seat in sale.seats:
            sales[seat].append(sale.id)
    for seat, ids in sorted(sales.items()):
        if len(ids) > 1:
            found.append(Violation("I1", f"seat {seat} is in {len(ids)} active sales", (seat, *ids)))
    says: dict[str, list[Seat]] = defaultdict(list)
    known = {sale.id for sale in books.reservations}
    for row in books.seats:
        if row.reservation is not None:
            says[row.reservation].append(row)
            if row.reservation not in known:
                sentence = f"seat {row.seat} names reservation {row.reservation}, which is not there"
                found.append(Violation("I1", sentence, (row,)))
        if (row.reservation is not None) != (row.status in {Status.RESERVED, Status.SOLD}):
            sentence = f"seat {row.seat} has status {row.status} and reservation {row.reservation}"
            found.append(Violation("I1", sentence, (row,)))
    for sale in books.reservations:
        found += _of_sale(sale, says[sale.id])
    return found


def _of_sale(sale: Reservation, says: Sequence[Seat]) -> list[Violation]:
    found = []
    stands = sale.state in STANDS
    if stands and not sale.seats:
        found.append(
            Violation("I1", f"reservation {sale.id} is {sale.state} and has no active seat", (sale,))
        )
    if not stands and sale.seats:
        sentence = f"reservation {sale.id} is {sale.state} and still has active seats"
        found.append(Violation("I1", sentence, (sale,)))
    if set(sale.seats) != {row.seat for row in says}:
        sentence = f"reservation {sale.id} has other seats than the seats that name it"
        found.append(Violation("I1", sentence, (sale, *says)))
    if sale.sum_minor != sale.total_minor:
        sentence = f"reservation {sale.id} costs {sale.total_minor}, its seats {sale.sum_minor} (minor units)"
        found.append(Violation("I1", sentence, (sale,)))
    wanted = Status.SOLD if sale.state == "sold" else Status.RESERVED
    other = [row for row in says if row.status != wanted]
    if stands and other:
        sentence = f"reservation {sale.id} is {sale.state}, but not all its seats are"
        found.append(Violation("I1", sentence, (sale, *other)))
    return found


def store_agrees(books: Books, stock: Stock) -> list[Violation]:
    """I1 at quiescence: what is RESERVED or SOLD in the store is what SQL says."""
    found = []
    for status in (Status.RESERVED, Status.SOLD):
        ours = {seat for seat, byte in enumerate(stock.map) if byte & 0x0F == status}
        theirs = {row.seat for row in books.seats if row.status == status}
        if ours != theirs:
            only_ours, only_theirs = tuple(sorted(ours - theirs)), tuple(sorted(theirs - ours))
            sentence = (
                f"{status.name}: {_some(only_ours)} only in the store, {_some(only_theirs)} only in SQL"
            )
            found.append(Violation("I1", sentence, (only_ours, only_theirs)))
    return found


# ------------------------------------------------------------------------------------ I2


def held_once(records: Iterable[Record], books: Books | None = None) -> list[Violation]:
    """I2: each seat's answers have an order that one register explains.

    Holds that SQL knows and no client tells of (an offer of the waitlist, a client that was lost) may have happened at
    any time.
    """
    records = list(records)
    operations = [record for record in records if isinstance(record, Operation)]
    known = {operation.hold for operation in operations}
    for hold, seats in (books.holds if books else {}).items():
        if hold not in known:
            operations.append(Operation(Act.HOLD, hold, "", seats, 0, None, None))
    losses = [record for record in records if isinstance(record, Loss)]
    return [Violation("I2", fault.sentence, fault.operations) for fault in unexplained(operations, losses)]


def owners_agree(stock: Stock) -> list[Violation]:
    """I2 in the store: a seat has an owner exactly when it is held or reserved, and that hold has it too."""
    found = []
    if len(stock.owner) != len(stock.map) * HOLD_ID_BYTES:
        sentence = f"there are {len(stock.map)} seats and {len(stock.owner)} bytes of owners"
        return [Violation("I2", sentence)]
    has: dict[bytes, set[int]] = defaultdict(set)
    for seat, byte in enumerate(stock.map):
        owner = stock.owner[seat * HOLD_ID_BYTES : (seat + 1) * HOLD_ID_BYTES]
        is_owned = byte & 0x0F in {Status.HELD, Status.RESERVED}
        if is_owned != (owner != _NOBODY):
            sentence = f"seat {seat} has status {byte & 0x0F} and owner {owner.hex()}"
            found.append(Violation("I2", sentence, (seat, byte, owner)))
        if owner != _NOBODY:
            has[owner].add(seat)
    live = {id_ for id_, hold in stock.holds.items() if hold.is_live}
    for id_ in sorted(live | has.keys()):
        hold = stock.holds.get(id_)
        seats = set(hold.seats) if hold is not None and hold.is_live else set()
        if seats != has.get(id_, set()):
            by_map = _some(sorted(has.get(id_, ())))
            sentence = f"hold {id_.hex()} has {_some(sorted(seats))} by its record, {by_map} by the map"
            found.append(Violation("I2", sentence, (id_, hold)))
        if id_ in live and id_ not in stock.due:
            found.append(Violation("I2", f"hold {id_.hex()} is live and will never end", (id_, hold)))
    return found


# ------------------------------------------------------------------------------------ I8


def adds_up(records: Iterable[Record], stock: Stock | None, capacity: int) -> list[Violation]:
    """I8: every snapshot has all the seats, each with a status; its counts are those of its map."""
    found = []
    for record in records:
        if isinstance(record, Snapshot):
            who = f"the snapshot {record.version} of {record.at_us / US_PER_MS:.3f} ms"
            found += _counted(who, record.map, record.counts, capacity, record)
    if stock is not None:
        found += _counted("the store's map", stock.map, stock.counts, capacity, stock.version)
        if stock.capacity != capacity:
            sentence = f"the store's head says {stock.capacity} seats, not {capacity}"
            found.append(Violation("I8", sentence, (stock.capacity,)))
    return found


def _counted(
    who: str, octets: bytes, counts: Sequence[int] | None, capacity: int, evidence: object
) -> list[Violation]:
    found = []
    if len(octets) != capacity:
        found.append(Violation("I8", f"{who} has {len(octets)} seats, not {capacity}", (evidence,)))
    plain = octets.translate(_LOW_NIBBLE)
    tally = [plain.count(value) for value in range(16)]
    if strange := [value for value in range(len(Status), 16) if tally[value]]:
        found.append(Violation("I8", f"{who} has seats of no known status: {strange}", (evidence,)))
    if counts is not None:
        if sum(counts) != capacity:
            sentence = f"{who} counts {list(counts)}, which is {sum(counts)} and not {capacity}"
            found.append(Violation("I8", sentence, (evidence,)))
        if list(counts) != tally[: len(Status)]:
            sentence = f"{who} counts {list(counts)}, its map {tally[: len(Status)]}"
            found.append(Violation("I8", sentence, (evidence,)))
    return found


# ------------------------------------------------------------------------------------ I9


def within_limits(
    records: Iterable[Record], books: Books | None, stock: Stock | None, most: int
) -> list[Violation]:
    """I9: no buyer surely has more than `most` seats at one time; and the store's own sums are right."""
    records = list(records)
    losses = [record.from_us for record in records if isinstance(record, Loss)]
    spans = _surely_had([record for record in records if isinstance(record, Operation)], losses)
    edges: dict[str, list[tuple[float, int, str]]] = defaultdict(list)
    for buyer, hold, from_us, until_us, seats in spans:
        edges[buyer] += [(from_us, seats, hold), (until_us, -seats, hold)]
    found = []
    for buyer, points in sorted(edges.items()):
        now, has = 0, set[str]()
        # At the same moment an end comes before a beginning: a hold is alive until just before its end.
        for at_us, seats, hold in sorted(points, key=lambda point: (point[0], point[1])):
            now += seats
            (has.add if seats > 0 else has.discard)(hold)
            if now > most:
                sentence = f"buyer {buyer} had {now} seats at {at_us / US_PER_MS:.3f} ms; the limit is {most}"
                found.append(Violation("I9", sentence, tuple(sorted(has))))
                break
    for who, sums in (("SQL", _bought(books)), ("the store", _held(stock))):
        for buyer, seats in sorted(sums.items()):
            if seats > most:
                found.append(
                    Violation("I9", f"buyer {buyer} has {seats} seats in {who}; the limit is {most}")
                )
    return found


def sums_agree(books: Books, stock: Stock) -> list[Violation]:
    """I9 at quiescence: the number that limits a buyer is what the buyer holds and has bought."""
    own = Counter(_held(stock))
    for sale in books.reservations:
        if sale.state == "sold":
            own[sale.buyer] += len(sale.seats)
    return [
        Violation("I9", f"buyer {buyer} counts as {stock.buyers.get(buyer, 0)} seats and has {own[buyer]}")
        for buyer in sorted(own.keys() | stock.buyers.keys())
        if own[buyer] != stock.buyers.get(buyer, 0)
    ]


def _surely_had(
    operations: list[Operation], losses: list[int]
) -> Iterable[tuple[str, str, float, float, int]]:
    """Yield (buyer, hold, from, until, seats): the time in which the buyer had them in any possible order."""
    by_hold: dict[str, list[Operation]] = defaultdict(list)
    for operation in operations:
        by_hold[operation.hold].append(operation)
    for hold, own in by_hold.items():
        told = [op for op in own if op.answer is Answer.DONE and op.until_ms is not None]
        granted = [op for op in told if op.act is Act.HOLD]
        if not granted:
            continue
        first = min(granted, key=lambda op: op.returned_us or 0)
        # An extension that succeeded, however late its answer came, tells that the hold was alive all along.
        until_us: float = max(op.until_ms or 0 for op in told) * US_PER_MS
        over = [op.called_us for op in own if _may_end(op)]
        lost = [at_us for at_us in losses if at_us >= first.called_us]
        until_us = min([until_us, *over, *lost])
        from_us = first.returned_us or 0
        if from_us < until_us:
            yield first.buyer, hold, from_us, until_us, len(first.seats)


def _may_end(operation: Operation) -> bool:
    """Tell whether the hold may be over from the call on: given up, told to be over, or paid for in vain."""
    return (
        operation.act in {Act.RELEASE, Act.CANCEL}
        or operation.answer is Answer.GONE
        or (operation.act is Act.RESERVE and operation.answer is None)
    )


def _bought(books: Books | None) -> Mapping[str, int]:
    sums: Counter[str] = Counter()
    for sale in books.reservations if books else ():
        if sale.state in STANDS:
            sums[sale.buyer] += len(sale.seats)
    return sums


def _held(stock: Stock | None) -> Mapping[str, int]:
    sums: Counter[str] = Counter()
    for hold in stock.holds.values() if stock else ():
        if hold.is_live:
            sums[hold.buyer] += len(hold.seats)
    return sums


# ----------------------------------------------------------------------------------- I10


def followed(records: Iterable[Record], stock: Stock | None) -> list[Violation]:
    """I10: whoever took a snapshot and then each delta has, at each version, the map that others have.

    A delta that the viewer has already is passed over. A viewer's log must end at the store's version.
    """
    records = list(records)
    found: list[Violation] = []
    maps: dict[str, tuple[str, bytes]] = {}
    if stock is not None:
        maps[stock.version] = ("the store", stock.map)
    logs: dict[str, list[Snapshot | Delta]] = defaultdict(list)
    for record in records:
        if isinstance(record, Snapshot):
            who, octets = maps.setdefault(
                record.version, (f"snapshot of {record.viewer or 'a poll'}", record.map)
            )
            if octets != record.map:
                found.append(_apart(record.version, who, octets, "another snapshot", record.map))
        if isinstance(record, Snapshot | Delta) and record.viewer:
            logs[record.viewer].append(record)
    for viewer, log in sorted(logs.items()):
        fault = _replay(viewer, log, maps, stock.version if stock else None)
        if fault is not None:
            found.append(fault)
    return found


def _replay(
    viewer: str,
    log: Sequence[Snapshot | Delta],
    maps: Mapping[str, tuple[str, bytes]],
    last: str | None,
) -> Violation | None:
    octets, version = bytearray(), None
    for record in log:
        at = _version(record.version)
        if at is None:
            return Violation("I10", f"{viewer} was told the version {record.version!r}", (record,))
        if isinstance(record, Snapshot):
            octets, version = bytearray(record.map), at
        elif record.changed == "reset":
            octets, version = bytearray(), None
        elif version is None:
            # Between a reset and the new snapshot deltas mean nothing to the viewer.
            continue
        elif at[0] != version[0]:
            sentence = f"{viewer} went from epoch {version[0]} to {at[0]} without a new snapshot"
            return Violation("I10", sentence, (record,))
        elif at > version:
            if not _apply(octets, record.changed):
                return Violation("I10", f"{viewer} was told {record.changed!r}", (record,))
            version = at
        known = maps.get(f"{at[0]}:{at[1]}-{at[2]}")
        if version == at and known is not None and known[1] != octets:
            return _apart(record.version, known[0], known[1], viewer, bytes(octets))
    if last is not None and (version is None or _version(last) != version):
        told = "nothing" if version is None else "{}:{}-{}".format(*version)
        return Violation("I10", f"{viewer} ends with {told}, the store is at {last}", tuple(log[-2:]))
    return None


def _apart(version: str, who: str, octets: bytes, other: str, others: bytes) -> Violation:
    seats = [seat for seat, (one, two) in enumerate(zip(octets, others, strict=False)) if one != two]
    sentence = f"at {version} {who} and {other} differ in {_some(seats)}"
    evidence = tuple((seat, octets[seat], others[seat]) for seat in seats) or (len(octets), len(others))
    return Violation("I10", sentence, evidence)


def _version(text: str) -> Version | None:
    found = _VERSION.fullmatch(text)
    return None if found is None else (int(found[1]), int(found[2]), int(found[3]))


def _apply(octets: bytearray, changed: str) -> bool:
    for part in changed.split(","):
        found = _CHANGE.fullmatch(part)
        if found is None:
            return False
        first, count, byte = int(found[1]), int(found[2] or 1), int(found[3], 16)
        if count < 1 or first + count > len(octets):
            return False
        octets[first : first + count] = bytes([byte]) * count
    return True


def _some(seats: Sequence[int]) -> str:
    if not seats:
        return "no seat"
    told = ", ".join(map(str, seats[:TOLD])) + (", …" if len(seats) > TOLD else "")
    return f"{'seat' if len(seats) == 1 else 'seats'} {told}"
