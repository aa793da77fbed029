"""The feed: a cursor that neither misses nor doubles, a stream that goes on, and rooms that are not theirs."""

import asyncio
import json
import threading
from collections.abc import AsyncIterator, Iterator
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path
from typing import Any

import httpx
import pytest
from redis.asyncio import Redis
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from dashboards import events_api
from dashboards.bounds import Streams
from dashboards.events_api import AGAIN_MS, QUIET_MS, STREAM_MS, EventsApi, still_is
from dashboards.operator_api import person_of
from dashboards.rights import Person, Role
from kernel.clock import ManualClock
from kernel.errors import Refused, Unavailable
from kernel.problems import handlers
from tests.dashboards.desk import app_of, client_of, program
from tests.dashboards.outgoing import Parts, configured, entry, parts
from tests.dashboards.people import BY, books_of
from waitroom.journal import Kind

OWNER = Person("api", Role.OWNER)
MAIN_ONLY = Person("Ann", Role.VIEWER, frozenset({"main"}))


@pytest.fixture
def made(tmp_path: Path, clock: ManualClock) -> Iterator[Parts]:
    """Give a journal with a short history: two rooms, and something that belongs to none."""
    with parts(f"sqlite:///{tmp_path}/journal.db", clock) as found:
        found.journal.append(
            [
                configured(1, 1, "Ann"),
                entry(Kind.OPENED, 2, "side"),
                entry(Kind.OPERATOR, 3, "", act="made the target", who="Ann"),
                configured(2, 4, "Ann", "slow", paused=True),
                entry(Kind.ADMITTED, 5, number="1"),
            ]
        )
        yield found


def asking(made: Parts, person: Person) -> httpx.AsyncClient:
    """Ask as somebody."""
    api = EventsApi(made.outgoing, made.clock, look_s=0.001)

    async def events(request: Any) -> Any:
        request.scope["waitroom.person"] = person
        return await api.events(request)

    app = Starlette(routes=[Route("/api/events", events)], exception_handlers=handlers())
    return client_of(app)


async def test_the_feed_goes_on_after_the_cursor(made: Parts, store: Redis, clock: ManualClock) -> None:
    """By the address that each answer gives, until there is no more; then it waits there for what comes."""
    found: list[int] = []
    address = "/api/events?limit=2"
    async with program(app_of(store, clock, outgoing=made.outgoing)) as api:
        more = True
        while more:
            answer = await api.get(address)
            assert (answer.status_code, answer.headers["cache-control"]) == (200, "no-store")
            body = answer.json()
            found += [event["seq"] for event in body["events"]]
            address, more = body["next"], body["more"]
        made.journal.append([entry(Kind.PHASE, 6, phase="ended")])
        last = (await api.get(address)).json()
    assert found == [1, 2, 3, 4, 5]
    assert ([event["seq"] for event in last["events"]], last["after"], last["more"]) == ([6], 6, False)


@pytest.mark.parametrize(
    ("person", "query", "seqs"),
    [
        (OWNER, "", [1, 2, 3, 4, 5]),
        (OWNER, "room=main", [1, 4, 5]),
        (OWNER, "room=main&room=side&kind=opened&kind=admitted", [2, 5]),
        (OWNER, "after=now", []),
        (MAIN_ONLY, "", [1, 4, 5]),
        (MAIN_ONLY, "room=main", [1, 4, 5]),
        (Person("Bob", Role.VIEWER, frozenset()), "", []),
    ],
)
async def test_everybody_gets_the_events_of_their_rooms(
    made: Parts, person: Person, query: str, seqs: list[int]
) -> None:
    """And moves on past the others; what belongs to no room is for who may see all."""
    async with asking(made, person) as api:
        body = (await api.get(f"/api/events?{query}")).json()
    assert [event["seq"] for event in body["events"]] == seqs
    assert body["after"] == 5


