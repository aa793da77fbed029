"""Holds and reservations played against a model that fits on a page, with losses, sleepers and set back stores.

The model knows who has what until when, and what each request must hear. Where the store was lost it only knows what
may not happen: a reservation that was told is gone, a hold comes back that SQL had not heard of. After every step the
invariants are put to SQL and the store, and at the end, when all is drained, also to both together.
"""

import asyncio
from contextlib import AsyncExitStack
from dataclasses import dataclass, replace
from typing import Any, ClassVar

import pytest
from hypothesis import HealthCheck, seed, settings
from hypothesis import Phase as Step
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    rule,
    run_state_machine_as_test,
)

from checkout.halls.seats import Status, hold_id_of, hold_id_text
from checkout.holds.answers import Ask, Gone, Held, Limit, Pinned, Released, Taken, Wanted
from checkout.holds.places import OnePlace
from checkout.sales import rebuilding
from checkout.sales.rebuilding import Rebuilder
from checkout.sales.reconciling import ABANDONED_MS, APART_MS, Reconciler
from checkout.sales.reservation import LATE_MS, Line, Reserved, Sale, reservation_id
from checkout.sales.service import GivenBack, Told
from tests.checkout.reservations import EVENT, GRACE_MS, HOLD_MS, MOST, PRICES, Scene, on_sale, tier_of
from tests.checkout.sales.test_reserving import copied, restored
from tests.checkout.waitlists import hold_id

BUYERS = st.sampled_from(["ann", "bob", "cy"])
SEATS = st.sampled_from([(0,), (1,), (0, 1), (1, 2), (2, 3, 4), (0, 1, 2, 3), (4, 20)])
EDGES_MS = st.sampled_from(
    [
        edge + step
        for edge in (LATE_MS, HOLD_MS, GRACE_MS, HOLD_MS + GRACE_MS, APART_MS)
        for step in (-1, 0, 1)
    ]
)
MOVES = st.sampled_from(
    [
        "hold",
        "hold",
        "hold",
        "reserve",
        "reserve",
        "click",
        "release",
        "give_back",
        "fall_asleep",
        "fall_asleep",
        "wait",
        "wait",
        "reap",
        "sweep",
        "drain",
        "wake_up",
        "wake_up",
        "lose",
        "lose_and_wake_up",
        "make_copy",
        "set_back",
        "set_back_drained",
        "reconcile",
    ]
)
SMALL_MS = st.sampled_from([0, 1, 1000, 5000])
EXAMPLES, STEPS, BEGINNINGS = 15, 25, 40


@dataclass(slots=True)
class Own:
    """A hold as the model knows it; ``sale``: what came of it; ``is_known``: SQL or a replica has heard of it."""

    buyer: str
    seats: tuple[int, ...]
    until_ms: int
    state: str = "held"
    sale: str = "none"
    is_known: bool = False


class Sleeper(dict[str, Sale]):
    """Workers that have pinned a hold and sleep before they write."""


