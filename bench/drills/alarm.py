"""The alarm: the bank stops, then the store; each time somebody is paged, it comes back, and the page ends.

A real Prometheus reads the installation by the rules of ``deploy/prometheus``, a real Alertmanager tells by the routes
of ``deploy/alertmanager``, a webhook hears, all with the samples' own times. A process that is stopped (SIGSTOP) is
worse than one that ended: connections stay open and nobody answers. While the bank is stopped some people pay, because
who is asked nothing is not missed. In the full form the store is away until the second on call is paged, a quarter of
an hour after the first; in the short form until the first is.
"""

import os
import signal
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from bench.buyers import buyers, paying
from bench.demo import Demo, demo
from bench.drills import results
from bench.figure import Figure, say
from bench.harness import Bench
from bench.watching import Watched, watched

BUYERS = 12
"""More than the failures that open a breaker: all their first calls fail at once."""


@dataclass(frozen=True, slots=True)
class Stopped:
    """What stops: a name for its figures, its alert, and how soon the first on call hears of it and of its end."""

    name: str
    alert: str
    paged_most_s: float
    over_most_s: float


BANK = Stopped("provider", "WaitroomProviderAway", 90.0, 240.0)
"""Ten seconds until a call is given up, half a minute that it must last. The breaker stays open for a minute at most,
and asks then; the route tells what is new of a group once a minute."""

STORE = Stopped("store", "WaitroomStoreAway", 75.0, 180.0)
"""Ten seconds without the store, half a minute that it must last, five of waiting for more; and looks between."""

SECOND_MOST_S = 1200.0
READY_S = 180.0


def play(bench: Bench, name: str, *, short: bool) -> Iterator[Figure]:
    """Stop the bank and the store of an installation, one after the other, and see who hears of it."""
    with demo(bench, per_minute=600, workers=results.WORKERS) as installation:
        folder = bench.folder / "watched"
        folder.mkdir()
        with watched(folder, installation.operator_url) as watch:
            _until(lambda: bool(watch.ask("up == 1")), READY_S)
            yield from _bank(bench, name, installation, watch)
            yield from _store(bench, name, installation, watch, short=short)
            yield _tickets(bench, name, watch)


def _bank(bench: Bench, name: str, installation: Demo, watch: Watched) -> Iterator[Figure]:
    with buyers(installation.url, BUYERS) as people, paying(people) as pay:
        say("the bank stops, and some pay")
        with _stopped(installation.bank_pid()):
            pay()
            yield _paged(bench, name, BANK, watch)
        say("the bank goes on")
        yield _over(bench, name, BANK, watch)


def _store(bench: Bench, name: str, installation: Demo, watch: Watched, *, short: bool) -> Iterator[Figure]:
    say("the store stops")
    with _stopped(installation.store_pid()):
        yield _paged(bench, name, STORE, watch)
        if not short:
            say("the second on call hears of it after a quarter of an hour")
            yield _figure(
                bench,
                f"{name}-store-second-paged-s",
                SECOND_MOST_S,
                lambda: _heard(watch, STORE, "second", "firing"),
            )
    say("the store goes on")
    yield _over(bench, name, STORE, watch)


@contextmanager
def _stopped(pid: int) -> Iterator[None]:
    """Stop a process for as long as the block lasts."""
    os.kill(pid, signal.SIGSTOP)
    try:
        yield
    finally:
        os.kill(pid, signal.SIGCONT)


def _tickets(bench: Bench, name: str, watch: Watched) -> Figure:
    pages = {BANK.alert, STORE.alert}
    tickets = [one for one in watch.pager.heard if one.receiver == "new" and one.alert in pages]
    return Figure(
        f"{name}-wrong-receivers",
        len(tickets),
        "posts",
        target="= 0",
        met=not tickets,
        conditions=_conditions(bench),
        details={"heard": [list(one) for one in watch.pager.heard]},
    )


def _conditions(bench: Bench) -> dict[str, object]:
    return bench.conditions(workers=results.WORKERS, load=f"{BUYERS} people pay", rounds=1)


def _heard(watch: Watched, what: Stopped, receiver: str, status: str) -> bool:
    return (receiver, status, what.alert) in watch.pager.heard


def _paged(bench: Bench, name: str, what: Stopped, watch: Watched) -> Figure:
    return _figure(
        bench,
        f"{name}-{what.name}-first-paged-s",
        what.paged_most_s,
        lambda: _heard(watch, what, "first", "firing"),
    )


def _over(bench: Bench, name: str, what: Stopped, watch: Watched) -> Figure:
    return _figure(
        bench,
        f"{name}-{what.name}-over-s",
        what.over_most_s,
        lambda: _heard(watch, what, "first", "resolved"),
    )


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
