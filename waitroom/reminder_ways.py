"""Reminder ways: how a fan is reached: by mail (``kernel.mail``) or in a browser (``kernel.webpush``).

Each reads what it is given as an address, says what that address is known by, and tries to reach it once. Not here:
what is said (``reminder_letters``), how often it is tried (``reminder_round``).
"""

import json
from collections.abc import Callable

import orjson

from kernel.clock import Clock
from kernel.errors import Refused
from kernel.mail import Letter, NoAddress, Server, Takes, address_of, sender_of, written
from kernel.sending import Outcome, Result
from kernel.webpush import Outcome as Pushed
from kernel.webpush import Push, Pusher, PushHosts, Urgency, read_subscription, stored_subscription, topic_of
from waitroom.identity import mailbox
from waitroom.ports import Message

MAIL, PUSH = "mail", "push"

_OUTCOMES = {
    Pushed.TAKEN: Outcome.SENT,
    Pushed.AGAIN: Outcome.LATER,
    Pushed.AWAY: Outcome.AWAY,
    Pushed.GONE: Outcome.NEVER,
    Pushed.TOO_LARGE: Outcome.NEVER,
    Pushed.REFUSED: Outcome.NEVER,
}


class MailWay:
    """Tells by mail."""

    def __init__(self, server: Server, post: Takes, clock: Clock) -> None:
        """Nothing is connected yet. Raises ``NoAddress`` for a sender that is none."""
        self._server = server
        self._sender = sender_of(server.sender)
        if server.reply_to:
            sender_of(server.reply_to)
        self._post = post
        self._clock = clock

    def read(self, given: object) -> tuple[str, str]:
        """Read an address. It is known by its mailbox, however it is written (``identity.mailbox``)."""
        try:
            address = address_of(given if isinstance(given, str) else "")
        except NoAddress as error:
            raise _invalid("This is no e-mail address.") from error
        return address.addr_spec, mailbox(address.username, address.domain)

    async def send(self, to: str, message: Message) -> Result:
        """Write a mail and hand it over. One click in the mail program stops all of them (RFC 8058)."""
        stop = [
            ("List-Unsubscribe", f"<{message.stop}>"),
            ("List-Unsubscribe-Post", "List-Unsubscribe=One-Click"),
        ]
        letter = Letter(
            to, message.name, message.language, message.subject, message.text, message.html, more=stop
        )
        try:
            ready = written(letter, self._sender, self._server.reply_to, self._clock.now_ms())
        except NoAddress:
            return Result(Outcome.NEVER, "no-address")
        return await self._post.hand_over(ready)

    async def close(self) -> None:
        """Let go of the connections."""
        await self._post.close()


class PushWay:
    """Tells a browser, by the service that its maker runs."""

    def __init__(self, pusher: Pusher, hosts: PushHosts, key: Callable[[], str]) -> None:
        """`key` gives the public key that browsers subscribe under now."""
        self._pusher = pusher
        self._hosts = hosts
        self.key = key

    def read(self, given: object) -> tuple[str, str]:
        """Read a subscription as the browser gives it; it is known by its address."""
        try:
            subscription = read_subscription(given, self.key(), self._hosts)
        except Refused as error:
            raise _invalid("This is no push subscription of a service that is known here.") from error
        return subscription.text(), subscription.endpoint

    async def send(self, to: str, message: Message) -> Result:
        """Push a few words. A second message takes the place of a first that nobody has seen."""
        plain = orjson.dumps(
            {
                "title": message.subject,
                "body": message.short,
                "page": message.page,
                "tag": message.topic,
                "lang": message.language,
            }
        )
        push = Push(plain, message.useful_s, Urgency.HIGH, topic_of(message.topic))
        try:
            answer = await self._pusher.send(stored_subscription(to), push)
        except (json.JSONDecodeError, KeyError):
            return Result(Outcome.NEVER, "no-subscription")
        return Result(_OUTCOMES[answer.outcome], answer.why)

    async def close(self) -> None:
        """Let go of the connections."""
        await self._pusher.close()


def _invalid(public: str) -> Refused:
    return Refused("reminder-address-invalid", public)
