"""What must be true of orders and payments: each rule finds what breaks it, and nothing in books that are right."""

from dataclasses import replace

import pytest

from checkout.audit.money import MoneyBooks, PaidOrder, Theirs, Try, money_is_right

ORDER = PaidOrder("O1", "paid", 8400, "EUR", 1, "sold")
TRY = Try("O1", 1, "bank", "p", 8400, 0, 0, is_open=False)
THEIRS = Theirs("bank", "p", "O1", 8400, 0, 0, is_held=False)
RIGHT = MoneyBooks((ORDER,), (TRY,), (("bank", "p", 8400),))

WRONG: dict[str, tuple[str, MoneyBooks, list[Theirs]]] = {
    "paid without money": ("I3", replace(RIGHT, tries=(), moved=()), []),
    "paid with too much": (
        "I3",
        replace(RIGHT, tries=(replace(TRY, captured_minor=9000),), moved=(("bank", "p", 9000),)),
        [replace(THEIRS, captured_minor=9000)],
    ),
    "over, with money": (
        "I3", replace(RIGHT, orders=(replace(ORDER, state="lapsed", reservation_state="lapsed"),)), [THEIRS],
    ),
    "paid, and its seats are free": (
        "I3", replace(RIGHT, orders=(replace(ORDER, reservation_state="lapsed"),)), [THEIRS],
    ),
    "over, and its seats are sold": ("I3", MoneyBooks((replace(ORDER, state="lapsed"),)), []),
    "over, and money is held": (
        "I3",
        MoneyBooks((replace(ORDER, state="lapsed", reservation_state="lapsed"),), (replace(TRY, captured_minor=0),)),
        [replace(THEIRS, captured_minor=0, is_held=True)],
    ),
    "money of no order": ("I3", replace(RIGHT, orders=()), [THEIRS]),
    "paid twice": (
        "I4",
        replace(
            RIGHT, tries=(TRY, replace(TRY, number=2, ref="q")), moved=(("bank", "p", 8400), ("bank", "q", 8400)),
        ),
        [THEIRS, replace(THEIRS, ref="q")],
    ),
    "one name twice at the provider": (
        "I4", RIGHT, [THEIRS, replace(THEIRS, captured_minor=0, is_held=True)],
    ),
    "a movement too few": ("I11", replace(RIGHT, moved=()), [THEIRS]),
    "a movement of no payment": ("I11", replace(RIGHT, moved=(*RIGHT.moved, ("bank", "x", 5))), [THEIRS]),
    "the provider says less": ("I11", RIGHT, [replace(THEIRS, refunded_minor=100)]),
    "the provider knows another": ("I11", RIGHT, [THEIRS, replace(THEIRS, ref="q")]),
    "the provider does not know it": ("I11", RIGHT, []),
    "an order left open": ("I12", MoneyBooks((replace(ORDER, state="open", reservation_state="active"),)), []),
    "an attempt left open": ("I12", replace(RIGHT, tries=(replace(TRY, is_open=True),)), [THEIRS]),
    "a refund that waits": ("I12", replace(RIGHT, refunds_wanted=("O1",)), [THEIRS]),
}  # fmt: skip


def test_books_that_are_right_violate_nothing() -> None:
    """Also where a person still looks, and where a part went back."""
    looked_at = PaidOrder("O2", "review", 100, "EUR", 1, "sold")
    held = Try("O2", 1, "bank", "h", 0, 0, 0, is_open=True)
    part = replace(
        RIGHT, tries=(replace(TRY, refunded_minor=400),), moved=(("bank", "p", 8400), ("bank", "p", -400))
    )

    assert money_is_right(RIGHT, [THEIRS], settled=True) == []
    assert money_is_right(part, [replace(THEIRS, refunded_minor=400)], settled=True) == []
    books = replace(RIGHT, orders=(ORDER, looked_at), tries=(TRY, held))
    theirs = [THEIRS, Theirs("bank", "h", "O2", 0, 0, 0, is_held=True)]
    assert money_is_right(books, theirs, settled=True) == []


def test_what_may_still_be_paid_may_be_open() -> None:
    """With what its tries hold, until its time is over (half-open); money that was taken never, nor without a time."""
    order = PaidOrder("O2", "open", 100, "EUR", 0, "active", until_ms=5_000)
    asked = Try("O2", 1, "bank", "h", 0, 0, 0, is_open=True)
    books = replace(RIGHT, orders=(ORDER, order), tries=(TRY, asked))
    theirs = [THEIRS, Theirs("bank", "h", "O2", 0, 0, 0, is_held=True)]

    def found(now_ms: int | None, books: MoneyBooks = books) -> set[str]:
        return {one.invariant for one in money_is_right(books, theirs, settled=True, now_ms=now_ms)}

    taken = replace(
        books, tries=(TRY, replace(asked, captured_minor=100)), moved=(*books.moved, ("bank", "h", 100))
    )
    assert found(4_999) == set()
    assert found(5_000) == found(None) == {"I3", "I12"}
    assert found(4_999, taken) == {"I3", "I11"}


@pytest.mark.parametrize("name", WRONG)
def test_each_rule_finds_what_breaks_it(name: str) -> None:
    """One thing is wrong in each."""
    invariant, books, theirs = WRONG[name]

    assert invariant in {one.invariant for one in money_is_right(books, theirs, settled=True)}
