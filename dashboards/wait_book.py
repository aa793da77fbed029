"""Wait book: how long whoever failed to sign in has to wait, counted for all processes of an installation together.

Each machine of an installation serves the console, so a count in one process would give a guesser as many tries again
at each other. A try counts as a failure until it has succeeded, in the transaction that looks whether it may be made:
many at once, wherever, are no more than many after each other. While somebody waits nothing is counted. Who it is
(an address, an account) is kept as a keyed hash, and forgotten ``FORGET_MS`` after the wait.

``WaitsHere`` is the same in memory, where there is no database of accounts. Not here: who counts as whom (``access``).
"""

from collections.abc import Mapping, Sequence
from ipaddress import IPv6Address, ip_address
from typing import NamedTuple

import sqlalchemy as sa

from dashboards.account_tables import WAITS, AccountDatabase
from kernel.errors import Refused
from kernel.sealing import Vault

FORGET_MS = 3_600_000
API_FREE_FAILURES = 20
ROWS_MOST = 10_000
"""Beyond that whoever may try again first is forgotten."""


class Rule(NamedTuple):
    """The wait after some failures; it doubles with each."""

    free: int
    """The failure from which on they wait."""
    first_wait_ms: int = 10_000
    longest_wait_ms: int = 900_000

    def after(self, count: int, until_ms: int, now_ms: int) -> tuple[int, int]:
        """Return the count and the end of the wait after one more failure."""
        count = 1 if count and now_ms >= until_ms + FORGET_MS else count + 1
        beyond = count - self.free
        wait_ms = min(self.longest_wait_ms, self.first_wait_ms << min(beyond, 20)) if beyond >= 0 else 0
        return count, now_ms + wait_ms


class Guesser(NamedTuple):
    """Whom failures are counted of, and how they wait."""

    who: str
    rule: Rule


class Try(NamedTuple):
    """Whether one may try now; and the wait that is left, or that begins if the try fails."""

    may: bool
    wait_ms: int


Kept = Mapping[str, tuple[int, int]]
"""Count and end of the wait."""


def tried(kept: Kept, whose: Mapping[str, Guesser], now_ms: int) -> tuple[Try, Kept]:
    """Decide on one try, of which all of `whose` are counted; return what is to be kept from now on."""
    left_ms = max((kept[key][1] - now_ms for key in whose if key in kept), default=0)
    if left_ms > 0:
        return Try(may=False, wait_ms=left_ms), {}
    new = {key: one.rule.after(*kept.get(key, (0, 0)), now_ms) for key, one in whose.items()}
    return Try(may=True, wait_ms=max(until_ms for _, until_ms in new.values()) - now_ms), new


class WaitsHere:
    """Waits in this process alone."""

    def __init__(self) -> None:
        """Nobody has failed yet."""
        self._kept: dict[str, tuple[int, int]] = {}

    def begin(self, whose: Sequence[Guesser], now_ms: int) -> Try:
        """Count a try as failed, if it may be made."""
        answer, new = tried(self._kept, {one.who: one for one in whose}, now_ms)
        for key, kept in new.items():
            self._kept.pop(key, None)
            self._kept[key] = kept
        while len(self._kept) > ROWS_MOST:
            del self._kept[next(iter(self._kept))]
        return answer

    def over(self, whose: Sequence[Guesser]) -> None:
        """Forget the failures of whoever has proved themselves."""
        for one in whose:
            self._kept.pop(one.who, None)


class Attempts:
    """Wrong tokens by address, in this process: each request of a program is looked at, and most are right."""

    def __init__(self, free: int) -> None:
        """Let `free` failures pass, then make the address wait."""
        self._rule = Rule(free)
        self._failures: dict[str, tuple[int, int]] = {}

    def wait_ms(self, address: str, now_ms: int) -> int:
        """Return how long the address still has to wait; 0 if it may try."""
        return max(0, self._failures.get(neighbours(address), (0, 0))[1] - now_ms)

    def demand(self, address: str, now_ms: int) -> None:
        """Raise ``Refused`` where the address still has to wait."""
        if wait_ms := self.wait_ms(address, now_ms):
            raise Refused("too-many-attempts", "Too many wrong tokens.", 429, -(-wait_ms // 1000))

    def failed(self, address: str, now_ms: int) -> int:
        """Count a failure and return how long the address has to wait now."""
        key = neighbours(address)
        count, until_ms = self._rule.after(*self._failures.pop(key, (0, 0)), now_ms)
        self._failures[key] = count, until_ms
        while len(self._failures) > ROWS_MOST:
            self._failures.pop(next(iter(self._failures)))
        return until_ms - now_ms


def api_attempts() -> Attempts:
    """Count wrong tokens of programs, at all addresses of the API together."""
    return Attempts(API_FREE_FAILURES)


class WaitBook:
    """Waits of one installation."""

    def __init__(self, database: AccountDatabase, vault: Vault) -> None:
        """`vault` hashes who it is."""
        self._database = database
        self._vault = vault

    def begin(self, whose: Sequence[Guesser], now_ms: int) -> Try:
        """Count a try as failed, if it may be made. Raises ``Unavailable``."""
        keyed = {self._key(one): one for one in whose}
        query = sa.select(WAITS).where(WAITS.c.key.in_(keyed))
        with self._database.reading() as connection:
            answer, _ = tried(_kept(connection.execute(query).all()), keyed, now_ms)
        if not answer.may:
            return answer  # a crowd that waits writes nothing
        with self._database.writing() as connection:
            answer, new = tried(_kept(connection.execute(query).all()), keyed, now_ms)
            if new:
                gone = sa.or_(WAITS.c.key.in_(keyed), WAITS.c.until_ms <= now_ms - FORGET_MS)
                connection.execute(sa.delete(WAITS).where(gone))
                connection.execute(
                    sa.insert(WAITS),
                    [{"key": key, "failures": one[0], "until_ms": one[1]} for key, one in new.items()],
                )
                many = (connection.scalar(sa.select(sa.func.count()).select_from(WAITS)) or 0) - ROWS_MOST
                if many > 0:
                    first = sa.select(WAITS.c.key).order_by(WAITS.c.until_ms).limit(many)
                    connection.execute(sa.delete(WAITS).where(WAITS.c.key.in_(first)))
        return answer

    def over(self, whose: Sequence[Guesser]) -> None:
        """Forget the failures of whoever has proved themselves. Raises ``Unavailable``."""
        with self._database.writing() as connection:
            connection.execute(sa.delete(WAITS).where(WAITS.c.key.in_([self._key(one) for one in whose])))

    def _key(self, one: Guesser) -> str:
        return self._vault.index("operator-wait", one.who)


def _kept(rows: Sequence[sa.Row[tuple[str, int, int]]]) -> Kept:
    return {row.key: (row.failures, row.until_ms) for row in rows}


def neighbours(address: str) -> str:
    """Return what addresses that count as one have in common: of IPv6 the /64."""
    try:
        parsed = ip_address(address)
    except ValueError:
        return address
    if isinstance(parsed, IPv6Address):
        return f"{IPv6Address(int(parsed) >> 64 << 64)}/64"
    return str(parsed)
