"""The organiser helps a buyer who asks what is kept of them: finds, tells, erases."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import httpx
import pytest
import sqlalchemy as sa

from checkout.holds.places import OnePlace
from checkout.organiser.importing import Importing
from checkout.organiser.people_web import PeopleDesk
from checkout.organiser.reporting import Reporting
from checkout.organiser.service import Organising
from checkout.organiser.talking import PREFIX
from checkout.organiser.web import OrganiserWeb
from checkout.people.contacts import Contact, Contacts
from checkout.people.personal import Personal
from checkout.tables import WAITLIST
from checkout.waitlist.contacts import WaitlistContacts
from tests.checkout.organisers import TOKEN, TOKENS, told
from tests.checkout.people.sealed import keys_in
from tests.checkout.reservations import EVENT
from tests.checkout.tills import Shop, faults, shop

ANN = Contact("ann@example.org", "en", name="Ann B")


@asynccontextmanager
async def desk(
    url: str, store_url: str, folder: Path
) -> AsyncIterator[tuple[Shop, Contacts, httpx.AsyncClient]]:
    """Open a shop that keeps contacts, and the organiser's desk of it."""
    async with shop(url, store_url) as own:
        scene = own.scene
        places = OnePlace(scene.place)
        contacts = Contacts(places, keys_in(folder), scene.clock, scene.metrics)
        waiting = WaitlistContacts(places, keys_in(folder), scene.clock, scene.metrics)
        people = PeopleDesk(scene.catalogue, contacts, Personal(places, contacts), waiting)
        web = OrganiserWeb(
            scene.catalogue,
            Importing(scene.catalogue),
            Organising(scene.catalogue, places),
            Reporting(scene.catalogue, places, scene.clock),
            TOKENS,
            people.routes,
        )
        headers = {"authorization": f"Bearer {TOKEN}"}
        transport = httpx.ASGITransport(web)
        async with httpx.AsyncClient(transport=transport, base_url="http://shop", headers=headers) as client:
            yield own, contacts, client


async def test_a_buyer_who_writes_is_found_told_and_erased(
    shop_url: str, store_url: str, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """By their address in any capitals; the log has who did it and no address; the books stand."""
    caplog.set_level("INFO")
    async with desk(shop_url, store_url, tmp_path) as (own, contacts, client):
        order = (await own.paid())["order"]
        await contacts.put(EVENT, "ann", order, ANN)
        found = await client.post(f"{PREFIX}/people/find", json={"email": "Ann@EXAMPLE.org"})
        path = f"{PREFIX}/events/{EVENT}/orders/{order}/personal"
        everything = await client.get(path)
        erased = await client.delete(path)
        nobody = await client.post(f"{PREFIX}/people/find", json={"email": "ann@example.org"})
        wrong = await faults(own)

    assert found.json() == {"orders": [{"event": EVENT, "order": order}], "waitlist": []}
    assert everything.json()["contact"]["email"] == "ann@example.org"
    assert erased.json()["erased"] == {"contact": 1}
    assert nobody.json() == {"orders": [], "waitlist": []}
    assert wrong == []
    acts = [act["act"] for act in told(caplog.records)]
    assert acts == ["buyer-looked-for", "personal-told", "personal-erased", "buyer-looked-for"]
    assert "example.org" not in str([vars(record) for record in caplog.records]).lower()


async def test_who_waits_and_writes_is_found_and_forgotten(
    shop_url: str, store_url: str, tmp_path: Path
) -> None:
    """By the address, without an order; the place in the line stays."""
    row = {
        "event_id": EVENT, "number": 3, "buyer": "ann", "wanted": 1, "state": "waiting", "created_ms": 0,
    }  # fmt: skip
    async with desk(shop_url, store_url, tmp_path) as (own, _, client):
        scene = own.scene
        with scene.database.writing() as connection:
            connection.execute(sa.insert(WAITLIST), row)
        waiting = WaitlistContacts(OnePlace(scene.place), keys_in(tmp_path), scene.clock, scene.metrics)
        assert await waiting.put(EVENT, "ann", ANN)
        found = await client.post(f"{PREFIX}/people/find", json={"email": "Ann@EXAMPLE.org"})
        path = f"{PREFIX}/events/{EVENT}/waitlist/3/contact"
        erased = [(await client.delete(path)).json() for _ in range(2)]

    assert found.json() == {"orders": [], "waitlist": [{"event": EVENT, "number": 3}]}
    assert erased == [{"erased": {"contact": 1}}, {"erased": {"contact": 0}}]


@pytest.mark.parametrize(
    ("method", "path", "plain", "status", "code"),
    [
        ("POST", "/people/find", {}, 400, "contact-malformed"),
        ("POST", "/people/find", {"email": 1}, 400, "contact-malformed"),
        ("POST", "/people/find", {"email": "a@b.co", "name": "x"}, 400, "contact-malformed"),
        ("POST", "/people/find", {"email": "nobody"}, 400, "email-malformed"),
        ("GET", f"/events/{EVENT}/orders/Onone/personal", None, 404, "order-unknown"),
        ("GET", f"/events/{EVENT}/orders/OAAAAAAAAAAA/personal", None, 404, "order-unknown"),
        ("GET", "/events/winter/orders/OAAAAAAAAAAA/personal", None, 404, "event-unknown"),
        ("DELETE", f"/events/{EVENT}/waitlist/x/contact", None, 404, "not-waiting"),
        ("DELETE", f"/events/{EVENT}/waitlist/0/contact", None, 404, "not-waiting"),
        ("DELETE", "/events/winter/waitlist/1/contact", None, 404, "event-unknown"),
        ("DELETE", f"/events/{EVENT}/orders/%00/personal", None, 404, "order-unknown"),
    ],
)
async def test_bad_input_has_its_answer(
    method: str,
    path: str,
    plain: object,
    status: int,
    code: str,
    shop_url: str,
    store_url: str,
    tmp_path: Path,
) -> None:
    """Each row of the table."""
    async with desk(shop_url, store_url, tmp_path) as (_, _, client):
        answer = await client.request(method, PREFIX + path, json=plain)

    assert (answer.status_code, answer.json()["code"]) == (status, code)
