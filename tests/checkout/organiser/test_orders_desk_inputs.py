"""What was bought, over the organiser's API, and bad input: what each address says to it, and that nothing moves."""

from typing import Any

import httpx
import pytest

from checkout.organiser.order_papers import read_refund
from checkout.organiser.talking import PREFIX
from checkout.organiser.web import OrganiserWeb
from checkout.requests import BODY_MOST_BYTES, KEY_MOST
from tests.checkout.order_desks import OrderDesk, order_desk
from tests.checkout.reservations import EVENT

JSON = {"content-type": "application/json"}
KEY = {"idempotency-key": "k"}
REASON = "reason: it must be a text of 1 to 500 characters"
NOTE = "note: it must be a text of 1 to 500 characters"
AMOUNT = "amount_minor: it must be whole minor units from 1 to 1000000000000000"
LIMIT = "limit: it must be a whole number from 1 to 200"
CURSOR = "after: it is no cursor of this list"
NOBODY = "OAAAAAAAAAAA"
"""Written like an order's name, and nobody's."""

Problem = tuple[int, str, list[str]]
UNKNOWN: Problem = (404, "order-unknown", [])
NO_EVENT: Problem = (404, "event-unknown", [])
ASIDE: Problem = (404, "notice-unknown", [])

EVERY = [
    ("GET", f"/events/{EVENT}/orders"),
    ("GET", f"/events/{EVENT}/orders/{{order}}"),
    ("POST", f"/events/{EVENT}/orders/{{order}}/refunds"),
    ("POST", f"/events/{EVENT}/orders/{{order}}/refunds/r1/retry"),
    ("POST", f"/events/{EVENT}/orders/{{order}}/release"),
    ("POST", f"/events/{EVENT}/orders/{{order}}/refuse"),
    ("GET", f"/events/{EVENT}/refunds"),
    ("GET", f"/events/{EVENT}/reviews"),
    ("GET", f"/events/{EVENT}/disputes"),
    ("GET", f"/events/{EVENT}/cancellation"),
    ("GET", f"/events/{EVENT}/money"),
    ("GET", "/notices"),
    ("POST", "/notices/bank/n1/seen"),
    ("GET", "/strays"),
    ("POST", "/strays/bank/pay-1/seen"),
    ("GET", "/money"),
    ("GET", "/money.csv"),
]
"""Every address of the desk, in its order."""


def problem(answer: httpx.Response) -> Problem:
    """Read a problem."""
    plain = answer.json()
    assert answer.headers["content-type"] == "application/problem+json"
    assert plain["status"] == answer.status_code
    return answer.status_code, plain["code"], plain.get("faults", [])


async def sold(desk: OrderDesk) -> tuple[str, Any]:
    """Sell an order; returns it and what is written of it."""
    order = (await desk.shop.paid())["order"]
    return order, await desk.shop.worker.caring.case(EVENT, order)


# ------------------------------------------------------------------------------------------ bodies

NO_OBJECT: list[tuple[bytes, dict[str, str], Problem]] = [
    (b"", JSON, (400, "body-not-json", [])),
    (b"{", JSON, (400, "body-not-json", [])),
    (b'{"reason": "\xff"}', JSON, (400, "body-not-json", [])),
    (b'{"reason": "\\ud800"}', JSON, (400, "body-not-json", [])),
    (b"[]", JSON, (400, "body-not-object", [])),
    (b"{}", {"content-type": "text/plain"}, (415, "content-type-unknown", [])),
    (b"{}", {}, (415, "content-type-unknown", [])),
    (b" " * (BODY_MOST_BYTES + 1), JSON, (413, "body-too-large", [])),
]
REFUNDS: list[tuple[object, list[str]]] = [
    ({}, ["reason: it is missing"]),
    ({"amount_minor": 0, "x": 1, "currency": "EUR"}, [
        "currency: it is unknown", "x: it is unknown", AMOUNT, "reason: it is missing",
    ]),
    *(
        ({"amount_minor": amount, "reason": "x"}, [AMOUNT])
        for amount in (None, True, -1, 0, 1.5, 1.0, "1", [1], 10**15 + 1, 2**63)
    ),
    *(({"reason": reason}, [REASON]) for reason in ("", "  ", "x" * 501, "a\nb", "a\0b", None, 7, ["x"])),
    *(
        ({"reason": f"Paid with {card}, sorry."}, ["reason: it must not have a card's number in it"])
        for card in ("4242424242424242", "4242 4242 4242 4242", "3782-822463-10005")
    ),
]  # fmt: skip
DECISIONS: list[tuple[object, list[str]]] = [
    ({"note": 3, "why": ""}, ["why: it is unknown", NOTE]),
    *(({"note": note}, [NOTE]) for note in ("", " ", "x" * 501, "a\nb", "a\0b", None, True)),
    ({"note": "card 5555 5555 5555 4444"}, ["note: it must not have a card's number in it"]),
    ({"order": NOBODY}, ["order: it is unknown"]),
]
BODIES: list[tuple[str, list[tuple[object, list[str]]], str]] = [
    ("refunds", REFUNDS, "refund-invalid"),
    ("release", DECISIONS, "decision-invalid"),
    ("refuse", DECISIONS, "decision-invalid"),
]


