"""Sealing: entries that are in no block yet get into one, in the background, a batch at a time.

Entries are chained sale by sale, so selling waits for no common end of a chain. The blocks are that common end, made a
second later by whoever is in the background; who seals takes turns (``writing(turn=True)``). A block names its entries
in rows that are only ever added (``log_members``).

Which entries are in no block is asked, never concluded from an id: in PostgreSQL a lower id may be committed after a
higher one was sealed. Each second only the newest ids are looked at (``BACK`` of them behind the newest sealed), once
a minute and at the start all of them, because a transaction may have taken that long.

Not here: whether the blocks are right (``eventlog.verifying``).
"""

import asyncio
import logging
from collections.abc import Callable, Sequence
from typing import Any, Protocol

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from checkout.database import ShopDatabase
from checkout.eventlog.entries import Block, block_hash
from checkout.eventlog.store import last_block
from checkout.metrics import Metrics
from checkout.tables import EVENT_LOG, LOG_BLOCKS, LOG_MEMBERS
from kernel.clock import Clock
from kernel.errors import Unavailable
from kernel.tasks import is_ending

log = logging.getLogger(__name__)

SEAL_S = 1.0
BATCH = 1_000
"""Entries of one block at most."""

BACK = 2_000
ALL_EVERY_MS = 60_000

_LOG, _MEMBERS = EVENT_LOG.c, LOG_MEMBERS.c
_OPEN = (
    sa.select(_LOG.id, _LOG.hash)
    .join_from(EVENT_LOG, LOG_MEMBERS, _MEMBERS.entry == _LOG.id, isouter=True)
    .where(_MEMBERS.entry.is_(None), _LOG.id > sa.bindparam("after"))
    .order_by(_LOG.id)
    .limit(sa.bindparam("most"))
)
_NEWEST = sa.select(sa.func.max(_MEMBERS.entry))


class Kept(Protocol):
    """A place whose database has a log."""

    @property
    def name(self) -> str:
        """Name the place."""

    @property
    def database(self) -> ShopDatabase:
        """Give its database."""


class Sealer:
    """Seals the log of one database."""

    def __init__(self, database: ShopDatabase) -> None:
        """Use an open database; the first time all entries are looked at."""
        self._database = database
        self._all_at_ms = 0

    def seal(self, now_ms: int) -> int:
        """Put all that is in no block into blocks; returns how many entries that were."""
        looks_at_all = not 0 < self._all_at_ms - now_ms <= ALL_EVERY_MS
        sealed = after = 0
        if not looks_at_all:
            with self._database.reading() as connection:
                after = (connection.scalar(_NEWEST) or 0) - BACK
        while True:
            with self._database.reading() as connection:
                if not _open(connection, after, 1):
                    break
            with self._database.writing(turn=True) as connection:
                count, after = _seal(connection, after, now_ms)
            sealed += count
        if looks_at_all:
            self._all_at_ms = now_ms + ALL_EVERY_MS
        return sealed


def _open(connection: Connection, after: int, most: int) -> Sequence[sa.Row[Any, Any]]:
    return connection.execute(_OPEN, {"after": after, "most": most}).all()


def _seal(connection: Connection, after: int, now_ms: int) -> tuple[int, int]:
    """Add one block, of what another has left; returns how many entries it has, and the last of their ids."""
    found = _open(connection, after, BATCH)
    if not found:
        return 0, after
    before = last_block(connection)
    number, at_ms = before.number + 1, max(now_ms, before.at_ms)
    own = block_hash(number, at_ms, before.hash, (row.hash for row in found))
    block = Block(number, at_ms, len(found), before.hash, own)
    connection.execute(sa.insert(LOG_BLOCKS), block._asdict())
    connection.execute(sa.insert(LOG_MEMBERS), [{"entry": row.id, "block": number} for row in found])
    return len(found), found[-1].id


class Sealing:
    """The work in the background."""

    def __init__(self, places: Callable[[], Sequence[Kept]], clock: Clock, metrics: Metrics) -> None:
        """`places` tells where logs are."""
        self._places = places
        self._clock = clock
        self._metrics = metrics
        self._sealers: dict[str, Sealer] = {}

    async def run(self, every_s: float = SEAL_S) -> None:
        """Seal what comes, for ever."""
        while not is_ending():
            for place in self._places():
                try:
                    await self.seal(place)
                    self._metrics.log_sealed.labels(place.name).set(self._clock.now_ms() / 1000)
                except Unavailable as error:
                    self._metrics.background_failures.count("seal")
                    log.warning(
                        "the log could not be sealed", extra={"place": place.name, "code": error.code}
                    )
            await asyncio.sleep(every_s)

    async def seal(self, place: Kept) -> int:
        """Seal what is there at a place; returns how many entries that were."""
        sealer = self._sealers.get(place.name)
        if sealer is None:
            sealer = self._sealers[place.name] = Sealer(place.database)
        return await asyncio.to_thread(sealer.seal, self._clock.now_ms())
