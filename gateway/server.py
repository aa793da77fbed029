"""Server: runs one process of the product: a gate worker, the operator's port or the demo's shop.

``wiring.build(settings, role)`` gives the application; here it gets a port, health checks, limits on
what a client may send before an application sees it, and an orderly end. SIGTERM drains: readiness
turns false at once, ``drain_s`` later (when load balancers have noticed) the port closes, requests in
flight finish within ``stop_s``, exit status 0. A second signal ends at once.

The listening socket is inherited from the supervisor by its number. Not SO_REUSEPORT, because with
that a second installation would silently share the port instead of being told that it is taken, and
because each worker would have its own queue of connections, lost when the worker dies.
"""

import asyncio
import contextlib
import gc
import logging
import os
import signal
import socket
import threading
import time
from collections.abc import Awaitable, Callable, Iterator, Mapping
from typing import Protocol

import orjson
import uvicorn
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from gateway.condition import Condition
from gateway.files import most_connections
from gateway.http import Broadcast, http
from gateway.logs import start_log
from gateway.settings import Settings
from gateway.spans import start_tracing, stop_tracing
from kernel.asgi import respond
from kernel.metrics import MULTIPROC, flush
from kernel.traced import Traced

try:
    from uvloop import new_event_loop
except ImportError:  # it has no wheel for every platform; asyncio's own loop does as well
    from asyncio import new_event_loop  # type: ignore[assignment]

log = logging.getLogger(__name__)

ROLES = ("gate", "operator", "shop", "sandbox")
TICKS_PER_FLUSH = 10
LAST_S = 15.0
"""Time to hand the journal what is left and to disconnect, once the last request is done."""
READY = b"ready\n"
READY_WORD = "ready"
COLLECT_AFTER = (10_000, 20, 20)
"""New objects before the collector looks at the young; young rounds before the middle; middle ones before all."""


class Wired(Protocol):
    """What ``wiring.build`` gives for a role."""

    @property
    def app(self) -> ASGIApp:
        """The application."""
        ...

    @property
    def broadcast(self) -> Broadcast | None:
        """What the server may answer without the application."""
        ...

    @property
    def ready(self) -> bool:
        """True when it can serve."""
        ...

    @property
    def condition(self) -> Condition:
        """What it says of itself beside that."""
        ...

    async def start(self) -> None:
        """Connect and load; raises Misconfigured."""
        ...

    def drain(self) -> None:
        """End what would not end by itself (streams): the port is about to close."""
        ...

    async def stop(self) -> None:
        """Write what is outstanding and disconnect."""
        ...


