"""QR: what is drawn is what a decoder of other people reads."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from checkout.tickets import qr
from tests.checkout.tickets.faces import CODE
from tests.checkout.tickets.readers import codes, drawn_matrix, drawn_svg

ALPHABET = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ $%*+-./:"


@settings(max_examples=60, deadline=None)
@given(st.text(ALPHABET, min_size=1, max_size=311))
def test_any_code_is_read_back(code: str) -> None:
    """Every text of the alphanumeric set, of every length that fits, comes back from the decoder."""
    assert codes(drawn_matrix(qr.matrix(code))) == [code]


def test_the_svg_says_the_same_and_has_no_style() -> None:
    """The page's drawing is one path on white; the decoder reads the code in it."""
    svg = qr.svg(CODE, "Ticket K7QM-4T2P")

    assert codes(drawn_svg(svg)) == [CODE]
    assert "style" not in svg
    assert svg.count("<path") == 1


def test_a_label_cannot_leave_its_attribute() -> None:
    """What is written into the page is escaped."""
    svg = qr.svg(CODE, '"><script>alert(1)</script>')

    assert "<script" not in svg
    assert codes(drawn_svg(svg)) == [CODE]


@pytest.mark.parametrize(("length", "version"), [(1, 6), (154, 6), (155, 7), (178, 7), (179, 8), (311, 10)])
def test_the_version_follows_from_the_length(length: int, version: int) -> None:
    """A symbol of version 6 has 41 modules, each further one four more."""
    rows = qr.matrix("A" * length)

    assert qr.version("A" * length) == version
    assert len(rows) == len(rows[0]) == 17 + 4 * version


@pytest.mark.parametrize("code", ["", "abc", "A" * 312, "ÄÖÜ", "A\n", "A\x00B", "A_B", "１２３"])
def test_what_does_not_fit_is_refused_in_words(code: str) -> None:
    """A code that is too long or of other characters is told before anything is drawn."""
    with pytest.raises(qr.NoQr, match=r"a code (of 312 characters is too long|has digits, capital letters)"):
        qr.matrix(code)


def test_a_lost_module_here_and_there_is_corrected_but_not_a_torn_half() -> None:
    """Error correction M: a stain of a few modules is read over; the mutant, half a symbol, says nothing."""
    rows = [bytearray(row) for row in qr.matrix(CODE)]
    for y in range(18, 23):
        for x in range(18, 23):
            rows[y][x] ^= 1
    torn = [row if y < len(rows) // 2 else bytearray(len(row)) for y, row in enumerate(rows)]

    assert codes(drawn_matrix(rows)) == [CODE]
    assert codes(drawn_matrix(torn)) == []
