"""Login under way: what the shop must remember between sending a browser to a provider and its coming back.

A row that the browser's own cookie names; whoever comes back takes the row away, so each login counts once, in the
browser that began it, within ``LOGIN_MS``. How many are under way is bounded, whoever knocks. Fans and staff have a
table each, so that a crowd of fans keeps no staff out. Not here: who came (``accounts``, ``staff_sessions``).
"""

import asyncio
import hashlib
import secrets
from typing import Any

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from checkout.database import ShopDatabase
from kernel.clock import Clock
from kernel.oidc import Begun

LOGIN_MS = 600_000
LOGINS_MOST = 10_000
"""Logins under way; beyond that nobody begins one: the table is bounded whoever knocks."""


class Logins:
    """Logins under way, in one table."""

    def __init__(self, main: ShopDatabase, table: sa.Table, clock: Clock) -> None:
        self._main = main
        self._table = table
        self._clock = clock

    async def begin(self, back: str, prefix: str | None = None, most_of_prefix: int = 0) -> Begun | None:
        """Begin a login; None if too many are under way, of all or of this `prefix`. `back` is known to be ours."""
        browser, state, nonce, verifier = (secrets.token_urlsafe(32) for _ in range(4))
        begun = Begun(browser, state, nonce, verifier, back)
        table, now_ms = self._table, self._clock.now_ms()
        row: dict[str, Any] = {
            "digest": digest_of(browser), "state": state, "nonce": nonce, "verifier": verifier, "back": back,
            "created_ms": now_ms,
        }  # fmt: skip
        count = sa.select(sa.func.count()).select_from(table)

        def write(connection: Connection) -> bool:
            connection.execute(sa.delete(table).where(table.c.created_ms <= now_ms - LOGIN_MS))
            if (connection.scalar(count) or 0) >= LOGINS_MOST:
                return False
            if prefix is not None:
                alike = connection.scalar(count.where(table.c.prefix == prefix)) or 0
                if alike >= most_of_prefix:
                    return False
                row["prefix"] = prefix
            connection.execute(sa.insert(table), row)
            return True

        return begun if await asyncio.to_thread(self._writing, write) else None

    async def take(self, browser: str, state: str) -> Begun | None:
        """Take a login away, so that it counts once; None if there is none of this browser and state in time."""
        table, now_ms = self._table, self._clock.now_ms()
        own = table.c.digest == digest_of(browser)

        def write(connection: Connection) -> Begun | None:
            row = connection.execute(sa.select(table).where(own)).mappings().one_or_none()
            gone = connection.execute(sa.delete(table).where(own)).rowcount
            if row is None or not gone or now_ms - row["created_ms"] >= LOGIN_MS:
                return None
            if not secrets.compare_digest(row["state"].encode(), state.encode()):
                return None
            return Begun(browser, row["state"], row["nonce"], row["verifier"], row["back"])

        return await asyncio.to_thread(self._writing, write)

    def _writing(self, work: Any) -> Any:
        with self._main.writing() as connection:
            return work(connection)


def digest_of(secret: str) -> str:
    """Give what a table keeps of what a browser shows."""
    return hashlib.sha256(secret.encode("utf-8", "surrogateescape")).hexdigest()
