"""Proxy: carries one HTTP request to the origin and the answer back, both as streams.

Nothing is collected: a chunk goes on when it comes (server-sent events, uploads of any size), and a
slow reader slows the sender, since each side is read only as fast as the other is written. Four
deadlines, none for the whole: to connect (and to get a connection from the pool), to the first
byte of the answer (counted from the last chunk of the request that went on), between two chunks of
the answer. A client that goes away cancels the trip at once.

Before the answer has begun a failure raises ``OriginFailed`` (502 or 504) and the caller says it in
the client's language; afterwards the connection is cut, so that a torn body never looks whole.

aiohttp writes header text as UTF-8: bytes that are not UTF-8 go on as the UTF-8 form of their
Latin-1 reading. Not here: which headers (``gateway.headers``), who may pass (``gateway.gate``),
websockets (``gateway.websocket``).
"""

import asyncio
import logging
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass, field
from typing import Any

import aiohttp
from multidict import CIMultiDict
from starlette.types import Receive, Scope, Send
from yarl import URL

from gateway.headers import Header, is_clean, to_client, value
from kernel.connecting import connector

log = logging.getLogger(__name__)

# Below the shortest usual keep-alive of origins (uvicorn and Node: 5 s). Else a POST may meet a
# connection that is being closed at that moment, and a POST must not be repeated.
IDLE_CONNECTION_S = 4.0
READ_BUFFER_BYTES = 65_536
AUTO_HEADERS = ("accept", "accept-encoding", "content-type", "user-agent")

Answer = Callable[[int, list[Header]], Awaitable[list[Header]]]


@dataclass(frozen=True, slots=True)
class Deadlines:
    """How long the origin may take, in seconds."""

    connect_s: float = 5.0
    first_byte_s: float = 60.0
    idle_s: float = 120.0


@dataclass(frozen=True, slots=True)
class Trip:
    """One request on its way: where to, with which headers, and what to do with the answer's head."""

    url: URL
    headers: list[Header]
    answer: Answer | None = None


class OriginFailed(Exception):
    """The origin gave no usable answer, and nothing has been sent to the client yet."""

    def __init__(self, status: int, code: str, public: str) -> None:
        self.status = status
        self.code = code
        self.public = public
        super().__init__(code)


class ClientGone(Exception):
    """The client closed its connection before it had sent all of its request."""


def target(origin: str, scope: Scope) -> URL:
    """Join the origin's address and the path as the client wrote it, byte for byte."""
    base = URL(origin)
    raw: bytes = scope.get("raw_path") or scope["path"].encode()
    query: bytes = scope["query_string"]
    path = base.raw_path.rstrip("/") + raw.decode("latin-1")
    return URL.build(
        scheme=base.scheme,
        authority=base.raw_authority,
        path=path,
        query_string=query.decode("latin-1"),
        encoded=True,
    )


def as_text(headers: list[Header]) -> CIMultiDict[str]:
    """Give the headers as the text that aiohttp wants; repeats and order stay."""
    out: CIMultiDict[str] = CIMultiDict()
    for name, raw in headers:
        try:
            text = raw.decode()
        except UnicodeDecodeError:
            text = raw.decode("latin-1")
        out.add(name.decode("latin-1"), text)
    return out


@dataclass(slots=True)
class RequestBody:
    """The client's body as it comes; afterwards the watch for the client going away."""

    receive: Receive
    on_chunk: Callable[[], None]
    ended: asyncio.Event = field(default_factory=asyncio.Event)
    gone: bool = False

    async def chunks(self) -> AsyncIterator[bytes]:
        """Give chunk after chunk. Raises ClientGone when the client leaves in the middle."""
        while True:
            message = await self.receive()
            if message["type"] == "http.disconnect":
                self.gone = True
                self.ended.set()
                raise ClientGone
            self.on_chunk()
            if body := message.get("body", b""):
                yield body
            if not message.get("more_body", False):
                self.ended.set()
                return

    async def until_gone(self) -> None:
        """Return when the client has closed the connection (or the answer is complete)."""
        await self.ended.wait()
        while not self.gone and (await self.receive())["type"] != "http.disconnect":
            pass


class Socket(aiohttp.ClientWebSocketResponse[bool]):
    """A websocket to the origin that remembers the headers of its handshake (cookies may stand there)."""

    def __init__(
        self,
        reader: Any,
        writer: Any,
        protocol: str | None,
        response: aiohttp.ClientResponse,
        *args: Any,
        **kwargs: Any,
    ) -> None:
        super().__init__(reader, writer, protocol, response, *args, **kwargs)
        self.handshake: list[Header] = [(bytes(name), bytes(text)) for name, text in response.raw_headers]


