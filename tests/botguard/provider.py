"""Provider: the other side of the wire: an endpoint that judges tokens as hCaptcha, Turnstile and reCAPTCHA do.

A token is good for once here too. What it says is told in the token: ``good:<nonce>`` is a pass, any other word the
error's code. Faults of the transport are set from outside: slow, endless, no JSON, a status, nobody there.
"""

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass, field
from queue import Queue
from threading import Thread
from typing import Any
from urllib.parse import parse_qsl

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response, StreamingResponse
from starlette.routing import Route

from tests.gateway.serving import serving

SECRET = "0x-the-secret-that-nobody-may-see"
SITEKEY = "10000000-ffff-ffff-ffff-000000000001"
HOST = "tickets.example"


@dataclass
class Judge:
    """What the endpoint answers, and what it was asked."""

    reply: dict[str, Any] = field(default_factory=lambda: {"hostname": HOST})
    fault: str = ""
    asked: list[dict[str, str]] = field(default_factory=list)
    used: set[str] = field(default_factory=set)
    release: asyncio.Event = field(default_factory=asyncio.Event)

    async def answer(self, request: Request) -> Response:
        """Judge one token."""
        form = dict(parse_qsl((await request.body()).decode()))
        self.asked.append(form)
        match self.fault:
            case "slow":
                await self.release.wait()
            case "endless":
                return StreamingResponse(_endless(), media_type="application/json")
            case "not-json":
                return Response(b"<html>", media_type="text/html")
            case "list":
                return JSONResponse([True])
            case "odd":
                return JSONResponse({"success": "true", "hostname": HOST})
            case "redirect":
                return Response(status_code=302, headers={"location": "/siteverify"})
            case "status":
                return JSONResponse({"success": True, "hostname": HOST}, status_code=500)
        return JSONResponse(self.judged(form))

    def judged(self, form: dict[str, str]) -> dict[str, Any]:
        """Say what such an endpoint says."""
        token = form.get("response", "")
        if form.get("secret") != SECRET:
            return {"success": False, "error-codes": ["invalid-input-secret"]}
        if token in self.used:
            return {"success": False, "error-codes": ["timeout-or-duplicate"]}
        self.used.add(token)
        if not token.startswith("good:"):
            return {"success": False, "error-codes": [token.partition(":")[0]]}
        return {"success": True, "challenge_ts": "2026-01-01T00:00:00Z", **self.reply}


async def _endless() -> AsyncIterator[bytes]:
    for _ in range(64):
        yield b" " * 1024


@asynccontextmanager
async def judging(judge: Judge) -> AsyncIterator[str]:
    """Serve the endpoint; give its address."""
    app = Starlette(routes=[Route("/siteverify", judge.answer, methods=["POST", "GET"])])
    async with serving(app) as port:
        try:
            yield f"http://127.0.0.1:{port}/siteverify"
        finally:
            judge.release.set()


@contextmanager
def judging_aside(judge: Judge) -> Iterator[str]:
    """Serve the endpoint in a thread of its own, for tests that drive a browser; give its address."""
    told: Queue[str] = Queue()
    ends: list[tuple[asyncio.AbstractEventLoop, asyncio.Event]] = []

    async def run() -> None:
        end = asyncio.Event()
        async with judging(judge) as url:
            ends.append((asyncio.get_running_loop(), end))
            told.put(url)
            await end.wait()

    thread = Thread(target=lambda: asyncio.run(run()), name="provider")
    thread.start()
    try:
        yield told.get(timeout=20)
    finally:
        for loop, end in ends:
            loop.call_soon_threadsafe(end.set)
        thread.join()
