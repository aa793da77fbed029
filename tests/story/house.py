"""A whole house for stories: store, journal, gate, shop and console, joined as in production."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import httpx
from prometheus_client import CollectorRegistry

from checkout.metrics import Metrics as ShopMetrics
from gateway import events_out, wiring
from gateway.settings import Settings
from tests.gateway.serving import serving

PAGE = {"accept": "text/html", "sec-fetch-mode": "navigate", "sec-fetch-site": "none"}
TOKEN = "the-operators-own-secret"
ROOM = "/.waitroom/r/main"

ROOMS = """
[rooms.main]
description = "Aurora Hall"
origin = "http://127.0.0.1:{port}"
{settings}
"""


@dataclass
class Scene:
    """The site as fans reach it, and the operator's desk."""

    site: str
    desk: httpx.AsyncClient
    gate: wiring.GateProcess

    def fan(self) -> httpx.AsyncClient:
        """Open a new browser."""
        return httpx.AsyncClient(base_url=self.site, timeout=10)

    async def until_called(self, fan: httpx.AsyncClient, target: str = "/") -> httpx.Response:
        """Claim until the door opens, as the page does; give up after ten seconds."""
        async with asyncio.timeout(10):
            while True:
                answer = await fan.post(ROOM + "/claim", json={"target": target})
                if answer.status_code != 202:
                    return answer
                await asyncio.sleep(0.1)


@asynccontextmanager
async def scene(
    store_url: str, folder: Path, monkeypatch: object, **settings: object
) -> AsyncIterator[Scene]:
    """Set the stage: a room with `settings` before the demo's shop."""
    import socket

    with socket.create_server(("127.0.0.1", 0)) as probe:
        port = probe.getsockname()[1]
    _fresh_metrics(monkeypatch)
    rooms = folder / "rooms.toml"
    lines = "\n".join(f"{name} = {_toml(value)}" for name, value in settings.items())
    rooms.write_text(ROOMS.format(port=port, settings=lines))
    here = Settings(
        data=folder,
        store_url=store_url,
        rooms=rooms,
        shop_port=port,
        operator_token=TOKEN,
        shop_demo=True,
        port=0,
        operator_port=0,
    )
    shop = wiring.ShopProcess(here, ShopMetrics(CollectorRegistry()))
    gate, desk = wiring.GateProcess(here), wiring.OperatorProcess(here)
    await shop.start()
    await gate.start()
    await desk.start()
    try:
        async with _on(shop.app, port), serving(gate.app) as site, serving(desk.app) as control:
            address, operator = f"http://127.0.0.1:{site}", {"authorization": f"Bearer {TOKEN}"}
            async with httpx.AsyncClient(base_url=f"http://127.0.0.1:{control}", headers=operator) as browser:
                yield Scene(address, browser, gate)
    finally:
        await desk.stop()
        await gate.stop()
        await shop.stop()


@asynccontextmanager
async def _on(app: object, port: int) -> AsyncIterator[None]:
    """Serve on the port that the room's settings name."""
    import uvicorn

    server = uvicorn.Server(
        uvicorn.Config(app, host="127.0.0.1", port=port, log_config=None, lifespan="off", access_log=False)  # type: ignore[arg-type]
    )
    server.capture_signals = _nothing  # type: ignore[method-assign, assignment]
    task = asyncio.ensure_future(server.serve())
    while not server.started:  # noqa: ASYNC110 - uvicorn tells it no other way
        await asyncio.sleep(0.01)
    try:
        yield
    finally:
        server.should_exit = True
        await task


def _nothing() -> object:
    import contextlib

    return contextlib.nullcontext()


def _fresh_metrics(monkeypatch: object) -> None:
    """Give each process of the stage metrics of its own: in one Python process their names would clash."""
    line, door, checks = wiring.LineMetrics, wiring.DoorMetrics, wiring.ChallengeMetrics
    monkeypatch.setattr(wiring, "LineMetrics", lambda: line(CollectorRegistry()))  # type: ignore[attr-defined]
    monkeypatch.setattr(wiring, "DoorMetrics", lambda: door(CollectorRegistry()))  # type: ignore[attr-defined]
    events = events_out.EventMetrics
    monkeypatch.setattr(events_out, "EventMetrics", lambda: events(CollectorRegistry()))
    guard = wiring.GuardMetrics
    monkeypatch.setattr(wiring, "GuardMetrics", lambda: guard(CollectorRegistry()))  # type: ignore[attr-defined]
    monkeypatch.setattr(wiring, "ChallengeMetrics", lambda: checks(CollectorRegistry()))  # type: ignore[attr-defined]


def _toml(value: object) -> str:
    return str(value).lower() if isinstance(value, bool) else repr(value).replace("'", '"')
