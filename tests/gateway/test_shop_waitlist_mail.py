"""Who waits may say where to write to: by a form or the API, and the offer comes there, in their language."""

from pathlib import Path
from typing import Any

import httpx
import pytest
from redis.asyncio import Redis

from checkout.grouping import Grouping
from checkout.halls.seats import Status
from checkout.holds.answers import Marked, Seen
from checkout.notifications.mail import Mailing, Server
from checkout.notifications.nobody import NoPapers
from checkout.notifications.relay import Home, Relay
from checkout.site.mails import Mails
from gateway.shop_joined import JoinedShop
from gateway.shop_post import ShopContacts, ShopHomes, ShopLinks
from tests.checkout.notifications.posting import SENDER, PostOffice, post_office
from tests.gateway.oidc_front import logged_in
from tests.gateway.shopfront import API, EVENT, PAGE
from tests.gateway.test_account_login import front as account_front
from tests.gateway.tillfront import Tillfront, till_front

WAITLIST = f"{PAGE}/waitlist"
CONTACT = f"{API}/waitlist/contact"
STILL = f"{WAITLIST}?still=1#mail"
ANN = {"x-buyer": "ann"}


async def sell_out(shop: JoinedShop, browser: httpx.AsyncClient) -> str:
    """Have somebody hold two seats, and block the others; returns the hold."""
    held = await browser.post(
        f"{API}/holds", json={"seats": [0, 1]}, headers={"x-buyer": "other", "idempotency-key": "k-other"}
    )
    holds = shop.parts.shards.of(EVENT).holds
    seen = await holds.look(EVENT)
    assert isinstance(seen, Seen)
    free = [seat for seat, now in enumerate(seen.map) if now % 16 == Status.FREE]
    assert isinstance(await holds.mark(EVENT, "block", free), Marked)
    return str(held.json()["hold"])


async def come_back(shop: JoinedShop, browser: httpx.AsyncClient, hold: str) -> None:
    """Have the two seats come back, and be offered."""
    await browser.delete(f"{API}/holds/{hold}", headers={"x-buyer": "other"})
    await shop.waitlist.pass_by()


async def join(browser: httpx.AsyncClient, email: str = "", **headers: str) -> httpx.Response:
    """Send the form."""
    more = {"email": email} if email else {}
    return await browser.post(WAITLIST, data={"count": "2", **more}, headers={**ANN, **headers})


async def posted(own: Tillfront, office: PostOffice) -> None:
    """Send all that is due."""
    people, parts = own.shop.people, own.shop.parts
    assert people is not None
    writer = Mails(parts.catalogue, ShopLinks("https://tickets.example"))
    contacts = ShopContacts(people.contacts, people.waiting)
    server = Server(host="127.0.0.1", port=office.port, sender=SENDER, tls="none")
    channel = Mailing(server, writer, contacts, NoPapers(), parts.clock)
    relay = Relay(ShopHomes(parts.shards), [channel], parts.clock, own.metrics)
    (place,) = parts.shards.all()
    await relay.pass_by(Home(place.name, Grouping(place.database)), channel)
    await relay.close()


async def test_the_offer_comes_by_mail_to_the_address_given_with_the_form(
    store: Redis, store_url: str, tmp_path: Path
) -> None:
    """In the language of the page, with the link that leads on to the seats; afterwards the address is gone."""
    async with till_front(store_url, tmp_path) as own, own.browser() as page, post_office() as office:
        hold = await sell_out(own.shop, page)
        event = await page.get(PAGE, headers=ANN)
        sent = await join(page, "Ann@Example.org", **{"accept-language": "de"})
        still = await page.get(sent.headers["location"], headers=ANN)
        await come_back(own.shop, page, hold)
        await posted(own, office)
        led = await page.get(WAITLIST, headers=ANN)
        gone = await page.post(f"{WAITLIST}/leave", headers=ANN)
        left = await page.get(CONTACT, headers=ANN)

    assert 'name="email"' in event.text
    assert "erase it when your place on the waitlist ends" in event.text
    assert (sent.status_code, sent.headers["location"]) == (303, STILL)
    assert "A•••@example.org" in still.text
    assert "Ann@" not in still.text
    (mail,) = office.inbox.mails
    text: Any = mail.get_body(("plain",))
    assert mail["To"] == "Ann@example.org"
    assert mail["Subject"].startswith("Plätze für")
    assert f"https://tickets.example{WAITLIST}" in text.get_content()
    assert led.headers["location"].startswith(f"{PAGE}/hold?hold=")
    assert (gone.status_code, left.status_code, left.json()["code"]) == (303, 404, "contact-unknown")