class Proxy:
    """The pool of connections to the origins of one worker."""

    def __init__(
        self, deadlines: Deadlines, *, connections: int = 1000, max_header_bytes: int = 65_536
    ) -> None:
        self.deadlines = deadlines
        self._connections = connections
        self._max_header_bytes = max_header_bytes
        self._session: aiohttp.ClientSession | None = None

    @property
    def session(self) -> aiohttp.ClientSession:
        """The client; made at first use, because it belongs to the running loop."""
        if self._session is None:
            self._session = aiohttp.ClientSession(
                connector=connector(self._connections, keepalive_s=IDLE_CONNECTION_S),
                cookie_jar=aiohttp.DummyCookieJar(),
                timeout=aiohttp.ClientTimeout(
                    total=None, connect=self.deadlines.connect_s, sock_connect=self.deadlines.connect_s
                ),
                auto_decompress=False,
                skip_auto_headers=AUTO_HEADERS,
                read_bufsize=READ_BUFFER_BYTES,
                max_line_size=self._max_header_bytes,
                max_field_size=self._max_header_bytes,
                max_headers=256,
                trust_env=False,
                ws_response_class=Socket,  # type: ignore[arg-type]
            )
        return self._session

    async def stop(self) -> None:
        """Close all connections to the origins."""
        if self._session is not None:
            await self._session.close()
            self._session = None

    async def forward(self, scope: Scope, receive: Receive, send: Send, trip: Trip) -> None:
        """Carry the request there and the answer back.

        Raises OriginFailed while nothing has been sent to the client.
        """
        timer = asyncio.timeout(None)
        body = RequestBody(receive, on_chunk=lambda: self._first_byte_in(timer))
        has_body = bool(value(scope["headers"], b"transfer-encoding")) or value(
            scope["headers"], b"content-length"
        ) not in {b"", b"0"}
        if not has_body:
            body.ended.set()
        trip_task = asyncio.current_task()
        left = False

        def leave(_watch: asyncio.Task[None]) -> None:
            nonlocal left
            left = True
            if trip_task is not None:
                trip_task.cancel()

        watch = asyncio.ensure_future(body.until_gone())
        watch.add_done_callback(leave)
        try:
            await self._carry(scope, send, trip, body if has_body else None, timer)
        except OriginFailed:
            if not body.gone:
                raise
        except asyncio.CancelledError:
            # Ours only if the client left, and if nobody else cancelled the request too.
            if not left or trip_task is None or trip_task.uncancel() > 0:
                raise
        finally:
            watch.remove_done_callback(leave)
            watch.cancel()

    def _first_byte_in(self, timer: asyncio.Timeout) -> None:
        """Count the wait for the answer from now on, unless it has come already."""
        if timer.when() is not None and not timer.expired():
            timer.reschedule(asyncio.get_running_loop().time() + self.deadlines.first_byte_s)

    async def _carry(
        self, scope: Scope, send: Send, trip: Trip, body: RequestBody | None, timer: asyncio.Timeout
    ) -> None:
        method: str = scope["method"]
        try:
            async with timer:
                timer.reschedule(asyncio.get_running_loop().time() + self.deadlines.first_byte_s)
                response = await self.session.request(
                    method,
                    trip.url,
                    headers=as_text(trip.headers),
                    data=body.chunks() if body else None,
                    allow_redirects=False,
                )
                timer.reschedule(None)
        except (aiohttp.ClientConnectorError, aiohttp.ClientSSLError) as error:
            raise _failed(trip, error, 502, "origin-unreachable", "The site cannot be reached.") from error
        except TimeoutError as error:
            if body is not None and not body.ended.is_set():
                raise _failed(trip, error, 408, "request-slow", "Your browser stopped sending.") from error
            raise _failed(trip, error, 504, "origin-slow", "The site takes too long to answer.") from error
        except (aiohttp.ClientError, ValueError, OSError) as error:
            raise _failed(trip, error, 502, "origin-broken", "The site gave no usable answer.") from error
        try:
            await self._answer(method, send, trip, response)
        finally:
            # A read-out connection has gone back to the pool by now; any other is closed.
            response.close()

    async def _answer(self, method: str, send: Send, trip: Trip, response: aiohttp.ClientResponse) -> None:
        status = response.status
        headers = to_client(
            [(bytes(name), bytes(text)) for name, text in response.raw_headers], status=status, method=method
        )
        if not 200 <= status < 600 or not is_clean(headers):
            raise _failed(trip, None, 502, "origin-broken", "The site gave no usable answer.")
        if trip.answer is not None:
            headers = await trip.answer(status, headers)
        await send({"type": "http.response.start", "status": status, "headers": headers})
        try:
            more = True
            while more:
                chunk = response.content.read_nowait()
                if not chunk and not response.content.at_eof():
                    async with asyncio.timeout(self.deadlines.idle_s):
                        chunk = await response.content.readany()
                more = not response.content.at_eof()
                await send({"type": "http.response.body", "body": chunk, "more_body": more})
        except (aiohttp.ClientError, TimeoutError, OSError) as error:
            # Returning without the end of the body makes the server cut the connection.
            log.warning(
                "the origin's answer broke off", extra={"origin": trip.url.authority, "error": repr(error)}
            )


def _failed(trip: Trip, error: Exception | None, status: int, code: str, public: str) -> OriginFailed:
    log.warning("the origin failed", extra={"origin": trip.url.authority, "code": code, "error": repr(error)})
    return OriginFailed(status, code, public)
