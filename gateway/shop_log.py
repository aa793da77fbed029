"""Shop log: ``waitroom shop log``: whether the log of sales is as it was written, what it says, and tables put back.

``verify`` looks at the log of every database, ``show`` tells the history of one reservation, ``rebuild`` compares each
event's tables with what its log comes to and puts them back where they differ, but never from a log with a fault.
Loaded by the command when it runs; it gives lines, whoever called prints them.
"""

from collections.abc import Iterator
from contextlib import closing
from datetime import UTC, datetime

from checkout.audit.checking import KINDS
from checkout.database import ShopDatabase
from checkout.eventlog.entries import Entry
from checkout.eventlog.projecting import Unreadable
from checkout.eventlog.store import at_one_moment, stream
from checkout.eventlog.verifying import Anchor, verify, verify_event
from checkout.sales.replaying import compared, rebuild
from checkout.shards.hashing import ShardAddress
from gateway.settings import Settings
from gateway.shop_parts import database_there, events_and_addresses, shard_addresses
from kernel.clock import SystemClock
from kernel.errors import Misconfigured


class Wrong(Exception):
    """Something is not as it must be; it has been told."""


def anchor_of(text: str) -> Anchor:
    """Read a block as ``verify`` tells it, NUMBER:HASH. Raises ``Misconfigured``."""
    number, _, own = text.partition(":")
    if not number.isdecimal() or not own:
        raise Misconfigured(["--anchor: it is the number of a block, a colon, and its hash."])
    return Anchor(int(number), own)


def verified(settings: Settings, anchor: Anchor | None) -> Iterator[str]:
    """Look at every database. Raises ``Wrong`` at the end."""
    shards = _shards(settings)
    if anchor is not None and len(shards) > 1:
        raise Misconfigured(["--anchor: there are several databases; each has blocks of its own."])
    is_right = True
    for shard in shards:
        with closing(ShopDatabase(shard.database_url)) as database, database.reading() as connection:
            checked = verify(at_one_moment(connection), SystemClock().now_ms(), anchor=anchor)
        yield from (f"{shard.name}: {line}" for line in checked.lines())
        is_right = is_right and checked.is_right
    if not is_right:
        raise Wrong


def shown(settings: Settings, reservation: str) -> Iterator[str]:
    """Tell what has happened to a reservation, shard by shard. Raises ``Wrong`` when there is nothing."""
    found = False
    for shard in _shards(settings):
        with closing(ShopDatabase(shard.database_url)) as database, database.reading() as connection:
            entries = stream(connection, reservation)
        if entries:
            found = True
            yield f"{shard.name}: {entries[0].event}"
            yield from map(_line, entries)
    if not found:
        yield f"the log says nothing of {reservation}"
        raise Wrong


def rebuilt(settings: Settings, wanted: list[str], *, only_check: bool) -> Iterator[str]:
    """Compare events, or put them back as well. Raises ``Wrong`` when something is (still) not as the log says."""
    is_right = True
    _, found = events_and_addresses(settings, wanted)
    for event, shard in found.items():
        with closing(ShopDatabase(shard.database_url)) as database:
            with database.reading() as connection:
                checked = verify_event(at_one_moment(connection), event)
            lines = [f"{where}: {what}" for where, what in checked.faults]
            if not lines:
                if not only_check and (changed := _put_back(database, event)):
                    yield f"{event}: {changed:,} put back; the shop's reconciler tells the store"
                lines = [f"{where}: {what}" for where, what in compared(database, KINDS, event)]
        yield from (f"{event}: {line}" for line in lines)
        told = "differs" if lines else "is what the log comes to"
        yield f"{event}: {checked.entries:,} entries; the event {told}"
        is_right = is_right and not lines
    if not is_right:
        raise Wrong


def _put_back(database: ShopDatabase, event: str) -> int:
    try:
        return rebuild(database, KINDS, event)
    except Unreadable:
        # The comparison that follows tells which entry, and that nothing has changed.
        return 0


def _shards(settings: Settings) -> tuple[ShardAddress, ...]:
    database_there(settings)
    return shard_addresses(settings)


def _line(entry: Entry) -> str:
    at = datetime.fromtimestamp(entry.at_ms / 1000, UTC).isoformat(timespec="milliseconds")
    return f"{entry.seq:>4}  {at}  {entry.kind:<10} {entry.hash[:12]}  {entry.body}"