async def test_what_cannot_be_read_moves_no_money(shop_url: str, store_url: str) -> None:
    """No object, and objects with faults: all of them are told, and nothing has changed."""
    async with order_desk(shop_url, store_url) as desk:
        order, before = await sold(desk)
        for act, rows, code in BODIES:
            path = f"{PREFIX}/events/{EVENT}/orders/{order}/{act}"
            for content, headers, told in NO_OBJECT:
                answer = await desk.client.post(path, content=content, headers={**headers, **KEY})
                assert problem(answer) == told, (act, content[:20])
            for plain, faults in rows:
                answer = await desk.client.post(path, json=plain, headers=KEY)
                assert problem(answer) == (422, code, faults), (act, plain)
        after = await desk.shop.worker.caring.case(EVENT, order)

    assert after == before
    assert desk.shop.bank.refunds == {}


def test_numbers_that_are_no_cards_may_be_written_down() -> None:
    """A telephone number, a reference, an account: only what a card's last digit fits is refused."""
    for text in ("Called +49 30 1234567.", "ref 4242424242424241", "IBAN DE89370400440532013000", "pi_3Nxyz"):
        assert read_refund({"reason": text}) == (None, text)


KEYS: list[tuple[list[tuple[str, str]], str]] = [
    ([], "key-missing"),
    ([("idempotency-key", "")], "key-malformed"),
    ([("idempotency-key", "k:1")], "key-malformed"),
    ([("idempotency-key", "a b")], "key-malformed"),
    ([("idempotency-key", "k" * (KEY_MOST + 1))], "key-malformed"),
    ([("idempotency-key", '"')], "key-malformed"),
    ([("idempotency-key", "a"), ("idempotency-key", "a")], "key-malformed"),
]


async def test_a_refund_needs_one_key_that_can_be_one(shop_url: str, store_url: str) -> None:
    """None, none that is one, one of the shop's own, two."""
    async with order_desk(shop_url, store_url) as desk:
        order, _ = await sold(desk)
        path = f"{PREFIX}/events/{EVENT}/orders/{order}/refunds"
        for headers, code in KEYS:
            answer = await desk.client.post(path, json={"reason": "x"}, headers=headers)
            assert problem(answer) == (400, code, []), headers

    assert desk.shop.bank.refunds == {}


# --------------------------------------------------------------------------------- names, parameters

