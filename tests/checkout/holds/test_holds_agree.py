"""The rules of a hall and its Lua files are one thing: a machine plays both and compares.

The store is real, the hall is small, waits are drawn from the edges of every duration. Below stand the mutants: each
breaks one guard in Lua, and the machine must notice.
"""

import asyncio
from dataclasses import dataclass, replace
from typing import ClassVar, Literal

import pytest
from hypothesis import HealthCheck, seed, settings
from hypothesis import Phase as Step
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule, run_state_machine_as_test

from checkout.halls.deltas import RESET
from checkout.halls.seats import Status, byte, counts, status
from checkout.holds import hall as rules
from checkout.holds.answers import Ask, Held, HeldAgain, HoldState, Limit, Taken, Wanted
from checkout.holds.hall import FORGET_MS, Hall
from checkout.holds.store import HoldStore, load_script
from kernel.errors import Unavailable
from kernel.lua import Script
from kernel.store import connect
from tests.checkout.holding import (
    EMPTY,
    EVENT,
    GRACE_MS,
    LONGEST_MS,
    NOW_MS,
    STANDING,
    TIER_OF,
    TTL_MS,
    a_hall,
    an_id,
    known,
    read,
    replayed,
)

EDGES = [edge + step for edge in (1000, TTL_MS, GRACE_MS, LONGEST_MS, FORGET_MS) for step in (-1, 0, 1)]
STEPS_MS = st.sampled_from([-5000, 0, 0, 1, *EDGES])
NUMBER = st.sampled_from(range(6))
BUYER = st.sampled_from(["ann", "ann", "bob", "cy"])
OWN = st.sampled_from([True, True, True, False])
SEATS = st.sampled_from(
    [(0,), (1,), (0, 1), (1, 2), (0, 1, 2, 3), (3, 4), (0, 5), (6,), (5, 7), (2, 9), (11, 12)]
)
RANGES = st.sampled_from([(), (), (), ((*STANDING, 1),), ((*STANDING, 3),), ((8, 9, 1), (8, 11, 2))])
BACK = st.sampled_from([Status.FREE, Status.FREE, Status.FREE, Status.BLOCKED, Status.KEPT])
TO = st.sampled_from(["sold", "back", "held"])

SOME, BEGINNINGS = 5, 60
"""A mutant is played so many examples from so many beginnings before it counts as missed."""

CAUGHT_AT = {
    "lazy expiry off": 2, "a hold lives 1 ms too long": 5, "back ignored by release": 16,
    "unblocking passes those who wait": 3, "another body is the same hold": 17, "another buyer gets my hold": 10,
    "a closed hall sells": 2, "seats outside the hall": 21, "a place given twice": 2, "time goes back": 2,
    "pin by another buyer": 3, "extended twice": 3, "the old end is forgotten": 5, "records are kept for ever": 3,
}  # fmt: skip
"""Which beginning catches a mutant first: it is played before the others, which is quicker and judges the same."""


START = bytes(
    byte({5: Status.BLOCKED, 7: Status.BLOCKED, 6: Status.KEPT}.get(seat, Status.FREE), tier)
    for seat, tier in enumerate(TIER_OF)
)
"""Two seats belong to an allocation, one is kept for those who wait."""

KINDS = (
    (Status.FREE, ((0, 1), (1, 2), (0, 1, 2, 3), (3, 4), (4,))),
    (Status.BLOCKED, ((5,), (5, 7), (7,))),
    (Status.KEPT, ((6,), (6, 8), (0, 6))),
)


@dataclass(frozen=True, slots=True)
class Story:
    """Up to three buyers hold seats of one kind; what happens to the first of them; and then."""

    back: Status
    asks: tuple[tuple[int, ...], ...]
    before: tuple[str, ...]
    step: int
    then: str
    who: str
    waiting: bool


