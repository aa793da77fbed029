"""Wired: the operator's application as ``gateway.wiring`` joins it, on a real store and port, in its own thread."""

import asyncio
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from prometheus_client import CollectorRegistry

from dashboards import wait_book
from gateway import events_out, wiring
from gateway.settings import Settings
from tests.gateway.serving import serving
from waitroom.configure import Actor, Configurations

TOKEN = "throwaway-operator-token"
ROOM = {"name": "main", "origin": "https://shop.example.com"}
SALE = {
    "name": "spring",
    "event_start_time": "2096-06-01T10:00:00Z",
    "event_end_time": "2096-06-01T12:00:00Z",
}

Wrap = Callable[[Any], Any]


def process_of(store_url: str, folder: Path, patch: pytest.MonkeyPatch) -> wiring.OperatorProcess:
    """Join the operator's process; its metrics are its own, since one Python process holds several."""
    line, door = wiring.LineMetrics, wiring.DoorMetrics
    patch.setattr(wiring, "LineMetrics", lambda: line(CollectorRegistry()))
    patch.setattr(wiring, "DoorMetrics", lambda: door(CollectorRegistry()))
    events = events_out.EventMetrics
    patch.setattr(events_out, "EventMetrics", lambda: events(CollectorRegistry()))
    return wiring.OperatorProcess(Settings(data=folder, store_url=store_url, operator_token=TOKEN))


class Kept:
    """Before each request there is the room main with its sale spring, whatever the one before did."""

    def __init__(self, app: Any, rooms: Configurations) -> None:
        """Stand before `app`."""
        self._app = app
        self._rooms = rooms

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        """Put back what is missing, then answer."""
        found = {room.name: room for room in await self._rooms.list()}
        for name in found.keys() - {"main"}:
            await self._rooms.delete(name, None, Actor("test"))
        if "main" not in found:
            await self._rooms.create(ROOM | {"sales": [SALE]}, Actor("test"))
        elif found["main"].sale("spring") is None or len(found["main"].sales) > 1:
            await self._rooms.put("main", ROOM | {"sales": [SALE]}, None, Actor("test"))
        await self._app(scope, receive, send)


@contextmanager
def running(store_url: str, folder: Path, wrap: Wrap | None = None, *, kept: bool = False) -> Iterator[str]:
    """Serve it and give its address; `wrap` stands before it (mutants), `kept` puts the room back (``Kept``)."""
    ready, over = threading.Event(), asyncio.Event()
    told: dict[str, Any] = {}

    async def serve() -> None:
        told["loop"] = asyncio.get_running_loop()
        desk = process_of(store_url, folder, patch)
        await desk.start()
        try:
            app = Kept(desk.app, desk._parts.configurations) if kept else desk.app
            async with serving(wrap(app) if wrap is not None else app) as port:
                told["url"] = f"http://127.0.0.1:{port}"
                ready.set()
                await over.wait()
        finally:
            await desk.stop()

    def run() -> None:
        try:
            asyncio.run(serve())
        except BaseException as error:  # noqa: BLE001 - told to the test's own thread
            told["error"] = error
        finally:
            ready.set()

    with pytest.MonkeyPatch.context() as patch:
        # Checks of tokens send many wrong ones from one address.
        patch.setattr(wait_book, "API_FREE_FAILURES", 1_000_000)
        thread = threading.Thread(target=run, name="operator")
        thread.start()
        try:
            ready.wait()
            if "error" in told:
                raise told["error"]
            yield told["url"]
        finally:
            if "loop" in told and not told["loop"].is_closed():
                told["loop"].call_soon_threadsafe(over.set)
            thread.join()
    if "error" in told:
        raise told["error"]