NAMES: list[tuple[str, str, Problem]] = [
    *(
        (method, f"/events/{EVENT}/orders/{name}{rest}", UNKNOWN)
        for name in (NOBODY, "Onone", "x", "R00000000000", "%00", "O" + "A" * 300, "%ED%A0%80", "'--")
        for method, rest in (
            ("GET", ""), ("POST", "/refunds"), ("POST", "/refunds/r1/retry"), ("POST", "/release"), ("POST", "/refuse"),
        )
    ),
    *(
        ("POST", f"/events/{EVENT}/orders/{{order}}/refunds/{name}/retry", UNKNOWN)
        for name in ("r9", "%00", "a/b", "shop:event-cancelled", "x" * 300, "%F0%9F%8E%AB")
    ),
    *(
        (method, f"/events/{event}{rest}", NO_EVENT)
        for event in ("none", "%00", "x" * 300)
        for method, rest in (
            ("GET", "/orders"), ("GET", "/orders/{order}"), ("POST", "/orders/{order}/refunds"),
            ("POST", "/orders/{order}/refunds/r1/retry"), ("POST", "/orders/{order}/release"),
            ("POST", "/orders/{order}/refuse"), ("GET", "/refunds"), ("GET", "/reviews"), ("GET", "/disputes"),
            ("GET", "/cancellation"), ("GET", "/money"),
        )
    ),
    *(
        ("POST", f"/{kind}/{name}/seen", ASIDE)
        for kind in ("notices", "strays")
        for name in ("bank/none", "none/n1", "bank/%00", "%00/n1", "bank/a/b")
    ),
]  # fmt: skip

PARAMETERS: list[tuple[str, str, list[str]]] = [
    *((f"/events/{EVENT}/orders", f"state={word}", ["state: it cannot be this"]) for word in ("odd", "", "PAID")),
    *((f"/events/{EVENT}/orders", f"buyer={who}", ["buyer: it cannot be this"]) for who in ("", "%00", "x" * 201)),
    *(
        (f"/events/{EVENT}/orders", f"card={card}", ["card: it cannot be this"])
        for card in ("", "123", "12345", "12%25", "_%25__", "%D9%A1%D9%A2%D9%A3%D9%A4", "4242424242424242")
    ),
    *(
        (f"/events/{EVENT}/orders", f"{name}={at}", [f"{name}: it cannot be this"])
        for name in ("from_ms", "until_ms")
        for at in ("", "-1", "1e3", "1.5", "9" * 16, "%C2%B2", "now")
    ),
    *((f"/events/{EVENT}/refunds", f"state={word}", ["state: it cannot be this"]) for word in ("odd", "paid")),
    *((f"/events/{EVENT}/disputes", f"state={word}", ["state: it cannot be this"]) for word in ("odd", "failed")),
    (f"/events/{EVENT}/reviews", "state=open", ["state: it is unknown"]),
    *((f"/{kind}", "seen=maybe", ["seen: it cannot be this"]) for kind in ("notices", "strays")),
    *(
        (f"/{kind}", f"event={one}", ["event: it cannot be this"])
        for kind in ("notices", "strays")
        for one in ("", "%00")
    ),
    *(
        (path, query, faults)
        for path in (
            f"/events/{EVENT}/orders", f"/events/{EVENT}/refunds", f"/events/{EVENT}/reviews",
            f"/events/{EVENT}/disputes", "/notices", "/strays",
        )
        for query, faults in (
            ("colour=red", ["colour: it is unknown"]),
            ("limit=5&limit=6", ["limit: it is there twice"]),
            ("limit=0", [LIMIT]), ("limit=201", [LIMIT]), ("limit=-1", [LIMIT]), ("limit=1e2", [LIMIT]),
            ("limit=", [LIMIT]), ("limit=%D9%A1", [LIMIT]),
            ("after=xyz", [CURSOR]), ("after=bnVsbA", [CURSOR]), ("after=WyJhIl0", [CURSOR]),
            ("after=" + "A" * 500, [CURSOR]), ("after=WzFlNDAsIngiXQ", [CURSOR]),
        )
    ),
    *((path, "x=1", []) for path in (f"/events/{EVENT}/money", "/money", "/money.csv")),
]  # fmt: skip


async def test_names_that_are_nobody_s_are_told_so(shop_url: str, store_url: str) -> None:
    """Orders, refunds, events, notices: a word for each, and nothing that a database cannot read comes to it."""
    async with order_desk(shop_url, store_url) as desk:
        order, before = await sold(desk)
        for method, path, told in NAMES:
            body: dict[str, Any] = {"json": {"reason": "x"} if path.endswith("refunds") else {}}
            where = PREFIX + path.replace("{order}", order)
            answer = await desk.client.request(
                method, where, headers=KEY, **(body if method == "POST" else {})
            )
            assert problem(answer) == told, (method, path)
        after = await desk.shop.worker.caring.case(EVENT, order)

    assert after == before
    assert desk.shop.bank.refunds == {}


