"""Words: ten languages that say the same, plurals by CLDR, negotiation that no header can break."""

import copy
import json
import re
from datetime import UTC
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kernel.errors import Misconfigured
from waitroom import reminder_web, view, words
from waitroom.wait import Interval, wait_interval
from waitroom.words import EVICTED, SERVER_ONLY, WRITTEN, faults, languages, negotiate

VECTORS = Path(__file__).parent.parent / "vectors"
CASES = json.loads((VECTORS / "words.json").read_text("utf-8"))
ENGLISH_WAITS = json.loads((VECTORS / "wait.json").read_text("utf-8"))["words"]
TEN = ["ar", "de", "en", "es", "fr", "it", "ja", "nl", "pl", "pt"]
STATES = [
    "loading",
    "joining",
    "before",
    "gathering",
    "drawing",
    "drawn",
    "lined",
    "waiting",
    "almost",
    "called",
    "next",
    "admitted",
    "open",
    "recall",
    "paused",
    "full",
    "busy",
    "soldout",
    "moved",
    "ended",
    "closing",
    "used",
    "left",
    "carried",
    "offline",
    "away",
    "cookies",
    "refused",
]
HEADLINE_MOST_CHARS = 60
STAGE_MOST_CHARS = 30
BUTTON_MOST_CHARS = 50


def forms(tag: str) -> list[tuple[str, str]]:
    """Every text of a language with its key, each plural form for itself."""
    raw = languages()[tag].raw
    return [
        (key, form)
        for key, text in raw.items()
        for form in ([text] if isinstance(text, str) else text.values())
    ]


# ------------------------------------------------------------------------------------------ the files


def test_there_are_ten_languages() -> None:
    """Each file is a language; English is among them."""
    assert sorted(languages()) == TEN


@pytest.mark.parametrize("tag", TEN)
def test_every_language_says_everything_that_english_says(tag: str) -> None:
    """The same keys, the same parameters, the plural categories of CLDR, nothing empty."""
    assert faults(tag, languages()[tag].raw, languages()["en"].raw) == []


@pytest.mark.parametrize("tag", TEN)
def test_keys_stand_in_the_order_of_english(tag: str) -> None:
    """So that two files can be read side by side; no key stands twice."""
    text = (Path(words.__file__).parent / "languages" / f"{tag}.json").read_text("utf-8")
    pairs = json.loads(text, object_pairs_hook=list)

    assert [key for key, _ in pairs] == list(languages()["en"].raw)


@pytest.mark.parametrize("state", STATES)
def test_every_state_has_a_stage_a_headline_and_a_detail(state: str) -> None:
    """The same words as `data-state`, so that the page needs no table of its own."""
    raw = languages()["en"].raw

    assert {f"state.{state}.{part}" for part in ("stage", "headline", "detail")} <= raw.keys()


def test_there_is_no_state_beside_the_known_ones() -> None:
    """A text of a state that does not exist would never be read."""
    assert {key.split(".")[1] for key in languages()["en"].raw if key.startswith("state.")} == set(STATES)


def test_every_refusal_has_a_headline_and_a_sentence() -> None:
    """`notice` and `refused` hold the same codes."""
    raw = languages()["en"].raw
    notices, sentences = (
        {key.split(".", 1)[1] for key in raw if key.startswith(part)} for part in ("notice.", "refused.")
    )

    assert notices == sentences
    assert "other" in notices


@pytest.mark.parametrize("tag", TEN)
def test_no_text_holds_markup(tag: str) -> None:
    """Texts are put into a page as text; neither markup nor control characters nor stray spaces."""
    for key, form in forms(tag):
        assert not set("<>&\\\t\n\r") & set(form), key
        assert form == form.strip(), key
        assert "  " not in form, key


@pytest.mark.parametrize("tag", TEN)
def test_every_text_fits_where_it_stands(tag: str) -> None:
    """A headline has two lines on a phone, a stage one, a button one."""
    for key, form in forms(tag):
        if key.endswith(".stage"):
            assert len(form) <= STAGE_MOST_CHARS, key
        elif key.endswith((".headline", ".title")) or key.startswith("notice."):
            assert len(form) <= HEADLINE_MOST_CHARS, key
        elif key.startswith("action."):
            assert len(form) <= BUTTON_MOST_CHARS, key


@pytest.mark.parametrize("tag", [tag for tag in TEN if tag != "en"])
def test_a_language_is_translated(tag: str) -> None:
    """Hardly a text of more than one word is left as English has it."""
    english = languages()["en"].raw
    same = [key for key, text in languages()[tag].raw.items() if text == english[key] and " " in str(text)]

    assert set(same) <= {"title.text"}


