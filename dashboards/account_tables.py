"""Tables of accounts: columns, the connection, and how rooms and secrets are written.

In the journal's database, beside the chain and not in it: people can be removed, and the chain forgets nothing. The
tables are made by ``waitroom.migrations``. What is done about accounts and tokens does stand in the chain, by the
name of whom it is about: ``record`` puts it there in the transaction that does it. Of what somebody shows (codes,
tokens, session ids) a hash is kept; each is of at least 80 random bits, so one pass of SHA-256 is enough.

Synchronous, as the journal's store. Database errors become ``Unavailable`` here.
"""

import hashlib
import unicodedata
from collections.abc import Iterator
from contextlib import contextmanager

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from kernel.database import address, begin_writing, close, engine, take_turn
from waitroom.access_acts import AccessAct, access_entry
from waitroom.configure import Actor
from waitroom.field_readers import NAME
from waitroom.journal_tables import LOCK, translated
from waitroom.journal_writing import put

META = sa.MetaData()
ACCOUNTS = sa.Table(
    "operator_accounts",
    META,
    sa.Column("key", sa.Text, primary_key=True),
    sa.Column("name", sa.Text),
    sa.Column("role", sa.Text),
    sa.Column("rooms", sa.Text),
    sa.Column("password", sa.Text),
    sa.Column("device", sa.Text),
    sa.Column("counter", sa.BigInteger),
    sa.Column("recovery", sa.Text),
    sa.Column("email", sa.Text),
    sa.Column("email_until_ms", sa.BigInteger),
    sa.Column("subject", sa.Text),
    sa.Column("invite", sa.Text),
    sa.Column("invite_until_ms", sa.BigInteger),
    sa.Column("made_ms", sa.BigInteger),
    sa.Column("made_by", sa.Text),
)
SESSIONS = sa.Table(
    "operator_sessions",
    META,
    sa.Column("digest", sa.Text, primary_key=True),
    sa.Column("key", sa.Text),
    sa.Column("made_ms", sa.BigInteger),
    sa.Column("until_ms", sa.BigInteger),
    sa.Column("network", sa.Text),
    sa.Column("how", sa.Text),
)
TOKENS = sa.Table(
    "operator_tokens",
    META,
    sa.Column("key", sa.Text, primary_key=True),
    sa.Column("name", sa.Text),
    sa.Column("digest", sa.Text),
    sa.Column("role", sa.Text),
    sa.Column("rooms", sa.Text),
    sa.Column("maker", sa.Text),
    sa.Column("made_ms", sa.BigInteger),
    sa.Column("until_ms", sa.BigInteger),
    sa.Column("used_ms", sa.BigInteger),
)
LOGINS = sa.Table(
    "operator_logins",
    META,
    sa.Column("id", sa.Integer, primary_key=True),
    sa.Column("at_ms", sa.BigInteger),
    sa.Column("key", sa.Text),
    sa.Column("name", sa.Text),
    sa.Column("network", sa.Text),
    sa.Column("how", sa.Text),
    sa.Column("outcome", sa.Text),
)
WAITS = sa.Table(
    "operator_waits",
    META,
    sa.Column("key", sa.Text, primary_key=True),
    sa.Column("failures", sa.BigInteger),
    sa.Column("until_ms", sa.BigInteger),
)


class AccountDatabase:
    """Connections to the journal's database, for accounts; ``journal_store`` has made the tables."""

    def __init__(self, url: str) -> None:
        """Prepare; nothing is opened yet. Raises ``Misconfigured`` for an address that cannot be one."""
        self._engine = engine(address(url, "journal"), "journal")

    def close(self) -> None:
        """Close all connections."""
        close(self._engine)

    @contextmanager
    def reading(self) -> Iterator[Connection]:
        """Read. Raises ``Unavailable``."""
        with translated(), self._engine.connect() as connection:
            yield connection

    @contextmanager
    def writing(self) -> Iterator[Connection]:
        """Write, one after the other; what raises has changed nothing. Raises ``Unavailable``."""
        with translated(), self._engine.connect() as connection:
            begin_writing(connection)
            with connection.begin():
                take_turn(connection, LOCK)
                yield connection


def record(connection: Connection, act: AccessAct, what: str, by: Actor, now_ms: int, **more: str) -> None:
    """Put what `by` does to the account or token `what` into the journal, in the transaction that does it."""
    put(connection, [access_entry(act, what, by.who, by.why, now_ms, **more)])


def key_of(name: str) -> str:
    """Give what a name is found by: two that look alike but for capitals are one."""
    return unicodedata.normalize("NFKC", name).strip().casefold()


def digest_of(secret: str) -> str:
    """Give what is kept of a random secret."""
    return hashlib.sha256(secret.encode("utf-8", "surrogatepass")).hexdigest()


def rooms_text(rooms: frozenset[str] | None) -> str | None:
    """Write rooms; None for all."""
    return None if rooms is None else ",".join(sorted(rooms))


def rooms_told(text: str | None) -> str:
    """Write a row's rooms for the journal."""
    return "all" if text is None else text


def rooms_of(text: str | None) -> frozenset[str] | None:
    """Read rooms; None for all, none for ''."""
    return None if text is None else frozenset(filter(None, text.split(",")))


def given_rooms(text: str) -> frozenset[str] | None:
    """Read what somebody typed: names of rooms, or "all" for None. Raises ``ValueError`` for what names none."""
    words = text.replace(",", " ").split()
    if not words or not all(NAME.fullmatch(word) for word in words):
        raise ValueError("name rooms, or all")
    return None if words == ["all"] else frozenset(words)
