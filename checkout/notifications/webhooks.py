"""Webhooks: messages as signed JSON to an address of the operator's; also the way to a provider of SMS.

Signed as Standard Webhooks asks for (github.com/standard-webhooks): ``webhook-id`` is the message's name, by which the
receiver knows a repeat; ``webhook-timestamp`` the seconds since 1970 at which it was sent; ``webhook-signature`` is
``v1,`` and the base64 of ``HMAC-SHA256(secret, id "." timestamp "." body)``. A receiver compares in constant time and
refuses a timestamp that is older than some minutes; each try has a new one. The body has ids and facts and nothing
of a person: whoever sends SMS looks the number up. ``traceparent`` names the trace of the order that it is about.

Status 2xx is taken, 410 is for good, everything else is another time. No redirection is followed: it would carry what
was signed to an address that nobody has set. Not here: which addresses may be set (``settings``).
"""

import asyncio
import base64
from collections.abc import Collection
from datetime import UTC, datetime
from hmac import digest

import aiohttp
import orjson

from checkout.notifications.message import WEBHOOK, Message, Outcome, Result, Send
from kernel.clock import Clock
from kernel.connecting import connector
from kernel.tracing import onward

AT_ONCE = 4
GONE = 410


def body_of(message: Message) -> bytes:
    """Write what a receiver gets; the same message is the same octets."""
    at = datetime.fromtimestamp(message.created_ms / 1000, UTC).isoformat(timespec="milliseconds")
    told = {"message": message.id, "event": message.event, "subject": message.subject, **message.facts}
    return orjson.dumps({"type": message.kind.value, "timestamp": at, "data": told})


def signature(secret: bytes, id_: str, now_s: int, body: bytes) -> str:
    """Sign a body with its name and the time."""
    mac = digest(secret, f"{id_}.{now_s}.".encode() + body, "sha256")
    return f"v1,{base64.b64encode(mac).decode()}"


class Webhook:
    """A channel ``webhook.<number>``: ``ports.Channel``."""

    label = WEBHOOK
    at_once = AT_ONCE

    def __init__(
        self,
        number: int,
        url: str,
        secret: bytes,
        clock: Clock,
        *,
        kinds: Collection[str] = (),
        patience_s: float = 10.0,
    ) -> None:
        """`kinds`: what the receiver wants to hear of; none: everything. Nothing is sent yet."""
        self.name = f"{WEBHOOK}.{number}"
        self._url = url
        self._secret = secret
        self._clock = clock
        self._kinds = frozenset(kinds)
        self._patience_s = patience_s
        self._session: aiohttp.ClientSession | None = None

    async def send(self, send: Send) -> Result:
        """Post a message, once."""
        message = send.message
        if self._kinds and message.kind.value not in self._kinds:
            return Result(Outcome.SKIPPED, "not-wanted")
        body, now_s = body_of(message), self._clock.now_ms() // 1000
        headers = {
            "content-type": "application/json",
            "webhook-id": message.id,
            "webhook-timestamp": str(now_s),
            "webhook-signature": signature(self._secret, message.id, now_s, body),
            **onward(),
        }
        if self._session is None:
            self._session = aiohttp.ClientSession(
                connector=connector(),
                cookie_jar=aiohttp.DummyCookieJar(),
                timeout=aiohttp.ClientTimeout(total=None),
            )
        try:
            async with (
                asyncio.timeout(self._patience_s),
                self._session.post(self._url, data=body, headers=headers, allow_redirects=False) as answer,
            ):
                status = answer.status
        except TimeoutError:
            return Result(Outcome.AWAY, "no answer in time")
        except (aiohttp.ClientError, OSError) as error:
            return Result(Outcome.AWAY, type(error).__name__)
        if 200 <= status < 300:
            return Result(Outcome.SENT)
        return Result(Outcome.NEVER if status == GONE else Outcome.LATER, str(status))

    async def close(self) -> None:
        """Let go of the connections."""
        if self._session is not None:
            await self._session.close()
            self._session = None