async def test_who_asks_for_another_room_is_refused_and_a_feed_without_rights_is_found(
    made: Parts, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The mutant: rooms are not looked at, and the other room's events come out."""
    async with asking(made, MAIN_ONLY) as api:
        for query in ("room=side", "room=main&room=side"):
            refused = await api.get(f"/api/events?{query}")
            assert (refused.status_code, refused.json()["code"]) == (403, "not-allowed")
        real = events_api.sought_of
        monkeypatch.setattr(events_api, "sought_of", lambda request, _person: real(request, OWNER))
        body = (await api.get("/api/events")).json()
    assert {event["room"] for event in body["events"]} == {"main", "side", ""}


@pytest.mark.parametrize(
    "query",
    [
        "after=-1", "after=x", "after=1.5", "after=", "after=%C2%B2", "after=99999999999999999999", "after=1&after=2",
        "limit=0", "limit=1001", "limit=x", "limit=", "limit=1&limit=2", "room=Main", "room=", "room=a/b", "room=%00",
        "kind=odd", "kind=", "kind=OPENED", "what=1", "before=3",
    ],
)  # fmt: skip
async def test_what_cannot_be_asked_is_refused(made: Parts, query: str) -> None:
    """Nothing is guessed: a reader that misspelt its filter would believe that nothing happens."""
    async with asking(made, OWNER) as api:
        refused = await api.get(f"/api/events?{query}")
    assert (refused.status_code, refused.json()["code"]) == (400, "events-malformed")


@pytest.mark.parametrize("last", ["-1", "x", "1 2", "99999999999999999999"])
async def test_a_last_event_that_is_none_is_refused(made: Parts, last: str) -> None:
    """The stream's cursor is as strict."""
    async with asking(made, OWNER) as api:
        refused = await api.get("/api/events", headers={"accept": "text/event-stream", "last-event-id": last})
    assert refused.status_code == 400


async def messages(stream: AsyncIterator[bytes], count: int) -> list[tuple[int, str, dict[str, Any]]]:
    """Read messages with data from a stream."""
    found: list[tuple[int, str, dict[str, Any]]] = []
    async for octets in stream:
        for block in octets.decode().strip().split("\n\n"):
            fields = dict(line.split(": ", 1) for line in block.split("\n"))
            if "data" in fields:
                found.append((int(fields["id"]), fields["event"], json.loads(fields["data"])))
        if len(found) >= count:
            break
    return found


def stream_of(made: Parts, at: int, person: Person = OWNER, now: Any = None) -> Any:
    """Open a stream by itself; `now` asks who the token is at the moment, the same person where it is not given."""
    api = EventsApi(made.outgoing, made.clock, look_s=0.001)
    sought = events_api.Sought(person.rooms)

    async def ask() -> Person | None:
        return person if now is None else now()

    request = Request({"type": "http", "waitroom.person": person, "waitroom.again": ask})
    return api, api._told(request, sought, at)


async def test_a_stream_tells_what_was_and_what_comes(made: Parts) -> None:
    """Each message's id is the cursor."""
    _, stream = stream_of(made, 3)
    assert [one[0] for one in await messages(stream, 2)] == [4, 5]
    made.journal.append([entry(Kind.PHASE, 6, phase="ended")])
    ((seq, name, event),) = await messages(stream, 1)
    assert (seq, name, event["seq"], event["kind"]) == (6, "phase", 6, "phase")
    await stream.aclose()


async def test_readers_with_nothing_new_cost_one_look_together(
    made: Parts, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each asking for itself, a hundred who wait would ask the database two hundred times a second."""
    reader, read = made.outgoing.reader, []
    monkeypatch.setattr(reader, "after", lambda *_: read.append(1))
    api, _ = stream_of(made, 0)
    api._look_s = 3600.0
    heads = await asyncio.gather(*(api._head() for _ in range(50)))
    looking = api._looking
    portions = await asyncio.gather(*(api._portion(5, events_api.Sought()) for _ in range(50)))

    assert set(heads) == {5}
    assert api._looking is looking
    assert {(one.octets, one.at, one.more) for one in portions if one is not None} == {(b"", 5, False)}
    assert read == []


async def told_to(api: EventsApi, *readers: Person) -> list[bytes]:
    """Have all of them read on from the beginning at once."""
    portions = (api._portion(0, events_api.Sought(one.rooms)) for one in readers)
    return [one.octets for one in await asyncio.gather(*portions) if one is not None]


async def test_readers_at_the_same_place_are_told_what_was_read_once(
    made: Parts, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A hundred of them cost one reading; what was read while the journal was away is read again."""
    reader, read = made.outgoing.reader, []
    after = reader.after

    def counted(*args: Any, **more: Any) -> Any:
        read.append(args[0])
        if len(read) == 1:
            raise Unavailable("journal-away", "away")
        return after(*args, **more)

    monkeypatch.setattr(reader, "after", counted)
    api, _ = stream_of(made, 0)
    assert await told_to(api, OWNER, OWNER) == []
    first, *others = await told_to(api, *[OWNER] * 100)
    assert (first.count(b"data: "), set(others), read) == (5, {first}, [0, 0])
    assert await told_to(api, OWNER) == [first]
    assert len(read) == 2


async def test_readers_who_may_see_less_are_told_less(made: Parts) -> None:
    """Also at the same place, and whoever came first."""
    api, _ = stream_of(made, 0)
    all_of_it, less = await told_to(api, OWNER, MAIN_ONLY)

    assert (all_of_it.count(b"data: "), less.count(b"data: ")) == (5, 3)
    assert b'"side"' not in less


async def test_readers_who_share_what_they_may_not_see_are_noticed(
    made: Parts, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The mutant: only the place counts."""
    monkeypatch.setattr(events_api, "_place", lambda at, _: (at, None))
    api, _ = stream_of(made, 0)

    assert b'"side"' in (await told_to(api, OWNER, MAIN_ONLY))[1]


async def test_readers_who_caught_up_come_to_the_same_place(
    made: Parts, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As far as the head that they were told, whatever is written meanwhile; so they go on together."""
    monkeypatch.setattr(EventsApi, "_head", lambda _: asyncio.sleep(0, 4))
    api, _ = stream_of(made, 0)

    found = [await api._portion(at, events_api.Sought()) for at in (0, 3)]
    assert [one.at for one in found if one is not None] == [4, 4]


async def test_a_stream_is_moved_past_what_does_not_concern_it(made: Parts) -> None:
    """An id alone, now and then: who comes back does not look at all of it again."""
    _, stream = stream_of(made, 0, Person("Bob", Role.VIEWER, frozenset({"none"})))
    assert await anext(stream) == b"retry: 2000\n\n"

    async def later() -> None:
        await asyncio.sleep(0)
        made.clock.advance(QUIET_MS)

    task = asyncio.create_task(later())
    assert await anext(stream) == b"id: 5\n\n"
    await task
    await stream.aclose()


async def test_a_stream_ends_with_its_time_and_with_its_process(made: Parts) -> None:
    """Whichever is first."""
    for end in ("time", "process"):
        _, stream = stream_of(made, 5)
        assert await anext(stream) == b"retry: 2000\n\n"
        if end == "time":
            made.clock.advance(STREAM_MS)
        else:
            made.over = True
        assert [one async for one in stream] == []


LESS = Person(OWNER.name, Role.VIEWER)


def _away() -> Person:
    raise Unavailable("journal-away", "The journal is away.")


@pytest.mark.parametrize("now", [lambda: None, lambda: LESS, _away])
async def test_a_stream_ends_soon_after_its_token_is_worth_less(made: Parts, now: Any) -> None:
    """Removed, of a lower role, or nobody can tell: what happens from then on is not told."""
    _, stream = stream_of(made, 5, now=now)
    assert await anext(stream) == b"retry: 2000\n\n"
    made.clock.advance(AGAIN_MS)
    made.journal.append([entry(Kind.PHASE, 6, phase="ended")])
    assert [one async for one in stream] == []


async def test_a_stream_that_never_asks_again_is_noticed(
    made: Parts, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The mutant: who asked at the beginning is believed for ten minutes."""
    monkeypatch.setattr(events_api, "AGAIN_MS", STREAM_MS)
    _, stream = stream_of(made, 5, now=lambda: None)
    await anext(stream)
    made.clock.advance(AGAIN_MS)
    made.journal.append([entry(Kind.PHASE, 6, phase="ended")])
    assert b'"ended"' in await anext(stream)
    await stream.aclose()


async def test_a_token_that_is_removed_is_not_the_same_any_more(
    made: Parts, store: Redis, clock: ManualClock, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As the guard asks it: again, and not what it knew."""
    asked: list[Request] = []
    real = EventsApi.events

    async def events(self: EventsApi, request: Request) -> Any:
        asked.append(request)
        return await real(self, request)

    monkeypatch.setattr(EventsApi, "events", events)
    with books_of(tmp_path, clock) as books:
        _, token = books.tokens.add("deploy", Role.VIEWER, None, 1, BY)
        async with program(app_of(store, clock, outgoing=made.outgoing, access=books), token) as api:
            assert (await api.get("/api/events")).status_code == 200
        assert await still_is(asked[0], person_of(asked[0]))
        books.tokens.remove("deploy", BY)
        assert not await still_is(asked[0], person_of(asked[0]))


async def test_there_are_so_many_streams_and_no_more(made: Parts, monkeypatch: pytest.MonkeyPatch) -> None:
    """The next one is told when to come again."""
    monkeypatch.setattr(events_api, "STREAMS_MOST", 0)
    async with asking(made, OWNER) as api:
        refused = await api.get("/api/events", headers={"accept": "text/event-stream"})
    assert (refused.status_code, refused.json()["code"], refused.headers["retry-after"]) == (
        503,
        "feed-full",
        "10",
    )


def late(_own: Streams) -> AbstractContextManager[None]:
    """Let everybody in: they are counted when it is too late."""
    return nullcontext()


async def many_at_once(made: Parts, monkeypatch: pytest.MonkeyPatch) -> list[bool]:
    """Let five ask at once where there are two places, and one when they have gone; return who got in."""
    monkeypatch.setattr(events_api, "STREAMS_MOST", 2)
    api = EventsApi(made.outgoing, made.clock, look_s=0.001)

    async def read(answers: list[Response]) -> list[bool]:
        made.over = False
        told: list[asyncio.Future[bool]] = [asyncio.Future() for _ in answers]

        async def one(answer: Response, is_in: asyncio.Future[bool]) -> None:
            async def send(_message: object) -> None:
                if not is_in.done():
                    is_in.set_result(True)

            try:
                await answer({"type": "http"}, asyncio.Event().wait, send)  # type: ignore[arg-type]
            except Refused as error:
                is_in.set_result(error.code != "feed-full")

        reading = [asyncio.create_task(one(*pair)) for pair in zip(answers, told, strict=True)]
        found = list(await asyncio.gather(*told))
        made.over = True
        await asyncio.gather(*reading)
        return found

    def asked() -> Request:
        headers = [(b"accept", b"text/event-stream")]
        return Request(
            {
                "type": "http",
                "method": "GET",
                "headers": headers,
                "query_string": b"",
                "waitroom.person": OWNER,
            }
        )

    return await read([await api.events(asked()) for _ in range(5)]) + await read([await api.events(asked())])


async def test_many_who_come_at_once_find_no_more_places(
    made: Parts, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Counted before the first octet; whoever goes gives the place back."""
    assert await many_at_once(made, monkeypatch) == [True, True, False, False, False, True]


async def test_places_that_are_counted_late_are_noticed(made: Parts, monkeypatch: pytest.MonkeyPatch) -> None:
    """The mutant: whoever looked before anybody was counted gets in."""
    monkeypatch.setattr(Streams, "one", late)
    assert await many_at_once(made, monkeypatch) == [True] * 6


async def test_a_journal_that_hangs_ends_the_stream(made: Parts, monkeypatch: pytest.MonkeyPatch) -> None:
    """The reader comes back and goes on where it was, instead of waiting in silence."""
    let_go = threading.Event()
    monkeypatch.setattr(made.reader, "head", lambda: let_go.wait() and 5)
    monkeypatch.setattr(events_api, "ANSWER_S", 0.01)
    _, stream = stream_of(made, 4)
    try:
        assert [one async for one in stream] == [b"retry: 2000\n\n"]
    finally:
        let_go.set()


async def test_a_reader_streams_by_http_and_comes_back(made: Parts) -> None:
    """Last-Event-ID counts above after; the answer is a stream of events."""
    api = EventsApi(made.outgoing, made.clock, look_s=0.001)

    async def events(request: Any) -> Any:
        request.scope["waitroom.person"] = OWNER
        return await api.events(request)

    seen = 0

    def over() -> bool:
        nonlocal seen
        seen += 1
        return seen > 2

    api._is_over = over
    app = Starlette(routes=[Route("/api/events", events)])
    async with client_of(app) as client:
        answer = await client.get(
            "/api/events?after=1", headers={"accept": "text/event-stream", "last-event-id": "4"}
        )
    assert answer.headers["content-type"] == "text/event-stream; charset=utf-8"
    assert [line for line in answer.text.split("\n") if line.startswith("id")] == ["id: 5"]


async def test_without_a_token_there_is_no_feed(made: Parts, store: Redis, clock: ManualClock) -> None:
    """As everywhere below /api."""
    app = app_of(store, clock, outgoing=made.outgoing)
    async with client_of(app) as nobody, program(app, "wrong-operator-token") as stranger:
        for path in ("/api/events", "/api/targets"):
            assert (await nobody.get(path)).status_code == 401
            assert (await stranger.get(path)).status_code == 401
    async with program(app_of(store, clock)) as api:
        assert (await api.get("/api/events")).status_code == 404


async def test_whoever_asks_for_the_head_of_a_stream_takes_no_place_in_it(made: Parts) -> None:
    """The answer is over at once; a stream to somebody who reads no body would last ten minutes."""
    async with asking(made, OWNER) as api:
        answer = await api.head("/api/events", headers={"accept": "text/event-stream"})
    assert (answer.status_code, answer.headers["content-type"], answer.content) == (
        200,
        "text/event-stream; charset=utf-8",
        b"",
    )
