"""Origins: what gates saw of the sites behind them, added up for the console."""

import asyncio
from collections.abc import Mapping
from typing import Any

import pytest
from redis.asyncio import Redis

from gateway.origins import (
    COUNTED,
    COUNTS_KEPT_MS,
    FRESH_MS,
    KEPT_MS,
    TURNED,
    Origins,
    Seen,
    counts_key,
    counts_of,
    health_of,
    origin_key,
)
from gateway.proxy import Deadlines
from kernel.clock import ManualClock
from kernel.errors import Unavailable
from tests.gateway.serving import Origin, admitted, gate_before, raw

UNKNOWN = {"origin_per_minute": None, "origin_failure_ratio": None, "origin_p95_ms": None}


async def test_two_gates_are_added_up(store: Redis, clock: ManualClock) -> None:
    """Requests and failures together, the slower one's time; what was written is not written again."""
    gates = Origins(store, clock), Origins(store, clock)
    clock.advance(5_000)
    for _ in range(90):
        gates[0].answered("main", 200, 20.0)
    for status in (500, 503, 499, 304):
        gates[1].answered("main", status, 400.0)
    gates[1].failed("main")
    for gate in gates:
        await gate.write()

    health = health_of(await store.hgetall(origin_key("main")), clock.now_ms())
    assert health["origin_per_minute"] == 95 * 12
    assert health["origin_failure_ratio"] == 3 / 95
    assert 400 <= int(str(health["origin_p95_ms"])) <= 500
    assert 0 < await store.pttl(origin_key("main")) <= KEPT_MS

    clock.advance(FRESH_MS)
    assert health_of(await store.hgetall(origin_key("main")), clock.now_ms())["origin_per_minute"] == 95 * 12
    clock.advance(1)
    await gates[0].write()
    assert health_of(await store.hgetall(origin_key("main")), clock.now_ms()) == UNKNOWN


@pytest.mark.parametrize(
    "kept", [{}, {b"a": b""}, {b"a": b"1 2 3"}, {b"a": b"x 1 1 1 1"}, {b"a": b"1800000000000 0 5 5 5"}]
)
def test_nothing_that_can_be_read_is_unknown(kept: Mapping[bytes, bytes]) -> None:
    """Never a failure ratio of 0 that nobody measured."""
    assert health_of(kept, 1_800_000_000_000) == UNKNOWN


@pytest.mark.parametrize(
    ("times_ms", "p95_ms"),
    [([], 0), ([0.2], 1), ([10.0] * 95 + [900.0] * 5, 10), ([10.0] * 94 + [900.0] * 6, 900)],
)
def test_the_time_that_95_of_100_kept_is_a_quarter_too_long_at_most(
    times_ms: list[float], p95_ms: int
) -> None:
    """At the edge of five in a hundred."""
    gate = Origins.__new__(Origins)
    gate._seen = {}
    for took_ms in times_ms:
        gate.answered("main", 200, took_ms)

    told = gate._seen.get("main", Seen()).p95_ms()
    assert p95_ms <= told <= p95_ms * 1.25 + 1


@pytest.mark.parametrize(("status", "failures"), [(200, 0), (404, 0), (499, 0), (500, 1), (503, 1)])
async def test_the_gate_counts_each_answer(
    store: Redis, clock: ManualClock, status: int, failures: int
) -> None:
    """An error of 500 and above is the site's; one below is somebody's request."""
    origins = Origins(store, clock)

    async def answer(scope: Any, receive: Any, send: Any) -> None:
        await send({"type": "http.response.start", "status": status, "headers": []})
        await send({"type": "http.response.body", "body": b""})

    async with gate_before(Origin(answer=answer), origins=origins) as door, admitted() as client:
        for _ in range(3):
            async with client.get(door.url("/")) as got:
                assert (got.status, await got.read()) == (status, b"")

    seen = origins._seen["main"]
    assert (seen.requests, seen.failures, sum(seen.steps.values())) == (3, 3 * failures, 3)


async def test_the_gate_counts_an_origin_that_does_not_answer_and_no_client_that_does_not_send(
    store: Redis, clock: ManualClock
) -> None:
    """The one is the site's failure, the other the visitor's; whoever waits asks the site for nothing."""
    origins = Origins(store, clock)
    hang = asyncio.Event()

    async def answer(scope: Any, receive: Any, send: Any) -> None:
        await hang.wait()

    deadlines = Deadlines(first_byte_s=0.05)
    async with gate_before(Origin(answer=answer), origins=origins, deadlines=deadlines) as door:
        async with admitted() as client, client.get(door.url("/")) as got:
            assert (got.status, b"origin-slow" in await got.read()) == (504, True)
        head = b"POST / HTTP/1.1\r\nHost: a\r\nCookie: waitroom-admission-main=ok-fan\r\nContent-Length: 5\r\n\r\n"
        assert b" 408 " in await raw(door.port, head, end=b"\r\n\r\n")

    seen = origins._seen["main"]
    assert (seen.requests, seen.failures, sum(seen.steps.values())) == (1, 1, 0)


async def test_joins_that_were_turned_away_are_added_up_once(store: Redis, clock: ManualClock) -> None:
    """Of two gates, over rounds; a write that the store did not take is lost and not doubled; the count has an end."""
    counted = [
        {"main": {"refused": 2, "shed": 1, "kept": 7, "kept_verified": 4, "kept_suspect": 9}},
        {
            "main": {"refused": 3, "again": 2, "kept": 1},
            "side": {"shed": 4, "slowed": 5, "asked": 2, "passed": 1},
        },
        {},
        {"main": {"refused": 1, "shed": 1}},
    ]
    gates = [Origins(store, clock, lambda: counted.pop(0)) for _ in range(2)]
    for gate in (*gates, gates[0]):
        await gate.write()

    async def kept(room: str) -> dict[str, object]:
        return counts_of(await store.hmget(counts_key(room), *COUNTED))

    names = [name if name in TURNED else f"settled_{name}" for name in COUNTED]
    none = dict.fromkeys(names, 0)
    main = none | {"refused": 5, "shed": 1, "settled_kept": 8, "settled_kept_verified": 4}
    assert await kept("main") == main
    side = {"shed": 4, "settled_slowed": 5, "settled_asked": 2, "settled_passed": 1}
    assert await kept("side") == none | side
    assert await kept("none") == none
    assert 0 < await store.pttl(counts_key("main")) <= COUNTS_KEPT_MS
    away = Origins(Redis(port=1), clock, lambda: counted.pop(0))
    with pytest.raises(Unavailable):
        await away.write()
    await away._client.aclose()
    assert (await kept("main"), counted) == (main, [])
