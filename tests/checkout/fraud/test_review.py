"""A payment that waits for a person: who may decide what, until when, and what follows if nobody does."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from checkout.fraud.review import (
    NOTE_MOST,
    Case,
    CaseState,
    Decided,
    Decision,
    Otherwise,
    Terms,
    TooLate,
    decide,
    due,
    in_order,
    queued,
    state,
)
from checkout.fraud.rules import Reason, Verdict
from checkout.fraud.windows import Answer
from checkout.money import Money

NOW_MS = 1_800_000_000_000
HOUR_MS = 3_600_000
REASON = Reason("device-accounts", Answer.REVIEW, "too-many-attempts", "more than 4 in 600 s")
DOUBTFUL = Verdict(Answer.REVIEW, "under-review", (REASON,), 0.8)
TERMS = Terms(margin_ms=900_000)


def a_case(
    order: str = "o-1",
    authorised_ms: int = 100 * HOUR_MS,
    reserved_ms: int = 24 * HOUR_MS,
    verdict: Verdict = DOUBTFUL,
) -> Case:
    """Open a case now."""
    return queued(
        verdict, order, f"{order}.1", "summer", Money(9_000, "EUR"), NOW_MS + authorised_ms,
        NOW_MS + reserved_ms, TERMS, NOW_MS,
    )  # fmt: skip


def decided(case: Case, decision: Decision, now_ms: int = NOW_MS) -> Case:
    """Decide what can be decided."""
    outcome = decide(case, decision, "olga", "called her", now_ms)
    assert isinstance(outcome, Decided)
    return outcome.case


@pytest.mark.parametrize(("authorised_ms", "reserved_ms"), [(100, 24), (24, 100), (24, 24)])
def test_a_case_lapses_before_the_money_or_the_seats_are_lost(authorised_ms: int, reserved_ms: int) -> None:
    """A margin before whichever ends first, and at that instant nobody may decide any more."""
    case = a_case(authorised_ms=authorised_ms * HOUR_MS, reserved_ms=reserved_ms * HOUR_MS)

    assert case.lapses_ms == NOW_MS + 24 * HOUR_MS - TERMS.margin_ms
    assert state(case, case.lapses_ms - 1) is CaseState.OPEN
    assert state(case, case.lapses_ms) is CaseState.LAPSED
    assert isinstance(decide(case, Decision.RELEASE, "olga", "", case.lapses_ms - 1), Decided)
    assert decide(case, Decision.RELEASE, "olga", "", case.lapses_ms) == TooLate(case)


def test_the_reviewer_sees_what_speaks_against_it() -> None:
    """Reasons and score come along."""
    case = a_case()

    assert (case.reasons, case.score, case.amount) == ((REASON,), 0.8, Money(9_000, "EUR"))


def test_where_there_is_no_time_nobody_is_asked_in_vain() -> None:
    """The case has lapsed as it is made."""
    case = a_case(reserved_ms=TERMS.margin_ms)

    assert state(case, NOW_MS) is CaseState.LAPSED
    assert due(case, TERMS, NOW_MS) is Decision.REFUSE
    assert a_case(reserved_ms=0).lapses_ms == NOW_MS


@pytest.mark.parametrize(
    ("decision", "to"), [(Decision.RELEASE, CaseState.RELEASED), (Decision.REFUSE, CaseState.REFUSED)]
)
def test_a_decision_is_kept_with_who_made_it_and_outlives_the_lapse(
    decision: Decision, to: CaseState
) -> None:
    """Acting on it late changes nothing."""
    case = decided(a_case(), decision)
    later_ms = case.lapses_ms + HOUR_MS

    assert (case.by, case.note, case.decided_ms) == ("olga", "called her", NOW_MS)
    assert state(case, later_ms) is to
    assert due(case, TERMS, later_ms) is decision


def test_the_same_decision_again_is_the_same_and_the_other_one_changes_nothing() -> None:
    """Even after the lapse: an answer may have been lost."""
    case = decided(a_case(), Decision.RELEASE)

    assert decide(case, Decision.RELEASE, "otto", "", case.lapses_ms + 1) == Decided(case, again=True)
    assert decide(case, Decision.REFUSE, "otto", "", NOW_MS) == Otherwise(case)


def test_until_somebody_decides_nothing_is_done_and_then_what_is_set() -> None:
    """Refuse unless it is set otherwise."""
    case = a_case()

    assert due(case, TERMS, case.lapses_ms - 1) is None
    assert due(case, TERMS, case.lapses_ms) is Decision.REFUSE
    assert due(case, Terms(lapse=Decision.RELEASE), case.lapses_ms) is Decision.RELEASE


def test_the_most_urgent_case_is_first_and_only_open_ones_are_listed() -> None:
    """By the moment at which it lapses."""
    late, soon, over, done = (
        a_case("late"),
        a_case("soon", reserved_ms=HOUR_MS),
        a_case("over", 0),
        a_case("x"),
    )

    assert in_order([late, over, decided(done, Decision.REFUSE), soon], NOW_MS) == [soon, late]


def test_a_decision_has_a_name_and_a_short_note() -> None:
    """Nobody decides namelessly."""
    for by, note in (("", "n"), ("olga", "n" * (NOTE_MOST + 1))):
        with pytest.raises(ValueError, match="a decision needs"):
            decide(a_case(), Decision.RELEASE, by, note, NOW_MS)


@pytest.mark.parametrize("answer", [Answer.ALLOW, Answer.BLOCK])
def test_only_a_review_is_queued(answer: Answer) -> None:
    """What is allowed or refused waits for nobody."""
    with pytest.raises(ValueError, match="asks for no review"):
        a_case(verdict=Verdict(answer))


@given(st.lists(st.tuples(st.integers(0, 30 * HOUR_MS), st.sampled_from(Decision)), max_size=6))
def test_of_all_decisions_the_first_in_time_counts(tries: list[tuple[int, Decision]]) -> None:
    """In whatever order people click, there is one decision, and it is never taken back."""
    case, first = a_case(), None
    for at_ms, decision in sorted(tries, key=lambda one: one[0]):
        now_ms = NOW_MS + at_ms
        if first is None and now_ms < case.lapses_ms:
            first = decision
        outcome = decide(case, decision, "olga", "", now_ms)
        case = outcome.case
        assert isinstance(outcome, Decided) is (first is decision)
        assert case.decision is first
