"""The page in a real browser: the turn that nobody looks at, and the place that moves to another device."""

import re

import pytest
from playwright.sync_api import Browser, BrowserContext, Page, expect

from bench.scripted_room import PREFIX, now_ms, serving
from tests.process.looking import EYES, LOOK, PAGE, PATIENCE_MS, ahead, complaints, state, until, waiting
from waitroom.words import languages

pytestmark = [pytest.mark.process, pytest.mark.browser]

IN_APP = (
    "Mozilla/5.0 (Linux; Android 14; wv) AppleWebKit/537.36 Chrome/120.0 Mobile Safari/537.36 Instagram 300.0"
)
NEXT = (202, {"outcome": "next", "retry_after_ms": 400, "ahead_of_you": 3})


def look_away_for_minutes(page: Page) -> None:
    """Hide the page, and let more than the minute pass in which it would still claim by itself."""
    page.evaluate("window.lookAway()")
    page.evaluate("{ const own = Date.now; Date.now = () => own() + 120_000; }")


# -------------------------------------------------------------------------------------- a hidden page
def test_a_page_that_nobody_looks_at_calls_and_claims_when_it_is_looked_at(fan: BrowserContext) -> None:
    """Title, badge and countdown tell; the visit does not begin before its visitor is there."""
    scene = waiting()
    with serving(scene) as (_, address):
        page = fan.new_page()
        page.add_init_script(EYES)
        page.goto(address + PAGE)
        state(page, "waiting")
        quiet = page.get_attribute("#icon", "href")
        look_away_for_minutes(page)
        scene.change(serving=41, called_ms=now_ms())
        page.evaluate(LOOK)
        state(page, "called")
        expect(page).to_have_title(re.compile(r"^[45]:\d\d · Your turn · "))
        assert re.fullmatch(r"[45]:\d\d", ahead(page))
        assert page.get_attribute("#icon", "href") != quiet
        assert "claim" not in scene.seen
        expect(page.locator("#alarm")).to_have_text(
            re.compile("It is your turn. Time left to come in: [45] minutes")
        )

        page.evaluate("window.lookBack()")
        page.wait_for_url(address + "/shop")
        assert scene.seen["claim"] == 1


def test_a_page_that_was_looked_at_a_moment_ago_goes_in_by_itself(fan: BrowserContext) -> None:
    """Who just answers a message does not lose a second."""
    scene = waiting()
    with serving(scene) as (_, address):
        page = fan.new_page()
        page.add_init_script(EYES)
        page.goto(address + PAGE)
        state(page, "waiting")
        page.evaluate("window.lookAway()")
        scene.change(serving=41, called_ms=now_ms())
        page.evaluate(LOOK)
        page.wait_for_url(address + "/shop")


def test_a_missed_turn_is_explained_and_still_lets_in(fan: BrowserContext) -> None:
    """Recall: the window has passed; the right is kept, and claimed as soon as somebody looks."""
    scene = waiting(claims=[(202, {"outcome": "next", "retry_after_ms": 4000, "ahead_of_you": 3})])
    with serving(scene) as (_, address):
        page = fan.new_page()
        page.add_init_script(EYES)
        page.goto(address + PAGE)
        state(page, "waiting")
        look_away_for_minutes(page)
        scene.change(serving=41, called_ms=now_ms() - 400_000)
        page.evaluate(LOOK)
        state(page, "recall")
        expect(page.locator("#detail")).to_contain_text("It is not lost")
        assert "claim" not in scene.seen

        page.get_by_role("button", name="Come in now").click()
        expect(page.locator("#detail")).to_contain_text("as soon as there is room")
        page.wait_for_url(address + "/shop")
        assert scene.seen["claim"] == 2


def test_alerts_are_asked_for_by_a_press_and_sound_at_the_turn(fan: BrowserContext) -> None:
    """Nothing asks by itself; after the press the browser is asked once, and the turn notifies."""
    spy = """
    window.asked = 0; window.told = [];
    window.Notification = class { constructor(title, more) { window.told.push([title, more.body]); } close() {} };
    window.Notification.permission = 'granted';
    window.Notification.requestPermission = async () => { window.asked += 1; return 'granted'; };
    """
    scene = waiting()
    with serving(scene) as (_, address):
        page = fan.new_page()
        page.add_init_script(EYES + spy)
        objections = complaints(page)
        page.goto(address + PAGE)
        state(page, "waiting")
        assert page.evaluate("window.asked") == 0
        page.get_by_role("button", name="Notify me when it is my turn").click()
        expect(page.locator("#aid")).to_have_text("We notify you when it is your turn.")
        expect(page.locator("#notify")).to_have_attribute("aria-pressed", "true")

        look_away_for_minutes(page)
        scene.change(serving=41, called_ms=now_ms())
        page.evaluate(LOOK)
        state(page, "called")
        until(page, "window.told.length", 1)
        told = page.evaluate("window.told")
        assert (page.evaluate("window.asked"), len(told), objections) == (1, 1, [])
        assert told[0][0] == "It is your turn · Northern Lights Festival"
        assert re.search("We keep your turn for [45] minutes", told[0][1])


