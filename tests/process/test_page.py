"""The page in a real browser: from the first look to the door, with and without scripts."""

import json
import re
import urllib.request

import pytest
from playwright.sync_api import Browser, BrowserContext, expect

from bench.screenshots import DRAWN, NUMBER
from bench.scripted_room import PREFIX, serving
from tests.process.looking import LOOK, NO_CHANCE, PAGE, ahead, complaints, look, state, until, waiting
from waitroom.draw import Shuffle
from waitroom.view import PLAIN_STATES, STATES, Shell

pytestmark = [pytest.mark.process, pytest.mark.browser]


# ---------------------------------------------------------------------------------------- to the door
def test_looking_at_the_page_never_joins(plain_fan: BrowserContext) -> None:
    """GET is for looking: crawlers, previews and prefetches take no place."""
    scene = waiting()
    with serving(scene) as (_, address):
        for path in (PAGE, PAGE, f"{PREFIX}r/main/status", "/shop"):
            with urllib.request.urlopen(address + path, timeout=15) as answer:
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
        expect(page.locator("#detail")).to_have_text("Your turn comes in about 3 to 7 minutes.")

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
        shell = room.pages.shell(room.reading, "").body
        inline = shell.replace(b"</head>", b"<script>document.title = 'inline'</script></head>")
        room.own_shell = Shell(inline.decode())
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
        page.wait_for_url(f"{address}{PREFIX}r/main/ticket?**")
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
        reload = page.locator("meta[http-equiv=refresh]")
        expect(reload).to_have_count(1)
        page.get_by_role("link", name="Stop looking again").click()

        expect(reload).to_have_count(0)
        page.get_by_role("link", name="Look now").click()
        expect(reload).to_have_count(1)


def test_the_target_may_be_where_the_fan_already_is(fan: BrowserContext) -> None:
    """At the gate the page stands at the protected address itself, and returns there."""
    with serving(waiting(serving=41)) as (_, address):
        page = fan.new_page()
        page.goto(address + "/shop")
        expect(page.locator("h1")).to_have_text("Welcome to the shop")
        assert page.url == address + "/shop"


def test_who_is_over_the_budget_asks_again_when_told(fan: BrowserContext) -> None:
    """`next` with a time to come back: asked once more after it, not before."""
    told = [(202, {"outcome": "next", "retry_after_ms": 3000, "ahead_of_you": 2})] * 2
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
        **(DRAWN | {"phase": "gathering", "next_number": NUMBER, "serving": 0, "starts_in_s": 600})
    )
    with serving(scene) as (_, address):
        page = fan.new_page()
        page.goto(address + PAGE)
        state(page, "drawn")
        rank = Shuffle(bytes.fromhex(scene.seed), 20_000).rank(NUMBER)

        assert ahead(page) == f"{rank:,}" == "1,311"
        expect(page.locator("#facts")).to_contain_text("1,312 of 20,000")


def test_before_the_draw_nobody_has_a_place_yet(fan: BrowserContext) -> None:
    """Gathering says so, and turns into a place when the seed is there."""
    scene = waiting(phase="gathering", serving=0, starts_in_s=600, commitment=DRAWN["commitment"])
    with serving(scene) as (_, address):
        page = fan.new_page()
        page.goto(address + PAGE)
        state(page, "gathering")
        assert re.fullmatch(r"[89]:\d\d|10:00", ahead(page))

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


def test_between_two_sales_the_page_waits_for_the_next_one(fan: BrowserContext) -> None:
    """The first sale is over and the next one has a date: that is a countdown, and then a place in a new line."""
    scene = waiting(phase="ended", opens_in_s=3.0)
    with serving(scene) as (_, address):
        late = fan.new_page()
        late.goto(address + PAGE)
        state(late, "before")
        expect(late.locator("#unit")).to_have_text("until the waiting room opens")
        assert "join" not in scene.seen
        scene.change(phase="serving", run="fedcba9876543210", epoch=2)

        state(late, "waiting")
        assert scene.seen["join"] == 1


