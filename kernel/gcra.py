"""GCRA: the generic cell rate algorithm, a token bucket that is one number.

The number is the *theoretical arrival time* (TAT), in microseconds: when the bucket would be full
again. An act conforms while the TAT is less than ``burst`` emission intervals ahead. Hence **any window of
W microseconds admits at most W // interval + burst**, whatever the order of questions.

Why whole microseconds: the script in the store computes with doubles, exact for whole numbers below 2^53
(microseconds until the year 2255); so both count alike. The interval is rounded up, never in the
bucket's favour. Source: ITU-T I.371. Not here: who gets the tokens (``admission.claim``).
"""

from dataclasses import dataclass

MINUTE_US = 60_000_000
SECOND_US = 1_000_000


@dataclass(frozen=True, slots=True)
class Rate:
    """So many acts, one every `interval_us`, and at most `burst` at once."""

    interval_us: int
    burst: int


def per_minute(rate_per_minute: int) -> Rate:
    """Allow `rate_per_minute` acts a minute, and one second's worth of them (at least one) at once."""
    if rate_per_minute < 1:
        raise ValueError("a rate is at least 1 per minute")
    interval_us = -(-MINUTE_US // rate_per_minute)
    return Rate(interval_us, max(1, SECOND_US // interval_us))


def clamped(tat_us: int, rate: Rate, now_us: int) -> int:
    """Take back a debt larger than this rate can make.

    It comes from a slower rate that was in force before, or from a clock that jumped; without this a room
    set from 1 to 600 a minute would stand still for a minute. Somebody must keep the result (``claim.settle``): judged
    anew at each instant the debt would stay as large as it can be.
    """
    return min(tat_us, now_us + rate.interval_us * rate.burst)


def available(tat_us: int, rate: Rate, now_us: int) -> int:
    """Count the acts that may happen at this instant, 0 to ``burst``."""
    full_us = rate.interval_us * rate.burst
    return min(rate.burst, (now_us + full_us - clamped(tat_us, rate, now_us)) // rate.interval_us)


def conforms(tat_us: int, rate: Rate, now_us: int) -> bool:
    """Tell whether one more act may happen now."""
    return next_us(tat_us, rate, now_us) <= now_us


def next_us(tat_us: int, rate: Rate, now_us: int) -> int:
    """Return the first instant, from `now_us` on, at which one more act conforms."""
    return max(now_us, clamped(tat_us, rate, now_us) - rate.interval_us * (rate.burst - 1))


def spent(tat_us: int, rate: Rate, now_us: int) -> int:
    """Return the TAT after one act now; the caller has asked ``conforms``."""
    return max(now_us, clamped(tat_us, rate, now_us)) + rate.interval_us


def at_hand(tat_us: int, rate: Rate, now_us: int) -> float:
    """Return the tokens at hand with the part of the next one, 0 to ``burst``: for forecasts."""
    full_us = rate.interval_us * rate.burst
    return min(rate.burst, (now_us + full_us - clamped(tat_us, rate, now_us)) / rate.interval_us)
