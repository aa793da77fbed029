"""PDF: what comes off the printer, read by programs that are not ours, in every language of the pages."""

from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from PIL import Image

from checkout.money import Money, shown
from checkout.tickets import pdf as printing
from checkout.tickets import qr
from checkout.tickets.face import Face, Line, plain
from checkout.tickets.pdf import pdf
from tests.checkout.tickets.faces import CODE, LANGUAGES, ORDER, face
from tests.checkout.tickets.readers import codes, described, pages, seen, words

LONG = (
    "Die außergewöhnlich lange Donaudampfschifffahrtsgesellschaftskapitänsmützengala mit vielen Gästen " * 4
)
NASTY = (
    "",
    " ",
    "🎉👩‍👩‍👧‍👦 Party 🏳️‍🌈",
    "\x00\x01\x07\x1b[31m\r\n\t",
    "\ud800 half a pair",
    "\u202egnitteb\u202c abc \u2066x\u2069",
    "\u200f\u200f\u2067",
    "a" * 300,
    "字" * 300,
    "ل" * 300,
    "e\u0301\u0302\u0303\u0304\u0305" * 60,
    "(unbalanced \\ ) % /Type /Catalog >> endobj",
    "ไทย 한국어 עברית ⰀⰁ",
    "\ufffe\uffff\U0010ffff",
    "İstanbul’da şöyle çığır, příliš žluťoučký kůň, ăâîșț, ħőűŵŷ, Ελλάδα, Київ",
)


@pytest.mark.parametrize("language", LANGUAGES)
def test_a_ticket_in_every_language_is_read_by_other_peoples_programs(language: str) -> None:
    """The QR is decoded from the rendered page; title, place, price and note are text in the file."""
    ticket = face(language)

    made = pdf([ticket])

    assert [codes(page) for page in pages(made)] == [[CODE]]
    text = words(made)
    told = (ticket.title, ticket.subtitle, ticket.venue, ticket.city, ticket.day, ticket.tier, ticket.note)
    for one in (
        *told,
        *(line.value for line in ticket.place),
        ticket.number,
        ORDER,
        ticket.holder,
        ticket.organiser,
    ):
        assert seen(one) in text
    for label in (line.label for line in ticket.place):
        assert seen(label) in text


def test_the_file_says_its_title_and_language() -> None:
    """Readers of screens and of files are told the language and what the file is."""
    made = pdf([face("ar")])

    assert described(made)["Title"] == "ليلة الأنوار الكبرى · K7QM-4T2P"
    assert b"/Lang (ar)" in made


def test_the_sheet_of_a_language_from_right_to_left_is_mirrored() -> None:
    """The poster stands where reading begins: left for German, right for Arabic; the QR is on the other side."""

    def is_poster(page: Image.Image, x: float) -> bool:
        return page.getpixel((round(x * 2), 200)) != (255, 255, 255)

    german, arabic = pages(pdf([face("de"), face("ar")]))

    assert (is_poster(german, 60), is_poster(german, printing.WIDTH - 40)) == (True, False)
    assert (is_poster(arabic, 40), is_poster(arabic, printing.WIDTH - 60)) == (False, True)


@pytest.mark.parametrize("language", ["ar", "en", "ja"])
@pytest.mark.parametrize(
    ("minor", "currency", "digits"),
    [(4_200, "JPY", "4,200"), (4_205, "EUR", "42.05"), (12_345, "KWD", "12.345")],
)
def test_the_price_is_exact_in_currencies_of_0_2_and_3_decimals(
    language: str, minor: int, currency: str, digits: str
) -> None:
    """What stands on paper is the amount to the last minor unit (row 56)."""
    price = shown(Money(minor, currency), "en-150" if language == "en" else language)
    ticket = face(language, price=price, place=(Line("-", "-"),), holder="")

    text = words(pdf([ticket]))

    assert digits in text
    if language != "ar":
        assert seen(price) in text


