"""``waitroom crowd``: send simulated fans to a room on this machine and say whether it kept its promises.

Exit status 0: every check is green; 1: one is red, or nobody answers; 2: the arguments make no sense. Drills (losing
the store in the middle) harm the room, so the command knows none by itself: a caller that can do such a thing
hands it in by name.
"""

import argparse
import asyncio
import gc
import json
import os
import signal
import sys
import time
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from random import Random

from gateway.crowd.books import admissions_of
from gateway.crowd.bots.kinds import DEFAULT_KINDS, read_ratio
from gateway.crowd.crowd import Hooks, Result, Unreachable, run_crowd
from gateway.crowd.observed import Observed
from gateway.crowd.plan import (
    DEFAULT_ERRANDS,
    DEFAULT_MANNERS,
    DEFAULT_MIX,
    NO_ERRANDS,
    Drill,
    Limits,
    Plan,
    faults,
    is_loopback,
    read_errands,
    read_kinds,
    read_manners,
    read_mix,
)
from gateway.crowd.progress import Progress
from gateway.crowd.report import as_dict, table
from gateway.crowd.report_page import page
from gateway.crowd.seats.booked import Booked
from gateway.crowd.seats.retold import write_records
from gateway.crowd.sockets import TooFewSockets
from gateway.crowd.traces import Shape, arrivals
from kernel.errors import Misconfigured

GREEN, RED, WRONG = 0, 1, 2


@dataclass(frozen=True, slots=True)
class Harm:
    """What a drill named on the command line does."""

    act: Callable[[], Awaitable[None]]
    loses_store: bool
    grace_s: float = 10.0


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Describe the command's arguments."""
    plan = Plan()
    parser.add_argument("address", nargs="?", help="the site, as http://127.0.0.1:8080 (this machine only)")
    parser.add_argument("--url", help="the same as the address")
    parser.add_argument("--room", default=plan.room, help="the room's name (main)")
    parser.add_argument("--fans", type=int, default=plan.fans, metavar="N", help="how many come (2000)")
    parser.add_argument(
        "--duration", type=float, default=plan.duration_s, metavar="S", help="seconds in which they come (60)"
    )
    parser.add_argument(
        "--linger",
        type=float,
        default=plan.linger_s,
        metavar="S",
        help="wait so long after the last came (900)",
    )
    parser.add_argument(
        "--shape", default=plan.shape, help=f"how they come: {', '.join(Shape)} or trace:FILE (onsale)"
    )
    parser.add_argument(
        "--mix", help="shares of the scripts, as steady=80,ghost=20; known: " + ", ".join(DEFAULT_MIX)
    )
    parser.add_argument("--seed", type=int, default=plan.seed, help="the same seed brings the same crowd (1)")
    parser.add_argument("--connections", type=int, default=plan.connections, help="at most so many (256)")
    parser.add_argument(
        "--own-sockets", action="store_true", help="a connection for each fan, open all the time"
    )
    parser.add_argument("--target", default=plan.target, help="the page that the fans want (/)")
    parser.add_argument("--prefix", default=plan.prefix, help="path of the waiting room (/.waitroom)")
    parser.add_argument(
        "--limit-rate", type=float, metavar="N", help="the room's new_users_per_minute, to check"
    )
    parser.add_argument(
        "--limit-active", type=int, metavar="N", help="the room's total_active_users, to check"
    )
    parser.add_argument("--operator-url", help="the operator's port, to learn the limits and count sessions")
    parser.add_argument("--operator-token-file", type=Path, metavar="FILE", help="the operator's token")
    parser.add_argument(
        "--journal-url", metavar="URL", help="the journal's database: admissions to the millisecond"
    )
    parser.add_argument(
        "--drill", metavar="NAME@S,…", help="harm the room on the way, where a caller knows how"
    )
    parser.add_argument(
        "--errands",
        help="where the origin sells seats (/api/events lists events on sale), shares of what fans do there, as "
        f"reserve=60,walk_away=10; {NO_ERRANDS}: they only look at pages, as at any other origin; known: "
        + ", ".join(DEFAULT_ERRANDS),
    )
    parser.add_argument(
        "--paying",
        metavar="SHARES",
        help="where the shop takes money (a sandbox's), shares of how fans pay, as ok=80,declined=20; "
        f"{NO_ERRANDS}: they reserve and do not pay; known: " + ", ".join(DEFAULT_MANNERS),
    )
    parser.add_argument(
        "--books",
        type=Path,
        metavar="DATA",
        help="folder of the installation: at the end its checker looks at what was sold (I1 to I12)",
    )
    parser.add_argument(
        "--sandbox-url",
        metavar="URL",
        help="the sandbox, whose ledger is compared as well; its key is in the folder named by --books",
    )
    parser.add_argument(
        "--settle",
        type=float,
        default=plan.settle_s,
        metavar="S",
        help=f"the shop has so long to settle what buyers left behind ({plan.settle_s:.0f})",
    )
    parser.add_argument(
        "--event", default=plan.event, metavar="ID", help="the event that all want (any on sale)"
    )
    parser.add_argument(
        "--alone",
        action="store_true",
        help="nobody but the crowd buys: a refusal that no fan explains is an error of the shop",
    )
    parser.add_argument(
        "--records",
        type=Path,
        metavar="FILE",
        help="write what was asked and told of each seat, for the shop's own checker; a file for each event",
    )
    parser.add_argument(
        "--bots", default="0%", metavar="SHARE", help="so much of the crowd are bots, as 50%% (0%%: none)"
    )
    parser.add_argument(
        "--kinds",
        help="shares of the kinds of bots, as mimic=60,solver=40, or their names only; known: "
        + ", ".join(DEFAULT_KINDS),
    )
    parser.add_argument(
        "--places", type=int, metavar="N", help="the sale is over when so many were admitted (it goes on)"
    )
    parser.add_argument(
        "--passes",
        default=plan.passes,
        metavar="TEXT",
        help="how a token begins that the room's stand-in for a provider of checks takes (there is none)",
    )
    parser.add_argument("--report", type=Path, metavar="FILE", help="write an HTML page")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write all figures as JSON; - for stdout")


