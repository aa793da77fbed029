"""A back office over a shop that takes money (``order_desks``): its pages, the API behind them, and browsers."""

import re
import secrets
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
from prometheus_client import CollectorRegistry
from starlette.types import Receive, Scope, Send

from checkout.backoffice.office import Office
from checkout.holds.places import OnePlace
from checkout.metrics import Metrics
from checkout.organiser.importing import Importing
from checkout.organiser.letters_web import LettersDesk
from checkout.organiser.reporting import Reporting
from checkout.organiser.service import Organising
from checkout.organiser.talking import PREFIX
from checkout.organiser.tickets_web import TicketsDesk
from checkout.organiser.web import OrganiserWeb
from checkout.people.factors import Factors
from checkout.people.keys import PeopleKeys
from checkout.people.staff import StaffRole
from checkout.people.staff_people import StaffPeople
from checkout.people.staff_sessions import StaffBounds, StaffSessions, csrf_of
from checkout.staffroom.entrance import Entrance
from checkout.tickets.links import Links
from kernel.oidc import Person
from tests.checkout.order_desks import OrderDesk, order_desk
from tests.checkout.organisers import TOKENS
from tests.checkout.reservations import EVENT
from tests.checkout.tickets.selling import tickets_at

SITE = "http://shop"
AT = f"/staff/office/events/{EVENT}"
DAY_MS = 86_400_000


@dataclass
class Browser:
    """Somebody of staff who is logged in."""

    client: httpx.AsyncClient
    csrf: str

    async def look(self, path: str, **query: str) -> httpx.Response:
        """Look at a page of the event."""
        return await self.client.get(AT + path, params=query)

    async def send(self, path: str, **fields: str) -> httpx.Response:
        """Send a form of the event's pages, with the session's paper and a new key, unless others are given."""
        given = {"csrf": self.csrf, "key": secrets.token_urlsafe(8), **fields}
        return await self.client.post(AT + path, data=given)


@dataclass
class OpenOffice:
    """The office of a shop."""

    desk: OrderDesk
    office: Office
    api: OrganiserWeb
    factors: Factors
    people: StaffPeople
    sessions: StaffSessions
    browsers: list[Browser]

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer as the shop's doors do."""
        await (self.api if scope["path"].startswith(PREFIX) else self.office)(scope, receive, send)

    async def enter(self, role: StaffRole = StaffRole.ORGANISER, **headers: str) -> Browser:
        """Log somebody in."""
        name, subject = f"the-{role.value}", f"subject-{role.value}"
        self.people.invite(name, role, 30, issuer="https://id.example", subject=subject)
        came = await self.sessions.enter(Person("https://id.example", subject, "", ""), "10.0.0.0/24")
        given = {"cookie": f"staff={came.secret}", "sec-fetch-site": "same-origin", **headers}
        transport = httpx.ASGITransport(self)
        made = Browser(
            httpx.AsyncClient(transport=transport, base_url=SITE, headers=given), csrf_of(came.secret)
        )
        self.browsers.append(made)
        return made

    def codes(self, role: StaffRole = StaffRole.ORGANISER) -> tuple[str, ...]:
        """Give somebody a second factor; returns codes that count once each."""
        return tuple(self.factors.enrol(f"the-{role.value}").recovery)


@asynccontextmanager
async def opened(url: str, store_url: str, folder: Path, **options: Any) -> AsyncIterator[OpenOffice]:
    """Open a sale, and an office beside it."""
    async with order_desk(url, store_url, **options) as desk:
        scene, places = desk.shop.scene, OnePlace(desk.shop.scene.place)
        clock, database = scene.clock, scene.database
        keys = PeopleKeys.open_keys(folder / "people-keys.json", clock.now_ms())
        people, factors = StaffPeople(database, keys, clock), Factors(database, keys, clock)
        sessions = StaffSessions(database, people, clock, StaffBounds(DAY_MS, DAY_MS, DAY_MS), {})
        metrics = Metrics(CollectorRegistry())
        identity: Any = None  # Nobody logs in at a provider here.
        entrance = Entrance(sessions, people, identity, metrics, networks=(), secure=False, kept_s=3600)
        tickets = TicketsDesk(
            tickets_at(desk.shop), Links(b"a secret of thirty-two bytes or so"), scene.catalogue
        )
        api = OrganiserWeb(
            scene.catalogue,
            Importing(scene.catalogue),
            Organising(scene.catalogue, places),
            Reporting(scene.catalogue, places, clock),
            TOKENS,
            # Those that it has itself are found first.
            [*desk.web.routes, *tickets.routes, *LettersDesk(scene.catalogue, places, clock).routes],
            show=factors.show,
            session=entrance.session,
        )
        made = OpenOffice(desk, Office(entrance, api, clock), api, factors, people, sessions, [])
        try:
            yield made
        finally:
            for browser in made.browsers:
                await browser.client.aclose()


def figures(page: str) -> dict[str, str]:
    """Read the numbers that a page shows, by name."""
    found = re.findall(r'data-figure="([^"]+)">([^<]*)', page)
    return {name: text.replace("\N{NO-BREAK SPACE}", " ").strip() for name, text in found}


def key_of(page: str, form: str) -> str:
    """Read a form's request key off its page."""
    found = re.search(rf'id="{form}".*?name="key" value="([^"]+)"', page, re.DOTALL)
    assert found is not None
    return found[1]
