"""Webhooks: messages as signed JSON to an address of the operator's; also the way to a provider of SMS.

How they are signed: ``kernel.webhook_signing``; what an answer means: ``kernel.webhook``. The body has ids and facts
and nothing of a person: whoever sends SMS looks the number up. ``traceparent`` names the trace of the order that it is
about. Not here: which addresses may be set (``settings``).
"""

from collections.abc import Collection
from datetime import UTC, datetime

import orjson

from checkout.notifications.message import WEBHOOK, Message, Outcome, Result, Send
from kernel.clock import Clock
from kernel.tracing import onward
from kernel.webhook import Hooks
from kernel.webhook_signing import signed

AT_ONCE = 4


def body_of(message: Message) -> bytes:
    """Write what a receiver gets; the same message is the same octets."""
    at = datetime.fromtimestamp(message.created_ms / 1000, UTC).isoformat(timespec="milliseconds")
    told = {"message": message.id, "event": message.event, "subject": message.subject, **message.facts}
    return orjson.dumps({"type": message.kind.value, "timestamp": at, "data": told})


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
        self._hooks = Hooks(patience_s)

    async def send(self, send: Send) -> Result:
        """Post a message, once."""
        message = send.message
        if self._kinds and message.kind.value not in self._kinds:
            return Result(Outcome.SKIPPED, "not-wanted")
        body = body_of(message)
        now_ms = self._clock.now_ms()
        return await self._hooks.post(
            self._url, body, {**signed([self._secret], message.id, now_ms // 1000, body), **onward()}, now_ms
        )

    async def close(self) -> None:
        """Let go of the connections."""
        await self._hooks.close()
