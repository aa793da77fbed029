"""Account book: who may come to the operator's pages, with which role, in which rooms, and how they show who they are.

A person is invited with a code that counts once, for ``INVITED_MS``; with it they choose a password and make a device
(``kernel.totp``), and are told ten recovery codes. From then on password and code count together, never one alone.
Whoever is invited by a mail address may come by the provider instead; the first time the provider's own name for them
is written down, and from then on only that counts. A code of the device counts once, over all processes: the
transaction that accepts one writes down which.

Whatever is done to an account is in the journal, together with the change or not at all; what people do to their own is
there by their name.

Time and chance of a guess: an unknown name costs as long as a known one. Not here: how often somebody may try
(``access``), sessions (``session_book``), tokens (``token_book``).
"""

import base64
import secrets
from collections.abc import Sequence
from enum import Enum, StrEnum
from typing import Any, Final, NamedTuple

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from dashboards import passwords
from dashboards.account_tables import (
    ACCOUNTS,
    LOGINS,
    SESSIONS,
    TOKENS,
    AccountDatabase,
    digest_of,
    key_of,
    record,
    rooms_of,
    rooms_text,
    rooms_told,
)
from dashboards.rights import Role
from kernel import oidc, totp
from kernel.clock import Clock
from kernel.errors import Refused, Unavailable
from kernel.sealing import CannotOpen, Vault, Where
from waitroom.access_acts import AccessAct
from waitroom.configure import Actor

INVITED_MS = 24 * 3_600_000
EMAIL_MS = 7 * 24 * 3_600_000
"""So long an address may wait for its first login."""
NAME_MOST_CHARS = 40
RESERVED = frozenset(map(key_of, ("", "api", "toml", "command line", "configuration file")))
"""Names that the journal gives to what is no person."""
RECOVERY_CODES = 10
RECOVERY_BYTES = 10
INVITE_BYTES = 24


class Account(NamedTuple):
    """A person, as others may see them. ``waits_until_ms`` is the end of an invitation; 0 for none."""

    name: str
    role: Role
    rooms: frozenset[str] | None
    has_password: bool
    has_provider: bool
    recovery: int
    waits_until_ms: int
    made_ms: int
    made_by: str

    @property
    def is_open(self) -> bool:
        """True once they can sign in."""
        return self.has_password or self.has_provider


class Told(StrEnum):
    """What came of it."""

    DONE = "done"
    NAME_WRONG = "name-wrong"
    NAME_TAKEN = "name-taken"
    EMAIL_WRONG = "email-wrong"
    EMAIL_TAKEN = "email-taken"
    UNKNOWN = "unknown"
    LAST_OWNER = "last-owner"
    OVERTAKEN = "overtaken"
    GONE = "gone"
    PASSWORD_WRONG = "password-wrong"  # noqa: S105 - a word, not a secret
    CODE_WRONG = "code-wrong"


class Same(Enum):
    """What a change leaves as it is."""

    SAME = "same"


SAME: Final = Same.SAME


