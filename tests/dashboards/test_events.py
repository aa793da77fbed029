"""Events: what consoles are told, what they are told again, who is told nothing, and what it costs."""

import asyncio
import threading
from collections.abc import Callable, Collection
from contextlib import AsyncExitStack, nullcontext
from dataclasses import replace
from pathlib import Path

import pytest
from redis.asyncio import Redis

from dashboards import bounds, events
from dashboards.access import Session
from dashboards.board import Board
from dashboards.bounds import Streams
from dashboards.entrance import GRACE_MS, Entrance
from dashboards.events import Channel, Channels, Events, Followers
from dashboards.rights import Person, Role
from dashboards.sampling import Sampler
from kernel.clock import ManualClock
from tests.dashboards.desk import FIGURES, client_of, csrf_in, signed_in
from tests.dashboards.following import ROOMS, Glances, app_with, console, sampler_of
from tests.dashboards.people import books_of, browser_of, someone
from waitroom.configure import Configurations

LIMITED = "Vera of alpha"


@pytest.fixture(autouse=True)
def _limited(monkeypatch: pytest.MonkeyPatch) -> None:
    """Vera may look at the room alpha only; everybody else is an owner."""

    def person(session: Session) -> Person:
        if session.who == LIMITED:
            return Person(session.who, Role.VIEWER, frozenset({"alpha"}))
        return Person(session.who, Role.OWNER)

    monkeypatch.setattr(Session, "person", property(person))


async def test_a_console_gets_everything_once_and_then_what_changed(store: Redis, clock: ManualClock) -> None:
    """Numbers for the plots come with each round; a part that is as it was does not come again."""
    glances = Glances(*ROOMS)
    sampler = sampler_of(glances, store, clock)
    app = app_with(sampler, store, clock)
    async with signed_in(app) as ann, console(app, ann, "room=alpha") as seen:
        first = await seen.event()
        assert set(first["parts"]) > {
            "rooms",
            "state",
            "strip",
            "switch",
            "verdicts",
            "table",
            "levers",
            "record",
            "n-held",
        }
        assert "1,200" in first["parts"]["n-waiting"]
        assert (first["point"]["waiting"], first["point"]["rate"]) == (1200, 200)

        glances.figures["alpha"]["waiting"] = 4321
        clock.advance(1_000)
        await sampler.look()
        second = await seen.event()
        assert set(second["parts"]) == {"rooms", "told", "strip", "n-waiting", "table"}
        assert "4,321" in second["parts"]["n-waiting"]
        assert second["point"]["waiting"] == 4321
        assert second["point"]["wait_low_s"] is None
        assert seen.headers["content-type"].startswith("text/event-stream")
        assert seen.headers["x-accel-buffering"] == "no"
        assert seen.headers["cache-control"] == "no-store"


async def test_who_comes_back_gets_what_changed_since(store: Redis, clock: ManualClock) -> None:
    """By the sequence in Last-Event-ID, also when nobody else followed meanwhile."""
    glances = Glances(*ROOMS)
    sampler = sampler_of(glances, store, clock)
    app = app_with(sampler, store, clock)
    async with signed_in(app) as ann:
        async with console(app, ann, "room=alpha") as seen:
            last = (await seen.event())["id"]
        glances.rooms["alpha"] = replace(glances.rooms["alpha"], paused=True)
        await sampler.look()
        async with console(app, ann, "room=alpha", last_id=last) as seen:
            told = await seen.event()

    assert "/rooms/alpha/resume" in told["parts"]["switch"]
    assert not {"strip", "n-waiting"} & set(told["parts"])
    assert int(told["id"].partition(".")[2]) == int(last.partition(".")[2]) + 1


BAD_IDS = [
    "",
    "x",
    "1",
    "00000000.1",
    ".",
    "deadbeef.",
    "deadbeef.-1",
    "deadbeef.99999999999999999999",
    "é.1",
    "a" * 5000,
]


