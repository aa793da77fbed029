"""Second factor: what a person of the staff shows beside their token before money or prices move.

A program has a token only. A person has a device as well, which shows a code (``totp``), and ten recovery codes on
paper, each for one time. A code counts once, over all processes: which one was last is written down in the transaction
that accepts it. After ``FAILURES_MOST`` wrong ones in a row nothing counts for ``LOCKED_MS``, a right one neither, and
what is tried meanwhile makes it no longer. The device's secret is sealed (``sealing``); of recovery codes there are
hashes.
"""

import asyncio
import base64
import hashlib
import hmac
import secrets
from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

import sqlalchemy as sa

from checkout.database import ShopDatabase
from checkout.people.columns import SEALED_FACTORS
from checkout.people.keys import PeopleKeys
from checkout.people.totp import SECRET_BYTES, address, matching
from checkout.tables import STAFF_FACTORS
from kernel.clock import Clock
from kernel.errors import Unavailable
from kernel.sealing import CannotOpen

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
        secret = secrets.token_bytes(SECRET_BYTES)
        codes = [
            base64.b32encode(secrets.token_bytes(RECOVERY_BYTES)).decode() for _ in range(RECOVERY_CODES)
        ]
        row = {"name": name}
        values = {
            **row,
            "secret": self._keys.seal(base64.b32encode(secret).decode(), SEALED_FACTORS.where(row, "secret")),
            "recovery": " ".join(map(_digest, codes)),
            "last_counter": 0,
            "failures": 0,
            "locked_until_ms": 0,
        }
        with self._main.writing() as connection:
            connection.execute(sa.delete(STAFF_FACTORS).where(STAFF_FACTORS.c.name == name))
            connection.execute(sa.insert(STAFF_FACTORS), values)
        return Enrolled(address(secret, name, ISSUER), codes)

    def remove(self, name: str) -> bool:
        """Take a person's device away."""
        with self._main.writing() as connection:
            gone = sa.delete(STAFF_FACTORS).where(STAFF_FACTORS.c.name == name)
            return connection.execute(gone).rowcount == 1

    async def show(self, name: str, code: str) -> Shown:
        """Look at what somebody shows. Raises ``Unavailable``."""
        return await asyncio.to_thread(self._look, name, code)

    def _look(self, name: str, code: str) -> Shown:
        own, now_ms = STAFF_FACTORS.c.name == name, self._clock.now_ms()
        with self._main.writing() as connection:
            # Whoever shows the same code at this moment waits here, and then finds it used.
            row = (
                connection.execute(sa.select(STAFF_FACTORS).where(own).with_for_update())
                .mappings()
                .one_or_none()
            )
            if row is None:
                return Shown.NOT_NEEDED
            if not code:
                return Shown.MISSING
            if now_ms < row["locked_until_ms"]:
                return Shown.LOCKED
            values = self._accepted(row, code, now_ms)
            outcome = Shown.WRONG if values is None else Shown.RIGHT
            if values is None:
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
        try:
            secret = base64.b32decode(self._keys.open(row["secret"], SEALED_FACTORS.where(row, "secret")))
        except CannotOpen as error:
            raise Unavailable(
                "factor-unreadable", "Your second factor cannot be looked at just now."
            ) from error
        counter = matching(secret, code, row["last_counter"], now_ms)
        if counter is not None:
            return {"last_counter": counter, "failures": 0}
        given, left = _digest(code.replace(" ", "").upper()), row["recovery"].split()
        kept = [digest for digest in left if not hmac.compare_digest(digest, given)]
        return None if len(kept) == len(left) else {"recovery": " ".join(kept), "failures": 0}


def _digest(code: str) -> str:
    return hashlib.sha256(code.encode("utf-8", "replace")).hexdigest()
