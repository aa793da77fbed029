"""Mail modes: a mail server in a process of its own that takes everything, refuses everybody, or says nothing.

``python -m bench.mail_modes CORE`` writes its port as the first line; each line of its input is a mode (``up``,
``refusing``, ``hanging``), answered when it is so. ``told`` is answered with the numbers of mails and of names
that it has taken. It stays at the same port, as a mail server would. It ends with its input.
"""

import asyncio
import json
import os
import sys

from aiosmtpd.smtp import SMTP

from bench.mailbox import Taking

MODES = ("up", "refusing", "hanging")


class Silent(asyncio.Protocol):
    """A connection on which nobody ever speaks."""


class Modes:
    """The server."""

    def __init__(self) -> None:
        """Nobody listens yet."""
        self.port = 0
        self._taking = Taking()
        self._server: asyncio.Server | None = None
        self._transports: set[asyncio.Transport] = set()

    async def be(self, mode: str) -> None:
        """Hang up on everybody, and go on in another way."""
        if self._server is not None:
            self._server.close()
            for transport in list(self._transports):
                transport.abort()
            self._transports.clear()
            await self._server.wait_closed()
            self._server = None
        if mode != "refusing":
            self._server = await asyncio.get_running_loop().create_server(
                lambda: self._session(mode), "127.0.0.1", self.port
            )
            self.port = self._server.sockets[0].getsockname()[1]

    def told(self) -> str:
        """Say what was taken."""
        return json.dumps({"mails": self._taking.mails, "names": len(self._taking.names)})

    def _session(self, mode: str) -> asyncio.BaseProtocol:
        made: asyncio.BaseProtocol = Silent() if mode == "hanging" else SMTP(self._taking, ident="bench")
        begun = made.connection_made

        def connection_made(transport: asyncio.BaseTransport) -> None:
            assert isinstance(transport, asyncio.Transport)  # noqa: S101 - a server gives no other
            self._transports.add(transport)
            begun(transport)

        made.connection_made = connection_made  # type: ignore[method-assign]
        return made


async def serve() -> None:
    """Do as the input says."""
    modes = Modes()
    await modes.be("up")
    sys.stdout.write(f"{modes.port}\n")
    sys.stdout.flush()
    while line := (await asyncio.to_thread(sys.stdin.readline)).strip():
        if line in MODES:
            await modes.be(line)
        sys.stdout.write(f"{modes.told()}\n")
        sys.stdout.flush()


if __name__ == "__main__":
    if sys.argv[1] != "None":
        os.sched_setaffinity(0, {int(sys.argv[1])})
    asyncio.run(serve())
