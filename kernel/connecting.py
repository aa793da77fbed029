"""Connecting: how our own HTTP clients reach others, said once.

Names are those of the system: its hosts file, its search list, what a container is told. aiohttp would ask in its own
way as soon as ``aiodns`` is installed, which packages bring along that have nothing to do with it.

Not here: patience, redirections and what is believed of an answer: each client's own.
"""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import aiohttp

CONNECTIONS = 100


def connector(
    limit: int = CONNECTIONS, *, keepalive_s: float = 15.0, names_kept_s: int = 10
) -> "aiohttp.TCPConnector":
    """Make the connections of one client: at most `limit`, each kept for so long while nothing asks."""
    import aiohttp  # noqa: PLC0415 - whoever asks nobody does not load it

    return aiohttp.TCPConnector(
        limit=limit,
        keepalive_timeout=keepalive_s,
        ttl_dns_cache=names_kept_s,
        resolver=aiohttp.ThreadedResolver(),
    )
