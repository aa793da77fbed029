"""The pages as bytes: the same for everybody, nothing inline, strangers' words escaped, colours readable."""

import re
import shutil
import subprocess
from dataclasses import replace
from pathlib import Path

import pytest
from playwright._impl._driver import compute_driver_executable

from waitroom import view
from waitroom.view import Action, TicketView
from waitroom.wait import Interval

PREFIX = "/.waitroom/"
NASTY = '"><script>alert(1)</script>'
PLACE = TicketView(
    phase="serving", standing="waiting", number=41, rank=41, ahead=12, wait=Interval(100, 200), poll_ms=4000
)


def ticket(place: TicketView, *, still: bool = False) -> str:
    """Render the ticket view of a place."""
    return view.ticket_page("main", PREFIX, "Concert", "/shop?a=1&b=2", place, still=still).decode()


# -------------------------------------------------------------------------------------------- the shell
def test_the_shell_is_the_same_for_everybody_but_for_the_target() -> None:
    """A cache may keep it: only the target differs, in the two places that need it."""
    shell = view.shell("main", PREFIX, "Concert")

    assert shell.page("/shop") == shell.page("/shop")
    assert shell.page("/shop").replace(b"/shop", b"/other") == shell.page("/other")
    assert shell.page("/shop").count(b"/shop") == 2


def test_strangers_words_cannot_break_out_of_the_page() -> None:
    """Targets come from addresses, names and messages from operators: all are escaped."""
    pages = (
        view.shell("main", PREFIX, NASTY).page(NASTY),
        view.ticket_page("main", PREFIX, NASTY, NASTY, replace(PLACE, message=NASTY)),
        view.notice_page(
            PREFIX,
            NASTY,
            stage=NASTY,
            headline=NASTY,
            detail=NASTY,
            action=Action(NASTY, NASTY, target=NASTY),
            refresh_s=5,
            again=NASTY,
        ),
    )

    for page in pages:
        assert b"<script>" not in page
        assert b"alert(1)" in page


def test_no_page_needs_more_than_the_policy_allows() -> None:
    """No inline script, style or handler, nothing from elsewhere."""
    pages = (
        view.shell("main", PREFIX, "Concert").page("/shop").decode(),
        ticket(PLACE),
        view.notice_page(PREFIX, "Concert", stage="a", headline="b", detail="c").decode(),
    )

    for page in pages:
        assert not re.search(r"<style|\sstyle=|\son\w+=|javascript:|https?://", page)
        assert all("src=" in tag for tag in re.findall(r"<script[^>]*>", page))
    policy = view.content_security_policy()
    assert policy.startswith("default-src 'none'; script-src 'self'; style-src 'self';")
    assert "unsafe" not in policy
    assert "frame-ancestors 'none'" in view.content_security_policy("'none'")


def test_static_files_carry_their_hash_in_their_address() -> None:
    """So that caches may keep them for ever; each has its media type."""
    assets = view.assets()

    assert {"waitroom.js", "waitroom.css", "waitroom.svg"} <= set(assets)
    for name, asset in assets.items():
        assert view.asset_url(PREFIX, name) == f"{PREFIX}static/{name}?v={asset.tag}"
        assert asset.media_type.startswith(("text/javascript", "text/css", "image/svg+xml"))
    assert view.asset_url(PREFIX, "waitroom.js").encode() in view.shell("main", PREFIX, "x").page()


# ------------------------------------------------------------------------------------- an own page
GOOD_PAGE = (
    "<!doctype html><html {{ attributes }}><head><title>{{ name }}</title>{{ head }}</head>"
    "<body><header>Own</header>{{ main }}{{ footer }}</body></html>"
)


def test_an_operators_own_page_carries_our_parts() -> None:
    """The parts stand where the operator wants them, with the target filled in."""
    page = view.shell("main", PREFIX, "Concert", GOOD_PAGE).page("/shop").decode()

    assert "<header>Own</header>" in page
    assert 'data-target="/shop"' in page
    assert 'id="headline"' in page
    assert "<title>Concert</title>" in page
    assert view.custom_page_faults(GOOD_PAGE) == []


@pytest.mark.parametrize(
    ("page", "fault"),
    [
        ("<html>{{ main }}</html>", "the page must contain {{ attributes }}"),
        (GOOD_PAGE.replace("{{ footer }}", ""), "the page must contain {{ footer }}"),
        ("{{ unclosed", "the page is no template"),
        ("{{ nothing_like_that }}", "the page is no template"),
        ("{{ ''.__class__.__mro__ }}", "the page is no template"),
        ("{% include 'shell.html' %}", "the page is no template"),
    ],
)
def test_a_page_that_cannot_work_is_refused_with_reasons(page: str, fault: str) -> None:
    """Told when it is configured, not when the crowd is there; the sandbox lets nothing else in."""
    assert any(found.startswith(fault) for found in view.custom_page_faults(page))