STORIES = st.sampled_from([*KINDS[:1], *KINDS]).flatmap(
    lambda kind: st.builds(
        Story,
        back=st.just(kind[0]),
        asks=st.lists(st.sampled_from(kind[1]), min_size=1, max_size=3).map(tuple),
        before=st.sampled_from(
            [(), (), ("extend",), ("extend",), ("pin",), ("pin",), ("extend", "pin"), ("release",), ("sold",)]
        ),
        step=st.sampled_from(
            [-5000, 0, TTL_MS - 1, TTL_MS, TTL_MS, TTL_MS + GRACE_MS, LONGEST_MS, 2 * TTL_MS, FORGET_MS]
        ),
        then=st.sampled_from(
            [
                "hold",
                "hold",
                "release",
                "extend",
                "extend",
                "pin",
                "sold",
                "back",
                "held",
                "reclaim",
                "expire",
                "expire",
            ]
        ),
        who=st.sampled_from(["ann", "ann", "eve"]),
        waiting=st.sampled_from([False, False, True]),
    )
)


class Machine(RuleBasedStateMachine):
    """Plays the same moves on the rules and on the store."""

    url = ""
    scripts: ClassVar[dict[str, Script]] = {}

    def __init__(self) -> None:
        """Begin with an empty store."""
        super().__init__()
        self.loop = asyncio.Runner()
        self.client = connect(self.url)
        self.store = HoldStore(self.client, self.scripts)
        self.now_ms = NOW_MS
        self.hall = Hall(EMPTY)
        self.fences: list[tuple[int, int]] = []

    def teardown(self) -> None:
        """Look at the whole once more, then close the client in its own loop."""
        try:
            self.viewers_see_the_map()
        finally:
            self.close()

    def close(self) -> None:
        """Close the client in its own loop."""
        self.loop.run(self.client.aclose())
        self.loop.close()

    @initialize()
    def begin(self) -> None:
        """Open a hall for sale."""
        self.loop.run(self.client.flushall())
        self.hall = self.loop.run(a_hall(self.store, START))
        self.start, self.stories = START, 10

    @rule(step=STEPS_MS)
    def wait(self, step: int) -> None:
        """Let time pass, or jump back."""
        self.now_ms += step

    @rule(
        number=NUMBER,
        buyer=BUYER,
        seats=SEATS,
        ranges=RANGES,
        back=BACK,
        most=st.sampled_from([2, 4, 4, 4, 12]),
        body=st.sampled_from(["body", "body", "body", "other"]),
    )
    def hold(
        self,
        number: int,
        buyer: str,
        seats: tuple[int, ...],
        ranges: tuple[tuple[int, int, int], ...],
        back: Status,
        most: int,
        body: str,
    ) -> None:
        """Ask for seats, for places, or for both."""
        wanted = Wanted(() if ranges and number % 2 else seats, ranges)
        own = Ask(an_id(number), buyer, wanted, TTL_MS, most, number, body, back, "EUR")
        before = self.hall
        self.hall, expected = rules.hold(self.hall, own, self.now_ms)
        answer = self.loop.run(self.store.hold(EVENT, own, self.now_ms))
        assert answer == expected
        match answer:
            case Held():
                assert self.hall.has(buyer) <= most
                assert len(answer.seats) == wanted.count
                self.fences.append((answer.epoch, answer.fence))
            case Taken() | Limit():
                assert own.id not in self.hall.holds
            case HeldAgain():
                assert own.id in before.holds

    @rule(number=NUMBER, own=OWN)
    def extend(self, number: int, own: bool) -> None:
        """Move an end, or try to move another buyer's."""
        buyer = self._buyer(number, own)
        self.hall, expected = rules.extend(self.hall, an_id(number), buyer, TTL_MS, self.now_ms)
        assert self.loop.run(self.store.extend(EVENT, an_id(number), buyer, TTL_MS, self.now_ms)) == expected

    @rule(number=NUMBER, own=OWN)
    def release(self, number: int, own: bool) -> None:
        """Give seats back, or try to give another buyer's back."""
        buyer = self._buyer(number, own)
        self.hall, expected = rules.release(self.hall, an_id(number), buyer, self.now_ms)
        assert self.loop.run(self.store.release(EVENT, an_id(number), buyer, self.now_ms)) == expected

    @rule(most=st.sampled_from([1, 2, 200]))
    def expire(self, most: int) -> None:
        """Let the sweeper come."""
        self.hall, expected = rules.expire(self.hall, most, self.now_ms)
        assert self.loop.run(self.store.expire(EVENT, most, self.now_ms)) == expected

    @rule(number=NUMBER, own=OWN, longest=st.sampled_from([LONGEST_MS, 10 * LONGEST_MS]))
    def pin(self, number: int, own: bool, longest: int) -> None:
        """Go to pay."""
        buyer = self._buyer(number, own)
        self.hall, expected = rules.pin(self.hall, an_id(number), buyer, GRACE_MS, longest, self.now_ms)
        answer = self.loop.run(self.store.pin(EVENT, an_id(number), buyer, GRACE_MS, longest, self.now_ms))
        assert answer == expected

    @rule(number=NUMBER, to=TO)
    def settle(self, number: int, to: Literal["sold", "back", "held"]) -> None:
        """Hear what SQL decided."""
        self.hall, expected = rules.settle(self.hall, an_id(number), to, self.now_ms)
        assert self.loop.run(self.store.settle(EVENT, an_id(number), to, self.now_ms)) == expected

    @rule(buyer=BUYER, back=st.sampled_from([Status.FREE, Status.FREE, Status.BLOCKED]), seats=SEATS)
    def reclaim(self, buyer: str, back: Status, seats: tuple[int, ...]) -> None:
        """Hear that seats which were sold have come back."""
        self.hall, expected = rules.reclaim(self.hall, buyer, back, seats, self.now_ms)
        assert self.loop.run(self.store.reclaim(EVENT, buyer, back, seats, self.now_ms)) == expected

    @rule(act=st.sampled_from(["block", "unblock"]), seats=SEATS)
    def mark(self, act: Literal["block", "unblock"], seats: tuple[int, ...]) -> None:
        """Block seats or free blocked ones."""
        self.hall, expected = rules.mark(self.hall, act, 0, seats, self.now_ms)
        assert self.loop.run(self.store.mark(EVENT, act, seats, self.now_ms)) == expected

    @rule(seats=SEATS.filter(lambda seats: seats[-1] < len(EMPTY)), tier=st.sampled_from([0, 15]))
    def retier(self, seats: tuple[int, ...], tier: int) -> None:
        """Put seats into another price category."""
        self.hall, expected = rules.mark(self.hall, "tier", tier, seats, self.now_ms)
        assert self.loop.run(self.store.retier(EVENT, tier, seats, self.now_ms)) == expected

    @rule(waiting=st.booleans())
    def waits(self, waiting: bool) -> None:
        """Let somebody wait for seats, or nobody."""
        self.hall, expected = rules.waits(self.hall, waiting, 100, self.now_ms)
        assert self.loop.run(self.store.waits(EVENT, waiting=waiting, now_ms=self.now_ms)) == expected

    @rule(is_open=st.sampled_from([True, True, True, False]))
    def sale(self, is_open: bool) -> None:
        """Open or close the hall."""
        self.hall = replace(self.hall, is_open=is_open)
        assert self.loop.run(self.store.sale(EVENT, is_open=is_open, now_ms=self.now_ms))

    @rule(epoch=st.sampled_from([0, 0, 0, 1]), lost=st.booleans())
    def load(self, epoch: int, lost: bool) -> None:
        """Rebuild the map under a new epoch, or try it under an old one; some holds may be lost."""
        live = {id_: record for id_, record in self.hall.holds.items() if record.is_live}
        if lost:
            live = dict(list(live.items())[1:])
        kept = {seat for record in live.values() for seat, _ in record.seats}
        seats = bytes(
            now & 0xF0 if status(now) in {Status.HELD, Status.RESERVED} and seat not in kept else now
            for seat, now in enumerate(self.hall.map)
        )
        new = self.hall.epoch + epoch
        self.hall, expected = rules.load(self.hall, new, seats, live, self.hall.bought, self.now_ms)
        if epoch:
            self.start = seats
        answer = self.loop.run(self.store.load(EVENT, new, seats, live, self.hall.bought, now_ms=self.now_ms))
        assert answer == expected

    @rule(story=STORIES, fresh=st.booleans())
    def story(self, story: "Story", fresh: bool) -> None:
        """Let buyers hold seats, something happen to the first, time pass to an edge, and something more."""
        if fresh:
            self.begin_again()
        first = self.stories = self.stories + 4
        if story.waiting:
            self.waits(waiting=True)
        for number, wanted in enumerate(story.asks, first):
            self.hold(number, ("ann", "bob", "ann")[number - first], wanted, (), story.back, 4, "body")
        for act in story.before:
            self._act(act, first)
        self.now_ms += story.step
        if story.then == "hold":
            self.hold(first + 3, story.who, story.asks[0], (), story.back, 4, "body")
        else:
            self._act(story.then, first, own=story.who == "ann")

    another_story = story
    third_story = story
    fourth_story = story

    def begin_again(self) -> None:
        """Load the hall as it was, without holds."""
        epoch = self.hall.epoch + 1
        self.start = START
        self.hall, expected = rules.load(self.hall, epoch, START, {}, {}, self.now_ms)
        assert self.loop.run(self.store.load(EVENT, epoch, START, now_ms=self.now_ms)) == expected

    def _act(self, act: str, number: int, own: bool = True) -> None:
        match act:
            case "extend":
                self.extend(number, own=own)
            case "release":
                self.release(number, own=own)
            case "pin":
                self.pin(number, own=own, longest=LONGEST_MS)
            case "expire":
                self.expire(200)
            case "sold" | "back" | "held":
                self.settle(number, act)
            case "reclaim":
                record = self.hall.holds.get(an_id(number))
                seats = tuple(seat for seat, _ in record.seats) if record else (0,)
                back = record.back if record else Status.FREE
                self.reclaim(self._buyer(number, own), back, seats)

    def _buyer(self, number: int, own: bool) -> str:
        record = self.hall.holds.get(an_id(number))
        return record.buyer if record is not None and own else "eve"

    @invariant()
    def the_store_says_what_the_rules_say(self) -> None:
        """Every stored field equals the rules'."""
        stored = self.loop.run(read(self.client, self.store.keys(EVENT)))
        expected = known(self.hall)
        assert stored == expected
        assert sum(stored.counts) == stored.capacity

    @invariant()
    def an_owner_stands_exactly_at_seats_held_or_reserved(self) -> None:
        """Every other seat, a sold one too, has none; and a hold has all of its seats."""
        owned = {s for s, now in enumerate(self.hall.map) if status(now) in {Status.HELD, Status.RESERVED}}
        assert set(self.hall.owner()) == owned
        for record in self.hall.holds.values():
            wanted = {HoldState.HELD: Status.HELD, HoldState.PINNED: Status.RESERVED}.get(record.state)
            if wanted is not None:
                assert {status(self.hall.map[seat]) for seat, _ in record.seats} == {wanted}
        assert sum(counts(self.hall.map)) == len(EMPTY)

    @invariant()
    def buyers_see_their_own_holds(self) -> None:
        """A buyer is shown the live holds and no other, with the number of seats in all."""
        now_ms = max(self.now_ms, self.hall.last_ms)
        for buyer in ("ann", "dee"):
            live = {i: r for i, r in self.hall.live_of(buyer).items() if now_ms < r.until_ms}
            assert self.loop.run(self.store.mine(EVENT, buyer, self.now_ms)) == (
                now_ms,
                self.hall.has(buyer),
                live,
            )

    def viewers_see_the_map(self) -> None:
        """The map at the last reset with all deltas after it is the map; fences only grow."""
        told = self.hall.deltas
        last = max((at for at, text in enumerate(told) if text == RESET), default=-1)
        if last >= 0:
            stored = self.loop.run(read(self.client, self.store.keys(EVENT)))
            assert replayed(self.start, stored.deltas[last + 1 :]) == stored.map
        assert self.fences == sorted(set(self.fences))


