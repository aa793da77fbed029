"""Checking: ``waitroom check`` (settings, rooms, the journal, a token) and ``waitroom keys``.

Each command imports what it needs when it runs: a token is checked with the base install, on a backend's machine.
"""

import argparse
import json
import sys
import time
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from gateway.options import NO, settings_of
from kernel.errors import Misconfigured

if TYPE_CHECKING:
    from admission.es256 import PublicKey
    from waitroom.journal import Head
    from waitroom.rooms import Room


def add_checks(parser: argparse.ArgumentParser) -> None:
    """Describe what can be checked."""
    check = parser.add_subparsers(title="what", metavar="WHAT", required=True)
    settings = check.add_parser("settings", help="print all settings, or every fault in them")
    settings.add_argument("--settings", type=Path, metavar="FILE", help="TOML file with settings")
    settings.set_defaults(run=check_settings)
    rooms = check.add_parser("rooms", help="check a TOML file with rooms")
    rooms.add_argument("file", type=Path)
    rooms.set_defaults(run=check_rooms)
    journal = check.add_parser("journal", help="verify the journal's chain, its leaves and its signed heads")
    journal.add_argument("--url", help="its database; else the one of this installation")
    journal.add_argument(
        "--head",
        action="append",
        default=[],
        metavar="SEQ:HASH",
        help="an end that was told earlier; may be repeated",
    )
    journal.add_argument(
        "--jwks", metavar="URL|FILE", help="public keys; else the key ring of this installation"
    )
    journal.set_defaults(run=check_journal)
    paths = check.add_parser(
        "open-paths", help="compare what is open at the gate with what a shop says it needs"
    )
    paths.add_argument("origin", help="the shop as the gate reaches it, as http://shop.internal:8082")
    paths.add_argument("--settings", type=Path, metavar="FILE", help="TOML file with settings")
    paths.set_defaults(run=check_open_paths)
    token = check.add_parser("token", help="verify an admission token, and print what it says")
    token.add_argument("token", help="the token; - reads it from standard input")
    token.add_argument(
        "--jwks", metavar="URL|FILE", help="public keys; else the key ring of this installation"
    )
    token.add_argument("--issuer", help="refuse a token of another issuer")
    token.add_argument("--audience", help="refuse a token for another origin")
    token.add_argument("--room", help="refuse a token of another room")
    token.set_defaults(run=check_token)


def add_keys(parser: argparse.ArgumentParser) -> None:
    """Describe what can be done with the signing keys."""
    keys = parser.add_subparsers(title="what", metavar="WHAT", required=True)
    listed = keys.add_parser("list", help="list the keys; secrets are not shown")
    listed.set_defaults(run=list_keys)
    rotate = keys.add_parser("rotate", help="make a new active key; the old one goes on verifying")
    rotate.add_argument("use", nargs="*", help="admission, status, receipt, ticket, cookie; without one: all")
    rotate.set_defaults(run=rotate_keys)


def check_settings(args: argparse.Namespace) -> int:
    """Print every setting with its value; Misconfigured tells every fault."""
    from gateway.settings import Settings
    from kernel.settings import describe

    settings = settings_of(args)
    rows = []
    for row in describe(Settings):
        value = getattr(settings, row.name)
        shown = ",".join(value) if isinstance(value, tuple) else str(value)
        if row.secret:
            shown = "is set" if value is not None else ""
        rows.append((row.env, "" if value is None else shown, row.help))
    widths = [max(len(row[column]) for row in rows) for column in (0, 1)]
    for name, shown, text in rows:
        print(f"{name.ljust(widths[0])}  {shown.ljust(widths[1])}  {text}")
    return 0


def check_open_paths(args: argparse.Namespace) -> int:
    """Say which addresses the gate keeps shut that the shop needs open, and how to put it right."""
    from gateway.open_paths import Silent, line, missing, published

    own = settings_of(args).open_paths
    try:
        wanted = published(args.origin)
    except Silent as error:
        print(error, file=sys.stderr)
        return NO
    if wanted is None:
        print(f"{args.origin} publishes no open paths: nothing is missing.")
        return 0
    more = missing(wanted, own)
    if more:
        print(f"Shut at the gate, and needed by {args.origin}: {', '.join(more)}")
        print(f"Set at the gate: {line(own, more)}")
        return NO
    print(f"All that {args.origin} needs is open: {', '.join(wanted)}")
    return 0


def check_rooms(args: argparse.Namespace) -> int:
    """Check a file with rooms; Misconfigured tells every fault."""
    for room in rooms_in(args.file)[1]:
        places = " ".join(f"{route.host}{route.path}" for route in room.routes)
        print(f"{room.name}: {places} -> {room.origin}, {len(room.sales)} dated sales")
    return 0


def rooms_in(file: Path) -> "tuple[str, list[Room]]":
    """Read a file with rooms: its text, and what it says. Raises ``Misconfigured`` with every fault."""
    from waitroom.rooms import page_faults
    from waitroom.rooms_toml import parse_toml
    from waitroom.targets_plan import TABLE
    from waitroom.view import custom_page_faults, theme_faults

    try:
        text = file.read_text(encoding="utf-8")
    except OSError as error:
        raise Misconfigured([f"The file {file} cannot be read: {error.strerror}."]) from error
    except UnicodeDecodeError as error:
        raise Misconfigured([f"The file {file} is not UTF-8 text."]) from error
    rooms = parse_toml(text, beside=(TABLE,))
    faults = [
        fault
        for room in rooms
        for fault in page_faults(room, custom_page_faults, theme_faults, where=f"rooms.{room.name}.")
    ]
    if faults:
        raise Misconfigured(faults)
    return text, rooms