@pytest.mark.parametrize("last_id", [*BAD_IDS, "future"])
async def test_who_comes_back_with_what_we_do_not_know_gets_everything(
    store: Redis, clock: ManualClock, last_id: str
) -> None:
    """Malformed, of another process, or of a time to come."""
    app = app_with(sampler_of(Glances(*ROOMS), store, clock), store, clock)
    async with signed_in(app) as ann:
        async with console(app, ann, "room=alpha") as seen:
            known = (await seen.event())["id"]
        if last_id == "future":
            last_id = known.partition(".")[0] + ".99"
        async with console(app, ann, "room=alpha", last_id=last_id) as seen:
            assert len((await seen.event())["parts"]) == 9 + 17


@pytest.mark.parametrize("path", ["/events", "/series"])
@pytest.mark.parametrize(
    ("who", "query", "status"),
    [
        (None, "room=alpha", 401),
        (None, "", 401),
        ("Ann", "room=gamma", 404),
        ("Ann", "room=removed", 404),
        ("Ann", "room=alpha&room=beta", 404),
        ("Ann", "room=%00", 404),
        ("Ann", "room=../alpha", 404),
        ("Ann", "room=" + "a" * 4000, 404),
        (LIMITED, "room=beta", 404),
        (LIMITED, "room=beta&room=alpha", 404),
    ],
)
async def test_who_may_not_see_a_room_is_told_that_there_is_none(
    store: Redis, clock: ManualClock, path: str, who: str | None, query: str, status: int
) -> None:
    """Both addresses; a room of others and a room that is not there are answered alike."""
    app = app_with(sampler_of(Glances(*ROOMS), store, clock), store, clock)
    async with client_of(app) as stranger, signed_in(app, who or "Ann") as browser:
        answer = await (browser if who else stranger).get(f"{path}?{query}")

    assert answer.status_code == status
    if status == 404:
        assert answer.json()["code"] == "room-unknown"
        assert "beta" not in answer.text


async def test_the_last_half_hour_is_told_as_numbers(store: Redis, clock: ManualClock) -> None:
    """Thinned to four seconds, the newest included; without a room there is none."""
    sampler = sampler_of(Glances(*ROOMS), store, clock)
    app = app_with(sampler, store, clock)
    async with signed_in(app, LIMITED) as vera:
        for _ in range(9):
            await sampler.look()
            clock.advance(1_000)
        series = (await vera.get("/series?room=alpha")).json()
        assert (await vera.get("/series")).status_code == 404
        assert (await vera.post("/series?room=alpha")).status_code == 405
        assert (await vera.head("/events?room=alpha")).status_code == 200

    assert len(series["t"]) == len(series["waiting"]) in {3, 4}
    assert set(series["waiting"]) == {1200}


async def overheard(store: Redis, clock: ManualClock) -> str:
    """Return all that Vera of alpha gets to see while an owner follows the same addresses and beta changes."""
    glances = Glances(*ROOMS)
    sampler = sampler_of(glances, store, clock)
    app = app_with(sampler, store, clock)
    async with AsyncExitStack() as stack:
        ann = await stack.enter_async_context(signed_in(app))
        vera = await stack.enter_async_context(signed_in(app, LIMITED))
        of_ann = [await stack.enter_async_context(console(app, ann, query)) for query in ("", "room=alpha")]
        for seen in of_ann:
            await seen.event()
        of_vera = [await stack.enter_async_context(console(app, vera, query)) for query in ("", "room=alpha")]
        for turn in range(2):
            for seen in of_vera:
                await seen.event()
            glances.figures["beta"]["waiting"] = 777_000 + turn
            await sampler.look()
        pages = [(await vera.get(path)).text for path in ("/", "/?room=beta", "/live", "/live?room=alpha")]
        return "".join(seen.octets.decode() for seen in of_vera) + "".join(pages)


def everybody_sees(person: Person, room: str) -> bool:
    """Let a person see a room, whoever they are."""
    del person, room
    return True


def one_channel_for_all(channels: Channels, person: Person, name: str) -> Channel:
    """Share a room's channel whatever the rights."""
    return channels._open.setdefault((name,), Channel(channels._board, person, name))


async def test_who_may_see_one_room_hears_nothing_of_another(store: Redis, clock: ManualClock) -> None:
    """Neither its name nor its numbers, on no page and in no event, whoever else follows."""
    heard = await overheard(store, clock)

    assert "Hall alpha" in heard
    assert "beta" not in heard
    assert "777,00" not in heard