class Machine(RuleBasedStateMachine):
    """Plays moves on the shop and on the model."""

    url: ClassVar[str]
    store_url: ClassVar[str]

    def __init__(self) -> None:
        super().__init__()
        self.loop = asyncio.Runner()
        self.stack = AsyncExitStack()
        self.scene: Scene = self.loop.run(self.stack.enter_async_context(on_sale(self.url, self.store_url)))
        self.own: dict[str, Own] = {}
        self.sleepers = Sleeper()
        self.copy: dict[bytes, bytes] = {}
        self.count = 0
        self.asked: list[str] = []

    @property
    def now_ms(self) -> int:
        """Tell the time."""
        return self.scene.clock.now_ms()

    # ------------------------------------------------------------------------------- the model

    def has_seats(self, one: Own) -> bool:
        """Tell whether a hold, or the reservation of it, has its seats."""
        return one.state in {"held", "pinned"} and self.now_ms < one.until_ms

    def taken(self, seats: tuple[int, ...]) -> bool:
        """Tell whether somebody has one of the seats."""
        return any(self.has_seats(one) and set(one.seats) & set(seats) for one in self.own.values())

    def count_of(self, buyer: str) -> int:
        """Count a buyer's seats."""
        return sum(len(one.seats) for one in self.own.values() if one.buyer == buyer and self.has_seats(one))

    def until_of(self, one: Own) -> int:
        """Tell how long a reservation of a hold lasts that is made now."""
        return min(one.until_ms + GRACE_MS, self.now_ms + HOLD_MS + GRACE_MS)

    # ----------------------------------------------------------------------------------- moves

    @initialize(seats=st.lists(SEATS, min_size=3, max_size=3))
    def begin(self, seats: list[tuple[int, ...]]) -> None:
        """Begin with three holds, if they can be, and a copy of the hall."""
        for buyer, wanted in zip(["ann", "bob", "cy"], seats, strict=True):
            self.hold(buyer, wanted)
        self.make_copy()

    # One rule and not one for each move: Hypothesis plays whole examples with some of the rules only.
    @rule(move=MOVES, number=st.integers(0, 5), buyer=BUYERS, seats=SEATS, ms=st.one_of(SMALL_MS, EDGES_MS))
    def play(self, move: str, number: int, buyer: str, seats: tuple[int, ...], ms: int) -> None:
        """Make a move; `number` chooses one of the last holds."""
        match move:
            case "wait":
                self.scene.clock.advance(ms)
            case "hold":
                self.hold(buyer, seats)
            case "reserve" | "click" | "release" | "give_back" | "fall_asleep":
                recent = list(self.asked)[-6:]
                hold = recent[number % len(recent)]
                if move in {"reserve", "click"}:
                    self.reserve(hold, 3 if move == "click" else 1)
                else:
                    getattr(self, move)(hold)
            case _:
                getattr(self, move)()

    def hold(self, buyer: str, seats: tuple[int, ...]) -> None:
        """Ask for seats."""
        self.count += 1
        id_ = hold_id(EVENT, buyer, f"k{self.count}")
        ask = Ask(id_, buyer, Wanted(seats), HOLD_MS, MOST, 1, "body", currency="EUR")
        outcome = self.loop.run(self.scene.holds.hold(EVENT, ask))
        hold = hold_id_text(id_)
        if self.count_of(buyer) + len(seats) > MOST:
            assert outcome == Limit(self.count_of(buyer), MOST)
        elif self.taken(seats):
            assert isinstance(outcome, Taken)
        else:
            assert isinstance(outcome, Held)
            self.own[hold] = Own(buyer, seats, self.now_ms + HOLD_MS)
        self.asked.append(hold)

    def release(self, hold: str) -> None:
        """Give a hold back."""
        one = self.own.get(hold)
        buyer = one.buyer if one else "ann"
        outcome = self.loop.run(self.scene.holds.release(EVENT, _id(hold), buyer))
        if one is not None and one.state == "held" and self.has_seats(one):
            assert isinstance(outcome, Released)
            one.state = "released"
        else:
            assert isinstance(outcome, Gone)

    def reserve(self, hold: str, times: int) -> None:
        """Take a hold to pay, perhaps by several clicks at once."""
        one = self.own.get(hold)
        buyer = one.buyer if one else "ann"

        async def clicks() -> list[Any]:
            return await asyncio.gather(
                *(self.scene.reserving.reserve(EVENT, buyer, hold) for _ in range(times))
            )

        outcomes = self.loop.run(clicks())
        assert outcomes == [outcomes[0]] * times or sum(getattr(o, "is_new", False) for o in outcomes) == 1
        outcome = outcomes[0]
        if one is None or not self.has_seats(one) or one.sale in {"released", "lapsed"}:
            assert isinstance(outcome, Gone), (one, outcome)
            return
        if one.sale == "none" and one.state == "held":
            one.until_ms, one.state = self.until_of(one), "pinned"
        one.sale = "active"
        assert isinstance(outcome, Told), (one, outcome)
        assert outcome.paper["until_ms"] == one.until_ms
        assert outcome.paper["total_minor"] == sum(PRICES[tier_of(seat)] for seat in one.seats)

    def give_back(self, hold: str) -> None:
        """Give a reservation back."""
        one = self.own.get(hold)
        buyer = one.buyer if one else "ann"
        given = self.loop.run(self.scene.reserving.give_back(EVENT, buyer, reservation_id(hold)))
        if one is None or one.sale == "none":
            assert given is GivenBack.UNKNOWN
            return
        assert given is GivenBack.DONE
        if one.sale == "active":
            one.sale, one.state = "released", "released"

    def reap(self) -> None:
        """Let the reaper come by."""
        self.loop.run(self.scene.reserving.lapse(self.scene.place))

    def sweep(self) -> None:
        """Let the sweeper come by."""
        self.loop.run(self.scene.holds.expire(EVENT))

    def drain(self) -> None:
        """Let the journal reach SQL."""
        self.loop.run(self.scene.drain())
        for one in self.own.values():
            one.is_known = True

    # -------------------------------------------------------------------------------- what breaks

    def fall_asleep(self, hold: str) -> None:
        """A worker pins a hold and sleeps."""
        one = self.own.get(hold)
        if one is None or hold in self.sleepers:
            return
        outcome = self.loop.run(
            self.scene.holds.pin(EVENT, _id(hold), one.buyer, GRACE_MS, HOLD_MS + GRACE_MS)
        )
        if not isinstance(outcome, Pinned):
            assert not self.has_seats(one)
            return
        assert self.has_seats(one)
        if one.state == "held":
            one.until_ms, one.state = self.until_of(one), "pinned"
        lines = tuple(Line(seat, tier, PRICES[tier]) for seat, tier in outcome.seats)
        self.sleepers[hold] = Sale(
            EVENT, one.buyer, hold, Status.FREE, outcome.epoch, outcome.fence, 1, "EUR", lines, outcome.until_ms,
            min(self.now_ms + LATE_MS, outcome.until_ms), MOST,
        )  # fmt: skip

    def wake_up(self) -> None:
        """The sleepers write: what they then reserve they have in the store too, or were late."""
        for hold, sale in list(self.sleepers.items()):
            del self.sleepers[hold]
            one = self.own[hold]
            before = self.loop.run(asyncio.to_thread(self.scene.sales.of_hold, EVENT, hold))
            outcome = self.loop.run(asyncio.to_thread(self.scene.sales.reserve, sale))
            if not isinstance(outcome, Reserved):
                continue
            assert (before is None) is not outcome.again
            if not outcome.again:
                assert self.has_seats(one)
                assert one.state == "pinned"
                one.sale = "active"

    def lose(self) -> None:
        """The store is emptied, and put back by whoever comes next."""
        self.loop.run(self.scene.client.flushall())
        self.loop.run(self.scene.rebuilder.rebuild(EVENT))
        self.look_what_is_left()

    def lose_and_wake_up(self) -> None:
        """The store is emptied under those who sleep."""
        self.lose()
        self.wake_up()

    def make_copy(self) -> None:
        """A replica is as far as this, and so is the journal in it."""
        self.copy = self.loop.run(copied(self.scene.client))
        for one in self.own.values():
            one.is_known = True

    def set_back_drained(self) -> None:
        """The store is that replica now, and SQL has heard of all that came since."""
        self.drain()
        self.set_back()

    def set_back(self) -> None:
        """The store is that replica now; the reconciler has its looks before anybody else comes."""
        self.loop.run(restored(self.scene.client, self.copy))
        self.reconcile()
        self.look_what_is_left()

    def reconcile(self) -> None:
        """Let the reconciler look until it finds nothing more."""
        scene = self.scene
        places = OnePlace(scene.place)
        rebuilder = Rebuilder(scene.catalogue, places, scene.metrics, "r")
        reconciler = Reconciler(scene.catalogue, places, rebuilder, scene.clock, scene.metrics, "r")
        for ms in (0, APART_MS, ABANDONED_MS, APART_MS, APART_MS):
            scene.clock.advance(ms)
            assert self.loop.run(reconciler.look(EVENT)) is not None
        # Meanwhile those slept too long, and holds that nothing came of are held again.
        for hold, one in self.own.items():
            if one.state == "pinned" and one.sale == "none":
                self.take_over(hold, one)

    def look_what_is_left(self) -> None:
        """Take from the store what is left; what may not have happened is found."""
        for hold, one in self.own.items():
            had_sale = one.sale == "active" and self.has_seats(one)
            could_be = one.is_known or one.sale == "active"
            self.take_over(hold, one)
            if had_sale:
                assert one.state == "pinned", (hold, one)
            assert could_be or one.state not in {"held", "pinned"}, (hold, one)

    def take_over(self, hold: str, one: Own) -> None:
        """Make the model say what the store says of a hold."""
        record = self.loop.run(self.scene.holds.record(EVENT, _id(hold)))
        one.state = "lost" if record is None else str(record.state)
        if record is not None:
            one.until_ms = record.until_ms

    # ---------------------------------------------------------------------------- what always holds

    @invariant()
    def nothing_is_violated(self) -> None:
        """No seat sold twice, no limit passed, all counts right; whatever was broken above."""
        found = self.loop.run(self.scene.violations(settled=False))
        assert found == []

    @invariant()
    def a_reservation_has_its_seats(self) -> None:
        """As long as it was told."""
        for one in self.own.values():
            if one.sale == "active" and self.has_seats(one):
                assert set(self.scene.sql_seats(*one.seats)) == {Status.RESERVED}
                assert set(self.loop.run(self.scene.seats(*one.seats))) == {Status.RESERVED}

    def teardown(self) -> None:
        """Drain: then the store and SQL say the same of everything."""
        try:
            self.reap()
            self.sweep()
            self.drain()
            self.reconcile()
            self.reap()
            self.sweep()
            assert self.loop.run(self.scene.violations()) == []
            assert self.scene.metrics.drift.labels("main")._value.get() == 0
        finally:
            self.loop.run(self.stack.aclose())
            self.loop.close()


