"""Serving: real uvicorn servers on loopback in the test's own loop, a raw client, and an origin that can be steered."""

import asyncio
import hashlib
import json
import socket
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass, field
from typing import Any

import aiohttp
import uvicorn

from gateway.decision import RoomRoute, Session
from gateway.gate import Gate, GateSettings
from gateway.http import Broadcast, http
from gateway.origins import Origins
from gateway.proxy import Deadlines, Proxy
from kernel.clock import ManualClock

NOW_MS = 1_800_000_000_000


class _Server(uvicorn.Server):
    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield


@asynccontextmanager
async def serving(
    app: Any, *, header_s: float = 15.0, max_header_bytes: int = 32_768, keep_alive_s: int = 5,
    broadcast: Broadcast | None = None,
) -> AsyncIterator[int]:  # fmt: skip
    """Serve an application as the product does; give the port."""
    listener = socket.create_server(("127.0.0.1", 0))
    server = _Server(
        uvicorn.Config(
            app, interface="asgi3",
            http=http(max_header_bytes, header_s, broadcast), ws="websockets-sansio", lifespan="off", log_config=None,
            access_log=False, proxy_headers=False, server_header=False, timeout_graceful_shutdown=1,
            timeout_keep_alive=keep_alive_s,
        )
    )  # fmt: skip
    task = asyncio.ensure_future(server.serve(sockets=[listener]))
    while not server.started:  # noqa: ASYNC110 (uvicorn tells it no other way)
        await asyncio.sleep(0)
    try:
        yield listener.getsockname()[1]
    finally:
        server.should_exit = True
        await task


@dataclass
class Origin:
    """A site behind the gate: what it was asked stands in ``asked``; ``step`` lets the next chunk go."""

    asked: list[dict[str, Any]] = field(default_factory=list)
    step: asyncio.Event = field(default_factory=asyncio.Event)
    first_chunk: asyncio.Event = field(default_factory=asyncio.Event)
    gone: asyncio.Event = field(default_factory=asyncio.Event)
    answer: Callable[[Any, Any, Any], Awaitable[None]] | None = None
    headers: list[tuple[bytes, bytes]] = field(default_factory=list)

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        """Answer by path; anything else is an echo of the request as JSON."""
        if self.answer is not None:
            await self.answer(scope, receive, send)
            return
        if scope["type"] == "websocket":
            await self.websocket(scope, receive, send)
            return
        size, digest = 0, hashlib.sha256()
        more = True
        while more:
            message = await receive()
            if message["type"] == "http.disconnect":
                self.gone.set()
                return
            more = message.get("more_body", False)
            size += len(message["body"])
            digest.update(message["body"])
            if message["body"]:
                self.first_chunk.set()
        told = {
            "method": scope["method"],
            "path": scope["raw_path"].decode(),
            "query": scope["query_string"].decode(),
            "headers": [
                (name.decode(), value.decode("utf-8", "replace")) for name, value in scope["headers"]
            ],
            "size": size,
            "sha256": digest.hexdigest(),
        }
        self.asked.append(told)
        body = json.dumps(told).encode()
        headers = [(b"content-type", b"application/json"), *self.headers]
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        await send({"type": "http.response.body", "body": body, "more_body": False})

    async def websocket(self, scope: Any, receive: Any, send: Any) -> None:
        """Echo messages; ``bye`` makes the origin close with 4001; a path /no is refused with 401."""
        self.asked.append({"headers": [(name.decode(), value.decode()) for name, value in scope["headers"]]})
        await receive()
        if scope["path"] == "/no":
            await send(
                {"type": "websocket.http.response.start", "status": 401, "headers": [(b"x-why", b"no")]}
            )
            await send({"type": "websocket.http.response.body", "body": b"", "more_body": False})
            return
        chosen = scope["subprotocols"][-1] if scope["subprotocols"] else None
        await send({"type": "websocket.accept", "subprotocol": chosen, "headers": [(b"set-cookie", b"w=1")]})
        while True:
            message = await receive()
            if message["type"] == "websocket.disconnect":
                self.asked.append({"code": message["code"], "reason": message.get("reason")})
                self.gone.set()
                return
            if message.get("text") == "bye":
                await send({"type": "websocket.close", "code": 4001, "reason": "as you wish"})
                return
            await send({**message, "type": "websocket.send"})

    @property
    def last(self) -> dict[str, Any]:
        """The last request."""
        return self.asked[-1]

    def header(self, name: str) -> list[str]:
        """Give the values of a header of the last request."""
        return [value for key, value in self.last["headers"] if key == name]


