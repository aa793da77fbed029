"""Where tickets go, on an order's page, as a browser without scripts uses it; nobody has to say."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa

from checkout.holds.places import OnePlace
from checkout.people.contacts import Contact, Contacts
from checkout.tables import CONTACTS
from tests.checkout.orders.test_order_pages import visiting
from tests.checkout.people.sealed import keys_in
from tests.checkout.reservations import EVENT
from tests.checkout.tills import Shop, shop

ANN = {"email": "Ann@Example.org", "name": "Ann B"}


def contacts_of(own: Shop, folder: Path) -> Contacts:
    """Keep contacts of a shop."""
    return Contacts(OnePlace(own.scene.place), keys_in(folder), own.scene.clock, own.scene.metrics)


async def test_a_buyer_says_where_tickets_go(shop_url: str, store_url: str, tmp_path: Path) -> None:
    """Asked before paying with what for and how long; shown back without its letters; changed; forgotten."""
    async with shop(shop_url, store_url) as own:
        contacts = contacts_of(own, tmp_path)
        async with visiting(own, contacts=contacts) as page:
            order = await own.order()
            address = f"/events/{EVENT}/order/{order['order']}"
            asked = await page.get(address)
            kept = await page.post(f"{address}/contact", data=ANN)
            shown = await page.get(kept.headers["location"])
            contact = await contacts.of(EVENT, order["order"])
            await own.pay(order)
            paid = await page.get(address)
            forgotten = await page.post(f"{address}/contact/forget")
            after = await page.get(address)

    assert "Where should your tickets go?" in asked.text
    assert "30 days after the event" in asked.text
    assert (kept.status_code, kept.headers["location"]) == (303, f"{address}#contact")
    for page_text in (shown.text, paid.text):
        assert "Tickets go to A•••@example.org." in page_text
        assert "Ann@" not in page_text
        assert "Ann B" not in page_text
    assert contact == Contact("Ann@example.org", "en", name="Ann B")
    assert forgotten.status_code == 303
    assert "Tickets go to" not in after.text


async def test_who_says_nothing_pays_as_before(shop_url: str, store_url: str, tmp_path: Path) -> None:
    """Guest checkout is untouched: no address is needed for any step, and none is kept."""
    async with shop(shop_url, store_url) as own:
        async with visiting(own, contacts=contacts_of(own, tmp_path)) as page:
            order = await own.order()
            paid = await page.post(
                f"/events/{EVENT}/order/{order['order']}/pay", data={"key": "k", "method": "ok"}
            )
            state = (await own.look(order))["state"]
        with own.scene.database.reading() as connection:
            count = connection.scalar(sa.select(sa.func.count()).select_from(CONTACTS))

    assert (paid.status_code, state, count) == (303, "paid", 0)


async def test_what_is_no_address_is_said_and_not_repeated(
    shop_url: str, store_url: str, tmp_path: Path
) -> None:
    """The page says so beside the field; neither it nor the address bar has what was typed; what was kept stays."""
    async with shop(shop_url, store_url) as own:
        contacts = contacts_of(own, tmp_path)
        async with visiting(own, contacts=contacts) as page:
            order = (await own.order())["order"]
            address = f"/events/{EVENT}/order/{order}"
            await page.post(f"{address}/contact", data=ANN)
            wrong = await page.post(f"{address}/contact", data={"email": "zebra@nowhere"})
            shown = await page.get(wrong.headers["location"])
            long = await page.post(f"{address}/contact", data=ANN | {"name": "x" * 121})
            contact = await contacts.of(EVENT, order)

    assert wrong.headers["location"] == long.headers["location"] == f"{address}?contact=wrong#contact"
    assert 'aria-invalid="true"' in shown.text
    assert "no address that we can write to" in shown.text
    assert "zebra" not in shown.text
    assert contact is not None
    assert contact.email == "Ann@example.org"


async def test_an_order_can_be_paid_while_its_contact_cannot_be_read(
    shop_url: str, store_url: str, tmp_path: Path
) -> None:
    """The page says so, and has the form to pay."""
    async with shop(shop_url, store_url) as own, visiting(own, contacts=contacts_of(own, tmp_path)) as page:
        order = (await own.order())["order"]
        await page.post(f"/events/{EVENT}/order/{order}/contact", data=ANN)
        with own.scene.database.writing() as connection:
            connection.execute(sa.update(CONTACTS).values(email="v1.p0.AAAA"))
        shown = await page.get(f"/events/{EVENT}/order/{order}")

    assert shown.status_code == 200
    assert "cannot be looked up just now" in shown.text
    assert f'action="/events/{EVENT}/order/{order}/pay"' in shown.text


async def test_a_shop_that_keeps_no_contacts_asks_nobody(shop_url: str, store_url: str) -> None:
    """No word of it, and no address."""
    async with shop(shop_url, store_url) as own, visiting(own) as page:
        order = (await own.order())["order"]
        shown = await page.get(f"/events/{EVENT}/order/{order}")
        posted = await page.post(f"/events/{EVENT}/order/{order}/contact", data=ANN)

    assert "tickets go" not in shown.text
    assert posted.status_code == 404


BAD: list[tuple[str, Mapping[str, Any], int]] = [
    ("contact", {"data": ANN, "headers": {"buyer": "bob"}}, 404),
    ("contact", {"data": ANN, "headers": {"origin": "https://evil.example"}}, 403),
    ("contact", {"data": ANN, "headers": {"sec-fetch-site": "cross-site"}}, 403),
    ("contact", {"json": ANN}, 415),
    ("contact", {"data": {"email": ["a@b.co", "c@d.co"]}}, 400),
    ("contact/forget", {"headers": {"buyer": "bob"}}, 404),
    ("contact/forget", {"headers": {"origin": "https://evil.example"}}, 403),
]


@pytest.mark.parametrize(("path", "more", "status"), BAD)
async def test_bad_forms_have_their_answer_and_change_nothing(
    path: str, more: Mapping[str, Any], status: int, shop_url: str, store_url: str, tmp_path: Path
) -> None:
    """Somebody else, another site, another kind of body, a field that is there twice."""
    async with shop(shop_url, store_url) as own:
        contacts = contacts_of(own, tmp_path)
        async with visiting(own, contacts=contacts) as page:
            order = (await own.order())["order"]
            await page.post(f"/events/{EVENT}/order/{order}/contact", data={"email": "first@example.org"})
            answer = await page.post(f"/events/{EVENT}/order/{order}/{path}", **more)
            contact = await contacts.of(EVENT, order)

    assert answer.status_code == status
    assert contact is not None
    assert contact.email == "first@example.org"
