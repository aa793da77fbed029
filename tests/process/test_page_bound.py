"""The page in a real browser, in a room that binds places to browsers: keys that stay, and copies worth nothing."""

import asyncio
import re
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from pathlib import Path

import pytest
from playwright.sync_api import Browser, BrowserContext, Page, expect, sync_playwright

from bench.screenshots import CHROMIUM_ARGS
from kernel.clock import SystemClock
from kernel.store import connect
from tests.process.looking import PATIENCE_MS, chromium, state
from tests.process.sites import RULES, TICKETS, sites
from waitroom.configure import Actor, Configurations

pytestmark = [pytest.mark.process, pytest.mark.browser, pytest.mark.usefixtures("store")]

BOUND = 'bind = "browser"\npaused = true'
PAGE = "/.waitroom/r/main?target=/shop"
TICKET = "__Host-waitroom-ticket-main"
NO_KEYS = "Object.defineProperty(window, 'indexedDB', {value: undefined});"
"""What some private windows lack."""

CLAIM = """fetch("/.waitroom/r/main/claim", {
  method: "POST", headers: {"Content-Type": "application/json"}, body: "{}",
}).then((answer) => answer.json()).then(({outcome, code}) => outcome ?? code)"""
KEYS = """() => new Promise((done) => {
  const request = indexedDB.open("waitroom-keys", 1);
  request.onsuccess = () => {
    const all = request.result.transaction("keys").objectStore("keys").getAll();
    all.onsuccess = () => done(all.result.map((one) => one.pair.privateKey.extractable));
  };
})"""


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    """Give a Chromium that knows where the sites are."""
    with sync_playwright() as playwright:
        own = playwright.chromium.launch(executable_path=chromium(), args=[*CHROMIUM_ARGS, RULES])
        yield own
        own.close()


def device(browser: Browser, script: str = "") -> BrowserContext:
    """Open a fresh browser profile; the certificates are our own."""
    context = browser.new_context(locale="en-GB", ignore_https_errors=True, reduced_motion="reduce")
    context.set_default_timeout(PATIENCE_MS)
    if script:
        context.add_init_script(script)
    return context


def waits(context: BrowserContext, tickets: str) -> Page:
    """Join, and wait in the line that stands still."""
    page = context.new_page()
    page.goto(tickets + PAGE)
    state(page, "paused")
    return page


def go_on(store_url: str) -> None:
    """Let the line move."""

    async def change() -> None:
        client = connect(store_url)
        await Configurations(client, SystemClock()).patch("main", {"paused": False}, None, Actor("test"))
        await client.aclose()

    # Playwright has a loop of its own in this thread.
    with ThreadPoolExecutor(1) as other:
        other.submit(lambda: asyncio.run(change())).result()


def copied(context: BrowserContext, to: BrowserContext) -> None:
    """Steal the ticket: its cookie, as it is."""
    (ticket,) = [one for one in context.cookies() if one["name"] == TICKET]
    to.add_cookies([ticket])  # type: ignore[list-item]


def test_a_copied_ticket_fails_at_the_claim_and_its_owner_comes_in(
    browser: Browser, store_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The thief's page says why, with the number to tell; the key cannot be taken out of the owner's browser.

    Another fan's browser keeps no keys: their place is bound to nothing, and they come in as ever.
    """
    with (
        sites(store_url, tmp_path, monkeypatch, BOUND) as (tickets, _),
        closing(device(browser)) as owner,
        closing(device(browser)) as thief,
        closing(device(browser, NO_KEYS)) as plain,
    ):
        page = waits(owner, tickets)
        extractable = page.evaluate(KEYS)
        sent: list[str] = []
        page.on("request", lambda one: sent.append(one.url) if one.url.endswith("/claim") else None)
        outcomes = [page.evaluate(CLAIM) for _ in range(3)]
        page.close()
        waits(plain, tickets).close()
        copied(owner, thief)
        go_on(store_url)

        stolen = thief.new_page()
        stolen.goto(tickets + PAGE)
        state(stolen, "refused")
        expect(stolen.locator("h1")).to_have_text("You cannot go on here")
        expect(stolen.locator("#detail")).to_contain_text("bound to another browser")
        expect(stolen.locator("#detail")).to_contain_text("give your number, 1;")
        stolen.get_by_role("button", name="Try again").click()
        state(stolen, "refused")
        for fan in (owner, plain):
            page = fan.new_page()
            page.goto(tickets + PAGE)
            expect(page.locator("h1")).to_have_text("Welcome to the shop", timeout=PATIENCE_MS)
        admitted = {one["name"] for one in thief.cookies() if one["domain"] == TICKETS}

    assert extractable == [False]
    # A question is asked once: whoever stands at the door answers it anew at each try.
    assert (outcomes, len(sent)) == (["waiting"] * 3, 4)
    assert TICKET in admitted
    assert "__Host-waitroom-admission-main" not in admitted


def test_a_carried_place_takes_the_new_browsers_key(
    browser: Browser, store_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The link still carries a place; a copy of the old ticket with the old key is worth nothing then."""
    with (
        sites(store_url, tmp_path, monkeypatch, BOUND) as (tickets, _),
        closing(device(browser)) as old,
        closing(device(browser)) as new,
    ):
        page = waits(old, tickets)
        before = old.cookies()
        page.get_by_role("button", name="Carry my place to another device").click()
        expect(page.locator("#carrying input")).to_have_value(re.compile("#carry="))
        link = page.locator("#carrying input").input_value()
        taken = new.new_page()
        taken.goto(link)
        state(taken, "paused")
        state(page, "carried")
        page.close()
        taken.close()
        go_on(store_url)

        old.add_cookies([one for one in before if one["name"] == TICKET])  # type: ignore[misc]
        page = old.new_page()
        page.add_init_script("localStorage.clear();")
        page.goto(tickets + PAGE)
        state(page, "refused")
        expect(page.locator("#detail")).to_contain_text("has been carried to another browser")
        taken = new.new_page()
        taken.goto(tickets + PAGE)
        expect(taken.locator("h1")).to_have_text("Welcome to the shop", timeout=PATIENCE_MS)