def run(args: argparse.Namespace, harms: Mapping[str, Harm] | None = None) -> int:
    """Run the command and give its exit status."""
    try:
        plan = plan_of(args)
        drills = drills_of(args.drill, harms or {})
        journal = admissions_of(args.journal_url, plan.room) if args.journal_url else None
        books = _books(args)
        arrivals(plan.shape, 0, plan.duration_s, Random(plan.seed))
    except (ValueError, OSError) as error:
        return _say(str(error), WRONG)
    except Misconfigured as error:
        return _say("\n".join(error.faults), WRONG)
    if found := faults(plan):
        return _say("\n".join(found), WRONG)
    progress = Progress(sys.stderr, plan.fans, sys.stderr.isatty())
    try:
        result = _run(
            plan,
            Hooks(drills=drills, journal=journal, books=books, pulse=progress, closing=_close_on_interrupt),
        )
    except Unreachable as error:
        return _say(str(error), RED)
    except TooFewSockets as error:
        return _say(str(error), WRONG)
    finally:
        progress.done()
    try:
        _write(args, result)
    except OSError as error:
        return _say(f"The report cannot be written: {error}.", WRONG)
    return GREEN if result.is_green else RED


def plan_of(args: argparse.Namespace) -> Plan:
    """Turn the arguments into a plan. Raises ValueError or OSError."""
    url = args.url or args.address or Plan().url
    if args.url and args.address and args.url != args.address:
        raise ValueError("The address is given twice.")
    token = args.operator_token_file.read_text(encoding="utf-8").strip() if args.operator_token_file else None
    return Plan(
        url=url.rstrip("/"),
        room=args.room,
        fans=args.fans,
        duration_s=args.duration,
        linger_s=args.linger,
        shape=args.shape,
        mix=read_mix(args.mix) if args.mix else DEFAULT_MIX,
        seed=args.seed,
        connections=args.connections,
        own_sockets=args.own_sockets,
        target=args.target,
        prefix=args.prefix.rstrip("/"),
        limits=Limits(args.limit_rate, args.limit_active),
        operator_url=args.operator_url.rstrip("/") if args.operator_url else None,
        operator_token=token,
        errands=read_errands(args.errands) if args.errands is not None else DEFAULT_ERRANDS,
        manners=read_manners(args.paying) if args.paying is not None else DEFAULT_MANNERS,
        settle_s=args.settle,
        event=args.event,
        alone=args.alone,
        bots=read_ratio(args.bots),
        kinds=read_kinds(args.kinds) if args.kinds else dict(DEFAULT_KINDS),
        places=args.places,
        passes=args.passes,
    )


