"""Proof: a secret of a few minutes that counts once, for one session of one person, for one purpose.

A challenge to a key is one, and so is the code that a key's answer is worth: it goes where the digits of a device would
go. The database has hashes. What is asked for and never used is swept, and a person has ``PROOFS_MOST`` at a time.
"""

import secrets
from dataclasses import dataclass
from enum import StrEnum

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from checkout.people.logins import digest_of
from checkout.tables import STAFF_PROOFS

PROOF_MS = 120_000
PROOFS_MOST = 20
CODE = "key_"
"""How a code begins that a key's answer is worth; digits and recovery codes do not."""


class Purpose(StrEnum):
    """What a proof is for."""

    MAKE = "make"
    """A challenge to a key that is being made."""
    ANSWER = "answer"
    """A challenge to a key that is there."""
    CODE = "code"
    """What an answer is worth."""


@dataclass(frozen=True, slots=True)
class Whose:
    """Whose a proof is, and in which session (as its hash)."""

    name: str
    session: str


def give(
    connection: Connection, purpose: Purpose, whose: Whose, secret: str, now_ms: int, shown_by: str = ""
) -> bool:
    """Write a proof down; False if there are too many. `shown_by` is the key that a code comes from."""
    old = STAFF_PROOFS.c.created_ms <= now_ms - PROOF_MS
    connection.execute(sa.delete(STAFF_PROOFS).where(old, STAFF_PROOFS.c.name == whose.name))
    count = sa.select(sa.func.count()).select_from(STAFF_PROOFS).where(STAFF_PROOFS.c.name == whose.name)
    if (connection.scalar(count) or 0) >= PROOFS_MOST:
        return False
    row = {
        "digest": digest_of(secret), "kind": purpose.value, "name": whose.name, "session": whose.session,
        "shown_by": shown_by, "created_ms": now_ms,
    }  # fmt: skip
    connection.execute(sa.insert(STAFF_PROOFS), row)
    return True


def take(connection: Connection, purpose: Purpose, whose: Whose, secret: str, now_ms: int) -> str | None:
    """Take a proof away, and tell which key it comes from; None for one that does not count."""
    own = STAFF_PROOFS.c.digest == digest_of(secret)
    row = connection.execute(sa.select(STAFF_PROOFS).where(own)).mappings().one_or_none()
    if row is None or row["name"] != whose.name:
        return None  # Nobody spends another's.
    gone = connection.execute(sa.delete(STAFF_PROOFS).where(own)).rowcount
    is_right = row["kind"] == purpose.value and row["session"] == whose.session
    if not gone or not is_right or now_ms - row["created_ms"] >= PROOF_MS:
        return None
    return str(row["shown_by"])


def new_code() -> str:
    """Make a code for a key's answer."""
    return CODE + secrets.token_urlsafe(32)
