"""Staff people: who may log in and work for the organiser, in which role and until when; and nobody else.

Somebody is invited first, by a name for the log, a role and an end; with the address at which the provider knows them,
or with the very name that the provider gives them. The first login with that address, if the provider has made sure of
it, binds the row to who came, and the address is forgotten; from then on only that one is let in (``staff_sessions``).
An invitation that nobody took in time counts no more.

Each change of role or end makes the row's version one higher, and a session of an older version is over at once.
Whoever is removed is gone with sessions, keys and factors. A name is a person's or a program's token, never both.
"""

from dataclasses import dataclass
from enum import StrEnum

import sqlalchemy as sa
from sqlalchemy.engine import Connection
from sqlalchemy.exc import IntegrityError

from checkout.database import ShopDatabase
from checkout.people.addresses import read_email, same_address
from checkout.people.factors import forget
from checkout.people.keys import PeopleKeys
from checkout.people.staff import NAME, StaffRole
from checkout.people.staff_tokens import TAKEN
from checkout.tables import STAFF_PEOPLE, STAFF_SESSIONS
from kernel.clock import Clock
from kernel.oidc import SUBJECT_MOST, Person

DAY_MS = 86_400_000
INVITED_DAYS = 7
"""So long an invitation waits."""

USUAL_DAYS = 365
MOST_DAYS = 3650


class Invited(StrEnum):
    """What came of an invitation."""

    MADE = "made"
    NAME_WRONG = "name-wrong"
    NAME_TAKEN = "name-taken"
    ADDRESS_WRONG = "address-wrong"
    ADDRESS_TAKEN = "address-taken"


@dataclass(frozen=True, slots=True)
class StaffPerson:
    """One who may log in."""

    name: str
    role: StaffRole
    is_bound: bool
    """Somebody has taken the invitation, or was named from the beginning."""
    invited_until_ms: int
    until_ms: int


