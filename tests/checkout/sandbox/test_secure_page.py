"""The page of the bank: what a browser gets, and what it takes to decide."""

from html.parser import HTMLParser
from urllib.parse import parse_qs, urlsplit

import httpx
import pytest

from checkout.sandbox.records import Intent
from checkout.sandbox.words import amount, languages
from tests.checkout.sandbox.running import BACK, Running

ASKS = "pm_card_authenticationRequired"


class Page(HTMLParser):
    """What is on a page."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.fields: dict[str, str] = {}
        self.buttons: list[str] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Note a tag."""
        given = {name: value or "" for name, value in attrs}
        self.tags.append(tag)
        if tag == "input":
            self.fields[given["name"]] = given["value"]
        if tag == "button":
            self.buttons.append(given["value"])


def asked(box: Running, back: str = BACK, order: str = "o1") -> dict[str, str]:
    """Make a payment that waits for its buyer; returns its id and the page's address."""
    made = box.made(**{"metadata[order]": order})
    answer = box.post(
        f"/v1/payment_intents/{made['id']}/confirm", payment_method=ASKS, return_url=back
    ).json()
    assert answer["status"] == "requires_action"
    return {"id": made["id"], "url": answer["next_action"]["redirect_to_url"]["url"]}


def browse(method: str, url: str, **fields: str) -> httpx.Response:
    """Ask as a browser does: without any key."""
    return httpx.request(method, url, data=fields or None)


def liked(url: str, accept_language: str) -> httpx.Response:
    """Ask with a browser that likes a language."""
    return httpx.get(url, headers={"accept-language": accept_language})


def test_the_page_is_plain_and_needs_nothing(box: Running) -> None:
    """One heading, two buttons, a language, a title; no script, nothing loaded, nothing allowed."""
    answer = browse("GET", asked(box, order="<b>&order")["url"])
    page = Page(answer.text)
    assert answer.status_code == 200
    assert page.buttons == ["approve", "refuse"]
    assert page.tags.count("h1") == page.tags.count("main") == page.tags.count("title") == 1
    assert not {"script", "img", "link", "iframe", "b"} & set(page.tags)
    assert '<html lang="en" dir="ltr">' in answer.text
    assert "42.00\xa0€ (EUR)" in answer.text
    assert "&lt;b&gt;&amp;order" in answer.text
    policy = answer.headers["content-security-policy"]
    assert policy.startswith("default-src 'none'; style-src 'sha256-")
    assert "form-action 'self' http://shop.example;" in policy
    assert "frame-ancestors 'none'" in policy
    assert "unsafe" not in policy
    assert answer.headers["cache-control"] == "no-store"


@pytest.mark.parametrize(
    ("decision", "status", "told"),
    [("approve", "requires_capture", "succeeded"), ("refuse", "requires_payment_method", "failed")],
)
def test_the_buyer_is_sent_back_with_what_came_of_it(
    decision: str, status: str, told: str, box: Running
) -> None:
    """To the shop's own address with its own parameters; and a second time there is nothing to decide."""
    waiting = asked(box, f"{BACK}?lang=de&order_id=7")
    token = Page(browse("GET", waiting["url"]).text).fields["token"]
    answer = browse("POST", waiting["url"], token=token, answer=decision)
    assert answer.status_code == 303
    there = urlsplit(answer.headers["location"])
    assert f"{there.scheme}://{there.netloc}{there.path}" == BACK
    assert parse_qs(there.query) == {
        "lang": ["de"],
        "order_id": ["7"],
        "payment_intent": [waiting["id"]],
        "payment_intent_client_secret": [f"{waiting['id']}_secret_sandbox"],
        "redirect_status": [told],
    }
    assert box.get(f"/v1/payment_intents/{waiting['id']}").json()["status"] == status

    again = browse("POST", waiting["url"], token=token, answer="approve")
    assert again.status_code == 409
    assert "Back to the shop" in again.text
    assert box.get(f"/v1/payment_intents/{waiting['id']}").json()["status"] == status


