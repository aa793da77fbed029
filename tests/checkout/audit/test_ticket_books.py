"""I5: what is found of tickets, in books that are spoilt in one way each."""

import pytest

from checkout.audit.tickets import KeptTicket, TicketBooks, entitled


def ticket(
    id_: str, order: str, seat: int, issue: int = 1, state: str = "valid", why: str = ""
) -> KeptTicket:
    """Write a ticket's row."""
    return KeptTicket(id_, order, seat, issue, state, why)


PAID = {"O1": frozenset({1, 2}), "O2": frozenset({3})}
RIGHT = [
    ticket("a", "O1", 1),
    ticket("b", "O1", 2, state="revoked", why="transferred"),
    ticket("c", "O1", 2, issue=2),
    ticket("d", "O2", 3, state="used"),
    ticket("e", "O0", 3, state="revoked", why="returned"),
]


def found(tickets: list[KeptTicket], *, settled: bool = True) -> list[str]:
    """Put the invariant to books."""
    return [one.sentence for one in entitled(TicketBooks(PAID, tickets), settled=settled)]


def test_right_books_are_right() -> None:
    """Used, given away, sold again after a return: one ticket counts for each paid seat."""
    assert found(RIGHT) == []


@pytest.mark.parametrize(
    ("tickets", "sentence"),
    [
        ([*RIGHT, ticket("x", "O1", 1, issue=2)], "seat 1 has 2 tickets that count"),
        ([*RIGHT, ticket("x", "O1", 9)], "ticket x counts, and order O1 has not paid seat 9"),
        ([*RIGHT, ticket("x", "O9", 8, state="used")], "ticket x counts, and order O9 has not paid seat 8"),
        (RIGHT[1:], "order O1 has paid seat 1 and has no ticket for it"),
        (
            [*RIGHT[:2], ticket("c", "O1", 2, 2, "revoked", "returned"), *RIGHT[3:]],
            "order O1 has paid seat 2 and has no ticket for it",
        ),
    ],
    ids=["two", "another seat", "nobody", "none", "revoked"],
)
def test_what_is_wrong_is_found(tickets: list[KeptTicket], sentence: str) -> None:
    """One sentence for each."""
    assert found(tickets) == [sentence]


def test_what_the_organiser_has_withdrawn_is_not_missed() -> None:
    """Its seat stays sold, and nobody is let in."""
    assert found([ticket("a", "O1", 1, state="revoked", why="withdrawn"), *RIGHT[1:]]) == []


def test_while_a_sale_goes_on_nobody_is_missed() -> None:
    """An order from before there were tickets gets its own within a minute."""
    assert found([], settled=False) == []
