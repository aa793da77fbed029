"""The shop's languages: the ten of the waiting room's page, whole, in the right grammar, and readable either way."""

import json
import re
from importlib.resources import files
from itertools import product
from pathlib import Path
from typing import Any

import pytest

from checkout.orders.papers import Phase
from checkout.payments.port import Decline
from checkout.site import words
from checkout.site.order_pages import SANDBOX_WAYS
from checkout.site.words import SOURCE, faults, isolated, languages

TEN = ["ar", "de", "en", "es", "fr", "it", "ja", "nl", "pl", "pt"]
HEAD_MOST_CHARS = 48
BUTTON_MOST_CHARS = 36
BUTTONS = re.compile(
    r"(best\.go|chosen\.hold|event\.(choose|look|waitlist)|finish\.button|held\.(continue|more|back)|order\.(bank|look)|"
    r"reserved\.(back|pay|another)|waitlist\.(join|leave)|programme\.search)"
)
OWN_ENGLISH = frozenset(
    (
        # Names, forms of the page, and words that both languages have.
        "page.hall", "form.day", "form.short-day", "form.moment", "currency.name", "count.now", "event.sale-both",
    )
)  # fmt: skip


def forms(tag: str) -> list[tuple[str, str]]:
    """Every text of a language with its key, each plural form for itself."""
    raw = languages()[tag].raw
    return [
        (key, form)
        for key, text in raw.items()
        for form in ([text] if isinstance(text, str) else text.values())
    ]


def test_the_shop_speaks_what_the_waiting_rooms_page_speaks() -> None:
    """A fan who waited in Polish buys in Polish; who adds a language to one is told to add it to the other."""
    own, theirs = (
        {file.name for file in files(package).joinpath("languages").iterdir() if file.name.endswith(".json")}
        for package in ("checkout.site", "waitroom")
    )

    assert own == theirs == {f"{tag}.json" for tag in TEN}


@pytest.mark.parametrize("tag", TEN)
def test_every_language_says_what_english_says(tag: str) -> None:
    """The same keys in the same order, each once; the same parameters, the plural categories of CLDR, nothing empty."""
    text = (Path(words.__file__).parent / "languages" / f"{tag}.json").read_text("utf-8")
    pairs = json.loads(text, object_pairs_hook=list)

    assert faults(tag, languages()[tag].raw, languages()[SOURCE].raw) == []
    assert [key for key, _ in pairs] == list(languages()[SOURCE].raw)


@pytest.mark.parametrize(
    ("change", "fault"),
    [
        ({"order.pay": None}, "pl: order.pay is missing"),
        ({"order.pays": "x"}, "pl: order.pays is unknown"),
        ({"order.pay": "Zapłać {cena}"}, "pl: order.pay has the parameters cena, not price"),
        (
            {"span.days": {"one": "{n} dzień", "other": "{n} dnia"}},
            "pl: span.days has the plurals one, other, not few, many, one, other",
        ),
        ({"order.bank": " "}, "pl: order.bank is empty"),
    ],
)
def test_a_language_that_is_not_whole_is_told_so(change: dict[str, Any], fault: str) -> None:
    """Mutants of a good file, each with the one fault."""
    raw = {**languages()["pl"].raw, **change}

    assert faults(
        "pl", {key: text for key, text in raw.items() if text is not None}, languages()["en"].raw
    ) == [fault]


@pytest.mark.parametrize("tag", TEN)
def test_no_text_holds_markup_or_stray_spaces(tag: str) -> None:
    """Texts are put into a page as text; digits are Western in every language."""
    for key, form in forms(tag):
        assert not set("<>&\\\t\n\r") & set(form), key
        assert form == form.strip(), key
        assert "  " not in form, key
        assert not re.search(r"[٠-٩０-９]", form), key


@pytest.mark.parametrize("tag", [tag for tag in TEN if tag != SOURCE])
def test_no_english_is_left_over(tag: str) -> None:
    """No text of more than a word is as English has it, and none begins with an English word where it is not one."""
    english = languages()[SOURCE].raw
    same = {key for key, text in languages()[tag].raw.items() if text == english[key] and " " in str(text)}
    leftover = re.compile(r"\b(the|your|you|seats?|please|not|has been|have)\b")

    assert same <= OWN_ENGLISH
    assert [key for key, form in forms(tag) if leftover.search(re.sub(r"{\w+}", "", form))] == []


@pytest.mark.parametrize("tag", TEN)
def test_heads_and_buttons_are_short(tag: str) -> None:
    """A head has three lines on a phone, a button two."""
    for key, form in forms(tag):
        if key.endswith(("-head", ".title")):
            assert len(form) <= HEAD_MOST_CHARS, (key, form)
        if BUTTONS.fullmatch(key):
            assert len(form) <= BUTTON_MOST_CHARS, (key, form)


