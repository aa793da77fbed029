"""The checker on a hall that is really in use: right as it is, and wrong as soon as one guard is taken out.

Forty clients at once hold, extend, release and reserve in a real store, with holds so short that many end by
themselves; every tenth answer is lost. Time is the store's own. What they saw goes through the whole checker.
"""

import asyncio
import random
import time
from collections.abc import Mapping

import pytest

from checkout.audit import invariants
from checkout.audit.checking import read_stock
from checkout.audit.records import Act, Answer, Delta, Loss, Operation, Record, Snapshot
from checkout.halls.seats import hold_id_text
from checkout.holds.answers import (
    Ask,
    Extended,
    Gone,
    Held,
    HeldAgain,
    HoldState,
    Pinned,
    Released,
    Settled,
    Taken,
    Wanted,
)
from checkout.holds.store import HoldStore, load_script
from kernel.lua import Script
from kernel.store import Store

EVENT = "night"
SEATS, MOST, TTL_MS = 24, 4, 40
CLIENTS, BUYERS, ROUNDS = 40, 10, 25
LOST_ANSWERS = 0.1
OVER = {HoldState.RELEASED, HoldState.EXPIRED, HoldState.UNKNOWN}


class Client:
    """One buyer who does as the seed says, and writes down what was seen."""

    def __init__(
        self, store: HoldStore, number: int, records: list[Record], acts: set[str], lost: float
    ) -> None:
        """Know whom to ask, what for besides holds, and which share of the answers gets lost."""
        self.acts = acts
        self.lost = lost
        self.store = store
        self.buyer = f"b{number % BUYERS}"
        self.chance = random.Random(number)
        self.number = number
        self.records = records

    async def live(self) -> None:
        """Go through the rounds."""
        for turn in range(ROUNDS):
            id_ = self.number.to_bytes(4, "big") + turn.to_bytes(4, "big")
            first = self.chance.randrange(SEATS - 3)
            seats = tuple(sorted(self.chance.sample(range(first, first + 4), self.chance.choice([1, 2, 3]))))
            for _ in range(self.chance.choice([1, 1, 2])):
                await self.hold(id_, seats)
            for act in self.chance.choices(["extend", "release", "reserve", ""], [2, 2, 2, 6], k=3):
                if act in self.acts:
                    await self.act(act, id_, seats)
            if self.chance.random() < 0.02:
                await self.store.expire(EVENT)

    async def hold(self, id_: bytes, seats: tuple[int, ...]) -> None:
        """Hold, or hold again."""
        ask = Ask(id_, self.buyer, Wanted(seats), TTL_MS, MOST, 1, "body")
        called_us = time.time_ns() // 1000
        outcome = await self.store.hold(EVENT, ask)
        match outcome:
            case (
                Held(until_ms=until_ms)
                | HeldAgain(state=HoldState.HELD | HoldState.PINNED, until_ms=until_ms)
            ):
                self.note(Act.HOLD, id_, seats, called_us, Answer.DONE, until_ms)
            case HeldAgain(state=state) if state in OVER:
                self.note(Act.HOLD, id_, seats, called_us, Answer.GONE)
            case Taken(pairs):
                self.note(Act.HOLD, id_, seats, called_us, Answer.TAKEN, None, pairs)
            case _:
                self.note(Act.HOLD, id_, seats, called_us, Answer.REFUSED)

    async def act(self, act: str, id_: bytes, seats: tuple[int, ...]) -> None:
        """Extend, release, or reserve and give back."""
        called_us = time.time_ns() // 1000
        if act == "extend":
            outcome: object = await self.store.extend(EVENT, id_, self.buyer, TTL_MS)
        elif act == "release":
            outcome = await self.store.release(EVENT, id_, self.buyer)
        else:
            outcome = await self.store.pin(EVENT, id_, self.buyer, TTL_MS, 10_000)
        match outcome:
            case Extended(until_ms=until_ms) | Pinned(until_ms=until_ms):
                self.note(Act(act), id_, seats, called_us, Answer.DONE, until_ms)
            case Released():
                self.note(Act.RELEASE, id_, seats, called_us, Answer.DONE)
            case Gone(state) if state in OVER:
                self.note(Act(act), id_, seats, called_us, Answer.GONE)
            case _:
                self.note(Act(act), id_, seats, called_us, Answer.REFUSED)
        if isinstance(outcome, Pinned):
            called_us = time.time_ns() // 1000
            if isinstance(await self.store.settle(EVENT, id_, "back"), Settled):
                self.note(Act.CANCEL, id_, seats, called_us, Answer.DONE)

    def note(
        self,
        act: Act,
        id_: bytes,
        seats: tuple[int, ...],
        called_us: int,
        answer: Answer,
        until_ms: int | None = None,
        taken: tuple[tuple[int, int], ...] = (),
    ) -> None:
        """Write it down, or that no answer ever came."""
        operation = Operation(
            act,
            hold_id_text(id_),
            self.buyer,
            seats,
            called_us,
            time.time_ns() // 1000,
            answer,
            until_ms,
            taken,
        )
        if self.chance.random() < self.lost:
            operation = Operation(act, hold_id_text(id_), self.buyer, seats, called_us, None, None)
        self.records.append(operation)


