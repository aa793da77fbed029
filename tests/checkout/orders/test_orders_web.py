"""The addresses of orders: every bad input has its answer, and loses nothing."""

import json
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from typing import Any

import httpx
import pytest

from checkout.orders.ports import Judgement, Seen
from checkout.orders.web import HooksWeb, OrdersWeb
from checkout.site.web import refusal, routes_of, shape
from kernel.asgi import Receive, Scope, Send, header, respond
from kernel.problems import raw_problem
from tests.checkout.orders.test_refunds import Suspicious
from tests.checkout.reservations import EVENT
from tests.checkout.tills import Shop, shop

PAY = {"method": "ok"}
KEY = {"idempotency-key": "k1"}


def app_of(own: Shop) -> Any:
    """Serve a shop's orders; a header says who asks."""

    def buyer_of(scope: Scope) -> str:
        return (header(scope, b"buyer") or b"ann").decode()

    worker = own.worker
    web = OrdersWeb(worker.ordering, buyer_of, lambda _: Seen("192.0.2.1"), own.scene.metrics)
    hooks = HooksWeb(worker.notices, {"bank": own.bank})
    routes = {(method, shape(act)): handler for (method, act), handler in routes_of(web).items()}

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        parts = scope["path"].split("/")
        try:
            if parts[1] == "hooks":
                await hooks.hear(scope, receive, send, parts[2])
                return
            rest = parts[4:]
            act = "/".join((rest[0], "*", *rest[2:])) if len(rest) > 1 else rest[0]
            handler = routes.get((scope["method"], act))
            if handler is None:
                await respond(send, *raw_problem(refusal(())))
                return
            await handler(scope, receive, send, parts[3], *rest[1:2])
        except Exception as reason:  # noqa: BLE001 (as the shop does)
            await respond(send, *raw_problem(reason))

    return app


@asynccontextmanager
async def asking(own: Shop) -> AsyncIterator[httpx.AsyncClient]:
    """Ask as a page does."""
    transport = httpx.ASGITransport(app=app_of(own))
    async with httpx.AsyncClient(transport=transport, base_url="http://shop.example") as client:
        yield client


def at(path: str) -> str:
    """Write an address of the event."""
    return f"/api/events/{EVENT}/{path}"


async def test_the_way_of_an_order(shop_url: str, store_url: str) -> None:
    """Made, tried, declined with a reason, paid, listed; a repeat says the same, byte by byte."""
    async with shop(shop_url, store_url) as own, asking(own) as page:
        reservation = await own.scene.reserved("ann", 0, 1)
        made = await page.post(at(f"reservations/{reservation}/order"))
        again = await page.post(at(f"reservations/{reservation}/order"))
        order = made.json()["order"]
        declined = await page.post(at(f"orders/{order}/pay"), json={"method": "no-funds"}, headers=KEY)
        paid = await page.post(at(f"orders/{order}/pay"), json=PAY, headers={"idempotency-key": "k2"})
        same = await page.post(at(f"orders/{order}/pay"), json=PAY, headers={"idempotency-key": "k2"})
        found = await page.get(at(f"orders/{order}"))
        listed = await page.get(at("orders"))
        refused = await page.delete(at(f"orders/{order}"))

    assert (made.status_code, again.status_code) == (201, 200)
    assert made.content == again.content
    assert (declined.status_code, declined.json()["code"], declined.json()["decline"]) == (
        402, "payment-declined", "insufficient-funds",
    )  # fmt: skip
    assert "not enough money" in declined.json()["detail"]
    assert declined.json()["order"]["state"] == "open"
    assert (paid.status_code, paid.json()["state"]) == (200, "paid")
    assert paid.content == same.content == found.content
    assert listed.json()["orders"] == [found.json()]
    assert (refused.status_code, refused.json()["code"]) == (409, "order-paid")


async def test_what_is_not_decided_yet_is_accepted(shop_url: str, store_url: str) -> None:
    """202 and when to ask again for a slow bank; 200 for one that asks; another try meanwhile is to wait."""
    async with shop(shop_url, store_url) as own, asking(own) as page:
        slow, asks = await own.order("ann", 0), await own.order("ann", 2)
        pending = await page.post(at(f"orders/{slow['order']}/pay"), json={"method": "slow"}, headers=KEY)
        other = await page.post(
            at(f"orders/{slow['order']}/pay"), json=PAY, headers={"idempotency-key": "other"}
        )
        question = await page.post(at(f"orders/{asks['order']}/pay"), json={"method": "asks"}, headers=KEY)
        own.bank.authorise("pay-1")
        looked = await page.get(at(f"orders/{slow['order']}?look=1"))
        given_up = await page.delete(at(f"orders/{asks['order']}"))

    assert (pending.status_code, pending.json()["phase"]) == (202, "pending")
    assert pending.headers["retry-after"] == "1"
    assert (other.status_code, other.json()["code"], other.headers["retry-after"]) == (
        409, "payment-under-way", "2",
    )  # fmt: skip
    assert (question.status_code, question.json()["phase"]) == (200, "action")
    assert looked.json()["state"] == "paid"
    assert (given_up.status_code, given_up.json()["state"]) == (200, "cancelled")


