"""The map over HTTP: ready bytes with their tags, streams that say where they go on, and each bad question's answer."""

import asyncio
import json
import zlib
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import httpx
import pytest
from redis.asyncio import Redis

from checkout.live import web as map_web
from checkout.live.feeds import AGAIN_MS, FRESH_MS, STALE_MS, TICK_MS
from checkout.live.web import OLD_MS, MapWeb
from kernel.asgi import Message
from kernel.errors import Refused
from tests.checkout.box_office import served
from tests.checkout.holding import EMPTY, EVENT
from tests.checkout.maps import House, house
from tests.checkout.viewing import heard

MAP = f"/api/events/{EVENT}/map"
DELTAS = f"/api/events/{EVENT}/deltas"


@asynccontextmanager
async def shop(store: Redis, **changes: Any) -> AsyncIterator[tuple[House, httpx.AsyncClient]]:
    """Serve the map of a small hall."""
    async with house(store, **changes) as made, served(MapWeb(made.live_map, made.metrics).routes) as client:
        client.headers["accept-encoding"] = "identity"
        yield made, client


# ----------------------------------------------------------------------------------------------- map
async def test_the_map_is_one_octet_for_each_seat(store: Redis) -> None:
    """With its version, and word that a browser must ask again before it shows it again."""
    async with shop(store) as (made, client):
        answer = await client.get(MAP)
        version = (await made.truth()).version

    assert (answer.status_code, answer.content) == (200, EMPTY)
    assert dict(answer.headers) == {
        "content-type": "application/octet-stream",
        "content-length": str(len(EMPTY)),
        "cache-control": "private, no-cache",
        "vary": "accept-encoding",
        "etag": f'"{version}"',
        "map-version": version,
        "map-detail": "seats",
    }


async def test_who_takes_gzip_gets_it_packed(store: Redis) -> None:
    """The same octets, under a tag of their own."""
    async with shop(store) as (_, client):
        answer = await client.get(MAP, headers={"accept-encoding": "br, gzip"})
        without = await client.get(MAP, headers={"accept-encoding": "gzip;q=0"})

    assert answer.content == EMPTY
    assert answer.headers["content-encoding"] == "gzip"
    assert answer.headers["etag"].endswith('-gzip"')
    assert "content-encoding" not in without.headers


async def test_a_map_that_is_known_is_not_sent_again(store: Redis) -> None:
    """304 until a seat changes; the packed one and the plain one are two things."""
    async with shop(store) as (made, client):
        plain = (await client.get(MAP)).headers["etag"]
        packed = (await client.get(MAP, headers={"accept-encoding": "gzip"})).headers["etag"]
        known = await client.get(MAP, headers={"if-none-match": plain})
        known_packed = await client.get(MAP, headers={"if-none-match": packed, "accept-encoding": "gzip"})
        other = await client.get(MAP, headers={"if-none-match": packed})
        await made.hold(1)
        made.clock.advance(FRESH_MS)
        changed = await client.get(MAP, headers={"if-none-match": plain})

    assert [one.status_code for one in (known, known_packed, other, changed)] == [304, 304, 200, 200]
    assert (known.content, known.headers["etag"], known.headers["map-detail"]) == (b"", plain, "seats")
    assert changed.headers["map-version"] != known.headers["map-version"]


async def test_a_map_that_is_old_says_so_and_then_is_no_more(store: Redis) -> None:
    """With the store away: its age in milliseconds, then 503 and when to come back."""
    async with shop(store) as (made, client):
        await client.get(MAP)
        made.store.away = True
        ages = {}
        for at_ms in (OLD_MS - 1, OLD_MS, STALE_MS - 1, STALE_MS):
            made.clock.set(1_800_000_000_000 + at_ms)
            answer = await client.get(MAP)
            ages[at_ms] = answer.headers.get("map-age-ms")
        problem = answer.json()

    assert ages == {OLD_MS - 1: None, OLD_MS: "1000", STALE_MS - 1: "4999", STALE_MS: None}
    assert (answer.status_code, problem["code"], answer.headers["retry-after"]) == (503, "store-away", "2")


async def test_a_map_that_is_being_rebuilt_says_when_to_come_back(store: Redis) -> None:
    """503 with a second's Retry-After, and the map once it is there."""
    async with shop(store, loaded=False) as (made, client):
        made.rebuilds = False
        answer = await client.get(MAP)
        made.rebuilds = True
        made.clock.advance(AGAIN_MS)
        good = await client.get(MAP)

    assert (answer.status_code, answer.json()["code"]) == (503, "map-rebuilding")
    assert answer.headers["retry-after"] == "1"
    assert (good.status_code, good.content) == (200, EMPTY)


