"""A fan in line: the acts of the waiting page and of the person before it, each noted in the fan's file.

The page's own behaviour is kept: it polls as told, keeps the newest document, and gives an older one back when
the room comes up again knowing less than it did (design.md, section 8). In which order a fan acts is its script
(``scripts``); what comes after the call is ``turn``; single exchanges are ``browser``.
"""

import base64
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from random import Random
from typing import Any

import orjson

from gateway.crowd.admission import claims_of
from gateway.crowd.browser import (
    HTML,
    NAVIGATION,
    RETRY_GROWTH,
    RETRY_LEAST_S,
    RETRY_MOST_S,
    Browser,
    Ended,
    Venue,
    both,
    members,
)
from gateway.crowd.law import Document, is_called, is_near, poll_s
from gateway.crowd.observed import FanFile, Joined, Outcome, Placed, Receipt, Route, Told, Turned
from gateway.crowd.wire import Answer

GIVE_BACK_RATIO = 0.1
RECEIPT_EVERY = 10
"""Of those who were drawn, one fan in so many asks for the receipt."""


@dataclass(slots=True)
class Page:
    """One open page of the room: the newest document it has, and that document's ETag."""

    document: Document | None = None
    etag: bytes = b""
    rank: int | None = None
    wait_s: float = RETRY_LEAST_S


