"""No text outside of the languages' files: whatever a page says in words, a language could say otherwise.

Every page is made in a language whose every text is marked; what is left beside the marks must hold no word. Scripts
hold no sentence, and every key that pages and scripts ask for is one that there is.
"""

import re
from collections.abc import Iterable
from html.parser import HTMLParser
from importlib.resources import files
from typing import Any

import pytest

from checkout.site import render
from checkout.site.fields import sandbox_fields
from checkout.site.render import Pages, Visit
from checkout.site.words import SERVER_ONLY, SOURCE, Catalogue, languages
from tests.checkout.site import test_pages
from tests.checkout.site.test_pages import EVENT, NOW_MS, ORDER, SEAT, WAYS, event, every_page

READ = frozenset(
    (
        "aria-label",
        "aria-description",
        "aria-roledescription",
        "aria-valuetext",
        "alt",
        "placeholder",
        "title",
    )
)
"""Attributes that people read or hear; and those of `data-…` that a script shows."""
SHOWN = frozenset(("data-loading", "data-sending", "data-failed", "data-blocked", "data-days"))
NAMES = frozenset(("EUR", "JPY", "JP", "Bremen", SOURCE))
"""Words of no language: currencies' codes and signs, a town, the language's own tag."""
KEY = r"[a-z][\w-]*(?:\.[\w-]+)+"


class Reading(HTMLParser):
    """What of a page is read or heard."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.found: list[str] = []
        self._in = ""
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Take the attributes that people read."""
        self._in = tag
        self.found += [value or "" for name, value in attrs if name in READ or name in SHOWN]
        if tag == "input" and dict(attrs).get("type") in {"submit", "button", "reset"}:
            self.found.append(dict(attrs).get("value") or "")

    def handle_data(self, data: str) -> None:
        """Take what stands between tags."""
        if self._in not in {"style", "script"}:
            self.found.append(data)

    def handle_endtag(self, _tag: str) -> None:
        """Go on outside."""
        self._in = ""


def left_over(page: str) -> set[str]:
    """Give the words of a page that stand outside of every mark."""
    text = "\n".join(Reading(page).found)
    while text != (text := re.sub(r"⟦[^⟦⟧]*⟧", "", text)):
        pass
    return set(re.findall(r"[^\W\d_]+", text.replace("{n}", ""))) - NAMES


def marked() -> Catalogue:
    """Give English with every text in marks."""

    def mark(text: Any) -> Any:
        return f"⟦{text}⟧" if isinstance(text, str) else {kind: f"⟦{form}⟧" for kind, form in text.items()}

    raw = languages()[SOURCE].raw
    plain = {"language.locale", "language.direction"}
    return Catalogue(SOURCE, {key: text if key in plain else mark(text) for key, text in raw.items()})


@pytest.fixture
def marks(monkeypatch: pytest.MonkeyPatch) -> Catalogue:
    """Have pages speak the marked language, of things whose names have no words."""
    catalogue = marked()
    monkeypatch.setattr(render, "languages", lambda: {SOURCE: catalogue})
    for name in ("title", "subtitle", "about", "venue", "city"):
        monkeypatch.setitem(EVENT, name, "11")  # type: ignore[misc]
    monkeypatch.setitem(EVENT, "tiers", [{"tier": 0, "name": "1", "price_minor": 4200}])
    monkeypatch.setitem(SEAT, "section", "1")
    monkeypatch.setitem(SEAT, "row", "1")
    monkeypatch.setitem(ORDER, "order", "71")
    monkeypatch.setattr(test_pages, "RESERVATION", {**test_pages.RESERVATION, "reservation": "72"})
    return catalogue


def test_no_page_says_a_word_that_no_language_could_say_otherwise(marks: Catalogue) -> None:
    """Every page, every season, every phase, inside and out; with currencies to choose from and with card fields."""
    visit = Visit(SOURCE, NOW_MS, "k3Jx91QzVb0", "standard", offer="JPY")
    pages, fields = Pages(), sandbox_fields("71", "http://127.0.0.1:9")
    several = event(currencies=["EUR", "JPY"], unmet_currency="JPY")
    made = every_page(visit) | {
        "event currencies": pages.event(visit, several, "key"),
        "event currencies, sold out": pages.event(visit, event(free=0, currencies=["EUR", "JPY"]), "key"),
        "seats currencies": pages.seats(visit, several, "key"),
        "hold currencies": pages.hold(visit, several, test_pages.HOLD, "key"),
        "waiting currencies": pages.waiting(visit, several, 2),
        "order currencies": pages.order(visit, several, ORDER, [SEAT], WAYS, "key"),
        "order fields": pages.order(visit, EVENT, ORDER, [SEAT], WAYS, "key", fields),
        "no money": pages.reservation(visit, EVENT, test_pages.RESERVATION, payable=False),
        "live": Pages(is_demo=False).event(visit, EVENT, "key"),
    }

    assert {name: words for name, page in made.items() if (words := left_over(page))} == {}
    assert all("⟦" in page for page in made.values())