async def test_an_address_may_come_later_and_be_another_and_be_forgotten(
    store: Redis, store_url: str, tmp_path: Path
) -> None:
    """On the page that stands still, as what is typed into one that looks again by itself is lost; and by the API."""
    async with till_front(store_url, tmp_path) as own, own.browser() as page, post_office() as office:
        hold = await sell_out(own.shop, page)
        sent = await join(page)
        looks = await page.get(sent.headers["location"], headers=ANN)
        form = await page.get(f"{WAITLIST}?still=1", headers=ANN)
        await come_back(own.shop, page, hold)
        await posted(own, office)
        nothing = len(office.inbox.mails)
        kept = await page.post(f"{WAITLIST}/contact", data={"email": "late@example.org"}, headers=ANN)
        await posted(own, office)
        put = await page.put(CONTACT, json={"email": "api@example.org", "language": "fr"}, headers=ANN)
        got = await page.get(CONTACT, headers=ANN)
        again = await page.post(f"{WAITLIST}/contact/forget", headers=ANN)
        gone = await page.get(CONTACT, headers=ANN)

    assert sent.headers["location"] == WAITLIST
    assert f'href="{WAITLIST}?still=1#mail"' in looks.text
    assert 'http-equiv="refresh"' in looks.text
    assert 'type="email"' not in looks.text
    assert 'type="email"' in form.text
    assert nothing == 0
    assert kept.headers["location"] == again.headers["location"] == STILL
    assert [mail["To"] for mail in office.inbox.mails] == ["late@example.org"]
    assert put.json() == got.json() == {
        "email": "api@example.org", "language": "fr", "shown": "a•••@example.org",
    }  # fmt: skip
    assert gone.status_code == 404


async def test_what_cannot_be_taken_is_said_and_the_place_is_kept(
    store: Redis, store_url: str, tmp_path: Path
) -> None:
    """A typing error costs no place, and stands in no address bar; nor is an address taken too often."""
    async with till_front(store_url, tmp_path) as own, own.browser() as page:
        await sell_out(own.shop, page)
        sent = await join(page, "zebra@nowhere")
        shown = await page.get(sent.headers["location"], headers=ANN)
        line = await page.get(f"{API}/waitlist", headers=ANN)
        for number in range(5):
            last = await join(page, "full@example.org", **{"x-buyer": f"b{number}"})
        busy = await page.get(last.headers["location"], headers={"x-buyer": "b4"})
        refused = await page.put(CONTACT, json={"email": "full@example.org"}, headers=ANN)

    assert sent.headers["location"] == f"{WAITLIST}?still=1&mail=wrong#mail"
    assert 'aria-invalid="true"' in shown.text
    assert "zebra" not in shown.text
    assert line.json()["number"] == 1
    assert last.headers["location"] == f"{WAITLIST}?still=1&mail=busy#mail"
    assert "waits for this evening often enough" in busy.text
    assert (refused.status_code, refused.json()["code"]) == (409, "contact-busy")


FOREIGN = {"sec-fetch-site": "cross-site"}
BAD: list[tuple[str, str, dict[str, Any], int, str]] = [
    ("PUT", CONTACT, {"json": {}}, 400, "contact-malformed"),
    ("PUT", CONTACT, {"json": {"email": 1}}, 400, "contact-malformed"),
    ("PUT", CONTACT, {"json": {"email": "a@b.co", "name": "x"}}, 400, "contact-malformed"),
    ("PUT", CONTACT, {"json": {"email": "a@b.co", "more": "x"}}, 400, "contact-malformed"),
    ("PUT", CONTACT, {"json": {"email": "a@b.co", "language": "xx"}}, 400, "language-unknown"),
    ("PUT", CONTACT, {"json": {"email": "nobody"}}, 400, "email-malformed"),
    ("PUT", CONTACT, {"json": {"email": "a@b.co\r\nBcc: c@d.co"}}, 400, "email-malformed"),
    ("PUT", CONTACT, {"json": {"email": "a@" + "b" * 300 + ".co"}}, 400, "email-malformed"),
    ("PUT", CONTACT, {"json": [1]}, 400, "body-not-object"),
    ("PUT", CONTACT, {"content": b"{"}, 415, "content-type-unknown"),
    ("PUT", CONTACT, {"json": {"email": "a@b.co"}, "headers": {"x-buyer": "bob"}}, 404, "not-waiting"),
    ("PUT", CONTACT, {"json": {"email": "a@b.co"}, "headers": {"x-buyer": ""}}, 401, "admission-missing"),
    ("PUT", CONTACT, {"json": {"email": "a@b.co"}, "headers": FOREIGN}, 403, "cross-site"),
    ("PUT", "/api/events/none/waitlist/contact", {"json": {"email": "a@b.co"}}, 404, "not-waiting"),
    ("DELETE", CONTACT, {"headers": FOREIGN}, 403, "cross-site"),
    ("POST", CONTACT, {}, 405, "method-not-allowed"),
    ("POST", f"{WAITLIST}/contact", {"data": {"email": "a@b.co"}, "headers": FOREIGN}, 403, ""),
    ("POST", f"{WAITLIST}/contact", {"data": {"email": ["a@b.co", "c@d.co"]}}, 400, ""),
    ("POST", f"{WAITLIST}/contact", {"json": {"email": "a@b.co"}}, 415, ""),
    ("POST", f"{WAITLIST}/contact", {"data": {"email": "a@b.co"}, "headers": {"x-buyer": ""}}, 401, ""),
    ("POST", f"{WAITLIST}/contact/forget", {"headers": FOREIGN}, 403, ""),
]  # fmt: skip