class Health:
    """Answers ``health/live`` and ``health/ready`` before the application is asked."""

    def __init__(self, app: ASGIApp, prefix: str, state: Callable[[], Mapping[str, object]]) -> None:
        """`state` says how the process is; its ``status`` is ``ready``, or the answer is 503."""
        self._app = app
        self._live = f"{prefix}/health/live"
        self._ready = f"{prefix}/health/ready"
        self._state = state

    def __call__(self, scope: Scope, receive: Receive, send: Send) -> Awaitable[None]:
        """Answer a health check, or hand on, without a frame of its own: every request passes here."""
        path = scope.get("path")
        if path == self._ready or path == self._live:  # noqa: PLR1714 - a tuple for each request costs more
            return self._answer(scope, receive, send)
        return self._app(scope, receive, send)

    async def _answer(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        if scope["path"] == self._live:
            headers = [(b"content-type", b"text/plain; charset=utf-8"), (b"cache-control", b"no-store")]
            await respond(send, 200, headers, b"ok\n")
            return
        state = self._state()
        headers = [(b"content-type", b"application/json"), (b"cache-control", b"no-store")]
        await respond(send, 200 if state["status"] == READY_WORD else 503, headers, orjson.dumps(state))


class Strict:
    """Tells browsers to come by TLS only from now on (HSTS, RFC 6797), unless the answer says so itself."""

    def __init__(self, app: ASGIApp, seconds: int) -> None:
        self._app = app
        self._header = (b"strict-transport-security", b"max-age=%d" % seconds)

    def __call__(self, scope: Scope, receive: Receive, send: Send) -> Awaitable[None]:
        """Hand on, and add the header to the answer."""

        def told(message: Message) -> Awaitable[None]:
            if message["type"] == "http.response.start":
                headers = list(message.get("headers", ()))
                if all(name.lower() != self._header[0] for name, _ in headers):
                    message = {**message, "headers": [*headers, self._header]}
            return send(message)

        return self._app(scope, receive, told if scope["type"] == "http" else send)


class _Server(uvicorn.Server):
    """A uvicorn server that leaves the signals to us and lets us look round ten times a second."""

    def __init__(self, config: uvicorn.Config, look: Callable[[int], None]) -> None:
        super().__init__(config)
        self._look = look

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Capture nothing."""
        yield

    async def on_tick(self, counter: int) -> bool:
        """Look round, then do what the server does."""
        self._look(counter)
        return await super().on_tick(counter)


class Process:
    """One running role: from the application to the end of the last request."""

    def __init__(self, role: str, settings: Settings, wired: Wired, sockets: list[socket.socket]) -> None:
        self._settings = settings
        self._wired = wired
        self._sockets = sockets
        self.draining = False
        self._when_ready: Callable[[], None] | None = None
        prefix = settings.prefix if role == "gate" else ""
        app: ASGIApp = Health(Traced(wired.app, settings.networks, prefix), prefix, self.state)
        if settings.secure and settings.hsts_s:
            app = Strict(app, settings.hsts_s)
        self._server = _Server(
            uvicorn.Config(
                app,
                interface="asgi3",
                http=http(settings.max_header_bytes, settings.header_s, wired.broadcast),
                ws="websockets-sansio",
                lifespan="off",
                log_config=None,
                access_log=False,
                proxy_headers=False,
                server_header=False,
                limit_concurrency=settings.max_connections,
                timeout_keep_alive=settings.keep_alive_s,
                timeout_graceful_shutdown=settings.stop_s,
            ),
            self._look,
        )
        wired.condition.limit("connections", self._is_full)

    def is_ready(self) -> bool:
        """True while new requests are welcome."""
        return self._server.started and not self.draining and self._wired.ready

    def state(self) -> Mapping[str, object]:
        """Say whether new requests are welcome, and if not why; which limits are hit, and what else is wrong."""
        condition = self._wired.condition
        faults = list(condition.faults())
        if self.draining:
            faults.append("draining")
        elif not self.is_ready() and not faults:
            faults.append("starting")
        if faults:
            return {"status": "not-ready", "faults": faults}
        return {
            "status": READY_WORD, "shedding": condition.shedding(), "warnings": list(condition.warnings())
        }  # fmt: skip

    def _is_full(self) -> bool:
        return len(self._server.server_state.connections) >= self._settings.max_connections

    async def run(self, when_ready: Callable[[], None] = lambda: None) -> None:
        """Serve until told to stop; raises Misconfigured when it cannot start."""
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, self.stop)
        self._when_ready = when_ready
        await self._wired.start()
        _spare_the_collector()
        try:
            await self._server.serve(sockets=self._sockets)
        finally:
            await self._wired.stop()
            await asyncio.to_thread(stop_tracing)
            flush()

    def stop(self) -> None:
        """Begin to drain; told again, end at once."""
        if self.draining:
            self._server.force_exit = self._server.should_exit = True
            return
        self.draining = True
        log.info("draining", extra={"drain_s": self._settings.drain_s})
        asyncio.get_running_loop().call_later(self._settings.drain_s, self._close)

    def _close(self) -> None:
        self._server.should_exit = True
        # An orphan has no supervisor that would end it: whatever hangs while it stops must not keep it alive.
        last = threading.Timer(self._settings.stop_s + LAST_S, _end_at_once)
        last.daemon = True
        last.start()
        self._wired.drain()

    def _look(self, tick: int) -> None:
        if self._when_ready is not None and self.is_ready():
            self._when_ready()
            self._when_ready = None
        if tick % TICKS_PER_FLUSH == 0:
            self._wired.condition.look(time.monotonic())
            if MULTIPROC in os.environ:
                flush()


def _spare_the_collector() -> None:
    """Take what stands since the start out of the collector's sight, and let it come round less often.

    It finds cycles by looking at everything that may be one; the modules of a worker are some 300,000 objects
    that never are. A quarter of the gate's time went there, in pauses that visitors could feel (ADR 0010).
    """
    gc.collect()
    gc.freeze()
    gc.set_threshold(*COLLECT_AFTER)


def _end_at_once() -> None:
    """End a process that did not manage to stop."""
    log.error("did not stop in time; ended")
    os._exit(1)


def main(
    role: str,
    settings: Settings,
    build: Callable[[Settings, str], Wired],
    *,
    descriptor: int,
    ready: int | None = None,
) -> None:
    """Run one role on an inherited socket; write a line to ``ready`` when it serves."""
    start_log(settings)
    start_tracing(settings, role)
    if (most := most_connections()) < settings.max_connections:
        log.warning("the hard limit of open files is lower than max_connections", extra={"connections": most})
    process = Process(role, settings, build(settings, role), [socket.socket(fileno=descriptor)])

    def tell() -> None:
        if ready is not None:
            os.write(ready, READY)
            os.close(ready)

    with asyncio.Runner(loop_factory=new_event_loop) as runner:
        runner.run(process.run(tell))
