"""The checks of a shop that sells seats: judged only where there was one.

Each is a pure function of the records and has a mutant in ``tests/gateway/crowd/test_seat_checks.py``: a shop that
breaks the promise and is caught.
"""

from collections.abc import Callable, Sequence

from gateway.crowd.observed import Observed
from gateway.crowd.seats.checks_holds import (
    all_or_nothing,
    limit_kept,
    one_key_one_hold,
    refusal_tells,
    seat_once,
)
from gateway.crowd.seats.checks_told import admission_needed, ends_kept, map_follows, prices_right
from gateway.crowd.verdict import Verdict

SEAT_CHECKS: Sequence[Callable[[Observed], Verdict]] = (
    seat_once,
    all_or_nothing,
    limit_kept,
    one_key_one_hold,
    refusal_tells,
    ends_kept,
    map_follows,
    prices_right,
    admission_needed,
)


def judge_seats(observed: Observed) -> list[Verdict]:
    """Run the checks of seats; none where no seats were sold."""
    return [check(observed) for check in SEAT_CHECKS] if observed.shop.halls else []
