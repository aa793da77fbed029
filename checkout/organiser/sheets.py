"""Sheet: a table as CSV (RFC 4180), a piece at a time, that a spreadsheet opens without running anything in it. Pure.

UTF-8, a header, lines that end in CR LF, quotes around what needs them. A text that begins with ``= + - @``, a tab, CR
or LF would be a formula for some spreadsheets (CWE-1236), and what it says may be somebody else's: a row's name in a
plan, a reason. Such a text gets an apostrophe in front. Numbers are ours and stay as they are, also below zero.

Amounts stand twice: in whole minor units, and as a decimal number with all decimals that the currency has, exactly. Not
here: what stands in which table.
"""

import csv
import io
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime
from decimal import Decimal

from checkout.money import Money, major

Cell = str | int | Decimal | None
FORMULAS = ("=", "+", "-", "@", "\t", "\r", "\n")


def piece(rows: Iterable[Sequence[Cell]]) -> bytes:
    """Write rows; a header is a row, too."""
    text = io.StringIO(newline="")
    writer = csv.writer(text, lineterminator="\r\n")
    writer.writerows([_plain(cell) for cell in row] for row in rows)
    return text.getvalue().encode()


def amount(minor: int, currency: str) -> tuple[int, Decimal]:
    """Give the two cells of an amount: minor units, and the same in the currency's own unit."""
    return minor, major(Money(minor, currency))


def moment(at_ms: int) -> str:
    """Write a time as people and programs read it: UTC, RFC 3339, to the millisecond."""
    return datetime.fromtimestamp(at_ms / 1000, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def _plain(cell: Cell) -> str:
    if isinstance(cell, str):
        return guarded(cell)
    if isinstance(cell, Decimal):
        return format(cell, "f")
    return "" if cell is None else str(cell)


def guarded(text: str) -> str:
    """Put an apostrophe before what a spreadsheet may take for a formula."""
    return f"'{text}" if text.startswith(FORMULAS) else text
