"""Staff tokens: who may use the organiser's API, by a token each, in one private file (JSON).

A token is 32 random octets and is told once, when it is made; the file has its SHA-256, which is enough for what nobody
can guess. Each has a name, a role and an end. All are compared each time, in constant time, so that an answer's time
tells nothing of which came close. A file that is damaged later lets nobody in, and the log says so: who was taken
out of it must not come back because somebody else has broken it.
"""

import hashlib
import hmac
import json
import logging
import secrets
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from checkout.people.private_file import Mark, PrivateFile
from checkout.people.staff import NAME, Member, StaffRole
from kernel.clock import Clock
from kernel.errors import Misconfigured

log = logging.getLogger(__name__)

WHAT = "The file with the staff's tokens"
TAKEN = "organiser"
"""Name of the one token of the settings, which is an owner's."""


@dataclass(frozen=True, slots=True)
class StaffToken:
    """One line of the file."""

    name: str
    role: StaffRole
    digest: str
    created_ms: int
    until_ms: int


def digest_of(token: str) -> str:
    """Give what the file keeps of a token."""
    return hashlib.sha256(token.encode("utf-8", "surrogateescape")).hexdigest()


def parse(text: str) -> tuple[StaffToken, ...]:
    """Read the file's text. Raises ``Misconfigured``."""
    try:
        rows = tuple(
            StaffToken(
                str(row["name"]),
                StaffRole(row["role"]),
                str(row["digest"]),
                int(row["created_ms"]),
                int(row["until_ms"]),
            )
            for row in json.loads(text)["tokens"]
        )
    except (ValueError, KeyError, TypeError) as error:
        raise Misconfigured([f"{WHAT} cannot be read: {type(error).__name__}."]) from None
    faults = [f"{WHAT}: {row.name!r} cannot be a name." for row in rows if not _is_free_name(row.name)]
    faults += [f"{WHAT}: the token of {row.name} is damaged." for row in rows if len(row.digest) != 64]
    if len({row.name for row in rows}) != len(rows):
        faults.append(f"{WHAT} has two tokens of one name.")
    if faults:
        raise Misconfigured(faults)
    return rows


def written(rows: Sequence[StaffToken]) -> str:
    """Write the file's text."""
    plain = [
        {
            "name": row.name, "role": row.role.value, "digest": row.digest, "created_ms": row.created_ms,
            "until_ms": row.until_ms,
        }
        for row in rows
    ]  # fmt: skip
    return json.dumps({"version": 1, "tokens": plain}, indent=1) + "\n"


class StaffTokens:
    """The tokens as this process knows them; without a file there are none."""

    def __init__(self, path: Path, clock: Clock) -> None:
        """Read the file if there is one. Raises ``Misconfigured``."""
        self._file = PrivateFile(path, WHAT)
        self._clock = clock
        self._mark: Mark | None = None
        self.rows: tuple[StaffToken, ...] = ()
        if self._file.is_there():
            self._mark = self._file.mark()
            self.rows = parse(self._file.read())

    def member(self, token: str) -> Member | None:
        """Tell whose a token is; None for nobody's, and for one whose time is over."""
        self.refresh()
        given, now_ms = digest_of(token), self._clock.now_ms()
        found = [row for row in self.rows if hmac.compare_digest(row.digest, given)]
        return next((Member(row.name, row.role) for row in found if now_ms < row.until_ms), None)

    def has(self, name: str) -> bool:
        """Tell whether a name is that of a token."""
        self.refresh()
        return any(row.name == name for row in self.rows)

    def refresh(self) -> None:
        """Take over a changed file; without a change this costs one ``stat``."""
        mark = None
        try:
            mark = self._file.mark() if self._file.is_there() else None
            if mark == self._mark:
                return
            rows = parse(self._file.read()) if mark is not None else ()
        except Misconfigured as error:
            rows = ()
            log.error("the staff's tokens cannot be read; nobody is let in", extra={"error": str(error)})  # noqa: TRY400
        self._mark, self.rows = mark, rows

    def add(self, name: str, role: StaffRole, until_ms: int) -> str:
        """Make a token, and return it; nobody can read it again. Raises ``Misconfigured``."""
        if not _is_free_name(name):
            raise Misconfigured(
                [f"{name!r} cannot be a name: a to z, 0 to 9, dot and dash, and not {TAKEN!r}."]
            )
        token = f"staff_{secrets.token_urlsafe(32)}"
        made = StaffToken(name, role, digest_of(token), self._clock.now_ms(), until_ms)

        def change(text: str) -> str:
            rows = parse(text)
            if any(row.name == name for row in rows):
                raise Misconfigured([f"There is a token of {name} already; remove it first."])
            return written([*rows, made])

        if not self._file.is_there():
            self._file.make(written(()))
        self._file.change(change)
        self.refresh()
        return token

    def remove(self, name: str) -> None:
        """Take a token out; it counts nowhere from then on. Raises ``Misconfigured``."""

        def change(text: str) -> str:
            rows = parse(text)
            left = [row for row in rows if row.name != name]
            if len(left) == len(rows):
                raise Misconfigured([f"There is no token of {name}."])
            return written(left)

        self._file.change(change)
        self.refresh()


def _is_free_name(name: str) -> bool:
    return NAME.fullmatch(name) is not None and name != TAKEN
