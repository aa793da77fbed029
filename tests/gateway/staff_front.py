"""A shop at which staff log in, for tests: the room, the organiser's API, a provider, and browsers with cookies."""

import re
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
from starlette.routing import Route

from checkout.organiser.exporting import Exporting
from checkout.organiser.exports_web import ExportsDesk
from checkout.organiser.finding import Finding
from checkout.organiser.funnel import Funnel
from checkout.organiser.importing import Importing
from checkout.organiser.letters_web import LettersDesk
from checkout.organiser.orders_web import OrdersDesk
from checkout.organiser.people_web import PeopleDesk
from checkout.organiser.queues import Queues
from checkout.organiser.reporting import Reporting
from checkout.organiser.sales_web import SalesDesk
from checkout.organiser.seating import Seatings
from checkout.organiser.seating_web import SeatingDesk
from checkout.organiser.service import Organising
from checkout.organiser.staff_web import StaffDesk
from checkout.organiser.support import Support
from checkout.organiser.support_web import SupportDesk
from checkout.organiser.takings import Counting
from checkout.organiser.web import OrganiserWeb
from checkout.people.staff import StaffRole
from checkout.people.staff_people import Invited
from checkout.tickets.keys import TicketKeys
from gateway.settings import Settings
from gateway.shop import Doors
from gateway.shop_people import JoinedPeople
from gateway.shop_scan import ShopDoors
from gateway.shop_staff import JoinedStaff
from tests.gateway.oidc_front import CLIENT, SECRET, Provider, provider
from tests.gateway.shopfront import OWN
from tests.gateway.tillfront import Tillfront, till_front
from tests.kernel.authenticator import Authenticator

SITE = "http://localhost:8080"
ORIGIN = SITE
TOKEN = "the organiser's own secret"
PRICES = "/organiser/api/events/summer/prices"
NEW_PRICES = {"prices": [{"tier": 0, "prices": {"EUR": 4200}}]}


@dataclass
class StaffFront:
    """The shop."""

    till: Tillfront
    people: JoinedPeople
    staff: JoinedStaff
    provider: Provider
    app: Doors

    @property
    def clock(self) -> Any:
        """Give the shop's clock."""
        return self.till.shop.parts.clock

    def browser(self, address: str = "203.0.113.9", **headers: str) -> httpx.AsyncClient:
        """Give a browser with cookies of its own, in a network."""
        transport = httpx.ASGITransport(self.app, client=(address, 4711), raise_app_exceptions=False)
        return httpx.AsyncClient(transport=transport, base_url=SITE, headers={**OWN, **headers})

    def invite(self, name: str = "ida", role: StaffRole = StaffRole.OWNER) -> None:
        """Invite somebody by the address that the provider knows."""
        made = self.people.staff_people.invite(name, role, 30, email=f"{name}@example.org")
        assert made is Invited.MADE

    async def log_in(self, browser: httpx.AsyncClient, name: str = "ida") -> httpx.Response:
        """Log in as somebody; returns what the callback answers."""
        self.provider.subject = name
        self.provider.wrong.setdefault("email_verified", True)
        begun = await browser.get("/staff/login")
        assert begun.status_code == 303, begun.text
        return await browser.get("/staff/callback", params=self.provider.log_in(begun.headers["location"]))

    async def entered(self, name: str = "ida", role: StaffRole = StaffRole.OWNER) -> httpx.AsyncClient:
        """Invite somebody and log in; returns their browser, which sends its paper with each call."""
        self.invite(name, role)
        browser = self.browser()
        assert (await self.log_in(browser, name)).status_code == 303
        browser.headers["staff-csrf"] = await paper(browser)
        return browser


async def paper(browser: httpx.AsyncClient) -> str:
    """Read the session's paper off the page."""
    found = re.search(r'name="staff-csrf" content="([^"]+)"', (await browser.get("/staff")).text)
    assert found is not None
    return found[1]


async def add_key(
    browser: httpx.AsyncClient, code: str = "", label: str = "Blue"
) -> tuple[Authenticator, list[str]]:
    """Make a key with a browser; returns it and recovery codes."""
    key = Authenticator(ORIGIN)
    options = await browser.post("/staff/keys/options", json={"code": code})
    assert options.status_code == 200, options.text
    made = await browser.post("/staff/keys", json={"answer": key.make(options.json()), "label": label})
    assert made.status_code == 201, made.text
    return key, made.json()["recovery"]


async def prove(browser: httpx.AsyncClient, key: Authenticator) -> str:
    """Show a key; returns the code that it is worth."""
    asked = await browser.post("/staff/proof/options", json={})
    assert asked.status_code == 200, asked.text
    proved = await browser.post("/staff/proof", json={"answer": key.get(asked.json())})
    assert proved.status_code == 200, proved.text
    return str(proved.json()["code"])


def _selling(till: Tillfront, people: JoinedPeople) -> Iterator[Route]:
    """Give the addresses of what was bought, as the shop's process joins them."""
    parts = till.shop.parts
    places, clock, catalogue = parts.shards, parts.clock, parts.catalogue
    lists = (Finding(places), Queues(places), Counting(places))
    yield from OrdersDesk(catalogue, till.tills.caring, *lists, clock).routes
    yield from ExportsDesk(catalogue, Exporting(places)).routes
    yield from SalesDesk(catalogue, Funnel(places), clock).routes
    yield from SupportDesk(catalogue, Support(places, people.mails)).routes
    yield from SeatingDesk(catalogue, Seatings(catalogue, places), clock).routes
    yield from LettersDesk(catalogue, places, clock).routes


@asynccontextmanager
async def staff_front(store_url: str, folder: Path, **changes: Any) -> AsyncIterator[StaffFront]:
    """Open a shop whose staff log in at a provider of our own."""
    clock: list[Any] = []
    async with provider(lambda: clock[0].now_ms() // 1000) as own:
        own.back = f"{changes.get('staff_url', SITE)}/staff/callback"
        settings = {
            "staff_oidc_issuer": own.issuer, "staff_oidc_client_id": CLIENT, "staff_oidc_client_secret": SECRET,
            "staff_url": SITE, **changes,
        }  # fmt: skip
        async with till_front(store_url, folder, **settings) as till:
            parts, people = till.shop.parts, till.shop.people
            assert people is not None
            clock.append(parts.clock)
            given = Settings(data=folder, store_url=store_url, **settings)
            staff = JoinedStaff(given, people, parts.clock, till.metrics)
            desk = OrganiserWeb(
                parts.catalogue,
                Importing(parts.catalogue),
                Organising(parts.catalogue, parts.shards),
                Reporting(parts.catalogue, parts.shards, parts.clock),
                {"organiser": TOKEN},
                [
                    *PeopleDesk(parts.catalogue, people.contacts, people.personal, people.waiting).routes,
                    *StaffDesk(
                        people.staff_people, people.staff_sessions, lambda name: name == "program"
                    ).routes,
                    *_selling(till, people),
                    *ShopDoors(
                        given,
                        parts,
                        TicketKeys.open(given.ticket_keys_path, parts.clock.now_ms()),
                        till.metrics,
                    ).routes,
                ],
                show=people.factors.show,
                session=staff.session,
            )
            try:
                yield StaffFront(till, people, staff, own, Doors(till.app, desk, staff=staff.door(desk)))
            finally:
                await staff.close()
