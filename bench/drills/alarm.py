"""The alarm: the store stops, somebody is paged, it comes back, and the page ends. With the samples' own times.

A real Prometheus reads the installation by the rules of ``deploy/prometheus``, a real Alertmanager tells by the routes
of ``deploy/alertmanager``, a webhook hears. In the full form the store is away until the second on call is paged, a
quarter of an hour after the first; in the short form until the first is. A process that is stopped (SIGSTOP) is worse
than one that ended: connections stay open and nobody answers.
"""

import os
import signal
import time
from collections.abc import Callable, Iterator

from bench.demo import Demo, demo
from bench.drills import results
from bench.figure import Figure, say
from bench.harness import Bench
from bench.watching import Watched, watched

ALERT = "WaitroomStoreAway"
PAGED_MOST_S = 75.0
"""Ten seconds without the store, half a minute that it must last, five of waiting for more; and looks between."""

SECOND_MOST_S = 1200.0
OVER_MOST_S = 180.0
"""The route tells what is new of a group once a minute; Prometheus looks each second."""


def play(bench: Bench, name: str, *, short: bool) -> Iterator[Figure]:
    """Stop the store of an installation, and see who hears of it."""
    with demo(bench, per_minute=600, workers=results.WORKERS) as installation:
        folder = bench.folder / "watched"
        folder.mkdir()
        with watched(folder, installation.operator_url) as watch:
            _until(lambda: bool(watch.ask("up == 1")), OVER_MOST_S)
            yield from _alarm(bench, name, installation, watch, short=short)


def _alarm(bench: Bench, name: str, installation: Demo, watch: Watched, *, short: bool) -> Iterator[Figure]:
    store = installation.store_pid()
    say("the store stops")
    os.kill(store, signal.SIGSTOP)
    try:
        yield _figure(bench, f"{name}-first-paged-s", PAGED_MOST_S, lambda: _heard(watch, "first", "firing"))
        if not short:
            say("the second on call hears of it after a quarter of an hour")
            yield _figure(
                bench, f"{name}-second-paged-s", SECOND_MOST_S, lambda: _heard(watch, "second", "firing")
            )
    finally:
        os.kill(store, signal.SIGCONT)
    say("the store goes on")
    yield _figure(bench, f"{name}-over-s", OVER_MOST_S, lambda: _heard(watch, "first", "resolved"))
    tickets = [one for one in watch.pager.heard if one.receiver == "new" and one.alert == ALERT]
    yield Figure(
        f"{name}-wrong-receivers",
        len(tickets),
        "posts",
        target="= 0",
        met=not tickets,
        conditions=_conditions(bench),
        details={"heard": [list(one) for one in watch.pager.heard]},
    )


def _conditions(bench: Bench) -> dict[str, object]:
    return bench.conditions(workers=results.WORKERS, load="nobody comes", rounds=1)


def _heard(watch: Watched, receiver: str, status: str) -> bool:
    return (receiver, status, ALERT) in watch.pager.heard


def _figure(bench: Bench, name: str, most_s: float, is_so: Callable[[], bool]) -> Figure:
    took_s = _until(is_so, most_s)
    return Figure(
        name,
        took_s,
        "s",
        target=f"≤ {most_s:.0f}",
        met=took_s <= most_s,
        conditions=_conditions(bench),
    )


def _until(is_so: Callable[[], bool], most_s: float) -> float:
    """Wait until something is so; returns how long that took, more than `most_s` if it did not come."""
    began = time.monotonic()
    while not is_so():
        if time.monotonic() - began > most_s:
            return most_s * 2
        time.sleep(0.2)
    return time.monotonic() - began
