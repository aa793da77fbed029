"""A place that is asked for a check before its turn: it stays where it is, passes once, and is free for good."""

from pathlib import Path

import pytest
from redis.asyncio import Redis

from kernel.clock import ManualClock
from tests.waitroom.house import ROOM
from tests.waitroom.test_rhythm_web import ASK, SLOW, Site, site
from tests.waitroom.test_web import BASE
from waitroom.journal import Kind
from waitroom.lanes import Serving
from waitroom.store import LineStore


async def check(here: Site, text: str, answer: str | None = None) -> dict[str, object]:
    """Ask for a challenge, or answer one."""
    act = "/challenge" if answer is None else "/challenge/answer"
    sent = {"way": "work"} if answer is None else {"way": "work", "answer": answer}
    found = await here.browser.post(BASE + act, json=sent, headers={"waitroom-ticket": text})
    return dict(found.json())


@pytest.mark.parametrize("way", ["prove", "step-up"])
async def test_an_asked_place_keeps_everything_and_passes_once(
    store: Redis, clock: ManualClock, tmp_path: Path, way: str
) -> None:
    """The same answer for who asks again; a wrong answer changes nothing; after the check it is never asked again."""
    async with site(store, clock, tmp_path) as here:
        (text,) = await here.join()
        run, known = here.held(text).run, here.house.waitroom.store
        first, again = await here.tell(text, {"asks": way}), (await here.tell(text, {"asks": way})).json()
        asked = await known.asked(ROOM, run, 0)
        issued, wrong = await check(here, text), await check(here, text, "wrong")
        still = await known.asked(ROOM, run, 0)
        passed, once_more = await check(here, text, "passed"), await check(here, text)
        here.judge.heard.clear()
        judged = [(await here.tell(text, {"asks": way})).json()["outcome"]]
        here.judge.heard.clear()
        judged.append((await here.tell(text, SLOW)).json()["outcome"])
        line = (await here.house.beat()).line
        assert line is not None
        await here.house.drained()
        kinds = [here.house.journal.entries(ROOM, 0, [kind], 10) for kind in (Kind.ASKED, Kind.PASSED)]

        told = first.json()
        assert (told["outcome"], told["way"], told["lane"], told["number"]) == ("asked", way, "standard", 0)
        assert "set-cookie" not in first.headers
        assert again == told
        assert (asked, still, await known.asked(ROOM, run, 0)) == (way, way, "")
        assert (issued["outcome"], issued["asked"], wrong["code"]) == ("issued", True, "challenge-wrong")
        assert (passed["outcome"], passed["ticket"], passed["lane"]) == ("lifted", text, "standard")
        assert once_more["outcome"] == "not-needed"
        assert judged == ["noted", "noted"]
        assert (line.joined_suspect, line.joined_verified, line.issued) == (0, 0, 1)
        assert [len(kind) for kind in kinds] == [1, 1]


@pytest.mark.parametrize(
    "room", [{"bot_guard": "watch"}, {"challenge": {"way": "none"}}], ids=["watch", "no check"]
)
async def test_a_room_that_watches_or_has_no_check_asks_nobody(
    store: Redis, clock: ManualClock, tmp_path: Path, room: dict[str, object]
) -> None:
    """Whatever was found: the place is noted, and the store knows nothing of it."""
    async with site(store, clock, tmp_path, **room) as here:
        (text,) = await here.join()
        told = await here.tell(text, ASK)

        assert told.json()["outcome"] == "noted"
        assert await store.hlen(here.house.waitroom.store.keys(ROOM).slowed) == 0


async def asked_in_between(store: Redis, clock: ManualClock, folder: Path) -> str:
    """Call a place after its page has told and before the store hears of it; return what came of it."""
    async with site(store, clock, folder) as here:
        (text,) = await here.join()
        line = here.held(text).run
        await here.house.waitroom.store.call(ROOM, line, 10**9, Serving(1, 1, 0), 60, clock.now_ms())
        return str((await here.tell(text, ASK)).json()["outcome"])


async def test_a_place_once_called_is_never_asked(store: Redis, clock: ManualClock, tmp_path: Path) -> None:
    """The store decides, also where this worker has not heard of the call."""
    assert await asked_in_between(store, clock, tmp_path) == "noted"


async def test_the_mutant_asks_who_was_called(
    store: Redis, clock: ManualClock, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Did the script not look at the threshold, a turn would be put off."""
    init = LineStore.__init__

    def blind(self: LineStore, client: Redis) -> None:
        init(self, client)
        self._scripts["slow"] = self._scripts["slow"].mutated(
            "if rank < tonumber(old[7] or 0) then", "if false then"
        )

    monkeypatch.setattr(LineStore, "__init__", blind)

    assert await asked_in_between(store, clock, tmp_path) == "asked"


async def test_the_mutant_that_does_not_clear_asks_for_ever(
    store: Redis, clock: ManualClock, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Did passing not take the asking back, the claim would wait for ever."""
    init = LineStore.__init__

    def deaf(self: LineStore, client: Redis) -> None:
        init(self, client)
        self._scripts["pass"] = self._scripts["pass"].mutated(
            "redis.call('HDEL', slowed, number)", "local _ = 0"
        )

    monkeypatch.setattr(LineStore, "__init__", deaf)
    async with site(store, clock, tmp_path) as here:
        (text,) = await here.join()
        await here.tell(text, ASK)
        await check(here, text, "passed")

        assert await here.house.waitroom.store.asked(ROOM, here.held(text).run, 0) == "prove"


async def test_a_lost_store_forgets_that_it_asked(store: Redis, clock: ManualClock, tmp_path: Path) -> None:
    """It leans towards the fan: nothing is asked by a store that does not know of it."""
    async with site(store, clock, tmp_path) as here:
        (text,) = await here.join()
        await here.tell(text, ASK)
        await store.delete(here.house.waitroom.store.keys(ROOM).slowed)

        assert (await check(here, text))["outcome"] == "not-needed"
