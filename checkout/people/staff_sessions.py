"""Staff session: somebody of the organiser's people who has logged in at the provider; and the list of such logins.

* **A session** is 32 random octets in a cookie; the database has their hash. It ends when idle, at last, when its
  person is removed, and when their row has another version than at the login (``staff_people``).
* **Who may**: the row of whoever came, never "whoever has an account there". The role is the row's; where the operator
  has said which words of a claim are which role, the claim decides at each login: with none of them, or of two
  roles, nobody is let in.
* **The list** has each login that counted and each that did not, with the time, the name if it is known, a word why,
  and the network (``network_of``), never the whole address. It is swept after some days.
* **Failures** lock a network: after ``FAILURES_MOST`` within ``LOCK_MS`` nobody logs in from there until the oldest of
  them is as old as that. Only a login that a browser of ours began counts, so no other site can lock anybody out.

Forms and calls of a session carry a paper that only it has (``csrf_of``).
"""

import hmac
import secrets
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from checkout.database import ShopDatabase
from checkout.people.logins import LOGIN_MS, Logins, digest_of
from checkout.people.proofs import PROOF_MS
from checkout.people.staff import StaffRole
from checkout.people.staff_people import StaffPeople
from checkout.tables import STAFF_ENTRIES, STAFF_LOGINS, STAFF_PEOPLE, STAFF_PROOFS, STAFF_SESSIONS
from kernel import addresses
from kernel.addresses import parsed
from kernel.clock import Clock
from kernel.oidc import Begun, Person
from kernel.signing import b64url

FAILURES_MOST = 10
LOCK_MS = 900_000
BEGUN_MOST = 20
"""Logins under way from one network."""

TOUCH_MS = 60_000
ENTERED = "entered"
INVITED = "invited"
"""The first login of somebody: it took an invitation."""

ENTRIES_SHOWN = 50


@dataclass(frozen=True, slots=True)
class StaffBounds:
    """How long things last: a session unused and in all, and the list of logins."""

    idle_ms: int
    most_ms: int
    entries_ms: int


@dataclass(frozen=True, slots=True)
class StaffSession:
    """Who is logged in. ``digest`` is the session's hash, ``csrf`` what its forms carry."""

    name: str
    role: StaffRole
    digest: str
    csrf: str
    began_ms: int


@dataclass(frozen=True, slots=True)
class Entry:
    """A login, as the list has it."""

    at_ms: int
    name: str
    outcome: str
    prefix: str


@dataclass(frozen=True, slots=True)
class Came:
    """What came of somebody who came from the provider: a session, or '' and the word why not."""

    secret: str
    outcome: str
    name: str = ""


