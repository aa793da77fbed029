"""Codes command: ``waitroom codes``: make invitation and priority codes of a room, list them, let some count no more.

Codes are printed once, when they are made: nothing keeps them. Making and revoking is written to the journal as an
act of the operator, because a code that brings a better lane is an advantage that an audit must see.
"""

import argparse
import sys
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

from gateway.options import NO, settings_of
from kernel.errors import Misconfigured

if TYPE_CHECKING:
    from waitroom.identity_book import IdentityBook
    from waitroom.journal_store import JournalStore

MOST = 1 << 20
BATCH_DIGITS = 5
BY = {"who": "command line"}


def add_codes(parser: argparse.ArgumentParser) -> None:
    """Describe what can be done with codes."""
    what = parser.add_subparsers(title="what", metavar="WHAT", required=True)
    made = what.add_parser("make", help="make a batch of codes and print them, one a line")
    made.add_argument("room", help='the room that they are for; its setting is identity = "code"')
    made.add_argument("--count", type=int, default=1, metavar="N", help="number of codes (1)")
    made.add_argument(
        "--lane", choices=("verified", "standard"), help="lane that they bring; without it the room's own"
    )
    made.add_argument("--label", default="", help="what the batch is called in lists")
    made.add_argument("--until", metavar="TIME", help="they count until then, as 2027-05-01T10:00:00Z")
    made.set_defaults(run=make)
    listed = what.add_parser("list", help="list the batches; codes themselves are kept nowhere")
    listed.add_argument("room", nargs="?", help="of this room only")
    listed.set_defaults(run=show)
    revoked = what.add_parser("revoke", help="let a batch, or a single code, count no more")
    revoked.add_argument("what", metavar="BATCH|CODE", help="number of a batch, or a code")
    revoked.set_defaults(run=revoke)
    for one in (made, listed, revoked):
        one.add_argument("--data", help="folder of the installation")
        one.add_argument("--settings", type=Path, metavar="FILE", help="TOML file with settings")


def make(args: argparse.Namespace) -> int:
    """Make a batch and print its codes; what is not a code goes to the standard error."""
    from waitroom.identifying import make_codes
    from waitroom.lanes import Lane

    until_ms = _moment(args.until)
    if not 0 < args.count <= MOST:
        raise Misconfigured([f"--count must be 1 to {MOST:,}, not {args.count}."])
    with _books(args) as (book, journal, secret):
        if args.room not in journal.latest_configs():
            raise Misconfigured([f"There is no room {args.room} in this installation."])
        lane = Lane(args.lane) if args.lane else None
        batch = book.make(args.room, lane, args.label, args.count, until_ms, BY, _now_ms())
        print(f"batch {batch.batch}: {batch.size:,} codes for {batch.room}", file=sys.stderr)
        sys.stdout.writelines(f"{code}\n" for code in make_codes(batch, secret))
    return 0


def show(args: argparse.Namespace) -> int:
    """List the batches."""
    with _books(args) as (book, _, _):
        for batch in book.batches(args.room):
            state = (
                "revoked" if batch.revoked_ms else f"until {_text(batch.until_ms)}" if batch.until_ms else ""
            )
            single = f"{len(batch.revoked):,} revoked" if batch.revoked and not batch.revoked_ms else ""
            parts = (
                f"{batch.batch:>5}", batch.room, f"{batch.size:,} codes", str(batch.lane or "room's lane"),
                _text(batch.made_ms), batch.label, state, single,
            )  # fmt: skip
            print("  ".join(part for part in parts if part))
    return 0


def revoke(args: argparse.Namespace) -> int:
    """Let a batch or a code count no more; the answer is no for what is not ours, or was revoked before."""
    from waitroom.identifying import found_code

    with _books(args) as (book, _, secret):
        batches = book.batches()
        is_batch = args.what.isascii() and args.what.isdecimal() and len(args.what) <= BATCH_DIGITS
        code = None if is_batch else found_code(args.what, batches, secret)
        number = int(args.what) if is_batch else code.batch if code else -1
        batch = next((batch for batch in batches if batch.batch == number), None)
        if batch is None:
            print("There is no such batch or code.", file=sys.stderr)
            return NO
        if not book.revoke(batch, code.number if code else None, BY, _now_ms()):
            print("It was revoked before.", file=sys.stderr)
            return NO
        print(
            f"batch {batch.batch}: {'one code' if code else 'all codes'} revoked; places that were taken stay"
        )
    return 0


@contextmanager
def _books(args: argparse.Namespace) -> "Iterator[tuple[IdentityBook, JournalStore, bytes]]":
    from admission.keyring import KeyRing
    from gateway.deriving import secret_for
    from waitroom.identity_book import IdentityBook
    from waitroom.journal_store import JournalStore

    settings = settings_of(args)
    if not settings.keyring_path.is_file():
        raise Misconfigured(
            [f"There is no key ring at {settings.keyring_path}. Set WAITROOM_DATA, or use --data."]
        )
    ring = KeyRing.open(settings.keyring_path, _now_ms())
    with (
        closing(JournalStore(settings.journal_address)) as journal,
        closing(IdentityBook(settings.journal_address)) as book,
    ):
        journal.open()
        yield book, journal, secret_for(ring.active("sid").octets, "identity")


def _moment(text: str | None) -> int | None:
    if text is None:
        return None
    try:
        at = datetime.fromisoformat(text)
    except ValueError as error:
        raise Misconfigured([f"--until {text}: must be a time such as 2027-05-01T10:00:00Z."]) from error
    return round((at if at.tzinfo else at.replace(tzinfo=UTC)).timestamp() * 1000)


def _text(at_ms: int) -> str:
    return datetime.fromtimestamp(at_ms / 1000, UTC).strftime("%Y-%m-%d %H:%M")


def _now_ms() -> int:
    return time.time_ns() // 1_000_000
