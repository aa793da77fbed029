"""The wire: real HTTP/1.1 requests of thousands of fans over a bounded number of connections.

Lean, because load and room share a machine: one asyncio protocol for each connection, httptools for parsing, no
timer and no object tree for each request. Cookies are the fans' business. Times are seconds of the crowd's clock:
``asked_at`` is taken just before the first byte is written and ``answered_at`` after the last was read, so
"A was answered before B asked" is a fact, not an estimate (a wait for a free connection lies before
``asked_at``; the fan's latency has it, the order of things does not).
A request whose kept-alive connection turns out to be dead is sent once more on a new one, as browsers do
(RFC 9112, section 9.3.1); ``asked_at`` stays that of the first try.
Not here: TLS, redirects, retries that a fan should decide on.
"""

import asyncio
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from enum import StrEnum
from time import perf_counter
from typing import cast

import httptools

from gateway.crowd.streams import BrokenOff, Stream

SWEEP_S = 0.25
BESIDE = 16
"""Connections to another address than the crowd's own."""
MOST_HEAD_AND_BODY_BYTES = 4 * 1024 * 1024


class Broken(StrEnum):
    """How a request can end without an answer."""

    REFUSED = "refused"  # no connection could be made
    CLOSED = "closed"  # the connection ended before the answer did
    TIMEOUT = "timeout"
    GARBLED = "garbled"  # what came was not HTTP


class NoAnswer(Exception):
    """The request ended without an answer; ``asked_at`` is None when not a byte was sent."""

    def __init__(self, kind: Broken, asked_at: float | None) -> None:
        super().__init__(kind.value)
        self.kind = kind
        self.asked_at = asked_at


@dataclass(slots=True)
class Answer:
    """An answer as it came; header names in lower case, cookies apart because they repeat."""

    status: int = 0
    body: bytes = b""
    headers: dict[bytes, bytes] = field(default_factory=dict)
    cookies: list[bytes] = field(default_factory=list)
    asked_at: float = 0.0
    answered_at: float = 0.0

    @property
    def retry_after_s(self) -> float | None:
        """Retry-After in seconds; None without one (dates are not used by this product)."""
        text = self.headers.get(b"retry-after")
        return float(text) if text is not None and text.isdigit() else None


