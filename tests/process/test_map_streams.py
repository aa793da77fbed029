"""Streams of a hall over real sockets: viewers that come and go, or do not read; a lost store; a worker's end."""

import asyncio
import random
import socket
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from itertools import count

import httpx
import pytest
from redis.asyncio import Redis

from checkout.halls import deltas
from checkout.halls.deltas import Version
from checkout.halls.seats import Status
from checkout.holds.answers import Seen
from checkout.holds.store import HoldStore
from checkout.live.following import MESSAGE_MOST_BYTES, Bookmark, Follower
from tests.checkout.holding import EMPTY, EVENT, ask
from tests.checkout.viewing import Watch
from tests.process.streaming import BUFFER_BYTES, MOST_HEADER_BYTES, Fan, Served, served, wait_until

pytestmark = pytest.mark.process

LIVES = 5

SERVERS_MOST_BYTES = 65_536
"""Above this uvicorn asks whoever writes to wait."""


@contextmanager
def looking(fans: Sequence[Fan]) -> Iterator[None]:
    """Have fans look, each in a thread."""
    threads = [threading.Thread(target=fan.run, daemon=True) for fan in fans]
    for thread in threads:
        thread.start()
    try:
        yield
    finally:
        for fan in fans:
            fan.is_over = True


async def sold_for_a_while(store: HoldStore, holds: int, until: Callable[[], bool] = lambda: True) -> None:
    """Hold seats and give them back, in a short time, so many times at least and until something is so."""
    dice = random.Random(5)
    held: dict[int, bytes] = {}
    for number in count(1):
        if number > holds and (until() or number > 20 * holds):
            return
        seat = dice.randrange(12)
        if seat in held:
            await store.release(EVENT, held[seat], f"fan{int.from_bytes(held.pop(seat), 'big')}")
        else:
            id_ = number.to_bytes(8, "big")
            await store.hold(EVENT, ask(1, (seat,), id=id_, buyer=f"fan{number}"))
            held[seat] = id_
        await asyncio.sleep(0.005)


async def all_see(store: HoldStore, fans: Sequence[Fan]) -> bool:
    """Tell whether every fan has what the store has, within a patience."""
    truth = await store.look(EVENT)
    assert isinstance(truth, Seen)

    def sees(fan: Fan) -> bool:
        copy = fan.watch.copy
        return copy is not None and (bytes(copy.octets), str(copy.version)) == (truth.map, truth.version)

    for _ in range(600):
        if all(sees(fan) for fan in fans):
            return True
        await asyncio.sleep(0.02)
    return False


async def come_and_go(store: Redis, store_url: str) -> list[Fan]:
    """Twelve fans look at a hall that sells, and leave after every few messages; at the end all see it."""
    holds = HoldStore(store)
    await holds.load(EVENT, 1, EMPTY)
    with served(store_url) as one:
        fans = [Fan(one.url, leaves_after=number % 3 + 1, away_s=0.25) for number in range(12)]
        with looking(fans):
            # On a busy machine a fan may take long to come back: it is to miss something, and to find it.
            await sold_for_a_while(holds, 300, lambda: all(fan.streams > 2 for fan in fans))
            assert await all_see(holds, fans)
    return fans


async def test_viewers_that_come_and_go_see_the_hall_in_the_end(store: Redis, store_url: str) -> None:
    """Row 24: with Last-Event-ID nothing is missed, and no map is fetched a second time."""
    fans = await come_and_go(store, store_url)

    assert all(fan.streams > 1 for fan in fans)
    assert [fan.maps for fan in fans] == [1] * 12
    assert all(fan.watch.heard["reset"] == 0 for fan in fans)


