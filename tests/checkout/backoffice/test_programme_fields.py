"""What people type on the programme's pages: moments, amounts, whole numbers, events; and files in forms."""

from contextlib import suppress
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from checkout.backoffice import programme_forms
from checkout.backoffice.programme_fields import (
    NotRead,
    amount_text,
    moment_text,
    read_amount,
    read_moment,
    read_whole,
)
from checkout.backoffice.programme_files import read_file_form, read_large_form, read_parts
from checkout.backoffice.programme_forms import (
    by_field,
    fields_of,
    lines_named,
    read_change,
    read_new,
    read_tier_runs,
    slug_of,
    tier_runs_text,
)
from checkout.money import NoSuchCurrency, currencies
from kernel.errors import Refused
from tests.checkout.catalogues import NOW_MS, event_fields

ZONE = "Europe/Zurich"
EVENT = {**event_fields("a-layout"), "starts_ms": NOW_MS + 12_345}


@pytest.mark.parametrize(
    ("text", "ms"),
    [
        ("2026-12-05T20:00", 1_796_497_200_000),
        ("2026-12-05T20:00:00", 1_796_497_200_000),
        # Of the hour that comes twice the first is meant: 02:30 in summer time.
        ("2026-10-25T02:30", 1_792_888_200_000),
    ],
)
def test_a_moment_is_the_venues(text: str, ms: int) -> None:
    """By its clock, summer and winter."""
    assert read_moment(text, ZONE) == ms
    assert moment_text(ms, ZONE) == text[:16]


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("", "moment"),
        ("2026-12-05", "moment"),
        ("2026-12-05 20:00", "moment"),
        ("2026-12-05T20:00:30", "moment"),
        ("2026-12-05T20:00Z", "moment"),
        ("2026-13-05T20:00", "moment"),
        ("2026-02-29T20:00", "moment"),
        ("0000-01-01T00:00", "moment"),
        ("0001-01-01T00:00", "moment"),
        ("2026-03-29T02:30", "moment-left-out"),
        ("\u0662026-12-05T20:00", "moment"),
        ("x" * 10_000, "moment"),
    ],
)
def test_what_is_no_moment_is_told(text: str, why: str) -> None:
    """And the hour that the clocks leave out is none."""
    with pytest.raises(NotRead) as error:
        read_moment(text, ZONE)

    assert error.value.why == why


@pytest.mark.parametrize(
    ("text", "currency", "minor"),
    [
        ("42", "EUR", 4200),
        ("42.5", "EUR", 4250),
        ("42,50", "EUR", 4250),
        (" 0 ", "EUR", 0),
        ("0.07", "EUR", 7),
        ("4000", "JPY", 4000),
        ("1.234", "KWD", 1234),
    ],
)
def test_an_amount_is_whole_minor_units(text: str, currency: str, minor: int) -> None:
    """With a point or a comma, as many decimals as the currency has."""
    assert read_amount(text, currency) == minor


@pytest.mark.parametrize(
    ("text", "currency", "why"),
    [
        ("", "EUR", "amount"),
        ("-1", "EUR", "amount"),
        ("1.234", "EUR", "amount-decimals"),
        ("1.234,50", "EUR", "amount"),
        ("1 234", "EUR", "amount"),
        ("1e3", "EUR", "amount"),
        ("42.", "EUR", "amount"),
        (".5", "EUR", "amount"),
        ("4,0", "JPY", "amount-decimals"),
        ("\u0664\u0662", "EUR", "amount"),
        ("9" * 14, "EUR", "amount"),
    ],
)
def test_what_is_no_amount_is_told(text: str, currency: str, why: str) -> None:
    """Nothing is rounded, and no thousands are guessed."""
    with pytest.raises(NotRead) as error:
        read_amount(text, currency)

    assert error.value.why == why


def test_an_unknown_currency_is_none() -> None:
    """Before anything of the amount is looked at."""
    with pytest.raises(NoSuchCurrency):
        read_amount("x", "XTS")


@given(st.integers(0, 10**12), st.sampled_from(sorted(currencies())))
def test_what_is_written_is_read_again(minor: int, currency: str) -> None:
    """In every currency."""
    assert read_amount(amount_text(minor, currency), currency) == minor


@pytest.mark.parametrize("text", ["", "-1", "1.0", "\u00b2", " 1", "1" * 10])
def test_what_is_no_whole_number_is_told(text: str) -> None:
    """From nought on, in plain digits."""
    with pytest.raises(NotRead):
        read_whole(text)


# --------------------------------------------------------------------------------------- an event


