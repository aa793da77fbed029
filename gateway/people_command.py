"""People command: ``waitroom shop people rotate``: a new key for buyers' addresses and names, while the shop runs.

It tells each step, can be broken off, and goes on where it was when it is given again. An old key is dropped when
nothing uses it any more, which takes a minute at least; ``--no-wait`` leaves that to the next time.
"""

import argparse
import sys
import time
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING

from gateway.options import NO, settings_of

if TYPE_CHECKING:
    from checkout.people.rotating import Progress, Rotated
    from gateway.settings import Settings

LOOK_S = 5.0


def add_people(shop: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Describe what can be done with what is kept of people."""
    people = shop.add_parser("people", help="what is kept of buyers: replace the keys that seal it")
    what = people.add_subparsers(title="what", metavar="WHAT", required=True)
    rotate = what.add_parser(
        "rotate", help="seal addresses and names with a new key; exit status 1 if one stays"
    )
    rotate.add_argument("--no-wait", action="store_true", help="do not wait until the old key can be dropped")
    rotate.add_argument("--data", help="folder of the installation")
    rotate.add_argument("--settings", type=Path, metavar="FILE", help="TOML file with settings")
    rotate.set_defaults(run=rotate_keys)


def rotate_keys(args: argparse.Namespace) -> int:
    """Seal everything with a new key."""
    rotated = rotated_by(settings_of(args), wait=not args.no_wait)
    print(f"{rotated.active} seals now: {rotated.sealed:,} rows sealed anew")
    for name in rotated.dropped:
        print(f"{name} is dropped")
    for name, why in rotated.kept.items():
        print(f"{name} stays, {why}; the same command again goes on")
    if rotated.stuck:
        print(
            f"{rotated.stuck:,} rows have a value that does not open; they are as they were", file=sys.stderr
        )
    return 0 if rotated.is_done and not rotated.stuck else NO


def rotated_by(settings: "Settings", *, wait: bool) -> "Rotated":
    """Do it over all databases of an installation."""
    from contextlib import ExitStack

    from checkout.database import ShopDatabase
    from checkout.people.keys import PeopleKeys
    from checkout.people.rotating import SETTLE_MS, Rotation
    from checkout.shards.shards import OverrideRows
    from gateway.shop_parts import database_there, shard_addresses
    from kernel.clock import SystemClock

    main, clock = database_there(settings), SystemClock()
    with ExitStack() as stack:
        urls = {"main": main} | {one.name: one.database_url for one in shard_addresses(settings)}
        databases, known = {}, set()
        for name, url in urls.items():
            if url not in known:
                known.add(url)
                databases[name] = stack.enter_context(closing(ShopDatabase(url)))
                databases[name].open()
        overrides = OverrideRows(databases["main"])

        def moves() -> tuple[str, bool]:
            found = overrides.read()
            text = "\n".join(f"{event} {override.text()}" for event, override in sorted(found.items()))
            return text, any(override.is_moving for override in found.values())

        keys = PeopleKeys.open_keys(settings.people_keys_path(settings.data), clock.now_ms())
        rotation = Rotation(keys, databases, moves, _tell)
        rotated = rotation.begin(clock.now_ms())
        rotation.seal(rotated)
        rotation.drop(rotated, clock.now_ms())
        until_ms = clock.now_ms() + SETTLE_MS + 1000 * LOOK_S
        while wait and not rotated.is_done and not rotated.stuck and clock.now_ms() < until_ms:
            time.sleep(LOOK_S)
            # What was sealed with the old key by then is sealed anew.
            rotation.seal(rotated)
            rotation.drop(rotated, clock.now_ms())
        return rotated


def _tell(progress: "Progress") -> None:
    done = f"{progress.done:,} of {progress.all:,}"
    print(f"{progress.database}: {progress.table}: {done}", file=sys.stderr, flush=True)
