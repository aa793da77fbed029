"""The page in a real browser: from the first look to the door, with and without scripts, whatever happens."""

import json
import re
import shutil
import urllib.request
from collections.abc import Iterator
from typing import Any

import pytest
from playwright.sync_api import Browser, BrowserContext, ConsoleMessage, Page, expect, sync_playwright

from bench.screenshots import CHROMIUM_ARGS, DRAWN, NUMBER, SHOTS
from bench.scripted_room import PREFIX, Scene, serving
from waitroom import view
from waitroom.draw import Shuffle

pytestmark = [pytest.mark.process, pytest.mark.browser]

PAGE = f"{PREFIX}r/main?target=/shop"
LOOK = "window.dispatchEvent(new Event('online'))"
NO_CHANCE = "Math.random = () => 0;"
PLAIN_HTTP = """
Object.defineProperty(Crypto.prototype, 'subtle', {value: undefined});
Object.defineProperty(Navigator.prototype, 'locks', {value: undefined});
"""


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    """Give one Chromium for all tests of this file."""
    names = ("chromium", "chromium-browser", "google-chrome")
    path = next(filter(None, map(shutil.which, names)), None)
    assert path is not None, "chromium is missing: make setup"
    with sync_playwright() as playwright:
        chromium = playwright.chromium.launch(executable_path=path, args=CHROMIUM_ARGS)
        yield chromium
        chromium.close()


@pytest.fixture
def fan(browser: Browser) -> Iterator[BrowserContext]:
    """Give a fresh browser profile with a fan behind it."""
    context = browser.new_context(locale="en-GB", reduced_motion="reduce")
    context.set_default_timeout(8000)
    yield context
    context.close()


@pytest.fixture
def plain_fan(browser: Browser) -> Iterator[BrowserContext]:
    """Give a fan whose browser runs no scripts."""
    context = browser.new_context(locale="en-GB", java_script_enabled=False)
    context.set_default_timeout(8000)
    yield context
    context.close()


def waiting(**values: Any) -> Scene:
    """Make a moving line; the next to join gets number 40."""
    return Scene(**({"issued": 60, "next_number": 40, "serving": 10, "speed": 60, "plan": 60} | values))


def state(page: Page, name: str) -> None:
    """Wait until the page is in a state."""
    page.wait_for_selector(f"html[data-state={name}]")


def ahead(page: Page) -> str:
    """Return the big number."""
    return page.inner_text("#value")


def complaints(page: Page) -> list[str]:
    """Collect what the browser objects to: broken policy, faults in the script."""
    found: list[str] = []

    def hear(message: ConsoleMessage) -> None:
        if message.type == "error" and "503" not in message.text:
            found.append(message.text)

    page.on("console", hear)
    page.on("pageerror", lambda fault: found.append(str(fault)))
    return found


# ---------------------------------------------------------------------------------------- to the door
def test_looking_at_the_page_never_joins(plain_fan: BrowserContext) -> None:
    """GET is for looking: crawlers, previews and prefetches take no place."""
    scene = waiting()
    with serving(scene) as (_, address):
        for path in (PAGE, PAGE, f"{PREFIX}r/main/status", "/shop"):
            with urllib.request.urlopen(address + path, timeout=5) as answer:
                assert answer.status == 200
        plain_fan.new_page().goto(address + PAGE)

    assert "join" not in scene.seen


def test_a_fan_waits_is_called_and_goes_in_by_itself(fan: BrowserContext) -> None:
    """One POST for the place, then only looking, then one claim; the browser has nothing to object to."""
    scene = waiting()
    with serving(scene) as (_, address):
        page = fan.new_page()
        objections = complaints(page)
        page.goto(address + PAGE)
        state(page, "waiting")
        assert ahead(page) == "30"
        expect(page.locator("#detail")).to_have_text("Your turn comes in less than a minute.")

        scene.change(serving=30)
        page.evaluate(LOOK)
        expect(page.locator("#value")).to_have_text("10")
        scene.change(serving=41)
        page.evaluate(LOOK)
        page.wait_for_url(address + "/shop")

        assert page.inner_text("h1") == "Welcome to the shop"
        assert (scene.seen["join"], scene.seen["claim"]) == (1, 1)
        assert objections == []


