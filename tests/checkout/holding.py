"""A hall to test: a small one, in a real store, read back as the rules know it."""

from dataclasses import dataclass, replace
from typing import Any

from redis.asyncio import Redis

from checkout.halls.deltas import RESET
from checkout.halls.seats import HOLD_ID_BYTES, Status, byte, counts
from checkout.holds.answers import Ask, HoldRecord, Wanted
from checkout.holds.hall import Hall, Note
from checkout.holds.journal import told
from checkout.holds.store import HoldStore, Keys

EVENT = "night"
NOW_MS = 1_800_000_000_000
TTL_MS, GRACE_MS, LONGEST_MS = 120_000, 60_000, 150_000
MOST = 4

TIER_OF = (0, 0, 0, 0, 1, 1, 2, 2, 3, 3, 4, 3)
EMPTY = bytes(byte(Status.FREE, tier) for tier in TIER_OF)
"""Seats 0 to 7 are chosen one by one; 8 to 11 are places of a standing section, of two tiers."""

STANDING = (8, 11)
NOBODY = bytes(HOLD_ID_BYTES)


def an_id(number: int) -> bytes:
    """Name a hold; among the bytes are some that patterns and texts trip over."""
    return bytes((number, 0, 32, 10, 37, 255, 44, number))


def ask(number: int = 1, seats: tuple[int, ...] = (0, 1), **changes: Any) -> Ask:
    """Ask for seats."""
    own = Ask(
        id=an_id(number),
        buyer="ann",
        wanted=Wanted(seats),
        ttl_ms=TTL_MS,
        max_per_buyer=MOST,
        price_version=1,
        body="body",
        currency="EUR",
    )
    return replace(own, **changes)


async def a_hall(store: HoldStore, hall_map: bytes = EMPTY, event: str = EVENT) -> Hall:
    """Open a hall for sale; returns what the rules know of it."""
    await store.load(event, 1, hall_map, now_ms=NOW_MS)
    return Hall(hall_map, last_ms=NOW_MS, deltas=(RESET,))


@dataclass(frozen=True, slots=True)
class Stored:
    """Everything that the store says of an event, in the rules' forms."""

    map: bytes
    epoch: int
    fence: int
    last_ms: int
    is_open: bool
    waiting: bool
    counts: tuple[int, ...]
    capacity: int
    owner: dict[int, bytes]
    holds: dict[bytes, HoldRecord]
    expiry: dict[bytes, int]
    buyers: dict[str, tuple[int, frozenset[bytes]]]
    deltas: tuple[str, ...]
    journal: tuple[Note, ...]


async def read(client: Redis, keys: Keys) -> Stored:
    """Read an event's keys."""
    pipe = client.pipeline(transaction=True)
    for key in (keys.map, keys.owner):
        pipe.get(key)
    for key in (keys.head, keys.holds, keys.buyers):
        pipe.hgetall(key)
    pipe.zrange(keys.expiry, 0, -1, withscores=True)
    for key in (keys.deltas, keys.journal):
        pipe.xrange(key)
    hall_map, owner, head, holds, buyers, expiry, deltas, journal = await pipe.execute()
    facts = {name.decode(): int(value) for name, value in head.items()}
    assert len(owner) == len(hall_map) * HOLD_ID_BYTES
    ids = [owner[at : at + HOLD_ID_BYTES] for at in range(0, len(owner), HOLD_ID_BYTES)]
    return Stored(
        map=hall_map,
        epoch=facts["epoch"],
        fence=facts["fence"],
        last_ms=facts["last_ms"],
        is_open=facts["open"] == 1,
        waiting=facts["waiting"] == 1,
        counts=tuple(facts[f"count:{int(one)}"] for one in Status),
        capacity=facts["seats"],
        owner={seat: id_ for seat, id_ in enumerate(ids) if id_ != NOBODY},
        holds={id_: HoldRecord.of(text) for id_, text in holds.items()},
        expiry={id_: int(at_ms) for id_, at_ms in expiry},
        buyers={name.decode(): _buyer(value) for name, value in buyers.items()},
        deltas=tuple(fields[b"d"].decode() for _, fields in deltas),
        journal=tuple(_note(fields) for _, fields in journal),
    )


def known(hall: Hall) -> Stored:
    """Say what the store must hold for a hall, if it agrees with the rules."""
    names = {record.buyer for record in hall.holds.values()} | set(hall.bought)
    return Stored(
        map=hall.map,
        epoch=hall.epoch,
        fence=hall.fence,
        last_ms=hall.last_ms,
        is_open=hall.is_open,
        waiting=hall.waiting,
        counts=counts(hall.map),
        capacity=len(hall.map),
        owner=hall.owner(),
        holds=dict(hall.holds),
        expiry=hall.expiry(),
        buyers={name: (hall.has(name), frozenset(hall.live_of(name))) for name in names if hall.has(name)},
        deltas=hall.deltas,
        journal=hall.journal,
    )


def replayed(start: bytes, deltas: tuple[str, ...]) -> bytes:
    """Play deltas on a map, as a viewer does."""
    seats = bytearray(start)
    for text in deltas:
        for item in text.split(","):
            where, _, value = item.partition("=")
            first, _, count = where.partition("+")
            for seat in range(int(first), int(first) + int(count or 1)):
                seats[seat] = int(value, 16)
    return bytes(seats)


def _buyer(value: bytes) -> tuple[int, frozenset[bytes]]:
    count, _, ids = value.partition(b" ")
    assert len(ids) % HOLD_ID_BYTES == 0
    return int(count), frozenset(ids[at : at + HOLD_ID_BYTES] for at in range(0, len(ids), HOLD_ID_BYTES))


def _note(fields: dict[bytes, bytes]) -> Note:
    hold, what, _, text = told(fields)
    return Note(what, hold, HoldRecord.of(text))
