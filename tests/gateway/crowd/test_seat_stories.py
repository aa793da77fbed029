"""The errands: what each kind of fan does in a shop that keeps its promises, and in origins that are none."""

import asyncio
from collections import Counter
from collections.abc import Callable
from dataclasses import replace

import pytest

from gateway.crowd.crowd import Hooks, Result, run_crowd
from gateway.crowd.observed import Outcome, Route
from gateway.crowd.plan import DEFAULT_ERRANDS, Drill, Errand, Plan, Script
from gateway.crowd.seats.figures import seat_figures
from gateway.crowd.seats.noted import ENDINGS, Ending
from gateway.crowd.seats.stories import STORIES
from gateway.crowd.verdict import State
from tests.gateway.crowd.naive_hall import EVENT, ShopFault, hall
from tests.gateway.crowd.naive_room import NaiveRoom
from tests.gateway.crowd.naive_shop import NaiveShop, Said
from tests.gateway.crowd.test_seat_checks import crowd_before, seat_verdicts
from tests.gateway.crowd.virtual import run_virtually

PLAN = Plan(
    fans=24,
    duration_s=6.0,
    linger_s=400.0,
    shape="constant",
    mix={Script.STEADY: 1.0},
    alone=True,
    follow_s=8.0,
)


def only(errand: Errand, **changes: object) -> Plan:
    """A crowd in which all have the same errand."""
    return replace(PLAN, errands={errand: 1.0}, **changes)  # type: ignore[arg-type]


def endings(result: Result) -> Counter[Ending | None]:
    """How the errands ended."""
    return Counter(file.ending for file in result.observed.fans)


def reds(result: Result) -> dict[str, tuple[str, ...]]:
    """The red checks with what they found."""
    return {verdict.name: verdict.examples for verdict in result.verdicts if verdict.state is State.RED}


MOSTLY = {
    Errand.RESERVE: Ending.RESERVED,
    Errand.GIVE_BACK: Ending.GAVE_BACK,
    Errand.WALK_AWAY: Ending.ENDED,
    Errand.EXTEND: Ending.RESERVED,
    Errand.CANCEL: Ending.CANCELLED,
    Errand.DOUBLE_CLICK: Ending.GAVE_BACK,
    Errand.RETRY: Ending.GAVE_BACK,
    Errand.TWO_TABS: Ending.GAVE_BACK,
    Errand.RIVAL: Ending.NOTHING,
    Errand.LATE: Ending.ENDED,
    Errand.WATCH: Ending.FOLLOWED,
}


@pytest.mark.parametrize("errand", list(Errand))
def test_every_errand_ends_as_it_says(errand: Errand) -> None:
    """A crowd of one kind: every ending is one that the errand expects, and the usual one is among them."""
    result = crowd_before(NaiveShop, only(errand))

    assert reds(result) == {}
    assert result.matched == PLAN.fans
    assert set(endings(result)) <= ENDINGS[errand]
    assert MOSTLY[errand] in endings(result)


def test_every_errand_has_a_story_and_an_expectation() -> None:
    """No errand is forgotten."""
    assert set(STORIES) == set(ENDINGS) == set(Errand) == set(MOSTLY)


def test_the_layout_is_read_once_and_the_map_only_as_far_as_it_is_news() -> None:
    """One layout and one listing for the whole crowd; who finds the map unchanged gets no second copy."""
    result = crowd_before(NaiveShop, only(Errand.RIVAL))
    observed = result.observed

    assert observed.requests[Route.LAYOUT].total() == 1
    assert observed.requests[Route.MAP].total() > PLAN.fans
    shop = observed.shop.halls[EVENT]
    assert shop.first is shop.map  # nobody held anything, so it stayed the same object


def test_who_comes_too_late_chooses_again_from_what_the_refusal_told() -> None:
    """Many want the same few seats: some are refused, learn from it, and get others."""
    result = crowd_before(
        lambda now_s: NaiveShop(now_s, plan=hall(2, 14, 4)), only(Errand.GIVE_BACK, fans=60)
    )
    refused = [one for one in result.observed.shop.tried if one.code == "seats-taken"]
    after = [won for won in result.observed.shop.won if won.refused]

    assert reds(result) == {}
    assert refused
    assert after
    for one in refused:
        later = [
            other
            for other in result.observed.shop.tried
            if other.fan == one.fan and other.asked_us > one.asked_us
        ]
        assert later
        assert later[0].key != one.key
        assert not set(later[0].wish.seats) & {seat for seat, _ in one.taken}


