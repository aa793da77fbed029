"""The page in a real browser: nothing is lost, whatever happens to the network, the tab or the phone."""

import re
from typing import Any

import pytest
from playwright.sync_api import Browser, BrowserContext, expect

from bench.scripted_room import serving
from tests.process.looking import LOOK, NO_CHANCE, PAGE, PLAIN_HTTP, ahead, complaints, state, waiting
from waitroom.words import languages

pytestmark = [pytest.mark.process, pytest.mark.browser]


# ----------------------------------------------------------------------------------------- the tunnel
def test_ten_minutes_without_a_network_cost_nothing(fan: BrowserContext) -> None:
    """The page keeps its last plan, asks for nothing in vain, and catches up at once when the network is back."""
    scene = waiting()
    with serving(scene) as (_, address):
        page = fan.new_page()
        page.clock.install()
        page.goto(address + PAGE)
        state(page, "waiting")
        fan.set_offline(True)
        state(page, "offline")
        asked = scene.seen["status"]
        scene.change(serving=25)
        page.clock.run_for(600_000)
        expect(page.locator("#link")).to_have_text(re.compile("Last news: (9|10|11) minutes ago"))
        assert (ahead(page), scene.seen["status"]) == ("30", asked)

        fan.set_offline(False)
        state(page, "waiting")
        expect(page.locator("#value")).to_have_text("15")
        assert scene.seen["join"] == 1


def test_a_frozen_tab_catches_up_when_it_thaws(fan: BrowserContext) -> None:
    """The browser stops everything; the turn comes meanwhile; the page claims as soon as it runs again.

    Chromium freezes hidden tabs alone, and none is hidden without a screen: so the events are ours, and the
    debugger stands the script still in between.
    """
    scene = waiting()
    with serving(scene) as (_, address):
        page = fan.new_page()
        page.goto(address + PAGE)
        state(page, "waiting")
        devtools = fan.new_cdp_session(page)
        devtools.send("Debugger.enable")
        page.evaluate("document.dispatchEvent(new Event('freeze'))")
        devtools.send("Debugger.pause")
        scene.change(serving=41)
        page.wait_for_timeout(1500)  # the page has a timer each second: none runs
        assert "claim" not in scene.seen
        devtools.send("Debugger.resume")
        page.evaluate("document.dispatchEvent(new Event('resume'))")
        page.wait_for_url(address + "/shop")

        assert (scene.seen["join"], scene.seen["claim"]) == (1, 1)


def test_a_slow_network_shows_the_page_before_its_script(fan: BrowserContext) -> None:
    """Slow 3G, 400 kbit/s and 400 ms away: words stand there from the first bytes, the place follows."""
    scene = waiting()
    with serving(scene) as (_, address):
        page = fan.new_page()
        devtools = fan.new_cdp_session(page)
        devtools.send("Network.enable")
        slow = {"offline": False, "latency": 400, "downloadThroughput": 50_000, "uploadThroughput": 50_000}
        devtools.send("Network.emulateNetworkConditions", slow)
        page.goto(address + PAGE, wait_until="commit")
        expect(page.locator("#headline")).to_have_text("Finding your place…")
        state(page, "waiting")
        paint = page.evaluate("performance.getEntriesByName('first-contentful-paint')[0].startTime")

        assert paint < 5000  # how fast it is on a quiet machine is the figure page-fcp


def test_the_back_button_brings_the_page_back_alive(fan: BrowserContext) -> None:
    """The page lets itself be kept (no lock, no channel left open), and asks at once when it is shown again."""
    scene = waiting()
    with serving(scene) as (_, address):
        page = fan.new_page()
        page.goto(address + PAGE)
        state(page, "waiting")
        page.evaluate(
            "window.addEventListener('pageshow', (event) => { window.persisted = event.persisted; })"
        )
        page.goto(f"{address}/.waitroom/r/main/how")
        scene.change(serving=20)
        page.go_back(wait_until="commit")
        state(page, "waiting")
        expect(page.locator("#value")).to_have_text("20")

        assert page.evaluate("window.persisted") is True
        assert scene.seen["join"] == 1