def test_only_arabic_runs_from_right_to_left() -> None:
    """The attribute `dir` follows from the file."""
    assert {tag for tag, catalogue in languages().items() if catalogue.direction == "rtl"} == {"ar"}
    assert languages()["de"].name == "Deutsch"


# ----------------------------------------------------------------------------- files that are not good


def damaged(tag: str, change: dict[str, Any], without: str = "") -> list[str]:
    """Return the faults of a language's file after a change."""
    raw: dict[str, Any] = copy.deepcopy(dict(languages()[tag].raw))
    raw.update(change)
    raw.pop(without, None)
    return faults(tag, raw, languages()["en"].raw)


def test_a_missing_key_is_named() -> None:
    """A text that is left out is found before a fan finds it."""
    assert damaged("de", {}, without="action.leave") == ["de: action.leave is missing"]


def test_an_unknown_key_is_named() -> None:
    """A misspelt key would never be read."""
    assert damaged("de", {"action.leaf": "Blatt"}) == ["de: action.leaf is unknown"]


def test_a_missing_plural_category_is_named() -> None:
    """Polish needs four forms."""
    (fault,) = damaged("pl", {"span.days": {"one": "{n} dzień", "few": "{n} dni", "other": "{n} dnia"}})

    assert fault == "pl: span.days has the plurals few, one, other, not few, many, one, other"


def test_plural_and_single_text_are_not_exchanged() -> None:
    """What English counts is counted everywhere, by the same code."""
    assert damaged("de", {"span.days": "{n} Tage"}) == ["de: span.days is one text, other than en"]
    assert damaged("de", {"action.leave": {"one": "a", "other": "b"}}) == [
        "de: action.leave is plural, other than en"
    ]


def test_other_parameters_are_named() -> None:
    """`{zeit}` would stop the page in the middle of a sale."""
    (fault,) = damaged("de", {"state.waiting.detail": "Noch {zeit}."})

    assert fault == "de: state.waiting.detail has the parameters zeit, not wait"


def test_only_a_form_for_a_single_number_may_leave_the_number_out() -> None:
    """Arabic has a word for two days; the French singular also says zero, so it needs its figure."""
    assert damaged("ar", {}) == []
    (fault,) = damaged("fr", {"span.days": {"one": "un jour", "many": "{n} de jours", "other": "{n} jours"}})

    assert fault == "fr: span.days has the parameters none, not n"


def test_an_empty_text_is_named() -> None:
    """An empty headline is a page without a word."""
    assert damaged("de", {"action.leave": " "}) == ["de: action.leave is empty"]


