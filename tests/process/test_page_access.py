"""The page for who reads with a keyboard, a screen reader, large letters or few colours; in a real browser.

What a browser can check is checked here, in every state; what only people can judge stands in docs/accessibility.md.
"""

import re
from collections.abc import Iterator
from itertools import pairwise

import pytest
from playwright.sync_api import Browser, BrowserContext, Page, expect

from bench import axe
from bench.figures.page_axe import places
from bench.scripted_room import Scene, now_ms, serving
from tests.process.looking import EYES, LOOK, NO_CHANCE, PAGE, PATIENCE_MS, state, until, waiting
from tests.process.reading import (
    CUT,
    EDGES,
    FOCUSED,
    HEARD,
    LANGUAGES,
    LONGEST,
    MOVED,
    OVERLAPS,
    PHONE,
    ROOM,
    SMALL,
    WIDE,
    Visit,
    looks,
    preview,
)
from waitroom.view import STATES

pytestmark = [pytest.mark.process, pytest.mark.browser]


@pytest.fixture(scope="module")
def address() -> Iterator[str]:
    """Serve one quiet room whose previews all tests of this file look at."""
    with serving(waiting()) as (_, where):
        yield where


@pytest.fixture
def reader(browser: Browser) -> Iterator[Page]:
    """Give a small page, as large letters make it."""
    context = browser.new_context(viewport=SMALL, locale="en-GB", reduced_motion="reduce")  # type: ignore[arg-type]
    context.set_default_timeout(PATIENCE_MS)
    yield context.new_page()
    context.close()


@pytest.fixture(scope="module")
def visits(browser: Browser, address: str) -> dict[tuple[str, str], Visit]:
    """Look at every state in three languages once; the tests below ask about what was seen."""
    return {
        (language, name): seen for language in LANGUAGES for name, seen in looks(browser, address, language)
    }


# ------------------------------------------------------------------------------------------------- axe
def test_axe_finds_nothing_on_any_page(browser: Browser) -> None:
    """Every state, with scripts and without, both dialogs, how it works: light and English, dark and Arabic in turn.

    The figure `page-axe` crosses them all.
    """
    found = {}
    with serving(waiting()) as (_, address):
        looks = [("light", "en"), ("dark", "ar")]
        pages = {
            scheme: browser.new_page(
                color_scheme=scheme, viewport=PHONE, reduced_motion="reduce", locale="en-GB"
            )  # type: ignore[arg-type]
            for scheme, _ in looks
        }
        for at, both in enumerate(
            zip(*(places(language, scheme) for scheme, language in looks), strict=True)
        ):
            page = pages[looks[at % 2][0]]
            name, path, ready = both[at % 2]
            page.goto(address + path)
            ready(page)
            if wrong := axe.violations(page):
                found[name] = wrong
        for page in pages.values():
            page.close()

    assert found == {}


def test_axe_notices_a_label_that_is_gone_and_a_colour_that_is_too_pale(reader: Page, address: str) -> None:
    """Mutants: what the test above would miss if axe did not run, or ran on something else."""
    preview(reader, address, "waiting")
    reader.evaluate("document.getElementById('carry').textContent = ''")
    reader.evaluate("document.getElementById('track').removeAttribute('aria-label')")
    reader.evaluate("document.getElementById('stage').style.color = '#bbb'")
    rules = {line.partition(":")[0] for line in axe.violations(reader)}

    assert {"button-name", "aria-progressbar-name", "color-contrast"} <= rules


def test_axe_notices_a_pale_colour_in_the_light_of_the_door(reader: Page, address: str) -> None:
    """Mutant: a colour that is enough on paper and too little on the gradient is found on the picture alone."""
    preview(reader, address, "waiting", more="&theme=light")
    assert axe.too_pale(reader) == []
    reader.evaluate("document.getElementById('unit').style.cssText = 'color: #86827a; font-size: 16px'")
    reader.evaluate("document.body.style.background = 'linear-gradient(90deg, #fff, #000)'")

    assert any(line.startswith("color-contrast: #unit") for line in axe.too_pale(reader))


