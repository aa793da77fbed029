"""HTTP: what the server writes by itself is what the application would have answered, and nothing slips through."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest

from gateway import http
from gateway.http import line_of
from kernel.asgi import PUSH, Push, Ready, header, respond
from tests.gateway.serving import raw, serving

URL = b"/status"
DOCUMENT = Ready(b'"v1"', ((b"content-type", b"application/json"), (b"etag", b'"v1"')), b'{"version":1}')
GET = b"GET /status HTTP/1.1\r\nHost: a\r\n"
ORDINARY = GET.replace(b"/status", b"/status?")


class App:
    """The same document by the ordinary way; counts who came that way. /evil answers with the header it is told."""

    def __init__(self) -> None:
        self.asked = 0
        self.header = (b"x-a", b"b")

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        """Answer."""
        self.asked += 1
        if scope["path"] == "/evil":
            await respond(send, 200, [self.header], b"ok")
            return
        while (await receive()).get("more_body"):
            pass
        tags = header(scope, b"if-none-match") or b""
        known = DOCUMENT.etag in tags
        await respond(send, 304 if known else 200, DOCUMENT.headers, b"" if known else DOCUMENT.body)


def told(url: bytes) -> Ready | None:
    """Give the document at its own address."""
    return DOCUMENT if url == URL else None


@asynccontextmanager
async def here(**more: Any) -> AsyncIterator[tuple[App, int]]:
    """Serve the application with its broadcast."""
    app = App()
    async with serving(app, broadcast=told, **more) as port, asyncio.timeout(20):
        yield app, port


def parts(answer: bytes) -> tuple[bytes, dict[bytes, bytes], bytes]:
    """Take an answer apart: status line, headers without the date, body."""
    head, _, body = answer.partition(b"\r\n\r\n")
    first, *rest = head.split(b"\r\n")
    fields = dict(line.split(b": ", 1) for line in rest)
    assert fields.pop(b"date").endswith(b"GMT")
    return first, fields, body


@pytest.mark.parametrize(
    "more", [b"", b'If-None-Match: "v1"\r\n', b'If-None-Match: W/"v0", "v1"\r\n', b'If-None-Match: "v0"\r\n']
)
async def test_the_broadcast_is_what_the_application_would_have_answered(more: bytes) -> None:
    """Status, headers and body agree; only the ordinary way asks the application."""
    async with here() as (app, port):
        quick = await raw(port, GET + more + b"\r\n", end=b"1}" if b'"v1"' not in more else b"\r\n\r\n")
        assert app.asked == 0
        slow = await raw(port, ORDINARY + more + b"Connection: close\r\n\r\n")

    first, fields, body = parts(slow)
    fields.pop(b"connection")
    if first.split()[1] == b"304":
        fields.pop(b"content-length")
    assert parts(quick) == (first, fields, body)
    assert app.asked == 1


@pytest.mark.parametrize(
    "request_bytes",
    [
        GET + b"Connection: close\r\n\r\n",
        GET.replace(b"1.1", b"1.0") + b"\r\n",
        GET + b"Content-Length: 0\r\nConnection: close\r\n\r\n",
        GET + b"Content-Length: 2\r\nConnection: close\r\n\r\nab",
        GET + b"Transfer-Encoding: chunked\r\nConnection: close\r\n\r\n0\r\n\r\n",
        GET + b"Expect: 100-continue\r\nConnection: close\r\n\r\n",
        GET.replace(b"GET", b"HEAD") + b"Connection: close\r\n\r\n",
        GET.replace(b"GET", b"POST") + b"Content-Length: 2\r\nConnection: close\r\n\r\nab",
    ],
)
async def test_what_is_not_a_plain_get_asks_the_application(request_bytes: bytes) -> None:
    """A body, another method, an old client: the quick way knows nothing of these."""
    async with here() as (app, port):
        answer = await raw(port, request_bytes)

    assert b" 200 OK\r\n" in answer
    assert app.asked == 1


async def test_pipelined_requests_are_answered_in_their_order() -> None:
    """A quick answer never overtakes a slow one that was asked before it."""
    slow = ORDINARY + b"\r\n"
    last = ORDINARY + b"Connection: close\r\n\r\n"
    quick = GET + b"\r\n"
    async with here() as (app, port):
        answer = await raw(port, quick + slow + quick + quick + last)

    assert answer.count(b'{"version":1}') == 5
    assert app.asked >= 2


async def test_a_quick_answer_waits_for_a_slow_one() -> None:
    """While the application works on a request of this connection, the broadcast takes the ordinary way behind it."""
    release = asyncio.Event()

    async def app(scope: Any, receive: Any, send: Any) -> None:
        if scope["path"] == "/slow":
            await release.wait()
        await respond(send, 200, [], scope["path"].encode())

    async with serving(app, broadcast=told) as port, asyncio.timeout(20):
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(GET.replace(URL, b"/slow") + b"\r\n" + GET + b"\r\n")
        await writer.drain()
        release.set()
        first = await reader.readuntil(b"/slow")
        second = await reader.readuntil(b"/status")
        writer.close()

    assert first.startswith(b"HTTP/1.1 200")
    assert second.startswith(b"HTTP/1.1 200")


async def test_an_idle_connection_is_closed_after_its_time() -> None:
    """One watch ends it, after a quick answer and after a slow one; a client that goes on is left alone."""
    async with here(keep_alive_s=1) as (_, port):
        for request in (GET + b"\r\n", ORDINARY + b"\r\n"):
            answer = await raw(port, request)
            assert answer.endswith(b"1}")


SPLITTING = [
    (b"x-a", b"b\r\nset-cookie: evil=1"),
    (b"x-a", b"b\nc"),
    (b"x-a", b"b\x00"),
    (b"x-a\r\nb", b"c"),
    (b"x a", b"b"),
    (b"", b"b"),
]


@pytest.mark.parametrize("evil", SPLITTING)
async def test_no_header_splits_an_answer(evil: tuple[bytes, bytes]) -> None:
    """A line break in a name or a value never reaches the client, known lines or not."""
    assert line_of(evil) is None
    async with here() as (app, port):
        app.header = evil
        answer = await raw(port, b"GET /evil HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n")

    assert b"evil=1" not in answer
    assert b" 200 " not in answer or evil[0] == b""


@pytest.mark.parametrize("evil", SPLITTING[:3])
def test_without_the_check_a_header_would_split_the_answer(
    evil: tuple[bytes, bytes], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The mutant: a value that is not looked at goes out as it is."""
    monkeypatch.setattr(http, "_VALUE", b"")
    monkeypatch.setattr(http, "_lines", {})

    assert line_of(evil) is not None