def test_the_same_faces_are_the_same_octets() -> None:
    """Rendered again after a crash, a ticket is the same file (failure T2); another seat is another one."""
    faces = [face(language) for language in LANGUAGES]
    first = pdf(faces)

    printing.runs.cache_clear()
    printing.width.cache_clear()
    printing.load.cache_clear()

    assert pdf(faces) == first
    assert pdf([replace(one, number="K7QM-4T2R") for one in faces]) != first


def test_a_file_tells_no_moment(monkeypatch: pytest.MonkeyPatch) -> None:
    """Its dates are the same for ever; the mutant, the library's own way, tells when it was made."""
    fixed = "D:20000101000000"
    assert described(pdf([face()]))["CreationDate"].startswith(fixed)

    own = printing.Canvas
    monkeypatch.setattr(printing, "Canvas", lambda out, **others: own(out, **{**others, "invariant": 0}))
    assert not described(pdf([face()]))["CreationDate"].startswith(fixed)


def test_what_was_printed_before_does_not_show_in_a_file() -> None:
    """Fonts are cut for the letters of a file alone: neither order nor what came before makes another file."""
    alone = pdf([face("ja")])

    pdf([face("ar"), face("ja", title="別の夜", holder="Ἀθηνᾶ")])

    assert pdf([face("ja")]) == alone


def test_threads_do_not_mix_their_files_up() -> None:
    """Files made at the same time are those that are made one after the other."""
    faces = [face(language, number=f"K7QM-{turn}") for turn in range(3) for language in LANGUAGES]
    alone = [pdf([one]) for one in faces]

    with ThreadPoolExecutor(4) as pool:
        assert list(pool.map(lambda one: pdf([one]), faces)) == alone


def test_several_tickets_are_several_pages_each_with_its_own_code() -> None:
    """An order of three is one file of three pages."""
    faces = [face("en", code=f"{CODE[:140]}{seat}", place=(Line("Seat", str(seat)),)) for seat in (7, 8, 9)]

    assert [codes(page) for page in pages(pdf(faces))] == [[one.code] for one in faces]


def test_the_qr_is_large_enough_to_be_read_from_paper() -> None:
    """At least 35 mm without its quiet zone, which is white on all four sides."""
    assert printing.SYMBOL / 72 * 25.4 >= 35
    (page,) = pages(pdf([face()]))
    unit = printing.SYMBOL / 41
    left = printing.STUB + (printing.STUB_ROOM - printing.SYMBOL) / 2
    top = printing.TOP + 14 + qr.QUIET * unit
    inner = [round(2 * edge) for edge in (left, top, left + printing.SYMBOL, top + printing.SYMBOL)]
    quiet = round(2 * 4 * unit) - 2
    around = page.crop((inner[0] - quiet, inner[1] - quiet, inner[2] + quiet, inner[3] + quiet))
    around.paste(
        (255, 255, 255),
        (quiet - 1, quiet - 1, quiet + inner[2] - inner[0] + 1, quiet + inner[3] - inner[1] + 1),
    )

    assert around.getextrema() == ((255, 255),) * 3


def outside(page: Image.Image, *, is_rtl: bool) -> list[str]:
    """Name the places that must be white and are not: the margins, the gaps between columns, the room at the fold."""
    if is_rtl:
        page = page.transpose(Image.Transpose.FLIP_LEFT_RIGHT)
    width, height, margin = printing.WIDTH, printing.HEIGHT, printing.MARGIN
    end = printing.MAIN + printing.MAIN_ROOM
    top, bottom = printing.TOP, printing.BOTTOM
    empty = {
        "left margin": (0, 0, margin - 1, height),
        "right margin": (width - margin + 1, 0, width, height),
        "foot": (0, height - margin, width, height),
        "head": (0, 0, width, top - 1),
        "beside the poster": (margin + printing.POSTER + 2, top + 2, printing.MAIN - 2, bottom - 2),
        "before the stub": (end + 2, top + 2, printing.STUB - 1, bottom - 2),
        "after the stub's edge": (printing.STUB + 1, top + 2, printing.STUB + 8, bottom - 2),
        "right of the stub": (width - margin - 8, top + 8, width - margin - 2, bottom - 8),
        "before the fold": (0, bottom + 1, width, printing.FOLD - 1),
        "below the title": (printing.MAIN, top + 110, end, top + 113),
        "between the columns": (width / 2 - 10, printing.FOLD + 20, width / 2 - 2, printing.FOLD + 90),
    }
    return [
        name
        for name, box in empty.items()
        if page.crop(tuple(round(2 * edge) for edge in box)).getextrema() != ((255, 255),) * 3
    ]


