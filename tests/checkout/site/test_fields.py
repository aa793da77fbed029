"""Card fields: whose script the page to pay may load, on which page alone, and what its form may bring."""

import re
from dataclasses import replace
from typing import Any

import pytest

from checkout.site.fields import STRIPE_SCRIPT, TOKEN, CardFields, sandbox_fields, stripe_fields
from checkout.site.render import Pages, can_be_paid, content_security_policy
from checkout.site.words import languages
from tests.checkout.site.test_pages import EVENT, ORDER, PAPER, SEAT, VISIT, every_page

STRIPE = stripe_fields("pk_test_1")
SANDBOX = sandbox_fields("pk_test_2", "http://127.0.0.1:9")


def directives(policy: str) -> dict[str, list[str]]:
    """Read a policy."""
    return {name: hosts for name, *hosts in (part.split() for part in policy.split("; "))}


def page(fields: CardFields | None, tag: str = "en", **order: Any) -> str:
    """Show an order."""
    return Pages().order(replace(VISIT, language=tag), EVENT, ORDER | order, [SEAT], [], "key", fields)


def test_the_policy_names_the_hosts_that_stripe_documents_and_opens_nothing_else() -> None:
    """Script, frames and its API; every other directive is that of any page."""
    plain, opened = directives(content_security_policy()), directives(content_security_policy(fields=STRIPE))

    assert opened.pop("frame-src") == [
        "https://*.js.stripe.com",
        "https://js.stripe.com",
        "https://hooks.stripe.com",
    ]
    assert opened["script-src"] == ["'self'", "https://*.js.stripe.com", "https://js.stripe.com"]
    assert opened["connect-src"] == ["'self'", "https://api.stripe.com"]
    assert {**opened, "script-src": ["'self'"], "connect-src": ["'self'"]} == plain
    assert "frame-src" not in plain


@pytest.mark.parametrize("fields", [stripe_fields("pk_test_1", "http://127.0.0.1:9/v3/"), SANDBOX])
def test_a_script_from_elsewhere_brings_its_own_host_alone(fields: CardFields) -> None:
    """Not Stripe's beside it."""
    policy = directives(content_security_policy(fields=fields))

    assert policy["script-src"] == ["'self'", "http://127.0.0.1:9"]
    assert policy["frame-src"] == ["http://127.0.0.1:9"]
    assert "stripe.com" not in str(policy)


def test_only_the_page_of_an_order_that_can_be_paid_has_the_fields() -> None:
    """No other page names the script; neither does an order whose time is over, or that has no tries left."""
    assert STRIPE_SCRIPT in page(STRIPE)
    for name, text in every_page(VISIT).items():
        assert "js.stripe.com" not in text, name
    for changes in ({"until_ms": VISIT.now_ms}, {"attempts_left": 0}, {"phase": "paid", "state": "paid"}):
        assert STRIPE_SCRIPT not in page(STRIPE, **changes)
        assert not can_be_paid(ORDER | changes, VISIT.now_ms)
    assert can_be_paid(ORDER, VISIT.now_ms)


@pytest.mark.parametrize("tag", sorted(languages()))
def test_the_page_says_what_is_needed_and_has_no_field_for_a_card(tag: str) -> None:
    """In every language: whose fields these are, what to do without scripts, and until when the seats are kept."""
    text, words = page(STRIPE, tag), languages()[tag]
    until = words.clock(PAPER["until_ms"], EVENT["zone"])  # type: ignore[arg-type]

    assert words.text("fields.without", provider="Stripe", time=until) in text
    assert words.text("fields.blocked", provider="Stripe", host="js.stripe.com", time=until) in text
    assert set(re.findall(r'<input type="(\w+)"', text)) == {"hidden"}
    assert "pk_test_1" in text


@pytest.mark.parametrize("token", ["pm_1PqXyZ", "pm_card_visa"])
def test_a_token_is_taken(token: str) -> None:
    """As the provider makes them."""
    assert TOKEN.fullmatch(token)


@pytest.mark.parametrize(
    "text", ["", "pm_", "4242424242424242", "pi_1", "pm_1 ", "pm_1\n", "pm_" + "x" * 121, "PM_1"]
)
def test_what_is_no_token_is_not_taken(text: str) -> None:
    """A card's number least of all."""
    assert TOKEN.fullmatch(text) is None