def test_who_changes_nothing_sends_nothing() -> None:
    """Not even a second's part of a moment that the field cannot show."""
    typed = fields_of(EVENT, ZONE)

    assert read_change(EVENT, typed, ZONE).document == {}
    assert read_change(EVENT, {**typed, "about": "Songs about the sea."}, ZONE).document == {}


def test_without_the_look_at_what_was_a_moment_would_move(monkeypatch: pytest.MonkeyPatch) -> None:
    """The mutant: every field is taken for changed, and the sale begins at a whole minute."""
    typed = fields_of(EVENT, ZONE)
    monkeypatch.setattr(programme_forms, "fields_of", lambda *_: dict.fromkeys(typed, "\0"))

    assert read_change(EVENT, typed, ZONE).document["starts_ms"] == EVENT["starts_ms"] // 60_000 * 60_000


def test_what_was_changed_is_sent_and_nothing_else() -> None:
    """In the API's words and units."""
    typed = {
        **fields_of(EVENT, ZONE),
        "title": " Winter ",
        "sale_from_ms": "2026-12-05T20:00",
        "hold_s": "200",
    }

    change = read_change(EVENT, {**typed, "state": "cancelled", "id": "x"}, ZONE)

    assert change.faults == ()
    assert change.document == {"title": "Winter", "sale_from_ms": 1_796_497_200_000, "hold_s": 200}


@pytest.mark.parametrize(
    ("field", "text", "why"),
    [("starts_ms", "soon", "moment"), ("max_per_buyer", "four", "whole"), ("grace_s", "", "whole")],
)
def test_what_cannot_be_read_is_a_fault_of_its_field(field: str, text: str, why: str) -> None:
    """With a word for why."""
    change = read_change(EVENT, {**fields_of(EVENT, ZONE), field: text}, ZONE)

    assert [(one.field, one.why) for one in change.faults] == [(field, why)]


NEW = {
    **fields_of(EVENT, ZONE), "id": "winter", "layout_id": "a-layout", "t-0": "Front", "p-0": "42", "t-1": "Back",
    "p-1": "25,50", "s-0": "0", "s-1": "1", "s-2": "1",
}  # fmt: skip


def test_a_new_event_is_written_as_the_api_takes_it() -> None:
    """With its tiers, and the tier of each section; or of each seat, as an import told them."""
    by_section = read_new(NEW, ZONE, 3)
    by_seat = read_new({**NEW, "runs": "20x0,25x1"}, ZONE, 3)

    assert by_section.faults == ()
    assert by_section.document["tiers"] == [
        {"tier": 0, "name": "Front", "prices": {"EUR": 4200}},
        {"tier": 1, "name": "Back", "prices": {"EUR": 2550}},
    ]
    assert by_section.document["section_tiers"] == {"0": 0, "1": 1, "2": 1}
    assert by_seat.document["seat_tiers"] == [[0, 20, 0], [20, 25, 1]]
    assert "section_tiers" not in by_seat.document


@pytest.mark.parametrize(
    ("changes", "faults"),
    [
        ({"p-1": ""}, [("p-1", "amount")]),
        ({"t-1": ""}, [("t-1", "tier-name")]),
        ({"p-0": "1.234"}, [("p-0", "amount-decimals")]),
        ({"currency": "EURO"}, [("currency", "currency")]),
        ({"t-0": "", "p-0": "", "t-1": "", "p-1": ""}, [("t-0", "tiers")]),
        ({"s-2": "x"}, [("s-2", "whole")]),
        ({"starts_ms": ""}, [("starts_ms", "moment")]),
    ],
)
def test_bad_inputs_of_a_new_event(changes: dict[str, str], faults: list[tuple[str, str]]) -> None:
    """Each is a fault of its field."""
    assert [(one.field, one.why) for one in read_new({**NEW, **changes}, ZONE, 3).faults] == faults


def test_tiers_of_seats_go_through_a_hidden_field() -> None:
    """And what is none of ours is nothing."""
    assert tier_runs_text([(0, 20, 0), (20, 25, 1)]) == "20x0,25x1"
    assert read_tier_runs("20x0,25x1") == [[0, 20, 0], [20, 25, 1]]
    assert read_tier_runs("") == read_tier_runs("20x0,") == read_tier_runs("x") == []


def test_faults_stand_beside_their_fields() -> None:
    """By the word that they begin with; the others above the form."""
    told = [
        "title: it must be a text",
        "tier 3: a price is missing",
        "organiser_id: there is none",
        "no word",
    ]

    beside, others = by_field(told, ("title", "organiser_id"))

    assert beside == {"title": [told[0]], "organiser_id": [told[2]]}
    assert others == [told[1], told[3]]
    assert lines_named(["line 7: x is empty", "line 3: y", "line 7: y is empty", "and 3 more"]) == [3, 7]


