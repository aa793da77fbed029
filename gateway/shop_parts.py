"""Shop parts: the shop's databases, stores and catalogue, as its process and its commands both need them.

Where nothing else is set, a shop is one SQLite database and the store of the line; a file of shards names more. Not
here: what runs on them (``shop``), what is done with them at the command line (``shop_command``).
"""

import asyncio
from collections.abc import Sequence
from pathlib import Path

from sqlalchemy.engine import make_url

from checkout.catalogue.service import Catalogue
from checkout.catalogue.store import CatalogueStore
from checkout.database import ShopDatabase
from checkout.halls.seat_rows import SeatRows
from checkout.shards.hashing import MAIN, ShardAddress, read_shards
from checkout.shards.shards import Shards
from gateway.settings import Settings
from kernel.clock import Clock, SystemClock
from kernel.errors import Misconfigured
from kernel.settings import env
from kernel.store import check, connect

SOCKETS = ("store.sock", "shop/store.sock")
"""Where the embedded store of a running installation listens, below the data folder."""


def shard_addresses(settings: Settings) -> tuple[ShardAddress, ...]:
    """Name the shards. Raises ``Misconfigured``."""
    if settings.shop_shards is not None:
        try:
            return read_shards(settings.shop_shards.read_text(encoding="utf-8"))
        except (OSError, UnicodeDecodeError) as error:
            fault = f"{env('shop_shards')}: the file {settings.shop_shards} cannot be read: {error}."
            raise Misconfigured([fault]) from error
    url = settings.shop_database_address
    return (ShardAddress(MAIN, url, store_address(settings), settings.shop_reading_url or ""),)


def store_address(settings: Settings) -> str:
    """Give the address of the shop's own store: what is set, or the embedded one of a running installation."""
    named = settings.shop_store_url or settings.store_url
    if named is not None:
        return named
    found = next(filter(Path.is_socket, (settings.data / name for name in SOCKETS)), None)
    if found is None:
        raise Misconfigured(
            [f"{env('shop_store_url')}: name the shop's store; none runs in the folder {settings.data}."]
        )
    return f"unix://{found.resolve()}"


class ShopParts:
    """What is joined once for all that the shop does."""

    def __init__(self, settings: Settings, clock: Clock | None = None) -> None:
        """Make everything; nothing is connected yet. Raises ``Misconfigured``."""
        self.clock = clock or SystemClock()
        url = settings.shop_database_address
        self.database = ShopDatabase(url, settings.shop_reading_url or "")
        self.shards = Shards.connect(self.database, url, shard_addresses(settings), self.clock)
        self.store = connect(store_address(settings))
        self.catalogue = Catalogue(
            CatalogueStore(self.database),
            lambda event: SeatRows(self.shards.of(event).database),
            self.clock,
        )

    async def open(self) -> None:
        """Reach every store and bring every database up to date. Raises ``Misconfigured`` or ``Unavailable``."""
        await check(self.store)
        for place in self.shards.all():
            await check(place.holds.client)
        await asyncio.to_thread(self.shards.open)

    async def close(self) -> None:
        """Leave everything."""
        await self.shards.close()
        await self.store.aclose()
        await asyncio.to_thread(self.database.close)


def database_there(settings: Settings) -> str:
    """Give the main database's address, for commands that must not make an empty one. Raises ``Misconfigured``."""
    url = settings.shop_database_address
    where = make_url(url)
    if where.get_backend_name() == "sqlite" and not Path(str(where.database)).is_file():
        raise Misconfigured([f"There is no shop's database {where.database}."])
    return url


def events_and_addresses(
    settings: Settings, wanted: Sequence[str] = ()
) -> tuple[str, dict[str, ShardAddress]]:
    """Give the main database's address, and where each wanted event is kept; of all events, without a wish.

    It only reads. Raises ``Misconfigured``, also for an event that is not there; ``Unavailable``.
    """
    url = database_there(settings)
    addresses = {address.name: address for address in shard_addresses(settings)}
    return url, asyncio.run(_found(url, addresses, wanted))


async def _found(
    url: str, addresses: dict[str, ShardAddress], wanted: Sequence[str]
) -> dict[str, ShardAddress]:
    database = ShopDatabase(url)
    shards = Shards.connect(database, url, list(addresses.values()), SystemClock())
    try:
        shards.read()
        there = sorted(known.event.id for known in CatalogueStore(database).changed_since(-1))
        if missing := [event for event in wanted if event not in there]:
            raise Misconfigured([f"The shop has no event {event}." for event in missing])
        return {event: addresses[shards.of(event).name] for event in wanted or there}
    finally:
        await shards.close()
        database.close()
