"""Summary: the rhythm of a page as some two hundred sums, which grow with each event; the trace is thrown away.

All sums are of bounded ratios without a unit, so neither the size of a screen nor the speed of a hand is told. Steps
are looked at twice: as they come, and on even grids of time (``GRIDS_MS``), so that a slow mouse and a fast one look
alike. Of a key only its moment counts. ``static/rhythm.js`` is the same in the browser, operation by operation, with
plus, minus, times, divided and square roots only: IEEE 754 gives both the same bits.

A stroke is a movement without a rest of more than ``REST_MS``. Times in ms from any zero, places in CSS pixels.
"""

from math import sqrt

from botguard.rhythm.sketching import EVERY_MS, Sketching

VERSION = 1
REST_MS = 250
GRIDS_MS = (20, 50, 100)
FEWEST_STEPS = 6

TURN_COSINES = (0.9986, 0.978, 0.866, 0.5, 0.0)
"""Edges of the turn between two steps: 3, 12, 30, 60, 90 degrees."""
SPEED_RATIOS = (1.02, 1.1, 1.3, 1.7, 2.5, 5.0)
GAP_RATIOS = (1.02, 1.1, 1.3, 1.7, 2.5)
RESTS_MS = (500, 1000, 2500)

COUNTS = (
    "moves", "steps", "still", "same", "level", "whole", "single", "mouse", "touch", "pen", "untrusted",
    "presses", "keys", "key_pairs", "scrolls", "wheels", "blurs",
)  # fmt: skip
LEVEL = (
    "pairs", "change", "change2", "gain", "gain2", "gain_echo", "gain_turns", "gains",
    "triples", "jerk", "jerk2",
    "turns", "cosine", "cosine2", "sine", "sine2", "sine_echo", "sine_turns", "sine_pairs",
)  # fmt: skip
STROKE = (
    "strokes", "straight", "straight2", "bow", "bow2", "peak_at", "peak_at2", "flat", "flat2",
    "begin", "end", "late", "late2",
)  # fmt: skip
NAMES = (
    *COUNTS,
    *(f"turn_{at}" for at in range(len(TURN_COSINES) + 1)),
    *(f"ratio_{at}" for at in range(len(SPEED_RATIOS) + 1)),
    *(f"gap_{at}" for at in range(len(GAP_RATIOS) + 1)),
    *(f"rest_{at}" for at in range(len(RESTS_MS) + 1)),
    *(f"g{grid}_{name}" for grid in GRIDS_MS for name in LEVEL),
    *STROKE,
)


class Grid:
    """A movement seen at even times: how speed and direction change from one to the next."""

    __slots__ = ("echo", "had", "sums", "tick", "tilt", "vx", "vy", "wx", "wy", "x", "y")

    def __init__(self) -> None:
        self.sums = [0.0] * len(LEVEL)
        self.begin(0.0, 0.0, 0.0)

    def begin(self, tick: float, x: float, y: float) -> None:
        """Start a stroke: the next look is at this tick."""
        self.tick, self.x, self.y = tick, x, y
        self.had = 0
        self.vx = self.vy = self.wx = self.wy = 0.0
        self.echo: float | None = None
        self.tilt: float | None = None

    def look(self, x: float, y: float) -> None:
        """Take the place at the tick."""
        ux, uy = x - self.x, y - self.y
        self.x, self.y = x, y
        vx, vy = self.vx, self.vy
        if self.had:
            sums = self.sums
            u, v = sqrt(ux * ux + uy * uy), sqrt(vx * vx + vy * vy)
            both = u + v
            if both > 0:
                ax, ay = ux - vx, uy - vy
                change = sqrt(ax * ax + ay * ay) / both
                gain = (u - v) / both
                sums[0] += 1
                sums[1] += change
                sums[2] += change * change
                sums[3] += gain
                sums[4] += gain * gain
                if self.echo is not None:
                    sums[5] += gain * self.echo
                    sums[7] += 1
                    if gain * self.echo < 0:
                        sums[6] += 1
                self.echo = gain
                if self.had > 1:
                    wx, wy = self.wx, self.wy
                    jx, jy = ux - 2 * vx + wx, uy - 2 * vy + wy
                    jerk = sqrt(jx * jx + jy * jy) / (u + 2 * v + sqrt(wx * wx + wy * wy))
                    sums[8] += 1
                    sums[9] += jerk
                    sums[10] += jerk * jerk
            if u > 0 and v > 0:
                length = u * v
                cosine, sine = (ux * vx + uy * vy) / length, (vx * uy - vy * ux) / length
                sums[11] += 1
                sums[12] += cosine
                sums[13] += cosine * cosine
                sums[14] += sine
                sums[15] += sine * sine
                if self.tilt is not None:
                    sums[16] += sine * self.tilt
                    sums[18] += 1
                    if sine * self.tilt < 0:
                        sums[17] += 1
                self.tilt = sine
        self.had += 1
        self.wx, self.wy = vx, vy
        self.vx, self.vy = ux, uy


