"""Plain worker: a server process with an application of a few lines in place of the wiring.

Run as ``python -m tests.process.plain_worker LISTENER READY [PARENT]``; settings come from the environment.
"""

import asyncio
import logging
import sys
from typing import Any

from gateway.condition import Condition
from gateway.orphan import die_with
from gateway.server import main
from gateway.settings import Settings, load


class Wired:
    """An application: /slow answers after half a second, /pid at once."""

    broadcast = None

    def __init__(self) -> None:
        self.ready = False
        self.condition = Condition()

    async def start(self) -> None:
        """Be ready."""
        self.ready = True

    def drain(self) -> None:
        """Have nothing endless."""

    async def stop(self) -> None:
        """Say so, that a test can see it."""
        logging.getLogger("plain").warning("stopped in order")

    async def app(self, scope: Any, receive: Any, send: Any) -> None:  # noqa: ARG002 (ASGI)
        """Answer."""
        await send({"type": "http.response.start", "status": 200, "headers": []})
        if scope["path"] == "/slow":
            await send({"type": "http.response.body", "body": b"begin ", "more_body": True})
            await asyncio.sleep(0.5)
        await send({"type": "http.response.body", "body": b"end"})


def build(settings: Settings, role: str) -> Wired:
    """Do as ``wiring.build`` does."""
    return Wired()


if __name__ == "__main__":
    if len(sys.argv) > 3:
        die_with(int(sys.argv[3]))
    main("gate", load(), build, descriptor=int(sys.argv[1]), ready=int(sys.argv[2]))
