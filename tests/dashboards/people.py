"""People: accounts for tests, made as people make theirs, with passwords that are quick to look at."""

import base64
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
from starlette.applications import Starlette

from dashboards.access_books import AccessBooks
from dashboards.account_book import Told
from dashboards.passwords import Cost
from dashboards.rights import Role
from kernel.clock import ManualClock
from kernel.totp import STEP_MS, code_at
from tests.dashboards.desk import client_of, csrf_in
from waitroom.configure import Actor
from waitroom.journal_store import JournalStore

CHEAP = Cost(2, 1, 1)
"""A password that is looked at in no time; ``test_passwords`` looks at the real cost once."""
PASSWORD = "a few plain words"
KEY = b"k" * 32
BY = Actor("test")
"""Who does what a test only needs to have been done."""


@contextmanager
def books_of(folder: Path, clock: ManualClock, **more: Any) -> Iterator[AccessBooks]:
    """Give the books of a fresh journal's database."""
    url = f"sqlite:///{folder / 'journal.db'}"
    with closing(JournalStore(url)) as journal:
        journal.open()
    with closing(AccessBooks(url, KEY, clock, cost=CHEAP, **more)) as books:
        yield books


@dataclass
class Someone:
    """A person with a password and a device."""

    name: str
    secret: bytes
    recovery: list[str]
    password: str = PASSWORD

    def digits(self, clock: ManualClock, beside: int = 0) -> str:
        """Read the device."""
        return code_at(self.secret, clock.now_ms() // STEP_MS + beside)


def someone(
    books: AccessBooks,
    clock: ManualClock,
    name: str = "Ann Lee",
    role: Role = Role.OWNER,
    rooms: frozenset[str] | None = None,
) -> Someone:
    """Invite somebody, who accepts; their device's next code counts from the next half minute on."""
    told, code = books.accounts.invite(name, role, rooms, BY)
    assert told is Told.DONE
    one = Someone(name, name.encode().ljust(20, b"."), [])
    told, recovery = books.accounts.accept(code, PASSWORD, one.secret, one.digits(clock))
    assert told is Told.DONE
    one.recovery = list(recovery)
    clock.advance(STEP_MS)
    return one


async def sign_in_as(
    browser: httpx.AsyncClient, one: Someone, clock: ManualClock, **fields: str
) -> httpx.Response:
    """Fill in the form for signing in with an account; `fields` override."""
    form = {
        "csrf": csrf_in(await browser.get("/login")),
        "name": one.name,
        "password": one.password,
        "code": one.digits(clock),
    }
    return await browser.post("/login", data=form | fields)


@asynccontextmanager
async def browser_of(
    app: Starlette, one: Someone, clock: ManualClock, **more: Any
) -> AsyncIterator[httpx.AsyncClient]:
    """Give a browser of somebody who has signed in; a half minute is over then."""
    async with client_of(app, **more) as browser:
        answer = await sign_in_as(browser, one, clock)
        assert (answer.status_code, answer.headers["location"]) == (303, "/"), answer.text
        clock.advance(STEP_MS)
        yield browser


async def send(browser: httpx.AsyncClient, path: str, page: str = "", **fields: str) -> httpx.Response:
    """Send a form of a page with its CSRF paper; `fields` override."""
    shown = await browser.get(page or "/" + path.split("/")[1])
    return await browser.post(path, data={"csrf": csrf_in(shown)} | fields)


def device_in(page: httpx.Response) -> tuple[bytes, str]:
    """Read a device's secret off a page, and the paper about it."""
    fours = page.text.partition("into it: <code>")[2].partition("</code>")[0]
    paper = page.text.partition('name="device" value="')[2].partition('"')[0]
    return base64.b32decode(fours.replace(" ", "")), paper
