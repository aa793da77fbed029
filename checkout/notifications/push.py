"""Push: messages as Web Push to the browsers in which somebody wants to be told of an order.

An order may have several browsers, at several services. A message is sent when one of them has taken it and none wants
it later; it is tried again, for all of them, while one may still take it: with the same topic and tag a browser shows
it once, in the place of what it has shown. A browser that its service does not know any more is forgotten. A service
that does not answer rests for a moment, so that messages to others do not wait for it; that says nothing of the others,
and so the channel as a whole is never away.

What is sent has a title, a sentence, and the path of a page, padded to one length: a service that only sees the size of
it cannot tell what it is. Not here: encryption and services (``kernel.webpush``), words (``site.notes``).
"""

import asyncio
from collections import Counter
from collections.abc import Sequence

import orjson

from checkout.notifications.message import PUSH, Kind, Message, Outcome, Result, Send
from checkout.notifications.ports import Device, Devices, Note, NoteWriter
from kernel.clock import Clock
from kernel.webpush import Answer, Pusher, Urgency, topic_of
from kernel.webpush import Outcome as Came
from kernel.webpush import Push as Pushed

AT_ONCE = 8
DAYS_S = 3 * 86_400
"""So long a service keeps a message for a device that is off; then the page and the mail have told it."""

PADDED = 512
REST_MS = 10_000
SOON = frozenset({Kind.WAITLIST_OFFER})
"""What is worth waking a device for."""

RESTING = Answer(Came.AWAY, "the service rests", REST_MS // 1000)


class Pushing:
    """The channel ``push``: ``ports.Channel``."""

    name = PUSH
    label = PUSH
    at_once = AT_ONCE

    def __init__(self, pusher: Pusher, devices: Devices, writer: NoteWriter, clock: Clock) -> None:
        """Nothing is sent yet."""
        self._pusher = pusher
        self._devices = devices
        self._writer = writer
        self._clock = clock
        self._rests: dict[str, int] = {}

    async def send(self, send: Send) -> Result:
        """Try once, to every browser of the order."""
        message = send.message
        ttl_s = ttl_of(message, self._clock.now_ms())
        if ttl_s <= 0:
            return Result(Outcome.SKIPPED, "over")
        devices = await self._devices.of(message.event, message.subject)
        if not devices:
            return Result(Outcome.SKIPPED, "no-device")
        tongues = {device.language for device in devices}
        notes = {tongue: await self._writer.note(message, tongue) for tongue in sorted(tongues)}
        answers = await asyncio.gather(
            *(self._one(message, device, notes[device.language], ttl_s) for device in devices)
        )
        return judged(answers)

    async def close(self) -> None:
        """Let go of the connections."""
        await self._pusher.close()

    async def _one(self, message: Message, device: Device, note: Note, ttl_s: int) -> Answer:
        host, now_ms = device.subscription.host, self._clock.now_ms()
        if 0 < self._rests.get(host, 0) - now_ms <= REST_MS:
            return RESTING
        topic = topic_of(message.id)
        urgency = Urgency.HIGH if message.kind in SOON else Urgency.NORMAL
        answer = await self._pusher.send(
            device.subscription, Pushed(plain_of(note, topic), ttl_s, urgency, topic)
        )
        if answer.outcome is Came.AWAY:
            self._rests[host] = self._clock.now_ms() + REST_MS
        elif answer.outcome is Came.GONE:
            await self._devices.gone(message.event, message.subject, device.name)
        return answer


def judged(answers: Sequence[Answer]) -> Result:
    """Tell what came of a try by what came of each browser's."""
    came = Counter(answer.outcome for answer in answers)
    if came[Came.AGAIN] or came[Came.AWAY]:
        open_ = [answer for answer in answers if answer.outcome in {Came.AGAIN, Came.AWAY}]
        return Result(Outcome.LATER, open_[0].why, max(answer.retry_after_s or 0 for answer in open_))
    if came[Came.TAKEN]:
        return Result(Outcome.SENT)
    if came[Came.REFUSED] or came[Came.TOO_LARGE]:
        return Result(Outcome.NEVER, next(one.why for one in answers if one.outcome is not Came.GONE))
    return Result(Outcome.SKIPPED, "gone")


def ttl_of(message: Message, now_ms: int) -> int:
    """Tell how many seconds a message is worth anything to whoever is away; an offer ends with its seats."""
    until_ms = message.facts.get("until_ms") if message.kind in SOON else None
    return DAYS_S if until_ms is None else min(DAYS_S, int(until_ms - now_ms) // 1000)


def plain_of(note: Note, tag: str) -> bytes:
    """Write what the browser reads; blanks at the end make it as long as others."""
    octets = orjson.dumps(
        {
            "title": note.title, "body": note.body, "tag": tag, "lang": note.language, "dir": note.direction,
            "path": note.path,
        }
    )  # fmt: skip
    return octets.ljust(-(-len(octets) // PADDED) * PADDED)