class Rhythm:
    """What a page notes of its visitor; ``summary`` and the sketch's words are all that leaves it."""

    def __init__(self) -> None:
        self.counts = dict.fromkeys(COUNTS, 0)
        self.turns = [0] * (len(TURN_COSINES) + 1)
        self.ratios = [0] * (len(SPEED_RATIOS) + 1)
        self.gaps = [0] * (len(GAP_RATIOS) + 1)
        self.rests = [0] * (len(RESTS_MS) + 1)
        self.strokes = [0.0] * len(STROKE)
        self.grids = [Grid() for _ in GRIDS_MS]
        self.sketching = Sketching()
        self.looks: list[tuple[Grid | Sketching, int]] = [
            *zip(self.grids, GRIDS_MS, strict=True),
            (self.sketching, EVERY_MS),
        ]
        self.at: tuple[float, float, float] | None = None
        self.begun = (0.0, 0.0, 0.0)
        self.since = 0.0
        self.taken = 0
        self.key_ms: float | None = None

    def move(
        self, t: float, x: float, y: float, coalesced: int = 1, kind: str = "mouse", *, trusted: bool = True
    ) -> None:
        """Note where the pointer is; ``coalesced`` is how many moves the browser has put into this one."""
        counts = self.counts
        counts["moves"] += 1
        counts[kind if kind in {"touch", "pen"} else "mouse"] += 1
        if coalesced <= 1:
            counts["single"] += 1
        if not trusted:
            counts["untrusted"] += 1
        if x % 1 == 0 and y % 1 == 0:
            counts["whole"] += 1
        if self.at is None:
            self._begin(t, x, y)
            return
        t0, x0, y0 = self.at
        gap = t - t0
        if gap < 0:
            return
        if gap > REST_MS:
            self.rests[_bin(gap, RESTS_MS)] += 1
            self._begin(t, x, y)
            return
        t1, x1, y1 = self.begun
        self.since = t0 - t1
        self.area += (x0 - x1) * (y - y1) - (y0 - y1) * (x - x1)
        self._step(gap, x - x0, y - y0)
        if gap > 0:
            for grid, every in self.looks:
                while grid.tick <= t:
                    part = (grid.tick - t0) / gap
                    grid.look(x0 + part * (x - x0), y0 + part * (y - y0))
                    grid.tick += every
        self.at = (t, x, y)

    def press(self) -> None:
        """Note that a button or a finger went down."""
        self.counts["presses"] += 1

    def key(self, t: float) -> None:
        """Note the moment of a key, never which one."""
        self.counts["keys"] += 1
        if self.key_ms is not None and 0 <= t - self.key_ms <= 4 * REST_MS:
            self.counts["key_pairs"] += 1
        self.key_ms = t

    def scroll(self, *, wheel: bool = False) -> None:
        """Note a scrolled page, or a turned wheel."""
        self.counts["wheels" if wheel else "scrolls"] += 1

    def blur(self) -> None:
        """Note that the page lost its focus, or was hidden."""
        self.counts["blurs"] += 1

    def summary(self) -> dict[str, float]:
        """Return all sums by name; a movement that goes on after it is a new stroke."""
        self._end()
        self.at = None
        values = [
            *self.counts.values(), *self.turns, *self.ratios, *self.gaps, *self.rests,
            *(value for grid in self.grids for value in grid.sums), *self.strokes,
        ]  # fmt: skip
        return dict(zip(NAMES, values, strict=True))

    @property
    def words(self) -> list[str]:
        """Return the words of the sketch, by which a replayed movement is known again."""
        return self.sketching.words

    def _begin(self, t: float, x: float, y: float) -> None:
        self._end()
        self.at = self.begun = (t, x, y)
        for grid, every in self.looks:
            grid.begin(t + every, x, y)
        self.dx = self.dy = self.speed = self.gap = self.owed = 0.0
        self.length = self.area = self.peak = self.peak_ms = self.weight = self.first = 0.0
        self.taken = 0

    def _end(self) -> None:
        """Close a stroke, if it was long enough to have a shape."""
        if self.at is None or self.taken < FEWEST_STEPS:
            return
        (t0, x0, y0), (t, x, y) = self.begun, self.at
        lasted, length, sums = t - t0, self.length, self.strokes
        straight = sqrt((x - x0) * (x - x0) + (y - y0) * (y - y0)) / length
        bow = abs(self.area) / (2 * length * length)
        peak_at = self.peak_ms / lasted
        flat = length / lasted / self.peak
        late = self.weight / (length * lasted)
        for at, value in enumerate((1.0, straight, straight * straight, bow, bow * bow, peak_at,
                                    peak_at * peak_at, flat, flat * flat, self.first / self.peak,
                                    self.speed / self.peak, late, late * late)):  # fmt: skip
            sums[at] += value
        self.taken = 0

    def _step(self, gap: float, dx: float, dy: float) -> None:
        counts = self.counts
        counts["steps"] += 1
        d2 = dx * dx + dy * dy
        if gap > 0:
            if self.gap > 0:
                self.gaps[_bin(_apart(gap, self.gap), GAP_RATIOS)] += 1
            self.gap = gap
        if d2 == 0:
            counts["still"] += 1
            return
        if dx == 0 or dy == 0:
            counts["level"] += 1
        if dx == self.dx and dy == self.dy:
            counts["same"] += 1
        distance = sqrt(d2)
        before = sqrt(self.dx * self.dx + self.dy * self.dy)
        if before > 0:
            cosine = (dx * self.dx + dy * self.dy) / (distance * before)
            at = 0
            for edge in TURN_COSINES:
                if cosine >= edge:
                    break
                at += 1
            self.turns[at] += 1
        self.dx, self.dy = dx, dy
        self.owed += distance
        if gap > 0:
            self._pace(gap)

    def _pace(self, gap: float) -> None:
        """Note a speed, and what the stroke is made of."""
        speed, distance = self.owed / gap, self.owed
        self.owed = 0.0
        if self.speed > 0:
            self.ratios[_bin(_apart(speed, self.speed), SPEED_RATIOS)] += 1
        else:
            self.first = speed
        self.speed = speed
        self.taken += 1
        self.length += distance
        at = self.since + gap / 2
        self.weight += distance * at
        if speed > self.peak:
            self.peak, self.peak_ms = speed, at


def _apart(one: float, other: float) -> float:
    return one / other if one > other else other / one


def _bin(value: float, edges: tuple[float, ...]) -> int:
    at = 0
    for edge in edges:
        if value < edge:
            return at
        at += 1
    return at
