"""Web Push: a short message to one browser, through the push service that the browser's maker runs (RFC 8030).

A browser gives a ``Subscription``: the address of its service, and the keys that only it can read with (RFC 8291,
``aes128gcm``). Whoever has the address and our VAPID key can push, and whoever chooses the address chooses where this
machine sends a request to; so an address counts only if its host is one of the known services (``PushHosts``), when it
is given and when it is used. Redirections are not followed. What is sent is encrypted by ``pywebpush``, which is
imported when something is first sent; connections are ours, with a patience and a limit.

Not here: keys and their file (``kernel.vapid``), who wants to be told and what (each package's own), metrics.
"""

import asyncio
import re
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from hashlib import sha256
from typing import TYPE_CHECKING

import orjson
from cryptography.hazmat.primitives.asymmetric import ec

from kernel.backoff import asked_s
from kernel.clock import Clock
from kernel.connecting import connector
from kernel.errors import Misconfigured, Refused
from kernel.signing import b64url, from_b64url
from kernel.vapid import VapidKey, VapidKeys

if TYPE_CHECKING:
    import aiohttp

KNOWN_HOSTS = (
    "fcm.googleapis.com",
    "*.push.services.mozilla.com",
    "*.notify.windows.com",
    "*.push.apple.com",
)
"""The services of the browsers that people have; ``*.`` stands for one or more labels."""

HERE = frozenset({"127.0.0.1", "localhost"})

ENDPOINT_MOST = 2048
POINT_BYTES = 65
AUTH_BYTES = 16
BODY_MOST = 4096
"""Octets that every service takes, encrypted (RFC 8030, section 7.2)."""

PLAIN_MOST = BODY_MOST - 86 - 16 - 1
"""Octets before that: less a header with the sender's point, a seal and the end mark (RFC 8291, section 4)."""

TTL_MOST_S = 28 * 86_400
TOKEN_S = 12 * 3_600
"""A VAPID token is good for so long; at most a day is allowed (RFC 8292, section 2)."""

TOKEN_KEEP_S = 3_600
TOKENS_MOST = 256
RETRY_MOST_S = 86_400

_ENDPOINT = re.compile(
    r"(?P<scheme>https?)://(?P<host>[a-z0-9](?:[a-z0-9.-]*[a-z0-9])?)(?::(?P<port>[0-9]{1,5}))?"
    r"/[A-Za-z0-9._~!$&'()*+,;=:@/?%-]+"
)
_PATTERN = re.compile(r"(?:\*\.)?(?:[a-z0-9](?:[a-z0-9-]*[a-z0-9])?\.)+[a-z]{2,}")
_CONTACT = re.compile(
    r"mailto:[^\s@<>,;:]+@(?:[a-z0-9-]+\.)+[a-z]{2,}|https://(?:[a-z0-9-]+\.)+[a-z]{2,}", re.IGNORECASE
)
_TOPIC = re.compile(r"[A-Za-z0-9_-]{1,32}")


class Urgency(StrEnum):
    """How soon a device that saves its battery should wake for it (RFC 8030, section 5.3)."""

    VERY_LOW = "very-low"
    LOW = "low"
    NORMAL = "normal"
    HIGH = "high"


class Outcome(StrEnum):
    """What came of one try."""

    TAKEN = "taken"
    GONE = "gone"
    """The subscription is over, or its key is no longer ours: nothing will ever reach it, forget it."""
    TOO_LARGE = "too-large"
    AGAIN = "again"
    """The service is busy or broken; it may have said when to come back."""
    AWAY = "away"
    """No connection, or no answer in time: this says nothing about the message."""
    REFUSED = "refused"
    """Any other answer; a repeat would have the same."""


@dataclass(frozen=True, slots=True)
class Answer:
    """What came of a try. `why` is a status or a word, without any address."""

    outcome: Outcome
    why: str = ""
    retry_after_s: int | None = None


@dataclass(frozen=True, slots=True)
class Push:
    """What is pushed. Of several with one `topic` that wait at the service the last one is shown only."""

    plain: bytes
    ttl_s: int
    urgency: Urgency = Urgency.NORMAL
    topic: str = ""


@dataclass(frozen=True, slots=True)
class Subscription:
    """Where one browser is reached; whoever has all of it and our key can push, so nothing of it shows in logs.

    `key` is the public VAPID key that it was made under.
    """

    endpoint: str = field(repr=False)
    p256dh: str = field(repr=False)
    auth: str = field(repr=False)
    key: str = field(repr=False)

    @property
    def host(self) -> str:
        """The service's host."""
        return self.endpoint.split("/", 3)[2]

    @property
    def origin(self) -> str:
        """The service, as a token names it."""
        return "/".join(self.endpoint.split("/", 3)[:3])

    def text(self) -> str:
        """Write it as JSON, to be kept."""
        keys = {"p256dh": self.p256dh, "auth": self.auth}
        return orjson.dumps({"endpoint": self.endpoint, "keys": keys, "key": self.key}).decode()


