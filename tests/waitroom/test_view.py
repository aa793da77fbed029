"""The pages as bytes: the same for everybody, nothing inline, strangers' words escaped, in every language."""

import gzip
import re
import shutil
import subprocess
from dataclasses import replace
from pathlib import Path

import pytest
from playwright._impl._driver import compute_driver_executable

from waitroom import view
from waitroom.assets import LAZY, asset_url, assets, modules, squeezed, thinned, words_name
from waitroom.theme import Theme, read_theme, style_hash
from waitroom.view import Action, Look, TicketView
from waitroom.wait import Interval
from waitroom.words import languages

PREFIX = "/.waitroom/"
NASTY = '"><script>alert(1)</script>'
PLACE = TicketView(
    phase="serving", standing="waiting", number=41, rank=41, ahead=12, wait=Interval(100, 250), poll_ms=4000
)
FIRST_BYTES = 14_000
ALL_BYTES = 40_000


def look(name: str = "Concert", language: str = "en", theme: Theme | None = None) -> Look:
    """Make the look of a room."""
    return Look(name, languages()[language], theme or Theme())


def ticket(place: TicketView, *, still: bool = False, language: str = "en") -> str:
    """Render the ticket view of a place."""
    page = view.ticket_page("main", PREFIX, look(language=language), "/shop?a=1&b=2", place, still=still)
    return page.decode()


# -------------------------------------------------------------------------------------------- the shell
def test_the_shell_is_the_same_for_everybody_but_for_the_target() -> None:
    """A cache may keep it: only the target differs, in the two places that need it."""
    shell = view.shell("main", PREFIX, look())

    assert shell.page("/shop") == shell.page("/shop")
    assert shell.page("/shop").replace(b"/shop", b"/other") == shell.page("/other")
    assert shell.page("/shop").count(b"/shop") == 2


@pytest.mark.parametrize("target", ["", "/", "/shop?a=1&b=<2>", "/" + "x" * 3000, "/" + "y" * 70_000])
def test_the_compressed_shell_is_the_same_page(target: str) -> None:
    """Put together from parts that were compressed once; any target may stand between them."""
    shell = view.shell("main", PREFIX, look())

    assert gzip.decompress(shell.gzip(target)) == shell.page(target)


def test_the_first_answer_and_the_whole_page_keep_within_their_budget() -> None:
    """What is painted first within 14 kB, all that a visit can load within 40 kB, compressed."""
    sizes = {name: len(asset.gzip) for name, asset in assets().items()}
    always = sum(sizes[name] for name in (*modules(), "waitroom.js", "waitroom.svg", "turn.svg"))
    carried = sizes["carry.js"] + sizes["qr.js"]
    for tag in languages():
        shell = view.shell("main", PREFIX, look(language=tag), settles=True)
        first = len(shell.gzip("/shop")) + sizes["waitroom.css"]

        assert first <= FIRST_BYTES, tag
        assert first + always + carried + sizes[words_name(tag)] <= ALL_BYTES, tag


def test_the_first_html_speaks_the_language() -> None:
    """No text arrives later than its page: the loading state stands there in the right language and direction."""
    for tag, words in languages().items():
        page = view.shell("main", PREFIX, look(language=tag)).page().decode()

        assert f'<html lang="{tag}" dir="{words.direction}"' in page
        assert str(view.escape(words.text("state.loading.headline"))) in page
        assert f'data-words="{asset_url(PREFIX, words_name(tag))}"' in page


def test_strangers_words_cannot_break_out_of_the_page() -> None:
    """Targets come from addresses, names and messages from operators: all are escaped."""
    texts = Theme(texts={"en": {"state.waiting.stage": NASTY}})
    pages = (
        view.shell("main", PREFIX, look(NASTY, theme=texts)).page(NASTY),
        view.ticket_page("main", PREFIX, look(NASTY), NASTY, replace(PLACE, message=NASTY)),
        view.notice_page(
            PREFIX,
            look(NASTY),
            stage=NASTY,
            headline=NASTY,
            detail=NASTY,
            action=Action(NASTY, NASTY, target=NASTY),
            refresh_s=5,
            again=NASTY,
        ),
        view.how_page("main", PREFIX, look(NASTY), [(NASTY, [NASTY])]),
    )

    for page in pages:
        assert b"<script>" not in page
        assert b"alert(1)" in page


