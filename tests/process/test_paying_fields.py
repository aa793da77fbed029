"""Paying by the provider's card fields, in a real browser on the real demo: the page's code is the one for Stripe.

The sandbox serves script and frame at its own address, as Stripe does; in its frame outcomes are chosen by name. Paid,
a decline and a second card, 3-D Secure, by the keyboard alone, in Arabic from the hold to paid; the script kept away,
and no script at all. The page's policy is open for the provider, and no other page's is.
"""

import re
import secrets
from collections.abc import Iterator
from urllib.parse import urlsplit

import pytest
from playwright.sync_api import Browser, BrowserContext, FrameLocator, Page, Route, expect

from bench import axe
from bench.screenshots import SCHEMES
from checkout.sandbox.words import languages as sandbox_languages
from checkout.site.words import languages
from tests.process.looking import PATIENCE_MS, come_in, complaints
from tests.process.test_demo import Demo, demo

pytestmark = [pytest.mark.process, pytest.mark.browser]

EVENING = "/events/northern-lights"
PAID = "Paid. The seats are yours"
VIOLATIONS = """addEventListener("securitypolicyviolation", (event) => {
  (globalThis.violations ??= []).push(`${event.effectiveDirective} ${event.blockedURI}`);
})"""


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Demo]:
    """Run the demo, with the sandbox's card fields instead of choices on the page."""
    with demo(tmp_path_factory.mktemp("fields"), environ={"WAITROOM_SANDBOX_FIELDS": "yes"}) as shared:
        yield shared


@pytest.fixture
def buyer(browser: Browser) -> Iterator[BrowserContext]:
    """Open a browser on a phone that notes what a policy forbids."""
    context = browser.new_context(
        locale="en-GB", reduced_motion="reduce", viewport={"width": 390, "height": 844}
    )
    context.set_default_timeout(PATIENCE_MS)
    context.add_init_script(VIOLATIONS)
    yield context
    context.close()


def come(fan: BrowserContext, running: Demo, query: str = "") -> Page:
    """Come in, hold two seats, and go to the page where they are paid."""
    come_in(fan, running.site)
    page = fan.new_page()
    if query:
        page.goto(f"{running.site}{EVENING}{query}")
    told = {"headers": {"Origin": running.site}, "max_redirects": 0}
    form = {"key": secrets.token_hex(8), "count": "2", "tier": ""}
    held = fan.request.post(f"{running.site}{EVENING}/hold", form=form, **told)  # type: ignore[arg-type]
    hold = held.headers["location"].partition("hold=")[2]
    address = f"{running.site}{EVENING}/hold/{hold}/reserve"
    reserved = fan.request.post(address, form={"key": "x"}, **told)  # type: ignore[arg-type]
    page.goto(running.site + reserved.headers["location"])
    page.locator("form[action$='/order'] button").click()
    page.wait_for_url("**/order/*")
    return page


def frame_of(page: Page) -> FrameLocator:
    """Give the provider's frame."""
    return page.frame_locator("#card iframe")


def pay(page: Page, outcome: str, tag: str = "en") -> None:
    """Choose an outcome in the frame, in the page's language, and pay."""
    words = sandbox_languages()[tag]
    label = words.text(f"outcome.{outcome}")
    frame_of(page).get_by_label(words.text("fields.label")).select_option(label=label)
    page.locator("#fields button").click()


def violations(page: Page) -> list[str]:
    """Tell what the page's policy has forbidden."""
    found: list[str] = page.evaluate("() => globalThis.violations ?? []")
    return found


def settled(page: Page, head: str) -> None:
    """Wait for a heading; a payment that takes a moment is looked at again, as the page says."""
    for _ in range(20):
        if page.locator("h1").inner_text() == head:
            return
        look = page.get_by_role("link", name="Look again")
        if look.count():
            look.click()
        page.wait_for_timeout(250)
    expect(page.locator("h1")).to_have_text(head)


def test_a_card_that_pays(buyer: BrowserContext, running: Demo) -> None:
    """The form brings a token; nothing of the page objects, and its policy names the provider's host alone."""
    page = come(buyer, running)
    objections = complaints(page)
    answer = page.reload()
    assert answer is not None
    policy = answer.headers["content-security-policy"]
    expect(page.locator("#fields button")).to_be_visible()
    host = page.evaluate("() => new URL(document.getElementById('fields').dataset.script).origin")
    assert f"script-src 'self' {host};" in policy
    assert f"frame-src {host};" in policy
    assert "unsafe" not in policy
    with page.expect_request(lambda request: request.url.endswith("/pay")) as sent:
        pay(page, "pays")
    settled(page, PAID)

    body = sent.value.post_data or ""
    assert "method=pm_card_visa" in body
    assert objections == []
    assert violations(page) == []
    again = page.reload()
    assert again is not None
    assert host not in again.headers["content-security-policy"]
    assert "frame-src" not in again.headers["content-security-policy"]
    for path in ("/", EVENING, f"{EVENING}/seats", f"{EVENING}/hold", "/nowhere"):
        other = page.request.get(running.site + path)
        assert host not in other.headers["content-security-policy"] + other.text(), path
        assert "frame-src" not in other.headers["content-security-policy"], path


