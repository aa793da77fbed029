"""ASGI request and response: the few raw things that the hot paths use instead of a framework.

Message forms: ASGI 3, HTTP. The types are those of ``starlette.types``, written out so that a protected
site need not install Starlette. Not here: routing, cookies, problem bodies.
"""

from collections.abc import Awaitable, Callable, Iterable, MutableMapping, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address
from typing import Any

from kernel.errors import Refused

Scope = MutableMapping[str, Any]
Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
Headers = Iterable[tuple[bytes, bytes]]
Address = IPv4Address | IPv6Address
Network = IPv4Network | IPv6Network

HOPS_MAX = 32
"""More proxies than that in a row are a forgery; the walk stops there."""

LOCAL = "local"
"""The address of a peer on a unix socket that told no other."""


@dataclass(slots=True)
class Ready:
    """An answer that everybody gets and that waits in full: a server may write it without asking anybody.

    ``headers`` lack length and date. ``written`` is the server's own: whole answers that it has put together.
    """

    etag: bytes
    headers: Sequence[tuple[bytes, bytes]]
    body: bytes
    written: tuple[object, bytes, bytes] | None = field(default=None, repr=False, compare=False)


def header(scope: Scope, name: bytes) -> bytes | None:
    """Return the first header called ``name`` (lower case), or None."""
    for key, value in scope["headers"]:
        if key == name:
            return bytes(value)
    return None


async def read_body(receive: Receive, limit_bytes: int) -> bytes:
    """Read the whole request body.

    Raises ``Refused`` as soon as it exceeds ``limit_bytes``, or when the caller goes away before its end.
    """
    body: bytes = b""
    while True:
        message = await receive()
        if message["type"] != "http.request":
            raise Refused("body-incomplete", "The request ended before its body did.")
        body += bytes(message.get("body", b""))
        if len(body) > limit_bytes:
            raise Refused("body-too-large", "The request's body is too large.", status=413)
        if not message.get("more_body", False):
            return body


WHOLE = "waitroom.whole"
"""Marks the start of an answer whose body follows at once: our server then writes both together, any other
ignores it."""


PUSH = "waitroom.push"
"""In the start of a streamed answer: a ``Push`` that our server fills in; any other ignores it."""


@dataclass(slots=True)
class Push:
    """A way to write pieces of a streamed answer at once, without waking whoever sends it.

    ``write`` is None under any other server. It returns False where the connection takes nothing just now, or is gone:
    the piece is then to be sent as usual.
    """

    write: Callable[[bytes], bool] | None = None


async def respond(send: Send, status: int, headers: Headers, body: bytes) -> None:
    """Send a whole response; Content-Length is added here."""
    await send(
        {
            "type": "http.response.start",
            "status": status,
            "headers": [*headers, (b"content-length", b"%d" % len(body))],
            WHOLE: True,
        }
    )
    await send({"type": "http.response.body", "body": body})


def client_address(scope: Scope, trusted: Sequence[Network], header: str = "x-forwarded-for") -> str:
    """Return the address of the nearest hop that is not one of our proxies.

    The list is read from its right end, where our own proxies wrote; what a visitor put to its left is
    never reached. A peer on a unix socket can only be a local proxy, so it is trusted. A peer outside
    ``trusted`` is itself the answer, whatever it says. An IPv4 address in IPv6 clothes counts as IPv4; a
    hop that is not an address ends the walk at the proxy that wrote it.
    """
    peer = scope.get("client")
    nearest = LOCAL
    if peer:
        parsed, nearest = _address(str(peer[0]))
        if not _inside(parsed, trusted):
            return nearest
    name = header.encode("latin-1")
    listed = b",".join(value for key, value in scope["headers"] if key == name)
    for hop in reversed(listed.rsplit(b",", HOPS_MAX)[-HOPS_MAX:]):
        parsed, text = _address(hop.decode("latin-1"))
        if parsed is None:
            return nearest
        nearest = text
        if not _inside(parsed, trusted):
            return nearest
    return nearest


def trusts(scope: Scope, trusted: Sequence[Network]) -> bool:
    """Tell whether a request came from one of our own proxies; on a unix socket it can be nobody else."""
    peer = scope.get("client")
    return not peer or _inside(_address(str(peer[0]))[0], trusted)


def address_of(written: str) -> Address | None:
    """Return the address that a text is, None for none; those of the last few thousand clients are kept."""
    return _address(written)[0]


def _inside(address: Address | None, networks: Sequence[Network]) -> bool:
    return address is not None and any(address in network for network in networks)


@lru_cache(maxsize=4096)
def _address(written: str) -> tuple[Address | None, str]:
    """Read an address as proxies write it: bare, ``1.2.3.4:80``, ``[::1]``, ``[::1]:80``, with a zone.

    Returns it with its one spelling, or None with what was written.
    """
    text = written.strip().strip('"')
    if text.startswith("["):
        text = text[1:].partition("]")[0]
    elif text.count(":") == 1:
        text = text.partition(":")[0]
    try:
        parsed = ip_address(text.partition("%")[0])
    except ValueError:
        return None, written
    parsed = getattr(parsed, "ipv4_mapped", None) or parsed
    return parsed, str(parsed)
