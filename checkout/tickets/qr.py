"""QR: a ticket's code as a square of modules, for a page (SVG) and for paper (PDF operators).

Version and mask are fixed by the length of the code, so that nothing is tried out: of the eight masks of ISO/IEC 18004
any can be read, and choosing the best takes four times as long. Error correction is M: 15 % of the symbol may be
missing, which is a fold. The quiet zone of four modules belongs to the symbol and is always drawn.

Library: segno (ADR 0020). Not here: what a code says.
"""

import re
from collections.abc import Iterator, Sequence
from html import escape

import segno

ALPHANUMERIC = re.compile(r"[0-9A-Z $%*+\-./:]+")
CAPACITY = {6: 154, 7: 178, 8: 221, 9: 262, 10: 311}
"""Characters of the alphanumeric set by version, with error correction M."""

MASK = 3
QUIET = 4
"""Modules of white on each side."""

Matrix = Sequence[Sequence[int]]


class NoQr(ValueError):
    """The text cannot be a ticket's QR: it is too long, empty, or not of the alphanumeric set."""


def matrix(code: str) -> Matrix:
    """Give the rows of modules, 1 for a dark one, without the quiet zone. Raises ``NoQr``."""
    made: Matrix = segno.make_qr(
        code, version=version(code), mask=MASK, error="m", mode="alphanumeric", boost_error=False
    ).matrix
    return made


def version(code: str) -> int:
    """Choose the smallest version that we use and the code fits into. Raises ``NoQr``."""
    if not ALPHANUMERIC.fullmatch(code):
        raise NoQr("a code has digits, capital letters, space and $%*+-./: and at least one of them")
    for number, most in CAPACITY.items():
        if len(code) <= most:
            return number
    raise NoQr(f"a code of {len(code)} characters is too long: {max(CAPACITY.values())} is the most")


def runs(rows: Matrix) -> Iterator[tuple[int, int, int]]:
    """Give the dark stretches, each as column, row and length; the quiet zone is not counted."""
    for y, row in enumerate(rows):
        text = bytes(row)
        x = text.find(1)
        while x >= 0:
            end = text.find(0, x)
            end = len(text) if end < 0 else end
            yield x, y, end - x
            x = text.find(1, end)


def svg(code: str, label: str) -> str:
    """Draw the code for a page: one path on white, no style, as a strict policy wants it. Raises ``NoQr``."""
    rows = matrix(code)
    side = len(rows) + 2 * QUIET
    path = "".join(f"M{x + QUIET} {y + QUIET}h{length}v1h-{length}z" for x, y, length in runs(rows))
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {side} {side}" role="img" '
        f'aria-label="{escape(label)}" shape-rendering="crispEdges">'
        f'<rect width="{side}" height="{side}" fill="#fff"/><path fill="#000" d="{path}"/></svg>'
    )


def operators(rows: Matrix) -> str:
    """Draw the modules as PDF operators: one path, a module is one unit, and y grows upwards from the last row."""
    top = len(rows) - 1
    path = "\n".join(f"{x} {top - y} {length} 1 re" for x, y, length in runs(rows))
    return f"0 g\n{path}\nf"