async def lived(
    store: Store,
    scripts: Mapping[str, Script] | None = None,
    *,
    is_lost: bool = False,
    lost_answers: float = LOST_ANSWERS,
) -> set[str]:
    """Let all of them live, and name the invariants that were violated."""
    records: list[Record] = []
    holds = HoldStore(store, scripts)
    await holds.load(EVENT, 1, bytes(SEATS))
    # Nothing here is in SQL, so a reservation would be lost with the store; in the shop it is not.
    acts = {"extend", "release"} if is_lost else {"extend", "release", "reserve"}
    async with asyncio.TaskGroup() as crowd:
        for number in range(CLIENTS):
            crowd.create_task(Client(holds, number, records, acts, lost_answers).live())
        if is_lost:
            crowd.create_task(_lose(holds, records))
    stock = await read_stock(store, EVENT)
    assert stock is not None
    if not is_lost:
        records += await _stream(holds)
    assert len(records) > CLIENTS * ROUNDS
    found = invariants.held_once(records)
    found += invariants.owners_agree(stock)
    found += invariants.adds_up(records, stock, SEATS)
    found += invariants.within_limits(records, None, stock, MOST)
    found += invariants.followed(records, stock)
    return {one.invariant for one in found}


async def _lose(holds: HoldStore, records: list[Record]) -> None:
    """Empty the store in the middle, and put an empty hall back: SQL knew of no hold yet."""
    while len(records) < CLIENTS * ROUNDS:  # noqa: ASYNC110 (looks at what the others wrote, between their calls)
        await asyncio.sleep(0)
    begun_us = time.time_ns() // 1000
    await holds.client.flushall()
    await holds.load(EVENT, 2, bytes(SEATS))
    records.append(Loss(begun_us, time.time_ns() // 1000))


async def _stream(holds: HoldStore) -> list[Record]:
    """Read the deltas as a viewer who was there from the beginning."""
    rows = await holds.client.xrange(holds.keys(EVENT).deltas)
    begin, *rest = rows
    return [
        Snapshot("viewer", 0, f"1:{begin[0].decode()}", bytes(SEATS)),
        *(Delta("viewer", 1, f"1:{id_.decode()}", fields[b"d"].decode()) for id_, fields in rest),
    ]


async def test_a_hall_in_use_keeps_every_invariant(store: Store) -> None:
    """Whatever overlaps, ends by itself or is never answered: the checker finds an order for every seat."""
    assert await lived(store) == set()


async def test_a_hall_that_was_lost_in_the_middle_keeps_them_too(store: Store) -> None:
    """FLUSHALL takes holds away; it never gives a seat to two."""
    assert await lived(store, is_lost=True) == set()


TRIES = 25
"""Lives that a mutant may have; most show in the first."""

MUTANTS = {
    "no lock": ("hold", "if #taken > 0 then", "if false then", "I2"),
    "no limit": ("hold", "tonumber(ARGV[4]), tonumber(ARGV[5])", "tonumber(ARGV[4]), 1000", "I9"),
    "a partial hold": (
        "hold",
        "put_byte(seat, byte - byte % 16 + HELD)",
        "if number > 1 then put_byte(seat, byte - byte % 16 + HELD) end",
        "I2",
    ),
    "no lazy expiry": ("hold", "if its and is_due(its) then", "if false then", "I2"),
    "an owner that stays": ("release", "owner_of[seat] = who", "", "I2"),
    "a change that is not told": (
        "release",
        "redis.call('XADD', deltas, 'MAXLEN', '~', DELTAS_KEPT, '*', 'd', table.concat(told, ','))",
        "",
        "I10",
    ),
    "counts that drift": ("release", "facts[6 + status] = tonumber(facts[6 + status]) + by", "", "I8"),
}


@pytest.mark.parametrize("name", MUTANTS)
async def test_a_hall_without_one_of_its_guards_is_noticed(name: str, store: Store) -> None:
    """The mutants: each guard that is taken out of a script shows in what clients saw or in what is left."""
    script, old, new, caught_by = MUTANTS[name]
    mutants = {script: load_script(script).mutated(old, new)}
    lost_answers = LOST_ANSWERS
    if name == "no lazy expiry":
        # Nor does anybody sweep in the meantime.
        mutants["expire"] = load_script("expire").mutated("looked_at = sweep(most)", "looked_at = 0, 0, 0")
        mutants["hold"] = mutants["hold"].mutated("sweep(LAZY_MOST)\n  has, ids", "has, ids")
        # A hold whose answer was lost may have begun at any later time, and explains a seat that stays taken: on a fast
        # machine each seat has such a one before the first hold is over.
        lost_answers = 0

    # What overlaps is for the machine to decide: what one life does not show, the next one does.
    for _ in range(TRIES):
        await store.flushall()
        if caught_by in (found := await lived(store, mutants, lost_answers=lost_answers)):
            return
    raise AssertionError(f"{name} was not noticed: {found}")
