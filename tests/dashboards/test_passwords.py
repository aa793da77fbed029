"""Passwords: what may be one, what is kept, and what a try costs."""

import pytest

from dashboards.passwords import LEAST_CHARS, MOST_CHARS, USUAL, fault, is_right, kept_of
from tests.dashboards.people import CHEAP


@pytest.mark.parametrize(
    ("password", "name", "told"),
    [
        ("a few plain words", "Ann", ""),
        ("ünïcödé passt gut", "Ann", ""),
        ("abcdefghijkl", "Ann", ""),
        ("abcdefghijk", "Ann", "at least 12"),
        ("", "Ann", "at least 12"),
        ("x" * (LEAST_CHARS - 1), "Ann", "at least 12"),
        ("ab " * MOST_CHARS, "Ann", "at most 256"),
        ("aaaaaaaaaaaaa", "Ann", "first that anybody"),
        ("ababababababab", "Ann", "first that anybody"),
        ("Ann LeeAnn Lee", "ann lee", "first that anybody"),
    ],
)
def test_what_may_be_a_password(password: str, name: str, told: str) -> None:
    """A least and a most length, and none that is nothing but the name or two letters; no other rule."""
    assert told in fault(password, name)
    assert bool(told) is bool(fault(password, name))


def test_what_is_kept_tells_the_cost_and_not_the_password() -> None:
    """Two people with the same password have different rows; a later cost shuts nobody out."""
    one, other = kept_of("a few plain words", CHEAP), kept_of("a few plain words", CHEAP)

    assert one != other
    assert one.startswith("scrypt$2$1$1$")
    assert "plain" not in one
    assert is_right("a few plain words", one)
    for wrong in ("a few plain word", "a few plain words ", "A few plain words", "", "\udcff", "x" * 100_000):
        assert not is_right(wrong, one, CHEAP)
    assert not is_right("", "", CHEAP)


def test_the_same_letters_written_otherwise_are_the_same_password() -> None:
    """One keyboard writes an umlaut as one letter, another as two."""
    assert is_right("u\u0308ber alle Berge", kept_of("\u00fcber alle Berge", CHEAP))


def test_the_usual_cost_is_the_one_that_is_documented() -> None:
    """32 MiB three times over; nothing is timed here."""
    kept = kept_of("a few plain words")

    assert USUAL == (15, 8, 3)
    assert kept.startswith("scrypt$15$8$3$")
    assert is_right("a few plain words", kept)