def check_journal(args: argparse.Namespace) -> int:
    """Verify the whole journal; the answer is no where any of it was changed, dropped, added or reordered."""
    from datetime import UTC, datetime

    from admission.es256 import verify_raw
    from kernel.signing import from_b64url
    from waitroom.journal_store import JournalStore

    settings = settings_of(args)
    kept = [_head_of(text) for text in args.head]
    keys = _public_keys(args, "status")

    def is_ours(message: bytes, signature: str) -> bool:
        kid, _, text = signature.partition(".")
        try:
            return kid in keys and verify_raw(keys[kid], message, from_b64url(text))
        except ValueError:
            return False

    journal = JournalStore(args.url or settings.journal_address)
    try:
        if not journal.is_there():
            raise Misconfigured(["There is no journal at this address. Set WAITROOM_DATA, or use --url."])
        found = journal.check(kept, is_ours)
    finally:
        journal.close()
    if found.fault is not None:
        print(f"broken at entry {found.fault.seq}: {found.fault.why}")
        return NO
    heads = f"{found.heads} signed heads" if found.heads != 1 else "1 signed head"
    print(f"whole: {found.entries} entries, {found.leaves} leaves, {heads}")
    print(f"end {found.entries}:{found.end.hex()} at {datetime.now(UTC):%Y-%m-%dT%H:%M:%SZ}")
    return 0


def _head_of(text: str) -> "Head":
    from waitroom.journal import Head

    seq, _, digest = text.partition(":")
    try:
        return Head(int(seq), 0, bytes.fromhex(digest), "")
    except ValueError as error:
        raise Misconfigured(
            [f"--head {text}: must be SEQ:HASH, as an earlier check told the end."]
        ) from error


def check_token(args: argparse.Namespace) -> int:
    """Verify an admission token; print what it says, and the word why it does not count."""
    from admission.tokens import Reason, read, refusal

    text = (sys.stdin.read() if args.token == "-" else args.token).strip()  # noqa: S105 (a hyphen)
    claims = read(text, _public_keys(args, "admission"))
    if isinstance(claims, Reason):
        print(json.dumps({"valid": False, "reason": claims.value}))
        return NO
    now_ms = time.time_ns() // 1_000_000
    reason = refusal(
        claims,
        issuer=args.issuer or claims.issuer,
        audience=args.audience or claims.audience,
        room=args.room,
        now_ms=now_ms,
        leeway_ms=0,
    )
    says = {**claims.members(), "expires_in_s": (claims.expires_ms - now_ms) // 1000}
    print(json.dumps({"valid": reason is None, **({"reason": reason.value} if reason else {}), **says}))
    return 0 if reason is None else NO


def _public_keys(args: argparse.Namespace, use: str) -> Mapping[str, "PublicKey"]:
    from admission.es256 import read_public
    from admission.keyring import parse

    if args.jwks is None:
        path = settings_of(args).keyring_path
        return {key.kid: key.public for key in parse(_text_of(path)) if key.use == use}
    if args.jwks.startswith(("http://", "https://")):
        from urllib.request import urlopen

        try:
            with urlopen(args.jwks, timeout=5) as answer:  # noqa: S310 (checked above)
                text = answer.read(1_000_000)
        except OSError as error:
            raise Misconfigured([f"The keys at {args.jwks} cannot be read: {error}."]) from error
    else:
        text = _text_of(Path(args.jwks))
    try:
        listed = [
            key for key in json.loads(text)["keys"] if key.get("kty") == "EC" and key.get("crv") == "P-256"
        ]
        return {str(key["kid"]): read_public(key) for key in listed}
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise Misconfigured([f"{args.jwks} holds no set of keys (JWKS)."]) from error


def _text_of(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        why = error.strerror if isinstance(error, OSError) else "it is not UTF-8 text"
        raise Misconfigured(
            [
                f"The keys in {path} cannot be read: {why}. Set WAITROOM_DATA or WAITROOM_KEYRING, or use --jwks."
            ]
        ) from error


# -------------------------------------------------------------------------------------- keys


def list_keys(args: argparse.Namespace) -> int:
    """List the keys without their secrets."""
    from datetime import UTC, datetime

    from admission.keyring import parse

    for key in parse(_text_of(settings_of(args).keyring_path)):
        made = datetime.fromtimestamp(key.created_ms / 1000, UTC).strftime("%Y-%m-%d %H:%M")
        print(f"{key.use:<10} {key.state:<9} {made}  {key.kid}")
    return 0


def rotate_keys(args: argparse.Namespace) -> int:
    """Make new active keys; running processes take them over within two seconds."""
    from admission.keyring import ROTATED, KeyRing

    now_ms = time.time_ns() // 1_000_000
    path = settings_of(args).keyring_path
    _text_of(path)
    ring = KeyRing.open(path, now_ms)
    unknown = sorted(set(args.use) - ROTATED)
    if unknown:
        raise Misconfigured(
            [f"{use}: is not a rotated key; those are {', '.join(sorted(ROTATED))}." for use in unknown]
        )
    for use in args.use or sorted(ROTATED):
        print(f"{use:<10} {ring.rotate(use, now_ms).kid}")
    return 0
