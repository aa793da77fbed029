"""Adyen's notices at the shop's own address, through settings, doors and tills as they are joined in production.

What Adyen has signed counts once, whenever and in whatever order it comes; what it has not signed counts for nothing;
what cannot be read is a plain no. A buyer who comes back from the bank is sent on.
"""

import asyncio
import json
from pathlib import Path
from typing import Any

import httpx
import pytest

from checkout.payments.adyen import AdyenProvider
from gateway.adyen import adyen_of
from gateway.settings import Settings
from kernel.clock import ManualClock
from tests.checkout.conftest import postgres_url, schemas, shop_url, templates
from tests.checkout.payments.adyen_running import HMAC_KEY
from tests.gateway.adyenfront import HOOK, SENDER, SITE, AdyenFront, adyen_front, changed, code_of

__all__ = ["postgres_url", "schemas", "shop_url", "templates"]
OTHER_KEY = "9A" * 32
"""Of somebody who knows all but the key."""


def item(plain: dict[str, Any], **fields: Any) -> None:
    """Change fields of an item."""
    plain.update(fields)


async def test_an_order_is_paid_when_the_notices_have_come(
    store_url: str, tmp_path: Path, shop_url: str
) -> None:
    """Asked for, sold, taken on; and paid by the second of two notices, which Adyen hears is safe."""
    async with adyen_front(store_url, tmp_path, shop_url) as own:
        order = await own.bought()
        first, second = await own.told(2)
        before = await own.hear(first)
        waiting = await own.state(order)
        after = await own.hear(second)
        paid = await own.state(order)

    assert (code_of(first), code_of(second)) == ("AUTHORISATION", "CAPTURE")
    assert [(one.status_code, one.text, one.headers["content-type"]) for one in (before, after)] == [
        (200, "[accepted]", "text/plain")
    ] * 2
    assert (waiting, paid) == ("confirmed", "paid")


FORGED = {
    "a key of another": lambda body: changed(body, lambda _: None, OTHER_KEY),
    "another amount": lambda body: changed(
        body, lambda one: item(one, amount={"currency": "EUR", "value": 1}), None
    ),
    "another order": lambda body: changed(
        body, lambda one: item(one, merchantReference="summer/O00000000000/1"), None
    ),
    "success for failure": lambda body: changed(body, lambda one: item(one, success="false"), None),
    "another code": lambda body: changed(body, lambda one: item(one, eventCode="REFUND"), None),
    "no signature": lambda body: changed(
        body, lambda one: one["additionalData"].pop("hmacSignature"), None
    ),
    "an empty signature": lambda body: changed(
        body, lambda one: item(one, additionalData={"hmacSignature": ""}), None
    ),
    "nothing beside": lambda body: changed(body, lambda one: one.pop("additionalData"), None),
    "a signature of another kind": lambda body: changed(
        body, lambda one: item(one, additionalData={"hmacSignature": 7}), None
    ),
    "a signature with other letters": lambda body: changed(
        body, lambda one: item(one, additionalData={"hmacSignature": "ÄÖ"}), None
    ),
}  # fmt: skip
"""Ways to change a notice that its signature does not survive."""

SENDERS = {
    "nobody": {"authorization": ""},
    "another": {"authorization": "Basic Zm9vOmJhcg=="},
    "a bearer": {"authorization": SENDER["authorization"].replace("Basic", "Bearer")},
    "other letters": {"authorization": "Basic \u00e4"},
}


