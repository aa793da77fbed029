"""Receivers: somebody on this machine who is told of events, and verifies as a stranger would, with no code of ours."""

import asyncio
import base64
import hashlib
import hmac
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

from aiohttp import web

TOLERANCE_S = 300


@dataclass
class Receiver:
    """Answers with `statuses` in turn, then 204; a status 0 is no answer at all, until `over`.

    `more` are headers of every answer; `body` follows it again and again until whoever asked goes away.
    """

    statuses: list[int] = field(default_factory=list)
    heard: list[tuple[dict[str, str], bytes]] = field(default_factory=list)
    asked: asyncio.Event = field(default_factory=asyncio.Event)
    over: asyncio.Event = field(default_factory=asyncio.Event)
    url: str = ""
    more: dict[str, str] = field(default_factory=dict)
    body: bytes = b""
    sent: int = 0

    async def hear(self, request: web.Request) -> web.StreamResponse:
        """Take a message in."""
        head = {name.lower(): value for name, value in request.headers.items()}
        self.heard.append((head, await request.read()))
        self.asked.set()
        status = self.statuses.pop(0) if self.statuses else 204
        if status == 0:
            await self.over.wait()
            status = 204
        headers = {"location": f"{self.url}/elsewhere"} if 300 <= status < 400 else {}
        if self.body:
            return await self._endless(request, status)
        return web.Response(status=status, headers=headers | self.more)

    async def _endless(self, request: web.Request, status: int) -> web.StreamResponse:
        answer = web.StreamResponse(status=status, headers=self.more)
        await answer.prepare(request)
        try:
            while True:
                await answer.write(self.body)
                self.sent += len(self.body)
        except ConnectionError:
            return answer

    @property
    def ids(self) -> list[str]:
        """The names of what was heard."""
        return [head["webhook-id"] for head, _ in self.heard]


@asynccontextmanager
async def receiving() -> AsyncIterator[Receiver]:
    """Listen for a while."""
    receiver = Receiver()
    app = web.Application()
    app.router.add_post("/{name}", receiver.hear)
    runner = web.AppRunner(app)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    receiver.url = f"http://127.0.0.1:{runner.addresses[0][1]}"
    try:
        yield receiver
    finally:
        receiver.over.set()
        await runner.cleanup()


def is_right(headers: dict[str, str], body: bytes, secret: bytes, now_s: int) -> bool:
    """Verify by the words of Standard Webhooks."""
    id_, at = headers["webhook-id"], headers["webhook-timestamp"]
    if abs(now_s - int(at)) > TOLERANCE_S:
        return False
    told = b".".join((id_.encode(), at.encode(), body))
    mac = base64.b64encode(hmac.new(secret, told, hashlib.sha256).digest()).decode()
    return any(
        hmac.compare_digest(one.removeprefix("v1,"), mac)
        for one in headers["webhook-signature"].split(" ")
        if one.startswith("v1,")
    )