def test_a_hall_that_is_sold_out_ends_on_the_waitlist() -> None:
    """Fewer and fewer, then the waitlist, and then other plans."""

    def sold_out(now_s: Callable[[], float]) -> NaiveShop:
        shop = NaiveShop(now_s)
        shop.sell(list(range(shop.layout.seats)))
        return shop

    result = crowd_before(sold_out, only(Errand.RESERVE))

    assert reds(result) == {}
    assert endings(result) == {Ending.WAITED: PLAN.fans}
    assert len(result.observed.shop.queued) == PLAN.fans
    assert result.observed.requests[Route.WAITLIST].total() > 3 * PLAN.fans


def test_an_offer_of_the_waitlist_is_a_hold_like_any_other() -> None:
    """Who waits is offered what comes back, and pays for it."""
    result = crowd_before(
        lambda now_s: NaiveShop(now_s, plan=hall(1, 8, 1), hold_s=4), only(Errand.WALK_AWAY, fans=30)
    )
    offers = [one for one in result.observed.shop.tried if not one.key]

    assert reds(result) == {}
    assert offers
    shown = seat_figures(result.observed)
    assert shown is not None
    assert shown.offered == len({one.paper.id for one in offers if one.paper})


def test_a_waitlist_that_says_there_are_seats_ends_with_nothing() -> None:
    """A seat came back at that moment: the fan has had enough."""

    def undecided(now_s: Callable[[], float]) -> NaiveShop:
        shop = NaiveShop(now_s)
        shop.sell(list(range(shop.layout.seats)))
        shop.refuse_waiting = True
        return shop

    assert endings(crowd_before(undecided, only(Errand.RESERVE))) == {Ending.NOTHING: PLAN.fans}


def test_where_only_counts_are_told_fans_take_the_best_available() -> None:
    """Under overload there is no map to choose from; nobody can watch, and rivals are those one knows of."""

    def overloaded(now_s: Callable[[], float]) -> NaiveShop:
        shop = NaiveShop(now_s)
        shop.sections_only = True
        return shop

    plan = replace(PLAN, errands={Errand.RESERVE: 0.5, Errand.WATCH: 0.25, Errand.RIVAL: 0.25})
    result = crowd_before(overloaded, plan)

    assert reds(result) == {}
    assert endings(result)[Ending.RESERVED] == 12
    assert endings(result)[Ending.NOTHING] >= 6
    assert set(endings(result)) <= {Ending.RESERVED, Ending.NOTHING, Ending.REFUSED}
    assert all(not one.wish.seats for one in result.observed.shop.tried if one.paper)
    assert result.verdict("map-follows").state is State.NOT_JUDGED


def test_prices_that_change_meanwhile_are_read_again() -> None:
    """A hold at a price that was not listed yet is no fault, once the list says so too."""

    async def run() -> Result:
        loop = asyncio.get_running_loop()
        shop = NaiveShop(loop.time)
        loop.call_later(4.0, shop.change_prices)
        hooks = Hooks(asker=shop.at, seconds=loop.time, wall_ms=lambda: loop.time() * 1000)
        return await run_crowd(only(Errand.GIVE_BACK), hooks)

    result = run_virtually(run())

    assert reds(result) == {}
    assert result.observed.shop.halls[EVENT].costs(0) == {5000, 5500}
    assert {5000, 5500} & {
        line.price_minor for one in result.observed.shop.tried if one.paper for line in one.paper.lines
    }


def test_strangers_in_the_shop_are_nobodys_fault_unless_the_crowd_is_alone() -> None:
    """A refusal that no fan explains is told; it is red only where the plan says that nobody else buys."""

    def ghostly(now_s: Callable[[], float]) -> NaiveShop:
        return NaiveShop(now_s, shop_fault=ShopFault.GHOST)

    plan = only(Errand.RESERVE, fans=60)
    among_others = crowd_before(ghostly, replace(plan, alone=False)).verdict("seat-once")

    assert among_others.state is State.GREEN
    assert "somebody else had them" in among_others.detail
    assert crowd_before(ghostly, plan).verdict("seat-once").state is State.RED


def test_a_seat_held_twice_is_red_among_strangers_too() -> None:
    """What two fans were promised at once needs no refusal as a witness."""
    result = crowd_before(
        lambda now_s: NaiveShop(now_s, shop_fault=ShopFault.NO_LOCK),
        only(Errand.RESERVE, fans=60, alone=False),
    )

    assert result.verdict("seat-once").state is State.RED


def test_ends_are_not_judged_by_another_clock() -> None:
    """A shop whose clock is not this machine's."""
    result = crowd_before(lambda now_s: NaiveShop(now_s, shop_clock_ms=3000), only(Errand.GIVE_BACK))
    verdict = result.verdict("ends-kept")

    assert verdict.state is State.NOT_JUDGED
    assert "ms from this machine's" in verdict.detail


