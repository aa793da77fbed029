"""Operators command: ``waitroom operators``: who may come to the console, and which programs have tokens.

``add`` makes an account and tells a link, once, on standard output: with it the person chooses a password and makes a
device. The first owner is made here, and here an owner who has lost everything gets in again: the link does not wait
for anything that strangers have tried. There is no password that anybody knows beforehand. Everything counts at once,
in a process that runs, too.
"""

import argparse
import sys
from collections.abc import Iterator
from contextlib import closing, contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

from gateway.options import NO, settings_of
from kernel.errors import Misconfigured

if TYPE_CHECKING:
    from dashboards.access_books import AccessBooks
    from dashboards.account_book import Told
    from waitroom.configure import Actor

ROLES = ("viewer", "operator", "owner")
USUAL_DAYS = 90
WHO = "command line"
"""What the journal calls whoever types these commands."""
ROOMS = "names of rooms, as summer,autumn; or all"


def add_operators(parser: argparse.ArgumentParser) -> None:
    """Describe what can be done with accounts."""
    what = parser.add_subparsers(title="what", metavar="WHAT", required=True)
    made = what.add_parser("add", help="make an account; prints a link that counts once, for a day")
    made.add_argument("name", help="what the journal calls them")
    made.add_argument("--role", required=True, choices=ROLES)
    made.add_argument("--rooms", default="all", help=f"{ROOMS} (all)")
    made.add_argument("--email", default="", help="their address at the provider of the settings")
    made.set_defaults(run=add)
    listed = what.add_parser("list", help="names, roles, rooms, and how they sign in")
    listed.set_defaults(run=show)
    role = what.add_parser("role", help="give a person another role")
    role.add_argument("name")
    role.add_argument("role", choices=ROLES)
    role.set_defaults(run=change_role)
    rooms = what.add_parser("rooms", help="limit a person to rooms")
    rooms.add_argument("name")
    rooms.add_argument("rooms", help=ROOMS)
    rooms.set_defaults(run=change_rooms)
    again = what.add_parser(
        "reset", help="take password, device and sessions away; prints a link for new ones"
    )
    again.add_argument("name")
    again.set_defaults(run=reset)
    gone = what.add_parser("remove", help="take a person out, with their sessions and tokens")
    gone.add_argument("name")
    gone.set_defaults(run=remove)
    tokens = what.add_parser("tokens", help="tokens for programs: list, add, remove")
    tokens_what = tokens.add_subparsers(title="what", metavar="WHAT", required=True)
    all_tokens = tokens_what.add_parser("list", help="names, roles, rooms and ends; no token")
    all_tokens.set_defaults(run=show_tokens)
    token = tokens_what.add_parser("add", help="make a token, which is told once")
    token.add_argument("name", help="what the journal calls the program")
    token.add_argument("--role", required=True, choices=ROLES)
    token.add_argument("--rooms", default="all", help=f"{ROOMS} (all)")
    token.add_argument("--days", type=int, default=USUAL_DAYS, help=f"so long it counts ({USUAL_DAYS})")
    token.set_defaults(run=add_token)
    no_token = tokens_what.add_parser("remove", help="let a token count no more, at once")
    no_token.add_argument("name")
    no_token.set_defaults(run=remove_token)
    for one in (made, role, rooms, again, gone, token, no_token):
        one.add_argument("--why", default="", help="the reason, for the journal")
    for one in (made, listed, role, rooms, again, gone, all_tokens, token, no_token):
        one.add_argument("--data", help="folder of the installation")
        one.add_argument("--settings", type=Path, metavar="FILE", help="TOML file with settings")


def add(args: argparse.Namespace) -> int:
    """Make an account and tell the link."""
    from dashboards.rights import Role

    rooms = _rooms(args.rooms)
    if args.email and settings_of(args).operator_oidc_issuer is None:
        raise Misconfigured(
            ["Nobody signs in by an address: WAITROOM_OPERATOR_OIDC_ISSUER names no provider."]
        )
    with _books(args) as books:
        told, code = books.accounts.invite(args.name, Role(args.role), rooms, _by(args), args.email)
    if not code:
        raise Misconfigured([_fault(told, args.name)])
    return _tell(args, code)


def reset(args: argparse.Namespace) -> int:
    """Let a person begin anew."""
    with _books(args) as books:
        code = books.accounts.reset(args.name, _by(args))
    if not code:
        return _nobody(args.name)
    return _tell(args, code)


def show(args: argparse.Namespace) -> int:
    """List the accounts."""
    with _books(args) as books:
        for one in books.accounts.all():
            how = [
                word for has, word in ((one.has_password, "password"), (one.has_provider, "provider")) if has
            ]
            if one.waits_until_ms:
                how.append(f"invited until {_text(one.waits_until_ms)}")
            print(
                "  ".join(
                    (f"{one.name:<20}", f"{one.role.value:<8}", _rooms_told(one.rooms), ", ".join(how) or "-")
                )
            )
    return 0


