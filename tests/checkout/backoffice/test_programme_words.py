"""The programme's words: there for everything that its pages say, and the API's own sentences are among them."""

import re
from collections.abc import Callable
from importlib.resources import files
from typing import Any

import pytest

from checkout.backoffice.page import texts
from checkout.backoffice.programme_faults import KEYS, read_fault
from checkout.backoffice.programme_telling import in_words, label, place_of
from checkout.catalogue.event import changed, price_faults, read_event
from checkout.halls.plans import read_csv
from checkout.organiser.doors_web import read_scanner
from checkout.organiser.papers import read_allocation, read_venue
from kernel.errors import Refused
from tests.checkout.catalogues import NOW_MS, event_fields

PACKAGE = files("checkout.backoffice")
MODULES = (
    "doors_pages", "events_pages", "hall_pages", "new_event_form", "new_event_pages", "people_pages", "prices_pages",
    "programme_fields", "programme_forms", "programme_seats", "team_pages", "venues_pages",
)  # fmt: skip
PAGES = (
    "about", "blocks", "blocks_look", "cancel", "choose_plan", "doors", "exports", "hall", "new_event", "people",
    "personal", "prices", "prices_look", "programme_form", "scanner_made", "team", "tiers_look", "venue", "venues",
)  # fmt: skip


def found(pattern: str, *names: str) -> set[str]:
    """Find what a pattern names in files of the package."""
    return {key for name in names for key in re.findall(pattern, PACKAGE.joinpath(name).read_text("utf-8"))}


@pytest.mark.parametrize("tag", ["en", "de"])
def test_everything_that_is_said_has_its_words(tag: str) -> None:
    """Literal keys of templates, what forms are answered with, and what is wrong with them."""
    modules = [f"{name}.py" for name in MODULES]
    wanted = found(r'\bt\("([a-z][\w.-]*[\w])"[,)]', *(f"pages/{name}.html" for name in PAGES))
    wanted |= {f"said.{word}" for word in found(r'said="([\w-]+)"', *modules)}
    wanted |= {
        f"wrong.{why}"
        for why in found(
            r'(?:FieldFault\([^,]+|NotRead\(|unread\(\[FieldFault\([^,]+), ?"([\w-]+)"', *modules
        )
    }
    wanted |= {f"wrong.{why}" for why in found(r'NotRead\("([\w-]+)"\)', *modules)}
    wanted |= {f"seats.wrong.{why}" for why in found(r'(?:_Wrong\(|LineFault\([^,]+, )"([\w-]+)"', *modules)}
    wanted |= {f"fault.{key}" for key in KEYS}

    assert len(wanted) > 200
    assert wanted - texts()[tag].raw.keys() == set()


FAULTS: list[tuple[Callable[[], Any], int]] = [
    (
        lambda: read_event({**event_fields("x"), "id": "X", "title": "", "starts_ms": -1, "room": "No Room"}),
        4,
    ),
    (lambda: read_event({**event_fields("x"), "sale_until_ms": 0}), 1),
    (lambda: read_event({**event_fields("x"), "currency": "XTS"}), 1),
    (lambda: read_event({**event_fields("x"), "tiers": [{"tier": 0, "name": "", "prices": {"EUR": 1}}]}), 1),
    (lambda: changed(read_event(event_fields("x")).event, {"about": "x" * 5001, "hold_s": 1}), 2),
    (lambda: read_venue("barn", {"name": "", "city": "x", "country": "XX", "time_zone": "Mars"}), 3),
    (lambda: read_allocation("A", {"channel": "B", "code": "x" * 65}), 3),
    (lambda: read_scanner({"name": "", "until_ms": 1}, NOW_MS), 2),
    (lambda: read_csv(b"section,row\n", "x"), 4),
    (lambda: read_csv(b"section,row,number,x,y,tier,mood,mood\n", "x"), 1),
    (lambda: read_csv(b"section,row,number,x,y,tier\nA,1,1,x,,\nA,1,1\n", "x"), 4),
    (
        lambda: read_csv(
            b"section,row,number,x,y,tier,accessible\nA,1,1,0,0,T,?\nA,1,1,1,0,T,\nA,1,2,0,0,T,\n", "x"
        ),
        3,
    ),
    (lambda: read_csv(b"section,row,number,x,y,tier\nA,1,1,0,0,T\nA,2,1,1,0,T\nA,1,2,2,0,T\n", "x"), 1),
    (lambda: read_csv(b"\xff", "x"), 1),
    (lambda: read_csv(b"section,row,number,x,y,tier\n" + b"A,1,1,x,0,T\n" * 200, "x"), 101),
]
"""What hands something bad in, and how many of the faults that come of it have words here."""


@pytest.mark.parametrize(("bad", "count"), FAULTS)
def test_the_apis_own_sentences_have_words(bad: Callable[[], Any], count: int) -> None:
    """Of both languages, with place and numbers; a sentence that changes there is missed here."""
    with pytest.raises(Refused) as error:
        bad()
    faults = [read_fault(text) for text in error.value.extra["faults"]]
    known = [fault for fault in faults if fault.key]

    assert len(known) >= count, faults
    for tag in ("en", "de"):
        for fault in known:
            said = place_of(texts()[tag], fault) + in_words(texts()[tag], fault)
            assert "{" not in said
            assert said[0].isalnum()


def test_places_are_told_as_the_form_names_them() -> None:
    """A field, a line, a tier, a price; a sentence that is not known as it is."""
    words = texts()["de"]
    line, tier = read_fault("line 7: x is empty"), read_fault("tier 3: a price in CHF is missing")
    other = read_fault("tiers[0]: something new is wrong")

    assert (place_of(words, line) + in_words(words, line)) == "Zeile 7: x ist leer."
    assert (place_of(words, tier) + in_words(words, tier)) == "Preisgruppe 3: Ein Preis in CHF fehlt."
    assert (other.field, in_words(words, other)) == ("tiers", "something new is wrong")
    assert label(words, "p-2-EUR") == "Preis der Gruppe 2 EUR"
    assert label(words, "t-2") == "Preisgruppe 2"
    assert label(words, "nobody-knows") == "nobody-knows"
    assert read_fault(price_faults({0: {"XX": 1}}, {0}, "XX")[0]).values == {"what": "XX"}