def play(url: str, store_url: str, examples: int, beginning: int | None = None) -> None:
    """Play so many examples; a beginning is a seed, else they are always the same."""
    machine = type("Machine", (Machine,), {"url": url, "store_url": store_url})
    chosen = settings(
        max_examples=examples, stateful_step_count=STEPS, suppress_health_check=list(HealthCheck), deadline=None,
        database=None, derandomize=beginning is None, print_blob=False,
        phases=[Step.generate] if beginning is not None else [Step.generate, Step.shrink],
    )  # fmt: skip
    run_state_machine_as_test(machine if beginning is None else seed(beginning)(machine), settings=chosen)


def test_the_shop_does_what_the_model_says(shop_url: str, store_url: str) -> None:
    """Whatever the moves, on both databases."""
    play(shop_url, store_url, EXAMPLES)


@pytest.mark.slow
def test_the_machine_notices_reservations_that_do_not_come_back(
    store_url: str, tmp_path: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The mutant forgets them when the map is put back."""
    right = rebuilding.put_back
    monkeypatch.setattr(rebuilding, "put_back", lambda told, *more: right(replace(told, standing=()), *more))
    for beginning in range(BEGINNINGS):
        try:
            play(f"sqlite:///{tmp_path}/shop.db", store_url, 5, beginning)
        except AssertionError:
            return
    pytest.fail("the mutant was not noticed")


def _id(text: str) -> bytes:
    id_ = hold_id_of(text)
    assert id_ is not None
    return id_
