"""The addresses of contacts and of personal data: every bad input has its answer, and nobody reads another's."""

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import httpx

from checkout.holds.places import OnePlace
from checkout.people.contacts import Contacts
from checkout.people.personal import Personal
from checkout.people.web import PeopleWeb
from checkout.site.web import Shop as Site
from checkout.site.web import routes_of
from kernel.asgi import Receive, Scope, Send, header
from tests.checkout.people.sealed import keys_in
from tests.checkout.reservations import EVENT
from tests.checkout.tills import Shop, shop

ANN = {"email": "Ann@Example.org", "name": "Ann B", "language": "de"}
KEPT = {"email": "Ann@example.org", "name": "Ann B", "language": "de", "shown": "A•••@example.org"}


@asynccontextmanager
async def asking(
    url: str, store_url: str, folder: Path
) -> AsyncIterator[tuple[Shop, Contacts, httpx.AsyncClient]]:
    """Open a shop that keeps contacts, and ask as a page does; a header says who asks."""

    def buyer_of(scope: Scope) -> str:
        return (header(scope, b"buyer") or b"ann").decode()

    async def nowhere(scope: Scope, receive: Receive, send: Send) -> None:
        raise AssertionError(scope["path"])

    async with shop(url, store_url) as own:
        places, metrics = OnePlace(own.scene.place), own.scene.metrics
        contacts = Contacts(places, keys_in(folder), own.scene.clock, metrics)
        web = PeopleWeb(contacts, Personal(places, contacts), buyer_of, ["en", "de"], metrics)
        transport = httpx.ASGITransport(Site(routes_of(web), {}, nowhere, []))
        async with httpx.AsyncClient(transport=transport, base_url="http://shop.example") as client:
            yield own, contacts, client


def at(path: str) -> str:
    """Write an address of the event."""
    return f"/api/events/{EVENT}/{path}"


async def test_the_way_of_a_contact(shop_url: str, store_url: str, tmp_path: Path) -> None:
    """None at first; kept, told, told in everything that is kept, erased, and none again."""
    async with asking(shop_url, store_url, tmp_path) as (own, _, page):
        order = (await own.order())["order"]
        path = at(f"orders/{order}/contact")
        nobody = await page.get(path)
        put = await page.put(path, json=ANN)
        got = await page.get(path)
        everything = await page.get(at(f"orders/{order}/personal"))
        gone = await page.delete(path)
        after = await page.get(path)
        again = await page.delete(path)
        usual = await page.put(path, json={"email": "ann@example.org"})
        erased = await page.delete(at(f"orders/{order}/personal"))

    assert (nobody.status_code, nobody.json()["code"]) == (404, "contact-unknown")
    assert put.json() == got.json() == KEPT
    assert got.headers["cache-control"] == "no-store"
    assert everything.json()["contact"]["email"] == "Ann@example.org"
    assert everything.json()["order"]["id"] == order
    assert [one.status_code for one in (gone, after, again)] == [204, 404, 204]
    assert usual.json()["language"] == "en"
    assert erased.json()["erased"] == {"contact": 1}
    assert set(erased.json()["kept"]) == {"order", "payments", "log"}


BAD: list[tuple[str, str, Mapping[str, Any], int, str]] = [
    ("GET", "orders/{o}/contact", {"headers": {"buyer": "bob"}}, 404, "order-unknown"),
    ("GET", "orders/{o}/personal", {"headers": {"buyer": "bob"}}, 404, "order-unknown"),
    ("GET", "orders/Onone/personal", {}, 404, "order-unknown"),
    ("GET", "orders/%00/contact", {}, 404, "order-unknown"),
    ("PUT", "orders/{o}/contact", {"json": ANN, "headers": {"buyer": "bob"}}, 404, "order-unknown"),
    ("PUT", "orders/Onone/contact", {"json": ANN}, 404, "order-unknown"),
    ("PUT", "orders/{o}/contact", {"json": ANN, "headers": {"origin": "https://evil.example"}}, 403, "cross-site"),
    ("DELETE", "orders/{o}/contact", {"headers": {"buyer": "bob"}}, 404, "order-unknown"),
    ("DELETE", "orders/{o}/contact", {"headers": {"sec-fetch-site": "cross-site"}}, 403, "cross-site"),
    ("DELETE", "orders/{o}/personal", {"headers": {"buyer": "bob"}}, 404, "order-unknown"),
    ("DELETE", "orders/{o}/personal", {"headers": {"origin": "https://evil.example"}}, 403, "cross-site"),
    ("PUT", "orders/{o}/contact", {"content": b"email=a@b.co"}, 415, "content-type-unknown"),
    ("PUT", "orders/{o}/contact", {"json": []}, 400, "body-not-object"),
    ("PUT", "orders/{o}/contact", {"json": {}}, 400, "contact-malformed"),
    ("PUT", "orders/{o}/contact", {"json": {"email": 4}}, 400, "contact-malformed"),
    ("PUT", "orders/{o}/contact", {"json": ANN | {"phone": "1"}}, 400, "contact-malformed"),
    ("PUT", "orders/{o}/contact", {"json": ANN | {"name": None}}, 400, "contact-malformed"),
    ("PUT", "orders/{o}/contact", {"json": ANN | {"name": "x" * 121}}, 400, "contact-malformed"),
    ("PUT", "orders/{o}/contact", {"json": ANN | {"name": "Ann\nBcc: x"}}, 400, "contact-malformed"),
    ("PUT", "orders/{o}/contact", {"json": ANN | {"language": "xx"}}, 400, "language-unknown"),
    ("PUT", "orders/{o}/contact", {"json": ANN | {"language": ["de"]}}, 400, "contact-malformed"),
    ("PUT", "orders/{o}/contact", {"json": ANN | {"email": "ann"}}, 400, "email-malformed"),
    ("PUT", "orders/{o}/contact", {"json": ANN | {"email": "a@b.co\r\nBcc: c@d.co"}}, 400, "email-malformed"),
    ("PUT", "orders/{o}/contact", {"json": ANN | {"email": "x" * 9000}}, 413, "body-too-large"),
    ("POST", "orders/{o}/contact", {"json": ANN}, 405, "method-not-allowed"),
    ("PUT", "orders/{o}/personal", {"json": ANN}, 405, "method-not-allowed"),
]  # fmt: skip


async def test_bad_input_has_its_answer_and_changes_nothing(
    shop_url: str, store_url: str, tmp_path: Path
) -> None:
    """Each row of the table, of one order with a contact; afterwards it is as it was."""
    async with asking(shop_url, store_url, tmp_path) as (own, contacts, page):
        order = (await own.order())["order"]
        await page.put(at(f"orders/{order}/contact"), json=ANN)
        before = await contacts.of(EVENT, order)
        found = []
        for method, path, more, status, code in BAD:
            answer = await page.request(method, at(path.format(o=order)), **more)
            found.append((method, path, answer.status_code, answer.json()["code"], status, code))
            assert "Ann@" not in answer.text
        after = await contacts.of(EVENT, order)

    assert [row for row in found if row[2:4] != row[4:]] == []
    assert before == after
    assert before is not None