def test_a_clock_that_is_wrong_by_an_hour_changes_nothing(fan: BrowserContext) -> None:
    """The countdown follows the server's clock, whatever the phone believes."""
    wrong = "const own = Date.now; Date.now = () => own() + 3_600_000;"
    with serving(waiting(phase="idle", opens_in_s=600)) as (_, address):
        page = fan.new_page()
        page.add_init_script(wrong)
        page.goto(address + PAGE)
        state(page, "before")

        assert re.fullmatch(r"[89]:\d\d|10:00", ahead(page))


# -------------------------------------------------------------------------------------------- the tabs
@pytest.mark.parametrize("script", ["0", PLAIN_HTTP], ids=["secure", "plain-http"])
def test_a_second_tab_follows_and_the_next_one_leads(fan: BrowserContext, script: str) -> None:
    """The tab that is looked at last asks; the other hears from it; when it closes, the other takes over."""
    scene = waiting()
    with serving(scene) as (_, address):
        fan.add_init_script(script)
        first, second = fan.new_page(), fan.new_page()
        for page in (first, second):
            page.goto(address + PAGE)
            state(page, "waiting")
        expect(first.locator("#link")).to_contain_text("another tab")
        asked: list[str] = []
        first.on("request", lambda request: asked.append(request.url))
        scene.change(serving=20)
        second.evaluate(LOOK)
        for page in (first, second):
            expect(page.locator("#value")).to_have_text("20")
        assert asked == []

        second.close()
        expect(first.locator("#link")).to_have_text("Your place is saved", timeout=60_000)
        assert scene.seen["join"] == 1


# ------------------------------------------------------------------------------------- nothing is lost
def test_offline_and_reload_keep_the_place(fan: BrowserContext) -> None:
    """The network goes, the page says that the place is safe; a reload finds it again without a new join."""
    scene = waiting()
    with serving(scene) as (_, address):
        page = fan.new_page()
        page.goto(address + PAGE)
        state(page, "waiting")
        fan.set_offline(True)
        state(page, "offline")
        expect(page.locator("#headline")).to_have_text("You are offline. Your place is safe.")
        assert ahead(page) == "30"

        fan.set_offline(False)
        expect(page.locator("#link")).to_have_text("Your place is saved")
        page.reload()
        state(page, "waiting")
        assert ahead(page) == "30"
        assert scene.seen["join"] == 1


def test_a_lost_answer_to_the_join_gives_the_same_number(fan: BrowserContext) -> None:
    """The server counted, the answer got lost: the second try carries the same key."""
    scene = waiting()
    with serving(scene) as (_, address):
        page = fan.new_page()
        lost: list[str] = []

        def lose_once(route: Any) -> None:
            if not lost:
                route.fetch()
                lost.append(route.request.headers["idempotency-key"])
                route.abort()
            else:
                route.continue_()

        page.route("**/join", lose_once)
        page.goto(address + PAGE)
        state(page, "waiting")

        assert scene.seen["join"] == 2
        assert [headers["idempotency-key"] for headers in scene.headers] == lost * 2
        assert ahead(page) == "30"


@pytest.mark.parametrize("script", ["", PLAIN_HTTP], ids=["secure", "plain-http"])
def test_two_tabs_are_one_place(fan: BrowserContext, script: str) -> None:
    """Tabs share one join, also where the browser has no locks and no WebCrypto."""
    scene = waiting()
    with serving(scene) as (room, address):
        fan.add_init_script(script or "0")
        pages = [fan.new_page(), fan.new_page()]
        for page in pages:
            page.goto(address + PAGE, wait_until="commit")
        for page in pages:
            state(page, "waiting")

        for page in pages:
            expect(page.locator("#value")).to_have_text("30")
        assert len(room.numbers) == 1


