"""Messages in a real Chromium, on the real demo: asked for on the page of an order, pushed, shown, and ended.

No browser of a test has a push service, so its subscription leads to one on this machine: a script put in before the
page's own answers ``PushManager.subscribe``. Everything else is real: the shop encrypts and signs, the service checks,
and what the browser's keys have opened is handed to the shop's worker, which shows it. With SCREENS=FOLDER pictures of
the pages are left there.
"""

import asyncio
import json
import os
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser as Chromium
from playwright.sync_api import BrowserContext, Page, expect

from bench import axe
from tests.kernel.push_service import Browser, PushService, serving_push
from tests.process.looking import PATIENCE_MS, complaints, until
from tests.process.test_demo import Demo, demo
from tests.process.test_paying import come, pay, until_paid

pytestmark = [pytest.mark.process, pytest.mark.browser]

TOLD = "This browser shows you messages about this order."
STUB = """
(() => {
  const plain = %s;
  const made = (options) => ({
    ...plain, options, toJSON: () => plain,
    unsubscribe: async () => { localStorage.removeItem("stub"); return true; },
  });
  const hex = (buffer) => [...new Uint8Array(buffer)].join(",");
  PushManager.prototype.subscribe = async ({ userVisibleOnly, applicationServerKey }) => {
    if (!userVisibleOnly) throw new Error("each message must be seen");
    localStorage.setItem("stub", hex(applicationServerKey));
    return made({ applicationServerKey });
  };
  PushManager.prototype.getSubscription = async () => {
    const key = localStorage.getItem("stub");
    return key && made({ applicationServerKey: Uint8Array.from(key.split(",").map(Number)).buffer });
  };
})();
"""
NOTES = """
async () => {
  const registration = await navigator.serviceWorker.getRegistration("/tickets/push/");
  const shown = await registration.getNotifications();
  return shown.map(({ title, body, tag, lang, data }) => ({ title, body, tag, lang, data }));
}
"""


@contextmanager
def service_here() -> Iterator[PushService]:
    """Run a push service in a thread of its own."""
    loop, found = asyncio.new_event_loop(), list[PushService]()
    ready, over = threading.Event(), asyncio.Event()

    async def serve() -> None:
        async with serving_push(int(time.time())) as service:
            found.append(service)
            ready.set()
            await over.wait()

    thread = threading.Thread(target=lambda: loop.run_until_complete(serve()))
    thread.start()
    assert ready.wait(PATIENCE_MS / 1000)
    try:
        yield found[0]
    finally:
        loop.call_soon_threadsafe(over.set)
        thread.join()
        loop.close()


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Demo]:
    """Run the demo."""
    with demo(tmp_path_factory.mktemp("push")) as shared:
        yield shared


@contextmanager
def fan_of(
    chromium: Chromium, running: Demo, service: PushService, own: Browser, **look: Any
) -> Iterator[BrowserContext]:
    """Open a browser that allows messages, and whose subscription leads to the service here."""
    look = {"locale": "en-GB", "reduced_motion": "reduce", "viewport": {"width": 390, "height": 844}, **look}
    context = chromium.new_context(**look)
    context.set_default_timeout(PATIENCE_MS)
    context.grant_permissions(["notifications"], origin=running.site)
    context.add_init_script(STUB % json.dumps(own.subscription(service.endpoint())))
    yield context
    context.close()


def deliver(page: Page, site: str, text: str) -> None:
    """Hand a message to the worker, as the browser's push service would."""
    cdp = page.context.new_cdp_session(page)
    found: list[str] = []
    cdp.on(
        "ServiceWorker.workerRegistrationUpdated",
        lambda told: found.extend(
            one["registrationId"]
            for one in told["registrations"]
            if one["scopeURL"].endswith("/tickets/push/")
        ),
    )
    cdp.send("ServiceWorker.enable")
    until(page, lambda: bool(found))
    cdp.send("ServiceWorker.deliverPushMessage", {"origin": site, "registrationId": found[0], "data": text})
    cdp.detach()


def picture(page: Page, name: str) -> None:
    """Leave a picture, if somebody wants to look."""
    if folder := os.environ.get("SCREENS"):
        Path(folder).mkdir(parents=True, exist_ok=True)
        page.locator("#push").scroll_into_view_if_needed()
        page.screenshot(path=Path(folder) / f"{name}.png", full_page=True)