def test_what_a_browser_without_scripts_shows_has_no_faults_either(reader: Page, address: str) -> None:
    """The shell before a place is taken: its button stands in `noscript`."""
    reader.route("**/waitroom.js*", lambda route: route.abort())
    reader.goto(address + PAGE)
    axe.show_without_scripts(reader)

    expect(reader.get_by_role("button", name="Take my place")).to_be_visible()
    assert axe.violations(reader) == []


# -------------------------------------------------------------------------------------------- keyboard
def test_the_keyboard_reaches_every_action_and_the_focus_is_seen(
    visits: dict[tuple[str, str], Visit],
) -> None:
    """In every state: what can be pressed can be reached by Tab, in the order of reading, with a visible ring."""
    mine = {name: visits["en", name] for name in STATES}
    reached = {name: [stop["name"] for stop in visit.stops] for name, visit in mine.items()}
    faint = {
        name: [stop for stop in visit.stops if stop["outline"] < 2 or not stop["seen"]]
        for name, visit in mine.items()
    }

    assert reached == {name: visit.actions for name, visit in mine.items()}
    assert sum(map(len, reached.values())) > len(STATES)
    assert not any(faint.values()), faint


@pytest.mark.parametrize(("button", "dialog"), [("#leave", "#leaving"), ("#carry", "#carrying")])
def test_a_dialog_keeps_the_focus_and_gives_it_back(fan: BrowserContext, button: str, dialog: str) -> None:
    """Opened by Enter; Tab stays inside or with the browser itself; Escape closes, and the focus is where it was."""
    inside = f"() => document.querySelector('{dialog}').contains(document.activeElement)"
    with serving(waiting()) as (_, address):
        page = fan.new_page()
        page.goto(address + PAGE)
        state(page, "waiting")
        page.focus(button)
        page.keyboard.press("Enter")
        page.wait_for_selector(f"{dialog}[open]")
        assert page.evaluate(inside)
        assert page.get_attribute(dialog, "aria-labelledby")
        for _ in range(8):
            page.keyboard.press("Tab")
            assert page.evaluate(inside) or page.evaluate("document.activeElement === document.body")
        page.keyboard.press("Escape")
        expect(page.locator(dialog)).to_be_hidden()

        assert page.evaluate("'#' + document.activeElement.id") == button


def test_an_action_that_goes_away_leaves_the_focus_on_the_page(fan: BrowserContext) -> None:
    """Who left the line by the keyboard stands at the headline, not at the top of nothing."""
    with serving(waiting()) as (_, address):
        page = fan.new_page()
        page.goto(address + PAGE)
        state(page, "waiting")
        page.focus("#leave")
        page.keyboard.press("Enter")
        page.keyboard.press("Tab")
        page.keyboard.press("Enter")
        state(page, "left")

        expect(page.locator("#headline")).to_be_focused()
        page.keyboard.press("Tab")
        expect(page.locator("#again")).to_be_focused()


# --------------------------------------------------------------------------------------- screen reader
def ticked(page: Page, scene: Scene) -> int:
    """Let a moment pass on the page; returns how often it has asked."""
    # A page that is still busy with the last answer asks after that: its wish, too, waits for the clock to tick.
    page.clock.run_for(5)
    return scene.seen["status"]


def test_ten_minutes_of_waiting_are_a_handful_of_sentences(fan: BrowserContext) -> None:
    """The line moves with every poll; only each tenth of the way, and a change of state, is spoken."""
    scene = waiting(issued=400, next_number=300, serving=0, speed=24, plan=24)
    with serving(scene) as (_, address):
        page = fan.new_page()
        page.add_init_script(NO_CHANCE + HEARD)
        page.clock.install()
        page.goto(address + PAGE)
        state(page, "waiting")
        page.clock.pause_at(page.evaluate("Date.now()") + 1)
        polls = scene.seen["status"]
        for step in range(60):
            scene.change(serving=4 * step)
            # Time runs on only when the answer is there, or a slow machine would look like a lost connection.
            with page.expect_response("**/status") as answered:
                page.evaluate(LOOK)
                until(page, lambda polls=scene.seen["status"]: ticked(page, scene) > polls)
            answered.value.finished()
            page.clock.run_for(9_950)
        polls = scene.seen["status"] - polls
        heard = page.evaluate("window.heard")

    assert polls >= 60
    assert 3 <= len(heard) <= 12
    assert {kind for kind, _ in heard} == {"said"}
    assert [text for _, text in heard if not re.search(r"\d+ people ahead of you|almost there", text)] == []
    assert all(one != other for one, other in pairwise(heard))