@pytest.mark.parametrize(
    ("title", "slug"),
    [("Summer Night", "summer-night"), ("Größe & Café!", "groesse-cafe"), ("…", ""), ("a" * 90, "a" * 63)],
)
def test_a_title_suggests_an_id(title: str, slug: str) -> None:
    """In the letters that an id may have."""
    assert slug_of(title) == slug


# ------------------------------------------------------------------------------------------ files

BOUND = b"----x9"


def part(name: str, body: bytes, file: str | None = None) -> bytes:
    """Write a part as a browser does."""
    more = "" if file is None else f'; filename="{file}"'
    return (
        f'Content-Disposition: form-data; name="{name}"{more}\r\nContent-Type: text/csv\r\n\r\n'.encode()
        + body
    )


def form(*parts: bytes) -> bytes:
    """Put parts together."""
    return b"".join(b"--" + BOUND + b"\r\n" + one + b"\r\n" for one in parts) + b"--" + BOUND + b"--\r\n"


def test_a_file_keeps_its_octets() -> None:
    """And fields beside it are text; ends of lines inside of a file are its own."""
    octets = bytes(range(256)) + b"\r\n--not the end\r\n"

    made = read_parts(
        form(part("csrf", b"p"), part("plan", octets, "Größe.csv"), part("name", "Saal ü".encode())), BOUND
    )

    assert made["csrf"] == ["p"]
    assert made["plan"][0].encode("latin-1") == octets
    assert made["plan.name"] == ["Größe.csv"]
    assert made["name"] == ["Saal ü"]


@pytest.mark.parametrize(
    "octets",
    [
        b"",
        b"--",
        form()[:-4],
        form(part("a", b"b"))[:-6],
        form(b"no head"),
        form(b"Content-Type: text/plain\r\n\r\nx"),
        form(b'Content-Disposition: attachment; name="a"\r\n\r\nx'),
        form(part("a", b"\xff")),
        form(*[part(f"n{n}", b"x") for n in range(17)]),
        form(part("a", b"b")).replace(b"--\r\n", b"??\r\n"),
        b"x" + form(part("a", b"b")),
    ],
)
def test_what_is_no_form_of_ours_is_refused(octets: bytes) -> None:
    """Whatever is wrong with it."""
    with pytest.raises(Refused, match="cannot be read"):
        read_parts(octets, BOUND)


@given(st.binary(max_size=400))
def test_any_octets_are_read_or_refused(octets: bytes) -> None:
    """And nothing else comes of them."""
    for given_ in (octets, form(octets), form(part("a", octets, "f"))):
        with suppress(Refused):
            read_parts(given_, BOUND)


async def _read(reader: Any, kind: bytes, octets: bytes) -> Any:
    async def receive() -> dict[str, Any]:
        return {"type": "http.request", "body": octets, "more_body": False}

    return await reader({"type": "http", "headers": [(b"content-type", kind)]}, receive)


@pytest.mark.parametrize(
    ("reader", "kind", "octets", "code"),
    [
        (read_file_form, b"text/csv", b"x", "content-type-unknown"),
        (read_file_form, b"multipart/form-data", b"x", "content-type-unknown"),
        (read_file_form, b"multipart/form-data; boundary=", b"x", "content-type-unknown"),
        (read_file_form, b"multipart/form-data; boundary=x", b"x" * (33 * 1024 * 1024), "body-too-large"),
        (read_large_form, b"text/plain", b"x", "content-type-unknown"),
        (read_large_form, b"application/x-www-form-urlencoded", b"a=%ff", "form-malformed"),
        (read_large_form, b"application/x-www-form-urlencoded", b"\xff", "form-malformed"),
        (read_large_form, b"application/x-www-form-urlencoded", b"x" * (3 * 1024 * 1024), "body-too-large"),
    ],
)
async def test_bodies_that_are_no_forms_are_refused(
    reader: Any, kind: bytes, octets: bytes, code: str
) -> None:
    """By their kind, by their size, and where they cannot be read."""
    with pytest.raises(Refused) as error:
        await _read(reader, kind, octets)

    assert error.value.code == code


async def test_forms_are_read() -> None:
    """Of both kinds."""
    kind = b'multipart/form-data; boundary="' + BOUND + b'"'

    assert await _read(read_file_form, kind, form(part("a", b"b"))) == {"a": ["b"]}
    assert await _read(read_large_form, b"application/x-www-form-urlencoded;charset=UTF-8", b"a=b+c") == {
        "a": ["b c"]
    }