def test_the_policy_test_notices_an_inline_script(fan: BrowserContext) -> None:
    """Mutant: a page with an inline script is blocked, and we would see it."""
    with serving(waiting()) as (room, address):
        shell = room.shell.page().replace(b"</head>", b"<script>document.title = 'inline'</script></head>")
        room.shell = view.Shell(shell.decode())
        page = fan.new_page()
        objections = complaints(page)
        page.goto(address + PAGE)
        state(page, "waiting")

        assert any("Content Security Policy" in objection for objection in objections)


def test_a_fan_without_scripts_reaches_the_door(plain_fan: BrowserContext) -> None:
    """A button takes the place, the page looks again by itself, a button goes in; no place is lost."""
    scene = waiting()
    with serving(scene) as (_, address):
        page = plain_fan.new_page()
        page.goto(address + "/shop")
        expect(page.locator("#headline")).to_be_hidden()
        page.get_by_role("button", name="Take my place").click()
        assert page.url.startswith(f"{address}{PREFIX}r/main/ticket")
        expect(page.locator(".value")).to_have_text("30")

        scene.change(serving=20)
        expect(page.locator(".value")).to_have_text("20")
        scene.change(serving=41)
        page.get_by_role("button", name="Go in now").click()
        page.wait_for_url(address + "/shop")

        assert page.inner_text("h1") == "Welcome to the shop"
        assert (scene.seen["join"], scene.seen["claim"]) == (1, 1)


def test_the_reload_without_scripts_can_be_stopped(plain_fan: BrowserContext) -> None:
    """Who reads with a screen reader is not thrown back to the top each time."""
    with serving(waiting()) as (_, address):
        page = plain_fan.new_page()
        page.goto(address + PAGE)
        page.get_by_role("button", name="Take my place").click()
        assert page.locator("meta[http-equiv=refresh]").count() == 1
        page.get_by_role("link", name="Stop that").click()

        assert page.locator("meta[http-equiv=refresh]").count() == 0
        page.get_by_role("link", name="Look now").click()
        assert page.locator("meta[http-equiv=refresh]").count() == 1


def test_the_target_may_be_where_the_fan_already_is(fan: BrowserContext) -> None:
    """At the gate the page stands at the protected address itself, and returns there."""
    with serving(waiting(serving=41)) as (_, address):
        page = fan.new_page()
        page.goto(address + "/shop")
        expect(page.locator("h1")).to_have_text("Welcome to the shop")
        assert page.url == address + "/shop"


def test_who_is_over_the_budget_asks_again_when_told(fan: BrowserContext) -> None:
    """`next` with a time to come back: asked once more after it, not before."""
    told = [(202, {"outcome": "next", "retry_after_ms": 700, "ahead_of_you": 2})] * 2
    scene = waiting(serving=41, claims=told)
    with serving(scene) as (_, address):
        page = fan.new_page()
        page.goto(address + PAGE)
        state(page, "next")
        page.wait_for_url(address + "/shop")

        assert scene.seen["claim"] == 3


def test_an_open_gate_lets_everybody_pass(fan: BrowserContext) -> None:
    """Bypass: no place is taken, the page goes on."""
    scene = waiting(bypass=True)
    with serving(scene) as (_, address):
        page = fan.new_page()
        page.goto(address + PAGE)
        page.wait_for_url(address + "/shop")

        assert "join" not in scene.seen


# ------------------------------------------------------------------------------------------- the draw
def test_the_page_draws_the_same_rank_as_the_server(fan: BrowserContext) -> None:
    """The page computes its rank from the public seed; Python agrees."""
    scene = waiting(
        **(DRAWN | {"phase": "gathering", "next_number": NUMBER, "serving": 0, "starts_in_s": 60})
    )
    with serving(scene) as (_, address):
        page = fan.new_page()
        page.goto(address + PAGE)
        state(page, "drawn")
        rank = Shuffle(bytes.fromhex(scene.seed), 20_000).rank(NUMBER)

        assert ahead(page) == f"{rank:,}" == "1,311"
        expect(page.locator("#facts")).to_contain_text("1,312th of 20,000")