def test_the_memory_of_lines_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    """An origin that makes up headers fills nothing; cookies are never kept."""
    lines: dict[tuple[bytes, bytes], bytes] = {}
    monkeypatch.setattr(http, "_lines", lines)

    for number in range(3 * http.LINES_KEPT):
        assert line_of((b"x-n", b"%d" % number)) == b"x-n: %d\r\n" % number
        assert len(lines) <= http.LINES_KEPT
    line_of((b"set-cookie", b"ticket=secret"))
    line_of((b"waitroom-trace", b"4bf92f3577b34da6a3ce929d0e0e4736"))
    line_of((b"x-long", b"a" * http.LINE_KEPT_BYTES))

    assert not [name for name, _ in lines if name in {b"set-cookie", b"waitroom-trace", b"x-long"}]


# ------------------------------------------------------------------------------------- streams that many get


class Stream:
    """An answer that goes on; what the server gave to write with is kept."""

    def __init__(self) -> None:
        self.push = Push()
        self.over = asyncio.Event()

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        """Begin, wait, end."""
        del scope, receive
        headers = [(b"content-type", b"text/event-stream")]
        await send({"type": "http.response.start", "status": 200, "headers": headers, PUSH: self.push})
        await send({"type": "http.response.body", "body": b"first\n", "more_body": True})
        await self.over.wait()
        await send({"type": "http.response.body", "body": b"last\n", "more_body": False})


async def test_a_piece_that_is_pushed_stands_between_those_that_are_sent() -> None:
    """In the stream's own form; before the start and after the end nothing is written."""
    app = Stream()
    async with serving(app) as port, asyncio.timeout(20):
        assert app.push.write is None
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n")
        seen = await reader.readuntil(b"first\n\r\n")
        write = app.push.write
        assert write is not None
        assert write(b"pushed, and longer\n")
        app.over.set()
        seen += await reader.readuntil(b"0\r\n\r\n")
        late = write(b"too late\n")
        writer.close()

    assert b"transfer-encoding: chunked" in seen.lower()
    assert seen.endswith(b"6\r\nfirst\n\r\n13\r\npushed, and longer\n\r\n5\r\nlast\n\r\n0\r\n\r\n")
    assert not late


async def test_nothing_is_pushed_where_the_connection_takes_nothing_or_is_gone() -> None:
    """Who does not read gets no more than the server's buffers; who has gone gets nothing."""
    app = Stream()
    async with serving(app) as port, asyncio.timeout(20):
        reader, writer = await asyncio.open_connection("127.0.0.1", port, limit=1_024)
        writer.write(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n")
        await reader.readuntil(b"first\n\r\n")
        write = app.push.write
        assert write is not None
        pieces = 0
        while write(b"x" * 65_536):
            pieces += 1
            assert pieces < 1_000
            await asyncio.sleep(0)
        writer.transport.abort()
        await asyncio.sleep(0.1)
        gone = write(b"x")
        app.over.set()

    assert not gone
