"""Headers: what a proxy may pass on, in both directions, and what it must take out or add.

Pure functions over raw ``(name, value)`` pairs, names in lower case, as ASGI hands them over; the
order and repeats of all others are kept. Sources: RFC 9110 section 7.6 (hop-by-hop fields),
RFC 9112 section 6 (framing), RFC 7239 (``Forwarded``).

* Hop-by-hop fields and those named in ``Connection`` end here, except the framing (``Host``,
  ``Content-Length``), which a sender could otherwise strip from its own request.
* Names are compared with ``_`` read as ``-``: WSGI and CGI origins cannot tell ``Waitroom_Session``
  from ``Waitroom-Session``.
* Only a trusted proxy may tell us who the client is; from anybody else such headers are dropped,
  and so are those that rewrite the path behind our back (``X-Original-URL``).
* Which trace a request is in (``traceparent``) is our word: see ``kernel.traced``.
* Of our cookies the origin sees the room's own admission and nothing else.
"""

import re
from collections.abc import Iterable
from dataclasses import dataclass

Header = tuple[bytes, bytes]

HOP_BY_HOP = frozenset(
    {
        b"connection",
        b"keep-alive",
        b"proxy-authenticate",
        b"proxy-authorization",
        b"proxy-connection",
        b"te",
        b"trailer",
        b"transfer-encoding",
        b"upgrade",
    }
)
# Said to us and answered by us: the server sends 100 Continue when the body is first read.
ANSWERED_HERE = frozenset({b"expect"})
WEBSOCKET_HOP = frozenset(
    {b"sec-websocket-key", b"sec-websocket-version", b"sec-websocket-extensions", b"sec-websocket-protocol"}
)
WEBSOCKET_ANSWER_HOP = frozenset(
    {b"sec-websocket-accept", b"sec-websocket-extensions", b"sec-websocket-protocol", b"content-length"}
)
FRAMING = frozenset({b"host", b"content-length"})
CLIENT_ADDRESS = frozenset(
    {
        b"cf-connecting-ip",
        b"client-ip",
        b"fastly-client-ip",
        b"forwarded",
        b"true-client-ip",
        b"x-client-ip",
        b"x-cluster-client-ip",
        b"x-forwarded",
        b"x-forwarded-for",
        b"x-forwarded-host",
        b"x-forwarded-port",
        b"x-forwarded-prefix",
        b"x-forwarded-proto",
        b"x-forwarded-server",
        b"x-forwarded-uri",
        b"x-original-uri",
        b"x-original-url",
        b"x-real-ip",
        b"x-rewrite-url",
    }
)
TRACING = frozenset({b"traceparent", b"tracestate"})
"""Which trace a request is in is told anew at each hop (``kernel.tracing``)."""

OURS = b"waitroom-"
_NAME = re.compile(rb"[!#$%&'*+\-.^_`|~0-9A-Za-z]+")
_CONTROL = re.compile(rb"[\x00-\x08\x0a-\x1f\x7f]")
_HOST = re.compile(rb"(?:[A-Za-z0-9._-]{1,253}|\[[0-9A-Fa-f:.]{2,45}\])(?::[0-9]{1,5})?")


@dataclass(frozen=True, slots=True)
class Client:
    """Who asks: the peer of the connection, and the client it stands for if we trust it."""

    peer: str
    address: str
    scheme: bytes
    host: bytes
    trusted: bool


def values(headers: Iterable[Header], name: bytes) -> list[bytes]:
    """Give all values of a header, in order."""
    return [value for key, value in headers if key == name]


def value(headers: Iterable[Header], name: bytes) -> bytes:
    """Give the first value of a header, b'' without one."""
    return next((text for key, text in headers if key == name), b"")


def is_host(host: bytes) -> bool:
    """True for a host name or address with an optional port, and nothing else in it."""
    return _HOST.fullmatch(host) is not None


