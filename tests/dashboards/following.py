"""Following: consoles without a browser, and rooms that are looked at when a test says so."""

import asyncio
import json
from collections.abc import AsyncIterator, Callable, Collection, Mapping
from contextlib import asynccontextmanager
from typing import Any

import httpx
from redis.asyncio import Redis
from starlette.applications import Starlette

from dashboards.app import create_app
from dashboards.ports import Deps, Look
from dashboards.sampling import Sampler
from kernel.clock import ManualClock
from kernel.errors import Unavailable
from kernel.signing import Signer
from tests.dashboards.desk import FIGURES, TOKEN
from waitroom.configure import Configurations
from waitroom.rooms import Room

PATIENCE_S = 30
ROOMS = ("alpha", "beta")


class Glances:
    """``Looks`` over rooms as a test sets them; counts what is asked."""

    def __init__(self, *names: str) -> None:
        """Have these rooms, each with a marker of its own in its description."""
        self.rooms = {
            name: Room(name, "https://shop.example.com", version=1, description=f"Hall {name}")
            for name in names
        }
        self.figures: dict[str, dict[str, object]] = {name: dict(FIGURES) for name in names}
        self.looked: list[str] = []
        self.named = 0
        self.away = False

    async def names(self) -> Collection[str]:
        """Name them, and one that is no more."""
        self.named += 1
        if self.away:
            raise Unavailable("store-away", "The store is away.")
        return [*self.rooms, "removed"]

    async def look(self, name: str) -> Look | None:
        """Look."""
        self.looked.append(name)
        if self.away:
            raise Unavailable("store-away", "The store is away.")
        return Look(self.rooms[name], dict(self.figures[name])) if name in self.rooms else None


def sampler_of(glances: Glances, store: Redis, clock: ManualClock) -> Sampler:
    """Make a sampler whose loop rests until the test is over: rounds are the test's own ``look``."""
    return Sampler(glances, Configurations(store, clock), clock, every_s=3600)


def app_with(sampler: Sampler, store: Redis, clock: ManualClock, **more: Any) -> Starlette:
    """Make the application around a sampler."""
    configurations = Configurations(store, clock)
    signer = Signer([("k1", b"0" * 32)], "operator")

    class Nothing:
        """Figures that nobody asks for: the sampler has its own."""

        async def figures(self, room: str) -> Mapping[str, object]:
            """Fail loudly."""
            raise AssertionError(room)

    return create_app(
        Deps(configurations, Nothing(), operator_token=TOKEN, signer=signer, clock=clock, **more), sampler
    )


class Console:
    """One open stream, and what came of it."""

    def __init__(self) -> None:
        """Nothing yet."""
        self.status = 0
        self.headers: dict[str, str] = {}
        self.octets = b""
        self.over = False
        self._read = 0
        self._more = asyncio.Condition()

    async def send(self, message: Mapping[str, Any]) -> None:
        """Take what the application writes."""
        async with self._more:
            if message["type"] == "http.response.start":
                self.status = message["status"]
                self.headers = {name.decode(): text.decode() for name, text in message["headers"]}
            else:
                self.octets += message["body"]
                self.over = not message.get("more_body", False)
            self._more.notify_all()

    async def until(self, true: Callable[[], bool]) -> None:
        """Wait until something is true of what came."""
        async with asyncio.timeout(PATIENCE_S), self._more:
            await self._more.wait_for(true)

    async def event(self) -> dict[str, Any]:
        """Return the next event ``now`` with its ``id``, or {'event': 'gone'}."""
        while True:
            await self.until(lambda: b"\n\n" in self.octets[self._read :] or self.over)
            piece, found, _ = self.octets[self._read :].partition(b"\n\n")
            assert found, "the stream is over"
            self._read += len(piece) + 2
            fields = dict(line.split(": ", 1) for line in piece.decode().split("\n") if ": " in line)
            if fields.get("event") == "now":
                return {"id": fields["id"], **json.loads(fields["data"])}
            if fields.get("event") == "gone":
                return {"event": "gone"}

    async def end(self) -> None:
        """Wait until the stream is over."""
        await self.until(lambda: self.over)


@asynccontextmanager
async def console(
    app: Starlette, browser: httpx.AsyncClient, query: str = "", last_id: str | None = None
) -> AsyncIterator[Console]:
    """Open a stream with the cookies of a browser; it goes away in the end."""
    gone = asyncio.Event()

    async def receive() -> dict[str, Any]:
        await gone.wait()
        return {"type": "http.disconnect"}

    cookies = "; ".join(f"{name}={value}" for name, value in browser.cookies.items())
    headers = [(b"host", b"control.test"), (b"cookie", cookies.encode())]
    if last_id is not None:
        headers.append((b"last-event-id", last_id.encode()))
    scope = {
        "type": "http", "http_version": "1.1", "method": "GET", "scheme": "http", "root_path": "", "path": "/events",
        "raw_path": b"/events", "query_string": query.encode(), "headers": headers,
        "client": ("192.0.2.1", 40_000), "server": ("control.test", 80),
    }  # fmt: skip
    seen = Console()
    running = asyncio.create_task(app(scope, receive, seen.send))
    try:
        await seen.until(lambda: seen.status != 0)
        yield seen
    finally:
        gone.set()
        async with asyncio.timeout(PATIENCE_S):
            await running