@pytest.mark.parametrize(
    "literal",
    [
        "<p>Nobody</p>", "<button>⟦Pay⟧ now</button>", '<a aria-label="Back">‹</a>', '<img alt="A hall">',
        '<input placeholder="Name">', '<input type="submit" value="Go">', "<title>⟦x⟧ · Hall</title>",
        '<form data-failed="Sorry"></form>', "<p>支払い</p>",
    ],
)  # fmt: skip
def test_a_word_outside_would_be_noticed(literal: str) -> None:
    """Mutants of a page."""
    assert left_over(literal)
    assert not left_over(
        '<p class="note" id="x">⟦a ⟦b⟧ c⟧ · 12 €</p><script>let a</script><input value="key">'
    )


def sources() -> dict[str, str]:
    """Give templates and scripts without their comments."""
    found = {}
    for folder in ("pages", "static"):
        for file in files("checkout.site").joinpath(folder).iterdir():
            if file.name.endswith((".html", ".js")):
                text = re.sub(r"/\*.*?\*/|\{#.*?#\}", "", file.read_text("utf-8"), flags=re.DOTALL)
                found[file.name] = re.sub(r"(^|[\s;])//[^\n]*", r"\1", text)
    return found


def sentences(script: str) -> set[str]:
    """Give the texts in a script that look like something to be read: two words, or one with a capital."""
    quoted = re.findall(r'"([^"\n]*)"|\'([^\'\n]*)\'|`([^`]*)`', re.sub(r"new Error\([^)]*\)", "", script))
    texts = (re.sub(r"\$\{[^}]*\}", "|", "".join(found)) for found in quoted)
    return {text for text in texts if re.search(r"[^\W\d_]{2,} [^\W\d_]{2,}|^[A-Z][a-z]+", text)}


def test_scripts_hold_no_sentence() -> None:
    """Names of headers and keys are none; a mutant with a sentence is noticed."""
    names = {"Content-Type", "Map-Version", "Idempotency-Key", "Retry-After", "Home", "Enter"}
    found = {name: sentences(text) - names for name, text in sources().items() if name.endswith(".js")}

    assert {name: texts for name, texts in found.items() if texts} == {}
    assert sentences('show(wrong, "Please try again");') == {"Please try again"}
    assert sentences("node.title = `Seat ${n}`;") == {"Seat |"}


def asked(pattern: str, texts: Iterable[str]) -> set[str]:
    """Give the keys that are asked for by a pattern."""
    return {key for text in texts for key in re.findall(pattern, text)}


def test_every_text_that_is_asked_for_there_is_and_every_text_is_asked_for() -> None:
    """By its key, or by a family (`problem.…`) whose member follows from a code; scripts get what they ask for."""
    told = sources()
    scripts = [text for name, text in told.items() if name.endswith(".js")]
    code = [file.read_text("utf-8") for file in files("checkout.site").iterdir() if file.name.endswith(".py")]
    known = languages()[SOURCE]
    by_scripts = asked(rf'\b(?:text|act)\((?:\w+, )?"({KEY})"', scripts)
    by_pages = asked(rf'\bt\("({KEY})"', told.values()) | asked(rf'\.text\("({KEY})"', code)
    families = (
        "closed.", "decline.", "mail.", "order.", "problem.", "reserved.", "scan.", "state.", "ticket.", "way.",
    )  # fmt: skip
    mentioned = asked(rf"[\"'`]({KEY})[\"'`]", [*told.values(), *code])

    assert "busy.more" in by_scripts
    assert by_scripts <= known.browser.keys()
    assert by_pages <= known.raw.keys()
    assert [key for key in known.raw if key not in mentioned and not key.startswith(families)] == []
    assert not [key for key in known.browser if key.startswith(SERVER_ONLY)]