def play(url: str, scripts: dict[str, Script], examples: int, beginning: int = 0) -> None:
    """Play against a store, from one of many beginnings."""
    machine = type("Machine", (Machine,), {"url": url, "scripts": scripts})
    chosen = settings(
        max_examples=examples, stateful_step_count=20, deadline=None, derandomize=False, database=None,
        suppress_health_check=list(HealthCheck), phases=[Step.generate], print_blob=False,
    )  # fmt: skip
    seeded = seed(beginning)(machine)
    run_state_machine_as_test(seeded, settings=chosen)


def test_the_scripts_do_what_the_rules_say(store_url: str) -> None:
    """Whatever the moves, answers, map, owners, counts, records and streams are the same."""
    play(store_url, {}, 60)


def return_more_than_was_bought(url: str, scripts: dict[str, Script]) -> None:
    """Ann has bought one seat and holds another; three come back in her name."""
    machine = type("Machine", (Machine,), {"url": url, "scripts": scripts})()
    try:
        machine.begin()
        for number, (buyer, seats) in enumerate((("bob", (0, 1)), ("ann", (3,)), ("ann", (4,)))):
            machine.hold(number, buyer, seats, (), Status.FREE, 4, "body")
        machine.settle(0, "sold")
        machine.settle(1, "sold")
        machine.reclaim("ann", Status.FREE, (0, 1, 3))
        machine.the_store_says_what_the_rules_say()
        assert machine.hall.has("ann") == 1
    finally:
        machine.close()


