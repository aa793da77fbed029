"""Token book: API tokens for programs: named, with a role, rooms and an end; told once, kept as a hash.

A token acts as a person of its own name, which goes into the journal. It never may do more than who made it may now: a
maker who was given a lower role, or fewer rooms, takes their tokens along, and with a maker who was taken out they are
gone. One that the command line made has no maker.
"""

import secrets
from typing import NamedTuple

import sqlalchemy as sa

from dashboards.account_book import NAME_MOST_CHARS, RESERVED, Told
from dashboards.account_tables import (
    ACCOUNTS,
    TOKENS,
    AccountDatabase,
    digest_of,
    key_of,
    record,
    rooms_of,
    rooms_text,
    rooms_told,
)
from dashboards.rights import Person, Role
from kernel.clock import Clock
from waitroom.access_acts import AccessAct
from waitroom.configure import Actor

PREFIX = "wrt_"
"""Of every token, so that one is known when it is found where it should not be."""
TOKEN_BYTES = 32
MOST_DAYS = 3650
DAY_MS = 86_400_000
USED_EVERY_MS = 60_000
"""When it was last used is written down this often, and not with each request."""


class Token(NamedTuple):
    """A token, as others may see it."""

    name: str
    role: Role
    rooms: frozenset[str] | None
    maker: str
    made_ms: int
    until_ms: int
    used_ms: int | None


class TokenBook:
    """The tokens of one installation."""

    def __init__(self, database: AccountDatabase, clock: Clock) -> None:
        """Know where they stand."""
        self._database = database
        self._clock = clock

    def all(self) -> list[Token]:
        """Return all tokens, by name."""
        maker = sa.func.coalesce(ACCOUNTS.c.name, TOKENS.c.maker).label("maker_name")
        joined = TOKENS.outerjoin(ACCOUNTS, TOKENS.c.maker == ACCOUNTS.c.key)
        with self._database.reading() as connection:
            rows = connection.execute(
                sa.select(TOKENS, maker).select_from(joined).order_by(TOKENS.c.key)
            ).all()
        return [
            Token(
                row.name, Role(row.role), rooms_of(row.rooms), row.maker_name, row.made_ms, row.until_ms, row.used_ms,
            )
            for row in rows
        ]  # fmt: skip

    def add(
        self, name: str, role: Role, rooms: frozenset[str] | None, days: int, by: Actor, maker: str = ""
    ) -> tuple[Told, str]:
        """Make a token and return it, '' where none was made; `maker` is the account of who makes it, if any."""
        key = key_of(name)
        if key in RESERVED or len(name) > NAME_MOST_CHARS or not name.isprintable() or name != name.strip():
            return Told.NAME_WRONG, ""
        if not 1 <= days <= MOST_DAYS:
            raise ValueError("a token counts for 1 to 3650 days")
        token, now_ms = PREFIX + secrets.token_urlsafe(TOKEN_BYTES), self._clock.now_ms()
        with self._database.writing() as connection:
            taken = [sa.select(table.c.key).where(table.c.key == key) for table in (TOKENS, ACCOUNTS)]
            if any(connection.execute(query).first() for query in taken):
                return Told.NAME_TAKEN, ""
            row = {
                "key": key, "name": name, "digest": digest_of(token), "role": role.value,
                "rooms": rooms_text(rooms), "maker": key_of(maker), "made_ms": now_ms,
                "until_ms": now_ms + days * DAY_MS, "used_ms": None,
            }  # fmt: skip
            connection.execute(sa.insert(TOKENS), row)
            given = {
                "role": role.value, "rooms": rooms_told(rooms_text(rooms)), "until_ms": str(now_ms + days * DAY_MS),
            }  # fmt: skip
            record(connection, AccessAct.TOKEN_MADE, name, by, now_ms, **given)
        return Told.DONE, token

    def remove(self, name: str, by: Actor) -> bool:
        """Let a token count no more, at once; tell whether there was one."""
        own = TOKENS.c.key == key_of(name)
        with self._database.writing() as connection:
            whose = connection.scalar(sa.select(TOKENS.c.name).where(own))
            if whose is None:
                return False
            connection.execute(sa.delete(TOKENS).where(own))
            record(connection, AccessAct.TOKEN_REMOVED, whose, by, self._clock.now_ms())
        return True

    def who(self, token: str) -> Person | None:
        """Return as whom a token acts; None for one that does not count."""
        if not token.startswith(PREFIX):
            return None
        now_ms = self._clock.now_ms()
        joined = TOKENS.outerjoin(ACCOUNTS, TOKENS.c.maker == ACCOUNTS.c.key)
        makers = (ACCOUNTS.c.role.label("maker_role"), ACCOUNTS.c.rooms.label("maker_rooms"))
        fits = sa.and_(TOKENS.c.digest == digest_of(token), TOKENS.c.until_ms > now_ms)
        with self._database.reading() as connection:
            row = connection.execute(sa.select(TOKENS, *makers).select_from(joined).where(fits)).one_or_none()
        if row is None or (row.maker and row.maker_role is None):
            return None
        person = Person(row.name, Role(row.role), rooms_of(row.rooms))
        if row.maker:
            person = person.within(Person(row.maker, Role(row.maker_role), rooms_of(row.maker_rooms)))
        if row.used_ms is None or now_ms - row.used_ms >= USED_EVERY_MS:
            with self._database.writing() as connection:
                used = sa.update(TOKENS).where(TOKENS.c.key == row.key)
                connection.execute(used.values(used_ms=now_ms))
        return person