BAD: list[tuple[str, str, Mapping[str, Any], int, str]] = [
    ("POST", "reservations/Rnone/order", {}, 404, "reservation-unknown"),
    ("POST", "reservations/{r}/order", {"headers": {"buyer": "bob"}}, 404, "reservation-unknown"),
    ("POST", "reservations/{r}/order", {"headers": {"origin": "https://evil.example"}}, 403, "cross-site"),
    ("GET", "orders/Onone", {}, 404, "order-unknown"),
    ("GET", "orders/{o}", {"headers": {"buyer": "bob"}}, 404, "order-unknown"),
    ("POST", "orders/{o}/pay", {"json": PAY}, 400, "key-missing"),
    ("POST", "orders/{o}/pay", {"json": PAY, "headers": {"idempotency-key": "a b"}}, 400, "key-malformed"),
    ("POST", "orders/{o}/pay", {"json": PAY, "headers": KEY | {"buyer": "bob"}}, 404, "order-unknown"),
    ("POST", "orders/{o}/pay", {"json": PAY, "headers": KEY | {"origin": "https://x"}}, 403, "cross-site"),
    ("POST", "orders/Onone/pay", {"json": PAY, "headers": KEY}, 404, "order-unknown"),
    ("POST", "orders/{o}/pay", {"content": b"method=ok", "headers": KEY}, 415, "content-type-unknown"),
    ("POST", "orders/{o}/pay", {"json": [], "headers": KEY}, 400, "body-not-object"),
    ("POST", "orders/{o}/pay", {"json": {}, "headers": KEY}, 400, "method-malformed"),
    ("POST", "orders/{o}/pay", {"json": {"method": 4}, "headers": KEY}, 400, "method-malformed"),
    ("POST", "orders/{o}/pay", {"json": PAY | {"amount": 1}, "headers": KEY}, 400, "method-malformed"),
    ("POST", "orders/{o}/pay", {"json": {"method": "4242424242424242"}, "headers": KEY}, 400, "method-malformed"),
    ("POST", "orders/{o}/pay", {"json": {"method": "x" * 200}, "headers": KEY}, 400, "method-malformed"),
    ("DELETE", "orders/{o}", {"headers": {"buyer": "bob"}}, 404, "order-unknown"),
    ("DELETE", "orders/{o}", {"headers": {"sec-fetch-site": "cross-site"}}, 403, "cross-site"),
    ("DELETE", "orders/Onone", {}, 404, "order-unknown"),
    ("PUT", "orders/{o}", {}, 404, "address-unknown"),
]  # fmt: skip


async def test_bad_input_has_its_answer_and_changes_nothing(shop_url: str, store_url: str) -> None:
    """Each row of the table, of one order; afterwards it is as it was, and nothing was asked of the bank."""
    async with shop(shop_url, store_url) as own, asking(own) as page:
        order = await own.order()
        names = {"o": order["order"], "r": order["reservation"]}
        answers = []
        for method, path, more, status, code in BAD:
            answer = await page.request(method, at(path.format(**names)), **more)
            answers.append((path, answer.status_code, answer.json()["code"], status, code))
        after = await own.look(order)
        calls = list(own.bank.calls)

    assert [row for row in answers if row[1:3] != row[3:]] == []
    assert after == order
    assert calls == []


@pytest.mark.parametrize(
    ("path", "more", "status", "code"),
    [
        ("/hooks/nobody", {"content": b"n1:pay-1"}, 404, "address-unknown"),
        ("/hooks/bank", {"content": b"n1:pay-1"}, 400, "notice-forged"),
        ("/hooks/bank", {"content": b"nothing", "headers": {"signed": "yes"}}, 400, "notice-malformed"),
        ("/hooks/bank", {"content": b"x" * 1_000_001, "headers": {"signed": "yes"}}, 413, "body-too-large"),
    ],
)
async def test_bad_notices_have_their_answer(
    path: str, more: dict[str, Any], status: int, code: str, shop_url: str, store_url: str
) -> None:
    """Unknown providers, forged, unreadable and endless ones; GET is told what is answered."""
    async with shop(shop_url, store_url) as own, asking(own) as page:
        answer = await page.post(path, **more)
        got = await page.get("/hooks/bank")

    assert (answer.status_code, answer.json()["code"]) == (status, code)
    assert (got.status_code, got.headers.get("allow", json.loads(got.content).get("allow"))) == (405, "POST")


async def test_a_notice_is_acknowledged_as_its_sender_wants_it(shop_url: str, store_url: str) -> None:
    """With the provider's own words; and 503 where it is to come again."""
    async with shop(shop_url, store_url) as own, asking(own) as page:
        order = await own.order()
        await own.pay(order, "asks")
        own.bank.authorise("pay-1")
        heard = await page.post("/hooks/bank", content=b"n1:pay-1", headers={"signed": "yes"})
        paper = await own.look(order)

    assert (heard.status_code, heard.content) == (200, b"heard")
    assert paper["state"] == "paid"


async def test_who_is_blocked_hears_no_reason(shop_url: str, store_url: str) -> None:
    """403, and the bank is not asked."""
    judge = Suspicious(Judgement.BLOCK, Judgement.ALLOW)
    async with shop(shop_url, store_url, judge=judge) as own, asking(own) as page:
        order = await own.order()
        answer = await page.post(at(f"orders/{order['order']}/pay"), json=PAY, headers=KEY)

    assert (answer.status_code, answer.json()["code"]) == (403, "payment-blocked")
    assert own.bank.calls == []


async def test_after_its_time_an_order_is_over(shop_url: str, store_url: str) -> None:
    """410 with words, before and after somebody has swept it."""
    async with shop(shop_url, store_url) as own, asking(own) as page:
        order = await own.order()
        own.scene.clock.set(order["until_ms"])
        early = await page.post(at(f"orders/{order['order']}/pay"), json=PAY, headers=KEY)
        await own.settle(1)
        late = await page.post(at(f"orders/{order['order']}/pay"), json=PAY, headers=KEY)

    assert (early.status_code, early.json()["code"]) == (410, "order-over")
    assert (late.status_code, late.json()["code"]) == (410, "order-over")
    assert own.bank.calls == []
