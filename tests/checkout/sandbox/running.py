"""A sandbox over real HTTP, in a thread of its own, with a receiver of its webhooks beside it."""

import asyncio
import contextlib
import socket
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, ClassVar

import httpx
import uvicorn

from checkout.sandbox.app import Sandbox
from checkout.sandbox.serving import Breakable
from kernel.asgi import Receive, Scope, Send, read_body, respond
from kernel.clock import Clock

KEY = "sk_test_sandbox0123456789"
SECRET = "whsec_sandbox9876543210"
PATIENCE_S = 15.0
BACK = "http://shop.example/orders/7/back"


@dataclass
class Inbox:
    """What has come as webhooks, and what is answered."""

    received: list[tuple[bytes, dict[str, str]]] = field(default_factory=list)
    statuses: list[int] = field(default_factory=list)
    """Of the next ones; then 200."""

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Take a webhook."""
        body = await read_body(receive, 1_000_000)
        headers = {name.decode(): value.decode() for name, value in scope["headers"]}
        status = self.statuses.pop(0) if self.statuses else 200
        self.received.append((body, headers))
        await respond(send, status, [], b"")

    def kinds(self) -> list[str]:
        """Tell the types of what has come."""
        return [httpx.Response(200, content=body).json()["type"] for body, _headers in self.received]


class Running:
    """One sandbox that runs."""

    known_by: ClassVar[dict[str, str]] = {"authorization": f"Bearer {KEY}"}
    """The headers that the API knows its caller by."""

    def __init__(self, clock: Clock | None, path: Path | None, *, is_breakable: bool, slow_ms: int) -> None:
        self._loop = asyncio.new_event_loop()
        self._ready = threading.Event()
        self._failure: BaseException | None = None
        self._is_breakable = is_breakable
        self._servers: list[uvicorn.Server] = []
        self._sockets = [socket.create_server(("127.0.0.1", 0)) for _ in range(2)]
        api, inbox = (one.getsockname()[1] for one in self._sockets)
        self.url = f"http://127.0.0.1:{api}"
        self.inbox = Inbox()
        self.sandbox = self.made_at(f"http://127.0.0.1:{inbox}/hooks", clock, path, slow_ms)
        self._thread = threading.Thread(target=self._run, daemon=True)
        self.client = httpx.Client(base_url=self.url, headers=self.known_by, timeout=PATIENCE_S)

    def made_at(self, inbox: str, clock: Clock | None, path: Path | None, slow_ms: int) -> Any:
        """Make the sandbox, which tells what happens at `inbox`."""
        return Sandbox(KEY, webhook_url=inbox, webhook_secret=SECRET, clock=clock, path=path, slow_ms=slow_ms)

    def start(self) -> None:
        """Begin to serve."""
        self._thread.start()
        assert self._ready.wait(PATIENCE_S)
        if self._failure is not None:
            self.stop()
            raise self._failure
        until(lambda: all(server.started for server in self._servers))

    def stop(self) -> None:
        """End, and wait for it."""
        for server in self._servers:
            server.should_exit = True
        self._thread.join(PATIENCE_S)
        assert not self._thread.is_alive()
        self.client.close()
        for one in self._sockets:
            one.close()

    def post(self, path: str, key: str = "", /, **fields: object) -> httpx.Response:
        """Call the API as a form."""
        headers = {"idempotency-key": key} if key else {}
        data = {name: str(value) for name, value in fields.items()}
        return self.client.post(path, data=data, headers=headers)

    def get(self, path: str, /, **fields: Any) -> httpx.Response:
        """Ask the API."""
        return self.client.get(path, params=fields)

    def fault(self, kind: str, where: str = "*", **more: object) -> dict[str, Any]:
        """Order a fault."""
        answer = self.client.post("/_sandbox/faults", json={"fault": kind, "where": where, **more})
        assert answer.status_code == 200, answer.text
        told: dict[str, Any] = answer.json()
        return told

    def ledger(self, **which: str) -> list[dict[str, Any]]:
        """Tell what the provider knows of orders."""
        orders: list[dict[str, Any]] = self.get("/_sandbox/ledger", **which).json()["orders"]
        return orders

    def made(self, **more: object) -> dict[str, Any]:
        """Make a payment intent."""
        answer = self.post(
            "/v1/payment_intents",
            "",
            **{"amount": 4200, "currency": "eur", "capture_method": "manual", **more},
        )
        assert answer.status_code == 200, answer.text
        made: dict[str, Any] = answer.json()
        return made

    def paid(self, method: str = "pm_card_visa", **more: object) -> dict[str, Any]:
        """Make a payment intent, confirm and capture it."""
        ident = self.made(**more)["id"]
        self.post(f"/v1/payment_intents/{ident}/confirm", payment_method=method)
        answer = self.post(f"/v1/payment_intents/{ident}/capture")
        assert answer.status_code == 200, answer.text
        taken: dict[str, Any] = answer.json()
        return taken

    def _run(self) -> None:
        with contextlib.closing(self._loop):
            self._loop.run_until_complete(self._serve())

    async def _serve(self) -> None:
        try:
            self.sandbox.start()
        except Exception as error:  # noqa: BLE001 (it is raised where the test waits)
            self._failure = error
            self._ready.set()
            return
        kinds = (Breakable if self._is_breakable else "httptools", "httptools")
        for app, kind in zip((self.sandbox, self.inbox), kinds, strict=True):
            config = uvicorn.Config(
                app,
                interface="asgi3",
                http=kind,
                lifespan="off",
                log_config=None,
                timeout_graceful_shutdown=5,
            )  # type: ignore[arg-type]
            server = uvicorn.Server(config)
            server.capture_signals = contextlib.nullcontext  # type: ignore[method-assign,assignment]
            self._servers.append(server)
        self._ready.set()
        serving = [
            server.serve(sockets=[one]) for server, one in zip(self._servers, self._sockets, strict=True)
        ]
        await asyncio.gather(*serving)
        await self.sandbox.stop()


@contextlib.contextmanager
def running(
    clock: Clock | None = None, path: Path | None = None, *, is_breakable: bool = True, slow_ms: int = 3_000
) -> Iterator[Running]:
    """Serve a sandbox."""
    one = Running(clock, path, is_breakable=is_breakable, slow_ms=slow_ms)
    one.start()
    try:
        yield one
    finally:
        one.stop()


def until(is_so: Callable[[], object]) -> None:
    """Wait until something is so."""
    until_s = time.monotonic() + PATIENCE_S
    while not is_so():
        assert time.monotonic() < until_s, "it does not come"
        time.sleep(0.01)