async def test_under_overload_sections_are_told_as_json(store: Redis) -> None:
    """As the page's script and the room's budget want it."""
    async with shop(store) as (made, client):
        await made.hold(1, 2)
        await made.crowd()
        answer = await client.get(MAP, headers={"accept-encoding": "gzip"})
        again = await client.get(MAP, headers={"if-none-match": answer.headers["etag"]})
        version = (await made.truth()).version

    assert answer.headers["content-type"] == "application/json"
    assert answer.headers["map-detail"] == "sections"
    assert answer.json() == {"detail": "sections", "version": version, "sections": [[6, 8], [4, 4]]}
    assert (again.status_code, again.content) == (304, b"")


def test_the_packed_map_of_a_large_hall_is_small_enough() -> None:
    """60,000 seats, from a fifth to more than half of them held or sold in small groups: 15 kB at most on the wire."""
    import random

    from checkout.halls.houses import arena_60000
    from checkout.live.feeds import GZIP_LEVEL

    tiers = arena_60000().tiers
    for taken_ratio in (0.2, 0.36, 0.55):
        dice = random.Random(3)
        octets = bytearray(tier << 4 for tier in tiers)
        taken = 0
        while taken < taken_ratio * len(tiers):
            first, count, status = (
                dice.randrange(len(tiers)),
                dice.choice((1, 2, 2, 2, 4)),
                dice.choice((1, 3, 3)),
            )
            for seat in range(first, min(len(tiers), first + count)):
                taken += not octets[seat] & 15
                octets[seat] = octets[seat] & 0xF0 | status
        assert len(zlib.compress(octets, GZIP_LEVEL, 31)) <= 15_000


# -------------------------------------------------------------------------------------------- streams
class Line:
    """A request for a stream, as a server hands it on, and what is written to it."""

    def __init__(self, made: House, query: str = "", **headers: str) -> None:
        self.scope: dict[str, Any] = {
            "type": "http", "method": "GET", "path": DELTAS, "query_string": query.encode("latin-1"),
            "headers": [(name.replace("_", "-").encode(), text.encode("latin-1")) for name, text in headers.items()],
        }  # fmt: skip
        self.head: Message = {}
        self.octets = b""
        self.is_over = False
        self._gone, self._begun = asyncio.Event(), asyncio.Event()
        web = MapWeb(made.live_map, made.metrics)
        self.task = asyncio.ensure_future(
            web.routes["GET", "deltas"](self.scope, self._receive, self._send, EVENT)
        )

    async def _receive(self) -> Message:
        await self._gone.wait()
        return {"type": "http.disconnect"}

    async def _send(self, message: Message) -> None:
        if message["type"] == "http.response.start":
            self.head = message
            return
        self.octets += message["body"]
        self._begun.set()
        self.is_over = not message["more_body"]

    async def settle(self) -> None:
        """Wait until it has begun, and let it do what it can."""
        await self._begun.wait()
        for _ in range(9):
            await asyncio.sleep(0)

    def hang_up(self) -> None:
        """Go away."""
        self._gone.set()


async def test_a_stream_is_not_kept_not_packed_and_not_held_back(store: Redis) -> None:
    """Said to every cache and proxy on the way; and when to come back is a little different for each."""
    async with house(store) as made:
        await made.live_map.snapshot(EVENT)
        lines = [Line(made) for _ in range(3)]
        for line in lines:
            await line.settle()
        assert dict(lines[0].head["headers"]) == {
            b"content-type": b"text/event-stream; charset=utf-8",
            b"cache-control": b"no-store",
            b"x-accel-buffering": b"no",
        }
        assert lines[0].octets == b"retry: %d\n\n" % map_web.RETRY_MS[0]
        for line in lines:
            line.hang_up()
            await line.task


async def test_a_stream_tells_and_ends_when_the_viewer_or_the_worker_goes(store: Redis) -> None:
    """The one that has gone costs nothing more; the other is ended as an answer ends."""
    async with house(store) as made:
        await made.live_map.snapshot(EVENT)
        gone, ended = Line(made), Line(made)
        for line in (gone, ended):
            await line.settle()
        await made.hold(7)
        await made.tick()
        await gone.settle()
        assert [one.data for one in heard(gone.octets)] == ["7=21"]
        gone.hang_up()
        await gone.task
        made.live_map.end()
        await ended.task

        assert gone.is_over
        assert ended.is_over
        assert ended.octets.startswith(b"retry: ")
        assert made.metrics.streams._value.get() == 0