def test_the_screen_stays_on_when_it_is_wished(fan: BrowserContext) -> None:
    """By a press, released by the next; taken again when the page comes back to the front."""
    locks = """
    window.held = 0;
    const lock = { request: async () => { window.held += 1; return { release: () => { window.held -= 1; } }; } };
    Object.defineProperty(Navigator.prototype, 'wakeLock', { get: () => lock });
    """
    with serving(waiting()) as (_, address):
        page = fan.new_page()
        page.add_init_script(locks)
        page.goto(address + PAGE)
        state(page, "waiting")
        awake = page.get_by_role("button", name="Keep the screen on")
        awake.click()
        expect(page.locator("#aid")).to_contain_text("screen stays on")
        assert page.evaluate("window.held") == 1
        awake.click()
        expect(awake).to_have_attribute("aria-pressed", "false")
        assert page.evaluate("window.held") == 0


PHONES_NOTIFICATION = """
const Real = window.Notification;
window.Notification = class {
  constructor() { throw new TypeError('Illegal constructor'); }
  static get permission() { return Real.permission; }
  static requestPermission() { return Real.requestPermission(); }
};
"""
"""As in Chrome on Android: a page may not make a notification, only a service worker may."""
NOTICES = """async () => {
  const registration = (await navigator.serviceWorker.getRegistrations())[0];
  const found = registration ? await registration.getNotifications() : [];
  return found.map(({title, body, tag, actions}) => [title, body, tag, actions.map((one) => one.action)]);
}"""
WORKERS = """async () => (await navigator.serviceWorker.getRegistrations())
  .map(({scope, active}) => [new URL(scope).pathname, active?.state ?? ''])"""


def test_where_a_page_may_not_notify_a_worker_does(fan: BrowserContext) -> None:
    """No worker before the fan said yes; then it shows the turn, and takes it away when somebody looks."""
    scene = waiting(claims=[NEXT] * 50)
    with serving(scene) as (_, address):
        fan.grant_permissions(["notifications"], origin=address)
        page = fan.new_page()
        page.add_init_script(EYES + PHONES_NOTIFICATION)
        objections = complaints(page)
        page.goto(address + PAGE)
        state(page, "waiting")
        assert page.evaluate(WORKERS) == []
        page.get_by_role("button", name="Notify me when it is my turn").click()
        expect(page.locator("#aid")).to_have_text("We notify you when it is your turn.")
        until(page, WORKERS, [[f"{PREFIX}static/", "activated"]])
        look_away_for_minutes(page)
        scene.change(serving=41, called_ms=now_ms())
        page.evaluate(LOOK)
        state(page, "called")
        body = "Come back to the page now. We keep your turn for 5 minutes."
        title = "It is your turn · Northern Lights Festival"
        until(page, NOTICES, [[title, body, "waitroom-main", []]])

        page.evaluate("window.lookBack()")
        state(page, "next")
        until(page, NOTICES, [])
        assert objections == []


def test_what_notifies_is_loaded_for_nobody_who_did_not_ask(fan: BrowserContext) -> None:
    """Neither the module nor the worker is among what a visit loads."""
    asked: list[str] = []
    with serving(waiting()) as (_, address):
        page = fan.new_page()
        page.on("request", lambda request: asked.append(request.url))
        page.goto(address + PAGE)
        state(page, "waiting")

    assert any("/turn.js" in url for url in asked)
    assert not [url for url in asked if "notice" in url or "worker" in url]


