"""Account: a fan who logs in, so that their orders of all events stand in one place. Nobody needs one to buy.

* **A login** counts once, in the browser that began it (``logins``).
* **A session** is 32 random octets in a cookie; the database has their hash. Each login makes a new one and ends the
  one that the browser had, so a session that somebody has planted is worth nothing. It ends when idle, and at last.
* **An order** becomes an account's while it is bought, or when its buyer says so; it is one account's for good.

Who somebody is at the provider is kept as an HMAC; address and name are sealed. Not here: what of a provider is
believed (``oidc``), pages (``site.account_pages``).
"""

import asyncio
import secrets
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa
from sqlalchemy.engine import Connection
from sqlalchemy.exc import IntegrityError

from checkout.database import ShopDatabase
from checkout.people.addresses import read_email, read_name
from checkout.people.columns import SEALED_ACCOUNTS
from checkout.people.contacts import DAY_MS, Contact, Homes, Want
from checkout.people.keys import PeopleKeys
from checkout.people.logins import LOGIN_MS, Logins, digest_of
from checkout.tables import ACCOUNT_LOGINS, ACCOUNT_ORDERS, ACCOUNT_SESSIONS, ACCOUNTS, ORDERS
from kernel.clock import Clock
from kernel.errors import Unavailable
from kernel.oidc import Begun, Person
from kernel.sealing import CannotOpen

TOUCH_MS = 300_000
"""So exactly is known when a session was last used."""

ORDERS_MOST = 200


@dataclass(frozen=True, slots=True)
class Account:
    """Who is logged in."""

    id: str
    email: str
    name: str
    language: str
    wants: frozenset[str]


@dataclass(frozen=True, slots=True)
class Bought:
    """An order of an account, as its event's database has it now."""

    event: str
    order: str
    state: str
    currency: str
    amount_minor: int
    created_ms: int


@dataclass(frozen=True, slots=True)
class Bounds:
    """How long a session lasts: since it was used, and since it was made."""

    idle_ms: int
    most_ms: int


