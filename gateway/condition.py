"""Condition: what a process says of itself when it is asked whether it is ready.

* **faults** keep it from its work: the answer is 503, and a load balancer takes it out.
* **warnings** do not: a gate whose store is away still lets the admitted pass, so it stays where it is.
* **shedding** names the limits at which it turns people away, or gives them less, just now: somebody who looks at a
  site that is slow must see that this is a limit at work and not a failure. Taking such a process out would only
  make its neighbours fuller, so it stays ready, too.

A limit is a question that is asked once a second; a yes stands for ``KEPT_S``, so that whoever asks every few seconds
does not miss it. All words come from closed sets, because the gate's answer is public. Not here: HTTP (``server``).
"""

from collections.abc import Callable, Mapping, Sequence

from gateway.metrics import SHEDDING

KEPT_S = 10.0
JOURNAL_BEHIND_MS = 5_000

Words = Callable[[], Sequence[str]]
Limit = Callable[[], bool]


def nothing() -> Sequence[str]:
    """Have nothing to say."""
    return ()


def grows(count: Callable[[], float]) -> Limit:
    """Make a limit of a count: it is hit whenever the count has grown since it was asked last."""
    known = count()

    def has_grown() -> bool:
        nonlocal known
        before, known = known, count()
        return known > before

    return has_grown


class Condition:
    """How a process is doing."""

    def __init__(
        self, limits: Mapping[str, Limit] | None = None, *, faults: Words = nothing, warnings: Words = nothing
    ) -> None:
        """`limits`: a word for each limit, and whether it is hit."""
        self._limits = dict(limits or {})
        self._until_s: dict[str, float] = {}
        self._now_s = 0.0
        self.faults = faults
        self.warnings = warnings

    def limit(self, word: str, is_hit: Limit) -> None:
        """Ask one more; its gauge stands at 0 from now on."""
        self._limits[word] = is_hit
        SHEDDING.labels(word).set(0)

    def look(self, now_s: float) -> None:
        """Ask each limit; `now_s` is any clock that only goes forward."""
        self._now_s = now_s
        for word, is_hit in self._limits.items():
            if is_hit():
                self._until_s[word] = now_s + KEPT_S
            SHEDDING.labels(word).set(self._until_s.get(word, 0.0) > now_s)

    def shedding(self) -> list[str]:
        """Name the limits that were hit just now."""
        return [word for word in self._limits if self._until_s.get(word, 0.0) > self._now_s]
