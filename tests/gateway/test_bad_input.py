"""What no honest client sends: each has a clear answer, and the origin never hears of it."""

import asyncio
from typing import Any

import pytest

from tests.gateway.serving import Origin, gate_before, raw, serving

SESSION = b"Cookie: waitroom-admission-main=ok-fan\r\n"
GET = b"GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n" + SESSION

BAD: list[tuple[str, bytes, bytes]] = [
    (
        "length and chunks at once",
        b"POST / HTTP/1.1\r\nHost: a\r\n"
        + SESSION
        + b"Content-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
        b"400",
    ),
    (
        "two lengths",
        b"POST / HTTP/1.1\r\nHost: a\r\n" + SESSION + b"Content-Length: 1\r\nContent-Length: 2\r\n\r\nab",
        b"400",
    ),
    (
        "a coding that does not end in chunks",
        b"POST / HTTP/1.1\r\nHost: a\r\n" + SESSION + b"Transfer-Encoding: chunked, gzip\r\n\r\n0\r\n\r\n",
        b"400",
    ),
    (
        "a negative length",
        b"POST / HTTP/1.1\r\nHost: a\r\n" + SESSION + b"Content-Length: -1\r\n\r\n",
        b"400",
    ),
    ("a space before the colon", GET + b"X-A : 1\r\n\r\n", b"400"),
    ("a folded header", b"GET / HTTP/1.1\r\nHost: a\r\n" + SESSION + b"X-A: 1\r\n  2\r\n\r\n", b"400"),
    ("a NUL in a header", GET + b"X-A: 1\x002\r\n\r\n", b"400"),
    ("a NUL in the path", GET.replace(b"GET / ", b"GET /\x00 ") + b"\r\n", b"400"),
    ("an escaped NUL in the path", GET.replace(b"GET / ", b"GET /a%00b ") + b"\r\n", b"400"),
    ("no host", b"GET / HTTP/1.1\r\nConnection: close\r\n" + SESSION + b"\r\n", b"400"),
    ("two hosts", GET + b"Host: b\r\n\r\n", b"400"),
    ("a host with a path", GET.replace(b"Host: a", b"Host: a/b") + b"\r\n", b"400"),
    (
        "an address that is too long",
        GET.replace(b"GET / ", b"GET /" + b"a" * 20_000 + b" ") + b"\r\n",
        b"414",
    ),
    ("a head that is too large in one packet", GET + b"X-A: " + b"a" * 40_000 + b"\r\n\r\n", b"431"),
    ("a head without an end", GET + b"X-A: " + b"a" * 40_000, b"431"),
    ("many small headers", GET + b"".join(b"X-%d: a\r\n" % n for n in range(5000)) + b"\r\n", b"431"),
    ("a method that is none", b"G\x01T / HTTP/1.1\r\nHost: a\r\n\r\n", b"400"),
    ("not HTTP at all", b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\r\n\r\n", b"400"),
    ("a path in raw UTF-8", GET.replace(b"GET / ", b"GET /\xc3\xa9 ") + b"\r\n", b"400"),
    ("the asterisk form", GET.replace(b"GET / ", b"OPTIONS * ") + b"\r\n", b"400"),
    ("a tunnel", b"CONNECT evil.example:443 HTTP/1.1\r\nHost: evil.example:443\r\n\r\n", b"400"),
]


@pytest.mark.parametrize(("what", "request_bytes", "status"), BAD, ids=[row[0] for row in BAD])
async def test_malformed_requests_are_refused_before_the_origin_hears_of_them(
    what: str, request_bytes: bytes, status: bytes
) -> None:
    """Smuggling shapes and oversized heads end at the gate, with the status that says why."""
    origin = Origin()
    async with gate_before(origin) as door, asyncio.timeout(20):
        answer = await raw(door.port, request_bytes, end=b"\r\n\r\n")

    assert answer.split(b" ", 2)[1] == status
    assert origin.asked == []


async def test_the_authority_of_an_absolute_target_changes_nothing() -> None:
    """``GET http://evil/x`` is the path /x at the host that Host names; the origin hears no other."""
    origin = Origin()
    request = GET.replace(b"GET / ", b"GET http://evil.example/x?y ").replace(
        b"Host: a", b"Host: shop.example"
    )
    async with gate_before(origin) as door:
        await raw(door.port, request + b"\r\n")

    assert (origin.last["path"], origin.last["query"]) == ("/x", "y")
    assert origin.header("host") == ["shop.example"]


async def test_a_smuggled_second_request_stays_in_the_first_ones_body() -> None:
    """What follows within the length is body, whatever it looks like; the origin hears one request."""
    inner = b"GET /admin HTTP/1.1\r\nHost: a\r\n\r\n"
    head = b"POST / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n" + SESSION
    origin = Origin()
    async with gate_before(origin) as door:
        await raw(door.port, head + b"Content-Length: %d\r\n\r\n" % len(inner) + inner)

    assert [asked["path"] for asked in origin.asked] == ["/"]
    assert origin.last["size"] == len(inner)


async def test_pipelined_requests_are_judged_one_by_one() -> None:
    """A session on the first says nothing about the second."""
    origin = Origin()
    second = b"GET /second HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n"
    async with gate_before(origin) as door:
        answers = await raw(door.port, GET.replace(b"Connection: close\r\n", b"") + b"\r\n" + second)

    assert answers.count(b"HTTP/1.1 ") == 2
    assert b"HTTP/1.1 429 " in answers
    assert [asked["path"] for asked in origin.asked] == ["/"]


async def test_a_head_that_never_ends_is_cut_off_in_time() -> None:
    """A byte now and then does not hold a connection; one on which nothing came is closed silently."""
    async with gate_before(Origin(), header_s=0.1) as door, asyncio.timeout(20):
        slow = await raw(door.port, b"GET / HTTP/1.1\r\nHost: a\r\nX-A: ")
        silent = await raw(door.port, b"")

    assert slow.startswith(b"HTTP/1.1 408 ")
    assert silent == b""


async def test_header_bytes_beyond_ascii_arrive() -> None:
    """UTF-8 goes on as it is; Latin-1 goes on as the UTF-8 of its reading (aiohttp writes no other)."""
    origin = Origin()
    async with gate_before(origin) as door:
        await raw(door.port, GET + b"X-A: \xc3\xa9\r\nX-B: \xe9\r\n\r\n")

    assert (origin.header("x-a"), origin.header("x-b")) == (["é"], ["é"])


async def test_without_the_bound_an_endless_head_is_taken() -> None:
    """The mutant: with the bound lifted the same request passes, so the bound is what stops it."""

    async def app(scope: Any, receive: Any, send: Any) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": b""})

    large = GET + b"X-A: " + b"a" * 40_000 + b"\r\n\r\n"
    async with serving(app) as bounded, serving(app, max_header_bytes=1_000_000) as lifted:
        assert (await raw(bounded, large)).startswith(b"HTTP/1.1 431 ")
        assert (await raw(lifted, large)).startswith(b"HTTP/1.1 200 ")