def test_no_page_needs_more_than_the_policy_allows() -> None:
    """No inline script, style or handler, nothing from elsewhere."""
    pages = (
        view.shell("main", PREFIX, look()).page("/shop").decode(),
        ticket(PLACE),
        view.notice_page(PREFIX, look(), stage="a", headline="b", detail="c").decode(),
        view.how_page("main", PREFIX, look(), [("a", ["b"])]).decode(),
        view.previews_page("main", PREFIX, look(), [("en", "English")]).decode(),
    )

    for page in pages:
        assert not re.search(r"<style|\sstyle=|\son\w+=|javascript:|https?://", page)
        assert all("src=" in tag for tag in re.findall(r"<script[^>]*>", page))
    policy = view.content_security_policy()
    assert policy.startswith("default-src 'none'; script-src 'self'; style-src 'self';")
    assert "unsafe" not in policy
    assert "frame-ancestors 'none'" in view.content_security_policy("'none'")


def test_a_themes_style_is_allowed_by_its_hash_alone() -> None:
    """The one style element is named by the policy byte for byte; its picture's host is, too."""
    theme = Theme(colours={"accent": "#0b5cad"}, picture="https://img.example.com/a.jpg")
    page = view.shell("main", PREFIX, look(theme=theme)).page().decode()
    policy = view.content_security_policy(theme=theme)

    style = page.partition("<style>")[2].partition("</style>")[0]
    assert style_hash(style) in policy
    assert "--accent:#0b5cad" in style
    assert "img-src 'self' data: https://img.example.com;" in policy


# ------------------------------------------------------------------------------------------- static files
def test_static_files_carry_their_hash_in_their_address() -> None:
    """So that caches may keep them for ever; each has its media type, and unpacks to itself."""
    found = assets()

    assert {"waitroom.js", "waitroom.css", "waitroom.svg", "words.ar.js", "qr.LICENSE.txt"} <= set(found)
    for name, asset in found.items():
        assert asset_url(PREFIX, name) == f"{PREFIX}static/{name}?v={asset.tag}"
        assert gzip.decompress(asset.gzip) == asset.body
    assert asset_url(PREFIX, "waitroom.js").encode() in view.shell("main", PREFIX, look()).page()


def test_modules_name_each_other_by_hash_and_stand_in_the_page() -> None:
    """No module is loaded by a bare name, which a cache would keep beyond an update; all but the lazy are announced."""
    found = assets()
    page = view.shell("main", PREFIX, look()).page().decode()

    for name in (*modules(), *LAZY, "waitroom.js"):
        for imported in re.findall(r'(?:from |import\()"([^"]+)"', found[name].body.decode()):
            assert re.fullmatch(r"\./[a-z]+\.js\?v=[0-9a-f]{12}", imported), name
    assert set(re.findall(r'modulepreload" href="[^"]*/([a-z.]+)\?', page)) == {*modules(), "words.en.js"}


def test_served_scripts_lose_their_comments_and_nothing_else() -> None:
    """Also not a licence, and not a text that only looks like a comment."""
    script = (
        '/** Head. */\n/*! MIT */\nconst a = "https://x"; // stays\n  // goes\n  if (a) {\n    b();\n  }\n'
    )

    assert thinned(script) == '/*! MIT */\nconst a = "https://x"; // stays\nif (a) {\nb();\n}\n'
    assert assets()["qr.js"].body.startswith(b"/*! uqr")
    assert squeezed(b"x") == squeezed(b"x")


# ------------------------------------------------------------------------------------- an own page
GOOD_PAGE = (
    "<!doctype html><html {{{waitroom.attributes}}}><head><title>{{name}}</title>{{{waitroom.head}}}</head><body>"
    "<header>Own</header>{{{waitroom.main}}}{{{waitroom.footer}}}</body></html>"
)


