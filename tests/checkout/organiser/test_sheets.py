"""Sheets: what a table is written like: RFC 4180, amounts to the last digit, and no cell that a spreadsheet runs."""

import csv
import io
from decimal import Decimal

import pytest

from checkout.organiser import sheets
from checkout.organiser.sheets import amount, guarded, moment, piece
from checkout.organiser.takings import Takings
from checkout.organiser.takings import table as takings_table

FORMULAS = [
    "=1+1", '=HYPERLINK("http://evil.example","x")', "+49 30 1234567", "-1+1", "@SUM(A1)", "\t=1", "\r=1", "\n=1",
    "=", "-", "@", "+",
]  # fmt: skip
HARMLESS = ["", "a=1", " =1", "'=1", "Row 5", "Ä", '"', "1-1", "5"]


def read_back(octets: bytes) -> list[list[str]]:
    """Read a table as others do."""
    return list(csv.reader(io.StringIO(octets.decode(), newline=""), strict=True))


@pytest.mark.parametrize("text", FORMULAS)
def test_a_text_that_could_be_a_formula_is_none(text: str) -> None:
    """It begins with an apostrophe, in any column, and is otherwise what it was."""
    assert read_back(piece([("a", text, text)])) == [["a", f"'{text}", f"'{text}"]]


@pytest.mark.parametrize("text", HARMLESS)
def test_other_texts_are_what_they_were(text: str) -> None:
    """Also what begins with an apostrophe already."""
    assert read_back(piece([("a", text)])) == [["a", text]]


def test_a_writer_without_the_guard_would_be_found(monkeypatch: pytest.MonkeyPatch) -> None:
    """The mutant: cells as they are."""
    monkeypatch.setattr(sheets, "guarded", lambda text: text)

    assert [row[0] for row in read_back(piece([(text, 1) for text in FORMULAS]))] == FORMULAS
    assert all(guarded(text) != text for text in FORMULAS)


def test_numbers_below_zero_are_numbers() -> None:
    """They are ours; an apostrophe would make texts of them."""
    assert piece([(-1, Decimal("-4.20"), None, 0)]) == b"-1,-4.20,,0\r\n"


def test_quotes_commas_and_line_ends_are_written_as_the_standard_says() -> None:
    """RFC 4180: quoted, quotes doubled, CR LF at the end of each line, UTF-8."""
    assert piece([('a"b', "c,d", "e\nf", "ü")]) == b'"a""b","c,d","e\nf",\xc3\xbc\r\n'
    assert piece([]) == b""


@pytest.mark.parametrize(
    ("minor", "currency", "text"),
    [
        (4200, "EUR", "42.00"), (1, "EUR", "0.01"), (0, "EUR", "0.00"), (-205, "EUR", "-2.05"),
        (4200, "JPY", "4200"), (-1, "JPY", "-1"), (4200, "KWD", "4.200"), (1, "KWD", "0.001"),
        (2**63 - 1, "KWD", "9223372036854775.807"), (10**15 + 1, "JPY", "1000000000000001"),
    ],
)  # fmt: skip
def test_amounts_are_exact(minor: int, currency: str, text: str) -> None:
    """In minor units, and with all the decimals that the currency has; never by a float."""
    assert piece([amount(minor, currency)]) == f"{minor},{text}\r\n".encode()


def test_times_are_told_in_utc() -> None:
    """RFC 3339, to the millisecond."""
    assert moment(1_800_000_000_123) == "2027-01-15T08:00:00.123Z"


def test_what_has_been_taken_is_written_by_the_same_hand() -> None:
    """An event is called as its organiser likes; a sum below zero stays a number."""
    octets = takings_table([Takings("=cmd", "EUR", captured_minor=5, net_minor=-5)])

    assert read_back(octets)[1] == ["'=cmd", "EUR", "5", "0", "0", "-5", "0", "0"]
