"""Scanning: looks for card numbers wherever the shop may have put down what it was told.

* **Files**, octet by octet, in whatever format: SQLite's file with its free pages and its write-ahead log, the store's
  files (AOF, RDB), the sandbox's file, logs, counted metrics, dumps of crashed processes.
* **SQL**, every row and column of every table, whatever database it is. What a file hides (a page that is cut by
  another, a server that is elsewhere) is seen here.
* **The store**, every key with all that is in it. Its file may keep a text of digits as a whole number, or compressed;
  the store itself tells it as it was given.

It reads and never writes. Not here: what a card number is (``audit.cards``).
"""

import asyncio
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import sqlalchemy as sa

from checkout.audit.cards import CardNumber, card_numbers
from checkout.database import ShopDatabase
from kernel.store import Store, connect, translated

PIECE_BYTES = 1 << 22
OVERLAP_BYTES = 512
"""Pieces of a file share so much, so that nothing is cut in two."""

TIMEOUT_S = 30.0
_BETWEEN = b"\0"
"""Part of no number."""


@dataclass(frozen=True, slots=True)
class Finding:
    """A card number and where it is."""

    where: str
    number: CardNumber

    def line(self) -> str:
        """Tell it to people, without the number."""
        return f"{self.where}: what looks like a card number ({self.number.issuer}, {self.number.shown})"


def in_text(where: str, octets: bytes) -> Iterator[Finding]:
    """Look at something that is at hand, as what a process has printed."""
    return (Finding(where, number) for number in card_numbers(octets))


def in_files(folders: Iterable[Path]) -> Iterator[Finding]:
    """Look at every file of these folders; a file that goes meanwhile is left out."""
    for folder in folders:
        for path in sorted(folder.rglob("*")):
            if path.is_file() and not path.is_symlink():
                yield from in_file(path)


def in_file(path: Path) -> Iterator[Finding]:
    """Look at a file."""
    try:
        with path.open("rb") as file:
            kept, last = b"", -1
            base = 0
            while piece := file.read(PIECE_BYTES):
                octets = kept + piece
                for number in card_numbers(octets):
                    at = base + number.at
                    if at > last:
                        last = at
                        yield Finding(f"{path} at {at}", number)
                kept = octets[-OVERLAP_BYTES:]
                base += len(octets) - len(kept)
    except FileNotFoundError:
        return


def in_sql(url: str) -> Iterator[Finding]:
    """Look at every row of every table of a database."""
    database = ShopDatabase(url)
    try:
        with database.listing() as connection:
            there = sa.MetaData()
            there.reflect(connection)
            for table in there.sorted_tables:
                rows = connection.execution_options(yield_per=5_000).execute(sa.select(table))
                for number, row in enumerate(rows):
                    told = [_octets(value) for value in row]
                    # Nearly all rows have nothing: they are looked at in one piece.
                    if next(card_numbers(_BETWEEN.join(told)), None) is None:
                        continue
                    for name, octets in zip(table.c.keys(), told, strict=True):
                        yield from in_text(f"table {table.name}, row {number}, {name}", octets)
    finally:
        database.close()


def in_store(url: str) -> list[Finding]:
    """Look at every key of a store."""
    return asyncio.run(_in_store(url))


async def _in_store(url: str) -> list[Finding]:
    client = connect(url, timeout_s=TIMEOUT_S, max_connections=2)
    found: list[Finding] = []
    try:
        with translated():
            async for key in client.scan_iter(count=500):
                shown = repr(key)[2:-1]
                found += in_text(f"the name of key {shown}", key)
                for value in await _values(client, key):
                    found += in_text(f"key {shown}", _octets(value))
    finally:
        await client.aclose()
    return found


async def _values(client: Store, key: bytes) -> list[Any]:
    """Read all that is under a key, names and values alike."""
    match await client.type(key):
        case b"string":
            return [await client.get(key)]
        case b"hash":
            return [one for pair in (await client.hgetall(key)).items() for one in pair]
        case b"list":
            return list(await client.lrange(key, 0, -1))
        case b"set":
            return list(await client.smembers(key))
        case b"zset":
            return list(await client.zrange(key, 0, -1))
        case b"stream":
            entries: list[Any] = await client.xrange(key) or []
            return [one for _, pairs in entries for pair in pairs.items() for one in pair]
        case _:
            return []


def _octets(value: object) -> bytes:
    match value:
        case bytes():
            return value
        case None | bool() | float():
            return b""
        case memoryview():
            return bytes(value)
        case _:
            return str(value).encode()