def test_an_operators_own_page_carries_our_parts() -> None:
    """The parts stand where the operator wants them, with the target filled in."""
    page = view.shell("main", PREFIX, look(), GOOD_PAGE).page("/shop").decode()

    assert "<header>Own</header>" in page
    assert '<html lang="en" dir="ltr" data-room="main"' in page
    assert 'data-target="/shop"' in page
    assert 'id="headline"' in page
    assert "<title>Concert</title>" in page
    assert view.custom_page_faults(GOOD_PAGE) == []


def test_an_operators_own_page_has_the_rooms_colours_too() -> None:
    """Our parts look the same in the house's page and in the operator's own."""
    theme = read_theme({"colours": {"accent": "#1a5fb4"}})
    page = view.shell("main", PREFIX, look(theme=theme), GOOD_PAGE).page().decode()

    assert theme.css
    assert f"<style>{theme.css}</style>" in page
    assert "<style>" not in view.shell("main", PREFIX, look(), GOOD_PAGE).page().decode()


def test_the_parts_stand_with_two_braces_too() -> None:
    """Three braces would be right; who writes two gets the part and not its source."""
    page = GOOD_PAGE.replace("{{{waitroom.", "{{").replace("}}}", "}}")

    assert view.custom_page_faults(page) == []
    assert '<h1 class="headline" id="headline"' in view.shell("main", PREFIX, look(), page).page().decode()


def test_cloudflares_variables_print_what_a_script_can_read() -> None:
    """Truth in lower case, nought as a number, a missing name as nothing; sections follow the truth."""
    page = GOOD_PAGE.replace(
        "<header>Own</header>",
        "<i>var known = {{waitTimeKnown}}, time = {{waitTime}};</i>{{#queueIsFull}}full{{/queueIsFull}}"
        "{{^queueIsFull}}free{{/queueIsFull}}{{nothingLikeThat}}{{mark}}",
    )
    given = {"waitTimeKnown": False, "waitTime": 0, "queueIsFull": False, "mark": "<b>"}
    shown = view.shell("main", PREFIX, look(), page, given).page().decode()

    assert "<i>var known = false, time = 0;</i>free&lt;b&gt;<noscript>" in re.sub(
        r">\s+<", "><", shown
    ).replace("\n", "")


@pytest.mark.parametrize(
    ("page", "fault"),
    [
        ("<html>{{{waitroom.main}}}</html>", "the page must contain {{{waitroom.attributes}}}"),
        (GOOD_PAGE.replace("{{{waitroom.footer}}}", ""), "the page must contain {{{waitroom.footer}}}"),
        (GOOD_PAGE + "{{#open}}", "the page is no template"),
        (GOOD_PAGE + "{{/closed}}", "the page is no template"),
        (GOOD_PAGE + "{{name.__class__}}", "the page is no template"),
        (
            GOOD_PAGE.replace("{{{waitroom.main}}}", "{{> shell}}"),
            "the page must contain {{{waitroom.main}}}",
        ),
    ],
)
def test_a_page_that_cannot_work_is_refused_with_reasons(page: str, fault: str) -> None:
    """Told when it is configured, not when the crowd is there; a template reaches nothing but its variables."""
    assert any(found.startswith(fault) for found in view.custom_page_faults(page))


