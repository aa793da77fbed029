"""Command line: ``waitroom``, one subcommand for each thing a person does.

A command imports only what it needs: ``waitroom check token`` works with the base install, on the
machine of a backend. What a person did wrong is told in sentences, one for each fault, with exit
status 2 and no traceback; 1 means that the answer is no.
"""

import argparse
import json
import os
import sys
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from kernel.errors import Misconfigured, Refused, Unavailable

if TYPE_CHECKING:
    from admission.es256 import PublicKey
    from gateway.settings import Settings
    from waitroom.journal import Head

NO, WRONG = 1, 2


def main(words: Sequence[str] | None = None) -> int:
    """Run one command and give its exit status."""
    given = list(sys.argv[1:] if words is None else words)
    args = build_parser(crowd="crowd" in given).parse_args(given)
    if args.parent is not None:
        from gateway.orphan import die_with

        die_with(args.parent)
    try:
        status: int = args.run(args)
    except Misconfigured as error:
        for fault in error.faults:
            print(f"waitroom: {fault}", file=sys.stderr)
        return WRONG
    except (Unavailable, Refused) as error:
        print(f"waitroom: {error.public}", file=sys.stderr)
        return NO
    except ModuleNotFoundError as error:
        if error.name is None or error.name.partition(".")[0] in {
            "gateway",
            "waitroom",
            "admission",
            "kernel",
            "checkout",
        }:
            raise
        print(
            f"waitroom: this needs the package {error.name}: pip install 'waitroom[server]'", file=sys.stderr
        )
        return WRONG
    except KeyboardInterrupt:
        return 130
    return status


def build_parser(*, crowd: bool = True) -> argparse.ArgumentParser:
    """Describe all commands; those of the crowd only when they are wanted, since they cost an import."""
    parser = argparse.ArgumentParser(
        prog="waitroom", description="A virtual waiting room in front of a site."
    )
    parser.add_argument("--parent", type=int, default=None, help=argparse.SUPPRESS)
    commands = parser.add_subparsers(title="commands", metavar="COMMAND", required=True)

    demo = commands.add_parser(
        "demo", help="run everything on this machine, with a demo shop behind the room"
    )
    add_places(demo)
    demo.add_argument("--shop-port", help="port of the demo's shop (8082)")
    demo.add_argument("--crowd", type=int, default=0, metavar="N", help="send N simulated fans")
    demo.set_defaults(run=run_demo)

    serve = commands.add_parser("serve", help="run waiting room and gate before a real site")
    add_places(serve)
    serve.set_defaults(run=run_serve)

    add_checks(commands.add_parser("check", help="check settings, rooms, the journal or an admission token"))

    keys = commands.add_parser("keys", help="list or rotate the signing keys").add_subparsers(
        title="what", metavar="WHAT", required=True
    )
    listed = keys.add_parser("list", help="list the keys; secrets are not shown")
    listed.set_defaults(run=list_keys)
    rotate = keys.add_parser("rotate", help="make a new active key; the old one goes on verifying")
    rotate.add_argument("use", nargs="*", help="admission, status, receipt, ticket, cookie; without one: all")
    rotate.set_defaults(run=rotate_keys)

    fans = commands.add_parser("crowd", help="send simulated fans and check what happens to them")
    if crowd:
        from gateway.crowd.command import add_arguments

        add_arguments(fans)
    fans.set_defaults(run=run_crowd)

    preview = commands.add_parser(
        "preview", help="show every state of the page as a rooms file makes it look"
    )
    preview.add_argument("file", type=Path, help="TOML file with rooms")
    preview.add_argument("--port", type=int, default=8083, help="port on loopback (8083)")
    preview.set_defaults(run=run_preview)

    health = commands.add_parser("health", help="ask a running installation whether it is ready")
    health.add_argument("url", nargs="?", help="its address (http://127.0.0.1:8080)")
    health.set_defaults(run=run_health)

    version = commands.add_parser("version", help="print the version")
    version.set_defaults(run=print_version)

    worker = commands.add_parser("worker")
    worker.add_argument("role", choices=("gate", "operator", "shop"))
    worker.add_argument("--fd", type=int, required=True)
    worker.add_argument("--ready", type=int)
    worker.set_defaults(run=run_worker)
    return parser


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
    token = check.add_parser("token", help="verify an admission token, and print what it says")
    token.add_argument("token", help="the token; - reads it from standard input")
    token.add_argument(
        "--jwks", metavar="URL|FILE", help="public keys; else the key ring of this installation"
    )
    token.add_argument("--issuer", help="refuse a token of another issuer")
    token.add_argument("--audience", help="refuse a token for another origin")
    token.add_argument("--room", help="refuse a token of another room")
    token.set_defaults(run=check_token)


def add_places(parser: argparse.ArgumentParser) -> None:
    """Add the options that are settings too; they count above the environment."""
    parser.add_argument("--port", help="port of the gate (8080)")
    parser.add_argument("--operator-port", help="port of the control page (8081)")
    parser.add_argument("--host", help="address that the gate listens on (127.0.0.1)")
    parser.add_argument("--data", help="folder for keys, journal and the embedded store")
    parser.add_argument("--workers", help="number of gate processes (1)")
    parser.add_argument("--rooms", help="TOML file with the rooms")
    parser.add_argument("--settings", type=Path, metavar="FILE", help="TOML file with settings")