class Accounts:
    """Accounts, for one worker."""

    def __init__(
        self, main: ShopDatabase, homes: Homes, keys: PeopleKeys, clock: Clock, bounds: Bounds
    ) -> None:
        self._main = main
        self._homes = homes
        self._keys = keys
        self._clock = clock
        self._bounds = bounds
        self._logins = Logins(main, ACCOUNT_LOGINS, clock)

    # ---------------------------------------------------------------------------------- logging in

    async def begin(self, back: str) -> Begun | None:
        """Begin a login; None if too many are under way. `back` is where to go afterwards, and is known to be ours."""
        return await self._logins.begin(back)

    async def take(self, browser: str, state: str) -> Begun | None:
        """Take a login away, so that it counts once; None if there is none of this browser and state in time."""
        return await self._logins.take(browser, state)

    async def enter(self, person: Person, language: str, before: str = "") -> str:
        """Let somebody in; returns a new session. The session that the browser had `before` ends."""
        secret, now_ms = secrets.token_urlsafe(32), self._clock.now_ms()

        def write(connection: Connection) -> None:
            account = self._account_for(connection, person, language, now_ms)
            if before:
                connection.execute(
                    sa.delete(ACCOUNT_SESSIONS).where(ACCOUNT_SESSIONS.c.digest == digest_of(before))
                )
            row = {
                "digest": digest_of(secret),
                "account_id": account,
                "created_ms": now_ms,
                "used_ms": now_ms,
            }
            connection.execute(sa.insert(ACCOUNT_SESSIONS), row)

        try:
            await self._main.write(write)
        except IntegrityError:
            # The same person came in at another door at this very moment; now they are known.
            await self._main.write(write)
        return secret

    async def who(self, session: str) -> Account | None:
        """Tell whose a session is; None for nobody's, and for one that is over. Raises ``Unavailable``."""
        if not session:
            return None
        now_ms = self._clock.now_ms()
        own = ACCOUNT_SESSIONS.c.digest == digest_of(session)
        joined = sa.select(
            ACCOUNTS, ACCOUNT_SESSIONS.c.created_ms.label("made_ms"), ACCOUNT_SESSIONS.c.used_ms
        ).join_from(ACCOUNT_SESSIONS, ACCOUNTS, ACCOUNTS.c.id == ACCOUNT_SESSIONS.c.account_id)

        def read(connection: Connection) -> Any:
            return connection.execute(joined.where(own)).mappings().one_or_none()

        row = await self._main.read(read)
        if row is None:
            return None
        idle_ms, age_ms = now_ms - row["used_ms"], now_ms - row["made_ms"]
        if idle_ms >= self._bounds.idle_ms or age_ms >= self._bounds.most_ms:
            await self.leave(session)
            return None
        if idle_ms >= TOUCH_MS:
            touch = sa.update(ACCOUNT_SESSIONS).where(own).values(used_ms=now_ms)
            await self._main.write(lambda connection: connection.execute(touch).rowcount)
        return self._opened(row)

    async def leave(self, session: str) -> None:
        """End a session."""
        gone = sa.delete(ACCOUNT_SESSIONS).where(ACCOUNT_SESSIONS.c.digest == digest_of(session))
        await self._main.write(lambda connection: connection.execute(gone).rowcount)

    # --------------------------------------------------------------------------------- what is theirs

    async def change(self, account: str, language: str, wants: frozenset[str]) -> None:
        """Keep what somebody prefers."""
        values = {"language": language, "wants": " ".join(sorted(wants))}
        change = sa.update(ACCOUNTS).where(ACCOUNTS.c.id == account).values(**values)
        await self._main.write(lambda connection: connection.execute(change).rowcount)

    async def tie(self, account: str, event: str, order: str) -> bool:
        """Make an order an account's; False if it is another's. Whoever calls has seen that the buyer owns it."""
        row = {"event_id": event, "order_id": order, "account_id": account, "at_ms": self._clock.now_ms()}

        def write(connection: Connection) -> None:
            connection.execute(sa.insert(ACCOUNT_ORDERS), row)

        try:
            await self._main.write(write)
        except IntegrityError:
            return await self.owner(event, order) == account
        return True

    async def owner(self, event: str, order: str) -> str | None:
        """Name the account that an order is of."""
        own = (ACCOUNT_ORDERS.c.event_id == event) & (ACCOUNT_ORDERS.c.order_id == order)
        query = sa.select(ACCOUNT_ORDERS.c.account_id).where(own)
        return await self._main.read(lambda connection: connection.scalar(query))

    async def untie(self, event: str, order: str) -> int:
        """Make an order nobody's again."""
        own = (ACCOUNT_ORDERS.c.event_id == event) & (ACCOUNT_ORDERS.c.order_id == order)
        gone = sa.delete(ACCOUNT_ORDERS).where(own)
        return await self._main.write(lambda connection: connection.execute(gone).rowcount)

    async def bought(self, account: str) -> Sequence[Bought]:
        """Tell an account's orders of all events, the newest first; one on its way is left out for a moment."""
        query = sa.select(ACCOUNT_ORDERS).where(ACCOUNT_ORDERS.c.account_id == account)
        query = query.order_by(ACCOUNT_ORDERS.c.at_ms.desc(), ACCOUNT_ORDERS.c.order_id).limit(ORDERS_MOST)
        tied = await self._main.read(lambda connection: connection.execute(query).mappings().all())
        found: list[Bought] = []
        for event in sorted({row["event_id"] for row in tied}):
            names = [row["order_id"] for row in tied if row["event_id"] == event]
            try:
                database = self._homes.of(event).database
            except Unavailable:
                continue
            found += await asyncio.to_thread(_bought, database, event, names)
        return sorted(found, key=lambda one: (-one.created_ms, one.order))

    async def contact(self, event: str, order: str) -> Contact | None:
        """Tell where the account that an order is of is written to; None without one, or without an address."""
        query = sa.select(ACCOUNTS).join_from(
            ACCOUNT_ORDERS, ACCOUNTS, ACCOUNTS.c.id == ACCOUNT_ORDERS.c.account_id
        )
        query = query.where(ACCOUNT_ORDERS.c.event_id == event, ACCOUNT_ORDERS.c.order_id == order)
        row = await self._main.read(lambda connection: connection.execute(query).mappings().one_or_none())
        if row is None:
            return None
        account = self._opened(row)
        if not account.email:
            return None
        return Contact(account.email, account.language, account.wants, account.name)

    async def erase(self, account: str) -> None:
        """Forget an account with its sessions; orders stay, and are nobody's again."""
        tables = ((ACCOUNT_SESSIONS, "account_id"), (ACCOUNT_ORDERS, "account_id"), (ACCOUNTS, "id"))

        def write(connection: Connection) -> None:
            for table, column in tables:
                connection.execute(sa.delete(table).where(table.c[column] == account))

        await self._main.write(write)

    async def sweep(self) -> int:
        """Take away sessions that are over, and logins that nobody finished; returns how many."""
        now_ms = self._clock.now_ms()
        idle = ACCOUNT_SESSIONS.c.used_ms <= now_ms - self._bounds.idle_ms
        old = ACCOUNT_SESSIONS.c.created_ms <= now_ms - self._bounds.most_ms
        late = ACCOUNT_LOGINS.c.created_ms <= now_ms - LOGIN_MS

        def write(connection: Connection) -> int:
            gone = connection.execute(sa.delete(ACCOUNT_SESSIONS).where(idle | old)).rowcount
            return gone + connection.execute(sa.delete(ACCOUNT_LOGINS).where(late)).rowcount

        return await self._main.write(write)

    # ------------------------------------------------------------------------------------------- SQL

    def _account_for(self, connection: Connection, person: Person, language: str, now_ms: int) -> str:
        """Find or make somebody's account; what the provider says of them is kept anew each time."""
        index = self._keys.index("subject", f"{person.issuer}\0{person.subject}")
        known = connection.scalar(sa.select(ACCOUNTS.c.id).where(ACCOUNTS.c.subject_index == index))
        account = known or f"A{secrets.token_hex(12)}"
        row = {"id": account}
        kept = {"email": _or_nothing(read_email, person.email), "name": _or_nothing(read_name, person.name)}
        values: dict[str, Any] = {
            column: self._keys.seal(text, SEALED_ACCOUNTS.where(row, column)) if text else ""
            for column, text in kept.items()
        } | {"seen_ms": now_ms}
        if known is not None:
            connection.execute(sa.update(ACCOUNTS).where(ACCOUNTS.c.id == known).values(**values))
            return account
        made = {"subject_index": index, "language": language, "wants": Want.ORDER.value, "created_ms": now_ms}
        connection.execute(sa.insert(ACCOUNTS), {**row, **values, **made})
        return account

    def _opened(self, row: Any) -> Account:
        try:
            email, name = (
                self._keys.open(row[column], SEALED_ACCOUNTS.where(row, column)) if row[column] else ""
                for column in ("email", "name")
            )
        except CannotOpen as error:
            raise Unavailable("contact-unreadable", "What is kept of you cannot be read just now.") from error
        return Account(row["id"], email, name, row["language"], frozenset(row["wants"].split()))


