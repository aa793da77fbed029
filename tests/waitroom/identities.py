"""Identities, for tests: a house whose room asks who comes, with a mail way that keeps what it was given."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path

import httpx
from redis.asyncio import Redis

from admission.buckets import Buckets
from gateway.front import Front
from kernel.clock import ManualClock
from kernel.mail import Post, Server
from kernel.sending import Outcome, Result
from kernel.signing import Signer
from tests.waitroom.house import ROOM, House, house
from tests.waitroom.test_web import BASE, Receipts
from waitroom.codes import Batch
from waitroom.identifying import Identifying, make_codes
from waitroom.identity_book import IdentityBook
from waitroom.identity_login import IdentityLogin
from waitroom.identity_mail import NumberMail
from waitroom.identity_web import IdentityWeb
from waitroom.lanes import Lane
from waitroom.mailed_store import MailedStore
from waitroom.ports import Logins, Newcomers
from waitroom.reading import Reading
from waitroom.schedule import Phase
from waitroom.shells import Pages
from waitroom.web import LineWeb, WebSettings

SENDER = "Aurora Hall <line@aurora.example>"
SECRET = b"s" * 32
ROOMY = {"join_rate_per_minute": 1_000_000, "join_burst": 1_000_000}


@dataclass
class Heard:
    """Keeps the numbers that went out; `outcomes` are what comes of the next tries."""

    own: NumberMail
    numbers: list[tuple[str, str]] = field(default_factory=list)
    outcomes: list[bool] = field(default_factory=list)

    def read(self, given: object) -> tuple[str, str]:
        """Read an address as the real way does."""
        return self.own.read(given)

    async def send(self, to: str, name: str, number: str, language: str, room: str) -> bool:
        """Keep a number, or fail as is wanted."""
        del name, language, room
        taken = self.outcomes.pop(0) if self.outcomes else True
        if taken:
            self.numbers.append((to, number))
        return taken

    async def close(self) -> None:
        """Have nothing to let go of."""


@dataclass
class Taken:
    """A mail server that keeps what it is handed."""

    ready: list[bytes] = field(default_factory=list)
    outcome: Outcome = Outcome.SENT

    async def hand_over(self, ready: object) -> Result:
        """Keep a mail."""
        self.ready.append(ready.octets)  # type: ignore[attr-defined]
        return Result(self.outcome)

    async def close(self) -> None:
        """Have nothing to let go of."""


@dataclass
class Scene:
    """One worker whose room asks who comes, and browsers in front of it."""

    here: House
    identifying: Identifying
    book: IdentityBook
    heard: Heard
    front: Front
    client: Redis

    def browser(self, address: str = "127.0.0.1") -> httpx.AsyncClient:
        """Give another device."""
        transport = httpx.ASGITransport(app=self.front, client=(address, 1))
        return httpx.AsyncClient(transport=transport, base_url="http://room.test")

    def codes(
        self, count: int = 1, lane: Lane | None = None, until_ms: int | None = None
    ) -> tuple[Batch, list[str]]:
        """Make a batch of codes."""
        batch = self.book.make(ROOM, lane, "test", count, until_ms, {}, self.here.clock.now_ms())
        return batch, make_codes(batch, SECRET)

    async def number(self, browser: httpx.AsyncClient, to: str) -> tuple[str, str]:
        """Ask for a number; return paper and number."""
        answer = await browser.post(BASE + "/identity", json={"to": to})
        assert answer.status_code == 200, answer.text
        return answer.json()["paper"], self.heard.numbers[-1][1]

    async def beat(self) -> Reading:
        """Do what a worker does in a round."""
        reading = await self.here.beat()
        await self.identifying.tidy(ROOM)
        return reading


def number_mail(clock: ManualClock, post: Post | Taken | None = None) -> NumberMail:
    """Give a real way to write mails."""
    server = Server("127.0.0.1", 9, SENDER, "none", patience_s=5.0)
    return NumberMail(server, post or Post(server), clock)


def worker(
    here: House,
    book: IdentityBook,
    heard: Heard,
    client: Redis,
    logins: Logins | None = None,
    newcomers: Newcomers | None = None,
) -> tuple[Identifying, Front]:
    """Put identities and their web before a house."""
    buckets, pages, reached = Buckets(), Pages("/.waitroom"), WebSettings()
    identifying = Identifying(
        here.waitroom, book, MailedStore(client, clock=here.clock), heard, Signer([("k1", b"c" * 32)], "identity"),
        buckets, secret=SECRET, configured=lambda: here.journal.latest_configs().keys(),
    )  # fmt: skip
    line = LineWeb(here.waitroom, pages, buckets, Receipts(), reached, newcomers, identifying)
    login = IdentityLogin(identifying, logins, Signer([("k1", b"l" * 32)], "identity-login"))
    web = IdentityWeb(line, identifying, pages, buckets, reached, login)
    plain = {**web.plain, ("GET", "static"): line.asset}
    return identifying, Front("/.waitroom", {**line.routes, **web.routes}, plain)


@asynccontextmanager
async def scene(
    client: Redis, clock: ManualClock, folder: Path, *, logins: Logins | None = None, **settings: object
) -> AsyncIterator[Scene]:
    """Give a house whose room asks for a code, or for what `identity` says."""
    async with house(client, clock, folder) as here:
        await here.set_up(**{**ROOMY, "identity": "code", **settings})
        book = IdentityBook(f"sqlite:///{folder / 'journal.db'}")
        heard = Heard(number_mail(clock))
        identifying, front = worker(here, book, heard, client, logins)
        yield Scene(here, identifying, book, heard, front, client)
        book.close()
    await client.aclose()


async def ended(here: Scene) -> None:
    """Let the line end."""
    line = (await here.here.beat()).line
    assert line is not None
    await here.here.waitroom.store.turn(ROOM, line.run, Phase.SERVING, Phase.DRAINING, "test")
    await here.here.waitroom.store.turn(ROOM, line.run, Phase.DRAINING, Phase.ENDED, "test")
    await here.here.waitroom.refresh_room(ROOM)
    await here.identifying.tidy(ROOM)