class PushHosts:
    """The services that may be asked."""

    def __init__(self, more: Collection[str] = (), *, loopback: bool = False) -> None:
        """`more` beside the known ones, each a host or ``*.`` and a host; `loopback`: this machine, for tests."""
        self._hosts = {host for host in (*KNOWN_HOSTS, *more) if not host.startswith("*.")}
        self._below = tuple(host[1:] for host in (*KNOWN_HOSTS, *more) if host.startswith("*."))
        self._loopback = loopback

    def allow(self, endpoint: str) -> bool:
        """Tell whether an address is one of a known service."""
        found = _ENDPOINT.fullmatch(endpoint) if len(endpoint) <= ENDPOINT_MOST else None
        if found is None:
            return False
        if found["host"] in HERE:
            return self._loopback and 0 < int(found["port"] or 80) <= 65_535
        if found["scheme"] != "https" or found["port"] not in {None, "443"}:
            return False
        return found["host"] in self._hosts or found["host"].endswith(self._below)


def wrong_hosts(patterns: Sequence[str]) -> list[str]:
    """Return those of a setting's hosts that are none."""
    return [pattern for pattern in patterns if not _PATTERN.fullmatch(pattern)]


def is_contact(text: str) -> bool:
    """Tell whether a text says how to reach who sends, as services want to have it (RFC 8292, section 2.1)."""
    return _CONTACT.fullmatch(text) is not None


def read_subscription(plain: object, key: str, hosts: PushHosts) -> Subscription:
    """Read what a browser gives (``PushSubscription.toJSON()``), made under the VAPID key `key`.

    Raises ``Refused``: ``push-subscription-invalid``.
    """
    if not isinstance(plain, Mapping) or not set(plain) <= {"endpoint", "expirationTime", "keys"}:
        raise _invalid("send endpoint and keys, as the browser gives them")
    expires = plain.get("expirationTime")
    if isinstance(expires, bool) or not isinstance(expires, int | float | None):
        raise _invalid("its expirationTime is no time")
    endpoint, keys = plain.get("endpoint"), plain.get("keys")
    if not isinstance(endpoint, str) or not hosts.allow(endpoint):
        raise _invalid("its endpoint is not one of a push service that is known here")
    if not isinstance(keys, Mapping) or set(keys) != {"p256dh", "auth"}:
        raise _invalid("its keys must be p256dh and auth")
    p256dh, auth = keys["p256dh"], keys["auth"]
    if not isinstance(p256dh, str) or not _is_point(p256dh):
        raise _invalid("p256dh must be a point of the curve P-256")
    if not isinstance(auth, str) or len(_octets(auth)) != AUTH_BYTES:
        raise _invalid("auth must be 16 octets")
    return Subscription(endpoint, p256dh, auth, key)


def stored_subscription(text: str) -> Subscription:
    """Read what ``Subscription.text`` has written; whether its host is still allowed is seen when it is used."""
    plain = orjson.loads(text)
    return Subscription(plain["endpoint"], plain["keys"]["p256dh"], plain["keys"]["auth"], plain["key"])


def topic_of(name: str) -> str:
    """Make a topic of a message's name, which a service cannot read out of it."""
    return b64url(sha256(name.encode()).digest())[:32]


