"""Session book: which browsers of people with an account are signed in, and the list of logins.

A session's row is found by the hash of its id; what the person may do is read with it, from their account as it is now,
so that another role, or being taken out, counts with the next request. The list of logins says who, when, from which
network (an address without its last part), how, and what came of it, for ``KEPT_MS``. Of a name that nobody has
nothing is kept: people type passwords into the wrong field.
"""

from collections.abc import Collection, Sequence
from typing import Any, NamedTuple

import sqlalchemy as sa

from dashboards.account_book import end_sessions
from dashboards.account_tables import (
    ACCOUNTS,
    LOGINS,
    SESSIONS,
    AccountDatabase,
    digest_of,
    key_of,
    record,
    rooms_of,
)
from dashboards.rights import Person, Role
from kernel.clock import Clock
from waitroom.access_acts import AccessAct
from waitroom.configure import Actor

DAY_MS = 86_400_000
KEPT_DAYS = 90
LOGINS_MOST = 50_000
"""Rows of failures under no name that is ours; beyond that the oldest go first, whoever knocks. Nobody can push out who
really signed in, which also says from which networks somebody comes; failures of people are few: they wait."""
IN, WRONG, STRANGER = "signed in", "refused", "not invited"


class Login(NamedTuple):
    """A row of the list of logins."""

    at_ms: int
    name: str
    network: str
    how: str
    outcome: str


class Stay(NamedTuple):
    """A browser that is signed in."""

    digest: str
    made_ms: int
    until_ms: int
    network: str
    how: str


class SessionBook:
    """The sessions and logins of one installation."""

    def __init__(self, database: AccountDatabase, clock: Clock, kept_days: int = KEPT_DAYS) -> None:
        """Keep logins for `kept_days`."""
        self._database = database
        self._clock = clock
        self._kept_ms = kept_days * DAY_MS

    # --------------------------------------------------------------------------------- sessions

    def begin(self, name: str, sid: str, until_ms: int, network: str, how: str) -> None:
        """Write a session down, and in the list of logins."""
        now_ms, key = self._clock.now_ms(), key_of(name)
        row = {
            "digest": digest_of(sid), "key": key, "made_ms": now_ms, "until_ms": until_ms, "network": network,
            "how": how,
        }  # fmt: skip
        with self._database.writing() as connection:
            connection.execute(sa.delete(SESSIONS).where(SESSIONS.c.until_ms <= now_ms))
            connection.execute(sa.insert(SESSIONS), row)
        self.record(name, network, how, IN)

    def who(self, sid: str) -> Person | None:
        """Return whose session it is, and what they may do now; None for one that is over."""
        return self.whose([sid]).get(sid)

    def whose(self, sids: Collection[str]) -> dict[str, Person]:
        """Return whose sessions these are, by id and what they may do now, in one query; none that are over."""
        digests = {digest_of(sid): sid for sid in sids}
        alive = sa.and_(SESSIONS.c.digest.in_(digests), SESSIONS.c.until_ms > self._clock.now_ms())
        columns = (SESSIONS.c.digest, ACCOUNTS.c.name, ACCOUNTS.c.role, ACCOUNTS.c.rooms)
        joined = SESSIONS.join(ACCOUNTS, SESSIONS.c.key == ACCOUNTS.c.key)
        with self._database.reading() as connection:
            rows = connection.execute(sa.select(*columns).select_from(joined).where(alive)).all()
        return {digests[row.digest]: Person(row.name, Role(row.role), rooms_of(row.rooms)) for row in rows}

    def of(self, name: str) -> list[Stay]:
        """Return a person's sessions, the newest first."""
        own = sa.and_(SESSIONS.c.key == key_of(name), SESSIONS.c.until_ms > self._clock.now_ms())
        columns = [SESSIONS.c[field] for field in Stay._fields]
        with self._database.reading() as connection:
            rows = connection.execute(
                sa.select(*columns).where(own).order_by(SESSIONS.c.made_ms.desc())
            ).all()
        return [Stay(*row) for row in rows]

    def end(self, sid: str) -> None:
        """End a session."""
        with self._database.writing() as connection:
            connection.execute(sa.delete(SESSIONS).where(SESSIONS.c.digest == digest_of(sid)))

    def end_all(self, name: str, by: Actor, keep: str = "") -> int:
        """End a person's sessions but the one whose id is `keep`; tell how many."""
        with self._database.writing() as connection:
            ended = end_sessions(connection, name, keep)
            if ended:
                own = sa.select(ACCOUNTS.c.name).where(ACCOUNTS.c.key == key_of(name))
                whose = connection.scalar(own) or name
                record(connection, AccessAct.SIGNED_OUT, whose, by, self._clock.now_ms())
        return ended

    # ----------------------------------------------------------------------------------- logins

    def record(self, name: str, network: str, how: str, outcome: str) -> None:
        """Write a login down, and let go of what is too old."""
        now_ms = self._clock.now_ms()
        with self._database.writing() as connection:
            own = sa.select(ACCOUNTS.c.name).where(ACCOUNTS.c.key == key_of(name))
            known = connection.scalar(own)
            row = {
                "at_ms": now_ms, "key": key_of(name) if known else "", "name": known or "", "network": network,
                "how": how, "outcome": outcome,
            }  # fmt: skip
            made: Any = connection.execute(sa.insert(LOGINS), row).inserted_primary_key
            knocked = sa.and_(
                LOGINS.c.id <= made[0] - LOGINS_MOST, LOGINS.c.name == "", LOGINS.c.outcome != IN
            )
            old = sa.or_(LOGINS.c.at_ms <= now_ms - self._kept_ms, knocked)
            connection.execute(sa.delete(LOGINS).where(old))

    def logins(self, name: str | None = None, most: int = 100) -> Sequence[Login]:
        """Return the last logins, the newest first; of one person or of all."""
        columns = [LOGINS.c[field] for field in Login._fields]
        query = sa.select(*columns).where(LOGINS.c.at_ms > self._clock.now_ms() - self._kept_ms)
        if name is not None:
            query = query.where(LOGINS.c.key == key_of(name))
        with self._database.reading() as connection:
            return [Login(*row) for row in connection.execute(query.order_by(LOGINS.c.id.desc()).limit(most))]

    def is_known(self, name: str, network: str) -> bool:
        """Tell whether a person has signed in from this network before."""
        fits = sa.and_(LOGINS.c.key == key_of(name), LOGINS.c.network == network, LOGINS.c.outcome == IN)
        with self._database.reading() as connection:
            return (
                bool(key_of(name))
                and connection.execute(sa.select(LOGINS.c.id).where(fits)).first() is not None
            )