def test_a_fan_asks_for_messages_is_shown_one_and_ends_them(browser: Chromium, running: Demo) -> None:
    """Before paying; "paid" comes while the page is open, and its note leads to the tickets."""
    own = Browser()
    with service_here() as service, fan_of(browser, running, service, own) as fan:
        page = come(fan, running)
        objections = complaints(page)
        picture(page, "asked-phone-light")
        assert axe.violations(page) == []
        page.get_by_role("button", name="Show me messages").click()
        expect(page.locator("#push-said")).to_have_text(TOLD)
        page.reload()
        expect(page.locator("#push-said")).to_have_text(TOLD)
        pay(page, "A card that pays")
        until_paid(page)
        until(page, lambda: len(service.heard))
        told = json.loads(own.read(service.heard[0][2]))
        deliver(page, running.site, json.dumps(told))
        until(
            page,
            NOTES,
            [
                {
                    "title": told["title"],
                    "body": told["body"],
                    "tag": told["tag"],
                    "lang": "en",
                    "data": {"path": told["path"]},
                }
            ],
        )
        deliver(page, running.site, json.dumps(told))
        assert len(page.evaluate(NOTES)) == 1
        assert service.wrong == []
        page.goto(running.site + told["path"])
        expect(page.locator("h1")).to_have_text("Your tickets")
        expect(page.locator("#push-said")).to_have_text(TOLD)
        picture(page, "told-phone-light")
        assert axe.violations(page) == []
        page.get_by_role("button", name="No more messages").click()
        expect(page.get_by_role("button", name="Show me messages")).to_be_visible()
        assert page.evaluate("localStorage.getItem('stub')") is None
        assert objections == []


def test_a_note_that_is_pressed_opens_its_page_and_no_other_site(browser: Chromium, running: Demo) -> None:
    """What cannot be read is shown by the site's name; a path that leads elsewhere leads nowhere."""
    with service_here() as service, fan_of(browser, running, service, Browser(), color_scheme="dark") as fan:
        page = come(fan, running)
        with fan.expect_event("serviceworker") as starting:
            page.get_by_role("button", name="Show me messages").click()
        worker = starting.value
        expect(page.locator("#push-said")).to_have_text(TOLD)
        picture(page, "told-phone-dark")
        deliver(page, running.site, "no JSON")
        until(
            page,
            NOTES,
            [
                {
                    "title": running.site.partition("://")[2],
                    "body": "",
                    "tag": "",
                    "lang": "",
                    "data": {"path": "/"},
                }
            ],
        )
        opened = worker.evaluate(
            """async () => {
              const opened = [];
              Clients.prototype.openWindow = async (url) => { opened.push(url); };
              for (const path of ["/tickets/a/b/c", "https://evil.example/x", "//evil.example/x"]) {
                await lead(path);
              }
              return opened;
            }"""
        )

        assert opened == [f"{running.site}/tickets/a/b/c"]


@pytest.mark.parametrize("how", ["denied", "no-push", "no-script"])
def test_a_browser_that_cannot_is_offered_nothing(how: str, browser: Chromium, running: Demo) -> None:
    """The order's page is complete without it."""
    context = browser.new_context(locale="en-GB", java_script_enabled=how != "no-script")
    context.set_default_timeout(PATIENCE_MS)
    if how == "denied":
        context.add_init_script("Object.defineProperty(Notification, 'permission', { get: () => 'denied' });")
    if how == "no-push":
        context.grant_permissions(["notifications"], origin=running.site)
        context.add_init_script("delete globalThis.PushManager;")
    if how == "no-script":
        helper = browser.new_context(locale="en-GB")
        helper.set_default_timeout(PATIENCE_MS)
        page = come(helper, running)
        context.add_cookies(helper.cookies())  # type: ignore[arg-type]
        plain = context.new_page()
        plain.goto(page.url)
        helper.close()
        page = plain
    else:
        page = come(context, running)
        page.wait_for_load_state("networkidle")

    expect(page.locator("#push")).to_be_hidden()
    expect(page.locator("#push")).to_have_count(1)
    context.close()


def test_a_fan_who_says_no_to_the_browser_is_told_how_to_change_it(browser: Chromium, running: Demo) -> None:
    """Nothing is sent to the shop, and the order is as it was."""
    context = browser.new_context(locale="en-GB")
    context.set_default_timeout(PATIENCE_MS)
    context.add_init_script("Notification.requestPermission = async () => 'denied';")
    page = come(context, running)
    asked: list[str] = []
    page.on("request", lambda request: asked.append(request.url))
    page.get_by_role("button", name="Show me messages").click()
    expect(page.locator("#push-said")).to_contain_text("does not let us show you messages")

    assert not [url for url in asked if url.endswith("/push")]
    context.close()


@pytest.mark.parametrize(
    ("language", "scheme", "width"), [("de", "light", 1280), ("de", "dark", 1280), ("ar", "light", 390)]
)
def test_the_offer_reads_well_everywhere(
    language: str, scheme: str, width: int, browser: Chromium, running: Demo
) -> None:
    """In other languages and directions, wide and narrow: nothing scrolls sideways, and axe finds nothing."""
    look = {"color_scheme": scheme, "viewport": {"width": width, "height": 900}}
    with service_here() as service, fan_of(browser, running, service, Browser(), **look) as fan:
        page = come(fan, running)
        page.goto(f"{page.url}?lang={language}")
        expect(page.locator("html")).to_have_attribute("lang", language)
        expect(page.locator("#push")).to_be_visible()
        picture(page, f"asked-{language}-{scheme}-{width}")

        assert axe.violations(page) == []
        assert not page.evaluate(
            "document.documentElement.scrollWidth > document.documentElement.clientWidth"
        )
