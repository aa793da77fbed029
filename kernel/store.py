"""Store: the Redis or Valkey server that holds the shared, short-lived state.

The client **never repeats a command by itself**. redis-py does so by default, up to ten times; a repeated
transition would count twice, so whoever can repeat safely (an idempotent call, a batch with an id) does
it knowingly. Bytes come back as bytes. RESP2 and no CLIENT SETINFO: one trip less for a new connection.

Why the eviction policy is checked at start: with anything but ``noeviction`` a full store throws away
places in the line, silently. Not here: key names (each package's ``store.py``), scripts (``kernel.lua``).
"""

import logging
from collections.abc import Mapping
from types import TracebackType
from typing import Any, Self, cast
from urllib.parse import parse_qs, urlsplit

from hiredis import pack_command
from redis.asyncio import BlockingConnectionPool, Connection, Redis, SSLConnection, UnixDomainSocketConnection
from redis.asyncio.connection import AbstractConnection
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff
from redis.exceptions import RedisError, ResponseError

from kernel.errors import Misconfigured, Unavailable

log = logging.getLogger(__name__)

Store = Redis

Command = tuple[str | int, ...]
"""A command and its arguments, to be sent along with others."""

SCHEMES = ("redis://", "rediss://", "unix://")

FIXED_OPTIONS = frozenset({"retry", "retry_on_timeout", "retry_on_error", "decode_responses", "protocol"})
"""In redis-py an option in the address beats the argument; these must stay as they are below."""


def connect(url: str, *, timeout_s: float = 2.0, max_connections: int = 64) -> Store:
    """Make a client; nothing is sent yet.

    A command waits at most ``timeout_s`` for a free connection, as long again to connect, and as long
    again for the answer. Raises ``Misconfigured`` for an address that cannot be one.
    """
    if not url.startswith(SCHEMES):
        raise Misconfigured("The store's address must begin with redis://, rediss:// or unix://.")
    try:
        overruled = FIXED_OPTIONS.intersection(parse_qs(urlsplit(url).query, keep_blank_values=True))
        if overruled:
            raise Misconfigured(f"The store's address must not set {', '.join(sorted(overruled))}.")
        pool = BlockingConnectionPool.from_url(
            url,
            max_connections=max_connections,
            timeout=timeout_s,
            socket_timeout=timeout_s,
            socket_connect_timeout=timeout_s,
            retry=Retry(NoBackoff(), 0),
            retry_on_error=[],
            decode_responses=False,
            protocol=2,
            driver_info=None,
        )
    except ValueError as error:
        # The error's text may quote a part of the password, so it is not shown.
        raise Misconfigured(
            "The store's address cannot be read: redis://user:password@host:port/0, "
            "with percent signs for special characters in the password."
        ) from error
    pool.connection_class = _PACKED[pool.connection_class]
    return Redis.from_pool(pool)


class _Packed(AbstractConnection):
    """Writes commands with hiredis' C code: a batch of a hundred joins is two hundred arguments."""

    def pack_command(self, *args: Any) -> list[bytes]:
        """Write a command; the name may be two words, as in ``SCRIPT LOAD``."""
        return [pack_command((*str(args[0]).split(), *args[1:]))]


class _PackedTcp(_Packed, Connection):
    pass


class _PackedTls(_Packed, SSLConnection):
    pass


class _PackedUnix(_Packed, UnixDomainSocketConnection):
    pass


_PACKED: Mapping[type, type] = {
    Connection: _PackedTcp,
    SSLConnection: _PackedTls,
    UnixDomainSocketConnection: _PackedUnix,
}


async def check(client: Store) -> None:
    """Refuse a store that would throw away state when it is full.

    Raises ``Misconfigured`` for its policy, ``Unavailable`` when it does not answer.
    """
    with translated():
        memory = cast("dict[str, object]", await client.info("memory"))
    policy = memory.get("maxmemory_policy")
    if policy != "noeviction":
        raise Misconfigured(
            f"The store's maxmemory-policy is {policy}; it must be noeviction, "
            "or a full store forgets people's places."
        )


class translated:  # noqa: N801 (read as a phrase: `with translated():`)
    """Turn the client's errors into ``Unavailable``: used in each package's ``store.py``, nowhere else.

    A class and not a generator, because it stands on every path to the store. A command that the store
    refused (out of memory, read-only, a fault in a script) is logged: it does not mend itself.
    """

    __slots__ = ()

    def __enter__(self) -> Self:
        """Do nothing."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Raise ``Unavailable`` in place of an error of the client, the network or a deadline."""
        if isinstance(error, ResponseError):
            log.error("the store refused a command", extra={"error": str(error)})
            raise Unavailable("store-refused", "The waiting room cannot do this at the moment.") from error
        if isinstance(error, RedisError | OSError):
            raise Unavailable(
                "store-away", "The waiting room cannot reach its store. Please try again."
            ) from error
