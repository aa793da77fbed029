"""Staff keys: the security keys of who works for the organiser, each with a name of its own, and what they are worth.

What an answer must be like ``kernel.security_keys`` says; here is what must be remembered for it. A challenge is a
proof (``proofs``): it counts once, for its person, session and purpose, and is gone whether the answer was right or
not. A key answers for its own person only. Its counter is written down in the transaction that accepts it, and only if
it is still the one that was compared, so of two answers with one count the second is refused.

An answer that counts is worth a code, for one act of this session: it is shown where the digits of a device would be.
Somebody's last factor cannot be taken away.
"""

import logging
import secrets
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa
from sqlalchemy.engine import Connection
from sqlalchemy.exc import IntegrityError

from checkout.database import ShopDatabase
from checkout.people import proofs
from checkout.people.factors import begin
from checkout.people.keys import PeopleKeys
from checkout.people.proofs import Purpose, Whose
from checkout.tables import STAFF_FACTORS, STAFF_KEYS
from kernel.clock import Clock
from kernel.errors import Refused
from kernel.security_keys import (
    CHALLENGE_BYTES,
    KeyRefused,
    KeySite,
    MadeKey,
    asking,
    challenge_of,
    credential_of,
    making,
    read_answer,
    read_made,
)
from kernel.signing import b64url, from_b64url

log = logging.getLogger(__name__)

KEYS_MOST = 10
LABEL_MOST = 40


@dataclass(frozen=True, slots=True)
class StaffKey:
    """A key, as its person sees it."""

    credential: str
    label: str
    created_ms: int
    used_ms: int


