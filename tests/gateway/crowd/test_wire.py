"""The wire: real sockets, one server that says what the test wants it to say."""

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager

import pytest

from gateway.crowd.wire import Broken, NoAnswer, Wire

OK = b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nhi"
Reply = bytes | None
"""What the server says to one request; None: it closes the connection without a word."""


class Server:
    """Answers the n-th request with the n-th reply, the last one for ever."""

    def __init__(self, replies: Sequence[Reply], *, close_after: int = 1 << 30) -> None:
        self.requests: list[bytes] = []
        self.connections = 0
        self.open_now = 0
        self.most_open = 0
        self.heard = asyncio.Event()
        self.hold: asyncio.Event | None = None
        self._replies = replies
        self._close_after = close_after

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Live one connection."""
        self.connections += 1
        self.open_now += 1
        self.most_open = max(self.most_open, self.open_now)
        try:
            for _ in range(self._close_after):
                head = await reader.readuntil(b"\r\n\r\n")
                length = next(
                    (int(line[15:]) for line in head.split(b"\r\n") if line.startswith(b"content-length:")), 0
                )
                self.requests.append(head + await reader.readexactly(length))
                self.heard.set()
                reply = self._replies[min(len(self.requests), len(self._replies)) - 1]
                if self.hold is not None:
                    await self.hold.wait()
                if reply is None:
                    break
                for start in range(0, len(reply), 7):  # in pieces, as networks do
                    writer.write(reply[start : start + 7])
                    await writer.drain()
        except (asyncio.IncompleteReadError, ConnectionError):
            pass
        finally:
            self.open_now -= 1
            writer.close()


@asynccontextmanager
async def wired(
    server: Server, *, connections: int = 4, timeout_s: float = 5.0, clock: Callable[[], float] | None = None
) -> AsyncIterator[Wire]:
    """Give a wire to a running server."""
    listener = await asyncio.start_server(server.serve, "127.0.0.1", 0)
    port = listener.sockets[0].getsockname()[1]
    wire = Wire("127.0.0.1", port, connections=connections, timeout_s=timeout_s)
    if clock is not None:
        wire.clock = clock
    try:
        yield wire
    finally:
        await wire.close()
        listener.close()
        await listener.wait_closed()


async def test_a_request_and_its_answer() -> None:
    """Method, path, headers and body go out as given; status, headers, cookies and body come back."""
    reply = (
        b"HTTP/1.1 202 Accepted\r\nSet-Cookie: a=1; Path=/\r\nset-cookie: b=2\r\nRetry-After: 7\r\n"
        b'ETag: "x"\r\nContent-Length: 5\r\n\r\nhello'
    )
    server = Server([reply])

    async with wired(server) as wire:
        answer = await wire.ask(b"POST", b"/join", b"x-one: 1\r\n", b'{"a":1}')

    assert server.requests[0].startswith(b"POST /join HTTP/1.1\r\nhost: 127.0.0.1:")
    assert b"\r\nx-one: 1\r\ncontent-length: 7\r\n\r\n" in server.requests[0]
    assert server.requests[0].endswith(b'{"a":1}')
    assert (answer.status, answer.body, answer.headers[b"etag"]) == (202, b"hello", b'"x"')
    assert answer.cookies == [b"a=1; Path=/", b"b=2"]
    assert answer.retry_after_s == 7.0
    assert answer.asked_at < answer.answered_at


@pytest.mark.parametrize(
    ("reply", "body"),
    [
        (b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n3\r\nabc\r\n2\r\nde\r\n0\r\n\r\n", b"abcde"),
        (b"HTTP/1.1 304 Not Modified\r\netag: x\r\n\r\n", b""),
        (b"HTTP/1.1 204 No Content\r\n\r\n", b""),
        (b"HTTP/1.1 103 Early Hints\r\nlink: x\r\n\r\n" + OK, b"hi"),
    ],
    ids=["chunked", "not modified", "no content", "early hints"],
)
async def test_answers_of_every_form_are_read_and_the_connection_is_kept(reply: bytes, body: bytes) -> None:
    """The next request goes over the same connection."""
    server = Server([reply])

    async with wired(server) as wire:
        first = await wire.ask(b"GET", b"/1")
        second = await wire.ask(b"GET", b"/2")

    assert first.body == second.body == body
    assert server.connections == 1


async def test_no_more_connections_than_allowed_and_every_request_is_answered() -> None:
    """Requests beyond the bound wait for their turn."""
    server = Server([OK])

    async with wired(server, connections=3) as wire:
        answers = await asyncio.gather(*[wire.ask(b"GET", b"/%d" % number) for number in range(60)])

    assert [answer.status for answer in answers] == [200] * 60
    assert server.most_open <= 3
    assert wire.sent == 60


async def test_a_kept_connection_that_has_died_costs_nobody_an_answer() -> None:
    """The server closes after each answer without saying so: the request is sent once more on a new connection."""
    server = Server([OK], close_after=1)

    async with wired(server, connections=1) as wire:
        for number in range(5):
            assert (await wire.ask(b"GET", b"/%d" % number)).status == 200

    assert server.connections == 5


async def test_a_repeated_request_counts_from_its_first_try() -> None:
    """What was asked first may be what counted, so "asked" is the first try's moment."""
    server = Server([OK, None, OK])
    moments = iter(range(1000))

    async with wired(server, clock=lambda: float(next(moments))) as wire:
        await wire.ask(b"GET", b"/1")
        before = float(next(moments))
        answer = await wire.ask(b"GET", b"/2")

    assert wire.repeated == 1
    assert before < answer.asked_at < before + 3 < answer.answered_at + 3