async def test_what_is_not_signed_counts_for_nothing(store_url: str, tmp_path: Path, shop_url: str) -> None:
    """Each way to change a capture's notice, and each sender that is none: 400, nothing written, not paid."""
    async with adyen_front(store_url, tmp_path, shop_url) as own:
        order = await own.bought()
        first, second = await own.told(2)
        await own.hear(first)
        before = own.entries()
        answers = {name: await own.hear(change(second)) for name, change in FORGED.items()}
        answers |= {
            name: await own.outside.post(
                HOOK, content=second, headers={k: v.encode("latin-1") for k, v in headers.items()}
            )
            for name, headers in SENDERS.items()
        }
        answers["no header"] = await own.outside.post(HOOK, content=second)
        after, state = own.entries(), await own.state(order)
        good = await own.hear(second)
        paid = await own.state(order)

    assert {name: (one.status_code, one.json()["code"]) for name, one in answers.items()} == dict.fromkeys(
        answers, (400, "notice-forged")
    )
    assert (before, state) == (after, "confirmed")
    assert (good.status_code, paid) == (200, "paid")


async def test_not_to_compare_signatures_is_noticed(
    store_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Mutant: whoever knows the password says that money was taken, and it was not."""
    monkeypatch.setattr(AdyenProvider, "_verify", lambda _self, _item: None)
    async with adyen_front(store_url, tmp_path) as own:
        order = await own.bought("scheme:capture-refused")
        first, second = await own.told(2)
        await own.hear(first)
        await own.hear(changed(second, lambda one: item(one, success="true"), None))

        assert (await own.state(order), own.captured()) == ("paid", 0)


async def test_a_key_is_replaced_without_a_gap(store_url: str, tmp_path: Path) -> None:
    """Two keys with a comma: what either has signed is good; what neither has is not."""
    async with adyen_front(store_url, tmp_path, hmac_key=f"{OTHER_KEY},{HMAC_KEY}") as own:
        order = await own.bought()
        first, second = await own.told(2)
        old = await own.hear(first)
        new = await own.hear(changed(second, lambda _: None, OTHER_KEY))
        none = await own.hear(changed(second, lambda _: None, "77" * 32))
        state = await own.state(order)

    assert (old.status_code, new.status_code, none.status_code, state) == (200, 200, 400, "paid")


async def test_a_key_that_was_taken_away_counts_no_more(store_url: str, tmp_path: Path) -> None:
    """Only the new one is there: what Adyen still signs with the old one is refused, and so it sends it again."""
    async with adyen_front(store_url, tmp_path, hmac_key=OTHER_KEY) as own:
        await own.bought()
        first, _ = await own.told(2)

        assert (await own.hear(first)).status_code == 400


async def test_notices_come_twice_at_once_and_count_once(
    store_url: str, tmp_path: Path, shop_url: str
) -> None:
    """Each four times side by side, and all once more afterwards: one payment, nothing new is written."""
    async with adyen_front(store_url, tmp_path, shop_url) as own:
        order = await own.bought()
        notices = await own.told(2)
        answers = await asyncio.gather(*(own.hear(body) for body in notices for _ in range(4)))
        again = await own.hear_all(2)
        written = own.entries()
        more = await own.hear_all(2)
        state, taken = await own.state(order), own.captured()

    # One that comes while the same is being worked on may be asked to come again.
    assert {one.status_code for one in answers} <= {200, 503}
    assert again == more == [200, 200]
    assert own.box.inbox.received
    assert (written, state, taken) == (4, "paid", 8400)


async def test_notices_come_the_wrong_way_round(store_url: str, tmp_path: Path, shop_url: str) -> None:
    """Taken before authorised, given back before taken: the same end, whatever comes first."""
    async with adyen_front(store_url, tmp_path, shop_url) as own:
        order = await own.bought()
        first, second = await own.told(2)
        backwards = [(await own.hear(body)).status_code for body in (second, first)]
        paid = await own.state(order)

    assert backwards == [200, 200]
    assert paid == "paid"


async def test_what_is_not_ours_is_acknowledged_and_forgotten(store_url: str, tmp_path: Path) -> None:
    """Signed by Adyen, and of another account, another shop, or of what the shop does not follow."""
    async with adyen_front(store_url, tmp_path) as own:
        order = await own.bought()
        _, body = await own.told(2)
        before = own.entries()
        others: list[dict[str, Any]] = [
            {"merchantAccountCode": "OtherECOM"},
            {"merchantReference": "till 7, receipt 12"},
            {"merchantReference": None},
            {"merchantReference": "summer/O1/1/more"},
            {"merchantReference": "summer/O1/-1"},
            {"merchantReference": "summer/O\u0000/1"},
            {"eventCode": "REPORT_AVAILABLE"},
            {"eventCode": "SOMETHING_NEW"},
        ]
        answers = [
            await own.hear(changed(body, lambda one, fields=fields: item(one, **fields)))  # type: ignore[misc]
            for fields in others
        ]
        after, state = own.entries(), await own.state(order)

    assert [one.text for one in answers] == ["[accepted]"] * len(others)
    assert (before, state) == (after, "confirmed")


async def test_real_money_is_not_mixed_with_tests(store_url: str, tmp_path: Path) -> None:
    """A notice that says ``live`` comes to a shop that takes none: acknowledged, put aside, nothing counts."""
    async with adyen_front(store_url, tmp_path) as own:
        order = await own.bought()
        _, body = await own.told(2)
        before = own.entries()
        answer = await own.hear(json.dumps(json.loads(body) | {"live": "true"}).encode())
        after, state = own.entries(), await own.state(order)

    assert answer.status_code == 200
    assert (before, state) == (after, "confirmed")


async def test_another_amount_is_put_aside(store_url: str, tmp_path: Path) -> None:
    """Adyen itself says that it has authorised another amount than was asked for: a person has to look."""
    async with adyen_front(store_url, tmp_path) as own:
        own.box.fault("drop-request", "POST /v71/payments", count=1_000)
        order = await own.bought()
        made = {
            "amount": {"currency": "EUR", "value": 1}, "eventCode": "AUTHORISATION", "success": "true",
            "merchantAccountCode": "ShopECOM", "merchantReference": f"summer/{order}/1",
            "pspReference": "A" * 16, "reason": "", "eventDate": "2026-01-01T00:00:00Z",
        }  # fmt: skip
        plain = {"live": "false", "notificationItems": [{"NotificationRequestItem": made}]}
        answer = await own.hear(changed(json.dumps(plain).encode(), lambda _: None))
        state = await own.state(order)

    assert answer.status_code == 200
    assert state == "open"


async def test_an_authorisation_too_many_is_told_to_people(
    store_url: str, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """Adyen tells of a second one under the same reference: it is in the log, once the same came twice it is not."""
    async with adyen_front(store_url, tmp_path) as own:
        await own.bought()
        first, _ = await own.told(2)
        await own.hear(first)
        await own.hear(first)
        once = caplog.text
        await own.hear(changed(first, lambda one: item(one, pspReference="Z" * 16)))

    assert "a payment was authorised twice" not in once
    assert "a payment was authorised twice" in caplog.text


UNREADABLE: dict[str, bytes] = {
    "nothing": b"",
    "no JSON": b"hello",
    "no text": b"\xff\xfe\x00",
    "null": b"null",
    "a list": b"[]",
    "a number": b"7",
    "an empty object": b"{}",
    "no items": b'{"live": "false", "notificationItems": []}',
    "items that are none": b'{"live": "false", "notificationItems": [1, null]}',
    "an item that is none": b'{"live": "false", "notificationItems": [{"NotificationRequestItem": 7}]}',
    "an item without fields": b'{"live": "false", "notificationItems": [{"NotificationRequestItem": {}}]}',
    "too deep": b"[" * 200_000,
    "a number too long": b'{"live": ' + b"9" * 6_000 + b"}",
}

SIGNED_NONSENSE: dict[str, dict[str, Any]] = {
    "an amount as text": {"amount": {"currency": "EUR", "value": "8400"}},
    "an amount as a fraction": {"amount": {"currency": "EUR", "value": 84.5}},
    "an amount below nothing": {"amount": {"currency": "EUR", "value": -1}},
    "an amount of another world": {"amount": {"currency": "EUR", "value": 10**30}},
    "no currency": {"amount": {"currency": "XX", "value": 8400}},
    "a code that is none": {"eventCode": "CAPTURE\u0000"},
    "success as a word": {"success": "perhaps"},
    "a name with a hole": {"pspReference": "A\u0000B"},
}
"""What nobody sends; should it be signed all the same, it is a plain no and no failure."""


async def test_what_cannot_be_read_is_a_plain_no(store_url: str, tmp_path: Path, shop_url: str) -> None:
    """From who knows the password; nothing fails, nothing is written."""
    async with adyen_front(store_url, tmp_path, shop_url) as own:
        order = await own.bought()
        _, body = await own.told(2)
        before = own.entries()
        answers = {name: await own.hear(text) for name, text in UNREADABLE.items()}
        answers |= {
            name: await own.hear(changed(body, lambda one, fields=fields: item(one, **fields)))  # type: ignore[misc]
            for name, fields in SIGNED_NONSENSE.items()
        }
        huge = await own.hear(b" " * 1_000_001)
        after, state = own.entries(), await own.state(order)

    assert {name: (one.status_code, one.json()["code"]) for name, one in answers.items()} == dict.fromkeys(
        answers, (400, "notice-malformed")
    )
    assert (huge.status_code, huge.json()["code"]) == (413, "body-too-large")
    assert (before, state) == (after, "confirmed")


async def test_what_is_shown_of_a_card_is_not_signed_and_does_no_harm(
    store_url: str, tmp_path: Path, shop_url: str
) -> None:
    """Whatever stands there, a notice of money counts."""
    async with adyen_front(store_url, tmp_path, shop_url) as own:
        order = await own.bought()
        first, second = await own.told(2)
        odd = {"alias": "a\u0000|b", "cardSummary": "\u202e" + "1" * 500, "cardIssuingCountry": 7}
        answers = [await own.hear(changed(first, lambda one: one["additionalData"].update(odd)))]
        answers.append(await own.hear(second))
        state = await own.state(order)

    assert [one.status_code for one in answers] == [200, 200]
    assert state == "paid"


async def test_adyen_is_asked_to_come_again(store_url: str, tmp_path: Path) -> None:
    """While nobody can say what came of the capture, its notice is kept and not acknowledged: 503, and then 200."""
    async with adyen_front(store_url, tmp_path) as own:
        own.box.fault("drop-answer", "POST /v71/payments/*/captures", count=1_000)
        order = await own.bought()
        _, second = await own.told(2)
        own.clock.advance(5_000)
        away = await own.hear(second)
        waiting = await own.state(order)
        own.box.client.delete("/_sandbox/faults")
        own.clock.advance(61_000)
        again = await own.hear(second)
        paid = await own.state(order)

    assert (away.status_code, away.json()["code"]) == (503, "provider-away")
    assert int(away.headers["retry-after"]) > 0
    assert (waiting, again.status_code, paid) == ("confirmed", 200, "paid")


# ------------------------------------------------------------------------------ the buyer's return


async def asked(own: AdyenFront) -> tuple[str, str]:
    """Have the bank ask its buyer, who agrees there; returns the order, and where the browser is sent to."""
    async with own.browser() as browser:
        order = await own.order(browser, "ann", 0, 1)
        paper = (await own.pay(browser, "ann", order, "k1", "scheme:asks")).json()
    bank = str(paper["action_url"])
    async with httpx.AsyncClient() as buyer:
        page = (await buyer.get(bank)).text
        token = page.partition('name="token" value="')[2].partition('"')[0]
        back = await buyer.post(bank, data={"token": token, "answer": "approve"})
    return order, str(back.headers["location"])


async def test_a_buyer_comes_back_and_is_sent_on(store_url: str, tmp_path: Path, shop_url: str) -> None:
    """From the bank to the shop's address for Adyen, and on to the order's own page, which looks."""
    async with adyen_front(store_url, tmp_path, shop_url) as own:
        order, back = await asked(own)
        onward = await own.outside.get(back.removeprefix(SITE))
        twice = await own.outside.get(back.removeprefix(SITE))
        looked = await own.state(order, look=True)
        await own.hear_all(2)
        paid = await own.state(order)

    assert back.startswith(f"{SITE}{HOOK}?ref=summer%2F{order}%2F1&redirectResult=")
    assert (onward.status_code, onward.headers["location"]) == (
        303, f"{SITE}/events/summer/order/{order}?look=1",
    )  # fmt: skip
    assert onward.headers["cache-control"] == "no-store"
    assert onward.headers["referrer-policy"] == "no-referrer"
    assert twice.headers["location"] == onward.headers["location"]
    assert (looked, paid) == ("confirmed", "paid")


async def test_what_a_browser_brings_is_nothing_to_go_by(
    store_url: str, tmp_path: Path, shop_url: str
) -> None:
    """Made up, too long, too much, odd octets: never a failure, never another site, and the bank decides."""
    async with adyen_front(store_url, tmp_path, shop_url) as own:
        order, back = await asked(own)
        name = f"summer%2F{order}%2F1"
        away = [
            "", "?ref=", "?ref=summer%2FO00000000000%2F1&redirectResult=x", "?ref=a%00%2Fb%2F1", "?ref=%ff%fe%2Fb%2F1",
            "?ref=https://elsewhere.example/a/1", f"?ref={'a' * 90}", "?" + "&".join(f"a{at}=1" for at in range(40)),
        ]  # fmt: skip
        answers = [await own.outside.get(HOOK + query) for query in away]
        nonsense = [
            await own.outside.get(f"{HOOK}?ref={name}&redirectResult={text}")
            for text in ("made-up", "%00", "%ff", "x" * 9_000)
        ]
        still = await own.state(order, look=True)
        methods = {
            way: (await own.outside.request(way, HOOK)).status_code for way in ("PUT", "DELETE", "HEAD")
        }
        await own.outside.get(back.removeprefix(SITE))
        looked = await own.state(order, look=True)

    assert {(one.status_code, one.json()["code"]) for one in answers} == {(405, "method-not-allowed")}
    assert {one.headers["location"] for one in nonsense} == {f"{SITE}/events/summer/order/{order}?look=1"}
    assert (still, looked) == ("open", "confirmed")
    assert methods == {"PUT": 405, "DELETE": 405, "HEAD": 405}


async def test_the_address_of_another_provider_is_none(store_url: str, tmp_path: Path) -> None:
    """A shop that Adyen pays hears nobody else."""
    async with adyen_front(store_url, tmp_path) as own:
        for name in ("stripe", "sandbox", "", "adyen/more"):
            answer = await own.outside.post(f"/hooks/{name}", content=b"{}", headers=SENDER)
            assert (answer.status_code, answer.json()["code"]) == (404, "address-unknown")


# ------------------------------------------------------------------------------------- settings


@pytest.mark.parametrize(
    ("endpoint", "is_live"),
    [
        ("https://checkout-test.adyen.com/v71", False),
        ("https://1797a841fbb37ca7-AdyenDemo-checkout-live.adyenpayments.com/checkout/v71", True),
        ("http://127.0.0.1:8089/v71", False),
    ],
)
def test_the_endpoint_says_whether_money_is_real(endpoint: str, is_live: bool, tmp_path: Path) -> None:
    """And a shop of real money offers no named outcomes."""
    settings = Settings(
        data=tmp_path, payments="adyen", adyen_api_key="k", adyen_merchant="ShopECOM", adyen_hmac_key=HMAC_KEY,
        adyen_webhook_user="u", adyen_webhook_password="p", adyen_endpoint=endpoint,
        public_url="https://tickets.example",
    )  # fmt: skip
    _, ways, live = adyen_of(settings, None, ManualClock(0))  # type: ignore[arg-type]

    assert (live, ways) == (is_live, ())