def test_a_process_with_a_faulty_file_does_not_start(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """All faults of all files are told at once."""
    folder = tmp_path / "languages"
    folder.mkdir()
    (folder / "en.json~").write_text("an editor's copy is no language")
    for tag in ("en", "de", "pl"):
        raw = dict(languages()[tag].raw)
        if tag != "en":
            del raw["action.leave"]
        (folder / f"{tag}.json").write_text(json.dumps(raw), "utf-8")
    monkeypatch.setattr(words, "files", lambda _: tmp_path)
    languages.cache_clear()
    try:
        with pytest.raises(Misconfigured) as told:
            languages()
    finally:
        languages.cache_clear()

    assert told.value.faults == ("de: action.leave is missing", "pl: action.leave is missing")


# --------------------------------------------------------------------------------- texts and plurals


@pytest.mark.parametrize("tag", TEN)
def test_the_plural_category_follows_from_the_number(tag: str) -> None:
    """As CLDR has it, and so as the browser's Intl has it."""
    marked = copy.deepcopy(dict(languages()[tag].raw))
    marked["ahead.text"] = {category: category for category in CASES["plurals"][tag]}
    catalogue = words.Catalogue(tag, marked)

    for category, numbers in CASES["plurals"][tag].items():
        for n in numbers:
            assert catalogue.text("ahead.text", n=n) == category, n


@pytest.mark.parametrize("tag", [tag for tag in CASES["ahead"] if tag != "values"])
def test_people_ahead_are_counted_in_each_grammar(tag: str) -> None:
    """Number and noun agree."""
    said = [languages()[tag].text("ahead.text", n=n) for n in CASES["ahead"]["values"]]

    assert said == CASES["ahead"][tag]


@pytest.mark.parametrize("tag", TEN)
def test_numbers_are_grouped_and_western_in_every_language(tag: str) -> None:
    """Western digits, thousands always grouped: what stands on the page can be compared and read out."""
    said = [languages()[tag].number(n) for n in CASES["numbers"]["values"]]

    assert said == CASES["numbers"][tag]


def test_no_text_holds_other_than_western_digits() -> None:
    """The files keep to what the numbers do."""
    for tag in TEN:
        for key, form in forms(tag):
            assert all(char in "0123456789" for char in form if char.isdecimal()), (tag, key)


def test_text_parameters_are_put_in_as_they_are() -> None:
    """A room's name may hold braces; nothing is filled in twice."""
    assert languages()["en"].text("title.text", text="{name}", name="{x}") == "{name} · {x}"


def test_an_unknown_key_or_a_forgotten_parameter_is_an_error() -> None:
    """Never an empty text, never a brace in front of a fan."""
    english = languages()["en"]

    with pytest.raises(KeyError):
        english.text("no.such.key")
    with pytest.raises(KeyError):
        english.text("state.waiting.detail")
    with pytest.raises(KeyError):
        english.text("ahead.text")
    with pytest.raises(KeyError):
        english.text("ahead.text", n="many")


def test_a_refusal_without_own_words_gets_the_general_ones() -> None:
    """A new code is told calmly before it has a text."""
    english = languages()["en"]

    assert english.refused("room-full")[0] == "The waiting room is full"
    assert english.refused("brand-new") == ("This did not work", "Please try again later.")


@pytest.mark.parametrize("tag", sorted(languages()))
def test_a_line_that_drains_is_not_told_as_one_that_is_over(tag: str) -> None:
    """In the words of the page's own state: somebody is still let in, and an operator may reopen it."""
    words = languages()[tag]

    told = words.refused("room-draining")

    assert told == (words.text("state.closing.headline"), words.text("state.closing.detail"))
    assert told[0] != words.refused("room-over")[0]
    assert told[1] != words.refused("room-over")[1]


def test_the_browser_gets_what_its_pages_need() -> None:
    """Pages that only the server makes cost a phone nothing."""
    catalogue = languages()["de"]

    assert not [key for key in catalogue.browser if key.startswith(SERVER_ONLY)]
    assert {"language.name", "state.waiting.detail", "refused.room-full"} <= catalogue.browser.keys()
    assert catalogue.raw.keys() > catalogue.browser.keys()


def asked_for(module: str) -> set[str]:
    """Return the keys that a script asks for by name."""
    return set(re.findall(r"""["'`]([a-z]+(?:\.[a-z-]+)+)["'`]""", module)) & languages()["en"].raw.keys()


def test_every_text_that_a_module_asks_for_is_sent_to_it() -> None:
    """And none that only stands on the page; the mutant: a module that asks for one of those is found.

    The dialog of reminders is opened by few: its texts come with its own first answer. What is said to an evicted
    place comes with the canned messages.
    """
    static = Path(view.__file__).parent / "static"
    found = {file.name: asked_for(file.read_text("utf-8")) for file in static.glob("*.js")}
    sent = languages()["en"].browser.keys()
    asked = set().union(*(keys for name, keys in found.items() if name != "remind.js"))

    assert asked - sent == {EVICTED}
    assert EVICTED in found["canned.js"]
    assert EVICTED in languages()["en"].canned
    assert {key for key in found["remind.js"] - sent if not key.startswith(reminder_web._TEXTS)} == set()
    assert len(asked) > 50
    assert languages()["en"].raw.keys() >= WRITTEN
    assert asked_for('words.text("proof.title")') - sent == {"proof.title"}


# ---------------------------------------------------------------------------------- spans and moments


@pytest.mark.parametrize("tag", TEN)
def test_a_wait_is_said_in_every_language(tag: str) -> None:
    """The rounding of one language is that of all."""
    said = [languages()[tag].wait(Interval(*case)) for case in CASES["waits"]["cases"]]

    assert said == CASES["waits"][tag]


@pytest.mark.parametrize(("low_s", "high_s", "text"), ENGLISH_WAITS)
def test_english_says_a_wait_as_it_always_did(low_s: float, high_s: float, text: str) -> None:
    """The vectors of the wait hold for the catalogue too."""
    assert languages()["en"].wait(Interval(low_s, high_s)) == text


@given(tag=st.sampled_from(TEN), ahead=st.integers(0, 10**7), speed=st.floats(0.01, 10**6))
def test_there_are_words_for_every_wait(tag: str, ahead: int, speed: float) -> None:
    """No interval is without a form, and no brace is left over."""
    wait = wait_interval(ahead, speed, 0)

    assert wait is not None
    assert not set("{}") & set(languages()[tag].wait(wait))


@pytest.mark.parametrize("tag", [tag for tag in CASES["spans"] if tag != "seconds"])
def test_a_length_of_time_is_said_in_its_largest_fitting_unit(tag: str) -> None:
    """Seconds below a minute, minutes up to 90, hours below two days, then days."""
    assert [languages()[tag].span(seconds) for seconds in CASES["spans"]["seconds"]] == CASES["spans"][tag]


def test_a_moment_names_its_zone() -> None:
    """The server does not know where its reader is, so the time says where it holds."""
    ms = 1_790_000_000_000

    assert languages()["de"].moment(ms, UTC) == "Montag, 21. September 2026, 14:13 UTC"
    assert languages()["de"].moment(ms, ZoneInfo("Europe/Berlin")) == "Montag, 21. September 2026, 16:13 CEST"
    assert languages()["ja"].moment(ms) == "2026年9月21日月曜日 14:13 UTC"


@pytest.mark.parametrize("tag", TEN)
def test_every_language_has_moments_and_percents(tag: str) -> None:
    """Western digits there too."""
    catalogue = languages()[tag]

    assert "2026" in catalogue.moment(1_790_000_000_000)
    assert "87" in catalogue.percent(0.874)


# -------------------------------------------------------------------------------------- negotiation


@pytest.mark.parametrize(
    ("accept", "tag"),
    [
        ("", "en"),
        ("de", "de"),
        ("DE", "de"),
        ("de-AT", "de"),
        ("de_AT", "de"),
        ("pt-BR,pt;q=0.9,en;q=0.8", "pt"),
        ("ar-EG", "ar"),
        ("zh-Hant-TW, ja;q=0.5", "ja"),
        ("zh", "en"),
        ("zh, ko;q=0.9", "en"),
        ("fr;q=0.3, nl;q=0.7, de;q=0.5", "nl"),
        ("fr;q=0.5, de;q=0.5", "fr"),
        ("fr ; q=0.5 ,\tde", "de"),
        ("fr;Q=0.5, de;q=0.4", "fr"),
        ("*", "en"),
        ("*, de;q=0.5", "en"),
        ("zh, *;q=0.1", "en"),
        ("de;q=0, *", "en"),
        ("en;q=0, es;q=0.1", "es"),
        ("fr;q=0, fr-CA", "en"),
        ("de-CH;q=0, de", "de"),
        ("fr;q=0", "en"),
        ("fr;q=1.0, de;q=1.000", "fr"),
        ("fr;q=2, de;q=0.1", "de"),
        ("fr;q=, de;q=0.1", "de"),
        ("fr;q=-1;x, it;q=0.2", "it"),
        (";;;,,,=,q=1, <script>, pl", "pl"),
        ("\x00\xff, nl", "nl"),
        ("x" * 10_000, "en"),
        ("xx," * 3_333 + "de", "en"),
        ("it, " + "xx," * 3_333, "it"),
        ("de-" * 3_333, "en"),
        (("es;q=0.5," + "a" * 985 + ",de-AT,fr"), "es"),
    ],
)
def test_the_browser_says_which_language_it_likes(accept: str, tag: str) -> None:
    """Quality decides, then order; a region falls back to its language; what is unreadable is skipped."""
    assert negotiate(accept) == tag


@pytest.mark.parametrize(
    ("accept", "wanted", "default", "tag"),
    [
        ("de", "fr", "en", "fr"),
        ("de", "fr-CA", "en", "fr"),
        ("de", "zh", "en", "de"),
        ("de", "../../etc/passwd", "en", "de"),
        ("de", "x" * 100_000, "en", "de"),
        ("", "", "es-MX", "es"),
        ("zh", "", "it", "it"),
        ("*", "", "it", "it"),
        ("it;q=0, *", "", "it", "it"),
        ("", "", "zh-Hant-TW", "en"),
        ("", "", "", "en"),
        ("de;q=0", "de", "en", "de"),
    ],
)
def test_what_was_asked_for_by_name_goes_first_and_the_rooms_own_last(
    accept: str, wanted: str, default: str, tag: str
) -> None:
    """`?lang=`, then the header, then the room's default, then English."""
    assert negotiate(accept, wanted, default) == tag


@given(accept=st.text(max_size=200), wanted=st.text(max_size=20), default=st.text(max_size=20))
def test_every_header_has_an_answer(accept: str, wanted: str, default: str) -> None:
    """Nothing that a browser can send is an error."""
    assert negotiate(accept, wanted, default) in TEN