def _books(args: argparse.Namespace) -> Callable[[Observed], Awaitable[Booked]] | None:
    """Make the reader of the installation's books. Raises ValueError or Misconfigured."""
    if args.books is None:
        if args.sandbox_url:
            raise ValueError("--sandbox-url: name the installation's folder as well (--books).")
        return None
    # A crowd without books needs no SQL.
    from gateway.crowd.sale_books import books_of  # noqa: PLC0415
    from gateway.sandbox import sandbox_secrets  # noqa: PLC0415
    from gateway.settings import load  # noqa: PLC0415
    from gateway.shop_parts import database_there  # noqa: PLC0415
    from kernel.settings import env  # noqa: PLC0415

    settings = load({**os.environ, env("data"): str(args.books)})
    database_there(settings)
    if not args.sandbox_url:
        return books_of(settings)
    if not is_loopback(args.sandbox_url):
        raise ValueError(f"The sandbox {args.sandbox_url!r} is not on this machine.")
    key, _ = sandbox_secrets(settings, time.time_ns() // 1_000_000)
    return books_of(settings, (args.sandbox_url, key))


def drills_of(text: str | None, harms: Mapping[str, Harm]) -> list[Drill]:
    """Read ``flush@20,kill-store@40``. Raises ValueError."""
    drills = []
    for part in (text or "").split(",") if text else []:
        name, _, at = part.strip().partition("@")
        if name not in harms:
            known = f"there are {', '.join(sorted(harms))}" if harms else "this command cannot harm a room"
            raise ValueError(f"The drill {name!r} is not known; {known}.")
        try:
            at_s = float(at)
        except ValueError as error:
            raise ValueError(f"The drill {part!r} needs NAME@SECONDS.") from error
        harm = harms[name]
        drills.append(Drill(at_s, name, harm.act, harm.loses_store, grace_s=harm.grace_s))
    return drills


def _run(plan: Plan, hooks: Hooks) -> Result:
    # What exists by now stays; looking through it again and again would only make the load uneven.
    gc.collect()
    gc.freeze()
    try:
        import uvloop  # noqa: PLC0415 - the standard loop does as well, a third slower
    except ModuleNotFoundError:
        return asyncio.run(run_crowd(plan, hooks))
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        return runner.run(run_crowd(plan, hooks))


def _close_on_interrupt(close: Callable[[], None]) -> None:
    """The first Ctrl-C or SIGTERM sends the fans home and reports; a second one ends at once."""
    loop = asyncio.get_running_loop()

    def interrupted() -> None:
        for number in (signal.SIGINT, signal.SIGTERM):
            loop.remove_signal_handler(number)
        close()

    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, interrupted)


def _write(args: argparse.Namespace, result: Result) -> None:
    if str(args.json) == "-":
        print(json.dumps(as_dict(result)))
    else:
        print(table(result, colour=sys.stdout.isatty()))
    if args.json is not None and str(args.json) != "-":
        args.json.write_text(json.dumps(as_dict(result), indent=1) + "\n", encoding="utf-8")
    if args.records is not None:
        for path in write_records(result.observed, args.records):
            print(f"What was asked and told of seats is in {path}", file=sys.stderr)
    if args.report is not None:
        args.report.write_text(page(result), encoding="utf-8")
        print(f"The report is in {args.report}", file=sys.stderr)


def _say(text: str, status: int) -> int:
    for line in text.splitlines():
        print(f"waitroom: {line}", file=sys.stderr)
    return status