@pytest.mark.parametrize(
    ("owner", "name", "mutant"), [(Person, "sees", everybody_sees), (Channels, "of", one_channel_for_all)]
)
async def test_without_the_walls_between_rooms_it_would(
    store: Redis,
    clock: ManualClock,
    monkeypatch: pytest.MonkeyPatch,
    owner: type,
    name: str,
    mutant: Callable[..., object],
) -> None:
    """The mutants: everybody sees all rooms; one channel is shared by all rights."""
    monkeypatch.setattr(owner, name, mutant)

    assert "Hall beta" in await overheard(store, clock)


async def test_who_may_only_look_is_sent_no_levers(store: Redis, clock: ManualClock) -> None:
    """An owner gets all parts of the same room."""
    app = app_with(sampler_of(Glances(*ROOMS), store, clock), store, clock)
    async with signed_in(app, LIMITED) as vera, console(app, vera, "room=alpha") as seen:
        parts = set((await seen.event())["parts"])
    assert parts >= {"rooms", "state", "n-waiting", "table", "record"}
    assert not {"switch", "levers"} & parts


async def test_a_shared_event_holds_nobodys_name_and_no_paper(store: Redis, clock: ManualClock) -> None:
    """Forms come with blank papers; the page's own script fills in its own."""
    app = app_with(sampler_of(Glances("alpha"), store, clock), store, clock)
    async with signed_in(app, "Ann Lee") as ann, console(app, ann, "room=alpha") as seen:
        paper = csrf_in(await ann.get("/"))
        text = "".join((await seen.event())["parts"].values())

    assert 'name="csrf" value=""' in text
    assert paper not in text
    assert "Ann Lee" not in text


async def test_a_stream_ends_with_its_session(store: Redis, clock: ManualClock) -> None:
    """Whoever signs out hears nothing more, and no other page of theirs does."""
    glances = Glances("alpha")
    sampler = sampler_of(glances, store, clock)
    app = app_with(sampler, store, clock)
    async with signed_in(app) as ann, console(app, ann, "room=alpha") as seen:
        await seen.event()
        cookie = dict(ann.cookies)
        await ann.post("/logout", data={"csrf": csrf_in(await ann.get("/"))})
        glances.figures["alpha"]["waiting"] = 4321
        await sampler.look()
        await seen.end()
        assert cookie
        assert "4,321" not in seen.octets.decode()


