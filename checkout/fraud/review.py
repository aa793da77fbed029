"""Review: a payment that is authorised and not taken yet, because a person has to look at it first.

    open ── release ──► released   the money is taken, tickets are issued
         ── refuse ───► refused    the authorisation is let go, the seats go back
         ── lapse ────► lapsed     nobody has decided in time: what is set for that (``Terms.lapse``) follows

A case must end while the money can still be taken and the seats are still reserved: it lapses ``margin_ms`` before
whichever of the two ends first, and is open while ``now_ms < lapses_ms``. Where that leaves no time at all it has
lapsed as it is made, and nobody is asked in vain. That it has lapsed is derived, never stored; so nothing depends on
the task that acts on it but the moment at which it does.

One decision counts. The same again (a lost answer, a second click) is the same decision; the other one, or one that
comes too late, changes nothing and says why. Pure. Not here: the rows of the queue, and taking or letting go of the
money (``orders``).
"""

from collections.abc import Iterable
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import assert_never

from checkout.fraud.rules import Reason, Verdict
from checkout.fraud.windows import Answer
from checkout.money import Money

NOTE_MOST = 500
AUTHORISED_MS = 4 * 86_400_000
"""So long an authorisation is relied on: of the cards in use the shortest holds for some five days."""


class Decision(StrEnum):
    """What a person may decide."""

    RELEASE = "release"
    REFUSE = "refuse"


class CaseState(StrEnum):
    """Where a case stands."""

    OPEN = "open"
    RELEASED = "released"
    REFUSED = "refused"
    LAPSED = "lapsed"


@dataclass(frozen=True, slots=True)
class Terms:
    """How long people have, and what follows when nobody has decided.

    ``authorised_ms``: so long after a try began its authorisation is relied on.
    """

    margin_ms: int = 900_000
    lapse: Decision = Decision.REFUSE
    authorised_ms: int = AUTHORISED_MS


@dataclass(frozen=True, slots=True)
class Case:
    """One payment that waits. ``by``, ``note`` and ``decided_ms`` belong to the decision."""

    order: str
    attempt: str
    event: str
    amount: Money
    reasons: tuple[Reason, ...]
    score: float | None
    opened_ms: int
    lapses_ms: int
    decision: Decision | None = None
    by: str = ""
    note: str = ""
    decided_ms: int = 0


@dataclass(frozen=True, slots=True)
class Decided:
    """The case with its decision; `again` when it had been decided like this before."""

    case: Case
    again: bool = False


@dataclass(frozen=True, slots=True)
class Otherwise:
    """Somebody has decided the opposite."""

    case: Case


@dataclass(frozen=True, slots=True)
class TooLate:
    """The case has lapsed."""

    case: Case


Outcome = Decided | Otherwise | TooLate


def queued(
    verdict: Verdict,
    order: str,
    attempt: str,
    event: str,
    amount: Money,
    authorised_until_ms: int,
    reserved_until_ms: int,
    terms: Terms,
    now_ms: int,
) -> Case:
    """Open a case. Raises ``ValueError`` for a verdict that asks for no review."""
    if verdict.answer is not Answer.REVIEW:
        raise ValueError(f"{verdict.answer} asks for no review")
    lapses_ms = lapses(authorised_until_ms, reserved_until_ms, terms, now_ms)
    return Case(order, attempt, event, amount, verdict.reasons, verdict.score, now_ms, lapses_ms)


def lapses(authorised_until_ms: int, reserved_until_ms: int, terms: Terms, now_ms: int) -> int:
    """Tell when a case that is opened now lapses."""
    return max(now_ms, min(authorised_until_ms, reserved_until_ms) - terms.margin_ms)


def state(case: Case, now_ms: int) -> CaseState:
    """Tell where a case stands."""
    match case.decision:
        case Decision.RELEASE:
            return CaseState.RELEASED
        case Decision.REFUSE:
            return CaseState.REFUSED
        case None:
            return CaseState.OPEN if now_ms < case.lapses_ms else CaseState.LAPSED
        case _:
            assert_never(case.decision)


def decide(case: Case, decision: Decision, by: str, note: str, now_ms: int) -> Outcome:
    """Decide a case. Raises ``ValueError`` when nobody is named, or for a note above ``NOTE_MOST`` characters."""
    if not by or len(note) > NOTE_MOST:
        raise ValueError("a decision needs a name, and its note must not be too long")
    if case.decision is not None:
        return Decided(case, again=True) if case.decision is decision else Otherwise(case)
    if state(case, now_ms) is CaseState.LAPSED:
        return TooLate(case)
    return Decided(replace(case, decision=decision, by=by, note=note, decided_ms=now_ms))


def due(case: Case, terms: Terms, now_ms: int) -> Decision | None:
    """Say what is to be done with the money now; None while somebody may still decide."""
    if case.decision is not None:
        return case.decision
    return terms.lapse if state(case, now_ms) is CaseState.LAPSED else None


def in_order(cases: Iterable[Case], now_ms: int) -> list[Case]:
    """List the open cases, the most urgent first."""
    still = (case for case in cases if state(case, now_ms) is CaseState.OPEN)
    return sorted(still, key=lambda case: (case.lapses_ms, case.opened_ms, case.order, case.attempt))