class Wire:
    """A pool of at most ``connections`` connections to one address."""

    def __init__(
        self,
        host: str,
        port: int,
        *,
        connections: int,
        timeout_s: float,
        clock: Callable[[], float] = perf_counter,
        sweep: "_Sweep | None" = None,
    ) -> None:
        """Make a pool; no connection is opened yet. Pools apart share their `sweep`."""
        self.clock = clock
        self.sent = 0
        self.repeated = 0  # dead kept-alive connections that a request met
        self._address = (host, port)
        self._limit = connections
        self._timeout_s = timeout_s
        self._idle: list[_Connection] = []
        self._open: set[_Connection] = set()
        self._sweep = sweep or _Sweep(clock)
        self._opening = 0
        self._waiting: deque[asyncio.Future[None]] = deque()
        # An IPv6 address stands in brackets in Host; the port is always named.
        self._host_line = f"host: {f'[{host}]' if ':' in host else host}:{port}\r\n".encode()

    @property
    def sockets(self) -> int:
        """How many connections are open, those of the pools apart among them."""
        return len(self._sweep.connections)

    def apart(self) -> "Wire":
        """Make a pool for one browser to the same address, closed with this one.

        Two connections, because two clicks at once must not wait for each other.
        """
        return Wire(
            *self._address, connections=2, timeout_s=self._timeout_s, clock=self.clock, sweep=self._sweep
        )

    def beside(self, host: str, port: int) -> "Wire":
        """Make a pool for all to another address, closed with this one."""
        return Wire(
            host, port, connections=BESIDE, timeout_s=self._timeout_s, clock=self.clock, sweep=self._sweep
        )

    async def ask(self, method: bytes, path: bytes, headers: bytes = b"", body: bytes = b"") -> Answer:
        """Send one request and give the answer. ``headers`` are whole lines, each with its CRLF.

        Raises NoAnswer.
        """
        request = self._request(method, path, headers, body)
        asked_at: float | None = None
        for last in (False, True):
            connection = await self._take(fresh=last)
            was_used = connection.answers > 0
            if asked_at is None:
                asked_at = self.clock()
            answer = connection.send(request, asked_at, self._timeout_s)
            self.sent += 1
            try:
                result = await answer
            except NoAnswer as error:
                if last or error.kind is not Broken.CLOSED or not was_used or connection.heard:
                    raise
                self.repeated += 1
                continue
            except asyncio.CancelledError:
                connection.abandon()
                raise
            result.asked_at = asked_at
            return result
        raise AssertionError  # pragma: no cover - the second round returns or raises

    async def ask_and_hang_up(
        self, method: bytes, path: bytes, headers: bytes = b"", body: bytes = b""
    ) -> None:
        """Send one request and close the connection without waiting for the answer: it is lost on the way."""
        connection = await self._take(fresh=False)
        connection.send(self._request(method, path, headers, body), self.clock(), self._timeout_s).cancel()
        self.sent += 1
        connection.hang_up()

    async def stream(self, path: bytes, headers: bytes = b"") -> Stream:
        """Ask for an answer that goes on coming, over a connection beside the pool. Raises NoAnswer.

        Whoever asked closes it.
        """
        loop, asked_at = asyncio.get_running_loop(), self.clock()
        stream: Stream | None = None
        try:
            async with asyncio.timeout(self._timeout_s):
                _, stream = await loop.create_connection(Stream, *self._address)
                self.sent += 1
                await stream.begin(self._request(b"GET", path, headers, b""))
        except BrokenOff as error:
            raise NoAnswer(Broken.CLOSED, asked_at) from error
        except (OSError, TimeoutError) as error:
            if stream is not None:
                stream.close()
            raise NoAnswer(Broken.TIMEOUT if stream else Broken.REFUSED, asked_at) from error
        return stream

    async def close(self) -> None:
        """Close every connection of the pool."""
        self._sweep.close()
        await asyncio.sleep(0)

    def _request(self, method: bytes, path: bytes, headers: bytes, body: bytes) -> bytes:
        head = method + b" " + path + b" HTTP/1.1\r\n" + self._host_line + headers
        if body or method != b"GET":
            return b"%scontent-length: %d\r\n\r\n%s" % (head, len(body), body)
        return head + b"\r\n"

    async def _take(self, *, fresh: bool) -> "_Connection":
        """A connection for one request: an idle one, a new one, or the next that gets free."""
        while True:
            while self._idle and not fresh:
                connection = self._idle.pop()
                if connection.is_usable:
                    return connection
            if len(self._open) + self._opening < self._limit:
                return await self._connect()
            if self._idle:  # a fresh one is wanted and all places are taken: an idle one makes room
                self._idle.pop(0).abandon()
                continue
            turn: asyncio.Future[None] = asyncio.get_running_loop().create_future()
            self._waiting.append(turn)
            try:
                await turn
            except asyncio.CancelledError:
                if turn.done() and not turn.cancelled():
                    self._next()
                raise

    async def _connect(self) -> "_Connection":
        loop = asyncio.get_running_loop()
        self._opening += 1
        try:
            async with asyncio.timeout(self._timeout_s):
                _, connection = await loop.create_connection(lambda: _Connection(self), *self._address)
        except (OSError, TimeoutError) as error:
            raise NoAnswer(Broken.REFUSED, None) from error
        finally:
            self._opening -= 1
            self._next()
        return connection

    def opened(self, connection: "_Connection") -> None:
        """A connection was made."""
        self._open.add(connection)
        self._sweep.watch(connection)

    def freed(self, connection: "_Connection") -> None:
        """A connection has answered and may be used again."""
        self._idle.append(connection)
        self._next()

    def lost(self, connection: "_Connection") -> None:
        """A connection is gone, so there is room for another."""
        self._open.discard(connection)
        self._sweep.connections.discard(connection)
        self._next()

    def _next(self) -> None:
        while self._waiting:
            turn = self._waiting.popleft()
            if not turn.done():
                turn.set_result(None)
                return


