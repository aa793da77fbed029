"""Shop acts: ``waitroom shop import`` and ``waitroom shop move``: what is done to the shop at the command line.

``import`` makes a layout of a seating plan and tells its id; a plan with faults leaves nothing, and each fault is told
with its line. ``move`` brings an event to another shard while nothing is sold of it (``checkout.shards.moving``), and
tells each step; broken off, it says how to go on. Everything else about events is the organiser's API.
"""

import argparse
import asyncio
import sys
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING

from gateway.options import settings_of
from kernel.errors import Misconfigured, Refused

if TYPE_CHECKING:
    from checkout.organiser.importing import Imported, Kind
    from checkout.shards.moving import Moved, Progress
    from gateway.settings import Settings

TOLD_EVERY = 10
"""A copy is told in so many parts."""


def add_acts(shop: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Describe what can be done to the shop."""
    brought = shop.add_parser("import", help="make a layout of a seating plan: CSV, or pretix's JSON")
    brought.add_argument("file", type=Path)
    brought.add_argument("--venue", required=True, help="id of the house that it is of")
    brought.add_argument(
        "--name", default="", help="what the layout is called; else as the file or the venue"
    )
    brought.add_argument("--kind", choices=("csv", "pretix"), help="else as the file's name ends")
    _add_places(brought)
    brought.set_defaults(run=import_plan)
    moved = shop.add_parser("move", help="bring an event to another shard while nothing is sold of it")
    moved.add_argument("event", help="id of the event")
    moved.add_argument("--to", required=True, metavar="SHARD", help="where it is to be")
    _add_places(moved)
    moved.set_defaults(run=move_event)


def _add_places(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--data", help="folder of the installation")
    parser.add_argument("--settings", type=Path, metavar="FILE", help="TOML file with settings")


# ----------------------------------------------------------------------------------------- import


def import_plan(args: argparse.Namespace) -> int:
    """Make a layout of a file. Misconfigured tells every fault of it."""
    from checkout.organiser.importing import Kind, kind_of_file

    kind = Kind(args.kind) if args.kind else kind_of_file(args.file.name)
    if kind is None:
        raise Misconfigured([f"{args.file}: say with --kind whether it is csv or pretix."])
    try:
        octets = args.file.read_bytes()
    except OSError as error:
        raise Misconfigured([f"The file {args.file} cannot be read: {error.strerror}."]) from error
    try:
        made = asyncio.run(_imported(settings_of(args), args.venue, octets, kind, args.name))
    except Refused as error:
        faults = error.extra.get("faults")
        if not isinstance(faults, list):
            raise
        raise Misconfigured([f"{args.file}: {fault}" for fault in faults]) from error
    layout = made.plan.layout
    print(made.layout)
    print(f"{layout.name}: {layout.seats:,} places in {len(layout.sections)} sections", file=sys.stderr)
    counts = Counter(made.plan.tiers)
    for tier, name in enumerate(made.plan.tier_names):
        print(f"  tier {tier}  {name}: {counts[tier]:,}", file=sys.stderr)
    return 0


async def _imported(settings: "Settings", venue: str, octets: bytes, kind: "Kind", name: str) -> "Imported":
    from checkout.catalogue.service import Catalogue
    from checkout.catalogue.store import CatalogueStore
    from checkout.database import ShopDatabase
    from checkout.halls.seat_rows import SeatRows
    from checkout.organiser.importing import Importing
    from gateway.shop_parts import database_there
    from kernel.clock import SystemClock

    database = ShopDatabase(database_there(settings))
    try:
        await asyncio.to_thread(database.open)
        catalogue = Catalogue(CatalogueStore(database), lambda _event: SeatRows(database), SystemClock())
        return await Importing(catalogue).add(venue, octets, kind, name)
    finally:
        database.close()


# ------------------------------------------------------------------------------------------- move


class Teller:
    """Tells a move's steps to whoever watches, a line for each."""

    def __init__(self) -> None:
        self.is_begun = False
        self._told: tuple[str, int] | None = None

    def tell(self, progress: "Progress") -> None:
        """Take a step down."""
        from checkout.shards.moving import Step

        self.is_begun = self.is_begun or progress.step not in {Step.LOOK, Step.MARK}
        part = TOLD_EVERY * progress.done // progress.all if progress.all else 0
        if self._told == (progress.step, part):
            return
        self._told = progress.step, part
        match progress.step:
            case Step.WAIT:
                left = (progress.all - progress.done) // 1000
                text = f"until every process has heard of it: {left} s"
            case Step.COPY:
                text = f"{progress.done:,} of {progress.all:,} rows"
            case _:
                text = ""
        print(f"{progress.step:<8}{text}".rstrip(), file=sys.stderr, flush=True)


def move_event(args: argparse.Namespace) -> int:
    """Bring an event to another shard."""
    teller = Teller()
    try:
        moved = asyncio.run(_moved(settings_of(args), args.event, args.to, teller))
    except BaseException:
        if teller.is_begun:
            print(
                f"waitroom: the event may still be on its way, and nobody finds it then. The same command again goes "
                f"on; `waitroom shop move {args.event} --to` the shard where it was gives up.",
                file=sys.stderr,
            )
        raise
    if not moved.rows:
        print(f"{moved.event} is on {moved.shard}, and nowhere else")
    else:
        rows = ", ".join(f"{summary.rows:,} {name}" for name, summary in moved.rows.items() if summary.rows)
        print(f"{moved.event} is on {moved.shard} now: {rows}")
    return 0


async def _moved(settings: "Settings", event: str, to: str, teller: Teller) -> "Moved":
    from prometheus_client import CollectorRegistry

    from checkout.catalogue.store import CatalogueStore
    from checkout.holds.journal import HoldJournal
    from checkout.metrics import Metrics
    from checkout.sales.rebuilding import Rebuilder
    from checkout.shards.moving import Mover
    from gateway.shop_parts import ShopParts, database_there

    database_there(settings)
    parts = ShopParts(settings)
    try:
        await parts.open()
        # Counted by nobody: this process ends.
        metrics = Metrics(CollectorRegistry())
        rebuilder = Rebuilder(parts.catalogue, parts.shards, metrics)
        mover = Mover(
            parts.shards,
            CatalogueStore(parts.database),
            rebuilder,
            HoldJournal(metrics),
            parts.clock,
            teller.tell,
        )
        return await mover.move(event, to)
    finally:
        await parts.close()