def test_before_the_draw_nobody_has_a_place_yet(fan: BrowserContext) -> None:
    """Gathering says so, and turns into a place when the seed is there."""
    scene = waiting(phase="gathering", serving=0, starts_in_s=60, commitment=DRAWN["commitment"])
    with serving(scene) as (_, address):
        page = fan.new_page()
        page.goto(address + PAGE)
        state(page, "gathering")
        assert re.fullmatch(r"0:5\d|1:00", ahead(page))

        scene.change(frozen=60, root=DRAWN["root"])
        page.evaluate(LOOK)
        state(page, "drawing")
        scene.change(seed=DRAWN["seed"])
        page.evaluate(LOOK)
        state(page, "drawn")
        assert int(ahead(page)) == Shuffle(bytes.fromhex(scene.seed), 60).rank(40)


def test_the_room_opens_under_the_eyes_of_the_page(fan: BrowserContext) -> None:
    """Before the opening nobody can join; at the opening the page does, by itself."""
    scene = waiting(phase="idle", opens_in_s=2.0)
    with serving(scene) as (_, address):
        page = fan.new_page()
        page.add_init_script(NO_CHANCE)
        page.goto(address + PAGE)
        state(page, "before")
        assert "join" not in scene.seen
        scene.change(phase="serving")

        state(page, "waiting")
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
        expect(page.locator("#link")).to_contain_text("You are offline. Your place is safe")
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
    with serving(scene) as (_, address):
        fan.add_init_script(script or "0")
        pages = [fan.new_page(), fan.new_page()]
        for page in pages:
            page.goto(address + PAGE, wait_until="commit")
        for page in pages:
            state(page, "waiting")

        assert [ahead(page) for page in pages] == ["30", "30"]
        assert len({headers["idempotency-key"] for headers in scene.headers}) == 1


def test_a_browser_without_cookies_still_gets_its_turn(fan: BrowserContext) -> None:
    """The ticket in the page's memory goes along as a header when the cookie was refused."""
    scene = waiting(serving=41, cookies=False)
    with serving(scene) as (_, address):
        page = fan.new_page()
        page.goto(address + PAGE)
        page.wait_for_url(address + "/shop")

        assert scene.seen["claim"] == 2


def test_an_admission_that_is_not_kept_is_no_endless_loop(fan: BrowserContext) -> None:
    """The browser drops the admission and comes back: after three times the page says why."""
    scene = waiting(serving=41)
    with serving(scene) as (_, address):
        page = fan.new_page()
        page.route("**/claim", lambda route: route.fulfill(json={"outcome": "admitted", "go": "/shop"}))
        page.goto(address + "/shop")
        state(page, "cookies")

        assert page.inner_text("h1") == "Your browser keeps no cookies for this site"


def test_the_store_is_away_and_comes_back(fan: BrowserContext) -> None:
    """Nothing is lost and nobody need reload: with a place, and without one yet."""
    scene = waiting(away=True)
    with serving(scene) as (_, address):
        page = fan.new_page()
        page.goto(address + PAGE)
        expect(page.locator("#link")).to_contain_text("you need not reload")
        scene.away = False
        state(page, "waiting")

        scene.away = True
        page.evaluate(LOOK)
        expect(page.locator("#link")).to_contain_text("Your place is safe")
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


# ------------------------------------------------------------------------------------------- documents
def test_an_older_document_changes_nothing(fan: BrowserContext) -> None:
    """A stale cache cannot move anybody back, and the way to the door never runs backwards."""
    scene = waiting(version=9)
    with serving(scene) as (_, address):
        page = fan.new_page()
        page.goto(address + PAGE)
        state(page, "waiting")
        scene.change(serving=25)
        page.evaluate(LOOK)
        expect(page.locator("#value")).to_have_text("15")
        way = page.get_attribute("#track", "aria-valuenow")
        scene.serving, scene.version = 10, 3
        before = scene.seen["status"]
        page.evaluate(LOOK)
        page.wait_for_timeout(500)

        assert scene.seen["status"] > before
        assert (ahead(page), page.get_attribute("#track", "aria-valuenow")) == ("15", way)