def test_who_missed_a_sale_is_told_of_the_next_one_and_keeps_no_worthless_paper(fan: BrowserContext) -> None:
    """The place of the sale that is over helps nobody in the next; where none comes, the line has ended."""
    scene = waiting()
    with serving(scene) as (_, address):
        page = fan.new_page()
        page.goto(address + PAGE)
        state(page, "waiting")
        scene.change(phase="ended", opens_in_s=-60.0)
        page.evaluate(LOOK)
        state(page, "ended")
        scene.change(opens_in_s=3600.0)
        page.evaluate(LOOK)

        state(page, "before")
        expect(page.locator("#leave")).to_be_hidden()
        expect(page.locator("#link")).to_be_hidden()


# ------------------------------------------------------------------------------------------- the census
def test_a_page_of_the_sample_says_once_a_round_that_it_is_there(fan: BrowserContext) -> None:
    """However often it looks; with the ticket, and with the next round again."""
    scene = waiting(census={"round": 300, "one_in": 1})
    with serving(scene) as (_, address):
        page = fan.new_page()
        page.goto(address + PAGE)
        state(page, "waiting")
        for _ in range(2):
            look(page)
        until(page, lambda: scene.seen.get("here"), 1)
        scene.change(census={"round": 600, "one_in": 1})
        for _ in range(3):
            look(page)

        until(page, lambda: scene.seen.get("here"), 2)
        assert "here without a ticket" not in scene.seen


def test_a_page_that_is_not_in_the_sample_says_nothing(fan: BrowserContext) -> None:
    """Number 40 is one of the others: one in sixteen is asked."""
    scene = waiting(census={"round": 300, "one_in": 16})
    with serving(scene) as (_, address):
        page = fan.new_page()
        page.goto(address + PAGE)
        state(page, "waiting")
        look(page)
        page.wait_for_timeout(300)  # nothing may happen, so there is nothing to wait for
        assert "here" not in scene.seen


def test_where_people_have_left_ahead_the_wait_is_told_from_who_is_there(fan: BrowserContext) -> None:
    """Half as many are there for each rank ahead as are called now: half as long."""
    scene = waiting()
    with serving(scene) as (_, address):
        page = fan.new_page()
        page.goto(address + PAGE)
        state(page, "waiting")
        expect(page.locator("#detail")).to_have_text("Your turn comes in about 3 to 7 minutes.")
        count = {"since": 10, "width": 1, "leaving": 0, "live": [1000, 483]}
        scene.change(census={"round": 300, "one_in": 1, **count})
        page.evaluate(LOOK)

        expect(page.locator("#detail")).to_have_text("Your turn comes in about 1 to 4 minutes.")


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
        look(page)
        page.wait_for_timeout(500)  # nothing may change, so there is nothing to wait for

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
        look(page)
        until(page, lambda: len(scene.given_back), 1)
        page.wait_for_timeout(300)  # once is enough

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
def test_every_state_can_be_previewed_and_fits_a_small_screen(browser: Browser) -> None:
    """640 pixels at 200 % zoom, or 1,280 at 400 %, are 320: nothing sticks out, in both directions of writing.

    A preview asks the server for nothing but its own parts, and says what it is.
    """
    scene = waiting()
    with serving(scene) as (_, address):
        context = browser.new_context(viewport={"width": 320, "height": 512}, locale="en-GB")
        page = context.new_page()
        objections = complaints(page)
        wide = []
        leftward = ("gathering", "drawn", "waiting", "called", "offline")
        for language, name in [("en", name) for name in STATES] + [("ar", name) for name in leftward]:
            page.goto(
                f"{address}{PREFIX}r/main/preview/{name}?lang={language}&theme=dark", wait_until="commit"
            )
            page.wait_for_selector(f"html[data-state={name}][data-theme=dark]")
            if page.evaluate("document.documentElement.scrollWidth") > 320:
                wide.append((language, name))
        badge = page.locator(".badge").is_visible()
        context.close()

    assert (wide, objections, badge) == ([], [], True)
    assert not {"status", "join", "claim"} & scene.seen.keys()


