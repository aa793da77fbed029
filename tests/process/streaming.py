"""Streaming: the shop's map on a real server in a thread of its own, and viewers that come to it over HTTP.

The server is the product's own protocol with its bounds; its sockets have small buffers, so that a viewer that does not
read is felt soon. A viewer does as a page does: snapshot, stream, and back again after its last message.
"""

import asyncio
import contextlib
import socket
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass, field

import httpx
import uvicorn
from prometheus_client import CollectorRegistry

from checkout.halls import deltas
from checkout.holds.places import OnePlace, Place
from checkout.holds.store import HoldStore
from checkout.live.service import LiveMap
from checkout.live.web import MapWeb
from checkout.metrics import Metrics
from gateway.http import http
from kernel.asgi import Receive, Scope, Send, respond
from kernel.clock import SystemClock
from kernel.problems import raw_problem
from kernel.store import connect
from tests.checkout.holding import EMPTY, EVENT
from tests.checkout.maps import Halls
from tests.checkout.viewing import Watch

PATIENCE_S = 20.0
BUFFER_BYTES = 4_096
MOST_HEADER_BYTES = 8_192


class Served:
    """One worker that shows a hall, in its own thread."""

    def __init__(self, store_url: str) -> None:
        self._store_url = store_url
        self._loop = asyncio.new_event_loop()
        self._listener = socket.create_server(("127.0.0.1", 0))
        self._listener.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, BUFFER_BYTES)
        self.url = f"http://127.0.0.1:{self._listener.getsockname()[1]}"
        self.metrics = Metrics(CollectorRegistry())
        self.live_map: LiveMap
        self.server: uvicorn.Server
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._ready = threading.Event()

    def start(self) -> None:
        """Begin to serve."""
        self._thread.start()
        assert self._ready.wait(PATIENCE_S)
        wait_until(lambda: self.server.started)

    def drain(self) -> None:
        """Do what the product does when it is told to end."""
        self._loop.call_soon_threadsafe(self.live_map.end)
        self.server.should_exit = True

    def stop(self) -> None:
        """End, and wait for it."""
        self.drain()
        self._thread.join(PATIENCE_S)
        assert not self._thread.is_alive()

    @property
    def viewers(self) -> int:
        """Return how many streams are open."""
        return int(self.metrics.streams._value.get())

    def waiting_bytes(self) -> int:
        """Return the most that waits in the server for one of its connections."""
        return max(one.transport.get_write_buffer_size() for one in self.server.server_state.connections)  # type: ignore[union-attr]

    def _run(self) -> None:
        with contextlib.closing(self._loop):
            self._loop.run_until_complete(self._serve())

    async def _serve(self) -> None:
        client = connect(self._store_url)
        store = HoldStore(client)

        async def rebuild(event: str) -> None:
            await store.load(event, 2, EMPTY)

        places = OnePlace(Place("main", None, store))  # type: ignore[arg-type]
        self.live_map = LiveMap(Halls(), places, rebuild, SystemClock(), self.metrics, lambda: 0.0)
        web = MapWeb(self.live_map, self.metrics)

        async def app(scope: Scope, receive: Receive, send: Send) -> None:
            _, _, _, event, what = scope["path"].split("/")
            try:
                await web.routes[scope["method"], what](scope, receive, send, event)
            except Exception as error:  # noqa: BLE001 (the last resort of an application)
                await respond(send, *raw_problem(error))

        config = uvicorn.Config(
            app, interface="asgi3", http=http(MOST_HEADER_BYTES, 15.0), lifespan="off", log_config=None,
            timeout_graceful_shutdown=5,
        )  # fmt: skip
        self.server = uvicorn.Server(config)
        self.server.capture_signals = contextlib.nullcontext  # type: ignore[method-assign,assignment]
        self.live_map.start()
        self._ready.set()
        await self.server.serve(sockets=[self._listener])
        await self.live_map.stop()
        await client.aclose()


@contextlib.contextmanager
def served(store_url: str) -> Iterator[Served]:
    """Serve a hall."""
    one = Served(store_url)
    one.start()
    try:
        yield one
    finally:
        one.stop()


@dataclass
class Fan:
    """A page that looks, in a thread of its own: leaves after so many messages, and comes back."""

    url: str
    leaves_after: int = 1_000_000
    away_s: float = 0
    """So long it is away before it comes back: more than a tick, if it is to miss something."""
    watch: Watch = field(default_factory=Watch)
    maps: int = 0
    streams: int = 0
    ended_well: bool = False
    is_over: bool = False

    def run(self) -> None:
        """Look until told to stop; who is told so is not surprised that the server goes."""
        try:
            self._look()
        except httpx.TransportError:
            if not self.is_over:
                raise

    def _look(self) -> None:
        with httpx.Client(base_url=f"{self.url}/api/events/{EVENT}", timeout=PATIENCE_S) as client:
            while not self.is_over:
                if self.watch.is_lost:
                    answer = client.get("/map")
                    if answer.status_code != 200:
                        time.sleep(0.05)
                        continue
                    self.maps += 1
                    version = answer.headers["map-version"]
                    self.watch.fetched(answer.content, deltas.version(version))
                    self.watch.last_id = version
                self._stream(client)
                time.sleep(self.away_s)

    def _stream(self, client: httpx.Client) -> None:
        assert self.watch.copy is not None
        headers = {"last-event-id": self.watch.last_id, "accept": "text/event-stream"}
        with client.stream("GET", "/deltas", headers=headers) as answer:
            if answer.status_code != 200:
                time.sleep(0.05)
                return
            self.streams += 1
            rest, messages = b"", 0
            for octets in answer.iter_raw():
                whole, end, rest = (rest + octets).rpartition(b"\n\n")
                self.watch.hear(whole + end)
                messages += whole.count(b"data: ")
                if self.is_over or self.watch.is_lost or messages >= self.leaves_after:
                    return
            self.ended_well = True


def wait_until(is_so: object) -> None:
    """Wait until something is so."""
    assert callable(is_so)
    until_s = time.monotonic() + PATIENCE_S
    while not is_so():
        assert time.monotonic() < until_s, "it does not come"
        time.sleep(0.01)
