"""Results: what every drill says of its crowd, each with its target."""

from bench.figure import Figure
from bench.figures.crowd import reds, told
from bench.harness import Bench
from gateway.crowd.crowd import Result
from gateway.crowd.figures import figures

WORKERS = 2
SHORT_ROOM = {"session_duration": 5}
"""Of a room in the short form: a machine may be so slow that a minute is over before a fan has reached the shop."""


def conditions(bench: Bench, fans: int) -> dict[str, object]:
    """Return what a reader needs to play the drill again."""
    return bench.conditions(workers=WORKERS, load=f"open-loop crowd of {fans:,} real HTTP fans", rounds=1)


def crowd(bench: Bench, name: str, result: Result, *, all_through: bool = True) -> Figure:
    """Return how many fans' days went as their scripts say; 0 when a check is red.

    Where the drill ends before everybody was served (not `all_through`), those sent home count as right if their place
    was kept.
    """
    fans = len(result.observed.fans)
    kept = 0 if all_through or not result.is_green else sum(file.undecided for file in result.observed.fans)
    value = result.matched + kept
    shown = figures(result.observed)
    return Figure(
        f"{name}-crowd",
        value,
        "fans",
        f"{fans:,} fans sent",
        target=f"= {fans}",
        met=value == fans,
        conditions=conditions(bench, fans),
        details={
            **told(result),
            "wait_p50_s": round(shown.waits_s.p50, 1),
            "wait_p99_s": round(shown.waits_s.p99, 1),
            "most_arrivals_in_a_second": max(shown.arrivals_per_s),
            "most_requests_in_a_second": _most_requests(result),
            "crowd_woke_late_p99_ms": round(shown.lag_ms.p99, 1),
        },
        error=None if result.is_green else reds(result),
    )


def places(bench: Bench, name: str, lost: int, of: int) -> Figure:
    """Return how many places were lost: tickets refused, or without an answer when the roll was called."""
    return Figure(
        f"{name}-places-lost",
        lost,
        "places",
        f"{of:,} fans",
        target="= 0",
        met=lost == 0,
        conditions=conditions(bench, of),
    )


def _most_requests(result: Result) -> int:
    seconds: dict[int, int] = {}
    for counts in result.observed.requests.values():
        for second, count in counts.items():
            seconds[second] = seconds.get(second, 0) + count
    return max(seconds.values(), default=0)