class StaffPeople:
    """Those who may log in, for one worker or a command."""

    def __init__(self, main: ShopDatabase, keys: PeopleKeys, clock: Clock) -> None:
        self._main = main
        self._keys = keys
        self._clock = clock

    def invite(
        self, name: str, role: StaffRole, days: int, *, email: str = "", issuer: str = "", subject: str = ""
    ) -> Invited:
        """Invite somebody by an address, or by who they are at a provider."""
        if NAME.fullmatch(name) is None or name == TAKEN:
            return Invited.NAME_WRONG
        if subject:
            is_right = bool(issuer) and len(subject) <= SUBJECT_MOST
            found = {"subject_index": self.subject_index(issuer, subject), "email_index": None}
        else:
            try:
                found = {"subject_index": None, "email_index": self.email_index(read_email(email))}
                is_right = True
            except ValueError:
                is_right = False
        if not is_right:
            return Invited.ADDRESS_WRONG
        now_ms = self._clock.now_ms()
        row = {
            "name": name, "role": role.value, "version": 1, **found, "invited_ms": now_ms,
            "invited_until_ms": now_ms + INVITED_DAYS * DAY_MS, "until_ms": now_ms + days * DAY_MS,
        }  # fmt: skip
        try:
            with self._main.writing() as connection:
                _forget_late(connection, now_ms)
                if self._row(connection, name) is not None:
                    return Invited.NAME_TAKEN
                # What somebody of this name could show before counts for nobody.
                forget(connection, name)
                connection.execute(sa.insert(STAFF_PEOPLE), row)
        except IntegrityError:
            # Of this name, or of this address, another one was made at this moment or before.
            with self._main.reading() as connection:
                is_taken = self._row(connection, name) is not None
            return Invited.NAME_TAKEN if is_taken else Invited.ADDRESS_TAKEN
        return Invited.MADE

    def all(self) -> list[StaffPerson]:
        """Tell who there is, by name."""
        with self._main.reading() as connection:
            rows = connection.execute(sa.select(STAFF_PEOPLE).order_by(STAFF_PEOPLE.c.name)).mappings()
            return [
                StaffPerson(
                    row["name"], StaffRole(row["role"]), row["subject_index"] is not None,
                    row["invited_until_ms"], row["until_ms"],
                )
                for row in rows
            ]  # fmt: skip

    def is_there(self, name: str) -> bool:
        """Tell whether a name is a person's."""
        with self._main.reading() as connection:
            return self._row(connection, name) is not None

    def change(self, name: str, role: StaffRole) -> bool:
        """Give somebody another role; their sessions are over. False if there is nobody of this name."""
        own = STAFF_PEOPLE.c.name == name
        values = {"role": role.value, "version": STAFF_PEOPLE.c.version + 1}
        with self._main.writing() as connection:
            return connection.execute(sa.update(STAFF_PEOPLE).where(own).values(**values)).rowcount == 1

    def move(self, subject: str, before: str, issuer: str) -> bool:
        """Bind whom a provider named to the same subject at its new address; True if somebody was bound there.

        For a provider whose address is another one now and whose people are the same. Who was invited and has not come
        yet is bound to no address.
        """
        own = STAFF_PEOPLE.c.subject_index == self.subject_index(before, subject)
        values = {"subject_index": self.subject_index(issuer, subject)}
        with self._main.writing() as connection:
            return connection.execute(sa.update(STAFF_PEOPLE).where(own).values(**values)).rowcount == 1

    def end_sessions(self, name: str) -> None:
        """Log somebody out everywhere."""
        own = STAFF_PEOPLE.c.name == name
        with self._main.writing() as connection:
            connection.execute(sa.update(STAFF_PEOPLE).where(own).values(version=STAFF_PEOPLE.c.version + 1))

    def remove(self, name: str) -> bool:
        """Let somebody in no more, at once and everywhere, and forget what they could show."""
        with self._main.writing() as connection:
            gone = connection.execute(sa.delete(STAFF_PEOPLE).where(STAFF_PEOPLE.c.name == name)).rowcount
            if gone:
                connection.execute(sa.delete(STAFF_SESSIONS).where(STAFF_SESSIONS.c.name == name))
                forget(connection, name)
            return gone == 1

    def subject_index(self, issuer: str, subject: str) -> str:
        """Give what somebody at a provider is found by."""
        return self._keys.index("staff-subject", f"{issuer}\0{subject}")

    def email_index(self, email: str) -> str:
        """Give what an invitation is found by."""
        return self._keys.index("staff-email", same_address(email))

    def recognise(self, connection: Connection, person: Person, now_ms: int) -> dict[str, object] | None:
        """Find the row of who came, locked; one with an invitation takes it. None for a stranger."""
        index = self.subject_index(person.issuer, person.subject)
        query = sa.select(STAFF_PEOPLE).with_for_update()
        row = connection.execute(query.where(STAFF_PEOPLE.c.subject_index == index)).mappings().one_or_none()
        if row is not None:
            return dict(row)
        try:
            email = read_email(person.email)
        except ValueError:
            return None  # The provider has made sure of no address.
        invited = (
            connection.execute(query.where(STAFF_PEOPLE.c.email_index == self.email_index(email)))
            .mappings()
            .one_or_none()
        )
        if invited is None or now_ms >= invited["invited_until_ms"]:
            return None
        free = (STAFF_PEOPLE.c.name == invited["name"]) & STAFF_PEOPLE.c.subject_index.is_(None)
        bound = sa.update(STAFF_PEOPLE).where(free).values(subject_index=index, email_index=None)
        return dict(invited) if connection.execute(bound).rowcount == 1 else None

    @staticmethod
    def _row(connection: Connection, name: str) -> object | None:
        return connection.execute(sa.select(STAFF_PEOPLE).where(STAFF_PEOPLE.c.name == name)).one_or_none()


def _forget_late(connection: Connection, now_ms: int) -> None:
    """Take away invitations that nobody took: their addresses may be invited again."""
    is_late = STAFF_PEOPLE.c.subject_index.is_(None) & (STAFF_PEOPLE.c.invited_until_ms <= now_ms)
    connection.execute(sa.delete(STAFF_PEOPLE).where(is_late))