def test_what_is_held_is_not_counted_off(store_url: str) -> None:
    """Whatever comes back in a buyer's name; a script that counts it off is noticed."""
    return_more_than_was_bought(store_url, {})

    mutant = load_script("reclaim").mutated("math.max(has - freed, live)", "has - freed")
    with pytest.raises(AssertionError):
        return_more_than_was_bought(store_url, {"reclaim": mutant})


def is_caught(url: str, scripts: dict[str, Script], first: int = 0) -> bool:
    """Tell whether the machine notices, from one of the beginnings."""
    for number in (first, *(other for other in range(BEGINNINGS) if other != first)):
        try:
            play(url, scripts, SOME, number)
        except (AssertionError, ValueError, TypeError, Unavailable):
            return True
    return False


@pytest.mark.parametrize(
    ("name", "old", "new"),
    [
        pytest.param("hold", "status == back or", "status == back or status == HELD or", id="lock off"),
        pytest.param("hold", "return {'taken', unpack(taken)}", "", id="partial hold"),
        pytest.param("hold", "fence = fence + 1", "", id="fence off"),
        pytest.param("hold", "if its and is_due(its) then", "if false then", id="lazy expiry off"),
        pytest.param(
            "hold", "record.is_live and record.until_ms <= now", "record.is_live and record.until_ms < now",
            id="a hold lives 1 ms too long",
        ),
        pytest.param("hold", "local back = record.back", "local back = FREE", id="back ignored"),
        pytest.param("release", "local back = record.back", "local back = FREE", id="back ignored by release"),
        pytest.param("expire", "local back = record.back", "local back = FREE", id="back ignored by expire"),
        pytest.param("release", "back = waiting and KEPT or FREE", "back = FREE", id="those who wait are passed"),
        pytest.param("mark", "waiting and KEPT or FREE\nend", "FREE\nend", id="unblocking passes those who wait"),
        pytest.param("hold", "has + count > max_per_buyer then\n    return", "false then\n    return", id="no limit"),
        pytest.param("hold", "has, ids = seats_of(buyer)\n  if", "if", id="a stale number after the sweep"),
        pytest.param("hold", "known.body ~= body", "false", id="another body is the same hold"),
        pytest.param("hold", "known.buyer ~= buyer or", "", id="another buyer gets my hold"),
        pytest.param("hold", "if not is_open then", "if false then", id="a closed hall sells"),
        pytest.param("hold", "put_buyer(buyer, has + count, ids .. id)", "", id="seats are not counted"),
        pytest.param("hold", "at(seat) == nil or not", "not", id="seats outside the hall"),
        pytest.param("hold", "if not chosen[seat] then", "if true then", id="a place given twice"),
        pytest.param("hold", "math.max(now_ms, tonumber(facts[3]) or 0)", "now_ms", id="time goes back"),
        pytest.param("release", "if record.buyer ~= buyer then", "if false then", id="release by another buyer"),
        pytest.param("extend", "if record.buyer ~= buyer then", "if false then", id="extend by another buyer"),
        pytest.param("pin", "if record.buyer ~= buyer then", "if false then", id="pin by another buyer"),
        pytest.param("extend", "if is_due(record) then", "if false then", id="what is over is extended"),
        pytest.param("extend", "if record.extended == 1 then", "if false then", id="extended twice"),
        pytest.param("extend", "if record.state ~= 'held' then", "if false then", id="the pinned are extended"),
        pytest.param("release", "if record.state ~= 'held' then", "if false then", id="the pinned are released"),
        pytest.param("pin", "if is_due(record) then", "if false then", id="what is over is pinned"),
        pytest.param("pin", "move(record.seats, RESERVED, nil)", "", id="pinned seats stay held"),
        pytest.param(
            "pin", "math.min(record.until_ms + grace_ms, now + longest_ms)", "record.until_ms + grace_ms",
            id="no longest grace",
        ),
        pytest.param("settle", "if not record.is_live then", "if false then", id="what is over is sold"),
        pytest.param("settle", "move(record.seats, SOLD, NOBODY)", "move(record.seats, SOLD, nil)", id="owner stays"),
        pytest.param("settle", "drop_from_buyer(record, id, 0)", "drop_from_buyer(record, id, 1)", id="bought: less"),
        pytest.param("settle", "'held', record.end_ms, 0", "'held', now, 0", id="the old end is forgotten"),
        pytest.param("reclaim", "byte % 16 == SOLD", "byte % 16 ~= FREE", id="what is not sold comes back"),
        pytest.param(
            "reclaim", "if back ~= BLOCKED then\n  back = waiting and KEPT or FREE\nend\nlocal freed",
            "back = FREE\nlocal freed", id="an allocation's seats come back free",
        ),
        pytest.param("reclaim", "math.max(has - freed, live)", "has", id="what came back counts as bought"),
        pytest.param("expire", "'-inf', now, 'LIMIT'", "'-inf', '(' .. now, 'LIMIT'", id="sweeps late"),
        pytest.param("expire", "in_pieces('HDEL', holds, forgotten)", "", id="records are kept for ever"),
        pytest.param("expire", "drop_from_buyer(record, id, count)", "", id="expired seats still count"),
        pytest.param("expire", "redis.call('SETRANGE', owner, first * 8", "local _ = ({first * 8", id="not Lua"),
        pytest.param("mark", "act == 'block' and status ~= FREE", "false", id="held seats are blocked"),
        pytest.param("load", "tonumber(epoch) >= new_epoch", "tonumber(epoch) > new_epoch", id="loaded twice"),
        pytest.param("load", "fence = math.max(fence, record.fence)", "fence = 0", id="the fence starts again"),
        pytest.param("waits", "waits == '0' and", "", id="kept seats are freed while people wait"),
    ],
)  # fmt: skip
def test_the_machine_catches_the_mutant(
    store_url: str, name: str, old: str, new: str, request: pytest.FixtureRequest
) -> None:
    """Each guard, taken out of the script, is missed."""
    mutant = load_script(name).mutated(old, new)

    assert is_caught(store_url, {name: mutant}, CAUGHT_AT.get(request.node.callspec.id, 0))