async def test_a_connection_that_closes_under_a_fresh_request_is_no_answer() -> None:
    """A new connection is not tried again: that is for the fan to decide."""
    async with wired(Server([None])) as wire:
        with pytest.raises(NoAnswer) as caught:
            await wire.ask(b"GET", b"/")

    assert caught.value.kind is Broken.CLOSED
    assert caught.value.asked_at is not None


async def test_an_answer_that_breaks_off_is_no_answer() -> None:
    """Half an answer is not sent for again, for it may have done its work."""
    server = Server([OK, b"HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\nhalf"], close_after=2)

    async with wired(server) as wire:
        await wire.ask(b"GET", b"/1")
        with pytest.raises(NoAnswer, match="closed"):
            await wire.ask(b"GET", b"/2")

    assert wire.repeated == 0


async def test_nonsense_is_no_answer() -> None:
    """What is not HTTP ends the connection."""
    async with wired(Server([b"SSH-2.0-dropbear\r\n\r\n"])) as wire:
        with pytest.raises(NoAnswer, match="garbled"):
            await wire.ask(b"GET", b"/")


async def test_nobody_listening_is_no_answer() -> None:
    """A refused connection has no moment of asking."""
    async with wired(Server([OK])) as wire:
        pass

    with pytest.raises(NoAnswer) as caught:
        await wire.ask(b"GET", b"/")
    assert (caught.value.kind, caught.value.asked_at) == (Broken.REFUSED, None)


async def test_an_overdue_answer_is_given_up() -> None:
    """The time is the wire's clock: it jumps, and the next sweep ends the wait."""
    server = Server([OK])
    server.hold = asyncio.Event()
    now_s = 0.0

    async with wired(server, timeout_s=5.0, clock=lambda: now_s) as wire:
        asking = asyncio.ensure_future(wire.ask(b"GET", b"/"))
        await server.heard.wait()
        now_s = 5.1
        with pytest.raises(NoAnswer, match="timeout"):
            await asking
        server.hold.set()


async def test_a_request_whose_answer_is_lost_still_arrives() -> None:
    """The fan hangs up; the server has the whole request."""
    server = Server([OK])

    async with wired(server) as wire:
        await wire.ask_and_hang_up(b"POST", b"/claim", b"", b"{}")
        await server.heard.wait()

    assert server.requests[0].endswith(b"{}")


async def test_a_fan_who_goes_away_leaves_the_wire_in_order() -> None:
    """A cancelled request gives its place to the next."""
    server = Server([OK])
    server.hold = asyncio.Event()

    async with wired(server, connections=1) as wire:
        asking = asyncio.ensure_future(wire.ask(b"GET", b"/1"))
        waiting = asyncio.ensure_future(wire.ask(b"GET", b"/2"))
        await server.heard.wait()
        asking.cancel()
        server.hold.set()

        assert (await waiting).status == 200
        await asyncio.gather(asking, return_exceptions=True)
        assert asking.cancelled()
