"""Resolver: the machine's own name service, asked in threads of its own.

A look-up of the C library cannot be called off: whoever waits for one that hangs gives up, and its thread comes free
when the library does. So the threads are few and nobody else's. No name is an answer (''), not a failure.
"""

import asyncio
import socket
from concurrent.futures import ThreadPoolExecutor

THREADS = 2


class SystemResolver:
    """``botguard.request.ports.Resolver`` by ``getnameinfo`` and ``getaddrinfo``."""

    def __init__(self) -> None:
        """No thread is started yet."""
        self._threads = ThreadPoolExecutor(THREADS, thread_name_prefix="names")

    async def name_of(self, address: str) -> str:
        """Return the name of an address, '' for none. Raises ``OSError`` where nobody answers."""
        return await asyncio.get_running_loop().run_in_executor(self._threads, _name_of, address)

    async def addresses_of(self, name: str) -> frozenset[str]:
        """Return the addresses of a name. Raises ``OSError`` where nobody answers."""
        return await asyncio.get_running_loop().run_in_executor(self._threads, _addresses_of, name)

    def close(self) -> None:
        """Let the threads go, without waiting for a look-up that hangs."""
        self._threads.shutdown(wait=False, cancel_futures=True)


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
