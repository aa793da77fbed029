"""Being told of the turn, with real processes: mails that arrive, and the page in a real browser."""

import json
import re
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
import redis
from playwright.sync_api import Browser, BrowserContext, Page, expect

from bench import axe
from tests.kernel import push_service
from tests.process.looking import LOOK, PATIENCE_MS, complaints, state
from tests.process.operating import changed
from tests.process.telling import OPERATOR_TOKEN, Told, telling, until

pytestmark = [pytest.mark.process, pytest.mark.browser]

ROOM = "/.waitroom/r/slow"
ADA = "ada@fans.example"
PHONE = {"width": 360, "height": 740}
TALL = {"width": 360, "height": 1300}
"""All of a dialog is seen at once: of what it scrolls away no picture shows the paper."""


@pytest.fixture(scope="module")
def told(store_url: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Told]:
    """Run the product once for all tests of this file."""
    with redis.Redis.from_url(store_url) as client:
        client.flushall()
    with telling(store_url, tmp_path_factory.mktemp("telling")) as running:
        yield running


@pytest.fixture
def phone(browser: Browser) -> Iterator[BrowserContext]:
    """Give a fan with a phone, in English."""
    context = browser.new_context(viewport=PHONE, locale="en-GB", reduced_motion="reduce")  # type: ignore[arg-type]
    context.set_default_timeout(PATIENCE_MS)
    yield context
    context.close()


def test_of_two_fans_the_one_who_asked_hears_twice_and_nothing_of_it_is_left(told: Told) -> None:
    """Almost, then your turn; afterwards neither the address nor its sealed form stands anywhere in the store."""
    base = f"{told.address}/.waitroom/r/fast"
    with httpx.Client() as ahead, httpx.Client() as ada, httpx.Client() as bob:
        for _ in range(150):
            ahead.post(f"{base}/join", json={"again": True})
        for fan in (ada, bob):
            fan.post(f"{base}/join", json={})
        # The ticket of who joins first is called first: ask at once, and learn what is kept.
        answer = ada.post(f"{base}/remind", json={"way": "mail", "to": ADA, "consent": True, "lang": "de"})
        with redis.Redis.from_url(told.store_url) as client:
            numbers = [int(key.rpartition(b":")[2]) for key in client.scan_iter("wr:{fast/reminders}:one:*")]
            sealed = client.hget(f"wr:{{fast/reminders}}:one:{numbers[0]}", "sealed") if numbers else None
        before = told.store()
        until(lambda: told.mails.taken, "the first mail did not arrive", 240)
        own = {"authorization": f"Bearer {OPERATOR_TOKEN}"}
        with httpx.Client(base_url=told.operator_url, headers=own) as operator:
            changed(operator, "PATCH", "/api/rooms/fast", "", {"new_users_per_minute": 6000})
        until(lambda: len(told.mails.taken) >= 2, "the second mail did not arrive", 240)
        until(lambda: not any(b"fast/reminders}:one:" in key for key in told.store()), "the reminder stays")
        after = told.store()

    assert answer.status_code == 200
    assert isinstance(sealed, bytes)
    assert sealed in before
    assert not any(ADA.encode() in part for part in before)
    assert not any(sealed in part or ADA.encode() in part for part in after)
    mails = told.mails.taken
    assert [mail["To"] for mail in mails] == [ADA, ADA]
    assert [mail["Subject"] for mail in mails] == ["Sie sind bald dran: fast", "Sie sind dran: fast"]
    assert f"{base}?lang=de" in mails[0].get_body(("plain",)).get_content()  # type: ignore[union-attr]


def waits(page: Page, told: Told) -> None:
    """Open the page of the slow room, and wait there."""
    page.goto(f"{told.address}{ROOM}?target=/slow")
    state(page, "paused")


def shot(page: Page, folder: Path, name: str) -> None:
    """Keep a picture for whoever looks."""
    page.screenshot(path=folder / f"{name}.png", full_page=True)


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_a_fan_asks_by_mail_and_takes_it_back_on_the_phone(
    told: Told, phone: BrowserContext, tmp_path: Path, scheme: str
) -> None:
    """With the keyboard; consent is asked for and spoken; nothing to object to, for the policy and for axe."""
    page = phone.new_page()
    page.emulate_media(color_scheme=scheme)  # type: ignore[arg-type]
    objections = complaints(page)
    waits(page, told)
    page.get_by_role("button", name="Tell me when it is almost my turn").click()
    dialog = page.get_by_role("dialog", name="Tell me when it is almost my turn")
    expect(dialog).to_contain_text("about 10 minutes")
    shot(page, tmp_path, f"asked-{scheme}")
    page.set_viewport_size(TALL)  # type: ignore[arg-type]
    found = axe.violations(page)
    page.set_viewport_size(PHONE)  # type: ignore[arg-type]
    dialog.get_by_label("E-mail address").fill(ADA)
    dialog.get_by_role("button", name="Write to me").press("Enter")
    unticked = page.evaluate("document.getElementById('remind-consent').validity.valueMissing")
    page.keyboard.press("Escape")
    page.get_by_role("button", name="Tell me when it is almost my turn").click()
    dialog.get_by_label("E-mail address").fill(ADA)
    dialog.get_by_role("checkbox").press("Space")
    dialog.get_by_role("button", name="Write to me").press("Enter")
    expect(dialog).to_contain_text("We write to you")
    expect(dialog.get_by_role("button", name="Do not tell me any more")).to_be_focused()
    shot(page, tmp_path, f"kept-{scheme}")
    remembered = json.loads(page.evaluate("localStorage.getItem('waitroom:slow:asked')"))
    pressed = page.locator("#remind").get_attribute("aria-pressed")
    with redis.Redis.from_url(told.store_url) as client:
        # As after a loss of the store: nothing is kept, and the line has a later epoch than the page has asked in.
        client.delete(*client.scan_iter("wr:{slow/reminders}:*"))
        page.evaluate(
            "localStorage.setItem('waitroom:slow:asked', JSON.stringify("
            "{...JSON.parse(localStorage.getItem('waitroom:slow:asked')), epoch: 0}))"
        )
        page.evaluate(LOOK)
        until(
            lambda: page.wait_for_timeout(50) or list(client.scan_iter("wr:{slow/reminders}:one:*")),
            "not again",
            15,
        )  # type: ignore[func-returns-value]
    dialog.get_by_role("button", name="Do not tell me any more").press("Enter")
    expect(dialog).to_contain_text("Done. What we kept for it is deleted.")
    forgotten = page.evaluate("localStorage.getItem('waitroom:slow:asked')")

    assert unticked is True
    assert (remembered["way"], remembered["to"], pressed) == ("mail", ADA, "true")
    assert forgotten is None
    assert found == []
    assert objections == []
    assert not any(b"slow/reminders}:one:" in part for part in told.store())


