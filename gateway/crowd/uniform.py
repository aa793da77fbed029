"""Uniform: does a drawn rank follow from the arrival? A test of a single draw (Kolmogorov and Smirnov).

The ranks of all who were drawn are a permutation, so as a whole they are uniform whatever was done. What must be
uniform too is any part of them that the arrival alone picks out:

* the ranks of each tenth of the arrivals (who came first is neither favoured nor put back), and
* the way from number to rank, ``(rank − number) mod n`` (nobody is left where they stood).

``arrival_p`` is the smallest of these eleven p-values, times eleven (Bonferroni). An honest draw falls below p with a
probability of at most p: over many live draws one in a hundred is below 0.01. Source of the p-value: M. A. Stephens,
"EDF Statistics for Goodness of Fit and Some Comparisons", JASA 69 (1974). Not here: whether the draw is the
published one (``checks_sale``).
"""

import math
from collections.abc import Sequence

PARTS = 10
LEAST = 50
"""Below so many entries a tenth is too small to say anything."""


def ks_p(values: Sequence[float]) -> float:
    """Return the probability that as many uniform values in [0, 1) lie as unevenly as these, or more so."""
    ranked, n = sorted(values), len(values)
    if not n:
        return 1.0
    gap = max(max((place + 1) / n - value, value - place / n) for place, value in enumerate(ranked))
    scaled = gap * (math.sqrt(n) + 0.12 + 0.11 / math.sqrt(n))
    if scaled < 0.2:  # the series does not converge there, and is 1 to ten digits
        return 1.0
    series = sum(math.exp(-2 * (term * scaled) ** 2) * (1 if term % 2 else -1) for term in range(1, 101))
    return min(1.0, max(0.0, 2 * series))


def arrival_p(ranks: Sequence[int]) -> float | None:
    """Return how well chance explains the ranks of the numbers 0, 1, 2, …; None for too few of them."""
    n = len(ranks)
    if n < LEAST:
        return None
    samples = [
        [(rank + 0.5) / n for rank in ranks[part * n // PARTS : (part + 1) * n // PARTS]]
        for part in range(PARTS)
    ]
    samples.append([((rank - number) % n + 0.5) / n for number, rank in enumerate(ranks)])
    return min(1.0, len(samples) * min(ks_p(sample) for sample in samples))