class _Sweep:
    """Gives up on answers that are overdue: one pass for all connections, instead of a timer for each request."""

    def __init__(self, clock: Callable[[], float]) -> None:
        self.connections: set[_Connection] = set()
        self._clock = clock
        self._timer: asyncio.TimerHandle | None = None

    def watch(self, connection: "_Connection") -> None:
        """Look after a connection from now on."""
        self.connections.add(connection)
        if self._timer is None:
            self._timer = asyncio.get_running_loop().call_later(SWEEP_S, self._pass)

    def close(self) -> None:
        """Drop every connection."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        for connection in list(self.connections):
            connection.abandon()

    def _pass(self) -> None:
        now = self._clock()
        for connection in list(self.connections):
            if connection.deadline < now:
                connection.fail(Broken.TIMEOUT)
        self._timer = asyncio.get_running_loop().call_later(SWEEP_S, self._pass)


class _Connection(asyncio.Protocol):
    """One connection: at most one request at a time."""

    __slots__ = (
        "_answer",
        "_body",
        "_future",
        "_parser",
        "_size",
        "_transport",
        "_wire",
        "answers",
        "deadline",
        "heard",
        "is_usable",
    )

    def __init__(self, wire: Wire) -> None:
        self._wire = wire
        self._transport: asyncio.Transport | None = None
        self._parser: httptools.HttpResponseParser | None = None
        self._future: asyncio.Future[Answer] | None = None
        self._answer = Answer()
        self._body: list[bytes] = []
        self._size = 0
        self.answers = 0
        self.heard = False
        self.is_usable = True
        self.deadline = float("inf")

    def send(self, request: bytes, asked_at: float, timeout_s: float) -> "asyncio.Future[Answer]":
        """Write a request; the future gets the answer or NoAnswer."""
        self._answer = Answer(asked_at=asked_at)
        self._body = []
        self._size = 0
        self.heard = False
        self._parser = httptools.HttpResponseParser(self)
        self._future = asyncio.get_running_loop().create_future()
        self.deadline = asked_at + timeout_s
        if self._transport is not None:
            self._transport.write(request)
        return self._future

    def abandon(self) -> None:
        """Drop the connection at once."""
        self.is_usable = False
        if self._transport is not None:
            self._transport.abort()

    def hang_up(self) -> None:
        """Close politely: what was written still arrives."""
        self.is_usable = False
        if self._transport is not None:
            self._transport.close()

    def fail(self, kind: Broken) -> None:
        """End the request in flight without an answer."""
        self.deadline = float("inf")
        future, self._future = self._future, None
        if future is not None and not future.done():
            future.set_exception(NoAnswer(kind, self._answer.asked_at))
        if kind is not Broken.CLOSED:
            self.abandon()

    # asyncio.Protocol

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """The connection stands."""
        self._transport = cast("asyncio.Transport", transport)  # uvloop's is one in all but its class
        self._wire.opened(self)

    def data_received(self, data: bytes) -> None:
        """Bytes came."""
        self._size += len(data)
        if self._parser is None or self._future is None or self._size > MOST_HEAD_AND_BODY_BYTES:
            self.fail(Broken.GARBLED)  # nobody asked, or somebody sends without end
            self.abandon()
            return
        self.heard = True
        try:
            self._parser.feed_data(data)
        except (httptools.HttpParserError, httptools.HttpParserCallbackError):
            self.fail(Broken.GARBLED)

    def eof_received(self) -> bool | None:
        """The other side closed: let the connection be closed here as well."""
        self.is_usable = False
        return None

    def connection_lost(self, exc: Exception | None) -> None:
        """The connection is gone."""
        del exc
        self.is_usable = False
        self.fail(Broken.CLOSED)
        self._wire.lost(self)

    # httptools.HttpResponseParser

    def on_header(self, name: bytes, value: bytes) -> None:
        """One header line."""
        name = name.lower()
        if name == b"set-cookie":
            self._answer.cookies.append(value)
        else:
            self._answer.headers[name] = value

    def on_body(self, body: bytes) -> None:
        """A piece of the body."""
        self._body.append(body)

    def on_message_complete(self) -> None:
        """The answer is whole."""
        parser, future, answer = self._parser, self._future, self._answer
        if parser is None:
            return
        status = parser.get_status_code()
        if status < 200:  # 100 and 103 only announce the answer
            self._answer = Answer(asked_at=answer.asked_at)
            return
        answer.status = status
        answer.body = self._body[0] if len(self._body) == 1 else b"".join(self._body)
        answer.answered_at = self._wire.clock()
        self.answers += 1
        self.deadline = float("inf")
        self._future = None
        keep = parser.should_keep_alive() and self.is_usable
        if not keep:
            self.hang_up()
        if future is not None and not future.done():
            future.set_result(answer)
        if keep:
            self._wire.freed(self)