async def test_a_stream_that_is_cut_off_by_the_server_is_closed(store: Redis) -> None:
    """Cancelled by a server that ends: nothing is left open here."""
    async with house(store) as made:
        await made.live_map.snapshot(EVENT)
        line = Line(made)
        await line.settle()
        line.task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await line.task
        assert made.metrics.streams._value.get() == 0


async def test_the_last_event_id_counts_before_the_address(store: Redis) -> None:
    """A browser that comes back asks for the same address, with the old version in it."""
    async with house(store) as made:
        old = (await made.truth()).version
        await made.live_map.snapshot(EVENT)
        await made.hold(1)
        await made.hold(2)
        await made.tick()
        new = (await made.truth()).version
        for query, headers, told in (
            (f"after={old}", {}, 1),
            (f"after={old}", {"last_event_id": new}, 0),
            (f"after={old}", {"last_event_id": ""}, 1),
            (f"a=b&after={new.replace(':', '%3A')}&after={old}", {}, 0),
            ("after=", {}, 0),
        ):
            made.clock.advance(TICK_MS)
            line = Line(made, query, **headers)
            await line.settle()
            await made.tick()
            await line.settle()
            assert len(heard(line.octets)) == told, (query, headers)
            line.hang_up()
            await line.task


BAD_STREAMS: dict[str, tuple[str, dict[str, str]]] = {
    "no version": ("after=yesterday", {}),
    "no epoch": ("after=1800000000000-0", {}),
    "below zero": ("after=-1:1-0", {}),
    "a blank": ("after=1:1-0%20", {}),
    "a line": ("after=1:1-0%0A", {}),
    "other digits": ("after=%D9%A1:1-0", {}),
    "no UTF-8": ("after=%FF%FE", {}),
    "no ASCII": ("after=\xff", {}),
    "a thousand fields": ("&".join(["x=1"] * 1_000), {}),
    "a long one": ("after=" + "1" * 100_000, {}),
    "a bad last id": ("after=1:1-0", {"last_event_id": "zero"}),
    "a long last id": ("", {"last_event_id": "1:" + "9" * 60_000 + "-0"}),
    "a last id of no ASCII": ("", {"last_event_id": "\xe4"}),
}


@pytest.mark.parametrize("case", BAD_STREAMS)
async def test_a_stream_that_goes_on_after_nothing_known_is_refused(store: Redis, case: str) -> None:
    """400, before anything is opened; pages then fetch the map."""
    query, headers = BAD_STREAMS[case]
    async with house(store) as made:
        line = Line(made, query, **headers)
        with pytest.raises(Refused, match="version-malformed") as refused:
            await line.task

        assert refused.value.status == 400
        assert not made.store.read


@pytest.mark.parametrize(
    ("method", "address", "status", "code"),
    [
        ("GET", "/api/events/nowhere/map", 404, "event-unknown"),
        ("GET", "/api/events/nowhere/deltas", 404, "event-unknown"),
        ("GET", "/api/events/Night%21/map", 404, "event-unknown"),
        ("GET", "/api/events//map", 404, "event-unknown"),
        ("GET", f"/api/events/{'n' * 5_000}/map", 404, "event-unknown"),
        ("GET", f"{DELTAS}?after=never", 400, "version-malformed"),
    ],
)
async def test_a_bad_question_has_its_answer(
    store: Redis, method: str, address: str, status: int, code: str
) -> None:
    """And nothing is asked of the store for it."""
    async with shop(store) as (made, client):
        answer = await client.request(method, address)

        assert (answer.status_code, json.loads(answer.content)["code"]) == (status, code)
        assert not made.store.read


@pytest.mark.parametrize("tag", ['"', "*, x", 'W/"', '"a","b', "\x00", "x" * 20_000])
async def test_a_tag_that_is_none_is_not_known(store: Redis, tag: str) -> None:
    """The map is sent, except to whoever would take any."""
    async with shop(store) as (_, client):
        answer = await client.get(MAP, headers={"if-none-match": tag})
    assert answer.status_code == (304 if "*" in tag else 200)


async def test_what_is_answered_is_counted(store: Redis) -> None:
    """Seats, sections, what was known, and what was refused."""
    async with shop(store) as (made, client):
        etag = (await client.get(MAP)).headers["etag"]
        await client.get(MAP, headers={"if-none-match": etag})
        await client.get(f"{DELTAS}?after=never")
        await made.crowd()
        await client.get(MAP)
        counted = {word: tally.count for word, tally in made.metrics.map_answers._tallies.items()}

    assert counted == {"seats": 1, "unchanged": 1, "sections": 1}
    assert made.metrics.refused._tallies["version-malformed"].count == 1