def test_a_browser_without_cookies_still_gets_its_turn(fan: BrowserContext) -> None:
    """The ticket in the page's memory goes along as a header when the cookie was refused."""
    scene = waiting(serving=41, cookies=False)
    with serving(scene) as (_, address):
        page = fan.new_page()
        page.goto(address + PAGE)
        page.wait_for_url(address + "/shop")

        # The admission is not kept either, so more claims follow at the address behind, until the page gives up.
        # Chromium never ends closing a page that is on its way to a server that is gone: it shall stand still first.
        state(page, "cookies")
        assert ["waitroom-ticket" in headers for headers in scene.claim_headers[:2]] == [False, True]


def test_an_admission_that_is_not_kept_is_no_endless_loop(fan: BrowserContext) -> None:
    """The browser drops the admission and comes back: after three times the page says why."""
    scene = waiting(serving=41)
    with serving(scene) as (_, address):
        page = fan.new_page()
        page.route("**/claim", lambda route: route.fulfill(json={"outcome": "admitted", "go": "/shop"}))
        page.goto(address + "/shop")
        state(page, "cookies")

        assert page.inner_text("h1") == "Your browser keeps no cookies for this site"


NOTED = """
window.links = [];
new MutationObserver(() => window.links.push(document.getElementById('link').textContent))
  .observe(document.getElementById('link'), {childList: true, characterData: true, subtree: true});
"""
"""What the line at the top has said: the first trouble stands there for a second only."""


def test_the_store_is_away_and_comes_back(fan: BrowserContext) -> None:
    """Nothing is lost and nobody need reload: with a place, and without one yet."""
    scene = waiting(away=True)
    with serving(scene) as (_, address):
        page = fan.new_page()
        page.add_init_script(NO_CHANCE)
        page.goto(address + PAGE)
        state(page, "away")
        expect(page.locator("#detail")).to_contain_text("you need not reload")
        scene.away = False
        state(page, "waiting")

        page.evaluate(NOTED)
        scene.away = True
        page.evaluate(LOOK)
        state(page, "away")
        assert any("Your place is safe" in text for text in page.evaluate("window.links"))
        assert ahead(page) == "30"
        scene.away = False
        expect(page.locator("#link")).to_have_text("Your place is saved")
        assert scene.seen["join"] == 1


def test_a_place_of_yesterday_becomes_a_new_one(fan: BrowserContext) -> None:
    """The room opened anew: the page joins the new run once, by itself."""
    scene = waiting()
    with serving(scene) as (_, address):
        page = fan.new_page()
        page.goto(address + PAGE)
        state(page, "waiting")
        scene.change(run="f" * 16, epoch=2, issued=0, serving=0, next_number=5)
        page.evaluate(LOOK)
        expect(page.locator("#value")).to_have_text("5")
        assert scene.seen["join"] == 2


def test_a_used_place_offers_a_new_one(fan: BrowserContext) -> None:
    """After the visit the same ticket opens nothing; a new place is one press away."""
    scene = waiting(serving=41, claims=[(410, {"code": "ticket-used"})])
    with serving(scene) as (_, address):
        page = fan.new_page()
        page.goto(address + PAGE)
        state(page, "used")
        scene.change(next_number=55)
        page.get_by_role("button", name="Take a new place").click()
        state(page, "waiting")
        assert ahead(page) == "14"


