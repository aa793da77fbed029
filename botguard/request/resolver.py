"""Resolver: the machine's own name service, asked in threads of its own.

A look-up of the C library cannot be called off: whoever waits for one that hangs gives up, and its thread ends when the
library does. So the threads are few, nobody else's, and no process waits for them at its end; while all of them hang,
nothing more is asked. No name is an answer (''), not a failure.
"""

import asyncio
import socket
from collections.abc import Callable
from threading import Thread
from typing import TypeVar

THREADS = 4

Found = TypeVar("Found")


class SystemResolver:
    """``botguard.request.ports.Resolver`` by ``getnameinfo`` and ``getaddrinfo``."""

    def __init__(self) -> None:
        """No thread is started yet."""
        self._busy = 0

    async def name_of(self, address: str) -> str:
        """Return the name of an address, '' for none. Raises ``OSError`` where nobody answers."""
        return await self._in_thread(lambda: _name_of(address))

    async def addresses_of(self, name: str) -> frozenset[str]:
        """Return the addresses of a name. Raises ``OSError`` where nobody answers."""
        return await self._in_thread(lambda: _addresses_of(name))

    async def _in_thread(self, ask: Callable[[], Found]) -> Found:
        if self._busy >= THREADS:
            raise OSError("the name service does not answer")
        loop = asyncio.get_running_loop()
        answer: asyncio.Future[Found] = loop.create_future()

        def run() -> None:
            found: Found | OSError
            try:
                found = ask()
            except OSError as error:
                found = error
            if not loop.is_closed():
                loop.call_soon_threadsafe(self._told, answer, found)

        self._busy += 1
        Thread(target=run, name="name service", daemon=True).start()
        return await answer

    def _told(self, answer: "asyncio.Future[Found]", found: Found | OSError) -> None:
        self._busy -= 1
        if answer.done():
            return
        if isinstance(found, OSError):
            answer.set_exception(found)
        else:
            answer.set_result(found)


def _name_of(address: str) -> str:
    try:
        return socket.getnameinfo((address, 0), socket.NI_NAMEREQD)[0]
    except socket.gaierror as error:
        if error.errno in _NONE:
            return ""
        raise


def _addresses_of(name: str) -> frozenset[str]:
    try:
        return frozenset(str(row[4][0]) for row in socket.getaddrinfo(name, None, type=socket.SOCK_STREAM))
    except socket.gaierror as error:
        if error.errno in _NONE:
            return frozenset()
        raise


_NONE = frozenset({socket.EAI_NONAME, getattr(socket, "EAI_NODATA", socket.EAI_NONAME)})
