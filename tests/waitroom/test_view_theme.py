"""A room's own look: every fault told with what was measured, and nothing let through that was not read."""

import re
from typing import Any

import pytest

from kernel.errors import Misconfigured
from waitroom.assets import assets
from waitroom.theme import DARK, LIGHT, SHINE, Theme, contrast, mixed, pale, read_theme

BLUE = {
    "colours": {"accent": "#0b5cad", "on_accent": "#ffffff"},
    "dark": {"accent": "#7db8f0", "on_accent": "#06192b", "turn": "#0b4f94", "on_turn": "#ffffff"},
}
KEYS = {"state.waiting.stage": (), "state.waiting.detail": ("wait",)}


def faults(given: object, **more: Any) -> tuple[str, ...]:
    """Return what is wrong with a theme."""
    with pytest.raises(Misconfigured) as told:
        read_theme(given, **more)
    return told.value.faults


def test_a_theme_is_read_written_and_read_again() -> None:
    """What an operator writes comes back the same; what they leave out stays the house's."""
    theme = read_theme(
        BLUE | {"logo": "https://img.example.com/logo.svg", "texts": {"en": {"state.waiting.stage": "Hi"}}},
        KEYS,
    )

    assert read_theme(theme.to_dict(), KEYS) == theme
    assert theme.light_colours["paper"] == LIGHT["paper"]
    assert theme.light_colours["turn"] == "#0b5cad", "the turn follows the accent"
    assert read_theme({}) == Theme()
    assert Theme().css == ""


def test_a_theme_that_nobody_can_read_is_refused_with_the_ratio() -> None:
    """WCAG AA, 4.5 to 1, in both schemes, also in the light of the door."""
    told = faults({"colours": {"accent": "#e8a33d"}})

    assert told == (
        "theme.colours: accent #e8a33d on paper #f6f4ee has a contrast of 1.96, and needs 4.5",
        "theme.colours: on_accent #fffaf3 on accent #e8a33d has a contrast of 2.07, and needs 4.5",
        "theme.colours: on_turn #fffaf3 on turn #e8a33d has a contrast of 2.07, and needs 4.5",
    )
    assert faults({"dark": {"soft": "#55585f"}})[0].startswith("theme.dark: soft #55585f on paper")
    assert "in the light of the door" in faults({"colours": {"glow": "#402000"}})[0]


def test_all_faults_are_told_at_once() -> None:
    """Whoever corrects ten mistakes need not start ten times."""
    told = faults(
        {
            "colors": {},
            "colours": {"ink": "black", "pink": "#ff00ff"},
            "logo": "http://plain.example.com/logo.png",
            "picture": "https://img.example.com/a.png');}",
            "texts": {"en": {"state.waiting.stage": "{ticket}", "nothing": "x"}, "../x": {}},
        },
        keys=KEYS,
    )

    for beginning in (
        "theme.colors is unknown",
        "theme.colours.ink must be a colour such as #1c1b18",
        "theme.colours.pink is unknown",
        "theme.logo must be an https address",
        "theme.picture must be an https address",
        "theme.texts.en.state.waiting.stage has a parameter that this text does not get: ticket",
        "theme.texts.en.nothing is no text of the page",
        "theme.texts.../x must be a table",
    ):
        assert any(fault.startswith(beginning) for fault in told), beginning
    assert faults("blue") == ('theme must be a table, not "blue"',)


def test_a_themes_style_holds_nothing_but_its_properties() -> None:
    """For both schemes, and for who overrules the browser's on a preview page."""
    css = read_theme(BLUE | {"picture": "data:image/png;base64,AAAA"}).css

    assert css.count("{") == css.count("}")
    assert "@media (prefers-color-scheme:dark){:root:not([data-theme=light]){" in css
    assert ":root[data-theme=dark]{" in css
    assert '--picture:url("data:image/png;base64,AAAA")' in css
    assert "<" not in css


# ---------------------------------------------------------------------------------------- our own colours
def blocks() -> list[dict[str, str]]:
    """Read the colours of each scheme from the style sheet."""
    css = assets()["waitroom.css"].body.decode()
    found = re.findall(r"\{([^{}]*--paper:[^{}]*)\}", css)
    return [dict(re.findall(r"--([\w-]+):\s*(#[0-9a-f]{6}|\d+%|var\([\w-]+\))", body)) for body in found]


def test_the_style_sheet_has_the_colours_that_themes_are_judged_by() -> None:
    """Light, dark by the browser, dark by hand, your turn: the tables in Python are the same figures."""
    light, dark, by_hand, turn = blocks()

    assert {name: light[name.replace("_", "-")] for name in LIGHT} == dict(LIGHT)
    assert {name: (light | dark)[name.replace("_", "-")] for name in DARK} == dict(DARK)
    assert dark == by_hand
    assert light["shine"] == f"{SHINE:.0%}"
    assert (turn["paper"], turn["ink"], turn["accent"]) == ("var(--turn)", "var(--on-turn)", "var(--on-turn)")


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_every_text_of_ours_can_be_read(scheme: str) -> None:
    """Every pair of text and ground, and the connection's fault; the edge of a button is seen, 3 to 1."""
    light, dark, *_ = blocks()
    colours = light if scheme == "light" else light | dark

    assert pale(LIGHT if scheme == "light" else DARK) == []
    assert contrast(colours["fault"], colours["fault-paper"]) >= 4.5
    assert contrast(colours["edge"], colours["paper"]) >= 3
    lit = mixed("#ffc48f", colours.get("turn", LIGHT["turn"]), 0.12)
    assert contrast(LIGHT["on_turn"], lit) >= 4.5


def test_the_contrast_test_notices_a_pale_grey() -> None:
    """Mutant: the usual fashionable grey fails."""
    assert pale({**LIGHT, "soft": "#a09c92"}) != []
