"""The waitlist on real stores: in order, nothing offered twice, nothing grabbed while somebody waits."""

import asyncio
from collections import Counter
from collections.abc import Callable
from dataclasses import replace

import pytest

from checkout.catalogue.selling import State, Window
from checkout.halls.seats import Status
from checkout.holds.answers import Held, Taken
from checkout.holds.store import load_script
from checkout.waitlist.offers import Terms
from checkout.waitlist.service import (
    LEASE_MS,
    Line,
    NoEvent,
    NoTier,
    NotOnSale,
    OtherWish,
    SeatsLeft,
    Stepped,
    TooMany,
    Waitlist,
)
from checkout.waitlist.store import LUA, Entry, EntryState, KeptStore
from kernel.clock import ManualClock
from kernel.errors import Unavailable
from kernel.lua import load
from kernel.store import connect
from tests.checkout.waitlists import (
    EVENT,
    MOST,
    NOW_MS,
    OFFER_MS,
    SEATS,
    TERMS,
    Scene,
    Timed,
    hold_id,
    sold_out,
)

CREW = 16


@pytest.fixture
def lite(tmp_path: object) -> str:
    """Name an empty SQLite database, for what does not depend on the database."""
    return f"sqlite:///{tmp_path}/shop.db"


# ------------------------------------------------------------------------------------ join


async def test_from_sold_out_to_the_waitlist_is_one_step(shop_url: str, store_url: str) -> None:
    """One call: a number, a place, and from then on what comes back is kept."""
    async with sold_out(shop_url, store_url) as scene:
        first = await scene.waitlist.join(EVENT, "ann", 2, None)
        second = await scene.waitlist.join(EVENT, "bob", 1, 1)
        await scene.cancel(3)

        assert isinstance(first, Line)
        assert (first.entry.number, first.before, first.is_new) == (1, 0, True)
        assert isinstance(second, Line)
        assert (second.entry.number, second.before, second.entry.tier) == (2, 1, 1)
        assert (await scene.statuses())[3] is Status.KEPT


async def test_nobody_waits_while_seats_are_left_unless_others_wait_already(
    lite: str, store_url: str
) -> None:
    """Who could have a seat is told so; once somebody waits, the next stands behind and does not pass by."""
    async with sold_out(lite, store_url) as scene:
        await scene.cancel(3)

        assert await scene.waitlist.join(EVENT, "ann", 1, None) == SeatsLeft(1)
        assert isinstance(await scene.waitlist.join(EVENT, "ann", 1, 1), Line)
        assert isinstance(await scene.waitlist.join(EVENT, "bob", 1, None), Line)
        assert await scene.waitlist.join(EVENT, "eve", 1, 0) != SeatsLeft(0)


async def test_what_cannot_be_waited_for_is_told(lite: str, store_url: str) -> None:
    """Each reason has its own answer, and none leaves a row behind."""
    async with sold_out(lite, store_url) as scene:
        later = Window(State.PUBLISHED, NOW_MS + 1, NOW_MS + 2)

        assert await scene.waitlist.join("day", "ann", 1, None) == NoEvent()
        assert await scene.waitlist.join(EVENT, "ann", 1, 7) == NoTier()
        assert await scene.waitlist.join(EVENT, "ann", MOST + 1, None) == TooMany(0, MOST)
        assert await scene.waitlist.join(EVENT, "first-1", MOST, None) == TooMany(1, MOST)
        scene.programme.terms_now = replace(TERMS, window=later)
        assert isinstance(await scene.waitlist.join(EVENT, "ann", 1, None), NotOnSale)
        assert scene.states() == {}