async def test_a_stream_ends_when_rights_change(
    store: Redis, clock: ManualClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An owner who becomes a viewer comes back as one."""
    sampler = sampler_of(Glances("alpha"), store, clock)
    app = app_with(sampler, store, clock)
    async with signed_in(app) as ann, console(app, ann, "room=alpha") as seen:
        await seen.event()
        monkeypatch.setattr(Session, "person", property(lambda own: Person(own.who, Role.VIEWER)))
        await sampler.look()
        await seen.end()


async def test_a_stream_ends_with_its_room_and_with_the_process(store: Redis, clock: ManualClock) -> None:
    """The room's with a word, so that the page goes elsewhere; then no new one begins."""
    glances = Glances(*ROOMS)
    sampler = sampler_of(glances, store, clock)
    app = app_with(sampler, store, clock)
    async with signed_in(app) as ann, console(app, ann, "room=beta") as gone, console(app, ann) as stays:
        await gone.event()
        assert (await stays.event())["order"] == ["tile-alpha", "tile-beta"]
        del glances.rooms["beta"]
        await sampler.look()
        assert await gone.event() == {"event": "gone"}
        await gone.end()
        assert (await stays.event())["order"] == ["tile-alpha"]
        sampler.end()
        await stays.end()
        refused = await ann.get("/events")
    assert (refused.status_code, refused.json()["code"]) == (503, "streams-many")


async def test_only_so_many_streams_at_a_time(
    store: Redis, clock: ManualClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The next is refused and may come back; one that goes makes room."""
    monkeypatch.setattr(Events.__init__, "__kwdefaults__", {"most": 2})
    app = app_with(sampler_of(Glances("alpha"), store, clock), store, clock)
    async with signed_in(app) as ann:
        async with console(app, ann) as one, console(app, ann) as two:
            await one.event()
            await two.event()
            async with console(app, ann) as three:
                assert (three.status, three.headers["retry-after"]) == (503, "2")
        async with console(app, ann) as again:
            assert (await again.event())["title"] == "Waitroom console"


async def many_at_once(store: Redis, clock: ManualClock, monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """Let five consoles come at once where there are two places; return their answers."""
    monkeypatch.setattr(Events.__init__, "__kwdefaults__", {"most": 2})
    app = app_with(sampler_of(Glances("alpha"), store, clock), store, clock)
    async with signed_in(app) as ann, AsyncExitStack() as stack:
        coming = (stack.enter_async_context(console(app, ann)) for _ in range(5))
        return sorted(seen.status for seen in await asyncio.gather(*coming))


async def test_many_who_come_at_once_find_no_more_places(
    store: Redis, clock: ManualClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    """All of them look before the first is told anything; they are counted before that."""
    assert await many_at_once(store, clock, monkeypatch) == [200, 200, 503, 503, 503]


async def test_places_that_are_not_counted_at_once_are_noticed(
    store: Redis, clock: ManualClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The mutant: whoever looked before anybody was counted gets in."""
    monkeypatch.setattr(Streams, "one", lambda _: nullcontext())
    assert await many_at_once(store, clock, monkeypatch) == [200] * 5


async def test_a_database_that_hangs_keeps_no_console_from_its_numbers(
    store: Redis, clock: ManualClock, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whoever was looked up lately goes on, for ten minutes; nobody else comes in, and no thread is waited for."""
    let_go = threading.Event()
    glances = Glances("alpha")
    sampler = sampler_of(glances, store, clock)
    with books_of(tmp_path, clock) as books:
        app, ann = app_with(sampler, store, clock, access=books), someone(books, clock)
        async with browser_of(app, ann, clock) as browser, console(app, browser, "room=alpha") as seen:
            await seen.event()
            cookies = dict(browser.cookies)
            monkeypatch.setattr(books.sessions, "whose", lambda _: let_go.wait() and {})
            monkeypatch.setattr(bounds, "LOOK_UP_S", 0.01)
            monkeypatch.setattr(bounds, "AGAIN_S", 0.01)
            try:
                for turn in range(bounds.THREADS + 2):
                    glances.figures["alpha"]["waiting"] = 4321 + turn
                    clock.advance(1_000)
                    await sampler.look()
                    assert (await seen.event())["point"]["waiting"] == 4321 + turn
                assert (await browser.get("/", params={"room": "alpha"})).status_code == 200
                clock.advance(GRACE_MS)
                await sampler.look()
                await seen.end()
                async with client_of(app) as again:
                    again.cookies.update(cookies)
                    assert (await again.get("/")).status_code == 503
            finally:
                let_go.set()


async def test_what_hangs_in_the_rooms_is_told(store: Redis, clock: ManualClock) -> None:
    """Numbers that do not come are old: the page hears so in between, and is kept."""
    sampler = Sampler(Glances("alpha"), Configurations(store, clock), clock, every_s=3600, beat_s=0.001)
    app = app_with(sampler, store, clock)
    async with signed_in(app) as ann, console(app, ann, "room=alpha") as seen:
        await seen.event()
        await seen.until(lambda: b"event: still\n" in seen.octets)
        await sampler.look()
        assert (await seen.event())["point"]["waiting"] == 1200


async def test_fifty_consoles_cost_one_look_and_one_rendering_a_round(
    store: Redis, clock: ManualClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    """However many follow; and pages that are opened meanwhile look at nothing either."""
    rendered = []
    original = Board.parts

    async def parts(self: Board, person: Person, name: str) -> tuple[str, dict[str, str]]:
        rendered.append(name)
        return await original(self, person, name)

    monkeypatch.setattr(Board, "parts", parts)
    glances = Glances("alpha")
    sampler = sampler_of(glances, store, clock)
    app = app_with(sampler, store, clock)
    async with signed_in(app) as ann, AsyncExitStack() as stack:
        seen = [await stack.enter_async_context(console(app, ann, "room=alpha")) for _ in range(50)]
        await asyncio.gather(*(one.event() for one in seen))
        glances.looked.clear()
        rendered.clear()
        for turn in range(3):
            glances.figures["alpha"] = FIGURES | {"waiting": turn}
            await sampler.look()
            assert len({str(event) for event in await asyncio.gather(*(one.event() for one in seen))}) == 1
            assert (await ann.get("/?room=alpha")).status_code == 200

    assert glances.looked.count("alpha") == 3
    assert rendered == ["alpha"] * 3


async def test_all_who_follow_are_looked_up_at_once_each_round(
    store: Redis, clock: ManualClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Fifty streams of three people wake together: one question about the three, and none for each stream."""
    asked: list[set[str]] = []
    original = Entrance.standing

    async def standing(self: Entrance, sessions: Collection[Session]) -> dict[str, Session]:
        asked.append({session.who for session in sessions})
        await asyncio.sleep(0)
        return await original(self, sessions)

    sampler = sampler_of(Glances("alpha"), store, clock)
    app = app_with(sampler, store, clock)
    async with AsyncExitStack() as stack:
        clients = [await stack.enter_async_context(signed_in(app, who)) for who in ("Ann", "Ben", "Cem")]
        seen = [
            await stack.enter_async_context(console(app, clients[number % 3], "room=alpha"))
            for number in range(50)
        ]
        await asyncio.gather(*(one.event() for one in seen))
        monkeypatch.setattr(Entrance, "standing", standing)
        for _ in range(3):
            await sampler.look()
            await asyncio.gather(*(one.event() for one in seen))
    assert asked == [{"Ann", "Ben", "Cem"}] * 3


def told_at_once(streams: int) -> list[int]:
    """Count how many of so many streams are told in each of sixty rounds, if each waits as it is asked to."""
    followers = Followers(None, None)  # type: ignore[arg-type]
    followers._streams[None] = streams  # type: ignore[index]
    due = {stream: followers.rounds(stream, 0) for stream in range(1, streams + 1)}
    told = []
    for number in range(1, 61):
        now = [stream for stream, wanted in due.items() if wanted == number]
        due |= {stream: number + followers.rounds(stream, number) for stream in now}
        told.append(len(now))
    return told


@pytest.mark.parametrize(("streams", "turns"), [(1, 1), (64, 1), (65, 2), (640, 10)])
def test_a_round_tells_so_many_and_everybody_has_a_turn(streams: int, turns: int) -> None:
    """Whatever their number: a few dozen in each round, all of them after as many rounds as there are turns."""
    told = told_at_once(streams)

    assert max(told) <= events.TOLD_A_ROUND
    assert {sum(told[first : first + turns]) for first in range(60 - turns + 1)} == {streams}


def test_consoles_that_are_all_told_in_each_round_are_noticed(monkeypatch: pytest.MonkeyPatch) -> None:
    """The mutant: everybody's turn is the next round."""
    monkeypatch.setattr(events, "TOLD_A_ROUND", 10_000)

    assert max(told_at_once(640)) > 64


async def test_a_stream_sleeps_until_its_turn(
    store: Redis, clock: ManualClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    """No round before it wakes the stream; the one that is its turn does, and the end does, too."""
    monkeypatch.setattr(Followers, "rounds", lambda *_: 2)
    sampler = sampler_of(Glances(*ROOMS), store, clock)
    app = app_with(sampler, store, clock)
    async with signed_in(app) as ann, console(app, ann, "room=alpha") as seen:
        for number in (1, 3):
            await seen.event()
            async with asyncio.timeout(60):
                while not sampler._bells:  # noqa: ASYNC110 (there is no event for it)
                    await asyncio.sleep(0)
            assert (sampler.number, set(sampler._bells)) == (number, {number + 2})
            await sampler.look()
            assert set(sampler._bells) == {number + 2}
            await sampler.look()
            assert not sampler._bells
        await seen.event()
        sampler.end()
        await seen.end()
