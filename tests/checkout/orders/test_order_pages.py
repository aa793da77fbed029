"""The pages of an order, as a browser without scripts uses them; every bad form has its answer and changes nothing."""

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from typing import Any

import httpx
from starlette.exceptions import HTTPException
from starlette.middleware.exceptions import ExceptionMiddleware
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Router

from checkout.orders.ports import Judgement, Seen
from checkout.people.contacts import Contacts
from checkout.site.contact_pages import ContactPages
from checkout.site.fields import CardFields, stripe_fields
from checkout.site.order_pages import OrderPages, Way
from checkout.site.render import Event, Visit
from kernel.asgi import Receive, Scope, Send, header
from kernel.errors import Refused
from tests.checkout.orders.test_refunds import Suspicious
from tests.checkout.reservations import EVENT
from tests.checkout.site.test_pages import event
from tests.checkout.tills import Shop, shop

WAYS = (Way("ok", "pays"), Way("no-funds", "no-funds"), Way("asks", "asks"))


@asynccontextmanager
async def visiting(
    own: Shop, fields: CardFields | None = None, contacts: Contacts | None = None
) -> AsyncIterator[httpx.AsyncClient]:
    """Visit the pages; a header says who does."""

    def buyer_of(scope: Scope) -> str:
        return (header(scope, b"buyer") or b"ann").decode()

    async def event_of(request: Request) -> Event:
        if request.path_params["event"] != EVENT:
            raise HTTPException(404)
        return event(id=EVENT)

    def visit_of(_request: Request) -> Visit:
        return Visit("en", own.scene.clock.now_ms())

    def refused(_request: Request, error: Exception) -> Response:
        assert isinstance(error, Refused)
        return PlainTextResponse(error.code, error.status)

    pages = OrderPages(
        own.worker.ordering, own.scene.reserving, WAYS, buyer_of, lambda _: Seen("192.0.2.1"), fields=fields,
        contacts=None if contacts is None else ContactPages(contacts, buyer_of, 30),
    )  # fmt: skip
    router = ExceptionMiddleware(Router(pages.routes(event_of, visit_of)), {Refused: refused})

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        await router({**scope, "app": pages}, receive, send)

    transport = httpx.ASGITransport(app=app)
    async with httpx.AsyncClient(transport=transport, base_url="http://shop.example") as client:
        yield client


async def test_an_order_from_its_reservation_to_paid(shop_url: str, store_url: str) -> None:
    """Each form leads back to the order's page; looking again leaves no trace in the address."""
    async with shop(shop_url, store_url) as own, visiting(own) as page:
        reservation = await own.scene.reserved("ann", 0, 1)
        made = await page.post(f"/events/{EVENT}/reservation/{reservation}/order")
        address = made.headers["location"]
        shown = await page.get(address)
        declined = await page.post(f"{address}/pay", data={"key": "k1", "method": "no-funds"})
        why = await page.get(address)
        asked = await page.post(f"{address}/pay", data={"key": "k2", "method": "asks"})
        question = await page.get(address)
        own.bank.authorise("pay-2")
        back = await page.get(f"{address}?payment_intent=pay-2&redirect_status=succeeded")
        paid = await page.get(address)

    assert [one.status_code for one in (made, declined, asked, back)] == [303] * 4
    assert {one.headers["location"] for one in (declined, asked, back)} == {address}
    assert "Pay for your seats" in shown.text
    assert "not enough money" in why.text
    assert 'href="https://bank/pay-2' in question.text
    assert "Paid. The seats are yours" in paid.text
    assert shown.headers["cache-control"] == "no-store"