class AccountBook:
    """The accounts of one installation."""

    def __init__(
        self, database: AccountDatabase, vault: Vault, clock: Clock, cost: passwords.Cost = passwords.USUAL
    ) -> None:
        """`vault` seals the secrets of devices and hashes addresses; `cost` is what a try of a password costs."""
        self._database = database
        self._vault = vault
        self._clock = clock
        self._cost = cost

    # ---------------------------------------------------------------------------------- looking

    def all(self) -> list[Account]:
        """Return everybody, by name."""
        with self._database.reading() as connection:
            rows = connection.execute(sa.select(ACCOUNTS).order_by(ACCOUNTS.c.key)).all()
        return [self._account(row) for row in rows]

    def find(self, name: str) -> Account | None:
        """Return one person; None for nobody."""
        with self._database.reading() as connection:
            row = connection.execute(_own(name)).one_or_none()
        return None if row is None else self._account(row)

    def is_free(self, name: str) -> bool:
        """Tell whether nobody else goes by a name: no person, no program, and nothing that the journal calls so."""
        key = key_of(name)
        with self._database.reading() as connection:
            taken = connection.execute(_own(name)).first() is not None or _has_token(connection, key)
        return key not in RESERVED and not taken

    def has_owner(self) -> bool:
        """Tell whether an owner of everything can sign in with an account."""
        with self._database.reading() as connection:
            return _owners_beside(connection, "")

    def _account(self, row: Any) -> Account:
        now_ms = self._clock.now_ms()
        ends = [row.invite_until_ms if row.invite else 0, row.email_until_ms if not row.subject else 0]
        waits = max(end for end in (*ends, 0) if end > now_ms or end == 0)
        return Account(
            row.name, Role(row.role), rooms_of(row.rooms), bool(row.password), bool(row.subject),
            len(row.recovery.split()), waits, row.made_ms, row.made_by,
        )  # fmt: skip

    # --------------------------------------------------------------------------------- deciding

    def invite(
        self, name: str, role: Role, rooms: frozenset[str] | None, by: Actor, email: str = ""
    ) -> tuple[Told, str]:
        """Make an account that nobody can use yet; returns the invitation's code, '' where nothing was made."""
        key, mail = key_of(name), _mail(email)
        if key in RESERVED or len(name) > NAME_MOST_CHARS or not name.isprintable() or name != name.strip():
            return Told.NAME_WRONG, ""
        if email and not mail:
            return Told.EMAIL_WRONG, ""
        code, now_ms = secrets.token_urlsafe(INVITE_BYTES), self._clock.now_ms()
        index = self._vault.index("operator-email", mail) if mail else None
        with self._database.writing() as connection:
            if connection.execute(_own(name)).first() or _has_token(connection, key):
                return Told.NAME_TAKEN, ""
            if index and connection.execute(sa.select(ACCOUNTS).where(ACCOUNTS.c.email == index)).first():
                return Told.EMAIL_TAKEN, ""
            row = {
                "key": key, "name": name, "role": role.value, "rooms": rooms_text(rooms), "password": "",
                "device": "", "counter": 0, "recovery": "", "email": index,
                "email_until_ms": now_ms + EMAIL_MS if mail else 0, "subject": None, "invite": digest_of(code),
                "invite_until_ms": now_ms + INVITED_MS, "made_ms": now_ms, "made_by": by.who,
            }  # fmt: skip
            connection.execute(sa.insert(ACCOUNTS), row)
            given = {"role": role.value, "rooms": rooms_told(rooms_text(rooms))}
            record(connection, AccessAct.INVITED, name, by, now_ms, **given)
        return Told.DONE, code

    def change(
        self,
        name: str,
        role: Role | Same,
        rooms: frozenset[str] | Same | None,
        by: Actor,
        *,
        keep_owner: bool = True,
        seen: str = "",
    ) -> Told:
        """Give a person another role or other rooms, at once; one owner of everything must stay (`keep_owner`).

        What is ``SAME`` stays as it is then, and not as somebody has read it. `seen`, "role: rooms", must be so still.
        """
        with self._database.writing() as connection:
            row = connection.execute(_own(name)).one_or_none()
            if row is None:
                return Told.UNKNOWN
            if seen not in {"", f"{row.role}: {rooms_told(row.rooms)}"}:
                return Told.OVERTAKEN
            now = {
                "role": row.role if role is SAME else role.value,
                "rooms": row.rooms if rooms is SAME else rooms_text(rooms),
            }
            stays = now == {"role": Role.OWNER.value, "rooms": None}
            if keep_owner and not stays and _is_last_owner(connection, row):
                return Told.LAST_OWNER
            if (row.role, row.rooms) != (now["role"], now["rooms"]):
                _set(connection, name, **now)
                before = {"role_before": row.role, "rooms_before": rooms_told(row.rooms)}
                told = before | {"role": now["role"], "rooms": rooms_told(now["rooms"])}
                record(connection, AccessAct.CHANGED, row.name, by, self._clock.now_ms(), **told)
        return Told.DONE

    def reset(self, name: str, by: Actor) -> str:
        """Take password, device and sessions away and return a new invitation's code; '' for nobody.

        What the provider says goes on to count: it has a way of its own to reset somebody.
        """
        code, now_ms = secrets.token_urlsafe(INVITE_BYTES), self._clock.now_ms()
        with self._database.writing() as connection:
            row = connection.execute(_own(name)).one_or_none()
            if row is None:
                return ""
            blank = {"password": "", "device": "", "counter": 0, "recovery": ""}
            _set(connection, name, **blank, invite=digest_of(code), invite_until_ms=now_ms + INVITED_MS)
            end_sessions(connection, name)
            record(connection, AccessAct.RESET, row.name, by, now_ms)
        return code

    def remove(self, name: str, by: Actor, *, keep_owner: bool = True) -> Told:
        """Take a person out, with their sessions and the tokens that they have made."""
        key, now_ms = key_of(name), self._clock.now_ms()
        with self._database.writing() as connection:
            row = connection.execute(_own(name)).one_or_none()
            if row is None:
                return Told.UNKNOWN
            if keep_owner and _is_last_owner(connection, row):
                return Told.LAST_OWNER
            connection.execute(sa.delete(ACCOUNTS).where(ACCOUNTS.c.key == key))
            tokens = connection.scalars(sa.select(TOKENS.c.name).where(TOKENS.c.maker == key)).all()
            connection.execute(sa.delete(TOKENS).where(TOKENS.c.maker == key))
            # Whoever gets this name later has signed in from nowhere yet.
            connection.execute(sa.update(LOGINS).where(LOGINS.c.key == key).values(key=""))
            end_sessions(connection, name)
            record(connection, AccessAct.REMOVED, row.name, by, now_ms)
            for token in tokens:
                record(connection, AccessAct.TOKEN_REMOVED, token, by, now_ms)
        return Told.DONE

    # ------------------------------------------------------------------------------- coming in

    def invited(self, code: str) -> Account | None:
        """Return whom an invitation's code is for; None for one that does not count (any more)."""
        with self._database.reading() as connection:
            row = connection.execute(self._invited(code)).one_or_none()
        return None if row is None else self._account(row)

    def accept(self, code: str, password: str, secret: bytes, digits: str) -> tuple[Told, Sequence[str]]:
        """Use an invitation up: keep the password and the device that shows `digits`; returns recovery codes."""
        counter = totp.matching(secret, digits, 0, self._clock.now_ms())
        if counter is None:
            return Told.CODE_WRONG, ()
        kept, codes = passwords.kept_of(password, self._cost), _recovery()
        with self._database.writing() as connection:
            row = connection.execute(self._invited(code)).one_or_none()
            if row is None:
                return Told.GONE, ()
            device = self._sealed(row.key, secret)
            values = {"password": kept, "device": device, "counter": counter, "recovery": _hashed(codes)}
            _set(connection, row.name, **values, invite=None, invite_until_ms=0)
            end_sessions(connection, row.name)
            self._record_own(connection, AccessAct.ACCEPTED, row.name)
        return Told.DONE, codes

    def check(self, name: str, password: str, code: str) -> Told:
        """Look at password and code together; a code that counted is used up. DONE or PASSWORD_WRONG."""
        row = self._with_password(name, password)
        # A wrong password goes on to the same transaction, so that time does not tell which of the two was wrong.
        with self._database.writing() as connection:
            now = connection.execute(_own(name)).one_or_none()
            if row is None or now is None or now.password != row.password:
                return Told.PASSWORD_WRONG
            values = self._counted(now, code)
            if values is None:
                return Told.PASSWORD_WRONG
            _set(connection, name, **values)
        return Told.DONE

    def by_provider(self, person: oidc.Person) -> Account | None:
        """Return the account of whom the provider names; None for a stranger.

        The first time their address, of which the provider has made sure, must have been invited lately.
        """
        subject = self._vault.index("operator-subject", f"{person.issuer}\0{person.subject}")
        mail = _mail(person.email)
        with self._database.writing() as connection:
            row = connection.execute(sa.select(ACCOUNTS).where(ACCOUNTS.c.subject == subject)).one_or_none()
            if row is None and mail:
                waiting = sa.and_(
                    ACCOUNTS.c.email == self._vault.index("operator-email", mail),
                    ACCOUNTS.c.subject.is_(None),
                    ACCOUNTS.c.email_until_ms > self._clock.now_ms(),
                )
                row = connection.execute(sa.select(ACCOUNTS).where(waiting)).one_or_none()
                if row is not None:
                    _set(connection, row.name, subject=subject)
                    self._record_own(connection, AccessAct.CAME, row.name)
                    row = connection.execute(_own(row.name)).one()
        return None if row is None else self._account(row)

    # ------------------------------------------------------------------------------- their own

    def knows_password(self, name: str, password: str) -> bool:
        """Tell whether a password is a person's."""
        return self._with_password(name, password) is not None

    def set_password(self, name: str, password: str, keep: str) -> None:
        """Give a person another password; all their sessions end but the one whose id is `keep`. Raises ``Refused``."""
        kept = passwords.kept_of(password, self._cost)
        with self._database.writing() as connection:
            _must_be_open(connection, name)
            _set(connection, name, password=kept)
            end_sessions(connection, name, keep)
            self._record_own(connection, AccessAct.PASSWORD, name)

    def set_device(self, name: str, secret: bytes, digits: str, keep: str) -> bool:
        """Give a person another device, if it shows `digits` now; their other sessions end. Raises ``Refused``."""
        counter = totp.matching(secret, digits, 0, self._clock.now_ms())
        if counter is None:
            return False
        with self._database.writing() as connection:
            _must_be_open(connection, name)
            _set(connection, name, device=self._sealed(key_of(name), secret), counter=counter)
            end_sessions(connection, name, keep)
            self._record_own(connection, AccessAct.DEVICE, name)
        return True

    def renew_recovery(self, name: str) -> Sequence[str]:
        """Give a person new recovery codes; the old ones count no more. Raises ``Refused``."""
        codes = _recovery()
        with self._database.writing() as connection:
            _must_be_open(connection, name)
            _set(connection, name, recovery=_hashed(codes))
            self._record_own(connection, AccessAct.RECOVERY, name)
        return codes

    # ----------------------------------------------------------------------------------- within

    def _record_own(self, connection: Connection, act: AccessAct, name: str) -> None:
        """Record what somebody did to their own account."""
        record(connection, act, name, Actor(name), self._clock.now_ms())

    def _with_password(self, name: str, password: str) -> Any:
        with self._database.reading() as connection:
            row = connection.execute(_own(name)).one_or_none()
        kept = "" if row is None else row.password
        return row if passwords.is_right(password, kept, self._cost) else None

    def _counted(self, row: Any, code: str) -> dict[str, Any] | None:
        """Say what is to be written down of a code that counts; None for one that does not."""
        given = "".join(code.split()).upper()
        counter = totp.matching(self._opened(row), given, row.counter, self._clock.now_ms())
        if counter is not None:
            return {"counter": counter}
        left = row.recovery.split()
        kept = [digest for digest in left if not secrets.compare_digest(digest, digest_of(given))]
        return None if len(kept) == len(left) else {"recovery": " ".join(kept)}

    def _invited(self, code: str) -> sa.Select[Any]:
        fits = sa.and_(
            ACCOUNTS.c.invite == digest_of(code), ACCOUNTS.c.invite_until_ms > self._clock.now_ms()
        )
        return sa.select(ACCOUNTS).where(fits)

    def _sealed(self, key: str, secret: bytes) -> str:
        return self._vault.seal(base64.b32encode(secret).decode(), Where(ACCOUNTS.name, key, "device"))

    def _opened(self, row: Any) -> bytes:
        try:
            return base64.b32decode(self._vault.open(row.device, Where(ACCOUNTS.name, row.key, "device")))
        except CannotOpen as error:
            raise Unavailable(
                "device-unreadable",
                "Your device cannot be looked at. Somebody with the command line can reset it.",
            ) from error