def _settings(args: argparse.Namespace, under: Mapping[str, object] | None = None) -> "Settings":
    from gateway.settings import env, load

    given = {
        env(name): str(value)
        for name in ("port", "operator_port", "shop_port", "host", "data", "workers", "rooms")
        if (value := getattr(args, name, None)) is not None
    }
    return load({**os.environ, **given}, file=getattr(args, "settings", None), under=under)


# --------------------------------------------------------------------------------- processes


def run_demo(args: argparse.Namespace) -> int:
    """Run everything on this machine."""
    from gateway.settings import DEMO

    return _run(_settings(args, DEMO), demo=True, crowd=args.crowd)


def run_preview(args: argparse.Namespace) -> int:
    """Show previews."""
    from gateway.preview import Preview, serve
    from kernel.clock import SystemClock

    def tell(url: str) -> None:
        print(f"\n  Every state of the page    {url}\n\n  Save the file and reload. Ctrl-C ends it.\n")

    serve(Preview(args.file, SystemClock().now_ms), args.port, tell)
    return 0


def run_serve(args: argparse.Namespace) -> int:
    """Run waiting room and gate before a real site."""
    return _run(_settings(args), demo=False, crowd=0)


def _run(settings: "Settings", *, demo: bool, crowd: int) -> int:
    from gateway.demo import run
    from kernel.log import configure

    configure(settings.log_level, text=settings.log_format == "text")
    return run(settings, demo=demo, crowd=crowd)


def run_worker(args: argparse.Namespace) -> int:
    """Run one process for the supervisor; its settings are all in the environment."""
    from gateway.server import main as serve

    if args.role == "shop":
        from gateway.shop import build
    else:
        from gateway.wiring import build  # type: ignore[assignment]

    serve(args.role, _settings(args), build, descriptor=args.fd, ready=args.ready)
    return 0


def run_crowd(args: argparse.Namespace) -> int:
    """Send simulated fans."""
    from gateway.crowd.command import run

    return int(run(args) or 0)


def run_health(args: argparse.Namespace) -> int:
    """Ask whether an installation is ready."""
    from http.client import HTTPException
    from urllib.error import HTTPError
    from urllib.request import urlopen

    settings = _settings(args)
    url = (args.url or f"http://127.0.0.1:{settings.port}").rstrip("/")
    if not url.startswith(("http://", "https://")):
        raise Misconfigured([f"{url} is not an address such as http://127.0.0.1:8080."])
    try:
        with urlopen(f"{url}{settings.prefix}/health/ready", timeout=3) as answer:  # noqa: S310 (checked above)
            print("ready" if answer.status == 200 else f"not ready ({answer.status})")
            return 0 if answer.status == 200 else NO
    except HTTPError as error:
        print(f"not ready ({error.code})")
    except (OSError, HTTPException) as error:
        print(f"away: {error}")
    return NO


def print_version(_args: argparse.Namespace) -> int:
    """Print the version."""
    from importlib.metadata import PackageNotFoundError, version

    try:
        print(version("waitroom"))
    except PackageNotFoundError:
        print("unknown (not installed)")
    return 0


# ------------------------------------------------------------------------------------ checks


def check_settings(args: argparse.Namespace) -> int:
    """Print every setting with its value; Misconfigured tells every fault."""
    from gateway.settings import Settings
    from kernel.settings import describe

    settings = _settings(args)
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


def check_rooms(args: argparse.Namespace) -> int:
    """Check a file with rooms; Misconfigured tells every fault."""
    from waitroom.rooms import page_faults
    from waitroom.rooms_toml import parse_toml
    from waitroom.view import custom_page_faults, theme_faults

    try:
        text = args.file.read_text(encoding="utf-8")
    except OSError as error:
        raise Misconfigured([f"The file {args.file} cannot be read: {error.strerror}."]) from error
    except UnicodeDecodeError as error:
        raise Misconfigured([f"The file {args.file} is not UTF-8 text."]) from error
    rooms = parse_toml(text)
    faults = [
        fault
        for room in rooms
        for fault in page_faults(room, custom_page_faults, theme_faults, where=f"rooms.{room.name}.")
    ]
    if faults:
        raise Misconfigured(faults)
    for room in rooms:
        places = " ".join(f"{route.host}{route.path}" for route in room.routes)
        print(f"{room.name}: {places} -> {room.origin}, {len(room.sales)} dated sales")
    return 0


def check_journal(args: argparse.Namespace) -> int:
    """Verify the whole journal; the answer is no where any of it was changed, dropped, added or reordered."""
    from datetime import UTC, datetime

    from admission.es256 import verify_raw
    from kernel.signing import from_b64url
    from waitroom.journal_store import JournalStore

    settings = _settings(args)
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
        path = _settings(args).keyring_path
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

    for key in parse(_text_of(_settings(args).keyring_path)):
        made = datetime.fromtimestamp(key.created_ms / 1000, UTC).strftime("%Y-%m-%d %H:%M")
        print(f"{key.use:<10} {key.state:<9} {made}  {key.kid}")
    return 0


def rotate_keys(args: argparse.Namespace) -> int:
    """Make new active keys; running processes take them over within two seconds."""
    from admission.keyring import ROTATED, KeyRing

    now_ms = time.time_ns() // 1_000_000
    path = _settings(args).keyring_path
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
