"""Second factor: what a person of the staff shows beside their token or session before money or prices move.

A program has a token only. A person has a device as well, which shows a code (``totp``), or security keys, or both; and
ten recovery codes on paper, each for one time. A code counts once, over all processes: which one was last is written
down in the transaction that accepts it. After ``FAILURES_MOST`` wrong ones in a row no digits and no recovery code
count for ``LOCKED_MS``, a right one neither, and what is tried meanwhile makes it no longer. A key's code (``proofs``)
cannot be guessed: it counts then as well, so that nobody is kept out by somebody who types wrong ones. The device's
secret is sealed (``sealing``); of recovery codes there are hashes.

Who has any factor has a row here, with recovery codes; without a device its secret is ''.
"""

import asyncio
import base64
import hmac
import secrets
from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from checkout.database import ShopDatabase
from checkout.people import proofs
from checkout.people.columns import SEALED_FACTORS
from checkout.people.keys import PeopleKeys
from checkout.people.logins import digest_of
from checkout.tables import STAFF_FACTORS, STAFF_KEYS, STAFF_PROOFS
from kernel.clock import Clock
from kernel.errors import Unavailable
from kernel.sealing import CannotOpen
from kernel.totp import SECRET_BYTES, address, matching

FAILURES_MOST = 5
LOCKED_MS = 900_000
RECOVERY_CODES = 10
RECOVERY_BYTES = 10
ISSUER = "Waitroom"


class Shown(StrEnum):
    """What came of a code."""

    NOT_NEEDED = "not-needed"
    """A program asks: it has no device."""
    RIGHT = "right"
    MISSING = "missing"
    WRONG = "wrong"
    LOCKED = "locked"


DEVICE, PAPER = "device", "paper"
"""What showed a code that was right, unless it was a key: then it is the key's own name."""


@dataclass(frozen=True, slots=True)
class Looked:
    """What came of a code, and what has shown it."""

    shown: Shown
    by: str = ""


@dataclass(frozen=True, slots=True)
class Having:
    """Which factors a person has."""

    is_any: bool = False
    """There is a device or a key."""
    device: bool = False
    recovery: int = 0


@dataclass(frozen=True, slots=True)
class Enrolled:
    """What a person is told once."""

    address: str
    recovery: Sequence[str]