def overlong(language: str, text: str) -> Face:
    """Make a ticket on which everything is far too long."""
    own = face(language)
    return replace(
        own,
        title=text,
        subtitle=text,
        venue=text,
        day=text,
        time=text,
        tier=text,
        price=text,
        holder=text,
        organiser=text,
        order=text,
        number=text,
        note=text * 9,
        place=tuple(Line(text, text) for _ in range(3)),
    )


@pytest.mark.parametrize("text", [LONG, "W" * 300, "字" * 300, "ليلة الأنوار الكبرى " * 15, "ل" * 300])
@pytest.mark.parametrize("language", ["de", "ar"])
def test_what_is_too_long_stays_in_its_place(language: str, text: str) -> None:
    """No ink in the margins or between the columns, and the QR is still read."""
    (page,) = pages(pdf([overlong(language, text)]))

    assert outside(page, is_rtl=language == "ar") == []
    assert codes(page) == [CODE]


def _untouched(text: str, *_others: object) -> str:
    return text


def test_ink_outside_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    """The mutant: where nothing is shortened, the check of the edges says so."""
    monkeypatch.setattr(printing, "fitted", _untouched)

    (page,) = pages(pdf([overlong("de", LONG)]))

    assert {"right margin", "before the stub", "between the columns"} <= set(outside(page, is_rtl=False))


def with_all(text: str) -> Face:
    """Put a text wherever people may have written one."""
    return replace(overlong("en", text), city=text, note=text, motif=text)


@pytest.mark.parametrize("text", NASTY)
def test_nasty_texts_neither_break_the_file_nor_leave_their_place(text: str) -> None:
    """Emoji, control characters, half pairs, overrides, unknown scripts, PDF's own syntax."""
    (page,) = pages(pdf([with_all(text)]))

    assert codes(page) == [CODE]
    assert outside(page, is_rtl=False) == []


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.text(max_size=300))
def test_any_text_can_be_printed(text: str) -> None:
    """Whatever Unicode holds."""
    (page,) = pages(pdf([with_all(text)]))

    assert codes(page) == [CODE]


def test_an_override_does_not_turn_what_stands_beside_it() -> None:
    """A title cannot show a seat or a price backwards: overrides are not printed at all; isolates may stay."""
    assert plain("a\u202eb\u202dc\x00 \n d\u2068e\u2069") == "abc d\u2068e\u2069"
    assert seen("12€") in words(pdf([face("en", title="\u202e€21 12€")]))


def test_letters_that_no_font_has_are_boxes_and_emoji_are_left_out() -> None:
    """Nobody gets an empty title for a script that we cannot print; a party without its emoji is still the party."""
    assert "□□□" in words(pdf([face("en", title="ไทย")]))
    assert seen("Summer Party") in words(pdf([face("en", title="Summer 🎉 Party")]))


def test_japanese_does_not_begin_a_line_with_a_closing_sign() -> None:
    """A full stop or a closing bracket stays with what is before it, at whatever width."""
    text = "入口でご提示ください。（紙でも、画面でも）かまいません。" * 3

    for room in range(20, 120, 3):
        lines, is_whole = printing.broken(text, printing.Style.REGULAR, "ltr", room, 9, 99)
        assert is_whole
        assert "".join(lines) == text
        assert not [line for line in lines[1:] if line[0] in "。、）"]


def test_no_ticket_and_a_bad_code_are_refused() -> None:
    """Nothing half is printed."""
    with pytest.raises(ValueError, match="there is no ticket"):
        pdf([])
    with pytest.raises(qr.NoQr):
        pdf([face(), face(code="lower case")])