def test_a_test_visitor_sees_the_lines_own_news_and_is_nobody_in_it(browser: Browser) -> None:
    """Where a number stands, and then its turn; no number is taken, nobody is counted, nothing is claimed."""
    scene = waiting()
    with serving(scene) as (_, address):
        context = browser.new_context(locale="en-GB")
        page = context.new_page()
        objections = complaints(page)
        page.goto(f"{address}{PREFIX}r/main/preview/waiting?live=41")
        expect(page.locator("#value")).to_have_text("30")
        badge = page.locator(".badge").is_visible()
        scene.change(serving=41)
        page.wait_for_selector("html[data-state=called]", state="attached")
        page.goto(f"{address}{PREFIX}r/main/preview/waiting?live=41&lane=verified")
        page.wait_for_selector("html[data-state=called]", state="attached")
        page.goto(f"{address}{PREFIX}r/main/preview/waiting?live=next")
        page.wait_for_selector("html[data-state=waiting], html[data-state=almost]", state="attached")
        context.close()

    assert (badge, objections) == (True, [])
    assert scene.seen["status"] >= 3
    assert not {"join", "claim", "here", "ticket", "leave"} & scene.seen.keys()


def test_on_a_preview_a_button_says_that_it_does_nothing(browser: Browser) -> None:
    """Nothing is asked of the browser or the line; without scripts the buttons are switched off."""
    scene = waiting()
    with serving(scene) as (_, address):
        context = browser.new_context(locale="en-GB")
        page = context.new_page()
        badge = page.locator("#badge")
        for name, button in (
            ("waiting", "#notify"),
            ("waiting", "#awake"),
            ("waiting", "#carry"),
            ("waiting", "#receipt"),
            ("called", "#more"),
            ("called", "#again"),
        ):
            page.goto(f"{address}{PREFIX}r/main/preview/{name}")
            state(page, name)
            expect(badge).to_have_text("Preview")
            page.click(button)
            expect(badge).to_have_text("A preview: this button does nothing here.")
            assert page.get_attribute(button, "aria-pressed") in {None, "false"}
        page.goto(f"{address}{PREFIX}r/main/preview/waiting")
        state(page, "waiting")
        page.click("#leave")
        page.get_by_role("button", name="Keep my place").click()
        expect(badge).to_have_text("Preview")
        page.click("#leave")
        page.get_by_role("button", name="Leave", exact=True).click()
        expect(badge).to_have_text("A preview: this button does nothing here.")
        for name in PLAIN_STATES:
            page.goto(f"{address}{PREFIX}r/main/preview/{name}?js=0")
            expect(page.locator("form[method=post] button:enabled")).to_have_count(0)
        page.goto(f"{address}{PREFIX}r/main/preview/called?js=0")
        expect(page.locator("button:disabled")).to_have_count(3)
        context.close()

    assert not {"join", "claim", "leave", "carry", "receipt", "more-time"} & scene.seen.keys()


def test_a_screen_reader_hears_changes_and_not_every_step(fan: BrowserContext) -> None:
    """The state is spoken, then each tenth of the way; the heading always has words, the numeral is not read twice."""
    scene = waiting()
    with serving(scene) as (_, address):
        page = fan.new_page()
        page.goto(address + PAGE)
        state(page, "waiting")
        said = page.locator("#said")
        expect(said).to_have_text(re.compile("^30 people ahead of you"))
        scene.change(serving=12)
        page.evaluate(LOOK)
        expect(page.locator("#value")).to_have_text("28")
        expect(said).to_have_text(re.compile("^30 people"))
        assert page.text_content("#headline") == "28 people ahead of you"
        assert page.get_attribute("#figure", "aria-hidden") == "true"

        scene.change(serving=14)
        page.evaluate(LOOK)
        expect(said).to_have_text(re.compile("^26 people"))
        scene.change(paused=True)
        page.evaluate(LOOK)
        expect(said).to_have_text(re.compile("on hold"))
        assert page.text_content("#alarm") == ""


def test_the_page_speaks_the_language_of_the_browser(browser: Browser) -> None:
    """Its texts, its direction and its numbers, from the first byte on; an address may ask for another."""
    with serving(waiting(next_number=4310, issued=6000)) as (_, address):
        context = browser.new_context(locale="ar-EG")
        page = context.new_page()
        page.goto(address + PAGE)
        state(page, "waiting")
        shown = page.evaluate("[document.documentElement.lang, document.documentElement.dir]")
        assert (shown, ahead(page)) == (["ar", "rtl"], "4,300")
        page.goto(f"{address}{PREFIX}r/main?target=/shop&lang=de")
        state(page, "waiting")
        expect(page.locator("#headline")).to_have_text(re.compile("vor Ihnen"))
        assert ahead(page) == "4.300"
        context.close()


