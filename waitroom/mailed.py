"""Mailed: a number of six digits that goes to a mail address, and comes back from whoever reads there.

A number lasts ten minutes and bears five wrong tries. It belongs to the browser that asked (a random `name` that only
its page knows), so nobody uses up the tries of another; that somebody is asked for by strangers is bounded by the
address's own rate. Whoever guesses has five tries for a number and thirteen numbers in the first hour: less than one
in ten thousand an hour for an address. What is kept of a number is an HMAC under the room's key, of an address its
tag.

Each function is one transition; the file of the same name in ``lua/`` does the same in the store, held together by
``tests/waitroom/test_mailed_agrees.py``. Not here: words and mails (``identity_mail``), HTTP (``identity_web``).
"""

from dataclasses import dataclass, replace

from kernel.gcra import Rate, next_us, spent

DIGITS = 6
KEEP_MS = 600_000
"""A number lasts so long."""

TRIES_MOST = 5
ADDRESS_RATE = Rate(300_000_000, 3)
"""An address is written to three times at once, and then once in five minutes."""

_US_PER_MS = 1000


@dataclass(frozen=True, slots=True)
class Pending:
    """A number on its way. `digest` is what is kept of it, `wrong` counts tries."""

    run: str
    tag: str
    digest: str
    until_ms: int
    wrong: int = 0


@dataclass(frozen=True, slots=True)
class Mailed:
    """The number may go out; it lasts until then."""

    until_ms: int


@dataclass(frozen=True, slots=True)
class Slow:
    """The address was written to too often; not before so long."""

    wait_ms: int


@dataclass(frozen=True, slots=True)
class Right:
    """The number is that of this tag."""

    tag: str


@dataclass(frozen=True, slots=True)
class Wrong:
    """It is not; so many tries are left."""

    left: int


@dataclass(frozen=True, slots=True)
class Gone:
    """There is no such number: never sent, too late, tried too often, or of another run."""


def mailed(
    tat_us: int,
    run: str,
    tag: str,
    digest: str,
    now_ms: int,
    rate: Rate = ADDRESS_RATE,
    keep_ms: int = KEEP_MS,
) -> tuple[int, Pending | None, Mailed | Slow]:
    """Keep a number for an address, if that was not written to too often; `tat_us` is the address's bucket."""
    now_us = now_ms * _US_PER_MS
    at_us = next_us(tat_us, rate, now_us)
    if at_us > now_us:
        return tat_us, None, Slow(-(-(at_us - now_us) // _US_PER_MS))
    until_ms = now_ms + keep_ms
    return spent(tat_us, rate, now_us), Pending(run, tag, digest, until_ms), Mailed(until_ms)


def guess(
    pending: Pending | None, run: str, digest: str, now_ms: int, most: int = TRIES_MOST
) -> tuple[Pending | None, Right | Wrong | Gone]:
    """Judge a number. One that was right is right again, because the answer may have been lost."""
    if pending is None or pending.run != run or now_ms >= pending.until_ms or pending.wrong >= most:
        return pending, Gone()
    if pending.digest == digest:
        return pending, Right(pending.tag)
    pending = replace(pending, wrong=pending.wrong + 1)
    return pending, Wrong(most - pending.wrong)