# ------------------------------------------------------------------------------------ without scripts
@pytest.mark.parametrize(
    ("change", "state", "sign"),
    [
        ({}, "waiting", "Your turn comes in about 1 to 5 minutes."),
        ({"wait": None}, "waiting", "cannot be told yet"),
        ({"ahead": 0, "wait": Interval(0, 0)}, "almost", "You are next"),
        ({"wait": Interval(60, 180)}, "almost", "Have what you need at hand"),
        ({"ahead": 1}, "waiting", "person ahead of you"),
        ({"standing": "called", "ahead": 0}, "called", "Go in now"),
        ({"standing": "recall", "ahead": 0}, "recall", "It is not lost"),
        ({"paused": True}, "paused", "The line stands still"),
        ({"paused": True, "standing": "called", "ahead": 0}, "paused", "for everybody"),
        ({"standing": "left"}, "left", "Take a new place"),
        ({"standing": "admitted"}, "admitted", "Continue"),
        ({"phase": "ended"}, "ended", "This line has ended"),
        ({"phase": "idle", "starts_in_s": 600}, "before", "opens in about 10 minutes"),
        ({"phase": "idle"}, "before", "opens later"),
        (
            {"phase": "gathering", "rank": None, "ahead": None, "wait": None, "starts_in_s": 90},
            "gathering",
            "the same chance",
        ),
        (
            {"phase": "gathering", "rank": None, "ahead": None, "wait": None, "frozen": True},
            "drawing",
            "being drawn",
        ),
        ({"phase": "gathering", "drawn_of": 900, "frozen": True}, "drawn", "42 of 900"),
        ({"phase": "gathering"}, "lined", "First come, first served."),
        ({"phase": "gathering", "ahead": 0, "wait": None}, "lined", "at the very front"),
    ],
)
def test_the_ticket_view_says_where_one_stands(change: dict[str, object], state: str, sign: str) -> None:
    """One sentence for each state, the same words as the page with scripts."""
    page = ticket(replace(PLACE, **change))

    assert f'data-state="{state}"' in page
    assert sign in page


def test_the_ticket_view_looks_again_as_told_and_can_be_stopped() -> None:
    """By the poll interval, at most a minute; calmly while a button waits for the hand; never when it is over."""

    def refresh(page: str) -> str | None:
        found = re.search(r'http-equiv="refresh" content="(\d+);url=([^"]+)"', page)
        return found.group(1) if found else None

    assert refresh(ticket(PLACE)) == "4"
    assert refresh(ticket(replace(PLACE, poll_ms=100))) == "2"
    assert refresh(ticket(replace(PLACE, poll_ms=900_000))) == "60"
    assert refresh(ticket(replace(PLACE, standing="called"))) == "30"
    assert refresh(ticket(PLACE, still=True)) is None
    assert refresh(ticket(replace(PLACE, standing="left"))) is None
    assert "/r/main/ticket?target=%2Fshop%3Fa%3D1%26b%3D2" in ticket(PLACE)


def test_the_ticket_view_tells_what_else_is_known() -> None:
    """How sure the estimate is, what is left to buy, why a lane is slow; where a sale goes on, as a link."""
    assert "held for 87%" in ticket(replace(PLACE, held=0.87, of=412)).replace("\xa0", "")
    assert "3 tickets left" in ticket(replace(PLACE, stock_left=3))
    assert "moves more slowly" in ticket(replace(PLACE, lane="suspect"))
    assert 'data-state="soldout"' in ticket(replace(PLACE, stock_state="soldout"))
    assert 'href="/elsewhere"' in ticket(replace(PLACE, moved_to="/elsewhere"))


@pytest.mark.parametrize("tag", sorted(languages()))
def test_every_page_without_scripts_speaks_every_language(tag: str) -> None:
    """Each state has its words; no parameter is left open, and the direction is the language's."""
    for name in view.PLAIN_STATES:
        page = view.ticket_page("main", PREFIX, look(language=tag), "/shop", PLACE, preview=name).decode()

        assert f'<html lang="{tag}" dir="{languages()[tag].direction}" data-state="{name}"' in page
        assert not re.search(r"\{\w+\}", page), name


# ------------------------------------------------------------------------------------- the page's rules
def test_the_pages_rules_are_those_of_the_server() -> None:
    """`node --test` over the same vectors; playwright brings a node where the machine has none."""
    node = shutil.which("node") or str(compute_driver_executable()[0])
    folder = Path(__file__).parent / "js"
    files = sorted(str(file) for file in folder.glob("*.test.mjs"))

    done = subprocess.run([node, "--test", *files], capture_output=True, text=True, check=False, timeout=120)

    assert done.returncode == 0, done.stdout + done.stderr