async def test_parameters_that_cannot_be_are_told(shop_url: str, store_url: str) -> None:
    """Of each list each parameter, the length of a page, and cursors of another list."""
    async with order_desk(shop_url, store_url) as desk:
        for path, query, faults in PARAMETERS:
            answer = await desk.everywhere("GET", f"{path}?{query}")
            assert problem(answer) == (422, "query-invalid", faults), (path, query)


async def test_an_order_belongs_to_its_event(shop_url: str, store_url: str) -> None:
    """At another event's address it is not there: not to be seen, not to be given back, not to be decided."""
    async with order_desk(shop_url, store_url) as desk:
        order, before = await sold(desk)
        await desk.other_event("autumn")
        asked = [("GET", ""), ("POST", "/refunds"), ("POST", "/refunds/r1/retry"), ("POST", "/release")]
        told = [
            problem(
                await desk.client.request(
                    method, f"{PREFIX}/events/autumn/orders/{order}{rest}", headers=KEY,
                    **({"json": {"reason": "x"} if rest == "/refunds" else {}} if method == "POST" else {}),
                )
            )
            for method, rest in asked
        ]  # fmt: skip
        after = await desk.shop.worker.caring.case(EVENT, order)

    assert told == [UNKNOWN] * 4
    assert after == before


async def test_an_order_that_nobody_has_to_look_at_is_not_decided(shop_url: str, store_url: str) -> None:
    """Paid, or open: there is no review of it."""
    async with order_desk(shop_url, store_url) as desk:
        paid, before = await sold(desk)
        fresh = (await desk.shop.order("bob", 5))["order"]
        told = [
            problem(await desk.ask("POST", f"/orders/{order}/{act}", {}))
            for order in (paid, fresh)
            for act in ("release", "refuse")
        ]
        after = await desk.shop.worker.caring.case(EVENT, paid)

    assert told == [(404, "review-unknown", [])] * 4
    assert after == before


# ------------------------------------------------------------------------------------- methods, door


async def test_each_address_names_the_methods_that_it_has(shop_url: str, store_url: str) -> None:
    """405 for the others."""
    async with order_desk(shop_url, store_url) as desk:
        for method, path in EVERY:
            for other in {"GET", "POST", "PUT", "PATCH", "DELETE"} - {method}:
                answer = await desk.everywhere(other, path.replace("{order}", NOBODY))
                assert problem(answer) == (405, "method-not-allowed", []), (other, path)


def shapes(desk: OrderDesk) -> list[tuple[str, int]]:
    """Tell method and length of each address that there is."""
    return [
        (next(iter(sorted((route.methods or set()) - {"HEAD"}))), route.path.count("/"))
        for route in desk.routes
    ]


@pytest.mark.parametrize("is_guarded", [True, False], ids=["guarded", "mutant"])
async def test_nobody_comes_in_without_an_organiser_s_token(
    is_guarded: bool, shop_url: str, store_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Every address, by every wrong way to say who one is; the mutant takes everybody for an organiser."""
    ways: list[dict[str, str]] = [
        {}, {"authorization": "Bearer"}, {"authorization": "Bearer no"}, {"authorization": "Basic aWRhOng="},
        {"cookie": "shop-device=x; authorization=Bearer"}, {"x-buyer": "ida"},
    ]  # fmt: skip
    if not is_guarded:
        monkeypatch.setattr(OrganiserWeb, "_who", lambda *_: "ida")
    async with order_desk(shop_url, store_url) as desk:
        order, _ = await sold(desk)
        known = shapes(desk)
        statuses = set()
        async with desk.stranger() as stranger:
            for method, path in EVERY:
                for headers in ways:
                    where = PREFIX + path.replace("{order}", order)
                    answer = await stranger.request(method, where, headers={**headers, **KEY})
                    statuses.add(answer.status_code)
                    assert not is_guarded or order not in answer.text

    assert [(method, (PREFIX + path).count("/")) for method, path in EVERY] == known
    assert (statuses == {401}) is is_guarded