def test_an_evicted_place_says_so_and_how_to_appeal(fan: BrowserContext) -> None:
    """With the number to name; given back, one press lets the same place in."""
    refusal = {"code": "place-evicted", "detail": "The organiser has taken this place out of the line."}
    # The second claim is answered by the scene itself: with its cookie, so that the site behind does not send back.
    scene = waiting(serving=41, claims=[(403, refusal)])
    with serving(scene) as (_, address):
        page = fan.new_page()
        page.goto(address + PAGE)
        state(page, "refused")
        text = languages()["en"].refused("place-evicted")[1]
        expect(page.locator("#detail")).to_have_text(f"{text} You came as: number 41")
        page.locator("#again").click()
        page.wait_for_url(address + "/shop")

        assert (scene.seen["join"], scene.seen["claim"]) == (1, 2)


def test_leaving_is_asked_twice_and_kept(fan: BrowserContext) -> None:
    """Who left does not join again by a reload, only by the hand."""
    scene = waiting()
    with serving(scene) as (_, address):
        page = fan.new_page()
        page.goto(address + PAGE)
        state(page, "waiting")
        page.click("#leave")
        page.get_by_role("button", name="Keep my place").click()
        assert "leave" not in scene.seen
        page.click("#leave")
        page.get_by_role("button", name="Leave", exact=True).click()
        state(page, "left")
        page.reload()
        state(page, "left")

        assert (scene.seen["leave"], scene.seen["join"]) == (1, 1)


# ------------------------------------------------------------------------------------ without this and that
NO_STORAGE = """
for (const kind of ['localStorage', 'sessionStorage']) {
  Object.defineProperty(window, kind, {get: () => { throw new DOMException('no', 'SecurityError'); }});
}
"""


def test_without_cookies_and_storage_a_reload_keeps_the_place(fan: BrowserContext) -> None:
    """The ticket stands behind the number sign, which is sent to nobody; the page says what it cannot keep."""
    scene = waiting(cookies=False)
    with serving(scene) as (_, address):
        page = fan.new_page()
        page.add_init_script(NO_STORAGE)
        page.goto(address + PAGE)
        state(page, "waiting")
        assert re.search(r"#ticket=[\w.-]+$", page.url)
        expect(page.locator("#keeping")).to_contain_text("keeps nothing")
        page.reload()
        state(page, "waiting")

        assert ahead(page) == "30"
        assert all("#" not in headers.get("referer", "") for headers in scene.headers)
        assert scene.headers[-1]["waitroom-ticket"] == page.url.rpartition("=")[2]


def test_a_phone_in_the_lan_without_a_certificate_gets_in(fan: BrowserContext) -> None:
    """No WebCrypto, locks, clipboard, notification or wake lock: what is missing is not offered, the rest works."""
    scene = waiting()
    with serving(scene) as (_, address):
        page = fan.new_page()
        page.add_init_script(PLAIN_HTTP)
        objections = complaints(page)
        page.goto(address + PAGE)
        state(page, "waiting")
        expect(page.locator("#awake")).to_be_hidden()
        page.click("#carry")
        page.get_by_role("button", name="Copy the link").click()
        page.keyboard.press("Escape")
        scene.change(serving=41)
        page.evaluate(LOOK)
        page.wait_for_url(address + "/shop")

        assert objections == []


def test_the_page_works_in_a_frame_of_another_site(browser: Browser) -> None:
    """The frame's cookies are another site's and get lost; the claim carries the ticket as a header."""
    scene = waiting(frame_ancestors=("*",))
    with serving(scene) as (_, address), serving(waiting(bypass=True)) as (_, other):
        context = browser.new_context(locale="en-GB")
        page = context.new_page()
        page.goto(other.replace("127.0.0.1", "localhost") + "/shop")
        page.set_content(f'<iframe src="{address}{PAGE}" width="400" height="600"></iframe>')
        frame = page.frame_locator("iframe")
        expect(frame.locator("#value")).to_have_text("30")
        scene.change(serving=41)
        page.frames[1].evaluate(LOOK)
        expect(frame.locator("h1")).to_have_text(re.compile("Welcome|no cookies"))
        context.close()

    first, second = scene.claim_headers[:2]
    assert "waitroom-ticket" not in first
    assert "waitroom-ticket" in second
