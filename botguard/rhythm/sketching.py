"""Sketching: words of 64 bits by which a movement is known again, and from which it cannot be drawn.

Every 100 ms of movement the way made is noted; of the last sixteen ways their mean is taken off, and each bit says on
which side of one of 64 fixed planes the rest lies (SimHash; Charikar, doi:10.1145/509907.509965). A trembling of two
pixels, another start and another corner of the screen change few bits or none. What goes evenly straight ahead has
no word: everybody does that. Rests make no ways; ticks begin anew with each stroke.

``static/rhythm.js`` does the same. Not here: which sketches are alike (``sketch``).
"""

from math import sqrt

EVERY_MS = 100
WAYS = 16
STEP = 4
BITS = 64
MOST_WORDS = 48
LEAST_PX = 8.0
"""A window whose ways differ from their mean by less than this (root of the mean square) has no word."""


def planes() -> list[list[int]]:
    """Return the planes, ±1 each, from the xorshift generator (Marsaglia, doi:10.18637/jss.v008.i14)."""
    state, rows = 2463534242, []
    for _ in range(BITS):
        row = []
        for _ in range(2 * WAYS):
            state ^= state << 13 & 0xFFFFFFFF
            state ^= state >> 17
            state ^= state << 5 & 0xFFFFFFFF
            row.append(1 if state & 0x8000 else -1)
        rows.append(row)
    return rows


PLANES = planes()


class Sketching:
    """The words of a movement so far."""

    __slots__ = ("had", "tick", "ways", "words", "x", "y")

    def __init__(self) -> None:
        self.words: list[str] = []
        self.ways: list[float] = []
        self.begin(0.0, 0.0, 0.0)

    def begin(self, tick: float, x: float, y: float) -> None:
        """Start a stroke."""
        self.tick, self.x, self.y = tick, x, y
        self.had = 0

    def look(self, x: float, y: float) -> None:
        """Take the place at the tick."""
        self.ways += (x - self.x, y - self.y)
        del self.ways[: -2 * WAYS]
        self.x, self.y = x, y
        self.had += 1
        if self.had % STEP == 0 and len(self.ways) == 2 * WAYS and len(self.words) < MOST_WORDS:
            self._word()

    def _word(self) -> None:
        ways = self.ways
        mean_x = mean_y = energy = 0.0
        for at in range(0, 2 * WAYS, 2):
            mean_x += ways[at] / WAYS
            mean_y += ways[at + 1] / WAYS
        rest = [way - (mean_y if at % 2 else mean_x) for at, way in enumerate(ways)]
        for part in rest:
            energy += part * part
        if sqrt(energy / WAYS) < LEAST_PX:
            return
        word = ""
        for four in range(0, BITS, 4):
            digit = 0
            for plane in PLANES[four : four + 4]:
                total = 0.0
                for sign, part in zip(plane, rest, strict=True):
                    total += sign * part
                digit = 2 * digit + (total > 0)
            word += "0123456789abcdef"[digit]
        self.words.append(word)
