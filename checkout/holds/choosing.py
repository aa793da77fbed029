"""Choosing: which block one worker sends whom to, while many ask for the best at the same moment.

The map that is chosen from is up to a tenth of a second old, and a thousand fans may come in that time. So a worker
remembers what it has sent others to: no two of its fans are sent to one block. Fans of other workers it hears of only
by losing to them. It then *spreads*: it looks up to so many stretches further on as it has lost blocks lately, how far
follows from the hold's id. So workers that lose to one another part by themselves, and where nobody loses everybody
gets the very best. Not here: the rule (``holds.best``), what the store says (``holds.service``).
"""

from collections.abc import Callable, Iterable
from zlib import crc32

from checkout.holds.answers import Seen
from checkout.holds.best import Block, Index, Picture, Places, Together

PICTURE_MS = 1_000
"""So long a picture is used while the map does not change; then what was chosen and not granted is to be had again."""

SPREAD_MOST = 512

ANYWHERE_AFTER = 2
"""Who has lost so often is shown the map anew, and sent to any seats that fit."""

CALM_MS = 100
"""In such a time half of what was lost is forgotten."""


class Choosing:
    """What one worker knows of one event's map."""

    def __init__(self, index: Index) -> None:
        self._index = index
        self._version = ""
        self._until_ms = 0
        self._pictures: dict[str, Picture] = {}
        self._under_way: set[int] = set()
        self._granted: set[int] = set()
        self._granted_before: set[int] = set()
        self._lost = 0
        self._calmer_ms = 0

    def picture(self, seen: Seen, of: str, octets: Callable[[], bytes], now_ms: int) -> Picture:
        """Return the picture of a map, for one allocation's seats, or for everybody if `of` is ''.

        `octets` gives the map as those see it, if it is needed.
        """
        if seen.version != self._version or now_ms >= self._until_ms:
            self._version, self._until_ms = seen.version, now_ms + PICTURE_MS
            self._pictures = {}
            if not 0 <= now_ms - self._calmer_ms < CALM_MS:
                self._lost, self._calmer_ms = self._lost // 2, now_ms
            # The map may have been read before these were granted.
            self._granted_before, self._granted = self._granted, set()
        picture = self._pictures.get(of)
        if picture is None:
            picture = self._pictures[of] = Picture(self._index, octets(), by_name=of != "")
            picture.take(self._under_way | self._granted_before | self._granted)
        return picture

    def best(self, picture: Picture, wish: Together, hold_id: bytes, attempt: int) -> Block | Places | None:
        """Choose: the best; or so far behind it as others lately lost; or, after two losses, anywhere."""
        dice = crc32(hold_id + bytes((attempt,)))
        if attempt >= ANYWHERE_AFTER:
            return picture.best(wish, dice, anywhere=True)
        return picture.best(wish, dice % (min(self._lost, SPREAD_MOST) + 1))

    def sent(self, picture: Picture, seats: Iterable[int]) -> None:
        """Keep others from where somebody is sent now."""
        picture.take(seats)
        self._under_way.update(seats)

    def back(self, seats: Iterable[int], *, granted: bool) -> None:
        """Hear that the answer is there."""
        self._under_way.difference_update(seats)
        if granted:
            self._granted.update(seats)

    def lost(self, picture: Picture, seats: Iterable[int]) -> None:
        """Hear that others were faster at these seats."""
        picture.take(seats)
        self._lost += 1