def end_sessions(connection: Connection, name: str, keep: str = "") -> int:
    """End a person's sessions but the one whose id is `keep`; tell how many."""
    which = sa.and_(SESSIONS.c.key == key_of(name), SESSIONS.c.digest != digest_of(keep))
    return int(connection.execute(sa.delete(SESSIONS).where(which)).rowcount)


def new_secret() -> bytes:
    """Make a secret for a device."""
    return secrets.token_bytes(totp.SECRET_BYTES)


def _own(name: str) -> sa.Select[Any]:
    return sa.select(ACCOUNTS).where(ACCOUNTS.c.key == key_of(name))


def _set(connection: Connection, name: str, **values: Any) -> None:
    connection.execute(sa.update(ACCOUNTS).where(ACCOUNTS.c.key == key_of(name)).values(**values))


def _must_be_open(connection: Connection, name: str) -> None:
    """Refuse what somebody does to their own account after it was reset or taken out meanwhile."""
    row = connection.execute(_own(name)).one_or_none()
    if row is None or not row.password:
        raise Refused(
            "account-gone", "This account was reset or removed meanwhile. Nothing was changed.", 409
        )


def _has_token(connection: Connection, key: str) -> bool:
    return connection.execute(sa.select(TOKENS.c.key).where(TOKENS.c.key == key)).first() is not None


