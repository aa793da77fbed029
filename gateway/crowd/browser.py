"""A browser: one fan's cookies and address, and single exchanges with the room.

Every exchange is counted and timed here, so that no script can forget to. What a browser and its page do without
being asked is here too: keep cookies, say where a POST comes from, come back when Retry-After says so.
Not here: what a fan wants (``fan``, ``scripts``).
"""

import asyncio
from collections.abc import Callable, Coroutine, Sequence
from dataclasses import dataclass, field
from random import Random
from typing import Any, Protocol
from urllib.parse import urlsplit

import orjson

from gateway.crowd.bots.guise import Guise
from gateway.crowd.clock import WallClock
from gateway.crowd.law import Library
from gateway.crowd.observed import LATER, Failed, FanFile, Observed, Outcome, Route
from gateway.crowd.plan import Plan
from gateway.crowd.seats.hall import Programme
from gateway.crowd.wire import Answer, NoAnswer, Wire

RETRY_LEAST_S = 1.0
RETRY_MOST_S = 8.0
RETRY_GROWTH = 1.6
JSON = b"application/json"
HTML = b"text/html,application/xhtml+xml;q=0.9,*/*;q=0.8"
NAVIGATION = b"sec-fetch-mode: navigate\r\nsec-fetch-dest: document\r\n"
AGENT = b"user-agent: Mozilla/5.0 (compatible; waitroom-crowd)\r\n"
TOO_MANY = 429
HOUSEHOLD = 3
"""Fans that share one address, as behind a home's router."""


class Ended(Exception):
    """The fan's day ends here."""

    def __init__(self, outcome: Outcome, fault: str = "") -> None:
        super().__init__(outcome.value)
        self.outcome = outcome
        self.fault = fault


class Listening(Protocol):
    """An answer that goes on coming."""

    status: int
    headers: dict[bytes, bytes]

    async def read(self) -> bytes:
        """Give what has come since; b"" at its end. Raises streams.BrokenOff."""

    def close(self) -> None:
        """Listen no longer."""


class Asker(Protocol):
    """What a browser needs of the wire."""

    async def ask(self, method: bytes, path: bytes, headers: bytes = b"", body: bytes = b"") -> Answer:
        """Send one request and give the answer, or raise NoAnswer."""

    async def ask_and_hang_up(
        self, method: bytes, path: bytes, headers: bytes = b"", body: bytes = b""
    ) -> None:
        """Send one request and never hear the answer."""

    async def stream(self, path: bytes, headers: bytes = b"") -> Listening:
        """Ask for an answer that goes on coming, or raise NoAnswer."""


@dataclass(slots=True)
class Venue:
    """What all fans share."""

    plan: Plan
    wire: Asker
    seconds: Callable[[], float]  # the crowd's clock
    wall: WallClock
    programme: Programme = field(default_factory=Programme)
    archive: Library = field(default_factory=Library)
    observed: Observed = field(default_factory=Observed)
    closing: asyncio.Event = field(default_factory=asyncio.Event)
    sleepers: set["asyncio.Task[Any]"] = field(default_factory=set)
    banks: dict[tuple[str, int], Wire] = field(default_factory=dict)
    rings: dict[tuple[str, int], Any] = field(default_factory=dict)  # what bots of one owner share
    hears: bool = True  # the room looks at rhythms; elsewhere its page tells none

    def wire_for_one(self) -> Asker:
        """Give the wire that one fan speaks over: everybody's, or one of its own."""
        return self.wire.apart() if self.plan.own_sockets and isinstance(self.wire, Wire) else self.wire

    def bank(self, url: str) -> tuple[Asker, bytes]:
        """Give the wire to a bank's page, which stands at an address of its own, and the page's path."""
        parts = urlsplit(url)
        path = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
        if not isinstance(self.wire, Wire):
            return self.wire, path.encode()
        host = parts.hostname or ""
        where = "127.0.0.1" if host == "localhost" else host, parts.port or 80
        if where not in self.banks:
            self.banks[where] = self.wire.beside(*where)
        return self.banks[where], path.encode()

    @property
    def now_ms(self) -> float:
        """The room's clock, as far as the crowd knows it."""
        return self.observed.wall_ms + self.seconds() * 1000

    @property
    def room_path(self) -> bytes:
        """The address below which everything of the room stands."""
        return f"{self.plan.prefix}/r/{self.plan.room}".encode()

    async def sleep(self, seconds: float) -> None:
        """Let time pass. Raises Ended when the crowd is sent home meanwhile."""
        if self.closing.is_set():
            raise Ended(Outcome.WAITING)
        task = asyncio.current_task()
        assert task is not None  # noqa: S101 - coroutines run in tasks
        self.sleepers.add(task)
        try:
            await asyncio.sleep(seconds)
        except asyncio.CancelledError:
            if self.closing.is_set() and task.cancelling() == 1:
                task.uncancel()
                raise Ended(Outcome.WAITING) from None
            raise
        finally:
            self.sleepers.discard(task)

    def close(self) -> None:
        """Send everybody home: who sleeps is woken, who talks may finish the sentence."""
        if not self.closing.is_set():
            self.closing.set()
            for task in self.sleepers:
                task.cancel()


