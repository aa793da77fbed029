"""Staff command: ``waitroom shop staff``: who may use the organiser's API, in which role, and until when.

``add`` makes a token, for a program or a person without a provider, and tells it once, on standard output, and nowhere
else. ``invite`` lets a person log in with a browser, at the provider of the settings. ``list`` tells names, roles and
ends; ``role`` and ``remove`` count at once, in every process that runs.
"""

import argparse
import sys
from collections.abc import Iterator
from contextlib import closing, contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

from gateway.options import settings_of
from gateway.staff_settings import ROLES

if TYPE_CHECKING:
    from checkout.people.factors import Factors
    from checkout.people.staff_people import StaffPeople
    from checkout.people.staff_tokens import StaffTokens

DAY_MS = 86_400_000
USUAL_DAYS = 90
INVITED_DAYS = 365


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
    invite = what.add_parser(
        "invite", help="let a person log in with a browser, at the provider of the settings"
    )
    invite.add_argument("name", help="what the log calls them")
    invite.add_argument("--role", required=True, choices=ROLES)
    whom = invite.add_mutually_exclusive_group(required=True)
    whom.add_argument("--email", help="their address at the provider, which must have made sure of it")
    whom.add_argument("--subject", help="their very name at the provider (sub)")
    invite.add_argument(
        "--days", type=_days, default=INVITED_DAYS, help=f"so long they may log in ({INVITED_DAYS})"
    )
    invite.set_defaults(run=invite_person)
    role = what.add_parser("role", help="give a person who logs in another role; their sessions end")
    role.add_argument("name")
    role.add_argument("role", choices=ROLES)
    role.set_defaults(run=change_role)
    listed = what.add_parser("list", help="names, roles and ends; no token")
    listed.set_defaults(run=list_tokens)
    remove = what.add_parser("remove", help="take a token or a person out, at once")
    remove.add_argument("name")
    remove.set_defaults(run=remove_token)
    for one in (add, invite, role, listed, remove):
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


@contextmanager
def _people(args: argparse.Namespace) -> "Iterator[StaffPeople]":
    """Open those who may log in, who stand in the shop's main database. Raises ``Misconfigured``."""
    from checkout.database import ShopDatabase
    from checkout.people.keys import PeopleKeys
    from checkout.people.staff_people import StaffPeople
    from gateway.shop_parts import database_there
    from kernel.clock import SystemClock

    settings, clock = settings_of(args), SystemClock()
    with closing(ShopDatabase(database_there(settings))) as database:
        database.open()
        keys = PeopleKeys.open_keys(settings.people_keys_path(settings.data), clock.now_ms())
        yield StaffPeople(database, keys, clock)


def _has_people(args: argparse.Namespace) -> bool:
    """Tell whether there can be anybody who logs in: there is a database, and the keys that their hashes need."""
    from gateway.shop_parts import database_there
    from kernel.errors import Misconfigured

    settings = settings_of(args)
    try:
        database_there(settings)
    except Misconfigured:
        return False
    return settings.people_keys_path(settings.data).is_file()


def invite_person(args: argparse.Namespace) -> int:
    """Let a person log in."""
    from checkout.people.staff import StaffRole
    from checkout.people.staff_people import INVITED_DAYS as WAITS
    from checkout.people.staff_people import Invited
    from kernel.errors import Misconfigured

    settings = settings_of(args)
    if not settings.has_staff_logins:
        raise Misconfigured(["Nobody can log in: WAITROOM_STAFF_OIDC_ISSUER names no provider."])
    if _tokens(args).has(args.name):
        raise Misconfigured([f"There is a token of {args.name} already; remove it first."])
    with _people(args) as people:
        made = people.invite(
            args.name,
            StaffRole(args.role),
            args.days,
            email=args.email or "",
            issuer=settings.staff_oidc_issuer or "",
            subject=args.subject or "",
        )
    faults = {
        Invited.NAME_WRONG: f"{args.name!r} cannot be a name: a to z, 0 to 9, dot and dash, and not 'organiser'.",
        Invited.NAME_TAKEN: f"There is {args.name} already; remove them first.",
        Invited.ADDRESS_WRONG: "This is no address, or no name at a provider.",
        Invited.ADDRESS_TAKEN: "Somebody else has been invited by this address or name.",
    }
    if made in faults:
        raise Misconfigured([faults[made]])
    waits = "" if args.subject else f"; the invitation waits {WAITS} days"
    print(f"{args.name} may log in as {args.role} at {settings.staff_site(settings.site)}/staff{waits}")
    return 0


def change_role(args: argparse.Namespace) -> int:
    """Give a person another role."""
    from checkout.people.staff import StaffRole
    from kernel.errors import Misconfigured

    with _people(args) as people:
        if not people.change(args.name, StaffRole(args.role)):
            raise Misconfigured([f"There is no {args.name} who logs in."])
    print(f"{args.name} is {args.role} from the next login on")
    return 0


def add_token(args: argparse.Namespace) -> int:
    """Make a token, and tell it."""
    from checkout.people.staff import StaffRole
    from kernel.clock import SystemClock
    from kernel.errors import Misconfigured

    until_ms = SystemClock().now_ms() + args.days * DAY_MS
    tokens = _tokens(args)
    if _has_people(args):
        with _people(args) as people:
            if people.is_there(args.name):
                raise Misconfigured([f"{args.name} logs in with a browser; remove them first."])
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
    if _has_people(args):
        with _people(args) as people:
            for one in people.all():
                waits = "" if one.is_bound else f", invited until {_day(one.invited_until_ms)}"
                print(f"{one.name:<20} {one.role.value:<10} until {_day(one.until_ms)}, logs in{waits}")
    return 0


def remove_token(args: argparse.Namespace) -> int:
    """Take a token or a person out."""
    tokens, is_person = _tokens(args), False
    if _has_people(args):
        with _people(args) as people:
            is_person = people.remove(args.name)
    if not is_person or tokens.has(args.name):
        tokens.remove(args.name)
        if _has_people(args):
            with _factors(args) as factors:
                factors.remove(args.name)
    print(f"{args.name} is removed")
    return 0


def _day(ms: int) -> str:
    return datetime.fromtimestamp(ms / 1000, UTC).date().isoformat()