def test_holds_that_outlast_the_fans_patience_are_left() -> None:
    """Where holds last long nobody waits: who walks away is gone, who would be late gives back first."""
    plan = replace(PLAN, errands={Errand.WALK_AWAY: 0.5, Errand.LATE: 0.5}, ends_wait_s=10.0)
    result = crowd_before(NaiveShop, plan)

    assert reds(result) == {}
    assert endings(result) == {Ending.LEFT_HELD: 12, Ending.GAVE_BACK: 12}


def test_a_session_that_ends_in_the_middle_of_an_errand_has_ended_by_itself() -> None:
    """The room answers instead of the shop, and the session's time was over: cut, and stayed."""

    def strict(now_s: Callable[[], float]) -> NaiveShop:
        shop = NaiveShop(now_s, hold_s=20)
        shop._session_s, shop._strict_times = 3, True
        return shop

    result = crowd_before(strict, only(Errand.WALK_AWAY))

    assert reds(result) == {}
    assert endings(result)[Ending.CUT] > 12
    assert {file.outcome for file in result.observed.fans} <= {Outcome.STAYED, Outcome.FINISHED}


def test_a_room_that_answers_although_the_session_goes_on_is_caught() -> None:
    """The errand failed, and so did the fan's day."""

    class Forgetful(NaiveShop):
        def admitted(self, cookies: dict[bytes, bytes]) -> str | None:
            sid = super().admitted(cookies)
            return None if sid and len(self.books.holds) > 3 else sid

    result = crowd_before(Forgetful, only(Errand.RESERVE))

    assert Ending.FAILED in endings(result)
    assert any("although the session goes on" in text for text in reds(result)["outcomes"])


def test_a_crowd_that_is_sent_home_leaves_its_errands() -> None:
    """Cut, neither right nor wrong."""

    async def run() -> Result:
        loop = asyncio.get_running_loop()
        shop = NaiveShop(loop.time)
        hooks = Hooks(
            asker=shop.at,
            seconds=loop.time,
            wall_ms=lambda: loop.time() * 1000,
            closing=lambda close: loop.call_later(7.0, close) and None,
        )
        return await run_crowd(only(Errand.WALK_AWAY), hooks)

    result = run_virtually(run())

    assert reds(result) == {}
    assert endings(result)[Ending.CUT] > 10


def test_a_lost_store_takes_holds_along_and_that_is_no_fault() -> None:
    """In an announced drill holds may be gone; everything else still holds."""

    async def run() -> Result:
        now_s = asyncio.get_running_loop().time
        shop = NaiveShop(now_s)

        async def lose() -> None:
            shop.down_until_s = now_s() + 2
            shop.books.by_key = {key: (hold, b"-") for key, (hold, _) in shop.books.by_key.items()}
            for held in shop.books.holds.values():
                if held.state == "held":
                    held.state = "unknown"
                    shop._put(held.seats, 0)  # type: ignore[arg-type]

        hooks = Hooks(
            drills=[Drill(5.0, "flush", lose, loses_store=True, grace_s=5.0)],
            asker=shop.at,
            seconds=now_s,
            wall_ms=lambda: now_s() * 1000,
        )
        return await run_crowd(replace(PLAN, fans=60, duration_s=10.0, think_s=2.0), hooks)

    result = run_virtually(run())

    assert reds(result) == {}
    assert endings(result)[Ending.LOST] > 0


def test_a_store_that_was_set_back_may_have_a_hold_again() -> None:
    """Given back a moment before the loss, so that SQL had not heard: it can be paid for, and that is no fault."""

    class Forgiving(NaiveShop):
        def _event(self, sid: str, method: str, below: str, headers: dict[bytes, bytes], body: bytes) -> Said:
            if below.endswith("/reserve"):
                held = self.books.holds[below.split("/")[-2]]
                held.state = "held" if held.state == "released" else held.state
            return super()._event(sid, method, below, headers, body)

    async def run(*, loses_store: bool) -> Result:
        now_s = asyncio.get_running_loop().time
        shop = Forgiving(now_s)

        async def lose() -> None:
            """Nothing else is gone."""

        hooks = Hooks(
            drills=[Drill(0.0, "flush", lose, loses_store=loses_store, grace_s=60.0)],
            asker=shop.at,
            seconds=now_s,
            wall_ms=lambda: now_s() * 1000,
        )
        return await run_crowd(replace(only(Errand.LATE), ends_wait_s=10.0), hooks)

    faults = [
        [text for file in run_virtually(run(loses_store=lost)).observed.fans for text in file.faults]
        for lost in (True, False)
    ]

    assert faults[0] == []
    assert any("could still be paid for: 201" in text for text in faults[1])


