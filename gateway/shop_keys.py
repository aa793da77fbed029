"""Shop keys: ``waitroom shop keys``: shows, replaces and drops the keys that sign tickets.

``rotate`` adds a key that counts a minute later; tickets that are there keep their codes. ``drop`` is for a key that
somebody else has got hold of: its codes open nothing any more, and whoever has such a ticket is to open its page
again, or to be sent it. No secret is shown. Running processes follow within seconds.
"""

import argparse
import time
from datetime import UTC, datetime
from pathlib import Path

from gateway.options import NO, settings_of


def add_keys(parser: argparse.ArgumentParser) -> None:
    """Describe what can be done with the keys of tickets."""
    keys = parser.add_subparsers(title="what", metavar="WHAT", required=True)
    listed = keys.add_parser("list", help="name them, and since when each signs")
    rotated = keys.add_parser("rotate", help="sign tickets with a new key, from a minute on")
    dropped = keys.add_parser("drop", help="trust a key no more: its codes open nothing")
    dropped.add_argument("key", help="its name, as `list` tells it")
    for act, one in (("list", listed), ("rotate", rotated), ("drop", dropped)):
        one.add_argument("--data", help="folder of the installation")
        one.add_argument("--settings", type=Path, metavar="FILE", help="TOML file with settings")
        one.set_defaults(run=change_keys, act=act)


def change_keys(args: argparse.Namespace) -> int:
    """List, rotate or drop. Raises ``Misconfigured``."""
    from checkout.tickets.keys import TicketKeys

    now_ms = time.time_ns() // 1_000_000
    keys = TicketKeys.open(settings_of(args).ticket_keys_path, now_ms)
    match args.act:
        case "rotate":
            made = keys.rotate(now_ms)
            print(
                f"{made.id} signs tickets from {_moment(made.from_ms)} on; those that are there stay as they are"
            )
        case "drop":
            if not keys.drop(args.key):
                print(f"there is no key {args.key} that is trusted")
                return NO
            print(
                f"{args.key} is trusted no more; send people whose tickets it has signed their tickets again"
            )
        case _:
            signing = keys.signing(now_ms).id
            for key in keys.keys:
                state = "dropped" if key.dropped else "signs" if key.id == signing else "verifies"
                print(f"{key.id}  from {_moment(key.from_ms)}  {state}")
    return 0


def _moment(ms: int) -> str:
    return datetime.fromtimestamp(ms / 1000, UTC).strftime("%Y-%m-%d %H:%M:%S") if ms else "the beginning"