async def test_a_buyer_stands_in_line_once(shop_url: str, store_url: str) -> None:
    """Sixteen requests at once of one buyer make one entry; sixteen buyers get sixteen numbers in a row."""
    async with sold_out(shop_url, store_url) as scene:
        same = await asyncio.gather(*(scene.waitlist.join(EVENT, "ann", 1, None) for _ in range(CREW)))
        others = await asyncio.gather(
            *(scene.waitlist.join(EVENT, f"b{number}", 1, None) for number in range(CREW))
        )

        assert {line.entry.number for line in same if isinstance(line, Line)} == {1}
        assert sum(line.is_new for line in same if isinstance(line, Line)) == 1
        numbers = sorted(line.entry.number for line in others if isinstance(line, Line))
        assert numbers == list(range(2, CREW + 2))
        assert isinstance(await scene.waitlist.join(EVENT, "ann", 2, None), OtherWish)


async def test_a_new_entry_stands_at_the_end(lite: str, store_url: str) -> None:
    """Who leaves and comes back has lost the place."""
    async with sold_out(lite, store_url) as scene:
        await scene.join("ann", "bob")

        assert await scene.waitlist.leave(EVENT, "ann")
        assert not await scene.waitlist.leave(EVENT, "ann")
        assert await scene.waitlist.mine(EVENT, "ann") is None
        line = await scene.waitlist.join(EVENT, "ann", 1, None)
        assert isinstance(line, Line)
        assert (line.entry.number, line.before) == (3, 1)


# ---------------------------------------------------------------------------------- offers


async def test_three_seats_come_back_and_five_wait(shop_url: str, store_url: str) -> None:
    """The first three get an offer; nobody else gets the seats; what is not answered is passed on in order."""
    async with sold_out(shop_url, store_url) as scene:
        await scene.join("a", "b", "c", "d", "e")
        await scene.cancel(1, 4, 9)
        assert await scene.grab("thief", 4) == Taken(((4, Status.KEPT),))

        assert await scene.step() == Stepped(offered=3)
        assert [len(await scene.seats_of(buyer)) for buyer in "abcde"] == [1, 1, 1, 0, 0]
        line = await scene.waitlist.mine(EVENT, "a")
        assert line is not None
        assert line.until_ms == NOW_MS + OFFER_MS
        assert await scene.grab("thief", 4) == Taken(((4, Status.HELD),))

        scene.clock.advance(OFFER_MS - 1)
        assert await scene.step() == Stepped()
        scene.clock.advance(1)
        assert await scene.step() == Stepped(offered=2, lapsed=3)
        assert scene.states() == {"a": "lapsed", "b": "lapsed", "c": "lapsed", "d": "offered", "e": "offered"}
        assert (await scene.statuses()).count(Status.KEPT) == 1


async def test_what_is_left_when_nobody_waits_is_free_for_all(shop_url: str, store_url: str) -> None:
    """The last to be served lowers the flag: kept seats are free, and what comes back later is free at once."""
    async with sold_out(shop_url, store_url) as scene:
        await scene.join("a")
        await scene.cancel(1, 4)

        assert (await scene.step()).offered == 1
        assert await scene.step() == Stepped(freed=1)
        await scene.cancel(7)
        statuses = await scene.statuses()
        assert [statuses[seat] for seat in (1, 4, 7)] == [Status.HELD, Status.FREE, Status.FREE]
        scene.clock.advance(OFFER_MS)
        assert await scene.step() == Stepped(lapsed=1, is_idle=True)
        assert (await scene.statuses())[1] is Status.FREE


async def test_an_offer_that_is_paid_for_is_taken(shop_url: str, store_url: str) -> None:
    """It is a hold like any other: pinned and reserved it stays, and the entry is at its end."""
    async with sold_out(shop_url, store_url) as scene:
        await scene.join("a")
        await scene.cancel(5)
        await scene.step()

        await scene.pay("a")

        assert (await scene.step()).taken == 1
        assert scene.states() == {"a": "taken"}
        assert (await scene.statuses())[5] is Status.RESERVED


async def test_who_leaves_passes_the_offer_on(lite: str, store_url: str) -> None:
    """Declining is leaving: the seats go to the next, not to everybody."""
    async with sold_out(lite, store_url) as scene:
        await scene.join("a", "b")
        await scene.cancel(5)
        await scene.step()

        assert await scene.waitlist.leave(EVENT, "a")

        assert (await scene.statuses())[5] is Status.KEPT
        assert (await scene.step()).offered == 1
        assert await scene.seats_of("b") == [5]


