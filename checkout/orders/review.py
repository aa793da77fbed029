"""Review: an order that a person looks at before its money is taken, as the log and the rows have it. Values only.

What may be decided, when it is too late, and what follows when nobody decides is ``fraud.review``; a review becomes a
case of there (``case_of``). ``Cautions`` is what an operator has set that binds the sale itself. Not here: rows
(``orders.review_rows``), what follows from a decision (``orders.caring``).
"""

from dataclasses import dataclass

from checkout.fraud.review import Case, Decision, Terms
from checkout.money import Money

_TERMS = Terms()


@dataclass(frozen=True, slots=True)
class Review:
    """A review. It is open while its order is in review and nobody has decided; ``by``: who has."""

    order: str
    event: str
    reservation: str
    attempt: int
    opened_ms: int
    lapses_ms: int
    decision: Decision | None = None
    by: str = ""
    note: str = ""
    decided_ms: int = 0


@dataclass(frozen=True, slots=True)
class Word:
    """Who decides, and what they write beside it."""

    by: str
    note: str = ""


@dataclass(frozen=True, slots=True)
class Cautions:
    """What a shop minds when it sells. ``seats_per_card``: of one event, whoever pays with it; 0: no limit."""

    terms: Terms = _TERMS
    seats_per_card: int = 0


UNMINDFUL = Cautions()
SHOP = "shop"
NOBODY_DECIDED = Word(SHOP, "Nobody has decided in time.")


def case_of(review: Review, amount: Money) -> Case:
    """Return the case that decisions are made of."""
    return Case(
        order=review.order,
        attempt=str(review.attempt),
        event=review.event,
        amount=amount,
        reasons=(),
        score=None,
        opened_ms=review.opened_ms,
        lapses_ms=review.lapses_ms,
        decision=review.decision,
        by=review.by,
        note=review.note,
        decided_ms=review.decided_ms,
    )