def _owners_beside(connection: Connection, key: str) -> bool:
    """Tell whether somebody else is owner of everything and can sign in."""
    can = sa.or_(ACCOUNTS.c.password != "", ACCOUNTS.c.subject.is_not(None))
    others = sa.and_(ACCOUNTS.c.key != key, ACCOUNTS.c.role == Role.OWNER.value, ACCOUNTS.c.rooms.is_(None))
    return connection.execute(sa.select(ACCOUNTS.c.key).where(sa.and_(others, can))).first() is not None


def _is_last_owner(connection: Connection, row: Any) -> bool:
    """Tell whether somebody is owner of everything, can sign in, and nobody else is and can."""
    is_one = row.role == Role.OWNER.value and row.rooms is None and (row.password or row.subject)
    return bool(is_one) and not _owners_beside(connection, row.key)


def _mail(text: str) -> str:
    """Write an address as it is compared; '' for what is none.

    Capitals are folded in ASCII only: a Kelvin sign must not become the k of somebody else's address.
    """
    own = text.strip()
    own = own.lower() if own.isascii() else own
    name, at, host = own.rpartition("@")
    return (
        own if at and name and "." in host and own.isprintable() and " " not in own and len(own) < 255 else ""
    )


def _recovery() -> Sequence[str]:
    return [base64.b32encode(secrets.token_bytes(RECOVERY_BYTES)).decode() for _ in range(RECOVERY_CODES)]


def _hashed(codes: Sequence[str]) -> str:
    return " ".join(map(digest_of, codes))
