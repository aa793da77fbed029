"""A small house for tests: the line's service on a real store and a real journal, with a clock in hand."""

import contextlib
import json
from collections.abc import AsyncIterator, Collection, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature, encode_dss_signature
from prometheus_client import CollectorRegistry
from redis.asyncio import Redis

from kernel.clock import ManualClock
from kernel.signing import Signer
from waitroom.configure import Actor, Configurations, Saved
from waitroom.drain import Drain
from waitroom.journal_store import JournalStore
from waitroom.metrics import Metrics
from waitroom.reading import Reading
from waitroom.restoring import Restorer
from waitroom.seeds import CommittedSecret
from waitroom.service import Waitroom
from waitroom.store import LineStore

ROOM = "main"
_KEY = ec.derive_private_key(42, ec.SECP256R1())


class Documents:
    """Signs with one fixed key."""

    kid = "s1"

    def sign(self, message: bytes) -> tuple[str, bytes]:
        """Sign deterministically."""
        r, s = decode_dss_signature(_KEY.sign(message, ec.ECDSA(hashes.SHA256(), deterministic_signing=True)))
        return self.kid, r.to_bytes(32, "big") + s.to_bytes(32, "big")

    def verify(self, kid: str, message: bytes, signature: bytes) -> bool:
        """Check against the fixed key."""
        r, s = int.from_bytes(signature[:32], "big"), int.from_bytes(signature[32:], "big")
        try:
            _KEY.public_key().verify(encode_dss_signature(r, s), message, ec.ECDSA(hashes.SHA256()))
        except Exception:  # noqa: BLE001 - any failure means no
            return False
        return kid == self.kid


@dataclass
class Door:
    """Remembers what it was told."""

    restored: list[tuple[set[int], dict[str, int], dict[str, int]]] = field(default_factory=list)
    evicted: list[dict[int, str]] = field(default_factory=list)

    def stale_keys(self, room: str, issued: int) -> list[str]:
        """Name one key, so that its removal can be seen."""
        del issued
        return [f"wr:{{{room}}}:claimed:0"]

    async def restore(
        self,
        room: str,
        run: str,
        used: Collection[int],
        sessions: Mapping[str, int],
        ended: Mapping[str, int],
        evicted: Mapping[int, str],
    ) -> None:
        """Keep what is given back."""
        del room, run
        self.evicted.append(dict(evicted))
        self.restored.append((set(used), dict(sessions), dict(ended)))


@dataclass
class House:
    """One worker: everything that the line needs."""

    waitroom: Waitroom
    configurations: Configurations
    restorer: Restorer
    drain: Drain
    journal: JournalStore
    door: Door
    clock: ManualClock
    store: Redis

    async def set_up(self, **settings: object) -> Reading:
        """Configure the room and open it."""
        document = {"name": ROOM, "origin": "http://127.0.0.1:9", **settings}
        assert isinstance(await self.configurations.create(document, Actor("test")), Saved)
        return await self.beat()

    async def beat(self) -> Reading:
        """Do what a worker does twice a second."""
        await self.waitroom.refresh()
        if await self.restorer.mend(ROOM):
            await self.waitroom.keep(ROOM)
        await self.waitroom.refresh()
        return self.waitroom.reading(ROOM)

    async def join(self, once: str = "") -> tuple[str, int]:
        """Join and return (ticket, number)."""
        return await self.waitroom.join(self.waitroom.reading(ROOM), once, self.clock.now_ms())

    async def drained(self) -> None:
        """Hand everything to the journal."""
        line = self.waitroom.reading(ROOM).line
        assert line is not None
        await self.drain.drain(ROOM, line.run, lease=False)


def worker(store: Redis, journal: JournalStore, clock: ManualClock) -> House:
    """Build one worker on a store and a journal."""
    door = Door()
    waitroom = Waitroom(
        LineStore(store),
        Signer([("k1", b"t" * 32)], "ticket"),
        Documents(),
        CommittedSecret(b"d" * 32),
        door,
        clock,
        ticket_id_key=b"i" * 32,
        metrics=Metrics(CollectorRegistry()),
    )
    configurations = Configurations(store, clock)
    return House(
        waitroom,
        configurations,
        Restorer(waitroom, journal, configurations, door, clock),
        Drain(store, journal, clock),
        journal,
        door,
        clock,
        store,
    )


@contextlib.asynccontextmanager
async def house(store: Redis, clock: ManualClock, folder: Path) -> AsyncIterator[House]:
    """Give one worker with a journal of its own."""
    journal = JournalStore(f"sqlite:///{folder / 'journal.db'}")
    journal.open()
    try:
        yield worker(store, journal, clock)
    finally:
        journal.close()


def members(reading: Reading) -> dict[str, object]:
    """Read a status document."""
    found: dict[str, object] = json.loads(reading.document)
    return found