@pytest.mark.parametrize("tag", TEN)
def test_there_are_words_for_every_state_way_and_decline(tag: str) -> None:
    """What the code can say, every language can; two declines never read the same."""
    raw = languages()[tag].raw
    declines = [decline.value for decline in Decline if decline is not Decline.FRAUD]

    assert {f"order.{phase.value}-head" for phase in Phase} <= raw.keys()
    assert {f"order.{phase.value}-text" for phase in Phase if phase is not Phase.DECLINED} <= raw.keys()
    assert {f"way.{way.words}" for way in SANDBOX_WAYS} <= raw.keys()
    assert len({raw[f"decline.{decline}"] for decline in declines}) == len(declines)
    assert {key for key in raw if key.startswith("decline.")} == {
        f"decline.{decline}" for decline in declines
    }
    for key in raw:
        if key.startswith("problem."):
            assert {key.rsplit(".", 1)[0] + ".title", key.rsplit(".", 1)[0] + ".text"} <= raw.keys()


def test_only_arabic_runs_from_right_to_left_and_isolates_what_is_put_in() -> None:
    """The attribute `dir` follows from the file; a price keeps its own order in a sentence that runs the other way."""
    arabic, german = languages()["ar"], languages()["de"]

    assert {tag for tag, catalogue in languages().items() if catalogue.direction == "rtl"} == {"ar"}
    assert isolated("Stalls") in arabic.text("seat.place", section="Stalls", row="F", number="12")
    assert "\u2068" not in german.text("seat.place", section="Stalls", row="F", number="12")


@pytest.mark.parametrize(
    ("tag", "counts"),
    [
        ("pl", {1: "Jedno miejsce", 3: "3 miejsca", 5: "5 miejsc", 22: "22 miejsca"}),
        ("ar", {1: "مقعد واحد", 2: "مقعدان", 3: "3 مقاعد", 11: "11 مقعدًا", 100: "100 مقعد"}),
        ("fr", {0: "0 place", 1: "1 place", 2: "2 places", 1_000_000: "1\u202f000\u202f000 de places"}),
        ("es", {1: "Un asiento", 2: "2 asientos", 1_000_000: "1.000.000 de asientos"}),
        ("ja", {1: "1席", 2: "2席"}),
        ("de", {1: "Ein Platz", 2: "2 Plätze"}),
    ],
)
def test_seats_are_counted_in_each_grammar(tag: str, counts: dict[int, str]) -> None:
    """The categories of CLDR, chosen by the number."""
    catalogue = languages()[tag]

    for n, text in counts.items():
        said = catalogue.text("chosen.total", n=n, price="")
        assert said.removesuffix("\u2068\u2069").rstrip(" ,、،") == text


def test_german_says_sie() -> None:
    """And French says vous, Spanish usted: nobody is addressed as a friend where that is not how a shop speaks."""
    informal = {
        "de": r"\b(du|dir|dich|dein\w*)\b",
        "fr": r"\b(tu|toi|ton|ta|tes)\b",
        "es": r"\b(tú|tus?|puedes|tienes)\b",
        "it": r"\b(tu|tuo|tua|tuoi|puoi)\b",
        "pt": r"\b(tu|teu|tua|podes)\b",
    }

    for tag, pattern in informal.items():
        assert [key for key, form in forms(tag) if re.search(pattern, form, re.IGNORECASE)] == [], tag


@pytest.mark.parametrize(("tag", "currency"), list(product(TEN, ["JPY", "EUR", "KWD"])))
def test_money_is_written_as_the_language_does_with_the_currencys_decimals(tag: str, currency: str) -> None:
    """8400 minor units are 8,400 yen, 84 euros, 8.4 dinars; what is charged names its currency by code."""
    catalogue = languages()[tag]
    shown = catalogue.money(8400, currency)
    digits = re.findall(r"\d+", shown)

    assert "".join(digits) == "8400"
    assert len(digits[-1]) == {"JPY": 3, "EUR": 2, "KWD": 3}[currency]
    assert currency in catalogue.due(8400, currency)
    assert catalogue.currency(currency).count(currency) == 1
    # The browser puts its own digits where the server's stand.
    form = catalogue.money_form(currency)["form"]
    assert str(form).replace("{n}", "") == re.sub(r"\d.*\d", "", shown)


def test_a_sign_with_latin_letters_stays_in_one_piece_where_the_language_runs_the_other_way() -> None:
    """The yen's sign in Arabic is `JP¥`: without isolation its two halves change places on the screen."""
    arabic = languages()["ar"]

    assert isolated("JP¥") in arabic.money(8400, "JPY")
    assert isolated("JP¥") in str(arabic.money_form("JPY")["form"])
    assert isolated("US$") in arabic.due(8400, "USD")
    assert "\u2068" not in arabic.money(8400, "EUR") + arabic.money(8400, "KWD") + languages()["en"].money(
        1, "JPY"
    )


@pytest.mark.parametrize("tag", TEN)
def test_days_and_moments_are_the_languages_own(tag: str) -> None:
    """With weekday, date, a clock of twenty-four hours and the name of the zone, in Western digits."""
    catalogue, at_ms = languages()[tag], 1_800_000_000_000

    assert "09:00" in catalogue.day(at_ms, "Europe/Berlin")
    assert catalogue.short_day(at_ms, "Europe/Berlin").endswith("09:00")
    assert catalogue.moment(at_ms, "Europe/Berlin").endswith("09:00 CET")
    assert "2027" in catalogue.moment(at_ms, "Europe/Berlin")
    assert "\u2068" not in catalogue.day(at_ms, "Europe/Berlin")
