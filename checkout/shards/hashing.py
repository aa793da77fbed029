"""Sharding: which shard an event belongs to, by its name; what an exception says; what the operator's file names.

**Rendezvous hashing.** The weight of a shard for an event is the first eight octets of SHA-256(shard ‖ 0 ‖ event), read
as a big-endian number; the heaviest shard has the event, and of equal ones the one whose name is later. Nothing is
stored, everybody comes to the same answer, and one more shard takes only what it gets itself (Thaler and Ravishankar,
1998, doi:10.1109/90.663936). ``tests/vectors/shards.json`` pins it.

**Override.** A row of the main database that counts instead: ``hot`` is the shard, and ``a>hot@7`` says that the
event is at `a` and on its way to `hot`, as its epoch 7. A row that says so belongs to nobody's use case but the move's.

**File** (``shop_shards``), one table for each shard; ``reading_url`` may be left out:

    [shards.a]
    database_url = "postgresql://shop@db-a/shop"
    store_url = "redis://store-a:6379/0"
    reading_url = "postgresql://shop@replica-a/shop"

Not here: rows and connections (``shards``), how an event moves (``shards.moving``).
"""

import functools
import hashlib
import re
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass

from kernel.database import address
from kernel.errors import Misconfigured
from kernel.store import SCHEMES

MAIN = "main"
"""The one shard of a shop that names none."""

NAME = re.compile(r"[a-z0-9][a-z0-9-]{0,62}")

_TABLE = "shards"
_NEEDED = ("database_url", "store_url")
_OPTIONAL = ("reading_url",)
_OVERRIDE = re.compile(rf"({NAME.pattern})(?:>({NAME.pattern})@([0-9]{{1,18}}))?")


@dataclass(frozen=True, slots=True)
class ShardAddress:
    """A shard as the operator names it."""

    name: str
    database_url: str
    store_url: str
    reading_url: str = ""


@dataclass(frozen=True, slots=True)
class Override:
    """Where an event is, if not where its name says; ``to`` and ``epoch`` only while it moves."""

    shard: str
    to: str = ""
    epoch: int = 0

    @property
    def is_moving(self) -> bool:
        """True from the first step of a move to its last before the switch."""
        return bool(self.to)

    def text(self) -> str:
        """Write it as the row has it."""
        return f"{self.shard}>{self.to}@{self.epoch}" if self.to else self.shard

    @staticmethod
    def of(text: str) -> "Override":
        """Read a row. Raises ``ValueError`` for anything else."""
        found = _OVERRIDE.fullmatch(text)
        if found is None:
            raise ValueError(f"{text[:80]!r} names no shard")
        return Override(found[1], found[2] or "", int(found[3] or 0))


def weight(shard: str, event: str) -> int:
    """Tell how much a shard is the event's."""
    return int.from_bytes(hashlib.sha256(f"{shard}\0{event}".encode()).digest()[:8], "big")


@functools.lru_cache(maxsize=4096)
def home(shards: tuple[str, ...], event: str) -> str:
    """Name the shard of an event; the order of the shards does not matter. Raises ``ValueError`` for no shard."""
    return max(shards, key=lambda shard: (weight(shard, event), shard))


def read_shards(text: str) -> tuple[ShardAddress, ...]:
    """Read the operator's file. Raises ``Misconfigured`` with all faults; no address is quoted (passwords)."""
    try:
        document = tomllib.loads(text)
    except (tomllib.TOMLDecodeError, RecursionError) as error:
        raise Misconfigured([f"The shards' file is not TOML: {error}."]) from error
    faults = [
        f"The shards' file: {name} is unknown; there is [shards.NAME]." for name in document.keys() - {_TABLE}
    ]
    tables = document.get(_TABLE)
    if not isinstance(tables, Mapping) or not tables:
        raise Misconfigured([*faults, "The shards' file must have tables such as [shards.a]."])
    found = [_shard(name, table, faults) for name, table in sorted(tables.items())]
    shards = [shard for shard in found if shard is not None]
    faults += _shared(shards)
    if faults:
        raise Misconfigured(faults)
    return tuple(shards)


def _shard(name: str, table: object, faults: list[str]) -> ShardAddress | None:
    where = f"shards.{name[:63]}"
    before = len(faults)
    if NAME.fullmatch(name) is None:
        faults.append(f"{where}: a shard's name must be lower-case letters, digits and hyphens, at most 63.")
    if not isinstance(table, Mapping):
        faults.append(f"{where} must be a table with {' and '.join(_NEEDED)}.")
        return None
    faults += [f"{where}.{key} is unknown." for key in sorted(table.keys() - {*_NEEDED, *_OPTIONAL})]
    faults += [f"{where}.{key} is missing." for key in _NEEDED if key not in table]
    for key in (*_NEEDED, *_OPTIONAL):
        if key not in table:
            continue
        given = table[key]
        if not isinstance(given, str) or not given:
            faults.append(f"{where}.{key} must be a text.")
        elif key == "store_url":
            if not given.startswith(SCHEMES):
                faults.append(f"{where}.{key} must begin with {', '.join(SCHEMES[:-1])} or {SCHEMES[-1]}.")
        else:
            faults += [f"{where}.{key}: {fault}" for fault in _database_faults(given)]
    return ShardAddress(name, **table) if len(faults) == before else None


def _database_faults(url: str) -> tuple[str, ...]:
    try:
        address(url, "shard")
    except Misconfigured as error:
        return error.faults
    return ()


def _shared(shards: list[ShardAddress]) -> list[str]:
    """Two shards in one database would be one, and a move between them would copy an event onto itself."""
    faults = []
    for key in _NEEDED:
        first: dict[str, str] = {}
        for shard in shards:
            other = first.setdefault(getattr(shard, key), shard.name)
            if other != shard.name:
                faults.append(f"shards.{shard.name}.{key} is that of shards.{other} already.")
    return faults