class StaffSessions:
    """Sessions, for one worker."""

    def __init__(
        self,
        main: ShopDatabase,
        people: StaffPeople,
        clock: Clock,
        bounds: StaffBounds,
        roles: Mapping[str, StaffRole],
    ) -> None:
        """`roles`: words of the claim to roles; empty where the row decides."""
        self._main = main
        self._people = people
        self._clock = clock
        self._bounds = bounds
        self._roles = roles
        self._logins = Logins(main, STAFF_LOGINS, clock)

    # ------------------------------------------------------------------------------------ logging in

    async def begin(self, back: str, prefix: str) -> Begun | None:
        """Begin a login; None where the network is locked, or has too many under way."""
        if await self.is_locked(prefix):
            return None
        return await self._logins.begin(back, prefix, BEGUN_MOST)

    async def take(self, browser: str, state: str) -> Begun | None:
        """Take a login away, so that it counts once; None if there is none of this browser and state in time."""
        return await self._logins.take(browser, state)

    async def is_locked(self, prefix: str) -> bool:
        """Tell whether nobody may log in from a network just now."""
        since_ms = self._clock.now_ms() - LOCK_MS
        failed = sa.select(sa.func.count()).where(
            STAFF_ENTRIES.c.prefix == prefix,
            STAFF_ENTRIES.c.at_ms > since_ms,
            STAFF_ENTRIES.c.outcome.not_in((ENTERED, INVITED)),
        )
        return (await self._main.read(lambda connection: connection.scalar(failed)) or 0) >= FAILURES_MOST

    async def failed(self, why: str, prefix: str) -> None:
        """Write down that a login did not count."""
        await self._main.write(lambda connection: self._entry(connection, "", why, prefix))

    async def enter(self, person: Person, prefix: str, before: str = "") -> Came:
        """Let somebody in, if they are of the staff. The session that the browser had `before` ends."""
        secret, now_ms = secrets.token_urlsafe(32), self._clock.now_ms()

        def write(connection: Connection) -> Came:
            row = self._people.recognise(connection, person, now_ms)
            came = self._judged(connection, row, person, now_ms)
            self._entry(connection, came.name, came.outcome, prefix)
            if row is None or came.outcome not in {ENTERED, INVITED}:
                return came
            if before:
                old = STAFF_SESSIONS.c.digest == digest_of(before)
                connection.execute(sa.delete(STAFF_SESSIONS).where(old))
            values = {
                "digest": digest_of(secret), "name": came.name, "version": self._version(connection, came.name),
                "created_ms": now_ms, "used_ms": now_ms,
            }  # fmt: skip
            connection.execute(sa.insert(STAFF_SESSIONS), values)
            return Came(secret, came.outcome, came.name)

        return await self._main.write(write)

    def _judged(
        self, connection: Connection, row: Mapping[str, Any] | None, person: Person, now_ms: int
    ) -> Came:
        if row is None:
            return Came("", "stranger")
        name = str(row["name"])
        if now_ms >= row["until_ms"]:
            return Came("", "over", name)
        if self._roles:
            given = {self._roles[word] for word in person.said if word in self._roles}
            if len(given) != 1:
                return Came("", "role", name)
            role = given.pop()
            if role.value != row["role"]:
                changed = sa.update(STAFF_PEOPLE).where(STAFF_PEOPLE.c.name == name)
                connection.execute(changed.values(role=role.value, version=STAFF_PEOPLE.c.version + 1))
        return Came("", INVITED if row["subject_index"] is None else ENTERED, name)

    @staticmethod
    def _version(connection: Connection, name: str) -> int:
        found = connection.scalar(sa.select(STAFF_PEOPLE.c.version).where(STAFF_PEOPLE.c.name == name))
        return int(found or 0)

    # ---------------------------------------------------------------------------------- the session

    async def who(self, secret: str) -> StaffSession | None:
        """Tell whose a session is; None for nobody's, and for one that is over. Raises ``Unavailable``."""
        if not secret:
            return None
        now_ms, own = self._clock.now_ms(), STAFF_SESSIONS.c.digest == digest_of(secret)
        joined = sa.select(
            STAFF_SESSIONS, STAFF_PEOPLE.c.role, STAFF_PEOPLE.c.until_ms, STAFF_PEOPLE.c.version.label("now")
        ).join_from(STAFF_SESSIONS, STAFF_PEOPLE, STAFF_PEOPLE.c.name == STAFF_SESSIONS.c.name)

        def read(connection: Connection) -> Any:
            return connection.execute(joined.where(own)).mappings().one_or_none()

        row = await self._main.read(read)
        if row is None:
            return None
        idle_ms, age_ms = now_ms - row["used_ms"], now_ms - row["created_ms"]
        is_over = idle_ms >= self._bounds.idle_ms or age_ms >= self._bounds.most_ms
        if is_over or row["version"] != row["now"] or now_ms >= row["until_ms"]:
            await self.leave(secret)
            return None
        if idle_ms >= TOUCH_MS:
            touch = sa.update(STAFF_SESSIONS).where(own).values(used_ms=now_ms)
            await self._main.write(lambda connection: connection.execute(touch).rowcount)
        return StaffSession(
            row["name"], StaffRole(row["role"]), row["digest"], csrf_of(secret), row["created_ms"]
        )

    async def leave(self, secret: str) -> None:
        """End a session."""
        gone = sa.delete(STAFF_SESSIONS).where(STAFF_SESSIONS.c.digest == digest_of(secret))
        await self._main.write(lambda connection: connection.execute(gone).rowcount)

    async def entries(self, name: str | None = None) -> Sequence[Entry]:
        """Tell the last logins of somebody, or of all; the newest first."""
        query = sa.select(STAFF_ENTRIES).order_by(STAFF_ENTRIES.c.at_ms.desc(), STAFF_ENTRIES.c.id)
        query = query.limit(ENTRIES_SHOWN)
        if name is not None:
            query = query.where(STAFF_ENTRIES.c.name == name)
        rows = await self._main.read(lambda connection: connection.execute(query).mappings().all())
        return [Entry(row["at_ms"], row["name"], row["outcome"], row["prefix"]) for row in rows]

    async def sweep(self) -> int:
        """Take away what is over: sessions, logins that nobody finished, proofs, old lines of the list."""
        now_ms, bounds = self._clock.now_ms(), self._bounds
        over = (
            sa.delete(STAFF_SESSIONS).where(
                (STAFF_SESSIONS.c.used_ms <= now_ms - bounds.idle_ms)
                | (STAFF_SESSIONS.c.created_ms <= now_ms - bounds.most_ms)
            ),
            sa.delete(STAFF_LOGINS).where(STAFF_LOGINS.c.created_ms <= now_ms - LOGIN_MS),
            sa.delete(STAFF_PROOFS).where(STAFF_PROOFS.c.created_ms <= now_ms - PROOF_MS),
            sa.delete(STAFF_ENTRIES).where(STAFF_ENTRIES.c.at_ms <= now_ms - bounds.entries_ms),
        )
        return await self._main.write(
            lambda connection: sum(connection.execute(statement).rowcount for statement in over)
        )

    # ------------------------------------------------------------------------------------------- SQL

    def _entry(self, connection: Connection, name: str, outcome: str, prefix: str) -> None:
        row = {
            "id": secrets.token_hex(12), "at_ms": self._clock.now_ms(), "name": name, "outcome": outcome,
            "prefix": prefix,
        }  # fmt: skip
        connection.execute(sa.insert(STAFF_ENTRIES), row)


def csrf_of(secret: str) -> str:
    """Give the paper that forms and calls of a session carry."""
    return paper_of(secret, "csrf")


def paper_of(secret: str, text: str) -> str:
    """Give the paper by which a session knows again what it was given."""
    return b64url(hmac.digest(secret.encode("utf-8", "surrogateescape"), text.encode(), "sha256"))


def network_of(address: str) -> str:
    """Name the network of an address: /24 of IPv4, /48 of IPv6; as it is where it is no address."""
    found = parsed(address)
    return address[:40] if found is None else addresses.network_of(found)
