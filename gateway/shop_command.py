"""Shop command: ``waitroom shop``: runs the shop alone, checks what it has sold; imports and moves (``shop_acts``).

``serve`` runs shop processes without a line; ``check`` looks at SQL and the store of a sale and names everything that
is not true (docs/invariants.md); ``log`` looks at the log of sales (``shop_log``), ``keys`` at those that sign tickets
(``shop_keys``), ``push`` at those of messages in browsers (``push_command``).
"""

import argparse
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from gateway.options import NO, settings_of
from gateway.people_command import add_people
from gateway.push_command import add_push
from gateway.shop_acts import add_acts
from gateway.shop_keys import add_keys
from gateway.staff_command import add_staff
from kernel.errors import Misconfigured

if TYPE_CHECKING:
    from checkout.audit.money import Theirs
    from checkout.audit.records import Record
    from gateway.settings import Settings


def add_shop(parser: argparse.ArgumentParser) -> None:
    """Describe what can be done with the shop."""
    shop = parser.add_subparsers(title="what", metavar="WHAT", required=True)
    serve = shop.add_parser("serve", help="run the shop's processes alone, behind a gate that runs elsewhere")
    serve.add_argument("--shop-host", help="address that the shop listens on (127.0.0.1)")
    serve.add_argument("--shop-port", help="port of the shop (8082)")
    serve.add_argument("--shop-workers", help="number of shop processes (1)")
    serve.add_argument("--role", dest="shop_roles", help="what these processes answer, as holds,map (all)")
    serve.add_argument("--data", help="folder for keys, the shop's database and its embedded store")
    serve.add_argument("--settings", type=Path, metavar="FILE", help="TOML file with settings")
    serve.set_defaults(run=serve_shop)
    check = shop.add_parser(
        "check", help="check a sale in SQL and in the store; exit status 1 if anything is wrong"
    )
    check.add_argument("event", nargs="*", help="ids of events; without one: all")
    check.add_argument(
        "--live", action="store_true", help="the sale goes on: leave out what settles a moment later"
    )
    check.add_argument(
        "--records",
        type=Path,
        metavar="FILE",
        help="what a crowd was told of the one event that is named (waitroom crowd --records)",
    )
    check.add_argument(
        "--sandbox-url",
        metavar="URL",
        help="the sandbox, as `waitroom demo` tells its address: compare its ledger as well",
    )
    check.add_argument("--data", help="folder of the installation")
    check.add_argument("--settings", type=Path, metavar="FILE", help="TOML file with settings")
    check.set_defaults(run=check_shop)
    _add_log(shop.add_parser("log", help="the log of sales: verify it, show a sale, rebuild tables from it"))
    add_keys(shop.add_parser("keys", help="the keys that sign tickets: list, rotate, drop"))
    add_push(shop.add_parser("push", help="the keys of messages in browsers: list, rotate, drop"))
    add_acts(shop)
    add_people(shop)
    add_staff(shop)


def _add_log(parser: argparse.ArgumentParser) -> None:
    """Describe what can be done with the log."""
    log = parser.add_subparsers(title="what", metavar="WHAT", required=True)
    verify = log.add_parser("verify", help="is it as it was written; exit status 1 if not")
    verify.add_argument(
        "--anchor", metavar="NUMBER:HASH", help="a block that was told before and must be there"
    )
    show = log.add_parser("show", help="what has happened to a reservation")
    show.add_argument("reservation")
    rebuild = log.add_parser("rebuild", help="make reservations and seats what the log comes to")
    rebuild.add_argument("event", nargs="*", help="ids of events; without one: all")
    rebuild.add_argument(
        "--check", action="store_true", help="only say what differs; exit status 1 if anything"
    )
    for act, one in (("verify", verify), ("show", show), ("rebuild", rebuild)):
        one.add_argument("--data", help="folder of the installation")
        one.add_argument("--settings", type=Path, metavar="FILE", help="TOML file with settings")
        one.set_defaults(run=read_log, act=act)


def serve_shop(args: argparse.Namespace) -> int:
    """Run the shop alone."""
    from gateway.demo import Kind, run
    from gateway.logs import start_log

    settings = settings_of(args)
    start_log(settings)
    return run(settings, Kind.SHOP)


def check_shop(args: argparse.Namespace) -> int:
    """Check what was sold."""
    from checkout.audit.checking import check_sale
    from gateway.shop_parts import events_and_addresses

    is_right = True
    records = records_of(args.records, args.event)
    settings, now_ms = settings_of(args), time.time_ns() // 1_000_000
    main_url, found = events_and_addresses(settings, args.event)
    ledger = None if args.sandbox_url is None else _ledger(settings, args.sandbox_url, now_ms)
    for event, shard in found.items():
        verdict = check_sale(
            shard.database_url,
            shard.store_url,
            event,
            records,
            catalogue_url=main_url,
            settled=not args.live,
            theirs=None if ledger is None else ledger.get(event, []),
            now_ms=now_ms,
        )
        for line in verdict.lines():
            print(line)
        is_right = is_right and verdict.is_right
    if not found:
        print("there is no event", file=sys.stderr)
    return 0 if is_right else NO


def _ledger(settings: "Settings", url: str, now_ms: int) -> "dict[str, list[Theirs]]":
    """Ask the sandbox of this installation. Raises ``Misconfigured`` or ``Unavailable``."""
    from checkout.audit.ledger import read_adyen_ledger, read_ledger
    from gateway.shop_settings import ADYEN_SANDBOX

    if settings.payments == ADYEN_SANDBOX:
        from gateway import adyen

        return read_adyen_ledger(url, adyen.sandbox_secrets(settings, now_ms).api_key)
    from gateway.sandbox import sandbox_secrets

    key, _ = sandbox_secrets(settings, now_ms)
    return read_ledger(url, key)


def read_log(args: argparse.Namespace) -> int:
    """Look at the log, or put tables back from it."""
    from gateway.shop_log import Wrong, anchor_of, rebuilt, shown, verified

    settings = settings_of(args)
    match args.act:
        case "verify":
            lines = verified(settings, anchor_of(args.anchor) if args.anchor else None)
        case "show":
            lines = shown(settings, args.reservation)
        case _:
            lines = rebuilt(settings, args.event, only_check=args.check)
    try:
        for line in lines:
            print(line)
    except Wrong:
        return NO
    return 0


def records_of(path: Path | None, events: Sequence[str]) -> "list[Record]":
    """Read what clients were told, of one event. Raises ``Misconfigured``."""
    from checkout.audit.records import read

    if path is None:
        return []
    if len(events) != 1:
        raise Misconfigured(["--records: name the one event that the file is of."])
    try:
        return list(read(path.read_bytes().splitlines()))
    except OSError as error:
        raise Misconfigured([f"--records: {path} cannot be read: {error.strerror}."]) from error
    except ValueError as error:
        raise Misconfigured([f"--records: {path}: {error}."]) from error
