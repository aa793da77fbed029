"""Target ways: how a target is told: a signed webhook, a line in a chat, a mail.

Each takes a portion of events, tells them once, and says what came of it. A webhook carries one event; its name
(``webhook-id``) follows from the target and the event, so a repeat is known as one. A chat and a mail carry sentences
of several; what nobody needs to hear of is not sent at all. Not here: how far a target has heard, when it is tried
again (``target_round``), which addresses may be reached (``targets``).
"""

import secrets
from collections.abc import Callable, Sequence

import orjson

from kernel.clock import Clock
from kernel.mail import Letter, NoAddress, Server, Takes, sender_of, written
from kernel.sending import Outcome, Result
from kernel.webhook import Hooks
from kernel.webhook_signing import signed
from waitroom.event_words import message
from waitroom.events import SCHEMA, Told, event_of, moment
from waitroom.targets import Target, Way

MOST: dict[Way, int] = {Way.WEBHOOK: 1, Way.CHAT: 20, Way.MAIL: 200}
"""Events that are told at once."""

BURST_MS = 60_000
"""So long a mail waits after its first event, so that what comes together is one mail."""

SecretsOf = Callable[[Target], Sequence[bytes]]
"""The secrets that sign what a target gets: the present one, and the one before while it still holds."""


class TargetWays:
    """Tells targets."""

    def __init__(
        self, hooks: Hooks, secrets_of: SecretsOf, clock: Clock, mail: tuple[Server, Takes] | None = None
    ) -> None:
        """`mail`: the server, and who takes its mails; None where there is none."""
        self._hooks = hooks
        self._secrets_of = secrets_of
        self._clock = clock
        self._mail = mail

    async def tell(self, target: Target, told: Sequence[Told]) -> Result:
        """Tell a target of some events, once."""
        if target.way is Way.WEBHOOK:
            (one,) = told
            return await self._hook(target, f"{target.name}.{one.entry.seq}", _hook_body(one))
        lines = [line for one in told if (line := message(one, loud=not target.kinds))]
        if not lines:
            return Result(Outcome.SKIPPED, "nothing to say")
        if target.way is Way.CHAT:
            return await self._chat(target, "\n".join(lines))
        first, last = told[0].entry, told[-1].entry
        stamps = [
            f"{moment(one.entry.at_ms)[:19].replace('T', ' ')} UTC  {line}"
            for one in told
            if (line := message(one, loud=not target.kinds))
        ]
        return await self._letter(
            target, f"events.{target.name}.{first.seq}-{last.seq}", _subject(lines), "\n".join(stamps)
        )

    async def test(self, target: Target) -> Result:
        """Tell a target that this is a test."""
        now_ms, name = self._clock.now_ms(), f"{target.name}.test.{secrets.token_hex(6)}"
        said = "This is a test of Waitroom. Nothing has happened in any room."
        match target.way:
            case Way.WEBHOOK:
                body = {"type": "waitroom.test", "timestamp": moment(now_ms), "data": {"schema": SCHEMA}}
                return await self._hook(target, name, orjson.dumps(body))
            case Way.CHAT:
                return await self._chat(target, said)
            case Way.MAIL:
                return await self._letter(target, f"events.{name}", "Waitroom: a test", said)

    async def close(self) -> None:
        """Let go of the connections."""
        await self._hooks.close()
        if self._mail is not None:
            await self._mail[1].close()

    async def _hook(self, target: Target, name: str, body: bytes) -> Result:
        now_ms = self._clock.now_ms()
        headers = signed(self._secrets_of(target), name, now_ms // 1000, body)
        return await self._hooks.post(target.address, body, headers, now_ms)

    async def _chat(self, target: Target, text: str) -> Result:
        return await self._hooks.post(target.address, orjson.dumps({"text": text}), {}, self._clock.now_ms())

    async def _letter(self, target: Target, name: str, subject: str, text: str) -> Result:
        if self._mail is None:
            return Result(Outcome.LATER, "no mail server")
        server, post = self._mail
        letter = Letter(target.address, name, "en", subject, f"{text}\n", "")
        try:
            ready = written(letter, sender_of(server.sender), server.reply_to, self._clock.now_ms())
        except NoAddress:
            return Result(Outcome.NEVER, "no-address")
        return await post.hand_over(ready)


def _hook_body(told: Told) -> bytes:
    """Write what a webhook gets; the same event is the same octets."""
    event = event_of(told)
    return orjson.dumps({"type": f"waitroom.{event['kind']}", "timestamp": event["at"], "data": event})


def _subject(lines: Sequence[str]) -> str:
    first = lines[0] if len(lines[0]) <= 100 else lines[0][:99] + "…"
    return f"Waitroom: {first}" + (f" (and {len(lines) - 1} more)" if len(lines) > 1 else "")
