"""Desk: an operator's application with made-up figures, and clients that talk to it."""

from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import parse_qs, urlsplit

import httpx
from redis.asyncio import Redis
from starlette.applications import Starlette

from dashboards.app import create_app
from dashboards.ports import Deps
from kernel.clock import ManualClock
from kernel.errors import Unavailable
from kernel.signing import Signer
from waitroom.configure import Configurations

TOKEN = "throwaway-operator-token"
BASE = "http://control.test"
MAIN = {"name": "main", "origin": "https://shop.example.com"}
FIGURES = {
    "phase": "serving",
    "waiting": 1200,
    "called": 14,
    "active_sessions": 371,
    "admitted_per_minute": 198,
    "max_estimated_time_minutes": 6,
}


@dataclass
class Counted:
    """Figures as a test sets them; None for a store that is away."""

    now: Mapping[str, object] | None = field(default_factory=lambda: dict(FIGURES))

    async def figures(self, room: str) -> Mapping[str, object]:  # noqa: ARG002 - the port asks for a room
        """Return what was set."""
        if self.now is None:
            raise Unavailable("store-away", "The store is away.")
        return self.now


def app_of(store: Redis, clock: ManualClock, figures: Counted | None = None, **more: Any) -> Starlette:
    """Make the application."""
    signer = Signer([("k1", b"0" * 32)], "operator")
    deps = {"operator_token": TOKEN, "signer": signer, "clock": clock} | more
    return create_app(Deps(Configurations(store, clock), figures or Counted(), **deps))


def client_of(
    app: Starlette, base: str = BASE, address: str = "192.0.2.1", **headers: str
) -> httpx.AsyncClient:
    """Make a client without a token."""
    transport = httpx.ASGITransport(app, raise_app_exceptions=False, client=(address, 40_000))
    return httpx.AsyncClient(transport=transport, base_url=base, headers=headers)


def program(app: Starlette, token: str = TOKEN, **more: Any) -> httpx.AsyncClient:
    """Make a client with a bearer token."""
    return client_of(app, authorization=f"Bearer {token}", **more)


def csrf_in(page: httpx.Response) -> str:
    """Find the CSRF paper on a page."""
    _, found, rest = page.text.partition('name="csrf" value="')
    assert found
    return rest.partition('"')[0]


async def sign_in(browser: httpx.AsyncClient, who: str = "Ann Lee", token: str = TOKEN) -> httpx.Response:
    """Fill in the form for signing in."""
    form = {"csrf": csrf_in(await browser.get("/login")), "who": who, "token": token}
    return await browser.post("/login", data=form)


@asynccontextmanager
async def signed_in(app: Starlette, who: str = "Ann Lee", **more: Any) -> AsyncIterator[httpx.AsyncClient]:
    """Give a browser of somebody who has signed in."""
    async with client_of(app, **more) as browser:
        answer = await sign_in(browser, who)
        assert (answer.status_code, answer.headers["location"]) == (303, "/")
        yield browser


async def pull(browser: httpx.AsyncClient, lever: str, room: str = "main", **form: str) -> httpx.Response:
    """Load the page and send one of its forms, as a person would; `form` overrides its fields."""
    page = await browser.get("/", params={"room": room})
    version = page.text.partition('name="version" value="')[2].partition('"')[0]
    fields = {"csrf": csrf_in(page), "version": version} | form
    return await browser.post(f"/rooms/{room}/{lever}", data=fields)


def query_of(answer: httpx.Response) -> dict[str, Sequence[str]]:
    """Return the query of where an answer leads to."""
    return dict(parse_qs(urlsplit(answer.headers["location"]).query))
