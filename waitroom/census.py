"""Census: how many of those who wait are still there, asked of one page in many.

Numbers stand in the line whose holders have long gone, and not evenly: who came hours before the start is gone more
often than who came last. The speed of a line (``estimate``) is that of the ranks called now; where fewer are there
the pace calls faster, where more are there it slows down. So a page that is one of the **sample** says "still
here" once a round, uncached; when the round is over the answers are counted by stretches of the rank axis.

* The sample is a hash of run and number below a bound: the same pages in every round (a panel, so that who has
  gone meanwhile shows), nobody's choice, and at most some four thousand however many wait.
* A round, named by the second in which it began, lasts at least two of the longest pauses between polls: so
  whoever is there has asked once in it.
* What a count tells is the **share** that is there, in thousandths, for each stretch, and how many of a million
  leave in a minute. Differences that chance explains are taken out. Only ratios of shares are used: pages that never
  answer (no scripts, apps) do not matter while they are spread evenly.

With too few answers there is no count, and waits are told as without one. A count is whole numbers, kept in the
store, so that every worker signs the same document. ``static/rules.js`` computes the same from it;
``tests/vectors/wait.json`` holds both to it. Not here: asking and storing (``counting``), who may answer
(``census_web``), the interval (``wait``).
"""

from collections.abc import Collection, Sequence
from enum import StrEnum
from hashlib import sha256
from itertools import pairwise
from math import log, log1p
from typing import NamedTuple

Void = tuple[tuple[int, int], ...]

SAMPLE_MOST = 4096
ANSWERS_LEAST = 64
"""Fewer tell nothing."""

STRETCH_ANSWERS = 128
STRETCHES_MOST = 8
"""With 128 answers a share of a half is known to within five points, two times in three."""

ROUNDS_MS = (300_000, 600_000, 1_200_000, 1_800_000)
KEPT = 32
LEAVING_MOST = 200_000
"""A fifth a minute; more is pages that were not asked, not people who leave."""

FULLNESS = (0.2, 5.0)
"""No count shortens or stretches a wait by more."""

_SPACE = 1 << 32
_MILLION = 1_000_000


class Census(NamedTuple):
    """One count: the share that is there in each stretch of `width` ranks from `since` on, in thousandths.

    `leaving` of a million leave in a minute; `at_ms` is when it was counted.
    """

    round: int
    at_ms: int
    since: int
    width: int
    leaving: int
    live: tuple[int, ...]


class Asked(NamedTuple):
    """The round that is on, how long it lasts, and how many pages one of its sample stands for."""

    round: int
    span_ms: int
    one_in: int


class Kept(StrEnum):
    """What became of a count that was handed in."""

    DONE = "done"
    LATE = "late"
    STALE = "stale"


def round_ms(cap_s: float) -> int:
    """Return how long a round lasts where polls are at most `cap_s` apart (and a fifth more)."""
    return next((ms for ms in ROUNDS_MS if 2000 * cap_s <= ms), ROUNDS_MS[-1])


def round_of(at_ms: int, cap_s: float) -> int:
    """Name the round of a moment."""
    span_ms = round_ms(cap_s)
    return at_ms // span_ms * span_ms // 1000