class Lossy(NaiveShop):
    """A shop whose answers get lost on the way, every fifth of them, after everything was done."""

    def origin(self, sid: str, method: str, path: str, headers: dict[bytes, bytes], body: bytes) -> Said:
        """Do it, and perhaps say nothing."""
        said = super().origin(sid, method, path, headers, body)
        is_lost = method in {"POST", "DELETE"} and self._dice.random() < 0.2
        return (0, [], b"") if is_lost else said


def test_answers_that_get_lost_make_nothing_but_failed_requests() -> None:
    """Every fan asks again, and finds done what was done; who was quicker meanwhile is no contradiction."""
    plan = replace(PLAN, fans=160, duration_s=20.0, errands={**DEFAULT_ERRANDS, Errand.WATCH: 0.0})
    result = crowd_before(lambda now_s: Lossy(now_s, plan=hall(3, 14, 10)), plan)

    assert set(reds(result)) == {"no-failures"}
    assert sum(one.is_lost for one in result.observed.shop.acted) > 10
    assert sum(one.is_lost for one in result.observed.shop.tried) > 10


# --------------------------------------------------------------------------------- other origins


class Other(NaiveRoom):
    """A room before an origin that sells no seats, and says so in its own way."""

    answer: tuple[int, list[tuple[str, str]], bytes] = (404, [], b"no such page")

    def origin(
        self, sid: str, method: str, path: str, headers: dict[bytes, bytes], body: bytes
    ) -> tuple[int, list[tuple[str, str]], bytes]:
        """Answer the shop's address in this way, others as always."""
        if path.startswith("/api/events"):
            return self.answer
        return super().origin(sid, method, path, headers, body)


@pytest.mark.parametrize(
    "answer",
    [
        (404, [], b"no such page"),
        (200, [], b"<html>our shop</html>"),
        (200, [("content-type", "application/json")], b"[1, 2]"),
        (200, [("content-type", "application/json")], b'{"events": []}'),
        (200, [("content-type", "application/json")], b'{"events": [{"name": "another shop"}]}'),
        (200, [("content-type", "application/json")], b'{"events": 7}'),
        (302, [("location", "/login")], b""),
        (401, [], b"who are you?"),
        (500, [], b"oh"),
        (503, [], b"later"),
    ],
)
def test_an_origin_without_such_a_shop_is_looked_at_as_ever(
    answer: tuple[int, list[tuple[str, str]], bytes],
) -> None:
    """Pages only; nothing of it is a failure, and no check of seats is judged."""

    async def run() -> Result:
        now_s = asyncio.get_running_loop().time
        room = Other(now_s)
        room.answer = answer
        return await run_crowd(PLAN, Hooks(asker=room.at, seconds=now_s, wall_ms=lambda: now_s() * 1000))

    result = run_virtually(run())

    assert reds(result) == {}
    assert result.matched == PLAN.fans
    assert endings(result) == {None: PLAN.fans}
    assert seat_verdicts(result) == {}
    assert result.observed.requests[Route.EVENTS].total() <= 5
    assert result.observed.requests[Route.SHOP].total() > PLAN.fans


def test_fans_without_errands_ask_for_no_seats() -> None:
    """The plan may say so."""
    result = crowd_before(NaiveShop, replace(PLAN, errands={}))

    assert result.observed.requests.get(Route.EVENTS) is None
    assert seat_verdicts(result) == {}


def test_an_event_that_is_not_on_sale_is_told() -> None:
    """The plan names one; the report says why nobody asked for seats."""
    closed = crowd_before(lambda now_s: NaiveShop(now_s, on_sale=False), replace(PLAN, event=EVENT))
    other = crowd_before(NaiveShop, replace(PLAN, event="another-night"))

    assert closed.observed.shop.why_not == f"the event {EVENT} is not on sale behind room main"
    assert "another-night is not on sale" in other.observed.shop.why_not
    assert endings(closed) == endings(other) == {None: PLAN.fans}


def test_a_sale_that_ends_meanwhile_ends_the_errands() -> None:
    """Refused clearly, by a code of its own."""

    async def run() -> Result:
        loop = asyncio.get_running_loop()
        shop = NaiveShop(loop.time)
        loop.call_later(4.0, setattr, shop, "on_sale", False)
        hooks = Hooks(asker=shop.at, seconds=loop.time, wall_ms=lambda: loop.time() * 1000)
        return await run_crowd(only(Errand.GIVE_BACK), hooks)

    result = run_virtually(run())

    assert reds(result) == {}
    assert endings(result)[Ending.NOT_ON_SALE] > 0