async def test_bad_input_has_its_answer_and_changes_nothing(
    store: Redis, store_url: str, tmp_path: Path
) -> None:
    """Each row of the table; nobody's address is changed by it."""
    async with till_front(store_url, tmp_path) as own, own.browser() as page:
        await sell_out(own.shop, page)
        await join(page, "first@example.org")
        for method, path, given, status, code in BAD:
            answer = await page.request(
                method, path, **{**given, "headers": {**ANN, **given.get("headers", {})}}
            )
            assert answer.status_code == status, (method, path, given, answer.text)
            assert not code or answer.json()["code"] == code, (method, path, given)
        kept = await page.get(CONTACT, headers=ANN)

    assert kept.json()["email"] == "first@example.org"


async def test_the_address_of_an_account_is_offered_and_goes_with_it(store_url: str, tmp_path: Path) -> None:
    """One press; told with the account, and erased with it. Who is logged out is offered none."""
    async with account_front(store_url, tmp_path) as own, own.browser(**ANN) as browser:
        await sell_out(own.till.shop, browser)
        await join(browser)
        out = await browser.get(f"{WAITLIST}?still=1")
        nobody = await browser.post(f"{WAITLIST}/contact", data={"account": "yes"})
        await logged_in(browser, own.provider)
        offered = await browser.get(f"{WAITLIST}?still=1")
        kept = await browser.post(f"{WAITLIST}/contact", data={"account": "yes"})
        shown = await browser.get(CONTACT)
        told = await browser.get("/account/personal")
        await browser.post("/account/erase", data={"confirm": "yes"})
        after = await browser.get(CONTACT)

    assert "the address of my account" not in out.text
    assert nobody.headers["location"] == f"{WAITLIST}?still=1&mail=wrong#mail"
    assert "Write to a•••@example.org, the address of my account" in offered.text
    assert (kept.headers["location"], shown.json()["email"]) == (STILL, "ann@example.org")
    assert told.json()["waitlist"] == [{"event": EVENT, "number": 1, "email": "ann@example.org"}]
    assert (after.status_code, after.json()["code"]) == (404, "contact-unknown")


async def test_what_is_kept_of_a_buyer_has_their_waiting_and_erasing_takes_the_address(
    store_url: str, tmp_path: Path
) -> None:
    """Asked for by an order of the same buyer; the place in the line stays."""
    async with till_front(store_url, tmp_path) as own, own.browser() as page:
        order = await own.order(page, "ann", 5)
        await sell_out(own.shop, page)
        await join(page, "ann@example.org")
        path = f"{API}/orders/{order}/personal"
        told = await page.get(path, headers=ANN)
        erased = await page.delete(path, headers=ANN)
        line = await page.get(f"{API}/waitlist", headers=ANN)
        after = await page.get(path, headers=ANN)

    (entry,) = told.json()["waitlist"]
    assert (entry["number"], entry["state"], entry["email"]) == (1, "waiting", "ann@example.org")
    assert erased.json()["erased"]["waitlist"] == 1
    assert (line.status_code, after.json()["waitlist"][0]["email"]) == (200, None)


async def test_who_waits_for_what_has_begun_is_forgotten(store_url: str, tmp_path: Path) -> None:
    """The look each hour takes what an event that is over has left behind."""
    async with till_front(store_url, tmp_path) as own, own.browser() as page:
        await sell_out(own.shop, page)
        await join(page, "ann@example.org")
        people, clock = own.shop.people, own.shop.parts.clock
        assert people is not None
        starts_ms = (await own.shop.parts.catalogue.all())[0].event.starts_ms
        counts = []
        for after_ms in (0, 1):
            clock.set(starts_ms + after_ms)  # type: ignore[attr-defined]
            await people.purging.purge()
            counts.append(len(await people.waiting.find("ann@example.org")))

    assert counts == [1, 0]


@pytest.mark.parametrize("path", [f"{PAGE}/seats", PAGE])
async def test_the_seat_page_leads_to_the_form(store_url: str, tmp_path: Path, path: str) -> None:
    """With scripts one joins on the seat page, and says where to write to on the page without."""
    async with till_front(store_url, tmp_path) as own, own.browser() as page:
        await sell_out(own.shop, page)
        shown = await page.get(path, headers=ANN)

    assert (f'{WAITLIST}?still=1#mail"' in shown.text) == path.endswith("/seats")
