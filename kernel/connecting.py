"""Connecting: how our own HTTP clients reach others, said once.

Names are those of the system: its hosts file, its search list, what a container is told. aiohttp would ask in its own
way as soon as ``aiodns`` is installed, which packages bring along that have nothing to do with it.

Where strangers choose the host, a client says which addresses may be reached (``may_reach``). That is asked of what
the name stands for at the moment of connecting, and the connection goes to that address and no other: a name that
stood for an open address when somebody looked, and for one of ours afterwards, gains nothing.

Not here: patience, redirections and what is believed of an answer: each client's own.
"""

import socket
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import aiohttp

CONNECTIONS = 100


class NotAllowed(OSError):
    """A name stands for an address that may not be reached."""


def connector(
    limit: int = CONNECTIONS,
    *,
    keepalive_s: float = 15.0,
    names_kept_s: int = 10,
    may_reach: Callable[[str, str], bool] | None = None,
) -> "aiohttp.TCPConnector":
    """Make the connections of one client: at most `limit`, each kept for so long while nothing asks.

    `may_reach`: of a host and an address of it; one that may not be reached makes the whole host unreachable. An
    address that stands in the URL itself is asked of no resolver: the client looks at it (``webhook``).
    """
    import aiohttp  # noqa: PLC0415 - whoever asks nobody does not load it

    class Guarded(aiohttp.ThreadedResolver):
        async def resolve(
            self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_INET
        ) -> list[Any]:
            found = await super().resolve(host, port, family)
            if may_reach is not None and not all(may_reach(host, one["host"]) for one in found):
                raise NotAllowed("an address that may not be reached")
            return list(found)

    return aiohttp.TCPConnector(
        limit=limit,
        keepalive_timeout=keepalive_s,
        ttl_dns_cache=names_kept_s,
        resolver=aiohttp.ThreadedResolver() if may_reach is None else Guarded(),
    )
