"""Command line: ``waitroom``, one subcommand for each thing a person does.

A command imports only what it needs: ``waitroom check token`` works with the base install, on the
machine of a backend. What a person did wrong is told in sentences, one for each fault, with exit
status 2 and no traceback; 1 means that the answer is no.
"""

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from gateway.apply_command import add_apply
from gateway.bots_command import add_bots
from gateway.checking import add_checks, add_keys
from gateway.codes_command import add_codes
from gateway.doctor_command import add_doctor
from gateway.operators_command import add_operators
from gateway.options import NO, WRONG, settings_of
from gateway.shop_command import add_shop
from kernel.errors import Misconfigured, Refused, Unavailable

if TYPE_CHECKING:
    from gateway.settings import Settings


def main(words: Sequence[str] | None = None) -> int:
    """Run one command and give its exit status."""
    given = list(sys.argv[1:] if words is None else words)
    wrong = NO if given[:1] == ["plan"] else WRONG  # 2 is the plan's word for: there is something to do
    try:
        args = build_parser(crowd="crowd" in given).parse_args(given)
    except SystemExit as end:
        raise SystemExit(wrong if end.code == WRONG else end.code) from None
    if args.parent is not None:
        from gateway.orphan import die_with

        die_with(args.parent)
    try:
        status: int = args.run(args)
    except Misconfigured as error:
        for fault in error.faults:
            print(f"waitroom: {fault}", file=sys.stderr)
        return wrong
    except (Unavailable, Refused) as error:
        print(f"waitroom: {error.public}", file=sys.stderr)
        return NO
    except ModuleNotFoundError as error:
        if error.name is None or error.name.partition(".")[0] in {
            "gateway",
            "waitroom",
            "admission",
            "botguard",
            "kernel",
            "checkout",
        }:
            raise
        extra = "bots" if error.name.partition(".")[0] in {"numpy", "sklearn"} else "server"
        print(
            f"waitroom: this needs the package {error.name}: pip install 'waitroom[{extra}]'", file=sys.stderr
        )
        return wrong
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
    demo.add_argument("--shop-workers", help="number of shop processes (1)")
    demo.add_argument("--crowd", type=int, default=0, metavar="N", help="send N simulated fans")
    demo.set_defaults(run=run_demo)

    serve = commands.add_parser("serve", help="run waiting room and gate before a real site")
    add_places(serve)
    serve.set_defaults(run=run_serve)

    add_shop(commands.add_parser("shop", help="run the shop alone, or check what it has sold"))

    doctor = commands.add_parser(
        "doctor", help="look at an installation, say what is wrong, pack it for support"
    )
    add_places(doctor)
    add_doctor(doctor)

    add_checks(commands.add_parser("check", help="check settings, rooms, the journal or an admission token"))

    add_apply(commands)

    add_keys(commands.add_parser("keys", help="list or rotate the signing keys"))

    add_bots(commands.add_parser("bots", help="train a model of the bot guard, or judge what it is worth"))

    add_codes(
        commands.add_parser("codes", help="make, list or revoke invitation and priority codes of a room")
    )

    add_operators(
        commands.add_parser("operators", help="who may come to the console, and tokens for programs")
    )

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
    health.add_argument(
        "url",
        nargs="?",
        help="its address; else the gate of this installation, or its shop where that runs alone",
    )
    health.set_defaults(run=run_health)

    version = commands.add_parser("version", help="print the version")
    version.set_defaults(run=print_version)

    worker = commands.add_parser("worker")
    worker.add_argument("role", choices=("gate", "operator", "shop", "sandbox"))
    worker.add_argument("--role", dest="shop_roles", help="of the shop: what this process answers (all)")
    worker.add_argument("--fd", type=int, required=True)
    worker.add_argument("--ready", type=int)
    worker.set_defaults(run=run_worker)
    return parser


def add_places(parser: argparse.ArgumentParser) -> None:
    """Add the options that are settings too; they count above the environment."""
    parser.add_argument("--port", help="port of the gate (8080)")
    parser.add_argument("--operator-port", help="port of the console (8081)")
    parser.add_argument("--host", help="address that the gate listens on (127.0.0.1)")
    parser.add_argument("--data", help="folder for keys, journal and the embedded store")
    parser.add_argument("--workers", help="number of gate processes (1)")
    parser.add_argument("--rooms", help="TOML file with the rooms")
    parser.add_argument("--settings", type=Path, metavar="FILE", help="TOML file with settings")


# --------------------------------------------------------------------------------- processes


def run_demo(args: argparse.Namespace) -> int:
    """Run everything on this machine."""
    from gateway.settings import DEMO

    return _run(settings_of(args, DEMO), "demo", crowd=args.crowd)


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
    return _run(settings_of(args), "serve")


def _run(settings: "Settings", kind: str, *, crowd: int = 0) -> int:
    from gateway.demo import Kind, run
    from gateway.logs import start_log

    start_log(settings)
    return run(settings, Kind(kind), crowd=crowd)


def run_worker(args: argparse.Namespace) -> int:
    """Run one process for the supervisor; its settings are all in the environment."""
    from gateway.server import main as serve

    if args.role == "shop":
        from gateway.shop import build
    elif args.role == "sandbox":
        from gateway.sandbox import build  # type: ignore[assignment]
    else:
        from gateway.wiring import build  # type: ignore[assignment]

    serve(args.role, settings_of(args), build, descriptor=args.fd, ready=args.ready)
    return 0


def run_crowd(args: argparse.Namespace) -> int:
    """Send simulated fans."""
    from gateway.crowd.command import run

    return int(run(args) or 0)


def run_health(args: argparse.Namespace) -> int:
    """Ask whether an installation is ready."""
    import json
    from http.client import HTTPException
    from urllib.error import HTTPError
    from urllib.request import ProxyHandler, build_opener

    from gateway.settings import is_shop_alone, loopback

    settings = settings_of(args)
    url = (args.url or f"http://{loopback(settings.host)}:{settings.port}").rstrip("/")
    if not url.startswith(("http://", "https://")):
        raise Misconfigured([f"{url} is not an address such as http://127.0.0.1:8080."])
    address = f"{url}{settings.prefix}/health/ready"
    if not args.url and is_shop_alone(settings):
        address = f"http://{loopback(settings.shop_host)}:{settings.shop_port}/health/ready"
    # Whoever looks at this machine goes through no proxy.
    opener = build_opener(ProxyHandler() if args.url else ProxyHandler({}))
    try:
        with opener.open(address, timeout=3) as answer:
            told = json.load(answer)
        if not isinstance(told, dict) or told.get("status") != "ready":
            raise ValueError("no waiting room")  # noqa: TRY301 (what is no JSON is the same)
        # What does not keep it from its work, but whoever asks should know.
        also = [f"{name}: {', '.join(told[name])}" for name in ("shedding", "warnings") if told.get(name)]
        print("; ".join(["ready", *also]))
        return 0
    except HTTPError as error:
        with error:
            print(f"not ready ({error.code}) {error.read(1000).decode(errors='replace')}".strip())
    except ValueError:
        print("away: something else answers there")
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