def test_a_change_of_state_is_told_and_the_turn_at_once(fan: BrowserContext) -> None:
    """On hold, offline and back are told when there is time; the turn interrupts."""
    scene = waiting()
    with serving(scene) as (_, address):
        page = fan.new_page()
        page.add_init_script(HEARD)
        page.goto(address + PAGE)
        state(page, "waiting")
        scene.change(paused=True)
        page.evaluate(LOOK)
        state(page, "paused")
        fan.set_offline(True)
        state(page, "offline")
        fan.set_offline(False)
        state(page, "paused")
        page.route(
            "**/claim",
            lambda route: route.fulfill(status=202, json={"outcome": "next", "retry_after_ms": 60_000}),
        )
        scene.change(paused=False, serving=41)
        page.evaluate(LOOK)
        state(page, "next")
        heard = page.evaluate("window.heard")

    said = " | ".join(text for kind, text in heard if kind == "said")
    assert "on hold" in said
    assert "offline" in said
    assert [text for kind, text in heard if kind == "alarm"] == ["It is your turn"]


def test_the_place_is_read_as_one_sentence(fan: BrowserContext) -> None:
    """What a screen reader meets from the top: landmarks, one heading with the number in it, the way in words."""
    with serving(waiting()) as (_, address):
        page = fan.new_page()
        page.goto(address + PAGE)
        state(page, "waiting")
        tree = page.locator("body").aria_snapshot()

    assert re.search(r"- banner:", tree)
    assert re.search(r'- main:\n(.*\n)*?\s+- heading "30 people ahead of you" \[level=1\]', tree)
    assert re.search(r'- progressbar "Your way to the door"', tree)
    assert page.locator("main").aria_snapshot().count("30 people") == 1


# -------------------------------------------------------------------------------- large letters, spacing
@pytest.mark.parametrize("language", LANGUAGES)
def test_at_400_percent_nothing_is_cut_and_nothing_scrolls_sideways(
    reader: Page, address: str, visits: dict[tuple[str, str], Visit], language: str
) -> None:
    """1.4.10: 320 pixels wide, every state; and how it works, to the last word."""
    mine = {name: visits[language, name] for name in STATES}
    reader.goto(f"{address}{ROOM}/how?lang={language}")

    assert {name: visit.wide for name, visit in mine.items() if visit.wide > 320} == {}
    assert {name: visit.cut + visit.overlapping for name, visit in mine.items()} == {
        name: [] for name in mine
    }
    assert (reader.evaluate(WIDE), reader.evaluate(CUT)) == (320, [])


@pytest.mark.parametrize("language", LANGUAGES)
def test_letters_of_twice_the_size_still_fit(browser: Browser, address: str, language: str) -> None:
    """1.4.4: 200 % on a usual screen, by zoom (half the pixels) and by a larger letter of the browser's own."""
    context = browser.new_context(
        viewport={"width": 640, "height": 400}, device_scale_factor=2, locale="en-GB"
    )
    page = context.new_page()
    found = {}
    for name in ("before", "gathering", "drawn", "waiting", "called", "recall", "offline", "refused"):
        preview(page, address, name, language)
        page.evaluate("document.documentElement.style.fontSize = '200%'")
        if page.evaluate(WIDE) > 640 or page.evaluate(CUT):
            found[name] = page.evaluate(CUT)
    context.close()

    assert found == {}


