"""The checks: what was promised to fans, judged over what they saw.

Each is a pure function of the records (``checks_line``, ``checks_sale``, ``checks_door``, ``checks_answers``) and each
has a mutant in ``tests/gateway/crowd/test_mutants.py``: a room that breaks the promise and is caught. Where the origin
sells seats, the checks of ``seats.checks`` come after them, and those of ``seats.checks_paid`` where it takes money.
"""

from collections.abc import Callable, Sequence

from gateway.crowd.bots.shares import judge_bots
from gateway.crowd.checks_answers import documents_agree, later_says_when, no_failures, outcomes_allowed
from gateway.crowd.checks_door import admitted_once, door_shut, rate_exact, sessions_exact
from gateway.crowd.checks_line import called_in_order, no_place_lost, nobody_overtaken, numbers_unique
from gateway.crowd.checks_sale import draw_kept, nobody_early
from gateway.crowd.observed import Observed
from gateway.crowd.seats.checks import judge_seats
from gateway.crowd.seats.checks_paid import judge_paid
from gateway.crowd.verdict import Verdict

Check = Callable[[Observed], Verdict]

CHECKS: Sequence[Check] = (
    nobody_overtaken,
    numbers_unique,
    called_in_order,
    no_place_lost,
    nobody_early,
    draw_kept,
    admitted_once,
    rate_exact,
    sessions_exact,
    door_shut,
    outcomes_allowed,
    no_failures,
    later_says_when,
    documents_agree,
)


def judge(observed: Observed) -> list[Verdict]:
    """Run every check; those of seats, of payments and of bots where there were any."""
    found = [check(observed) for check in CHECKS]
    return [*found, *judge_seats(observed), *judge_paid(observed), *judge_bots(observed)]