class Pusher:
    """Sends. One for each process; its connections stay open."""

    def __init__(
        self,
        keys: VapidKeys,
        contact: str,
        hosts: PushHosts,
        clock: Clock,
        *,
        patience_s: float = 10.0,
        connections: int = 16,
    ) -> None:
        """`contact`: a ``mailto:``, or an ``https://`` and host, where a service reaches who sends.

        Nothing is connected yet. Raises ``Misconfigured`` for another contact.
        """
        if not is_contact(contact):
            raise Misconfigured(
                ["Push services are told whom to write to: mailto:somebody@example, or https://example."]
            )
        self._keys = keys
        self._contact = contact
        self._hosts = hosts
        self._clock = clock
        self._patience_s = patience_s
        self._connections = connections
        self._session: aiohttp.ClientSession | None = None
        self._tokens: dict[tuple[str, str], tuple[int, str]] = {}

    async def send(self, subscription: Subscription, push: Push) -> Answer:
        """Try once."""
        if len(push.plain) > PLAIN_MOST:
            return Answer(Outcome.TOO_LARGE, "plain")
        if not self._hosts.allow(subscription.endpoint):
            return Answer(Outcome.REFUSED, "host")
        key = self._keys.of(subscription.key)
        if key is None:
            return Answer(Outcome.GONE, "key")
        if self._session is None:
            await asyncio.to_thread(_load)
        import aiohttp  # noqa: PLC0415 (a shop that pushes nothing does not load it)

        body, headers = sealed(subscription, push.plain), self._headers(subscription, key, push)
        if self._session is None:
            self._session = aiohttp.ClientSession(
                connector=connector(self._connections),
                cookie_jar=aiohttp.DummyCookieJar(),
                timeout=aiohttp.ClientTimeout(total=None),
            )
        try:
            async with (
                asyncio.timeout(self._patience_s),
                self._session.post(
                    subscription.endpoint, data=body, headers=headers, allow_redirects=False
                ) as answer,
            ):
                status, later = answer.status, answer.headers.get("retry-after")
        except TimeoutError:
            return Answer(Outcome.AWAY, "no answer in time")
        except (aiohttp.ClientError, OSError) as error:
            return Answer(Outcome.AWAY, type(error).__name__)
        return judged(status, later, self._clock.now_ms())

    async def close(self) -> None:
        """Let go of the connections."""
        if self._session is not None:
            await self._session.close()
            self._session = None

    def _headers(self, subscription: Subscription, key: VapidKey, push: Push) -> dict[str, str]:
        headers = {
            "authorization": self._token(subscription.origin, key),
            "content-encoding": "aes128gcm",
            "content-type": "application/octet-stream",
            "ttl": str(min(max(push.ttl_s, 0), TTL_MOST_S)),
            "urgency": push.urgency.value,
        }
        if _TOPIC.fullmatch(push.topic):
            headers["topic"] = push.topic
        return headers

    def _token(self, origin: str, key: VapidKey) -> str:
        now_s = self._clock.now_ms() // 1000
        made_s, token = self._tokens.get((origin, key.public), (0, ""))
        if not 0 <= now_s - made_s < TOKEN_KEEP_S or not token:
            if len(self._tokens) >= TOKENS_MOST:
                self._tokens.clear()
            token = signed(key, origin, self._contact, now_s)
            self._tokens[origin, key.public] = now_s, token
        return token


def signed(key: VapidKey, origin: str, contact: str, now_s: int) -> str:
    """Write the header that tells a service who sends."""
    from py_vapid import Vapid02  # noqa: PLC0415 (a shop that pushes nothing does not load it)

    claims = {"aud": origin, "exp": now_s + TOKEN_S, "sub": contact}
    return str(Vapid02(key.private).sign(claims)["Authorization"])


def sealed(subscription: Subscription, plain: bytes) -> bytes:
    """Encrypt a message so that the one browser can read it."""
    from pywebpush import WebPusher  # noqa: PLC0415 (a shop that pushes nothing does not load it)

    keys = {"p256dh": subscription.p256dh, "auth": subscription.auth}
    body: bytes = WebPusher({"endpoint": subscription.endpoint, "keys": keys}).encode(plain)["body"]
    return body


def judged(status: int, later: str | None, now_ms: int) -> Answer:
    """Tell what a service's answer means."""
    if 200 <= status < 300:
        return Answer(Outcome.TAKEN, str(status))
    if status in {404, 410}:
        return Answer(Outcome.GONE, str(status))
    if status == 413:
        return Answer(Outcome.TOO_LARGE, str(status))
    if status == 429 or status >= 500:
        return Answer(Outcome.AGAIN, str(status), asked_s(later, now_ms, RETRY_MOST_S))
    return Answer(Outcome.REFUSED, str(status))


def _load() -> None:
    import py_vapid  # noqa: F401, PLC0415
    import pywebpush  # noqa: F401, PLC0415


def _is_point(text: str) -> bool:
    octets = _octets(text)
    if len(octets) != POINT_BYTES:
        return False
    try:
        ec.EllipticCurvePublicKey.from_encoded_point(ec.SECP256R1(), octets)
    except ValueError:
        return False
    return True


def _octets(text: str) -> bytes:
    """Read base64url; what is none, or far too long, is nothing."""
    try:
        return from_b64url(text) if len(text) <= 2 * POINT_BYTES else b""
    except ValueError:
        return b""


def _invalid(why: str) -> Refused:
    return Refused("push-subscription-invalid", f"This is no push subscription: {why}.")