class Fan(Browser):
    """One person in line."""

    __slots__ = (
        "clears",
        "expires_s",
        "has_receipt",
        "is_closing",
        "nears",
        "page",
        "prove",
        "rhythm",
        "sid",
        "tellings",
        "ticket",
        "token",
    )

    def __init__(self, venue: Venue, file: FanFile, random: Random) -> None:
        """Set off with an empty jar and no page open."""
        super().__init__(venue, file, random)
        self.page = Page()
        self.ticket = ""
        self.sid = ""
        self.token = ""  # the admission as it was told first, or renewed last
        self.expires_s = 0.0  # the admission's end, by the crowd's clock
        self.is_closing = False  # the line's end was announced
        self.has_receipt = False
        self.prove: Callable[[Fan], Awaitable[bool]] | None = None  # does the check; None: nobody does it
        self.clears: Callable[[Fan], Awaitable[bool]] | None = (
            None  # the same, where one comes before the turn
        )
        self.rhythm = b""  # what its page tells of its pointer; b"" for a page that tells nothing
        self.tellings = 0  # how often it tried to
        self.nears: Callable[[Fan], Awaitable[None]] | None = (
            None  # what it does when the turn is almost there
        )

    async def browse(self) -> None:
        """Come by the origin's own address; without an admission the room must answer."""
        answer = await self.ask(Route.PAGE, self.plan.target.encode(), accept=HTML, extra=NAVIGATION)
        if answer is not None and answer.status < 400 and self.is_from_origin(answer):
            self.notes.slipped.append((self.file.index, f"{self.plan.target} without an admission"))

    def is_from_origin(self, answer: Answer) -> bool:
        """Tell the origin's page from the room's, which always names the room's address."""
        mark = self.plan.origin_mark
        if mark:
            return mark.encode() in answer.body
        return self.venue.room_path not in answer.body and b'"waiting":true' not in answer.body

    async def join(self, *, copies: int = 1) -> bytes:
        """Ask for a place, ``copies`` times at once under one idempotency key, which is given back."""
        name = f"{self.random.getrandbits(128):032x}".encode()
        key = b"idempotency-key: " + name + b"\r\n"
        path = self.venue.room_path + b"/join"
        while True:
            answers: list[Answer] = await both(
                [self.insist(Route.JOIN, path, b"{}", extra=key) for _ in range(copies)]
            )
            told = [(answer, members(answer)) for answer in answers if answer.status == 200]
            if told:
                break
            await self._not_yet(answers[0])
        asked_s = min(answer.asked_at for answer in answers)
        for answer, said in told:
            self.notes.joins.append(
                Joined(self.file.index, str(said["run"]), int(said["number"]), asked_s, answer.answered_at)
            )
        self._take(told[0][1])
        self.file.joined_s = min(answer.answered_at for answer, _ in told)
        if len({(said["run"], said["number"]) for _, said in told}) > 1:
            self.file.faults.append("two joins under one idempotency key got two numbers")
        if self.file.was_suspect and self.prove is not None:
            await self.prove(self)
        return name

    async def _not_yet(self, answer: Answer) -> None:
        said = members(answer)
        code = str(said.get("code", ""))
        if code in {"room-draining", "room-over"}:
            raise Ended(Outcome.OVER)
        if code != "room-not-open":
            raise Ended(Outcome.FAILED, f"a join was answered {answer.status} {code}")
        wait_s = answer.retry_after_s or RETRY_MOST_S
        if isinstance(opens_ms := said.get("opens_ms"), int):
            wait_s = max(RETRY_LEAST_S, (opens_ms - self.venue.now_ms) / 1000)
        await self.venue.sleep(wait_s + self.random.uniform(0, 1))

    def _take(self, said: dict[str, Any]) -> None:
        file = self.file
        file.run, file.number, file.lane = str(said["run"]), int(said["number"]), str(said["lane"])
        file.was_suspect = file.was_suspect or file.lane == "suspect"
        self.ticket = str(said["ticket"])

    async def look(self, page: Page) -> bool:
        """Bring the page up to date; False when there was nothing to go by, then ``page.wait_s`` says when again."""
        extra = b"if-none-match: " + page.etag + b"\r\n" if page.etag else b""
        answer = await self.ask(Route.STATUS, self.venue.room_path + b"/status", extra=extra, cookies=False)
        if answer is None or answer.status >= 400:
            told_s = answer.retry_after_s if answer else None
            page.wait_s = told_s or min(page.wait_s * RETRY_GROWTH, RETRY_MOST_S)
            return False
        page.wait_s = RETRY_LEAST_S
        if answer.status == 200:
            try:
                document = self.venue.archive.document(answer.body, answer.answered_at)
                self.is_closing = self.is_closing or document.phase in {"draining", "ended"}
            except ValueError as error:
                self.notes.garbled.append(str(error))
                return False
            page.etag = answer.headers.get(b"etag", b"")
            held = page.document
            if held is None or document.order > held.order:
                page.document = document
                await self._give_back(held, document)
        return page.document is not None

    async def _give_back(self, held: Document | None, new: Document) -> None:
        """Tell a room that has lost something what this page still knows of it; one page in ten is enough."""
        if held is None or held.run != new.run or held.epoch >= new.epoch:
            return
        fell_back = any(new.serving[lane] < rank for lane, rank in held.serving.items())
        if fell_back and self.random.random() < GIVE_BACK_RATIO:
            await self.ask(Route.GIVE_BACK, self.venue.room_path + b"/status", held.raw, cookies=False)

    async def wait_for_call(self, page: Page | None = None) -> None:
        """Poll as told until the document calls this fan. Raises Ended when the line is over."""
        page, file = page or self.page, self.file
        while True:
            if await self.look(page) and (document := page.document) is not None:
                if document.phase == "ended" or document.run not in {"", file.run}:
                    raise self._over(document)
                rank = self.venue.archive.rank(document, file.number or 0)
                self._place(page, document, rank)
                if document.draw.seed and file.index % RECEIPT_EVERY == 0:
                    await self.read_receipt()
                if is_called(document, rank, file.lane):
                    file.called_s = self.venue.seconds() if file.called_s is None else file.called_s
                    return
                if self.nears is not None and is_near(document, rank, file.lane):
                    await self.nears(self)
                if self.random.random() < self.plan.view_ratio:
                    await self.view()
                jitter = self.random.uniform(0.8, 1.2)
                wait_s = poll_s(document, rank, file.lane, self.venue.now_ms, jitter)
            else:
                wait_s = page.wait_s * self.random.uniform(1.0, 1.3)
            await self.venue.sleep(wait_s)

    async def read_receipt(self) -> None:
        """Ask once what the room holds of this ticket: the leaf must be the one it drew with."""
        if self.has_receipt or self.file.number is None:
            return
        answer = await self.insist(Route.RECEIPT, self.venue.room_path + b"/receipt")
        if answer.status == 200:
            part = answer.body.split(b".")[1]
            said = orjson.loads(base64.urlsafe_b64decode(part + b"=" * (-len(part) % 4)))
            self.notes.receipts.append(Receipt(self.file.index, int(said["number"]), str(said["leaf"])))
        else:
            self.turned(Route.RECEIPT, answer)
        self.has_receipt = True

    def _over(self, document: Document) -> Ended:
        """The line has ended, or another stands in its place: that is a loss unless the end was announced."""
        if self.is_closing:
            return Ended(Outcome.OVER)
        lost = Turned(self.file.index, Route.STATUS, 200, "another-run", self.venue.seconds())
        self.notes.turned.append(lost)
        return Ended(Outcome.FAILED, f"the line was replaced by the run {document.run}")

    def _place(self, page: Page, document: Document, rank: int | None) -> None:
        """Note the place that follows from the document, when it is news."""
        file = self.file
        if rank != page.rank and file.number is not None:
            place = Placed(file.index, file.run, file.number, rank, document.order, "status document")
            self.notes.places.append(place)
            page.rank = file.rank = rank

    async def view(self) -> bool:
        """Read the personal ticket view; False when the ticket is refused."""
        return self.note_view(await self.insist(Route.TICKET, self.venue.room_path + b"/ticket"))

    def note_view(self, answer: Answer) -> bool:
        """Note what a ticket view said; False when it refused the ticket."""
        if answer.status != 200:
            self.turned(Route.TICKET, answer)
            return False
        said, file = members(answer), self.file
        rank, standing = said["rank"], said["standing"]
        order = int(said["epoch"]), int(said["version"])
        place = Placed(file.index, str(said["run"]), int(said["number"]), rank, order, "ticket view")
        self.notes.places.append(place)
        if rank is not None and standing in {"waiting", "called", "recall"}:
            self.told(int(rank), answer, called=standing != "waiting", order=order)
        return True

    def told(self, rank: int, answer: Answer, *, called: bool, order: tuple[int, int] | None = None) -> None:
        """Note that the room said whether this fan is called."""
        file = self.file
        self.notes.told.append(
            Told(file.index, file.run, file.lane, rank, called, order, answer.asked_at, answer.answered_at)
        )

    def turned(self, route: Route, answer: Answer) -> str:
        """Note that the genuine ticket was refused; give the reason in one line."""
        code = str(members(answer).get("code", ""))
        self.notes.turned.append(Turned(self.file.index, route, answer.status, code, answer.answered_at))
        return f"the ticket was refused at {route}: {answer.status} {code}".rstrip()

    def renewed(self) -> None:
        """Take note of an admission that came as a cookie with the origin's answer: the session goes on for longer."""
        for value in self.cookies.values():
            token = value.decode("latin-1")
            claims = claims_of(token) if token != self.token else None
            if claims is not None and claims["sub"] == self.sid:
                self.token = token
                self.expires_s = int(claims["exp"]) - self.notes.wall_ms / 1000
                if stay := self.notes.stays.get(self.sid):
                    stay.until_s = max(stay.until_s, self.expires_s)

    async def leave(self) -> None:
        """Give the place up."""
        answer = await self.insist(Route.LEAVE, self.venue.room_path + b"/leave", b"{}")
        if answer.status != 200 or members(answer).get("outcome") != "left":
            raise Ended(Outcome.FAILED, f"leaving was answered {answer.status}")
