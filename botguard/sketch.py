"""Sketch: which movement was seen before; scripts that replay a person's trace are known by it, not by how they move.

Two words are near when at most ``NEAR_BITS`` of their 64 bits differ; two sketches are alike when that holds for at
least ``ALIKE_RATIO`` of the words of the newer. Words are found by five bands of twelve bits: where four bits differ,
one band of five is untouched, so nothing that is near is missed.

To be alike is evidence against both or either; who of them was first is not said. The store forgets after its time
and holds a bounded number. Not here: how words come about (``rhythm.sketching``).
"""

from collections import Counter, defaultdict, deque
from collections.abc import Sequence
from typing import Protocol

NEAR_BITS = 4
ALIKE_RATIO = 0.45
FEWEST_WORDS = 4
"""A sketch of fewer words says nothing."""
BANDS = 5
_DIGITS = 3
_WORD_DIGITS = 16


def near(one: str, other: str) -> bool:
    """Tell whether two words are of the same movement, but for a trembling."""
    return (int(one, 16) ^ int(other, 16)).bit_count() <= NEAR_BITS


def bands(word: str) -> list[str]:
    """Return the keys under which a word is found."""
    return [f"{at}{word[at * _DIGITS : (at + 1) * _DIGITS]}" for at in range(BANDS)]


def readable(words: Sequence[object], most: int) -> list[str] | None:
    """Return words that came from a browser, or None where they are no sketch."""
    if len(words) > most:
        return None
    found = [
        one for one in words if isinstance(one, str) and len(one) == _WORD_DIGITS and not set(one) - _HEX
    ]
    return found if len(found) == len(words) else None


_HEX = set("0123456789abcdef")


class Sketches(Protocol):
    """Where sketches are kept for a while."""

    async def alike(self, session: str, words: Sequence[str], now_ms: int) -> str | None:
        """Return an earlier session with an alike sketch, and keep this one; a session is never alike itself."""
        ...


class SketchesHere:
    """Sketches in the memory of one process."""

    def __init__(self, keep_ms: int, most: int = 100_000) -> None:
        self._keep_ms = keep_ms
        self._most = most
        self._order: deque[tuple[int, str]] = deque()
        self._words: dict[str, list[str]] = {}
        self._found: defaultdict[str, set[tuple[str, str]]] = defaultdict(set)

    async def alike(self, session: str, words: Sequence[str], now_ms: int) -> str | None:
        """Return an earlier session with an alike sketch, and keep this one."""
        self._forget(now_ms)
        if len(words) < FEWEST_WORDS or session in self._words:
            return None
        best = self._search(words)
        while len(self._order) >= self._most:
            self._drop(self._order.popleft()[1])
        self._order.append((now_ms, session))
        self._words[session] = list(words)
        for word in words:
            for band in bands(word):
                self._found[band].add((session, word))
        return best

    def _search(self, words: Sequence[str]) -> str | None:
        seen: Counter[str] = Counter()
        for word in words:
            others = {pair for band in bands(word) for pair in self._found.get(band, ())}
            seen.update({session for session, other in others if near(word, other)})
        if not seen:
            return None
        session, many = min(seen.items(), key=lambda one: (-one[1], one[0]))
        return session if many >= ALIKE_RATIO * len(words) else None

    def _forget(self, now_ms: int) -> None:
        while self._order and now_ms >= self._order[0][0] + self._keep_ms:
            self._drop(self._order.popleft()[1])

    def _drop(self, session: str) -> None:
        for word in self._words.pop(session, ()):
            for band in bands(word):
                self._found[band].discard((session, word))
                if not self._found[band]:
                    del self._found[band]