async def test_the_test_above_notices_a_stream_that_forgets_where_it_stopped(
    store: Redis, store_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Mutant: whoever comes back begins with what comes now. The mark saves the viewers, but maps are fetched.

    Whether somebody was away just when something was told is chance on a busy machine: it has five lives.
    """
    place = Follower.place

    def forgetful(own: Follower, bookmark: Bookmark, at: Version | None) -> bool:
        del at
        return place(own, bookmark, None)

    monkeypatch.setattr(Follower, "place", forgetful)
    for _ in range(LIVES):
        await store.flushall()
        try:
            await test_viewers_that_come_and_go_see_the_hall_in_the_end(store, store_url)
        except AssertionError:
            return
    pytest.fail("nobody noticed")


async def test_a_second_worker_goes_on_where_the_first_stopped(store: Redis, store_url: str) -> None:
    """Row 24, with a worker that goes: its streams end as answers end, and its viewers miss nothing."""
    holds = HoldStore(store)
    await holds.load(EVENT, 1, EMPTY)
    with served(store_url) as second:
        with served(store_url) as first:
            fans = [Fan(first.url) for _ in range(3)]
            threads = [threading.Thread(target=fan.run, daemon=True) for fan in fans]
            for fan, thread in zip(fans, threads, strict=True):
                thread.start()
                wait_until(lambda fan=fan: fan.streams == 1)
            await sold_for_a_while(holds, 20)
            assert await all_see(holds, fans)
            for fan in fans:
                fan.is_over = True
            first.drain()
            for thread in threads:
                await asyncio.to_thread(thread.join, 20)
        assert [fan.ended_well for fan in fans] == [True] * 3

        await holds.mark(EVENT, "block", [11])
        again = [Fan(second.url, watch=fan.watch) for fan in fans]
        with looking(again):
            assert await all_see(holds, again)
        assert [fan.maps for fan in again] == [0] * 3


async def test_a_hall_that_is_lost_is_seen_again_without_a_wrong_word(store: Redis, store_url: str) -> None:
    """The store is emptied under a stream; it stays open, says reset, and then what is so."""
    holds = HoldStore(store)
    await holds.load(EVENT, 1, EMPTY)
    with served(store_url) as one:
        fans = [Fan(one.url) for _ in range(4)]
        with looking(fans):
            await sold_for_a_while(holds, 30)
            assert await all_see(holds, fans)
            await store.flushall()
            await wait_for(lambda: all(fan.watch.heard["reset"] == 1 for fan in fans))
            await wait_for(lambda: all(fan.maps == 2 for fan in fans))
            await holds.hold(EVENT, ask(3, (2, 3)))
            assert await all_see(holds, fans)


async def test_a_viewer_that_has_gone_is_let_go(store: Redis, store_url: str) -> None:
    """Nothing is written to it, nothing is kept of it."""
    await HoldStore(store).load(EVENT, 1, EMPTY)
    with served(store_url) as one:
        sockets = [_raw(one) for _ in range(5)]
        await wait_for(lambda: one.viewers == 5)
        for own in sockets:
            own.close()
        await wait_for(lambda: one.viewers == 0)


async def test_a_viewer_that_does_not_read_costs_little_and_sees_the_hall_when_it_does(
    store: Redis, store_url: str
) -> None:
    """25 kB change in each tick: what waits in the server is bounded, and one message or a reset makes good."""
    seats = 30_000
    holds = HoldStore(store)
    await holds.load(EVENT, 1, bytes(seats))
    with served(store_url) as one:
        answer = await asyncio.to_thread(httpx.get, f"{one.url}/api/events/{EVENT}/map")
        watch = Watch()
        watch.fetched(answer.content, deltas.version(answer.headers["map-version"]))
        own = _raw(one)
        await wait_for(lambda: one.viewers == 1)
        for number in range(24):
            await holds.mark(EVENT, "block" if number % 2 == 0 else "unblock", range(1, 6_000, 2))
            told = _told(one)
            await wait_for(lambda told=told: _told(one) > told)
            assert one.waiting_bytes() <= SERVERS_MOST_BYTES + MESSAGE_MOST_BYTES + 100
        stuck = one.waiting_bytes()
        await holds.mark(EVENT, "block", [0])

        truth = await holds.look(EVENT)
        assert isinstance(truth, Seen)
        await asyncio.to_thread(_read_until, own, watch, truth.version)
        assert stuck > BUFFER_BYTES
        assert watch.heard["reset"] <= 1
        assert watch.is_lost or bytes(watch.copy.octets) == truth.map  # type: ignore[union-attr]
        assert truth.counts[Status.BLOCKED] == 1
        # It missed messages, and got fewer than there were.
        assert watch.heard["message"] < 24
        own.close()


async def test_a_head_that_is_too_large_is_refused_by_the_server(store: Redis, store_url: str) -> None:
    """431, before anything of ours sees it."""
    await HoldStore(store).load(EVENT, 1, EMPTY)
    with served(store_url) as one:
        headers = {"last-event-id": "1:" + "9" * MOST_HEADER_BYTES}
        answer = await asyncio.to_thread(httpx.get, f"{one.url}/api/events/{EVENT}/deltas", headers=headers)
        assert answer.status_code == 431
        assert one.viewers == 0


# --------------------------------------------------------------------------------------------- small
def _told(one: Served) -> int:
    return sum(tally.count for tally in one.metrics.stream_messages._tallies.values())


def _raw(one: Served) -> socket.socket:
    """Open a stream and read nothing of it."""
    own = socket.socket()
    own.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, BUFFER_BYTES)
    host, _, port = one.url.removeprefix("http://").partition(":")
    own.connect((host, int(port)))
    own.sendall(f"GET /api/events/{EVENT}/deltas HTTP/1.1\r\nhost: shop\r\n\r\n".encode())
    own.settimeout(20)
    return own


def _read_until(own: socket.socket, watch: Watch, version: str) -> None:
    """Read a stream until it has come to a version, or said reset."""
    octets = b""
    while watch.last_id != version and not watch.heard["reset"]:
        octets += own.recv(65_536)
        head, end, body = octets.partition(b"\r\n\r\n")
        assert end
        text, rest = _unchunked(body)
        whole, mark, _ = text.rpartition(b"\n\n")
        if mark:
            watch.hear(whole + mark)
            octets = head + end + (b"%x\r\n%b\r\n" % (len(_), _) if _ else b"") + rest


def _unchunked(body: bytes) -> tuple[bytes, bytes]:
    """Take whole chunks off a body (RFC 9112, 7.1); returns what they say, and the rest."""
    text = b""
    while (at := body.find(b"\r\n")) >= 0:
        end = at + 2 + int(body[:at], 16)
        if len(body) < end + 2:
            break
        text += body[at + 2 : end]
        body = body[end + 2 :]
    return text, body


async def wait_for(is_so: Callable[[], bool]) -> None:
    """Wait until something is so, while this test's own loop goes on."""
    await asyncio.to_thread(wait_until, is_so)
