"""Staff command: ``waitroom shop staff``: who may use the organiser's API, in which role, and until when.

``add`` tells the token once, on standard output, and nowhere else; ``list`` tells names, roles and ends;
``remove`` counts at once, in every process that runs.
"""

import argparse
import sys
from collections.abc import Iterator
from contextlib import closing, contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

from gateway.options import settings_of

if TYPE_CHECKING:
    from checkout.people.factors import Factors
    from checkout.people.staff_tokens import StaffTokens

DAY_MS = 86_400_000
USUAL_DAYS = 90
ROLES = ("viewer", "support", "scanner", "organiser", "owner")


def add_staff(shop: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Describe what can be done with the organiser's staff."""
    staff = shop.add_parser("staff", help="who may use the organiser's API: make, list and remove tokens")
    what = staff.add_subparsers(title="what", metavar="WHAT", required=True)
    add = what.add_parser("add", help="make a token, which is told once")
    add.add_argument("name", help="what the log calls whoever has it")
    add.add_argument("--role", required=True, choices=ROLES)
    add.add_argument("--days", type=_days, default=USUAL_DAYS, help=f"so long it counts ({USUAL_DAYS})")
    add.add_argument(
        "--person", action="store_true", help="with a second factor, to be shown before money or prices move"
    )
    add.set_defaults(run=add_token)
    listed = what.add_parser("list", help="names, roles and ends; no token")
    listed.set_defaults(run=list_tokens)
    remove = what.add_parser("remove", help="take a token out, at once")
    remove.add_argument("name")
    remove.set_defaults(run=remove_token)
    for one in (add, listed, remove):
        one.add_argument("--data", help="folder of the installation")
        one.add_argument("--settings", type=Path, metavar="FILE", help="TOML file with settings")


def _days(text: str) -> int:
    days = int(text)
    if not 1 <= days <= 3650:
        raise argparse.ArgumentTypeError("from 1 to 3650 days")
    return days


def _tokens(args: argparse.Namespace) -> "StaffTokens":
    from checkout.people.staff_tokens import StaffTokens
    from kernel.clock import SystemClock

    settings = settings_of(args)
    return StaffTokens(settings.staff_tokens_path(settings.data), SystemClock())


@contextmanager
def _factors(args: argparse.Namespace) -> "Iterator[Factors]":
    """Open second factors, which stand in the shop's main database. Raises ``Misconfigured``."""
    from checkout.database import ShopDatabase
    from checkout.people.factors import Factors
    from checkout.people.keys import PeopleKeys
    from gateway.shop_parts import database_there
    from kernel.clock import SystemClock

    settings, clock = settings_of(args), SystemClock()
    with closing(ShopDatabase(database_there(settings))) as database:
        database.open()
        keys = PeopleKeys.open_keys(settings.people_keys_path(settings.data), clock.now_ms())
        yield Factors(database, keys, clock)


def add_token(args: argparse.Namespace) -> int:
    """Make a token, and tell it."""
    from checkout.people.staff import StaffRole
    from kernel.clock import SystemClock

    until_ms = SystemClock().now_ms() + args.days * DAY_MS
    tokens = _tokens(args)
    if args.person:
        with _factors(args) as factors:
            token = tokens.add(args.name, StaffRole(args.role), until_ms)
            enrolled = factors.enrol(args.name)
        print(f"device:   {enrolled.address}", *(f"recovery: {code}" for code in enrolled.recovery), sep="\n")
        print(f"token:    {token}")
        print(f"{args.name} is {args.role} until {_day(until_ms)}; none of it is told again", file=sys.stderr)
        return 0
    token = tokens.add(args.name, StaffRole(args.role), until_ms)
    print(f"{args.name} is {args.role} until {_day(until_ms)}; the token is not told again:", file=sys.stderr)
    print(token)
    return 0


def list_tokens(args: argparse.Namespace) -> int:
    """Tell who there is."""
    for row in _tokens(args).rows:
        print(f"{row.name:<20} {row.role.value:<10} until {_day(row.until_ms)}")
    return 0


def remove_token(args: argparse.Namespace) -> int:
    """Take a token out."""
    from gateway.shop_parts import database_there
    from kernel.errors import Misconfigured

    _tokens(args).remove(args.name)
    try:
        database_there(settings_of(args))
    except Misconfigured:
        pass  # Without a database there is no second factor.
    else:
        with _factors(args) as factors:
            factors.remove(args.name)
    print(f"{args.name} is removed")
    return 0


def _day(ms: int) -> str:
    return datetime.fromtimestamp(ms / 1000, UTC).date().isoformat()