class Factors:
    """Second factors, for one worker."""

    def __init__(self, main: ShopDatabase, keys: PeopleKeys, clock: Clock) -> None:
        self._main = main
        self._keys = keys
        self._clock = clock

    def enrol(self, name: str) -> Enrolled:
        """Give a person a new device and new recovery codes; what they had before counts no more."""
        secret, codes = new_secret(), _codes()
        with self._main.writing() as connection:
            connection.execute(sa.delete(STAFF_FACTORS).where(STAFF_FACTORS.c.name == name))
            self._insert(connection, name, secret, codes)
        return Enrolled(address(secret, name, ISSUER), codes)

    def remove(self, name: str) -> bool:
        """Take everything away that a person can show."""
        with self._main.writing() as connection:
            return forget(connection, name)

    async def having(self, name: str) -> Having:
        """Tell which factors somebody has. Keys are told by ``staff_keys``."""
        query = sa.select(STAFF_FACTORS).where(STAFF_FACTORS.c.name == name)

        def read() -> Having:
            with self._main.reading() as connection:
                row = connection.execute(query).mappings().one_or_none()
            if row is None:
                return Having()
            return Having(is_any=True, device=bool(row["secret"]), recovery=len(row["recovery"].split()))

        return await asyncio.to_thread(read)

    async def put_device(self, name: str, secret: bytes, code: str) -> Sequence[str] | None:
        """Give a person a device that shows `code` now; None if it does not.

        Returns recovery codes, where this is the first factor, and otherwise none.
        """
        now_ms = self._clock.now_ms()
        counter = matching(secret, code, 0, now_ms)
        if counter is None:
            return None

        def write() -> Sequence[str]:
            with self._main.writing() as connection:
                codes = begin(connection, name)
                connection.execute(
                    sa.update(STAFF_FACTORS)
                    .where(STAFF_FACTORS.c.name == name)
                    .values(secret=self._sealed(name, secret), last_counter=counter)
                )
                return codes

        return await asyncio.to_thread(write)

    async def drop_device(self, name: str) -> bool:
        """Take a person's device away, unless it is all that they have."""
        own = STAFF_FACTORS.c.name == name

        def write() -> bool:
            with self._main.writing() as connection:
                connection.execute(sa.select(STAFF_FACTORS).where(own).with_for_update())
                keys = sa.select(sa.func.count()).select_from(STAFF_KEYS).where(STAFF_KEYS.c.name == name)
                if not connection.scalar(keys):
                    return False
                gone = sa.update(STAFF_FACTORS).where(own).values(secret="", last_counter=0)
                return connection.execute(gone).rowcount == 1

        return await asyncio.to_thread(write)

    async def renew_recovery(self, name: str) -> Sequence[str]:
        """Give a person new recovery codes; the old ones count no more. None for whoever has no factor."""
        codes = _codes()
        renewed = sa.update(STAFF_FACTORS).where(STAFF_FACTORS.c.name == name)

        def write() -> bool:
            with self._main.writing() as connection:
                return connection.execute(renewed.values(recovery=_hashed(codes))).rowcount == 1

        return codes if await asyncio.to_thread(write) else ()

    async def show(self, name: str, code: str, session: str = "") -> Shown:
        """Look at what somebody shows, in a session or with a token. Raises ``Unavailable``."""
        return (await self.look(name, code, session)).shown

    async def look(self, name: str, code: str, session: str = "") -> Looked:
        """Look at what somebody shows, and tell what has shown it. Raises ``Unavailable``."""
        return await asyncio.to_thread(self._look, name, code, session)

    def _look(self, name: str, code: str, session: str) -> Looked:
        own, now_ms = STAFF_FACTORS.c.name == name, self._clock.now_ms()
        with self._main.writing() as connection:
            # Whoever shows the same code at this moment waits here, and then finds it used.
            row = (
                connection.execute(sa.select(STAFF_FACTORS).where(own).with_for_update())
                .mappings()
                .one_or_none()
            )
            if row is None:
                return Looked(Shown.NOT_NEEDED)
            if not code:
                return Looked(Shown.MISSING)
            if code.startswith(proofs.CODE):
                whose = proofs.Whose(name, session)
                key = proofs.take(connection, proofs.Purpose.CODE, whose, code, now_ms) if session else None
                return Looked(Shown.WRONG) if key is None else Looked(Shown.RIGHT, key)
            if now_ms < row["locked_until_ms"]:
                return Looked(Shown.LOCKED)
            values = self._accepted(row, code, now_ms)
            if values is not None:
                outcome = Looked(Shown.RIGHT, PAPER if "recovery" in values else DEVICE)
            else:
                outcome = Looked(Shown.WRONG)
                failures = row["failures"] + 1
                is_locked = failures >= FAILURES_MOST
                values = {
                    "failures": 0 if is_locked else failures,
                    "locked_until_ms": now_ms + LOCKED_MS if is_locked else 0,
                }
            connection.execute(sa.update(STAFF_FACTORS).where(own).values(**values))
        return outcome

    def _accepted(self, row: Any, code: str, now_ms: int) -> dict[str, Any] | None:
        """Say what is to be written down of a code that counts; None for one that does not."""
        if row["secret"]:
            try:
                secret = base64.b32decode(self._keys.open(row["secret"], SEALED_FACTORS.where(row, "secret")))
            except CannotOpen as error:
                raise Unavailable(
                    "factor-unreadable", "Your second factor cannot be looked at just now."
                ) from error
            counter = matching(secret, code, row["last_counter"], now_ms)
            if counter is not None:
                return {"last_counter": counter, "failures": 0}
        given, left = digest_of(code.replace(" ", "").upper()), row["recovery"].split()
        kept = [digest for digest in left if not hmac.compare_digest(digest, given)]
        return None if len(kept) == len(left) else {"recovery": " ".join(kept), "failures": 0}

    def _insert(self, connection: Connection, name: str, secret: bytes, codes: Sequence[str]) -> None:
        values = {**_blank(name, codes), "secret": self._sealed(name, secret)}
        connection.execute(sa.insert(STAFF_FACTORS), values)

    def _sealed(self, name: str, secret: bytes) -> str:
        text = base64.b32encode(secret).decode()
        return self._keys.seal(text, SEALED_FACTORS.where({"name": name}, "secret"))


def new_secret() -> bytes:
    """Make a secret for a device."""
    return secrets.token_bytes(SECRET_BYTES)


def begin(connection: Connection, name: str) -> Sequence[str]:
    """Make a person's row if there is none, and return the recovery codes of a new one. It has no device yet.

    Of two at once one waits; the row is then locked.
    """
    own = sa.select(STAFF_FACTORS).where(STAFF_FACTORS.c.name == name).with_for_update()
    if connection.execute(own).one_or_none() is not None:
        return ()
    codes = _codes()
    connection.execute(sa.insert(STAFF_FACTORS), _blank(name, codes))
    return codes


def forget(connection: Connection, name: str) -> bool:
    """Take everything away that somebody can show: device, recovery codes, keys, and proofs of them."""
    tables = (STAFF_FACTORS, STAFF_KEYS, STAFF_PROOFS)
    counts = [connection.execute(sa.delete(table).where(table.c.name == name)).rowcount for table in tables]
    return any(counts[:2])


def _blank(name: str, codes: Sequence[str]) -> dict[str, Any]:
    return {
        "name": name, "secret": "", "recovery": _hashed(codes), "last_counter": 0, "failures": 0,
        "locked_until_ms": 0,
    }  # fmt: skip


def _codes() -> Sequence[str]:
    return [base64.b32encode(secrets.token_bytes(RECOVERY_BYTES)).decode() for _ in range(RECOVERY_CODES)]


def _hashed(codes: Sequence[str]) -> str:
    return " ".join(map(digest_of, codes))