# ------------------------------------------------------------------------------------------- more time
def test_who_needs_longer_is_told_in_time_and_gets_it(fan: BrowserContext) -> None:
    """Below a third of the window it is said politely; one press makes it longer and says the new time."""
    scene = waiting()
    with serving(scene) as (_, address):
        page = fan.new_page()
        page.add_init_script(EYES)
        page.goto(address + PAGE)
        state(page, "waiting")
        look_away_for_minutes(page)
        scene.change(serving=41, called_ms=now_ms() - 240_000)
        page.evaluate(LOOK)
        more = page.get_by_role("button", name="Give me more time")
        expect(more).to_be_visible()
        expect(page.locator("#said")).to_have_text(
            re.compile(
                r"Time left to come in: (1 minute|\d\d seconds)\. Do you need longer\? Ask for more time\."
            )
        )
        assert re.fullmatch(r"(1:0\d|0:\d\d)", ahead(page))
        more.click()
        expect(page.locator("#said")).to_have_text(
            re.compile("You have more time now. Time left to come in: [56] minutes")
        )
        expect(page.locator("#value")).to_have_text(re.compile(r"[56]:\d\d"))
        expect(more).to_be_hidden()
        assert (scene.extensions, "claim" in scene.seen) == (1, False)


def test_who_has_time_enough_is_not_bothered(fan: BrowserContext) -> None:
    """Above a third of the window nothing is offered and nothing said of it."""
    scene = waiting()
    with serving(scene) as (_, address):
        page = fan.new_page()
        page.add_init_script(EYES)
        page.goto(address + PAGE)
        state(page, "waiting")
        look_away_for_minutes(page)
        scene.change(serving=41, called_ms=now_ms())
        page.evaluate(LOOK)
        state(page, "called")
        expect(page.locator("#value")).to_have_text(re.compile(r"[45]:\d\d"))

        expect(page.locator("#more")).to_be_hidden()
        assert "more time" not in (page.text_content("#said") or "")


def test_who_has_had_all_the_time_is_offered_no_more(fan: BrowserContext) -> None:
    """The last window runs out without a button; the turn is kept as a recall."""
    scene = waiting(extensions=10, claim_window_s=4)
    with serving(scene) as (_, address):
        page = fan.new_page()
        page.add_init_script(EYES)
        page.goto(address + PAGE)
        state(page, "waiting")
        look_away_for_minutes(page)
        scene.change(serving=41, called_ms=now_ms() - 36_000)
        page.evaluate(LOOK)
        state(page, "called")
        expect(page.locator("#more")).to_be_hidden()
        state(page, "recall")
        expect(page.locator("#more")).to_be_hidden()
        assert "more-time" not in scene.seen


def test_the_notification_offers_more_time_too(fan: BrowserContext) -> None:
    """Who is elsewhere hears before the time runs out, and a press on the notification is enough."""
    scene = waiting()
    with serving(scene) as (_, address):
        fan.grant_permissions(["notifications"], origin=address)
        page = fan.new_page()
        page.add_init_script(EYES + PHONES_NOTIFICATION)
        page.goto(address + PAGE)
        state(page, "waiting")
        page.get_by_role("button", name="Notify me when it is my turn").click()
        until(page, WORKERS, [[f"{PREFIX}static/", "activated"]])
        look_away_for_minutes(page)
        scene.change(serving=41, called_ms=now_ms() - 250_000)
        page.evaluate(LOOK)
        expect(page.locator("#more")).to_be_visible()
        until(page, f"async () => (await ({NOTICES})())[0]?.[3] ?? null", ["more"])
        worker = fan.service_workers[0]
        worker.evaluate(
            "async () => { const [notification] = await registration.getNotifications();"
            " dispatchEvent(Object.assign(new Event('notificationclick'),"
            " {notification, action: 'more', waitUntil() {}})); }"
        )
        expect(page.locator("#said")).to_have_text(re.compile("You have more time now"))
        assert (scene.extensions, "claim" in scene.seen) == (1, False)


# ------------------------------------------------------------------------------------ another device
def test_a_place_moves_to_another_device_and_the_old_one_is_told(
    browser: Browser, fan: BrowserContext
) -> None:
    """A link and a code to scan; it works once; the old page lets go, also after a reload."""
    scene = waiting()
    with serving(scene) as (_, address):
        old = fan.new_page()
        objections = complaints(old)
        old.goto(address + PAGE)
        state(old, "waiting")
        old.get_by_role("button", name="Carry my place to another device").click()
        expect(old.get_by_role("img", name="Code to scan with the other device")).to_be_visible()
        link = old.get_by_label("Link to your place").input_value()
        assert re.fullmatch(re.escape(f"{address}{PREFIX}r/main?target=%2Fshop#carry=") + r"[\w-]{22}", link)

        context = browser.new_context(locale="en-GB")
        new = context.new_page()
        new.goto(link)
        state(new, "waiting")
        assert (ahead(new), "#" in new.url) == ("30", False)
        state(old, "carried")
        old.reload()
        state(old, "carried")
        assert (scene.seen["join"], objections) == (1, [])

        other = browser.new_context(locale="en-GB")
        late = other.new_page()
        late.goto(link)
        state(late, "refused")
        expect(late.locator("#detail")).to_contain_text("has been used or has run out")
        other.close()
        context.close()