async def test_a_group_is_seated_together_and_holds_up_nobody_for_long(lite: str, store_url: str) -> None:
    """Two of the three seats that a group lacks are set aside for one period; the store remembers since when."""
    async with sold_out(lite, store_url) as scene:
        await scene.join("group", wanted=3)
        await scene.join("single")
        await scene.cancel(1, 2)
        await scene.step()
        assert await scene.seats_of("single") == []

        scene.clock.advance(OFFER_MS)
        await scene.step()
        assert await scene.seats_of("single") == [1]
        await scene.cancel(3, 7, 8, 9)
        await scene.step()

        assert await scene.seats_of("group") == [7, 8, 9]


async def test_seats_that_nobody_waits_for_are_free(lite: str, store_url: str) -> None:
    """Somebody waits for tier 1; a seat of tier 0 that comes back is everybody's."""
    async with sold_out(lite, store_url, tiers={5: 1}) as scene:
        await scene.join("a", tier=1)
        await scene.cancel(3, 5)

        assert await scene.step() == Stepped(offered=1, freed=1)
        assert isinstance(await scene.grab("eve", 3), Held)


async def test_who_has_too_many_seats_by_now_is_passed_over(lite: str, store_url: str) -> None:
    """The limit is the hold's own; the entry ends, and the next is served."""
    async with sold_out(lite, store_url) as scene:
        await scene.join("a", wanted=MOST)
        await scene.join("b")
        await scene.cancel(0, 1, 2, 3, 4)
        await scene.kept.close(EVENT, (await scene.kept.look(EVENT)).seen)  # type: ignore[union-attr]
        assert isinstance(await scene.grab("a", 4), Held)
        await scene.kept.join(EVENT)
        for seat in range(4):
            assert isinstance(await scene.grab(f"z{seat}", seat), Held)
            await scene.kept.holds.release(EVENT, hold_id(EVENT, f"z{seat}", f"k{(seat,)}"), f"z{seat}")

        assert await scene.step() == Stepped(lapsed=1)
        assert await scene.step() == Stepped(offered=1)
        assert scene.states() == {"a": "lapsed", "b": "offered"}


@pytest.mark.parametrize("state", [State.CANCELLED, State.PUBLISHED])
async def test_when_the_sale_is_over_so_is_the_waitlist(state: State, lite: str, store_url: str) -> None:
    """Nobody waits for seats that are not sold any more; nothing stays kept."""
    async with sold_out(lite, store_url) as scene:
        await scene.join("a", "b")
        await scene.cancel(1)
        scene.programme.terms_now = replace(TERMS, window=Window(state, 0, NOW_MS))

        assert await scene.step() == Stepped(lapsed=2, freed=1, is_idle=True)
        assert Status.KEPT not in await scene.statuses()


# ---------------------------------------------------------------------------------- crashes