def test_without_scripts_a_form_does_the_same(told: Told, browser: Browser, tmp_path: Path) -> None:
    """From the button that takes the place to the page that says what is kept, and back; axe has no objection."""
    context = browser.new_context(viewport=PHONE, locale="de-DE", java_script_enabled=False)  # type: ignore[arg-type]
    context.set_default_timeout(PATIENCE_MS)
    page = context.new_page()
    page.goto(f"{told.address}{ROOM}?target=/slow")
    page.locator("noscript button, form button").first.click()
    page.get_by_role("link", name="Sagen Sie mir, wenn ich bald dran bin").click()
    shot(page, tmp_path, "form")
    page.get_by_label("E-Mail-Adresse").fill(ADA)
    page.get_by_role("checkbox").check()
    page.get_by_role("button", name="Schreiben Sie mir").click()
    expect(page.locator("main")).to_contain_text("Wir schreiben Ihnen")
    shot(page, tmp_path, "form-kept")
    page.get_by_role("button", name="Nicht mehr Bescheid geben").click()
    expect(page.get_by_label("E-Mail-Adresse")).to_be_visible()
    page.get_by_role("link", name=re.compile("Zurück")).click()
    expect(page.locator("html")).to_have_attribute("data-state", "paused")
    context.close()


def test_the_form_without_scripts_is_readable_for_everybody(told: Told, phone: BrowserContext) -> None:
    """The same page in a browser that axe can run in."""
    page = phone.new_page()
    waits(page, told)
    page.goto(f"{told.address}{ROOM}/remind?target=/slow&lang=ar")
    found = axe.violations(page)
    wide = page.evaluate("document.documentElement.scrollWidth <= innerWidth")

    assert found == []
    assert wide is True


def test_a_browser_is_subscribed_and_its_worker_shows_what_is_pushed(
    told: Told, phone: BrowserContext
) -> None:
    """The page subscribes under our key; a push is shown with its words, and a press would lead to the page."""
    own = push_service.Browser()
    given = json.dumps(own.subscription(told.push.endpoint("phone")))
    phone.grant_permissions(["notifications"], origin=told.address)
    phone.add_init_script(
        "window.asked = null;"
        "PushManager.prototype.getSubscription = async () => null;"
        "PushManager.prototype.subscribe = async (options) => {"
        "  window.asked = {visible: options.userVisibleOnly, key: options.applicationServerKey.length};"
        f"  return {{toJSON: () => ({given})}};"
        "};"
    )
    page = phone.new_page()
    objections = complaints(page)
    waits(page, told)
    page.get_by_role("button", name="Tell me when it is almost my turn").click()
    page.get_by_role("button", name="Tell me in this browser").click()
    expect(page.get_by_role("dialog")).to_contain_text("also when this page is closed")
    asked = page.evaluate("window.asked")
    way = page.evaluate(f"fetch('{ROOM}/remind').then((answer) => answer.json())")["way"]

    session = phone.new_cdp_session(page)
    registrations: list[str] = []
    session.on(
        "ServiceWorker.workerRegistrationUpdated",
        lambda event: registrations.extend(one["registrationId"] for one in event["registrations"]),
    )
    session.send("ServiceWorker.enable")
    until(lambda: page.wait_for_timeout(50) or registrations, "no worker is registered", 15)  # type: ignore[func-returns-value]
    message = {
        "title": "It is your turn",
        "body": "Come in.",
        "page": f"{told.address}{ROOM}?lang=en",
        "tag": "t",
    }
    session.send(
        "ServiceWorker.deliverPushMessage",
        {"origin": told.address, "registrationId": registrations[-1], "data": json.dumps(message)},
    )
    shown = "navigator.serviceWorker.getRegistrations().then((all) => all[0].getNotifications())"
    shown += ".then((all) => all.map(({title, body, data}) => [title, body, data.page]))"
    until(lambda: page.evaluate(shown), "nothing was shown", 15)

    assert asked == {"visible": True, "key": 65}
    assert way == "push"
    assert page.evaluate(shown) == [["It is your turn", "Come in.", message["page"]]]
    assert objections == []
