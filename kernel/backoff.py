"""Backoff: when a message that was not taken is tried again, and when nobody tries any more.

The waits double from ten seconds to an hour, each shortened by chance by up to a half, so that what failed together
does not come again together. With the usual sixteen tries that is some seven hours. Pure: chance is an argument. Not
here: what counts as a failure (``sending``).
"""

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