class StaffKeys:
    """Security keys, for one worker."""

    def __init__(self, main: ShopDatabase, keys: PeopleKeys, clock: Clock, site: KeySite) -> None:
        self._main = main
        self._keys = keys
        self._clock = clock
        self._site = site

    async def keys(self, name: str) -> Sequence[StaffKey]:
        """Tell somebody's keys, in the order in which they were made."""
        rows = await self._main.read(lambda connection: _rows(connection, name))
        return [StaffKey(row["credential"], row["label"], row["created_ms"], row["used_ms"]) for row in rows]

    async def ask_for_new(self, whose: Whose) -> Any:
        """Say what a browser is to make a key from. Whoever calls has seen that the person may. Raises ``Refused``."""
        there, challenge = await self._challenge(Purpose.MAKE, whose)
        if len(there) >= KEYS_MOST:
            raise Refused("keys-full", f"Nobody has more than {KEYS_MOST} keys.", 409)
        # Of the same person always the same, and nobody's name.
        handle = bytes.fromhex(self._keys.index("staff-handle", whose.name))[:32]
        return making(self._site, person=whose.name, handle=handle, challenge=challenge, there=there)

    async def add(self, whose: Whose, answer: Mapping[str, Any], label: str) -> Sequence[str]:
        """Keep a key that was made; returns recovery codes, where it is the first factor. Raises ``Refused``."""
        challenge = await self._taken(Purpose.MAKE, whose, answer)
        try:
            made = read_made(self._site, answer, challenge)
        except KeyRefused as error:
            raise _refused(whose, error) from error
        now_ms = self._clock.now_ms()
        row = {
            "credential": made.credential, "name": whose.name, "label": _label(label),
            "public_key": made.public_key, "uses": made.count, "created_ms": now_ms, "used_ms": 0,
        }  # fmt: skip

        def write(connection: Connection) -> Sequence[str]:
            codes = begin(connection, whose.name)
            connection.execute(sa.insert(STAFF_KEYS), row)
            return codes

        try:
            return await self._main.write(write)
        except IntegrityError as error:
            raise _refused(whose, KeyRefused("a key of this id is there")) from error

    async def ask(self, whose: Whose) -> Any:
        """Say what a browser is to ask the person's keys. Raises ``Refused``."""
        there, challenge = await self._challenge(Purpose.ANSWER, whose)
        if not there:
            raise Refused("key-none", "You have no key yet.", 409)
        return asking(self._site, challenge=challenge, there=there)

    async def prove(self, whose: Whose, answer: Mapping[str, Any]) -> str:
        """Return the code that an answer is worth. Raises ``Refused``."""
        challenge = await self._taken(Purpose.ANSWER, whose, answer)
        try:
            return await self._main.write(
                lambda connection: self._proved(connection, whose, answer, challenge)
            )
        except KeyRefused as error:
            raise _refused(whose, error) from error

    def _proved(
        self, connection: Connection, whose: Whose, answer: Mapping[str, Any], challenge: bytes
    ) -> str:
        own = (STAFF_KEYS.c.credential == credential_of(answer)) & (STAFF_KEYS.c.name == whose.name)
        query = sa.select(STAFF_KEYS).where(own).with_for_update()
        row = connection.execute(query).mappings().one_or_none()
        if row is None:
            raise KeyRefused("credential")
        key = MadeKey(row["credential"], row["public_key"], row["uses"])
        now_ms, uses = self._clock.now_ms(), read_answer(self._site, answer, challenge, key)
        same = STAFF_KEYS.c.uses == key.count
        counted = sa.update(STAFF_KEYS).where(own, same).values(uses=uses, used_ms=now_ms)
        if connection.execute(counted).rowcount != 1:
            raise KeyRefused("count")
        code = proofs.new_code()
        if not proofs.give(connection, Purpose.CODE, whose, code, now_ms, key.credential):
            raise KeyRefused("too many")
        return code

    async def remove(self, name: str, credential: str) -> bool:
        """Take a key away, unless it is all that its person has."""
        own = STAFF_KEYS.c.name == name

        def write(connection: Connection) -> bool:
            factors = sa.select(STAFF_FACTORS).where(STAFF_FACTORS.c.name == name).with_for_update()
            row = connection.execute(factors).mappings().one_or_none()
            there = [key["credential"] for key in _rows(connection, name)]
            has_more = len(there) > 1 or (row is not None and row["secret"])
            if credential not in there or not has_more:
                return False
            gone = sa.delete(STAFF_KEYS).where(own, STAFF_KEYS.c.credential == credential)
            return connection.execute(gone).rowcount == 1

        return await self._main.write(write)

    async def _challenge(self, purpose: Purpose, whose: Whose) -> tuple[Sequence[str], bytes]:
        challenge, now_ms = secrets.token_bytes(CHALLENGE_BYTES), self._clock.now_ms()

        def write(connection: Connection) -> tuple[Sequence[str], bool]:
            there = [row["credential"] for row in _rows(connection, whose.name)]
            return there, proofs.give(connection, purpose, whose, b64url(challenge), now_ms)

        there, is_given = await self._main.write(write)
        if not is_given:
            raise Refused(
                "keys-busy", "There are too many questions to your keys. Wait two minutes.", 429, 120
            )
        return there, challenge

    async def _taken(self, purpose: Purpose, whose: Whose, answer: Mapping[str, Any]) -> bytes:
        """Take the challenge away that an answer is to, whatever that is worth. Raises ``Refused``."""
        now_ms = self._clock.now_ms()
        try:
            told = challenge_of(answer)
            taken = await self._main.write(
                lambda connection: proofs.take(connection, purpose, whose, told, now_ms)
            )
            if taken is None:
                raise KeyRefused("challenge")  # noqa: TRY301
            return from_b64url(told)
        except KeyRefused as error:
            raise _refused(whose, error) from error


def _rows(connection: Connection, name: str) -> Sequence[Any]:
    query = sa.select(STAFF_KEYS).where(STAFF_KEYS.c.name == name)
    query = query.order_by(STAFF_KEYS.c.created_ms, STAFF_KEYS.c.credential)
    return connection.execute(query).mappings().all()


def _label(text: str) -> str:
    """Read a key's name: what can be seen, and not too long of it."""
    shown = " ".join("".join(letter if letter.isprintable() else " " for letter in text).split())
    return shown[:LABEL_MOST].strip() or "Key"


def _refused(whose: Whose, error: KeyRefused) -> Refused:
    log.warning("a key was refused", extra={"who": whose.name, "why": error.why})
    return Refused("key-refused", "This key's answer does not count. Try once more.", 403)