class AccountPart:
    """``personal.Part``: that an order is some account's."""

    name = "account"

    def __init__(self, accounts: Accounts) -> None:
        self._accounts = accounts

    async def told(self, event: str, order: str) -> object:
        """Name the account."""
        return await self._accounts.owner(event, order)

    async def erase(self, event: str, order: str) -> int:
        """Forget that the order is an account's; the account itself is its own owner's to erase."""
        return await self._accounts.untie(event, order)


def bounds_of(idle_h: int, days: int) -> Bounds:
    """Read the bounds of a session as settings say them."""
    return Bounds(idle_h * 3_600_000, days * DAY_MS)


def _or_nothing(reader: Callable[[str], str], text: str) -> str:
    """Take what a provider says as far as it can be taken."""
    try:
        return reader(text) if text else ""
    except ValueError:
        return ""


def _bought(database: ShopDatabase, event: str, names: Sequence[str]) -> list[Bought]:
    query = sa.select(
        ORDERS.c.event_id,
        ORDERS.c.id,
        ORDERS.c.state,
        ORDERS.c.currency,
        ORDERS.c.amount_minor,
        ORDERS.c.created_ms,
    ).where(ORDERS.c.event_id == event, ORDERS.c.id.in_(names))
    with database.reading() as connection:
        return [Bought(*row) for row in connection.execute(query)]