class Browser:
    """One browser with its jar of cookies."""

    __slots__ = ("_act", "_address", "cookies", "file", "guise", "notes", "plan", "random", "venue", "wire")

    def __init__(self, venue: Venue, file: FanFile, random: Random) -> None:
        """Open a browser with no cookies."""
        self.venue = venue
        self.plan = venue.plan
        self.notes = venue.observed
        self.file = file
        self.random = random
        self.wire = venue.wire_for_one()
        self.cookies: dict[bytes, bytes] = {}
        self.guise: Guise | None = None  # what it wears in a crowd that has bots
        address = file.index // HOUSEHOLD  # from 198.18.0.0/15, set aside for load tests (RFC 2544)
        text = f"x-forwarded-for: 198.{18 + (address >> 16 & 1)}.{address >> 8 & 255}.{address & 255}\r\n"
        self._address = text.encode() if self.plan.forwarded else b""
        self._act = b"origin: %s\r\nsec-fetch-site: same-origin\r\n" % self.plan.url.rstrip("/").encode()

    def head(self, accept: bytes, body: bytes | None, extra: bytes, *, cookies: bool) -> bytes:
        """The header lines of one request."""
        guise = self.guise
        worn, act = (AGENT + self._address, self._act) if guise is None else (guise.head, guise.act)
        lines = [worn, b"accept: ", accept, b"\r\n", extra]
        if cookies and self.cookies:
            lines += [b"cookie: ", b"; ".join([b"%s=%s" % pair for pair in self.cookies.items()]), b"\r\n"]
        if body is not None:
            lines.append(act)
        if body:
            lines.append(b"content-type: application/json\r\n")
        return b"".join(lines)

    async def ask(
        self,
        route: Route,
        path: bytes,
        body: bytes | None = None,
        *,
        accept: bytes = JSON,
        extra: bytes = b"",
        cookies: bool = True,
        method: bytes | None = None,
    ) -> Answer | None:
        """One exchange: a POST when there is a body, even an empty one. None when no answer came."""
        method = method or (b"GET" if body is None else b"POST")
        head = self.head(accept, body, extra, cookies=cookies)
        notes = self.notes
        wanted_s = self.venue.seconds()
        notes.requests[route][int(wanted_s)] += 1
        try:
            answer = await self.wire.ask(method, path, head, body or b"")
        except NoAnswer as error:
            now_s = self.venue.seconds()
            notes.failures.append(
                Failed(self.file.index, route, error.kind, retry_told=False, since_s=wanted_s, until_s=now_s)
            )
            return None
        # As the fan feels it, so with the wait for a connection: a slow room must not slow its own measure.
        notes.latencies_ms[route].append((answer.answered_at - wanted_s) * 1000)
        notes.queues_ms.append((answer.asked_at - wanted_s) * 1000)
        for cookie in answer.cookies:
            self.keep(cookie)
        if answer.status >= 500 or answer.status in LATER:
            self._note_refusal(route, answer)
        return answer

    async def try_for(self, route: Route, path: bytes) -> Answer | None:
        """Ask for what may not be there at all: whatever the answer is, it is no failure of the room."""
        self.notes.requests[route][int(self.venue.seconds())] += 1
        try:
            answer = await self.wire.ask(b"GET", path, self.head(JSON, None, b"", cookies=True))
        except NoAnswer:
            return None
        for cookie in answer.cookies:
            self.keep(cookie)
        return answer

    async def insist(
        self,
        route: Route,
        path: bytes,
        body: bytes | None = None,
        *,
        accept: bytes = JSON,
        extra: bytes = b"",
    ) -> Answer:
        """Ask until the answer is not "later", as the page does.

        ``asked_at`` of the answer is that of the first try, because that try may be the one that counted.
        """
        pause_s = RETRY_LEAST_S
        asked_at: float | None = None
        while True:
            since_s = self.venue.seconds()
            answer = await self.ask(route, path, body, accept=accept, extra=extra)
            if asked_at is None:
                asked_at = answer.asked_at if answer else since_s
            if answer is not None and answer.status != 429 and answer.status < 500:
                answer.asked_at = asked_at
                return answer
            wait_s = (answer.retry_after_s if answer else None) or pause_s
            pause_s = min(pause_s * RETRY_GROWTH, RETRY_MOST_S)
            await self.venue.sleep(wait_s * self.random.uniform(1.0, 1.3))

    def keep(self, cookie: bytes) -> None:
        """Put one Set-Cookie into the jar, or take it out."""
        pair, _, attributes = cookie.partition(b";")
        name, _, value = pair.strip().partition(b"=")
        if not value or b"max-age=0" in attributes.lower().replace(b" ", b"").split(b";"):
            self.cookies.pop(name, None)
        else:
            self.cookies[name] = value

    def _note_refusal(self, route: Route, answer: Answer) -> None:
        told = answer.retry_after_s is not None
        failed = Failed(
            self.file.index,
            route,
            str(answer.status),
            retry_told=told,
            since_s=answer.asked_at,
            until_s=answer.answered_at,
        )
        self.notes.refusals[route, answer.status] += 1
        self.file.put_off += answer.status == TOO_MANY and route in {Route.JOIN, Route.CHECK}
        if answer.status >= 500:
            self.notes.failures.append(failed)
        if answer.status in LATER and not told:
            self.notes.hasty.append(failed)


def members(answer: Answer) -> dict[str, Any]:
    """The JSON object in an answer; empty when there is none."""
    try:
        found = orjson.loads(answer.body)
    except ValueError:
        return {}
    return found if isinstance(found, dict) else {}


async def both(acts: Sequence[Coroutine[Any, Any, Any]]) -> list[Any]:
    """Do several things at once and wait for all, whatever becomes of one; then raise the first failure."""
    results = await asyncio.gather(*acts, return_exceptions=True)
    for result in results:
        if isinstance(result, BaseException):
            raise result
    return list(results)
