"""Backoff: when a message that was not taken is tried again, and when nobody tries any more.

The waits double from ten seconds to an hour, each shortened by chance by up to a half, so that what failed together
does not come again together. With the usual sixteen tries that is some seven hours. Whoever is asked may want a longer
wait (``Retry-After``). Pure: chance is an argument. Not here: what counts as a failure (``sending``).
"""

from datetime import UTC, datetime
from email.utils import parsedate_to_datetime

FIRST_MS = 10_000
LONGEST_MS = 3_600_000
TRIES = 16


def again_ms(tries: int, chance: float, now_ms: int) -> int:
    """Say when to try again after so many tries; `chance` is from [0, 1)."""
    wait_ms: int = min(FIRST_MS << min(max(tries, 1) - 1, 32), LONGEST_MS)
    return now_ms + wait_ms - int(wait_ms / 2 * chance)


def is_last(tries: int, most: int) -> bool:
    """Tell whether a message that was tried so often is given up."""
    return tries >= most


def asked_s(retry_after: str | None, now_ms: int, most_s: int) -> int | None:
    """Read Retry-After: seconds, or a date (RFC 9110, section 10.2.3); what is neither says nothing.

    At most `most_s`, at least 0.

    >>> asked_s("120", 0, 60), asked_s("Thu, 01 Jan 1970 00:00:30 GMT", 0, 60), asked_s("soon", 0, 60)
    (60, 30, None)
    """
    if retry_after is None:
        return None
    if retry_after.isascii() and retry_after.isdecimal() and len(retry_after) <= 9:
        return min(int(retry_after), most_s)
    try:
        at = parsedate_to_datetime(retry_after)
        at = at if at.tzinfo is not None else at.replace(tzinfo=UTC)
        wait_s = (at - datetime.fromtimestamp(now_ms / 1000, UTC)).total_seconds()
    except (ValueError, OverflowError):
        return None
    return min(max(0, round(wait_s)), most_s)