@pytest.mark.parametrize(
    "fields",
    [{}, {"answer": "approve"}, {"token": "", "answer": "approve"}, {"token": "é", "answer": "approve"},
     {"token": "0" * 32, "answer": "approve"}, {"token": ":token"}, {"token": ":token", "answer": "maybe"},
     {"token[x]": "1", "answer": "approve"}],
)  # fmt: skip
def test_without_the_pages_token_and_an_answer_nothing_is_decided(
    fields: dict[str, str], box: Running
) -> None:
    """A form of another page, or a broken one."""
    waiting = asked(box)
    token = Page(browse("GET", waiting["url"]).text).fields["token"]
    given = {name: value.replace(":token", token) for name, value in fields.items()}
    assert browse("POST", waiting["url"], **given).status_code == 403
    assert box.get(f"/v1/payment_intents/{waiting['id']}").json()["status"] == "requires_action"


def test_other_payments_have_no_page(box: Running) -> None:
    """Unknown ones, those that do not wait, those that were let go; and other methods are not allowed."""
    assert browse("GET", f"{box.url}/3ds/pi_none").status_code == 404
    assert browse("GET", f"{box.url}/3ds/{box.made()['id']}").status_code == 409
    waiting = asked(box)
    assert browse("PUT", waiting["url"]).status_code == 405
    box.post(f"/v1/payment_intents/{waiting['id']}/cancel")
    assert browse("GET", waiting["url"]).status_code == 409


def test_without_an_address_to_go_back_to_there_is_no_page(box: Running) -> None:
    """As with Stripe, whose own script would ask then."""
    made = box.made()["id"]
    answer = box.post(f"/v1/payment_intents/{made}/confirm", payment_method=ASKS).json()
    assert answer["next_action"]["type"] == "use_stripe_sdk"
    assert browse("GET", f"{box.url}/3ds/{made}").status_code == 409


@pytest.mark.parametrize(
    ("units", "currency", "tag", "text"),
    [(4200, "eur", "en", "42.00\xa0€ (EUR)"), (4200, "jpy", "en", "4,200\xa0JP¥ (JPY)"),
     (12_340, "kwd", "en", "12.340\xa0KWD"), (500, "isk", "en", "5\xa0ISK"), (550, "isk", "en", "5.50 ISK"),
     (5, "eur", "de", "0,05\xa0€ (EUR)"), (123_456_700, "usd", "de", "1.234.567,00\xa0$ (USD)"),
     (4200, "jpy", "ja", "￥4,200 (JPY)"), (65_000, "mga", "en", "65,000\xa0MGA")],
)  # fmt: skip
def test_amounts_are_written_for_people(units: int, currency: str, tag: str, text: str) -> None:
    """With the currency's own decimals, as the language writes them; parts that it does not have as they were sent."""
    assert amount(units, currency, languages()[tag]) == text


@pytest.mark.parametrize("tag", sorted(languages()))
def test_the_page_speaks_the_browsers_language(tag: str, box: Running) -> None:
    """Question and afterwards; nothing in it is English, and nothing that is put in loses its own order of reading."""
    words, waiting = languages()[tag], asked(box)
    page = liked(waiting["url"], f"sv, {tag}-XX;q=0.9, en;q=0.1")
    token = Page(page.text).fields["token"]
    browse("POST", waiting["url"], token=token, answer="refuse")
    after = liked(waiting["url"], tag)

    for told in (page, after):
        assert f'<html lang="{tag}" dir="{words.direction}">' in told.text
    for key in ("head", "sandbox", "approve", "refuse"):
        assert words.text(f"bank.{key}") in page.text
    assert words.text("bank.ask", amount="|").split("|")[0] in page.text
    assert f"<bdi><strong>{amount(4200, 'eur', words)}</strong></bdi>" in page.text
    for key in ("none-head", "none-text", "back"):
        assert words.text(f"bank.{key}") in after.text


def test_an_intent_without_a_buyer_has_no_secret_of_its_own() -> None:
    """What the address shows opens nothing."""
    assert Intent("pi_1", 1, "eur", 0, "manual").client_secret == "pi_1_secret_sandbox"