async def test_with_fields_the_form_brings_a_token_of_theirs_and_one_page_is_open(
    shop_url: str, store_url: str
) -> None:
    """Any token of the provider's; none of the ways on a page, and no number. Paid, the policy is closed again."""
    async with shop(shop_url, store_url) as own, visiting(own, stripe_fields("pk_test_1")) as page:
        address = f"/events/{EVENT}/order/{(await own.order())['order']}"
        before = await page.get(address)
        for bad in ("ok", "4242424242424242", "pm_"):
            refused = await page.post(f"{address}/pay", data={"key": "k", "method": bad})
            assert refused.status_code == 404
        untouched = await page.get(address)
        paid = await page.post(f"{address}/pay", data={"key": "k", "method": "pm_1AbC"})
        after = await page.get(address)

    assert "https://js.stripe.com" in before.headers["content-security-policy"]
    assert "Pay for your seats" in untouched.text
    assert paid.status_code == 303
    assert "stripe.com" not in after.headers["content-security-policy"] or "Pay for" not in after.text


async def test_an_order_is_given_up(shop_url: str, store_url: str) -> None:
    """And says that nobody was charged; a second press changes nothing."""
    async with shop(shop_url, store_url) as own, visiting(own) as page:
        address = f"/events/{EVENT}/order/{(await own.order())['order']}"
        answers = [await page.post(f"{address}/leave") for _ in range(2)]
        shown = await page.get(address)

    assert [one.status_code for one in answers] == [303, 303]
    assert "You have not been charged" in shown.text


BAD: list[tuple[str, str, Mapping[str, Any], int]] = [
    ("POST", "reservation/Rnone/order", {}, 404),
    ("POST", "reservation/{r}/order", {"headers": {"origin": "https://evil.example"}}, 403),
    ("POST", "reservation/{r}/order", {"headers": {"buyer": "bob"}}, 404),
    ("GET", "order/Onone", {}, 404),
    ("GET", "order/{o}", {"headers": {"buyer": "bob"}}, 404),
    ("POST", "order/{o}/pay", {"data": {"method": "ok"}}, 400),
    ("POST", "order/{o}/pay", {"data": {"key": "k", "method": "4242424242424242"}}, 404),
    ("POST", "order/{o}/pay", {"data": {"key": "k"}}, 404),
    ("POST", "order/{o}/pay", {"data": {"key": ["a", "b"], "method": "ok"}}, 400),
    ("POST", "order/{o}/pay", {"json": {"key": "k", "method": "ok"}}, 415),
    ("POST", "order/{o}/pay", {"data": {"key": "k", "method": "ok"}, "headers": {"buyer": "bob"}}, 404),
    (
        "POST",
        "order/{o}/pay",
        {"data": {"key": "k", "method": "ok"}, "headers": {"origin": "https://x"}},
        403,
    ),
    ("POST", "order/Onone/leave", {}, 404),
    ("POST", "order/{o}/leave", {"headers": {"sec-fetch-site": "cross-site"}}, 403),
    ("GET", "order/{o}/pay", {}, 405),
]


async def test_bad_forms_have_their_answer_and_change_nothing(shop_url: str, store_url: str) -> None:
    """Each row of the table, of one order; the bank is asked nothing."""
    async with shop(shop_url, store_url) as own, visiting(own) as page:
        order = await own.order()
        names = {"o": order["order"], "r": order["reservation"]}
        found = []
        for method, path, more, status in BAD:
            answer = await page.request(method, f"/events/{EVENT}/{path.format(**names)}", **more)
            found.append((path, answer.status_code, status))
        after = await own.look(order)

    assert [row for row in found if row[1] != row[2]] == []
    assert after == order
    assert own.bank.calls == []


async def test_who_is_blocked_is_told_so(shop_url: str, store_url: str) -> None:
    """With a code that has words on the trouble page."""
    judge = Suspicious(Judgement.BLOCK, Judgement.ALLOW)
    async with shop(shop_url, store_url, judge=judge) as own, visiting(own) as page:
        address = f"/events/{EVENT}/order/{(await own.order())['order']}"
        answer = await page.post(f"{address}/pay", data={"key": "k", "method": "ok"})

    assert (answer.status_code, answer.text) == (403, "payment-blocked")
