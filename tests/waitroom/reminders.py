"""Reminders, for tests: a house whose room tells its fans, a mail server, and a push service of our own."""

import re
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
from redis.asyncio import Redis

from admission.buckets import Buckets
from gateway.front import Front
from kernel.clock import ManualClock
from kernel.mail import Post, Server
from kernel.sending import Outcome, Result
from kernel.signing import Signer
from kernel.vapid import VapidKeys
from kernel.webpush import Pusher, PushHosts
from tests.waitroom.house import ROOM, House, house
from tests.waitroom.test_web import BASE, Receipts
from waitroom.lanes import Serving
from waitroom.ports import Message, Way
from waitroom.reminder_round import ReminderRound
from waitroom.reminder_store import ReminderStore
from waitroom.reminder_ways import MailWay, PushWay
from waitroom.reminder_web import ReminderWeb
from waitroom.reminding import Reminding
from waitroom.shells import Pages
from waitroom.web import LineWeb, WebSettings

SITE = "https://tickets.example/.waitroom"
SENDER = "Aurora Hall <line@aurora.example>"
ADA = "ada@fans.example"
ROOMY = {"join_rate_per_minute": 1_000_000, "join_burst": 1_000_000}


@dataclass
class Door:
    """Knows who was let in."""

    claimed: set[int] = field(default_factory=set)

    async def has_claimed(self, room: str, number: int) -> bool:
        """Tell whether a place was let in."""
        del room
        return number in self.claimed


@dataclass
class Heard:
    """A mail way that keeps what it was given; `answers` are its own by address, in turn, then it takes everything."""

    own: MailWay
    sent: list[tuple[str, Message]] = field(default_factory=list)
    answers: dict[str, list[Outcome]] = field(default_factory=dict)

    def read(self, given: object) -> tuple[str, str]:
        """Read an address as the real way does."""
        return self.own.read(given)

    async def send(self, to: str, message: Message) -> Result:
        """Take a message, or answer what is to be answered."""
        answers = self.answers.get(to)
        outcome = answers.pop(0) if answers else Outcome.SENT
        if outcome is Outcome.SENT:
            self.sent.append((to, message))
        return Result(outcome, "double")

    async def close(self) -> None:
        """Have nothing to let go of."""

    @property
    def subjects(self) -> list[str]:
        """What was told, in order."""
        return [message.subject for _, message in self.sent]


@dataclass
class Scene:
    """One worker whose room tells its fans, and a browser in front of it."""

    here: House
    browser: httpx.AsyncClient
    reminding: Reminding
    round: ReminderRound
    store: ReminderStore
    heard: Heard
    door: Door
    client: Redis

    async def joined(self, number_of: int = 1) -> list[str]:
        """Let so many join; return their tickets. The browser keeps the last one's."""
        tickets = []
        for _ in range(number_of):
            answer = await self.browser.post(BASE + "/join", json={"again": True})
            tickets.append(answer.json()["ticket"])
        await self.here.beat()
        return tickets

    async def asks(self, ticket: str = "", to: str = ADA, **more: object) -> httpx.Response:
        """Ask to be told by mail."""
        headers = {"waitroom-ticket": ticket} if ticket else {}
        fields = {"way": "mail", "to": to, "consent": True, "lang": "en", **more}
        return await self.browser.post(BASE + "/remind", json=fields, headers=headers)

    async def call(self, serving: int, plan_per_minute: int = 60) -> None:
        """Call everybody below a rank, a second later."""
        self.here.clock.advance(1000)
        line = (await self.here.beat()).line
        assert line is not None
        slot, now_ms = self.here.clock.now_ms() // 250, self.here.clock.now_ms()
        bound = Serving(serving, serving, serving)
        await self.here.waitroom.store.call(ROOM, line.run, slot, bound, plan_per_minute, now_ms)
        await self.here.beat()

    async def beats(self, times: int = 1) -> None:
        """Do rounds, each until everything that it took was tried."""
        for _ in range(times):
            await self.round.beat()
            await self.round.settled()

    async def everything(self) -> bytes:
        """Read every key and every value of the store, as one text to look for something in."""
        found: list[bytes] = []
        async for key in self.client.scan_iter("*"):
            found += [key, await self.client.dump(key) or b"", *(await _values(self.client, key))]
        return b"\n".join(found)


async def _values(client: Redis, key: bytes) -> list[bytes]:
    match await client.type(key):
        case b"hash":
            return [part for pair in (await client.hgetall(key)).items() for part in pair]  # type: ignore[misc]
        case b"string":
            return [await client.get(key) or b""]
        case b"set":
            return list(await client.smembers(key))  # type: ignore[misc,arg-type]
        case b"zset":
            return list(await client.zrange(key, 0, -1))
        case b"list":
            return list(await client.lrange(key, 0, -1))  # type: ignore[misc]
        case b"stream":
            return [repr(entry).encode() for entry in await client.xrange(key)]
        case _:
            return []


def mail_way(clock: ManualClock, port: int = 9) -> MailWay:
    """Give a real way to a mail server on this machine."""
    server = Server("127.0.0.1", port, SENDER, "none", patience_s=5.0)
    return MailWay(server, Post(server), clock)


def push_way(clock: ManualClock, folder: Path) -> PushWay:
    """Give a real way to push services on this machine."""
    keys, hosts = VapidKeys.open_keys(folder / "push-keys.json", 1), PushHosts(loopback=True)
    return PushWay(
        Pusher(keys, "mailto:line@aurora.example", hosts, clock), hosts, lambda: keys.newest.public
    )


@asynccontextmanager
async def scene(
    client: Redis,
    clock: ManualClock,
    folder: Path,
    *,
    more: Mapping[str, Way] | None = None,
    **settings: object,
) -> AsyncIterator[Scene]:
    """Give a house whose room tells its fans ten minutes before; `more` are ways beside the double of mail."""
    heard, door = Heard(mail_way(clock)), Door()
    async with house(client, clock, folder) as here:
        await here.set_up(**{**ROOMY, "reminder_minutes": 10, **settings})
        store = ReminderStore(client, clock=clock)
        signer = Signer([("k1", b"c" * 32)], "reminder")
        reminding = Reminding(here.waitroom, store, {"mail": heard, **(more or {})}, signer, secret=b"s" * 32)
        pages, reached, buckets = Pages("/.waitroom", reminds=True), WebSettings(), Buckets()
        line = LineWeb(here.waitroom, pages, buckets, Receipts(), reached)
        web = ReminderWeb(line, reminding, pages, buckets, reached)
        front = Front("/.waitroom", {**line.routes, **web.routes}, {("GET", "static"): line.asset})
        round_ = ReminderRound(reminding, pages, door, SITE, chance=lambda: 0.0)
        transport = httpx.ASGITransport(app=front)
        async with httpx.AsyncClient(transport=transport, base_url="http://room.test") as browser:
            yield Scene(here, browser, reminding, round_, store, heard, door, client)
        await round_.stop()
    await client.aclose()


def stop_link(message: Any) -> str:
    """Find the address that stops all messages, as the browser of the test reaches it."""
    found = re.search(r"https://tickets\.example(/\S+/remind/stop\?\S+)", message.text)
    assert found is not None
    return found[1]
