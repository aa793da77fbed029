"""Priority: a code that brings the place of its holder into the lane verified; each is good for one place of a run.

It is a code of a batch (``codes``) that was made for that lane. The place keeps its number and its rank; only the
threshold that calls it is another. Which place used a code stands in the store, and in the journal with the climb.

``spend`` is one transition; the file of the same name in ``lua/`` does the same. Pure. Not here: the climb
(``lane_change``), what a code is (``codes``).
"""

from collections.abc import Mapping
from enum import StrEnum

from waitroom.codes import Code
from waitroom.line import Line

WHY = "code "
"""Begins the reason of a climb by a code; the code's name follows."""


class Spent(StrEnum):
    """What came of showing a code."""

    SPENT = "spent"
    AGAIN = "again"
    TAKEN = "taken"
    STALE = "stale"


def name_of(code: Code) -> str:
    """Name a code without telling it."""
    return f"{code.batch}/{code.number}"


def spend(
    line: Line | None, spent: Mapping[str, int], run: str, number: int, code: str
) -> tuple[Mapping[str, int], Spent]:
    """Use the code of this name up, for a place of the run."""
    if line is None or line.run != run or number >= line.issued:
        return spent, Spent.STALE
    if code in spent:
        return spent, Spent.AGAIN if spent[code] == number else Spent.TAKEN
    return {**spent, code: number}, Spent.SPENT


def named(why: str) -> tuple[int, str] | None:
    """Return batch and name of the code by which a place climbed; None where it was no code."""
    batch, slash, _ = why.removeprefix(WHY).partition("/")
    if not why.startswith(WHY) or not slash or not batch.isdecimal():
        return None
    return int(batch), why.removeprefix(WHY)