def one_in(issued: int) -> int:
    """Return how many pages one of the sample stands for: a power of two, so a smaller sample is a part of a larger."""
    return 1 << (-(-max(issued, 1) // SAMPLE_MOST) - 1).bit_length()


def sampled(run: str, number: int, weight: int) -> bool:
    """Tell whether a number is in the sample of one in `weight`."""
    digest = sha256(f"waitroom-census-v1|{run}|{number}".encode()).digest()
    return int.from_bytes(digest[:4], "big") < _SPACE // weight


def census(
    kept: tuple[Census, ...], current: str, run: str, new: Census, most: int, now_ms: int
) -> tuple[tuple[Census, ...], Kept]:
    """Keep a round's count, once; `current` is the run of the line, `most` how many are kept."""
    if run != current:
        return kept, Kept.STALE
    if kept and kept[-1].round >= new.round:
        return kept, Kept.LATE
    return (*kept, new._replace(at_ms=now_ms))[-most:], Kept.DONE


def counted(
    name: int,
    here: Collection[int],
    before: Collection[int],
    weight: int,
    serving: int,
    void: Void,
    span_ms: int,
) -> Census | None:
    """Count a round by the ranks of those who answered; None where too few did.

    `here` and `before` are the ranks of sampled pages that answered in this round and in the one before, `weight` is
    how many pages each stands for, `void` are empty ranges of the rank axis. The moment is the store's to say.
    """
    waiting = sorted(rank for rank in here if rank >= serving)
    if len(waiting) < ANSWERS_LEAST:
        return None
    stop = waiting[-1] + 1
    count = min(STRETCHES_MOST, max(1, len(waiting) // STRETCH_ANSWERS))
    width = -(-(stop - serving) // count)
    edges = [*range(serving, stop, width), stop]
    asked = [_people(void, start, end) / weight for start, end in pairwise(edges)]
    answers = [0] * len(asked)
    for rank in waiting:
        answers[(rank - serving) // width] += 1
    live = tuple(max(1, min(1000, round(1000 * part))) for part in _shares(answers, asked, weight))
    return Census(name, 0, serving, width, _leaving(set(waiting), before, serving, span_ms), live)


def _people(void: Void, start: int, stop: int) -> int:
    return stop - start - sum(max(0, min(stop, to) - max(start, since)) for since, to in void)


def _shares(answers: Sequence[int], asked: Sequence[float], weight: int) -> list[float]:
    """Return the share of each stretch, drawn to that of all as far as chance alone explains the difference.

    Chance is both: who of the sample is there, and who is in the sample. Where nobody could be asked the stretch is as
    all are.
    """
    mean = min(1.0, sum(answers) / max(1.0, sum(asked)))
    raw = [min(1.0, found / of) if of else mean for found, of in zip(answers, asked, strict=True)]
    chance = [mean * (1 - mean / weight) / of if of else 0.0 for of in asked]
    spread, usual = sum((one - mean) ** 2 for one in raw) / len(raw), sum(chance) / len(chance)
    real = spread - usual if spread > 2 * usual else 0.0
    trusts = [real / (real + noise) if real else 0.0 for noise in chance]
    return [mean + trust * (one - mean) for one, trust in zip(raw, trusts, strict=True)]


def _leaving(here: Collection[int], before: Collection[int], serving: int, span_ms: int) -> int:
    panel = [rank for rank in before if rank >= serving]
    stayed = sum(rank in here for rank in panel)
    if len(panel) < ANSWERS_LEAST or not stayed:
        return 0
    return min(LEAVING_MOST, round(-log(stayed / len(panel)) * _MILLION * 60_000 / span_ms))


def share(count: Census, rank: int) -> int:
    """Return the share that is there at a rank, in thousandths; beyond the count, that of its nearest end."""
    return count.live[min(max((rank - count.since) // count.width, 0), len(count.live) - 1)]


def fullness(count: Census | None, serving: int, rank: int) -> float:
    """Return how full the ranks [serving, rank) are, measured by those that are called now."""
    if count is None or rank <= serving:
        return 1.0
    there, at = 0, serving
    for index in range(len(count.live)):
        last = index + 1 == len(count.live)
        stop = rank if last else min(rank, count.since + (index + 1) * count.width)
        if stop > at:
            there += (stop - at) * count.live[index]
            at = stop
    ratio = there / ((rank - serving) * share(count, serving))
    return min(max(ratio, FULLNESS[0]), FULLNESS[1])


def lasts_s(ranks: float, per_minute: float, leaving: int = 0) -> float:
    """Return how long a line that calls so fast now takes for so many ranks, when `leaving` of a million go a minute.

    Who goes makes the line faster: with a hazard h and a rate a, ``∫ a·exp(h·u) du = ranks``.
    """
    minutes = ranks / per_minute
    hazard = leaving / _MILLION
    return 60 * (log1p(hazard * minutes) / hazard if hazard else minutes)


def newest(counts: Sequence[Census], at_ms: int) -> Census | None:
    """Return the count that stood at a moment."""
    return next((one for one in reversed(counts) if one.at_ms <= at_ms), None)


def text_of(count: Census) -> str:
    """Write what the store keeps of a count besides its round and moment."""
    return " ".join(str(value) for value in (count.since, count.width, count.leaving, *count.live))


def read(text: str) -> Census:
    """Read a count as the store keeps it."""
    name, at_ms, since, width, leaving, *live = (int(part) for part in text.split())
    return Census(name, at_ms, since, width, leaving, tuple(live))
