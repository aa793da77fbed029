"""The command: ``python -m bench.drills NAME [--short]`` plays one drill and writes its results as JSON lines."""

import argparse
import signal
import sys
import tempfile
from collections.abc import Callable, Iterator
from importlib import import_module
from pathlib import Path

from bench import harness
from bench.figure import Figure, emit, say
from bench.servers import ServerFailed
from gateway.crowd.crowd import Unreachable
from gateway.crowd.sockets import TooFewSockets
from kernel.errors import Misconfigured

NAMES = {
    "lottery": "a crowd gathers, is drawn, and gets in as drawn",
    "flash": "the 48-fold rise of 12 May 1998, scaled",
    "match": "the match day of 29 June 1998, scaled",
    "step": "ten times as many within a second, held for a minute",
    "sockets": "20,000 open sockets wait for the start",
    "sale": "a crowd buys seats in an arena of 60,000",
    "wreck": "the same, while shop, store and gate are killed and the store is wiped",
    "paying": "a crowd pays while its bank is ill and the shop is killed",
    "alarm": "the bank stops, then the store; each time somebody is paged, and hears that it is over",
}
MODULES = {"flash": "window", "match": "window", "wreck": "sale"}


def main(args: list[str]) -> int:
    """Play the drill that is named; 0 when every result meets its target."""
    parser = argparse.ArgumentParser(prog="python -m bench.drills", description="Play one drill.")
    known = "; ".join(f"{name}: {meaning}" for name, meaning in NAMES.items())
    parser.add_argument("name", choices=NAMES, metavar="NAME", help=known)
    parser.add_argument("--short", action="store_true", help="a few hundred fans and tens of seconds")
    asked = parser.parse_args(args)
    play: Callable[..., Iterator[Figure]]
    play = import_module(f"bench.drills.{MODULES.get(asked.name, asked.name)}").play
    passed = True
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        with tempfile.TemporaryDirectory(prefix="waitroom-drill-") as folder:
            for result in play(harness.prepare(Path(folder)), asked.name, short=asked.short):
                passed = passed and result.met is True and result.error is None
                emit(result)
    except (ServerFailed, Unreachable, TooFewSockets, Misconfigured) as error:
        emit(Figure(asked.name, 0, "failed", met=False, error=str(error)))
        say(f"{asked.name} could not be played: {error}")
        return 1
    except KeyboardInterrupt:
        say("stopped")
        return 130
    return 0 if passed else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