# ------------------------------------------------------------------------------------ without scripts
@pytest.mark.parametrize(
    ("change", "state", "sign"),
    [
        ({}, "waiting", "Your turn comes in about 1 to 4 minutes."),
        ({"wait": None}, "waiting", "cannot be told yet"),
        ({"ahead": 0, "wait": Interval(0, 0)}, "waiting", "You are next"),
        ({"ahead": 1}, "waiting", "person ahead of you"),
        ({"standing": "called", "ahead": 0}, "called", "Go in now"),
        ({"standing": "recall", "ahead": 0}, "called", "Go in now"),
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
        ({"phase": "gathering", "drawn_of": 900, "frozen": True}, "drawn", "42nd of 900"),
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


def test_numbers_have_their_endings() -> None:
    """1st, 2nd, 3rd, 11th, 1,002nd."""
    for number, words in ((0, "1st"), (1, "2nd"), (2, "3rd"), (10, "11th"), (12, "13th"), (1001, "1,002nd")):
        assert f"<dd>{words}</dd>" in ticket(replace(PLACE, number=number))


# --------------------------------------------------------------------------------------------- colours
def luminance(colour: str) -> float:
    """Return the relative luminance of #rrggbb (WCAG 2.2)."""
    parts = [int(colour[at : at + 2], 16) / 255 for at in (1, 3, 5)]
    linear = [part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


def contrast(one: str, other: str) -> float:
    """Return the contrast ratio of two colours."""
    high, low = sorted((luminance(one), luminance(other)), reverse=True)
    return (high + 0.05) / (low + 0.05)


def mixed(one: str, other: str, share: float) -> str:
    """Return `one` laid over `other` with this share."""
    pairs = [(int(one[at : at + 2], 16), int(other[at : at + 2], 16)) for at in (1, 3, 5)]
    return "#" + "".join(f"{round(a * share + b * (1 - share)):02x}" for a, b in pairs)


def palettes() -> dict[str, dict[str, str]]:
    """Read the colours of each scheme from the style sheet; what a scheme leaves out is inherited."""
    css = view.assets()["waitroom.css"].body.decode()
    blocks = re.findall(r"([^{}]+)\{([^{}]*--paper:[^{}]*)\}", css)
    found = [dict(re.findall(r"--([\w-]+):\s*(#[0-9a-f]{6}|\d+%)", body)) for _, body in blocks]
    assert len(found) == 3, "light, dark, your turn"
    light, dark, turn = found
    return {"light": light, "dark": light | dark, "turn": light | turn, "turn-dark": light | dark | turn}


@pytest.mark.parametrize("scheme", ["light", "dark", "turn", "turn-dark"])
def test_every_text_can_be_read(scheme: str) -> None:
    """WCAG AA, 4.5 to 1, also where the light of the door falls on the page at its brightest."""
    colours = palettes()[scheme]
    shine = int(colours["shine"].rstrip("%")) / 100
    lit = mixed(colours["glow"], colours["paper"], shine)

    for text in ("ink", "soft", "accent"):
        assert contrast(colours[text], colours["paper"]) >= 4.5, text
        if text != "accent":
            assert contrast(colours[text], lit) >= 4.5, f"{text} in the light of the door"
    assert contrast(colours["ink"], colours["card"]) >= 4.5
    assert contrast(colours["on-accent"], colours["accent"]) >= 4.5
    assert contrast(colours["fault"], colours["fault-paper"]) >= 4.5


def test_the_contrast_test_notices_a_pale_grey() -> None:
    """Mutant: the usual fashionable grey fails."""
    assert contrast("#a09c92", palettes()["light"]["paper"]) < 4.5


# ------------------------------------------------------------------------------------- the page's rules
def test_the_pages_rules_are_those_of_the_server() -> None:
    """`node --test` over the same vectors; playwright brings a node where the machine has none."""
    node = shutil.which("node") or str(compute_driver_executable()[0])
    folder = Path(__file__).parent / "js"
    files = sorted(str(file) for file in folder.glob("*.test.mjs"))

    done = subprocess.run([node, "--test", *files], capture_output=True, text=True, check=False, timeout=120)

    assert done.returncode == 0, done.stdout + done.stderr
