"""What is said of what is left: late "sold out", early back, and no flicker in between."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from checkout.halls.seats import Status
from checkout.stock.remaining import (
    RETURN_MS,
    Stock,
    StockState,
    left_of,
    rounded,
    stock,
)

NOW_MS = 1_800_000_000_000
SELLING, LAST, SOLD_OUT = StockState.SELLING, StockState.LAST, StockState.SOLD_OUT


def said(before: StockState | None, left: int, capacity: int = 1000) -> StockState:
    """Give the word after a word."""
    told = None if before is None else Stock(before, 0)
    return stock(told, left, capacity, NOW_MS).state


@pytest.mark.parametrize(
    ("before", "left", "now"),
    [
        (None, 1000, SELLING),
        (None, 101, SELLING),
        (None, 100, LAST),
        (None, 1, LAST),
        (None, 0, SOLD_OUT),
        (SELLING, 101, SELLING),
        (SELLING, 100, LAST),
        (SELLING, 0, SOLD_OUT),
        (LAST, 101, LAST),
        (LAST, 149, LAST),
        (LAST, 150, SELLING),
        (LAST, 0, SOLD_OUT),
        (SOLD_OUT, 0, SOLD_OUT),
        (SOLD_OUT, 1, LAST),
        (SOLD_OUT, 149, LAST),
        (SOLD_OUT, 150, SELLING),
    ],
)
def test_each_word_follows_from_what_is_left_and_from_the_word_before(
    before: StockState | None, left: int, now: StockState
) -> None:
    """The edges: a tenth, three twentieths, nothing, a thousandth."""
    assert said(before, left) is now


def test_a_large_house_opens_again_for_a_thousandth_at_once_and_for_less_after_a_while() -> None:
    """A single seat that comes and goes says nothing; one that stays does."""
    told = Stock(SOLD_OUT, 0)
    assert stock(told, 60, 60_000, NOW_MS).state is LAST

    told = stock(told, 59, 60_000, NOW_MS)
    assert told == Stock(SOLD_OUT, 0, NOW_MS)
    told = stock(told, 1, 60_000, NOW_MS + RETURN_MS - 1)
    assert told.state is SOLD_OUT
    assert stock(told, 1, 60_000, NOW_MS + RETURN_MS) == Stock(LAST, 1)
    assert stock(told, 0, 60_000, NOW_MS + RETURN_MS) == Stock(SOLD_OUT, 0)


def test_what_came_back_and_went_again_begins_its_time_anew() -> None:
    """Only seats that stay free count."""
    told = stock(Stock(SOLD_OUT, 0, NOW_MS), 0, 60_000, NOW_MS + 5_000)

    again = stock(told, 1, 60_000, NOW_MS + RETURN_MS)
    assert again == Stock(SOLD_OUT, 0, NOW_MS + RETURN_MS)


def test_what_others_hold_is_not_gone_yet_and_the_rest_is() -> None:
    """Free and held; not reserved, sold, blocked, nor kept for those on the waitlist."""
    assert left_of(tuple(10 ** int(status) for status in Status)) == 11


@pytest.mark.parametrize(
    ("left", "shown"),
    [(0, 0), (7, 7), (99, 99), (100, 100), (109, 100), (110, 110), (1999, 1900), (58_431, 58_000)],
)
def test_numbers_are_told_with_two_digits(left: int, shown: int) -> None:
    """Rounded down: nobody is promised what is not there."""
    assert rounded(left) == shown


@given(
    left=st.integers(0, 10_000), capacity=st.integers(1, 10_000), before=st.sampled_from([None, *StockState])
)
def test_saying_it_again_changes_nothing(left: int, capacity: int, before: StockState | None) -> None:
    """What is said once of a number stays said, as long as the number stays, but for the way back from nothing."""
    told = stock(None if before is None else Stock(before, 0), left, capacity, NOW_MS)

    assert stock(told, left, capacity, NOW_MS + 1) == told
    assert (told.state is SOLD_OUT) == (told.left == 0)


def test_a_rule_without_hysteresis_flickers() -> None:
    """Mutant: one bound for both ways says another word with each seat."""
    lefts = [100, 101] * 5
    word: Stock | None = Stock(SELLING, 0)
    words, plain = [], []
    for left in lefts:
        word = stock(word, left, 1000, NOW_MS)
        words.append(word.state)
        plain.append(stock(None, left, 1000, NOW_MS).state)

    assert len(set(words)) == 1
    assert len(set(plain)) == 2