async def test_a_hold_without_its_row_is_found_again(
    shop_url: str, store_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The worker dies between the two: the next step asks for the same hold and writes the row."""

    def dies(*_: object) -> bool:
        raise Unavailable("shop-away", "gone")

    async with sold_out(shop_url, store_url) as scene:
        await scene.join("a")
        await scene.cancel(2)
        with monkeypatch.context() as patch:
            patch.setattr(scene.rows, "offer", dies)
            with pytest.raises(Unavailable):
                await scene.waitlist.step(EVENT)
        assert scene.states() == {"a": "waiting"}
        await scene.cancel(3)

        assert await scene.step() == Stepped(offered=1)
        assert await scene.seats_of("a") == [2]


async def test_a_buyer_who_leaves_while_seats_are_put_aside_gets_none(
    lite: str, store_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The hold is made, the row says left: the seats come back to those who wait."""
    async with sold_out(lite, store_url) as scene:
        await scene.join("a", "b")
        await scene.cancel(2)
        offer = scene.rows.offer

        def after_leaving(entry: Entry, hold: str, until_ms: int, now_ms: int) -> bool:
            if entry.buyer == "a":
                assert scene.rows.end(entry, EntryState.LEFT)
            return offer(entry, hold, until_ms, now_ms)

        monkeypatch.setattr(scene.rows, "offer", after_leaving)

        assert (await scene.step()).offered == 0
        assert (await scene.statuses())[2] is Status.KEPT
        assert (await scene.step()).offered == 1
        assert await scene.seats_of("b") == [2]


async def test_an_offer_that_the_store_lost_is_made_again(lite: str, store_url: str) -> None:
    """Whose hold is gone before its time waits again, at the same place."""
    async with sold_out(lite, store_url) as scene:
        await scene.join("a", "b")
        await scene.cancel(2)
        await scene.step()
        await scene.kept.holds.client.flushall()
        assert await scene.step() == Stepped()
        await scene.kept.holds.load(EVENT, 2, bytes([3] * SEATS))

        await scene.step()

        assert scene.states() == {"a": "waiting", "b": "waiting"}
        flag = await scene.kept.look(EVENT)
        assert flag is not None
        assert flag.is_waiting


async def test_a_flag_that_was_not_raised_is_raised_by_the_next_step(lite: str, store_url: str) -> None:
    """The worker died between the row and the flag, or the store was rebuilt without it."""
    async with sold_out(lite, store_url) as scene:
        await asyncio.to_thread(scene.rows.join, EVENT, "a", 1, None, NOW_MS, is_sold_out=True)

        await scene.waitlist.pass_by()
        await scene.cancel(6)
        await scene.waitlist.pass_by()

        assert await scene.seats_of("a") == [6]


async def test_an_event_is_watched_until_it_is_tidy(lite: str, store_url: str) -> None:
    """Nobody waits, but the flag is up, because the last worker died: the next frees the seats all the same."""
    async with sold_out(lite, store_url) as scene:
        await scene.join("a")
        await scene.waitlist.leave(EVENT, "a")
        await scene.cancel(6)
        assert (await scene.statuses())[6] is Status.KEPT

        await scene.worker("fresh").pass_by()

        assert (await scene.statuses())[6] is Status.FREE


# --------------------------------------------------------------------------------- in parallel


async def crowded(url: str, store_url: str, **changes: object) -> tuple[list[str], Scene]:
    """Let sixteen workers step while eight seats are given back by sixteen tasks; return what is wrong after it."""
    wrong: list[str] = []
    async with sold_out(url, store_url) as scene:
        await scene.join(*(f"b{number:02d}" for number in range(20)))
        crew = [scene.worker(f"w{number}", **changes) for number in range(CREW)]
        offered: Counter[str] = Counter()

        async def cancel(seat: int) -> None:
            await scene.cancel(seat)
            got = await scene.grab(f"thief-{seat}", seat)
            if isinstance(got, Held):
                wrong.append(f"seat {seat} was grabbed while people wait")

        async def work(worker: Waitlist) -> None:
            for _ in range(3):
                await worker.step(EVENT)

        await asyncio.gather(*map(cancel, range(8)), *map(work, crew))
        await scene.step()
        for number in range(20):
            held = await scene.seats_of(f"b{number:02d}")
            offered[f"b{number:02d}"] = len(held)
            if len(held) > 1:
                wrong.append(f"b{number:02d} was offered {held}")
        states = scene.states()
        if sum(offered.values()) != 8:
            wrong.append(f"{sum(offered.values())} of 8 seats are on offer")
        served = {buyer for buyer, state in states.items() if state == "offered"}
        if served != {buyer for buyer, count in offered.items() if count}:
            wrong.append("rows and holds do not agree")
        if served != {f"b{number:02d}" for number in range(8)}:
            wrong.append(f"served were {sorted(served)}")
    return wrong, scene


async def test_parallel_cancels_and_sixteen_workers_offer_nothing_twice(
    shop_url: str, store_url: str
) -> None:
    """Eight seats, twenty who wait: the first eight get one each, and no thief gets any."""
    wrong, _ = await crowded(shop_url, store_url)

    assert wrong == []


class NoLease(KeptStore):
    """The mutant's store: everybody has the turn."""

    async def take_turn(self, event: str, who: str, lease_ms: int, now_ms: int | None = None) -> bool:
        """Say yes to everybody."""
        del event, who, lease_ms, now_ms
        return True


async def test_even_without_the_lease_nothing_is_offered_twice(shop_url: str, store_url: str) -> None:
    """The lease saves work; what protects is that an offer's hold follows from the entry."""
    client = connect(store_url, timeout_s=15)
    holds = Timed(client)
    holds.clock = ManualClock(NOW_MS)

    wrong, _ = await crowded(shop_url, store_url, kept=NoLease(holds))

    await client.aclose()
    assert [one for one in wrong if "was offered" in one or "grabbed" in one or "agree" in one] == []


async def overtaken(
    url: str, store_url: str, *, has_lease: bool, hold_ids: Callable[..., bytes]
) -> list[int]:
    """Let a second worker do a whole step, and a seat come back, while the first has just read who waits.

    Returns what the one who waits is offered in the end.
    """
    async with sold_out(url, store_url) as scene:
        await scene.join("a")
        await scene.cancel(2)
        kept = scene.kept if has_lease else NoLease(scene.kept.holds)
        first, second = (scene.worker(who, kept, hold_id=hold_ids) for who in ("first", "second"))
        entries, loop, turns = scene.rows.entries, asyncio.get_running_loop(), iter([True])

        async def meanwhile() -> None:
            await second.step(EVENT)
            await scene.cancel(5)

        def then_overtaken(event: str) -> list[Entry]:
            found = entries(event)
            if next(turns, False):
                asyncio.run_coroutine_threadsafe(meanwhile(), loop).result(timeout=20)
            return found

        scene.rows.entries = then_overtaken  # type: ignore[method-assign]
        await first.step(EVENT)
        return await scene.seats_of("a")


async def test_two_workers_at_once_without_their_guards_are_noticed(lite: str, store_url: str) -> None:
    """The mutants: no lease and an offer's id by chance give one entry two offers; either guard alone prevents it."""
    made = iter(range(1, 100))

    def by_chance(*_: str) -> bytes:
        return next(made).to_bytes(8, "big")

    assert len(await overtaken(f"{lite}-0", store_url, has_lease=True, hold_ids=hold_id)) == 1
    assert len(await overtaken(f"{lite}-1", store_url, has_lease=False, hold_ids=hold_id)) == 1
    assert len(await overtaken(f"{lite}-2", store_url, has_lease=True, hold_ids=by_chance)) == 1
    assert len(await overtaken(f"{lite}-3", store_url, has_lease=False, hold_ids=by_chance)) == 2


# ---------------------------------------------------------------------------------- the lease


async def at_once(scene: Scene, monkeypatch: pytest.MonkeyPatch) -> list[Stepped | None]:
    """Let a second worker step while the first is in the middle of its step; return what each did."""
    second, terms = scene.worker("second"), scene.programme.terms
    did: list[Stepped | None] = []
    asked = iter([True])

    async def in_the_middle(event: str) -> Terms | None:
        if next(asked, False):
            did.append(await second.step(event))
        return await terms(event)

    monkeypatch.setattr(scene.programme, "terms", in_the_middle)
    return [await scene.waitlist.step(EVENT), *did]


async def test_while_one_worker_steps_no_other_does(
    lite: str, store_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The second goes on to other events, and may come when the first is done."""
    async with sold_out(lite, store_url) as scene:
        await scene.join("a", "b")
        await scene.cancel(3)

        assert await at_once(scene, monkeypatch) == [Stepped(offered=1), None]
        assert await scene.worker("second").step(EVENT) == Stepped()


async def test_the_turn_of_a_worker_that_died_ends_with_its_lease(lite: str, store_url: str) -> None:
    """Until then nobody has it, whoever asks; whose lease ran out gives nothing back."""
    async with sold_out(lite, store_url) as scene:
        take = scene.kept.take_turn
        assert await take(EVENT, "dead", LEASE_MS, NOW_MS)

        assert not await take(EVENT, "me", LEASE_MS, NOW_MS + LEASE_MS - 1)
        assert not await take(EVENT, "dead", LEASE_MS, NOW_MS + LEASE_MS - 1)
        assert await take(EVENT, "me", LEASE_MS, NOW_MS + LEASE_MS)
        await scene.kept.give_turn(EVENT, "dead")
        assert not await take(EVENT, "other", LEASE_MS, NOW_MS + LEASE_MS)
        await scene.kept.give_turn(EVENT, "me")
        assert await take(EVENT, "other", LEASE_MS, NOW_MS + LEASE_MS)


async def test_a_lease_that_is_given_to_everybody_is_noticed(
    lite: str, store_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The mutant: the script forgets who has the turn; then two workers step at once."""
    script = load(LUA / "turn.lua")
    mutant = script.mutated("if known[1] and tonumber(known[2]) > now_ms then", "if false then")
    async with sold_out(lite, store_url, scripts={"turn": mutant}) as scene:
        assert None not in await at_once(scene, monkeypatch)


# ---------------------------------------------------------------------------------- mutants


async def grabbed(lite: str, store_url: str, **mutants: object) -> bool:
    """Tell whether a seat that comes back while somebody waits can be had by somebody else."""
    async with sold_out(lite, store_url, **mutants) as scene:  # type: ignore[arg-type]
        await scene.join("a")
        await scene.cancel(3)
        return isinstance(await scene.grab("thief", 3), Held)


async def test_a_release_that_ignores_who_waits_is_noticed(lite: str, store_url: str) -> None:
    """The mutant: seats come back as free, whoever waits."""
    script = load_script("release")
    mutant = script.mutated("back = waiting and KEPT or FREE", "back = FREE")

    assert not await grabbed(lite, store_url)
    assert await grabbed(f"{lite}-mutant", store_url, hall_scripts={"release": mutant})


async def test_a_join_that_does_not_raise_the_flag_is_noticed(lite: str, store_url: str) -> None:
    """The mutant: the row is written, and nothing is kept."""
    script = load_script("waitlist")
    mutant = script.mutated("redis.call('HSET', head, 'waiting', '1')", "")

    assert await grabbed(lite, store_url, scripts={"waitlist": mutant})


async def passed_by(lite: str, store_url: str, **mutants: object) -> bool:
    """Let somebody join between the reading of the rows and the closing; tell whether the seat is then everybody's."""
    async with sold_out(lite, store_url, **mutants) as scene:  # type: ignore[arg-type]
        await scene.join("a")
        await scene.waitlist.leave(EVENT, "a")
        await scene.cancel(3)
        entries = scene.rows.entries
        loop = asyncio.get_running_loop()

        def then_joins(event: str) -> list[Entry]:
            found = entries(event)
            asyncio.run_coroutine_threadsafe(scene.join("b"), loop).result(timeout=20)
            return found

        scene.rows.entries = then_joins  # type: ignore[method-assign]
        stepped = await scene.step()
        assert not stepped.is_idle or mutants
        return isinstance(await scene.grab("thief", 3), Held)


async def test_the_last_to_leave_and_the_next_to_join_do_not_pass_each_other(
    lite: str, store_url: str
) -> None:
    """Who joined after the rows were read keeps the flag up, and the seat."""
    script = load_script("waitlist")
    mutant = script.mutated("if seen ~= known then", "if false then")

    assert not await passed_by(lite, store_url)
    assert await passed_by(f"{lite}-mutant", store_url, scripts={"waitlist": mutant})


# ------------------------------------------------------------------------------------ small


def test_an_offer_stands_two_to_ten_minutes() -> None:
    """The setting is held to its bounds."""
    for offer_ms in (119_999, 600_001):
        with pytest.raises(ValueError, match="an offer must stand"):
            Waitlist(None, None, hold_id, ManualClock(0), "w", offer_ms=offer_ms)  # type: ignore[arg-type]