def test_a_reader_s_own_spacing_cuts_nothing(visits: dict[tuple[str, str], Visit]) -> None:
    """1.4.12: lines, letters, words and paragraphs set wider, on the smallest page, in every state."""
    found = {at: seen.cut_when_spaced for at, seen in visits.items() if seen.cut_when_spaced}

    assert found == {}
    assert {at: seen.wide_when_spaced for at, seen in visits.items() if seen.wide_when_spaced > 320} == {}


def test_a_box_that_cuts_its_text_is_noticed(reader: Page, address: str) -> None:
    """Mutants: a height that is fixed, a line that does not break, and two texts on one spot."""
    preview(reader, address, "waiting")
    reader.evaluate("document.getElementById('detail').style.cssText = 'height: 1em; overflow: hidden'")
    assert any("detail" in node for node in reader.evaluate(CUT))
    preview(reader, address, "waiting")
    reader.evaluate("document.getElementById('detail').style.cssText = 'white-space: nowrap'")
    assert reader.evaluate(WIDE) > 320
    reader.evaluate("document.getElementById('detail').style.cssText = 'position: absolute; top: 0'")
    assert reader.evaluate(OVERLAPS)


# ---------------------------------------------------------------------------------- targets, colours, motion
def test_everything_that_can_be_pressed_is_large_enough(visits: dict[tuple[str, str], Visit]) -> None:
    """Every button and link is 44 pixels high, 24 wide (2.5.8); a link inside a sentence is as high as its line."""
    small = {
        (at, what): (width, height)
        for at, visit in visits.items()
        for what, in_a_sentence, width, height in visit.sizes
        if not in_a_sentence and (width < 24 or height < 44)
    }

    assert small == {}


def test_nothing_moves_for_who_wants_no_motion(
    browser: Browser, address: str, visits: dict[tuple[str, str], Visit]
) -> None:
    """No animation and no transition runs in any state; the mutant: with motion, the waiting page breathes."""
    assert {at: visit.moving for at, visit in visits.items() if visit.moving} == {}

    page = browser.new_page(reduced_motion="no-preference", locale="en-GB")
    page.add_init_script(MOVED)
    preview(page, address, "waiting")
    until(page, "window.moved > 0")
    page.close()


def test_what_moves_by_itself_stops_within_five_seconds(browser: Browser, address: str) -> None:
    """2.2.2: motion that starts by itself and goes on longer would need a button to stop it. Also for the battery."""
    page = browser.new_page(reduced_motion="no-preference", locale="en-GB")
    endless = {}
    for name in ("gathering", "drawing", "waiting", "almost", "called", "next"):
        preview(page, address, name)
        if longest := page.evaluate(LONGEST):
            endless[name] = longest
    page.close()

    assert endless == {}


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_edges_and_rings_stand_out_from_the_paper(reader: Page, address: str, scheme: str) -> None:
    """1.4.11: three to one for the edges of buttons, the ring of the focus, the way and its mark, in two papers."""
    faint = {}
    for name in ("waiting", "called"):
        preview(reader, address, name, more=f"&theme={scheme}")
        for what, ratio in reader.evaluate(EDGES).items():
            if ratio < 3:
                faint[f"{name} {what}"] = ratio

    assert faint == {}


def test_with_the_reader_s_own_colours_everything_is_still_there(browser: Browser, address: str) -> None:
    """Forced colours: buttons keep an edge, the way and the door are drawn, the focus has a ring."""
    context = browser.new_context(forced_colors="active", locale="en-GB", reduced_motion="reduce")
    page = context.new_page()
    preview(page, address, "called")
    edge = page.evaluate("getComputedStyle(document.getElementById('again')).borderTopWidth")
    page.keyboard.press("Tab")
    ring = page.evaluate(FOCUSED)["outline"]
    preview(page, address, "waiting")
    colour = "(selector, name) => getComputedStyle(document.querySelector(selector))[name]"
    paper = page.evaluate("getComputedStyle(document.body).backgroundColor")
    drawn = [
        page.evaluate(f"({colour})('.track .gone', 'backgroundColor')"),
        page.evaluate(f"({colour})('.track .you', 'backgroundColor')"),
        page.evaluate(f"({colour})('.track .frame', 'stroke')"),
    ]
    context.close()

    assert (edge, ring >= 2) == ("2px", True)
    assert paper not in drawn