def test_nothing_chosen_a_decline_and_another_card(buyer: BrowserContext, running: Demo) -> None:
    """What the provider says is wrong stands beside its field; a decline keeps the seats and offers the fields anew."""
    page = come(buyer, running)
    seats = page.locator(".lines").inner_text()
    expect(page.locator("#fields button")).to_be_visible()
    page.locator("#fields button").click()
    expect(page.locator("#fields-wrong")).to_have_text("Choose what the bank does.")
    pay(page, "no-funds")
    expect(page.locator(".lead")).to_contain_text("There is not enough money on this card")
    assert violations(page) == []
    pay(page, "pays")
    settled(page, PAID)

    assert page.locator(".lines").inner_text() == seats


def test_a_bank_that_asks_first(buyer: BrowserContext, running: Demo) -> None:
    """The link to the bank's page and the way back are as with any other way to pay."""
    page = come(buyer, running)
    pay(page, "asks")
    page.get_by_role("link", name="To your bank's page").click()
    page.get_by_role("button", name="Approve payment").click()
    settled(page, PAID)

    assert violations(page) == []


def test_by_the_keyboard_alone(buyer: BrowserContext, running: Demo) -> None:
    """Tab leads into the frame and on to the button; arrows choose, Enter pays."""
    page = come(buyer, running)
    expect(page.locator("#fields button")).to_be_visible()
    page.locator("body").press("Tab")
    for _ in range(25):
        if page.evaluate("() => document.activeElement?.tagName") == "IFRAME":
            break
        page.keyboard.press("Tab")
    page.keyboard.type("A card that pays")
    page.keyboard.press("Tab")
    assert page.evaluate("() => document.activeElement === document.querySelector('#fields button')")
    page.keyboard.press("Enter")
    settled(page, PAID)


@pytest.mark.parametrize("how", ["blocked", "empty"])
def test_a_script_that_is_kept_away_is_told_and_the_seats_stay(
    how: str, buyer: BrowserContext, running: Demo
) -> None:
    """Blocked on its way, or something else in its place: the page names the host, and how long the seats are kept."""

    def answer(route: Route) -> None:
        if how == "blocked":
            route.abort()
        else:
            route.fulfill(status=200, content_type="text/javascript", body="")

    buyer.route("**/v3/", answer)
    page = come(buyer, running)

    wrong = page.locator("#fields-wrong")
    expect(wrong).to_contain_text("could not be loaded")
    expect(wrong).to_contain_text(
        urlsplit(str(page.locator("#fields").get_attribute("data-script"))).hostname or "?"
    )
    expect(wrong).to_contain_text(re.compile(r"Your seats stay reserved until \d\d:\d\d"))
    expect(page.locator("#fields button")).to_be_hidden()
    buyer.unroute("**/v3/")
    page.reload()
    pay(page, "pays")
    settled(page, PAID)


def test_without_scripts_the_page_says_what_is_needed(
    browser: Browser, buyer: BrowserContext, running: Demo
) -> None:
    """And until when the seats are kept; the form has no button that would send nothing."""
    page = come(buyer, running)
    context = browser.new_context(
        locale="en-GB", java_script_enabled=False, storage_state=buyer.storage_state()
    )
    context.set_default_timeout(PATIENCE_MS)
    plain = context.new_page()
    plain.goto(page.url)

    expect(plain.locator("#fields-said")).to_contain_text("Paying by card needs JavaScript here")
    expect(plain.locator("#fields-said")).to_contain_text(re.compile(r"until \d\d:\d\d"))
    expect(plain.locator("#fields button")).to_be_hidden()
    seen = [one.get_attribute("name") for one in plain.locator("input:not([type=hidden])").all()]
    assert seen == ["email", "name"], "where tickets go is asked for, and nothing of a card"
    context.close()


def test_the_language_that_was_chosen_stays_till_paid(buyer: BrowserContext, running: Demo) -> None:
    """Arabic, chosen on the evening's page: on the page to pay, back from the bank, and paid."""
    words = languages()["ar"]
    page = come(buyer, running, "?lang=ar")
    expect(page.locator("html")).to_have_attribute("dir", "rtl")
    expect(page.locator("h1")).to_have_text(words.text("order.to-pay-head"))
    pay(page, "asks", "ar")
    page.get_by_role("link", name=words.text("order.bank")).click()
    page.get_by_role("button", name="Approve payment").click()
    page.wait_for_url("**/order/*")

    expect(page.locator("html")).to_have_attribute("lang", "ar")
    expect(page.locator("h1")).to_have_text(
        re.compile(f"{words.text('order.paid-head')}|{words.text('order.pending-head')}")
    )


@pytest.mark.parametrize("tag", ["en", "de", "ar"])
def test_axe_finds_nothing(tag: str, buyer: BrowserContext, running: Demo) -> None:
    """Light and dark, with the fields ready, and with what is wrong beside them."""
    page = come(buyer, running, f"?lang={tag}")
    found = {}
    for scheme in SCHEMES:
        page.emulate_media(color_scheme=scheme)
        page.reload()
        expect(page.locator("#fields button")).to_be_visible()
        found[scheme] = axe.violations(page)
        page.locator("#fields button").click()
        expect(page.locator("#fields-wrong")).to_be_visible()
        found[scheme] += axe.violations(page)

    assert found == {"light": [], "dark": []}
