"""Wait: how long it may take still, in honest words, and when to look again.

A wait is an interval, never a precise minute, and None when nobody can know it (paused, no speed yet).
The page computes all this by itself from the public document (``static/waitroom.js``); here are the same
rules for the ticket view without JavaScript and for apps. ``tests/vectors/wait.json`` holds both to the
same answers.

Polls: who is far away asks rarely. With one poll each twentieth of the remaining wait, the total rate
hardly depends on how many wait (design.md, section 4). Before the start everybody has the same wait, so
there a floor that grows with the crowd keeps the total below 5,000 polls a second.

Not here: people ahead (``standing``), measured speeds and learned factors (``estimate``), the plan
(``admission.pace``).
"""

from typing import NamedTuple

from waitroom.census import lasts_s

POLL_PARTS = 20
POLL_LEAST_S = 2.0
POLL_UNKNOWN_S = 10.0
CAP_LEAST_S = 60.0
CAP_MOST_S = 900.0
WAITING_PER_CAP_S = 1000
GATHERING_POLLS_PER_S = 5000
FLOOR_MOST_S = 60.0

Factors = tuple[float, float]
"""How far the wait may lie from a point, as shares of it: at least and at most."""

MEASURED: Factors = (0.75, 1.35)
"""How far from `ahead / speed`, when that speed was measured and nothing is learned yet (``estimate``)."""
PLANNED: Factors = (0.5, 1.6)
"""The same for a plan that nothing has confirmed: people ahead may have left, the start may be slow."""

PLAN_PULL = 2.0
"""How much a plan may stretch what was measured: a plan that the site is too full for must not promise."""


class Interval(NamedTuple):
    """Seconds that the wait will take at least and at most, as far as can be told."""

    low_s: float
    high_s: float


def poll_cap_s(waiting: int) -> float:
    """Return the longest pause between two polls: a second for each thousand waiting, 1 to 15 minutes."""
    return min(max(waiting / WAITING_PER_CAP_S, CAP_LEAST_S), CAP_MOST_S)


def poll_floor_s(crowd: int) -> float:
    """Return the shortest pause while a whole crowd waits for the same moment."""
    return min(max(crowd / GATHERING_POLLS_PER_S, POLL_LEAST_S), FLOOR_MOST_S)


def next_poll_ms(eta_s: float | None, cap_s: float, u: float, floor_s: float = POLL_LEAST_S) -> int:
    """Return when to look again; `u` in [0, 1) spreads the crowd by a fifth either way.

    Without an ETA (paused, no speed yet) it is five floors, at least ten seconds: soon in a small room,
    bearable in a large one.
    """
    pause_s = max(5 * floor_s, POLL_UNKNOWN_S) if eta_s is None else max(eta_s / POLL_PARTS, floor_s)
    return round(min(pause_s, max(cap_s, POLL_LEAST_S)) * (0.8 + 0.4 * u) * 1000)


def wait_interval(
    ahead: float,
    speed_per_minute: float,
    plan_per_minute: float,
    *,
    factors: Factors = MEASURED,
    paused: bool = False,
    delay_s: float = 0.0,
    leaving: int = 0,
) -> Interval | None:
    """Return the wait behind `ahead` people, from the measured speed and the plan (0: unknown).

    Where both are known the measured speed rules, with the `factors` that the line has learned, and the plan
    widens the interval on its side; so the share of waits that such intervals held is at least the stated one.
    `ahead` is measured by the ranks called now, and `leaving` of a million go in a minute (``census``).
    `delay_s` is the time until anybody is called at all. None when it cannot be known.
    """
    if paused:
        return None
    if speed_per_minute > 0:
        point_s = lasts_s(ahead, speed_per_minute, leaving)
        low_s, high_s = point_s * factors[0], point_s * factors[1]
        if plan_per_minute > 0:
            planned_s = lasts_s(ahead, plan_per_minute, leaving)
            low_s = max(low_s / PLAN_PULL, min(low_s, planned_s))
            high_s = min(high_s * PLAN_PULL, max(high_s, planned_s))
    elif plan_per_minute > 0:
        planned_s = lasts_s(ahead, plan_per_minute, leaving)
        low_s, high_s = planned_s * PLANNED[0], planned_s * PLANNED[1]
    else:
        return None
    return Interval(delay_s + low_s, delay_s + high_s)