def change_role(args: argparse.Namespace) -> int:
    """Give a person another role."""
    from dashboards.account_book import SAME
    from dashboards.rights import Role

    with _books(args) as books:
        books.accounts.change(args.name, Role(args.role), SAME, _by(args), keep_owner=False)
        one = books.accounts.find(args.name)
    if one is None:
        return _nobody(args.name)
    print(f"{one.name} is {one.role.value}")
    return 0


def change_rooms(args: argparse.Namespace) -> int:
    """Limit a person to rooms."""
    from dashboards.account_book import SAME

    rooms = _rooms(args.rooms)
    with _books(args) as books:
        books.accounts.change(args.name, SAME, rooms, _by(args), keep_owner=False)
        one = books.accounts.find(args.name)
    if one is None:
        return _nobody(args.name)
    print(f"{one.name}: {_rooms_told(one.rooms)}")
    return 0


def remove(args: argparse.Namespace) -> int:
    """Take a person out."""
    from dashboards.account_book import Told

    with _books(args) as books:
        if books.accounts.remove(args.name, _by(args), keep_owner=False) is Told.UNKNOWN:
            return _nobody(args.name)
        has_owner = books.accounts.has_owner()
    print(f"{args.name} is removed")
    if not has_owner:
        print("no owner has an account now: the operator token signs in again", file=sys.stderr)
    return 0


def show_tokens(args: argparse.Namespace) -> int:
    """List the tokens."""
    with _books(args) as books:
        for one in books.tokens.all():
            used = f"last used {_text(one.used_ms)}" if one.used_ms else "never used"
            parts = (
                f"{one.name:<20}",
                f"{one.role.value:<8}",
                _rooms_told(one.rooms),
                f"until {_text(one.until_ms)}",
                used,
            )
            print("  ".join(parts))
    return 0


def add_token(args: argparse.Namespace) -> int:
    """Make a token and tell it."""
    from dashboards.rights import Role
    from dashboards.token_book import MOST_DAYS

    rooms = _rooms(args.rooms)
    if not 1 <= args.days <= MOST_DAYS:
        raise Misconfigured([f"--days must be 1 to {MOST_DAYS}, not {args.days}."])
    with _books(args) as books:
        told, token = books.tokens.add(args.name, Role(args.role), rooms, args.days, _by(args))
    if not token:
        raise Misconfigured([_fault(told, args.name)])
    print(f"{args.name} is {args.role}, {_rooms_told(rooms)}; the token is not told again:", file=sys.stderr)
    print(token)
    return 0


def remove_token(args: argparse.Namespace) -> int:
    """Let a token count no more."""
    with _books(args) as books:
        if not books.tokens.remove(args.name, _by(args)):
            print(f"There is no token {args.name}.", file=sys.stderr)
            return NO
    print(f"the token {args.name} is removed")
    return 0


@contextmanager
def _books(args: argparse.Namespace) -> "Iterator[AccessBooks]":
    from admission.keyring import KeyRing
    from gateway.accounts import access_of
    from kernel.clock import SystemClock
    from waitroom.journal_store import JournalStore

    settings, clock = settings_of(args), SystemClock()
    if not settings.keyring_path.is_file():
        raise Misconfigured(
            [
                f"There is no key ring at {settings.keyring_path}. Set WAITROOM_DATA, or use --data; a new "
                "installation has one once it has been started."
            ]
        )
    ring = KeyRing.open(settings.keyring_path, clock.now_ms())
    with (
        closing(JournalStore(settings.journal_address)) as journal,
        closing(access_of(settings, ring, clock)) as books,
    ):
        journal.open()
        yield books


def _by(args: argparse.Namespace) -> "Actor":
    from dashboards.page import one_line
    from waitroom.configure import Actor

    return Actor(WHO, one_line(args.why))


def _tell(args: argparse.Namespace, code: str) -> int:
    from urllib.parse import urlencode

    print(f"{args.name} chooses a password here; the link counts once, for 24 hours:", file=sys.stderr)
    print(f"{settings_of(args).console}/welcome?{urlencode({'code': code})}")
    return 0


def _nobody(name: str) -> int:
    print(f"There is no account of {name}.", file=sys.stderr)
    return NO


def _fault(told: "Told", name: str) -> str:
    from dashboards.account_book import NAME_MOST_CHARS, Told

    return {
        Told.NAME_WRONG: f"{name!r} cannot be a name: one line of at most {NAME_MOST_CHARS} characters.",
        Told.NAME_TAKEN: f"There is a person or a token {name} already; remove it first.",
        Told.EMAIL_WRONG: "This is no mail address.",
        Told.EMAIL_TAKEN: "Somebody else has been invited by this address.",
    }[told]


def _rooms(text: str) -> frozenset[str] | None:
    from dashboards.account_tables import given_rooms

    try:
        return given_rooms(text)
    except ValueError as error:
        raise Misconfigured([f"{text!r} names no rooms: give {ROOMS}."]) from error


def _rooms_told(rooms: frozenset[str] | None) -> str:
    return "all rooms" if rooms is None else ",".join(sorted(rooms))


def _text(at_ms: int) -> str:
    return datetime.fromtimestamp(at_ms / 1000, UTC).strftime("%Y-%m-%d %H:%M")