# ------------------------------------------------------------------------------------------------ time
def test_the_page_never_loads_itself_anew(fan: BrowserContext) -> None:
    """2.2.1, 3.2.5: with scripts there is no timed reload; an hour later it is the same page."""
    scene = waiting(issued=90_000, next_number=80_000, serving=0, speed=60, plan=60)
    with serving(scene) as (_, address):
        page = fan.new_page()
        page.clock.install()
        page.goto(address + PAGE)
        state(page, "waiting")
        assert page.locator("meta[http-equiv=refresh]").count() == 0
        page.evaluate("window.same = true")
        page.clock.fast_forward(3_600_000)
        page.clock.fast_forward(3_600_000)
        state(page, "waiting")

        assert page.evaluate("window.same") is True
        assert scene.seen["shell"] == 1


def test_without_scripts_every_page_that_reloads_can_be_stopped(plain_fan: BrowserContext) -> None:
    """2.2.1, 2.2.2: a link stops it, another looks once; while it is the turn there are at least 30 seconds."""
    scene = waiting()
    with serving(scene) as (_, address):
        page = plain_fan.new_page()
        page.goto(address + PAGE)
        page.get_by_role("button", name="Take my place").click()
        for change in ({}, {"paused": True}, {"paused": False, "serving": 41}):
            scene.change(**change)
            page.goto(f"{address}{ROOM}/ticket?target=/shop&lang=en")
            refresh = page.get_attribute("meta[http-equiv=refresh]", "content") or ""
            page.get_by_role("link", name="Stop looking again").click()
            expect(page.locator("meta[http-equiv=refresh]")).to_have_count(0)

        assert int(refresh.partition(";")[0]) >= 30


def test_a_time_that_runs_out_can_be_made_longer_ten_times(fan: BrowserContext) -> None:
    """2.2.1: told while at least 20 seconds are left, by one simple press each; also by the keyboard alone."""
    scene = waiting()
    with serving(scene) as (_, address):
        page = fan.new_page()
        page.add_init_script(EYES + HEARD)
        page.goto(address + PAGE)
        state(page, "waiting")
        page.evaluate("window.lookAway()")
        page.evaluate("{ const own = Date.now; Date.now = () => own() + 120_000; }")
        window_ms = 1000 * scene.claim_window_s
        scene.change(serving=41, called_ms=now_ms() - window_ms + 90_000)
        page.evaluate(LOOK)
        state(page, "called")
        for times in range(1, 11):
            expect(page.locator("#more")).to_be_visible()
            # Each press gives five minutes; let all but ninety seconds of them pass.
            scene.called_ms = now_ms() - window_ms * (1 + times) + 90_000
            page.focus("#more")
            with page.expect_response("**/status"):
                page.keyboard.press("Enter")
            assert scene.extensions == times
        expect(page.locator("#more")).to_be_hidden()
        heard = page.evaluate("window.heard")

    told = [text for kind, text in heard if kind == "said"]
    assert sum("You have more time now" in text for text in told) == 10
    assert sum("Ask for more time" in text for text in told) == 10
    assert [kind for kind, _ in heard].count("alarm") == 1


def test_who_misses_the_turn_is_told_how_long_there_is_and_loses_nothing(fan: BrowserContext) -> None:
    """2.2.1: the limit is shown, announced, and running out only means coming in a little later."""
    page = fan.new_page()
    with serving(waiting()) as (_, address):
        preview(page, address, "called")
        expect(page.locator("#value")).to_have_text(re.compile(r"^2:[23]\d$"))
        expect(page.locator("#detail")).to_contain_text("you can still come in")
        expect(page.get_by_role("button", name="Give me more time")).to_be_visible()
        preview(page, address, "recall")
        expect(page.locator("#detail")).to_contain_text("not lost")
        expect(page.get_by_role("button", name="Come in now")).to_be_visible()