def test_nothing_on_the_page_jumps_when_the_words_arrive(browser: Browser) -> None:
    """The first bytes hold the loading state in place; the place that follows moves nothing that was there."""
    shifts = """
    window.shifts = [];
    new PerformanceObserver((list) => window.shifts.push(...list.getEntries().map((one) => one.value)))
      .observe({type: 'layout-shift', buffered: true});
    """
    with serving(waiting()) as (_, address):
        for width, height in ((390, 844), (1280, 800)):
            context = browser.new_context(viewport={"width": width, "height": height}, locale="en-GB")
            context.add_init_script(shifts)
            page = context.new_page()
            page.goto(address + PAGE)
            state(page, "waiting")
            page.wait_for_timeout(300)  # what moves late is counted too
            total = page.evaluate("window.shifts.reduce((sum, value) => sum + value, 0)")
            context.close()
            assert total == pytest.approx(0, abs=0.001)


def test_the_room_tells_why_it_takes_nobody(fan: BrowserContext) -> None:
    """Full is a state of the room, not a fault; it ends by itself."""
    full = (429, {"code": "room-full", "detail": "Full.", "retry_after_s": 1})
    scene = waiting(join_problem=full)
    with serving(scene) as (_, address):
        page = fan.new_page()
        page.add_init_script(NO_CHANCE)
        page.goto(address + PAGE)
        state(page, "full")
        scene.join_problem = None
        state(page, "waiting")


@pytest.mark.parametrize(("code", "told"), [("room-draining", "closing"), ("room-over", "ended")])
def test_a_line_that_drains_is_not_told_as_one_that_is_over(
    fan: BrowserContext, code: str, told: str
) -> None:
    """Who joins before the page's document says so is told the truth, and joins once it is reopened."""
    scene = waiting(join_problem=(409, {"code": code, "detail": "No."}))
    with serving(scene) as (_, address):
        page = fan.new_page()
        page.add_init_script(NO_CHANCE)
        page.goto(address + PAGE)
        state(page, told)
        scene.join_problem = None
        page.evaluate(LOOK)
        state(page, "waiting")


def test_the_page_says_when_there_is_nothing_left_and_where_it_goes_on(fan: BrowserContext) -> None:
    """Sold out is said at once and keeps the place, in case something comes back; a moved sale has a link."""
    scene = waiting()
    with serving(scene) as (_, address):
        page = fan.new_page()
        page.goto(address + PAGE)
        state(page, "waiting")
        scene.change(stock={"left": 0, "state": "soldout"})
        page.evaluate(LOOK)
        state(page, "soldout")
        scene.change(stock={"left": 4, "state": "last"})
        page.evaluate(LOOK)
        state(page, "waiting")
        expect(page.locator("#notes")).to_contain_text("4 tickets left")
        scene.change(moved_to="/elsewhere")
        page.evaluate(LOOK)
        state(page, "moved")
        assert page.get_attribute("#onward", "href") == f"{address}/elsewhere"
        assert scene.seen["join"] == 1


def test_how_sure_an_estimate_is_stands_beside_it(fan: BrowserContext) -> None:
    """The share of such intervals that held, as this line has learned it; the interval uses what was learned."""
    scene = waiting(wait={"low": 0.9, "high": 1.1, "held": 0.87, "of": 412})
    with serving(scene) as (_, address):
        page = fan.new_page()
        page.goto(address + PAGE)
        state(page, "waiting")
        expect(page.locator("#notes")).to_contain_text("87%")
        expect(page.locator("#detail")).to_have_text("Your turn comes in about 4 to 6 minutes.")


def test_the_page_tells_how_the_line_works_and_shows_all_its_states(plain_fan: BrowserContext) -> None:
    """Two pages to read, without scripts, from the room's settings; every link of the previews leads somewhere."""
    with serving(waiting()) as (_, address):
        page = plain_fan.new_page()
        page.goto(f"{address}{PREFIX}r/main/how?lang=en")
        expect(page.locator("main")).to_contain_text("First come, first served.")
        page.goto(f"{address}{PREFIX}r/main/preview")
        plain = page.locator("a[href*='js=0']").first
        assert page.locator("tbody tr").count() == len(STATES)
        plain.click()
        page.wait_for_url("**js=0**")
        expect(page.locator("h1")).to_have_count(1)