@dataclass
class Doors:
    """Rooms, admissions and pages as the gate's ports want them; tokens are ``ok-<sid>``."""

    route_to: RoomRoute | None
    clock: ManualClock = field(default_factory=lambda: ManualClock(NOW_MS))
    issued_ms: int = NOW_MS - 60_000
    expires_ms: int = NOW_MS + 120_000
    gone: set[str] = field(default_factory=set)
    renewed: list[str] = field(default_factory=list)
    revoked: list[str] = field(default_factory=list)
    failure: Exception | None = None

    def route(self, host: str, path: str) -> RoomRoute | None:  # noqa: ARG002 (one room for all)
        """Give the one room."""
        return self.route_to

    def verify(self, room: str, token: str) -> Session | str:
        """Accept ``ok-<sid>``."""
        if not token.startswith("ok-"):
            return "forged"
        return Session(
            room, "run1", token[3:], "standard", self.issued_ms, self.issued_ms, self.expires_ms, token
        )

    def ended(self, room: str) -> set[str]:  # noqa: ARG002
        """Give the ended sessions."""
        return self.gone

    async def renew(self, session: Session) -> str | None:
        """Renew, or fail as told."""
        self.renewed.append(session.sid)
        if self.failure is not None:
            raise self.failure
        return "ok-" + session.sid

    async def revoke(self, session: Session) -> None:
        """Revoke, or fail as told."""
        if self.failure is not None:
            raise self.failure
        self.revoked.append(session.sid)
        self.gone.add(session.sid)

    def cookie(self, room: str, token: str | None) -> bytes:  # noqa: ARG002
        """Write the admission cookie."""
        ending = b"; Max-Age=0" if token is None else b""
        return b"waitroom-admission-main=" + (token or "").encode() + b"; Path=/" + ending

    def shell(
        self, room: str, target: str, accept_language: bytes, accept_encoding: bytes
    ) -> tuple[int, list[tuple[bytes, bytes]], bytes]:
        """Give a page that names its target, and in its headers what it was asked for."""
        headers = [
            (b"content-type", b"text/html"),
            (b"cache-control", b"public, max-age=10"),
            (b"content-language", accept_language),
            (b"vary", accept_encoding),
        ]
        status = self.route_to.status_code if self.route_to else 200
        return status, headers, f"shell {room} {target}".encode()

    def waiting_json(self, room: str) -> dict[str, object]:  # noqa: ARG002
        """Give one further member."""
        return {"phase": "serving"}


@dataclass
class Door:
    """A gate that serves, with what stands behind and beside it."""

    port: int
    origin: Origin
    doors: Doors

    def url(self, path: str) -> str:
        """Give an address at the gate."""
        return f"http://127.0.0.1:{self.port}{path}"


@asynccontextmanager
async def gate_before(
    origin: Origin,
    *,
    deadlines: Deadlines = Deadlines(),  # noqa: B008 (frozen)
    settings: GateSettings = GateSettings(),  # noqa: B008 (frozen)
    header_s: float = 15.0,
    origin_url: str | None = None,
    origins: Origins | None = None,
    **room: Any,
) -> AsyncIterator[Door]:
    """Serve an origin and a gate before it; ``room`` changes fields of its route."""

    async def waitroom(scope: Any, receive: Any, send: Any) -> None:
        await send({"type": "http.response.start", "status": 299, "headers": []})
        await send({"type": "http.response.body", "body": b"waiting room"})

    async with serving(origin) as behind:
        url = origin_url or f"http://127.0.0.1:{behind}"
        route = RoomRoute("main", url, admission_cookie="waitroom-admission-main", **room)
        doors = Doors(route)
        proxy = Proxy(deadlines)
        gate = Gate(
            settings,
            waitroom=waitroom,
            rooms=doors,
            admissions=doors,
            pages=doors,
            proxy=proxy,
            clock=doors.clock,
            stand_in=lambda name: f"stand-in-for-{name}",
            origins=origins,
        )
        async with serving(gate, header_s=header_s) as port:
            try:
                yield Door(port, origin, doors)
            finally:
                await proxy.stop()


@asynccontextmanager
async def admitted() -> AsyncIterator[aiohttp.ClientSession]:
    """Give a client that carries a valid admission, keeps no cookies and decodes nothing."""
    headers = {"Cookie": "waitroom-admission-main=ok-fan"}
    async with aiohttp.ClientSession(
        headers=headers, cookie_jar=aiohttp.DummyCookieJar(), auto_decompress=False
    ) as client:
        yield client


async def raw(port: int, request: bytes, *, end: bytes | None = None) -> bytes:
    """Send bytes and give all that comes back until the connection closes, or until ``end`` was read."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(request)
    try:
        if end is not None:
            return await reader.readuntil(end)
        return await reader.read()
    finally:
        writer.close()
