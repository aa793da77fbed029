"""The command: ``python -m bench NAME`` measures one figure and writes it as JSON lines."""

import signal
import sys
import tempfile
from collections.abc import Callable, Iterator
from importlib import import_module
from pathlib import Path

from bench import harness
from bench.figure import Figure, emit, say
from bench.load import LoadFailed
from bench.servers import ServerFailed
from kernel.errors import Misconfigured

NAMES = {
    "join": "joins a second, against a bare Starlette hello",
    "join-traced": "joins a second while traces are recorded, against the same server that records none",
    "status": "status documents a second, against a bare raw-ASGI answer; and the origin's rate behind nginx",
    "claim": "claims a second, against a bare Starlette hello",
    "gate-proxy": "requests a second through the gate, against the same origin direct",
    "memory-per-fan": "bytes of the store for each of a million waiting",
    "join-growth": "join rate at a million waiting, against ten thousand",
    "change-in-force": "p99 in seconds from an operator's change until all of three busy workers tell it",
    "crowd": "fans of 20,000 whose outcome was the one their script allows",
    "flush-places-lost": "places lost when the store is wiped and killed in the middle",
    "page-first-bytes": "bytes before the waiting page's first paint, in the language that needs most",
    "page-total-bytes": "bytes until the page waits, in the language that needs most",
    "page-fcp": "first contentful paint on a slow 4G, in ms; and how far anything moved",
    "page-axe": "what axe-core finds in all states, schemes and directions of writing",
    "page-hour-polls": "polls of an hour, against what the plan says; and memory and processor of the page",
    "holds": "four-seat holds a second over HTTP, against a bare Starlette hello; and p99 at 70 % of that",
    "one-seat": "winners when 2,000 fans ask for the same seat at once",
    "expiry-15k": "seconds until all seats of some 13,000 holds that end together are free",
    "map-snapshot": "maps of 60,000 places a second, against raw ASGI of as many bytes",
    "delta": "p99 in ms from a hold to 2,000 viewers, at 500 holds a second",
    "map-crowded": "p99 in ms of a hold while twice as many look at the map as a worker can serve",
    "best-available": "p99 in ms of choosing four seats side by side of 60,000",
    "map-rebuild": "seconds from an emptied store to the whole map",
    "orders": "whole orders a second (hold to captured), against payments alone; and double charges",
    "confirm-sqlite": "orders a second that SQLite sells, against one bare changed row each",
    "confirm-postgres": "orders a second that PostgreSQL sells, against one bare changed row each",
    "mails": "mails a second from the outbox to a mail server, against the bare library; and seconds for 15,000",
    "mail-down": "p99 of whole orders while the mail server refuses or hangs, by the p99 while it is up",
    "paid-to-ticket": "p99 in seconds from the card to tickets that the buyer can read",
    "reprice-60k": "seconds until all see that 60,000 seats cost something else; open holds keep their price",
    "recovery-1000": "seconds from a kill with 1,000 payments on their way until none is open",
    "replay-1m": "seconds to read, verify and fold a million events of sales, against reading them only",
    "ticket-sign-60k": "seconds until 60,000 tickets of a hall have their signed codes, against the bare signature",
    "tickets": "tickets a second that one core prints (QR and PDF), against the library alone",
    "seats-memory": "bytes of the store for 60,000 places with a fifth held",
    "console-cpu": "percent of a core that 50 open consoles cost while a million wait, and calls of the store a second",
    "chart-3h": "ms until four plots of a three-hour sale are painted, against SVG polylines by hand",
    "guest-find": "ms until one guest among a million admissions is found, against reading them all",
    "bots-auc": "AUC on devices and families of bots never seen, against plain boosting on the same folds",
    "bots-ece": "how far the model's odds lie from the truth on devices never seen",
    "bots-monotone": "AUC on inner folds that bounds on single features gain the model of movements, or cost it",
    "bots-recall-chromium": "share of scripts in a real Chromium found at 1 % of people wrongly suspected",
    "bots-replay": "replays of people's movements that the sketches know again, in percent",
    "bots-share": "share of the admissions that scripted bots get under each policy, in percent; and people kept out",
    "bots-ghost": "bots in a real Chromium with ghost-cursor that pass the page's check, in percent; and their seconds",
    "bots-score": "time of one score in µs",
    "bots-features": "time to make the features of one summary in µs",
}


def main(args: list[str]) -> int:
    """Measure the figure that is named and return the exit code."""
    if len(args) != 1 or args[0] not in NAMES:
        say("NAME must be one of:")
        for name, meaning in NAMES.items():
            say(f"  {name:20} {meaning}")
        return 2
    name = args[0]
    measure: Callable[[harness.Bench], Iterator[Figure]]
    measure = import_module(f"bench.figures.{name.replace('-', '_')}").measure
    good = True
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        with tempfile.TemporaryDirectory(prefix="waitroom-bench-") as folder:
            for figure in measure(harness.prepare(Path(folder))):
                good = good and figure.error is None
                emit(figure)
    except (LoadFailed, ServerFailed, Misconfigured, ValueError) as error:
        emit(Figure(name, 0, "failed", error=str(error)))
        say(f"{name} could not be measured: {error}")
        return 1
    except KeyboardInterrupt:
        say("stopped")
        return 130
    return 0 if good else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