def test_a_page_gives_the_server_its_memory_back(fan: BrowserContext) -> None:
    """A newer epoch that serves less: the page returns the signed document that it kept, and shows no worse place."""
    scene = waiting()
    with serving(scene) as (_, address):
        page = fan.new_page()
        page.add_init_script(NO_CHANCE)
        page.goto(address + PAGE)
        state(page, "waiting")
        scene.change(epoch=2, version=1, serving=0)
        page.evaluate(LOOK)
        page.wait_for_timeout(700)

        kept = [json.loads(text) for text in scene.given_back]
        assert [(document["epoch"], document["serving"]["standard"]) for document in kept] == [(1, 10)]
        assert len(kept[0]["signature"]) == 86
        assert ahead(page) == "30"


def test_a_forged_document_is_not_believed(fan: BrowserContext) -> None:
    """A word changed on the way breaks the signature: the page keeps what it knew, and says so."""
    scene = waiting()
    with serving(scene) as (_, address):
        page = fan.new_page()
        page.goto(address + PAGE)
        state(page, "waiting")
        scene.change(forged=True, serving=20)
        page.evaluate(LOOK)
        expect(page.locator("#link")).to_contain_text("could not be verified")

        assert ahead(page) == "30"


# ----------------------------------------------------------------------------------------- for everybody
@pytest.mark.parametrize("name", ["gathering", "drawn", "waiting-far", "paused", "next"])
def test_the_page_fits_a_small_screen_at_double_size(browser: Browser, name: str) -> None:
    """640 pixels at 200 % zoom are 320: nothing sticks out at the side."""
    with serving(SHOTS[name].scene()) as (_, address):
        context = browser.new_context(viewport={"width": 320, "height": 512}, locale="en-GB")
        page = context.new_page()
        page.goto(address + PAGE)
        state(page, SHOTS[name].wait_for)
        width = page.evaluate("document.documentElement.scrollWidth")
        context.close()

    assert width <= 320


def test_a_screen_reader_hears_changes_and_not_every_step(fan: BrowserContext) -> None:
    """The state is spoken, the numeral is not read digit by digit, and the heading always has words."""
    scene = waiting()
    with serving(scene) as (_, address):
        page = fan.new_page()
        page.goto(address + PAGE)
        state(page, "waiting")
        said = page.inner_text("#said")
        scene.change(serving=20)
        page.evaluate(LOOK)
        expect(page.locator("#value")).to_have_text("20")
        assert page.text_content("#said") == said
        assert page.text_content("#headline") == "20 people ahead of you"
        assert page.get_attribute("#figure", "aria-hidden") == "true"

        scene.change(paused=True)
        page.evaluate(LOOK)
        state(page, "paused")
        assert "On hold" in (page.text_content("#said") or "")


def test_the_room_tells_why_it_takes_nobody(fan: BrowserContext) -> None:
    """Full is a state of the room, not a fault; it ends by itself."""
    full = (429, {"code": "room-full", "detail": "Full.", "retry_after_s": 1})
    scene = waiting(join_problem=full)
    with serving(scene) as (_, address):
        page = fan.new_page()
        page.goto(address + PAGE)
        state(page, "full")
        scene.join_problem = None
        state(page, "waiting")


def test_every_state_that_is_pictured_exists() -> None:
    """The pictures show real states: all that are waited for are texts of the page."""
    script = view.assets()["waitroom.js"].body.decode()
    states = set(re.findall(r"^    (\w+): \(\w*\) => \(\{", script, re.MULTILINE))

    assert {shot.wait_for for shot in SHOTS.values() if shot.wait_for} <= states