def test_a_link_takes_nobodys_own_place_without_asking(browser: Browser, fan: BrowserContext) -> None:
    """Somebody else's link would swap a good place for a bad one: the page asks, and keeps the own one."""
    scene = waiting()
    with serving(scene) as (_, address):
        page = fan.new_page()
        page.goto(address + PAGE)
        state(page, "waiting")
        giver = browser.new_context(locale="en-GB")
        other = giver.new_page()
        other.goto(address + PAGE)
        state(other, "waiting")
        other.click("#carry")
        field = other.get_by_label("Link to your place")
        expect(field).to_have_value(re.compile("#carry="))
        link = field.input_value()

        page.goto("about:blank")
        page.goto(link)
        page.get_by_role("button", name="Keep my place").click()
        state(page, "waiting")
        assert (ahead(page), scene.seen.get("take", 0)) == ("30", 0)
        giver.close()


def test_inside_an_app_the_page_offers_the_way_out(browser: Browser) -> None:
    """Apps forget pages: the fan is told, and the place can be carried into a real browser."""
    with serving(waiting()) as (_, address):
        context = browser.new_context(locale="en-GB", user_agent=IN_APP)
        page = context.new_page()
        page.goto(address + PAGE)
        state(page, "waiting")
        expect(page.locator("#hint")).to_contain_text("inside an app")
        context.close()


def test_the_receipt_can_be_saved_without_cookies_too(fan: BrowserContext) -> None:
    """A link carries cookies; without them the page fetches the receipt itself."""
    scene = waiting(
        cookies=False, serving=41, claims=[(202, {"outcome": "next", "retry_after_ms": 60_000})] * 2
    )
    with serving(scene) as (_, address):
        page = fan.new_page()
        page.goto(address + PAGE)
        state(page, "next")
        with page.expect_download() as saved:
            page.get_by_role("link", name="My receipt").click()

        assert saved.value.suggested_filename == "main.jwt"


def test_what_an_operator_says_is_read_in_the_fans_language_and_costs_nobody_else(browser: Browser) -> None:
    """The texts of a language are asked for when the first is said, once; without them the line goes on."""
    scene = waiting()
    with serving(scene) as (_, address):
        context = browser.new_context(locale="ar")
        context.set_default_timeout(PATIENCE_MS)
        page = context.new_page()
        objections = complaints(page)
        asked: list[str] = []
        page.on("request", lambda request: asked.append(request.url))
        page.add_init_script(EYES)
        page.goto(address + PAGE)
        state(page, "waiting")
        assert not [url for url in asked if "canned" in url]

        for situation in ("delay", "resumed"):
            scene.change(message=f"canned:{situation}")
            page.evaluate(LOOK)
            expect(page.locator("#message")).to_have_text(
                languages()["ar"].text(f"canned.{situation}"), timeout=PATIENCE_MS
            )
        assert len([url for url in asked if "canned.ar.json" in url]) == 1
        assert objections == []
        scene.change(message="")
        page.evaluate(LOOK)
        expect(page.locator("#message")).to_be_hidden(timeout=PATIENCE_MS)
        context.close()


def test_a_line_goes_on_without_the_texts_of_a_message(fan: BrowserContext) -> None:
    """A failure costs the sentence: places move all the same, and the next news asks again."""
    scene = waiting()
    with serving(scene) as (_, address):
        fan.route(re.compile(r"/canned\.en\.json"), lambda route: route.abort())
        page = fan.new_page()
        page.add_init_script(EYES)
        page.goto(address + PAGE)
        state(page, "waiting")
        scene.change(message="canned:delay", serving=30)
        page.evaluate(LOOK)
        expect(page.locator("#value")).to_have_text("10", timeout=PATIENCE_MS)
        expect(page.locator("#message")).to_be_hidden(timeout=PATIENCE_MS)

        fan.unroute_all()
        page.evaluate(LOOK)
        expect(page.locator("#message")).to_have_text(
            languages()["en"].text("canned.delay"), timeout=PATIENCE_MS
        )
