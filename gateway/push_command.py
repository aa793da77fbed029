"""Push command: ``waitroom shop push``: shows, replaces and drops the keys that sign messages in browsers.

``rotate`` adds a key for who subscribes from now on; those who have subscribed are told as before. ``drop`` is for a
key that somebody else has got hold of: its subscriptions end, and their fans may ask for messages again. No secret is
shown. Running processes follow with the next message.
"""

import argparse
import time
from datetime import UTC, datetime
from pathlib import Path

from gateway.options import NO, settings_of


def add_push(parser: argparse.ArgumentParser) -> None:
    """Describe what can be done with the keys of messages in browsers."""
    push = parser.add_subparsers(title="what", metavar="WHAT", required=True)
    listed = push.add_parser("list", help="name them, and since when each is subscribed under")
    rotated = push.add_parser("rotate", help="have new subscriptions made under a new key")
    dropped = push.add_parser("drop", help="forget a key: its subscriptions end")
    dropped.add_argument("key", help="its name, as `list` tells it")
    for act, one in (("list", listed), ("rotate", rotated), ("drop", dropped)):
        one.add_argument("--data", help="folder of the installation")
        one.add_argument("--settings", type=Path, metavar="FILE", help="TOML file with settings")
        one.set_defaults(run=change_push, act=act)


def change_push(args: argparse.Namespace) -> int:
    """List, rotate or drop. Raises ``Misconfigured``."""
    from gateway.shop_post import chosen
    from gateway.shop_push import push_keys_path
    from kernel.vapid import VapidKeys

    now_ms, settings = time.time_ns() // 1_000_000, settings_of(args)
    keys = VapidKeys.open_keys(push_keys_path(chosen(settings), settings.data), now_ms)
    match args.act:
        case "rotate":
            made = keys.rotate(now_ms)
            print(f"{made.public} is subscribed under from now on; the others sign for those that they have")
        case "drop":
            if not keys.drop(args.key):
                print(f"there is no key {args.key}")
                return NO
            print(f"{args.key} is dropped; its subscriptions have ended")
        case _:
            for key in keys.keys:
                state = "newest" if key == keys.newest else "signs"
                at = datetime.fromtimestamp(key.from_ms / 1000, UTC).strftime("%Y-%m-%d %H:%M:%S")
                print(f"{key.public}  from {at}  {state}")
    return 0