def named_in_connection(headers: Iterable[Header]) -> frozenset[bytes]:
    """Collect the names that ``Connection`` declares to be for this hop only."""
    names = {
        token.strip().lower()
        for text in values(headers, b"connection")
        for token in text.split(b",")
        if token.strip()
    }
    return frozenset(names - FRAMING)


def to_origin(
    headers: list[Header], *, client: Client, admission_cookie: str, keep_host: bool
) -> list[Header]:
    """Give the request headers that go on, without those that we add (see ``about_client``)."""
    drop = HOP_BY_HOP | ANSWERED_HERE | TRACING | named_in_connection(headers)
    kept: list[Header] = []
    for name, text in headers:
        plain = name.replace(b"_", b"-")
        if plain in drop or plain.startswith(OURS) or plain in CLIENT_ADDRESS:
            continue
        if name == b"host" and not keep_host:
            continue
        if name == b"cookie":
            cookies = without_our_cookies(text, keep=admission_cookie)
            if cookies:
                kept.append((name, cookies))
            continue
        kept.append((name, text))
    kept.extend(about_client(headers, client))
    return kept


def about_client(headers: list[Header], client: Client) -> list[Header]:
    """Tell the origin who the client is; a trusted proxy's own words are kept and extended."""
    chain = b", ".join(values(headers, b"x-forwarded-for")) if client.trusted else b""
    peer = client.peer.encode("latin-1", "replace")
    out = [
        (b"x-forwarded-for", chain + b", " + peer if chain else peer),
        (b"x-forwarded-proto", client.scheme),
        (b"x-forwarded-host", client.host),
        (b"x-real-ip", client.address.encode("latin-1", "replace")),
    ]
    if client.trusted:
        elements = values(headers, b"forwarded")
        if elements:
            node = b'"[' + peer + b']"' if b":" in peer else peer
            elements.append(b"for=" + node + b";proto=" + client.scheme)
            out.append((b"forwarded", b", ".join(elements)))
        out.extend(
            (name, text)
            for name, text in headers
            if name in CLIENT_ADDRESS and name not in {key for key, _ in out} and name != b"forwarded"
        )
    return out


def without_our_cookies(text: bytes, *, keep: str) -> bytes:
    """Take our cookies out of a Cookie header, except the one to keep; the others stay as they were."""
    if b"waitroom-" not in text:
        return text
    kept: list[bytes] = []
    for pair in text.split(b";"):
        name = pair.partition(b"=")[0].strip()
        ours = name.removeprefix(b"__Host-").removeprefix(b"__Secure-").startswith(OURS)
        if (not ours or name.decode("latin-1") == keep) and pair.strip():
            kept.append(pair.strip())
    return b"; ".join(kept)


def to_client(headers: list[Header], *, status: int, method: str) -> list[Header]:
    """Give the origin's response headers that go on; names come out in lower case.

    ``Date`` is ours (the server sets it once a second, and two would be one too many). A response
    without a body carries no length, except to HEAD, where it tells the length there would be.
    """
    lower = [(name.lower(), text) for name, text in headers]
    drop = HOP_BY_HOP | named_in_connection(lower) | {b"date"}
    chunked = any(name == b"transfer-encoding" for name, _ in lower)
    lengthless = status in {204, 304} or (chunked and method != "HEAD")
    return [
        (name, text)
        for name, text in lower
        if name not in drop and not (name == b"content-length" and lengthless)
    ]


def is_clean(headers: Iterable[Header]) -> bool:
    """True when no name or value could end its line early (response splitting)."""
    return all(_NAME.fullmatch(name) and not _CONTROL.search(text) for name, text in headers)


def keep_private(headers: list[Header]) -> list[Header]:
    """Keep shared caches away from a response that has come to carry a cookie of ours."""
    told = b",".join(values(headers, b"cache-control")).lower()
    if b"private" in told or b"no-store" in told:
        return headers
    return [pair for pair in headers if pair[0] != b"cache-control"] + [(b"cache-control", b"private")]
